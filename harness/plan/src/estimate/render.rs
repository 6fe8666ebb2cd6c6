//! The estimate as text, for a terminal or a log.

use std::fmt::Write as _;

use super::{Estimate, Expected, LimitEstimate, ObjectiveEstimate, Slow, arrival_text};
use crate::gate::power::Needs;
use crate::model::{Plan, TargetKind};
use crate::units::{format_count, format_duration};

/// Writing to a string does not fail; the result is dropped in one place.
macro_rules! line {
    ($out:expr, $($format:tt)*) => {{ let _ = writeln!($out, $($format)*); }};
}

pub(super) fn text(estimate: &Estimate, plan: &Plan) -> String {
    let mut out = String::new();
    head(&mut out, estimate, plan);
    time_line(&mut out, estimate);
    resources(&mut out, estimate);
    objectives(&mut out, estimate);
    stability(&mut out, estimate, plan);
    out
}

fn head(out: &mut String, estimate: &Estimate, plan: &Plan) {
    let profile = plan.profile.as_ref().map_or(String::new(), |name| format!(", profile {name}"));
    line!(out, "{}{profile}, seed {}", plan.name, plan.seed);
    match &plan.target.kind {
        TargetKind::Reference { defects, .. } if defects.is_empty() => {
            line!(out, "  target    the embedded reference runtime");
        }
        TargetKind::Reference { defects, .. } => {
            line!(out, "  target    the embedded reference runtime with {}", defects.join(", "));
        }
        TargetKind::Url { base_url } => line!(out, "  target    {base_url}"),
    }
    for (key, does, words) in plan.target_commands() {
        // Quoted as Rust does it, which leaves no control character as it is.
        let what = if does == "runs" { "writes" } else { "secret" };
        line!(out, "  {what}    {key} {does} {words:?}");
    }
    passive(out, plan);
    let cohorts: Vec<String> = estimate
        .cohorts
        .iter()
        .map(|(name, surface, n)| match surface.name() {
            surface if surface == name => format!("{name} {}", count(*n)),
            surface => format!("{name} {} ({surface})", count(*n)),
        })
        .collect();
    let in_all = match estimate.clients_in_all > estimate.clients_peak {
        true => format!(", {} in all", count(estimate.clients_in_all)),
        false => String::new(),
    };
    let peak = count(estimate.clients_peak);
    line!(out, "  clients   {peak} at peak{in_all}: {}", cohorts.join(", "));
    stages(out, plan);
    for load in &plan.loads {
        line!(
            out,
            "  load      {}/s, {}, {} bytes, over {} workers{}",
            figure(load.rate_per_s),
            arrival_text(load.arrival),
            count(load.payload_bytes),
            count(load.workers),
            if load.during.is_empty() {
                String::new()
            } else {
                format!(", during {}", load.during.join(", "))
            }
        );
    }
    if plan.is_passive() {
        return;
    }
    line!(
        out,
        "  traffic   {} commands ({}/s), about {} frames/s to the clients",
        count(estimate.publishes),
        figure(estimate.commands_per_s),
        figure(estimate.frames_per_s)
    );
}

/// How the number of clients goes up and down.
fn stages(out: &mut String, plan: &Plan) {
    let mut level = plan.fleet.at_first;
    let mut from = plan.fleet.ramp;
    for stage in &plan.fleet.stages {
        let churn = match stage.churn_per_s > 0.0 {
            true => format!(", {}/min come and go", figure(stage.churn_per_s * 60.0)),
            false => String::new(),
        };
        line!(
            out,
            "  stage     from {} for {}: {} to {} clients{churn}",
            format_duration(from),
            format_duration(stage.duration),
            count(level),
            count(stage.target)
        );
        (level, from) = (stage.target, from + stage.duration);
    }
}

