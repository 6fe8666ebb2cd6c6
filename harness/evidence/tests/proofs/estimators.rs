//! Each estimator passes, fails and refuses to decide where its formula says, on records made for
//! it.

use khala_evidence::Record;
use khala_evidence::judge::{ObjectiveVerdict, Verdict};
use khala_evidence::record::{OfflineCause, OpKind, Outcome};

use crate::support::plans::one_objective;
use crate::support::records::{self, stream};
use crate::support::trial::{Trial, of};

/// In the phase `steady`.
const STEADY_US: u64 = 20_000_000;
/// When the fault of the phase `storm` is due, and when that phase ends.
const CUT_US: u64 = 620_000_000;
const STORM_END_US: u64 = 670_000_000;
/// The first client of the second surface.
const FIRST_IOS: u32 = 900;

/// The verdicts on one objective, of a fit generator.
fn verdicts(objective: &str, records: impl IntoIterator<Item = Record>) -> Vec<ObjectiveVerdict> {
    let mut trial = Trial::of(&one_objective(objective), records.into_iter().collect());
    let phases = trial.planned.schedule.phases.clone();
    trial.records.extend(phases.iter().map(|phase| records::lag(phase.start_us, 100)));
    let metric = trial.planned.plan.gates[0].objectives[0].metric;
    of(&trial.judge(), "one", metric.name()).into_iter().cloned().collect()
}

fn one(objective: &str, records: impl IntoIterator<Item = Record>) -> ObjectiveVerdict {
    let mut verdicts = verdicts(objective, records);
    assert_eq!(verdicts.len(), 1);
    verdicts.remove(0)
}

fn verdict(objective: &str, records: impl IntoIterator<Item = Record>) -> Verdict {
    one(objective, records).verdict
}

fn connect(client: u32, took_us: u64, outcome: Outcome) -> Record {
    records::op(client, OpKind::Connect, STEADY_US, STEADY_US + took_us, outcome)
}

fn connects(clients: std::ops::Range<u32>, took_us: impl Fn(u32) -> u64) -> Vec<Record> {
    clients.map(|client| connect(client, took_us(client), Outcome::Ok)).collect()
}

/// A client that is live, is cut off, and is back after some time, if ever.
fn cut_off(client: u32, back_after_us: Option<u64>) -> Vec<Record> {
    let subscribed = |epoch, at| {
        [
            records::connect_begun(client, at - 3_000, 1),
            records::connected(client, at - 2_000),
            records::subscribe_sent(client, epoch, at - 1_000, &[(stream(), None, 0)]),
            records::subscribe_ok(client, epoch, at, &[(stream(), 0)]),
        ]
    };
    let mut life = subscribed(1, STEADY_US).to_vec();
    life.push(records::cut(client, CUT_US, 0, CUT_US));
    life.extend(back_after_us.into_iter().flat_map(|after| subscribed(2, CUT_US + after)));
    life
}

fn storm(clients: u32, back_after_us: impl Fn(u32) -> Option<u64>) -> Vec<Record> {
    (0..clients).flat_map(|client| cut_off(client, back_after_us(client))).collect()
}

const P99: &str =
    "metric = \"connect\"\nduring = [\"steady\"]\nrequire = \"p(99) < 1s\"\nmin_samples = 1";

#[test]
fn a_p99_needs_299_clean_samples_and_298_decide_nothing() {
    assert_eq!(verdict(P99, connects(0..299, |_| 5_000)), Verdict::Pass);
    let short = one(P99, connects(0..298, |_| 5_000));
    assert_eq!(short.verdict, Verdict::Inconclusive);
    assert!(short.reason.contains("no upper bound from so few samples"), "{short:?}");
    // Without `min_samples` the objective asks for what could decide it.
    let asked = one(&P99.replace("\nmin_samples = 1", ""), connects(0..298, |_| 5_000));
    assert_eq!(asked.verdict, Verdict::Inconclusive);
    assert!(asked.reason.contains("298 samples are fewer than the 299"), "{asked:?}");
}

