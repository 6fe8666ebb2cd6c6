//! Every figure by metric, phase and surface, and every request by kind and status.

use super::super::texts;
use super::super::units::{count, duration_or_dash, moment};
use super::html::Html;
use super::part;
use super::tables::{Head, cell, figure, name, table};
use crate::report::{MetricLine, RequestLine, RunReport};

const HEADS: [Head; 12] = [
    ("Metric", false),
    ("Phase", false),
    ("Surface", false),
    ("n", true),
    ("Never", true),
    ("p50", true),
    ("p90", true),
    ("p99", true),
    ("p99.9", true),
    ("Largest", true),
    ("Uncorrected p99", true),
    ("Own queue", true),
];

pub fn write(html: &mut Html, report: &RunReport) {
    part(html, "figures", |html| {
        html.leaf(
            "p",
            &[("class", "note")],
            "From the intended start, which gates judge; uncorrected: from the actual one. A percentile with fewer than 10 \
             samples beyond it is not printed. Never: what had not ended by the end of the phase; a figure among these is at \
             least what is printed. Own queue: how much of the figures may be the harness's own, where that is above 1 ms or \
             1 % of the p99.",
        );
        table(html, "Figures by metric, phase and surface", &HEADS, |html| {
            for line in report.metrics.iter().filter(|line| line.response.is_some()) {
                of_sample(html, line);
            }
        });
        counts(html, report);
        requests(html, report);
    });
}

fn of_sample(html: &mut Html, line: &MetricLine) {
    let (Some(response), Some(service)) = (line.response, line.service) else { return };
    let ended = line.ended;
    let none = ended.map(|_| None);
    let shown = |value: Option<u64>| match line.unit.as_str() {
        "us" => duration_or_dash(value),
        _ => value.map_or_else(|| "–".to_owned(), count),
    };
    html.tag("tr", &[], |html| {
        name(html, line.metric.name());
        cell(html, &line.phase);
        cell(html, line.surface.map_or("", |surface| surface.name()));
        figure(html, Some(line.n), &count(line.n));
        figure(html, Some(line.censored), &count(line.censored));
        for (value, ended) in [
            (response.p50, ended.map(|it| it.p50)),
            (response.p90, ended.map(|it| it.p90)),
            (response.p99, ended.map(|it| it.p99)),
            (response.p99_9, none),
            (Some(response.max), none),
            (service.p99, ended.filter(|it| it.p99.is_none()).and(none)),
        ] {
            figure(html, value, &texts::beyond(value, ended, shown));
        }
        let queue = line.telling_own_queue_us();
        figure(html, queue, &queue.map_or_else(String::new, |us| duration_or_dash(Some(us))));
    });
}

fn counts(html: &mut Html, report: &RunReport) {
    let heads = [
        ("Metric", false),
        ("Phase", false),
        ("Surface", false),
        ("Occurrences", true),
        ("Of", true),
    ];
    let lines = || report.metrics.iter().filter_map(|line| Some((line, line.hits?)));
    if lines().next().is_none() {
        return;
    }
    html.tag("details", &[], |html| {
        html.leaf("summary", &[], "Counts and proportions");
        table(html, "Counts by metric, phase and surface", &heads, |html| {
            for (line, hits) in lines() {
                html.tag("tr", &[], |html| {
                    name(html, line.metric.name());
                    cell(html, &line.phase);
                    cell(html, line.surface.map_or("", |surface| surface.name()));
                    figure(html, Some(hits), &count(hits));
                    figure(html, Some(line.n), &count(line.n));
                });
            }
        });
    });
}

fn requests(html: &mut Html, report: &RunReport) {
    let heads = [
        ("Request", false),
        ("Status", false),
        ("Count", true),
        ("Got what it asked for", true),
        ("Failed by plan", true),
        ("First", false),
        ("Retry-After", false),
        ("It said", false),
    ];
    if report.requests.is_empty() {
        return;
    }
    html.tag("details", &[], |html| {
        html.leaf("summary", &[], "Requests by kind and status");
        table(html, "Requests by kind and status", &heads, |html| {
            for line in &report.requests {
                request(html, line);
            }
        });
    });
}

fn request(html: &mut Html, line: &RequestLine) {
    html.tag("tr", &[], |html| {
        name(html, &line.request);
        cell(html, &line.status);
        for n in [line.count, line.ok, line.planned] {
            figure(html, Some(n), &count(n));
        }
        cell(html, &format!("{} in {}", moment(line.first_at_us), line.first_phase));
        cell(html, line.retry_after.as_deref().unwrap_or_default());
        cell(html, line.example.as_deref().unwrap_or_default());
    });
}
