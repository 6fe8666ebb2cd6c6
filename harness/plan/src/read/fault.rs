//! `[[phase.fault]]`: the envelope around a fault, the same for every type.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::phase::DURATIONS;
use super::scalar::Read;
use super::suggest;
use super::tree::Node;
use crate::fault::{self, Extent, FaultType};
use crate::model::{ActsOn, Fault, FaultMode, Fleet};
use crate::schedule::targets_max;
use crate::units;

/// Reads one fault of a phase that is `phase` long, in this fleet, where they are known.
pub(crate) fn read(
    cx: &Cx,
    node: &Node,
    phase: Option<Duration>,
    fleet: Option<&Fleet>,
) -> Option<Fault> {
    let mut fields = Fields::of(cx, node, "`[[phase.fault]]`")?;
    let fault_type = fault_type(&mut fields);
    let at = at(&mut fields, phase);
    let aim = match fault_type.map(|fault_type| fault_type.acts_on) {
        Some(ActsOn::Target) => no_aim(&mut fields),
        Some(ActsOn::Clients) => aim(&mut fields, fleet),
        None => {
            // Asked for, so that they are not called unknown beside the real mistake.
            let _ = ["mode", "value", "cohort"].map(|key| fields.node(key));
            None
        }
    };
    let duration = match fault_type.map(|fault_type| fault_type.extent) {
        Some(Extent::Interval) => interval(&mut fields, at, phase).map(Some),
        Some(Extent::InstantOrInterval) if fields.has("duration") => {
            interval(&mut fields, at, phase).map(Some)
        }
        Some(Extent::InstantOrInterval) => Some(None),
        Some(Extent::Instant | Extent::InstantOfEach) => no_duration(&mut fields),
        None => fields.node("duration").map(|_| None),
    };
    let spread = match fault_type.map(|fault_type| fault_type.extent) {
        Some(Extent::InstantOfEach) => spread(&mut fields, at, phase),
        Some(Extent::Instant | Extent::Interval | Extent::InstantOrInterval) => {
            no_spread(&mut fields)
        }
        None => fields.node("spread").map(|_| None),
    };
    let attributes = fields.node("attributes");
    let kind = fault_type.and_then(|fault_type| {
        let mut attributes = Fields::or_empty(cx, attributes, &fields.place, "`attributes`");
        let kind = (fault_type.read)(&mut attributes);
        attributes.finish();
        kind
    });
    fields.finish();
    let (mode, cohort) = aim?;
    Some(Fault { kind: kind?, at: at?, duration: duration?, spread: spread?, mode, cohort })
}