#[test]
fn a_percentile_passes_fails_or_is_left_open_by_its_bounds() {
    // 473 samples with one bad one are the next plan of the published table (c = 1).
    let slow = |bad: u32| move |client| if client < bad { 2_000_000 } else { 5_000 };
    assert_eq!(verdict(P99, connects(0..900, slow(1))), Verdict::Pass);
    assert_eq!(verdict(P99, connects(0..400, slow(1))), Verdict::Inconclusive);
    let failed = one(P99, connects(0..400, slow(40)));
    assert_eq!((failed.verdict, failed.n, failed.bad), (Verdict::Fail, 400, 40));
    assert!(failed.lower.expect("a bound") >= 1_990_000.0, "{failed:?}");
    assert_eq!(verdict(P99, connects(0..20, slow(1))), Verdict::Inconclusive);
}

#[test]
fn a_sample_at_the_bound_breaks_a_claim_of_less_and_keeps_one_of_at_most() {
    let at_bound = connects(0..900, |_| 1_048_576);
    let less = P99.replace("1s", "1048576us");
    let at_most = less.replace("p(99) <", "p(99) <=");
    assert_eq!(one(&less, at_bound.clone()).bad, 900);
    assert_eq!(one(&at_most, at_bound).bad, 0);
}

#[test]
fn what_timed_out_counts_at_the_time_out_and_what_the_harness_ended_does_not() {
    let timed_out = (0..400).map(|client| connect(client, 2_000_000, Outcome::Timeout));
    assert_eq!(one(P99, timed_out).bad, 400);
    let interrupted = (0..400).map(|client| connect(client, 2_000_000, Outcome::Interrupted));
    assert_eq!(one(P99, interrupted).n, 0);
}

#[test]
fn a_client_that_never_recovers_exceeds_every_threshold() {
    // The storm lasts 50 s after the cut, which is below the threshold.
    let objective =
        "metric = \"time_to_recovered\"\nduring = [\"storm\"]\nrequire = \"p(99) < 59s\"";
    let second = Some(1_000_000);
    assert_eq!(verdict(objective, storm(400, |_| second)), Verdict::Pass);
    let never = one(objective, storm(400, |client| second.filter(|_| client >= 40)));
    assert_eq!((never.verdict, never.n, never.bad), (Verdict::Fail, 400, 40));
    // Back, but only after the phase: as if never.
    let late = STORM_END_US - CUT_US + 1;
    let late = one(objective, storm(400, |client| Some(if client < 40 { late } else { 1 })));
    assert_eq!((late.verdict, late.bad), (Verdict::Fail, 40));
}

#[test]
fn a_proportion_passes_fails_or_is_left_open_by_its_bounds() {
    let objective =
        "metric = \"auth_errors\"\nduring = [\"steady\"]\nrequire = \"proportion <= 3%\"";
    let refused = |n: u32, bad: u32| {
        (0..n).map(move |client| {
            let outcome = if client < bad { Outcome::RefusedAuth } else { Outcome::Ok };
            connect(client, 5_000, outcome)
        })
    };
    assert_eq!(verdict(objective, refused(99, 0)), Verdict::Pass);
    assert_eq!(verdict(objective, refused(900, 10)), Verdict::Pass);
    assert_eq!(verdict(objective, refused(900, 27)), Verdict::Inconclusive);
    let failed = one(objective, refused(900, 90));
    assert_eq!((failed.verdict, failed.n, failed.bad), (Verdict::Fail, 900, 90));
    assert_eq!(failed.estimate, Some(0.1));
    // Nobody connects in this phase by plan: what does not come was not to come.
    assert_eq!(verdict(objective, refused(0, 0)), Verdict::NotApplicable);
    assert_eq!(verdict(objective, refused(98, 0)), Verdict::Inconclusive);
}

#[test]
fn refusals_that_hang_together_decide_less_than_refusals_that_do_not() {
    // Ten clients that are refused ten times each, or a hundred that are refused once.
    let objective =
        "metric = \"auth_errors\"\nduring = [\"steady\"]\nrequire = \"proportion <= 8%\"";
    let again = |times: u32| {
        (0..900_u32).map(move |n| {
            let client = n / times * times;
            let outcome = if n < 100 { Outcome::RefusedAuth } else { Outcome::Ok };
            connect(client, 5_000, outcome)
        })
    };
    let (alone, together) = (one(objective, again(1)), one(objective, again(10)));
    assert_eq!((alone.n, alone.bad), (together.n, together.bad));
    assert!(together.deff > alone.deff, "{together:?} {alone:?}");
    assert_eq!((alone.verdict, together.verdict), (Verdict::Fail, Verdict::Inconclusive));
}

