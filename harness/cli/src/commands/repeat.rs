//! `run --repeat N`: the same plan again and again, and what differed between the runs. What differs under one plan
//! is the target's doing, or the machine's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use khala_evidence::judge::{Decision, Unit};
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
    /// The worst of the runs.
    decision: String,
    runs: Vec<One>,
    /// What was not the same in all runs, with what it was in each.
    differed: Vec<Difference>,
    /// Between which figures the claims of gates were decided, where they differed.
    spread: Vec<Spread>,
}

#[derive(Serialize)]
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

/// Runs it so many times, or until a signal ends one.
pub fn run(job: &Job<'_>, times: u32) -> Result<Exit, Failure> {
    let mut all: Vec<Ran> = Vec::new();
    for number in 1..=times {
        let ran = job.once(None)?;
        let told =
            format!("run {number} of {times}  {:<5}  {}", ran.report.decision, ran.dir.display());
        match job.run.json {
            true => output::say(&told),
            false => output::verdict(format!("{told}\n").as_bytes()),
        }
        let ended = ran.report.interrupted;
        all.push(ran);
        if ended {
            break;
        }
    }
    let interrupted = all.iter().any(|ran| ran.report.interrupted);
    let decision = worst(all.iter().map(|ran| ran.report.decision));
    let repeated = compared(&all, decision);
    let text = match job.run.json {
        true => serde_json::to_string_pretty(&repeated).context("a rendering failed")? + "\n",
        false => rendered(&repeated, times),
    };
    output::verdict(text.as_bytes());
    Ok(if interrupted { Exit::Interrupted } else { decision.into() })
}

/// The decision that all of them come to.
fn worst(decisions: impl Iterator<Item = Decision>) -> Decision {
    let grave = |decision: &Decision| match decision {
        Decision::Go => 0,
        Decision::Hold => 1,
        Decision::NoGo => 2,
    };
    decisions.max_by_key(grave).unwrap_or(Decision::Hold)
}

fn compared(all: &[Ran], decision: Decision) -> Repeated {
    let one = |ran: &Ran| One {
        run_id: ran.report.run_id.clone(),
        decision: ran.report.decision.to_string(),
        interrupted: ran.report.interrupted,
        bundle: ran.dir.display().to_string(),
    };
    let facts: Vec<_> = all.iter().map(|ran| facts(&ran.report)).collect();
    let scenario = all.first().map(|ran| ran.report.scenario.clone());
    Repeated {
        version: VERSION,
        scenario: scenario.as_ref().map_or_else(String::new, |scenario| scenario.name.clone()),
        seed: scenario.map_or(0, |scenario| scenario.seed),
        decision: decision.to_string(),
        runs: all.iter().map(one).collect(),
        differed: differences(&facts),
        spread: spread(all.iter().map(|ran| &ran.report)),
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
fn differences(runs: &[Vec<(String, String)>]) -> Vec<Difference> {
    let by_name: Vec<BTreeMap<&str, &str>> = runs
        .iter()
        .map(|facts| facts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in runs.iter().flatten() {
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

/// The least and the most of what each claim was decided by.
fn spread<'a>(reports: impl Iterator<Item = &'a RunReport>) -> Vec<Spread> {
    let mut spread: Vec<Spread> = Vec::new();
    for gate in reports.flat_map(|report| &report.gates) {
        for objective in &gate.objectives {
            let Some(estimate) = objective.estimate else { continue };
            let what =
                claim(&gate.name, &objective.metric, &objective.selector, &objective.require);
            match spread.iter_mut().find(|known| known.what == what) {
                Some(known) => {
                    known.least = known.least.min(estimate);
                    known.most = known.most.max(estimate);
                }
                None => {
                    let unit = objective.unit;
                    spread.push(Spread { what, unit, least: estimate, most: estimate });
                }
            }
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
    let Repeated { scenario, decision, runs, differed, spread, .. } = repeated;
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
    let _ = writeln!(
        text,
        "\n{decision} {scenario}: {like} of {} runs, of {times} asked for",
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
        let found = differences(&runs);
        let told: Vec<_> = found.iter().map(|it| (it.what.as_str(), it.values.join(" "))).collect();
        let expected = [("decision", "GO NO-GO GO"), ("gap", "0 3 0"), ("late", "none 1 none")];
        assert_eq!(told, expected.map(|(what, values)| (what, values.to_owned())));
        assert_eq!(differences(&runs[..1]), []);
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
            assert_eq!(worst(decisions.into_iter()), is);
        }
    }
}