fn fault_type(fields: &mut Fields<'_>) -> Option<&'static FaultType> {
    let node = fields.need_node("type", "type = \"disconnect\"")?;
    let name = String::read(fields.cx, "type", node)?;
    let found = fault::of(&name);
    if found.is_none() {
        let served = fault::REGISTRY.iter().map(|fault| fault.name);
        let diagnostic = Diagnostic::error(&node.place, format!("there is no fault `{name}`"))
            .help(suggest::did_you_mean(&name, served));
        fields.cx.report(diagnostic);
    }
    found
}

fn at(fields: &mut Fields<'_>, phase: Option<Duration>) -> Option<Duration> {
    let Some(node) = fields.node("at") else {
        return (!fields.has("at")).then_some(Duration::ZERO);
    };
    let at = Duration::read(fields.cx, "at", node)?;
    if let Some(phase) = phase.filter(|phase| at >= *phase) {
        let (at, phase) = (units::format_duration(at), units::format_duration(phase));
        let what = format!("the fault is due at {at}, after its phase, which is {phase} long");
        let help = "`at` counts from the start of the phase";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    Some(at)
}

/// How long an interval lasts: it ends with its phase at the latest.
fn interval(
    fields: &mut Fields<'_>,
    at: Option<Duration>,
    phase: Option<Duration>,
) -> Option<Duration> {
    let duration = fields.need_within("duration", "duration = \"20s\"", DURATIONS)?;
    let (at, phase) = (at?, phase?);
    if let (true, Some(node)) = (at < phase && at + duration > phase, fields.node("duration")) {
        let (end, phase) = (units::format_duration(at + duration), units::format_duration(phase));
        let what = format!("the fault ends at {end}, after its phase, which is {phase} long");
        let help = "shorten the fault, or lengthen the phase";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    Some(duration)
}

/// Over how long a fault comes to its clients: the last one's instant is in the phase.
fn spread(
    fields: &mut Fields<'_>,
    at: Option<Duration>,
    phase: Option<Duration>,
) -> Option<Option<Duration>> {
    if !fields.has("spread") {
        return Some(None);
    }
    let spread = fields.within("spread", DURATIONS)?;
    let (at, phase) = (at?, phase?);
    if let (true, Some(node)) = (at < phase && at + spread > phase, fields.node("spread")) {
        let (end, phase) = (units::format_duration(at + spread), units::format_duration(phase));
        let what = format!(
            "the fault comes to its last client at {end}, after its phase, which is {phase} long"
        );
        let help = "shorten the spread, or lengthen the phase";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    Some(Some(spread))
}

fn no_spread(fields: &mut Fields<'_>) -> Option<Option<Duration>> {
    if let Some(node) = fields.node("spread") {
        let what = "this fault comes to all at once and has no spread";
        fields.cx.report(Diagnostic::error(&node.place, what).help("remove `spread`"));
    }
    Some(None)
}

fn no_duration(fields: &mut Fields<'_>) -> Option<Option<Duration>> {
    if let Some(node) = fields.node("duration") {
        let what = "the fault happens at an instant and has no duration";
        fields.cx.report(Diagnostic::error(&node.place, what).help("remove `duration`"));
    }
    Some(None)
}

/// To whom it happens, and in which cohort.
type Aim = (FaultMode, Option<String>);

/// The aim of a fault that acts on the target: there is nothing to choose.
fn no_aim(fields: &mut Fields<'_>) -> Option<Aim> {
    for key in ["mode", "value", "cohort"] {
        if let Some(node) = fields.node(key) {
            let what = format!("the fault acts on the target, so `{key}` chooses nobody");
            fields.cx.report(Diagnostic::error(&node.place, what).help(format!("remove `{key}`")));
        }
    }
    Some((FaultMode::All, None))
}

/// The clients among whom a mode chooses.
struct Crowd {
    /// As messages call them.
    name: String,
    clients: u32,
}

fn aim(fields: &mut Fields<'_>, fleet: Option<&Fleet>) -> Option<Aim> {
    let Some(node) = fields.node("cohort") else {
        let crowd =
            fleet.map(|fleet| Crowd { name: "the fleet".to_owned(), clients: fleet.clients });
        let mode = mode(fields, crowd.filter(|_| !fields.has("cohort")));
        return Some((mode?, None)).filter(|_| !fields.has("cohort"));
    };
    let name = String::read(fields.cx, "cohort", node);
    let crowd = fleet.zip(name.as_ref()).and_then(|(fleet, name)| {
        let cohort = fleet.cohorts.iter().find(|cohort| cohort.name == *name);
        if cohort.is_none() {
            let known: Vec<&str> = fleet.cohorts.iter().map(|c| c.name.as_str()).collect();
            let what = format!("the fleet has no cohort `{name}`");
            let help = suggest::did_you_mean(name, known);
            fields.cx.report_missing(Diagnostic::error(&node.place, what).help(help));
        }
        let clients = cohort?.clients;
        Some(Crowd { name: format!("the cohort `{name}`"), clients })
    });
    let mode = mode(fields, crowd);
    Some((mode?, Some(name?)))
}

pub(crate) const MODES: [(&str, Mode); 5] = [
    ("all", Mode::All),
    ("one", Mode::One),
    ("fixed", Mode::Fixed),
    ("fixed-percent", Mode::FixedPercent),
    ("random-max-percent", Mode::RandomMaxPercent),
];
pub(crate) const COUNTS: std::ops::RangeInclusive<u32> = 1..=u32::MAX;

#[derive(Clone, Copy)]
pub(crate) enum Mode {
    One,
    All,
    Fixed,
    FixedPercent,
    RandomMaxPercent,
}

fn mode(fields: &mut Fields<'_>, crowd: Option<Crowd>) -> Option<FaultMode> {
    let mode = match fields.keyword_or("mode", Mode::All, &MODES) {
        Some(Mode::All) => no_value(fields, "all").map(|()| FaultMode::All),
        Some(Mode::One) => no_value(fields, "one").map(|()| FaultMode::One),
        Some(Mode::Fixed) => {
            fields.need_within("value", "value = 10", COUNTS).map(FaultMode::Fixed)
        }
        Some(Mode::FixedPercent) => percent(fields).map(FaultMode::FixedPercent),
        Some(Mode::RandomMaxPercent) => percent(fields).map(FaultMode::RandomMaxPercent),
        None => {
            let _ = fields.node("value");
            None
        }
    }?;
    if let (Some(Crowd { name, clients }), Some(node)) = (crowd, fields.node("value")) {
        let complain = |what: String, help: &str| {
            fields.cx.report(Diagnostic::error(&node.place, what).help(help));
        };
        match mode {
            FaultMode::Fixed(count) if count > clients => complain(
                format!("the fault hits {count} clients, but {name} has {clients}"),
                "use `mode = \"all\"`, or a smaller value",
            ),
            _ if targets_max(mode, clients) == 0 => complain(
                format!("so small a share of {clients} clients is nobody"),
                "raise `value`, or use `mode = \"one\"`",
            ),
            _ => {}
        }
    }
    Some(mode)
}

fn no_value(fields: &mut Fields<'_>, mode: &str) -> Option<()> {
    fields.no_effect("value", &format!("with `mode = \"{mode}\"`"));
    Some(())
}

fn percent(fields: &mut Fields<'_>) -> Option<f64> {
    let node = fields.need_node("value", "value = 50")?;
    let value = f64::read(fields.cx, "value", node)?;
    if value > 0.0 && value <= 100.0 {
        return Some(value);
    }
    let what = format!("`value` is {value}; a percentage is above 0 and at most 100");
    fields.cx.report(Diagnostic::error(&node.place, what));
    None
}
