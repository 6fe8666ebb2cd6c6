//! What a HOLD tells whoever has to act on it: what was missing, how much of it, and the one thing to do next. No way
//! to a HOLD leaves him with "see below, and run it again".

use khala_evidence::Record;
use khala_evidence::judge::Decision;
use khala_evidence::record::{Cut, OfflineCause, OpKind, Outcome, PublishId, Request};
use khala_evidence::report::RunReport;

use crate::support::reading::summary;
use crate::support::records;
use crate::support::trial::Trial;

/// Words that send a reader away with nothing.
const EMPTY: [&str; 5] = [
    "Mend what the reason names",
    "See the reasons below",
    "See under Faults what became of it",
    "See below whether clients could connect at all",
    "Find out what kept them away",
];

/// Stability decides nothing.
const ADVISORY: &str = "[[gate]]\nname = \"stability\"\nadvisory = true\n\n[oracle]";

fn storm() -> Trial {
    Trial::storm(&[])
}

fn changed(change: impl FnOnce(&mut Trial)) -> Trial {
    let mut trial = storm();
    change(&mut trial);
    trial
}

fn refused(request: Request, outcome: Outcome, status: &str, at: u64) -> Record {
    records::answered(request, None, [at - 10, at], (outcome, status))
}

/// Headline, and what to do next, of a report that must be a HOLD.
#[track_caller]
fn told(report: &RunReport) -> (String, String) {
    assert_eq!(report.decision, Decision::Hold, "{:#?}", report.reasons);
    let text = summary(report);
    let line =
        |start: &str| text.lines().find(|line| line.starts_with(start)).expect(start).to_owned();
    (line("**Do not decide by this run: "), line("- **What to do next.** "))
}

/// A way to a HOLD: the run, what its headline or its reasons must name, and what must be said to do.
type Way = (Trial, &'static str, &'static str);

fn ways() -> Vec<Way> {
    let silent = [("rate = \"4/s\"\narrival = \"constant\"", "rate = \"0.0001/s\"")];
    let undrained = changed(|trial| {
        let (id, done) = (PublishId::Planned(1_000), trial.end.at - 1_000);
        let unseen = records::published(id, 9, done - 100, done, Some(1), 7);
        let retired = trial.records.iter().position(|r| matches!(r, Record::Retired { .. }));
        trial.records.insert(retired.expect("everybody is retired"), unseen);
        trial.end.drained = false;
        trial.facts.drained = false;
    });
    // By itself it is a NO-GO.
    let mut withheld = Trial::storm(&[("[oracle]", ADVISORY)]);
    withheld.facts.generator.publishes_begun -= 1;
    withheld.records.push(records::withheld(71, 17_000_000, 20_000_000));
    vec![
        (
            Trial::storm(&silent),
            "not one update arrived, so that nothing was tested: 160 connects were taken, 0 of",
            "See that what is published comes out on topics that the clients subscribe to",
        ),
        (
            storm().without(|record| matches!(record, Record::Published(_))),
            "not one publish was acknowledged, so none could be lost of 72",
            "a target that takes what is published",
        ),
        (undrained, "the run did not drain, and 1 cases of a loss", "a longer `drain_within`"),
        (
            storm().without(|record| {
                matches!(record, Record::Op(op) if matches!(op.kind, OpKind::Connect | OpKind::Mint))
            }),
            "auth_errors proportion <= 5%: there is not a single sample",
            "59 samples of auth_errors (59 more than came)",
        ),
        (
            Trial::storm(&[("require = \"max < 5s\"", "require = \"max < 5s\"\nmin_samples = 1000000")]),
            "samples are fewer than the 1,000,000 needed",
            "1,000,000 samples of delivery (",
        ),
        (
            Trial::storm(&[(
                "converge_within = \"5s\"",
                "converge_within = \"5s\"\nstorm_min_deliveries = 39",
            )]),
            "fewer than 39 deliveries before or after it",
            "more that is delivered before the fault and after it",
        ),
        (
            storm().without(|record| matches!(record, Record::Offline { .. })),
            "no client recorded being cut off by fault 0",
            "clients that are connected when the fault is due",
        ),
        (changed(|it| it.facts.interrupted = true), "was stopped before its end", "to its end"),
        (
            changed(|it| it.records.push(Record::Dropped { count: 1 })),
            "1 records were dropped",
            "fewer clients or a lower `rate`",
        ),
        (
            changed(|it| it.facts.generator.lost_threads = 1),
            "1 threads of the generator ended with a bug",
            "without that bug",
        ),
        (
            changed(|it| it.facts.generator.publishes_begun -= 1),
            "began 71 of 72 planned publishes",
            "on a machine that does nothing else",
        ),
        (
            changed(|it| it.records.push(records::retired(80, 1_000, false))),
            "1 records are of clients that the plan does not have",
            "a bundle as its run wrote it",
        ),
        (
            withheld,
            "1 of 72 planned publishes were never begun",
            "a lower `rate`",
        ),
        (
            changed(|it| it.facts.faults[0].applied = false),
            "was not due: the run ended before its time",
            "Let the run go on until all that it plans was due",
        ),
        (
            changed(|it| it.facts.faults[0].effective = Some(40)),
            "as planned: fault 0 (disconnect in storm) hit 40 of 80 clients planned",
            "Give its targets the time to connect before it",
        ),
        (
            storm().without(|record| matches!(record, Record::SchedulerLag { .. })),
            "scheduler lag was never measured",
            "phases of a second at least",
        ),
        (
            Trial::storm(&[(
                "metric = \"violations\"\nrequire",
                "metric = \"violations\"\nwhere = { rule = \"stuck_channel\" }\nrequire",
            )]),
            "the rule stuck_channel is undecided (never put to the test in this run)",
            "an occasion for the rule",
        ),
    ]
}

