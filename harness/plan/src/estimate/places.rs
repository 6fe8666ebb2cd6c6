//! Whether a cursor that a fault chooses has a place in the windows of its clients' topics: below a floor there is
//! none where nothing was pruned, and beyond a budget none that is larger than all that was published.

use std::collections::BTreeSet;

use khala_wire::topic::TopicId;

use super::presence::LIVE_WITHIN;
use super::samples::returned;
use crate::fault::Need;
use crate::model::{Plan, Resume};
use crate::schedule::{PlannedFault, Schedule};
use crate::units::micros;

/// A topic's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Lowest cursor that is still served.
    pub floor: u64,
    /// Head.
    pub head: u64,
    /// How far behind head a cursor may be.
    pub budget: u64,
}

/// The topics of the clients that a fault sends back with a cursor of its own choice, and the events that the run
/// makes on each of them until they are back, at most; nothing of any other fault, nor of one before whose end the
/// plan itself prunes one of them.
#[must_use]
pub fn chosen_cursors(
    plan: &Plan,
    schedule: &Schedule,
    fault: &PlannedFault,
) -> Option<(Resume, Vec<(TopicId, u64)>)> {
    let resume = fault.kind.resumes().filter(|_| fault.kind.needs(Need::Windows))?;
    let until = returned(plan, fault)? + fault.spread_us.unwrap_or(0) + micros(LIVE_WITHIN);
    let hit: BTreeSet<u16> = {
        let arrivals = schedule.arrivals.iter();
        let hit = arrivals.filter(|arrival| fault.targets.binary_search(&arrival.client).is_ok());
        hit.map(|arrival| arrival.cohort).collect()
    };
    let topics: BTreeSet<TopicId> = hit
        .iter()
        .flat_map(|cohort| plan.fleet.cohorts[usize::from(*cohort)].topics.clone())
        .collect();
    let before = |other: &&PlannedFault| other.at_us < until;
    let pruned = schedule
        .faults
        .iter()
        .filter(before)
        .any(|other| topics.iter().any(|topic| other.kind.prunes(*topic)));
    if pruned {
        return None;
    }
    let published = schedule.publishes.partition_point(|publish| publish.at_us < until);
    let made = |topic: &TopicId| {
        let fed = |load: u16| {
            plan.loads.get(usize::from(load)).is_some_and(|it| it.command.topics().contains(topic))
        };
        let publishes =
            schedule.publishes[..published].iter().filter(|publish| fed(publish.load)).count();
        // Each worker's beginning is an event too.
        let workers = plan.loads.iter().filter(|load| load.command.topics().contains(topic));
        publishes as u64 + workers.map(|load| u64::from(load.workers)).sum::<u64>()
    };
    Some((resume, topics.iter().map(|topic| (*topic, made(topic))).collect()))
}

impl Resume {
    /// Whether a cursor so chosen has a place in a window to which the run adds so many events at the most, if the
    /// target prunes nothing meanwhile.
    #[must_use]
    pub fn has_place(self, window: Span, more: u64) -> bool {
        let head = window.head.saturating_add(more);
        match self {
            Self::Kept | Self::AtFloor => true,
            Self::BelowFloor => window.floor > 0,
            Self::BeyondBudget => head > window.budget,
            Self::AtBudget => head >= window.budget,
        }
    }

    /// Where it is put, as sentences have it.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Kept => "where it was",
            Self::BelowFloor => "below the retention floor",
            Self::AtFloor => "at the retention floor",
            Self::BeyondBudget => "beyond the replay budget",
            Self::AtBudget => "at the replay budget",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_a_place_where_something_was_pruned_or_more_was_published_than_is_replayed() {
        let window = |floor, head| Span { floor, head, budget: 100 };
        for (resume, floor, head, more, has) in [
            (Resume::BelowFloor, 0, 500, 500, false),
            (Resume::BelowFloor, 1, 500, 0, true),
            (Resume::AtFloor, 0, 0, 0, true),
            (Resume::BeyondBudget, 0, 0, 100, false),
            (Resume::BeyondBudget, 0, 1, 100, true),
            (Resume::AtBudget, 0, 0, 99, false),
            (Resume::AtBudget, 0, 0, 100, true),
        ] {
            assert_eq!(
                resume.has_place(window(floor, head), more),
                has,
                "{resume:?} {floor} {head}"
            );
        }
    }

    #[test]
    fn events_count_until_the_clients_are_back_on_the_topics_of_theirs() {
        let text = include_str!("../../../../scenarios/stale-cursor.toml");
        let plan = crate::testing::Load::of(text).plan();
        let schedule = Schedule::of(&plan);
        let chosen: Vec<_> = schedule
            .faults
            .iter()
            .filter_map(|fault| chosen_cursors(&plan, &schedule, fault))
            .map(|(resume, topics)| {
                let topics = topics.into_iter().map(|(topic, events)| (topic.name(), events));
                (resume, topics.collect::<Vec<_>>())
            })
            .collect();
        // `fill` publishes 400 events, four workers begin, and nothing comes in `quiet`; in `live` 80 do until those with
        // both topics are surely back.
        let [states, stream] = ["runtime.codex_worker_summaries", "runtime.codex_worker_events"]
            .map(|it| vec![(it, 404)]);
        let both = [&states, &stream].map(|it| (it[0].0, 484)).to_vec();
        assert_eq!(
            chosen,
            [
                (Resume::BelowFloor, states.clone()),
                (Resume::AtFloor, states),
                (Resume::BeyondBudget, stream.clone()),
                (Resume::AtBudget, stream),
                (Resume::BelowFloor, both),
            ]
        );
    }
}
