//! The end of those who share their memory with one that writes a core dump: before
//! Linux 5.16 the kernel ends them with it (`zap_threads`), and sends them nothing.

use crate::event::{flag, BootTime};
use crate::explain::report::{Certainty, Evidence};
use crate::history::process::{Exited, Process};

use super::death::{self, Death};
use super::engine::TAKEN_NS;
use super::verdict::View;
use super::{signals, words};

/// A process with this end was ended by the core dump of another one: `zap_process`
/// marks both, and `coredump_finish` takes the mark from the dumping one alone.
pub(super) fn with_another(view: View<'_>, victim: &Process, exited: Exited) -> Option<Death> {
    let marked = exited.signal_flags & flag::GROUP_COREDUMP_5_10 != 0;
    if !marked || victim.fatal.is_some() {
        return None;
    }
    let number = exited.status & 0x7f;
    let name = signals::name(number);
    let mut d = Death::new("coredump-zap", Some("kernel-signal"));
    d.evidence(Evidence::Field(
        "signal->flags has SIGNAL_GROUP_COREDUMP at its end".to_owned(),
    ));
    d.evidence(Evidence::Field(format!("status={:#x}", exited.status)));
    d.say(format!(
        "Another process that shares its memory (clone with CLONE_VM, vfork) wrote a core dump because of {name}; before Linux 5.16 the kernel ends every process with that memory for that, and with the same status. Nobody sent it a signal."
    ));
    d.advise("look for the error in the process that wrote the core dump");
    d.link(Some(exited.event), format!("ended as if by {name}"));
    let key = victim.task.key;
    let dying = |other: &&Process| {
        let fatal = other.fatal.as_ref();
        let soon = |at: BootTime| words::between(at, exited.time) <= TAKEN_NS;
        let of_it =
            fatal.is_some_and(|f| f.number == number && f.time < exited.time && soon(f.time));
        let then = |end: Exited| words::between(end.time, exited.time) <= TAKEN_NS;
        other.task.key != key && of_it && other.exit.is_none_or(then)
    };
    let mut found = view.history.all().filter(dying);
    let root = "core dump of a process that shares its memory";
    match (found.next(), found.next()) {
        (Some(one), None) => {
            let who = words::who(&one.task);
            d.say(format!(
                "Of those that are traced only {who} died of {name} then."
            ));
            d.missing(
                format!(
                    "whether {who} shared its memory: no other that is traced died of {name} then"
                ),
                Certainty::Inferred,
            );
            d.link(None, format!("{root}: {who}"));
            if let Some(fatal) = &one.fatal {
                d.evidence(Evidence::Event(fatal.event));
                death::follow(view, one, fatal.time, &mut d);
            }
        }
        _ => d.link(None, root),
    }
    Some(d)
}
