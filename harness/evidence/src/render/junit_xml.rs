//! `junit.xml`: one test case an objective, one suite a gate, for CI systems.
//!
//! FAIL is a failure, INCONCLUSIVE and WARN are errors (both keep a run from being GO), a gate that the
//! profile does not judge is skipped, and so is what fails a gate that is advisory. What holds for the
//! run as a whole (interrupted, unfit, a fault that did not bite) is a suite of its own, so that no HOLD
//! looks green; what an objective says already is not said there again. The times of all cases add up to
//! the run's: judging takes none. A case's time stamp is the start of the first phase that it reads.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, TimeDelta};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{RenderError, Renderer};
use crate::judge::{Decision, GateVerdict, ObjectiveVerdict, Verdict};
use crate::record::Micros;
use crate::report::RunReport;

pub struct JunitXml;

/// Suite of the run as a whole.
const RUN: &str = "run";

impl Renderer for JunitXml {
    fn file_name(&self) -> &'static str {
        "junit.xml"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let mut junit = Report::new(clean(&format!("khala-harness: {}", report.scenario.name)));
        junit.set_time(took(report));
        if let Some(at) = time_stamp(report, 0) {
            junit.set_timestamp(at);
        }
        junit.add_test_suite(run(report));
        for gate in &report.gates {
            junit.add_test_suite(suite(report, gate));
        }
        let text = junit.to_string();
        let text =
            text.map_err(|error| RenderError { file: self.file_name(), why: error.to_string() })?;
        Ok(text.into_bytes())
    }
}

fn took(report: &RunReport) -> Duration {
    Duration::try_from_secs_f64(report.duration_s).unwrap_or_default()
}

/// A moment of the run on the clock.
fn time_stamp(report: &RunReport, at: Micros) -> Option<DateTime<FixedOffset>> {
    let started = DateTime::parse_from_rfc3339(&report.started_at).ok()?;
    started.checked_add_signed(TimeDelta::microseconds(i64::try_from(at).ok()?))
}

/// Scenario, profile, and gate: what CI systems group cases by.
fn class(report: &RunReport, gate: &str) -> String {
    let profile = report.scenario.profile.as_ref().map(|name| format!(".{name}"));
    clean(&format!("{}{}.{gate}", report.scenario.name, profile.unwrap_or_default()))
}

/// A suite of a report, all but its cases.
fn empty_suite(report: &RunReport, name: &str, time: Duration) -> TestSuite {
    let mut suite = TestSuite::new(class(report, name));
    suite.set_time(time);
    if let Some(at) = time_stamp(report, 0) {
        suite.set_timestamp(at);
    }
    suite
}

fn case(report: &RunReport, gate: &str, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(clean(name), status);
    case.set_classname(class(report, gate)).set_time(Duration::ZERO);
    if let Some(at) = time_stamp(report, 0) {
        case.set_timestamp(at);
    }
    case
}

fn run(report: &RunReport) -> TestSuite {
    let mut suite = empty_suite(report, RUN, took(report));
    let others: Vec<_> = report.of_the_run.iter().map(|reason| reason.why.as_str()).collect();
    let says_more = |objective: &ObjectiveVerdict| objective.verdict > Verdict::Pass;
    let said = report.gates.iter().any(|gate| gate.objectives.iter().any(says_more));
    let status = match report.decision {
        Decision::Go => TestCaseStatus::success(),
        // Another case is red, and says why.
        _ if others.is_empty() && said => TestCaseStatus::success(),
        Decision::NoGo if !said => not_passed(NonSuccessKind::Failure, "NO-GO", &others.join("\n")),
        Decision::NoGo | Decision::Hold => {
            not_passed(NonSuccessKind::Error, "HOLD", &others.join("\n"))
        }
    };
    let mut case = case(report, RUN, "the run as a whole", status);
    case.set_time(took(report));
    suite.add_test_case(case);
    suite
}

fn suite(report: &RunReport, gate: &GateVerdict) -> TestSuite {
    let mut suite = empty_suite(report, &gate.name, Duration::ZERO);
    if !gate.judged {
        let mut status = TestCaseStatus::skipped();
        status.set_message("the profile does not name this gate");
        suite.add_test_case(case(report, &gate.name, &gate.name, status));
    } else if gate.objectives.is_empty() {
        let status = not_passed(NonSuccessKind::Error, "INCONCLUSIVE", "nothing was judged");
        suite.add_test_case(case(report, &gate.name, &gate.name, status));
    }
    for objective in &gate.objectives {
        let status = if gate.advisory { advisory(objective) } else { status(objective) };
        let mut case = case(report, &gate.name, &name(objective), status);
        let read = report.phases.iter().filter(|phase| objective.during.contains(&phase.name));
        if let Some(at) =
            read.map(|phase| phase.start_us).min().and_then(|at| time_stamp(report, at))
        {
            case.set_timestamp(at);
        }
        suite.add_test_case(case);
    }
    suite
}

fn name(objective: &ObjectiveVerdict) -> String {
    let ObjectiveVerdict { metric, selector, require, during, .. } = objective;
    let selector = if selector.is_empty() { String::new() } else { format!(" [{selector}]") };
    let during =
        if during.is_empty() { String::new() } else { format!(" during {}", during.join(", ")) };
    format!("{metric}{selector} {require}{during}")
}

fn status(objective: &ObjectiveVerdict) -> TestCaseStatus {
    let verdict = objective.verdict.to_string();
    match objective.verdict {
        Verdict::NotApplicable => skipped(&format!("not applicable: {}", objective.reason)),
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Fail => not_passed(NonSuccessKind::Failure, &verdict, &objective.reason),
        Verdict::Warn | Verdict::Inconclusive => {
            not_passed(NonSuccessKind::Error, &verdict, &objective.reason)
        }
    }
}

/// What an advisory gate says keeps no run from being GO.
fn advisory(objective: &ObjectiveVerdict) -> TestCaseStatus {
    match objective.verdict {
        Verdict::Pass | Verdict::NotApplicable => status(objective),
        verdict => skipped(&format!("{verdict}, which decides nothing: {}", objective.reason)),
    }
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(clean(why));
    status
}

/// The first line is the message, which lists show; all of it is the body.
fn not_passed(kind: NonSuccessKind, verdict: &str, why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    let why = clean(why);
    status.set_type(verdict).set_message(why.lines().next().unwrap_or(verdict));
    status.set_description(format!("{verdict}: {why}"));
    status
}

/// Text that any XML 1.0 may hold (section 2.2), without what it calls discouraged, and without a carriage
/// return, which a parser would read as a line's end.
fn clean(text: &str) -> String {
    let allowed = |c: char| match c {
        '\n' | '\t' => true,
        '\u{fdd0}'..='\u{fdef}' => false,
        // The last two of each plane are no characters.
        _ => !c.is_control() && u32::from(c) & 0xfffe != 0xfffe,
    };
    text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect()
}
