//! Whether a run came to what its row must come to. Pure: no file, no clock.

use khala_evidence::judge::Decision;
use khala_evidence::report::RunReport;
use serde::Serialize;

use super::row::Expected;
use crate::judging;

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it must be.
    Right,
    /// Otherwise.
    Wrong,
    /// There was no run to judge, for a reason of our own.
    Error,
}

impl Status {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "WRONG",
            Self::Error => "ERROR",
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub enum Came {
    /// To a report.
    Report {
        /// Its decision.
        decision: Decision,
        /// Rules that were broken, and gates (`gate:NAME`) that failed by themselves.
        raised: Vec<String>,
        /// What it says, line by line.
        lines: Vec<String>,
    },
    /// To none: the target was not accepted, with what was said.
    NoRun(String),
    /// To nothing that anybody could use: it did not end, or broke.
    Nothing(String),
}

impl Came {
    /// What a report shows.
    pub fn of(report: &RunReport) -> Self {
        let shown = judging::Shown::of(report, None);
        let raised = shown.raised.into_iter().collect();
        Self::Report { decision: report.decision, raised, lines: lines(report) }
    }

    /// In a word.
    pub fn word(&self) -> String {
        match self {
            Self::Report { decision, .. } => decision.to_string(),
            Self::NoRun(_) => "no run".to_owned(),
            Self::Nothing(_) => "nothing".to_owned(),
        }
    }
}

/// Reasons, gates, violations and findings, as they are told.
fn lines(report: &RunReport) -> Vec<String> {
    let violations = report.oracle.kept.iter();
    let violations = violations.map(|kept| format!("{}: {}", kept.rule.name(), kept.message));
    let objectives = report.gates.iter().flat_map(|gate| {
        gate.objectives
            .iter()
            .map(move |one| format!("{}: {}: {}", gate.name, one.metric, one.reason))
    });
    let findings = report.findings.iter();
    let findings = findings.map(|found| format!("{}: {}", found.name, found.message));
    report.reasons.iter().cloned().chain(violations).chain(objectives).chain(findings).collect()
}

/// Why a run is not what must come; `None` when it is.
pub fn differs(expected: Expected, came: &Came) -> Option<String> {
    let (decision, raised, lines) = match (expected, came) {
        (Expected::NoRun(says), Came::NoRun(said)) => {
            return (!said.contains(says)).then(|| format!("`{says}` is not in: {said}"));
        }
        (_, Came::NoRun(said)) => return Some(format!("there was no run: {said}")),
        (_, Came::Nothing(why)) => return Some(why.clone()),
        (_, Came::Report { decision, raised, lines }) => (*decision, raised, lines),
    };
    let (wanted, says) = match expected {
        Expected::Go(says) => (Some(Decision::Go), says),
        Expected::NoGo { says, .. } => (Some(Decision::NoGo), Some(says)),
        Expected::NoRun(_) => (None, None),
    };
    let why = || lines.first().map_or("it gives no reason", String::as_str);
    if wanted != Some(decision) {
        return Some(format!("it is a {decision}: {}", why()));
    }
    if let Expected::NoGo { by, .. } = expected
        && !raised.iter().any(|found| found == by)
    {
        return Some(format!("not {by}, but {}: {}", raised.join(", "), why()));
    }
    let told = says.is_none_or(|says| lines.iter().any(|line| line.contains(says)));
    (!told).then(|| format!("`{}` is in no line of the report", says.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(decision: Decision, raised: &[&str], lines: &[&str]) -> Came {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Came::Report { decision, raised: owned(raised), lines: owned(lines) }
    }

    #[test]
    fn the_decision_must_be_the_one_that_is_wanted() {
        let go = came(Decision::Go, &[], &[]);
        let hold = came(Decision::Hold, &[], &["unfit"]);
        let no_run = Came::NoRun("no Khala runtime".to_owned());
        assert_eq!(differs(Expected::Go(None), &go), None);
        assert!(differs(Expected::Go(None), &hold).is_some_and(|why| why.contains("unfit")));
        assert!(differs(Expected::Go(None), &no_run).is_some());
        assert!(differs(Expected::NoRun("no Khala"), &go).is_some());
        assert_eq!(differs(Expected::NoRun("no Khala"), &no_run), None);
        assert!(differs(Expected::NoRun("refused"), &no_run).is_some());
    }

    #[test]
    fn a_no_go_must_be_by_the_right_rule_and_say_the_right_thing() {
        let expected = Expected::NoGo { by: "gap", says: "seq 7" };
        let lines = ["gap: seq 7 is missing"];
        assert_eq!(differs(expected, &came(Decision::NoGo, &["gap"], &lines)), None);
        let other = differs(expected, &came(Decision::NoGo, &["phantom"], &lines));
        assert!(other.is_some_and(|why| why.contains("phantom")));
        assert!(differs(expected, &came(Decision::NoGo, &["gap"], &["gap: seq 8"])).is_some());
        assert!(differs(expected, &came(Decision::Go, &["gap"], &lines)).is_some());
    }

    #[test]
    fn what_must_be_told_must_be_told() {
        let expected = Expected::Go(Some("unknown_field"));
        assert_eq!(differs(expected, &came(Decision::Go, &[], &["unknown_field: x"])), None);
        assert!(differs(expected, &came(Decision::Go, &[], &[])).is_some());
    }
}
