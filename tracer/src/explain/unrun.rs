//! A handler that was chosen at the delivery of its signal and did not run: the kernel
//! could not write its frame on the stack (`setup_rt_frame`). `signal_deliver` comes
//! before that; the SIGSEGV that is forced then tells.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{BootTime, Signal};
use crate::history::note::Fate;

use super::engine::Engine;
use super::fate::Delivery;
use super::verdict::Verdict;
use super::{signals, stack, words};

/// The SIGSEGV follows at once: few other handlers are chosen between.
const KEPT: usize = 32;
/// On the stack of that SIGSEGV.
const FAILED: &[&str] = &["signal_setup_done", "force_sigsegv"];
/// So is one of these when a handler has run, and its frame is bad when it returns.
const RETURNED: &[&str] = &[
    "__do_sys_rt_sigreturn",
    "__x64_sys_rt_sigreturn",
    "__ia32_sys_rt_sigreturn",
];

/// A signal whose handler was chosen.
#[derive(Debug)]
struct Chosen {
    tid: u32,
    id: u64,
    generated: BootTime,
    signal: Arc<Signal>,
    delivery: u64,
}

/// The last of them.
#[derive(Debug, Default)]
pub(super) struct LastChosen(VecDeque<Chosen>);

impl LastChosen {
    /// A thread is about to run the handler of a signal.
    pub(super) fn push(
        &mut self,
        tid: u32,
        id: u64,
        generated: BootTime,
        signal: Arc<Signal>,
        d: &Delivery,
    ) {
        self.0.retain(|chosen| chosen.tid != tid);
        self.0.push_back(Chosen {
            tid,
            id,
            generated,
            signal,
            delivery: d.event,
        });
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    fn take(&mut self, tid: u32) -> Option<Chosen> {
        let at = self.0.iter().position(|chosen| chosen.tid == tid)?;
        self.0.remove(at)
    }
}

impl Engine {
    /// The SIGSEGV `s` may be that of a handler whose frame could not be written.
    pub(super) fn handler_did_not_run(&mut self, id: u64, time: BootTime, s: &Signal) {
        let own = s.number == signals::SEGV && s.current.tid == s.target.tid;
        let Some(function) = stack::find(&s.stack, FAILED).filter(|_| own) else {
            return;
        };
        if stack::find(&s.stack, RETURNED).is_some() {
            return;
        }
        let Some(chosen) = self.chosen.take(s.target.tid) else {
            return;
        };
        let name = signals::name(chosen.signal.number);
        let verdict = Verdict::proven(Fate::Discarded)
            .event(chosen.delivery)
            .event(id)
            .frame(function)
            .say(format!(
                "{name} was taken {} later, and its handler did not run: the kernel could not write the handler's frame on the stack, and forced SIGSEGV instead (signal_setup_done).",
                words::span(words::between(chosen.generated, time))
            ))
            .advise("look for a stack overflow; run the handler on a stack of its own (sigaltstack(2), SA_ONSTACK)");
        let target = self.history.resolve(s.target.key);
        if let Some(process) = self.history.process_mut(target) {
            process.settle(chosen.id, verdict.fate, None, Some(time));
        }
        let signal = &chosen.signal;
        self.told_again(chosen.id, chosen.generated, signal, &verdict, id, time);
    }
}
