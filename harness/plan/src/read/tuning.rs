//! `[oracle]` and `[generator]`: the bounds that the oracle judges with, and the harness itself.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key::{Key, KeyOr, Kind, Shaped, Table, Within, Writer};
use super::name;
use super::scalar::{Placed, Read};
use super::schema::{Shape, pattern};
use super::tree::Node;
use crate::model::{Generator, OracleBounds};

const BOUNDS: Within<Duration> = Within(Duration::from_millis(10), Duration::from_secs(3600));

const CONVERGE_WITHIN: KeyOr<Within<Duration>> = Key::new(
    "converge_within",
    BOUNDS,
    "converge_within = \"1m\"",
    "From a connect to replay complete and at head.",
)
.or(Duration::from_secs(30));
const SETTLE_WITHIN: KeyOr<Within<Duration>> = Key::new(
    "settle_within",
    BOUNDS,
    "settle_within = \"5s\"",
    "How long a state may lag behind its event.",
)
.or(Duration::from_secs(2));
const DRAIN_WITHIN: KeyOr<Within<Duration>> = Key::new(
    "drain_within",
    // A run that need not drain leaves open what is still on its way.
    Within(Duration::ZERO, Duration::from_secs(3600)),
    "drain_within = \"30s\"",
    "How long the topics may take to run dry at the end, `0s` for not at all: what has not come by \
     then is undecided.",
)
.or(Duration::from_secs(10));
const STORM_MIN_DELIVERIES: KeyOr<Within<u32>> = Key::new(
    "storm_min_deliveries",
    Within(0, 10_000),
    "storm_min_deliveries = 10",
    "Deliveries that each client needs on each topic before and after a storm; with fewer \
     it is not judged.",
)
.unit("deliveries")
.or(3);
const VIOLATIONS_KEPT: KeyOr<Within<u32>> = Key::new(
    "violations_kept",
    Within(1, 100_000),
    "violations_kept = 1_000",
    "Violations kept with their story, for each rule.",
)
.unit("violations")
.or(100);

/// `[oracle]`
pub(crate) const ORACLE: Table = Table::new(
    "oracle",
    "`[oracle]`",
    "Bounds that the oracle judges with.",
    &[&CONVERGE_WITHIN, &SETTLE_WITHIN, &DRAIN_WITHIN, &STORM_MIN_DELIVERIES, &VIOLATIONS_KEPT],
);

const WORKER_THREADS: KeyOr<Within<u32>> = Key::new(
    "worker_threads",
    Within(1, 256),
    "worker_threads = 4",
    "Threads that the clients are dealt out over.",
)
.unit("threads")
.or(2);
const SOURCE_ADDRESSES: KeyOr<Addresses> = Key::new(
    "source_addresses",
    Addresses,
    "source_addresses = [\"127.0.0.1\", \"127.0.0.2\"]",
    "Loopback addresses that clients connect from, dealt out in turn; each has 28,232 \
     ports.",
)
.or(&[Ipv4Addr::LOCALHOST]);
const LAG_SHARE_MAX: KeyOr<Within<f64>> = Key::new(
    "lag_share_max",
    Within(0.001, 1.0),
    "lag_share_max = 0.2",
    "Scheduler lag of the harness, as a share of an objective's own threshold, above which \
     it is unfit to judge it.",
)
.unit("share of the threshold")
.or(0.1);

/// `[generator]`
pub(crate) const GENERATOR: Table = Table::new(
    "generator",
    "`[generator]`",
    "The harness itself.",
    &[&WORKER_THREADS, &SOURCE_ADDRESSES, &LAG_SHARE_MAX],
);

/// Loopback addresses, each once, at least one.
#[derive(Clone, Copy)]
struct Addresses;

impl Shaped for Addresses {
    fn shape(&self) -> Shape {
        let address = Shape::Matching(pattern::whole(r"127(?:\.[0-9]{1,3}){3}"));
        Shape::List(Box::new(address), 1)
    }
}

impl Kind for Addresses {
    type Value = Vec<Ipv4Addr>;
    type Default = &'static [Ipv4Addr];

    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<Vec<Ipv4Addr>> {
        source_addresses(cx, key, node)
    }

    fn value(&self, default: &'static [Ipv4Addr]) -> Vec<Ipv4Addr> {
        default.to_vec()
    }

    fn toml(&self, value: &Vec<Ipv4Addr>) -> toml::Value {
        value.iter().map(|address| address.to_string().into()).collect::<Vec<toml::Value>>().into()
    }
}

/// Reads `[oracle]`.
pub(crate) fn oracle(fields: Fields<'_>) -> OracleBounds {
    let bounds = OracleBounds {
        converge_within: fields.or(&CONVERGE_WITHIN),
        settle_within: fields.or(&SETTLE_WITHIN),
        drain_within: fields.or(&DRAIN_WITHIN),
        storm_min_deliveries: fields.or(&STORM_MIN_DELIVERIES),
        violations_kept: fields.or(&VIOLATIONS_KEPT),
        advisory: false,
    };
    fields.finish();
    bounds
}

/// Reads `[generator]`.
pub(crate) fn generator(fields: Fields<'_>) -> Option<Generator> {
    let worker_threads = fields.or(&WORKER_THREADS);
    let source_addresses = fields.right(&SOURCE_ADDRESSES);
    let lag_share_max = fields.or(&LAG_SHARE_MAX);
    fields.finish();
    Some(Generator { worker_threads, source_addresses: source_addresses?, lag_share_max })
}

fn source_addresses(cx: &Cx, key: &str, node: &Node) -> Option<Vec<Ipv4Addr>> {
    let texts = Vec::<Placed<String>>::read(cx, key, node)?;
    if texts.is_empty() {
        let what = "without a source address no client can connect";
        let help = "leave `source_addresses` out for `[\"127.0.0.1\"]`";
        cx.report(Diagnostic::error(&node.place, what).help(help));
        return None;
    }
    let placed = texts.iter().map(|text| (text.value.as_str(), &text.place));
    name::report_duplicates(cx, "source address", placed);
    let addresses: Vec<Option<Ipv4Addr>> = texts
        .iter()
        .map(|text| {
            let address = text.value.parse().ok().filter(Ipv4Addr::is_loopback);
            if address.is_none() {
                let what = format!("`{}` is not a loopback address", text.value);
                let help = "write such as `127.0.0.2`; every 127.x.y.z is this machine";
                cx.report(Diagnostic::error(&text.place, what).help(help));
            }
            address
        })
        .collect();
    addresses.into_iter().collect()
}

/// Writes `[oracle]`.
pub(crate) fn write_oracle(out: &mut Writer, oracle: &OracleBounds) {
    out.table("[oracle]");
    out.key(&CONVERGE_WITHIN, &oracle.converge_within);
    out.key(&SETTLE_WITHIN, &oracle.settle_within);
    out.key(&DRAIN_WITHIN, &oracle.drain_within);
    out.key(&STORM_MIN_DELIVERIES, &oracle.storm_min_deliveries);
    out.key(&VIOLATIONS_KEPT, &oracle.violations_kept);
}

/// Writes `[generator]`.
pub(crate) fn write_generator(out: &mut Writer, generator: &Generator) {
    out.table("[generator]");
    out.key(&WORKER_THREADS, &generator.worker_threads);
    out.key(&SOURCE_ADDRESSES, &generator.source_addresses);
    out.key(&LAG_SHARE_MAX, &generator.lag_share_max);
}
