//! A subscription that ends as stale in its middle: no subscribe is under way, and the target says that what
//! the client is at can no longer be served.

use super::*;

/// What the target says of a client that has seqs up to 3; by these figures its cursor is stale.
fn said() -> StaleTopic {
    StaleTopic {
        topic: stream(),
        reason: StaleReason::RetentionFloor,
        cursor: 3,
        floor: Some(8),
        head: Some(13),
        budget: Some(500),
        lag: Some(10),
        tier: None,
    }
}

fn ended(said: StaleTopic) -> Record {
    Record::SubscribeStale { client: 0, epoch: 1, at: 10 * S, topics: vec![said] }
}

/// Live since 1 s with seqs 1 to 3; then comes `end`, and `more`.
fn told(end: Record, more: &[Record]) -> Settled {
    let mut records = vec![connected(S), sent(1, S, stream(), Some(0)), ok(1, S, stream(), 0)];
    records.extend((1..=3).map(|seq| event(0, S + seq * 1_000, seq, S)));
    records.push(end);
    records.extend_from_slice(more);
    settle(&records)
}

/// It subscribes again, without a cursor, and gets what the log still has.
fn back(at: Micros) -> Vec<Record> {
    let mut records = vec![sent(2, at, stream(), None)];
    records.extend((9..=13).map(|seq| event(0, at + seq, seq, S)));
    records.push(ok(2, at + 100, stream(), 13));
    records
}

fn hits(settled: &Settled, metric: MetricId) -> u64 {
    settled.metrics.count_of(metric, &[0, 1, 2], None).hits
}

#[test]
fn it_is_no_refusal_of_a_cursor_that_nobody_sent() {
    let settled = told(ended(said()), &back(10 * S + 10));
    assert_eq!(broken(&settled), []);
    for rule in [Rule::FalseStale, Rule::WrongReason, Rule::StaleNotSignalled, Rule::BadSnapshot] {
        assert_eq!(settled.tally.rule(rule).undecided, 0, "{rule:?}");
    }
    assert_eq!(settled.tally.rule(Rule::WrongReason).judged, 1);
    assert_eq!(settled.tally.rule(Rule::TailBeforeSnapshot).judged, 1);
    assert_eq!(hits(&settled, MetricId::UnplannedStale), 1);
    assert_eq!(hits(&settled, MetricId::TopicErrors), 0, "no subscribe was refused");
}

#[test]
fn its_figures_are_judged_as_those_of_a_refusal() {
    let fresh = StaleTopic { floor: Some(3), ..said() };
    assert_eq!(broken(&told(ended(fresh), &back(10 * S + 10))), [Rule::FalseStale]);
    for wrong in [
        StaleTopic { lag: Some(9), ..said() },
        StaleTopic { reason: StaleReason::ReplayBudget, ..said() },
        StaleTopic { reason: StaleReason::Other, ..said() },
    ] {
        assert_eq!(
            broken(&told(ended(wrong), &back(10 * S + 10))),
            [Rule::WrongReason],
            "{wrong:?}"
        );
    }
}

#[test]
fn windows_prove_the_cursor_fresh_or_bear_it_out() {
    let window = |oldest, head| Record::Window {
        asked: 11 * S,
        answered: 11 * S + 10,
        topic: stream(),
        oldest: Some(oldest),
        head,
        budget: 500,
        tier: None,
    };
    let of = |oldest| {
        let mut more = back(10 * S + 10);
        more.push(window(oldest, 13));
        told(ended(said()), &more)
    };
    assert_eq!(broken(&of(1)), [Rule::FalseStale]);
    let settled = of(9);
    assert_eq!(broken(&settled), []);
    assert_eq!(settled.tally.rule(Rule::FalseStale).undecided, 1, "the floor may have risen since");
}

