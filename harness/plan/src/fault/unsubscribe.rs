//! `unsubscribe`: clients leave topics at an instant, and subscribe again after a while.

use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Serialize, Serializer};

use super::{Advice, Definition, Exercise, Extent, FaultKind, FaultType};
use crate::model::{ActsOn, Plan};
use crate::read::fields::Fields;
use crate::read::key::{Key, Within};
use crate::read::topic::Topics;
use crate::schedule::{PlannedFault, Schedule};

/// The registry's line.
pub const TYPE: FaultType = FaultType {
    name: "unsubscribe",
    summary: "Unsubscribes its targets from topics, and subscribes them again with the cursor kept.",
    told: |clients, _| format!("{clients} give topics up for a while"),
    mend: "Have the service answer `sync:unsubscribe`, as the contract wants it; where \
           `unsubscribe` under Requests lacks no answer, its targets were not live when it was \
           due: give them more time before it.",
    acts_on: ActsOn::Clients,
    extent: Extent::InstantOfEach,
    by_hand: true,
    exercises: &[Exercise::Unsubscribing],
    attributes: &[&TOPICS, &UNSUBSCRIBED_FOR],
    read,
};

/// Unsubscribes at an instant, and subscribes again after a while with the cursor kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unsubscribe {
    /// The topics.
    #[serde(serialize_with = "serialize_topics")]
    pub topics: Vec<TopicId>,
    /// How long they stay unsubscribed.
    #[serde(serialize_with = "crate::units::serialize_duration")]
    pub unsubscribed_for: Duration,
}

impl Definition for Unsubscribe {
    fn fault_type(&self) -> &'static FaultType {
        &TYPE
    }

    fn topics_left_for(&self) -> Option<Duration> {
        Some(self.unsubscribed_for)
    }

    fn acts_for(&self, _plan: &Plan, _duration: Option<Duration>) -> Duration {
        self.unsubscribed_for
    }

    fn advice(&self, fault: &PlannedFault, plan: &Plan, schedule: &Schedule) -> Option<Advice> {
        let mut hit =
            schedule.arrivals.iter().filter(|a| fault.targets.binary_search(&a.client).is_ok());
        let subscribes = |cohort: u16| {
            let cohort = &plan.fleet.cohorts[usize::from(cohort)];
            self.topics.iter().any(|topic| cohort.topics.contains(topic))
        };
        (!hit.any(|arrival| subscribes(arrival.cohort))).then(|| {
            let what = "none of the clients that it hits subscribes to such a topic";
            Advice::new(what, "name a topic of theirs, or aim at another cohort")
        })
    }
}

const TOPICS: Key<Topics> = Key::new(
    "topics",
    Topics { none: "an unsubscribe of no topic does nothing", help: "name a topic" },
    "topics = [\"runtime.codex_worker_events\"]",
    "The topics; those that a target does not subscribe to leave it alone.",
)
.required();
const UNSUBSCRIBED_FOR: Key<Within<Duration>> = Key::new(
    "unsubscribed_for",
    Within(Duration::from_millis(1), Duration::from_secs(24 * 3600)),
    "unsubscribed_for = \"5s\"",
    "How long until it subscribes again.",
)
.required();

fn read(attributes: &mut Fields<'_>) -> Option<FaultKind> {
    let topics = attributes.need(&TOPICS);
    let unsubscribed_for = attributes.need(&UNSUBSCRIBED_FOR);
    Some(Unsubscribe { topics: topics?, unsubscribed_for: unsubscribed_for? }.into())
}

/// Serde: topics by their names, as a scenario writes them.
fn serialize_topics<S: Serializer>(topics: &[TopicId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(topics.iter().map(|topic| topic.name()))
}
