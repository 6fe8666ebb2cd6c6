//! What a fault must have done, and what time clients must have had, before a verdict says anything of the target.

use super::*;
use crate::judge::fitness::{faults_unfit, not_yet_back};
use crate::shard::exposure::Exposure;

/// A run in which all are away for 5 s from 32 s on, one after the other within 2 s.
fn plan_of_storm() -> Plan {
    let fault = "name = \"during\"\nduration = \"30s\"\n[[phase.fault]]\ntype = \"offline\"\n\
                 at = \"1s\"\nspread = \"2s\"\nmode = \"all\"\nattributes = { offline_for = \"5s\" }\n";
    testing::plan(&TEXT.replacen("name = \"during\"\nduration = \"30s\"\n", fault, 1))
}

/// Asks of phases of a run in which the fault had this outcome and clients this exposure.
fn asked<T>(
    (effective, exposure): (Option<u64>, Option<Exposure>),
    change: impl FnOnce(&mut RunFacts),
    ask: impl FnOnce(&Case<'_>) -> T,
) -> T {
    let plan = plan_of_storm();
    let schedule = Schedule::of(&plan);
    let mut fault = FaultOutcome::not_applied(&schedule, &schedule.faults[0], "");
    (fault.applied, fault.effective) = (true, effective);
    let mut facts = facts();
    facts.faults.push(fault);
    change(&mut facts);
    let exposed = |settled: &mut Settled| {
        settled.exposures = exposure.map(|exposure| (0, exposure)).into_iter().collect();
    };
    in_court_with(&plan, &[], &facts, exposed, ask)
}

fn exposure(lost: u64) -> Option<Exposure> {
    Some(Exposure { pairs: 4, lost, ..Exposure::default() })
}

#[test]
fn a_fault_that_is_not_proven_carries_no_verdict_of_its_own_phases_and_one_of_others() {
    let of = |had, change: fn(&mut RunFacts), phase: &str| {
        asked(had, change, |case| faults_unfit(case, &case.phases(&[phase.to_owned()])))
    };
    let bit = (Some(4), exposure(0));
    assert_eq!(of(bit, |_| (), "during"), None);
    let why = |had, change, contains: &str| {
        let why = of(had, change, "during").expect("it proves nothing");
        assert!(why.contains(contains), "{why}");
        assert_eq!(of(had, change, "before"), None, "{why}");
    };
    why(bit, |facts| facts.faults.clear(), "fault 0 left no trace");
    why((Some(0), exposure(0)), |_| (), "hit 0 of 4 clients planned");
    why((Some(4), None), |_| (), "no client recorded being cut off by fault 0");
}

#[test]
fn a_run_that_is_cut_short_before_clients_had_had_their_time_says_nothing_of_them() {
    let plan = plan_of_storm();
    let at = Schedule::of(&plan).faults[0].at_us;
    assert_eq!(at, 32 * S);
    // Spread over 2 s, away for 5 s, and then the bound of convergence.
    let bound = u64::try_from(plan.oracle.converge_within.as_micros()).expect("small");
    let due = at + 7 * S + bound;
    let of = |lost, duration_us, (interrupted, unfinished): (bool, bool), phase: &str| {
        let cut = |facts: &mut RunFacts| {
            (facts.duration_us, facts.interrupted) = (duration_us, interrupted);
            facts.unfinished = unfinished.then(|| "it was killed".to_owned());
        };
        let had = (Some(4), exposure(lost));
        asked(had, cut, |case| not_yet_back(case, &case.phases(&[phase.to_owned()]))).is_some()
    };
    for how in [(true, false), (false, true), (true, true)] {
        assert!(of(1, due - 1, how, "during") && of(4, due - 1, how, "during"));
        assert!(!of(1, due, how, "during"), "they had had it");
        assert!(!of(1, due + 1, how, "during"), "they had had it");
        assert!(!of(0, due - 1, how, "during"), "they are back");
        assert!(!of(1, due - 1, how, "before"), "of another phase");
    }
    assert!(!of(1, due - 1, (false, false), "during"), "of a run that is whole");
}
