//! The picture of the README: PID 1 exits at SIGTERM, its child is killed with
//! the namespace. In JSON, and as people see it.

use std::env;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{own, shared, shell_kill, Outcome, Scenario, Scene, Set, Stage};
use crate::demo;
use crate::judge::phrases::Phrase;
use crate::judge::{From, Judge};
use crate::stage::host::Host;
use crate::stage::ns::Ns;
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        shared("picture", set, act, judge),
        own("picture-text", text),
    ]
}

fn set(_: &Host) -> Result<Set> {
    let mut scene = Scene::new(Ns::new(&["c-init-sig", "1"])?);
    let child = scene.ns.pid1.everybody("child", 1)?[0];
    scene.remember("child", child);
    Ok(Set::Ready(scene))
}

fn act(scene: &mut Scene, _: &Sigtrace) -> Result<()> {
    let sh = shell_kill("TERM", scene.pid1())?;
    scene.remember_outsider("sh", sh);
    scene.ns.pid1.wait().map(drop)
}

fn judge(scene: &Scene, judge: &mut Judge<'_>) {
    let (pid1, child, sh) = (scene.pid1(), scene.pid("child"), scene.pid("sh"));
    judge
        .signal(
            "SIGTERM to PID 1",
            Signal::SIGTERM as i32,
            From::Process(sh),
            pid1,
        )
        .fate("handled", None)
        .field("/sender/comm", "sh")
        .field("/sender/ancestry/0/comm", "sigtrace-play")
        .field("/handler/object", "sigtrace-play");
    judge
        .death("PID 1", pid1)
        .field("/event", "init_exit")
        .cause("exit", "exit", 0)
        .forced(false);
    let sender = format!("sh {sh}");
    judge
        .zapped("the child", child, pid1)
        .is("/task/ns_pids", &serde_json::json!([child, 2]))
        .chain(&[
            "SIGKILL by the kernel",
            "PID 1 exited with status 0",
            "SIGTERM handled by PID 1",
            &sender,
        ])
        .has("/contributing", "not-forwarded")
        .field("/stop/signal", "SIGTERM")
        .says(Phrase::NothingSentOn);
}

/// The reviewed text of the demo.
const SNAPSHOT: &str = include_str!("../../snapshots/picture.txt");

fn text(stage: &Stage<'_>) -> Result<Outcome> {
    let more = ["--color", "never", "--utc", "--hooks", &stage.host.hooks];
    let (status, lines) = demo::play(&stage.host.sigtrace, &more, None)?;
    let mut faults = Vec::new();
    if status != 0 {
        faults.push(format!("sigtrace ended with status {status}"));
    }
    let got = normal(&lines);
    if got != SNAPSHOT {
        // For whoever has read the new text and finds it right.
        if let Some(file) = env::var_os("SIGTRACE_PLAY_SAVE") {
            std::fs::write(&file, &got).context("saving the snapshot")?;
        }
        faults.push(format!(
            "the picture is not tests/snapshots/picture.txt; it is now:\n{got}"
        ));
    }
    Ok(Outcome::of(faults, &lines))
}

/// Wrapped lines put together again, and what differs from run to run replaced:
/// numbers of more than two digits (pids, inodes, times), who started the shell,
/// how many routine signals there were. Notes tell what this kernel lacks.
fn normal(lines: &[String]) -> String {
    let mut whole: Vec<String> = Vec::new();
    for line in lines {
        let line = line.trim_end_matches('\r');
        let text = line.trim_start();
        let begins = ["why ", "chain ", "fix ", "path ", "more:", "This process"];
        let continues = line.starts_with(' ') && !begins.iter().any(|b| text.starts_with(b));
        match whole.last_mut() {
            Some(last) if continues => {
                last.push(' ');
                last.push_str(text);
            }
            _ => whole.push(line.to_owned()),
        }
    }
    let mut normal = String::new();
    for mut line in whole {
        if line.starts_with("note:") {
            continue;
        }
        if let Some((chain, _)) = line.split_once(" ← sigtrace-play ") {
            line = format!("{chain} ← …");
        }
        if let Some((head, tail)) = line.split_once(" UTC;") {
            let head = head.split(" since ").next().unwrap_or(head);
            line = format!("{head} since N UTC;{tail}");
        }
        if let Some((head, _)) = line
            .rsplit_once(" · ")
            .filter(|(_, t)| t.contains("routine"))
        {
            line = format!("{head} · N routine signals not shown");
        }
        normal.push_str(&without_numbers(&line));
        normal.push('\n');
    }
    at_once(&normal)
}

/// A machine that is busy may take longer than the time after which a signal is
/// shown as it stands: then there are two lines for what is one elsewhere.
fn at_once(text: &str) -> String {
    const WAITS: &str = " pending so far [inferred]";
    let later = |line: &str| line.starts_with("N now SIGTERM ") && line.contains(" handled after ");
    let handled = text.lines().any(later);
    let lines = text.lines().filter(|line| !later(line));
    let settled = lines.map(|line| match line.strip_suffix(WAITS) {
        Some(begin) if handled && begin.starts_with("N SIGTERM ") => format!("{begin} handled\n"),
        _ => format!("{line}\n"),
    });
    settled.collect()
}

/// `02:38:07.412` and `16350` become `N`, with the spaces that align columns
/// behind them.
fn without_numbers(line: &str) -> String {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, ':' | '.');
    let mut words = Vec::new();
    for word in line.split(' ') {
        let number = word.trim_end_matches([',', ')', ';', '.']);
        let digits = number.chars().filter(char::is_ascii_digit).count();
        if digits > 2 && number.chars().all(is_number) {
            words.push(format!("N{}", &word[number.len()..]));
        } else {
            words.push(word.to_owned());
        }
    }
    words.retain(|word| !word.is_empty());
    words.join(" ")
}
