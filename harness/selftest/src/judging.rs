//! What a run says of the defect that it was made with. Pure: no file, no clock.

use std::collections::BTreeSet;

use khala_evidence::judge::{Decision, ORACLE_GATE, ObjectiveVerdict, Verdict};
use khala_evidence::report::RunReport;
use khala_plan::metric::MetricId;
use serde::Serialize;

/// What became of a row of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// By its primary, and by nothing that does not follow from it.
    Caught,
    /// The defect acted, and its primary did not end the run in NO-GO.
    Missed,
    /// Something was raised that the catalogue does not declare.
    Undeclared,
    /// The defect never acted, so the run says nothing of it.
    NotActed,
    /// There was no run to judge.
    Error,
}

impl Status {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Caught => "caught",
            Self::Missed => "MISSED",
            Self::Undeclared => "UNDECLARED",
            Self::NotActed => "not acted",
            Self::Error => "ERROR",
        }
    }
}

/// May fail beside any defect: what becomes of sockets and requests on a runtime that is broken follows from
/// its being broken.
const STABILITY: &str = "gate:stability";

/// What the catalogue says of a defect.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The rule or gate that must catch it.
    pub primary: &'a str,
    /// Rules and gates that may be raised beside it.
    pub consequences: &'a [&'a str],
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Rules that were broken, and gates (`gate:NAME`) that failed by anything else than the rules.
    pub raised: BTreeSet<String>,
    /// What the run came to.
    pub decision: Decision,
    /// Its first reason, when it is not GO.
    pub why: Option<String>,
    /// How often the defect acted, as the target's own metrics say; `None` when they do not.
    pub acted: Option<u64>,
}

impl Shown {
    /// What a report shows.
    pub fn of(report: &RunReport, acted: Option<u64>) -> Self {
        let broken = report.oracle.violations.iter().filter(|(_, count)| **count > 0);
        let mut raised: BTreeSet<String> = broken.map(|(rule, _)| rule.clone()).collect();
        raised.extend(failed_gates(report).map(|gate| format!("gate:{gate}")));
        let why = report.reasons.first().cloned();
        Self { raised, decision: report.decision, why, acted }
    }
}

/// Gates that failed by themselves: one that counts violations says no more than the rules do.
pub fn failed_gates(report: &RunReport) -> impl Iterator<Item = &str> {
    let by_itself = |objective: &ObjectiveVerdict| {
        objective.verdict == Verdict::Fail && objective.metric != MetricId::Violations.name()
    };
    report
        .gates
        .iter()
        .filter(move |gate| gate.name != ORACLE_GATE)
        .filter(move |gate| gate.objectives.iter().any(by_itself))
        .map(|gate| gate.name.as_str())
}

/// A row's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// In a word.
    pub status: Status,
    /// Whether the primary was raised.
    pub raised: bool,
    /// Declared consequences that were raised.
    pub consequences: Vec<String>,
    /// What was raised beside the primary and its consequences.
    pub undeclared: Vec<String>,
    /// In a sentence, unless it was caught.
    pub reason: Option<String>,
}

/// Judges a run by what the catalogue says of its defect.
pub fn judge(expected: Expected<'_>, shown: &Shown) -> Judged {
    let Expected { primary, consequences: declared } = expected;
    let raised = shown.raised.contains(primary);
    let others = shown.raised.iter().filter(|what| *what != primary).cloned();
    let (consequences, undeclared): (Vec<_>, Vec<_>) =
        others.partition(|what| declared.contains(&what.as_str()) || what == STABILITY);
    let (status, reason) = status(primary, raised, &undeclared, shown);
    Judged { status, raised, consequences, undeclared, reason }
}

