//! What a run of cases came to: one result a case, and what follows from all of them.

use serde::Serialize;

use crate::case::{Area, Case, Does, Level};
use crate::known::Known;
use crate::outcome::{Broken, Found, Outcome, Stop};

/// Version of the JSON form.
pub const VERSION: u32 = 1;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A MUST is broken.
    Deviation,
    /// It could not be put to the test although it applies: the target was not there, or a step on the way
    /// failed.
    Undecided,
    /// A SHOULD is broken, or the target does what surprises where the contract is silent.
    Finding,
    /// It is kept.
    Pass,
    /// It cannot be put to the test, on this target or with what was given.
    NotApplicable,
}

impl Status {
    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deviation => "deviation",
            Self::Undecided => "undecided",
            Self::Finding => "finding",
            Self::Pass => "pass",
            Self::NotApplicable => "not applicable",
        }
    }
}

/// One case and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// The case.
    pub id: &'static str,
    /// What it is about.
    pub area: Area,
    /// What was asked.
    pub title: &'static str,
    /// How binding the sentence is.
    pub level: Level,
    /// Where it stands.
    pub section: &'static str,
    /// The sentence.
    pub sentence: &'static str,
    /// What asking does to the target.
    pub does: Does,
    /// What became of it.
    pub status: Status,
    /// What was seen, of what is kept; why, of what was not put to the test.
    pub seen: String,
    /// What was done, what came and what should have, of what is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<BrokenTold>,
    /// What would make it applicable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// Why the deviation is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
    /// How long it took, in seconds.
    pub took_s: f64,
}

/// [`Broken`], as JSON has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokenTold {
    /// What the case did.
    pub did: String,
    /// What the target did.
    pub came: String,
    /// What should have come.
    pub should: String,
}

impl CaseResult {
    /// The result of a case.
    #[must_use]
    pub fn new(case: &Case, outcome: Outcome, took_s: f64) -> Self {
        let mut result = Self {
            id: case.id,
            area: case.area,
            title: case.title,
            level: case.level,
            section: case.section,
            sentence: case.sentence,
            does: case.does,
            status: Status::Pass,
            seen: String::new(),
            broken: None,
            mend: None,
            accepted: None,
            took_s,
        };
        match outcome {
            Ok(Found::Kept(seen)) => result.seen = seen,
            Ok(Found::Broken(broken)) | Err(Stop::Broken(broken)) => result.is_broken(broken),
            Err(Stop::NotApplicable { why, mend }) => {
                result.status = Status::NotApplicable;
                (result.seen, result.mend) = (why, Some(mend));
            }
            Err(Stop::Undecided(why)) => {
                result.status = Status::Undecided;
                result.seen = why;
            }
        }
        result
    }

    /// What became of it, in words; why, where a deviation is accepted.
    #[must_use]
    pub fn result(&self) -> String {
        match &self.accepted {
            Some(reason) => format!("accepted: {reason}"),
            None => self.status.name().to_owned(),
        }
    }

    /// Whether somebody has to look at it.
    #[must_use]
    pub fn is_amiss(&self) -> bool {
        self.accepted.is_none() && matches!(self.status, Status::Deviation | Status::Undecided)
    }

    fn is_broken(&mut self, broken: Broken) {
        let Broken { did, came, should } = broken;
        self.status = match self.level {
            Level::Must => Status::Deviation,
            Level::Should | Level::Silent => Status::Finding,
        };
        self.broken = Some(BrokenTold { did, came, should });
    }

    /// It in one or two sentences.
    #[must_use]
    pub fn told(&self) -> String {
        match (&self.broken, &self.mend) {
            (Some(BrokenTold { did, came, should }), _) => format!("{did} {came} {should}"),
            (None, Some(mend)) if !mend.is_empty() => {
                format!("{}. Applicable with: {mend}", self.seen)
            }
            _ => self.seen.clone(),
        }
    }
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Cases that were chosen.
    pub cases: usize,
    /// Kept.
    pub pass: usize,
    /// Deviations that nobody accepted.
    pub deviation: usize,
    /// Deviations and findings that are accepted.
    pub accepted: usize,
    /// Findings.
    pub finding: usize,
    /// Not put to the test although they apply.
    pub undecided: usize,
    /// Not applicable.
    pub not_applicable: usize,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Decision {
    /// Every case that was decided is kept, and none is undecided.
    #[serde(rename = "GO")]
    Go,
    /// A deviation that nobody accepted, or one that was accepted and is no more.
    #[serde(rename = "NO-GO")]
    NoGo,
    /// Nothing follows: no case was decided, or some could not be although they apply.
    #[serde(rename = "HOLD")]
    Hold,
}

impl Decision {
    /// As reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::NoGo => "NO-GO",
            Self::Hold => "HOLD",
        }
    }
}

