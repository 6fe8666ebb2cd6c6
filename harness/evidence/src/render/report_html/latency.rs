//! Latencies by surface on HDR's percentile axis: from the intended start, which gates judge, and beside it from the
//! actual one.

use khala_plan::metric::MetricId;
use khala_plan::surface::Surface;

use super::super::units::{count, duration, duration_or_dash};
use super::axis::{Axis, Kind, percent};
use super::html::Html;
use super::part;
use super::plot::{Line, Plot};
use super::script::Data;
use super::tables::{cell, figure, name, table};
use crate::hist::Hist;
use crate::report::RunReport;

/// The metrics that are drawn, in the order of their pens.
pub const METRICS: [MetricId; 5] = [
    MetricId::Delivery,
    MetricId::TimeToRecovered,
    MetricId::ReplayBootstrap,
    MetricId::Connect,
    MetricId::TokenMint,
];
/// Points to a power of ten of what is beyond a quantile.
const POINTS: u32 = 25;

/// What is drawn.
pub const ABOUT: &str = "Over all measured phases. Thick: from the intended start (corrected). Thin: from the actual start \
                         (uncorrected). A line ends where fewer than 10 samples are beyond it.";

/// The samples of a metric of a surface, over all measured phases.
struct Sample {
    metric: MetricId,
    response: Hist,
    service: Hist,
}

pub fn write(html: &mut Html, report: &RunReport, data: &mut Data) {
    part(html, "latency", |html| {
        let surfaces = report.fleet.clients.iter().filter(|(_, clients)| **clients > 0);
        let mut drawn = 0;
        for (surface, clients) in surfaces {
            let samples = samples(report, *surface);
            if !samples.is_empty() {
                of_surface(html, *surface, *clients, &samples, data);
                drawn += 1;
            }
        }
        if drawn == 0 {
            html.leaf("p", &[], "No latency was measured, or its samples are not recorded in what this page was made of.");
        }
    });
}

fn samples(report: &RunReport, surface: Surface) -> Vec<Sample> {
    let measured = |phase: &str| report.phases.iter().any(|it| it.name == phase && it.measure);
    let mut samples = Vec::new();
    for metric in METRICS {
        let lines = report.sampled().filter(|(line, _)| {
            line.metric == metric && line.surface == Some(surface) && measured(&line.phase)
        });
        let mut sample = Sample { metric, response: Hist::default(), service: Hist::default() };
        for (_, of_phase) in lines {
            sample.response.merge(&of_phase.response);
            sample.service.merge(&of_phase.service);
        }
        if !sample.response.is_empty() {
            samples.push(sample);
        }
    }
    samples
}

fn of_surface(
    html: &mut Html,
    surface: Surface,
    clients: u64,
    samples: &[Sample],
    data: &mut Data,
) {
    let id = format!("latency-{}", surface.name());
    let title = format!("Latencies of {}, {} clients", surface.name(), count(clients));
    html.tag("figure", &[("id", &id)], |html| {
        html.tag("figcaption", &[], |html| {
            html.leaf("h3", &[], &title);
            html.leaf("p", &[("class", "note")], ABOUT);
        });
        let plot = plot(&id, &title, told(samples), lines(samples));
        plot.write(html);
        data.curves(&plot);
        of_samples(html, samples, &title);
    });
}

fn lines(samples: &[Sample]) -> Vec<Line> {
    let curves = samples.iter().flat_map(|sample| {
        let service = (!sample.service.is_empty()).then(|| curve(&sample.service));
        of_metric(sample.metric, curve(&sample.response), service)
    });
    curves.collect()
}

/// The lines of a metric: corrected, and beside it uncorrected.
pub fn of_metric(metric: MetricId, response: Points, service: Option<Points>) -> Vec<Line> {
    let pen = METRICS.iter().position(|it| *it == metric).unwrap_or(0);
    let name = metric.name();
    let thick = Line { name: name.to_owned(), pen, thin: false, points: response };
    let thin = |points| Line { name: format!("{name}, uncorrected"), pen, thin: true, points };
    std::iter::once(thick).chain(service.map(thin)).collect()
}