/// That nothing is written, and what holds connects down.
fn passive(out: &mut String, plan: &Plan) {
    if plan.is_passive() {
        line!(
            out,
            "  passive   no command is sent, and nothing is written: what others write is judged"
        );
    }
    let ceilings = [
        plan.target.clients_max.map(|most| format!("{} clients (clients_max)", count(most))),
        plan.target
            .connect_rate_max
            .map(|most| format!("{} connects/s, returns too (connect_rate_max)", figure(most))),
    ];
    let ceilings: Vec<_> = ceilings.into_iter().flatten().collect();
    if !ceilings.is_empty() {
        line!(out, "  ceilings  {}", ceilings.join(", "));
    }
}

fn time_line(out: &mut String, estimate: &Estimate) {
    line!(out, "\ntime line");
    for phase in &estimate.phases {
        let length = format_duration(phase.end - phase.start);
        line!(out, "  {:>8}  {} ({length})", format_duration(phase.start), phase.name);
        for fault in &phase.faults {
            let at = format_duration(fault.at);
            let whose = fault.targets.map_or("the target".to_owned(), |targets| {
                format!("{} clients", count(targets as u64))
            });
            let lasts = fault
                .duration
                .map_or(String::new(), |duration| format!(" for {}", format_duration(duration)));
            let slow = fault.slow.map_or(String::new(), |slow| format!(": {}", expectation(slow)));
            line!(out, "  {at:>8}    fault {}: {} of {whose}{lasts}{slow}", fault.id, fault.name);
            for (part, words) in &fault.commands {
                // Quoted as Rust does it, which leaves no control character as it is.
                line!(out, "  {:>8}      {part} {words:?}", "");
            }
            if let Some((causes, until)) = &fault.causes {
                let causes: Vec<_> = causes.iter().map(|cause| cause.name()).collect();
                let until = format_duration(*until);
                line!(out, "  {:>8}      may cause {} until {until}", "", causes.join(", "));
            }
        }
    }
    line!(out, "  {:>8}  end", format_duration(estimate.total));
}

fn expectation(slow: Slow) -> String {
    match slow {
        Slow::Struck(strike) => {
            format!("third strike expected about {:.1} s after it begins", strike.struck_s)
        }
        Slow::Spared => "NO THIRD STRIKE IS EXPECTED".to_owned(),
    }
}

fn resources(out: &mut String, estimate: &Estimate) {
    line!(out, "\nresources");
    line!(
        out,
        "  descriptors   {} in the harness, {} in the target",
        count(estimate.descriptors_harness),
        count(estimate.descriptors_target)
    );
    let verdict = if estimate.ports_needed > estimate.ports_available {
        "; too few: add to `generator.source_addresses`"
    } else {
        ""
    };
    line!(
        out,
        "  source ports  {} of {}{verdict}",
        count(estimate.ports_needed),
        count(estimate.ports_available)
    );
    let reference = estimate
        .memory_reference_bytes
        .map_or(String::new(), |bytes| format!(", {} in the reference runtime", mebibytes(bytes)));
    line!(
        out,
        "  memory        about {} in the harness{reference} (assumed per client, not measured)",
        mebibytes(estimate.memory_harness_bytes)
    );
}

fn objectives(out: &mut String, estimate: &Estimate) {
    if estimate.objectives.is_empty() {
        line!(out, "\nno gates of the scenario's own");
        return;
    }
    line!(out, "\nobjectives");
    let mut gate = "";
    for objective in &estimate.objectives {
        if objective.gate != gate {
            gate = &objective.gate;
            line!(out, "  {gate}{}", standing(objective.judged, objective.advisory));
        }
        for (whose, expected) in &objective.expected {
            let surface = whose.map_or(String::new(), |surface| format!(" {surface}"));
            let name = format!("{}{surface}", objective.metric);
            let evidence = match objective.why_not_applicable(*whose) {
                Some(why) if objective.must_apply => {
                    format!("MUST APPLY AND CANNOT: {why}")
                }
                Some(why) => format!("not applicable: {why}"),
                None => evidence(objective, *expected),
            };
            line!(out, "    {name:<28} {:<20} {evidence}", objective.claim);
            if let Some(foregone) = objective.foregone(*whose) {
                let said = foregone.says().to_uppercase();
                line!(out, "    {:<28} {:<20} {said}: {}", "", "", foregone.why().why);
            }
        }
    }
}

