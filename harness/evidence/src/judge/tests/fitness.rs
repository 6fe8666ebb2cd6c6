//! A generator that was starved, late or exhausted carries no verdict, and one that was not does.

use super::*;
use crate::oracle::{Rule, Violation};
use crate::record::{Op, OpKind, Outcome, Resource};

/// Why the generator was unfit in a phase, for a threshold of 10 ms.
fn unfit(records: &[Record], phase: &str) -> Vec<String> {
    let mut fit = facts();
    fit.generator.publishes_begun = 0;
    in_court(&plan(), records, &fit, |case| generator_unfit(case, phase, 10_000.0))
}

/// A second in which a thread waited for a core for a share of the time; every timer was in time.
fn waited(second: u64, waited_us: u64) -> Vec<Record> {
    let probe = Probe { at: second * S, wall_us: S, waited_us, ..Probe::default() };
    vec![lag(5 * S, 1), lag(35 * S, 1), Record::Probe(probe)]
}

#[test]
fn a_wait_counts_in_the_phases_that_its_second_reaches_into_and_in_no_other() {
    let windows = Schedule::of(&plan()).phases;
    let of = |name: &str| {
        let window = windows.iter().find(|window| window.name == name).expect("the phase");
        (window.start_us / S, window.end_us / S)
    };
    assert_eq!((of("before"), of("during")), ((1, 31), (31, 61)));
    for (second, before, during) in [
        (0, false, false),
        (1, true, false),
        (30, true, false),
        (5, true, false),
        (31, false, true),
        (40, false, true),
        (60, false, true),
        (61, false, false),
    ] {
        let starved = |phase| {
            let why = unfit(&waited(second, 600_000), phase);
            assert!(
                why.iter().all(|why| why.contains("starved") && why.contains("60 %")),
                "{why:?}"
            );
            why.len() == 1
        };
        assert_eq!((starved("before"), starved("during")), (before, during), "second {second}");
    }
}

#[test]
fn half_of_the_time_may_be_waited_for_and_no_more() {
    assert_eq!(unfit(&waited(5, 500_000), "before"), Vec::<String>::new());
    assert_eq!(unfit(&waited(5, 500_001), "before").len(), 1);
    assert_eq!(unfit(&waited(5, 1), "before"), Vec::<String>::new());
}

#[test]
fn lag_may_be_a_tenth_of_the_threshold_and_no_more() {
    assert_eq!(unfit(&[lag(5 * S, 1_000)], "before"), Vec::<String>::new());
    let late = unfit(&[lag(5 * S, 1_001)], "before");
    assert!(late[0].contains("1.0 ms is more than 10 % of the threshold, 10.0 ms"), "{late:?}");
    let unknown = unfit(&[lag(5 * S, 1)], "during");
    assert!(unknown[0].contains("never measured"), "{unknown:?}");
}

#[test]
fn what_ran_out_is_named() {
    let exhausted = Op {
        client: 0,
        kind: OpKind::Connect,
        intended: 5 * S,
        start: 5 * S,
        done: 5 * S,
        outcome: Outcome::Exhausted(Resource::Ports),
    };
    let why = unfit(&[lag(5 * S, 1), Record::Op(exhausted)], "before");
    assert!(why[0].contains("the generator was exhausted: it ran out of"), "{why:?}");
    assert!(why[0].contains("1 times"), "{why:?}");
}

#[test]
fn a_run_whose_generator_was_starved_all_along_says_so_first() {
    let reasons = |records: &[Record]| judged(&plan(), records).0.reasons;
    let mut records = delivered(1, |_| 500);
    let starved = |reasons: &[String]| reasons.iter().any(|why| why.contains("the generator was"));
    assert!(!starved(&reasons(&records)));
    records.extend((0..61).flat_map(|second| waited(second, 700_000)));
    let said = reasons(&records);
    assert!(said[0].contains("starved"), "{said:?}");
}

