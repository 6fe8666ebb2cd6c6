//! What the run as a whole is held against, and the order in which gates and reasons count.

use khala_plan::metric::MetricId;
use khala_plan::model::Estimator;

use super::*;
use crate::judge::fitness::run_reasons;
use crate::record::Record::{Connected, Dropped, Published, Withheld};

/// A run of which nothing is to be said: all of its clients are live, and one publish was acknowledged.
fn sound() -> (RunFacts, Vec<Record>) {
    let mut facts = facts();
    (facts.generator.publishes_planned, facts.generator.publishes_begun) = (9, 9);
    let mut records = delivered(20, |_| 500);
    records.extend((1..4).map(|client| Connected { client, at: 2 }));
    records.push(Published(crate::record::Published {
        id: PublishId::Planned(0),
        worker: 0,
        intended: S,
        start: S,
        done: S + 100,
        outcome: crate::record::Outcome::Ok,
        status: None,
        worker_seq: Some(1),
        payload: 0,
    }));
    (facts, records)
}

/// What the run as a whole is held against when one thing about a sound one is different.
fn held(change: impl FnOnce(&mut RunFacts, &mut Vec<Record>)) -> Vec<String> {
    let (mut facts, mut records) = sound();
    change(&mut facts, &mut records);
    let live = |settled: &mut Settled| settled.clients_live_at_end = 4;
    in_court_with(&plan(), &records, &facts, live, run_reasons)
        .into_iter()
        .map(|reason| reason.why)
        .collect()
}

#[test]
fn a_sound_run_is_held_against_nothing() {
    assert_eq!(held(|_, _| ()), Vec::<String>::new());
}

#[test]
fn what_makes_a_run_no_evidence_is_said_in_a_sentence_each() {
    let publish = |record: &Record| matches!(record, Published(_));
    let withheld = |n: u32| {
        move |_: &mut RunFacts, records: &mut Vec<Record>| {
            let one = |n| Withheld { publish: n, intended: 5 * S, at: 9 * S };
            records.extend((1..=n).map(one));
        }
    };
    let unfinished = held(|facts, _| {
        (facts.unfinished, facts.interrupted) = (Some("it was killed".to_owned()), true);
    });
    assert_eq!(unfinished, ["the run did not finish: it was killed"]);
    assert_eq!(
        held(|facts, _| facts.interrupted = true),
        ["the run was interrupted before its end"]
    );
    let nothing = held(|_, records| {
        records.retain(|record| !matches!(record, Record::Delivered(_)));
    });
    assert_eq!(nothing, ["nothing was delivered, so nothing of it was judged"]);
    let unanswered = held(|_, records| records.retain(|record| !publish(record)));
    assert_eq!(unanswered, ["not one publish was acknowledged, so none could be lost of 240"]);
    let left = held(withheld(2));
    assert_eq!(
        left,
        [
            "the target left so many commands unanswered that 2 of 9 planned publishes were never begun"
        ]
    );
    for n in [1, 3] {
        let strangers = held(|_, records| {
            records.extend((0..n).map(|n| Connected { client: 7 + n, at: 5 * S }));
        });
        let said = format!("{n} records are of clients that the plan does not have");
        assert_eq!(strangers, [said]);
    }
    let lost = held(|facts, _| facts.generator.lost_threads = 1);
    assert_eq!(
        lost,
        ["1 threads of the generator ended with a bug, and their clients' evidence is missing"]
    );
    let dropped = held(|_, records| records.push(Dropped { count: 1 }));
    assert_eq!(dropped, ["1 records were dropped by full recorders"]);
}

#[test]
fn what_the_plan_does_not_ask_for_is_not_missing() {
    let mut plan = plan();
    plan.loads.clear();
    let (facts, mut records) = sound();
    records.retain(|record| !matches!(record, Published(_)));
    let live = |settled: &mut Settled| settled.clients_live_at_end = 4;
    let reasons = in_court_with(&plan, &records, &facts, live, run_reasons);
    assert_eq!(reasons, [], "nobody was to publish");
}

