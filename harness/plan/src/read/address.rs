//! Addresses inside a scenario: `fleet.clients`, `phase.storm.duration`, `load.0.rate`.
//!
//! An element of an array of tables is addressed by what names it (a phase by its name, a load by
//! its command, a surface by its cohort's name) or by its index from 0.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::limits::NUMBERED_MAX;
use super::source::Place;
use super::suggest;
use super::tree::{Node, Table, Value};

/// The keys that name the elements of an array of tables; the first that an element has, does.
pub(crate) fn naming_keys(array: &str) -> Option<&'static [&'static str]> {
    Some(match array {
        "phase" | "gate" => &["name"],
        "surface" => &["cohort", "name"],
        // By their index alone.
        "stage" => &[],
        "load" => &["command"],
        "objective" => &["metric"],
        "fault" => &["type"],
        _ => return None,
    })
}

/// One step of an address.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub name: String,
    pub place: Place,
}

/// The elements of an array of tables by their names, looked through once.
pub(crate) struct Elements<'a> {
    array: &'a str,
    count: usize,
    names: Vec<Option<String>>,
    /// The first two that have a name.
    by_name: BTreeMap<String, (usize, Option<usize>)>,
}

impl<'a> Elements<'a> {
    pub fn of(array: &'a str, items: &[Node]) -> Self {
        let name_of = |item: &Node| {
            let table = item.as_table()?;
            let name = naming_keys(array)?.iter().find_map(|key| table.get(key))?;
            Some(name.as_str()?.to_owned())
        };
        let names: Vec<Option<String>> = items.iter().map(name_of).collect();
        let mut by_name: BTreeMap<String, (usize, Option<usize>)> = BTreeMap::new();
        for (index, name) in names.iter().enumerate() {
            let Some(name) = name else { continue };
            match by_name.get_mut(name) {
                Some((_, second)) => *second = second.or(Some(index)),
                None => drop(by_name.insert(name.clone(), (index, None))),
            }
        }
        Self { array, count: items.len(), names, by_name }
    }

    /// The index of the one that `step` addresses.
    pub fn find(&self, step: &Step) -> Result<usize, Box<Diagnostic>> {
        let array = self.array;
        match self.by_name.get(&step.name) {
            Some((only, None)) => return Ok(*only),
            Some((_, Some(_))) => {
                let what = format!("`{}` addresses more than one `{array}`", step.name);
                let last = self.count - 1;
                let help =
                    format!("address one by its index, from `{array}.0` to `{array}.{last}`");
                return Err(Box::new(Diagnostic::error(&step.place, what).help(help)));
            }
            None => {}
        }
        if let Ok(index) = step.name.parse::<usize>()
            && index < self.count
        {
            return Ok(index);
        }
        let what = format!("the scenario has no `{array}` called `{}`", step.name);
        // Of more, which are refused, nobody reads a list.
        let names = self.names.iter().flatten().map(String::as_str).take(NUMBERED_MAX);
        let help = suggest::did_you_mean(&step.name, names);
        Err(Box::new(Diagnostic::error(&step.place, what).help(help)))
    }
}

/// The index of the element of `array` that `step` addresses.
pub(crate) fn element(array: &str, items: &[Node], step: &Step) -> Result<usize, Box<Diagnostic>> {
    Elements::of(array, items).find(step)
}

/// Puts `value` where `steps` lead.
pub(crate) fn set(root: &mut Node, steps: &[Step], value: Node) -> Result<(), Box<Diagnostic>> {
    let [before @ .., last] = steps else { return Ok(()) };
    let mut at = root;
    // The key under which `at` stands, which says how its elements are named.
    let mut under = "";
    for step in before {
        at = match &mut at.value {
            Value::Table(table) => {
                if table.get(&step.name).is_none() {
                    let value = match naming_keys(&step.name) {
                        Some(_) => Value::Array(Vec::new()),
                        None => Value::Table(Table::default()),
                    };
                    let node = Node { value, place: step.place.clone() };
                    table.insert(&step.name, step.place.clone(), node);
                }
                match table.get_mut(&step.name) {
                    Some(node) => node,
                    None => return Ok(()),
                }
            }
            Value::Array(items) => {
                let index = element(under, items, step)?;
                &mut items[index]
            }
            Value::Poison => return Ok(()),
            other => return Err(no_inside(under, other, step)),
        };
        under = &step.name;
    }
    match &mut at.value {
        Value::Table(table) => table.insert(&last.name, last.place.clone(), value),
        Value::Array(items) => {
            let index = element(under, items, last)?;
            items[index] = value;
        }
        Value::Poison => {}
        other => return Err(no_inside(under, other, last)),
    }
    Ok(())
}

fn no_inside(under: &str, value: &Value, step: &Step) -> Box<Diagnostic> {
    let what = format!("`{under}` is {} and has nothing inside", value.type_name());
    Box::new(Diagnostic::error(&step.place, what).help(format!("address `{under}` itself")))
}