/// How a gate stands to the decision, where that is worth a word.
fn standing(judged: bool, advisory: bool) -> &'static str {
    match (judged, advisory) {
        (false, _) => " (not judged)",
        (true, true) => " (advisory: decides nothing)",
        (true, false) => "",
    }
}

/// The limits of what nobody planned: judged in every run. Those that are alike share a line.
fn stability(out: &mut String, estimate: &Estimate, plan: &Plan) {
    line!(out, "\nalways judged, whatever the gates say");
    let standing = |advisory| standing(true, advisory);
    line!(
        out,
        "  oracle{}: no message lost, out of order or wrong; `khala-harness list rules` names the rules",
        standing(plan.oracle.advisory)
    );
    line!(
        out,
        "  stability{}: what breaks although no fault breaks it; `khala-harness metrics` tells each kind",
        standing(plan.stability.advisory)
    );
    let (absence, from) = estimate.absence;
    let absence = format!("no answer for {} although asked", format_duration(absence));
    let mut lines = vec![(format!("none; {from}"), vec![format!("absence ({absence})")])];
    for LimitEstimate { incident, limit, count } in &estimate.limits {
        let here = match count {
            Some(count) if *count > 0 => format!("; here {}", format_count(*count)),
            _ => String::new(),
        };
        let told = format!("{}{here}", limit.told(incident.occasions()));
        match lines.iter_mut().find(|(known, _)| *known == told) {
            Some((_, incidents)) => incidents.push(incident.name().to_owned()),
            None => lines.push((told, vec![incident.name().to_owned()])),
        }
    }
    let width = lines.iter().map(|(told, _)| told.chars().count()).max().unwrap_or(0);
    for (told, incidents) in lines {
        line!(out, "    {told:<width$}  {}", incidents.join(", "));
    }
}

fn evidence(objective: &ObjectiveEstimate, expected: Expected) -> String {
    let (amount, unit) = match expected {
        Expected::Samples(amount) => (amount, "samples".to_owned()),
        Expected::SamplesOver(amount, seconds) => {
            (amount, format!("samples over {} s", count(seconds)))
        }
        Expected::Seconds(amount) => (amount, "seconds".to_owned()),
        Expected::OfOthers => {
            let needed = match objective.needs {
                Needs::Samples(samples) => count(samples.max(objective.min_samples)),
                Needs::Seconds(_) | Needs::Never => "some".to_owned(),
            };
            let seconds = objective.seconds_needed;
            let seconds = seconds.map_or(String::new(), |it| format!(" over {} s", count(it)));
            return format!("as many samples as others make, {needed} needed{seconds}");
        }
    };
    let needed = match objective.needs {
        Needs::Samples(samples) => count(samples.max(objective.min_samples)),
        Needs::Seconds(seconds) => figure(seconds),
        Needs::Never => "more than there can be".to_owned(),
    };
    let needed = match objective.seconds_needed {
        Some(seconds) => format!("{needed} over {} s", count(seconds)),
        None => needed,
    };
    let verdict = match objective.reaches(expected) {
        false => ": CANNOT REACH A VERDICT",
        true if objective.has_none_to_spare(expected) => {
            "; NONE TO SPARE: undecided if a few do not come"
        }
        true => "",
    };
    format!("{} {unit} expected, {needed} needed{verdict}", figure(amount))
}

/// A whole number with commas between thousands.
pub(super) fn count(number: impl Into<u64>) -> String {
    format_count(number.into())
}

/// A figure with as many decimals as it deserves.
fn figure(number: f64) -> String {
    if number >= 10.0 || number.fract() == 0.0 {
        count(number.round() as u64)
    } else {
        format!("{number:.2}")
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", count(bytes.div_ceil(1024 * 1024)))
}
