//! Fake `/proc` trees; nothing here reads the host's.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::PathBuf,
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// A `/proc` of its own, gone when dropped.
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

#[test]
fn every_way_to_write_an_id() {
    let id = id("1dcad40f27d5");
    for (path, engine) in [
        (format!("/system.slice/docker-{id}.scope"), Some("docker")),
        (format!("/docker/{id}"), Some("docker")),
        (
            format!("/machine.slice/libpod-{id}.scope/container"),
            Some("podman"),
        ),
        (format!("/libpod_parent/libpod-{id}"), Some("podman")),
        (
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
            Some("containerd"),
        ),
        (format!("/kubepods.slice/crio-{id}.scope"), Some("cri-o")),
        (format!("/kubepods/burstable/pod1234/{id}"), None),
        (format!("/x.slice/other-engine-{id}.scope"), None),
        (
            format!("/docker/{}/docker/{id}/init", super::tests::id("ff")),
            Some("docker"),
        ),
    ] {
        let named = container_of(&format!("0::{path}\n")).unwrap();
        assert_eq!(
            (named.id.as_str(), named.engine),
            (id.as_str(), engine),
            "{path}"
        );
    }
    for path in [
        "/",
        "/user.slice/session-1.scope",
        "/docker/1dcad40f27d5",
        "/docker/buildx",
    ] {
        assert_eq!(container_of(&format!("0::{path}\n")), None, "{path}");
    }
}

#[test]
fn version_one_and_mixed_hierarchies() {
    let id = id("ab12");
    let text = format!(
        "12:pids:/docker/{id}\n1:name=systemd:/docker/{id}\n0::/system.slice/docker.service\n"
    );
    let named = container_of(&text).unwrap();
    assert_eq!(named.cgroup.to_str().unwrap(), format!("/docker/{id}"));
}

#[test]
fn a_prefix_finds_the_outermost_namespace_of_the_container() {
    let (one, two) = (id("1dca"), id("1dcb"));
    let cgroup = |id: &str| format!("0::/docker/{id}\n");
    let proc = Proc::new()
        .with(&[1], 10, "systemd", "0::/init.scope\n")
        .with(&[50, 1, 1], 30, "inner", &cgroup(&one))
        .with(&[60, 9], 20, "worker", &cgroup(&one))
        .with(&[70, 1], 20, "c-init", "0::/\n")
        .with(&[80, 1], 40, "web", &cgroup(&two));
    let found = find(&proc.0, "1DCA").unwrap();
    assert_eq!(
        found,
        Container {
            id: one.clone(),
            engine: Some("docker"),
            pidns: 20
        }
    );
    assert_eq!(find(&proc.0, &one).unwrap().pidns, 20);
    assert_eq!(pid1_of(&proc.0, 20).as_deref(), Some("c-init"));
    assert_eq!(pid1_of(&proc.0, 99), None);
    assert_eq!(
        find(&proc.0, "1dcc"),
        Err(NotFound::NoSuchId("1dcc".into()))
    );
    assert!(matches!(find(&proc.0, "1dc"), Err(NotFound::NotAnId(_))));
    assert!(matches!(
        find(&proc.0, "fwd_sig"),
        Err(NotFound::NotAnId(_))
    ));
}

#[test]
fn several_are_listed() {
    let (one, two) = (id("1dcad"), id("1dcae"));
    let proc = Proc::new()
        .with(&[60, 1], 20, "a", &format!("0::/docker/{one}\n"))
        .with(&[70, 1], 30, "b", &format!("0::/docker/{two}\n"));
    let error = find(&proc.0, "1dca").unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&one) && text.contains(&two), "{text}");
}

#[test]
fn a_container_in_the_hosts_namespace_says_so() {
    let one = id("beef");
    let proc = Proc::new().with(&[60], 10, "a", &format!("0::/docker/{one}\n"));
    let text = find(&proc.0, "beef").unwrap_err().to_string();
    assert!(
        text.contains(&format!("--cgroup /sys/fs/cgroup/docker/{one}")),
        "{text}"
    );
}
