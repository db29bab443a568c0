//! Where engines listen: the usual sockets of root and of the user, and what
//! `DOCKER_HOST` names. Talking to them is [`super::engine`]'s.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::engine::{Cause, EngineError};

const OF_ROOT: [&str; 3] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/podman/podman.sock",
];
const OF_USER: [&str; 2] = ["docker.sock", "podman/podman.sock"];

/// The sockets to ask.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Those that there are, each once.
    pub found: Vec<PathBuf>,
    /// Every place that was looked at.
    pub looked_at: Vec<PathBuf>,
    /// Somebody asked for it, and it cannot be had.
    pub failed: Vec<EngineError>,
}

impl Sockets {
    /// By the environment, `DOCKER_HOST` first.
    pub fn of(env: impl Fn(&str) -> Option<OsString>) -> Self {
        let mut sockets = Self::default();
        if let Some(host) = env("DOCKER_HOST").filter(|host| !host.is_empty()) {
            let host = host.to_string_lossy().into_owned();
            match host.strip_prefix("unix://").map(PathBuf::from) {
                Some(path) if path.is_absolute() => {
                    // Where it does not exist, connecting to it says so.
                    if !path.exists() {
                        sockets.found.push(path.clone());
                    }
                    sockets.looked_at.push(path);
                }
                _ => sockets.failed.push(EngineError {
                    operation: "ask the engine at DOCKER_HOST",
                    object: host,
                    cause: Cause::NoSocket,
                }),
            }
        }
        sockets.looked_at.extend(OF_ROOT.map(PathBuf::from));
        if let Some(runtime) = runtime_dir(&env) {
            sockets
                .looked_at
                .extend(OF_USER.map(|name| runtime.join(name)));
        }
        sockets.existing();
        sockets
    }

    /// Links and bind mounts lead to the same socket twice: `/var/run` is
    /// `/run`, and podman's package links `docker.sock` to its own.
    fn existing(&mut self) {
        let mut seen = Vec::new();
        for path in &self.looked_at {
            let Ok(metadata) = fs::metadata(path) else {
                continue;
            };
            let which = (metadata.dev(), metadata.ino());
            if metadata.file_type().is_socket() && !seen.contains(&which) {
                seen.push(which);
                self.found.push(path.clone());
            }
        }
    }
}

/// Whether a socket belongs to another user than this process.
pub fn is_of_another(path: &Path) -> bool {
    let owner = |path| fs::metadata(path).map(|metadata| metadata.uid());
    match (owner(path), owner(Path::new("/proc/self"))) {
        (Ok(its), Ok(ours)) => its != ours,
        _ => false,
    }
}

/// `XDG_RUNTIME_DIR`, which sudo takes away, or else the caller's of sudo.
fn runtime_dir(env: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let own = env("XDG_RUNTIME_DIR").map(PathBuf::from);
    let own = own.filter(|path| path.is_absolute());
    own.or_else(|| {
        let uid: u32 = env("SUDO_UID")?.to_str()?.parse().ok()?;
        Some(PathBuf::from(format!("/run/user/{uid}")))
    })
}
