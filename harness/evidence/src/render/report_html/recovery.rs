//! How those who were cut off came back: the share of them that had recovered, by seconds since their cut.

use std::collections::BTreeMap;

use khala_plan::gate::grammar;
use khala_plan::metric::MetricId;
use khala_plan::model::Estimator;

use super::super::texts;
use super::super::units::{count, counted, duration_or_dash, moment};
use super::axis::{Axis, Kind};
use super::html::Html;
use super::part;
use super::plot::{Claim, Line, Plot};
use super::script::Data;
use super::tables::{figure, name, table};
use crate::hist::Sparse;
use crate::report::{MetricLine, Phase, RunReport};
use crate::shard::metrics::Distribution;

/// Points of a curve: more are not seen.
const POINTS: usize = 400;
/// Phases that have a chart.
pub const PHASES_MAX: usize = 8;

pub fn write(html: &mut Html, report: &RunReport, beside: Option<&RunReport>, data: &mut Data) {
    part(html, "recovery", |html| {
        let recovered = |phase: &&Phase| lines(report, &phase.name).next().is_some();
        let phases: Vec<_> = report.phases.iter().filter(recovered).collect();
        if phases.is_empty() {
            return html.leaf(
                "p",
                &[],
                "Nobody was cut off in this run, so that nobody had to recover.",
            );
        }
        if let Some(RunReport { run_id, scenario, decision, .. }) = beside {
            let name = &scenario.name;
            let said =
                format!("Thin: the run {run_id} of {name}, {decision}, drawn beside this one.");
            html.leaf("p", &[], &said);
        }
        for phase in phases.iter().take(PHASES_MAX) {
            of_phase(html, report, beside, phase, data);
        }
        let more = phases.len().saturating_sub(PHASES_MAX);
        if more > 0 {
            let more = counted(more as u64, "more phase has", "more phases have");
            html.leaf("p", &[], &format!("{more} such figures: they stand under Figures."));
        }
    });
}

fn lines<'a>(report: &'a RunReport, phase: &'a str) -> impl Iterator<Item = &'a MetricLine> {
    report.lines(MetricId::TimeToRecovered, phase).filter(|line| line.n > 0)
}

/// The faults of a phase, each with its size: what cut them off.
fn cuts(report: &RunReport, phase: &str) -> String {
    let faults = report.faults.iter().filter(|fault| fault.phase == phase && fault.applied);
    let told = faults.map(|fault| {
        let hit = fault.effective.map_or_else(|| "not proven".to_owned(), count);
        format!(
            "#{} {} at {}: {} planned, {hit} hit",
            fault.id,
            fault.kind,
            moment(fault.at_us),
            count(fault.planned)
        )
    });
    told.collect::<Vec<_>>().join("; ")
}

fn of_phase(
    html: &mut Html,
    report: &RunReport,
    beside: Option<&RunReport>,
    phase: &Phase,
    data: &mut Data,
) {
    let number = report.phases.iter().position(|it| it.name == phase.name).unwrap_or(0);
    let id = format!("recovery-{number}");
    let all: u64 = lines(report, &phase.name).map(|line| line.n).sum();
    let title =
        format!("Recovered after the cut in {}: {}", phase.name, counted(all, "client", "clients"));
    html.tag("figure", &[("id", &id)], |html| {
        html.tag("figcaption", &[], |html| {
            html.leaf("h3", &[], &title);
            let cuts = cuts(report, &phase.name);
            if !cuts.is_empty() {
                html.leaf("p", &[("class", "note")], &format!("Cut by {cuts}."));
            }
        });
        match plot(report, beside, phase, (&id, &title)) {
            Some(plot) => {
                plot.write(html);
                data.curves(&plot);
                let beyond = claims(report, &phase.name).into_iter();
                let beyond = beyond.filter(|claim| claim.at.0 > plot.x.hi).map(|claim| claim.name);
                let beyond: Vec<_> = beyond.collect();
                if !beyond.is_empty() {
                    let said = format!("Beyond the chart's right end: {}.", beyond.join(", "));
                    html.leaf("p", &[("class", "note")], &said);
                }
            }
            None => {
                html.leaf("p", &[], "The samples are not recorded in what this page was made of.")
            }
        }
        of_surfaces(html, report, phase, &title);
    });
}

fn plot(
    report: &RunReport,
    beside: Option<&RunReport>,
    phase: &Phase,
    (id, title): (&str, &str),
) -> Option<Plot> {
    let mut curves = curves(report, &phase.name, None);
    if let Some(other) = beside {
        curves.extend(self::curves(other, &phase.name, Some(&other.run_id)));
    }
    let about = lines(report, &phase.name).map(|line| {
        let slowest = line.response.map_or(0, |response| response.max);
        let surface = line.surface.map_or("all", |surface| surface.name());
        let never = line.censored;
        format!(
            "{surface}: the slowest of {} after {}, {never} not within the phase",
            line.n,
            texts::seconds(slowest)
        )
    });
    let about = format!("{}.", about.collect::<Vec<_>>().join("; "));
    drawn(id, title, about, curves, claims(report, &phase.name))
}

