//! How those who were cut off come back, and latencies, of a run that goes on: the charts of `report.html`, with fewer
//! points, for they come with every frame.

use khala_plan::metric::MetricId;
use khala_plan::surface::Surface;
use serde::Serialize;
use serde_json::Value;

use super::html::Html;
use super::latency::{self, Points};
use super::plot::{Claim, Line, Plot};
use super::recovery;
use super::script::Data;
use super::so_far::Gate;
use crate::standing::Coarse;

/// Points of a curve of those who come back, and of latencies to a power of ten of what is beyond a quantile.
const POINTS: usize = 100;
const QUANTILES: u32 = 10;
/// Samples that must be beyond a quantile, as in a report.
const BEYOND_MIN: f64 = 10.0;

/// Those of a surface who were cut off in a phase.
#[derive(Clone, Debug)]
pub struct Returning {
    /// Index of the phase.
    pub phase: usize,
    /// Its name.
    pub name: String,
    /// The surface.
    pub surface: Surface,
    /// How many are to be cut off in it by plan.
    pub planned: u64,
    /// How long those took that are back.
    pub back: Coarse,
}

/// A latency of a surface, over all measured phases.
#[derive(Clone, Debug)]
pub struct Latency {
    /// The surface.
    pub surface: Surface,
    /// The metric.
    pub metric: MetricId,
    /// From the intended start.
    pub response: Coarse,
    /// From the actual one.
    pub service: Coarse,
}

/// The charts that are none over the run's seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Curves {
    /// What the part on recovery holds. It is the same until there is something new in it.
    pub recovery: String,
    /// What the part on latency holds.
    pub latency: String,
    /// The data of their charts, in the shape of a report's.
    pub charts: Value,
}

/// The charts of what there is so far.
#[must_use]
pub fn curves(returning: &[Returning], latencies: &[Latency], gates: &[Gate]) -> Curves {
    let mut data = Data::so_far("", &[]);
    let recovery = recovery(returning, gates, &mut data);
    let latency = latency(latencies, &mut data);
    Curves { recovery, latency, charts: data.into_charts() }
}

fn recovery(returning: &[Returning], gates: &[Gate], data: &mut Data) -> String {
    let mut html = Html::default();
    let some: Vec<_> = returning.iter().filter(|it| !it.back.is_empty()).collect();
    let mut phases: Vec<_> = some.iter().map(|it| (it.phase, &it.name)).collect();
    phases.dedup();
    for (phase, name) in phases.into_iter().take(recovery::PHASES_MAX) {
        let lines = some.iter().filter(|it| it.phase == phase).enumerate();
        let lines = lines.map(|(pen, it)| Line {
            name: it.surface.name().to_owned(),
            pen,
            thin: false,
            // Those who are still away are in the whole.
            points: recovery::shares(
                it.back.values().collect(),
                it.planned.max(it.back.len()),
                POINTS,
            ),
        });
        let title = format!("Recovered after the cut in {name}");
        let id = format!("recovery-{phase}");
        if let Some(plot) =
            recovery::drawn(&id, &title, String::new(), lines.collect(), claims(gates, name))
        {
            figure(
                &mut html,
                &id,
                &plot,
                "The share of those who are to be cut off by plan.",
                data,
            );
        }
    }
    html.into_text()
}

fn claims(gates: &[Gate], phase: &str) -> Vec<Claim> {
    let claims = gates.iter().flat_map(|gate| &gate.claims);
    recovery::claimed(claims.map(|it| (&*it.metric, &*it.during, &*it.require)), phase)
}

fn latency(latencies: &[Latency], data: &mut Data) -> String {
    let mut html = Html::default();
    let mut surfaces: Vec<_> = latencies.iter().map(|it| it.surface).collect();
    surfaces.dedup();
    for surface in surfaces {
        let of_it = latencies.iter().filter(|it| it.surface == surface);
        let lines = of_it.flat_map(|it| {
            let service = (!it.service.is_empty()).then(|| curve(&it.service));
            latency::of_metric(it.metric, curve(&it.response), service)
        });
        let id = format!("latency-{}", surface.name());
        let title = format!("Latencies of {}", surface.name());
        let plot = latency::plot(&id, &title, String::new(), lines.collect());
        figure(&mut html, &id, &plot, latency::ABOUT, data);
    }
    html.into_text()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn curve(sample: &Coarse) -> Points {
    let beyond = |quantile: f64| sample.len() as f64 * (1.0 - quantile) + 1e-9;
    latency::by_quantiles(QUANTILES, |quantile| {
        let is_told = quantile <= 0.5 || beyond(quantile) >= BEYOND_MIN;
        sample.percentile(quantile * 100.0).filter(|_| is_told)
    })
}

fn figure(html: &mut Html, id: &str, plot: &Plot, about: &str, data: &mut Data) {
    html.tag("figure", &[("id", id)], |html| {
        html.tag("figcaption", &[], |html| {
            html.leaf("h3", &[], &plot.title);
            html.leaf("p", &[("class", "note")], about);
        });
        plot.empty(html);
    });
    data.curves(plot);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::Sparse;

    fn coarse(values: &[u64]) -> Coarse {
        let mut cluster = Sparse::default();
        values.iter().for_each(|&value| cluster.add(value));
        Coarse::of(&cluster)
    }

    #[test]
    fn who_is_still_away_is_in_the_whole_of_which_a_share_is_back() {
        let back = coarse(&[1_000_000, 2_000_000]);
        let returning = Returning {
            phase: 1,
            name: "storm".to_owned(),
            surface: Surface::Ios,
            planned: 4,
            back,
        };
        let curves = curves(&[returning], &[], &[]);
        let chart = &curves.charts["chart-recovery-1"];
        let shares = chart["lines"][0]["y"].as_array().expect("a line");
        let last = shares.last().and_then(Value::as_f64);
        assert_eq!((chart["unit"].as_str(), last), (Some("share"), Some(0.5)), "{chart}");
        assert!(curves.recovery.contains("data-chart=\"chart-recovery-1\""), "{}", curves.recovery);
    }

    #[test]
    fn what_comes_with_a_frame_is_bounded_however_much_was_measured() {
        let all: Vec<u64> = (1..200_000).collect();
        let latency = |surface, metric| Latency {
            surface,
            metric,
            response: coarse(&all),
            service: coarse(&all),
        };
        let latencies: Vec<_> = [Surface::WebShell, Surface::Desktop, Surface::Ios]
            .into_iter()
            .flat_map(|surface| latency::METRICS.map(|metric| latency(surface, metric)))
            .collect();
        let returning: Vec<_> = (0..20)
            .map(|phase| Returning {
                phase,
                name: format!("storm {phase}"),
                surface: Surface::Ios,
                planned: 200_000,
                back: coarse(&all),
            })
            .collect();
        let curves = curves(&returning, &latencies, &[]);
        let charts = curves.charts.as_object().expect("charts");
        assert_eq!(charts.len(), recovery::PHASES_MAX + 3);
        let bytes = curves.charts.to_string().len() + curves.recovery.len() + curves.latency.len();
        assert!(bytes < 128 << 10, "{bytes}");
        // The same names, so that nothing on the page is made again.
        let more = super::curves(&returning[1..], &latencies, &[]);
        assert_eq!(more.latency, curves.latency);
    }
}
