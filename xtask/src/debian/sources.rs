//! Reads the machine's own apt sources, in both formats, and finds which
//! mirrors they name. No mirror is written anywhere in this project: what
//! works for this machine's apt works for us.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Used where the machine's own source names no key.
const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One source of binary packages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    trusted: bool,
}

/// The mirrors of Debian itself, as this machine uses them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrors {
    /// This machine's suite, such as `bookworm`.
    pub(crate) codename: String,
    main: String,
    security: Option<String>,
    trusted: bool,
}

impl Mirrors {
    /// Finds the mirrors of the running machine.
    pub(crate) fn find() -> Result<Self> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let codename = codename(&release).context(
            "this machine does not say which Debian it is (no VERSION_CODENAME in /etc/os-release). \
             Setup downloads Debian packages; elsewhere, install a rustup nightly with rust-src, \
             bpf-linker and qemu by hand",
        )?;
        Self::choose(&read_all(Path::new("/etc/apt"))?, &codename).with_context(|| {
            format!(
                "no apt source of this machine offers Debian's `{codename} main`; \
                 look into /etc/apt/sources.list and /etc/apt/sources.list.d"
            )
        })
    }

    /// The decision, without the machine: the source that has this suite's
    /// `main`; where several do (vendors name their suites after Debian's), the
    /// one whose address says Debian.
    fn choose(sources: &[Source], codename: &str) -> Option<Self> {
        let offers = |suite: &str| -> Option<&Source> {
            let fitting = || {
                sources.iter().filter(move |source| {
                    source.suites.iter().any(|name| name == suite)
                        && source.components.iter().any(|name| name == "main")
                        && !source.uris.is_empty()
                })
            };
            fitting()
                .find(|source| source.uris[0].contains("debian"))
                .or_else(|| fitting().next())
        };
        let main = offers(codename)?;
        let security = offers(&format!("{codename}-security"));
        Some(Self {
            codename: codename.to_owned(),
            main: main.uris[0].clone(),
            security: security.map(|source| source.uris[0].clone()),
            trusted: main.trusted,
        })
    }

    /// A sources file for one suite with its updates; all but the suite itself
    /// may be missing on the mirror.
    pub(crate) fn sources_file(&self, suite: &str, keyring: bool) -> String {
        let mut options = vec!["arch=amd64".to_owned()];
        if self.trusted {
            options.push("trusted=yes".to_owned());
        } else if keyring {
            options.push(format!("signed-by={DEBIAN_KEYRING}"));
        }
        let options = options.join(" ");
        let mut text = format!("deb [{options}] {} {suite} main\n", self.main);
        if !suite.ends_with("-backports") {
            if let Some(security) = &self.security {
                text.push_str(&format!(
                    "deb [{options}] {security} {suite}-security main\n"
                ));
            }
            text.push_str(&format!(
                "deb [{options}] {} {suite}-updates main\n",
                self.main
            ));
        }
        text
    }
}

/// Whether Debian's keys are where Debian puts them.
pub(crate) fn has_keyring() -> bool {
    Path::new(DEBIAN_KEYRING).exists()
}

fn read_all(etc: &Path) -> Result<Vec<Source>> {
    let mut files = vec![etc.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc.join("sources.list.d")) {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|end| end.to_str()) {
            Some("list") => sources.extend(one_line_format(&text)),
            Some("sources") => sources.extend(deb822_format(&text)),
            _ => {}
        }
    }
    Ok(sources)
}

fn codename(os_release: &str) -> Option<String> {
    os_release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim().trim_matches('"').to_owned())
        .filter(|name| !name.is_empty())
}

/// `deb [options] uri suite component…`, see sources.list(5).
fn one_line_format(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(rest) = line
            .strip_prefix("deb")
            .filter(|rest| rest.starts_with([' ', '\t']))
        else {
            continue;
        };
        let rest = rest.trim_start();
        let (options, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((options, rest)) => (options, rest),
            None => ("", rest),
        };
        let mut words = rest.split_whitespace().map(str::to_owned);
        let (Some(uri), Some(suite)) = (words.next(), words.next()) else {
            continue;
        };
        sources.push(Source {
            uris: vec![uri],
            suites: vec![suite],
            components: words.collect(),
            trusted: options
                .split_whitespace()
                .any(|option| option == "trusted=yes"),
        });
    }
    sources
}

/// Paragraphs of `Field: values`, see "DEB822-STYLE FORMAT" in sources.list(5).
fn deb822_format(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for paragraph in text.split(|line| line.trim().is_empty()) {
        let field = |wanted: &str| -> Vec<String> {
            let mut values = Vec::new();
            let mut inside = false;
            for line in paragraph {
                if line.starts_with([' ', '\t']) {
                    if inside {
                        values.extend(line.split_whitespace().map(str::to_owned));
                    }
                } else if let Some((name, rest)) = line.split_once(':') {
                    inside = name.trim().eq_ignore_ascii_case(wanted);
                    if inside {
                        values.extend(rest.split_whitespace().map(str::to_owned));
                    }
                }
            }
            values
        };
        let says = |name: &str, word: &str| field(name).iter().any(|value| value == word);
        if says("Types", "deb") && !says("Enabled", "no") {
            sources.push(Source {
                uris: field("URIs"),
                suites: field("Suites"),
                components: field("Components"),
                trusted: says("Trusted", "yes"),
            });
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
Types: deb deb-src
# a comment inside
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main
";

    #[test]
    fn reads_deb822() {
        let sources = deb822_format(DEB822);
        assert_eq!(sources.len(), 2, "the disabled one is left out");
        assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
        let mirrors = Mirrors::choose(&sources, "bookworm").unwrap();
        assert_eq!(mirrors.main, "http://mirror.example/debian");
        assert_eq!(
            mirrors.security.as_deref(),
            Some("http://mirror.example/debian-security")
        );
    }

    #[test]
    fn reads_one_line_format() {
        let sources = one_line_format(
            "# nothing\n\
             deb-src http://mirror.example/debian trixie main\n\
             deb http://vendor.example/apt trixie main\n\
             deb [arch=amd64 trusted=yes] http://mirror.example/debian trixie main # here\n",
        );
        assert_eq!(sources.len(), 2);
        let mirrors = Mirrors::choose(&sources, "trixie").unwrap();
        assert_eq!(
            mirrors.main, "http://mirror.example/debian",
            "not the vendor's"
        );
        assert!(mirrors.trusted);
        assert_eq!(mirrors.security, None);
    }

    #[test]
    fn a_suite_comes_with_its_updates_and_backports_alone() {
        let mirrors = Mirrors::choose(&deb822_format(DEB822), "bookworm").unwrap();
        let trixie = mirrors.sources_file("trixie", true);
        assert_eq!(trixie.lines().count(), 3);
        assert!(trixie.contains("signed-by="));
        assert!(trixie.contains("debian-security trixie-security main"));
        assert_eq!(
            mirrors
                .sources_file("trixie-backports", false)
                .lines()
                .count(),
            1
        );
    }

    #[test]
    fn another_suite_is_not_found() {
        assert_eq!(Mirrors::choose(&deb822_format(DEB822), "sid"), None);
    }

    #[test]
    fn the_codename_may_be_quoted() {
        assert_eq!(
            codename("ID=debian\nVERSION_CODENAME=\"trixie\"\n").as_deref(),
            Some("trixie")
        );
        assert_eq!(codename("ID=arch\n"), None);
    }
}
