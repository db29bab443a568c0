//! What the folders of a cgroup's path say of who is in it: the container (by
//! [`super::cgroup`]), the pod around it, the unit of systemd or the login session.
//! Pure. A name is anyone's to choose who may make cgroups; what it says is shown, and
//! nothing is decided by it.

use super::cgroup::{in_path, Hierarchy};
use crate::event::{Origin, OriginContainer};

/// Units whose processes systemd puts into a cgroup of that name.
const UNITS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

/// What a cgroup tells, by the names of its folders, its own first; `None`: nothing.
pub fn origin_of(names: &[String]) -> Option<Origin> {
    let parts: Vec<&str> = names.iter().rev().map(String::as_str).collect();
    let path = format!("/{}", parts.join("/"));
    let container = in_path(&path, Hierarchy::Unified);
    // What is below the container is its own systemd's, what is above is the host's.
    let depth = (container.as_ref()).map(|named| named.cgroup.components().count() - 1);
    let (around, inside) = parts.split_at(depth.unwrap_or(0));
    let outside = if container.is_some() { around } else { inside };
    let mut origin = Origin {
        pod: pod(outside),
        container: container.map(|named| OriginContainer {
            id: named.id,
            name: None,
            engine: named.engine,
        }),
        ..Origin::default()
    };
    unit(inside, &mut origin);
    origin.kind().is_some().then_some(origin)
}

/// The innermost unit, and whose it is.
fn unit(parts: &[&str], origin: &mut Origin) {
    let is_unit = |name: &str| UNITS.iter().any(|suffix| has_suffix(name, suffix));
    let Some(at) = parts.iter().rposition(|part| is_unit(unescaped(part))) else {
        return;
    };
    let name = unescaped(parts[at]);
    let owner = parts[..=at].iter().rev().find_map(|part| {
        let of_user = part.strip_prefix("user@").map(|rest| (rest, ".service"));
        let slice = || part.strip_prefix("user-").map(|rest| (rest, ".slice"));
        let (rest, suffix) = of_user.or_else(slice)?;
        number(rest.strip_suffix(suffix)?)
    });
    // A session is a scope of the user's slice, and of no other (`pam_systemd`).
    let session = name
        .strip_prefix("session-")
        .and_then(|rest| rest.strip_suffix(".scope"))
        .filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .filter(|_| at > 0 && parts[at - 1].starts_with("user-"));
    origin.session = session.map(str::to_owned).filter(|_| owner.is_some());
    origin.unit = Some(name.to_owned());
    origin.uid = owner;
}

fn has_suffix(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix)
        .is_some_and(|stem| !stem.is_empty())
}

/// Without the underscore that keeps a name apart from files of the kernel
/// (`cg_escape`).
fn unescaped(name: &str) -> &str {
    match name.strip_prefix('_') {
        Some(rest) if rest.contains('.') => rest,
        _ => name,
    }
}

fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// The pod's id, from the innermost folder that has one: of Kubernetes
/// `kubepods-burstable-podUID.slice` with systemd's driver, whose dashes are
/// underscores, `podUID` below `kubepods` without; of Podman
/// `machine-libpod_pod_ID.slice`.
fn pod(parts: &[&str]) -> Option<String> {
    (0..parts.len()).rev().find_map(|at| {
        // A runtime without systemd's driver, and a path for it.
        let name = parts[at].split(':').next().unwrap_or_default();
        let below = || parts[..at].iter().any(|part| part.contains("kubepods"));
        if let Some((before, id)) = name
            .strip_suffix(".slice")
            .and_then(|stem| stem.rsplit_once("-pod"))
        {
            let id = id.replace('_', "-");
            return (before.contains("kubepods") && is_pod_id(&id)).then_some(id);
        }
        if let Some(id) = name.strip_suffix(".slice").and_then(libpod_pod) {
            return Some(id.to_owned());
        }
        let id = name.strip_prefix("pod").filter(|_| below())?;
        is_pod_id(id).then(|| id.to_owned())
    })
}

/// A pod of Podman has an id like a container's.
fn libpod_pod(stem: &str) -> Option<&str> {
    let (_, id) = stem.rsplit_once("libpod_pod_")?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (id.len() == 64 && id.bytes().all(is_hex)).then_some(id)
}

