//! apt for one suite, with lists, cache and settings of its own: needs no root,
//! and leaves the machine's apt as it is. Downloads packages and unpacks them.
//!
//! Which suite and which packages is decided by `kernel`, `toolchain` and
//! `guest_tools`; where the mirror is, by `sources`; `download` brings the files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{bail, Context, Result};

use super::download;
use super::sources::{has_keyring, Mirrors};
use crate::cmd;
use crate::places::Places;
use crate::ui;

/// Package lists younger than this are taken as they are.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// apt's folders for one suite.
#[derive(Debug)]
pub(crate) struct Area {
    dir: PathBuf,
    suite: String,
}

impl Area {
    /// Opens the area of `suite` and brings its package lists up to date if
    /// they are missing or old.
    pub(crate) fn open(places: &Places, mirrors: &Mirrors, suite: &str) -> Result<Self> {
        for tool in [
            "apt-get",
            "apt-cache",
            "apt-config",
            "dpkg-deb",
            download::HELPER,
        ] {
            if cmd::on_path(tool).is_none() {
                bail!(
                    "`{tool}` is not on this machine. xtask takes kernels and compilers from Debian \
                     packages (unpacked, not installed), so it needs Debian's apt and dpkg"
                );
            }
        }
        let dir = places.cache_folder(&format!("apt/{suite}"))?;
        let area = Self {
            dir,
            suite: suite.to_owned(),
        };
        for folder in ["lists/partial", "archives/partial", "debs", "empty"] {
            fs::create_dir_all(area.dir.join(folder))?;
        }
        let sources = mirrors.sources_file(suite, has_keyring());
        let sources_list = area.dir.join("sources.list");
        let changed = fs::read_to_string(&sources_list).map_or(true, |old| old != sources);
        if changed {
            fs::write(&sources_list, sources)?;
        }
        fs::write(
            area.dir.join("apt.conf"),
            own_settings(&network_settings()?, &area.dir),
        )?;
        if changed || !area.is_fresh() {
            area.update()?;
        }
        Ok(area)
    }

    fn is_fresh(&self) -> bool {
        fs::metadata(self.dir.join("updated"))
            .and_then(|data| data.modified())
            .ok()
            .and_then(|time| SystemTime::now().duration_since(time).ok())
            .is_some_and(|age| age < FRESH)
    }

    fn update(&self) -> Result<()> {
        let what = format!("reading the package lists of Debian {}", self.suite);
        let why = "to know which versions are there; in a folder of its own, the machine's apt is not touched";
        ui::step(&what, why, || {
            let log = self.dir.join("update.log");
            let done = cmd::logged(self.apt("apt-get").args(["-q", "update"]), &log);
            match done {
                Ok(()) => fs::write(self.dir.join("updated"), "")?,
                // -security or -updates of an old suite may be gone while the
                // suite is there; and old lists are better than none.
                Err(error) if !self.has_lists() => {
                    return Err(error.context(format!(
                        "the mirror gave no package lists for {}: it may be gone from the mirror, or the network is down",
                        self.suite
                    )))
                }
                Err(_) => ui::note("not all lists could be read; going on with those that could"),
            }
            Ok(())
        })
    }

    fn has_lists(&self) -> bool {
        fs::read_dir(self.dir.join("lists"))
            .map(|entries| {
                entries
                    .flatten()
                    .any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
            })
            .unwrap_or(false)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .env("LC_ALL", "C.UTF-8");
        command
    }