fn status(
    primary: &str,
    raised: bool,
    undeclared: &[String],
    shown: &Shown,
) -> (Status, Option<String>) {
    let Shown { decision, acted, .. } = shown;
    let why = shown.why.as_deref().unwrap_or("it gives no reason");
    let extra = undeclared.join(", ");
    let all: Vec<_> = shown.raised.iter().map(String::as_str).collect();
    match (acted, raised) {
        // Whatever was raised then is a false alarm, the primary too.
        (Some(0), _) if !all.is_empty() => {
            let reason = format!("the defect never acted, and {} was raised", all.join(", "));
            (Status::Undeclared, Some(reason))
        }
        (Some(0), _) => {
            (Status::NotActed, Some("the run gave the defect no occasion to act".to_owned()))
        }
        (_, true) if *decision != Decision::NoGo => {
            let reason = format!("{primary} was raised, and the run is a {decision}: {why}");
            (Status::Missed, Some(reason))
        }
        (_, true) if !undeclared.is_empty() => {
            (Status::Undeclared, Some(format!("{extra} is no declared consequence")))
        }
        (_, true) => (Status::Caught, None),
        (acted, false) => {
            let acted = acted.map_or("the target does not say whether it acted".to_owned(), |n| {
                format!("it acted {n} times")
            });
            let extra = if extra.is_empty() { extra } else { format!("; undeclared: {extra}") };
            let reason =
                format!("{primary} was not raised, {acted}; the run is a {decision}{extra}: {why}");
            (Status::Missed, Some(reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Expected<'_> =
        Expected { primary: "gap", consequences: &["lost_publish", "no_convergence"] };

    fn shown(raised: &[&str], decision: Decision, acted: Option<u64>) -> Shown {
        let raised = raised.iter().map(|what| (*what).to_owned()).collect();
        Shown { raised, decision, why: Some("for a reason".to_owned()), acted }
    }

    fn judged(raised: &[&str], decision: Decision, acted: Option<u64>) -> Judged {
        judge(EXPECTED, &shown(raised, decision, acted))
    }

    #[test]
    fn the_primary_and_what_follows_from_it_is_caught() {
        let row = judged(&["gap", "lost_publish"], Decision::NoGo, Some(3));
        assert_eq!((row.status, row.raised, row.reason), (Status::Caught, true, None));
        assert_eq!(row.consequences, ["lost_publish"]);
        assert!(row.undeclared.is_empty());
        assert_eq!(judged(&["gap"], Decision::NoGo, None).status, Status::Caught);
    }

    #[test]
    fn a_defect_that_acted_and_went_unnoticed_is_missed() {
        for acted in [Some(1), None] {
            let row = judged(&[], Decision::Go, acted);
            assert_eq!((row.status, row.raised), (Status::Missed, false));
        }
        let reason = judged(&[], Decision::Go, Some(4)).reason.expect("a reason");
        assert!(reason.contains("gap") && reason.contains("4 times"), "{reason}");
    }

    #[test]
    fn a_consequence_alone_does_not_make_up_for_the_primary() {
        let row = judged(&["lost_publish"], Decision::NoGo, Some(2));
        assert_eq!(row.status, Status::Missed);
        assert_eq!(row.consequences, ["lost_publish"]);
    }

    #[test]
    fn a_primary_that_did_not_end_the_run_in_no_go_is_missed() {
        let row = judged(&["gap"], Decision::Hold, Some(2));
        assert_eq!((row.status, row.raised), (Status::Missed, true));
        assert!(row.reason.expect("a reason").contains("HOLD"));
    }

    #[test]
    fn what_the_catalogue_does_not_declare_is_undeclared() {
        let row = judged(&["gap", "wrong_reason", "gate:reconnect"], Decision::NoGo, Some(2));
        assert_eq!((row.status, row.raised), (Status::Undeclared, true));
        assert_eq!(row.undeclared, ["gate:reconnect", "wrong_reason"]);
        let row = judged(&["wrong_reason"], Decision::NoGo, Some(2));
        assert_eq!(row.status, Status::Missed, "the primary comes first");
        assert!(row.reason.expect("a reason").contains("undeclared: wrong_reason"));
    }

    #[test]
    fn a_defect_that_never_acted_is_told_from_one_that_was_missed() {
        assert_eq!(judged(&[], Decision::Go, Some(0)).status, Status::NotActed);
        assert_eq!(judged(&[], Decision::Hold, Some(0)).status, Status::NotActed);
    }

    #[test]
    fn whatever_is_raised_by_a_defect_that_never_acted_is_a_false_alarm() {
        for what in ["gap", "lost_publish", "wrong_reason"] {
            let row = judged(&[what], Decision::NoGo, Some(0));
            assert_eq!(row.status, Status::Undeclared, "{what}");
            assert!(row.reason.expect("a reason").contains(what));
        }
    }
}
