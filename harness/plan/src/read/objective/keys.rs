//! The keys of `[[gate.objective]]`.

use super::takes_reach;
use crate::metric::{MetricId, MetricKind, RULES};
use crate::read::key::{Case, Key, Raw, Table, Within};
use crate::read::schema::{Shape, pattern};
use crate::surface::Surface;

pub(super) const METRIC: Key<Raw> = Key::new(
    "metric",
    Raw(|| Shape::Words(MetricId::ALL.iter().map(|metric| metric.name()).collect())),
    "metric = \"time_to_recovered\"",
    "What is measured; METRICS.md defines each. `khala-harness metrics` prints it.",
)
.required();
pub(super) const WHERE: Key<Raw> = Key::new(
    "where",
    Raw(|| Shape::Whole(LABELS.definition())),
    "where = { surface = \"*\" }",
    "Labels that the samples must carry; `\"*\"` gives one verdict for each value. \
     Default: all samples together.",
);
pub(super) const DURING: Key<Raw> = Key::new(
    "during",
    Raw(|| Shape::names(1)),
    "during = [\"storm\"]",
    "Phases whose samples count, `ramp` and `drain` among them. Default: all measured \
     phases, and for what is wrong at any time the ramp and the drain too.",
);
pub(super) const AGAINST: Key<Raw> = Key::new(
    "against",
    Raw(|| Shape::names(1)),
    "against = [\"steady\"]",
    "Phases that a ratio is held against; for `bystander_ratio` only.",
);
pub(super) const REQUIRE: Key<Raw> = Key::new(
    "require",
    Raw(|| Shape::Matching(pattern::any_claim())),
    "require = \"p(99) < 20s\"",
    "What must hold, such as `p(99) < 20s`, `proportion <= 3%`, `rate <= 1.5/s`, \
     `count == 0` or `ratio < 1.5`. Judged by a 95 % bound, not by the estimate.",
)
.required();
pub(super) const WARN: Key<Raw> = Key::new(
    "warn",
    Raw(|| Shape::Matching(pattern::any_claim())),
    "warn = \"p(99) < 10s\"",
    "A tighter claim on the same figure, whose breach is a warning.",
);
pub(super) const MIN_SAMPLES: Key<Within<u64>> = Key::new(
    "min_samples",
    Within(1, u32::MAX as u64),
    "min_samples = 500",
    "With fewer samples the objective is INCONCLUSIVE. Default: what could decide the \
     claim if no sample broke it, such as 299 for a p(99).",
)
.unit("samples");
pub(super) const REACH: Key<Raw> = Key::new(
    "reach",
    Raw(|| Shape::Matching(pattern::share())),
    "reach = \"1 %\"",
    "Of a percentile of a metric that flows all the time (`delivery`, `publish`, \
     `heartbeat_rtt`): the share of seconds that may be worse than the claim for all that the run \
     says of other times, at most; a run that says less is INCONCLUSIVE. `1 %` takes 299 seconds, \
     none of which is worse; `100 %` asks nothing. Default: the reach is told, and decides nothing.",
);

/// `[[gate.objective]]`
pub(crate) const TABLE: Table = Table::new(
    "objective",
    "`[[gate.objective]]`",
    "What must hold.",
    &[&METRIC, &WHERE, &AGAINST, &DURING, &REQUIRE, &WARN, &MIN_SAMPLES, &REACH],
)
.cases(cases);

fn cases() -> Vec<Case> {
    let others = MetricId::ALL.iter().filter(|metric| !takes_reach(**metric));
    let others = Case::when(&METRIC, others.map(|metric| metric.name()));
    let mut cases = vec![others.then(&REACH, Shape::Never)];
    cases.extend(MetricKind::ALL.into_iter().map(of_kind));
    for label in LABELS.keys {
        let without = MetricId::ALL.iter().filter(|it| !it.labels().contains(&label.name()));
        let without = Case::when(&METRIC, without.map(|metric| metric.name()));
        cases.push(without.then(&WHERE, Shape::Without(label.name())));
    }
    cases
}

/// What is known of an objective by the kind of its metric.
fn of_kind(kind: MetricKind) -> Case {
    let of_kind = MetricId::ALL.iter().filter(|metric| metric.kind() == kind);
    let claim = Shape::Matching(pattern::claim(kind));
    let case = Case::when(&METRIC, of_kind.map(|metric| metric.name()))
        .then(&REQUIRE, claim.clone())
        .then(&WARN, claim);
    match kind {
        MetricKind::Ratio => case.needs(&AGAINST),
        _ => case.then(&AGAINST, Shape::Never),
    }
}

pub(super) const SURFACE: Key<Raw> = Key::new(
    "surface",
    Raw(|| Shape::Words(each_or(Surface::ALL.into_iter().map(Surface::name)))),
    "surface = \"ios\"",
    "A surface of the fleet, or `*` for each.",
);
pub(super) const RULE: Key<Raw> = Key::new(
    "rule",
    Raw(|| Shape::Words(each_or(RULES.iter().copied()))),
    "rule = \"*\"",
    "A rule of the oracle, or `*` for each.",
);

/// `where`
pub(crate) const LABELS: Table =
    Table::new("where", "`where`", "Labels that samples must carry.", &[&SURFACE, &RULE])
        .replaced();

fn each_or(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    std::iter::once("*").chain(names).collect()
}
