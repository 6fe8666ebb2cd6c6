//! Whether the generator is to blame: how late it was, how much it used, and when.

use super::super::units::{count, counted, duration, duration_or_dash};
use super::super::{befell, texts};
use super::axis::Kind;
use super::html::Html;
use super::part;
use super::script::Data;
use super::tables::{figure, name, table};
use super::time_line::{self, ByTime, Series};
use crate::report::{RunReport, Second};

pub fn write(html: &mut Html, report: &RunReport, data: &mut Data) {
    part(html, "generator", |html| {
        html.leaf("p", &[], &format!("{}.", capital(&texts::fitness(&report.generator))));
        html.leaf("p", &[], &format!("{}.", capital(&befell::published(report))));
        for chart in charts(report).iter().filter(|_| !report.series.is_empty()) {
            chart.write(html, report, data);
        }
        figures(html, report);
        stalls(html, report);
        if !report.findings.is_empty() {
            html.leaf("h3", &[], "Findings: what fails nothing, and is worth knowing");
            html.tag("ul", &[], |html| {
                for finding in &report.findings {
                    html.tag("li", &[], |html| {
                        html.leaf("code", &[], &finding.name);
                        html.text(&format!(" ({}): {}", finding.times(), finding.message));
                    });
                }
            });
        }
    });
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}", first.unwrap_or_default(), letters.as_str())
}

fn charts(report: &RunReport) -> Vec<ByTime> {
    let line = |name, value: &dyn Fn(&Second) -> Option<u64>| Series {
        name,
        values: time_line::of(&report.series, value),
    };
    vec![
        ByTime {
            id: "lateness",
            title: "Lateness of the generator's own timers and queues",
            y_title: "largest of the second",
            kind: Kind::Micros,
            log: true,
            series: vec![
                line("timers late by", &|it| some(it.generator.lag_max_us)),
                line("a message waited for its client", &|it| some(it.generator.queue_max_us)),
            ],
        },
        ByTime {
            id: "cores",
            title: "Cores used and waited for",
            y_title: "cores",
            kind: Kind::Cores,
            log: false,
            series: vec![
                line("used by all threads", &|it| {
                    per_second(it.generator.cpu_us, it.generator.wall_us)
                }),
                line("used by the busiest thread", &|it| {
                    per_second(it.generator.hottest_us, it.generator.wall_us)
                }),
                line("waited for by the thread that waited most", &|it| {
                    per_second(it.generator.waited_us, it.generator.wall_us)
                }),
            ],
        },
    ]
}

/// On an axis of powers of ten nothing has no place.
fn some(us: u64) -> Option<u64> {
    (us > 0).then_some(us)
}

/// Microseconds of a core in each second: probes are a second apart, more or less.
fn per_second(used_us: u64, wall_us: u64) -> Option<u64> {
    (wall_us > 0).then(|| used_us.saturating_mul(1_000_000) / wall_us)
}

fn figures(html: &mut Html, report: &RunReport) {
    let it = &report.generator;
    let share = |share: f64| (share.to_string(), format!("{:.1} %", share * 100.0));
    let n = |n: u64| (n.to_string(), count(n));
    let us = |us: u64| (us.to_string(), duration(us));
    let rows = [
        ("Worker threads", n(it.worker_threads.into())),
        ("Cores used, on average", (it.cpu_cores.to_string(), format!("{:.2}", it.cpu_cores))),
        ("Busiest thread in its busiest second", share(it.hottest_thread)),
        ("A thread waited for a core", share(it.waited_for_core)),
        (
            "Timers late at p99",
            (
                it.lag_p99_us.map_or_else(String::new, |us| us.to_string()),
                duration_or_dash(it.lag_p99_us),
            ),
        ),
        ("Timers late at most", us(it.lag_max_us)),
        ("A message waited for its client, at most", us(it.own_queue_max_us)),
        ("Unread in the kernel, at most, bytes", n(it.backlog_peak_bytes)),
        ("Descriptors, at most", n(it.descriptors_peak)),
        ("Descriptors allowed", n(it.descriptors_limit)),
        ("Memory at most, MiB", n(it.memory_peak_mib)),
        ("Publishes planned", n(it.publishes_planned)),
        ("Publishes begun", n(it.publishes_begun)),
        ("Publishes never begun, for too many had no answer", n(it.publishes_withheld)),
        ("Records dropped", n(it.dropped_records)),
        ("Threads lost", n(it.lost_threads.into())),
    ];
    html.tag("details", &[], |html| {
        html.leaf("summary", &[], "All figures of the generator");
        table(html, "The generator", &[("What", false), ("Figure", true)], |html| {
            for (what, (value, shown)) in rows {
                html.tag("tr", &[], |html| {
                    name(html, what);
                    figure(html, Some(value).filter(|value| !value.is_empty()), &shown);
                });
            }
            for (resource, times) in &it.exhausted {
                html.tag("tr", &[], |html| {
                    name(html, &format!("Out of {resource}"));
                    figure(html, Some(times), &counted(*times, "time", "times"));
                });
            }
        });
    });
}

fn stalls(html: &mut Html, report: &RunReport) {
    const SHOWN: usize = 20;
    let stalls = &report.generator.stalls;
    if stalls.is_empty() {
        return;
    }
    let caption = match stalls.len().saturating_sub(SHOWN) {
        0 => "Times in which a thread stood still".to_owned(),
        more => format!("Times in which a thread stood still, and {} more", count(more as u64)),
    };
    table(html, &caption, &[("From", true), ("To", true), ("Thread", true)], |html| {
        for stall in stalls.iter().take(SHOWN) {
            html.tag("tr", &[], |html| {
                figure(html, Some(stall.from), &texts::at(report, stall.from));
                figure(html, Some(stall.to), &texts::at(report, stall.to));
                figure(html, Some(stall.thread), &stall.thread.to_string());
            });
        }
    });
}
