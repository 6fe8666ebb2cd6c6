//! `[[phase.fault]]`: the envelope around a fault, the same for every type.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key::{
    Bool, Case, Declared, Key, KeyOr, Raw, Shaped as _, Table, Text, Within, Words, Writer,
};
use super::phase::DURATIONS;
use super::scalar::Read;
use super::schema::Shape;
use super::suggest;
use super::tree::Node;
use crate::fault::{self, Extent, FaultType, REGISTRY};
use crate::model::{ActsOn, Fault, FaultMode, Fleet};
use crate::schedule::targets_max;
use crate::units::{self, DURATION_MAX};

const TYPE: Key<Raw> = Key::new(
    "type",
    Raw(|| Shape::Words(REGISTRY.iter().map(|fault| fault.name).collect())),
    "type = \"disconnect\"",
    "",
)
.told(|| {
    let about = REGISTRY.iter().map(|fault| format!("`{}`: {}", fault.name, fault.summary));
    about.collect::<Vec<_>>().join(" ")
})
.required();
const AT: KeyOr<Within<Duration>> = Key::new(
    "at",
    Within(Duration::ZERO, DURATION_MAX),
    "at = \"5s\"",
    "When, from the start of its phase; before the phase ends.",
)
.or(Duration::ZERO);
const DURATION: Key<Within<Duration>> = Key::new(
    "duration",
    DURATIONS,
    "duration = \"20s\"",
    "How long it lasts, for a fault that is no instant; it ends with its phase at the latest.",
);
const SPREAD: Key<Within<Duration>> = Key::new(
    "spread",
    DURATIONS,
    "spread = \"10s\"",
    "Over how long it comes to its clients, one after the other at equal gaps from `at` on, so \
     that a race is tried many times; it ends with its phase at the latest.",
);
const MODE: KeyOr<Words<Mode>> = Key::new(
    "mode",
    Words(&[
        ("all", Mode::All),
        ("one", Mode::One),
        ("fixed", Mode::Fixed),
        ("fixed-percent", Mode::FixedPercent),
        ("random-max-percent", Mode::RandomMaxPercent),
    ]),
    "mode = \"fixed-percent\"",
    "Whom it hits, drawn by seed. `fixed`: `value` clients. `fixed-percent`: `value` \
     percent of them. `random-max-percent`: a share drawn between 0 and `value` \
     percent. For faults that act on clients only.",
)
.or(Mode::All);
/// Clients that a fault can name.
const COUNT_MAX: f64 = u32::MAX as f64;
const VALUE: Key<Raw> = Key::new(
    "value",
    Raw(|| Shape::NumberAbove(0.0, COUNT_MAX)),
    "value = 50",
    "Clients for `fixed`; a percentage, at most 100, for `fixed-percent` and \
     `random-max-percent`.",
)
.unit("clients or percent");
/// `value` where it is a number of clients.
const COUNT: Key<Within<u32>> = Key::new("value", Within(1, u32::MAX), "value = 10", "");
const COHORT: Key<Text> = Key::new(
    "cohort",
    Text,
    "cohort = \"far\"",
    "Cohort that it is aimed at. Default: the whole fleet. For faults that act on clients only.",
);
const BY_HAND: KeyOr<Bool> = Key::new("by_hand", Bool, "by_hand = true", "")
    .told(|| {
        let fixed = REGISTRY.iter().filter(|fault| !fault.by_hand).map(|fault| fault.name);
        format!(
            "Whether it happens only if a viewer of `run --dashboard` has switched it on, at the latest a second before \
             its time. One that nobody switches on makes the run a HOLD: it hit none of those that it was planned for. \
             Not of {}.",
            suggest::any_of(fixed)
        )
    })
    .or(false);
const ATTRIBUTES: Key<Raw> = Key::new(
    "attributes",
    Raw(|| Shape::AnyWhole(attributes().map(|table| table.definition()).collect())),
    "attributes = { style = \"reset\" }",
    "What there is to say about a fault of its type.",
);

