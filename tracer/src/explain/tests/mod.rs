//! Each rule as a history and what must be said about it.

mod forwarding;
mod world;
