//! `cargo xtask bench`: what sigtrace costs beside the tools of others, measured
//! by `sigtrace-play bench` natively, and counted in instructions in a guest, where
//! functions can be hooked and nothing disturbs. Gets the others, and writes the
//! figures down with the machine that they are of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{bail, Context, Result};

use crate::debian::{Area, Mirrors};
use crate::places::Places;
use crate::test::boots;
use crate::vm::run::{Collected, Ending};
use crate::vm::{self, Guest};
use crate::{build, cmd, setup, ui};

/// Debian's packages of those who are compared.
const RIVALS: [&str; 3] = ["libbpf-tools", "bpftrace", "strace"];

/// Where instructions are counted: Debian's kernel, with all that sigtrace hooks. Hardly
/// anything differs from round to round, so that a few short ones tell as much as many.
const COUNTED_ON: &str = "6.12";
const COUNTED_ROUNDS: &str = "6";
const COUNTED: [&str; 7] = [
    "sigtrace-play",
    "bench",
    "--instructions",
    "--rounds",
    COUNTED_ROUNDS,
    "--round-ms",
    "10",
];
const COUNTED_LIMIT: Duration = Duration::from_secs(40 * 60);
/// The largest buffer that is traced with, and as much again.
const COUNTED_MEMORY_MIB: u32 = 1536;

/// Flags.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) rounds: Option<u32>,
    pub(crate) hooks: Option<String>,
    pub(crate) json: bool,
    pub(crate) write: bool,
}

/// Rounds, if nobody says how many.
const ROUNDS: u32 = 15;

/// The subcommand; whether every target was met.
pub(crate) fn command(places: &Places, options: &Options) -> Result<bool> {
    let load = load(Path::new("/proc/loadavg"));
    setup::to_build(places)?;
    build::all(places)?;
    if let Some(reason) = boots::not_natively(places) {
        bail!("this machine's own kernel cannot be traced ({reason}), and times in a virtual machine would tell nothing: run it as root on another");
    }
    let engine = build::engine_bench(places)?;
    let conditions = Conditions {
        load,
        rounds: options.rounds.unwrap_or(ROUNDS),
    };
    // First, since it takes less: what fails there need not be measured here.
    let counted = counted(places, options.json)?;
    let binaries = places.static_binaries();
    let mut bench = Command::new(binaries.join("sigtrace-play"));
    bench.args(["bench", "--sigtrace"]);
    bench.arg(binaries.join("sigtrace"));
    bench.arg("--engine").arg(engine);
    match rivals(places) {
        Ok(folder) => {
            bench.arg("--rivals").arg(folder);
        }
        Err(error) => ui::note(&format!(
            "the others cannot be had, going on without them: {error:#}"
        )),
    }
    bench.args(["--rounds", &conditions.rounds.to_string()]);
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
    let said = String::from_utf8_lossy(&output.stdout);
    let Some(timed) = Figures::read(&said) else {
        bail!("`{}` failed ({})", cmd::show(&bench), output.status);
    };
    let last = format!(
        "{} of {} targets met",
        timed.met + counted.met,
        timed.of + counted.of
    );
    if options.json {
        print!("{}{}", timed.rows, counted.rows);
    } else {
        print!(
            "{}({} of {})\n\nIn instructions:\n\n{}({} of {})\n\n",
            timed.rows, timed.met, timed.of, counted.rows, counted.met, counted.of
        );
    }
    println!("{last}");
    if options.write {
        let page = places.root.join("docs/performance.md");
        fs::write(
            &page,
            written(places, &conditions, [&timed, &counted], &last)?,
        )
        .with_context(|| format!("cannot write {}", page.display()))?;
        ui::say(&format!("written to {}", page.display()));
    }
    Ok(timed.met == timed.of && counted.met == counted.of)
}

/// What the bench printed.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    /// All but the last line.
    rows: String,
    met: usize,
    of: usize,
}

impl Figures {
    /// `None`: it did not come to its last line.
    fn read(said: &str) -> Option<Self> {
        let text = said.trim_end();
        let at = text.rfind('\n').map_or(0, |at| at + 1);
        let (met, of) = text[at..]
            .strip_suffix(" targets met")?
            .split_once(" of ")?;
        Some(Self {
            rows: text[..at].to_owned(),
            met: met.parse().ok()?,
            of: of.parse().ok()?,
        })
    }
}