#[test]
fn clients_that_are_not_live_at_the_end_are_counted_unless_the_run_was_cut_short() {
    let of = |live: u64, interrupted: bool| {
        let (mut facts, records) = sound();
        facts.interrupted = interrupted;
        let live = |settled: &mut Settled| settled.clients_live_at_end = live;
        let reasons = in_court_with(&plan(), &records, &facts, live, run_reasons);
        reasons.into_iter().find(|reason| reason.why.contains("not live")).map(|reason| reason.why)
    };
    assert_eq!(of(4, false), None);
    assert_eq!(of(3, false).as_deref(), Some("1 of 4 clients were not live at the end"));
    assert_eq!(of(0, false).as_deref(), Some("4 of 4 clients were not live at the end"));
    assert_eq!(of(3, true), None);
}

#[test]
fn what_the_generator_never_began_is_its_own_but_for_what_the_target_left_no_room_for() {
    let of = |begun: u64, withheld: u32, interrupted: bool| {
        let reasons = held(|facts, records| {
            (facts.generator.publishes_begun, facts.interrupted) = (begun, interrupted);
            let one = |n| Withheld { publish: n, intended: 5 * S, at: 9 * S };
            records.extend((0..withheld).map(one));
        });
        reasons.into_iter().find(|why| why.starts_with("the generator began"))
    };
    assert_eq!(of(9, 0, false), None);
    assert_eq!(of(10, 0, false), None, "more than planned is nobody's lack");
    let lacks = |n: u64| Some(format!("the generator began {n} of 9 planned publishes"));
    assert_eq!(of(8, 0, false), lacks(8));
    assert_eq!(of(8, 1, false), None);
    assert_eq!(of(5, 1, false), lacks(5), "1 of 4 was withheld");
    assert_eq!(of(8, 0, true), None);
    // A target that is gone ends the run: nobody was to begin the rest.
    let reasons = held(|facts, _| {
        facts.generator.publishes_begun = 5;
        facts.target.lost = Some("it was killed".to_owned());
        facts.target.lost_at_us = Some(4 * S);
    });
    assert!(!reasons.iter().any(|why| why.contains("the generator")), "{reasons:?}");
}

/// TEXT, with the rule of the first gate named, and with whichever of its gates advisory.
fn text_of(rule: &str, advisory: [bool; 2]) -> String {
    let mut gates = advisory.into_iter();
    let text = TEXT.replacen("rule = \"frame_mismatch\"", &format!("rule = \"{rule}\""), 1);
    text.split("[[gate]]\n")
        .enumerate()
        .map(|(n, part)| match n {
            0 => part.to_owned(),
            _ if gates.next() == Some(true) => format!("[[gate]]\nadvisory = true\n{part}"),
            _ => format!("[[gate]]\n{part}"),
        })
        .collect()
}

#[test]
fn an_advisory_gate_decides_nothing_and_is_told_last() {
    let of = |advisory: [bool; 2]| {
        let text = text_of("gap", advisory);
        // The rules of the run, which would decide as well, are advisory too.
        let text = format!("{text}\n[[gate]]\nname = \"oracle\"\nadvisory = true\n");
        let broken = |settled: &mut Settled| {
            settled.clients_live_at_end = 4;
            settled.tally.violate(violation(Rule::Gap), 0);
            settled.tally.undecided_cases(Rule::StuckChannel, 1);
        };
        let (facts, mut records) = sound();
        records.push(Dropped { count: 1 });
        in_court_with(&testing::plan(&text), &records, &facts, broken, judge)
    };
    let verdict = of([false, true]);
    assert_eq!((verdict.verdict, verdict.decision), (Verdict::Fail, Decision::NoGo));
    let told: Vec<_> = verdict.reasons.iter().map(String::as_str).collect();
    assert!(told[0].starts_with("FAIL: named: violations [rule=gap]"), "{told:?}");
    assert_eq!(told[1], "1 records were dropped by full recorders");
    assert!(told[2..].iter().all(|why| why.contains(", which is advisory: ")), "{told:?}");
    assert!(told[2..].iter().any(|why| why.starts_with("FAIL: each, which is advisory")));
    let verdict = of([true, true]);
    assert_eq!((verdict.verdict, verdict.decision), (Verdict::Inconclusive, Decision::Hold));
    assert_eq!(verdict.reasons[0], NOTHING_ASKED);
    assert_eq!(verdict.reasons[1], "1 records were dropped by full recorders");
    assert_eq!(verdict.of_the_run.len(), 2);
}

