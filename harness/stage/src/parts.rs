//! A hold, in as many parts as it takes: when each begins, and how long it is. Without clocks and sockets of its own, so
//! that a business day can be held in a test.
//!
//! What was observed counts, in whichever part, and nothing else does: not the time that was waited, nor that in which
//! the machine slept, nor what lies outside business hours.

use khala_plan::rollout::HoldLength;

use crate::business::{self, Hours};

/// The least that a part of a hold is worth running for, in seconds.
const PART_MIN_S: u64 = 60;
/// By how much a part may go on beyond its business day, in seconds: it is begun a little later than it was planned, and a
/// part that is cut for that has to be followed by another the next day.
const LATE_S: u64 = 600;

/// In what a hold is carried out.
pub trait World {
    /// What keeps it from going on.
    type Error;

    /// The clock on the wall, in milliseconds since 1970.
    fn now_ms(&self) -> i64;
    /// Waits for a second; whether the stage goes on.
    fn pause(&mut self) -> bool;
    /// Tells people something.
    fn tell(&self, what: &str);
    /// How much was observed until now, in seconds.
    fn observed_s(&self) -> f64;
    /// Whether no further part is wanted.
    fn is_settled(&self) -> bool;
    /// Holds for so many seconds, and not beyond that moment, where there is one.
    ///
    /// # Errors
    /// What keeps the stage from going on.
    fn part(&mut self, part_s: u64, closes_ms: Option<i64>) -> Result<After, Self::Error>;
    /// Of a business day that is none.
    fn no_such_day(why: String) -> Self::Error;
}

/// What follows a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// What is left is held in another.
    Another,
    /// Nothing.
    Nothing,
    /// The stage was interrupted.
    Interrupted,
}

/// Whether a part that must not go on beyond a moment is to be cut: the machine slept, or its clock was set. What its
/// clients took to arrive is added.
#[must_use]
pub fn is_over(now_ms: i64, closes_ms: i64, lead_ms: u64) -> bool {
    now_ms - closes_ms >= 1_000 * LATE_S.cast_signed() + lead_ms.cast_signed()
}

/// How a hold is to be.
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    /// How long it is in all, in seconds.
    pub hold_s: u64,
    /// At which time of day.
    pub length: &'a HoldLength,
}

impl Parts<'_> {
    /// Carries it out; whether it came to its end, and was not interrupted.
    ///
    /// # Errors
    /// What keeps the stage from going on.
    pub fn carry_out<W: World>(&self, world: &mut W) -> Result<bool, W::Error> {
        while !world.is_settled() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "seconds of a hold"
            )]
            let left_s = (self.hold_s as f64 - world.observed_s()).ceil().max(0.0) as u64;
            let part_s = left_s.max(PART_MIN_S.min(self.hold_s));
            let Some(open) = self.open(world, part_s.min(PART_MIN_S))? else { return Ok(false) };
            let part_s = open.map_or(part_s, |(open_s, _)| part_s.min(open_s));
            match world.part(part_s, open.map(|(_, closes_ms)| closes_ms))? {
                After::Another => {}
                After::Nothing => break,
                After::Interrupted => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Waits until a part can be held for so long; for how many seconds more the business day lasts, and until when,
    /// where it is one. `None` when the stage was interrupted.
    fn open<W: World>(
        &self,
        world: &mut W,
        least_s: u64,
    ) -> Result<Option<Option<(u64, i64)>>, W::Error> {
        let HoldLength::BusinessDay { from, to, tz } = self.length else { return Ok(Some(None)) };
        // Of a short day some is better than none.
        let least_s = least_s.min(self.length.duration().as_secs() / 2);
        let mut told = false;
        loop {
            let now_ms = world.now_ms();
            match business::hours(now_ms, *from, *to, tz).map_err(W::no_such_day)? {
                Hours::OpenFor(seconds) if seconds.unsigned_abs() >= least_s => {
                    return Ok(Some(Some((seconds.unsigned_abs(), now_ms + seconds * 1_000))));
                }
                // What is left of the day is too short to be worth a run.
                Hours::OpenFor(_) => {}
                Hours::OpenIn(seconds) if !told => {
                    let minutes = (seconds + 59) / 60;
                    world.tell(&format!(
                        "the hold goes on with the business day ({tz}), in {minutes} min; interrupted, it is taken \
                         up again with --resume"
                    ));
                    told = true;
                }
                Hours::OpenIn(_) => {}
            }
            if !world.pause() {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
