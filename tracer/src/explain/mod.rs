//! Explanations: from a history to what happened, why, and what to do. Pure:
//! no input or output, no clock, so a live trace, a recording and a test get
//! the same words. What is reported stands in [`report`].

pub mod report;
