//! The startup window: requests to end that were thrown away because a PID 1 had no
//! handler for them yet. How long it had run is said at once; that a handler came, once
//! a look (`Engine::watch`) or a handler that runs shows it.

use std::sync::Arc;

use crate::event::{BootTime, ProcessKey, Signal};
use crate::history::process::Early;

use super::engine::Engine;
use super::verdict::Verdict;
use super::{lead, signals, words};

/// So many of a process are remembered.
const KEPT: usize = 4;
/// Who has run for so long is hardly still starting.
const STARTING_NS: u64 = 60_000_000_000;

impl Engine {
    /// A signal was thrown away and its target is looked at from now on: what is said
    /// of it, with how long the target had run.
    pub(super) fn too_early(
        &mut self,
        id: u64,
        time: BootTime,
        target: ProcessKey,
        signal: &Arc<Signal>,
        verdict: Verdict,
    ) -> Verdict {
        let Some(process) = self.history.process_mut(target).filter(|p| p.watched) else {
            return verdict;
        };
        // That of `/proc` may be a tick early.
        let ran = words::between(BootTime(process.task.key.start_ns), time);
        if process.early.len() == KEPT {
            process.early.remove(0);
        }
        process.early.push(Early {
            event: id,
            time,
            signal: signal.clone(),
            fate: verdict.fate,
        });
        if ran > STARTING_NS {
            return verdict;
        }
        let it = lead::called(process).first;
        verdict.say(format!("{it} had run for {} then.", words::span(ran)))
    }

    /// A process has handlers for the signals of this set: those that it threw away
    /// came too early.
    pub(super) fn has_handlers(&mut self, event: u64, time: BootTime, key: ProcessKey, set: u64) {
        let Some(process) = self.history.process_mut(key) else {
            return;
        };
        if process.early.is_empty() {
            return;
        }
        let there =
            |early: &mut Early| set & signals::bit(early.signal.number) != 0 && early.time < time;
        let early: Vec<Early> = process.early.extract_if(.., there).collect();
        let started = BootTime(process.task.key.start_ns);
        let it = lead::called(process);
        for Early {
            event: id,
            time: came,
            signal,
            fate,
        } in early
        {
            let name = signals::name(signal.number);
            let verdict = Verdict::proven(fate)
                .because("init-no-handler")
                .event(event)
                .say(format!(
                    "{} had no handler for {name} yet: it had run for {} when this one came, and a handler was there {} later at the latest.",
                    it.first,
                    words::span(words::between(started, came)),
                    words::span(words::between(came, time)),
                ))
                .advise(format!(
                    "send it only once {} is ready, install the handler for {name} first thing, or put an init in front that has one (docker run --init, tini)",
                    it.then
                ));
            self.told_again(id, came, &signal, &verdict, event, time);
        }
    }
}
