//! Runs the test program `sigtrace-play`: natively where this machine allows,
//! and in one boot per kernel and hook level, several at a time. What it prints
//! is read by `play`; how a boot works is `vm`'s business.

use std::env;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::play::Report;
use super::proofs::Column;
use super::tally::Tally;
use crate::kernel::Series;
use crate::places::Places;
use crate::vm::run::{Collected, Ending};
use crate::vm::{Accelerator, Engine, Guest, Options, ENGINES};
use crate::{cmd, guest_tools, ui};

/// Hook levels: what this kernel does best, and the least that must work everywhere.
const LEVELS: [&str; 2] = ["auto", "raw"];

/// Between those: kprobes, which are what functions are hooked by where fentry is
/// refused. An old kernel and a new one tell as much as all would.
const KPROBE: &str = "kprobe";
const KPROBES_ON: [&str; 2] = ["5.10", "6.12"];

/// Scenarios that need a sigtrace of their own and are no matter of one kernel take turns:
/// on every change each of them is played in every so many-th boot, with BTF hooks and
/// without, on an old kernel and on a new one. They take most of the time of a boot.
const TURNS: usize = 4;

/// One boot plays all scenarios, as `--all` wants, in some six minutes under emulation; a
/// busy host takes more than twice as long.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// Containers start slowly there: a few of them on every change, and all that
/// there are, with hundreds of containers.
const CORE_LIMIT: Duration = Duration::from_secs(15 * 60);
const ENGINE_LIMIT: Duration = Duration::from_secs(60 * 60);

/// On every change the guest that is made soonest plays a core of its scenarios.
const CORE: Engine = Engine::Bookworm;
const CORE_WITH: [&str; 2] = ["docker", "podman"];

/// What `test --all` plays: how many containers are stopped at once, how many end
/// as soon as they have started. And what so many need.
const ALL: &str = "--many 100 --short 50";
const MEMORY_FOR_ALL_MIB: u32 = 4096;

/// Lines of stderr that are shown beside failures.
const SHOWN: usize = 40;

/// Guests at a time: each has two processors of its own, which it uses half of.
const AT_ONCE: usize = 2;

/// Plays on this machine's own kernel, if it lets us.
pub(crate) fn native(places: &Places) -> Result<Tally> {
    if let Some(reason) = not_natively(places) {
        println!("this machine's kernel: skipped, {reason}");
        return Ok(Tally::one_skipped());
    }
    ui::say("playing all scenarios on this machine's own kernel, hooks raw");
    let begin = Instant::now();
    let binaries = places.static_binaries();
    // The machine's own tini and dumb-init go before those of the guests.
    let mut path = vec![binaries.display().to_string()];
    path.extend(env::var("PATH"));
    let tools = guest_tools::get(places)?.programs();
    path.extend(
        tools
            .iter()
            .filter_map(|(_, file)| Some(file.parent()?.display().to_string())),
    );
    let path = path.join(":");
    let output = Command::new("timeout")
        .args(["--kill-after=10", &LIMIT.as_secs().to_string()])
        .arg(binaries.join("sigtrace-play"))
        .args(["run", "--hooks", "raw"])
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()?;
    let report = Report::read(&String::from_utf8_lossy(&output.stdout));
    let errors = String::from_utf8_lossy(&output.stderr);
    Ok(tell(
        "this machine's kernel, hooks raw",
        report,
        &errors,
        begin,
    ))
}

/// Why sigtrace cannot be played natively, if it cannot.
pub(crate) fn not_natively(places: &Places) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("it needs root".to_owned());
    }
    let mut doctor = Command::new(places.static_binaries().join("sigtrace"));
    let checked = doctor.arg("doctor").stdin(Stdio::null()).output();
    match checked {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let verdict = text
                .lines()
                .last()
                .unwrap_or("`sigtrace doctor` says no")
                .to_owned();
            Some(format!("sigtrace cannot trace here: {verdict}"))
        }
        Err(error) => Some(format!("`sigtrace doctor` does not start: {error}")),
    }
}

/// All results of all boots, and how many kernels were really booted.
#[derive(Debug, Default)]
pub(crate) struct Boots {
    pub(crate) tally: Tally,
    pub(crate) kernels: usize,
    /// What was claimed in each, in the order of the kernels, engines last.
    pub(crate) columns: Vec<Column>,
    /// Nothing was left out for want of something.
    pub(crate) complete: bool,
}

/// One boot and what it plays.
struct Job {
    title: String,
    /// Its column in the page of proofs.
    column: String,
    guest: Arc<Guest>,
    command: Vec<String>,
    options: Options,
}

