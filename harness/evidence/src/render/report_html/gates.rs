//! Every gate: what must hold, what was measured and with which bounds, and a picture of it to scale.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use khala_plan::gate::grammar;
use khala_plan::metric::MetricId;

use super::super::terminal::gates as told;
use super::super::units::count;
use super::super::{beside, reasons, texts};
use super::html::{Attrs, Html};
use super::tables::{Head, cell, figure, table};
use super::{paper, part, tables};
use crate::judge::{GateVerdict, ObjectiveVerdict, Unit, Verdict};
use crate::report::RunReport;

/// What the table tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// Verdicts.
    Verdicts,
    /// How it stands while the run goes on, which is no verdict.
    SoFar,
}

impl Tells {
    fn heads(self) -> [Head<'static>; 7] {
        let first = match self {
            Self::Verdicts => "Verdict",
            Self::SoFar => "So far",
        };
        [
            (first, false),
            ("Objective", false),
            ("Must hold", false),
            ("Measured", true),
            ("95 % bounds", true),
            ("n", true),
            ("To scale: the mark is the bound", false),
        ]
    }

    fn word(self, html: &mut Html, verdict: Verdict) {
        match self {
            Self::Verdicts => tables::verdict(html, verdict),
            Self::SoFar => tables::so_far(html, verdict),
        }
    }
}

const PICTURES: &str = "In each picture what is shaded holds and the upright mark is the bound; the bar reaches from the \
                        lower to the upper 95 % bound of what was measured, which is the dot. An arrow: it goes on \
                        beyond the picture. ";

/// A gate with the objectives that have a row, and whether paper has it on the second page.
pub(super) struct GateRows<'a> {
    gate: &'a GateVerdict,
    pub objectives: Vec<(&'a ObjectiveVerdict, bool)>,
    /// What is told of it in a line.
    clean: String,
}

impl<'a> GateRows<'a> {
    fn of(gate: &'a GateVerdict, tells: Tells) -> Self {
        // While a run goes on every claim has its row.
        let (shown, clean): (Vec<_>, _) = match tells {
            Tells::Verdicts => (told::shown(gate).collect(), told::clean(gate).join("; ")),
            Tells::SoFar => (gate.objectives.iter().collect(), String::new()),
        };
        let shown = shown.into_iter().filter(|_| gate.judged);
        Self { gate, objectives: shown.map(|objective| (objective, false)).collect(), clean }
    }

    /// What stands in its own row, roughly: with what would be said if all of its objectives stood elsewhere.
    pub fn told(&self) -> String {
        format!(
            "{} {} {}",
            self.gate.name,
            self.clean,
            later(self.objectives.iter().map(|it| it.0))
        )
    }
}

/// How many objectives stand on the second page of paper, and what they came to; empty where none does.
fn later<'a>(objectives: impl Iterator<Item = &'a ObjectiveVerdict>) -> String {
    let mut verdicts: BTreeMap<Reverse<Verdict>, u64> = BTreeMap::new();
    for objective in objectives {
        *verdicts.entry(Reverse(objective.verdict)).or_default() += 1;
    }
    let all: u64 = verdicts.values().sum();
    if all == 0 {
        return String::new();
    }
    let told = verdicts.iter().map(|(Reverse(verdict), n)| format!("{} {verdict}", count(*n)));
    let told = told.collect::<Vec<_>>().join(", ");
    format!(" and {} more, page 2: {told}", count(all))
}

pub fn write(html: &mut Html, report: &RunReport) {
    let mut gates = sorted(&report.gates, Tells::Verdicts);
    paper::fit(report, &mut gates);
    part(html, "gates", |html| {
        let heads = Tells::Verdicts.heads();
        table(html, "Every gate with what was measured", &heads, |html| {
            rows(html, &gates, Tells::Verdicts);
        });
        html.tag("p", &[("class", "note")], |html| {
            html.text(PICTURES);
            if let Some(reach) = texts::reach(report) {
                html.text(reach);
                html.text(".");
            }
        });
    });
    on_the_second_page(html, &gates);
}

