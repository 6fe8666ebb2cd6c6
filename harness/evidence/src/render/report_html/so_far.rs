//! The same page for a run that goes on: its shell, style, script and parts are those of `report.html`, and what it
//! draws comes as frames with the data that the report will hold.
//!
//! What there is of a run so far decides nothing, and no word of it is a verdict's.

use khala_plan::metric::MetricId;
use serde_json::Value;

pub use super::curves_so_far::{Curves, Latency, Returning, curves};
use super::html::{Attrs, Html};
use super::latency;
use super::plot::Band;
use super::script::Data;
use super::strip::{contents, with_code};
use super::tables::{self, Head};
use super::time_line::{self, Whole};
use super::{SCRIPT, STYLE, UPLOT, UPLOT_STYLE, gates, head_of, part};
use crate::judge::{GateVerdict, ObjectiveVerdict, Unit, Verdict};
use crate::report::Second;
use crate::standing::Bounds;

/// The style and the script of the page, as a report holds them.
pub const STYLES: [&str; 2] = [UPLOT_STYLE, STYLE];
/// See [`STYLES`].
pub const SCRIPTS: [&str; 2] = [UPLOT, SCRIPT];

/// The metrics whose latencies are drawn.
pub const DRAWN: [MetricId; 5] = latency::METRICS;

/// Parts that a page which is live has, each with its name in it.
pub(super) const PARTS: [(&str, &str); 8] = [
    ("gates", "Gates"),
    ("rules", "Rules"),
    ("time-line", "Time line"),
    ("recovery", "Recovery"),
    ("latency", "Latency"),
    ("faults", "Faults"),
    ("figures", "Figures"),
    ("happened", "What happened"),
];

/// A stretch of a run: a phase, or a fault that was due.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// What it is.
    pub name: String,
    /// From when, in seconds of the run.
    pub from_s: f64,
    /// Until when; the same for a moment.
    pub to_s: f64,
    /// Whether something was disturbed on purpose; else it is a phase.
    pub fault: bool,
}

/// The data of some seconds of a run, in the shape of a report's data.
#[must_use]
pub fn data(started: &str, seconds: &[Second], stretches: &[Stretch]) -> Value {
    let bands = stretches.iter().map(|it| Band {
        from: it.from_s,
        to: it.to_s,
        name: it.name.clone(),
        fault: it.fault,
    });
    let last = seconds.last().map_or(0, |second| second.second);
    let until = usize::try_from(last).unwrap_or(0) + 1;
    let whole = Whole { seconds: until, bands: bands.collect() };
    let mut data = Data::so_far(started, seconds);
    for chart in time_line::charts(seconds, true) {
        let values: Vec<_> = chart.series.iter().map(|it| &it.values).collect();
        data.by_second(&chart.so_far(&whole), &values);
    }
    data.into_json()
}

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Its figure is within its bound.
    Holds,
    /// There is no figure yet.
    Open,
    /// Its figure is beyond its bound.
    Beyond,
}

impl Stands {
    /// In whose colour and order it is shown.
    fn verdict(self) -> Verdict {
        match self {
            Self::Holds => Verdict::Pass,
            Self::Open => Verdict::Inconclusive,
            Self::Beyond => Verdict::Fail,
        }
    }
}

/// A gate so far.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// Whether it decides nothing.
    pub advisory: bool,
    /// The worst of its claims.
    pub stands: Stands,
    /// Its claims.
    pub claims: Vec<Claim>,
}

/// A claim so far.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The metric.
    pub metric: String,
    /// The selected label, such as `surface=ios`; empty when nothing is selected.
    pub selector: String,
    /// Phases whose samples count; none where all measured ones do.
    pub during: Vec<String>,
    /// The claim as written.
    pub require: String,
    /// How it stands.
    pub stands: Stands,
    /// What the figures are in.
    pub unit: Unit,
    /// Its figure.
    pub estimate: Option<f64>,
    /// The 95 % bounds of the figure, where there are any yet.
    pub bounds: Bounds,
    /// Samples.
    pub n: u64,
}

/// The rows of the gates so far, as the report's table has them.
#[must_use]
pub fn gate_rows(gates: &[Gate]) -> String {
    let gates: Vec<_> = gates.iter().map(Gate::shown).collect();
    gates::so_far(&gates)
}

impl Gate {
    /// As the report's table takes it. It leaves this module as a row of that table alone.
    fn shown(&self) -> GateVerdict {
        GateVerdict {
            name: self.name.clone(),
            judged: true,
            advisory: self.advisory,
            verdict: Some(self.stands.verdict()),
            objectives: self.claims.iter().map(Claim::shown).collect(),
        }
    }
}

impl Claim {
    fn shown(&self) -> ObjectiveVerdict {
        ObjectiveVerdict {
            selector: self.selector.clone(),
            during: self.during.clone(),
            verdict: self.stands.verdict(),
            n: self.n,
            unit: self.unit,
            estimate: self.estimate,
            lower: self.bounds.0,
            upper: self.bounds.1,
            ..ObjectiveVerdict::blank(&self.metric, &self.require)
        }
    }
}

