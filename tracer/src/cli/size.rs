//! The size of the ring buffer on the command line: `256K`, `4M`, bytes. The
//! kernel takes powers of two of at least a page, so others are rounded up.

use std::str::FromStr;

/// Smallest size: a page.
const LEAST: u64 = 4096;
/// Largest size that is accepted; the kernel would lock as much memory.
const MOST: u64 = 1 << 30;

/// A size of the ring buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSize {
    /// What was asked for.
    asked: u64,
    /// What it becomes: a power of two.
    pub bytes: u32,
}

impl BufferSize {
    /// Says that it was rounded, where it was.
    pub fn note(self) -> Option<String> {
        let Self { asked, bytes } = self;
        (u64::from(bytes) != asked).then(|| {
            format!("--buffer rounded up from {asked} to {bytes} bytes: the kernel takes powers of two of at least {LEAST}")
        })
    }
}

impl FromStr for BufferSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is no size of a buffer: bytes, or K, M or G of them, from 4K to 1G (less is rounded up)")
        };
        let upper = text.to_ascii_uppercase();
        let number = upper
            .strip_suffix("IB")
            .or(upper.strip_suffix('B'))
            .unwrap_or(&upper);
        let (number, unit) = match number.as_bytes().last() {
            Some(b'K') => (&number[..number.len() - 1], 1 << 10),
            Some(b'M') => (&number[..number.len() - 1], 1 << 20),
            Some(b'G') => (&number[..number.len() - 1], 1 << 30),
            _ => (number, 1),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let asked = number
            .checked_mul(unit)
            .filter(|asked| (1..=MOST).contains(asked));
        let asked = asked.ok_or_else(wrong)?;
        let bytes = asked.max(LEAST).next_power_of_two();
        Ok(Self {
            asked,
            bytes: u32::try_from(bytes).map_err(|_| wrong())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let bytes = |text: &str| text.parse::<BufferSize>().map(|size| size.bytes);
        assert_eq!(bytes("4096"), Ok(4096));
        assert_eq!(bytes("256K"), Ok(262_144));
        assert_eq!(bytes("3m"), Ok(4_194_304));
        assert_eq!(bytes("1"), Ok(4096));
        assert_eq!(bytes("1G"), Ok(1 << 30));
        for text in [
            "",
            "0",
            "K",
            "-4K",
            "1.5M",
            "2G",
            "99999999999999999999",
            "4KK",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!("4K".parse::<BufferSize>().unwrap().note(), None);
        assert!("5K"
            .parse::<BufferSize>()
            .unwrap()
            .note()
            .unwrap()
            .contains("5120 to 8192"));
    }
}
