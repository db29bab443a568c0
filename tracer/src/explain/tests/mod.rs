//! Each rule as a history and what must be said about it.

mod clockwork;
mod deaths;
mod drops;
mod endings;
mod forwarding;
mod lives;
mod picture;
mod random;
mod stops;
mod waiting;
mod world;