/// `[[phase.fault]]`
pub(crate) const TABLE: Table = Table::new(
    "fault",
    "`[[phase.fault]]`",
    "Something that goes wrong.",
    &[&TYPE, &AT, &COHORT, &MODE, &VALUE, &DURATION, &SPREAD, &BY_HAND, &ATTRIBUTES],
)
.cases(|| {
    let percent = Case::when(&MODE, ["fixed-percent", "random-max-percent"]);
    let mut cases = vec![
        Case::when(&MODE, ["fixed"]).then(&VALUE, COUNT.kind.shape()).needs(&VALUE),
        percent.then(&VALUE, Shape::NumberAbove(0.0, 100.0)).needs(&VALUE),
    ];
    cases.extend(REGISTRY.iter().map(case));
    cases
});

/// What is known of a fault by its type.
fn case(fault: &FaultType) -> Case {
    let attributes = fault.table();
    let mut case =
        Case::when(&TYPE, [fault.name]).then(&ATTRIBUTES, Shape::Whole(attributes.definition()));
    if attributes.is_needed() {
        case = case.needs(&ATTRIBUTES);
    }
    case = match fault.extent {
        Extent::Interval => case.needs(&DURATION).then(&SPREAD, Shape::Never),
        Extent::Instant => case.then(&DURATION, Shape::Never).then(&SPREAD, Shape::Never),
        Extent::InstantOrInterval => case.then(&SPREAD, Shape::Never),
        Extent::InstantOfEach => case.then(&DURATION, Shape::Never),
    };
    match fault.acts_on {
        ActsOn::Clients => case,
        ActsOn::Target => AIM.into_iter().fold(case, |case, key| case.then(key, Shape::Never)),
    }
}

/// What chooses among clients.
const AIM: [&dyn Declared; 3] = [&MODE, &VALUE, &COHORT];

/// The attributes of each type of fault.
pub(crate) fn attributes() -> impl Iterator<Item = Table> {
    REGISTRY.iter().map(FaultType::table)
}

/// Reads one fault of a phase that is `phase` long, in this fleet, where they are known.
pub(crate) fn read(
    cx: &Cx,
    node: &Node,
    phase: Option<Duration>,
    fleet: Option<&Fleet>,
) -> Option<Fault> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let (known, fault_type) = fault_type(&mut fields);
    let at = at(&fields, phase);
    let aim = match fault_type.map(|fault_type| fault_type.acts_on) {
        Some(ActsOn::Target) => no_aim(&fields),
        Some(ActsOn::Clients) => aim(&mut fields, fleet),
        None => unknown_aim(&fields, fleet),
    };
    let duration = match fault_type.map(|fault_type| fault_type.extent) {
        Some(Extent::Interval) => interval(&mut fields, at, phase).map(Some),
        Some(Extent::InstantOrInterval) if fields.has(&DURATION) => {
            interval(&mut fields, at, phase).map(Some)
        }
        Some(Extent::InstantOrInterval) => Some(None),
        Some(Extent::Instant | Extent::InstantOfEach) => no_duration(&fields),
        None => fields.get(&DURATION).map(Some),
    };
    let spread = match fault_type.map(|fault_type| fault_type.extent) {
        Some(Extent::InstantOfEach) => spread(&fields, at, phase),
        Some(Extent::Instant | Extent::Interval | Extent::InstantOrInterval) => no_spread(&fields),
        None => fields.get(&SPREAD).map(Some),
    };
    let kind = fault_type.and_then(|fault_type| {
        let mut attributes = fields.inner(&ATTRIBUTES, &fault_type.table());
        let kind = (fault_type.read)(&mut attributes);
        attributes.finish();
        kind
    });
    let by_hand = by_hand(&fields, fault_type);
    fields.finish();
    known?;
    let (mode, cohort) = aim?;
    let (kind, at, by_hand) = (kind?, at?, by_hand?);
    Some(Fault { kind, at, duration: duration?, spread: spread?, mode, cohort, by_hand })
}

/// Its type; and as what the rest of it is read: where the name is nearly that of a type, as that one, so that all
/// mistakes are told at once.
fn fault_type(fields: &mut Fields<'_>) -> (Option<&'static FaultType>, Option<&'static FaultType>) {
    let node = fields.need_node(&TYPE);
    let Some((node, name)) =
        node.and_then(|node| Some((node, String::read(fields.cx, TYPE.name, node)?)))
    else {
        return (None, None);
    };
    let found = fault::of(&name);
    if found.is_some() {
        return (found, found);
    }
    let served = fault::REGISTRY.iter().map(|fault| fault.name);
    let meant = suggest::closest(&name, served.clone()).and_then(fault::of);
    let diagnostic = Diagnostic::error(&node.place, format!("there is no fault `{name}`"))
        .help(suggest::did_you_mean(&name, served));
    fields.cx.report(diagnostic);
    (None, meant)
}