    /// Names of packages that the suite really has, by apt's regular expression.
    pub(crate) fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let text = cmd::capture(
            self.apt("apt-cache")
                .args(["search", "--names-only", pattern]),
        )?;
        Ok(text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect())
    }

    /// The version that a download would bring.
    pub(crate) fn version(&self, package: &str) -> Result<String> {
        let text = cmd::capture(self.apt("apt-cache").args(["policy", package]))?;
        text.lines()
            .find_map(|line| line.trim().strip_prefix("Candidate:"))
            .map(|version| version.trim().to_owned())
            .filter(|version| version != "(none)")
            .with_context(|| format!("Debian {} has no package `{package}`", self.suite))
    }

    /// What apt would have to install on this machine for `packages` to run:
    /// nothing is installed, the machine's list of packages is only read.
    pub(crate) fn missing_for(&self, packages: &[&str]) -> Result<Vec<String>> {
        let text = cmd::capture(
            self.apt("apt-get")
                .args(["install", "--simulate", "--no-install-recommends", "--yes"])
                .args(packages),
        )?;
        Ok(text
            .lines()
            .filter_map(|line| line.strip_prefix("Inst "))
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect())
    }

    /// The file that says where this suite is.
    pub(crate) fn sources_list(&self) -> PathBuf {
        self.dir.join("sources.list")
    }

    /// Downloads what a new system with these packages consists of, so that
    /// its installation finds everything there.
    pub(crate) fn download_system(&self, packages: &[&str], into: &Path) -> Result<()> {
        // As if nothing were installed here.
        let status = self.dir.join("empty-status");
        fs::write(&status, "")?;
        let mut command = self.apt("apt-get");
        command
            .args(["-q", "--print-uris", "--yes", "--no-install-recommends"])
            .arg(format!("-oDir::State::status={}", status.display()))
            // Not those that this machine happens to have fetched.
            .arg(format!(
                "-oDir::Cache::Archives={}",
                self.dir.join("empty").display()
            ))
            .args(["install", "?essential", "apt"])
            .args(packages);
        let downloads = download::parse(&cmd::capture(&mut command)?);
        if downloads.is_empty() {
            bail!(
                "apt knows no place to download {} from",
                packages.join(", ")
            );
        }
        let log = self.dir.join("download.log");
        download::fetch(&downloads, into, &log, || self.apt(download::HELPER))
            .map(drop)
            .with_context(|| self.interrupted())
    }

    fn interrupted(&self) -> String {
        format!(
            "cannot download from Debian {}; run the same command again to go on where it stopped",
            self.suite
        )
    }

    /// Downloads packages and unpacks them below `into`.
    pub(crate) fn unpack(&self, packages: &[&str], into: &Path) -> Result<()> {
        let list = cmd::capture(
            self.apt("apt-get")
                .args(["-q", "--print-uris", "download"])
                .args(packages)
                // It removes half files of these names where it stands.
                .current_dir(self.dir.join("empty")),
        )?;
        let downloads = download::parse(&list);
        if downloads.is_empty() {
            bail!(
                "apt knows no place to download {} from",
                packages.join(", ")
            );
        }
        let log = self.dir.join("download.log");
        let debs = self.dir.join("debs");
        let files = download::fetch(&downloads, &debs, &log, || self.apt(download::HELPER))
            .with_context(|| self.interrupted())?;
        for deb in files {
            cmd::capture(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(into))?;
            // Unpacked is enough: the download is as big again.
            fs::remove_file(&deb)?;
        }
        Ok(())
    }
}

/// How this machine's apt gets to the network, as lines of its configuration.
pub(crate) fn network_settings() -> Result<Vec<String>> {
    let machine = cmd::capture(Command::new("apt-config").arg("dump"))?;
    Ok(network_lines(&machine))
}

fn network_lines(dump: &str) -> Vec<String> {
    dump.lines()
        .filter(|line| line.starts_with("Acquire::"))
        // Extra indexes of software centres are of no use here.
        .filter(|line| !line.starts_with("Acquire::IndexTargets"))
        .filter(|line| !line.starts_with("Acquire::Languages"))
        .map(str::to_owned)
        .collect()
}

/// apt's settings for an area. The machine's own way to the network (proxies,
/// certificates, retries) is kept; its hooks and caches are not, because they
/// would act on the machine.
fn own_settings(network: &[String], dir: &Path) -> String {
    let mut text = network.join("\n");
    text.push('\n');
    let dir = dir.display();
    // Suites that have moved to an archive keep their last date for ever.
    text.push_str(&format!(
        "Acquire::Languages \"none\";\n\
         Acquire::Check-Valid-Until \"false\";\n\
         APT::Architecture \"amd64\";\n\
         APT::Sandbox::User \"root\";\n\
         Debug::NoLocking \"true\";\n\
         Dir::Etc::main \"/dev/null\";\n\
         Dir::Etc::parts \"{dir}/empty\";\n\
         Dir::Etc::SourceList \"{dir}/sources.list\";\n\
         Dir::Etc::SourceParts \"{dir}/empty\";\n\
         Dir::Etc::Preferences \"/dev/null\";\n\
         Dir::Etc::PreferencesParts \"{dir}/empty\";\n\
         Dir::State::Lists \"{dir}/lists\";\n\
         Dir::Cache \"{dir}\";\n\
         Dir::Cache::Archives \"{dir}/archives\";\n\
         Dir::Cache::pkgcache \"\";\n\
         Dir::Cache::srcpkgcache \"\";\n"
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_network_and_drops_the_hooks() {
        let machine = "APT::Update::Post-Invoke:: \"rm -rf x\";\n\
                       Acquire::http::Proxy \"http://proxy.example\";\n\
                       Acquire::IndexTargets::deb::DEP-11 \"\";\n";
        let own = own_settings(&network_lines(machine), Path::new("/c/apt/trixie"));
        assert!(own.contains("Acquire::http::Proxy \"http://proxy.example\";"));
        assert!(!own.contains("Post-Invoke"));
        assert!(!own.contains("DEP-11"));
        assert!(own.contains("Dir::State::Lists \"/c/apt/trixie/lists\";"));
    }
}