#[test]
fn what_is_judged_over_the_whole_run_is_held_against_the_bound_of_convergence() {
    // 200 ms: far beyond what a gate in milliseconds allows, far below a tenth of 30 s.
    let of = |lag_us, expected: Verdict| {
        let mut records = delivered(1, |_| 500);
        records.retain(|record| !matches!(record, Record::SchedulerLag { .. }));
        records.extend((0..61).map(|second| lag(second * S, lag_us)));
        let (verdict, _) = judged(&plan(), &records);
        let unfit = |why: &String| why.contains("the generator was unfit");
        assert_eq!(verdict.reasons.iter().any(unfit), expected != Verdict::Pass);
        let lateness = ["rule=no_convergence", "rule=late_publish", "rule=starved_topic"];
        let all = rules(&verdict, ORACLE_GATE);
        let late = |(rule, _): &&(String, Verdict)| lateness.contains(&&**rule);
        let judged: Vec<_> = all.iter().filter(late).collect();
        assert!(!judged.is_empty(), "{all:?}");
        assert!(judged.iter().all(|(_, verdict)| *verdict == expected), "{judged:?}");
        assert!(all.contains(&("rule=gap".to_owned(), Verdict::Pass)), "a proof: {all:?}");
    };
    of(200_000, Verdict::Pass);
    of(3_500_000, Verdict::Inconclusive);
}

#[test]
fn breaches_of_lateness_decide_nothing_where_the_generator_was_starved_meanwhile() {
    let settle = plan().oracle.settle_within.as_secs();
    let of = |rule: Rule, at: &[u64], starved: std::ops::RangeInclusive<u64>| {
        let mut records = delivered(1, |_| 500);
        records.extend((0..61).flat_map(|second| {
            waited(second, if starved.contains(&second) { 700_000 } else { 20_000 })
        }));
        let breach = |at_us| Violation {
            at_us,
            rule,
            client: Some(1),
            topic: None,
            seqs: None,
            epoch: None,
            message: String::new(),
        };
        let broken = |settled: &mut Settled| {
            at.iter().for_each(|second| settled.tally.violate(breach(second * S), 0));
        };
        let verdict = in_court_with(&plan(), &records, &facts(), broken, judge);
        let selector = format!("rule={rule}");
        let gate = verdict.gates.iter().find(|gate| gate.name == ORACLE_GATE).expect("the gate");
        let mut of_rule = gate.objectives.iter().filter(|one| one.selector == selector);
        let found = of_rule.next().expect("judged");
        (found.verdict, found.reason.clone())
    };
    let (verdict, why) = of(Rule::StateStale, &[40], 40 - settle..=40);
    assert_eq!(verdict, Verdict::Inconclusive, "{why}");
    assert!(why.contains("1 violation") && why.contains("70 % of the time from"), "{why}");
    assert_eq!(of(Rule::Gap, &[40], 40 - settle..=40).0, Verdict::Fail, "a proof");
    assert_eq!(of(Rule::StateStale, &[40], 41..=50).0, Verdict::Fail, "starved afterwards");
    assert_eq!(of(Rule::StateStale, &[40], 10..=39 - settle).0, Verdict::Fail, "starved before");
    let both = [20, 40];
    assert_eq!(of(Rule::StateStale, &both, 40 - settle..=40).0, Verdict::Fail, "one is left");
    assert_eq!(of(Rule::StateStale, &both, 20 - settle..=40).0, Verdict::Inconclusive);
}

#[test]
fn of_a_run_that_did_not_finish_only_what_was_broken_is_decided() {
    let mut cut_short = facts();
    cut_short.unfinished = Some("it was killed".to_owned());
    let mut records = delivered(1, |_| 500);
    let of = |records: &[Record], facts: &RunFacts| {
        let verdict = in_court(&plan(), records, facts, judge);
        let gate = verdict.gates.iter().find(|gate| gate.name == ORACLE_GATE).expect("the gate");
        gate.objectives.clone()
    };
    for rule in of(&records, &facts()) {
        assert_eq!(rule.verdict, Verdict::Pass, "{rule:?}");
        assert!(rule.upper.is_some_and(|upper| upper > 0.0 && upper <= 3.0), "{rule:?}");
        assert!(rule.n > 0 && rule.bad == 0 && rule.estimate == Some(0.0), "{rule:?}");
    }
    for rule in of(&records, &cut_short) {
        assert_eq!(rule.verdict, Verdict::Inconclusive, "{rule:?}");
        assert!(rule.reason.ends_with("the run did not finish"), "{rule:?}");
    }
    // One event is gone: the others go on without it.
    let third = records.iter().position(|r| matches!(r, Record::Delivered(d) if d.seq == 3));
    records.remove(third.expect("delivered"));
    let broken: Vec<_> = of(&records, &cut_short)
        .into_iter()
        .filter(|rule| rule.verdict != Verdict::Inconclusive)
        .collect();
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!((broken[0].selector.as_str(), broken[0].verdict), ("rule=gap", Verdict::Fail));
    assert_eq!((broken[0].upper, broken[0].bad, broken[0].estimate), (None, 1, Some(1.0)));
}

