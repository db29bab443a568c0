//! sigtrace as a library. The folders are the way of the data, each depends
//! only on those before it:
//! [`kernel`] → [`event`] → [`history`] → [`explain`] → [`output`]; [`cli`]
//! puts them together.

pub mod event;
pub mod explain;
pub mod history;
