//! What is known of a rollout: a function of its journal.

use crate::entry::{Begun, Ended, Entry, StepResult};
use crate::journal::{Damaged, Journal};
use crate::stamp::Stamp;

/// All attempts, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// By number, from 1.
    pub attempts: Vec<Attempt>,
    /// When each line was written, in the order of the journal: the order in which things happened, whatever clocks say.
    stamps: Vec<Stamp>,
}

/// An attempt of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// What it was to be.
    pub begun: Begun,
    /// When it began.
    pub at: Stamp,
    /// The last thing that was written of it.
    pub last: Stamp,
    /// Every try of every step, in order.
    pub runs: Vec<StepRun>,
    /// When it was taken up again, and after how long: in milliseconds.
    pub resumed: Vec<(Stamp, i64)>,
    /// Clocks that were set back in it.
    pub set_back: Vec<String>,
    /// By how much the clock on the wall was set since the line before it, in milliseconds: forward where it is more
    /// than 0.
    pub set_ms: i64,
    /// How it was decided, and when.
    pub ended: Option<(Ended, Stamp)>,
}

/// One try of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRun {
    /// The step.
    pub step: String,
    /// The how-manieth try.
    pub run: u32,
    /// When it began.
    pub at: Stamp,
    /// Where its evidence is, if it makes a run.
    pub bundle: Option<String>,
    /// What came of it, and when; `None` of one that was interrupted.
    pub ended: Option<(StepResult, Stamp)>,
}

impl Attempt {
    /// What came of a step, of the try that ended.
    #[must_use]
    pub fn result(&self, step: &str) -> Option<&StepResult> {
        let mut of_it = self.runs.iter().rev().filter(|run| run.step == step);
        of_it.find_map(|run| run.ended.as_ref()).map(|(result, _)| result)
    }

    /// The tries of a step.
    pub fn tries<'a>(&'a self, step: &'a str) -> impl Iterator<Item = &'a StepRun> {
        self.runs.iter().filter(move |run| run.step == step)
    }

    /// By how much the clock on the wall was set until a moment, since the line before the attempt, in milliseconds.
    #[must_use]
    pub fn set_until(&self, now: &Stamp) -> i64 {
        self.set_ms + now.set_since(&self.last)
    }

    /// Number of the next try of a step.
    #[must_use]
    pub fn next_try(&self, step: &str) -> u32 {
        self.tries(step).map(|run| run.run).max().unwrap_or(0) + 1
    }
}

impl History {
    /// The history of a journal.
    ///
    /// # Errors
    /// The first line that cannot follow those before it.
    pub fn of(journal: &Journal) -> Result<Self, Damaged> {
        let mut history = Self::default();
        for line in &journal.lines {
            history
                .take(&line.stamp, &line.entry)
                .map_err(|why| Damaged { line: line.seq, why: why.to_owned() })?;
        }
        Ok(history)
    }

