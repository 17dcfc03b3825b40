//! Times and durations as rules write them: `"90s"`, `"10m"`, `"2h"`, `"1d"`,
//! `"1h30m"`, or a plain integer of seconds. No clock here.

use jiff::Timestamp;

/// Longest duration a rule may name: 400 days.
pub const DURATION_MS_MAX: i64 = 400 * 86_400_000;

const UNITS: &[(&str, i64)] =
    &[("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];

/// Milliseconds of `"10m"` and the like; `None` when it is not a duration,
/// not positive, or longer than [`DURATION_MS_MAX`].
pub fn parse_ms(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let amount: i64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let (unit, ms) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        total = total.checked_add(amount.checked_mul(*ms)?)?;
        rest = rest.get(unit.len()..)?.trim_start();
    }
    in_range(total)
}

/// Milliseconds of an integer of seconds, under the same limits.
pub fn from_seconds(seconds: i64) -> Option<i64> {
    in_range(seconds.checked_mul(1_000)?)
}

fn in_range(ms: i64) -> Option<i64> {
    (ms > 0 && ms <= DURATION_MS_MAX).then_some(ms)
}

/// `90000` as `"1m30s"`: the shortest text that [`parse_ms`] reads back (whole seconds).
pub fn to_text(ms: i64) -> String {
    let mut rest = ms.max(0) / 1_000 * 1_000;
    let mut out = String::new();
    for (unit, unit_ms) in UNITS {
        if rest >= *unit_ms {
            out.push_str(&format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// Unix milliseconds of an RFC 3339 text.
pub fn parse_moment_ms(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// RFC 3339 text of unix milliseconds; the bare number outside of years -9999 to 9999.
pub fn moment_to_text(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_single_and_compound_durations() {
        for (text, ms) in [
            ("90s", 90_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            (" 1h 5m ", 3_900_000),
            ("2w", 1_209_600_000),
        ] {
            assert_eq!(parse_ms(text), Some(ms), "{text}");
        }
        for text in ["", "10", "m", "-5m", "0s", "10 minutes", "5x", "99999999999999999999s", "401d"] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
        assert_eq!(from_seconds(90), Some(90_000));
        assert_eq!(from_seconds(0), None);
        assert_eq!(from_seconds(i64::MAX), None);
    }

    #[test]
    fn text_is_read_back() {
        for ms in [1_000, 90_000, 5_400_000, 86_400_000, 694_861_000] {
            assert_eq!(parse_ms(&to_text(ms)), Some(ms));
        }
        assert_eq!(to_text(90_000), "1m30s");
        assert_eq!(moment_to_text(parse_moment_ms("2025-11-21T08:00:00Z").unwrap()), "2025-11-21T08:00:00Z");
    }
}
