//! What the clean runs came to: `clean.json`, and the exit code. Pure.

use khala_evidence::judge::Decision;
use serde::Serialize;

use super::runner::{self, Sitting};
use crate::exit::Exit;

/// Nothing in n trials bounds the rate below this over n, with 95 % confidence: the rule of three
/// (Hanley and Lippman-Hand, JAMA 249:1743, 1983).
const THREE: f64 = 3.0;

/// `clean.json`.
#[derive(Debug, Serialize)]
pub struct Clean {
    /// How it went.
    #[serde(flatten)]
    pub sitting: Sitting,
    /// Over all runs.
    pub totals: Totals,
    /// The runs.
    pub runs: Vec<Line>,
}

/// Sums, and what they bound.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Totals {
    /// Runs that were to be made.
    pub asked: usize,
    /// Those with a report.
    pub runs: usize,
    /// Deliveries judged.
    pub deliveries: u64,
    /// Violations of any rule: each is a false alarm.
    pub violations: u64,
    /// Runs that ended in NO-GO.
    pub false_no_gos: usize,
    /// Runs that ended in HOLD: nothing follows from them either way.
    pub holds: usize,
    /// Runs that could not be made.
    pub errors: usize,
    /// 95 % bound on violations per delivery, when there was none: 3 / deliveries.
    pub violations_per_delivery_max: Option<f64>,
    /// 95 % bound on the share of runs that end in a false NO-GO, when none did: 3 / runs that were
    /// decided.
    pub false_no_gos_per_run_max: Option<f64>,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// GO, and not a single violation.
    Clean,
    /// A violation or a failed gate, of which the runtime is not guilty.
    FalseAlarm,
    /// HOLD, without either: the machine was too slow, or the scenario does not decide.
    Hold,
    /// There was no run to judge.
    Error,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What was run.
    pub name: String,
    /// Under which seed.
    pub seed: u32,
    /// What became of it.
    pub status: Status,
    /// What the run came to.
    pub decision: Option<Decision>,
    /// Deliveries judged.
    pub deliveries: u64,
    /// Violations.
    pub violations: u64,
    /// Gates that failed by themselves.
    pub gates: Vec<String>,
    /// The bundle, if it was kept.
    pub run_dir: Option<String>,
    /// Why it is not clean.
    pub reason: Option<String>,
}

impl Status {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::FalseAlarm => "FALSE ALARM",
            Self::Hold => "HOLD",
            Self::Error => "ERROR",
        }
    }

    /// A violation is a false alarm whatever the run came to.
    pub fn of(decision: Decision, violations: u64, gates: &[String]) -> Self {
        match decision {
            _ if violations > 0 || !gates.is_empty() => Self::FalseAlarm,
            Decision::NoGo => Self::FalseAlarm,
            Decision::Hold => Self::Hold,
            Decision::Go => Self::Clean,
        }
    }
}

impl Line {
    /// A run that could not be made, and why.
    pub fn without_a_run(name: String, seed: u32, why: String) -> Self {
        Self {
            name,
            seed,
            status: Status::Error,
            decision: None,
            deliveries: 0,
            violations: 0,
            gates: Vec::new(),
            run_dir: None,
            reason: Some(why),
        }
    }
}

impl runner::Line for Line {
    const WORD_MAX: usize = 11;

    fn title(&self) -> String {
        format!("{} under seed {}", self.name, self.seed)
    }

    fn word(&self) -> &'static str {
        self.status.name()
    }

    fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    fn is_settled(&self) -> bool {
        self.status == Status::Clean
    }

    fn run_dir(&mut self) -> &mut Option<String> {
        &mut self.run_dir
    }
}

/// The rule of three: a bound only where nothing happened, and something could have.
#[expect(clippy::cast_precision_loss, reason = "counts of one selftest")]
fn rule_of_three(happened: u64, trials: u64) -> Option<f64> {
    (happened == 0 && trials > 0).then(|| (THREE / trials as f64).min(1.0))
}

