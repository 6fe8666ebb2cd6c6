//! Topics by their names.

use khala_wire::topic::{KNOWN, TopicId};

use super::diagnostic::Diagnostic;
use super::fields::Cx;
use super::key::{Kind, Shaped};
use super::scalar::{Placed, Read};
use super::schema::Shape;
use super::tree::Node;
use super::{name, suggest};

/// One topic.
#[derive(Clone, Copy)]
pub(crate) struct Topic;

impl Shaped for Topic {
    fn shape(&self) -> Shape {
        Shape::Words(KNOWN.iter().map(|topic| topic.name).collect())
    }
}

impl Kind for Topic {
    type Value = TopicId;
    type Default = TopicId;

    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<TopicId> {
        let value = String::read(cx, key, node)?;
        known(cx, &Placed { value, place: node.place.clone() })
    }

    fn value(&self, default: TopicId) -> TopicId {
        default
    }

    fn toml(&self, value: &TopicId) -> toml::Value {
        value.name().into()
    }
}

/// Topics, each once, at least one.
#[derive(Clone, Copy)]
pub(crate) struct Topics {
    /// What is wrong with none.
    pub none: &'static str,
    /// What to do about it.
    pub help: &'static str,
}

impl Shaped for Topics {
    fn shape(&self) -> Shape {
        Shape::List(Box::new(Topic.shape()), 1)
    }
}

impl Kind for Topics {
    type Value = Vec<TopicId>;
    type Default = &'static [TopicId];

    fn read(&self, cx: &Cx, key: &str, node: &Node) -> Option<Vec<TopicId>> {
        let names = Vec::<Placed<String>>::read(cx, key, node)?;
        if names.is_empty() {
            cx.report(Diagnostic::error(&node.place, self.none).help(self.help));
            return None;
        }
        let placed = names.iter().map(|name| (name.value.as_str(), &name.place));
        name::report_duplicates(cx, "topic", placed);
        let topics: Vec<Option<TopicId>> = names.iter().map(|name| known(cx, name)).collect();
        topics.into_iter().collect()
    }

    fn value(&self, default: &'static [TopicId]) -> Vec<TopicId> {
        default.to_vec()
    }

    fn toml(&self, value: &Vec<TopicId>) -> toml::Value {
        value.iter().map(|topic| toml::Value::from(topic.name())).collect::<Vec<_>>().into()
    }
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
