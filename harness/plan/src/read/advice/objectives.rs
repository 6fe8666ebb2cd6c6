//! Warnings about objectives: those that cannot reach a verdict, and those whose verdict the plan alone decides.

use crate::estimate::{Estimate, Expected, ObjectiveEstimate};
use crate::gate::power::Needs;
use crate::metric::MetricId;
use crate::read::diagnostic::Diagnostic;
use crate::read::scenario::Placeable;
use crate::read::source::Place;
use crate::read::suggest;
use crate::units::format_count;

/// What to do about an objective that must apply and cannot.
const MUST_APPLY: &str = "give the plan what exercises it, or take its name out of `must_apply`";

pub(super) fn of(placeable: &Placeable, estimate: &Estimate) -> Vec<Diagnostic> {
    let places = placeable.objective_places.iter().flatten();
    let judged = estimate.objectives.iter().zip(places).filter(|(objective, _)| objective.judged);
    let told = |(objective, place)| [undecidable(objective, place), foregone(objective, place)];
    judged.flat_map(told).flatten().collect()
}

fn whose(surface: Option<&str>) -> String {
    surface.map_or(String::new(), |surface| format!(" for `{surface}`"))
}

/// One that cannot reach a verdict with the evidence there will be.
fn undecidable(objective: &ObjectiveEstimate, place: &Place) -> Option<Diagnostic> {
    if let Some((surface, why)) = objective.not_applicable.first() {
        // One that need not apply is no mistake: the plan names it, and so does the report.
        let what = format!("`{}` must apply, and cannot{}", objective.metric, whose(*surface));
        let warning = Diagnostic::warning(place, what).note(why.clone()).help(MUST_APPLY);
        return objective.must_apply.then_some(warning);
    }
    let (surface, expected) = objective.unreachable().next()?;
    let amount = match *expected {
        Expected::Samples(samples) => format!("about {} samples are expected", count(samples)),
        Expected::SamplesOver(samples, seconds) => {
            format!(
                "about {} samples over {} s are expected",
                count(samples),
                format_count(seconds)
            )
        }
        Expected::Seconds(seconds) => format!("it is observed for {} s", count(seconds)),
        // As many as are needed may come.
        Expected::OfOthers => return None,
    };
    let needed = match objective.needs {
        Needs::Samples(samples) => {
            let samples = format_count(samples.max(objective.min_samples));
            match objective.seconds_needed {
                Some(seconds) => format!("{samples} over {} s are needed", format_count(seconds)),
                None => format!("{samples} are needed"),
            }
        }
        Needs::Seconds(seconds) => format!("{} s are needed", count(seconds.ceil())),
        Needs::Never => "no number is enough".to_owned(),
    };
    let what = format!("`{}` cannot reach a verdict{}", objective.metric, whose(*surface));
    Some(
        Diagnostic::warning(place, what)
            .note(format!("{amount}, {needed} if none fails"))
            .help(mend(objective, *expected)),
    )
}

/// One whose verdict is known before anything is run.
fn foregone(objective: &ObjectiveEstimate, place: &Place) -> Option<Diagnostic> {
    let (_, first) = objective.foregone.first()?;
    let alike = || objective.foregone.iter().filter(|(_, other)| other.says() == first.says());
    let surfaces = suggest::list(alike().filter_map(|(surface, _)| *surface));
    let whose = if surfaces == "none" { String::new() } else { format!(" for {surfaces}") };
    let what = format!("{} of `{}`{whose}", first.says(), objective.metric);
    let of = |surface: &Option<&str>, text: &str| match surface {
        Some(surface) if alike().count() > 1 => format!("`{surface}`: {text}"),
        _ => text.to_owned(),
    };
    let mends = alike().map(|(surface, other)| of(surface, &other.why().mend));
    let help = mends.collect::<Vec<_>>().join("; ");
    let warning = Diagnostic::warning(place, what).help(help);
    let notes = alike().map(|(surface, other)| of(surface, &other.why().why));
    Some(notes.fold(warning, Diagnostic::note))
}

/// What gives it more of the evidence that it lacks, and what asks for less.
fn mend(objective: &ObjectiveEstimate, expected: Expected) -> String {
    let needed = match objective.needs {
        Needs::Seconds(seconds) => {
            let seconds = count(seconds.ceil());
            return format!("lengthen its phases to {seconds} s in all, or allow a higher rate");
        }
        Needs::Never => return "raise the bound".to_owned(),
        Needs::Samples(needed) => needed,
    };
    let (samples, seconds_lack) = match expected {
        Expected::Samples(samples) | Expected::Seconds(samples) => (samples, None),
        Expected::OfOthers => return String::new(),
        Expected::SamplesOver(samples, seconds) => {
            (samples, objective.seconds_needed.filter(|needed| *needed > seconds))
        }
    };
    let mut ways = Vec::new();
    if let Some(seconds) = seconds_lack {
        let seconds = format_count(seconds);
        ways.push(format!(
            "lengthen its phases, or name more of them in `during`, until {seconds} s have samples: more \
             clients add no second"
        ));
    }
    if samples < needed.max(objective.min_samples) as f64 {
        ways.extend(MetricId::of(objective.metric).map(|metric| source(metric).to_owned()));
        if objective.min_samples > needed {
            ways.push("lower `min_samples`".to_owned());
        } else if objective.claim.starts_with('p') {
            let looser = match objective.claim.starts_with("proportion") {
                true => "allow a larger share",
                false => "claim a lower percentile",
            };
            ways.push(looser.to_owned());
        }
    }
    ways.join("; or ")
}

/// What gives a metric more samples.
fn source(metric: MetricId) -> &'static str {
    match metric {
        MetricId::TokenMint
        | MetricId::MintErrors
        | MetricId::Connect
        | MetricId::TlsHandshake
        | MetricId::ConnectErrors
        | MetricId::Join
        | MetricId::Subscribe
        | MetricId::ReplayBootstrap
        | MetricId::AuthErrors
        | MetricId::TopicErrors => {
            "run more clients, or cut them off more often: samples come of connects"
        }
        MetricId::TimeToRecovered
        | MetricId::ReconnectAttempts
        | MetricId::Unrecovered
        | MetricId::ResumeToLive
        | MetricId::ReplayLag => {
            "cut off more clients, or more often: each cut is a sample, and a longer phase adds none"
        }
        MetricId::Snapshot => {
            "bring back more clients with a stale cursor: each fetches a snapshot"
        }
        MetricId::Delivery
        | MetricId::DeliverySpread
        | MetricId::BystanderRatio
        | MetricId::Violations => "raise the load's rate, run more clients, or lengthen its phases",
        MetricId::HeartbeatRtt => "run more clients, or lengthen its phases",
        MetricId::Publish | MetricId::PublishErrors => {
            "raise the load's rate, or lengthen its phases: clients do not publish"
        }
        MetricId::HeartbeatTimeouts
        | MetricId::Reconnects
        | MetricId::PeakConnects
        | MetricId::UnplannedStale => "lengthen its phases",
    }
}

fn count(amount: f64) -> String {
    format_count(amount.round() as u64)
}