/// What became of a rule, and why, when this was done to the oracle's findings.
fn ruled(records: &[Record], rule: Rule, change: impl FnOnce(&mut Settled)) -> (Verdict, String) {
    let verdict = in_court_with(&plan(), records, &facts(), change, judge);
    let gate = verdict.gates.iter().find(|gate| gate.name == ORACLE_GATE).expect("the gate");
    let selector = format!("rule={rule}");
    let one = gate.objectives.iter().find(|one| one.selector == selector).expect("the rule");
    (one.verdict, one.reason.clone())
}

fn breach(rule: Rule) -> Violation {
    let (client, topic, seqs, epoch) = (None, None, None, None);
    Violation { at_us: 5, rule, client, topic, seqs, epoch, message: "broken".to_owned() }
}

#[test]
fn without_a_delivery_nothing_passes_and_what_is_broken_fails() {
    let (verdict, reason) = ruled(&[], Rule::Gap, |settled| settled.tally.judged(Rule::Gap, 5));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(reason, "nothing was delivered, so nothing was judged");
    let broken = |settled: &mut Settled| settled.tally.violate(breach(Rule::Gap), 0);
    assert_eq!(ruled(&[], Rule::Gap, broken).0, Verdict::Fail);
}

#[test]
fn a_single_loss_that_is_undecided_is_one_too_many() {
    let records = delivered(20, |_| 500);
    let of = |open, broken| {
        ruled(&records, Rule::LostPublish, |settled| {
            settled.tally.judged(Rule::LostPublish, 1_000);
            settled.tally.undecided_cases(Rule::LostPublish, open);
            if broken {
                settled.tally.violate(breach(Rule::LostPublish), 0);
            }
        })
    };
    assert_eq!(of(0, false).0, Verdict::Pass);
    let (verdict, reason) = of(1, false);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(reason, "the run did not drain, and 1 cases of a loss are undecided");
    assert_eq!(of(1, true).0, Verdict::Fail);
}

#[test]
fn a_rule_that_left_too_much_open_does_not_pass_and_one_that_is_broken_stays_so() {
    let gap_of = |records: &[Record], open: u64| {
        ruled(records, Rule::Gap, |settled| settled.tally.undecided_cases(Rule::Gap, open))
    };
    let mut records = delivered(20, |_| 500);
    let (verdict, reason) = gap_of(&records, 1);
    assert_eq!(verdict, Verdict::Pass, "{reason}");
    let (verdict, reason) = gap_of(&records, 2);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(reason, "2 cases are undecided, 1200 deliveries judged");
    // However many deliveries there were, most of a rule's own cases must be decided.
    let snapshots = |judged, open| {
        ruled(&delivered(40, |_| 500), Rule::BadSnapshot, |settled| {
            settled.tally.judged(Rule::BadSnapshot, judged);
            settled.tally.undecided_cases(Rule::BadSnapshot, open);
        })
    };
    assert_eq!(snapshots(2, 2).0, Verdict::Pass);
    let (verdict, reason) = snapshots(1, 2);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert_eq!(reason, "2 of its 3 cases are undecided, and 1 held");
    let third = records.iter().position(|r| matches!(r, Record::Delivered(d) if d.seq == 3));
    records.remove(third.expect("delivered"));
    assert_eq!(gap_of(&records, 2).0, Verdict::Fail);
}

/// Unrecovered clients after a storm at 31 s, of which client 0 had `before` deliveries before it and came back
/// or not.
fn stormed(before: u64, back: bool) -> crate::judge::ObjectiveVerdict {
    stormed_with(UNRECOVERED, before, back, &[])
}

const UNRECOVERED: &str =
    "metric = \"unrecovered_clients\"\nduring = [\"during\"]\nrequire = \"count == 0\"";

/// A scenario that cuts all off at 32 s.
fn storm_text(objective: &str) -> String {
    let fault = "name = \"during\"\nduration = \"30s\"\n[[phase.fault]]\ntype = \"disconnect\"\n\
                 at = \"1s\"\nmode = \"all\"\nattributes = { style = \"reset\" }\n";
    TEXT.replacen("name = \"during\"\nduration = \"30s\"\n", fault, 1).replacen(
        "metric = \"violations\"\nwhere = { rule = \"frame_mismatch\" }\nrequire = \"count == 0\"",
        objective,
        1,
    )
}

