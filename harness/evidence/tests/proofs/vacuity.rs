//! Where there is nothing to go by, nothing passes: no data, an unfit generator, a fault that did
//! not bite, a run that did not end. Each says so.

use khala_evidence::Record;
use khala_evidence::judge::{Decision, RunVerdict, Verdict};
use khala_evidence::oracle::Rule;
use khala_evidence::record::{OpKind, PublishId};
use khala_plan::metric::MetricId;

use crate::support::records;
use crate::support::trial::{Trial, of, rule};

/// iOS clients are dealt out after the forty of the desktop.
const FIRST_IOS: u32 = 40;

/// The run is held, nothing is said to have failed, and one of the reasons has these words.
#[track_caller]
fn assert_held(verdict: &RunVerdict, because: &str) {
    let RunVerdict { verdict, decision, reasons, .. } = verdict;
    assert_eq!((*verdict, *decision), (Verdict::Inconclusive, Decision::Hold), "{reasons:#?}");
    assert!(reasons.iter().any(|reason| reason.contains(because)), "{because}: {reasons:#?}");
}

#[track_caller]
fn assert_undecided(verdict: &RunVerdict, gate: &str, metric: &str, because: &str) {
    assert_held(verdict, because);
    for objective in of(verdict, gate, metric) {
        assert_eq!(objective.verdict, Verdict::Inconclusive, "{objective:?}");
        assert!(objective.reason.contains(because), "{objective:?}");
    }
}

fn storm_with_lag(lag_of: impl Fn(u64) -> u64) -> Trial {
    let mut trial = Trial::storm(&[]);
    for record in &mut trial.records {
        if let Record::SchedulerLag { at, lag_us, .. } = record {
            *lag_us = lag_of(*at);
        }
    }
    trial
}

#[test]
fn the_run_in_which_everything_goes_well_is_a_go_and_gives_no_reason() {
    let verdict = Trial::storm(&[]).judge();
    assert_eq!(verdict.reasons, Vec::<String>::new());
    assert_eq!((verdict.verdict, verdict.decision), (Verdict::Pass, Decision::Go));
}

#[test]
fn without_a_delivery_no_rule_is_kept() {
    let trial = Trial::storm(&[("rate = \"4/s\"\narrival = \"constant\"", "rate = \"0.0001/s\"")]);
    assert_eq!(trial.settle().totals.deliveries, 0);
    let verdict = trial.judge();
    assert_held(&verdict, "nothing was delivered, so nothing was judged");
    let gates = [("oracle", "violations"), ("ux", "violations")];
    for objective in gates.into_iter().flat_map(|(gate, metric)| of(&verdict, gate, metric)) {
        assert_eq!(objective.verdict, Verdict::Inconclusive, "{objective:?}");
    }
}

#[test]
fn without_an_acknowledged_publish_nothing_could_be_lost() {
    let verdict =
        Trial::storm(&[]).without(|record| matches!(record, Record::Published(_))).judge();
    assert_held(&verdict, "not one publish was acknowledged");
}

#[test]
fn a_run_that_did_not_drain_does_not_pass_what_it_may_have_lost() {
    let mut trial = Trial::storm(&[]);
    let (id, done) = (PublishId::Planned(1_000), trial.end.at - 1_000);
    let unseen = records::published(id, 9, done - 100, done, Some(1), 7);
    let retired = trial.records.iter().position(|r| matches!(r, Record::Retired { .. }));
    trial.records.insert(retired.expect("everybody is retired"), unseen);
    trial.end.drained = false;
    trial.facts.drained = false;
    let verdict = trial.judge();
    assert_held(&verdict, "the run did not drain, and 1 cases of a loss are undecided");
    assert_eq!(rule(&verdict, "lost_publish").verdict, Verdict::Inconclusive);
    // The same run, drained, has lost it.
    trial.end.drained = true;
    assert_eq!(rule(&trial.judge(), "lost_publish").verdict, Verdict::Fail);
}

#[test]
fn a_run_whose_oracle_left_too_much_open_is_held_although_no_single_rule_did() {
    let trial = Trial::storm(&[]);
    let left_open = |cases: u64| {
        let mut settled = trial.settle();
        let allowed = settled.totals.deliveries / 1_000;
        assert!(allowed >= 4, "too few deliveries for this test");
        settled.tally.undecided_cases(Rule::Gap, allowed / 2);
        settled.tally.undecided_cases(Rule::StateRegress, allowed - allowed / 2 + cases);
        trial.judge_settled(&settled)
    };
    assert_eq!(left_open(0).decision, Decision::Go);
    let held = left_open(1);
    assert_held(&held, "cases undecided, more than 0.1 % of the");
    for name in ["gap", "state_regress"] {
        assert_eq!(rule(&held, name).verdict, Verdict::Pass);
    }
}

