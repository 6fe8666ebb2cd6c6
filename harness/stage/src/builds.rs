//! Which builds answered: a canary of which a part is still the old one is no canary.
//!
//! What was seen is counted here alone, for the decision and for the report: requests for the build, those of the hold
//! (of which a few may fail, as a few seconds of it need not be observed), and the sockets of the runs, where the
//! target is said to name its build in the answers to upgrades. An upgrade that names none may be one of another build.

use std::collections::BTreeMap;

use khala_evidence::builds::{SocketBuilds, quoted, shares};
use serde::{Deserialize, Serialize};

use crate::decide::Reason;
use crate::entry::StepResult;
use crate::history::Attempt;

/// What came of asking for the build.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The builds, and how often each was told.
    pub told: BTreeMap<String, u64>,
    /// Answers without a build.
    #[serde(default)]
    pub untold: u64,
    /// Requests that failed, or were not made in time, by why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
}

/// Reasons for failed requests that are told apart; further ones are counted as one.
const REASONS_MAX: usize = 8;
/// What those are called.
const FURTHER: &str = "other reasons";

impl Seen {
    /// Counts an answer so many times: a build, none, or why there was no answer.
    pub fn take(&mut self, answer: Result<Option<String>, String>, times: u64) {
        match answer {
            Ok(Some(build)) => *self.told.entry(build).or_insert(0) += times,
            Ok(None) => self.untold += times,
            Err(why) => {
                let known = self.failed.len() < REASONS_MAX || self.failed.contains_key(&why);
                let why = if known { why } else { FURTHER.to_owned() };
                *self.failed.entry(why).or_insert(0) += times;
            }
        }
    }

    /// Adds what else was seen.
    pub fn add(&mut self, other: &Self) {
        add(&mut self.told, &other.told);
        self.untold += other.untold;
        other.failed.iter().for_each(|(why, count)| self.take(Err(why.clone()), *count));
    }

    /// Requests that were not answered.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// All requests.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.told.values().sum::<u64>() + self.untold + self.failures()
    }

    /// The builds with their shares, then the shares of what told none.
    #[must_use]
    pub fn shares(&self) -> String {
        let failed: Vec<_> = self
            .failed
            .iter()
            .map(|(why, count)| (format!("not answered ({why})"), *count))
            .collect();
        let mut untold = vec![("not told", self.untold)];
        untold.extend(failed.iter().map(|(why, count)| (why.as_str(), *count)));
        shares(&self.told, &untold)
    }
}

fn add(to: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>) {
    more.iter().for_each(|(name, count)| *to.entry(name.clone()).or_insert(0) += count);
}

/// What was found of the builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Builds {
    /// All that was seen is what was expected.
    AsExpected,
    /// Something else, in a sentence.
    Otherwise(String),
}

/// Holds the builds that were told against the one that is to be there. Of requests that failed nothing is known: none
/// may have.
#[must_use]
pub fn against(expected: Option<&str>, seen: &Seen) -> Builds {
    let Some(expected) = expected else {
        return Builds::Otherwise("nobody said which build is to be there".to_owned());
    };
    match (seen.all(), seen.told.get(expected)) {
        (0, _) => {
            Builds::Otherwise(format!("nothing shows that the build is {}", quoted(expected)))
        }
        (all, Some(&count)) if count == all => Builds::AsExpected,
        _ => Builds::Otherwise(format!(
            "the build is to be {}, and was {}",
            quoted(expected),
            seen.shares()
        )),
    }
}

/// Everything that an attempt showed of the builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Requests before and after the runs, and at the beginning of each run.
    pub requests: Seen,
    /// Requests while the stage was held.
    pub held: Seen,
    /// Sockets of the runs.
    pub sockets: SocketBuilds,
}

impl Shown {
    /// What was written down of an attempt.
    #[must_use]
    pub fn of(attempt: &Attempt) -> Self {
        let mut shown = Self::default();
        for (result, _) in attempt.runs.iter().filter_map(|run| run.ended.as_ref()) {
            shown.take(result);
        }
        shown
    }

    fn take(&mut self, result: &StepResult) {
        let seen = result.seen_builds();
        match &result.hold {
            None => self.requests.add(&seen),
            Some(_) => self.held.add(&seen),
        }
        let segments = || result.hold.iter().flat_map(|hold| &hold.segments);
        for segment in segments() {
            // One that was killed had no time to say it.
            if segment.finished || segment.build.is_some() || segment.sockets.is_some() {
                self.run(segment.build.as_ref(), segment.sockets.as_ref());
            }
        }
        // Those of a hold are its segments.
        for other in result.others.iter().filter(|_| result.hold.is_none()) {
            // Nor had a try of a scenario that was killed: the try after it says it.
            if other.finished || other.build.is_some() || other.sockets.is_some() {
                self.run(other.build.as_ref(), other.sockets.as_ref());
            }
        }
        // The last part of a hold is its run, too.
        let run = result.run.as_ref();
        if let Some(run) = run.filter(|run| segments().all(|one| one.bundle != run.bundle)) {
            self.run(run.build.as_ref(), run.sockets.as_ref());
        }
    }

