//! A fast hash for ids, pids and inodes: these come from the kernel and not
//! from an adversary who could choose them to collide, and each event looks up
//! several.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map with it.
pub type Map<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// Multiplies and folds each word (the constant is 2^64 divided by the golden
/// ratio).
#[derive(Clone, Copy, Debug, Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_spread() {
        let hash = |n: u64| {
            let mut mix = Mix::default();
            mix.write_u64(n);
            mix.finish()
        };
        // hashbrown takes the bucket from the low bits and 7 more from the top.
        let low: std::collections::HashSet<_> = (0..1024u64).map(|n| hash(n) & 0xfff).collect();
        let high: std::collections::HashSet<_> = (0..1024u64).map(|n| hash(n) >> 57).collect();
        assert!(low.len() > 700, "{}", low.len());
        assert_eq!(high.len(), 128);
    }
}