#[test]
fn a_topic_that_is_not_subscribed_to_has_none_to_end() {
    let of_another = StaleTopic { topic: state(), ..said() };
    let settled = told(ended(of_another), &[]);
    assert_eq!(broken(&settled), [Rule::FalseStale]);
    assert_eq!(hits(&settled, MetricId::UnplannedStale), 0);
    // Neither has one that was ended before.
    let twice = [ended(said())].into_iter().chain(back(10 * S + 10)).collect::<Vec<_>>();
    assert_eq!(broken(&told(ended(said()), &twice)), [Rule::FalseStale]);
}

#[test]
fn nothing_of_it_comes_before_the_next_subscribe_and_others_go_on() {
    let late = [event(0, 10 * S + 5, 4, S)];
    let more: Vec<_> = late.into_iter().chain(back(10 * S + 10)).collect();
    assert_eq!(broken(&told(ended(said()), &more)), [Rule::TailBeforeSnapshot]);
    let topics = vec![subscribed(stream(), Some(0), false), subscribed(state(), Some(0), false)];
    let mut records = vec![
        connected(S),
        Record::SubscribeSent { client: 0, epoch: 1, at: S, topics },
        Record::SubscribeOk {
            client: 0,
            epoch: 1,
            at: S + 5,
            watermarks: vec![(stream(), 0), (state(), 0)],
        },
        event(0, 2 * S, 1, S),
        ended(StaleTopic { cursor: 1, lag: Some(12), ..said() }),
        delivered(0, 10 * S + 5, state(), 2, Source::Foreign),
    ];
    records.extend(back(10 * S + 10));
    let settled = settle(&records);
    assert_eq!(broken(&settled), []);
    assert_eq!(
        settled.applied[&state()],
        1,
        "what the target did not name is subscribed to as before"
    );
}

#[test]
fn it_ends_being_live_and_the_wait_for_it_begins_anew() {
    assert_eq!(broken(&told(ended(said()), &[])), [Rule::NoConvergence], "it never comes back");
    let settled = told(ended(said()), &back(41 * S));
    assert_eq!(broken(&settled), [Rule::NoConvergence], "after 31 s; the bound is 30 s");
    let settled = told(ended(said()), &back(39 * S));
    assert_eq!(broken(&settled), []);
    assert_eq!(settled.tally.rule(Rule::NoConvergence).judged, 2);
}

#[test]
fn what_has_no_figures_is_held_against_nothing() {
    let none = StaleTopic {
        reason: StaleReason::Unsaid,
        floor: None,
        head: None,
        budget: None,
        lag: None,
        tier: None,
        ..said()
    };
    let settled = told(ended(none), &back(10 * S + 10));
    assert_eq!(broken(&settled), []);
    assert_eq!(settled.tally.rule(Rule::WrongReason).judged, 0);
    assert_eq!(settled.tally.rule(Rule::FalseStale).judged, 0);
}

#[test]
fn a_list_that_is_refused_for_one_of_its_topics_subscribes_to_nothing() {
    let list = |epoch, at| {
        let topics = [stream(), state()].map(|topic| subscribed(topic, Some(3), false)).to_vec();
        Record::SubscribeSent { client: 0, epoch, at, topics }
    };
    let refused = |epoch, at| {
        let topics = vec![StaleTopic { topic: state(), ..said() }];
        Record::SubscribeStale { client: 0, epoch, at, topics }
    };
    let of = |before: &[Record], epoch| {
        let mut records = vec![connected(S)];
        records.extend_from_slice(before);
        records.extend([list(epoch, 2 * S), refused(epoch, 2 * S + 10)]);
        records.push(event(0, 2 * S + 20, 4, 2 * S));
        records.push(sent(epoch + 1, 2 * S + 30, stream(), Some(4)));
        records.push(ok(epoch + 1, 2 * S + 40, stream(), 4));
        broken(&settle(&records))
    };
    assert_eq!(of(&[], 1), [Rule::AfterUnsubscribe]);
    // What an earlier subscribe on the same socket asked for may go on.
    let earlier = [sent(1, S, stream(), Some(3)), ok(1, S + 5, stream(), 3)];
    assert_eq!(of(&earlier, 2), []);
}
