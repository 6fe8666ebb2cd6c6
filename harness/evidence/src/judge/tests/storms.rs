//! What a fault must have done, and what time clients must have had, before a verdict says anything of the target.

use super::*;
use crate::judge::fitness::{faults_unfit, not_yet_back};
use crate::shard::exposure::{After, Exposure};

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
        let unfit = |case: &Case<'_>| faults_unfit(case, &case.phases(&[phase.to_owned()]));
        asked(had, change, unfit).map(|unfit| unfit.why)
    };
    let bit = (Some(4), exposure(0));
    assert_eq!(of(bit.clone(), |_| (), "during"), None);
    let why = |had: (Option<u64>, Option<Exposure>), change, contains: &str| {
        let why = of(had.clone(), change, "during").expect("it proves nothing");
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

/// What holds against a passive run as a whole in which all were cut off by a fault, and so many of those that were
/// back were sent something new.
fn after_a_return(reached: u64, must_apply: &str, applied: u64) -> Vec<String> {
    let mut text = TEXT.replacen(
        "name = \"during\"\nduration = \"30s\"\n",
        "name = \"during\"\nduration = \"30s\"\n[[phase.fault]]\ntype = \"disconnect\"\nat = \"1s\"\n\
         mode = \"all\"\nattributes = { style = \"close\" }\n",
        1,
    );
    let load = text.find("[[load]]").expect("the load");
    let phase = text.find("[[phase]]").expect("the first phase");
    text.replace_range(load..phase, "");
    let secret = "mint = \"hs256\"\nsecret = { env = \"KEY\" }";
    let text = text
        .replacen(
            "kind = \"reference\"",
            "kind = \"url\"\nurl = \"http://127.0.0.1:4000\"\ncommands = \"none\"",
            1,
        )
        .replacen("mint = \"hs256\"", secret, 1)
        .replacen("seed = 7", &format!("seed = 7\nmust_apply = [{must_apply}]"), 1);
    let plan = testing::plan(&text);
    let schedule = Schedule::of(&plan);
    let mut fault = FaultOutcome::not_applied(&schedule, &schedule.faults[0], "");
    (fault.applied, fault.effective) = (true, Some(4));
    let mut facts = facts();
    facts.faults.push(fault);
    let topic = TopicId::WORKER_EVENTS;
    let change = |settled: &mut Settled| {
        let after = BTreeMap::from([(topic, After { back: 4, reached })]);
        let exposure = Exposure { pairs: 4, after, ..Exposure::default() };
        settled.exposures = BTreeMap::from([(0, exposure)]);
        settled.applied = BTreeMap::from([(topic, applied)]);
        settled.clients_live_at_end = 4;
    };
    let records = [delivered(1, |_| 500), vec![lag(5 * S, 1), lag(35 * S, 1)]].concat();
    let verdict = in_court_with(&plan, &records, &facts, change, judge);
    verdict.of_the_run.into_iter().map(|reason| reason.why).collect()
}

#[test]
fn a_return_after_which_nothing_came_shows_nothing_in_a_passive_run() {
    assert_eq!(after_a_return(1, "", 60), Vec::<String>::new());
    assert_eq!(
        after_a_return(0, "", 60),
        [
            "nothing new came on runtime.codex_worker_events to any client that was back from fault 0 \
          (disconnect), so that their return shows nothing of what they are sent since: run it while others \
          publish there, or give the phase `during` more time"
        ]
    );
    // Where nothing came at all that is said elsewhere, unless the scenario asks for it.
    assert_eq!(after_a_return(0, "", 0), Vec::<String>::new());
    let named = after_a_return(0, "\"runtime.codex_worker_events\"", 0);
    assert_eq!(
        named,
        [
            "nothing came on runtime.codex_worker_events, which must apply: run it while somebody publishes there"
        ]
    );
    assert_eq!(after_a_return(1, "\"runtime.codex_worker_events\"", 60), Vec::<String>::new());
}
