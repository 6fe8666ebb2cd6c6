//! Quantities as scenarios write them: durations (`1m30s`), rates (`2/s`), shares (`3%`), bytes
//! (`8KiB`, `2KiB/s`).
//!
//! Texts to numbers and back, nothing else: ranges and defaults belong to the keys.

use std::time::Duration;

/// The longest duration that a scenario may name.
pub const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The units of a duration, longest first, in microseconds.
pub(crate) const DURATION_UNITS: [(&str, f64); 5] =
    [("h", 3_600e6), ("m", 60e6), ("s", 1e6), ("ms", 1e3), ("us", 1.0)];

/// The units of a size, in bytes; largest first.
pub(crate) const BYTE_UNITS: [(&str, u64); 3] = [("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The units of a rate, in seconds.
pub(crate) const RATE_UNITS: [(&str, f64); 3] = [("s", 1.0), ("min", 60.0), ("h", 3_600.0)];

/// Why a text is not a quantity: one clause, to follow the text in quotes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAQuantity(String);

impl NotAQuantity {
    pub(crate) fn of(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

fn no<T>(why: impl Into<String>) -> Result<T, NotAQuantity> {
    Err(NotAQuantity::of(why))
}

/// Whole microseconds of a duration; `u64::MAX` for what is longer than 584,542 years.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Reads a duration: one or more numbers with a unit each, longer units first, such as `10s`,
/// `250ms`, `1.5s` or `1h30m`.
///
/// # Errors
/// When the text is anything else, or longer than [`DURATION_MAX`].
pub fn duration(text: &str) -> Result<Duration, NotAQuantity> {
    exact(text).map_err(|wrong| meant(text).map_or(wrong, NotAQuantity))
}

/// What is wrong with a duration of which is clear what it means, with how it is written.
fn meant(text: &str) -> Option<String> {
    let (mut fixed, mut other) = (String::new(), None);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (number, after) = leading_number(rest);
        number?;
        fixed.push_str(&rest[..rest.len() - after.len()]);
        let (word, tail) = leading_word(after.trim_start());
        let unit = unit_meant(word)?;
        other = other.or((unit != word).then_some((word, unit)));
        fixed.push_str(unit);
        rest = tail.trim_start();
    }
    exact(&fixed).ok()?;
    Some(match other {
        Some((word, unit)) => format!("has the unit `{word}` for `{unit}`: write `{fixed}`"),
        None => format!("has a blank in it: write `{fixed}`"),
    })
}

/// The unit of a duration that goes by this name elsewhere.
fn unit_meant(word: &str) -> Option<&'static str> {
    Some(match word.to_lowercase().as_str() {
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => "ms",
        // The two letters that look the same: the micro sign, and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" | "usec" | "usecs" | "micros" | "microsecond"
        | "microseconds" => "us",
        _ => return None,
    })
}

fn leading_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_alphabetic()).unwrap_or(text.len()))
}

fn exact(text: &str) -> Result<Duration, NotAQuantity> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return no("is empty; write a number and a unit, such as `10s`");
    }
    let mut micros = 0.0;
    let mut units_left = &DURATION_UNITS[..];
    while !rest.is_empty() {
        let (number, after) = leading_number(rest);
        let Some(number) = number else {
            return no("is not a number with a unit, such as `10s`, `250ms` or `1h30m`");
        };
        let (unit, tail) = leading_word(after);
        if unit.is_empty() {
            return no(match leading_word(after.trim_start()).0 {
                "" => "lacks a unit; `h`, `m`, `s`, `ms` and `us` are known".to_owned(),
                word => format!("has the unit `{word}`; `h`, `m`, `s`, `ms` and `us` are known"),
            });
        }
        let Some(position) = units_left.iter().position(|(name, _)| *name == unit) else {
            let known = DURATION_UNITS.iter().any(|(name, _)| *name == unit);
            return no(if known {
                "names its units out of order; the longer unit comes first, each once".to_owned()
            } else {
                format!("has the unit `{unit}`; `h`, `m`, `s`, `ms` and `us` are known")
            });
        };
        micros += number * units_left[position].1;
        units_left = &units_left[position + 1..];
        rest = tail;
    }
    if micros > DURATION_MAX.as_micros() as f64 {
        return no("is longer than seven days");
    }
    Ok(Duration::from_micros(micros.round() as u64))
}

