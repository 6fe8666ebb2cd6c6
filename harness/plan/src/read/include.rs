//! `gates = ["gates/runbook.toml"]`: gate sets from other files, which hold `[[gate]]`, may say what of
//! them `must_apply`, and nothing else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use super::diagnostic::Diagnostic;
use super::fields::{Cx, Fields};
use super::key;
use super::parse;
use super::scalar::{Placed, Read};
use super::scenario::{GATE, GATES, MUST_APPLY};
use super::source::Place;
use super::tree::{Node, Table, Value};

/// A gate file.
pub(crate) const TABLE: key::Table = key::Table::new(
    "gate_file",
    "the gate file",
    "Gates of khala-harness that several scenarios share: `gates = [\"gates/….toml\"]` adds them to one.",
    &[&GATE, &MUST_APPLY],
);

/// Gives the text of a file, or says in a clause why not.
pub type Loader<'a> = dyn Fn(&str) -> Result<String, String> + 'a;

/// Gate files, each read once however many profiles include it.
pub(crate) struct Includes<'a> {
    pub cx: &'a Cx,
    /// Path of the scenario, to whose folder included paths are relative.
    pub scenario: &'a str,
    pub loader: &'a Loader<'a>,
    pub known: RefCell<BTreeMap<String, Set>>,
}

/// What a gate file holds.
#[derive(Clone, Default)]
pub(crate) struct Set {
    gates: Vec<Node>,
    must_apply: Vec<Node>,
}

impl Includes<'_> {
    /// Adds the gates of the files named in `root.gates` to `root.gate`, but for those that the
    /// scenario defines itself.
    pub fn add_to(&self, root: &mut Table, gates: Option<&Node>) {
        let Some(node) = gates else { return };
        let Some(files) = Vec::<Placed<String>>::read(self.cx, GATES.name, node) else { return };
        let own = match root.get(GATE.name).map(|gate| &gate.value) {
            Some(Value::Array(items)) => items.iter().filter_map(name).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let (mut included, mut must_apply) = (Vec::new(), Vec::new());
        for file in &files {
            let set = self.file(file);
            included.extend(set.gates);
            must_apply.extend(set.must_apply);
        }
        add(root, MUST_APPLY.name, must_apply, node);
        included.retain(|gate| name(gate).is_none_or(|name| !own.iter().any(|own| own == name)));
        add(root, GATE.name, included, node);
    }

    fn file(&self, file: &Placed<String>) -> Set {
        let path = match Path::new(self.scenario).parent() {
            Some(folder) => folder.join(&file.value).display().to_string(),
            None => file.value.clone(),
        };
        if let Some(gates) = self.known.borrow().get(&path) {
            return gates.clone();
        }
        let gates = match (self.loader)(&path) {
            Ok(text) => self.gates_of(&path, &text),
            Err(why) => {
                let what = format!("cannot read the gate file `{path}`: {why}");
                let help = "paths are relative to the folder of the scenario";
                self.cx.report(Diagnostic::error(&file.place, what).help(help));
                // Gates that are not there are not missed a second time.
                self.cx.partial.set(true);
                return Set::default();
            }
        };
        self.known.borrow_mut().insert(path, gates.clone());
        gates
    }

    fn gates_of(&self, path: &str, text: &str) -> Set {
        if looks_like_a_scenario(text) {
            let source = self.cx.sources.borrow_mut().file(path, "");
            let what = format!("`{path}` is a scenario, and no gate file");
            let help = "name a file of `[[gate]]` tables, such as scenarios/gates/runbook.toml; the gates of a \
                        scenario can be moved into such a file, and named in it by `gates = [\"…\"]`";
            self.cx.report(Diagnostic::error(&Place::new(source, 0..0), what).help(help));
            self.cx.partial.set(true);
            return Set::default();
        }
        if !looks_like_gates(text) {
            // Whatever it is, none of it is shown: it may be anything that can be read.
            let source = self.cx.sources.borrow_mut().file(path, "");
            let what = format!("`{path}` is no gate file: it has no `[[gate]]` table");
            let help = "name a file of `[[gate]]` tables, such as scenarios/gates/runbook.toml";
            self.cx.report(Diagnostic::error(&Place::new(source, 0..0), what).help(help));
            self.cx.partial.set(true);
            return Set::default();
        }
        let source = self.cx.sources.borrow_mut().file(path, text);
        let (root, errors) = parse::document(source, text);
        if !errors.is_empty() {
            self.cx.partial.set(true);
        }
        errors.into_iter().for_each(|error| self.cx.report(error));
        let Some(fields) = Fields::of(self.cx, &root, &TABLE) else {
            return Set::default();
        };
        let gates = fields.tables(&GATE).into_iter().flatten().cloned().collect();
        let must_apply = match fields.node(&MUST_APPLY) {
            Some(node) if fields.get_as::<Vec<Placed<String>>>(&MUST_APPLY).is_some() => {
                match &node.value {
                    Value::Array(names) => names.clone(),
                    _ => Vec::new(),
                }
            }
            _ => Vec::new(),
        };
        fields.finish();
        Set { gates, must_apply }
    }
}

/// Adds items to an array of the scenario; `node` is what asked for them.
fn add(root: &mut Table, key: &'static str, items: Vec<Node>, node: &Node) {
    if items.is_empty() {
        return;
    }
    match root.get_mut(key).map(|array| &mut array.value) {
        Some(Value::Array(own)) => own.extend(items),
        // The walk says what is wrong with it.
        Some(_) => {}
        None => {
            let array = Node { value: Value::Array(items), place: node.place.clone() };
            root.insert(key, node.place.clone(), array);
        }
    }
}

/// Whether a text has tables that every scenario has, and no gate file.
fn looks_like_a_scenario(text: &str) -> bool {
    let bare = |line: &str| line.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let tables = text.lines().map(bare).filter(|line| {
        ["[fleet]", "[target]", "[[phase]]"].iter().any(|table| line.starts_with(table))
    });
    tables.count() > 1
}

/// Whether a scenario's tree is that of a gate file.
pub(crate) fn is_gate_file(root: &Node) -> bool {
    let Some(table) = root.as_table() else { return false };
    let of_gates = |key: &str| [GATE.name, MUST_APPLY.name].contains(&key);
    table.get(GATE.name).is_some() && table.iter().all(|(key, _, _)| of_gates(key))
}

/// Whether a text is one of gates, wrong as it may be; one that says nothing is.
fn looks_like_gates(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    let gate = |line: &str| {
        let bare: String = line.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
        bare.starts_with("[[gate]]") || bare.starts_with("gate=")
    };
    let Some(first) = lines.next() else { return true };
    gate(first) || lines.any(gate)
}

fn name(gate: &Node) -> Option<&str> {
    gate.as_table()?.get("name")?.as_str()
}
