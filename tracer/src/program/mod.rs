//! Names for places in programs: which function of a file a fault was in, or a handler
//! is. The kernel side has said which file and where in it; here that file is found again
//! ([`find`]) and its symbols are read ([`name`]), by another process that may do
//! nothing ([`worker`]): files of programs are written by anyone.
//!
//! A file counts only if it is the very one: by its build id, as the kernel read it
//! from the mapping, or by device and inode and not changed since. Never is a name
//! guessed from a path alone.

pub mod find;
pub mod name;
pub mod worker;
