//! What sigtrace cannot do, it has to say: namespaces that are gone, no
//! permission, hidden symbols, a namespace around itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{own, takes_turns, Outcome, Scenario, Stage};
use crate::judge::phrases::Phrase;
use crate::judge::{From, Way};
use crate::stage::ns::{self, Ns};
use crate::stage::sigtrace::{Ended, Sigtrace};

/// Where kernel addresses are hidden or not.
const KPTR: &str = "/proc/sys/kernel/kptr_restrict";

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        own("namespace-gone", gone),
        own("namespace-goes-while-attaching", going),
        own("no-pid-namespace", no_pid_namespace),
        own("not-root", not_root),
        takes_turns("namespace-of-its-own", nested_sigtrace),
        own("hidden-symbols", hidden_symbols),
    ]
}

fn told(ended: &Ended) -> Vec<String> {
    let mut lines = ended.lines.clone();
    lines.push(format!("status {:?}, stderr:", ended.status));
    lines.push(ended.errors.clone());
    lines
}

fn gone(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-nosig"])?;
    let ino = ns.ino.to_string();
    ns.pid1.end()?;
    let ended = Sigtrace::start(stage.host, &["--pidns", &ino])?.ended()?;
    let mut faults = Vec::new();
    if !matches!(ended.status, Some(1 | 4)) {
        faults.push(format!(
            "expected status 1 (failed) or 4 (nothing found), got {:?}",
            ended.status
        ));
    }
    if !ended.errors.contains(&ino) {
        faults.push(format!("stderr does not name namespace {ino}"));
    }
    Ok(Outcome::of(faults, &told(&ended)))
}

/// It dies at some moment of the attaching: told as gone, or as ended.
fn going(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-nosig", "20"])?;
    let ino = ns.ino.to_string();
    let sigtrace = Sigtrace::start(stage.host, &["--pidns", &ino, "--once", "-o", "json"])?;
    ns.pid1.end()?;
    let ended = sigtrace.ended()?;
    let mut faults = Vec::new();
    match ended.status {
        Some(0) => {}
        Some(1 | 4) if ended.errors.contains(&ino) => {}
        other => faults.push(format!(
            "expected it to end well, or to say that {ino} is gone; status {other:?}"
        )),
    }
    Ok(Outcome::of(faults, &told(&ended)))
}

/// A file that is none, and a namespace of another sort.
fn no_pid_namespace(stage: &Stage<'_>) -> Result<Outcome> {
    let (mut faults, mut lines) = (Vec::new(), Vec::new());
    for path in ["/proc/self/ns/net", "/proc/self/status", "/dev/null"] {
        let ended = Sigtrace::start(stage.host, &["--pidns", path])?.ended()?;
        let says = format!("{path} is no PID namespace");
        if ended.status != Some(2) || !ended.errors.contains(&says) {
            faults.push(format!("expected status 2 and \"{says}\""));
        }
        lines.extend(told(&ended));
    }
    Ok(Outcome::of(faults, &lines))
}

/// What nobody may do.
const NOBODY: u32 = 65_534;