/// A deviation that was accepted, and that the target does not show any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stale {
    /// The case.
    pub id: String,
    /// Why it was accepted.
    pub reason: String,
}

/// A whole run of cases.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`VERSION`]
    pub version: u32,
    /// The tool with its version.
    pub tool: String,
    /// The target's base URL.
    pub url: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// How long it took, in seconds.
    pub elapsed_s: f64,
    /// What might be done to the target.
    pub allowed: Vec<&'static str>,
    /// What follows.
    pub decision: Decision,
    /// Why, in a sentence.
    pub why: String,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// How many of each.
    pub totals: Totals,
    /// Accepted deviations that are no more.
    pub stale_known: Vec<Stale>,
    /// Events that were published.
    pub published: u64,
    /// Workers that could not be stopped again.
    pub remains: Vec<String>,
    /// Each case, in the registry's order.
    pub results: Vec<CaseResult>,
}

/// What a report is made of, beside its results.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The tool with its version.
    pub tool: String,
    /// The target's base URL.
    pub url: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// How long it took, in seconds.
    pub elapsed_s: f64,
    /// What might be done to the target.
    pub allowed: Vec<&'static str>,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// Events that were published.
    pub published: u64,
    /// Workers that could not be stopped again.
    pub remains: Vec<String>,
}

impl Report {
    /// Judges the results by what is accepted.
    #[must_use]
    pub fn new(around: Around, mut results: Vec<CaseResult>, known: &Known) -> Self {
        let mut stale_known = Vec::new();
        for result in &mut results {
            let Some(reason) = known.reason(result.id) else { continue };
            match result.status {
                Status::Deviation | Status::Finding => result.accepted = Some(reason.to_owned()),
                Status::Pass => {
                    stale_known.push(Stale { id: result.id.to_owned(), reason: reason.to_owned() });
                }
                Status::Undecided | Status::NotApplicable => {}
            }
        }
        let totals = totals(&results);
        let (decision, mut why) = decide(&totals, stale_known.len(), crate::cases::all().len());
        let Around { tool, url, started_at, elapsed_s, allowed, interrupted, published, remains } =
            around;
        if decision == Decision::Go && !allowed.contains(&Does::Reads.name()) {
            why.push_str("; none that only reads was asked, for `reads` is not allowed");
        }
        let why = match interrupted {
            true => {
                format!("it was interrupted, and says this of what had been asked by then: {why}")
            }
            false => why,
        };
        Self {
            version: VERSION,
            tool,
            url,
            started_at,
            elapsed_s,
            allowed,
            decision,
            why,
            interrupted,
            totals,
            stale_known,
            published,
            remains,
            results,
        }
    }

    /// Those of a status; accepted ones are apart.
    pub fn of(&self, status: Status) -> impl Iterator<Item = &CaseResult> {
        let fits = move |it: &&CaseResult| it.status == status && it.accepted.is_none();
        self.results.iter().filter(fits)
    }

    /// Those that are accepted.
    pub fn accepted(&self) -> impl Iterator<Item = &CaseResult> {
        self.results.iter().filter(|it| it.accepted.is_some())
    }
}

fn totals(results: &[CaseResult]) -> Totals {
    let mut totals = Totals { cases: results.len(), ..Totals::default() };
    for result in results {
        let count = match result.status {
            _ if result.accepted.is_some() => &mut totals.accepted,
            Status::Pass => &mut totals.pass,
            Status::Deviation => &mut totals.deviation,
            Status::Finding => &mut totals.finding,
            Status::Undecided => &mut totals.undecided,
            Status::NotApplicable => &mut totals.not_applicable,
        };
        *count += 1;
    }
    totals
}