/// What the first page of paper has no room for, once more, for paper alone.
fn on_the_second_page(html: &mut Html, gates: &[GateRows<'_>]) {
    let is_later = |gate: &&GateRows<'_>| gate.objectives.iter().any(|(_, later)| *later);
    if !gates.iter().any(|gate| is_later(&gate)) {
        return;
    }
    html.tag("section", &[("id", "gates-more"), ("class", "paper"), ("hidden", "")], |html| {
        html.leaf("h2", &[], "Gates, continued");
        let heads = Tells::Verdicts.heads();
        table(html, "Objectives for which the first page has no room", &heads, |html| {
            for GateRows { gate, objectives, .. } in gates.iter().filter(is_later) {
                html.tag("tr", &[("class", "gate")], |html| {
                    html.leaf("th", &[("scope", "rowgroup"), ("colspan", "7")], &gate.name);
                });
                for (objective, _) in objectives.iter().filter(|(_, later)| *later) {
                    of_objective(html, objective, Tells::Verdicts, "objective");
                    why(html, objective, "why");
                }
            }
        });
    });
}

/// The part without its rows, which [`so_far`] makes.
pub fn empty(html: &mut Html) {
    part(html, "gates", |html| {
        html.leaf(
            "p",
            &[("class", "note")],
            "Figures against bounds as they stand, to within 2 %: none of it is a verdict, which the end of the run gives.",
        );
        table(html, "Every gate as it stands so far", &Tells::SoFar.heads(), |_| ());
        html.leaf("p", &[("class", "note")], PICTURES);
    });
}

/// The rows of gates of a run that goes on. Their verdicts are none: they are shown as what holds so far, what is
/// beyond its bound and what is open.
pub fn so_far(gates: &[GateVerdict]) -> String {
    let mut html = Html::default();
    rows(&mut html, &sorted(gates, Tells::SoFar), Tells::SoFar);
    html.into_text()
}

/// What is worst is read first, and what decides nothing last.
fn sorted(gates: &[GateVerdict], tells: Tells) -> Vec<GateRows<'_>> {
    let mut gates: Vec<_> = gates.iter().collect();
    gates.sort_by_key(|gate| (gate.advisory, Reverse(gate.verdict)));
    gates.into_iter().map(|gate| GateRows::of(gate, tells)).collect()
}

