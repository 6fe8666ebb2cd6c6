//! `[[gate.objective]]`: one thing that must hold.

mod keys;

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key::{Writer, array};
use super::phase::{self, Declared};
use super::scalar::{Placed, Read};
use super::source::Place;
use super::suggest;
use super::tree::Node;
use crate::gate::grammar::{self, ClaimError};
use crate::gate::power;
use crate::metric::{Clustering, FOR_STATES, MetricId, MetricKind, RULES};
use crate::model::{Claim, DRAIN, Estimator, Objective, RAMP};
use crate::surface::Surface;
use crate::units;

pub(crate) use keys::{LABELS, TABLE};

/// What an objective may refer to.
pub(crate) struct Scope<'a> {
    pub phases: &'a [Declared],
    /// Surfaces of the fleet; `None` when the fleet could not be read.
    pub surfaces: Option<Vec<Surface>>,
    /// Of them, those that subscribe to a stream.
    pub with_streams: Vec<Surface>,
}

/// Reads one objective, with the place of its claim.
pub(crate) fn read(cx: &Cx, node: &Node, scope: &Scope<'_>) -> Option<(Objective, Place)> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let named = metric(&mut fields);
    // The rest is read as what was meant: its mistakes are told at once.
    let metric = named.map(Named::metric);
    let selector = match fields.node(&keys::WHERE) {
        Some(node) => selector(cx, node, metric, scope),
        None => Some(BTreeMap::new()),
    };
    let against = against(&mut fields, metric, scope);
    let during = during(&fields, metric, scope, against.as_deref());
    let require_node = fields.need_node(&keys::REQUIRE);
    let require = require_node.and_then(|node| claim(cx, node, keys::REQUIRE.name, metric));
    let warn_node = fields.node(&keys::WARN);
    let warn = warn_node.map(|node| claim(cx, node, keys::WARN.name, metric));
    if let (Some(require), Some(Some(warn)), Some(node)) = (&require, &warn, warn_node) {
        tighter(cx, node, require, warn);
    }
    if let (Some(metric), Some(selector)) = (metric, &selector) {
        streams(&fields, metric, selector, scope);
    }
    let min_samples = fields.get(&keys::MIN_SAMPLES);
    let reach = reach(&fields, metric, require.as_ref());
    fields.finish();
    let require = require?;
    let min_samples = min_samples.unwrap_or_else(|| power::default_min_samples(&require));
    let warn = match warn {
        Some(claim) => Some(claim?),
        None => None,
    };
    let place = require_node.map_or_else(|| node.place.clone(), |node| node.place.clone());
    let Named::As(metric) = named? else { return None };
    let (selector, during, against, reach) = (selector?, during?, against?, reach?);
    let objective =
        Objective { metric, selector, during, against, require, warn, min_samples, reach };
    Some((objective, place))
}

/// Whether a claim about a percentile of it can ask for a reach: it flows all the time.
fn takes_reach(metric: MetricId) -> bool {
    metric.clustering() == Clustering::Seconds
        && matches!(metric.kind(), MetricKind::Latency | MetricKind::Magnitude)
}

/// What is asked of the reach; `None` when that could not be read.
fn reach(
    fields: &Fields<'_>,
    metric: Option<MetricId>,
    require: Option<&Claim>,
) -> Option<Option<f64>> {
    let Some(node) = fields.node(&keys::REACH) else {
        return (!fields.has(&keys::REACH)).then_some(None);
    };
    let cx = fields.cx;
    let text = String::read(cx, keys::REACH.name, node)?;
    let refuse = |what: String, help: &str| {
        cx.report(Diagnostic::error(&node.place, what).help(help));
    };
    let share = match units::share(&text) {
        Ok(share) if share > 0.0 => share,
        Ok(_) => {
            refuse(
                "no number of seconds shows that none is worse".to_owned(),
                "ask for such as `1 %`",
            );
            return None;
        }
        Err(error) => {
            refuse(format!("`reach` {error}"), "write such as `\"1 %\"`");
            return None;
        }
    };
    let (metric, require) = (metric?, require?);
    if !takes_reach(metric) || !matches!(require.estimator, Estimator::Percentile(_)) {
        let what = format!("`{} {}` has no reach", metric.name(), require.text);
        let known = MetricId::ALL.iter().copied().filter(|metric| takes_reach(*metric));
        let known = suggest::list(known.map(MetricId::name));
        refuse(
            what,
            &format!(
                "remove `reach`: only percentiles of what flows all the time have one: {known}"
            ),
        );
        return None;
    }
    Some(Some(share))
}