/// `all` is how many cases there are, chosen or not: a GO says of how many it speaks.
fn decide(totals: &Totals, stale: usize, all: usize) -> (Decision, String) {
    let plural = |count: usize, one: &str, many: &str| match count {
        1 => format!("one {one}"),
        count => format!("{count} {many}"),
    };
    let decided = totals.pass + totals.finding + totals.deviation + totals.accepted;
    if totals.deviation > 0 {
        let many = plural(totals.deviation, "sentence", "sentences");
        let verb = if totals.deviation == 1 { "is" } else { "are" };
        return (
            Decision::NoGo,
            format!("{many} that the contract says a runtime must keep {verb} broken"),
        );
    }
    if stale > 0 {
        let many = plural(stale, "accepted deviation is", "accepted deviations are");
        return (
            Decision::NoGo,
            format!(
                "{many} no more: take it out of the list, so that it is noticed if it comes back"
            ),
        );
    }
    if decided == 0 {
        let why = "no case could be decided".to_owned();
        return (Decision::Hold, why);
    }
    if totals.undecided > 0 {
        let many = plural(totals.undecided, "case", "cases");
        return (Decision::Hold, format!("{many} could not be carried out to the end"));
    }
    let beside = match (totals.finding, totals.accepted) {
        (0, 0) => String::new(),
        (findings, 0) => format!(", with {}", plural(findings, "finding", "findings")),
        (_, accepted) => format!(", but for {} accepted", plural(accepted, "one", "others")),
    };
    (Decision::Go, format!("no deviation in {decided} of {all} cases{beside}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(pass: usize, deviation: usize, undecided: usize) -> Totals {
        Totals { cases: 9, pass, deviation, undecided, ..Totals::default() }
    }

    #[test]
    fn a_deviation_and_a_stale_entry_weigh_more_than_what_could_not_be_carried_out() {
        assert_eq!(decide(&totals(5, 1, 2), 0, 9).0, Decision::NoGo);
        assert_eq!(decide(&totals(5, 0, 2), 1, 9).0, Decision::NoGo);
        assert_eq!(decide(&totals(5, 0, 2), 0, 9).0, Decision::Hold);
        assert_eq!(decide(&totals(0, 0, 0), 0, 9).0, Decision::Hold);
        assert_eq!(decide(&totals(5, 0, 0), 0, 9).0, Decision::Go);
    }

    #[test]
    fn a_go_says_of_how_many_cases_it_speaks_and_that_reads_were_left_out() {
        let case = &crate::cases::all()[0];
        let why = |allowed: &[&'static str]| {
            let kept = vec![CaseResult::new(case, Ok(Found::Kept("x".into())), 0.1)];
            let around = Around { allowed: allowed.to_vec(), ..Around::default() };
            Report::new(around, kept, &Known::default()).why
        };
        let few = format!("no deviation in 1 of {} cases", crate::cases::all().len());
        assert_eq!(why(&["reads", "writes"]), few);
        let left_out = "; none that only reads was asked, for `reads` is not allowed";
        assert_eq!(why(&["revokes"]), few + left_out);
    }

    #[test]
    fn that_it_was_interrupted_comes_first() {
        let case = &crate::cases::all()[0];
        let kept = || vec![CaseResult::new(case, Ok(Found::Kept("x".into())), 0.1)];
        let why = |interrupted| {
            let around = Around { interrupted, ..Around::default() };
            Report::new(around, kept(), &Known::default()).why
        };
        assert!(why(true).starts_with("it was interrupted, "), "{}", why(true));
        assert!(!why(false).contains("interrupted"), "{}", why(false));
    }

    #[test]
    fn what_is_accepted_keeps_nobody_back_and_what_is_kept_again_does() {
        let case = &crate::cases::all()[0];
        let broken = || Broken { did: "a".into(), came: "b".into(), should: "c".into() };
        let known = Known::read(&format!("{} = \"by design\"", case.id)).expect("reads");
        let deviates = CaseResult::new(case, Ok(Found::Broken(broken())), 0.1);
        let accepted = Report::new(Around::default(), vec![deviates.clone()], &known);
        assert_eq!((accepted.decision, accepted.totals.accepted), (Decision::Go, 1));
        let not = Report::new(Around::default(), vec![deviates], &Known::default());
        assert_eq!(not.decision, Decision::NoGo);
        let kept = CaseResult::new(case, Ok(Found::Kept("x".into())), 0.1);
        let stale = Report::new(Around::default(), vec![kept], &known);
        assert_eq!((stale.decision, stale.stale_known.len()), (Decision::NoGo, 1));
        let absent = CaseResult::new(case, Err(Stop::Undecided("gone".into())), 0.1);
        let held = Report::new(Around::default(), vec![absent], &known);
        assert_eq!((held.decision, held.stale_known.len()), (Decision::Hold, 0));
    }
}
