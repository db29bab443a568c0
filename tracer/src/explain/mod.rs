//! Explanations: from a history to what happened, why, and what to do. Pure:
//! no input or output, no clock, so a live trace, a recording and a test get
//! the same words. What is reported stands in [`report`].
//!
//! [`engine`] turns events into reports; the rules are small files by subject:
//! who sent it (`sender`; `jobs` for a terminal that stops), what became of it (`fate`,
//! `dropped`, `blocked`, `refused`, `denied`, `nobody`),
//! why a process died (`death`, `killed`, `abort`, `exited`, `pid1`, `requests`,
//! `stopped` and the two beside it, `stop_request`), who asked for it (`asked`),
//! which of them are an engine's ([`runtime`]). The names of signals stand in
//! [`signals`], what each is for in [`purpose`], the meaning of every id in
//! [`ids`].

pub mod engine;
pub mod ids;
mod kernel_cause;
mod kernel_rules;
mod kernel_words;
pub mod report;
pub mod runtime;
pub mod signals;

mod abort;
mod agenda;
mod arrive;
mod asked;
mod bereaved;
mod blocked;
mod chain;
mod crashes;
mod crowded;
mod death;
mod debugger;
mod denied;
mod dropped;
mod dumped;
mod early;
mod eligible;
mod exit_report;
mod exited;
mod fate;
mod folded;
pub(crate) mod forks;
mod halted;
mod handlers;
mod jobs;
mod killed;
mod lead;
mod lives;
mod nobody;
mod on_the_spot;
mod oom;
mod open;
mod outbox;
mod overdue;
mod passed_on;
pub mod path;
mod pid1;
mod pid1_killed;
pub(crate) mod place;
pub mod purpose;
mod queued;
mod quota;
mod recent;
pub(crate) mod refused;
mod relayed;
mod requests;
mod routine;
mod sender;
mod settle;
mod stack;
mod starved;
mod step;
mod stop_answer;
mod stop_request;
mod stopped;
mod terminal;
mod unreaped;
mod unrun;
mod verdict;
pub(crate) mod words;

#[cfg(test)]
mod tests;

pub use asked::Awaited;
pub use engine::Engine;
pub use requests::may_end;
