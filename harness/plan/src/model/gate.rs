//! Gates as the judge reads them: claims are numbers by now, their text is kept for people.

use std::collections::BTreeMap;

use crate::metric::MetricId;

/// The gate that is always judged: the rules of the oracle.
pub const ORACLE_GATE: &str = "oracle";
/// The gate that is always judged: what befell the run although nobody planned it.
pub const STABILITY_GATE: &str = "stability";

/// A gate: a named set of objectives.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// Its name, such as `reconnect`.
    pub name: String,
    /// Whether this run judges it; a gate that is not judged never counts as passed.
    pub judged: bool,
    /// Whether it decides nothing: it is judged and shown.
    pub advisory: bool,
    /// What must hold.
    pub objectives: Vec<Objective>,
}

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// What is measured.
    pub metric: MetricId,
    /// Labels the samples must carry; `*` gives one verdict for each value in the run.
    pub selector: BTreeMap<String, String>,
    /// Phases whose samples count, by name.
    pub during: Vec<String>,
    /// Phases that a ratio compares with, by name; empty for every other estimator.
    pub against: Vec<String>,
    /// The claim.
    pub require: Claim,
    /// A tighter claim whose breach is a warning.
    pub warn: Option<Claim>,
    /// Fewer samples are INCONCLUSIVE.
    pub min_samples: u64,
    /// The share of seconds that may be worse than the claim for all that the run says of other times, at
    /// most; `None` asks nothing.
    pub reach: Option<f64>,
}

/// `estimator < bound`, as written and as understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// As written.
    pub text: String,
    /// What is estimated.
    pub estimator: Estimator,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what; microseconds for latencies, a fraction for proportions, per second for rates.
    pub bound: f64,
}

/// What is estimated of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Estimator {
    /// `p(q)`: the q-th percentile of a latency, q in percent.
    Percentile(f64),
    /// `proportion`: bad over all.
    Proportion,
    /// `rate`: per second.
    Rate,
    /// `count`: exact.
    Count,
    /// `ratio`: the metric's p99 during its phases over that of the phases it is held `against`.
    Ratio,
    /// `max`: the largest sample; exact, for what must never be exceeded.
    Max,
}

/// How an estimate is compared with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`, for counts.
    Equal,
}
