//! `[[gate]]` and its objectives.

use super::pattern;
use super::shape::Shape;
use super::table::{Case, Key, Table};
use crate::metric::{MetricId, MetricKind, RULES};
use crate::read::gate::BUILT_IN;
use crate::read::objective::{self, MIN_SAMPLES};
use crate::surface::Surface;

/// Every table of the section.
pub(super) fn tables() -> Vec<Table> {
    vec![gate(), objective(), selector()]
}

fn gate() -> Table {
    let keys = vec![
        Key::new("name", Shape::name(), "Its name, unique; profiles judge by it.").required(),
        Key::new(
            "advisory",
            Shape::Bool,
            "Whether it decides nothing: it is judged and shown. Of the gates that are always judged, \
             `oracle` and `stability`, this is all that can be said.",
        )
        .or(false),
        Key::new("objective", Shape::Tables("objective", 0), "What must hold."),
    ];
    let of_scenario = Case::unless("name", BUILT_IN)
        .then("objective", Shape::Tables("objective", 1))
        .needs("objective");
    let built_in = Case::when("name", BUILT_IN).then("objective", Shape::NoTables);
    Table::new("gate", "A named set of objectives.", keys).case(of_scenario).case(built_in)
}

fn objective() -> Table {
    let metrics: Vec<&'static str> = MetricId::ALL.iter().map(|metric| metric.name()).collect();
    let claim = Shape::Matching(pattern::any_claim());
    let keys = vec![
        Key::new(
            "metric",
            Shape::Words(metrics),
            "What is measured; METRICS.md defines each. `khala-harness metrics` prints it.",
        )
        .required(),
        Key::new(
            "where",
            Shape::Whole("where".to_owned()),
            "Labels that the samples must carry; `\"*\"` gives one verdict for each value. \
             Default: all samples together.",
        ),
        Key::new(
            "during",
            Shape::names(1),
            "Phases whose samples count, `ramp` and `drain` among them. Default: all measured \
             phases, and for what is wrong at any time the ramp and the drain too.",
        ),
        Key::new(
            "against",
            Shape::names(1),
            "Phases that a ratio is held against; for `bystander_ratio` only.",
        ),
        Key::new(
            "require",
            claim.clone(),
            "What must hold, such as `p(99) < 20s`, `proportion <= 3%`, `rate <= 1.5/s`, \
             `count == 0` or `ratio < 1.5`. Judged by a 95 % bound, not by the estimate.",
        )
        .required(),
        Key::new("warn", claim, "A tighter claim on the same figure, whose breach is a warning."),
        Key::new(
            "min_samples",
            Shape::integer(MIN_SAMPLES),
            "With fewer samples the objective is INCONCLUSIVE. Default: what could decide the \
             claim if no sample broke it, such as 299 for a p(99).",
        ),
        Key::new(
            "reach",
            Shape::Matching(pattern::share()),
            "Of a percentile of a metric that flows all the time (`delivery`, `publish`, \
             `heartbeat_rtt`): the share of seconds that may be worse than the claim for all that the run \
             says of other times, at most; a run that says less is INCONCLUSIVE. `1 %` takes 299 seconds, \
             none of which is worse; `100 %` asks nothing. Default: the reach is told, and decides nothing.",
        ),
    ];
    let mut table = Table::new("objective", "What must hold.", keys);
    let flows = |metric: &&MetricId| objective::takes_reach(**metric);
    let others = MetricId::ALL.iter().filter(|metric| !flows(metric)).map(|metric| metric.name());
    table = table.case(Case::when("metric", others).then("reach", Shape::Never));
    for kind in MetricKind::ALL {
        table = table.case(of_kind(kind));
    }
    for label in ["surface", "rule"] {
        let without = MetricId::ALL.iter().filter(|metric| !metric.labels().contains(&label));
        let without = Case::when("metric", without.map(|metric| metric.name()));
        table = table.case(without.then("where", Shape::Without(label)));
    }
    table
}

/// What is known of an objective by the kind of its metric.
fn of_kind(kind: MetricKind) -> Case {
    let of_kind = MetricId::ALL.iter().filter(|metric| metric.kind() == kind);
    let claim = Shape::Matching(pattern::claim(kind));
    let case = Case::when("metric", of_kind.map(|metric| metric.name()))
        .then("require", claim.clone())
        .then("warn", claim);
    match kind {
        MetricKind::Ratio => case.needs("against"),
        _ => case.then("against", Shape::Never),
    }
}

fn selector() -> Table {
    let every = || std::iter::once("*");
    let surfaces = every().chain(Surface::ALL.into_iter().map(Surface::name)).collect();
    let rules = every().chain(RULES.iter().copied()).collect();
    let keys = vec![
        Key::new("surface", Shape::Words(surfaces), "A surface of the fleet, or `*` for each."),
        Key::new("rule", Shape::Words(rules), "A rule of the oracle, or `*` for each."),
    ];
    let doc = "Labels that samples must carry.";
    Table::new("where", doc, keys).replaced()
}
