//! What a terminal sends, and by whose doing: the same functions serve a window that is
//! closed, the end of a session's leader and a program that gives its terminal up, and
//! what lies below them on the stack tells these apart. Signals that stop stand in
//! [`super::jobs`].

use crate::event::{flag, Signal, Task};
use crate::explain::report::Evidence;
use crate::history::note::NotedSender;
use crate::history::process::Fatal;

use super::death::{self, Death};
use super::verdict::View;
use super::{runtime, signals, stack, words};

/// A character that means a signal was received (`n_tty_receive_signal_char`).
pub(super) const KEY: &[&str] = &["isig", "__isig", "n_tty_receive_signal_char"];

/// By which the one end of a pseudo terminal asks for a signal at the other: most
/// kernels have the former in the latter.
pub(super) const ASKED: &[&str] = &["pty_signal", "pty_unix98_ioctl", "pty_bsd_ioctl"];

/// How it came to send something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// A key, or who writes to the other end: it is read by a worker of the kernel.
    Typed,
    /// A character was put into its input (TIOCSTI).
    PutIn,
    /// TIOCSIG.
    Asked,
    /// The other end was closed.
    Closed,
    /// The same, by the end of who held it.
    Abandoned,
    /// The session's leader ended.
    LeaderEnded,
    /// The session's leader gave it up (TIOCNOTTY).
    GivenUp,
    /// vhangup(2).
    Vhangup,
    /// The driver hung up, in a worker of the kernel.
    Line,
    /// Something else, or the stack does not tell.
    Unknown,
}

/// What the stack tells.
pub(super) fn doing(s: &Signal) -> Doing {
    let on = |names: &[&str]| stack::find(&s.stack, names).is_some();
    let exiting = s.current.flags & flag::PF_EXITING != 0;
    // First who leaves a terminal: on real ones that hangs up as well.
    if on(&["disassociate_ctty"]) {
        return match exiting {
            true => Doing::LeaderEnded,
            false => Doing::GivenUp,
        };
    }
    if on(ASKED) && !on(KEY) {
        return Doing::Asked;
    }
    if on(KEY) {
        // What is pasted at a console goes through an ioctl as well.
        let pasted = on(&["paste_selection", "tioclinux", "vt_ioctl"]);
        return match on(&["tty_ioctl", "tiocsti"]) && !pasted {
            true => Doing::PutIn,
            false => Doing::Typed,
        };
    }
    if on(&["tty_vhangup_self", "__x64_sys_vhangup", "__do_sys_vhangup"]) {
        return Doing::Vhangup;
    }
    if on(&["tty_release", "pty_close"]) && doer(s).is_some() {
        return match exiting {
            true => Doing::Abandoned,
            false => Doing::Closed,
        };
    }
    if on(&["__tty_hangup", "tty_signal_session_leader"]) && worker(s) {
        return Doing::Line;
    }
    Doing::Unknown
}

fn worker(s: &Signal) -> bool {
    s.current.flags & flag::PF_KTHREAD != 0
}

/// Who did that to the terminal in a system call of its own, or by its end; a key is
/// nobody's, as far as the kernel knows.
pub(super) fn doer(s: &Signal) -> Option<&Task> {
    let own = !worker(s) && stack::called(&s.stack);
    own.then_some(&s.current)
}

/// Why it sent what ended its target, with who stands behind that.
pub(super) fn explain(view: View<'_>, fatal: &Fatal, s: &Signal, cause: &str, d: &mut Death) {
    let name = signals::name(s.number);
    let handler = format!("it has no handler for {name}, whose default action ended it");
    let doing = doing(s);
    let (why, root) = match cause {
        "tty-hangup" => {
            d.advise(
                "use nohup, setsid, tmux or a service manager for what is to outlive the terminal",
            );
            hangup(doing, &called(view, s))
        }
        _ => key(doing, s.number, &called(view, s)),
    };
    d.say(format!("{why}, and {handler}."));
    let Some(by) = doer(s) else {
        d.link(None, root);
        return;
    };
    let doer = view.history.process(by.key);
    let ended = doer.filter(|_| matches!(doing, Doing::LeaderEnded | Doing::Abandoned));
    let status = ended
        .and_then(|one| one.exit)
        .filter(|e| e.status & 0x7f == 0);
    match status {
        Some(exit) => {
            let status = (exit.status >> 8) & 0xff;
            d.evidence(Evidence::Event(exit.event));
            d.link(Some(exit.event), format!("{root} with status {status}"));
        }
        None => d.link(None, root),
    }
    let killed = ended.filter(|one| one.fatal.is_some() && one.task.key != s.target.key);
    if let Some(victim) = view.history.process(s.target.key) {
        d.link_process(view.history, &NotedSender::of(s), victim, killed.is_none());
    }
    if let Some(one) = killed {
        death::follow(view, one, fatal.time, d);
    }
}

/// Who did it, at a sentence's begin.
fn called(view: View<'_>, s: &Signal) -> String {
    if s.current.key == s.target.key {
        return "The process itself".to_owned();
    }
    match view.history.process(s.target.key) {
        Some(victim) => runtime::called(view.history, &NotedSender::of(s), victim),
        None => words::who(&s.current),
    }
}

fn hangup(doing: Doing, who: &str) -> (String, &'static str) {
    match doing {
        Doing::Closed => (
            format!("{who} closed the other end of its terminal, as it happens when a window or a remote login is closed"),
            "other end of its terminal closed",
        ),
        Doing::Abandoned => (
            format!("{who}, which held the other end of its terminal as a terminal window or a remote login does, ended"),
            "end of who held the other end of its terminal",
        ),
        Doing::LeaderEnded => (
            format!("{who}, the leader of its session, ended; the kernel tells that to the process group in the foreground of the session's terminal"),
            "end of its session's leader",
        ),
        Doing::GivenUp => (
            format!("{who}, the leader of its session, gave their terminal up (ioctl TIOCNOTTY); the kernel tells that to the process group in the foreground"),
            "its session's leader gave the terminal up",
        ),
        Doing::Vhangup => (
            format!("{who} hung up its terminal by vhangup(2), as a login does to be alone there"),
            "vhangup(2) of its terminal",
        ),
        Doing::Line => (
            "Its terminal was hung up by its driver: the line or the device is gone".to_owned(),
            "hangup of its terminal by the driver",
        ),
        _ => (
            "Its terminal went away (a closed window, a lost connection, or the end of the session's leader)".to_owned(),
            "hangup of its terminal",
        ),
    }
}

fn key(doing: Doing, number: i32, who: &str) -> (String, &'static str) {
    let name = signals::name(number);
    let key = match number {
        signals::INT => "usually Ctrl-C",
        signals::QUIT => "usually Ctrl-\\",
        _ => "usually Ctrl-Z",
    };
    match doing {
        Doing::Asked => (
            format!("{who} had its terminal send {name} to the foreground process group (ioctl TIOCSIG), as a remote login or an editor passes a key on"),
            "TIOCSIG at its terminal",
        ),
        Doing::PutIn => (
            format!("{who} put the character of a key ({key}) into the input of its terminal (ioctl TIOCSTI), which sent {name} to the foreground process group"),
            "a character put into its terminal",
        ),
        _ => (
            format!("A key on its terminal ({key}) sent {name} to the foreground process group"),
            "a key on its terminal",
        ),
    }
}