const RATE: &str =
    "metric = \"heartbeat_timeouts\"\nduring = [\"steady\"]\nrequire = \"rate <= 0.05/s\"";

/// Heartbeats of 900 clients, and some that were not answered.
fn heartbeat_timeouts(count: u32) -> Vec<Record> {
    let beat = |client| {
        let answered = STEADY_US + 5_000;
        records::op(client, OpKind::Heartbeat, STEADY_US, answered, Outcome::Ok)
    };
    let lost = |client| records::offline(client, STEADY_US, OfflineCause::HeartbeatTimeout);
    (0..900).map(beat).chain((0..count).map(lost)).collect()
}

#[test]
fn a_rate_passes_fails_or_is_left_open_by_garwoods_bounds_over_the_exposure() {
    let none = one(RATE, heartbeat_timeouts(0));
    assert_eq!(none.verdict, Verdict::Pass);
    // No event in 600 s: ln 20 over 600.
    let upper = none.upper.expect("a bound");
    assert!((upper - 20.0_f64.ln() / 600.0).abs() < 1e-12, "{upper}");
    assert_eq!(verdict(RATE, heartbeat_timeouts(30)), Verdict::Inconclusive);
    let many = one(RATE, heartbeat_timeouts(120));
    assert_eq!((many.verdict, many.bad), (Verdict::Fail, 120));
    assert_eq!(many.estimate, Some(0.2));
    assert_eq!(verdict(RATE, []), Verdict::Inconclusive, "no heartbeat, no chance");
}

#[test]
fn a_rate_over_a_run_that_ended_early_has_only_the_exposure_that_there_was() {
    let upper_after = |duration_us| {
        let mut trial = Trial::of(&one_objective(RATE), heartbeat_timeouts(0));
        trial.facts.duration_us = duration_us;
        of(&trial.judge(), "one", "heartbeat_timeouts")[0].upper.expect("a bound")
    };
    let (ramp, whole, half) = (10_000_000, 610_000_000, 310_000_000);
    assert!((upper_after(half) / upper_after(whole) - 2.0).abs() < 1e-9);
    assert!((upper_after(whole) * 600.0 - 20.0_f64.ln()).abs() < 1e-9);
    let mut trial = Trial::of(&one_objective(RATE), heartbeat_timeouts(0));
    trial.facts.duration_us = ramp;
    let unexposed = of(&trial.judge(), "one", "heartbeat_timeouts")[0].clone();
    assert_eq!((unexposed.verdict, unexposed.upper), (Verdict::Inconclusive, None));
}

#[test]
fn a_count_is_exact_and_needs_a_chance() {
    let objective = |claim: &str| {
        format!("metric = \"unrecovered_clients\"\nduring = [\"storm\"]\nrequire = \"{claim}\"")
    };
    let lost = |count: u32| storm(50, move |client| (client >= count).then_some(1_000_000));
    assert_eq!(verdict(&objective("count == 0"), lost(0)), Verdict::Pass);
    assert_eq!(verdict(&objective("count == 0"), lost(1)), Verdict::Fail);
    assert_eq!(verdict(&objective("count <= 2"), lost(2)), Verdict::Pass);
    assert_eq!(verdict(&objective("count < 2"), lost(2)), Verdict::Fail);
    let failed = one(&objective("count <= 2"), lost(3));
    assert_eq!((failed.verdict, failed.n, failed.bad), (Verdict::Fail, 50, 3));
    assert_eq!(verdict(&objective("count == 0"), []), Verdict::Inconclusive);
}

