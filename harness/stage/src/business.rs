//! Business days: Monday to Friday but for holidays, from one time of day to another, where the people are who would act.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use khala_plan::rollout::HoldLength;

/// How it stands with business hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours {
    /// They last for so many seconds more.
    OpenFor(i64),
    /// They begin in so many seconds.
    OpenIn(i64),
}

/// The days that may lie between two business days: a year of holidays is a mistake.
const DAYS_MAX: u32 = 366;

/// The business days of a place.
#[derive(Clone, Debug)]
pub struct Calendar {
    from: u16,
    to: u16,
    zone: TimeZone,
    holidays: BTreeSet<Date>,
}

impl Calendar {
    /// That of a hold; `None` of one that is held at any time of day.
    ///
    /// # Errors
    /// When there is no such time zone, or no such date.
    pub fn of(length: &HoldLength) -> Result<Option<Self>, String> {
        let HoldLength::BusinessDay { from, to, tz, holidays } = length else { return Ok(None) };
        let zone = TimeZone::get(tz).map_err(|error| format!("time zone `{tz}`: {error}"))?;
        let date = |text: &String| {
            text.parse::<Date>().map_err(|_| {
                format!("the holiday `{}` is no date such as 2026-12-25", text.escape_debug())
            })
        };
        let holidays = holidays.iter().map(date).collect::<Result<_, _>>()?;
        Ok(Some(Self { from: *from, to: *to, zone, holidays }))
    }

    /// How it stands at a moment, in milliseconds since 1970.
    ///
    /// # Errors
    /// When there is no such day.
    pub fn hours(&self, unix_ms: i64) -> Result<Hours, String> {
        let now = Timestamp::from_millisecond(unix_ms).map_err(|error| error.to_string())?;
        let now = now.to_zoned_datetime(self.zone.clone());
        let opens = at(&now, self.from)?;
        let closes = at(&now, self.to)?;
        if self.has(&now) && now >= opens && now < closes {
            return Ok(Hours::OpenFor(seconds(&now, &closes).max(1)));
        }
        let mut day = now.clone();
        // Today may still be before its hours.
        for _ in 0..DAYS_MAX {
            let opens = at(&day, self.from)?;
            if self.has(&day) && opens > now {
                return Ok(Hours::OpenIn(seconds(&now, &opens).max(1)));
            }
            day = day.tomorrow().map_err(|error| error.to_string())?;
        }
        Err("no business day follows".to_owned())
    }

    /// The same, by two clocks of which one may have been set: it is open while it is by both. `None` where there is no such
    /// moment within 31 days.
    ///
    /// # Errors
    /// When there is no such day.
    pub fn hours_by_both(&self, one_ms: i64, other_ms: i64) -> Result<Option<Hours>, String> {
        let mut later_s = 0;
        while later_s < APART_MAX_S {
            let hours = |unix_ms: i64| self.hours(unix_ms + 1_000 * later_s);
            match (hours(one_ms)?, hours(other_ms)?) {
                (Hours::OpenFor(one), Hours::OpenFor(other)) if later_s == 0 => {
                    return Ok(Some(Hours::OpenFor(one.min(other))));
                }
                (Hours::OpenFor(_), Hours::OpenFor(_)) => return Ok(Some(Hours::OpenIn(later_s))),
                (Hours::OpenIn(one), Hours::OpenIn(other)) => later_s += one.max(other),
                (Hours::OpenIn(one), _) => later_s += one,
                (_, Hours::OpenIn(other)) => later_s += other,
            }
        }
        Ok(None)
    }

    /// Its time zone, by its IANA name.
    #[must_use]
    pub fn tz(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    fn has(&self, day: &ZonedDateTime) -> bool {
        let is_weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        !is_weekend && !self.holidays.contains(&day.date())
    }
}

/// How far it is looked for a moment that is a business hour by both of two clocks, in seconds.
const APART_MAX_S: i64 = 31 * 24 * 3600;

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

    fn calendar(tz: &str, holidays: &[&str]) -> Result<Calendar, String> {
        let holidays = holidays.iter().map(|date| (*date).to_owned()).collect();
        let day = HoldLength::BusinessDay { from: 540, to: 1_020, tz: tz.to_owned(), holidays };
        Calendar::of(&day).map(|calendar| calendar.expect("a business day"))
    }

    fn ms(moment: &str) -> i64 {
        moment.parse::<Timestamp>().expect("a moment").as_millisecond()
    }

    fn of(moment: &str) -> Result<Hours, String> {
        calendar("Europe/Berlin", &["2026-12-24", "2026-12-25"])?.hours(ms(moment))
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
    fn a_holiday_is_none() {
        // 2026-12-24 is a Thursday.
        assert_eq!(of("2026-12-24T09:00:00Z"), Ok(Hours::OpenIn(95 * 3_600)), "until Monday");
        assert_eq!(of("2026-12-23T16:00:00Z"), Ok(Hours::OpenIn(112 * 3_600)));
        assert_eq!(of("2026-12-28T08:00:00Z"), Ok(Hours::OpenFor(8 * 3_600)));
    }

    #[test]
    fn of_two_clocks_both_have_to_be_within_the_hours() {
        let calendar = calendar("Europe/Berlin", &[]).expect("a calendar");
        let both = |one: &str, other: &str| calendar.hours_by_both(ms(one), ms(other));
        let noon = "2026-12-01T11:00:00Z";
        assert_eq!(both(noon, noon), Ok(Some(Hours::OpenFor(5 * 3_600))));
        assert_eq!(both("2026-12-01T14:00:00Z", noon), Ok(Some(Hours::OpenFor(2 * 3_600))));
        // Set from the evening before into the morning: three hours of overlap, of which the first is hours away.
        let (evening, morning) = ("2026-11-30T19:00:00Z", "2026-12-01T00:00:00Z");
        assert_eq!(both(morning, evening), Ok(Some(Hours::OpenIn(13 * 3_600))));
        assert_eq!(both("2026-12-01T08:00:00Z", "2026-11-30T22:00:00Z"), Ok(None), "by ten hours");
    }

    #[test]
    fn a_place_or_a_day_that_there_is_not_is_told() {
        assert!(calendar("Europe/Nowhere", &[]).is_err());
        let wrong = calendar("Europe/Berlin", &["25.12.2026"]).expect_err("no date");
        assert!(wrong.contains("`25.12.2026` is no date"), "{wrong}");
    }
}
