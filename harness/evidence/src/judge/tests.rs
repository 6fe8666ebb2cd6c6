//! What the run never put to the test is not passed, and bystanders are held against themselves.

mod figures;
mod fitness;
mod never;
mod objectives;
mod storms;
mod takes;
mod unkept;
mod whole_run;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use khala_wire::topic::{self, TopicId};

use super::*;
use crate::facts::{FaultOutcome, Generator, TargetFacts};
use crate::oracle::{End, Rule};
use crate::record::{Cut, Delivery, OfflineCause, Probe, PublishId, Record, Sink, Source};
use crate::report::RunReport;
use crate::testing;
use crate::{Context, Shard};

const TEXT: &str = r#"
version = 1
name = "judged"
seed = 7
[target]
kind = "reference"
[auth]
mint = "hs256"
[fleet]
clients = 4
ramp = "1s"
[[fleet.surface]]
name = "desktop"
share = 1.0
[[load]]
command = "codex-worker-events"
rate = "4/s"
arrival = "constant"
[[phase]]
name = "before"
duration = "30s"
[[phase]]
name = "during"
duration = "30s"
[[gate]]
name = "named"
[[gate.objective]]
metric = "violations"
where = { rule = "frame_mismatch" }
require = "count == 0"
[[gate]]
name = "each"
[[gate.objective]]
metric = "violations"
where = { rule = "*" }
require = "count == 0"
"#;

const S: u64 = 1_000_000;

fn plan() -> Plan {
    testing::plan(TEXT)
}

fn facts() -> RunFacts {
    RunFacts {
        run_id: String::new(),
        started_at: String::new(),
        ended_at: String::new(),
        duration_us: 61 * S,
        interrupted: false,
        drained: true,
        target: TargetFacts::default(),
        faults: Vec::new(),
        generator: Generator::default(),
        findings: Vec::new(),
        events_dropped: 0,
        unfinished: None,
        unkept: Vec::new(),
    }
}

/// A live client that gets `per_second` events a second, each after `took(second)` microseconds.
fn delivered(per_second: u64, took: impl Fn(u64) -> u64) -> Vec<Record> {
    let topic = TopicId::of(topic::WORKER_EVENTS).expect("known");
    let subscribed =
        crate::record::SubscribedTopic { topic, cursor: Some(0), head_seen: 0, by_fault: false };
    let mut records = vec![
        Record::Connected { client: 0, at: 1 },
        Record::SubscribeSent { client: 0, epoch: 1, at: 1, topics: vec![subscribed] },
        Record::SubscribeOk { client: 0, epoch: 1, at: 2, watermarks: vec![(topic, 0)] },
    ];
    for n in 0..60 * per_second {
        let intended = S + n * S / per_second;
        let source = Source::Event {
            publish: PublishId::Planned(u32::try_from(n).expect("small")),
            intended: Some(intended),
            begun: Some(intended),
            payload: 0,
            worker_seq: None,
        };
        records.push(Record::Delivered(Delivery {
            client: 0,
            epoch: 1,
            topic,
            seq: n + 1,
            at: intended + took(intended / S) + n % 7,
            content: n,
            hash_fits: true,
            source,
        }));
        records.push(lag(intended, 1));
    }
    records
}

fn lag(at: u64, lag_us: u64) -> Record {
    Record::SchedulerLag { thread: 0, at, lag_us }
}

fn judged(plan: &Plan, records: &[Record]) -> (RunVerdict, RunReport) {
    in_court(plan, records, &facts(), |case| {
        let verdict = judge(case);
        (verdict.clone(), RunReport::of(case, verdict, "0"))
    })
}