    /// Takes a run: what it was told at its beginning, and what its sockets are.
    fn run(&mut self, build: Option<&String>, sockets: Option<&SocketBuilds>) {
        let Some(sockets) = sockets else {
            self.requests.take(Ok(build.cloned()), 1);
            return;
        };
        self.requests.take(Ok(sockets.asked.clone()), 1);
        add(&mut self.sockets.named, &sockets.named);
        self.sockets.unnamed += sockets.unnamed;
    }

    /// What is open, where `expected` is to be there and `observed_min` (0 to 1) of a hold is to be observed.
    #[must_use]
    pub fn open(&self, expected: Option<&str>, observed_min: f64) -> Vec<Reason> {
        let mut told = self.requests.clone();
        told.add(&Seen { failed: BTreeMap::new(), ..self.held.clone() });
        let mut open = Vec::new();
        if let Builds::Otherwise(why) = against(expected, &told) {
            open.push(Reason::hold(why, ROUTE));
        }
        let Some(expected) = expected else { return open };
        let sockets = &self.sockets;
        if sockets.named.get(expected).copied().unwrap_or(0) != sockets.all() {
            let why = format!(
                "the sockets are to be of build {}, and were {}",
                quoted(expected),
                sockets.told()
            );
            open.push(Reason::hold(why, if sockets.unnamed > 0 { NAME } else { ROUTE }));
        }
        if self.held.failures() > failures_max(self.held.all(), observed_min) {
            let why = format!(
                "of the requests for the build while the stage was held, {} of {} were not answered, and at least \
                 {:.0} % are to be: {}",
                self.held.failures(),
                self.held.all(),
                100.0 * observed_min,
                self.held.shares()
            );
            open.push(Reason::hold(why, ANSWER));
        }
        open
    }

    /// The builds with their shares, for people.
    #[must_use]
    pub fn told(&self) -> String {
        let of = |what: &str, shares: String| match shares.as_str() {
            "" => None,
            shares => Some(format!("{what} {shares}")),
        };
        let parts = [
            of("to requests", self.requests.shares()),
            of("to requests while it was held", self.held.shares()),
            of("to upgrades", self.sockets.told()),
        ];
        match parts.into_iter().flatten().collect::<Vec<_>>() {
            none if none.is_empty() => "none".to_owned(),
            parts => parts.join("; "),
        }
    }
}

/// Requests of a hold that may fail: as much of them as of the hold need not be observed, and one at the least.
fn failures_max(all: u64, observed_min: f64) -> u64 {
    // Of a single one none may.
    let one = u64::from(all > 1);
    let share = (1.0 - observed_min) * all as f64;
    (share + 1e-6).floor().max(0.0).max(one as f64) as u64
}

const ROUTE: &str = "route all of the canary to one build; a target tells its build by `build_header` or \
                     `build_command` of its profile, and --build says which one is to be there";
const NAME: &str = "route all of the canary to one build, and have its answers to upgrades carry the profile's \
                    `build_header`; of a target that says its build on requests alone, have the profile say \
                    `build_command`";
