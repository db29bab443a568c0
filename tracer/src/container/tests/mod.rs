//! Fake `/proc` trees and fake engines; nothing here reads the host's.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{
    host::{Found, Host, Namespace},
    resolve::{resolve, Survey},
    *,
};

mod engines;
mod follow;
mod names;

/// A folder of its own, gone when dropped; filled as a `/proc`.
struct Proc(PathBuf);

impl Proc {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "sigtrace-proc-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let root = env::temp_dir().join(name);
        fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    fn with(self, pids: &[u32], pidns: PidNs, comm: &str, cgroup: &str) -> Self {
        let dir = self.0.join(pids[0].to_string());
        fs::create_dir_all(dir.join("ns")).unwrap();
        // Started the earlier, the higher the pid, within a hundred.
        let start = 1_000 + 1_000 * (pids[0] / 100) - pids[0] % 100;
        let fields = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18";
        fs::write(
            dir.join("stat"),
            format!("{} (a) b) S {fields} {start} 0", pids[0]),
        )
        .unwrap();
        let ns_pids: Vec<_> = pids.iter().map(ToString::to_string).collect();
        fs::write(
            dir.join("status"),
            format!("Name:\tx\nNSpid:\t{}\n", ns_pids.join("\t")),
        )
        .unwrap();
        fs::write(dir.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(dir.join("cgroup"), cgroup).unwrap();
        symlink(format!("pid:[{pidns}]"), dir.join("ns/pid")).unwrap();
        self
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn id(first: &str) -> String {
    format!("{first:0<64}")
}

fn docker(id: &str) -> String {
    format!("0::/docker/{id}\n")
}

#[test]
fn every_way_to_write_an_id() {
    let id = id("1dcad40f27d5");
    for (path, engine) in [
        (format!("/system.slice/docker-{id}.scope"), Some("docker")),
        (format!("/docker/{id}"), Some("docker")),
        (
            format!("/docker/{id}/system.slice/x.service"),
            Some("docker"),
        ),
        (format!("/system.slice:docker:{id}"), Some("docker")),
        (format!("/user.slice/docker-{id}.scope"), Some("docker")),
        (
            format!("/machine.slice/libpod-{id}.scope/container"),
            Some("podman"),
        ),
        (format!("/libpod_parent/libpod-{id}"), Some("podman")),
        (format!("/libpod_parent/{id}"), Some("podman")),
        (
            format!("/user.slice/x.service/libpod-payload-{id}"),
            Some("podman"),
        ),
        (
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
            Some("containerd"),
        ),
        (
            format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{id}"),
            Some("containerd"),
        ),
        (format!("/kubepods.slice/crio-{id}.scope"), Some("cri-o")),
        (format!("/kubepods/burstable/pod1/crio-{id}"), Some("cri-o")),
        (format!("/kubepods/burstable/pod1234/{id}"), None),
        (format!("/default/{id}"), None),
        (format!("/x.slice/other-engine-{id}.scope"), None),
        (
            format!("/docker/{}/docker/{id}/init", super::tests::id("ff")),
            Some("docker"),
        ),
    ] {
        let named = container_of(&format!("0::{path}\n")).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(
            (named.id.as_str(), named.engine),
            (id.as_str(), engine),
            "{path}"
        );
    }
    for path in [
        "/".to_owned(),
        "/user.slice/session-1.scope".into(),
        "/docker/1dcad40f27d5".into(),
        "/docker/buildx".into(),
        format!("/machine.slice/libpod-conmon-{id}.scope"),
        format!("/system.slice/crio-conmon-{id}.scope"),
        format!("/{id}é"),
    ] {
        assert_eq!(container_of(&format!("0::{path}\n")), None, "{path}");
    }
    assert_eq!(container_of("nonsense\n::\n0::\n"), None);
}

#[test]
fn version_one_and_mixed_hierarchies() {
    let id = id("ab12");
    for (text, hierarchy) in [
        (format!("3:cpu,cpuacct:/docker/{id}\n2:pids:/docker/{id}\n0::/system.slice/docker.service\n"), Hierarchy::Pids),
        (format!("1:name=systemd:/docker/{id}\n"), Hierarchy::Other),
        (format!("1:name=systemd:/\n0::/docker/{id}\n"), Hierarchy::Unified),
    ] {
        let named = container_of(&text).unwrap();
        assert_eq!(named.cgroup.to_str().unwrap(), format!("/docker/{id}"));
        assert_eq!(named.hierarchy, hierarchy, "{text}");
    }
}

#[test]
fn the_hosts_containers_and_whose_namespace_they_have() {
    let (one, two, three, four) = (id("1dca"), id("1dcb"), id("2b"), id("3c"));
    let proc = Proc::new()
        .with(&[1], 10, "systemd", "0::/init.scope\n")
        .with(&[50, 1, 1], 30, "inner", &docker(&one))
        .with(&[60, 9], 20, "worker", &docker(&one))
        .with(&[70, 1], 20, "c-init", "0::/\n")
        .with(&[80, 1], 40, "web", &docker(&two))
        .with(&[90, 7], 40, "debugger", &docker(&three))
        .with(&[94, 1], 50, "made", &docker(&four))
        .with(&[95], 10, "agent", &docker(&four))
        // On its way in, by `docker exec`.
        .with(&[130], 10, "runc", &docker(&two));
    let host = Host::scan(&proc.0, &[70, 80, 95, 4242]);
    let namespace = |id: &str| host.containers[id].namespace.clone();
    assert_eq!(namespace(&one), Namespace::Own(20));
    assert_eq!(namespace(&two), Namespace::Own(40));
    assert_eq!(namespace(&three), Namespace::Of(two.clone(), 40));
    assert_eq!(namespace(&four), Namespace::Host);
    assert_eq!(
        host.containers[&two],
        Found {
            name: None,
            engine: Some("docker"),
            cgroup: format!("/docker/{two}").into(),
            hierarchy: Hierarchy::Unified,
            oldest: 80,
            namespace: Namespace::Own(40),
        }
    );
    assert_eq!(host.containers[&one].oldest, 60);
    let process = |pid| host.processes.get(&pid).map(|p| (p.nested, p.first));
    assert_eq!(process(70), Some((Some(20), true)));
    assert_eq!(process(95), Some((None, false)));
    assert_eq!(process(4242), None);
    assert_eq!(host.processes[&80].container, Some(two));
    assert_eq!(pid1_of(&proc.0, 20).as_deref(), Some("c-init"));
    assert_eq!(pid1_of(&proc.0, 99), None);
    assert_eq!(Host::scan(Path::new("/nonexistent"), &[1]), Host::default());
}

#[test]
fn podmans_monitors_tell_names() {
    let id = id("1dcad40f27d5");
    let scope = |id: &str| format!("0::/machine.slice/libpod-{id}.scope\n");
    let proc = Proc::new()
        .with(&[50], 10, "conmon", "0::/machine.slice/conmon.scope\n")
        .with(&[60, 1], 20, "app", &scope(&id))
        .with(&[70], 10, "conmon", "0::/init.scope\n")
        .with(&[80, 2], 20, "conmon", &scope(&id));
    let is = |pid: u32, program: &str, name: &str| {
        let folder = proc.0.join(pid.to_string());
        symlink(program, folder.join("exe")).unwrap();
        let words = format!("{program}\0--api-version\01\0-c\0{id}\0-n\0{name}\0--exit\0");
        fs::write(folder.join("cmdline"), words).unwrap();
    };
    is(50, "/usr/bin/conmon", "fwd_sig");
    // Anything may be called so: another program, one in a container.
    is(70, "/tmp/x", "other");
    is(80, "/usr/bin/conmon", "inside");
    let host = Host::scan(&proc.0, &[]);
    assert_eq!(host.containers[&id].name.as_deref(), Some("fwd_sig"));
    let survey = Survey {
        host,
        ..Survey::default()
    };
    let container = resolve(&survey, "fwd_sig").unwrap();
    assert_eq!((container.pidns, container.socket), (20, None));
}