/// Asks something about a run with these facts.
fn in_court<T>(
    plan: &Plan,
    records: &[Record],
    facts: &RunFacts,
    ask: impl FnOnce(&Case<'_>) -> T,
) -> T {
    in_court_with(plan, records, facts, |_| (), ask)
}

/// The same, when something of what was settled is changed first.
fn in_court_with<T>(
    plan: &Plan,
    records: &[Record],
    facts: &RunFacts,
    change: impl FnOnce(&mut Settled),
    ask: impl FnOnce(&Case<'_>) -> T,
) -> T {
    let schedule = Schedule::of(plan);
    let mut shard = Shard::new(Arc::new(Context::of(plan, &schedule)));
    records.iter().for_each(|record| shard.record(record.clone()));
    let mut settled = shard.settle(&BTreeSet::new(), End { at: 61 * S, drained: true });
    change(&mut settled);
    ask(&Case { plan, schedule: &schedule, facts, settled: &settled })
}

fn rules(verdict: &RunVerdict, gate: &str) -> Vec<(String, Verdict)> {
    let gate = verdict.gates.iter().find(|one| one.name == gate).expect("the gate");
    gate.objectives.iter().map(|one| (one.selector.clone(), one.verdict)).collect()
}

#[test]
fn a_rule_that_is_named_must_have_been_put_to_the_test() {
    let (verdict, report) = judged(&plan(), &delivered(1, |_| 500));
    let named = ("rule=frame_mismatch".to_owned(), Verdict::Inconclusive);
    assert_eq!(rules(&verdict, "named"), std::slice::from_ref(&named));
    let why =
        "named: violations [rule=frame_mismatch] count == 0: never put to the test in this run";
    assert!(verdict.reasons.contains(&format!("INCONCLUSIVE: {why}")), "{:?}", verdict.reasons);
    let each = rules(&verdict, "each");
    assert!(!each.is_empty() && each.iter().all(|(_, verdict)| *verdict == Verdict::Pass));
    assert!(!each.iter().any(|(rule, _)| *rule == named.0));
    assert_eq!(each, rules(&verdict, ORACLE_GATE));
    assert!(report.oracle.not_exercised.contains(&"frame_mismatch".to_owned()));
    assert_eq!(report.oracle.not_exercised.len() + each.len(), Rule::ALL.len());
    let mut files = crate::render::ALL.iter();
    let summary = files.find(|one| one.file_name() == "summary.md").expect("it is made");
    let shown = String::from_utf8(summary.render(&report).expect("renders")).expect("text");
    let line = shown.lines().find(|line| line.contains("rules not exercised: ")).expect("is said");
    assert!(line.contains("frame_mismatch"), "{shown}");

    let mut compared = delivered(1, |_| 500);
    let topic = TopicId::of(topic::WORKER_EVENTS).expect("known");
    compared.push(Record::PushesCompared { client: 0, at: 5 * S, topic, seq: 4, agree: true });
    let (verdict, _) = judged(&plan(), &compared);
    assert_eq!(rules(&verdict, "named"), [(named.0, Verdict::Pass)]);
}

#[test]
fn where_nothing_was_put_to_the_test_nothing_passes() {
    let (verdict, _) = judged(&plan(), &[]);
    for gate in ["named", "each", ORACLE_GATE] {
        let rules = rules(&verdict, gate);
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].1, Verdict::Inconclusive);
        let nothing = "nothing was delivered, so nothing was judged";
        let ends_so = |why: &&String| why.contains(gate) && why.ends_with(nothing);
        assert_eq!(verdict.reasons.iter().filter(ends_so).count(), 1, "{:?}", verdict.reasons);
    }
}

/// A plan whose clients are slow for long enough to be evicted.
fn slow_text() -> String {
    let fault = "duration = \"30s\"\n[[phase.fault]]\ntype = \"slow_reader\"\nat = \"1s\"\n\
                 duration = \"28s\"\nmode = \"all\"\nattributes = { pause = true, rcvbuf = \"4KiB\" }\n\
                 [[gate]]";
    let buffers = "kind = \"reference\"\n[target.slow_consumer]\nsend_buffer = \"4KiB\"\n";
    let text = TEXT.replacen("kind = \"reference\"\n", buffers, 1);
    text.replacen("duration = \"30s\"\n[[gate]]", fault, 1)
}

#[test]
fn what_the_plan_cannot_exercise_is_not_applicable_and_counts_as_nothing() {
    let text = TEXT.replacen("rule = \"frame_mismatch\"", "rule = \"no_eviction\"", 1);
    let (verdict, report) = judged(&testing::plan(&text), &delivered(1, |_| 500));
    assert_eq!(rules(&verdict, "named"), [("rule=no_eviction".to_owned(), Verdict::NotApplicable)]);
    let gate = verdict.gates.iter().find(|gate| gate.name == "named").expect("the gate");
    assert_eq!(gate.verdict, Some(Verdict::NotApplicable));
    assert!(!verdict.reasons.iter().any(|why| why.contains("named")), "{:?}", verdict.reasons);
    let said = crate::render::terminal::render(&report, crate::render::terminal::Colour::Never);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = "Untested named/violations [rule=no_eviction]: the plan has no fault `slow_reader`";
    assert!(said.contains(line), "{said}");

    let must = text.replacen("seed = 7", "seed = 7\nmust_apply = [\"no_eviction\"]", 1);
    let (verdict, _) = judged(&testing::plan(&must), &delivered(1, |_| 500));
    assert_eq!(rules(&verdict, "named"), [("rule=no_eviction".to_owned(), Verdict::Inconclusive)]);
    assert!(verdict.reasons.iter().any(|why| why.contains("it must apply, and cannot")));
}

