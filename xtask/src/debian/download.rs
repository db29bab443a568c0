//! Brings package files from the mirror, and goes on where an earlier run
//! stopped: whole files are not fetched again, and a half one is continued
//! where the mirror allows (`apt-get download` would begin anew). Which files,
//! is asked by `area`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::cmd;

/// Not on the PATH, but a part of apt.
pub(crate) const HELPER: &str = "/usr/lib/apt/apt-helper";

/// A package's file on the mirror, with the checksum of the signed lists.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Download {
    uri: String,
    file: String,
    hash: String,
}

/// Reads `'URI' FILE SIZE HASH` lines of `apt-get --print-uris download`.
pub(crate) fn parse(list: &str) -> Vec<Download> {
    list.lines()
        .filter_map(|line| {
            let (uri, rest) = line.strip_prefix('\'')?.split_once("' ")?;
            let mut words = rest.split_whitespace();
            let (file, _size, hash) = (words.next()?, words.next()?, words.next()?);
            Some(Download {
                uri: uri.to_owned(),
                file: file.to_owned(),
                hash: hash.to_owned(),
            })
        })
        .collect()
}

/// Fetches what is not there yet into `into`; apt checks what it fetched.
/// Returns all files.
pub(crate) fn fetch(
    downloads: &[Download],
    into: &Path,
    log: &Path,
    helper: impl FnOnce() -> Command,
) -> Result<Vec<PathBuf>> {
    let missing: Vec<&Download> = downloads
        .iter()
        .filter(|download| !is_whole(download, into))
        .collect();
    if !missing.is_empty() {
        let mut helper = helper();
        helper.args(["-q", "-o", "Acquire::Retries=3", "download-file"]);
        for download in missing {
            let file = into.join(&download.file);
            helper.arg(&download.uri).arg(file).arg(&download.hash);
        }
        cmd::logged(&mut helper, log)?;
    }
    let path = |download: &Download| into.join(&download.file);
    Ok(downloads.iter().map(path).collect())
}

/// Whether an earlier run has brought all of it.
fn is_whole(download: &Download, into: &Path) -> bool {
    let file = into.join(&download.file);
    file.is_file() && checksum_fits(&download.hash, &file).unwrap_or(false)
}

/// Asks sha256sum or sha512sum; any other kind of sum is not trusted, and the
/// file is fetched again.
fn checksum_fits(hash: &str, file: &Path) -> Result<bool> {
    let Some((kind, sum)) = hash.split_once(':') else {
        return Ok(false);
    };
    let program = match kind {
        "SHA256" => "sha256sum",
        "SHA512" => "sha512sum",
        _ => return Ok(false),
    };
    let mut line = String::new();
    writeln!(line, "{sum}  {}", file.display())?;
    let mut child = Command::new(program)
        .args(["--check", "--status"])
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(line.as_bytes())?;
    }
    Ok(child.wait()?.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_a_package_is() {
        let list = "Reading package lists...\n\
                    'http://mirror.example/pool/x_1%3a2%7eb_amd64.deb' x_1%3a2~b_amd64.deb 140 SHA256:a8\n";
        assert_eq!(
            parse(list),
            [Download {
                uri: "http://mirror.example/pool/x_1%3a2%7eb_amd64.deb".to_owned(),
                file: "x_1%3a2~b_amd64.deb".to_owned(),
                hash: "SHA256:a8".to_owned(),
            }]
        );
    }
}