/// Refuses a claim about events of streams where nobody subscribes to one.
fn streams(
    fields: &Fields<'_>,
    metric: MetricId,
    selector: &BTreeMap<String, String>,
    scope: &Scope<'_>,
) {
    let Some(surfaces) = scope.surfaces.as_ref().filter(|_| metric.is_of_streams()) else { return };
    let named = selector.get("surface").map(String::as_str).filter(|name| *name != "*");
    let (without, whose) = match named.and_then(Surface::of) {
        Some(surface) if surfaces.contains(&surface) => {
            (!scope.with_streams.contains(&surface), format!("`{}` subscribes", surface.name()))
        }
        // What is no surface of the fleet was reported.
        None if named.is_none() => {
            (scope.with_streams.is_empty(), "the fleet subscribes".to_owned())
        }
        _ => return,
    };
    if without {
        let what = format!("`{}` is of streams, and {whose} to none", metric.name());
        let help = format!("how soon a state comes is judged by {FOR_STATES}");
        fields.cx.report(Diagnostic::error(&fields.place, what).help(help));
    }
}

/// The metric of an objective.
#[derive(Clone, Copy)]
enum Named {
    /// It is called so.
    As(MetricId),
    /// None is, and this one is probably meant; the mistake is reported.
    Nearly(MetricId),
}

impl Named {
    fn metric(self) -> MetricId {
        match self {
            Self::As(metric) | Self::Nearly(metric) => metric,
        }
    }
}

fn metric(fields: &mut Fields<'_>) -> Option<Named> {
    let node = fields.need_node(&keys::METRIC)?;
    let name = String::read(fields.cx, keys::METRIC.name, node)?;
    if let Some(metric) = MetricId::of(&name) {
        return Some(Named::As(metric));
    }
    let known: Vec<&str> = MetricId::ALL.iter().map(|metric| metric.name()).collect();
    let meant = suggest::closest(&name, known.iter().copied()).and_then(MetricId::of);
    let what = format!("there is no metric `{name}`");
    let help = suggest::did_you_mean(&name, known);
    fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    meant.map(Named::Nearly)
}

fn selector(
    cx: &Cx,
    node: &Node,
    metric: Option<MetricId>,
    scope: &Scope<'_>,
) -> Option<BTreeMap<String, String>> {
    let Some(table) = node.as_table() else {
        // Says that it is not a table.
        let _ = Fields::of(cx, node, &LABELS);
        return None;
    };
    let mut selector = BTreeMap::new();
    for (label, place, node) in table.iter() {
        let Some(value) = String::read(cx, label, node) else { continue };
        if let Some(metric) = metric.filter(|metric| !metric.labels().contains(&label)) {
            let what = format!("samples of `{}` have no label `{label}`", metric.name());
            let help = match metric.labels() {
                [] => "leave `where` out".to_owned(),
                labels => format!("they have {}", suggest::list(labels.iter().copied())),
            };
            cx.report(Diagnostic::error(place, what).help(help));
        } else if value != "*" {
            match label {
                "surface" => known_surface(cx, node, &value, scope),
                "rule" => known_rule(cx, node, &value),
                // Only said of metrics that are unknown themselves.
                _ => {}
            }
        }
        selector.insert(label.to_owned(), value);
    }
    Some(selector)
}

fn known_surface(cx: &Cx, node: &Node, name: &str, scope: &Scope<'_>) {
    let Some(surfaces) = &scope.surfaces else { return };
    if Surface::of(name).is_some_and(|surface| surfaces.contains(&surface)) {
        return;
    }
    let names: Vec<&str> = surfaces.iter().map(|surface| surface.name()).collect();
    let help = match suggest::closest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the fleet has {}; `*` judges each of them", suggest::list(names)),
    };
    let what = format!("the fleet has no surface `{name}`");
    cx.report_missing(Diagnostic::error(&node.place, what).help(help));
}

fn known_rule(cx: &Cx, node: &Node, name: &str) {
    if !RULES.contains(&name) {
        let what = format!("the oracle judges no rule `{name}`");
        let help = suggest::did_you_mean(name, RULES.iter().copied());
        cx.report(Diagnostic::error(&node.place, what).help(help));
    }
}

/// The phases whose samples count. Where none is named, all that are measured, but for those that a
/// ratio is held against; for what is wrong whenever it happens, the ramp and the drain too.
fn during(
    fields: &Fields<'_>,
    metric: Option<MetricId>,
    scope: &Scope<'_>,
    against: Option<&[String]>,
) -> Option<Vec<String>> {
    let against = against.unwrap_or_default();
    let Some(node) = fields.node(&keys::DURING) else {
        if fields.has(&keys::DURING) {
            return None;
        }
        let measured = scope.phases.iter().filter(|phase| phase.measure);
        let mut names: Vec<String> = measured.map(|phase| phase.name.value.clone()).collect();
        names.retain(|name| !against.contains(name));
        if names.is_empty() && !scope.phases.is_empty() {
            let (what, help) = if against.is_empty() {
                ("no phase is measured, so the objective has no samples", MEASURE)
            } else {
                ("no phase is left to hold `against` the others", "name fewer phases in it")
            };
            fields.cx.report_missing(Diagnostic::error(&fields.place, what).help(help));
        }
        if metric.is_some_and(MetricId::is_wrong_at_any_time) {
            names.insert(0, RAMP.to_owned());
            names.push(DRAIN.to_owned());
        }
        return Some(names);
    };
    let names = measured(fields.cx, keys::DURING.name, node, scope)?;
    for name in names.iter().filter(|name| against.contains(&name.value)) {
        let what = format!("the phase `{}` would be compared with itself", name.value);
        let help = "name it in `during` or in `against`";
        fields.cx.report(Diagnostic::error(&name.place, what).help(help));
    }
    Some(names.into_iter().map(|name| name.value).collect())
}