const ANSWER: &str = "see why what tells the build did not answer, then hold again: the stage was not seen to be of one \
                      build meanwhile";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::RunSummary;
    use crate::testing::{at, attempt, held, of_run, run};

    fn counts(builds: &[(&str, u64)]) -> BTreeMap<String, u64> {
        builds.iter().map(|(build, count)| ((*build).to_owned(), *count)).collect()
    }

    fn seen(told: &[(&str, u64)], untold: u64, failed: &[(&str, u64)]) -> Seen {
        Seen { told: counts(told), untold, failed: counts(failed) }
    }

    fn sockets(named: &[(&str, u64)], unnamed: u64) -> SocketBuilds {
        SocketBuilds { asked: Some("7".to_owned()), named: counts(named), unnamed }
    }

    /// What an attempt shows that comes to one result.
    fn shown(result: StepResult) -> Shown {
        Shown::of(&attempt(at(1), [result]))
    }

    fn whys(shown: &Shown) -> Vec<String> {
        shown.open(Some("7"), 0.95).into_iter().map(|reason| reason.why).collect()
    }

    #[test]
    fn only_the_expected_build_alone_is_right() {
        assert_eq!(against(Some("2"), &seen(&[("2", 20)], 0, &[])), Builds::AsExpected);
        for (expected, seen, why) in [
            (None, seen(&[("2", 20)], 0, &[]), "nobody said which build is to be there"),
            (Some("2"), seen(&[], 0, &[]), "nothing shows that the build is `2`"),
            (
                Some("2"),
                seen(&[("1", 10), ("2", 10)], 0, &[]),
                "the build is to be `2`, and was `1` 50 % (10 of 20), `2` 50 % (10 of 20)",
            ),
            (
                Some("2"),
                seen(&[("1", 5)], 0, &[]),
                "the build is to be `2`, and was `1` 100 % (5 of 5)",
            ),
            (
                Some("2"),
                seen(&[("2", 19)], 1, &[]),
                "the build is to be `2`, and was `2` 95 % (19 of 20), not told 5 % (1 of 20)",
            ),
            (
                Some("2"),
                seen(&[("2", 19)], 0, &[("it timed out", 1)]),
                "the build is to be `2`, and was `2` 95 % (19 of 20), not answered (it timed out) 5 % (1 of 20)",
            ),
        ] {
            assert_eq!(against(expected, &seen), Builds::Otherwise(why.to_owned()));
        }
    }

    #[test]
    fn a_try_of_a_scenario_that_was_killed_before_it_could_say_its_build_says_nothing_of_it() {
        let with = |finished: bool, build: Option<&str>| {
            let mut result = of_run(run());
            let build = build.map(str::to_owned);
            result.others.push(RunSummary { finished, build, ..run() });
            whys(&shown(result))
        };
        assert_eq!(with(false, None), [""; 0]);
        assert_eq!(with(false, Some("6")).len(), 1, "it was told another");
        assert_eq!(with(true, None).len(), 1, "it came to its end, and was told none");
    }

    #[test]
    fn sockets_that_name_another_build_or_none_are_a_mix() {
        let of = |sockets| {
            let mut run = run();
            run.sockets = Some(sockets);
            shown(of_run(run))
        };
        assert_eq!(whys(&of(sockets(&[("7", 20)], 0))), [""; 0]);
        let half = of(sockets(&[("7", 10)], 10));
        let shares = "`7` 50 % (10 of 20), no header 50 % (10 of 20)";
        assert_eq!(whys(&half), [format!("the sockets are to be of build `7`, and were {shares}")]);
        assert!(half.open(Some("7"), 0.95)[0].next.contains("`build_header`"));
        assert_eq!(half.told(), format!("to requests `7` 100 % (1 of 1); to upgrades {shares}"));
        let none = whys(&of(sockets(&[], 20)));
        assert_eq!(
            none,
            ["the sockets are to be of build `7`, and were no header 100 % (20 of 20)"]
        );
        let mixed = whys(&of(sockets(&[("6", 5), ("7", 15)], 0)));
        assert!(mixed[0].ends_with("`7` 75 % (15 of 20), `6` 25 % (5 of 20)"), "{mixed:?}");
        assert_eq!(mixed.len(), 1, "it is said once");
        assert_eq!(whys(&of(sockets(&[], 0))), [""; 0], "what was not opened is of no build");
    }

    #[test]
    fn each_part_of_a_hold_counts_once() {
        let mut result = held();
        let hold = result.hold.as_mut().expect("a hold");
        hold.segments[0].sockets = Some(sockets(&[("7", 8)], 0));
        let mut part = hold.segments[0].clone();
        (part.bundle, part.finished) = ("runs/zero".to_owned(), false);
        part.sockets = Some(sockets(&[("7", 4)], 4));
        let mut killed = part.clone();
        (killed.bundle, killed.build, killed.sockets) = ("runs/killed".to_owned(), None, None);
        hold.segments.insert(0, part);
        hold.segments.insert(0, killed);
        result.run.as_mut().expect("a run").sockets = Some(sockets(&[("7", 8)], 0));
        let shown = shown(result);
        assert_eq!(shown.sockets.told(), "`7` 75 % (12 of 16), no header 25 % (4 of 16)");
        assert_eq!(shown.requests, seen(&[("7", 2)], 0, &[]));
        assert_eq!(whys(&shown).len(), 1);
    }

    #[test]
    fn requests_of_a_hold_may_fail_as_far_as_it_need_not_be_observed() {
        let of = |told, failed| {
            let failed: &[(&str, u64)] = if failed > 0 { &[("it timed out", failed)] } else { &[] };
            shown(held().with_builds(seen(&[("7", told)], 0, failed)))
        };
        for (told, failed, is_open) in [
            (120, 0, false),
            (114, 6, false),
            (113, 7, true),
            (19, 1, false),
            (18, 2, true),
            (2, 1, false),
            (1, 2, true),
            (0, 1, true),
        ] {
            let whys = whys(&of(told, failed));
            assert_eq!(!whys.is_empty(), is_open, "{told} told, {failed} failed: {whys:?}");
        }
        let told = "`7` 90 % (18 of 20), not answered (it timed out) 10 % (2 of 20)";
        let whys = whys(&of(18, 2));
        assert!(
            whys[0].contains("2 of 20 were not answered") && whys[0].ends_with(told),
            "{whys:?}"
        );
        assert!(of(18, 2).told().contains(told));
        let untold = shown(held().with_builds(seen(&[("7", 19)], 1, &[])));
        assert!(
            self::whys(&untold)[0].contains("not told"),
            "an answer without a build is no failure"
        );
    }

    #[test]
    fn reasons_are_no_more_than_a_reader_takes_in() {
        let mut seen = Seen::default();
        (0..100).for_each(|number| seen.take(Err(format!("reason {number}")), 1));
        assert_eq!((seen.failed.len(), seen.failures()), (REASONS_MAX + 1, 100));
    }
}
