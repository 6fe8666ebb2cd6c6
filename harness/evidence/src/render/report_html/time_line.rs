//! The run by its seconds: what the clients, the target and the publishers did, over phases and faults.

use super::axis::{Axis, Kind, shown};
use super::html::Html;
use super::plot::{Band, COLUMNS, Line, Plot};
use super::script::Data;
use super::tables::{cell, figure, name, table};
use super::thin::{self, Values};
use super::{faults, part};
use crate::judge::{Decision, Verdict};
use crate::render::{befell, reasons};
use crate::report::{Phase, RunReport, Second};

/// The chart of what went wrong.
const TROUBLE: &str = "trouble";

/// Reasons that are named below it; all of them stand in the parts before.
const REASONS_SHOWN: usize = 6;

/// One line over the seconds of a run.
pub struct Series {
    /// Its name.
    pub name: &'static str,
    /// Its values, by second.
    pub values: Values,
}

/// A chart over the seconds of a run.
pub struct ByTime {
    /// Its name in the page.
    pub id: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// What y is.
    pub y_title: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether by powers of ten.
    pub log: bool,
    /// Its lines.
    pub series: Vec<Series>,
}

/// A line that is drawn, with its pen: that of its place among all of its chart.
type Drawn<'a> = (usize, &'a Series);

/// What the charts over the seconds of a run have in common.
pub struct Whole {
    /// Seconds of the run.
    pub seconds: usize,
    /// Its phases and faults.
    pub bands: Vec<Band>,
}

impl Whole {
    fn of(report: &RunReport) -> Self {
        Self { seconds: report.series.len(), bands: bands(report) }
    }
}

/// The values of a figure of each second.
pub fn of(series: &[Second], value: impl Fn(&Second) -> Option<u64>) -> Values {
    series.iter().map(value).collect()
}

pub fn write(html: &mut Html, report: &RunReport, data: &mut Data) {
    part(html, "time-line", |html| {
        if report.series.is_empty() {
            return html.leaf(
                "p",
                &[],
                "The run's seconds are not recorded in what this page was made of.",
            );
        }
        html.leaf(
            "p",
            &[("class", "note")],
            "A second's figures stand at its end. Shaded by turns: phases. Broken upright lines and shaded stretches: disturbances that were made on purpose, \
             numbered as under Faults. Where several seconds fall on one column the smallest and the largest of them are \
             drawn.",
        );
        for chart in charts(&report.series, !mints_are_unknown(report)) {
            chart.write(html, report, data);
            if chart.id == "connects" && mints_are_unknown(report) {
                html.leaf("p", &[("class", "note")], "Mints by second are not recorded.");
            }
        }
    });
}

/// Whether tokens were asked for, and nobody counted them by second: a run of an earlier version.
fn mints_are_unknown(report: &RunReport) -> bool {
    let asked = report.requests.iter().filter(|line| line.request == "mint");
    asked.map(|line| line.count).sum::<u64>() > 0
        && report.series.iter().all(|second| second.counts.mints == 0)
}

/// The charts of some seconds.
pub fn charts(series: &[Second], with_mints: bool) -> Vec<ByTime> {
    let line =
        |name, value: &dyn Fn(&Second) -> Option<u64>| Series { name, values: of(series, value) };
    let mut connects = vec![line("connects", &|it| Some(it.counts.connects))];
    if with_mints {
        connects.push(line("mints", &|it| Some(it.counts.mints)));
    }
    vec![
        ByTime {
            id: "clients",
            title: "Clients connected",
            y_title: "clients",
            kind: Kind::Count,
            log: false,
            series: vec![line("connected at the end of the second", &|it| Some(it.open))],
        },
        ByTime {
            id: "connects",
            title: "Connects and mints per second",
            y_title: "per second",
            kind: Kind::Count,
            log: false,
            series: connects,
        },
        ByTime {
            id: "deliveries",
            title: "Updates delivered per second",
            y_title: "updates per second",
            kind: Kind::Count,
            log: false,
            series: vec![line("updates delivered", &|it| Some(it.counts.deliveries))],
        },
        ByTime {
            id: TROUBLE,
            title: "Errors, violations and sockets ended unplanned, per second",
            y_title: "per second",
            kind: Kind::Count,
            log: false,
            series: vec![
                line("errors", &|it| Some(it.counts.errors)),
                // Violations have the colour of what failed, which is the second.
                line("violations", &|it| Some(it.violations)),
                line("sockets ended unplanned", &|it| Some(it.unplanned_ends)),
            ],
        },
        ByTime {
            id: "delivery",
            title: "Delivery latency by second of publish",
            y_title: "from the intended publish",
            kind: Kind::Micros,
            log: true,
            series: vec![
                line("p50", &|it| it.delivery_p50_us),
                line("p90", &|it| it.delivery_p90_us),
                line("p99", &|it| it.delivery_p99_us),
                line("p99.9", &|it| it.delivery_p99_9_us),
                line("largest", &|it| it.delivery_max_us),
            ],
        },
    ]
}