const MEASURE: &str = "remove a `measure = false`";

/// The phases with which a ratio compares; nothing else compares with any.
fn against(
    fields: &mut Fields<'_>,
    metric: Option<MetricId>,
    scope: &Scope<'_>,
) -> Option<Vec<String>> {
    let node = match metric.map(MetricId::kind) {
        Some(MetricKind::Ratio) => fields.need_node(&keys::AGAINST)?,
        Some(_) => {
            if let (Some(node), Some(metric)) = (fields.node(&keys::AGAINST), metric) {
                let what = format!("`{}` is not compared with other phases", metric.name());
                fields.cx.report(Diagnostic::error(&node.place, what).help("remove `against`"));
            }
            return Some(Vec::new());
        }
        None => fields.node(&keys::AGAINST)?,
    };
    let names = measured(fields.cx, keys::AGAINST.name, node, scope)?;
    Some(names.into_iter().map(|name| name.value).collect())
}

/// Names of phases that have samples, at least one.
fn measured(cx: &Cx, key: &str, node: &Node, scope: &Scope<'_>) -> Option<Vec<Placed<String>>> {
    let names = phase::names(cx, key, node)?;
    if names.is_empty() {
        let (what, help) = match key {
            "against" => ("a ratio against no phase says nothing", "name such as `\"steady\"`"),
            _ => (
                "an objective that holds during no phase says nothing",
                "leave `during` out for all measured phases",
            ),
        };
        cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    let implicit = [RAMP, DRAIN];
    for name in names.iter().filter(|name| !implicit.contains(&name.value.as_str())) {
        let found = phase::find(cx, scope.phases, name, &implicit);
        if found.is_some_and(|phase| !phase.measure) {
            let what = format!("the phase `{}` is not measured", name.value);
            let help = "remove its `measure = false`, or do not judge it";
            cx.report(Diagnostic::error(&name.place, what).help(help));
        }
    }
    Some(names)
}

fn claim(cx: &Cx, node: &Node, key: &str, metric: Option<MetricId>) -> Option<Claim> {
    let text = String::read(cx, key, node)?;
    let refuse = |error: ClaimError, help: String| {
        let place = cx.sources.borrow().part(&node.place, &text, error.span);
        cx.report(Diagnostic::error(&place, error.what).help(help));
    };
    let Some(metric) = metric else {
        // What it may be about is not known: it is wrong for certain where it is no claim about anything.
        if let Some(error) = grammar::no_claim(&text) {
            refuse(error, NO_CLAIM.to_owned());
        }
        return None;
    };
    grammar::parse(metric, &text)
        .map_err(|error| {
            let help = error.help.clone();
            refuse(error, help);
        })
        .ok()
}

const NO_CLAIM: &str =
    "write such as `p(99) < 20s`, `proportion <= 3%` or `count == 0`, as its metric has it";

/// Reports a warning claim that cannot be broken before the required one is.
fn tighter(cx: &Cx, node: &Node, require: &Claim, warn: &Claim) {
    let same_figure = match (require.estimator, warn.estimator) {
        (Estimator::Percentile(_), Estimator::Percentile(_)) => true,
        (required, warned) => required == warned,
    };
    let (what, help) = if !same_figure {
        ("`warn` is about another figure than `require`", "use the same estimator in both")
    } else if require.estimator == warn.estimator && warn.bound >= require.bound {
        ("`warn` is no tighter than `require`, so it would never warn", "lower its bound")
    } else {
        return;
    };
    cx.report(Diagnostic::error(&node.place, what).help(help));
}

/// Writes an objective.
pub(crate) fn write(out: &mut Writer, objective: &Objective) {
    out.table("[[gate.objective]]");
    out.raw(&keys::METRIC, objective.metric.name());
    if !objective.selector.is_empty() {
        let labels = objective.selector.iter();
        let labels = labels.map(|(label, value)| (label.clone(), value.as_str().into()));
        out.raw(&keys::WHERE, labels.collect::<toml::Table>());
    }
    let names = |phases: &[String]| array(phases.iter().map(String::as_str));
    out.raw(&keys::DURING, names(&objective.during));
    if !objective.against.is_empty() {
        out.raw(&keys::AGAINST, names(&objective.against));
    }
    out.raw(&keys::REQUIRE, objective.require.text.as_str());
    let warn = objective.warn.as_ref();
    warn.into_iter().for_each(|warn| out.raw(&keys::WARN, warn.text.as_str()));
    out.key(&keys::MIN_SAMPLES, &objective.min_samples);
    objective.reach.iter().for_each(|share| out.raw(&keys::REACH, share.to_string()));
}
