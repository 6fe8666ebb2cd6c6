//! How figures are written for people.

use chrono::{DateTime, TimeDelta};

/// Microseconds, in the unit that suits them.
pub fn duration(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people: three digits matter")]
    let value = us as f64;
    if us < 1_000 {
        format!("{us} µs")
    } else if us < 1_000_000 {
        format!("{:.*} ms", usize::from(us < 100_000), value / 1e3)
    } else {
        format!("{:.2} s", value / 1e6)
    }
}

/// [`duration`], or a dash.
pub fn duration_or_dash(us: Option<u64>) -> String {
    us.map_or_else(|| "–".to_owned(), duration)
}

/// Whether a word is a unit that stays with its figure.
pub fn is_unit(word: &str) -> bool {
    matches!(word, "s" | "ms" | "µs" | "%" | "B" | "KiB" | "MiB")
}

/// So many clients, in words.
pub fn clients(n: u64) -> String {
    if n == 1 { "1 client".to_owned() } else { format!("{} clients", count(n)) }
}

/// A moment of the run, for people who read no milliseconds.
pub fn moment(us: u64) -> String {
    format!("{:.1} s", std::time::Duration::from_micros(us).as_secs_f64())
}

/// So many of something, in words.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {many}", count(n)) }
}

/// A moment of a run on the clock, for people: the time of day, UTC, to the second. `started_at` is UTC, RFC
/// 3339; `None` where it is no time.
pub fn utc(started_at: &str, us: u64) -> Option<String> {
    let started = DateTime::parse_from_rfc3339(started_at).ok()?;
    let at = started.checked_add_signed(TimeDelta::microseconds(i64::try_from(us).ok()?))?;
    Some(at.to_utc().format("%H:%M:%S").to_string())
}

/// A count, with separators.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(duration(999), "999 µs");
        assert_eq!(duration(1_500), "1.5 ms");
        assert_eq!(duration(150_400), "150 ms");
        assert_eq!(duration(2_340_000), "2.34 s");
        assert_eq!(counted(1, "stall", "stalls"), "1 stall");
        assert_eq!(counted(1_000, "stall", "stalls"), "1,000 stalls");
        let started = "2026-01-02T23:59:59Z";
        assert_eq!(utc(started, 1_999_999).as_deref(), Some("00:00:00"));
        assert_eq!(utc("", 5), None);
        assert_eq!(
            (count(7), count(1_234), count(1_234_567)),
            ("7".into(), "1,234".into(), "1,234,567".into())
        );
    }
}
