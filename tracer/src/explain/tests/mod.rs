//! Each rule as a history and what must be said about it.

mod aborts;
mod bounds;
mod children;
mod clockwork;
mod deaths;
mod drops;
mod endings;
mod filters;
mod forwarding;
mod harmless;
mod identity;
mod kernel;
mod late;
mod left_out;
mod lives;
mod memory;
mod own;
mod picture;
mod queues;
mod random;
mod shared;
mod stops;
mod together;
mod unreaped;
mod waiting;
mod world;