/// The page before its first frame, which knows nothing of any run. `styles` and `scripts` are where it gets
/// [`STYLES`] and [`SCRIPTS`], and what is its own.
#[must_use]
pub fn page(styles: &[&str], scripts: &[&str]) -> String {
    let mut html = Html::document();
    html.tag("html", &[("lang", "en")], |html| {
        head_of(html, "khala-harness", |html| {
            for href in styles {
                html.void("link", &[("rel", "stylesheet"), ("href", href)]);
            }
            for src in scripts {
                html.tag("script", &[("src", src), ("defer", "")], |_| ());
            }
        });
        html.tag("body", &[], |html| {
            html.tag("header", &[], header);
            html.tag("main", &[], parts);
        });
    });
    html.into_text()
}

fn header(html: &mut Html) {
    html.tag("div", &[("class", "strip running"), ("id", "strip")], |html| {
        html.leaf("p", &[("class", "sign"), ("id", "sign"), ("aria-hidden", "true")], "▶");
        html.tag("div", &[], |html| {
            html.tag("h1", &[], |html| {
                html.leaf("strong", &[("id", "running")], "RUNNING");
                html.text(": ");
                html.leaf("span", &[("id", "scenario")], "khala-harness");
            });
            html.leaf(
                "p",
                &[("class", "headline"), ("id", "state")],
                "Waiting for the first frame.",
            );
        });
    });
    html.tag("noscript", &[], |html| {
        html.tag("p", &[], |html| {
            with_code(
                html,
                "This page needs script to show a run while it goes on, and shows nothing without. What the run comes to will \
                 be in `report.html`, which needs none: in the folder that `--out-dir` names (`reports/runs` where it does \
                 not), `latest` leads to it.",
            );
        });
    });
    // What is said once, such as that a phase has begun: the second by second is not read aloud.
    html.leaf("p", &[("class", "unseen"), ("id", "told"), ("role", "status")], "");
    html.tag("ol", &[("class", "phases"), ("id", "phases"), ("aria-label", "Phases")], |_| ());
    html.tag("dl", &[("class", "facts"), ("id", "facts")], |_| ());
    html.tag("p", &[("class", "acts")], |html| {
        let button: Attrs<'_> = &[("type", "button"), ("id", "abort"), ("disabled", "")];
        html.leaf("button", button, "End the run");
        html.leaf("span", &[("id", "said"), ("role", "status")], "");
        html.leaf("span", &[("class", "note"), ("id", "where")], "");
    });
    contents(html, &PARTS);
}

fn parts(html: &mut Html) {
    gates::empty(html);
    part(html, "rules", |html| {
        html.leaf("p", &[("id", "no-rule")], "No rule is broken so far.");
        table(html, "Violations by rule", "broken", &["Rule", "#Violations"]);
    });
    part(html, "time-line", |html| {
        let whole = Whole { seconds: 1, bands: Vec::new() };
        for chart in time_line::charts(&[], true) {
            html.tag("figure", &[("id", chart.id)], |html| {
                html.tag("figcaption", &[], |html| html.leaf("h3", &[], chart.title));
                chart.so_far(&whole).empty(html);
            });
        }
    });
    // What they hold comes with the frames, for it depends on the plan.
    for (id, none) in [
        ("recovery", "Nobody who was cut off is back so far."),
        ("latency", "No latency was measured so far."),
    ] {
        part(html, id, |html| {
            let holder = format!("{id}-so-far");
            html.tag("div", &[("id", &holder)], |html| html.leaf("p", &[], none));
        });
    }
    part(html, "faults", |html| {
        html.leaf("p", &[("id", "no-fault")], "Nothing is disturbed on purpose.");
        let heads = ["Fault", "#At", "#Planned", "#Effective", "So far", "By hand"];
        table(html, "Faults, planned against effective so far", "disturbed", &heads);
        html.leaf("p", &[("class", "note"), ("id", "more-faults")], "");
    });
    part(html, "figures", |html| {
        let heads = ["Metric", "Surface", "#n", "#p50", "#p95", "#p99", "#Largest"];
        table(html, "Figures by metric and surface so far", "measured", &heads);
    });
    part(html, "happened", |html| {
        html.tag("ol", &[("class", "lines"), ("id", "lines")], |_| ());
    });
}

/// A table that a script fills; a head that begins with `#` is one of figures.
fn table(html: &mut Html, caption: &str, id: &str, heads: &[&str]) {
    let heads: Vec<Head<'_>> = heads
        .iter()
        .map(|head| head.strip_prefix('#').map_or((*head, false), |head| (head, true)))
        .collect();
    html.tag("div", &[("id", id)], |html| tables::table(html, caption, &heads, |_| ()));
}