/// What is to be booted, and what could not be had for it.
#[derive(Default)]
pub(crate) struct Plan {
    jobs: Vec<Job>,
    /// Those that take longest.
    first: Vec<Job>,
    skipped: Tally,
    kernels: usize,
    /// Every scenario is played in each of the kernels' boots, not as [`TURNS`] says.
    whole: bool,
}

impl Plan {
    pub(crate) fn new(whole: bool) -> Self {
        Self {
            whole,
            ..Self::default()
        }
    }

    /// Each kernel with each hook level.
    pub(crate) fn kernels(&mut self, places: &Places, series: &[Series]) {
        for &wanted in series {
            match Guest::prepare(places, wanted) {
                Ok(guest) => {
                    self.kernels += 1;
                    let guest = Arc::new(guest);
                    let levels = LEVELS.into_iter().chain(kprobe_too(wanted));
                    for level in levels {
                        let turn = (!self.whole).then_some(self.jobs.len() % TURNS);
                        self.jobs.push(on_kernel(&guest, wanted, level, turn));
                    }
                }
                Err(error) => self.skip(&format!("kernel {wanted}"), &error),
            }
        }
    }

    /// Each guest with container engines, or one with few scenarios. First of all,
    /// because they take longest.
    pub(crate) fn engines(&mut self, places: &Places, all: bool) {
        let played = ENGINES.into_iter().filter(|engine| all || *engine == CORE);
        for engine in played {
            match Guest::with_engine(places, engine, None) {
                Ok(guest) => self.first.push(with_engines(guest, engine, all)),
                Err(error) => self.skip(&format!("container engines of {engine}"), &error),
            }
        }
    }

    fn skip(&mut self, what: &str, error: &anyhow::Error) {
        println!("{what}: skipped, it cannot be had: {error:#}");
        self.skipped.add(&Tally::one_skipped());
    }

