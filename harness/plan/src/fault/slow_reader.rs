//! `slow_reader`: an interval in which clients read slowly, or not at all.
//!
//! Without a small receive buffer the kernel would go on reading for them: it is made small before
//! the first connect of every client that the fault will hit.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

use super::{Advice, Definition, Exercise, Extent, FaultKind, FaultType, Slowness};
use crate::estimate::{Strike, third_strike};
use crate::model::{ActsOn, Plan};
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::Fields;
use crate::read::key::{Key, KeyOr, Raw, Within};
use crate::read::scalar::{Bytes, Flow};
use crate::read::schema::Shape;
use crate::schedule::{PlannedFault, Schedule};
use crate::units;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "slow_reader",
    summary: "Lets its targets read slowly, or not at all, for a while.",
    told: |clients, _| format!("{clients} read slowly, or not at all"),
    mend: "Publish more while it lasts (`rate`, `payload_bytes`), or let it last longer: whom \
           nothing waits for is not slow.",
    acts_on: ActsOn::Clients,
    extent: Extent::Interval,
    by_hand: true,
    exercises: &[Exercise::SlowReading],
    attributes: &[&RATE, &PAUSE, &RCVBUF],
    read,
};

/// An interval in which clients read slowly or not at all. Their sockets are made with a small receive
/// buffer from the first connect on, or the kernel would read for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SlowReader {
    /// Bytes read per second; `None` reads nothing (`pause`).
    #[serde(flatten, serialize_with = "serialize_reading")]
    pub rate_bytes_per_s: Option<u32>,
    /// `SO_RCVBUF` in bytes, set before connect.
    #[serde(rename = "rcvbuf", serialize_with = "crate::units::serialize_bytes")]
    pub rcvbuf_bytes: u32,
}

impl Definition for SlowReader {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn slowness(&self) -> Option<Slowness> {
        let Self { rate_bytes_per_s, rcvbuf_bytes } = *self;
        Some(Slowness { rate_bytes_per_s, rcvbuf_bytes })
    }

    /// Intervals that are too short to be struck in, or only just long enough.
    fn advice(&self, fault: &PlannedFault, plan: &Plan, schedule: &Schedule) -> Option<Advice> {
        let duration_s = fault.duration_us.unwrap_or(0) as f64 / 1e6;
        let help = "lengthen the fault, publish more or larger events, or make the buffers smaller";
        match third_strike(plan, schedule, fault) {
            None => {
                let what = "the slow reader will not be evicted";
                let note =
                    "what is published during the fault does not fill the buffers and the queue";
                Some(Advice::new(what, help).note(note))
            }
            Some(Strike { struck_s, .. }) if duration_s < 2.0 * struck_s => {
                let what = "the slow reader may not be evicted in time";
                let note = format!(
                    "the third strike is expected about {struck_s:.1} s after it begins, and twice \
                     that is longer than its {duration_s} s"
                );
                Some(Advice::new(what, help).note(note))
            }
            Some(_) => None,
        }
    }
}

const RATE: Key<Within<Flow>> = Key::new(
    "rate",
    Within(Flow(1), Flow(1 << 30)),
    "rate = \"2KiB/s\"",
    "How much each target reads, such as `2KiB/s`; or else `pause`.",
)
.alternative();
const PAUSE: Key<Raw> =
    Key::new("pause", Raw(|| Shape::True), "pause = true", "`true`: it reads nothing at all.")
        .alternative();
const RCVBUF: KeyOr<Within<Bytes>> = Key::new(
    "rcvbuf",
    // Linux makes a receive buffer no smaller than about 2 KiB (socket(7)).
    Within(Bytes(2 << 10), Bytes(4 << 20)),
    "rcvbuf = \"8KiB\"",
    "`SO_RCVBUF` of its sockets from the first connect on.",
)
.or(Bytes(4 << 10));

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let cx = attributes.cx;
    let place = attributes.place.clone();
    let (rate, pause) = (attributes.node(&RATE), attributes.node(&PAUSE));
    let neither = !attributes.has(&RATE) && !attributes.has(&PAUSE);
    let rcvbuf = attributes.or(&RCVBUF);
    let reading = match (rate, pause) {
        (Some(_), None) => attributes.get(&RATE).map(|Flow(rate)| Some(rate)),
        (None, Some(node)) => match attributes.get_as(&PAUSE) {
            Some(false) => {
                let what = "`pause = false` does not say how fast the targets read";
                cx.report(Diagnostic::error(&node.place, what).help("write `rate = \"2KiB/s\"`"));
                None
            }
            paused => paused.map(|_| None),
        },
        (Some(_), Some(node)) => {
            let what = "a slow reader either reads at a rate or pauses";
            cx.report(Diagnostic::error(&node.place, what).help("remove `rate` or `pause`"));
            None
        }
        (None, None) => {
            if neither {
                let what = "the slow reader lacks a `rate`";
                let help = "add `rate = \"2KiB/s\"`, or `pause = true`";
                cx.report_missing(Diagnostic::error(&place, what).help(help));
            }
            None
        }
    };
    Some(SlowReader { rate_bytes_per_s: reading?, rcvbuf_bytes: rcvbuf.0 }.into())
}

/// Serde: how fast it reads, as a scenario writes it.
fn serialize_reading<S: Serializer>(
    rate_bytes_per_s: &Option<u32>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    match rate_bytes_per_s {
        Some(rate) => {
            let rate = format!("{}/s", units::format_bytes(u64::from(*rate)));
            map.serialize_entry("rate", &rate)?;
        }
        None => map.serialize_entry("pause", &true)?,
    }
    map.end()
}
