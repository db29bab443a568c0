//! sigtrace as a library. What is seen goes the way
//! [`kernel`] → [`event`] → [`history`] → [`explain`] → [`output`].
//! [`event`] is what they all speak of and uses none of them; [`kernel`] and
//! [`history`] use it alone, [`explain`] uses it and the history, [`output`] it
//! and what [`explain`] reports. [`container`] knows who a container is, and
//! uses `event` and the names of signals; [`program`] names places in programs, from
//! what the kernel side saw; [`cli`] puts them together.
pub mod cli;
pub mod container;
pub mod event;
pub mod explain;
pub mod history;
pub mod kernel;
mod nearest;
pub mod output;
pub mod program;
