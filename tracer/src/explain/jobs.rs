//! Job control: why a terminal sent a signal that stops. It ends nobody, so the cause
//! stands with the signal; whether it stopped anybody is its fate ([`super::fate`]).

use crate::event::Signal;

use super::terminal::{self, Doing};
use super::{signals, stack, words};

/// Somebody in the background reads from the terminal, writes to it or changes it
/// (`tty_check_change`, `job_control`).
const BACKGROUND: &str = "__tty_check_change";

/// The cause of a stop signal of a terminal, and what is to be said of it first.
pub(super) fn remark(s: &Signal) -> Option<(&'static str, String)> {
    let why = match s.number {
        signals::TTIN | signals::TTOU if stack::has(&s.stack, BACKGROUND) => {
            let what = if s.number == signals::TTIN {
                "to read from its terminal"
            } else {
                "to write to its terminal, or to change its settings,"
            };
            let (who, name) = (words::who(&s.current), signals::name(s.number));
            format!("{who} tried {what} while it was in the background; the kernel sends {name} to its process group for that (job control).")
        }
        signals::TSTP => {
            let who = words::who(&s.current);
            let why = match terminal::doing(s) {
                Doing::Typed => {
                    "The key that suspends (Ctrl-Z) was pressed on its terminal".to_owned()
                }
                Doing::PutIn => format!("{who} put the key that suspends (Ctrl-Z) into the input of its terminal (ioctl TIOCSTI)"),
                Doing::Asked => format!("{who} asked its terminal for that (ioctl TIOCSIG)"),
                _ => return None,
            };
            let name = signals::name(s.number);
            format!("{why}; the kernel sends {name} to the process group in the foreground for that (job control).")
        }
        _ => return None,
    };
    Some(("tty-job", why))
}
