//! [`ByteSize`]: sizes in messages.

use std::fmt;

/// A number of bytes, shown in the largest unit of which there is at least one: `6 GiB`, `5.9 TiB`.
/// One digit follows the point, rounded up, unless it is 0.
#[derive(Clone, Copy, Debug)]
pub struct ByteSize(pub u64);

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let unit = self.0.checked_ilog2().unwrap_or(0) / 10;
        let tenths = (u128::from(self.0) * 10).div_ceil(1 << (10 * unit));
        let (whole, tenth, unit) = (tenths / 10, tenths % 10, UNITS[unit as usize]);
        match tenth {
            0 => write!(f, "{whole} {unit}"),
            _ => write!(f, "{whole}.{tenth} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1025, "1.1 KiB"),
            (6 << 30, "6 GiB"),
            (6000 << 30, "5.9 TiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