    /// Boots all of it, several at a time.
    pub(crate) fn run(self) -> Result<Boots> {
        let complete = self.skipped.skipped == 0;
        let mut boots = Boots {
            tally: self.skipped,
            kernels: self.kernels,
            columns: Vec::new(),
            complete,
        };
        let kernels = self.jobs.len();
        ui::say(&format!(
            "playing scenarios in {} boots, {AT_ONCE} at a time: each kernel with hooks {}, {} with {KPROBE}; Docker and Podman in guests of their own; {}",
            kernels + self.first.len(),
            LEVELS.join(" and "),
            KPROBES_ON.join(" and "),
            if self.whole {
                "every scenario in each".to_owned()
            } else {
                format!("scenarios with a sigtrace of their own take turns, each in one of {TURNS}")
            }
        ));
        // The columns stand in the order of the kernels, those of engines last.
        let first = (kernels..).zip(self.first);
        let jobs = Mutex::new(first.chain((0..).zip(self.jobs)));
        let results = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| loop {
                    let next = jobs.lock().map(|mut jobs| jobs.next()).unwrap_or_default();
                    let Some((at, job)) = next else { break };
                    let result = job.run();
                    if let Ok(mut results) = results.lock() {
                        results.push((at, result));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_default();
        results.sort_by_key(|(at, _)| *at);
        for (_, result) in results {
            let (tally, column) = result?;
            boots.tally.add(&tally);
            boots.columns.push(column);
        }
        Ok(boots)
    }
}

fn on_kernel(guest: &Arc<Guest>, wanted: Series, level: &str, turn: Option<usize>) -> Job {
    let series = guest.kernel.series(wanted);
    let words = ["sigtrace-play", "run", "--hooks", level, "--kernel"];
    let turn = turn.map(|turn| format!("--turn={turn}/{TURNS}"));
    let stands_in = if guest.kernel.stands_in {
        format!(" for {wanted}")
    } else {
        String::new()
    };
    Job {
        title: format!("kernel {}{stands_in}, hooks {level}", guest.kernel.release),
        column: format!("{wanted} {level}"),
        guest: Arc::clone(guest),
        command: words
            .into_iter()
            .map(str::to_owned)
            .chain([series])
            .chain(turn)
            .collect(),
        options: Options {
            timeout: LIMIT,
            ..Options::default()
        },
    }
}

fn with_engines(guest: Guest, engine: Engine, all: bool) -> Job {
    let (with, amount): (&[_], _) = if all {
        (engine.played(), ALL)
    } else {
        (&CORE_WITH, "--core")
    };
    let names = with.join(",");
    let script = format!(
        "guest-engines images {} && exec sigtrace-play engines {amount} --with {names}",
        engine.images().join(" ")
    );
    Job {
        title: format!(
            "engines of {engine} ({names}), kernel {}",
            guest.kernel.release
        ),
        column: match engine {
            CORE => "engines".to_owned(),
            other => format!("engines of {other}"),
        },
        guest: Arc::new(guest),
        command: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        options: Options {
            timeout: if all { ENGINE_LIMIT } else { CORE_LIMIT },
            memory_mib: all.then_some(MEMORY_FOR_ALL_MIB),
            ..Options::default()
        },
    }
}

impl Job {
    /// An emulated CPU can hang, or crash, where the kernel's text is changed under it, as
    /// it is when functions are hooked and when the first process is limited
    /// ([`Boot::stale_breakpoint`](crate::vm::run::Boot::stale_breakpoint)). So a guest to
    /// which that happens under emulation, and in which nothing has failed, is booted
    /// once more, and that is shown and counted. No other crash is ever forgiven.
    fn run(&self) -> Result<(Tally, Column)> {
        let emulated = self.guest.accelerator == Accelerator::Tcg;
        let first = self.boot()?;
        // The missing end is a failure, too.
        let all_well = first.report.tally.failed == 1;
        let Some(why) = first.emulator.as_deref().filter(|_| emulated && all_well) else {
            return Ok(self.tell(first));
        };
        println!(
            "{}: the emulated machine failed and is booted once more: {why}",
            self.title
        );
        let (mut tally, column) = self.tell(self.boot()?);
        tally.add(&Tally::one_skipped());
        Ok((tally, column))
    }

    fn boot(&self) -> Result<Played> {
        let begin = Instant::now();
        let (out, err) = (Collected::default(), Collected::default());
        let boot = self
            .guest
            .run(&self.command, &self.options, out.sink(), err.sink())?;
        let mut report = Report::read(&out.text());
        let emulator = match &boot.ending {
            Ending::Late(why) => Some(why.clone()),
            Ending::Lost(why) if boot.stale_breakpoint() => Some(why.clone()),
            _ => None,
        };
        let why = match boot.ending {
            Ending::Lost(why) | Ending::Late(why) => Some(why),
            // The kernel's words say who was killed for want of memory, for one.
            Ending::Exit(status) if !report.complete => Some(format!(
                "the exit status was {status}.\nThe kernel's last words:\n{}",
                cmd::tail(&boot.console, SHOWN)
            )),
            Ending::Exit(_) => None,
        };
        if let Some(why) = why {
            // `Report` has counted the missing END; here is why, and the first line of it
            // once more where failures are listed.
            let first = why.lines().next().unwrap_or_default();
            if let Some(end) = report.tally.failures.last_mut() {
                let _ = write!(end, ": {first}");
            }
            for line in why.lines() {
                let _ = writeln!(report.text, "    {line}");
            }
        }
        Ok(Played {
            begin,
            report,
            errors: err.text(),
            emulator,
        })
    }

    fn tell(&self, played: Played) -> (Tally, Column) {
        let Played {
            begin,
            mut report,
            errors,
            ..
        } = played;
        let title = format!("{}, {}", self.title, self.guest.accelerator.name());
        let column = Column {
            title: self.column.clone(),
            grades: std::mem::take(&mut report.grades),
            skips: std::mem::take(&mut report.skips),
        };
        (tell(&title, report, &errors, begin), column)
    }
}

/// What came of one boot.
struct Played {
    begin: Instant,
    report: Report,
    errors: String,
    /// Why it came to no end, if that is the emulator's fault, or may be.
    emulator: Option<String>,
}

fn kprobe_too(series: Series) -> Option<&'static str> {
    let name = series.to_string();
    KPROBES_ON.contains(&name.as_str()).then_some(KPROBE)
}

/// Prints a run's line, with what went wrong below it. One call of `print`, so
/// that two runs that end at once do not mix.
fn tell(title: &str, report: Report, errors: &str, begin: Instant) -> Tally {
    let Report { tally, text, .. } = report;
    let mut all = format!("{title}: {tally} ({})\n{text}", ui::took(begin.elapsed()));
    if tally.failed > 0 && !errors.trim().is_empty() {
        let _ = writeln!(all, "  stderr ended with:");
        for line in cmd::tail(errors, SHOWN).lines() {
            let _ = writeln!(all, "  {line}");
        }
    }
    print!("{all}");
    tally.at(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kprobes_are_played_on_kernels_that_are_booted() {
        for name in KPROBES_ON {
            assert!(crate::kernel::SERIES.contains(&name));
            assert_eq!(name.parse().ok().and_then(kprobe_too), Some(KPROBE));
        }
        assert_eq!("6.1".parse().ok().and_then(kprobe_too), None);
    }
}
