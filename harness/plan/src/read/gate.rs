//! `[[gate]]`: named sets of objectives.

use khala_wire::topic::TopicId;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key::{Bool, Case, Key, KeyOr, Name, Raw, Table, Writer};
use super::objective::{self, Scope};
use super::scalar::{Placed, Read};
use super::schema::Shape;
use super::source::Place;
use super::tree::Node;
use super::{name, scenario, suggest};
use crate::model::{Gate, ORACLE_GATE, Objective, STABILITY_GATE};

/// Gates that are always judged; a scenario can say of them that they decide nothing.
const BUILT_IN: [&str; 2] = [ORACLE_GATE, STABILITY_GATE];

const NAME: Key<Name> =
    Key::new("name", Name, "name = \"reconnect\"", "Its name, unique; profiles judge by it.")
        .required();
const ADVISORY: KeyOr<Bool> = Key::new(
    "advisory",
    Bool,
    "advisory = true",
    "Whether it decides nothing: it is judged and shown. Of the gates that are always judged, \
     `oracle` and `stability`, this is all that can be said.",
)
.or(false);
const OBJECTIVE: Key<Raw> = Key::new(
    "objective",
    Raw(|| Shape::Tables("objective", 0)),
    "[[gate.objective]]",
    "What must hold.",
);

/// `[[gate]]`
pub(crate) const TABLE: Table =
    Table::new("gate", "`[[gate]]`", "A named set of objectives.", &[&NAME, &ADVISORY, &OBJECTIVE])
        .cases(|| {
            let of_scenario = Case::unless(&NAME, BUILT_IN)
                .then(&OBJECTIVE, Shape::Tables("objective", 1))
                .needs(&OBJECTIVE);
            let built_in = Case::when(&NAME, BUILT_IN).then(&OBJECTIVE, Shape::NoTables);
            vec![of_scenario, built_in]
        });

/// The gates, and where each objective stands (in the same order).
pub(crate) struct Gates {
    pub gates: Option<Vec<Gate>>,
    pub places: Vec<Vec<Place>>,
    /// Names of the built-in gates that decide nothing.
    pub advisory: Vec<&'static str>,
    /// Gates, metrics and rules that must apply.
    pub must_apply: Vec<String>,
}