/// What went wrong that lines of a few kinds do not tell, or all of them at 0 would deny: what befell the run, and for
/// what it is no GO.
fn all_the_same(report: &RunReport) -> Vec<String> {
    let befell = befell::lines(report);
    let mut said = Vec::new();
    if !befell.is_empty() {
        said.push(format!("What befell the run, in all: {}.", befell.join("; ")));
    }
    if report.decision == Decision::Go {
        return said;
    }
    let decides = |verdict| match report.decision {
        Decision::NoGo => verdict == Some(Verdict::Fail),
        _ => verdict != Some(Verdict::Warn),
    };
    let broken = reasons::broken(report).into_iter().map(|(rule, _)| rule);
    let broken = broken.filter(|rule| {
        reasons::verdict(report, *rule).is_some_and(|verdict| decides(Some(verdict)))
    });
    let broken = broken.map(|rule| format!("violations of {rule}"));
    let others = reasons::all(report).into_iter().filter(|it| decides(it.verdict));
    let others = others.flat_map(|it| if it.of.is_empty() { vec![it.why] } else { it.of });
    let others = others.filter(|it| !it.contains("(advisory)"));
    let mut why: Vec<_> = broken.chain(others).collect();
    let more = why.len().saturating_sub(REASONS_SHOWN);
    why.truncate(REASONS_SHOWN);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let why = if why.is_empty() { "what stands at the head".to_owned() } else { why.join("; ") };
    said.push(format!("The run is a {} by: {why}{more}.", report.decision));
    said
}

#[expect(clippy::cast_precision_loss, reason = "seconds and figures of a run are below 2^52")]
fn points(values: &Values, step: usize) -> Vec<Option<(f64, f64)>> {
    let drawn = thin::extremes(values, step).into_iter();
    drawn.map(|point| point.map(|(second, value)| (thin::place(second), value as f64))).collect()
}

impl ByTime {
    /// The chart, with what there is to read in it as a table.
    pub fn write(&self, html: &mut Html, report: &RunReport, data: &mut Data) {
        // A percentile that has too few samples everywhere is no line, and what never was is said.
        let some = self.series.iter().enumerate();
        let some = some.filter(|(_, it)| it.values.iter().any(Option::is_some));
        let never = |(_, it): &Drawn<'_>| it.values.iter().flatten().all(|value| *value == 0);
        let (none, series): (Vec<Drawn<'_>>, Vec<Drawn<'_>>) = some.partition(never);
        let highest = |it: &Series| highest(&it.values, 0..it.values.len());
        let most = series.iter().filter_map(|(_, it)| highest(it)).map(|(_, most)| most).max();
        html.tag("figure", &[("id", self.id)], |html| {
            html.tag("figcaption", &[], |html| html.leaf("h3", &[], self.title));
            match most {
                None if none.is_empty() => html.leaf("p", &[], "No second of the run has one."),
                None => {}
                Some(most) => {
                    let plot = self.plot(&Whole::of(report), &series, most);
                    plot.write(html);
                    let values: Vec<_> = series.iter().map(|(_, it)| &it.values).collect();
                    data.by_second(&plot, &values);
                    self.by_phase(html, report, &series);
                }
            }
            if !none.is_empty() {
                let names: Vec<_> = none.iter().map(|(_, it)| it.name).collect();
                html.leaf(
                    "p",
                    &[],
                    &format!("0 in every second of the run: {}.", names.join(", ")),
                );
            }
            if self.id == TROUBLE {
                all_the_same(report).iter().for_each(|said| html.leaf("p", &[], said));
            }
        });
    }

    /// The chart of a run that goes on, with every line that it may come to have.
    pub fn so_far(&self, whole: &Whole) -> Plot {
        let all: Vec<_> = self.series.iter().enumerate().collect();
        let most = self.series.iter().flat_map(|it| it.values.iter().flatten()).max();
        self.plot(whole, &all, most.copied().unwrap_or(1))
    }

