//! Text that others wrote: a process whose name is made to break terminals.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::signals::wait_until_dead;
use super::{takes_turns, Outcome, Scenario, Scene, Stage};
use crate::stage::ns;
use crate::stage::sigtrace::Sigtrace;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![takes_turns("hostile-name", hostile_name)]
}

fn hostile_name(stage: &Stage<'_>) -> Result<Outcome> {
    let mut scene = Scene::kept()?;
    let ino = scene.ns.ino.to_string();
    // One at a time reads the terminal's form, the other the JSON.
    let text = Sigtrace::start(stage.host, &["--pidns", &ino])?;
    let json = Sigtrace::start(stage.host, &["--pidns", &ino, "-o", "json"])?;
    text.wait_attached()?;
    json.wait_attached()?;
    let pid = scene.spawn("nasty", "")?.host;
    ns::kill(pid, Signal::SIGTERM)?;
    wait_until_dead(pid)?;
    json.wait_for(&[r#""event":"exit""#, &format!(r#""pid":{pid},"#)])?;
    let text = text.interrupt()?.well()?;
    let json = json.interrupt()?.well()?;

    let mut faults = Vec::new();
    let shown: Vec<u8> = text.bytes.join(&b'\n');
    match std::str::from_utf8(&shown) {
        Err(error) => faults.push(format!("the text is not UTF-8: {error}")),
        Ok(shown) => {
            for c in shown.chars() {
                if (c.is_control() && c != '\n') || c == '\u{202e}' {
                    faults.push(format!("the text has the character {c:?}"));
                }
            }
            if !shown.contains(&pid.to_string()) {
                faults.push("the process is not in the text at all".to_owned());
            }
        }
    }
    let raw = json.bytes.join(&b'\n');
    if raw.iter().any(|&b| b < b' ' && b != b'\n') || raw.contains(&0x7f) {
        faults.push("the JSON has control bytes".to_owned());
    }
    match stage.judged(&json, &[scene.ns.ino], |_, judge| {
        judge
            .death("the target", pid)
            .cause("killed-by-process", "kill-syscall", 143);
    }) {
        Outcome::Failed(more, _) => faults.extend(more),
        Outcome::Passed | Outcome::Skipped(_) => {}
    }
    Ok(Outcome::of(faults, &[text.lines, json.lines].concat()))
}
