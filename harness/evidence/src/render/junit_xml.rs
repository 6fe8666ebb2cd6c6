//! `junit.xml`: one test case an objective, one suite a gate, for CI systems.
//!
//! FAIL is a failure, INCONCLUSIVE and WARN are errors (both keep a run from being GO), a gate that the
//! profile does not judge is skipped, and so is what fails a gate that is advisory. What holds for the run as a whole (interrupted, unfit, a fault
//! that did not bite) is a suite of its own, so that no HOLD looks green.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{RenderError, Renderer};
use crate::judge::{Decision, GateVerdict, ObjectiveVerdict, Verdict};
use crate::report::RunReport;

pub struct JunitXml;

/// Suite of the run as a whole.
const RUN: &str = "run";

impl Renderer for JunitXml {
    fn file_name(&self) -> &'static str {
        "junit.xml"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let mut junit = Report::new(format!("khala-harness: {}", report.scenario.name));
        junit.add_test_suite(run(report));
        for gate in &report.gates {
            junit.add_test_suite(suite(gate));
        }
        let text = junit.to_string();
        let text =
            text.map_err(|error| RenderError { file: self.file_name(), why: error.to_string() })?;
        Ok(text.into_bytes())
    }
}

fn run(report: &RunReport) -> TestSuite {
    let mut suite = TestSuite::new(RUN);
    let status = match report.decision {
        Decision::Go => TestCaseStatus::success(),
        Decision::NoGo => not_passed(NonSuccessKind::Failure, "NO-GO", &report.reasons.join("\n")),
        Decision::Hold => not_passed(NonSuccessKind::Error, "HOLD", &report.reasons.join("\n")),
    };
    let mut case = TestCase::new(format!("{} is a GO", report.scenario.name), status);
    case.set_classname(RUN);
    suite.add_test_case(case);
    suite
}

fn suite(gate: &GateVerdict) -> TestSuite {
    let mut suite = TestSuite::new(gate.name.clone());
    if !gate.judged {
        let mut status = TestCaseStatus::skipped();
        status.set_message("the profile does not name this gate");
        suite.add_test_case(TestCase::new(gate.name.clone(), status));
    } else if gate.objectives.is_empty() {
        let status = not_passed(NonSuccessKind::Error, "INCONCLUSIVE", "nothing was judged");
        suite.add_test_case(TestCase::new(gate.name.clone(), status));
    }
    for objective in &gate.objectives {
        let status = if gate.advisory { advisory(objective) } else { status(objective) };
        let mut case = TestCase::new(name(objective), status);
        case.set_classname(gate.name.clone());
        case.set_system_out(clean(&objective.reason));
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
        Verdict::Pass => TestCaseStatus::success(),
        Verdict::Fail => not_passed(NonSuccessKind::Failure, &verdict, &objective.reason),
        Verdict::Warn | Verdict::Inconclusive => {
            not_passed(NonSuccessKind::Error, &verdict, &objective.reason)
        }
    }
}

/// What an advisory gate says keeps no run from being GO.
fn advisory(objective: &ObjectiveVerdict) -> TestCaseStatus {
    if objective.verdict == Verdict::Pass {
        return TestCaseStatus::success();
    }
    let mut status = TestCaseStatus::skipped();
    let verdict = objective.verdict;
    status.set_message(clean(&format!("{verdict}, which decides nothing: {}", objective.reason)));
    status
}

fn not_passed(kind: NonSuccessKind, verdict: &str, why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(verdict).set_message(clean(why));
    status
}

/// XML 1.0 has no control characters but white space.
fn clean(text: &str) -> String {
    let allowed = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect()
}
