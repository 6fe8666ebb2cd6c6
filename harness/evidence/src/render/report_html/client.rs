//! What one client got until a rule was broken for it: its time line as a picture, and its frames with what was decoded
//! of them.

use super::super::story::{self, Lines};
use super::super::units::utc;
use super::axis::{Axis, Kind};
use super::html::{Attrs, Html};
use super::tables::{cell, name, table};
use crate::oracle::Violation;
use crate::record::Micros;
use crate::report::RunReport;
use crate::shard::flight::Flight;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 120.0;
const RIGHT: f64 = 20.0;
/// Height of a lane.
const LANE: f64 = 26.0;
const LANES: [&str; 4] = ["what befell it", "sent", "received", "updates"];

pub fn write(html: &mut Html, report: &RunReport, client: u32, violation: &Violation) {
    let Some(story) = report.stories.of(client) else { return };
    html.tag("details", &[("class", "client")], |html| {
        let summary = format!("What client {client} got until then: its time line and its frames");
        html.leaf("summary", &[], &summary);
        picture(html, client, &story.flight, violation);
        let Lines { happenings, frames } = story::lines(&story.flight);
        let forgotten = story.flight.forgotten;
        of_lines(
            html,
            report,
            &format!("What last befell client {client}"),
            happenings,
            forgotten.happenings,
        );
        let caption = format!(
            "The last frames of client {client}, with the updates in them: → sent, ← received"
        );
        let frames = frames.into_iter().map(|(at, line)| (at, arrows(&line))).collect();
        of_lines(html, report, &caption, frames, forgotten.frames);
    });
}

fn arrows(line: &str) -> String {
    match (line.strip_prefix("->"), line.strip_prefix("<-")) {
        (Some(rest), _) => format!("→ {}", rest.trim_start()),
        (_, Some(rest)) => format!("← {}", rest.trim_start()),
        _ => line.trim_start().to_owned(),
    }
}

fn of_lines(
    html: &mut Html,
    report: &RunReport,
    caption: &str,
    lines: Vec<(Micros, String)>,
    before: u64,
) {
    if lines.is_empty() {
        return;
    }
    let caption = match before {
        0 => caption.to_owned(),
        some => format!("{caption} ({some} before these left out)"),
    };
    let heads = [("Time, s", false), ("UTC", false), ("What", false)];
    table(html, &caption, &heads, |html| {
        for (at, line) in lines {
            html.tag("tr", &[], |html| {
                name(html, &format!("{:.3}", seconds(at)));
                cell(html, &utc(&report.started_at, at).unwrap_or_default());
                html.tag("td", &[("class", "frame")], |html| html.leaf("code", &[], &line));
            });
        }
    });
}

fn seconds(at: Micros) -> f64 {
    std::time::Duration::from_micros(at).as_secs_f64()
}

/// The moments of each lane.
fn moments(flight: &Flight) -> [Vec<Micros>; 4] {
    let frames = |sent| flight.frames.iter().filter(move |it| it.sent == sent).map(|it| it.at_us);
    let happenings = story::lines(flight).happenings.into_iter().map(|(at, _)| at);
    [
        happenings.collect(),
        frames(true).collect(),
        frames(false).collect(),
        flight.updates.iter().map(|it| it.at_us).collect(),
    ]
}