fn told(samples: &[Sample]) -> String {
    let told = samples.iter().map(|sample| {
        let p99 = duration_or_dash(sample.response.percentile(99.0));
        format!(
            "{}: 99 % within {p99}, all within {}",
            sample.metric.name(),
            duration(sample.response.max())
        )
    });
    format!("{}.", told.collect::<Vec<_>>().join("; "))
}

/// Latencies on HDR's percentile axis.
pub fn plot(id: &str, title: &str, about: String, lines: Vec<Line>) -> Plot {
    let all = || lines.iter().flat_map(|line| line.points.iter().flatten());
    let (least, most) = (
        all().map(|(_, y)| *y).fold(f64::MAX, f64::min),
        all().map(|(_, y)| *y).fold(1.0, f64::max),
    );
    let furthest = all().map(|(x, _)| *x).fold(0.0, f64::max);
    Plot {
        id: format!("chart-{id}"),
        title: title.to_owned(),
        about,
        height: 240.0,
        x_title: "percentile".to_owned(),
        x: Axis::quantiles(furthest),
        y_title: "latency".to_owned(),
        y: Axis::log(Kind::Micros, least.min(most), most),
        steps: false,
        lines,
        bands: Vec::new(),
        claims: Vec::new(),
    }
}

/// Points of a line.
pub type Points = Vec<Option<(f64, f64)>>;

fn curve(hist: &Hist) -> Points {
    by_quantiles(POINTS, |quantile| match quantile {
        low if low <= 0.5 => Some(hist.inner().value_at_quantile(low)),
        high => hist.percentile(high * 100.0),
    })
}

/// Values by their quantiles, so many to a power of ten of what is beyond them, as far as there are any.
#[expect(clippy::cast_precision_loss, reason = "microseconds are below 2^52")]
pub fn by_quantiles(points: u32, value: impl Fn(f64) -> Option<u64>) -> Points {
    let nth = |n: u32| 1.0 - 10_f64.powf(-f64::from(n) / f64::from(points));
    let values = (0..=6 * points).map(nth).map_while(|quantile| Some((quantile, value(quantile)?)));
    let rounded = |quantile: f64| (quantile * 1e7).round() / 1e7;
    values.map(|(quantile, value)| Some((rounded(quantile), value as f64))).collect()
}

fn of_samples(html: &mut Html, samples: &[Sample], title: &str) {
    const SHOWN: [f64; 4] = [50.0, 90.0, 99.0, 99.9];
    let heads = [
        ("Metric", false),
        ("From", false),
        ("n", true),
        ("50 %", true),
        ("90 %", true),
        ("99 %", true),
        ("99.9 %", true),
        ("Largest", true),
    ];
    html.tag("details", &[], |html| {
        html.leaf("summary", &[], "As a table");
        table(html, title, &heads, |html| {
            for sample in samples {
                for (from, hist) in
                    [("intended start", &sample.response), ("actual start", &sample.service)]
                {
                    html.tag("tr", &[], |html| {
                        name(html, sample.metric.name());
                        cell(html, from);
                        figure(html, Some(hist.len()), &count(hist.len()));
                        for q in SHOWN {
                            let value = if q == 50.0 { hist.median() } else { hist.percentile(q) };
                            figure(html, value, &duration_or_dash(value));
                        }
                        figure(html, Some(hist.max()), &duration(hist.max()));
                    });
                }
            }
        });
        html.leaf(
            "p",
            &[("class", "note")],
            &format!(
                "The chart's axis is HDR's: {} and {} are as far apart as {} and {}.",
                percent(0.9),
                percent(0.99),
                percent(0.99),
                percent(0.999)
            ),
        );
    });
}