/// Reads a rate per second: `2/s`, `120/min`, `0.5/h`.
///
/// # Errors
/// When the text is anything else.
pub fn rate_per_s(text: &str) -> Result<f64, NotAQuantity> {
    const SHAPE: &str = "is not a rate, such as `2/s`, `120/min` or `30/h`";
    let Some((written, unit)) = text.split_once('/') else {
        return no(SHAPE);
    };
    let (Some(count), "") = leading_number(written.trim()) else {
        return no(SHAPE);
    };
    match RATE_UNITS.iter().find(|(name, _)| *name == unit.trim()) {
        Some((_, seconds)) => Ok(count / seconds),
        None => {
            let meant = match unit_meant(unit.trim()) {
                Some("s") => Some("s"),
                Some("m") => Some("min"),
                Some("h") => Some("h"),
                _ => None,
            };
            let unit = unit.trim();
            no(match meant {
                Some(meant) => format!("is per `{unit}`: write `{}/{meant}`", written.trim()),
                None => format!("is per `{unit}`; `/s`, `/min` and `/h` are known"),
            })
        }
    }
}

/// Reads a share of 1: `3%` or `0.03`.
///
/// # Errors
/// When the text is anything else, or outside 0 to 1.
pub fn share(text: &str) -> Result<f64, NotAQuantity> {
    let (number, scale) = match text.trim().strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text.trim(), 1.0),
    };
    let (Some(number), "") = leading_number(number) else {
        return no("is not a share, such as `3%` or `0.03`");
    };
    let share = number / scale;
    if share > 1.0 { no("is more than the whole; `3%` and `0.03` are the same") } else { Ok(share) }
}

/// A share of 1 as people read it: `1 %`.
#[must_use]
pub fn format_share(share: f64) -> String {
    format!("{} %", (share * 1e8).round() / 1e6)
}

/// Reads a size in bytes: `512B`, `8KiB`, `1.5MiB`.
///
/// # Errors
/// When the text is anything else, or not a whole number of bytes.
pub fn bytes(text: &str) -> Result<u64, NotAQuantity> {
    let (Some(number), unit) = leading_number(text.trim()) else {
        return no("is not a size, such as `512B`, `8KiB` or `1MiB`");
    };
    let unit = unit.trim();
    if unit.is_empty() {
        return no("lacks a unit; `B`, `KiB` and `MiB` are known");
    }
    let Some((_, scale)) = BYTE_UNITS.iter().find(|(name, _)| *name == unit) else {
        return no(format!("has the unit `{unit}`; `B`, `KiB` and `MiB` are known"));
    };
    let bytes = number * *scale as f64;
    // Whole numbers up to here are exact in an f64.
    if bytes.fract() != 0.0 || bytes > (1_u64 << 53) as f64 {
        return no("is not a whole number of bytes");
    }
    Ok(bytes as u64)
}

/// Reads a flow of bytes per second: `2KiB/s`.
///
/// # Errors
/// When the text is anything else.
pub fn bytes_per_s(text: &str) -> Result<u64, NotAQuantity> {
    match text.trim().strip_suffix("/s") {
        Some(size) => bytes(size),
        None => no("is not a flow, such as `512B/s` or `2KiB/s`"),
    }
}

/// A size as a scenario would write it; exact.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    let fits = |scale: u64| bytes > 0 && bytes.is_multiple_of(scale);
    let (unit, scale) = BYTE_UNITS.into_iter().find(|(_, scale)| fits(*scale)).unwrap_or(("B", 1));
    format!("{}{unit}", bytes / scale)
}

/// The unsigned decimal number that a text starts with, and the rest.
fn leading_number(text: &str) -> (Option<f64>, &str) {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'));
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    (number.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite()), rest)
}

/// A duration as a scenario would write it; exact to the microsecond.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut micros = duration.as_micros();
    let mut out = String::new();
    for (unit, scale) in [("h", 3_600_000_000), ("m", 60_000_000)] {
        // 90s reads better than 1m30s, and 1h30m better than 90m.
        let worth_it = unit == "h" || micros >= 2 * scale || micros.is_multiple_of(scale);
        if worth_it || !out.is_empty() {
            let whole = micros / scale;
            micros %= scale;
            if whole > 0 {
                out.push_str(&format!("{whole}{unit}"));
            }
        }
    }
    match micros {
        0 if out.is_empty() => out.push_str("0s"),
        0 => {}
        us if us % 1_000 != 0 && us < 1_000 => out.push_str(&format!("{us}us")),
        us if us < 1_000_000 => out.push_str(&format!("{}ms", us as f64 / 1e3)),
        us => out.push_str(&format!("{}s", us as f64 / 1e6)),
    }
    out
}

/// A whole number with commas between thousands.
#[must_use]
pub fn format_count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Serde: a duration as a scenario writes it.
pub(crate) fn serialize_duration<S: serde::Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*duration))
}

