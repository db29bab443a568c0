//! Senders from elsewhere: containers, pods, units and sessions, in chains, in
//! sentences and in the sender itself; and chains that are longer than what is recorded.

use super::world::*;
use crate::event::{OriginKind, Task};
use crate::explain::report::{ExitReport, Sender};
use crate::explain::signals::*;

const SHIM: &[(u32, &str)] = &[(40, "sh"), (39, "containerd-shim"), (1, "systemd")];
const LOGIN: &[(u32, &str)] = &[(49, "sudo"), (48, "bash"), (47, "sshd"), (1, "systemd")];
const CRON: &[(u32, &str)] = &[(49, "sh"), (48, "cron"), (1, "systemd")];
const SESSION: &str = "user.slice/user-1000.slice/session-3.scope";
const POD: &str = "kubepods.slice/kubepods-pod6d1f5d53_8c0b_4a3e_9f6a_0b1c2d3e4f50.slice";

fn docker(two: &str) -> String {
    format!("system.slice/docker-{}.scope", two.repeat(32))
}

/// `by` kills a process; what is said of its death, and the report of the signal.
fn killed(by: &Task, ancestry: &[(u32, &str)], from: &str, to: &str) -> (ExitReport, Sender) {
    let app = member(101, 2, "app");
    let mut w = World::new();
    let id = w
        .send(by, &app, KILL)
        .ancestry(ancestry)
        .between(from, to)
        .fatal();
    w.exit(&app, KILL);
    let told = w.run();
    (told.exit(&app).clone(), told.signal(id).sender.clone())
}

fn is(from: &str, to: &str, ancestry: &[(u32, &str)], chained: &str, said: &str) {
    let (e, _) = killed(&host(50, "kill"), ancestry, from, to);
    assert_eq!(chain(&e), chained, "{from} to {to}");
    let words = e.explanation.sentences.concat();
    assert!(words.starts_with(said), "{words}");
}

#[test]
fn a_sidecar_kills_its_neighbour() {
    is(
        &docker("ab"),
        &docker("cd"),
        SHIM,
        "SIGKILL into container cdcdcdcdcdcd ← kill 50 (in container abababababab) ← sh 40 ← \
         containerd-shim 39",
        "kill 50 (in container abababababab) killed it with SIGKILL",
    );
    let in_pod = |two: &str| format!("{POD}/cri-containerd-{}.scope", two.repeat(32));
    let pod = "of pod 6d1f5d53-8c0b-4a3e-9f6a-0b1c2d3e4f50";
    is(
        &in_pod("ab"),
        &in_pod("cd"),
        SHIM,
        &format!(
            "SIGKILL into container cdcdcdcdcdcd {pod} ← kill 50 (in container abababababab \
             {pod}) ← sh 40 ← containerd-shim 39"
        ),
        "kill 50 (in container abababababab of pod",
    );
}

#[test]
fn somebody_of_the_host() {
    let web = &docker("cd");
    is(
        SESSION,
        web,
        LOGIN,
        "SIGKILL ← kill 50 (in session 3 of user 1000) ← sudo 49 ← bash 48 ← sshd 47",
        "kill 50 (in session 3 of user 1000) killed it",
    );
    is(
        "system.slice/cron.service",
        web,
        CRON,
        "SIGKILL ← kill 50 (of unit cron.service) ← sh 49 ← cron 48",
        "kill 50 (of unit cron.service) killed it",
    );
    is(
        r"system.slice/a\x2db\x1b.service",
        web,
        &[],
        r"SIGKILL ← kill 50 (of unit a-b\u{1b}.service)",
        "",
    );
    is(
        "user.slice/user-7.slice/user@7.service/app.slice/x.service",
        web,
        &[],
        "SIGKILL ← kill 50 (of unit x.service of user 7)",
        "",
    );
    is(
        "a/b",
        web,
        CRON,
        "SIGKILL ← kill 50 ← sh 49 ← cron 48",
        "kill 50 killed it",
    );
}