#[test]
fn a_maximum_is_exact_and_needs_a_sample() {
    let objective = P99.replace("p(99) < 1s", "max < 1s");
    let slowest = |us: u64| connects(0..10, move |client| if client == 3 { us } else { 10 });
    assert_eq!(verdict(&objective, slowest(999_000)), Verdict::Pass);
    assert_eq!(verdict(&objective, slowest(1_000_000)), Verdict::Fail);
    // Nobody connects in this phase by plan.
    assert_eq!(verdict(&objective, []), Verdict::NotApplicable);
    let ramp = objective.replace("steady", "ramp");
    assert_eq!(verdict(&ramp, []), Verdict::Inconclusive);
}

#[test]
fn a_star_judges_each_surface_for_itself_and_never_an_average_of_them() {
    let objective = "metric = \"connect\"\nwhere = { surface = \"*\" }\nduring = [\"steady\"]\nrequire = \"p(90) < 1s\"";
    let slow_on_ios = |client| if client >= FIRST_IOS { 3_000_000 } else { 5_000 };
    let surfaces = verdicts(objective, connects(0..1_000, slow_on_ios));
    let found: Vec<_> = surfaces.iter().map(|o| (o.selector.as_str(), o.n, o.verdict)).collect();
    assert_eq!(
        found,
        [("surface=desktop", 900, Verdict::Pass), ("surface=ios", 100, Verdict::Fail),]
    );
    // Over all of them not a tenth is slow, and an average would have hidden it.
    let all = objective.replace("where = { surface = \"*\" }\n", "").replace("p(90)", "p(85)");
    assert_eq!(verdict(&all, connects(0..1_000, slow_on_ios)), Verdict::Pass);
    let ios = objective.replace('*', "ios");
    assert_eq!(verdict(&ios, connects(0..1_000, slow_on_ios)), Verdict::Fail);
}

#[test]
fn a_star_judges_a_surface_once_however_many_cohorts_it_has() {
    let objective = "metric = \"connect\"\nwhere = { surface = \"*\" }\nduring = [\"steady\"]\nrequire = \"p(90) < 1s\"";
    let text =
        one_objective(objective).replace("name = \"ios\"", "name = \"desktop\"\ncohort = \"b\"");
    let trial = Trial::of(&text, connects(0..1_000, |_| 5_000));
    let verdict = trial.judge();
    let found: Vec<_> =
        of(&verdict, "one", "connect").iter().map(|o| (&*o.selector, o.n)).collect();
    assert_eq!(found, [("surface=desktop", 1_000)]);
}

/// The seconds in which all is slow count as one observation each, however fast the others are and
/// however many seconds that is.
#[test]
fn a_slow_spell_is_seen_beside_fast_samples_of_any_size() {
    let objective = "metric = \"heartbeat_rtt\"\nduring = [\"steady\"]\nrequire = \"p(80) < 1s\"";
    let beats = |slow_seconds: u64, fast_us: u64| {
        (0..60_u64).flat_map(move |second| {
            (0..20_u64).map(move |n| {
                let at = STEADY_US + second * 1_000_000 + n * 40_000;
                let took = if second < slow_seconds { 5_000_000 } else { fast_us };
                records::op(0, OpKind::Heartbeat, at, at + took, Outcome::Ok)
            })
        })
    };
    // 5 % and 15 % of the samples: the sample's own p90 is a fast one, or a slow one.
    for (slow_seconds, decided) in [(3, Verdict::Pass), (9, Verdict::Inconclusive)] {
        for fast_us in [1_000, 3_000, 100_000] {
            let spell = one(objective, beats(slow_seconds, fast_us));
            assert_eq!((spell.n, spell.bad), (1_200, slow_seconds * 20));
            assert!(spell.deff.is_some_and(|deff| deff > 19.0), "{fast_us} us: {spell:?}");
            assert_eq!(spell.verdict, decided, "{fast_us} us: {spell:?}");
        }
    }
}

#[test]
fn samples_of_other_phases_do_not_count() {
    let early = connects(0..400, |_| 5_000).into_iter().map(|record| match record {
        Record::Op(mut op) => {
            (op.intended, op.start, op.done) = (1, 1, 5_001);
            Record::Op(op)
        }
        other => other,
    });
    assert_eq!(one(P99, early.clone()).n, 0, "the ramp is not steady");
    assert_eq!(one(&P99.replace("steady", "ramp"), early).n, 400);
}
