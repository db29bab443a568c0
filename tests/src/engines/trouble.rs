//! Engines in trouble: down, frozen, talking nonsense, restarted below running
//! containers, stopped by the init system. A container is found by its id all
//! the same, and what happens to it is explained.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::{fwd_sig, lessons, of_docker, Scenario, Scene, Stage};
use crate::judge::phrases::Phrase;
use crate::judge::{From, Judge};
use crate::scenarios::Outcome;
use crate::stage::engine::DOCKER;
use crate::stage::sigtrace::{Ended, Sigtrace};
use crate::stage::{ns, until};
use crate::sys;

const SETTINGS: &str = "/etc/docker/daemon.json";
const SOCKET: &str = "/run/docker.sock";
const PID_FILE: &str = "/run/docker.pid";

/// A stopped engine is watched for so long: sigtrace would have tried it often.
const LEFT_ALONE: Duration = Duration::from_secs(5);

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = vec![
        of_docker("engine-frozen", frozen),
        of_docker("engine-down", down),
        of_docker("engine-nonsense", nonsense),
        of_docker("live-restore", live_restore),
    ];
    if has_systemd() {
        all.push(of_docker("systemctl-stop", systemctl_stop));
        all.push(of_docker("systemctl-stop-service", not_started_again));
    }
    all
}

fn has_systemd() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// What is traced must be this container, ended by the play's own SIGKILL.
fn killed_by_us(stage: &Stage<'_>, scene: &Scene, ended: &Ended, note: &str) -> Outcome {
    stage.judged(
        ended,
        &[scene.container.ino],
        |seen, judge: &mut Judge<'_>| {
            if !note.is_empty() && !seen.tracing["notes"].to_string().contains(note) {
                judge.fault(format!("no note says \"{note}\": {}", seen.tracing));
            }
            judge
                .death("PID 1", scene.pid1())
                .cause("killed-by-process", "kill-syscall", 137)
                .field("/container/id", &scene.container.id)
                .field("/container/engine", "docker")
                .forced(true);
            judge
                .zapped("the child", scene.pid("the child"), scene.pid1())
                .says(Phrase::Pid1Killed);
            let play = From::Process(std::process::id());
            judge
                .signal("SIGKILL to PID 1", libc::SIGKILL, play, scene.pid1())
                .fate("fatal", None);
        },
    )
}

/// By its id, while the engine does not help; then ended by us.
fn by_id(stage: &Stage<'_>, scene: &Scene) -> Result<Ended> {
    let id = scene.container.id.as_str();
    let sigtrace = Sigtrace::of_containers(stage.host, stage.engine, &[id], &[])?;
    ns::kill(scene.pid1(), Signal::SIGKILL)?;
    sigtrace.ended()?.well()
}

/// Its name is of no use then, and the message says why.
fn name_fails(stage: &Stage<'_>, why: &str) -> Result<Vec<String>> {
    let mut command = Command::new(&stage.host.sigtrace);
    command.args(["--container", stage.name]);
    let ended = Sigtrace::spawn(&mut command)?.ended()?;
    let mut faults = Vec::new();
    if ended.status != Some(4) || !ended.errors.contains(why) {
        faults.push(format!("expected status 4 and \"{why}\""));
        faults.extend(ended.told());
    }
    Ok(faults)
}

fn with(mut outcome: Outcome, faults: Vec<String>) -> Outcome {
    match &mut outcome {
        Outcome::Failed(all, _) => all.extend(faults),
        _ if !faults.is_empty() => outcome = Outcome::of(faults, &[]),
        _ => {}
    }
    outcome
}

fn dockerd() -> Result<i32> {
    let pid = fs::read_to_string(PID_FILE).context(PID_FILE)?;
    pid.trim().parse().context(PID_FILE)
}

fn frozen(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let dockerd = dockerd()?;
    sys::kill_number(dockerd, libc::SIGSTOP)?;
    let played = || -> Result<_> {
        let faults = name_fails(stage, "no answer within")?;
        Ok((faults, by_id(stage, &scene)?))
    };
    let played = played();
    sys::kill_number(dockerd, libc::SIGCONT)?;
    let (faults, ended) = played?;
    scene.say(stage.engine.rm)?;
    Ok(with(
        killed_by_us(stage, &scene, &ended, "no answer within"),
        faults,
    ))
}

/// Whether containers live on without their engine.
fn set_live_restore(on: bool) -> Result<()> {
    let text = fs::read_to_string(SETTINGS).context(SETTINGS)?;
    let mut settings: serde_json::Value = serde_json::from_str(&text).context(SETTINGS)?;
    settings["live-restore"] = on.into();
    fs::write(SETTINGS, settings.to_string()).context(SETTINGS)?;
    sys::kill_number(dockerd()?, libc::SIGHUP)?;
    until("dockerd to take its settings", || {
        let said = DOCKER.say(&["info", "-f", "{{.LiveRestoreEnabled}}"])?;
        Ok((said == on.to_string()).then_some(()))
    })
}

/// Ends dockerd in an orderly way, as an upgrade does.
fn stop_engine() -> Result<()> {
    if has_systemd() {
        // Its socket would start it again.
        return systemctl(&["stop", "docker.socket", "docker.service"]);
    }
    let pid = dockerd()?;
    sys::kill_number(pid, libc::SIGTERM)?;
    until("the end of dockerd", || {
        let lives = fs::read_link(format!("/proc/{pid}/exe")).is_ok();
        Ok((!lives).then_some(()))
    })
}