fn rows(html: &mut Html, gates: &[GateRows<'_>], tells: Tells) {
    for gate in gates {
        of_gate(html, gate, tells);
    }
}

fn of_gate(html: &mut Html, rows: &GateRows<'_>, tells: Tells) {
    let GateRows { gate, objectives, clean } = rows;
    html.tag("tr", &[("class", "gate")], |html| {
        html.tag("th", &[("scope", "rowgroup"), ("colspan", "7")], |html| {
            match gate.verdict {
                Some(word) => tells.word(html, word),
                None => html.leaf("strong", &[("class", "none")], "– not judged by this profile"),
            }
            html.text(&format!("  {}", gate.name));
            if gate.advisory {
                html.text(" (advisory: decides nothing)");
            }
            if !clean.is_empty() {
                // What is no PASS stands below, and is not among these.
                let passes = matches!(gate.verdict, None | Some(Verdict::Pass));
                let others = if passes { "" } else { "others: " };
                html.leaf("span", &[("class", "clean")], &format!(" {others}{clean}"));
            }
            let later = later(objectives.iter().filter(|(_, later)| *later).map(|it| it.0));
            if !later.is_empty() {
                let attrs: Attrs<'_> = &[("class", "clean paper"), ("hidden", "")];
                html.leaf("span", attrs, &later);
            }
        });
    });
    for (objective, later) in objectives {
        let class = if *later { ["objective later", "why later"] } else { ["objective", "why"] };
        of_objective(html, objective, tells, class[0]);
        if tells == Tells::Verdicts {
            why(html, objective, class[1]);
        }
    }
}

fn of_objective(html: &mut Html, objective: &ObjectiveVerdict, tells: Tells, class: &str) {
    let ObjectiveVerdict { n, lower, upper, estimate, .. } = objective;
    // What befell the run is counted as violations are.
    let metric = MetricId::of(&objective.metric).unwrap_or(MetricId::Violations);
    let claim = grammar::parse(metric, &objective.require).ok();
    let bound = claim.map(|claim| claim.bound);
    let is_na = objective.verdict == Verdict::NotApplicable;
    html.tag("tr", &[("class", class)], |html| {
        html.tag("td", &[], |html| tells.word(html, objective.verdict));
        html.tag("th", &[("scope", "row")], |html| {
            html.text(&reasons::name(objective));
            if !objective.during.is_empty() {
                html.leaf(
                    "span",
                    &[("class", "during")],
                    &format!(" in {}", objective.during.join(", ")),
                );
            }
        });
        html.tag("td", &[("class", "claim")], |html| match bound {
            Some(bound) => html.datum(bound, &objective.require),
            None => html.text(&objective.require),
        });
        let measured = match (is_na, estimate, objective.never) {
            (true, ..) | (_, None, _) => "–".to_owned(),
            (_, Some(value), 0) => shown(objective, *value),
            (_, Some(value), _) => format!("> {}", shown(objective, *value)),
        };
        figure(html, estimate.filter(|_| !is_na), &measured);
        html.tag("td", &[("class", "n")], |html| {
            let end = |html: &mut Html, end: Option<f64>| match end {
                Some(end) => html.datum(end, &shown(objective, end)),
                None => html.text("?"),
            };
            if lower.is_none() && upper.is_none() {
                // While a run goes on what is not counted may have no bounds yet.
                let is_exact = tells == Tells::Verdicts || objective.unit == Unit::Count;
                let exact = is_exact && !is_na && estimate.is_some() && !is_of_nothing(objective);
                return html.text(if exact { "exact" } else { "–" });
            }
            end(html, *lower);
            html.text(" to ");
            end(html, *upper);
        });
        figure(html, Some(n), &count(*n));
        html.tag("td", &[("class", "scale")], |html| {
            if let Some(bound) = bound.filter(|_| !is_na) {
                Picture::of(objective, bound).write(html, objective);
            }
        });
    });
}

/// Whether a figure stands for no sample at all, and decides nothing: it is nowhere, and not at 0. A count or a rate of
/// what never came is one that was looked for.
fn is_of_nothing(objective: &ObjectiveVerdict) -> bool {
    objective.n == 0 && objective.verdict == Verdict::Inconclusive
}

/// A value in the unit of the claim.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole count")]
fn shown(objective: &ObjectiveVerdict, value: f64) -> String {
    match objective.unit {
        Unit::Count if value >= 0.0 && value.fract() == 0.0 => count(value as u64),
        _ => texts::figure(objective, value),
    }
}

/// What there is to say beyond the figures: of what does not pass.
fn why(html: &mut Html, objective: &ObjectiveVerdict, class: &str) {
    if objective.verdict == Verdict::Pass {
        return;
    }
    html.tag("tr", &[("class", class)], |html| {
        cell(html, "");
        html.tag("td", &[("colspan", "6")], |html| {
            let rule = objective.selected("rule");
            match rule.filter(|_| reasons::is_of_a_broken_rule(objective)) {
                Some(rule) => {
                    html.leaf(
                        "a",
                        &[("href", &format!("#rule-{rule}"))],
                        "What was broken, and for whom",
                    );
                }
                None => {
                    let note = beside::objective(objective);
                    html.text(&note.unwrap_or_else(|| objective.reason.clone()));
                }
            }
        });
    });
}
const WIDTH: f64 = 230.0;
const HEIGHT: f64 = 22.0;
/// Where nothing stands.
const LEFT: f64 = 7.0;
const MIDDLE: f64 = HEIGHT / 2.0;
/// Where the bound stands, as a share of the width, in every picture: what is near it is so at a glance.
const BOUND_AT: f64 = 0.62;

/// An objective to scale: from nothing to somewhat more than its bound.
struct Picture {
    /// What one unit takes.
    per: f64,
    /// Where the bound stands.
    bound: f64,
    estimate: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
}

impl Picture {
    fn of(objective: &ObjectiveVerdict, bound: f64) -> Self {
        let ObjectiveVerdict { estimate, lower, upper, .. } = *objective;
        let estimate = estimate.filter(|_| !is_of_nothing(objective));
        let most = [estimate, upper].into_iter().flatten().fold(0.0, f64::max);
        // Nothing is allowed: the scale is that of what there was.
        let per = match bound > 0.0 {
            true => WIDTH * BOUND_AT / bound,
            false => WIDTH * 0.7 / most.max(1.0),
        };
        Self { per, bound: LEFT + bound * per, estimate, lower, upper }
    }

    fn at(&self, value: f64) -> f64 {
        (LEFT + value * self.per).min(WIDTH - 14.0)
    }

    fn is_beyond(&self, value: f64) -> bool {
        LEFT + value * self.per > WIDTH - 14.0
    }

    fn write(&self, html: &mut Html, objective: &ObjectiveVerdict) {
        let words = format!(
            "{} measured, where {} must hold",
            self.estimate.map_or_else(|| "nothing".to_owned(), |value| shown(objective, value)),
            objective.require
        );
        let (_, class) = tables::sign(objective.verdict);
        let size: Attrs<'_> = &[
            ("width", "230"),
            ("height", "22"),
            ("viewBox", "0 0 230 22"),
            ("role", "img"),
            ("aria-label", &words),
            ("class", class),
        ];
        html.tag("svg", size, |html| {
            self.ground(html);
            self.measured(html);
        });
    }

    /// What holds, and the bound.
    fn ground(&self, html: &mut Html) {
        let (bound, shaded) = (px(self.bound), px(self.bound - LEFT));
        html.void(
            "rect",
            &[
                ("class", "holds"),
                ("x", "7"),
                ("y", "4"),
                ("width", &shaded),
                ("height", "14"),
                ("fill", "#009E73"),
                ("fill-opacity", "0.18"),
            ],
        );
        html.void(
            "line",
            &[
                ("x1", "7"),
                ("x2", "230"),
                ("y1", "18"),
                ("y2", "18"),
                ("stroke", "currentColor"),
                ("stroke-opacity", "0.4"),
            ],
        );
        html.void(
            "line",
            &[
                ("class", "bound"),
                ("x1", &bound),
                ("x2", &bound),
                ("y1", "1"),
                ("y2", "21"),
                ("stroke", "currentColor"),
                ("stroke-width", "2.5"),
            ],
        );
    }

    /// The estimate between its bounds; what has no upper one goes on beyond the picture.
    fn measured(&self, html: &mut Html) {
        let lower = self.lower.or(self.estimate).unwrap_or(0.0);
        let is_open = self.lower.is_some() && self.upper.is_none();
        let upper = if is_open { Some(f64::MAX) } else { self.upper.or(self.estimate) };
        if let Some(upper) = upper {
            let (from, to) = (px(self.at(lower)), px(self.at(upper)));
            html.void(
                "line",
                &[
                    ("class", "interval"),
                    ("x1", &from),
                    ("x2", &to),
                    ("y1", "11"),
                    ("y2", "11"),
                    ("stroke", "currentColor"),
                    ("stroke-width", "4"),
                    ("stroke-opacity", "0.55"),
                ],
            );
        }
        let beyond =
            [self.estimate, upper].into_iter().flatten().any(|value| self.is_beyond(value));
        if beyond {
            html.void("polygon", &[("points", "221,4 229,11 221,18"), ("fill", "currentColor")]);
        }
        if let Some(estimate) = self.estimate {
            let x = px(self.at(estimate));
            html.void(
                "circle",
                &[
                    ("class", "estimate"),
                    ("cx", &x),
                    ("cy", &px(MIDDLE)),
                    ("r", "4.5"),
                    ("fill", "currentColor"),
                ],
            );
        }
    }
}

fn px(at: f64) -> String {
    format!("{at:.1}")
}
