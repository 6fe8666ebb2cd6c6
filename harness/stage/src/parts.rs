//! A hold, in as many parts as it takes: when each begins, and how long it is. Without clocks and sockets of its own, so
//! that a business day can be held in a test.
//!
//! What was observed counts, in whichever part, and nothing else does: not the time that was waited, nor that in which
//! the machine slept, nor what lies outside business hours.

use khala_plan::rollout::HoldLength;

use crate::business::{Calendar, Hours};

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
    /// By how much that clock was set since the stage began, in milliseconds: forward where it is more than 0.
    fn set_ms(&self) -> i64;
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
    /// Notes why nothing more is held.
    fn give_up(&mut self, why: String);
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
            let (part_s, closes_ms) = match self.open(world, part_s.min(PART_MIN_S))? {
                Open::Always => (part_s, None),
                Open::For { open_s, closes_ms } => (part_s.min(open_s), Some(closes_ms)),
                Open::Never => break,
                Open::Interrupted => return Ok(false),
            };
            match world.part(part_s, closes_ms)? {
                After::Another => {}
                After::Nothing => break,
                After::Interrupted => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Waits until a part can be held for so long.
    fn open<W: World>(&self, world: &mut W, least_s: u64) -> Result<Open, W::Error> {
        let Some(calendar) = Calendar::of(self.length).map_err(W::no_such_day)? else {
            return Ok(Open::Always);
        };
        // Of a short day some is better than none.
        let least_s = least_s.min(self.length.duration().as_secs() / 2);
        // Whether the clock was set is told, too.
        let mut told = None;
        loop {
            // A clock that was set into business hours makes none of them: those count that are ones by it and by what it
            // would say had nobody set it, whichever is right.
            let (now_ms, set_ms) = (world.now_ms(), world.set_ms());
            let hours = calendar.hours_by_both(now_ms, now_ms - set_ms).map_err(W::no_such_day)?;
            let Some(hours) = hours else {
                world.give_up(format!("{}, and no hour does", was_set(set_ms)));
                return Ok(Open::Never);
            };
            match hours {
                Hours::OpenFor(seconds) if seconds.unsigned_abs() >= least_s => {
                    let closes_ms = now_ms + seconds * 1_000;
                    return Ok(Open::For { open_s: seconds.unsigned_abs(), closes_ms });
                }
                // What is left of the day is too short to be worth a run.
                Hours::OpenFor(_) => {}
                Hours::OpenIn(seconds) if told != Some(is_set(set_ms)) => {
                    let minutes = (seconds + 59) / 60;
                    let tz = calendar.tz();
                    let set = match is_set(set_ms) {
                        true => format!("; {}", was_set(set_ms)),
                        false => String::new(),
                    };
                    world.tell(&format!(
                        "the hold goes on with the business day ({tz}), in {minutes} min; interrupted, it is taken \
                         up again with --resume{set}"
                    ));
                    told = Some(is_set(set_ms));
                }
                Hours::OpenIn(_) => {}
            }
            if !world.pause() {
                return Ok(Open::Interrupted);
            }
        }
    }
}

/// For how long a part may be held.
enum Open {
    /// At any time of day.
    Always,
    /// For so many seconds more, until a moment of the clock on the wall.
    For { open_s: u64, closes_ms: i64 },
    /// No business hour comes.
    Never,
    /// The stage was interrupted meanwhile.
    Interrupted,
}

/// Whether the clock on the wall was set by more than a part may go on beyond its day.
fn is_set(set_ms: i64) -> bool {
    set_ms.unsigned_abs() > 1_000 * LATE_S
}

fn was_set(set_ms: i64) -> String {
    let way = if set_ms < 0 { "back" } else { "forward" };
    let hours = set_ms.unsigned_abs() as f64 / 3.6e6;
    format!(
        "the machine's clock was set {way} by {hours:.1} h, so that what is held has to lie in business hours with that \
         and without"
    )
}

#[cfg(test)]
mod tests;