fn start_engine() -> Result<()> {
    if has_systemd() {
        systemctl(&["start", "docker.socket", "docker.service"])?;
    } else {
        let status = Command::new("guest-engines").arg("start-docker").status();
        if !status.context("guest-engines")?.success() {
            anyhow::bail!("dockerd does not start");
        }
    }
    DOCKER.say(&["version"]).map(drop)
}

fn systemctl(words: &[&str]) -> Result<()> {
    let status = Command::new("systemctl").args(words).status();
    if !status.context("systemctl")?.success() {
        anyhow::bail!("systemctl {words:?} failed");
    }
    Ok(())
}

fn down(stage: &Stage<'_>) -> Result<Outcome> {
    set_live_restore(true)?;
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    stop_engine()?;
    // Of an engine that crashed, the socket is still there.
    let stale = UnixListener::bind(SOCKET).is_ok();
    let played = || -> Result<_> {
        let faults = name_fails(stage, "Connection refused")?;
        Ok((faults, by_id(stage, &scene)?))
    };
    let played = played();
    if stale {
        fs::remove_file(SOCKET).context(SOCKET)?;
    }
    start_engine()?;
    set_live_restore(false)?;
    let (faults, ended) = played?;
    scene.say(stage.engine.rm)?;
    Ok(with(
        killed_by_us(stage, &scene, &ended, "Connection refused"),
        faults,
    ))
}

/// Something else listens where `DOCKER_HOST` says; Docker's own socket is asked
/// as well, so even the name is known.
fn nonsense(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let path = format!("/run/{}.sock", stage.name);
    let listener = UnixListener::bind(&path).context("a socket")?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Whoever hangs up early hangs up.
            let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
        }
    });
    let mut command = Command::new(&stage.host.sigtrace);
    command.env("DOCKER_HOST", format!("unix://{path}")).args([
        "--once",
        "-o",
        "json",
        "--container",
        stage.name,
    ]);
    let sigtrace = Sigtrace::spawn(&mut command)?;
    sigtrace.wait_attached()?;
    ns::kill(scene.pid1(), Signal::SIGKILL)?;
    let ended = sigtrace.ended()?.well()?;
    scene.say(stage.engine.rm)?;
    fs::remove_file(&path).context("the socket")?;
    Ok(killed_by_us(stage, &scene, &ended, "makes no sense"))
}

/// The engine is restarted below its running container, which is stopped then.
fn live_restore(stage: &Stage<'_>) -> Result<Outcome> {
    set_live_restore(true)?;
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let sigtrace = Sigtrace::of_containers(stage.host, stage.engine, &[stage.name], &[])?;
    stop_engine()?;
    start_engine()?;
    scene.say(&["stop"])?;
    let ended = sigtrace.ended()?.well()?;
    scene.say(stage.engine.rm)?;
    set_live_restore(false)?;
    Ok(stage.judged(&ended, &[scene.container.ino], |_, judge| {
        lessons::picture(&scene, judge, scene.engine.stop);
        judge.nothing_else();
    }))
}

/// The init system stops the engine, and that stops its containers.
fn systemctl_stop(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let sigtrace = Sigtrace::of_containers(stage.host, stage.engine, &[stage.name], &[])?;
    stop_engine()?;
    let ended = sigtrace.ended()?.well()?;
    start_engine()?;
    scene.say(stage.engine.rm)?;
    Ok(stage.judged(&ended, &[scene.container.ino], |_, judge| {
        // It takes no requests any more.
        lessons::picture(&scene, judge, "docker stop (event)");
        judge.nothing_else();
    }))
}

/// systemd still listens for the engine that it has stopped, and would start it
/// for whoever connects: sigtrace, which wants to hear its events, does not.
fn not_started_again(stage: &Stage<'_>) -> Result<Outcome> {
    let scene = fwd_sig(stage.engine, stage.name, &[], 1)?;
    let mut command = Command::new(&stage.host.sigtrace);
    command.args(["-o", "json", "--container", stage.name]);
    let sigtrace = Sigtrace::spawn(&mut command)?;
    sigtrace.wait_attached()?;
    systemctl(&["stop", "docker.service"])?;
    let is_end = |line: &str| line.contains(r#""event":"init_exit""#);
    sigtrace.out.wait("the end of PID 1", 0, is_end)?;
    let stopped = Instant::now();
    let mut state = String::new();
    while stopped.elapsed() < LEFT_ALONE {
        state = state_of("docker.service")?;
        if state != "inactive" {
            break;
        }
        thread::sleep(Duration::from_millis(200));
    }
    let ended = sigtrace.interrupt()?.well()?;
    start_engine()?;
    scene.say(stage.engine.rm)?;
    let mut faults = Vec::new();
    if state != "inactive" {
        faults.push(format!("docker.service was stopped, and is {state} again"));
    }
    Ok(Outcome::of(faults, &ended.told()))
}

fn state_of(unit: &str) -> Result<String> {
    let output = Command::new("systemctl").args(["is-active", unit]).output();
    let output = output.context("systemctl")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
