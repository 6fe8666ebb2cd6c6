//! What an exam wrote, as far as the page needs it. Pure.

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

/// Version of all results that are read here.
const VERSION: u32 = 1;

/// The exams, in the page's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `selftest --matrix`
    Matrix,
    /// `selftest --wire`
    Wire,
    /// `selftest --clean N`
    Clean,
    /// `scripts/second-runtime-exam`
    Second,
    /// `scripts/middle-boxes`
    Boxes,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Matrix, Self::Wire, Self::Clean, Self::Second, Self::Boxes];

    /// Name of its results.
    pub fn file(self) -> &'static str {
        match self {
            Self::Matrix => "matrix.json",
            Self::Wire => "wire.json",
            Self::Clean => "clean.json",
            Self::Second => "second-runtime.json",
            Self::Boxes => "middle-boxes.json",
        }
    }

    /// What is tried, as a reader would say it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Matrix => "defects of the reference runtime",
            Self::Wire => "deviations on the wire, valid ones among them",
            Self::Clean => "runs on a runtime without a defect",
            Self::Second => "defects of a second implementation, unknown to the judge",
            Self::Boxes => "real middle boxes, with mistakes and without",
        }
    }
}

/// What is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Its name.
    pub name: String,
    /// What it came to, and why.
    pub what: String,
}

/// One exam, as it went.
#[derive(Clone, Debug)]
pub struct Exam {
    /// Which.
    pub kind: Kind,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// Version of the tool that ran it, where it says so.
    pub tool: Option<String>,
    /// Which build of it, where it says so.
    pub build: Option<String>,
    /// Seed of its runs, where it is not the scenarios'.
    pub seed: Option<u64>,
    /// Whether all that there is was asked for; `None` where the exam does not say.
    pub whole: Option<bool>,
    /// What was asked for: rows, runs, cases.
    pub asked: usize,
    /// What came to what it must.
    pub right: usize,
    /// What did not, for any reason.
    pub wrong: Vec<Wrong>,
    /// What was not run.
    pub not_run: usize,
    /// More to tell.
    pub more: Option<String>,
}

/// What every result has.
#[derive(Deserialize)]
struct Result {
    version: u32,
    started_at: String,
    tool: Option<String>,
    build: Option<String>,
    seed: Option<u64>,
    whole: Option<bool>,
    totals: Value,
    #[serde(alias = "deviations", alias = "runs", alias = "cases")]
    defects: Vec<Line>,
    #[serde(default)]
    clean: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    name: Option<String>,
    scenario: Option<String>,
    status: String,
    seed: Option<u64>,
    #[serde(alias = "line")]
    reason: Option<String>,
}

/// What one kind calls what it must be.
fn is_right(status: &str) -> bool {
    matches!(status, "caught" | "right" | "clean" | "as it must")
}

