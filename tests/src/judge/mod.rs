//! What sigtrace said ([`events`]) held against what happened ([`verdict`]) and
//! against how sure it can be on this kernel ([`table`]), with the sentences that
//! tell the situations apart ([`phrases`]); or counted ([`told`]). What was claimed
//! and how surely is kept for the table in the docs ([`ledger`]).

pub(crate) mod events;
mod ledger;
pub(crate) mod phrases;
pub(crate) mod table;
pub(crate) mod told;
mod verdict;

#[cfg(test)]
mod tests;

pub(crate) use events::{Event, Seen};
pub(crate) use table::{Place, Table};
pub(crate) use verdict::{From, Judge, Verdict, Way};
