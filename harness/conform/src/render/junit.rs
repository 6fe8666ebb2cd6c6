//! `junit.xml`: a suite an area, a test case a case. A deviation is a failure, what is undecided an error,
//! what does not apply or is accepted is skipped; a finding fails nothing, and stands in the case's output.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as Junit, TestCase, TestCaseStatus, TestSuite};

use crate::case::Area;
use crate::report::{CaseResult, Report, Status};

/// The file.
///
/// # Errors
/// When the library cannot write it.
pub fn render(report: &Report) -> Result<String, String> {
    let mut junit = Junit::new(clean(&format!("khala-harness conform: {}", report.url)));
    junit.set_time(Duration::try_from_secs_f64(report.elapsed_s).unwrap_or_default());
    let mut areas: Vec<Area> = report.results.iter().map(|result| result.area).collect();
    areas.sort_unstable();
    areas.dedup();
    for area in areas {
        let mut suite = TestSuite::new(format!("conform.{}", area.name()));
        let of = report.results.iter().filter(|result| result.area == area);
        suite.add_test_cases(of.map(case));
        junit.add_test_suite(suite);
    }
    if !report.stale_known.is_empty() {
        let mut suite = TestSuite::new("conform.known");
        for stale in &report.stale_known {
            let why = format!("accepted ({}), and the target keeps it now", stale.reason);
            let status = not_passed(NonSuccessKind::Failure, "stale entry", &why);
            suite.add_test_case(TestCase::new(clean(&stale.id), status));
        }
        junit.add_test_suite(suite);
    }
    junit.to_string().map_err(|error| error.to_string())
}

fn case(result: &CaseResult) -> TestCase {
    let why =
        format!("{} (contract, section {}: {})", result.told(), result.section, result.sentence);
    let status = match (&result.accepted, result.status) {
        (Some(reason), _) => skipped(&format!("accepted: {reason}. {}", result.told())),
        (None, Status::Pass | Status::Finding) => TestCaseStatus::success(),
        (None, Status::NotApplicable) => skipped(&result.told()),
        (None, Status::Deviation) => not_passed(NonSuccessKind::Failure, "deviation", &why),
        (None, Status::Undecided) => not_passed(NonSuccessKind::Error, "undecided", &why),
    };
    let mut case = TestCase::new(result.id, status);
    case.set_classname(format!("conform.{}", result.area.name()));
    case.set_time(Duration::try_from_secs_f64(result.took_s).unwrap_or_default());
    if result.status == Status::Finding {
        case.set_system_out(clean(&format!("finding: {}", result.told())));
    }
    case
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(clean(why));
    status
}

fn not_passed(kind: NonSuccessKind, what: &str, why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(what).set_message(clean(why));
    status
}

/// Text that any XML 1.0 may hold (section 2.2).
fn clean(text: &str) -> String {
    let allowed =
        |c: char| matches!(c, '\n' | '\t') || !c.is_control() && u32::from(c) & 0xfffe != 0xfffe;
    text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect()
}