    #[expect(clippy::cast_precision_loss, reason = "seconds and figures of a run are below 2^52")]
    fn plot(&self, whole: &Whole, series: &[Drawn<'_>], most: u64) -> Plot {
        let seconds = whole.seconds;
        let x = Axis::linear(Kind::Seconds, seconds as f64, 10);
        let least = series.iter().flat_map(|(_, it)| it.values.iter().flatten()).min();
        let y = match self.log {
            true => Axis::log(self.kind, least.copied().unwrap_or(1) as f64, most as f64),
            false => Axis::linear(self.kind, most as f64, 4),
        };
        let step = thin::step(seconds, COLUMNS);
        let line = |(pen, it): &Drawn<'_>| Line {
            name: it.name.to_owned(),
            pen: *pen,
            thin: false,
            points: points(&it.values, step),
        };
        let told = series.iter().filter_map(|(_, it)| {
            let (at, most) = highest(&it.values, 0..it.values.len())?;
            let most = shown(self.kind, most as f64);
            Some(format!("{}: at most {most}, in the second to {} s", it.name, thin::place(at)))
        });
        Plot {
            id: format!("chart-{}", self.id),
            title: self.title.to_owned(),
            about: format!("{}.", told.collect::<Vec<_>>().join("; ")),
            height: 150.0,
            x_title: format!("time of the run, {}", x.moments_are()),
            x,
            y_title: self.y_title.to_owned(),
            y,
            steps: false,
            lines: series.iter().map(line).collect(),
            bands: whole.bands.clone(),
            claims: Vec::new(),
        }
    }

    fn by_phase(&self, html: &mut Html, report: &RunReport, series: &[Drawn<'_>]) {
        let caption = format!("{}, by phase", self.title);
        html.tag("details", &[], |html| {
            html.leaf("summary", &[], "As a table");
            let heads = [
                ("Phase", false),
                ("Line", false),
                ("Lowest", true),
                ("Highest", true),
                ("Highest in the second to", true),
            ];
            table(html, &caption, &heads, |html| {
                for phase in &report.phases {
                    for (_, it) in series {
                        self.row(html, phase, it);
                    }
                }
            });
        });
    }

    #[expect(clippy::cast_precision_loss, reason = "figures of a run are below 2^52")]
    fn row(&self, html: &mut Html, phase: &Phase, series: &Series) {
        let len = series.values.len();
        let second = |us: u64| usize::try_from(us.div_ceil(1_000_000)).unwrap_or(len).min(len);
        let within = second(phase.start_us)..second(phase.end_us);
        let lowest = series.values[within.clone()].iter().flatten().min();
        let (Some(least), Some((at, most))) = (lowest, highest(&series.values, within)) else {
            return;
        };
        html.tag("tr", &[], |html| {
            name(html, &phase.name);
            cell(html, series.name);
            figure(html, Some(least), &shown(self.kind, *least as f64));
            figure(html, Some(most), &shown(self.kind, most as f64));
            figure(html, Some(thin::place(at)), &format!("{} s", thin::place(at)));
        });
    }
}

/// The largest value of some seconds, with the first second that has it.
fn highest(values: &Values, within: std::ops::Range<usize>) -> Option<(usize, u64)> {
    let start = within.start;
    let some = values[within].iter().enumerate().filter_map(|(at, it)| Some((start + at, (*it)?)));
    some.max_by_key(|(at, value)| (*value, std::cmp::Reverse(*at)))
}

/// Phases and faults, in seconds of the run.
#[expect(clippy::cast_precision_loss, reason = "microseconds of a run are below 2^52")]
fn bands(report: &RunReport) -> Vec<Band> {
    let s = |us: u64| us as f64 / 1e6;
    let phases = report.phases.iter().map(|phase| Band {
        from: s(phase.start_us),
        to: s(phase.end_us),
        name: phase.name.clone(),
        fault: false,
    });
    let there = report.faults.iter().filter(|fault| fault.applied && !fault.was_not_switched_on());
    let faults = there.map(|fault| Band {
        from: s(fault.at_us),
        to: s(faults::end(report, fault)),
        name: format!("#{} {}", fault.id, fault.kind),
        fault: true,
    });
    phases.chain(faults).collect()
}