/// Another objective of the same, with more that befell it.
fn stormed_with(
    objective: &str,
    before: u64,
    back: bool,
    more: &[Record],
) -> crate::judge::ObjectiveVerdict {
    use crate::record::{OfflineCause, PublishId};
    let plan = testing::plan(&storm_text(objective));
    let schedule = Schedule::of(&plan);
    let mut facts = facts();
    let mut fault = crate::facts::FaultOutcome::not_applied(&schedule, &schedule.faults[0], "");
    (fault.applied, fault.effective) = (true, Some(4));
    let (id, intended) = (fault.id, fault.at_us);
    facts.faults.push(fault);
    let mut records = delivered(1, |_| 500);
    let of_load = |record: &Record| matches!(record, Record::Delivered(_));
    let load: Vec<_> = records.iter().filter(|record| of_load(record)).cloned().collect();
    records.retain(|record| !of_load(record));
    let (early, late) = load.split_at(usize::try_from(before).expect("few"));
    records.extend_from_slice(early);
    let at = intended + 10;
    let offline =
        |client| Record::Offline { client, at, cause: OfflineCause::Fault { id, intended } };
    records.push(offline(0));
    if back {
        let Record::SubscribeSent { topics, .. } = &records[1] else { panic!("a subscribe") };
        let topics = vec![crate::record::SubscribedTopic { cursor: Some(before), ..topics[0] }];
        let topic = topics[0].topic;
        records.extend([
            Record::Connected { client: 0, at: at + S },
            Record::SubscribeSent { client: 0, epoch: 2, at: at + S, topics },
            Record::SubscribeOk {
                client: 0,
                epoch: 2,
                at: at + S,
                watermarks: vec![(topic, before)],
            },
        ]);
        let later = late.iter().cloned().map(|mut record| {
            if let Record::Delivered(delivery) = &mut record {
                delivery.at = delivery.at.max(at + S);
                let planned =
                    matches!(delivery.source, Source::Event { publish: PublishId::Planned(_), .. });
                assert!(planned);
            }
            record
        });
        records.extend(later);
    }
    records.extend_from_slice(more);
    let verdict = in_court(&plan, &records, &facts, judge);
    let gate = verdict.gates.iter().find(|gate| gate.name == "named").expect("the gate");
    gate.objectives[0].clone()
}

#[test]
fn a_client_that_never_came_back_fails_however_little_it_got() {
    let lost = stormed(9, false);
    assert_eq!((lost.verdict, lost.bad), (Verdict::Fail, 1), "{}", lost.reason);
    let short = stormed(2, false);
    assert_eq!(short.verdict, Verdict::Fail, "what was seen to fail fails: {}", short.reason);
}

#[test]
fn who_is_turned_away_has_not_recovered_however_busy_the_machine_was() {
    let of = |objective: &str, outcomes: &[Outcome]| {
        let mut more: Vec<_> = (0..61).flat_map(|second| waited(second, 700_000)).collect();
        more.extend((33..).zip(outcomes).map(|(second, &outcome)| {
            let [intended, start, done] = [second * S, second * S, second * S + 10];
            let kind = OpKind::Connect;
            Record::Op(Op { client: 0, kind, intended, start, done, outcome })
        }));
        stormed_with(objective, 9, false, &more)
    };
    for refused in [Outcome::RefusedAuth, Outcome::RefusedIncompatible] {
        let lost = of(UNRECOVERED, &[Outcome::Timeout, refused]);
        assert_eq!((lost.verdict, lost.bad), (Verdict::Fail, 1), "{}", lost.reason);
    }
    for late in [&[][..], &[Outcome::Timeout], &[Outcome::RefusedAuth, Outcome::Ok]] {
        let lost = of(UNRECOVERED, late);
        assert_eq!((lost.verdict, lost.bad), (Verdict::Inconclusive, 1), "{}", lost.reason);
        assert!(lost.reason.contains("starved"), "{}", lost.reason);
    }
    // Of two that are missing one was turned away.
    let also = {
        let plan = testing::plan(&storm_text(UNRECOVERED));
        let fault = &Schedule::of(&plan).faults[0];
        let cause = crate::record::OfflineCause::Fault { id: fault.id, intended: fault.at_us };
        Record::Offline { client: 1, at: fault.at_us + 10, cause }
    };
    for (allowed, verdict) in [(0, Verdict::Fail), (1, Verdict::Inconclusive)] {
        let claim = UNRECOVERED.replace("== 0", &format!("<= {allowed}"));
        let mut more: Vec<_> = (0..61).flat_map(|second| waited(second, 700_000)).collect();
        let [intended, start, done] = [33 * S, 33 * S, 33 * S + 10];
        let (kind, outcome) = (OpKind::Connect, Outcome::RefusedAuth);
        more.push(Record::Op(Op { client: 0, kind, intended, start, done, outcome }));
        more.push(also.clone());
        let lost = stormed_with(&claim, 9, false, &more);
        assert_eq!((lost.verdict, lost.bad), (verdict, 2), "{}", lost.reason);
    }
    let errors = |metric: &str, outcome| {
        let text = format!("metric = \"{metric}\"\nrequire = \"proportion <= 1 %\"");
        let all: Vec<_> = (0..4).flat_map(|client| (0..100).map(move |n| (client, n))).collect();
        let more = all.into_iter().map(|(client, n)| {
            let at = 33 * S + n * S / 5;
            let [intended, start, done] = [at, at, at + 10];
            Record::Op(Op { client, kind: OpKind::Connect, intended, start, done, outcome })
        });
        let busy = (0..61).flat_map(|second| waited(second, 700_000));
        stormed_with(&text, 9, true, &busy.chain(more).collect::<Vec<_>>())
    };
    let refused = errors("auth_errors", Outcome::RefusedAuth);
    assert_eq!(refused.verdict, Verdict::Fail, "{}", refused.reason);
    let late = errors("connect_errors", Outcome::Timeout);
    assert_eq!(late.verdict, Verdict::Inconclusive, "{}", late.reason);
    assert!(late.reason.contains("starved"), "{}", late.reason);
}

