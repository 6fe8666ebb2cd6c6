//! What a client did with its cursors, for the tests of the rules that judge it.

use super::super::windows::{Window, Windows};
use super::*;

pub const TOPIC: TopicId = TopicId::WORKER_SUMMARIES;
const OTHER: TopicId = TopicId::WORKER_EVENTS;
pub const SENT: Micros = 1_000;
/// The settle bound.
pub const SETTLE: Micros = 500;
pub const BEFORE: Micros = 100;
pub const AFTER: Micros = 5_000;

/// What a client did, in order.
pub enum Did {
    Accepted(u64, u64),
    Refused(u64, Vec<StaleTopic>),
    Snapshot(u64),
}

pub fn accepted(cursor: u64, watermark: u64) -> Did {
    Did::Accepted(cursor, watermark)
}

/// Refused without figures, so that the reason is taken at its word.
pub fn refused(cursor: u64, reason: StaleReason) -> Did {
    let said = figures(cursor, reason, 0, 0, 0);
    let none = StaleTopic { floor: None, head: None, budget: None, lag: None, ..said };
    Did::Refused(cursor, vec![none])
}

pub fn figures(cursor: u64, reason: StaleReason, floor: u64, head: u64, budget: u64) -> StaleTopic {
    let lag = Some(head.saturating_sub(cursor));
    let (floor, head, budget) = (Some(floor), Some(head), Some(budget));
    StaleTopic { topic: TOPIC, reason, cursor, floor, head, budget, lag, tier: None }
}

pub fn for_another(cursor: u64) -> Did {
    Did::Refused(cursor, vec![])
}

/// Equal windows before and after everything.
pub fn windows(floor: u64, head: u64, budget: u64) -> Windows {
    windows_between((floor, head), (floor, head), budget)
}

pub fn windows_between(before: (u64, u64), after: (u64, u64), budget: u64) -> Windows {
    let mut windows = Windows::default();
    for (at, (floor, head)) in [(BEFORE, before), (AFTER, after)] {
        windows.add(TOPIC, Window { asked: at, answered: at + 10, floor, head, budget });
    }
    windows
}

pub fn judged(did: &[Did], windows: &Windows) -> Tally {
    let (mut cursors, mut tally) = (Cursors::default(), Tally::new(10));
    let subscribed = |cursor| SubscribedTopic {
        topic: TOPIC,
        cursor: Some(cursor),
        head_seen: 0,
        by_fault: false,
    };
    for (one, epoch) in did.iter().zip(1..) {
        let at = SENT + u64::from(epoch) * 10;
        match one {
            Did::Accepted(cursor, watermark) => {
                cursors.sent(epoch, at, &[subscribed(*cursor)]);
                cursors.accepted(at + 5, &[(TOPIC, *watermark)]);
            }
            Did::Refused(cursor, stale) => {
                cursors.sent(epoch, at, &[subscribed(*cursor)]);
                cursors.refused(7, at + 5, stale, &mut tally);
            }
            Did::Snapshot(head) => cursors.took_snapshot(TOPIC, at, at + 5, *head),
        }
    }
    cursors.settle(7, &windows.timelines(0), Duration::from_micros(SETTLE), &mut tally);
    tally
}

#[test]
fn cursors_beyond_the_bound_are_undecided_and_not_forgotten() {
    let many: Vec<_> = (0..=FACTS_MAX).map(|_| accepted(50, 100)).collect();
    let tally = judged(&many, &windows(10, 100, 90));
    assert_eq!(tally.rule(Rule::StaleNotSignalled).undecided, 1);
    assert!(!judged(&many, &Windows::default()).exercised(Rule::StaleNotSignalled));
}

#[test]
fn a_refusal_is_planned_when_a_fault_chose_every_cursor_that_it_lists() {
    let topic =
        |topic, by_fault| SubscribedTopic { topic, cursor: Some(1), head_seen: 0, by_fault };
    let mut cursors = Cursors::default();
    cursors.sent(1, 0, &[topic(TOPIC, true), topic(OTHER, false)]);
    assert!(cursors.pending.is_planned(), "before it is known what is refused");
    let listed = |topic| StaleTopic { topic, ..figures(1, StaleReason::RetentionFloor, 5, 9, 100) };
    let mut tally = Tally::new(1);
    cursors.refused(0, 1, &[listed(OTHER)], &mut tally);
    assert!(!cursors.pending.is_planned());
    cursors.sent(2, 2, &[topic(TOPIC, true), topic(OTHER, false)]);
    cursors.refused(0, 3, &[listed(TOPIC)], &mut tally);
    assert!(cursors.pending.is_planned());
}

#[test]
fn refusals_and_snapshots_beyond_the_bound_are_undecided_each() {
    let refusals: Vec<_> =
        (0..FACTS_MAX + 2).map(|_| refused(9, StaleReason::RetentionFloor)).collect();
    let tally = judged(&refusals, &windows(10, 100, 90));
    assert_eq!((tally.total(), tally.rule(Rule::FalseStale).undecided), (0, 2));
    let snapshots: Vec<_> = (0..SNAPSHOTS_MAX + 2).map(|_| Did::Snapshot(55)).collect();
    let tally = judged(&snapshots, &windows(10, 100, 90));
    assert_eq!((tally.total(), tally.rule(Rule::BadSnapshot).undecided), (0, 2));
}

#[test]
fn a_topic_remembers_that_it_was_refused_and_the_snapshot_that_it_resumes_from() {
    let (mut cursors, mut tally) = (Cursors::default(), Tally::new(1));
    assert!(!cursors.was_refused(TOPIC));
    let sent = SubscribedTopic { topic: TOPIC, cursor: Some(9), head_seen: 0, by_fault: false };
    cursors.sent(1, 10, &[sent]);
    let stale = figures(9, StaleReason::RetentionFloor, 10, 99, 1_000);
    cursors.refused(7, 15, &[stale], &mut tally);
    assert!(cursors.was_refused(TOPIC) && !cursors.was_refused(OTHER));
    cursors.took_snapshot(TOPIC, 20, 25, 60);
    assert_eq!(cursors.snapshot_done(TOPIC, 60), Some(25));
    assert_eq!(cursors.snapshot_done(TOPIC, 61), None);
    assert_eq!(cursors.snapshot_done(OTHER, 60), None);
}