#[test]
fn a_gate_that_is_not_judged_has_no_verdict() {
    let mut plan = plan();
    plan.gates[0].judged = false;
    let verdict = in_court(&plan, &delivered(20, |_| 500), &facts(), judge);
    let (left, judged) = (&verdict.gates[0], &verdict.gates[1]);
    assert_eq!((left.judged, left.verdict, left.objectives.len()), (false, None, 0));
    assert_eq!((judged.judged, judged.verdict), (true, Some(Verdict::Pass)));
    assert!(!verdict.reasons.iter().any(|why| why == NOTHING_ASKED), "{:?}", verdict.reasons);
}

#[test]
fn what_is_not_applicable_and_was_seen_all_the_same_counts_as_it_is() {
    let of = |judged, undecided| {
        let change = |settled: &mut Settled| {
            settled.tally.judged(Rule::NoEviction, judged);
            settled.tally.undecided_cases(Rule::NoEviction, undecided);
        };
        let text = text_of("no_eviction", [false; 2]);
        let verdict =
            in_court_with(&testing::plan(&text), &delivered(20, |_| 500), &facts(), change, judge);
        let one = &verdict.gates[0].objectives[0];
        (one.verdict, one.n)
    };
    assert_eq!(of(0, 0), (Verdict::NotApplicable, 0));
    assert_eq!(of(5, 0), (Verdict::Pass, 5));
    assert_eq!(of(5, 900), (Verdict::Inconclusive, 5), "of the 1,200 deliveries");
}

#[test]
fn of_surfaces_that_are_judged_apart_only_the_one_without_an_occasion_is_not_applicable() {
    let surfaces = "name = \"desktop\"\nshare = 0.5\ntopics = [\"runtime.codex_worker_events\"]\n\
                    [[fleet.surface]]\nname = \"ios\"\nshare = 0.5\n\
                    topics = [\"runtime.run_summaries\"]";
    let text = TEXT.replacen("name = \"desktop\"\nshare = 1.0", surfaces, 1).replacen(
        "metric = \"violations\"\nwhere = { rule = \"frame_mismatch\" }\nrequire = \"count == 0\"",
        "metric = \"delivery\"\nwhere = { surface = \"*\" }\nrequire = \"p(50) < 1s\"",
        1,
    );
    let verdict = in_court(&testing::plan(&text), &[lag(5 * S, 1)], &facts(), judge);
    let of: Vec<_> = rules(&verdict, "named");
    assert_eq!(
        of,
        [
            ("surface=desktop".to_owned(), Verdict::Inconclusive),
            ("surface=ios".to_owned(), Verdict::NotApplicable)
        ]
    );
}

#[test]
fn a_figure_is_in_the_unit_of_what_it_estimates() {
    let p = Estimator::Percentile(95.0);
    for (metric, estimator, unit) in [
        (MetricId::TokenMint, p, Unit::Micros),
        (MetricId::TokenMint, Estimator::Max, Unit::Micros),
        (MetricId::ReplayLag, p, Unit::Count),
        (MetricId::ReconnectAttempts, Estimator::Max, Unit::Count),
        (MetricId::MintErrors, Estimator::Proportion, Unit::Share),
        (MetricId::MintErrors, Estimator::Count, Unit::Count),
        (MetricId::Reconnects, Estimator::Rate, Unit::PerSecond),
        (MetricId::BystanderRatio, Estimator::Ratio, Unit::Ratio),
    ] {
        assert_eq!(Unit::of(metric, estimator), unit, "{metric:?} {estimator:?}");
    }
}
