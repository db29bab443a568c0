//! Records that cross the ring buffer.
#![no_std]
