//! Rule `bad_snapshot`: a snapshot is of its topic, lies between floor and head, can be resumed
//! from, and holds the state at its watermark ([`content`]).
//!
//! Bounds: floor and head as they were at the least when it was asked for (the last windows answered
//! before, and what earlier refusals said of the topic), and head as it was at the most when it was
//! there (the first window asked after). A watermark below that floor, further behind that head than
//! the budget, or above that upper head is a breach. It may be as old as its cadence allows: one
//! that is only older than head is none.
//!
//! A resume from it that is refused as stale is `false_stale`'s where windows or figures say fresh,
//! and undecided otherwise, for the floor may have risen between the two. Cases: snapshots with a
//! wrong topic or shape, breaches, and those resumed from. Memory: those of
//! [`cursors`](super::cursors).

pub mod content;

use khala_wire::topic::TopicId;

use super::cursors::Snapshot;
use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::windows::Timelines;
use crate::record::Micros;

fn violation(client: u32, topic: TopicId, at_us: Micros, message: String) -> Violation {
    Violation {
        at_us,
        rule: Rule::BadSnapshot,
        client: Some(client),
        topic: Some(topic),
        seqs: None,
        epoch: None,
        message,
    }
}

/// A snapshot that is none of this topic's.
pub fn shapeless(client: u32, topic: TopicId, at: Micros, tally: &mut Tally) {
    let message = "the snapshot is not one of this topic, or not of the contract's shape";
    tally.judged(Rule::BadSnapshot, 1);
    tally.violate(violation(client, topic, at, message.to_owned()), 0);
}

/// What is wrong with it for sure.
fn why(snapshot: &Snapshot, timelines: &Timelines) -> Option<String> {
    let Snapshot { topic, start, done, head, said, .. } = *snapshot;
    let bounds = timelines.bounds(topic, start, done).unwrap_or_default();
    let floor = bounds.floor_lo.max(said.floor);
    let least_head = bounds.head_lo.max(said.head);
    let budget = bounds.budget_hi.max(said.budget).unwrap_or(u64::MAX);
    let lag = least_head.saturating_sub(head);
    if head < floor {
        return Some(format!("below the floor, {floor} or above when it was asked for"));
    }
    if lag > budget {
        return Some(format!("{lag} or more behind head, beyond the budget of {budget}"));
    }
    let highest = bounds.head_hi.filter(|&highest| head > highest)?;
    Some(format!("above head, {highest} at the most when it was there"))
}

/// Judges a snapshot.
pub fn judge(client: u32, snapshot: &Snapshot, timelines: &Timelines, tally: &mut Tally) {
    if let Some(why) = why(snapshot, timelines) {
        let message = format!("the snapshot's watermark {} is {why}", snapshot.head);
        tally.judged(Rule::BadSnapshot, 1);
        tally.violate(violation(client, snapshot.topic, snapshot.done, message), 0);
    } else {
        tally.judged(Rule::BadSnapshot, u64::from(snapshot.accepted));
    }
}

/// A subscribe with the snapshot's watermark was refused as stale. `excused`: that was wrong.
pub fn refused_again(snapshot: &Snapshot, excused: bool, timelines: &Timelines, tally: &mut Tally) {
    if !excused && why(snapshot, timelines).is_none() {
        tally.undecided(Rule::BadSnapshot);
    }
}

#[cfg(test)]
mod tests {
    use super::super::cursors::tests::{
        Did, accepted, figures, judged, refused, windows, windows_between,
    };
    use super::*;
    use crate::record::StaleReason::{ReplayBudget, RetentionFloor};

    const RULE: Rule = Rule::BadSnapshot;

    fn stale_then(head: u64, then: Did) -> [Did; 3] {
        [refused(9, RetentionFloor), Did::Snapshot(head), then]
    }

    #[test]
    fn a_snapshot_between_floor_and_head_that_is_resumed_from_is_accepted() {
        for head in [10, 55, 100] {
            let did = stale_then(head, accepted(head, 100));
            let tally = judged(&did, &windows(10, 100, 90));
            assert_eq!((tally.total(), tally.rule(RULE).judged), (0, 1));
            assert_eq!(tally.undecided_total(), 0);
        }
    }

    #[test]
    fn a_snapshot_outside_of_floor_and_head_is_a_violation() {
        for (head, budget) in [(9, 500), (101, 500), (60, 30)] {
            let did = [Did::Snapshot(head), accepted(head, 100)];
            let tally = judged(&did, &windows(10, 100, budget));
            assert_eq!(tally.count(RULE), 1, "{head}");
        }
    }

    #[test]
    fn a_snapshot_below_the_floor_that_the_refusal_named_is_one_without_windows() {
        // The refusal said: floor 10, head 99.
        let said =
            |cursor| Did::Refused(cursor, vec![figures(cursor, RetentionFloor, 10, 99, 1_000)]);
        let tally = judged(&[said(9), Did::Snapshot(8), said(8)], &Default::default());
        assert_eq!((tally.total(), tally.count(RULE)), (1, 1));
    }

    #[test]
    fn a_refusal_that_names_no_budget_bounds_no_lag() {
        let mut said = figures(8, RetentionFloor, 10, 10_000, 1);
        said.budget = None;
        let tally = judged(&[Did::Refused(8, vec![said]), Did::Snapshot(12)], &Default::default());
        assert_eq!(tally.total(), 0);
        said.budget = Some(1);
        let tally = judged(&[Did::Refused(8, vec![said]), Did::Snapshot(12)], &Default::default());
        assert_eq!(tally.count(RULE), 1);
    }

    #[test]
    fn one_refused_again_is_open_unless_the_refusal_is_proven_false() {
        let again = || Did::Refused(30, vec![figures(30, ReplayBudget, 10, 300, 90)]);
        let between = windows_between((10, 100), (10, 300), 90);
        let tally = judged(&stale_then(30, again()), &between);
        assert_eq!((tally.total(), tally.rule(RULE).undecided), (0, 1));
        assert_eq!(tally.rule(Rule::FalseStale).undecided, 0, "the snapshot's case");
        let tally = judged(&stale_then(30, again()), &windows(10, 100, 90));
        assert_eq!((tally.count(Rule::FalseStale), tally.count(RULE)), (1, 0));
        assert_eq!(tally.undecided_total(), 0);
    }

    #[test]
    fn one_of_the_wrong_topic_is_a_violation() {
        let mut tally = Tally::new(1);
        shapeless(0, TopicId::WORKER_SUMMARIES, 5, &mut tally);
        assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
    }

    #[test]
    fn a_snapshot_as_far_behind_head_as_the_budget_can_be_resumed_from() {
        for (head, broken) in [(70, 0), (69, 1)] {
            let did = [Did::Snapshot(head), accepted(head, 100)];
            assert_eq!(judged(&did, &windows(10, 100, 30)).count(RULE), broken, "{head}");
        }
    }
}