#[test]
fn where_nothing_applies_nothing_was_asked() {
    let text = TEXT.replacen("rule = \"frame_mismatch\"", "rule = \"no_eviction\"", 1);
    let each = text.rfind("[[gate]]").expect("the other gate");
    let (verdict, _) = judged(&testing::plan(&text[..each]), &delivered(1, |_| 500));
    assert_eq!(verdict.decision, Decision::Hold);
    assert!(verdict.reasons.iter().any(|why| why == NOTHING_ASKED), "{:?}", verdict.reasons);
}

#[test]
fn where_every_gate_is_advisory_nothing_was_asked() {
    let text = TEXT.replace("[[gate]]\n", "[[gate]]\nadvisory = true\n");
    let (verdict, _) = judged(&testing::plan(&text), &delivered(1, |_| 500));
    assert_eq!(verdict.decision, Decision::Hold);
    assert!(verdict.reasons.iter().any(|why| why == NOTHING_ASKED), "{:?}", verdict.reasons);
    let one = TEXT.replacen("[[gate]]\n", "[[gate]]\nadvisory = true\n", 1);
    let (verdict, _) = judged(&testing::plan(&one), &delivered(1, |_| 500));
    assert!(!verdict.reasons.iter().any(|why| why == NOTHING_ASKED), "{:?}", verdict.reasons);
}

#[test]
fn of_the_rules_only_those_that_assume_its_effect_fall_with_a_fault_that_did_not_bite() {
    let plan = testing::plan(&slow_text());
    let schedule = Schedule::of(&plan);
    let judged_with = |effective| {
        let mut facts = facts();
        let mut fault = FaultOutcome::not_applied(&schedule, &schedule.faults[0], "");
        (fault.applied, fault.effective) = (true, Some(effective));
        facts.faults.push(fault);
        let broken = |settled: &mut Settled| {
            for rule in [Rule::NoEviction, Rule::Gap] {
                settled.tally.violate(violation(rule), 0);
            }
        };
        let records = delivered(1, |_| 500);
        let verdict = in_court_with(&plan, &records, &facts, broken, judge);
        rules(&verdict, ORACLE_GATE)
    };
    let of = |rules: &[(String, Verdict)], name: &str| {
        rules.iter().find(|(known, _)| known == name).map(|(_, verdict)| *verdict)
    };
    for (effective, no_eviction) in [(4, Verdict::Fail), (0, Verdict::Inconclusive)] {
        let rules = judged_with(effective);
        assert_eq!(of(&rules, "rule=no_eviction"), Some(no_eviction));
        assert_eq!(of(&rules, "rule=gap"), Some(Verdict::Fail));
    }
}

#[test]
fn evictions_that_nobody_could_see_are_left_open_with_what_would_decide_them() {
    let judged_of = |cause: OfflineCause| {
        let mut records = delivered(1, |_| 500);
        let (client, same_session) = (0, false);
        records.push(Record::SlowBegan { client, at: 61 * S });
        records.push(Record::Offline { client, at: 62 * S, cause });
        records.push(Record::SlowEnded { client, at: 63 * S, same_session });
        let (verdict, mut report) = judged(&testing::plan(&slow_text()), &records);
        // Of a run that was complete otherwise.
        report.fleet.clients_live_at_end = report.fleet.clients.values().sum();
        report.reasons.clear();
        report.of_the_run.clear();
        let gate = verdict.gates.iter().find(|gate| gate.name == ORACLE_GATE).expect("the gate");
        let open = gate.objectives.iter().find(|one| one.selector == "rule=no_eviction");
        let brief =
            crate::render::terminal::render(&report, crate::render::terminal::Colour::Never);
        (
            open.expect("the rule").reason.clone(),
            brief.split_whitespace().collect::<Vec<_>>().join(" "),
        )
    };
    let (reason, brief) = judged_of(OfflineCause::HeartbeatTimeout);
    assert!(reason.contains("gave up by themselves"), "{reason}");
    assert!(brief.contains("Run it again with what it takes: a `duration`"), "{brief}");
    let (reason, brief) = judged_of(OfflineCause::Broken { how: Cut::Reset });
    assert!(reason.contains("no notice of it reached them"), "{reason}");
    assert!(brief.contains("Run it again with what it takes: its own count"), "{brief}");
}

fn violation(rule: Rule) -> crate::oracle::Violation {
    crate::oracle::Violation {
        at_us: S,
        rule,
        client: Some(1),
        topic: None,
        seqs: None,
        epoch: None,
        message: "broken".to_owned(),
    }
}

