//! `[[phase]]`: the parts of a run, one after the other.

use std::time::Duration;

use super::diagnostic::Diagnostic;
use super::fault;
use super::fields::{Cx, Fields};
use super::key::{self, Bool, Key, KeyOr, Name, Raw, Table, Within, Writer};
use super::scalar::{Placed, Read};
use super::schema::Shape;
use super::source::Place;
use super::tree::Node;
use super::{name, suggest};
use crate::model::{DRAIN, Fleet, Phase, RAMP};
use crate::units::DURATION_MAX;

/// How long a phase, or a fault in it, may be.
pub(crate) const DURATIONS: Within<Duration> = Within(Duration::from_millis(1), DURATION_MAX);

const NAME: Key<Name> = Key::new(
    "name",
    Name,
    "name = \"steady\"",
    "Its name, unique; objectives refer to it. Every run also has `ramp` before and \
     `drain` after the phases.",
)
.required();
const DURATION: Key<Within<Duration>> =
    Key::new("duration", DURATIONS, "duration = \"20s\"", "How long it is.").required();
const MEASURE: KeyOr<Bool> = Key::new(
    "measure",
    Bool,
    "measure = false",
    "Whether its samples may be judged; they are kept in any case.",
)
.or(true);
const FAULT: Key<Raw> = Key::new(
    "fault",
    Raw(|| Shape::Tables("fault", 0)),
    "[[phase.fault]]",
    "What goes wrong in it.",
);

/// `[[phase]]`
pub(crate) const TABLE: Table =
    Table::new("phase", "`[[phase]]`", "A part of the run.", &[&NAME, &DURATION, &MEASURE, &FAULT]);

/// What the rest of the scenario may know of a phase, right or wrong in itself.
#[derive(Clone)]
pub(crate) struct Declared {
    pub name: Placed<String>,
    pub measure: bool,
}

/// All phases, and what can be known of them even when one is wrong.
#[derive(Default)]
pub(crate) struct Phases {
    pub declared: Vec<Declared>,
    pub fault_places: Vec<Place>,
    pub phases: Option<Vec<Phase>>,
}

/// Reads all phases of a run with this fleet, if that is known.
pub(crate) fn read_all(
    scenario: &Fields<'_>,
    key: &dyn key::Declared,
    fleet: Option<&Fleet>,
) -> Phases {
    let cx = scenario.cx;
    let Some(nodes) = scenario.tables(key) else { return Phases::default() };
    if nodes.is_empty() {
        let what = "the scenario has no phase, so there is nothing to run";
        let help = "add `[[phase]]` with `name = \"steady\"` and `duration = \"20s\"`";
        cx.report_missing(Diagnostic::error(&scenario.place, what).help(help));
        return Phases::default();
    }
    let mut out = Phases::default();
    let phases: Vec<Option<Phase>> =
        nodes.into_iter().map(|node| one(cx, node, fleet, &mut out)).collect();
    let names = out.declared.iter().map(|phase| (phase.name.value.as_str(), &phase.name.place));
    name::report_duplicates(cx, "phase", names);
    out.phases = phases.into_iter().collect();
    out
}

fn one(cx: &Cx, node: &Node, fleet: Option<&Fleet>, out: &mut Phases) -> Option<Phase> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let name = fields.need_placed(&NAME);
    if let Some(name) = name.as_ref().filter(|name| [RAMP, DRAIN].contains(&name.value.as_str())) {
        let what = format!("`{}` is the name of a phase that every run has", name.value);
        let help = "call this one something else";
        cx.report(Diagnostic::error(&name.place, what).label("reserved").help(help));
    }
    let duration = fields.need(&DURATION);
    let measure = fields.or(&MEASURE);
    out.declared.extend(name.clone().map(|name| Declared { name, measure }));
    let nodes = fields.tables(&FAULT).unwrap_or_default();
    let read = |node: &Node| (fault::read(cx, node, duration, fleet), node.place.clone());
    let mut faults: Vec<_> = nodes.into_iter().map(read).collect();
    // In the order of time, so that they are numbered as they come; those of one instant as they are written.
    faults.sort_by_key(|(fault, _)| fault.as_ref().map(|fault| fault.at));
    fields.finish();
    let (faults, places): (Vec<_>, Vec<_>) = faults.into_iter().unzip();
    out.fault_places.extend(places);
    let faults = faults.into_iter().collect::<Option<_>>();
    Some(Phase { name: name?.value, duration: duration?, measure, faults: faults? })
}

/// Reads a list of names of phases, each once.
pub(crate) fn names(cx: &Cx, key: &str, node: &Node) -> Option<Vec<Placed<String>>> {
    let names = Vec::<Placed<String>>::read(cx, key, node)?;
    let placed = names.iter().map(|name| (name.value.as_str(), &name.place));
    name::report_duplicates(cx, "phase", placed);
    Some(names)
}

/// The declared phase of this name; reports when there is none. `besides` are names that would have
/// done too.
pub(crate) fn find<'a>(
    cx: &Cx,
    declared: &'a [Declared],
    name: &Placed<String>,
    besides: &[&str],
) -> Option<&'a Declared> {
    let found = declared.iter().find(|phase| phase.name.value == name.value);
    if found.is_none() {
        let known = declared.iter().map(|phase| phase.name.value.as_str());
        let known: Vec<&str> = known.chain(besides.iter().copied()).collect();
        let what = format!("there is no phase `{}`", name.value);
        let help = suggest::did_you_mean(&name.value, known);
        cx.report_missing(Diagnostic::error(&name.place, what).help(help));
    }
    found
}

/// Writes a phase.
pub(crate) fn write(out: &mut Writer, phase: &Phase) {
    out.table("[[phase]]");
    out.key(&NAME, &phase.name);
    out.key(&DURATION, &phase.duration);
    out.key(&MEASURE, &phase.measure);
    phase.faults.iter().for_each(|fault| fault::write(out, fault));
}