impl Totals {
    fn of(lines: &[Line], asked: usize) -> Self {
        let count = |is: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count();
        let deliveries = lines.iter().map(|line| line.deliveries).sum();
        let violations = lines.iter().map(|line| line.violations).sum();
        let false_no_gos = count(&|line| line.decision == Some(Decision::NoGo));
        let decided = false_no_gos + count(&|line| line.decision == Some(Decision::Go));
        Self {
            asked,
            runs: count(&|line| line.decision.is_some()),
            deliveries,
            violations,
            false_no_gos,
            holds: count(&|line| line.decision == Some(Decision::Hold)),
            errors: count(&|line| line.status == Status::Error),
            violations_per_delivery_max: rule_of_three(violations, deliveries),
            false_no_gos_per_run_max: rule_of_three(false_no_gos as u64, decided as u64),
        }
    }
}

impl Clean {
    /// What so many runs, of those that were asked for, came to.
    pub fn of(sitting: Sitting, runs: Vec<Line>, asked: usize) -> Self {
        Self { sitting, totals: Totals::of(&runs, asked), runs }
    }

    /// A false alarm stands against the harness; nothing follows from a HOLD.
    pub fn exit(&self) -> Exit {
        let any = |status| self.runs.iter().any(|line| line.status == status);
        let missing = any(Status::Error) || self.runs.len() < self.totals.asked;
        match self.sitting.exit(any(Status::FalseAlarm), missing) {
            Exit::Go if any(Status::Hold) => Exit::Hold,
            exit => exit,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::runner::tests::sitting;
    use super::*;

    /// A run that came to this.
    pub fn line(decision: Option<Decision>, deliveries: u64, violations: u64) -> Line {
        let status = decision.map_or(Status::Error, |d| Status::of(d, violations, &[]));
        let line = Line::without_a_run("quiet (smoke)".to_owned(), 1, String::new());
        Line { decision, deliveries, violations, status, ..line }
    }

    /// These runs, in a minute.
    pub fn clean(runs: Vec<Line>) -> Clean {
        let asked = runs.len();
        Clean::of(sitting(), runs, asked)
    }

    #[test]
    fn a_violation_is_a_false_alarm_and_a_hold_is_none() {
        let (go, hold) = (Some(Decision::Go), Some(Decision::Hold));
        assert_eq!(clean(vec![line(go, 100, 0)]).exit(), Exit::Go);
        assert_eq!(clean(vec![line(go, 100, 0), line(hold, 100, 0)]).exit(), Exit::Hold);
        assert_eq!(clean(vec![line(hold, 100, 1)]).exit(), Exit::NoGo);
        assert_eq!(clean(vec![line(Some(Decision::NoGo), 100, 0)]).exit(), Exit::NoGo);
        assert_eq!(clean(vec![line(None, 0, 0), line(hold, 1, 0)]).exit(), Exit::Setup);
        assert_eq!(Status::of(Decision::Hold, 0, &["reconnect".to_owned()]), Status::FalseAlarm);
    }

    #[test]
    fn nothing_in_n_bounds_the_rate_by_three_over_n() {
        let (go, hold) = (Some(Decision::Go), Some(Decision::Hold));
        let totals = Totals::of(&[line(go, 200, 0), line(go, 50, 0), line(hold, 50, 0)], 3);
        assert_eq!(totals.violations_per_delivery_max, Some(0.01));
        assert_eq!(totals.false_no_gos_per_run_max, Some(1.0), "3/2, of two that were decided");
        let totals = Totals::of(&[line(Some(Decision::NoGo), 200, 2)], 1);
        assert_eq!(totals.violations_per_delivery_max, None);
        assert_eq!(totals.false_no_gos_per_run_max, None);
        assert_eq!(Totals::of(&[line(None, 0, 0)], 1).violations_per_delivery_max, None);
    }
}
