//! Business days: Monday to Friday, from one time of day to another, where the people are who would act.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

/// How it stands with business hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours {
    /// They last for so many seconds more.
    OpenFor(i64),
    /// They begin in so many seconds.
    OpenIn(i64),
}

/// How it stands at a moment, in milliseconds since 1970; `from` and `to` are minutes after midnight.
///
/// # Errors
/// When there is no such time zone, or no such day.
pub fn hours(unix_ms: i64, from: u16, to: u16, tz: &str) -> Result<Hours, String> {
    let zone = TimeZone::get(tz).map_err(|error| format!("time zone `{tz}`: {error}"))?;
    let now = Timestamp::from_millisecond(unix_ms).map_err(|error| error.to_string())?;
    let now = now.to_zoned_datetime(zone);
    let opens = at(&now, from)?;
    let closes = at(&now, to)?;
    if is_business_day(&now) && now >= opens && now < closes {
        return Ok(Hours::OpenFor(seconds(&now, &closes).max(1)));
    }
    let mut day = now.clone();
    // The longest way is over a weekend; today may still be before its hours.
    for _ in 0..8 {
        let opens = at(&day, from)?;
        if is_business_day(&day) && opens > now {
            return Ok(Hours::OpenIn(seconds(&now, &opens).max(1)));
        }
        day = day.tomorrow().map_err(|error| error.to_string())?;
    }
    Err("no business day follows".to_owned())
}

fn is_business_day(day: &ZonedDateTime) -> bool {
    !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn at(day: &ZonedDateTime, minutes: u16) -> Result<ZonedDateTime, String> {
    let (hour, minute) = (minutes / 60, minutes % 60);
    let small = |number: u16| i8::try_from(number).map_err(|error| error.to_string());
    let time = Time::new(small(hour)?, small(minute)?, 0, 0).map_err(|error| error.to_string())?;
    day.with().time(time).build().map_err(|error| error.to_string())
}

fn seconds(from: &ZonedDateTime, to: &ZonedDateTime) -> i64 {
    to.timestamp().as_second() - from.timestamp().as_second()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(moment: &str) -> Result<Hours, String> {
        let moment: Timestamp = moment.parse().expect("a moment");
        hours(moment.as_millisecond(), 540, 1_020, "Europe/Berlin")
    }

    #[test]
    fn hours_are_those_of_the_place_in_winter_and_in_summer() {
        // 2026-12-01 is a Tuesday.
        assert_eq!(of("2026-12-01T07:59:59Z"), Ok(Hours::OpenIn(1)));
        assert_eq!(of("2026-12-01T08:00:00Z"), Ok(Hours::OpenFor(8 * 3_600)));
        assert_eq!(of("2026-12-01T15:59:00Z"), Ok(Hours::OpenFor(60)));
        assert_eq!(of("2026-12-01T16:00:00Z"), Ok(Hours::OpenIn(16 * 3_600)));
        assert_eq!(of("2026-07-01T07:00:00Z"), Ok(Hours::OpenFor(8 * 3_600)));
    }

    #[test]
    fn a_weekend_is_none() {
        assert_eq!(of("2026-12-04T16:00:00Z"), Ok(Hours::OpenIn(64 * 3_600)), "Friday evening");
        assert_eq!(of("2026-12-06T08:00:00Z"), Ok(Hours::OpenIn(24 * 3_600)), "Sunday");
    }

    #[test]
    fn a_place_that_there_is_not_is_told() {
        assert!(hours(0, 540, 1_020, "Europe/Nowhere").is_err());
    }
}
