//! Runs the test program `sigtrace-play`: natively where this machine allows,
//! and in one boot per kernel and hook level, several at a time. What it prints
//! is read by `play`; how a boot works is `vm`'s business.

use std::env;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::play::Report;
use super::tally::Tally;
use crate::kernel::Series;
use crate::places::Places;
use crate::vm::run::{Ending, Sink};
use crate::vm::{Guest, Options};
use crate::{cmd, guest_tools, ui};

/// Hook levels: what this kernel does best, and the least that must work everywhere.
const LEVELS: [&str; 2] = ["auto", "raw"];

/// Between those: kprobes, which are what functions are hooked by where fentry is
/// refused. An old kernel and a new one tell as much as all would.
const KPROBE: &str = "kprobe";
const KPROBES_ON: [&str; 2] = ["5.10", "6.12"];

/// One boot plays all scenarios in a few minutes under emulation.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Lines of stderr that are shown beside failures.
const SHOWN: usize = 40;

/// Guests at a time: each has two processors of its own, which it uses half of.
const AT_ONCE: usize = 2;

/// Collects a stream that another thread writes.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<u8>>>);

impl Collected {
    fn sink(&self) -> Sink {
        Box::new(self.clone())
    }

    fn text(&self) -> String {
        let bytes = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
}

/// Plays on each kernel with each hook level.
pub(crate) fn in_guests(places: &Places, series: &[Series]) -> Result<Boots> {
    let mut boots = Boots::default();
    let mut jobs = Vec::new();
    for &wanted in series {
        match Guest::prepare(places, wanted) {
            Ok(guest) => {
                boots.kernels += 1;
                let guest = Arc::new(guest);
                let levels = LEVELS.into_iter().chain(kprobe_too(wanted));
                jobs.extend(levels.map(|level| (wanted, level, Arc::clone(&guest))));
            }
            Err(error) => {
                println!("kernel {wanted}: skipped, it cannot be had: {error:#}");
                boots.tally.add(&Tally::one_skipped());
            }
        }
    }
    ui::say(&format!(
        "playing all scenarios in {} boots, {AT_ONCE} at a time: each kernel with hooks {}, {} with {KPROBE}",
        jobs.len(),
        LEVELS.join(" and "),
        KPROBES_ON.join(" and ")
    ));
    let jobs = Mutex::new(jobs.into_iter());
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| loop {
                let next = jobs.lock().map(|mut jobs| jobs.next()).unwrap_or_default();
                let Some((wanted, level, guest)) = next else {
                    break;
                };
                let tally = one(&guest, wanted, level);
                if let Ok(mut results) = results.lock() {
                    results.push(tally);
                }
            });
        }
    });
    for tally in results.into_inner().unwrap_or_default() {
        boots.tally.add(&tally?);
    }
    Ok(boots)
}

fn kprobe_too(series: Series) -> Option<&'static str> {
    let name = series.to_string();
    KPROBES_ON.contains(&name.as_str()).then_some(KPROBE)
}

fn one(guest: &Guest, wanted: Series, level: &str) -> Result<Tally> {
    let begin = Instant::now();
    let series = guest.kernel.series(wanted);
    let command = [
        "sigtrace-play",
        "run",
        "--hooks",
        level,
        "--kernel",
        &series,
    ]
    .map(str::to_owned);
    let options = Options {
        timeout: LIMIT,
        ..Options::default()
    };
    let (out, err) = (Collected::default(), Collected::default());
    let boot = guest.run(&command, &options, out.sink(), err.sink())?;
    let mut report = Report::read(&out.text());
    if let Ending::Lost(why) = boot.ending {
        // `Report` has counted the missing END; here is why.
        for line in why.lines() {
            let _ = writeln!(report.text, "    {line}");
        }
    }
    let stands_in = if guest.kernel.stands_in {
        format!(" for {wanted}")
    } else {
        String::new()
    };
    let title = format!(
        "kernel {}{stands_in}, hooks {level}, {}",
        guest.kernel.release,
        guest.accelerator.name()
    );
    Ok(tell(&title, report, &err.text(), begin))
}

/// Prints a run's line, with what went wrong below it. One call of `print`, so
/// that two runs that end at once do not mix.
fn tell(title: &str, report: Report, errors: &str, begin: Instant) -> Tally {
    let Report { tally, text } = report;
    let mut all = format!("{title}: {tally} ({})\n{text}", ui::took(begin.elapsed()));
    if tally.failed > 0 && !errors.trim().is_empty() {
        let _ = writeln!(all, "  stderr ended with:");
        for line in cmd::tail(errors, SHOWN).lines() {
            let _ = writeln!(all, "  {line}");
        }
    }
    print!("{all}");
    tally
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