#[test]
fn what_too_little_came_around_a_storm_does_not_pass() {
    let back = stormed(9, true);
    assert_eq!((back.verdict, back.bad), (Verdict::Pass, 0), "{}", back.reason);
    let short = stormed(2, true);
    assert_eq!(short.verdict, Verdict::Inconclusive);
    assert_eq!(
        short.reason,
        "1 of 1 (client, topic) pairs cut off by fault 0 had fewer than 3 deliveries before or after it"
    );
}

#[test]
fn what_was_left_open_is_named_with_why_and_what_to_do() {
    use crate::record::Record::Window;
    let of = |windows: &[(u64, u64)]| {
        let mut records = delivered(20, |_| 500);
        let topic = TopicId::WORKER_EVENTS;
        records.extend(windows.iter().map(|&(at, head)| Window {
            asked: at,
            answered: at + 1,
            topic,
            oldest: Some(1),
            head,
            budget: 100,
            tier: None,
        }));
        let open = |settled: &mut Settled| {
            settled.tally.undecided_cases(Rule::Gap, 4);
            settled.tally.undecided_cases(Rule::StaleNotSignalled, 9);
            settled.tally.undecided_cases(Rule::StuckChannel, 1);
        };
        let verdict = in_court_with(&plan(), &records, &facts(), open, judge);
        let of_open = |why: &&String| why.starts_with("the oracle left");
        verdict.reasons.iter().find(of_open).expect("it is said").clone()
    };
    let said = of(&[(5 * S, 9_000)]);
    let began = "the oracle left 14 cases undecided, more than 0.1 % of the 1200 deliveries judged (9 of \
                 stale_not_signalled: whether a cursor was stale is told by floor and head in the target's \
                 metrics, and they do not say it; they were last read at 5.0 s; 4 of gap; and of 1 more";
    assert!(said.starts_with(began), "{said}");
    let back = of(&[(5 * S, 9), (6 * S, 3), (60 * S, 9)]);
    assert!(back.contains("; what they showed went back at 6.0 s; "), "{back}");
    assert!(of(&[]).contains("; they were never read; "));
    assert!(of(&[(58 * S, 9)]).contains("and they do not say it; 4 of gap"));
}

#[test]
fn what_is_done_about_what_was_left_open_is_that_of_the_rule_with_the_most() {
    use crate::judge::open::{foremost, remedy};
    let most =
        foremost([(Rule::Gap, 3), (Rule::FalseStale, 7), (Rule::LostPublish, 0)].into_iter());
    assert_eq!(most, Some(Rule::FalseStale));
    assert!(remedy(Rule::FalseStale).contains("metrics"));
    assert_eq!(foremost([(Rule::Gap, 0)].into_iter()), None);
    for &rule in Rule::ALL {
        assert!(remedy(rule).ends_with('.'), "{rule}");
    }
}