#[test]
fn systemd_itself() {
    let (e, sender) = killed(
        &host(1, "systemd"),
        &[],
        "init.scope",
        "system.slice/web.service",
    );
    assert_eq!(chain(&e), "SIGKILL into unit web.service ← systemd 1");
    let Sender::Process { origin, .. } = sender else {
        panic!("{sender:?}");
    };
    assert_eq!(origin.unwrap().unit.as_deref(), Some("init.scope"));
}

#[test]
fn in_the_same_place_nothing_is_said_of_it() {
    for place in [SESSION, &docker("ab"), "system.slice/web.service"] {
        let (e, sender) = killed(&host(50, "kill"), CRON, place, place);
        assert_eq!(chain(&e), "SIGKILL ← kill 50 ← sh 49 ← cron 48");
        let Sender::Process {
            origin, elsewhere, ..
        } = sender
        else {
            panic!("{sender:?}");
        };
        // It is known all the same.
        assert!(origin.is_some() && !elsewhere, "{place}");
    }
}

#[test]
fn a_runtime_has_a_role_and_a_unit() {
    let (one, app) = (member(100, 1, "app"), host(700, "crio"));
    let mut w = World::new();
    w.fork(&app, &one);
    w.send(&host(950, "crun"), &one, KILL)
        .ancestry(&[(700, "crio"), (1, "systemd")])
        .between(
            "system.slice/crio.service",
            &format!("{POD}/crio-{}.scope", "ab".repeat(32)),
        )
        .fatal();
    w.exit(&one, KILL);
    let e = w.run().exit(&one).clone();
    assert_eq!(
        chain(&e),
        "SIGKILL ← crun 950 (container runtime, of unit crio.service) ← crio 700"
    );
}

#[test]
fn a_request_from_another_container_names_both() {
    let (mut w, one, child) = (World::new(), member(100, 1, "init"), member(101, 2, "app"));
    w.fork(&host(39, "containerd-shim"), &one);
    w.fork(&one, &child);
    w.send(&host(50, "kill"), &one, TERM)
        .ancestry(SHIM)
        .between(&docker("ab"), &docker("cd"))
        .handled();
    w.exit(&one, 0);
    w.zapped(&one, &child);
    w.reaped(&one);
    let told = w.run();
    assert_eq!(
        chain(told.exit(&child)),
        "SIGKILL by the kernel ← PID 1 exited with status 0 ← SIGTERM into container cdcdcdcdcdcd \
         handled by PID 1 ← kill 50 (in container abababababab) ← sh 40 ← containerd-shim 39"
    );
}

#[test]
fn who_merely_ran_is_no_sender_from_elsewhere() {
    let app = member(101, 2, "app");
    let mut w = World::new();
    let id = w
        .send(&host(50, "nginx"), &app, ALRM)
        .by_kernel()
        .stack(&["it_real_fn", "__hrtimer_run_queues"])
        .between(&docker("ab"), &docker("cd"))
        .fatal();
    w.exit(&app, ALRM);
    let told = w.run();
    assert_eq!(told.signal(id).sender, Sender::Timer);
    let end = told.exit(&app);
    let words = format!("{} {}", chain(end), end.explanation.sentences.concat());
    assert!(!words.contains("container"), "{words}");
}

#[test]
fn a_chain_that_is_cut_says_so() {
    let eight: Vec<(u32, &str)> = (0..8).map(|i| (49 - i, "sh")).collect();
    let app = member(101, 2, "app");
    for more in [false, true] {
        let mut w = World::new();
        w.send(&host(50, "kill"), &app, KILL)
            .ancestry(&eight)
            .set(|s| s.more_ancestors = more)
            .fatal();
        w.exit(&app, KILL);
        let chained = chain(w.run().exit(&app));
        let end = match more {
            false => "sh 42",
            true => "sh 42 ← … (cut here: more parents than are recorded)",
        };
        assert!(chained.ends_with(end), "{chained}");
    }
}

#[test]
fn kinds_are_in_order_of_what_they_tell() {
    use OriginKind::{Container, Pod, Session, Unit};
    assert!(Unit < Session && Session < Pod && Pod < Container);
}
