//! Who the runtime is, and what of it was seen.

use super::*;

#[test]
fn one_that_only_calls_itself_runc() {
    // Inside of the container.
    let (mut w, one, child) = container(TERM);
    let fake = Task {
        ppid: 900,
        ..member(102, 3, "runc")
    };
    w.send(&fake, &one, TERM).ancestry(SHIM).handled();
    w.pass(3_000 * MS);
    let id = w.send(&fake, &child, KILL).ancestry(SHIM).fatal();
    w.exit(&child, KILL);
    let told = w.run();
    assert_eq!(told.exit(&child).cause, "killed-by-process");
    assert!(matches!(
        &told.signal(id).sender,
        Sender::Process { runtime: None, .. }
    ));

    // Somebody's child, on the host.
    for parents in [
        &[(49, "bash"), (900, "containerd-shim")][..],
        &[(49, "bash")],
    ] {
        let (mut w, one, child) = container(TERM);
        let fake = Task {
            ppid: 49,
            ..host(950, "runc")
        };
        w.send(&fake, &one, TERM).ancestry(parents).dropped();
        w.pass(3_000 * MS);
        let id = w.send(&fake, &one, KILL).ancestry(parents).fatal();
        let told = ended(&mut w, &one, &child);
        assert_eq!(told.exit(&one).cause, "killed-by-process");
        assert!(matches!(
            &told.signal(id).sender,
            Sender::Process { runtime: None, .. }
        ));
        assert!(!chain(told.exit(&one)).contains("(container runtime)"));
    }

    // Its parent runs another file than its name says.
    let (mut w, one, child) = container(TERM);
    let parents = &[(901, "containerd-shim")];
    let fake = Task {
        ppid: 901,
        ..host(950, "runc")
    };
    w.push(Fact::Program {
        key: ProcessKey {
            pid: 901,
            start_ns: 1,
        },
        file: "/tmp/containerd-shim-not".into(),
    });
    w.push(Fact::Program {
        key: ProcessKey {
            pid: 901,
            start_ns: 1,
        },
        file: "/tmp/evil".into(),
    });
    w.send(&fake, &one, TERM).ancestry(parents).dropped();
    w.pass(3_000 * MS);
    w.send(&fake, &one, KILL).ancestry(parents).fatal();
    let told = ended(&mut w, &one, &child);
    assert_eq!(told.exit(&one).cause, "killed-by-process");
}

#[test]
fn a_lineage_known_by_names_alone_is_inferred() {
    // Podman's: its PID 1 is conmon's child, not its own.
    let play = |file: Option<&str>| {
        let (mut w, one, child) = container(TERM);
        let podman: &[(u32, &str)] = &[(800, "podman"), (49, "bash")];
        if let Some(file) = file {
            w.push(Fact::Program {
                key: ProcessKey {
                    pid: 800,
                    start_ns: 1,
                },
                file: file.into(),
            });
        }
        let crun = |pid| Task {
            ppid: 800,
            ..host(pid, "crun")
        };
        w.send(&crun(950), &one, TERM).ancestry(podman).dropped();
        w.pass(3_000 * MS);
        w.send(&crun(960), &one, KILL).ancestry(podman).fatal();
        ended(&mut w, &one, &child).exit(&one).clone()
    };
    let e = play(None);
    assert_eq!(e.cause, "stop-timeout");
    assert_eq!(e.explanation.certainty, Certainty::Inferred);
    assert!(
        e.explanation.missing[0].contains("only their names"),
        "{e:?}"
    );
    let e = play(Some("/usr/bin/podman"));
    is_timeout(&e, &["init-no-handler"]);
    assert!(chain(&e).ends_with("crun 950 (container runtime) ← podman 800 ← bash 49"));
    assert_eq!(play(Some("/tmp/evil")).cause, "killed-by-process");
}

#[test]
fn a_stop_signal_without_ancestry_is_of_the_same_parent() {
    // Podman's: nothing but its parent's pid connects it.
    let (mut w, one, child) = container(WINCH);
    let podman: &[(u32, &str)] = &[(800, "podman"), (49, "bash")];
    w.push(Fact::Program {
        key: ProcessKey {
            pid: 800,
            start_ns: 1,
        },
        file: "/usr/bin/podman".into(),
    });
    let crun = |pid| Task {
        ppid: 800,
        ..host(pid, "crun")
    };
    w.send(&crun(950), &one, WINCH).dropped();
    w.pass(3_000 * MS);
    w.send(&crun(960), &one, KILL).ancestry(podman).fatal();
    let told = ended(&mut w, &one, &child);
    let e = told.exit(&one);
    is_timeout(e, &["default-ignore"]);
    assert!(
        chain(e).ends_with("crun 950 (container runtime) ← podman 800 ← bash 49"),
        "{}",
        chain(e)
    );
    assert_eq!(e.stop.as_ref().unwrap().grace_ns, Some(3_000 * MS));
}

#[test]
fn two_commands_of_podman_are_two_requests() {
    let (mut w, one, child) = container(TERM);
    let crun = |pid, ppid| Task {
        ppid,
        ..host(pid, "crun")
    };
    w.send(&crun(950, 800), &one, TERM)
        .ancestry(&[(800, "podman")])
        .dropped();
    w.pass(3_000 * MS);
    w.send(&crun(960, 801), &one, KILL)
        .ancestry(&[(801, "podman")])
        .fatal();
    assert_eq!(
        ended(&mut w, &one, &child).exit(&one).cause,
        "killed-by-process"
    );
}

#[test]
fn dockerd_kills_itself_where_runc_cannot() {
    let (mut w, one, child) = container(TERM);
    term(&mut w, &one, TERM).dropped();
    w.pass(5_000 * MS);
    let dockerd = host(700, "dockerd");
    w.push(Fact::Program {
        key: dockerd.key,
        file: "/usr/bin/dockerd".into(),
    });
    w.send(&dockerd, &one, KILL)
        .ancestry(&[(1, "systemd")])
        .fatal();
    is_timeout(ended(&mut w, &one, &child).exit(&one), &["init-no-handler"]);
}