fn at(fields: &Fields<'_>, phase: Option<Duration>) -> Option<Duration> {
    let at = fields.right(&AT)?;
    if let (Some(phase), Some(node)) = (phase.filter(|phase| at >= *phase), fields.node(&AT)) {
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
    let duration = fields.need(&DURATION)?;
    let (at, phase) = (at?, phase?);
    if let (true, Some(node)) = (at < phase && at + duration > phase, fields.node(&DURATION)) {
        let (end, phase) = (units::format_duration(at + duration), units::format_duration(phase));
        let what = format!("the fault ends at {end}, after its phase, which is {phase} long");
        let help = "shorten the fault, or lengthen the phase";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    Some(duration)
}

/// Over how long a fault comes to its clients: the last one's instant is in the phase.
fn spread(
    fields: &Fields<'_>,
    at: Option<Duration>,
    phase: Option<Duration>,
) -> Option<Option<Duration>> {
    if !fields.has(&SPREAD) {
        return Some(None);
    }
    let spread = fields.get(&SPREAD)?;
    let (at, phase) = (at?, phase?);
    if let (true, Some(node)) = (at < phase && at + spread > phase, fields.node(&SPREAD)) {
        let (end, phase) = (units::format_duration(at + spread), units::format_duration(phase));
        let what = format!(
            "the fault comes to its last client at {end}, after its phase, which is {phase} long"
        );
        let help = "shorten the spread, or lengthen the phase";
        fields.cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    Some(Some(spread))
}

/// Whether somebody has to switch it on.
fn by_hand(fields: &Fields<'_>, fault_type: Option<&FaultType>) -> Option<bool> {
    let by_hand = fields.right(&BY_HAND)?;
    if let (true, false, Some(node)) = (by_hand, fault_type?.by_hand, fields.node(&BY_HAND)) {
        let what = "this fault is part of the load, and cannot be switched by hand";
        fields.cx.report(Diagnostic::error(&node.place, what).help("remove `by_hand`"));
    }
    Some(by_hand)
}

fn no_spread(fields: &Fields<'_>) -> Option<Option<Duration>> {
    if let Some(node) = fields.node(&SPREAD) {
        let what = "this fault comes to all at once and has no spread";
        fields.cx.report(Diagnostic::error(&node.place, what).help("remove `spread`"));
    }
    Some(None)
}

fn no_duration(fields: &Fields<'_>) -> Option<Option<Duration>> {
    if let Some(node) = fields.node(&DURATION) {
        let what = "the fault happens at an instant and has no duration";
        fields.cx.report(Diagnostic::error(&node.place, what).help("remove `duration`"));
    }
    Some(None)
}

/// To whom it happens, and in which cohort.
type Aim = (FaultMode, Option<String>);

/// The aim of a fault that acts on the target: there is nothing to choose.
fn no_aim(fields: &Fields<'_>) -> Option<Aim> {
    for key in AIM {
        if let Some(node) = fields.node(key) {
            let key = key.name();
            let what = format!("the fault acts on the target, so `{key}` chooses nobody");
            fields.cx.report(Diagnostic::error(&node.place, what).help(format!("remove `{key}`")));
        }
    }
    Some((FaultMode::All, None))
}

/// What can be said of an aim that may not even be one: that there is no such cohort.
fn unknown_aim(fields: &Fields<'_>, fleet: Option<&Fleet>) -> Option<Aim> {
    let _ = crowd_of(fields, fields.node(&COHORT)?, &fields.get(&COHORT)?, fleet);
    None
}

/// The clients among whom a mode chooses.
struct Crowd {
    /// As messages call them.
    name: String,
    clients: u32,
}

fn aim(fields: &mut Fields<'_>, fleet: Option<&Fleet>) -> Option<Aim> {
    let Some(node) = fields.node(&COHORT) else {
        let crowd = fleet
            .map(|fleet| Crowd { name: "the fleet".to_owned(), clients: fleet.clients_peak() });
        let mode = mode(fields, crowd.filter(|_| !fields.has(&COHORT)));
        return Some((mode?, None)).filter(|_| !fields.has(&COHORT));
    };
    let name = fields.get(&COHORT);
    let crowd = name.as_ref().and_then(|name| crowd_of(fields, node, name, fleet));
    let mode = mode(fields, crowd);
    Some((mode?, Some(name?)))
}

/// The clients of a cohort; that there is no such one is reported.
fn crowd_of(fields: &Fields<'_>, node: &Node, name: &str, fleet: Option<&Fleet>) -> Option<Crowd> {
    let fleet = fleet?;
    let cohort = fleet.cohorts.iter().find(|cohort| cohort.name == name);
    if cohort.is_none() {
        let known: Vec<&str> = fleet.cohorts.iter().map(|c| c.name.as_str()).collect();
        let what = format!("the fleet has no cohort `{name}`");
        let help = suggest::did_you_mean(name, known);
        fields.cx.report_missing(Diagnostic::error(&node.place, what).help(help));
    }
    let clients = cohort?.clients;
    Some(Crowd { name: format!("the cohort `{name}`"), clients })
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    One,
    All,
    Fixed,
    FixedPercent,
    RandomMaxPercent,
}

fn mode(fields: &mut Fields<'_>, crowd: Option<Crowd>) -> Option<FaultMode> {
    let mode = match fields.right(&MODE) {
        Some(Mode::All) => no_value(fields, "all").map(|()| FaultMode::All),
        Some(Mode::One) => no_value(fields, "one").map(|()| FaultMode::One),
        Some(Mode::Fixed) => fields.need(&COUNT).map(FaultMode::Fixed),
        Some(Mode::FixedPercent) => percent(fields).map(FaultMode::FixedPercent),
        Some(Mode::RandomMaxPercent) => percent(fields).map(FaultMode::RandomMaxPercent),
        None => {
            examine_value(fields);
            None
        }
    }?;
    if let (Some(Crowd { name, clients }), Some(node)) = (crowd, fields.node(&VALUE)) {
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

fn no_value(fields: &Fields<'_>, mode: &str) -> Option<()> {
    fields.no_effect_by(&VALUE, fields.node(&MODE), &format!("with `mode = \"{mode}\"`"));
    examine_value(fields);
    Some(())
}

/// Reports what is wrong with a `value` of which nobody knows what it counts.
fn examine_value(fields: &Fields<'_>) {
    let value = fields.get_as::<f64>(&VALUE).filter(|value| !(*value > 0.0 && *value <= COUNT_MAX));
    if let (Some(value), Some(node)) = (value, fields.node(&VALUE)) {
        let what = format!("`value` is {value}; it must be above 0 and at most {COUNT_MAX}");
        fields.cx.report(Diagnostic::error(&node.place, what));
    }
}

fn percent(fields: &mut Fields<'_>) -> Option<f64> {
    let node = fields.need_node(&VALUE)?;
    let value = f64::read(fields.cx, VALUE.name, node)?;
    if value > 0.0 && value <= 100.0 {
        return Some(value);
    }
    let what = format!("`value` is {value}; a percentage is above 0 and at most 100");
    fields.cx.report(Diagnostic::error(&node.place, what));
    None
}

/// Writes a fault.
pub(crate) fn write(out: &mut Writer, fault: &Fault) {
    out.table("[[phase.fault]]");
    out.raw(&TYPE, fault.kind.name());
    out.key(&AT, &fault.at);
    out.some(&DURATION, fault.duration.as_ref());
    out.some(&SPREAD, fault.spread.as_ref());
    if fault.kind.acts_on() == ActsOn::Clients {
        out.some(&COHORT, fault.cohort.as_ref());
        write_mode(out, fault.mode);
    }
    if fault.by_hand {
        out.key(&BY_HAND, &fault.by_hand);
    }
    if let Ok(attributes) = toml::Value::try_from(&fault.kind) {
        out.raw(&ATTRIBUTES, attributes);
    }
}

fn write_mode(out: &mut Writer, mode: FaultMode) {
    let (mode, value) = match mode {
        FaultMode::One => (Mode::One, None),
        FaultMode::All => (Mode::All, None),
        FaultMode::Fixed(count) => (Mode::Fixed, Some(toml::Value::from(count))),
        FaultMode::FixedPercent(share) => (Mode::FixedPercent, Some(share.into())),
        FaultMode::RandomMaxPercent(share) => (Mode::RandomMaxPercent, Some(share.into())),
    };
    out.key(&MODE, &mode);
    value.into_iter().for_each(|value| out.raw(&VALUE, value));
}
