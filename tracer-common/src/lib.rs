//! What the kernel side and the user side share, and nothing else: the records
//! that cross the ring buffer ([`record`]), the table of kernel field offsets
//! that the loader fills ([`layout`]), and the filter that it hands down
//! ([`filter`]).
//!
//! Records are plain memory: `repr(C)`, integers and byte arrays, padding
//! written out, sizes pinned. A flag is a `u32` and never a `bool`, because any
//! byte that the kernel side leaves must be a valid value here.
#![no_std]

pub mod filter;
pub mod layout;
pub mod record;
