//! Whether a cursor is stale, and what the client is told.
//!
//! A cursor at the floor, and a lag equal to the budget, are fresh. The floor is checked first: as
//! long as any topic of the list is below its floor, budgets are not mentioned.

use khala_wire::payload::{
    CODE_STALE_CURSOR, SNAPSHOT_FORMAT, STALE_REPLAY_BUDGET, STALE_RETENTION_FLOOR, SnapshotPlan,
    SnapshotPlanTopic, SnapshotSource, StaleCursor, StaleTopic,
};
use khala_wire::topic::TopicId;

use crate::defect::Kind;
use crate::metrics::Metrics;
use crate::store::{Store, Window};

const FLOOR_MESSAGE: &str = "cursor is older than retention floor";
const BUDGET_MESSAGE: &str = "replay budget exceeded for topic qos tier; full resync required";

/// A cursor beside what the log says of it.
#[derive(Clone, Copy)]
struct Read {
    topic: TopicId,
    cursor: u64,
    window: Window,
    budget: u64,
}

fn read(store: &Store, cursors: &[(TopicId, u64)]) -> Vec<Read> {
    let read = |(topic, cursor): &(TopicId, u64)| {
        let log = store.log(*topic);
        let budget = log.limits().replay_budget_events;
        Read { topic: *topic, cursor: *cursor, window: log.window(), budget }
    };
    cursors.iter().map(read).collect()
}

/// The defects that see an edge where it is not. Each is asked only about a verdict that it
/// changes.
pub const EDGES: [Kind; 5] = [
    Kind::FloorTooStrict,
    Kind::FloorTooLax,
    Kind::BudgetTooStrict,
    Kind::BudgetTooLax,
    Kind::PrunedTopicAccepted,
];

impl Read {
    fn below_floor(&self, bent: Option<Kind>) -> bool {
        let floor = self.window.floor;
        match bent {
            Some(Kind::FloorTooStrict) => self.cursor < floor + 1 && floor > 0,
            Some(Kind::FloorTooLax) => self.cursor + 1 < floor,
            Some(Kind::PrunedTopicAccepted) => self.cursor < floor && self.window.oldest.is_some(),
            _ => self.cursor < floor,
        }
    }

    fn over_budget(&self, bent: Option<Kind>) -> bool {
        let lag = self.window.head.saturating_sub(self.cursor);
        match bent {
            Some(Kind::BudgetTooStrict) => lag + 1 > self.budget,
            Some(Kind::BudgetTooLax) => lag > self.budget + 1,
            Some(Kind::PrunedTopicAccepted) => lag > self.budget && self.window.oldest.is_some(),
            _ => lag > self.budget,
        }
    }
}

/// What is stale among the cursors of a subscribe.
pub fn check(store: &Store, cursors: &[(TopicId, u64)]) -> Option<StaleCursor> {
    check_bent(store, cursors, None)
}

/// [`check`], as one of [`EDGES`] sees it.
pub fn check_bent(
    store: &Store,
    cursors: &[(TopicId, u64)],
    bent: Option<Kind>,
) -> Option<StaleCursor> {
    let (mut below, mut over) = (Vec::new(), Vec::new());
    for read in read(store, cursors) {
        if read.below_floor(bent) {
            below.push(read);
        } else if read.over_budget(bent) {
            over.push(read);
        }
    }
    match (&*below, &*over) {
        ([], []) => None,
        ([], over) => Some(describe(STALE_REPLAY_BUDGET, over)),
        (below, _) => Some(describe(STALE_RETENTION_FLOOR, below)),
    }
}

/// Counts a refusal.
pub fn count(metrics: &Metrics, stale: &StaleCursor) {
    for stale in &stale.stale_topics {
        let Some(topic) = TopicId::of(&stale.topic) else { continue };
        let counters = metrics.topic(topic);
        if stale.reason == STALE_RETENTION_FLOOR {
            counters.stale_floor.add(1);
            counters.violation(STALE_RETENTION_FLOOR);
        } else {
            counters.stale_budget.add(1);
            counters.violation(STALE_REPLAY_BUDGET);
        }
    }
}