/// The chart of some curves, each held to its end, with what is claimed of them; none without a curve.
pub fn drawn(
    id: &str,
    title: &str,
    about: String,
    curves: Vec<Line>,
    claims: Vec<Claim>,
) -> Option<Plot> {
    let longest = curves.iter().flat_map(|line| line.points.iter().flatten()).map(|(x, _)| *x);
    let longest = longest.fold(0.0, f64::max);
    if curves.is_empty() {
        return None;
    }
    let furthest = claims.iter().map(|claim| claim.at.0).fold(longest, f64::max);
    // A bound that is far beyond everything would squeeze the curve into a corner.
    let most = if furthest > longest * 4.0 { longest * 1.2 } else { furthest * 1.1 };
    let until = |line: Line| Line { points: held(line.points, most), ..line };
    let x = Axis::linear(Kind::Seconds, most, 10);
    Some(Plot {
        id: format!("chart-{id}"),
        title: title.to_owned(),
        about,
        height: 220.0,
        x_title: format!("time since the cut, {}", x.moments_are()),
        x,
        y_title: "share recovered".to_owned(),
        y: Axis::linear(Kind::Share, 1.0, 5),
        steps: true,
        lines: curves.into_iter().map(until).collect(),
        bands: Vec::new(),
        claims: claims.into_iter().filter(|claim| claim.at.0 <= most).collect(),
    })
}

/// A curve that holds its last share to the chart's end.
fn held(mut points: Vec<Option<(f64, f64)>>, until: f64) -> Vec<Option<(f64, f64)>> {
    if let Some(Some((_, y))) = points.last().copied() {
        points.push(Some((until, y)));
    }
    points
}

/// A curve for each surface.
fn curves(report: &RunReport, phase: &str, run: Option<&str>) -> Vec<Line> {
    let sampled = lines(report, phase).filter_map(|line| Some((line, line.samples.as_ref()?)));
    sampled
        .enumerate()
        .map(|(pen, (line, samples))| {
            let surface = line.surface.map_or("all", |surface| surface.name());
            let of = run.map(|run| format!(", run {run}")).unwrap_or_default();
            Line {
                name: format!("{surface}{of} (n = {})", count(line.n)),
                pen,
                thin: run.is_some(),
                points: shares(by_value(samples), samples.len(), POINTS),
            }
        })
        .collect()
}

fn by_value(samples: &Distribution) -> BTreeMap<u64, u64> {
    let mut values: BTreeMap<u64, u64> = BTreeMap::new();
    for (value, clients) in samples.clusters.values().flat_map(Sparse::iter) {
        *values.entry(value).or_default() += u64::from(clients);
    }
    values
}

/// The share of `all` that had recovered, by seconds, at about so many points; those that never did are in the whole and
/// in no share.
#[expect(clippy::cast_precision_loss, reason = "microseconds and clients are below 2^52")]
pub fn shares(values: BTreeMap<u64, u64>, all: u64, points: usize) -> Vec<Option<(f64, f64)>> {
    let (all, each) = (all.max(1) as f64, values.len().div_ceil(points).max(1));
    let (mut back, last) = (0, values.len().saturating_sub(1));
    let mut points = vec![Some((0.0, 0.0))];
    for (number, (value, clients)) in values.into_iter().enumerate() {
        back += clients;
        if number % each == 0 || number == last {
            points.push(Some((value as f64 / 1e6, back as f64 / all)));
        }
    }
    points
}

/// What gates claim of it: that so large a share is back within so many seconds.
fn claims(report: &RunReport, phase: &str) -> Vec<Claim> {
    let objectives =
        report.gates.iter().filter(|gate| gate.judged).flat_map(|gate| &gate.objectives);
    claimed(objectives.map(|one| (&*one.metric, &*one.during, &*one.require)), phase)
}

/// The same of objectives, each as its metric, its phases and what must hold.
pub fn claimed<'a>(
    objectives: impl Iterator<Item = (&'a str, &'a [String], &'a str)>,
    phase: &str,
) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for (metric, during, require) in objectives {
        let is_of_it = during.is_empty() || during.iter().any(|during| during == phase);
        if metric != MetricId::TimeToRecovered.name() || !is_of_it {
            continue;
        }
        let Ok(claim) = grammar::parse(MetricId::TimeToRecovered, require) else {
            continue;
        };
        let share = match claim.estimator {
            Estimator::Percentile(q) => q / 100.0,
            Estimator::Max => 1.0,
            _ => continue,
        };
        if !claims.iter().any(|known| known.name == claim.text) {
            claims.push(Claim { at: (claim.bound / 1e6, share), name: claim.text });
        }
    }
    claims
}

fn of_surfaces(html: &mut Html, report: &RunReport, phase: &Phase, title: &str) {
    let heads = [
        ("Surface", false),
        ("Cut off", true),
        ("Not back in the phase", true),
        ("Half back after", true),
        ("90 %", true),
        ("99 %", true),
        ("The slowest", true),
    ];
    html.tag("details", &[], |html| {
        html.leaf("summary", &[], "As a table");
        table(html, title, &heads, |html| {
            for line in lines(report, &phase.name) {
                let ended = line.ended;
                let none = ended.map(|_| None);
                html.tag("tr", &[], |html| {
                    name(html, line.surface.map_or("all", |surface| surface.name()));
                    figure(html, Some(line.n), &count(line.n));
                    figure(html, Some(line.censored), &count(line.censored));
                    let response = line.response.as_ref();
                    for (value, ended) in [
                        (response.and_then(|it| it.p50), ended.map(|it| it.p50)),
                        (response.and_then(|it| it.p90), ended.map(|it| it.p90)),
                        (response.and_then(|it| it.p99), ended.map(|it| it.p99)),
                        (response.map(|it| it.max), none),
                    ] {
                        figure(html, value, &texts::beyond(value, ended, duration_or_dash));
                    }
                });
            }
        });
    });
}