/// A UUID; of a pod that a file on the node asks for, the sum of that file.
fn is_pod_id(text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    matches!(lengths[..], [32] | [8, 4, 4, 4, 12]) && groups.iter().all(|group| hex(group))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::OriginKind::{self, Container, Pod, Session, Unit};

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UUID: &str = "6d1f5d53-8c0b-4a3e-9f6a-0b1c2d3e4f50";

    fn of(path: &str) -> Option<Origin> {
        let path = path.replace("UUID", UUID).replace("ID", ID);
        let path = path.replace("UNDERSCORED", &UUID.replace('-', "_"));
        let names: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        origin_of(&names)
    }

    /// Kind, container's engine or `-`, pod, unit, session, user.
    fn told(path: &str) -> Option<(OriginKind, &'static str, String, Option<u32>)> {
        let origin = of(path)?;
        let rest = [&origin.pod, &origin.unit, &origin.session];
        let rest: Vec<&str> = rest.map(|one| one.as_deref().unwrap_or("-")).to_vec();
        let engine = origin.container.as_ref().map_or("-", |container| {
            assert_eq!(container.id, ID);
            container.engine.unwrap_or("?")
        });
        let kind = origin.kind().unwrap();
        Some((kind, engine, rest.join(" "), origin.uid))
    }

    fn is(path: &str, kind: OriginKind, engine: &str, rest: &str, uid: Option<u32>) {
        let (k, e, r, u) = told(path).unwrap_or_else(|| panic!("{path} says nothing"));
        assert_eq!((k, e, &*r, u), (kind, engine, rest, uid), "{path}");
    }

    #[test]
    fn units_and_sessions() {
        is(
            "system.slice/cron.service",
            Unit,
            "-",
            "- cron.service -",
            None,
        );
        is("init.scope", Unit, "-", "- init.scope -", None);
        let session = "- session-3.scope 3";
        let path = "user.slice/user-1000.slice/session-3.scope";
        is(path, Session, "-", session, Some(1000));
        is(
            &format!("{path}/own/below"),
            Session,
            "-",
            session,
            Some(1000),
        );
        let c7 = "user.slice/user-0.slice/session-c7.scope";
        is(c7, Session, "-", "- session-c7.scope c7", Some(0));
        let app = r"user.slice/user-1000.slice/user@1000.service/app.slice/app-a\x2db.scope";
        is(app, Unit, "-", r"- app-a\x2db.scope -", Some(1000));
        // One that could be a file of the kernel's.
        is(
            "system.slice/_cpu.service",
            Unit,
            "-",
            "- cpu.service -",
            None,
        );
        // Below a service that divides itself up.
        is(
            "system.slice/x.service/supervisor",
            Unit,
            "-",
            "- x.service -",
            None,
        );
        // No session of a user.
        let alone = "system.slice/session-3.scope";
        is(alone, Unit, "-", "- session-3.scope -", None);
        // A user's systemd itself, and a session that is none of logind's.
        let own = "user.slice/user-1000.slice/user@1000.service/init.scope";
        is(own, Unit, "-", "- init.scope -", Some(1000));
        let deeper = "user.slice/user-1000.slice/user@1000.service/session-3.scope";
        is(deeper, Unit, "-", "- session-3.scope -", Some(1000));
        let odd = "user.slice/user-1000.slice/session-3 4.scope";
        is(odd, Unit, "-", "- session-3 4.scope -", Some(1000));
        for nothing in [
            "",
            "user.slice",
            "system.slice",
            ".service",
            "a/b",
            "user.slice/user-0.slice",
        ] {
            assert_eq!(told(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn containers_and_pods() {
        is(
            "system.slice/docker-ID.scope",
            Container,
            "docker",
            "- - -",
            None,
        );
        is("docker/ID", Container, "docker", "- - -", None);
        let user = "user.slice/user-1000.slice/user@1000.service/user.slice";
        is(
            &format!("{user}/libpod-ID.scope/container"),
            Container,
            "podman",
            "- - -",
            None,
        );
        is(
            "machine.slice/libpod-ID.scope/container",
            Container,
            "podman",
            "- - -",
            None,
        );
        is(
            "libpod_parent/libpod-ID",
            Container,
            "podman",
            "- - -",
            None,
        );
        // systemd in a container.
        let inner = "system.slice/docker-ID.scope/system.slice/web.service";
        is(inner, Container, "docker", "- web.service -", None);
        for (path, engine) in [
            ("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDERSCORED.slice/cri-containerd-ID.scope", "containerd"),
            ("kubepods.slice/kubepods-podUNDERSCORED.slice/crio-ID.scope", "cri-o"),
            ("kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUNDERSCORED.slice/cri-containerd-ID.scope", "containerd"),
            ("kubepods/besteffort/podUUID/ID", "?"),
            ("system.slice/containerd.service/kubepods-burstable-podUNDERSCORED.slice:cri-containerd:ID", "containerd"),
        ] {
            is(path, Container, engine, &format!("{UUID} - -"), None);
        }
        // Beside the containers.
        let monitor = "kubepods.slice/kubepods-podUNDERSCORED.slice/crio-conmon-ID.scope";
        let rest = format!("{UUID} crio-conmon-{ID}.scope -");
        is(monitor, Pod, "-", &rest, None);
        is("kubepods/podUUID", Pod, "-", &format!("{UUID} - -"), None);
        let of_podman = "machine.slice/machine-libpod_pod_ID.slice/libpod-ID.scope";
        is(of_podman, Container, "podman", &format!("{ID} - -"), None);
        // A container in a container: the inner one.
        let other = "fe".repeat(32);
        let inner = format!("system.slice/docker-{other}.scope/docker/ID");
        is(&inner, Container, "docker", "- - -", None);
        // What only looks like one.
        for nothing in [
            "podUUID",
            "kubepods/pod1",
            "kubepods/podzz",
            "x-podUNDERSCORED.slice",
        ] {
            assert_eq!(told(nothing), None, "{nothing}");
        }
    }
}
