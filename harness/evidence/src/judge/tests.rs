//! What the run never put to the test is not passed, and bystanders are held against themselves.

mod fitness;
mod objectives;

use std::collections::BTreeSet;
use std::sync::Arc;

use khala_plan::{Options, Sources};
use khala_wire::topic::{self, TopicId};

use super::*;
use crate::facts::{Generator, TargetFacts};
use crate::oracle::{End, Rule};
use crate::record::{Delivery, PublishId, Record, Sink, Source};
use crate::report::RunReport;
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
    plan_of(TEXT)
}

fn plan_of(text: &str) -> Plan {
    let loader = |path: &str| Err(format!("{path} is not there"));
    let sources = Sources { path: "judged.toml", text, loader: &loader };
    let options =
        Options { profile: None, set: Vec::new(), defects: Vec::new(), seed: None, env: &|_| None };
    khala_plan::load(&sources, &options).expect("a sound scenario").plan
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
    let shown = crate::render::terminal::render(&report, crate::render::terminal::Colour::Never);
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

#[test]
fn cases_that_are_all_open_do_not_pass() {
    let mut records = delivered(1, |_| 500);
    records.push(Record::SlowBegan { client: 1, at: 5 * S });
    let (verdict, _) = judged(&plan(), &records);
    let open = rules(&verdict, ORACLE_GATE);
    assert!(open.contains(&("rule=no_eviction".to_owned(), Verdict::Inconclusive)), "{open:?}");
}

#[test]
fn bystanders_that_are_hurt_fail_and_others_pass() {
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
    }];
    let verdict_of = |per_second, later: u64| {
        let took = move |second| if second < 31 { 1_000 } else { later };
        let (verdict, _) = judged(&plan, &delivered(per_second, took));
        let gate = verdict.gates.into_iter().find(|gate| gate.name == "named").expect("the gate");
        gate.objectives.into_iter().next().expect("an objective")
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
