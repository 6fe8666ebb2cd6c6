//! What had not ended is no figure: its time is told as more than what was waited for.

use khala_plan::metric::MetricId;

use super::*;
use crate::shard::metrics::Key;

/// The report of a run in which 85 of a hundred clients were back in two seconds, and the others, cut off half a second
/// before the end of the phase, were not by then.
fn report() -> RunReport {
    let text = "metric = \"time_to_recovered\"\nduring = [\"during\"]\nrequire = \"max < 60s\"";
    let named = TEXT.find("metric = \"violations\"").expect("the first objective");
    let end = TEXT[named..].find("[[gate]]").expect("the second gate") + named;
    let plan = testing::plan(&format!("{}{text}\n{}", &TEXT[..named], &TEXT[end..]));
    let during = u16::try_from(Schedule::of(&plan).phase_at(33 * S)).expect("small");
    let key = Key { metric: MetricId::TimeToRecovered, phase: during, surface: None };
    let cut = |settled: &mut Settled| {
        for client in 0..85 {
            settled.metrics.sample(key, client, 33 * S, 2 * S, 2 * S);
        }
        for client in 85..100 {
            settled.metrics.censored(key, client, 60 * S, S / 2);
        }
    };
    let records = [lag(5 * S, 1), lag(35 * S, 1)];
    in_court_with(&plan, &records, &facts(), cut, |case| RunReport::of(case, judge(case), "0"))
}

#[test]
fn a_percentile_among_what_never_ended_is_more_than_was_waited_for() {
    let report = report();
    let line = report.metrics.iter().find(|line| line.metric == MetricId::TimeToRecovered);
    let line = line.expect("it has samples");
    let printed = line.response.expect("a latency");
    let ended = line.ended.expect("some had not");
    let two_seconds = |value: Option<u64>| value.is_some_and(|us| us.abs_diff(2 * S) < 3_000);
    assert!(two_seconds(printed.p90), "by how long they were waited for it is two: {printed:?}");
    assert!(two_seconds(ended.p50) && ended.p90.is_none(), "{ended:?}");

    let mut files = crate::render::ALL.iter();
    let summary = files.find(|one| one.file_name() == "summary.md").expect("it is made");
    let shown = String::from_utf8(summary.render(&report).expect("renders")).expect("text");
    let row = shown.lines().find(|line| line.starts_with("| time_to_recovered |")).expect("a row");
    assert!(row.contains("| 100 | 15 | 2.00 s | > 2.00 s | – | > 2.00 s |"), "{row}");
    assert!(shown.contains("had not ended by the end of the phase"), "{shown}");
    let screen = crate::render::terminal::render(&report, crate::render::terminal::Colour::Never);
    let row = screen.lines().find(|line| line.contains(" not recovered"));
    let row = row.expect("a row");
    assert!(row.contains("max > 2.00 s") && row.ends_with("n=100, 15 not recovered"), "{row}");
}

#[test]
fn so_is_a_maximum_of_which_some_never_ended() {
    let report = report();
    let objective = &report.gates[0].objectives[0];
    assert_eq!((objective.verdict, objective.bad, objective.never), (Verdict::Fail, 15, 15));
    let said = "15 of 100 samples break it, 15 of them by not ending in time; the largest is more than 200";
    assert!(objective.reason.starts_with(said), "{}", objective.reason);
    let screen = crate::render::terminal::render(&report, crate::render::terminal::Colour::Never);
    let row = screen.lines().find(|line| line.contains("max < 60s") && line.contains("FAIL"));
    assert!(row.is_some_and(|row| row.ends_with("n=100  > 2.00 s")), "{row:?}");
}
