//! `[oracle]` and `[generator]`.

use super::pattern;
use super::shape::Shape;
use super::table::{Key, Table};
use crate::read::tuning::{
    BOUNDS, CONVERGE_WITHIN, DELIVERIES, DRAIN_WITHIN, DRAINS, LAG_SHARE_MAX, LAG_SHARES,
    SETTLE_WITHIN, STORM_MIN_DELIVERIES, THREADS, VIOLATIONS, VIOLATIONS_KEPT, WORKER_THREADS,
};
use crate::units::format_duration;

/// `[oracle]`
pub(super) fn oracle() -> Table {
    let keys = vec![
        Key::new(
            "converge_within",
            Shape::Duration(BOUNDS),
            "From a connect to replay complete and at head.",
        )
        .or(format_duration(CONVERGE_WITHIN)),
        Key::new(
            "settle_within",
            Shape::Duration(BOUNDS),
            "How long a state may lag behind its event.",
        )
        .or(format_duration(SETTLE_WITHIN)),
        Key::new(
            "drain_within",
            Shape::Duration(DRAINS),
            "How long the topics may take to run dry at the end, `0s` for not at all: what has not come by \
             then is undecided.",
        )
        .or(format_duration(DRAIN_WITHIN)),
        Key::new(
            "storm_min_deliveries",
            Shape::integer(DELIVERIES),
            "Deliveries that each client needs on each topic before and after a storm; with fewer \
             it is not judged.",
        )
        .or(STORM_MIN_DELIVERIES),
        Key::new(
            "violations_kept",
            Shape::integer(VIOLATIONS),
            "Violations kept with their story, for each rule.",
        )
        .or(VIOLATIONS_KEPT),
    ];
    Table::new("oracle", "Bounds that the oracle judges with.", keys)
}

/// `[generator]`
pub(super) fn generator() -> Table {
    let address = Shape::Matching(pattern::whole(r"127(?:\.[0-9]{1,3}){3}"));
    let keys = vec![
        Key::new(
            "worker_threads",
            Shape::integer(THREADS),
            "Threads that the clients are dealt out over.",
        )
        .or(WORKER_THREADS),
        Key::new(
            "source_addresses",
            Shape::List(Box::new(address), 1),
            "Loopback addresses that clients connect from, dealt out in turn; each has 28,232 \
             ports.",
        )
        .or(vec!["127.0.0.1"]),
        Key::new(
            "lag_share_max",
            Shape::number(LAG_SHARES),
            "Scheduler lag of the harness, as a share of an objective's own threshold, above which \
             it is unfit to judge it.",
        )
        .or(LAG_SHARE_MAX),
    ];
    Table::new("generator", "The harness itself.", keys)
}
