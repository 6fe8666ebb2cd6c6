//! `retention_trim`: the target forgets old events of a topic at an instant.

use khala_wire::topic::TopicId;
use serde::{Serialize, Serializer};

use super::{Definition, Exercise, Extent, FaultKind, FaultType, Need};
use crate::model::ActsOn;
use crate::read::fields::Fields;
use crate::read::key::{Key, Within};
use crate::read::topic::Topic;

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "retention_trim",
    summary: "Prunes a topic of the target, as if time had passed.",
    told: |_, _| "old events are removed".to_owned(),
    mend: "See under Requests how `trim` was answered: it is the reference runtime's own request, and none of the \
           contract. A target that has it must take the run's operators' token for it; of one that has none, prune the \
           topic by a hook, as scenarios/pruned-log.toml does, or try what takes no pruning: scenarios/cursor-bounds.toml \
           with `--profile budget`.",
    acts_on: ActsOn::Target,
    extent: Extent::Instant,
    by_hand: true,
    exercises: &[Exercise::StaleCursor],
    attributes: &[&TOPIC, &KEEP],
    read,
};

/// Prunes a topic of the target at an instant; the reference runtime has a hook for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RetentionTrim {
    /// The topic.
    #[serde(serialize_with = "serialize_topic")]
    pub topic: TopicId,
    /// Events kept; 0 prunes it empty.
    pub keep: u64,
}

impl Definition for RetentionTrim {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn needs(&self, what: Need) -> bool {
        what == Need::RetentionHook
    }

    fn prunes(&self, topic: TopicId) -> bool {
        self.topic == topic
    }
}

const TOPIC: Key<Topic> =
    Key::new("topic", Topic, "topic = \"runtime.codex_worker_events\"", "The topic.").required();
const KEEP: Key<Within<u64>> = Key::new(
    "keep",
    Within(0, u32::MAX as u64),
    "keep = 0",
    "Events that are kept, the newest; 0 prunes the topic empty.",
)
.unit("events")
.required();

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let topic = attributes.need(&TOPIC);
    let keep = attributes.need(&KEEP);
    Some(RetentionTrim { topic: topic?, keep: keep? }.into())
}

/// Serde: a topic by its name, as a scenario writes it.
fn serialize_topic<S: Serializer>(topic: &TopicId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(topic.name())
}
