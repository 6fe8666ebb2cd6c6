//! `[[gate]]`: named sets of objectives.

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::objective::{self, Scope};
use super::scalar::{Placed, Read};
use super::source::Place;
use super::tree::Node;
use super::{name, suggest};
use crate::model::{Gate, Objective};

/// The gates, and where each objective stands (in the same order).
pub(crate) struct Gates {
    pub gates: Option<Vec<Gate>>,
    pub places: Vec<Vec<Place>>,
}

/// Reads all gates; `judge` are the names that the profile judges, if it says so.
pub(crate) fn read_all(
    scenario: &mut Fields<'_>,
    scope: &Scope<'_>,
    judge: Option<&Node>,
) -> Gates {
    let cx = scenario.cx;
    let mut names = Vec::new();
    let mut places = Vec::new();
    let nodes = scenario.tables("gate").unwrap_or_default();
    let gates: Vec<Option<Gate>> = nodes
        .into_iter()
        .map(|node| {
            let (gate, objective_places) = one(cx, node, scope, &mut names)?;
            places.push(objective_places);
            Some(gate)
        })
        .collect();
    name::report_duplicates(
        cx,
        "gate",
        names.iter().map(|name| (name.value.as_str(), &name.place)),
    );
    let judged = judge.and_then(|node| judged(cx, node, &names));
    let gates = gates.into_iter().collect::<Option<Vec<_>>>().map(|gates| {
        let is_judged = |name: &String| judged.as_ref().is_none_or(|judged| judged.contains(name));
        gates.into_iter().map(|gate| Gate { judged: is_judged(&gate.name), ..gate }).collect()
    });
    Gates { gates, places }
}

fn one(
    cx: &Cx,
    node: &Node,
    scope: &Scope<'_>,
    names: &mut Vec<Placed<String>>,
) -> Option<(Gate, Vec<Place>)> {
    let mut fields = Fields::of(cx, node, "`[[gate]]`")?;
    let name = name::need(&mut fields, "name", "name = \"reconnect\"");
    names.extend(name.clone());
    let nodes = fields.tables("objective");
    if nodes.as_ref().is_some_and(Vec::is_empty) {
        let what = "a gate without an objective decides nothing";
        let help = "add `[[gate.objective]]` with `metric` and `require`";
        cx.report_missing(Diagnostic::error(&fields.place, what).help(help));
    }
    let read: Vec<Option<(Objective, Place)>> =
        nodes.into_iter().flatten().map(|node| objective::read(cx, node, scope)).collect();
    fields.finish();
    let (objectives, places) = read.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
    Some((Gate { name: name?.value, judged: true, objectives }, places))
}

/// The names in `judge`, each of which must be a gate.
fn judged(cx: &Cx, node: &Node, gates: &[Placed<String>]) -> Option<Vec<String>> {
    let names = Vec::<Placed<String>>::read(cx, "judge", node)?;
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