#[test]
fn a_report_says_what_each_fault_hit_and_how_many_samples_each_objective_has() {
    let shown = |trial: &Trial| {
        let report = trial.report();
        let faults: Vec<_> = report.faults.iter().map(|f| (f.planned, f.effective)).collect();
        let objectives = report.gates.into_iter().flat_map(|gate| gate.objectives);
        (faults, objectives.map(|objective| (objective.metric, objective.n)).collect::<Vec<_>>())
    };
    let mut trial = Trial::storm(&[]);
    let (faults, objectives) = shown(&trial);
    assert_eq!(faults, [(80, Some(80))]);
    assert!(!objectives.is_empty() && objectives.iter().all(|(_, n)| *n > 0), "{objectives:?}");
    trial.facts.faults[0].effective = None;
    trial.records.clear();
    let (faults, objectives) = shown(&trial);
    assert_eq!(faults, [(80, None)]);
    assert!(objectives.iter().all(|(_, n)| *n == 0), "{objectives:?}");
}

#[test]
fn without_a_sample_no_objective_is_met() {
    let trial = Trial::storm(&[]).without(
        |record| matches!(record, Record::Op(op) if matches!(op.kind, OpKind::Connect | OpKind::Mint)),
    );
    let because = "there is not a single sample";
    assert_undecided(&trial.judge(), "error-budget", "auth_errors", because);
}

#[test]
fn a_metric_that_was_never_recorded_does_not_pass() {
    let trial = Trial::storm(&[("metric = \"delivery\"", "metric = \"heartbeat_rtt\"")]);
    let because = "there is not a single sample";
    assert_undecided(&trial.judge(), "ux", "heartbeat_rtt", because);
}

#[test]
fn too_few_samples_for_the_objective_do_not_pass() {
    let asked = ("require = \"max < 5s\"", "require = \"max < 5s\"\nmin_samples = 1000000");
    let verdict = Trial::storm(&[asked]).judge();
    assert_undecided(&verdict, "ux", "delivery", "fewer than the 1,000,000 needed");
}

#[test]
fn a_surface_that_is_missing_from_the_run_does_not_pass_with_the_others() {
    let verdict = Trial::storm(&[]).without_clients(|client| client >= FIRST_IOS).judge();
    assert_held(&verdict, "there is not a single sample");
    let surfaces = of(&verdict, "reconnect", "time_to_recovered");
    let verdicts: Vec<_> = surfaces.iter().map(|o| (o.selector.as_str(), o.verdict)).collect();
    let expected = [("surface=desktop", Verdict::Pass), ("surface=ios", Verdict::Inconclusive)];
    assert_eq!(verdicts, expected);
}

#[test]
fn a_fault_that_did_not_bite_carries_no_verdict() {
    let because = |change: fn(&mut Trial), words: &str| {
        let mut trial = Trial::storm(&[]);
        change(&mut trial);
        let verdict = trial.judge();
        assert_undecided(&verdict, "reconnect", "time_to_recovered", words);
        assert_undecided(&verdict, "reconnect", "unrecovered_clients", words);
        // What was judged before the fault is judged all the same.
        assert_eq!(of(&verdict, "ux", "delivery")[0].verdict, Verdict::Pass);
    };
    because(
        |trial| trial.facts.faults[0].applied = false,
        "was not due: the run ended before its time",
    );
    because(|trial| trial.facts.faults[0].planned = 0, "was aimed at no client");
    because(|trial| trial.facts.faults[0].effective = None, "could not be proven");
    because(|trial| trial.facts.faults[0].effective = Some(0), "hit 0 of 80 clients planned");
    because(|trial| trial.facts.faults[0].effective = Some(40), "hit 40 of 80 clients planned");
    because(|trial| trial.facts.faults[0].effective = Some(71), "hit 71 of 80 clients planned");
    because(|trial| trial.facts.faults.clear(), "fault 0 left no trace");
}

#[test]
fn a_fault_that_bit_nine_clients_of_ten_carries_a_verdict() {
    let mut trial = Trial::storm(&[]);
    trial.facts.faults[0].effective = Some(72);
    assert_eq!(trial.judge().decision, Decision::Go);
}

