//! `disconnect`: cuts sockets at an instant; each client then comes back by its own back-off.

use std::time::Duration;

use serde::Serialize;

use super::{Advice, Definition, Extent, FaultKind, FaultType};
use crate::model::{ActsOn, DisconnectStyle, Plan};
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::Fields;
use crate::read::key::{Key, KeyOr, Within, Words};
use crate::schedule::{PlannedFault, Schedule};
use crate::units::format_duration;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "disconnect",
    summary: "Cuts the sockets of its targets at one instant.",
    told: |clients, n| format!("{clients} {} cut off", if n == 1 { "is" } else { "are" }),
    mend: "Give its targets the time to connect before it, and to come back after it (longer \
           phases, more time between faults); where they are refused, `upgrade` and `join` under \
           Requests say how.",
    acts_on: ActsOn::Clients,
    extent: Extent::InstantOfEach,
    by_hand: true,
    exercises: &[],
    attributes: &[&STYLE, &CLOSE_CODE],
    read,
};

/// Intervals of heartbeats until clients are back from a half-open cut: the answer to the next is missed at the one
/// after it, and some to spare.
const TO_NOTICE: u32 = 3;

/// Cuts sockets, at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Disconnect {
    /// How the cut looks to the target.
    #[serde(flatten)]
    pub style: DisconnectStyle,
}

impl Definition for Disconnect {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn away(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    /// Nobody tells the client of a half-open cut. Its next heartbeat is due within an interval and gets no
    /// answer, and the one after that finds it missing.
    fn noticed_after(&self, heartbeat: Duration) -> (Duration, Duration) {
        match self.style {
            DisconnectStyle::HalfOpen => (heartbeat, 2 * heartbeat),
            _ => (Duration::ZERO, Duration::ZERO),
        }
    }

    fn closes_in_order(&self) -> u64 {
        u64::from(matches!(self.style, DisconnectStyle::Close { .. }))
    }

    fn advice(&self, fault: &PlannedFault, plan: &Plan, schedule: &Schedule) -> Option<Advice> {
        let phase = &schedule.phases[usize::from(fault.phase)];
        let left = Duration::from_micros(phase.end_us.saturating_sub(fault.at_us));
        let heartbeats = plan.fleet.cohorts.iter().map(|cohort| cohort.heartbeat);
        let needed = TO_NOTICE * heartbeats.max().unwrap_or_default();
        (self.style == DisconnectStyle::HalfOpen && left < needed).then(|| {
            let what = "the phase is too short for clients to notice a half-open socket";
            let note = format!(
                "{} of it are left; they notice at a heartbeat that goes unanswered by the next, and {} are needed",
                format_duration(left),
                format_duration(needed)
            );
            Advice::new(what, "lengthen the phase").note(note)
        })
    }
}

const STYLE: KeyOr<Words<Style>> = Key::new(
    "style",
    Words(&[("close", Style::Close), ("reset", Style::Reset), ("half_open", Style::HalfOpen)]),
    "style = \"reset\"",
    "`close`: a close frame, then FIN. `reset`: RST and nothing else. `half_open`: \
     neither side is told, the client notices at a heartbeat.",
)
.or(Style::Close);
const CLOSE_CODE: KeyOr<Within<u32>> = Key::new(
    "close_code",
    Within(1000, 4999),
    "close_code = 1001",
    "Code of the close frame, for `close` only.",
)
.or(1000);
/// Codes that RFC 6455, section 7.4, lets an endpoint put into a close frame.
const SENDABLE: [std::ops::RangeInclusive<u32>; 3] = [1000..=1003, 1007..=1014, 3000..=4999];

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Close,
    Reset,
    HalfOpen,
}

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let style = match attributes.right(&STYLE) {
        Some(Style::Reset) => {
            let why = "with `style = \"reset\"`: a reset has no close frame";
            attributes.no_effect(&CLOSE_CODE, why);
            DisconnectStyle::Reset
        }
        Some(Style::HalfOpen) => {
            let why = "with `style = \"half_open\"`: nobody is told";
            attributes.no_effect(&CLOSE_CODE, why);
            DisconnectStyle::HalfOpen
        }
        Some(Style::Close) => DisconnectStyle::Close { code: close_code(attributes)? },
        None => {
            let _ = close_code(attributes);
            return None;
        }
    };
    Some(Disconnect { style }.into())
}

fn close_code(attributes: &mut Fields<'_>) -> Option<u16> {
    let code = attributes.or(&CLOSE_CODE);
    if !SENDABLE.iter().any(|range| range.contains(&code))
        && let Some(node) = attributes.node(&CLOSE_CODE)
    {
        let what = format!("no endpoint may send the close code {code}");
        let help = "use 1000 to 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455, section 7.4)";
        attributes.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    u16::try_from(code).ok()
}
