//! Lengths of time and numbers of bytes as people write them, and back. Pure; the error is the sentence for the label.

use std::time::Duration;

/// Longest length of time there is in a manifest: one year. Beyond it a clock's arithmetic could overflow.
const MAX_DURATION: Duration = Duration::from_secs(366 * 86_400);

/// Units of time, in nanoseconds.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

const SIZE_UNITS: [(&str, u64); 10] = [
    ("b", 1),
    ("kb", 1000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("k", 1000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
];

/// Splits a leading decimal number off.
fn number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

/// `1.5s`, `250ms`, `1h30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("a length of time is missing".into());
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let (digits, after) = number(rest);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let (Ok(whole), Ok(part)) = (whole.parse::<u64>(), fraction.parse::<u64>()) else {
            return Err("not a length of time".into());
        };
        let (unit, next) =
            after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let Some((_, nanos)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(match unit {
                "" => "a unit is missing".into(),
                unit => format!("`{unit}` is not a unit of time"),
            });
        };
        let scale = u32::try_from(fraction.len()).ok().and_then(|digits| 10u128.checked_pow(digits));
        let part = scale.and_then(|scale| u64::try_from(u128::from(part) * u128::from(*nanos) / scale).ok());
        let whole = whole.checked_mul(*nanos).and_then(|whole| whole.checked_add(part?));
        sum += Duration::from_nanos(whole.unwrap_or(u64::MAX));
        if sum > MAX_DURATION {
            return Err("longer than a year".into());
        }
        rest = next.trim_start();
    }
    Ok(sum)
}

/// The shortest exact way to write it with one unit; parts of a millisecond as a fraction.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".into();
    }
    for (unit, size) in DURATION_UNITS.iter().rev().map(|(unit, size)| (*unit, u128::from(*size))) {
        // A minute is told as 60s: so are the defaults in the documents.
        if nanos.is_multiple_of(size) && (unit != "m" || nanos != size) {
            return format!("{}{unit}", nanos / size);
        }
    }
    format!("{}.{}ms", nanos / 1_000_000, format!("{:06}", nanos % 1_000_000).trim_end_matches('0'))
}

/// `50MB`, `64KiB`, `512`.
pub fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = number(text.trim());
    let Ok(value) = digits.parse::<f64>() else {
        return Err("not a size".into());
    };
    let unit = unit.trim().to_ascii_lowercase();
    let factor = match SIZE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => 1,
        None => return Err(format!("`{unit}` is not a unit of size")),
    };
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(factor).filter(|&bytes| i64::try_from(bytes).is_ok()).ok_or_else(too_large);
    }
    let bytes = value * factor as f64;
    if bytes.fract() != 0.0 {
        return Err("not a whole number of bytes".into());
    }
    if bytes > 9e15 {
        return Err(too_large());
    }
    Ok(bytes as u64)
}

fn too_large() -> String {
    "too large".into()
}

/// The largest unit that divides it, else plain bytes.
pub fn format_size(bytes: u64) -> Option<String> {
    [
        ("GiB", 1 << 30),
        ("GB", 1_000_000_000),
        ("MiB", 1 << 20),
        ("MB", 1_000_000),
        ("KiB", 1 << 10),
        ("KB", 1000),
    ]
    .iter()
    .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size))
    .map(|(unit, size)| format!("{}{unit}", bytes / size))
}

/// Units of a rate, in milliseconds.
const RATE_UNITS: [(&str, u64); 4] = [("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// `10/s`: how many, in how many milliseconds.
pub fn rate(text: &str) -> Result<(u32, u64), String> {
    let Some((count, unit)) = text.split_once('/') else {
        return Err("`/s`, `/m`, `/h` or `/d` is missing".into());
    };
    let (count, unit) = (count.trim(), unit.trim());
    let Some((_, per_ms)) = RATE_UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("`{unit}` is not a unit of time that fits here"));
    };
    match count.parse::<u32>() {
        Ok(0) => Err("nothing would pass".into()),
        Ok(count) if count <= MAX_RATE => Ok((count, *per_ms)),
        Ok(_) => Err(format!("more than {MAX_RATE}")),
        Err(_) => Err(format!("`{count}` is not a whole number")),
    }
}

/// Largest number of a rate.
const MAX_RATE: u32 = 1_000_000;

/// What [`rate`] read.
pub fn format_rate(count: u32, per_ms: u64) -> String {
    let unit = RATE_UNITS.iter().find(|(_, own)| *own == per_ms).map_or("s", |(unit, _)| *unit);
    format!("{count}/{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("5"), Err("a unit is missing".into()));
        for bad in ["", "s", "-1s", "1x", "1..2s", "400d", "1s,2m"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("50MB"), Ok(50_000_000));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1.5 GiB"), Ok(3 << 29));
        assert_eq!(size("512"), Ok(512));
        for bad in ["", "MB", "-1MB", "1TB?", "0.3B", "99999999999GB"] {
            assert!(size(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(rate("10/s"), Ok((10, 1000)));
        assert_eq!(rate("5 / d"), Ok((5, 86_400_000)));
        for (unit, per_ms) in RATE_UNITS {
            assert_eq!(rate(&format_rate(7, per_ms)), Ok((7, per_ms)), "{unit}");
        }
        for bad in ["", "10", "/s", "0/s", "-1/s", "1.5/s", "10/w", "10/", "9999999999/s"] {
            assert!(rate(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

        #[test]
        fn what_is_written_is_read_back(nanos in 0u64..30_000_000_000_000_000, bytes in 0u64..1 << 50) {
            let seconds = Duration::from_secs(nanos / 1_000_000_000);
            for exact in [seconds, Duration::from_micros(nanos / 1000), Duration::from_nanos(nanos), Duration::from_millis(nanos / 1_000_000)] {
                prop_assert_eq!(duration(&format_duration(exact)).unwrap(), exact);
            }
            if let Some(text) = format_size(bytes) {
                prop_assert_eq!(size(&text).unwrap(), bytes);
            }
        }

        #[test]
        fn never_panics(text in "\\PC*") {
            let _ = duration(&text);
            let _ = size(&text);
            let _ = rate(&text);
        }
    }
}