/// Defect `always_stale`: calls cursors stale that are not.
pub fn pretend(store: &Store, cursors: &[(TopicId, u64)]) -> StaleCursor {
    describe(STALE_REPLAY_BUDGET, &read(store, cursors))
}

/// Defect `wrong_reason`: the other reason, everywhere it is named.
pub fn misname(mut stale: StaleCursor) -> StaleCursor {
    let reason = if is_below_floor(&stale) { STALE_REPLAY_BUDGET } else { STALE_RETENTION_FLOOR };
    for topic in &mut stale.stale_topics {
        topic.reason = reason.to_owned();
    }
    stale.reason_codes = vec![reason.to_owned()];
    stale.message = message(reason).to_owned();
    stale
}

/// Whether the floor is the reason.
pub fn is_below_floor(stale: &StaleCursor) -> bool {
    stale.reason_codes.iter().any(|reason| reason == STALE_RETENTION_FLOOR)
}

fn message(reason: &str) -> &'static str {
    if reason == STALE_RETENTION_FLOOR { FLOOR_MESSAGE } else { BUDGET_MESSAGE }
}

fn describe(reason: &str, stale: &[Read]) -> StaleCursor {
    let plan = |read: &Read| plan_topic(read.topic, read.window.head);
    let topic = |read: &Read| StaleTopic {
        head_watermark: read.window.head,
        qos_tier: read.topic.known().qos_tier.to_owned(),
        reason: reason.to_owned(),
        replay_budget_events: read.budget,
        replay_lag: read.window.head.saturating_sub(read.cursor),
        resume_after: read.cursor,
        retention_floor: read.window.floor,
        topic: read.topic.name().to_owned(),
    };
    StaleCursor {
        code: CODE_STALE_CURSOR.to_owned(),
        full_resync_required: true,
        message: message(reason).to_owned(),
        reason_codes: vec![reason.to_owned()],
        snapshot_plan: SnapshotPlan {
            format: SNAPSHOT_FORMAT.to_owned(),
            topics: stale.iter().filter_map(plan).collect(),
        },
        stale_topics: stale.iter().map(topic).collect(),
    }
}

