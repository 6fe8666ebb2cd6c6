//! Profiles and `--set` flags over a scenario.
//!
//! A profile's tables merge deeply; a table where the scenario has an array of tables addresses its
//! elements (`[profile.smoke.phase.storm]`); everything else replaces what it stands over.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::address::{self, Elements, Step};
use super::diagnostic::Diagnostic;
use super::fields::Cx;
use super::limits::NUMBERED_MAX;
use super::parse;
use super::schema::Shape;
use super::source::Place;
use super::tree::{Node, Value};
use super::{Setting, tables};

/// Tables that say one thing with all their keys, so that half of an old one and half of a new one
/// would say nothing: these replace, they do not merge.
static REPLACED_WHOLE: LazyLock<BTreeSet<&str>> = LazyLock::new(|| {
    let tables = tables::all();
    let keys = tables.iter().flat_map(|table| table.keys);
    let whole = keys.filter(|key| matches!(key.shape(), Shape::Whole(_) | Shape::AnyWhole(_)));
    whole.map(|key| key.name()).collect()
});

/// Lays `over` over `base`; `under` is the key at which both stand.
pub(crate) fn merge(cx: &Cx, base: &mut Node, over: &Node, under: &str) {
    let replace = REPLACED_WHOLE.contains(&under);
    match (&mut base.value, &over.value) {
        (Value::Table(table), Value::Table(changes)) if !replace => {
            for (key, place, change) in changes.iter() {
                let addresses = address::naming_keys(key).is_some() && change.as_table().is_some();
                if table.get(key).is_none() && addresses {
                    let none = Node { value: Value::Array(Vec::new()), place: place.clone() };
                    table.insert(key, place.clone(), none);
                }
                match table.get_mut(key) {
                    Some(node) => merge(cx, node, change, key),
                    None => table.insert(key, place.clone(), change.clone()),
                }
            }
        }
        (Value::Array(items), Value::Table(changes)) if address::naming_keys(under).is_some() => {
            let changed = changes.iter().count();
            if changed > NUMBERED_MAX {
                let what = format!("{changed} elements of `{under}` are changed");
                let help = format!("stay below {NUMBERED_MAX}");
                cx.report(Diagnostic::error(&over.place, what).help(help));
                return;
            }
            let elements = Elements::of(under, items);
            for (key, place, change) in changes.iter() {
                let step = Step { name: key.to_owned(), place: place.clone() };
                match elements.find(&step) {
                    // Named after the array, so that nothing in it is replaced whole by accident.
                    Ok(index) => merge(cx, &mut items[index], change, under),
                    Err(diagnostic) => cx.report_missing(*diagnostic),
                }
            }
        }
        _ => *base = over.clone(),
    }
}

/// Has a table stand where another one that was laid over it does, and the tables in it alike: what is then missing in them
/// is missing there.
pub(crate) fn move_to(base: &mut Node, over: &Node) {
    let (Value::Table(table), Value::Table(changes)) = (&mut base.value, &over.value) else {
        return;
    };
    base.place = over.place.clone();
    for (key, _, change) in changes.iter() {
        if let Some(node) = table.get_mut(key) {
            move_to(node, change);
        }
    }
}

/// A `--set` flag, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Override {
    pub steps: Vec<Step>,
    pub value: Node,
}

/// Takes what a flag sets apart; reports what cannot be.
pub(crate) fn parse_override(cx: &Cx, setting: &Setting) -> Option<Override> {
    match &setting.typed {
        None => of_set(cx, &setting.assignment),
        Some(typed) => of_flag(cx, typed, &setting.assignment),
    }
}

/// A flag of another name: whatever of it is wrong, all that was typed after its name is underlined.
fn of_flag(cx: &Cx, typed: &str, assignment: &str) -> Option<Override> {
    let (key, value) = assignment.split_once('=')?;
    let source = cx.sources.borrow_mut().flag(typed.to_owned());
    let begin = typed.find(' ').map_or(0, |at| at + 1);
    let place = Place::new(source, begin..typed.len());
    let step = |name: &str| Step { name: name.to_owned(), place: place.clone() };
    let mut value = parse::flag_value(source, value, begin);
    value.move_all_to(&place);
    Some(Override { steps: key.split('.').map(step).collect(), value })
}

/// Takes the argument of a `--set` apart.
fn of_set(cx: &Cx, argument: &str) -> Option<Override> {
    const FLAG: &str = "--set ";
    let text = format!("{FLAG}{argument}");
    let source = cx.sources.borrow_mut().flag(text.clone());
    let place = |from: usize, to: usize| Place::new(source, from..to);
    let fail = |place: &Place, what: &str| {
        let help = "write such as `--set fleet.clients=200` or `--set phase.storm.duration=10s`";
        cx.report(Diagnostic::error(place, what).help(help));
    };
    let Some(equals) = argument.find('=') else {
        fail(&place(FLAG.len(), text.len()), "`--set` takes a key, `=` and a value");
        return None;
    };
    let mut steps = Vec::new();
    let mut at = FLAG.len();
    for name in argument[..equals].split('.') {
        let lead = name.len() - name.trim_start().len();
        let name_place = place(at + lead, at + lead + name.trim().len());
        if name.trim().is_empty() {
            fail(&name_place, "a part of the key is empty");
            return None;
        }
        steps.push(Step { name: name.trim().to_owned(), place: name_place });
        at += name.len() + 1;
    }
    if steps.first().is_some_and(|first| first.name == "profile") {
        let what = "`--set` changes the scenario after its profile was applied";
        let help = "leave the first two parts of the key out";
        cx.report(Diagnostic::error(&steps[0].place, what).help(help));
        return None;
    }
    let value = &argument[equals + 1..];
    let lead = value.len() - value.trim_start().len();
    let value = parse::flag_value(source, value.trim(), FLAG.len() + equals + 1 + lead);
    Some(Override { steps, value })
}

/// Applies an override.
pub(crate) fn apply(cx: &Cx, root: &mut Node, change: &Override) {
    if let Err(diagnostic) = address::set(root, &change.steps, change.value.clone()) {
        cx.report_missing(*diagnostic);
    }
}