    /// Takes one more entry.
    ///
    /// # Errors
    /// When it cannot follow those before it.
    pub fn take(&mut self, stamp: &Stamp, entry: &Entry) -> Result<(), &'static str> {
        self.taken(stamp, entry)?;
        self.stamps.push(stamp.clone());
        Ok(())
    }

    fn taken(&mut self, stamp: &Stamp, entry: &Entry) -> Result<(), &'static str> {
        match entry {
            Entry::Begun(begun) => return self.begin(stamp, begun),
            Entry::Resumed { attempt, owner } => {
                let attempt = self.open(*attempt, stamp)?;
                attempt.begun.owner.clone_from(owner);
                let gap = stamp.since(&attempt.last).unwrap_or(0);
                attempt.resumed.push((stamp.clone(), gap));
                attempt.last = stamp.clone();
            }
            Entry::StepBegun { attempt, step, run } => {
                let attempt = self.open(*attempt, stamp)?;
                if attempt.result(step).is_some() || attempt.next_try(step) != *run {
                    return Err("begins a step that had ended, or out of order");
                }
                attempt.runs.push(StepRun {
                    step: step.clone(),
                    run: *run,
                    at: stamp.clone(),
                    bundle: None,
                    ended: None,
                });
                attempt.last = stamp.clone();
            }
            Entry::StepBundle { attempt, step, run, bundle } => {
                self.step(*attempt, step, *run, stamp)?.bundle = Some(bundle.clone());
            }
            Entry::StepEnded { attempt, step, run, result } => {
                let ended = (StepResult::clone(result), stamp.clone());
                self.step(*attempt, step, *run, stamp)?.ended = Some(ended);
            }
            Entry::Ended(ended) => {
                let attempt = self.open(ended.attempt, stamp)?;
                attempt.ended = Some((Ended::clone(ended), stamp.clone()));
                attempt.last = stamp.clone();
            }
        }
        Ok(())
    }

    fn begin(&mut self, stamp: &Stamp, begun: &Begun) -> Result<(), &'static str> {
        if begun.attempt as usize != self.attempts.len() + 1 {
            return Err("begins an attempt out of order");
        }
        let before = self.attempts.last().map(|before| &before.last);
        let set_ms = before.map_or(0, |before| stamp.set_since(before));
        self.attempts.push(Attempt {
            begun: begun.clone(),
            at: stamp.clone(),
            last: stamp.clone(),
            runs: Vec::new(),
            resumed: Vec::new(),
            set_back: Vec::new(),
            set_ms,
            ended: None,
        });
        Ok(())
    }

    /// An attempt that was not decided yet; a clock that was set back since its last line is noted.
    fn open(&mut self, attempt: u32, stamp: &Stamp) -> Result<&mut Attempt, &'static str> {
        let at = (attempt as usize).checked_sub(1).ok_or("is of no attempt")?;
        let attempt = self.attempts.get_mut(at).ok_or("is of an attempt that never began")?;
        if attempt.ended.is_some() {
            return Err("is of an attempt that was decided before");
        }
        if let Err(why) = stamp.since(&attempt.last) {
            attempt.set_back.push(why);
        }
        attempt.set_ms += stamp.set_since(&attempt.last);
        Ok(attempt)
    }

    fn step(
        &mut self,
        attempt: u32,
        step: &str,
        run: u32,
        stamp: &Stamp,
    ) -> Result<&mut StepRun, &'static str> {
        let attempt = self.open(attempt, stamp)?;
        attempt.last = stamp.clone();
        let mut runs = attempt.runs.iter_mut().rev();
        let found = runs.find(|one| one.step == step && one.run == run && one.ended.is_none());
        found.ok_or("is of a step that was not under way")
    }

    /// Attempts of a stage for a build, in order.
    pub fn of_stage<'a>(
        &'a self,
        stage: &'a str,
        build: Option<&'a str>,
    ) -> impl DoubleEndedIterator<Item = &'a Attempt> {
        let of_it =
            move |one: &&Attempt| one.begun.stage == stage && one.begun.build.as_deref() == build;
        self.attempts.iter().filter(of_it)
    }

    /// What was known when an attempt was decided: it and those before it, without its decision.
    #[must_use]
    pub fn until(&self, attempt: u32) -> Self {
        let attempts = self.attempts.iter().take(attempt as usize);
        let mut until = Self { attempts: attempts.cloned().collect(), stamps: self.stamps.clone() };
        until.attempts.iter_mut().next_back().into_iter().for_each(|last| last.ended = None);
        until
    }

    /// The attempts that were decided, in order: how, and when.
    pub fn decided(&self) -> impl DoubleEndedIterator<Item = &(Ended, Stamp)> {
        self.attempts.iter().filter_map(|attempt| attempt.ended.as_ref())
    }

    /// Whether one line was written after another, whatever the clocks said. Of lines of one moment each is.
    #[must_use]
    pub fn is_after(&self, line: &Stamp, other: &Stamp) -> bool {
        let (last, first) = (
            self.stamps.iter().rposition(|it| it == line),
            self.stamps.iter().position(|it| it == other),
        );
        match (last, first) {
            (Some(last), Some(first)) => last >= first,
            _ => line.since(other).is_ok_and(|ms| ms >= 0),
        }
    }

    /// A clock that was set back between two moments, from a line to the next, in a sentence: then nobody knows how long it
    /// was from one to the other. It need not show in the two alone: what was written between them may be later than both.
    #[must_use]
    pub fn set_back_between(&self, from: &Stamp, to: &Stamp) -> Option<String> {
        let first = self.stamps.iter().position(|it| it == from)?;
        let last = self.stamps.iter().rposition(|it| it == to).unwrap_or(self.stamps.len());
        let between = self.stamps.get(first..last.max(first)).unwrap_or_default();
        let next = between.iter().skip(1).chain([to]);
        between.iter().zip(next).find_map(|(one, next)| next.since(one).err())
    }

    /// The latest moment of which anything was written, in milliseconds since 1970: the clock says no less unless it
    /// was set back.
    #[must_use]
    pub fn latest_ms(&self) -> i64 {
        self.attempts.iter().map(|attempt| attempt.last.unix_ms).max().unwrap_or(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use khala_evidence::judge::Decision;

    use super::*;
    use crate::testing::{at, begun, journal, passed};

    fn entries() -> Vec<Entry> {
        let step = "builds before".to_owned();
        vec![
            Entry::Begun(Box::new(begun(1, "0"))),
            Entry::StepBegun { attempt: 1, step: step.clone(), run: 1 },
            Entry::Resumed { attempt: 1, owner: "Bob".to_owned() },
            Entry::StepBegun { attempt: 1, step: step.clone(), run: 2 },
            Entry::StepEnded { attempt: 1, step, run: 2, result: Box::new(passed()) },
        ]
    }

    #[test]
    fn a_step_that_was_interrupted_is_tried_again_and_counted() {
        let history = History::of(&journal(entries())).expect("it holds together");
        let attempt = &history.attempts[0];
        assert_eq!(attempt.tries("builds before").count(), 2);
        assert!(attempt.runs[0].ended.is_none() && attempt.result("builds before").is_some());
        assert_eq!(attempt.resumed.len(), 1);
        assert_eq!(attempt.resumed[0].1, 1_000, "the gap");
        assert_eq!(attempt.next_try("builds before"), 3);
        assert_eq!(attempt.begun.owner, "Bob", "who resumes decides");
    }

    #[test]
    fn no_step_is_done_twice_and_nothing_follows_a_decision() {
        let again = |entry: Entry| {
            let mut all = entries();
            all.push(entry);
            History::of(&journal(all)).expect_err("it cannot follow").why
        };
        let step = || "builds before".to_owned();
        let twice = again(Entry::StepBegun { attempt: 1, step: step(), run: 3 });
        assert!(twice.contains("had ended"), "{twice}");
        let ended =
            Entry::StepEnded { attempt: 1, step: step(), run: 2, result: Box::new(passed()) };
        assert!(again(ended).contains("not under way"));
        assert!(
            again(Entry::Resumed { attempt: 2, owner: "Bob".to_owned() }).contains("never began")
        );
        assert!(again(Entry::Begun(Box::new(begun(3, "0")))).contains("out of order"));
        let mut decided = entries();
        decided.push(Entry::Ended(Box::new(crate::testing::ended(1, Decision::Go))));
        assert!(History::of(&journal(decided.clone())).is_ok());
        decided.push(Entry::Resumed { attempt: 1, owner: "Bob".to_owned() });
        assert!(History::of(&journal(decided)).is_err());
    }

    #[test]
    fn by_how_much_a_clock_was_set_is_known_from_the_line_before_the_attempt_on() {
        let mut history = History::default();
        let moved = |seconds: i64, by_s: i64| {
            let mut stamp = at(seconds);
            stamp.unix_ms += 1_000 * by_s;
            stamp
        };
        let of = |attempt: u32| Entry::Resumed { attempt, owner: "Bob".to_owned() };
        history
            .take(&moved(100, 7_200), &Entry::Begun(Box::new(begun(1, "0"))))
            .expect("it begins");
        assert_eq!(history.attempts[0].set_ms, 0, "there is no line before it");
        history.take(&moved(160, 10_800), &of(1)).expect("it follows");
        assert_eq!(history.attempts[0].set_ms, 3_600_000);
        assert_eq!(history.attempts[0].set_until(&moved(170, 10_800)), 3_600_000);
        assert_eq!(history.attempts[0].set_until(&moved(170, 14_400)), 7_200_000);
        history
            .take(&moved(200, 14_400), &Entry::Begun(Box::new(begun(2, "1"))))
            .expect("it begins");
        assert_eq!(history.attempts[1].set_ms, 3_600_000, "since the line before it");
    }

    #[test]
    fn a_clock_that_was_set_back_on_the_way_is_found_although_the_ends_do_not_show_it() {
        let mut history = History::default();
        let after_a_reboot =
            |seconds: i64| Stamp { boot: "c".to_owned(), uptime_ms: 9, ..at(seconds) };
        for (number, stamp) in (1..).zip([at(100), at(200), after_a_reboot(150)]) {
            history.take(&stamp, &Entry::Begun(Box::new(begun(number, "0")))).expect("it begins");
        }
        assert_eq!(after_a_reboot(150).since(&at(100)), Ok(50_000), "by the two alone");
        let said = history.set_back_between(&at(100), &after_a_reboot(150)).expect("it was");
        assert!(said.contains("set back by 50.0 s between t+200 and t+150"), "{said}");
        assert_eq!(history.set_back_between(&at(100), &at(200)), None);
        assert_eq!(history.set_back_between(&after_a_reboot(150), &after_a_reboot(160)), None);
        // What is later in the journal is later.
        assert!(history.is_after(&after_a_reboot(150), &at(200)));
        assert!(!history.is_after(&at(200), &after_a_reboot(150)));
    }

    #[test]
    fn a_clock_that_is_set_back_is_noted() {
        let mut history = History::default();
        history.take(&at(100), &Entry::Begun(Box::new(begun(1, "0")))).expect("it begins");
        let mut back = at(160);
        back.unix_ms -= 600_000;
        history
            .take(&back, &Entry::Resumed { attempt: 1, owner: "Bob".to_owned() })
            .expect("it goes on");
        assert_eq!(history.attempts[0].set_back.len(), 1);
    }
}