#[test]
fn a_storm_with_too_few_deliveries_around_it_carries_no_verdict() {
    let bound = ("converge_within = \"5s\"", "converge_within = \"5s\"\nstorm_min_deliveries = 39");
    let verdict = Trial::storm(&[bound]).judge();
    let because = "fewer than 39 deliveries before or after it";
    assert_undecided(&verdict, "reconnect", "time_to_recovered", because);
}

#[test]
fn a_storm_that_no_client_recorded_carries_no_verdict() {
    let verdict =
        Trial::storm(&[]).without(|record| matches!(record, Record::Offline { .. })).judge();
    assert_held(&verdict, "no client recorded being cut off by fault 0");
}

#[test]
fn a_run_that_was_cut_short_or_lost_its_records_is_held() {
    let held = |change: fn(&mut Trial), words: &str| {
        let mut trial = Trial::storm(&[]);
        change(&mut trial);
        assert_held(&trial.judge(), words);
    };
    held(|trial| trial.facts.interrupted = true, "interrupted before its end");
    held(|trial| trial.records.push(Record::Dropped { count: 1 }), "1 records were dropped");
    held(|trial| trial.facts.generator.lost_threads = 1, "1 threads of the generator ended");
    held(|trial| trial.facts.generator.publishes_begun -= 1, "began 71 of 72 planned publishes");
    // One that only ends: of one that connected the rules would say more.
    let stranger = |trial: &mut Trial| trial.records.push(records::retired(80, 1_000, false));
    held(stranger, "1 records are of clients that the plan does not have");
}

#[test]
fn what_the_target_left_no_room_for_is_its_own_and_no_shortfall_of_the_generator() {
    let mut trial = Trial::storm(&[]);
    trial.facts.generator.publishes_begun -= 1;
    trial.records.push(records::withheld(71, 17_000_000, 20_000_000));
    let verdict = trial.judge();
    let said = verdict.reasons.join("; ");
    assert!(said.contains("1 of 72 planned publishes were never begun"), "{said}");
    assert!(!said.contains("the generator began"), "{said}");
    let settled = trial.settle();
    let all: Vec<u16> = (0..10).collect();
    let errors = settled.metrics.count_of(MetricId::PublishErrors, &all, None);
    assert_eq!((errors.hits, errors.all), (1, 73), "72 were acknowledged, 1 withheld");
    assert_eq!(settled.metrics.distribution(MetricId::Publish, &all, None).censored(), 1);
}

#[test]
fn a_generator_that_was_late_carries_no_verdict_about_lateness() {
    // A tenth of a threshold is allowed: 500 ms of 5 s, 600 ms of 6 s.
    let verdict = storm_with_lag(|_| 610_000).judge();
    let because = "the generator was unfit: its scheduler lag";
    assert_undecided(&verdict, "ux", "delivery", because);
    assert_undecided(&verdict, "reconnect", "time_to_recovered", because);
    assert_undecided(&verdict, "error-budget", "auth_errors", because);
    assert_eq!(rule(&verdict, "no_convergence").verdict, Verdict::Inconclusive);
    assert_eq!(rule(&verdict, "gap").verdict, Verdict::Pass, "no lateness of ours makes a gap");

    let verdict = storm_with_lag(|_| 550_000).judge();
    assert_eq!(of(&verdict, "ux", "delivery")[0].verdict, Verdict::Inconclusive);
    assert_eq!(of(&verdict, "reconnect", "time_to_recovered")[0].verdict, Verdict::Pass);
}

#[test]
fn lateness_of_the_generator_counts_in_the_phases_that_an_objective_reads() {
    let storm_from = 8_000_000;
    let verdict = storm_with_lag(|at| if at >= storm_from { 610_000 } else { 50 }).judge();
    assert_held(&verdict, "the generator was unfit");
    assert_eq!(of(&verdict, "ux", "delivery")[0].verdict, Verdict::Pass);
    for objective in of(&verdict, "reconnect", "time_to_recovered") {
        assert_eq!(objective.verdict, Verdict::Inconclusive);
    }
}

#[test]
fn a_generator_whose_lateness_was_never_measured_is_unfit() {
    let verdict =
        Trial::storm(&[]).without(|record| matches!(record, Record::SchedulerLag { .. })).judge();
    let because = "scheduler lag was never measured";
    assert_undecided(&verdict, "ux", "delivery", because);
    assert_undecided(&verdict, "error-budget", "auth_errors", because);
    assert_eq!(rule(&verdict, "no_convergence").verdict, Verdict::Inconclusive);
}
