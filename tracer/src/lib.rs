//! sigtrace as a library. The folders are the way of the data, each depends
//! only on those before it:
//! [`kernel`] → [`event`] → [`history`] → [`explain`] → [`output`]; [`cli`]
//! puts them together, [`container`] knows who a container is.

pub mod cli;
pub mod container;
pub mod event;
pub mod explain;
pub mod history;
pub mod kernel;
mod nearest;
pub mod output;