/// Reads a result.
///
/// # Errors
/// When it is none, is of another version, or its counts are not those of its rows.
pub fn read(kind: Kind, text: &str) -> anyhow::Result<Exam> {
    let found: Result = serde_json::from_str(text).context("it cannot be read")?;
    anyhow::ensure!(found.version == VERSION, "it is of version {}", found.version);
    let rows: Vec<&Line> = found.defects.iter().chain(&found.clean).collect();
    let right = rows.iter().filter(|row| is_right(&row.status)).count();
    let wrong = rows.iter().filter(|row| !is_right(&row.status)).map(|row| wrong(row));
    let total = |name: &str| found.totals[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let counted = match kind {
        Kind::Matrix => (total("rows"), total("caught")),
        Kind::Wire => (total("rows"), total("right")),
        Kind::Clean => (total("asked"), None),
        Kind::Second => (
            total("defects").zip(total("clean_runs")).map(|(some, others)| some + others),
            total("caught")
                .zip(total("clean_runs"))
                .zip(total("false_alarms"))
                .map(|((caught, clean), alarms)| (caught + clean).saturating_sub(alarms)),
        ),
        Kind::Boxes => (total("cases"), total("right")),
    };
    let asked = counted.0.context("its totals lack what was asked for")?;
    let not_run = asked.checked_sub(rows.len()).context("it has more rows than were asked for")?;
    let agree = counted.1.is_none_or(|counted| counted == right);
    anyhow::ensure!(agree, "its totals are not those of its rows: {right} rows are right");
    Ok(Exam {
        kind,
        more: more(kind, &found.totals),
        tool: found.tool,
        build: found.build,
        seed: found.seed,
        whole: found.whole,
        asked,
        right,
        wrong: wrong.collect(),
        not_run,
        started_at: found.started_at,
    })
}

fn wrong(row: &Line) -> Wrong {
    let name = row
        .name
        .clone()
        .or_else(|| row.scenario.clone())
        .unwrap_or_else(|| "without a name".to_owned());
    let seed = row.seed.map(|seed| format!(" under seed {seed}")).unwrap_or_default();
    let reason = row.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    Wrong { name, what: format!("{}{seed}{reason}", row.status.replace('_', " ")) }
}

fn more(kind: Kind, totals: &Value) -> Option<String> {
    let number = |name: &str| totals[name].as_u64();
    match kind {
        Kind::Clean => {
            let (violations, deliveries) = number("violations").zip(number("deliveries"))?;
            Some(format!("{violations} false violations in {deliveries} deliveries"))
        }
        Kind::Second => {
            let (caught, defects) = number("caught").zip(number("defects"))?;
            let (alarms, clean) = number("false_alarms").zip(number("clean_runs"))?;
            Some(format!(
                "{caught} of {defects} defects caught, {alarms} false alarms in {clean} runs without one"
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const WIRE: &str = r#"{"version": 1, "tool": "0.1.0", "build": "0a1b2c", "started_at": "2026-01-02T03:04:05Z",
        "whole": true, "seed": 9, "totals": {"rows": 4, "right": 2},
        "deviations": [{"name": "a", "status": "right"}, {"name": "b", "status": "right"},
        {"name": "c", "status": "wrong", "reason": "it is a HOLD"}]}"#;
    pub const SECOND: &str = r#"{"version": 1, "started_at": "2026-01-02T03:04:05Z",
        "totals": {"defects": 2, "caught": 1, "missed": 1, "clean_runs": 1, "false_alarms": 0},
        "defects": [{"name": "d", "scenario": "smoke", "rule": "gap", "line": "l", "status": "caught"},
        {"name": "e", "scenario": "smoke", "rule": "-", "line": "GO", "status": "missed"}],
        "clean": [{"scenario": "smoke", "status": "as it must"}]}"#;
    pub const CLEAN: &str = r#"{"version": 1, "tool": "0.1.0", "started_at": "2026-01-01T00:00:00Z",
        "whole": false, "totals": {"asked": 2, "runs": 2, "deliveries": 900, "violations": 0},
        "runs": [{"name": "smoke", "seed": 1, "status": "clean"},
        {"name": "smoke", "seed": 2, "status": "hold", "reason": "unfit"}]}"#;

    #[test]
    fn what_is_not_as_it_must_be_is_told_by_name() {
        let wire = read(Kind::Wire, WIRE).expect("a result");
        assert_eq!((wire.asked, wire.right, wire.not_run, wire.seed), (4, 2, 1, Some(9)));
        let wrong = Wrong { name: "c".to_owned(), what: "wrong: it is a HOLD".to_owned() };
        assert_eq!(wire.wrong, [wrong]);
        let second = read(Kind::Second, SECOND).expect("a result");
        assert_eq!((second.asked, second.right, second.whole), (3, 2, None));
        assert_eq!(second.wrong[0].name, "e");
        let clean = read(Kind::Clean, CLEAN).expect("a result");
        assert_eq!(clean.wrong[0].what, "hold under seed 2: unfit");
        assert_eq!(clean.more.as_deref(), Some("0 false violations in 900 deliveries"));
    }

    #[test]
    fn counts_that_are_not_those_of_the_rows_are_refused() {
        for (from, to) in [
            ("\"right\": 2", "\"right\": 3"),
            ("\"rows\": 4", "\"rows\": 2"),
            ("\"version\": 1", "\"version\": 2"),
            ("\"totals\"", "\"sums\""),
        ] {
            assert!(read(Kind::Wire, &WIRE.replace(from, to)).is_err(), "{to}");
        }
    }
}
