//! `cargo xtask bench`: what sigtrace costs beside the tools of others, measured
//! by `sigtrace-play bench` natively. Gets the others, and writes the figures
//! down with the machine that they are of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

use crate::debian::{Area, Mirrors};
use crate::places::Places;
use crate::test::boots;
use crate::{build, cmd, setup, ui};

/// Debian's packages of those who are compared.
const RIVALS: [&str; 3] = ["libbpf-tools", "bpftrace", "strace"];

/// Flags.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) rounds: Option<u32>,
    pub(crate) hooks: Option<String>,
    pub(crate) json: bool,
    pub(crate) write: bool,
}

/// The subcommand; whether every target was met.
pub(crate) fn command(places: &Places, options: &Options) -> Result<bool> {
    setup::to_build(places)?;
    build::all(places)?;
    if let Some(reason) = boots::not_natively(places) {
        bail!("this machine's own kernel cannot be traced ({reason}), and figures of a virtual machine would be no figures: run it as root on another");
    }
    let binaries = places.static_binaries();
    let mut bench = Command::new(binaries.join("sigtrace-play"));
    bench.args(["bench", "--sigtrace"]);
    bench.arg(binaries.join("sigtrace"));
    match rivals(places) {
        Ok(folder) => {
            bench.arg("--rivals").arg(folder);
        }
        Err(error) => ui::note(&format!(
            "the others cannot be had, going on without them: {error:#}"
        )),
    }
    if let Some(rounds) = options.rounds {
        bench.args(["--rounds", &rounds.to_string()]);
    }
    if let Some(hooks) = &options.hooks {
        bench.args(["--hooks", hooks]);
    }
    if options.json {
        bench.arg("--json");
    }
    ui::say("measuring; anything else that runs meanwhile widens the intervals");
    let output = bench
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start sigtrace-play")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{said}");
    let met = match output.status.code() {
        Some(0) => true,
        Some(1) if said.contains("targets met") => false,
        _ => bail!("`{}` failed ({})", cmd::show(&bench), output.status),
    };
    if options.write {
        let page = places.root.join("docs/performance.md");
        fs::write(&page, written(places, &said)?)
            .with_context(|| format!("cannot write {}", page.display()))?;
        ui::say(&format!("written to {}", page.display()));
    }
    Ok(met)
}

/// A folder with the others, from packages that are unpacked, not installed.
fn rivals(places: &Places) -> Result<PathBuf> {
    places.ensure("rivals", &RIVALS.join(" "), |fresh, _| {
        let mirrors = Mirrors::find()?;
        let area = Area::open(places, &mirrors, &mirrors.codename)?;
        let libraries = area.missing_for(&RIVALS)?;
        let mut packages = RIVALS.to_vec();
        packages.extend(libraries.iter().map(String::as_str));
        packages.sort_unstable();
        packages.dedup();
        let what = format!("downloading {}", packages.join(", "));
        ui::step(&what, "to compare with; unpacked, not installed", || {
            area.unpack(&packages, fresh)
        })
    })
}

fn written(places: &Places, said: &str) -> Result<String> {
    let text = |command: &str, arguments: &[&str]| -> Result<String> {
        let mut command = Command::new(command);
        let said = cmd::capture(command.args(arguments).current_dir(&places.root))?;
        Ok(said.trim().to_owned())
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown CPU", |(_, name)| name.trim());
    Ok(format!(
        "# What sigtrace costs\n\n\
         Written by `cargo xtask bench --write`: {date}, commit {commit}, Linux {kernel}, {cpu}, {load} in the last\n\
         minute. Each round measures everything once, one after another; a figure is the median over the rounds of the\n\
         difference within a round, with the interval in which the true median lies with 95 %. A target is met if its\n\
         whole interval is. The load runs on one CPU, the tools on another.\n\n{said}",
        date = text("date", &["-u", "+%F"])?,
        commit = text("git", &["rev-parse", "--short", "HEAD"])?,
        kernel = text("uname", &["-r"])?,
        load = load(Path::new("/proc/loadavg")),
    ))
}

/// `load 0.31`: who reads the figures must know how quiet the machine was.
fn load(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let first = text.split(' ').next().filter(|word| !word.is_empty());
    first.map_or("load unknown".to_owned(), |load| format!("load {load}"))
}