#[test]
fn cases_that_are_all_open_do_not_pass() {
    let mut records = delivered(1, |_| 500);
    records.push(Record::SlowBegan { client: 1, at: 5 * S });
    let (verdict, _) = judged(&testing::plan(&slow_text()), &records);
    let open = rules(&verdict, ORACLE_GATE);
    assert!(open.contains(&("rule=no_eviction".to_owned(), Verdict::Inconclusive)), "{open:?}");
}

/// A plan whose one gate is a ratio of what bystanders got, during against before.
fn of_bystanders() -> Plan {
    use khala_plan::metric::MetricId;
    use khala_plan::model::{Claim, Comparison, Estimator, Objective};
    let mut plan = plan();
    plan.gates[0].objectives = vec![Objective {
        metric: MetricId::BystanderRatio,
        selector: std::collections::BTreeMap::new(),
        during: vec!["during".to_owned()],
        against: vec!["before".to_owned()],
        require: Claim {
            text: "ratio < 1.5".to_owned(),
            estimator: Estimator::Ratio,
            comparison: Comparison::Less,
            bound: 1.5,
        },
        warn: None,
        min_samples: 0,
        reach: None,
    }];
    plan
}

/// What came of that gate.
fn bystanders(records: &[Record]) -> ObjectiveVerdict {
    let (verdict, _) = judged(&of_bystanders(), records);
    let gate = verdict.gates.into_iter().find(|gate| gate.name == "named").expect("the gate");
    gate.objectives.into_iter().next().expect("an objective")
}

#[test]
fn a_machine_that_was_busier_on_one_side_explains_a_ratio_and_one_that_was_busy_on_both_does_not() {
    let with_waits = |later: u64, before: u64, during: u64| {
        let took = move |second| if second < 31 { 1_000 } else { later };
        let mut records = delivered(40, took);
        for second in 1..61 {
            let waited_us = if second < 31 { before } else { during };
            let probe = Probe { at: second * S + S / 2, wall_us: S, waited_us, ..Probe::default() };
            records.push(Record::Probe(probe));
        }
        bystanders(&records)
    };
    for (later, before, during, expected) in [
        (2_000, 70_000, 170_000, Verdict::Inconclusive),
        (2_000, 170_000, 170_000, Verdict::Fail),
        (2_000, 170_000, 70_000, Verdict::Fail),
        (2_000, 10_000, 90_000, Verdict::Fail),
        (1_000, 170_000, 70_000, Verdict::Inconclusive),
        (1_000, 70_000, 170_000, Verdict::Pass),
        (1_000, 90_000, 10_000, Verdict::Pass),
        (1_000, 200_000, 140_000, Verdict::Pass),
    ] {
        let of = with_waits(later, before, during);
        assert_eq!(of.verdict, expected, "{later}, {before}, {during}: {}", of.reason);
        if expected == Verdict::Inconclusive {
            assert!(of.reason.contains("17 % of the time, against 7 %"), "{}", of.reason);
            assert_eq!(of.against, Some(Against::Generator));
        }
    }
}

#[test]
fn bystanders_that_are_hurt_fail_and_others_pass() {
    let verdict_of = |per_second, later: u64| {
        let took = move |second| if second < 31 { 1_000 } else { later };
        bystanders(&delivered(per_second, took))
    };
    let unhurt = verdict_of(40, 1_100);
    assert_eq!(unhurt.verdict, Verdict::Pass, "{}", unhurt.reason);
    let hurt = verdict_of(40, 2_000);
    assert_eq!(hurt.verdict, Verdict::Fail, "{}", hurt.reason);
    assert!(hurt.reason.contains("seed"), "{}", hurt.reason);
    let few = verdict_of(20, 2_000);
    assert_eq!((few.verdict, few.n), (Verdict::Inconclusive, 600), "{}", few.reason);
}

#[test]
fn verdicts_and_decisions_read_as_they_are_written() {
    use Decision::{Go, Hold, NoGo};
    let verdicts = [Verdict::Pass, Verdict::Warn, Verdict::Inconclusive, Verdict::Fail];
    let words = ["PASS", "WARN", "INCONCLUSIVE", "FAIL"];
    for (verdict, word) in verdicts.into_iter().zip(words) {
        assert_eq!(serde_json::to_value(verdict).expect("a word"), word);
        assert_eq!(format!("{verdict:>13}"), format!("{word:>13}"));
    }
    for (decision, word) in [(Go, "GO"), (NoGo, "NO-GO"), (Hold, "HOLD")] {
        assert_eq!(serde_json::to_value(decision).expect("a word"), word);
        assert_eq!(format!("{decision:<6}"), format!("{word:<6}"));
    }
}