fn plan_topic(topic: TopicId, head_watermark: u64) -> Option<SnapshotPlanTopic> {
    let known = topic.known();
    Some(SnapshotPlanTopic {
        head_watermark,
        snapshot: SnapshotSource {
            cadence_seconds: known.snapshot_cadence_s?,
            format: SNAPSHOT_FORMAT.to_owned(),
            schema_version: khala_wire::SCHEMA_VERSION,
            source_table: known.snapshot_source_table?.to_owned(),
            topic: known.name.to_owned(),
        },
        topic: known.name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use khala_wire::topic::{NOTIFICATIONS, RUN_SUMMARIES, WORKER_EVENTS};

    use super::*;
    use crate::Config;
    use crate::store::Draft;

    fn id(name: &str) -> TopicId {
        TopicId::of(name).expect("known")
    }

    /// `head` events on a topic, of which the newest `keep` are retained.
    fn fill(store: &Store, topic: &str, head: u64, keep: usize) {
        let log = store.log(id(topic));
        for n in 1..=head {
            log.append(Draft::of(format!("d{n}"), n, &n).expect("json"));
        }
        log.trim_to(keep);
    }

    fn reasons(store: &Store, cursors: &[(&str, u64)]) -> Vec<(String, String)> {
        let cursors: Vec<_> = cursors.iter().map(|(topic, c)| (id(topic), *c)).collect();
        let stale = check(store, &cursors).map(|stale| stale.stale_topics).unwrap_or_default();
        stale.into_iter().map(|stale| (stale.topic, stale.reason)).collect()
    }

    #[test]
    fn the_edges_of_floor_and_budget_are_fresh() {
        let store = Store::new(&Config::default());
        fill(&store, NOTIFICATIONS, 510, 510);
        fill(&store, RUN_SUMMARIES, 36, 2);
        assert!(reasons(&store, &[(NOTIFICATIONS, 10), (RUN_SUMMARIES, 34)]).is_empty());
        assert_eq!(reasons(&store, &[(NOTIFICATIONS, 9)])[0].1, STALE_REPLAY_BUDGET);
        assert_eq!(reasons(&store, &[(RUN_SUMMARIES, 33)])[0].1, STALE_RETENTION_FLOOR);
        assert!(reasons(&store, &[(NOTIFICATIONS, 1_000_000)]).is_empty(), "beyond head");
    }

    #[test]
    fn the_floor_is_named_before_any_budget() {
        let store = Store::new(&Config::default());
        fill(&store, NOTIFICATIONS, 528, 528);
        fill(&store, RUN_SUMMARIES, 36, 2);
        let found = reasons(&store, &[(RUN_SUMMARIES, 3), (NOTIFICATIONS, 2)]);
        assert_eq!(found, [(RUN_SUMMARIES.to_owned(), STALE_RETENTION_FLOOR.to_owned())]);
    }

    #[test]
    fn the_defects_name_what_is_not_so() {
        let store = Store::new(&Config::default());
        fill(&store, RUN_SUMMARIES, 36, 2);
        let stale = check(&store, &[(id(RUN_SUMMARIES), 3)]).expect("stale");
        let misnamed = misname(stale.clone());
        assert_eq!(misnamed.reason_codes, [STALE_REPLAY_BUDGET]);
        assert_eq!(misname(misnamed), stale, "and back");
        assert!(check(&store, &[(id(RUN_SUMMARIES), 36)]).is_none());
        let pretended = pretend(&store, &[(id(RUN_SUMMARIES), 36)]);
        assert_eq!(pretended.stale_topics[0].replay_lag, 0);
    }

    #[test]
    fn a_topic_pruned_empty_is_stale_below_its_head() {
        let store = Store::new(&Config::default());
        fill(&store, RUN_SUMMARIES, 5, 0);
        assert!(reasons(&store, &[(RUN_SUMMARIES, 5)]).is_empty());
        assert_eq!(reasons(&store, &[(RUN_SUMMARIES, 4)]).len(), 1);
    }

    #[test]
    fn each_bent_edge_changes_the_verdict_at_its_edge_and_nowhere_else() {
        let store = Store::new(&Config::default());
        fill(&store, NOTIFICATIONS, 510, 510);
        fill(&store, RUN_SUMMARIES, 36, 2);
        fill(&store, WORKER_EVENTS, 5, 0);
        let stale =
            |kind, topic, cursor| check_bent(&store, &[(id(topic), cursor)], Some(kind)).is_some();
        let floor = |kind| [32, 33, 34, 35].map(|cursor| stale(kind, RUN_SUMMARIES, cursor));
        assert_eq!(floor(Kind::FloorTooStrict), [true, true, true, false]);
        assert_eq!(floor(Kind::FloorTooLax), [true, false, false, false]);
        assert_eq!(floor(Kind::PrunedTopicAccepted), [true, true, false, false]);
        let budget = |kind| [8, 9, 10, 11].map(|cursor| stale(kind, NOTIFICATIONS, cursor));
        assert_eq!(budget(Kind::BudgetTooStrict), [true, true, true, false]);
        assert_eq!(budget(Kind::BudgetTooLax), [true, false, false, false]);
        assert!(!stale(Kind::PrunedTopicAccepted, WORKER_EVENTS, 0));
        assert!(!stale(Kind::FloorTooStrict, NOTIFICATIONS, 509), "nothing was pruned there");
    }

    #[test]
    fn only_topics_with_a_snapshot_are_in_the_plan() {
        let store = Store::new(&Config::default());
        fill(&store, NOTIFICATIONS, 600, 2);
        fill(&store, RUN_SUMMARIES, 36, 2);
        let stale =
            check(&store, &[(id(NOTIFICATIONS), 0), (id(RUN_SUMMARIES), 0)]).expect("stale");
        assert_eq!(stale.stale_topics.len(), 2);
        let planned: Vec<_> = stale.snapshot_plan.topics.iter().map(|t| &*t.topic).collect();
        assert_eq!(planned, [RUN_SUMMARIES]);
    }
}