fn picture(html: &mut Html, client: u32, flight: &Flight, violation: &Violation) {
    let lanes = moments(flight);
    let all = || lanes.iter().flatten().copied().chain([violation.at_us]);
    let (Some(from), Some(to)) = (all().min(), all().max()) else { return };
    let whole = seconds(to.saturating_sub(from)).max(0.001);
    let axis = Axis::linear(Kind::Seconds, whole * 1.04, 8);
    let x_at = |at: Micros| {
        let since = seconds(at.saturating_sub(from));
        format!("{:.1}", LEFT + axis.place(since) * (WIDTH - LEFT - RIGHT))
    };
    #[expect(clippy::cast_precision_loss, reason = "a handful of lanes")]
    let lane_at = |lane: usize| 8.0 + LANE * (lane as f64 + 0.5);
    let foot = lane_at(LANES.len() - 1) + LANE * 0.5;
    let height = format!("{:.0}", foot + 40.0);
    let view = format!("0 0 960 {height}");
    let label = format!(
        "Time line of client {client} until {} was broken at {:.3} s",
        violation.rule,
        seconds(violation.at_us)
    );
    let attrs: Attrs<'_> = &[
        ("width", "960"),
        ("height", &height),
        ("viewBox", &view),
        ("role", "img"),
        ("aria-label", &label),
        ("font-family", "system-ui, sans-serif"),
        ("font-size", "13"),
        ("fill", "currentColor"),
    ];
    let holder = [("class", "plot"), ("tabindex", "0"), ("role", "group"), ("aria-label", &*label)];
    html.tag("div", &holder, |html| {
        html.tag("svg", attrs, |html| {
            for (number, (name, moments)) in LANES.iter().zip(&lanes).enumerate() {
                let y = lane_at(number);
                lane(html, name, y);
                for at in moments {
                    mark(html, number, &x_at(*at), y);
                }
            }
            broken_at(html, violation, &x_at(violation.at_us), foot);
            for tick in &axis.ticks {
                let x = format!("{:.1}", LEFT + axis.place(*tick) * (WIDTH - LEFT - RIGHT));
                let at = seconds(from) + tick;
                html.leaf(
                    "text",
                    &[
                        ("x", &x),
                        ("y", &format!("{:.1}", foot + 15.0)),
                        ("text-anchor", "middle"),
                        ("fill-opacity", "0.8"),
                    ],
                    &format!("{at:.2}"),
                );
            }
        })
    });
}

/// A lane with its name.
fn lane(html: &mut Html, name: &str, y: f64) {
    let (middle, text) = (format!("{y:.1}"), format!("{:.1}", y + 4.5));
    html.leaf("text", &[("x", "110"), ("y", &text), ("text-anchor", "end")], name);
    html.void(
        "line",
        &[
            ("x1", "120"),
            ("x2", "940"),
            ("y1", &middle),
            ("y2", &middle),
            ("stroke", "currentColor"),
            ("stroke-opacity", "0.2"),
        ],
    );
}

/// The moment in which the rule was broken.
fn broken_at(html: &mut Html, violation: &Violation, x: &str, foot: f64) {
    html.void(
        "line",
        &[
            ("class", "fault-line"),
            ("x1", x),
            ("x2", x),
            ("y1", "4"),
            ("y2", &format!("{foot:.1}")),
            ("stroke", "#D55E00"),
            ("stroke-width", "2"),
        ],
    );
    let text = format!("{:.1}", foot + 32.0);
    let is_left = x.parse().is_ok_and(|x: f64| x < WIDTH / 3.0);
    let anchor = if is_left { "start" } else { "end" };
    html.leaf(
        "text",
        &[("x", x), ("y", &text), ("text-anchor", anchor), ("font-weight", "bold")],
        &format!("✗ {} at {:.3} s", violation.rule, seconds(violation.at_us)),
    );
}

/// What happened at a moment: a sign of its own in each lane.
fn mark(html: &mut Html, lane: usize, x: &str, y: f64) {
    let at = |offset: f64| format!("{:.1}", y + offset);
    match lane {
        0 => html.void(
            "circle",
            &[
                ("cx", x),
                ("cy", &at(0.0)),
                ("r", "4"),
                ("fill", "none"),
                ("stroke", "currentColor"),
                ("stroke-width", "1.5"),
            ],
        ),
        1 => html.void(
            "line",
            &[
                ("class", "c0"),
                ("x1", x),
                ("x2", x),
                ("y1", &at(0.0)),
                ("y2", &at(-9.0)),
                ("stroke", "#0072B2"),
                ("stroke-width", "2.5"),
            ],
        ),
        2 => html.void(
            "line",
            &[
                ("class", "c2"),
                ("x1", x),
                ("x2", x),
                ("y1", &at(0.0)),
                ("y2", &at(9.0)),
                ("stroke", "#009E73"),
                ("stroke-width", "2.5"),
            ],
        ),
        _ => html.void("circle", &[("cx", x), ("cy", &at(0.0)), ("r", "3.5")]),
    }
}
