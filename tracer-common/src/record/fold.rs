//! Signals that are counted instead of told.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{sizes, Header};

/// Keys of `FOLDS`: what does not fit in is told one by one.
pub const FOLD_KEYS: u32 = 4096;

/// Places in `STORMS`.
pub const STORM_PLACES: u32 = 4096;

/// Signals that came to nothing are being counted in `STORMS`, or in `FOLDS`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FoldNote {
    /// `kind` is [`Kind::Folded`](super::Kind::Folded).
    pub header: Header,
}

/// What signals have in common that are counted together: a key of `FOLDS`. Rejected
/// forks have the number 0, which no signal has: of one thread
/// ([`thread`](Self::thread)), with the error as `code`, the stage as `result`, and in
/// `handler` whether it was a process (0), a thread (1) or is not known (2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FoldKey {
    /// Process id of the current task, host's PID namespace.
    pub sender: u32,
    /// Process id of the target.
    pub target: u32,
    /// Thread id of the target if it was for one thread, else 0.
    pub thread: u32,
    /// `si_code`; 0 without a siginfo.
    pub code: i32,
    /// `signal_struct.flags` of the target.
    pub signal_flags: u32,
    /// Signal number.
    pub number: u8,
    /// As in [`Signal::result`](super::Signal::result).
    pub result: u8,
    /// As in [`TargetState::handler`](super::TargetState::handler); 4: an address in user space.
    pub handler: u8,
    /// As in [`Signal::info`](super::Signal::info).
    pub info: u8,
}

/// In every [`FoldKey::hash`], so that none is 0.
pub const HASHED: u64 = 1 << 63;

impl FoldKey {
    /// Multiplied and folded, word by word; never 0.
    #[inline(always)]
    pub fn hash(&self) -> u64 {
        /// 2^64 divided by the golden ratio.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let words: [u64; 3] = zerocopy::transmute!(*self);
        let mut hash = 0u64;
        for word in words {
            hash = (hash ^ word).wrapping_mul(SPREAD);
            hash ^= hash >> 32;
        }
        hash | HASHED
    }
}

/// How many were counted: a value of `FOLDS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Fold {
    /// Since the key was there; only grows.
    pub count: u64,
    /// When the last one came, nanoseconds since boot.
    pub last_ns: u64,
    /// When the second began whose first were told, nanoseconds since boot.
    pub since_ns: u64,
}

impl Fold {
    /// Nothing was counted.
    pub const NONE: Self = Self {
        count: 0,
        last_ns: 0,
        since_ns: 0,
    };
}

/// A place of `STORMS`: a cache line, so that one more costs little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Storm {
    /// [`FoldKey::hash`] of whose place it is; 0: nobody's. It is written last. Another key
    /// has the same with a probability of 2^-63.
    pub hash: u64,
    /// How many.
    pub fold: Fold,
    /// Of what.
    pub key: FoldKey,
    /// Padding.
    pub pad: u64,
}

sizes! {
    FoldNote = 16,
    FoldKey = 24,
    Fold = 24,
    Storm = 64,
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashSet;

    use super::FoldKey;

    const KEY: FoldKey = FoldKey {
        sender: 4711,
        target: 815,
        thread: 0,
        code: 0,
        signal_flags: 0,
        number: 15,
        result: 1,
        handler: 0,
        info: 2,
    };

    /// Keys that differ little fall on places that differ, as dice would throw them.
    #[test]
    fn keys_spread() {
        const PLACES: u64 = 4096;
        let keys: [fn(u32) -> FoldKey; 5] = [
            |n| FoldKey { sender: n, ..KEY },
            |n| FoldKey { target: n, ..KEY },
            |n| FoldKey {
                code: -(n as i32),
                ..KEY
            },
            |n| FoldKey { thread: n, ..KEY },
            |n| FoldKey {
                sender: n,
                target: n + 1,
                ..KEY
            },
        ];
        for key in keys {
            let places: HashSet<_> = (0..500).map(|n| key(n).hash() % PLACES).collect();
            assert!(places.len() > 450, "{} of 500", places.len());
        }
        let numbers: HashSet<_> = (1..=64)
            .map(|number| FoldKey { number, ..KEY }.hash() % PLACES)
            .collect();
        assert!(numbers.len() > 58, "{} of 64", numbers.len());
    }
}
