//! When something was written down: by the clock on the wall, and by one that nobody can set.

use serde::{Deserialize, Serialize};

/// How much the clocks of one machine may drift apart before one of them was set: 5 s. An assumption; NTP
/// slews by at most 0.5 ms a second, and steps what is more.
const DRIFT_MAX_MS: i64 = 5_000;

/// A moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// UTC, RFC 3339.
    pub at: String,
    /// The same in milliseconds since 1970.
    pub unix_ms: i64,
    /// Milliseconds since the machine was started, suspended ones included.
    pub uptime_ms: i64,
    /// Which start of the machine that was.
    pub boot: String,
}

impl Stamp {
    /// How long it was from an earlier moment to this one, in milliseconds. Within one boot nobody can set
    /// the clock that says so.
    ///
    /// # Errors
    /// That a clock was set back, in a sentence.
    pub fn since(&self, earlier: &Self) -> Result<i64, String> {
        let wall = self.unix_ms - earlier.unix_ms;
        let back = |ms: i64| {
            let seconds = -ms as f64 / 1e3;
            format!(
                "the clock was set back by {seconds:.1} s between {} and {}",
                earlier.at, self.at
            )
        };
        // Where nobody says which start of the machine it was, it may be another.
        if self.boot != earlier.boot || self.boot.is_empty() {
            return if wall < 0 { Err(back(wall)) } else { Ok(wall) };
        }
        let passed = self.uptime_ms - earlier.uptime_ms;
        if passed < 0 {
            let (from, to) = (&earlier.at, &self.at);
            return Err(format!("the machine's own clock ran back between {from} and {to}"));
        }
        if wall < passed - DRIFT_MAX_MS { Err(back(wall - passed)) } else { Ok(passed) }
    }

    /// How old an earlier moment is, in milliseconds, by the clock that says more: a machine that stood still as a whole
    /// (a snapshot of it) finds the clock that nobody sets where it was.
    ///
    /// # Errors
    /// That a clock was set back, in a sentence.
    pub fn age_of(&self, earlier: &Self) -> Result<i64, String> {
        Ok(self.since(earlier)?.max(self.unix_ms - earlier.unix_ms))
    }

    /// By how much the clock on the wall was set since an earlier moment, in milliseconds: forward where it is more than
    /// 0. Over a reboot nobody knows: 0.
    #[must_use]
    pub fn set_since(&self, earlier: &Self) -> i64 {
        if self.boot != earlier.boot || self.boot.is_empty() {
            return 0;
        }
        (self.unix_ms - earlier.unix_ms) - (self.uptime_ms - earlier.uptime_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(unix_ms: i64, uptime_ms: i64, boot: &str) -> Stamp {
        Stamp { at: format!("t{unix_ms}"), unix_ms, uptime_ms, boot: boot.to_owned() }
    }

    #[test]
    fn time_passes_by_the_clock_that_nobody_sets() {
        let first = stamp(100_000, 50_000, "a");
        assert_eq!(stamp(110_000, 60_000, "a").since(&first), Ok(10_000));
        assert_eq!(stamp(900_000, 60_000, "a").since(&first), Ok(10_000), "set forward");
        assert_eq!(stamp(130_000, 10, "b").since(&first), Ok(30_000), "another boot");
    }

    #[test]
    fn what_is_told_to_be_fresh_is_as_old_as_the_clock_says_that_says_more() {
        let first = stamp(100_000, 50_000, "a");
        assert_eq!(stamp(900_000, 60_000, "a").age_of(&first), Ok(800_000), "set forward");
        assert_eq!(stamp(108_000, 60_000, "a").age_of(&first), Ok(10_000), "slewed back");
        assert_eq!(stamp(130_000, 10, "b").age_of(&first), Ok(30_000), "another boot");
        assert!(stamp(40_000, 60_000, "a").age_of(&first).is_err(), "set back");
    }

    #[test]
    fn a_clock_that_was_set_is_found_by_the_one_that_nobody_sets() {
        let first = stamp(100_000, 50_000, "a");
        assert_eq!(stamp(900_000, 60_000, "a").set_since(&first), 790_000);
        assert_eq!(stamp(90_000, 60_000, "a").set_since(&first), -20_000);
        assert_eq!(stamp(900_000, 60_000, "b").set_since(&first), 0, "another boot");
        let unknown = stamp(100_000, 50_000, "");
        assert_eq!(stamp(900_000, 60_000, "").set_since(&unknown), 0, "nobody says which boot");
    }

    #[test]
    fn without_a_word_on_the_boot_the_wall_clock_tells() {
        let first = stamp(100_000, 50_000, "");
        assert_eq!(stamp(900_000, 50_001, "").since(&first), Ok(800_000));
        assert!(stamp(90_000, 60_000, "").since(&first).is_err());
    }

    #[test]
    fn a_clock_that_was_set_back_is_told() {
        let first = stamp(100_000, 50_000, "a");
        let said = stamp(40_000, 60_000, "a").since(&first).expect_err("set back");
        assert_eq!(said, "the clock was set back by 70.0 s between t100000 and t40000");
        assert!(stamp(104_000, 60_000, "a").since(&first).is_err(), "by 6 s");
        assert!(stamp(106_000, 60_000, "a").since(&first).is_ok(), "by no more than drift");
        assert!(stamp(99_999, 10, "b").since(&first).is_err(), "over a reboot");
        assert!(stamp(100_000, 49_999, "a").since(&first).is_err());
    }
}
