//! Topics by their names.

use khala_wire::topic::{KNOWN, TopicId};

use super::diagnostic::Diagnostic;
use super::fields::Cx;
use super::scalar::{Placed, Read};
use super::tree::Node;
use super::{name, suggest};

/// The topic that the value of `key` names.
pub(crate) fn one(cx: &Cx, key: &str, node: &Node) -> Option<TopicId> {
    let value = String::read(cx, key, node)?;
    known(cx, &Placed { value, place: node.place.clone() })
}

/// The topics that the value of `key` lists, each once; `empty` is what is wrong with none, and
/// what to do about it.
pub(crate) fn list(cx: &Cx, key: &str, node: &Node, empty: (&str, &str)) -> Option<Vec<TopicId>> {
    let names = Vec::<Placed<String>>::read(cx, key, node)?;
    if names.is_empty() {
        let (what, help) = empty;
        cx.report(Diagnostic::error(&node.place, what).help(help));
        return None;
    }
    let placed = names.iter().map(|name| (name.value.as_str(), &name.place));
    name::report_duplicates(cx, "topic", placed);
    let topics: Vec<Option<TopicId>> = names.iter().map(|name| known(cx, name)).collect();
    topics.into_iter().collect()
}

/// The topic of a name; reports when there is none.
pub(crate) fn known(cx: &Cx, name: &Placed<String>) -> Option<TopicId> {
    let topic = TopicId::of(&name.value);
    if topic.is_none() {
        let what = format!("there is no topic `{}`", name.value);
        let help = suggest::did_you_mean(&name.value, KNOWN.iter().map(|topic| topic.name));
        cx.report(Diagnostic::error(&name.place, what).help(help));
    }
    topic
}
