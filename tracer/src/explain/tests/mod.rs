//! Each rule as a history and what must be said about it.

mod clockwork;
mod drops;
mod forwarding;
mod lives;
mod random;
mod waiting;
mod world;