#[test]
fn every_hold_says_what_was_missing_and_how_much_and_what_to_do() {
    for (trial, what, next) in ways() {
        let report = trial.report();
        let (headline, todo) = told(&report);
        let named = headline.contains(what)
            || todo.contains(what)
            || report.reasons.iter().any(|reason| reason.contains(what));
        assert!(named, "no {what} in: {headline}\n{todo}\n{:#?}", report.reasons);
        assert!(todo.contains(next), "no {next} in: {todo}");
        for empty in EMPTY {
            assert!(!todo.contains(empty), "{empty}: {todo}");
        }
    }
}

#[test]
fn where_no_publish_is_taken_it_is_told_what_came_instead() {
    // By itself it is a NO-GO.
    let mut trial = Trial::storm(&[("[oracle]", ADVISORY)]);
    trial.records.retain(|record| !matches!(record, Record::Published(_)));
    let (request, outcome) = (Request::Publish, Outcome::ConnectionFailed);
    trial.records.insert(0, refused(request, outcome, "connection refused", 3_000_000));
    let (headline, todo) = told(&trial.report());
    let told = format!("{headline} {todo}");
    assert!(told.contains("none could be lost (1 connection refused)"), "{told}");
}

#[test]
fn incidents_of_the_harnesss_own_are_told_with_how_many_and_what_mends_them() {
    let report = changed(|trial| {
        // A socket breaks while the thread that would have heard of it stands still.
        trial.records.insert(0, records::stall(0, 3_000_000, 6_000_000));
        let cause = OfflineCause::Broken { how: Cut::Reset };
        let at = 6_000_100;
        let later = trial.records.iter().position(|record| record.at() > at);
        trial.records.insert(later.expect("the run goes on"), records::offline(0, at, cause));
    })
    .report();
    let (headline, todo) = told(&report);
    let told = format!("{headline} {todo}");
    assert!(told.contains("socket ends are undecided"), "{told}");
    let why = "socket ends are undecided (what follows from the harness's own stalls, wants or heartbeats: 1 (was \
               reset ×1)";
    assert!(told.contains(why), "{told}");
    assert!(told.contains("Run it again on a machine that does nothing else"), "{told}");
}