/// Figures in instructions.
fn counted(places: &Places, json: bool) -> Result<Figures> {
    let guest = Guest::prepare(places, COUNTED_ON.parse().map_err(anyhow::Error::msg)?)?;
    let mut command = COUNTED.map(str::to_owned).to_vec();
    command.extend(json.then(|| "--json".to_owned()));
    let options = vm::Options {
        memory_mib: Some(COUNTED_MEMORY_MIB),
        timeout: COUNTED_LIMIT,
        icount: true,
        ..vm::Options::default()
    };
    let what = format!("counting instructions on {}", guest.kernel.release);
    let why = "functions can be hooked there, and nothing disturbs; some ten minutes";
    ui::step(&what, why, || {
        let (out, err) = (Collected::default(), Collected::default());
        let boot = guest.run(&command, &options, out.sink(), err.sink())?;
        let said = err.text();
        match (Figures::read(&out.text()), boot.ending) {
            (Some(figures), _) => Ok(figures),
            (None, Ending::Exit(status)) => {
                bail!("sigtrace-play ended with status {status} in the guest: {said}")
            }
            (None, Ending::Lost(why) | Ending::Late(why)) => bail!("the guest: {why}\n{said}"),
        }
    })
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

/// How it was measured.
struct Conditions {
    /// How quiet the machine was before.
    load: String,
    rounds: u32,
}

fn written(
    places: &Places,
    conditions: &Conditions,
    [timed, counted]: [&Figures; 2],
    last: &str,
) -> Result<String> {
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
         Written by `cargo xtask bench --write`: {date}, commit {commit}, Linux {kernel}, {cpu}, {load} in the\n\
         minute before it began. Each of {rounds} rounds measures everything once, one after another: the load alone, then with the tool, then alone\n\
         again. What a round says is the median of its pieces of a millisecond; a cost is the difference to the load\n\
         alone right before and after. A figure is the median over the rounds, with the interval in which the true one\n\
         lies with 95 %. A target is met if the whole interval meets it, missed if nothing of it does; else the machine\n\
         was not quiet enough to tell. The load runs on one CPU, the tools on another, but for starts and for how soon\n\
         events are told: there they run on any.\n\n\
         The targets were set on a machine whose `kill()` takes 326 ns and an empty program 52 ns; in time they are as\n\
         they were set, however fast this machine is.\n\n\
         - An *empty program* returns at once: what it costs to be called from that tracepoint.\n\
         - *Rejected* are signals that nobody asked for: of another number, or to another container.\n\
         - In a *storm of equal ones* the first three of a second are told and the rest is counted. *Each told*: hardly\n\
         \x20 two are alike, so that each has a record and a line.\n\
         - *Refused* signals are seen at the return of their system call and of the check in it, or where functions\n\
         \x20 cannot be hooked at the return of every system call, which costs all of them and has to be asked for.\n\
         - *Times sigtrace's cost*: what the other tool adds to a `kill()` that it shows, divided by what sigtrace adds\n\
         \x20 in a storm of equal ones.\n\n\
         {timed}\n\
         {} of {} targets in time are met.\n\n\
         ## In instructions\n\n\
         The same, but with the tool on the load's CPU, on Debian's kernel {COUNTED_ON} in a virtual machine (QEMU,\n\
         `-icount`) whose clock goes on by a nanosecond for each instruction: there functions can be hooked, and nothing\n\
         disturbs, so that {counted_rounds} rounds are enough. The load's own time is counted. Each repetition of a string instruction is one. A target in\n\
         nanoseconds is multiplied by the instructions of `kill()` alone there, and divided by the 326 ns that it takes on\n\
         the machine that the targets were set on: as if all instructions took the same time, which they do not.\n\n\
         {counted}\n\
         {} of {} targets in instructions are met.\n\n{last}\n",
        timed.met,
        timed.of,
        counted.met,
        counted.of,
        date = text("date", &["-u", "+%F"])?,
        commit = text("git", &["rev-parse", "--short", "HEAD"])?,
        kernel = text("uname", &["-r"])?,
        load = conditions.load,
        rounds = conditions.rounds,
        counted_rounds = COUNTED_ROUNDS,
        timed = timed.rows,
        counted = counted.rows,
    ))
}

/// `load 0.31`: who reads the figures must know how quiet the machine was.
fn load(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let first = text.split(' ').next().filter(|word| !word.is_empty());
    first.map_or("load unknown".to_owned(), |load| format!("load {load}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let said = "| a |\n| b |\n7 of 19 targets met\n";
        let figures = Figures {
            rows: "| a |\n| b |\n".into(),
            met: 7,
            of: 19,
        };
        assert_eq!(Figures::read(said), Some(figures));
        assert_eq!(Figures::read("| a |\n"), None);
        assert_eq!(Figures::read(""), None);
    }
}
