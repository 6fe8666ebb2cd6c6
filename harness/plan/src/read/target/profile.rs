//! A target profile: what a target is and what opens it, in a file of its own (`--target`), laid over the
//! scenario and its profile. `--set` goes before it.

use super::keys;
use crate::read::diagnostic::Diagnostic;
use crate::read::fields::{Cx, Fields};
use crate::read::key::Table;
use crate::read::parse;
use crate::read::scenario::{AUTH, FLEET, TARGET};
use crate::read::source::Place;
use crate::read::tree::{Node, Value};

/// A target profile.
pub(crate) const FILE: Table = Table::new(
    "target_profile",
    "the target profile",
    "A target of khala-harness that several scenarios are run against: `--target FILE` lays it over one. Of \
     `[fleet]` it has what the target wants of users and first subscribes.",
    &[&TARGET, &AUTH, &FLEET],
);

/// Reads a target profile; reports what is no part of one. `url` alone says that the target is one by URL.
pub(crate) fn read(cx: &Cx, path: &str, text: &str) -> Option<Node> {
    let source = cx.sources.borrow_mut().file(path, text);
    let (mut root, errors) = parse::document(source, text);
    if !errors.is_empty() {
        cx.partial.set(true);
    }
    errors.into_iter().for_each(|error| cx.report(error));
    if let Value::Table(table) = &root.value
        && table.iter().all(|(key, ..)| key != TARGET.name)
    {
        let what = format!("`{path}` is no target profile: it has no `[target]` table");
        let help = "name a file with `[target]`, such as scenarios/targets/local.toml";
        cx.report(Diagnostic::error(&Place::new(source, 0..0), what).help(help));
        return None;
    }
    Fields::of(cx, &root, &FILE)?.finish();
    if let Value::Table(table) = &mut root.value {
        // What it may not have has been told, and is laid over nothing.
        let known = |key: &str| FILE.keys.iter().any(|known| known.name() == key);
        let others: Vec<_> = table.iter().map(|(key, ..)| key.to_owned()).collect();
        others.iter().filter(|key| !known(key)).for_each(|key| drop(table.remove(key)));
    }
    if let Value::Table(table) = &mut root.value
        && let Some(Value::Table(target)) = table.get_mut(TARGET.name).map(|it| &mut it.value)
        && target.get(keys::KIND.name).is_none()
        && let Some(place) = target.get(keys::URL.name).map(|url| url.place.clone())
    {
        let by_url = Node { value: Value::String("url".to_owned()), place: place.clone() };
        target.insert(keys::KIND.name, place, by_url);
    }
    Some(root)
}