/// Serde: a size as a scenario writes it.
pub(crate) fn serialize_bytes<S: serde::Serializer>(
    bytes: &u32,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_bytes(u64::from(*bytes)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_in_all_units_and_combined() {
        let us = |text| duration(text).map(|d| d.as_micros()).map_err(|e| e.to_string());
        for (text, expected) in [
            ("10s", 10_000_000),
            ("250ms", 250_000),
            ("2m", 120_000_000),
            ("1h30m", 5_400_000_000),
            ("1.5s", 1_500_000),
            ("1m0.25s", 60_250_000),
            ("7us", 7),
            (" 0s ", 0),
            ("1_000ms", 1_000_000),
        ] {
            assert_eq!(us(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_says_why() {
        for (text, why) in [
            ("", "is empty"),
            ("10", "lacks a unit"),
            ("10 s", "has a blank in it: write `10s`"),
            ("1h 30m", "has a blank in it: write `1h30m`"),
            ("500 ms", "has a blank in it: write `500ms`"),
            ("3 sec", "has the unit `sec` for `s`: write `3s`"),
            ("3sec", "has the unit `sec` for `s`: write `3s`"),
            ("1 hour 5 minutes", "has the unit `hour` for `h`: write `1h5m`"),
            ("7 \u{b5}s", "has the unit `\u{b5}s` for `us`: write `7us`"),
            ("2 parsecs", "has the unit `parsecs`; `h`, `m`"),
            // What is clear is not what may be written.
            ("5 min 1 hour", "has the unit `min`"),
            ("9999 hours", "has the unit `hours`"),
            ("10x", "has the unit `x`"),
            ("-3s", "is not a number with a unit"),
            ("s", "is not a number with a unit"),
            ("1.2.3s", "is not a number with a unit"),
            ("5s1m", "out of order"),
            ("1m1m", "out of order"),
            ("169h", "longer than seven days"),
            ("99999999999999999999h", "longer than seven days"),
        ] {
            let error = duration(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn rates_are_per_second() {
        assert_eq!(rate_per_s("2/s"), Ok(2.0));
        assert_eq!(rate_per_s("120/min"), Ok(2.0));
        assert_eq!(rate_per_s("1.5 / h"), Ok(1.5 / 3600.0));
        for text in ["2", "/s", "x/s", "2/", "2/fortnight", "2s/s"] {
            assert!(rate_per_s(text).is_err(), "{text}");
        }
        for (text, why) in [
            ("2/sec", "is per `sec`: write `2/s`"),
            ("90 / minute", "is per `minute`: write `90/min`"),
            ("90/m", "is per `m`: write `90/min`"),
            ("1/hour", "is per `hour`: write `1/h`"),
            ("2/ms", "is per `ms`; `/s`, `/min` and `/h` are known"),
        ] {
            assert_eq!(rate_per_s(text).expect_err(text).to_string(), why);
        }
    }

    #[test]
    fn shares_are_of_one() {
        let told = [0.01, 0.03, 0.001, 1.0].map(format_share);
        assert_eq!(told, ["1 %", "3 %", "0.1 %", "100 %"]);
        assert_eq!((share("3%"), share("0.03"), share("100 %")), (Ok(0.03), Ok(0.03), Ok(1.0)));
        for text in ["3", "101%", "-1%", "x", "%", ""] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_people_would() {
        for text in
            ["10s", "250ms", "2m", "1h30m", "90s", "1.5s", "7us", "0s", "1.25ms", "2m30s", "1h"]
        {
            assert_eq!(format_duration(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_are_whole_bytes_in_binary_units() {
        assert_eq!(
            [bytes("512B"), bytes("8KiB"), bytes(" 1.5 MiB ")].map(Result::unwrap),
            [512, 8_192, 1_572_864]
        );
        assert_eq!(bytes_per_s("2KiB/s"), Ok(2_048));
        for (text, why) in [
            ("8", "lacks a unit"),
            ("8KB", "has the unit `KB`"),
            ("8k", "has the unit `k`"),
            ("0.3B", "is not a whole number"),
            ("99999999999999999MiB", "is not a whole number"),
            ("-1B", "is not a size"),
            ("", "is not a size"),
        ] {
            let error = bytes(text).expect_err(text).to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        for text in ["2KiB", "2KiB/min", "/s"] {
            assert!(bytes_per_s(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn sizes_that_are_written_are_read_again(size in 0_u64..1 << 40) {
            prop_assert_eq!(bytes(&format_bytes(size)), Ok(size));
        }

        #[test]
        fn what_is_written_is_read_again(micros in 0_u64..604_800_000_000) {
            let written = format_duration(Duration::from_micros(micros));
            prop_assert_eq!(duration(&written), Ok(Duration::from_micros(micros)), "{}", written);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = (duration(&text), rate_per_s(&text), share(&text));
            let _ = (bytes(&text), bytes_per_s(&text));
        }
    }
}
