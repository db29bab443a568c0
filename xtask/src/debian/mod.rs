//! Debian packages without installing them: `sources` finds the mirror that
//! this machine already uses, `area` runs apt in folders of its own, so that
//! the machine's apt sees nothing of it.
//!
//! Packages that really are installed are `setup`'s business.

pub(crate) mod area;
mod download;
pub(crate) mod sources;

pub(crate) use area::Area;
pub(crate) use sources::Mirrors;
