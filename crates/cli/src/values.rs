//! Values of options: sizes and times.

use std::time::Duration;

/// Parses a time: `100ms`, `1.5s`, `2m`, or plain seconds.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a time such as 100ms, 1.5s or 2m".into()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "expected a time such as 100ms, 1.5s or 2m".to_string())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

/// Parses a number of bytes: `65536`, `64K`, `64KiB`, `2G`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit
        .strip_suffix("iB")
        .filter(|unit| !unit.is_empty())
        .unwrap_or(unit);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => {
            return Err(
                "expected a number of bytes, optionally in units of K, M, G or T (powers of 1024)"
                    .into(),
            );
        }
    };
    let number: u64 = number
        .parse()
        .map_err(|_| "expected a number of bytes".to_string())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "the number of bytes does not fit 64 bits".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65536),
            ("64K", 65536),
            ("64KiB", 65536),
            ("2G", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "K",
            "iB",
            "1iB",
            "64k",
            "1.5G",
            "-1",
            "1KB",
            "99999999T",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("2", 2_000_000_000),
            ("0.5", 500_000_000),
            ("1s", 1_000_000_000),
            ("1.5s", 1_500_000_000),
            ("100ms", 100_000_000),
            ("7us", 7_000),
            ("9ns", 9),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
        for text in [
            "",
            "s",
            "-1",
            "1 s",
            "1d",
            "1..2s",
            "ms",
            "inf",
            "1e30",
            "999999999999999999h",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
