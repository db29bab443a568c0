//! `--path`: the way through the kernel, with the function where each fate was
//! decided. In JSON, and as people see it.

use std::collections::BTreeSet;

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::signals::wait_until_dead;
use super::{play, takes_turns, Outcome, Scenario, Scene, Stage};
use crate::judge::{From, Seen, Way};
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::Sigtrace;

const TERM: i32 = Signal::SIGTERM as i32;
const KILL: i32 = Signal::SIGKILL as i32;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![takes_turns("path", json), takes_turns("path-text", text)]
}

fn json(stage: &Stage<'_>) -> Result<Outcome> {
    let deaf = Ns::new(&["c-init-nosig", "1"])?;
    let child = deaf.pid1.everybody("child", 1)?[0].host;
    let mut scene = Scene::kept()?;
    let inodes = [deaf.ino, scene.ns.ino];
    let [a, b] = inodes.map(|ino| ino.to_string());
    let flags = [
        "--pidns", &a, "--pidns", &b, "--once", "--path", "-o", "json",
    ];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    ns::kill(deaf.pid1.pid, Signal::SIGTERM)?;
    ns::kill(deaf.pid1.pid, Signal::SIGKILL)?;
    deaf.pid1.wait()?;
    let faults = scene.spawn("faults", "")?.host;
    wait_until_dead(faults)?;
    let forbidden = scene.spawn("forbidden", "")?.host;
    wait_until_dead(forbidden)?;
    let types = scene.spawn("types", "")?.host;
    let typed = scene.ns.pid1.meet("typed")?.host;
    wait_until_dead(types)?;
    scene.clear()?;
    let ended = sigtrace.ended()?.well()?;
    let number = |signal: Signal| signal as i32;
    Ok(stage.judged(&ended, &inodes, |seen, judge| {
        println!("path: no words for {:?}", unexplained(seen));
        let (pid1, sender) = (deaf.pid1.pid, From::Process(play()));
        judge
            .signal("SIGTERM to PID 1", TERM, sender, pid1)
            .fate("dropped", Some("init-no-handler"))
            .way(Way {
                stack: &["kill_something_info"],
                beyond: &["prepare_signal", "sig_ignored", "sig_task_ignored"],
                because: "SIGNAL_UNKILLABLE",
                proof: &[],
            });
        let at_once = Way {
            stack: &[],
            beyond: &["complete_signal"],
            because: "SIGNAL_GROUP_EXIT",
            proof: &[],
        };
        judge
            .signal("SIGKILL to PID 1", KILL, sender, pid1)
            .fate("fatal", None)
            .way(at_once);
        judge.zapped("the child", child, pid1).way(Way {
            stack: &["do_exit", "zap_pid_ns_processes"],
            proof: &["zap_pid_ns_processes"],
            ..at_once
        });
        let later = Way {
            beyond: &["get_signal"],
            because: "no handler",
            ..at_once
        };
        let by = From::KernelFor(faults);
        judge
            .signal("the fault", number(Signal::SIGSEGV), by, faults)
            .fate("fatal", None)
            .way(Way {
                stack: &["exc_page_fault", "force_sig_info_to_task"],
                ..later
            });
        let by = From::Nobody("terminal");
        judge
            .signal("the key", number(Signal::SIGINT), by, typed)
            .fate("fatal", None)
            .way(Way {
                stack: &["__kill_pgrp_info"],
                proof: &["isig", "__isig"],
                ..at_once
            });
        let seccomp = judge.death("the forbidden", forbidden);
        let seccomp = seccomp.field("/cause", "seccomp");
        if stage.host.series_is_at_least(5, 11) {
            seccomp.way(Way {
                proof: &["force_sig_seccomp"],
                stack: &["force_sig_seccomp"],
                ..later
            });
        } else {
            // There is no signal, and so no tracepoint to be beyond.
            seccomp.way(Way {
                stack: &["__seccomp_filter", "do_exit"],
                beyond: &[],
                because: "",
                proof: &["__seccomp_filter"],
            });
        }
    }))
}

/// Functions on the way of anything that sigtrace has no words for: whoever reads
/// this may find some.
fn unexplained(seen: &Seen) -> BTreeSet<String> {
    let steps = seen
        .events
        .iter()
        .filter_map(|event| event.now["path"].as_array());
    let without = |step: &&Value| step["decides"].is_null();
    let names = steps.flatten().filter(without);
    names.map(|step| step["function"].to_string()).collect()
}

fn text(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-nosig"])?;
    let flags = ["--pidns", &ns.ino.to_string(), "--once", "--path"];
    let sigtrace = Sigtrace::attached(stage.host, &flags)?;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    ns::kill(ns.pid1.pid, Signal::SIGKILL)?;
    ns.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    let mut faults = Vec::new();
    for words in [
        " | path: __x64_sys_kill (the system call kill(2)) → kill_something_info (",
        " → +prepare_signal (",
        " → +sig_task_ignored (",
        " = dropped here: the target is a PID 1 (SIGNAL_UNKILLABLE)",
        " → +complete_signal (",
        " = fatal here: no handler",
    ] {
        if !ended.lines.iter().any(|line| line.contains(words)) {
            faults.push(format!("no line has \"{words}\""));
        }
    }
    Ok(Outcome::of(faults, &ended.lines))
}