/// What one `[[gate]]` says.
enum Said {
    Gate(Gate, Vec<Place>),
    /// Of a gate that is always judged: whether it decides nothing.
    BuiltIn(&'static str, bool),
}

/// Reads all gates; `judge` are the names that the profile judges, if it says so.
pub(crate) fn read_all(root: &Fields<'_>, scope: &Scope<'_>, judge: Option<&Node>) -> Gates {
    let cx = root.cx;
    let mut names = Vec::new();
    let mut places = Vec::new();
    let nodes = root.tables(&scenario::GATE).unwrap_or_default();
    let mut advisory = Vec::new();
    let mut gates: Vec<Option<Gate>> = Vec::new();
    for node in nodes {
        match one(cx, node, scope, &mut names) {
            Some(Said::Gate(gate, objective_places)) => {
                places.push(objective_places);
                gates.push(Some(gate));
            }
            Some(Said::BuiltIn(name, decides_nothing)) => {
                advisory.extend(decides_nothing.then_some(name));
            }
            None => gates.push(None),
        }
    }
    name::report_duplicates(
        cx,
        "gate",
        names.iter().map(|name| (name.value.as_str(), &name.place)),
    );
    let of_scenario = |name: &&Placed<String>| !BUILT_IN.contains(&name.value.as_str());
    let names: Vec<_> = names.iter().filter(of_scenario).cloned().collect();
    let judged = judge.and_then(|node| judged(cx, node, &names));
    let gates = gates.into_iter().collect::<Option<Vec<_>>>().map(|gates| {
        let is_judged = |name: &String| judged.as_ref().is_none_or(|judged| judged.contains(name));
        gates.into_iter().map(|gate| Gate { judged: is_judged(&gate.name), ..gate }).collect()
    });
    let must_apply = must_apply(root, gates.as_deref());
    Gates { gates, places, advisory, must_apply }
}

/// What must apply: each is the name of a gate, of a metric or rule that a gate has an objective on, or of a topic.
fn must_apply(root: &Fields<'_>, gates: Option<&[Gate]>) -> Vec<String> {
    let names = root.get_as::<Vec<Placed<String>>>(&scenario::MUST_APPLY).unwrap_or_default();
    // What is missing in gates that could not be read is not missed a second time.
    for name in gates.map_or(&[][..], |_| &names[..]) {
        let known = gates.into_iter().flatten().flat_map(names_of).collect::<Vec<_>>();
        if !known.contains(&name.value.as_str()) && TopicId::of(&name.value).is_none() {
            let what =
                format!("no gate, no objective of one and no topic is called `{}`", name.value);
            let help = suggest::did_you_mean(&name.value, known);
            root.cx.report_missing(Diagnostic::error(&name.place, what).help(help));
        }
    }
    names.into_iter().map(|name| name.value).collect()
}

/// What a gate and its objectives are called.
fn names_of(gate: &Gate) -> Vec<&str> {
    let of_objective = |objective: &'_ Objective| objective.metric.name();
    let rules = gate.objectives.iter().filter_map(|objective| objective.selector.get("rule"));
    let mut names = vec![gate.name.as_str()];
    names.extend(gate.objectives.iter().map(of_objective));
    names.extend(rules.filter(|rule| *rule != "*").map(String::as_str));
    names
}

fn one(cx: &Cx, node: &Node, scope: &Scope<'_>, names: &mut Vec<Placed<String>>) -> Option<Said> {
    let mut fields = Fields::of(cx, node, &TABLE)?;
    let name = fields.need_placed(&NAME);
    names.extend(name.clone());
    let advisory = fields.or(&ADVISORY);
    let nodes = fields.tables(&OBJECTIVE);
    let built_in = name.as_ref().and_then(|name| BUILT_IN.into_iter().find(|it| *it == name.value));
    if let Some(built_in) = built_in {
        if nodes.as_ref().is_some_and(|nodes| !nodes.is_empty()) {
            let what = format!("`{built_in}` is a gate that is always judged, by rules of its own");
            let help = "call this one otherwise; of a gate that is always judged only `advisory` can \
                        be said";
            cx.report(Diagnostic::error(&fields.place, what).help(help));
        }
        fields.finish();
        return Some(Said::BuiltIn(built_in, advisory));
    }
    if nodes.as_ref().is_some_and(Vec::is_empty) {
        let what = "a gate without an objective decides nothing";
        let help = "add `[[gate.objective]]` with `metric` and `require`";
        cx.report_missing(Diagnostic::error(&fields.place, what).help(help));
    }
    let read: Vec<Option<(Objective, Place)>> =
        nodes.into_iter().flatten().map(|node| objective::read(cx, node, scope)).collect();
    fields.finish();
    let (objectives, places) = read.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let gate = Gate { name: name?.value, judged: true, advisory, objectives };
    Some(Said::Gate(gate, places))
}

/// The names in `judge`, each of which must be a gate.
fn judged(cx: &Cx, node: &Node, gates: &[Placed<String>]) -> Option<Vec<String>> {
    let names = Vec::<Placed<String>>::read(cx, scenario::JUDGE.name, node)?;
    if names.is_empty() {
        let what = "a profile that judges no gate cannot pass";
        let help = "name a gate, or leave `judge` out to judge all";
        cx.report(Diagnostic::error(&node.place, what).help(help));
    }
    name::report_duplicates(
        cx,
        "gate",
        names.iter().map(|name| (name.value.as_str(), &name.place)),
    );
    let known = || gates.iter().map(|gate| gate.value.as_str());
    for name in names.iter().filter(|name| !known().any(|gate| gate == name.value)) {
        let what = format!("the profile judges a gate `{}` that there is not", name.value);
        let help = suggest::did_you_mean(&name.value, known().collect::<Vec<_>>());
        cx.report_missing(Diagnostic::error(&name.place, what).help(help));
    }
    Some(names.into_iter().map(|name| name.value).collect())
}

/// Writes a gate of the scenario's own.
pub(crate) fn write(out: &mut Writer, gate: &Gate) {
    out.table("[[gate]]");
    out.key(&NAME, &gate.name);
    out.key(&ADVISORY, &gate.advisory);
    gate.objectives.iter().for_each(|one| objective::write(out, one));
}

/// Writes a gate that is always judged, and decides nothing.
pub(crate) fn write_advisory(out: &mut Writer, name: &str) {
    out.table("[[gate]]");
    out.key(&NAME, &name.to_owned());
    out.key(&ADVISORY, &true);
}