fn not_root(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-nosig"])?;
    // The folders above the binary may be closed to others.
    let folder = Path::new("/tmp").join(format!("sigtrace-play-{}", std::process::id()));
    fs::create_dir(&folder).context("a folder for nobody")?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    let copy = folder.join("sigtrace");
    let run = |words: &[&str]| -> Result<Ended> {
        let mut command = Command::new(&copy);
        command.args(words).current_dir("/").uid(NOBODY).gid(NOBODY);
        Sigtrace::spawn(&mut command)?.ended()
    };
    let both = || -> Result<[Ended; 2]> {
        fs::copy(&stage.host.sigtrace, &copy).context("a copy for nobody")?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
        Ok([run(&["--pidns", &ns.ino.to_string()])?, run(&["doctor"])?])
    };
    let both = both();
    fs::remove_dir_all(&folder).context("removing the folder for nobody")?;
    let [ended, doctor] = both?;
    let mut faults = Vec::new();
    if ended.status != Some(3) {
        faults.push(format!("expected status 3, got {:?}", ended.status));
    }
    if !ended.errors.contains("CAP_BPF") && !ended.errors.contains("CAP_SYS_ADMIN") {
        faults.push("stderr does not name the capability that is missing".to_owned());
    }
    if doctor.status != Some(3) {
        faults.push(format!("the doctor ends with {:?}, not 3", doctor.status));
    }
    let untried = ["ring buffer", "BTF programs"];
    for line in &doctor.lines {
        if untried.iter().any(|what| line.contains(what)) && !line.contains("cannot be tried") {
            faults.push(format!("the doctor has not tried this: {line}"));
        }
    }
    let seen = [told(&ended), told(&doctor)].concat();
    Ok(Outcome::of(faults, &seen))
}

/// sigtrace itself in a PID namespace: it works, and says what is lost.
fn nested_sigtrace(stage: &Stage<'_>) -> Result<Outcome> {
    let ns = Ns::new(&["c-init-nosig"])?;
    let sigtrace = stage.host.sigtrace.to_str().context("its path")?;
    let doctor = ns.enter(&["exec", sigtrace, "doctor"])?;
    let status = doctor.wait()?;
    let said = doctor.all_said()?;
    let mut faults = Vec::new();
    if !status.success() {
        faults.push(format!("the main job can be done here, but {status}"));
    }
    for words in ["not the host's", "--pid=host"] {
        if !said.iter().any(|line| line.contains(words)) {
            faults.push(format!("the doctor does not say \"{words}\""));
        }
    }
    Ok(Outcome::of(faults, &said))
}

/// The main job works where the kernel hides its symbols.
fn hidden_symbols(stage: &Stage<'_>) -> Result<Outcome> {
    if !stage.host.guest {
        return Ok(Outcome::Skipped(
            "kptr_restrict is a setting of the whole machine, so only in a guest".to_owned(),
        ));
    }
    let before = fs::read_to_string(KPTR).context(KPTR)?;
    let ns = Ns::new(&["c-init-sig", "1"])?;
    let child = ns.pid1.everybody("child", 1)?[0].host;
    fs::write(KPTR, "2").context(KPTR)?;
    let killed = Ns::new(&["c-init-nosig"])?;
    let (ino, other) = (ns.ino.to_string(), killed.ino.to_string());
    let scope = [
        "--pidns", &ino, "--pidns", &other, "--once", "--path", "-o", "json",
    ];
    let sigtrace = Sigtrace::attached(stage.host, &scope)?;
    ns::kill(ns.pid1.pid, Signal::SIGTERM)?;
    ns.pid1.wait()?;
    ns::kill(killed.pid1.pid, Signal::SIGKILL)?;
    killed.pid1.wait()?;
    let ended = sigtrace.ended()?.well()?;
    // Names are looked up when the first stack comes, so not before the end.
    fs::write(KPTR, before).context(KPTR)?;
    Ok(stage.judged(&ended, &[ns.ino, killed.ino], |_, judge| {
        judge
            .zapped("the child", child, ns.pid1.pid)
            .says(Phrase::NothingSentOn);
        let pid1 = killed.pid1.pid;
        let sender = From::Process(std::process::id());
        judge
            .signal("SIGKILL to PID 1", Signal::SIGKILL as i32, sender, pid1)
            .fate("fatal", None)
            .field("/cause", "killed-by-process")
            .absent("/kernel_path")
            // What the facts say needs no names.
            .way(Way {
                stack: &[],
                beyond: &["complete_signal"],
                because: "SIGNAL_GROUP_EXIT",
                proof: &[],
            });
        judge
            .death("PID 1", pid1)
            .field("/cause", "killed-by-process")
            .field("/certainty", "inferred")
            .is("/exit_code", &137.into())
            .forced(true);
    }))
}
