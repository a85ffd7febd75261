//! Durations, sizes and shares as configuration files write them: `90s`, `2GiB`, `30%`.

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Longest duration that is understood. Longer ones would leave the range of dates.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

/// A whole number with `ms`, `s`, `m`, `h` or `d`.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let (_, unit_ms) = DURATIONS.iter().find(|(name, _)| *name == unit)?;
    let duration = Duration::from_millis(number.checked_mul(*unit_ms)?);
    (duration <= LONGEST).then_some(duration)
}

/// A whole number of bytes with `B`, or with `KB`, `MB`, `GB`, `TB` (of a thousand) or `KiB`,
/// `MiB`, `GiB`, `TiB` (of 1,024). Case does not count.
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let (_, unit_bytes) = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*unit_bytes)
}

/// `0%` to `100%`, as a share from 0 to 1.
pub(crate) fn share(text: &str) -> Option<f64> {
    let number = text.trim().strip_suffix('%')?.trim_end();
    if !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let percent: f64 = number.parse().ok()?;
    (percent <= 100.0).then_some(percent / 100.0)
}

/// A duration in the largest unit that needs no fraction.
pub(crate) fn duration_text(duration: Duration) -> String {
    in_largest_unit(duration.as_millis() as u64, &DURATIONS, "s")
}

/// A size in the largest unit that needs no fraction.
pub(crate) fn size_text(bytes: u64) -> String {
    in_largest_unit(bytes, &SIZES, "B")
}

fn in_largest_unit(number: u64, units: &[(&str, u64)], zero: &str) -> String {
    match units.iter().find(|(_, unit)| number > 0 && number.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", number / unit),
        None => format!("{number}{zero}"),
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        assert_eq!(duration("120s"), Some(Duration::from_secs(120)));
        assert_eq!(duration("14d"), Some(Duration::from_secs(14 * 86_400)));
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("0s"), Some(Duration::ZERO));
        for bad in ["", "s", "5", "5 minutes", "-5s", "1.5h", "99999999999999999999d", "40000d"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(duration_text(Duration::from_secs(7200)), "2h");
        assert_eq!(duration_text(Duration::from_millis(1500)), "1500ms");
        assert_eq!(duration_text(Duration::ZERO), "0s");
    }

    #[test]
    fn sizes_are_read_and_written() {
        assert_eq!(size("2GiB"), Some(2 << 30));
        assert_eq!(size("500 MB"), Some(500_000_000));
        assert_eq!(size("1b"), Some(1));
        for bad in ["", "GiB", "2", "2 bytes", "-1MB", "99999999TiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
        assert_eq!(size_text(64 << 20), "64MiB");
        assert_eq!(size_text(20_000_000), "20MB");
        assert_eq!(size_text(1), "1B");
    }

    #[test]
    fn shares_are_read() {
        assert_eq!(share("30%"), Some(0.3));
        assert_eq!(share("2.5 %"), Some(0.025));
        assert_eq!(share("100%"), Some(1.0));
        for bad in ["", "%", "30", "101%", "-1%", "nan%", "1e1%", "1.2.3%"] {
            assert_eq!(share(bad), None, "{bad}");
        }
    }
}
