//! The programs of container engines, recognized by what the kernel says of a
//! process: its name (15 bytes of it) and its ancestors' names. A name is
//! anyone's to choose, so [`Recognized::fits`] says whether the ancestry bears
//! it out. Pure; `output` may use it for chains, nothing here decides a cause.

/// What a program does in an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes the orders: dockerd, containerd, podman.
    Engine,
    /// Stays with one container, and outlives the engine: containerd-shim,
    /// conmon.
    Monitor,
    /// Makes, kills and enters containers, and lives for milliseconds: runc.
    Runtime,
    /// Decides for a node which pods live: kubelet.
    Orchestrator,
    /// A command that people and scripts type: docker, crictl.
    Client,
    /// PID 1 for others' programs, inside the container: tini.
    Init,
}

impl Role {
    /// What text calls it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Engine => "container engine",
            Self::Monitor => "container monitor",
            Self::Runtime => "container runtime",
            Self::Orchestrator => "orchestrator",
            Self::Client => "container client",
            Self::Init => "container init",
        }
    }
}

/// A process of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recognized {
    /// The program, its name in full.
    pub program: &'static str,
    /// What it does.
    pub role: Role,
    /// The ancestors are as they would be: a runtime was started by an engine
    /// or a monitor, an orchestrator or engine was not started by a runtime.
    pub fits: bool,
}

/// Names as the kernel has them, the program, and its role.
const PROGRAMS: [(&str, &str, Role); 29] = [
    ("dockerd", "dockerd", Role::Engine),
    ("containerd", "containerd", Role::Engine),
    ("podman", "podman", Role::Engine),
    ("crio", "cri-o", Role::Engine),
    ("buildkitd", "buildkitd", Role::Engine),
    ("buildah", "buildah", Role::Engine),
    ("containerd-shim", "containerd-shim", Role::Monitor),
    ("conmon", "conmon", Role::Monitor),
    ("conmonrs", "conmon-rs", Role::Monitor),
    ("runc", "runc", Role::Runtime),
    ("docker-runc", "runc", Role::Runtime),
    ("crun", "crun", Role::Runtime),
    ("youki", "youki", Role::Runtime),
    ("runsc", "runsc", Role::Runtime),
    ("kata-runtime", "kata-runtime", Role::Runtime),
    ("kubelet", "kubelet", Role::Orchestrator),
    ("k3s-server", "k3s", Role::Orchestrator),
    ("nomad", "nomad", Role::Orchestrator),
    ("docker", "docker", Role::Client),
    ("nerdctl", "nerdctl", Role::Client),
    ("crictl", "crictl", Role::Client),
    ("ctr", "ctr", Role::Client),
    ("kubectl", "kubectl", Role::Client),
    ("docker-init", "docker-init", Role::Init),
    ("tini", "tini", Role::Init),
    ("tini-static", "tini", Role::Init),
    ("dumb-init", "dumb-init", Role::Init),
    ("catatonit", "catatonit", Role::Init),
    ("pause", "pause", Role::Init),
];

fn program(comm: &str) -> Option<(&'static str, Role)> {
    // runc and youki call their stages `runc:[2:INIT]`, `youki:[1:INTER]`.
    let name = match comm.split_once(":[") {
        Some((name, stage)) if stage.ends_with(']') => name,
        _ => comm,
    };
    let found = PROGRAMS.iter().find(|(known, ..)| *known == name);
    found.map(|&(_, program, role)| (program, role))
}

/// Which program of an engine a process is, by its name and its ancestors'
/// names, the parent first.
pub fn recognize(comm: &str, ancestors: &[&str]) -> Option<Recognized> {
    let (program, role) = self::program(comm)?;
    let roles = ancestors
        .iter()
        .filter_map(|comm| self::program(comm).map(|(_, role)| role));
    let above = |wanted: &[Role]| roles.clone().any(|role| wanted.contains(&role));
    let fits = match role {
        Role::Runtime => above(&[Role::Engine, Role::Monitor, Role::Orchestrator]),
        Role::Init => above(&[Role::Engine, Role::Monitor]),
        // In a container it would be somebody's own engine, or a lie. A podman
        // below a monitor is its clean-up.
        Role::Engine if program == "podman" => true,
        Role::Engine | Role::Orchestrator | Role::Monitor => !above(&[Role::Monitor]),
        Role::Client => true,
    };
    Some(Recognized {
        program,
        role,
        fits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(comm: &str, ancestors: &[&str]) -> (&'static str, Role, bool) {
        let found = recognize(comm, ancestors).unwrap_or_else(|| panic!("{comm}"));
        (found.program, found.role, found.fits)
    }

    #[test]
    fn the_chain_of_a_stop() {
        let shim = ["containerd-shim", "systemd"];
        assert_eq!(is("runc", &shim), ("runc", Role::Runtime, true));
        assert_eq!(is("runc:[2:INIT]", &shim), ("runc", Role::Runtime, true));
        let name = ("containerd-shim", Role::Monitor, true);
        assert_eq!(is("containerd-shim", &["systemd"]), name);
        assert_eq!(is("dockerd", &["systemd"]), ("dockerd", Role::Engine, true));
        assert!(is("crun", &["conmon", "systemd"]).2);
        assert!(is("crun", &["podman", "bash", "sshd"]).2);
        assert_eq!(is("podman", &["conmon"]), ("podman", Role::Engine, true));
        assert_eq!(is("kubelet", &["systemd"]).1, Role::Orchestrator);
        assert_eq!(is("docker-init", &shim), ("docker-init", Role::Init, true));
        assert_eq!(is("tini-static", &["conmon"]).0, "tini");
    }

    #[test]
    fn a_name_alone_proves_nothing() {
        assert!(!is("runc", &["bash", "sshd"]).2);
        assert!(!is("runc", &[]).2);
        assert!(!is("dockerd", &["sh", "containerd-shim", "systemd"]).2);
        assert!(!is("tini", &["bash"]).2);
    }

    #[test]
    fn strangers() {
        for comm in [
            "",
            "runc2",
            "runc:[",
            "runc:[2:INIT",
            "Runc",
            "bash",
            "runcx:[2:INIT]",
        ] {
            assert_eq!(recognize(comm, &["containerd-shim"]), None, "{comm}");
        }
    }

    #[test]
    fn the_kernel_could_have_every_name() {
        for (comm, ..) in PROGRAMS {
            assert!(comm.len() <= 15, "{comm}");
            let same = PROGRAMS.iter().filter(|(other, ..)| *other == comm);
            assert_eq!(same.count(), 1, "{comm}");
        }
    }
}
