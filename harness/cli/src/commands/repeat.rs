//! `run --repeat N`: the same plan again and again, and what differed between the runs. What differs under one plan
//! is the target's doing, or the machine's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use khala_evidence::judge::{Decision, ObjectiveVerdict, Unit};
use khala_evidence::report::RunReport;
use serde::Serialize;

use super::run::{Job, Ran};
use crate::exit::{Exit, Failure};
use crate::output;

/// Version of what `--json` prints.
const VERSION: u32 = 1;
/// What stands where a run says nothing of something.
const NOTHING: &str = "none";

#[derive(Serialize)]
struct Repeated {
    version: u32,
    scenario: String,
    seed: u64,
    /// The worst of the runs; HOLD at least where one came to no report.
    decision: String,
    runs: Vec<One>,
    /// Why the run after these came to no report.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// What was not the same in all runs, with what it was in each.
    differed: Vec<Difference>,
    /// Between which figures the claims of gates were decided, where they differed.
    spread: Vec<Spread>,
}

#[derive(Clone, Serialize)]
struct One {
    run_id: String,
    decision: String,
    interrupted: bool,
    bundle: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    what: String,
    values: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Spread {
    what: String,
    unit: Unit,
    least: f64,
    most: f64,
}

/// What is kept of a run, to be compared.
struct Kept {
    one: One,
    decision: Decision,
    facts: Vec<(String, String)>,
    estimates: Vec<Estimate>,
}

/// By what a claim was decided.
struct Estimate {
    what: String,
    unit: Unit,
    value: f64,
}

impl Kept {
    fn of(ran: &Ran) -> Self {
        let Ran { report, dir } = ran;
        let one = One {
            run_id: report.run_id.clone(),
            decision: report.decision.to_string(),
            interrupted: report.interrupted,
            bundle: dir.display().to_string(),
        };
        let (facts, estimates) = (facts(report), estimates(report));
        Self { one, decision: report.decision, facts, estimates }
    }
}

/// Runs it so many times, or until a signal ends one or one comes to no report. What there is then is judged.
pub fn run(job: &Job<'_>, times: u32) -> Result<Exit, Failure> {
    let mut all: Vec<Kept> = Vec::new();
    let mut scenario = None;
    let mut failure = None;
    for number in 1..=times {
        let ran = match job.once(None).map_err(Failure::from) {
            Ok(ran) => ran,
            // Nothing came before.
            Err(failed) if all.is_empty() => return Err(failed),
            Err(failed) => {
                output::failure(&failed);
                failure = Some(failed);
                break;
            }
        };
        let kept = Kept::of(&ran);
        scenario
            .get_or_insert_with(|| (ran.report.scenario.name.clone(), ran.report.scenario.seed));
        let told = format!("run {number} of {times}  {:<5}  {}", kept.decision, kept.one.bundle);
        match job.run.json {
            true => output::say(&told),
            false => output::verdict(format!("{told}\n").as_bytes()),
        }
        let ended = kept.one.interrupted;
        all.push(kept);
        if ended {
            break;
        }
    }
    let repeated = compared(&all, scenario.unwrap_or_default(), failure.as_ref());
    let text = match job.run.json {
        true => serde_json::to_string_pretty(&repeated).context("a rendering failed")? + "\n",
        false => rendered(&repeated, times),
    };
    output::verdict(text.as_bytes());
    Ok(exit(&all, failure.as_ref()))
}

/// What they end with: that a run came to no report, or was interrupted, does not unsay the NO-GO of one before.
fn exit(all: &[Kept], failure: Option<&Failure>) -> Exit {
    let ended = || all.iter().filter(|kept| !kept.one.interrupted);
    if ended().any(|kept| kept.decision == Decision::NoGo) {
        return Exit::NoGo;
    }
    match failure {
        Some(failure) => failure.exit,
        None if ended().count() < all.len() => Exit::Interrupted,
        None => worst(all, failure).into(),
    }
}

/// The decision that all of them come to.
fn worst(all: &[Kept], failure: Option<&Failure>) -> Decision {
    let grave = |decision: &Decision| match decision {
        Decision::Go => 0,
        Decision::Hold => 1,
        Decision::NoGo => 2,
    };
    let decisions = all.iter().map(|kept| kept.decision);
    let decisions = decisions.chain(failure.map(|_| Decision::Hold));
    decisions.max_by_key(grave).unwrap_or(Decision::Hold)
}

fn compared(all: &[Kept], (scenario, seed): (String, u64), failure: Option<&Failure>) -> Repeated {
    let facts: Vec<_> = all.iter().map(|kept| kept.facts.as_slice()).collect();
    Repeated {
        version: VERSION,
        scenario,
        seed,
        decision: worst(all, failure).to_string(),
        runs: all.iter().map(|kept| kept.one.clone()).collect(),
        failed: failure.map(|failure| failure.message.clone()),
        differed: differences(&facts),
        spread: spread(all.iter().flat_map(|kept| &kept.estimates)),
    }
}

/// What a run came to, each with its name, in the order in which it is told.
fn facts(report: &RunReport) -> Vec<(String, String)> {
    let mut facts = vec![("decision".to_owned(), report.decision.to_string())];
    for gate in report.gates.iter().filter(|gate| gate.judged) {
        let verdict = gate.verdict.map_or_else(|| NOTHING.to_owned(), |it| it.to_string());
        facts.push((format!("gate {}", gate.name), verdict));
        for objective in &gate.objectives {
            let name =
                claim(&gate.name, &objective.metric, &objective.selector, &objective.require);
            facts.push((name, objective.verdict.to_string()));
        }
    }
    for (rule, count) in &report.oracle.violations {
        facts.push((format!("violations of {rule}"), count.to_string()));
    }
    for fault in &report.faults {
        let hit =
            fault.effective.map_or_else(|| "not proven".to_owned(), |hit| format!("hit {hit}"));
        facts.push((format!("fault {} ({} in {})", fault.id, fault.kind, fault.phase), hit));
    }
    for line in &report.unplanned_ends {
        let name = format!("unplanned: {} ({})", line.kind.name(), line.code);
        facts.push((name, line.count.to_string()));
    }
    facts
        .push(("clients live at the end".to_owned(), report.fleet.clients_live_at_end.to_string()));
    facts.push(("publishes acknowledged".to_owned(), report.load.acknowledged.to_string()));
    facts
}

fn claim(gate: &str, metric: &str, selector: &str, require: &str) -> String {
    match selector {
        "" => format!("{gate}: {metric} {require}"),
        selector => format!("{gate}: {metric} [{selector}] {require}"),
    }
}

/// What is not the same in all runs.
fn differences(runs: &[&[(String, String)]]) -> Vec<Difference> {
    let by_name: Vec<BTreeMap<&str, &str>> = runs
        .iter()
        .map(|facts| facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().copied().flatten() {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let difference = |name: &str| {
        let values = by_name.iter().map(|facts| facts.get(name).copied().unwrap_or(NOTHING));
        let values: Vec<_> = values.map(str::to_owned).collect();
        let same = values.windows(2).all(|pair| pair[0] == pair[1]);
        (!same).then(|| Difference { what: name.to_owned(), values })
    };
    names.into_iter().filter_map(difference).collect()
}

/// By what each claim of a run was decided.
fn estimates(report: &RunReport) -> Vec<Estimate> {
    let objectives = report
        .gates
        .iter()
        .flat_map(|gate| gate.objectives.iter().map(|objective| (&gate.name, objective)));
    let estimate = |(gate, objective): (&String, &ObjectiveVerdict)| {
        let what = claim(gate, &objective.metric, &objective.selector, &objective.require);
        Some(Estimate { what, unit: objective.unit, value: objective.estimate? })
    };
    objectives.filter_map(estimate).collect()
}

/// The least and the most of what each claim was decided by.
fn spread<'a>(estimates: impl Iterator<Item = &'a Estimate>) -> Vec<Spread> {
    let mut spread: Vec<Spread> = Vec::new();
    for &Estimate { ref what, unit, value } in estimates {
        match spread.iter_mut().find(|known| known.what == *what) {
            Some(known) => {
                known.least = known.least.min(value);
                known.most = known.most.max(value);
            }
            None => spread.push(Spread { what: what.clone(), unit, least: value, most: value }),
        }
    }
    spread.retain(|known| known.least < known.most);
    spread
}

/// A figure with its unit.
fn figure(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Micros => format!("{:.1} ms", value / 1e3),
        Unit::Share => format!("{:.3} %", value * 100.0),
        Unit::Ratio => format!("{value:.3}"),
        Unit::PerSecond => format!("{value:.3}/s"),
        Unit::Count => format!("{value}"),
    }
}

fn rendered(repeated: &Repeated, times: u32) -> String {
    let Repeated { scenario, decision, runs, failed, differed, spread, .. } = repeated;
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = match differed.is_empty() {
        true => writeln!(text, "\nNothing differed but figures"),
        false => writeln!(text, "\nWhat differed, run by run"),
    };
    for Difference { what, values } in differed {
        let _ = writeln!(text, "  {what}: {}", values.join(", "));
    }
    if !spread.is_empty() {
        let _ = writeln!(text, "\nWhat claims were decided by, the least and the most");
    }
    for Spread { what, unit, least, most } in spread {
        let _ = writeln!(text, "  {what}: {} to {}", figure(*unit, *least), figure(*unit, *most));
    }
    let like = runs.iter().filter(|one| one.decision == *decision).count();
    let none = match failed {
        Some(_) => format!("; run {} came to no report", runs.len() + 1),
        None => String::new(),
    };
    let _ = writeln!(
        text,
        "\n{decision} {scenario}: {like} of {} runs, of {times} asked for{none}",
        runs.len()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn only_what_is_not_the_same_everywhere_differed() {
        let runs = [
            facts(&[("decision", "GO"), ("gate a", "PASS"), ("gap", "0")]),
            facts(&[("decision", "NO-GO"), ("gate a", "PASS"), ("gap", "3"), ("late", "1")]),
            facts(&[("decision", "GO"), ("gate a", "PASS"), ("gap", "0")]),
        ];
        let runs: Vec<_> = runs.iter().map(Vec::as_slice).collect();
        let found = differences(&runs);
        let told: Vec<_> = found.iter().map(|it| (it.what.as_str(), it.values.join(" "))).collect();
        let expected = [("decision", "GO NO-GO GO"), ("gap", "0 3 0"), ("late", "none 1 none")];
        assert_eq!(told, expected.map(|(what, values)| (what, values.to_owned())));
        assert_eq!(differences(&runs[..1]), []);
    }

    fn kept(decision: Decision, interrupted: bool) -> Kept {
        let one = One {
            run_id: String::new(),
            decision: decision.to_string(),
            interrupted,
            bundle: String::new(),
        };
        Kept { one, decision, facts: Vec::new(), estimates: Vec::new() }
    }

    #[test]
    fn one_bad_run_is_what_they_come_to() {
        use Decision::{Go, Hold, NoGo};
        for (decisions, is) in [
            (vec![Go, Go], Go),
            (vec![Go, Hold, Go], Hold),
            (vec![NoGo, Hold, Go], NoGo),
            (vec![], Hold),
        ] {
            let all: Vec<_> = decisions.into_iter().map(|decision| kept(decision, false)).collect();
            assert_eq!((worst(&all, None), exit(&all, None)), (is, is.into()));
        }
    }

    #[test]
    fn a_run_without_a_report_unsays_no_verdict_before_it_and_is_no_go() {
        use Decision::{Go, Hold, NoGo};
        let failure = Failure::new(Exit::Setup, "nobody is there");
        for (decision, comes_to, ends) in
            [(Go, Hold, Exit::Setup), (Hold, Hold, Exit::Setup), (NoGo, NoGo, Exit::NoGo)]
        {
            let all = [kept(decision, false)];
            assert_eq!(worst(&all, Some(&failure)), comes_to);
            assert_eq!(exit(&all, Some(&failure)), ends);
            let repeated = compared(&all, ("tiny".to_owned(), 7), Some(&failure));
            assert_eq!(repeated.failed.as_deref(), Some("error: nobody is there"));
            let text = rendered(&repeated, 3);
            let last = text.lines().last().unwrap_or_default();
            assert!(last.starts_with(&format!("{comes_to} tiny: ")), "{last}");
            assert!(last.ends_with(" of 3 asked for; run 2 came to no report"), "{last}");
        }
        // One that was interrupted says nothing of itself, and takes nothing from those before.
        assert_eq!(exit(&[kept(Go, false), kept(Hold, true)], None), Exit::Interrupted);
        assert_eq!(exit(&[kept(NoGo, false), kept(Hold, true)], None), Exit::NoGo);
        assert_eq!(exit(&[kept(NoGo, true)], None), Exit::Interrupted);
    }
}
