//! One thing wrong at a time: each is rejected by the rule that it breaks, and by no other.

use std::collections::{BTreeMap, BTreeSet};

use khala_evidence::oracle::{End, Rule};
use khala_evidence::record::{PublishId, Source};
use khala_evidence::{Record, Settled};
use khala_wire::topic::TopicId;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::authority;
use crate::support::by_hand::{ByHand, event};
use crate::support::edit::Manner::{Again, Fresh};
use crate::support::edit::{self, Change, apply};
use crate::support::history::{History, alone, valid};
use crate::support::records::{self, Entry, state, stream};
use crate::support::{broken, cases, plans, shards};

/// Bound of [`plans::history`] on a state's lag.
const SETTLE_US: u64 = 200_000;
/// Its bound on convergence.
const CONVERGE_US: u64 = 60_000_000;

fn settle(history: &History, records: &[Record]) -> Settled {
    shards::settle(plans::history(), records, history.end)
}

/// The facts after one of the changes, if the history has a place for any.
fn after_one(history: &History, changes: &[Change], draw: Index) -> Option<Settled> {
    let change = (!changes.is_empty()).then(|| draw.get(changes))?;
    Some(settle(history, &apply(&history.records, change)))
}

macro_rules! edits {
    ($($(#[doc = $doc:literal])* $name:ident: $changes:expr => $check:expr;)*) => {
        proptest! {
            #![proptest_config(cases(192))]
            $(
                $(#[doc = $doc])*
                #[test]
                fn $name(history in valid(), draw in any::<Index>()) {
                    let changes: Vec<Change> = ($changes)(&history.records[..]);
                    let settled = after_one(&history, &changes, draw);
                    prop_assume!(settled.is_some());
                    let broken = broken(&settled.expect("assumed"));
                    let check: fn(&[(Rule, u64)]) -> bool = $check;
                    prop_assert!(check(&broken), "broken: {broken:?}");
                }
            )*
        }
    };
}

edits! {
    a_bad_token_that_is_accepted_is_an_authz_leak:
        authority::accepted_token => |broken| broken == [(Rule::AuthzLeak, 1)];

    an_answer_over_the_socket_of_a_revoked_session_is_an_authz_leak:
        authority::heard_after_revocation => |broken| broken == [(Rule::AuthzLeak, 1)];

    an_update_from_a_topic_that_was_not_granted_is_an_authz_leak:
        authority::leaked => |broken| broken == [(Rule::AuthzLeak, 1)];

    a_command_over_the_socket_that_is_answered_with_ok_is_accepted:
        authority::obeyed => |broken| broken == [(Rule::CommandAccepted, 1)];

    a_command_over_the_socket_that_comes_out_is_accepted:
        authority::came_out => |broken| matches!(broken, [(Rule::CommandAccepted, 1..)]);

    a_word_that_the_contract_does_not_have_is_a_wrong_close_or_error:
        authority::unheard_of => |broken| broken == [(Rule::WrongCloseOrError, 1)];

    an_update_that_one_client_missed_is_a_gap:
        edit::missing_mid_stream => |broken| broken == [(Rule::Gap, 1)];

    an_end_of_the_stream_that_one_client_missed_is_a_lost_publish:
        edit::missing_tail => |broken| broken == [(Rule::LostPublish, 1)];

    updates_of_a_stream_that_come_the_wrong_way_round_are_nonmonotonic:
        |records: &[Record]| edit::swapped(records, stream(), |_| true)
        => |broken| broken == [(Rule::Nonmonotonic, 1)];

    /// And nothing else: what came, came, although the client does not apply it.
    updates_of_a_state_that_come_the_wrong_way_round_are_nonmonotonic:
        |records: &[Record]| edit::swapped(records, state(), |_| true)
        => |broken| broken == [(Rule::Nonmonotonic, 1)];

    /// By its cursor the client has it.
    an_update_of_a_stream_from_below_the_cursor_is_a_duplicate:
        |records: &[Record]| edit::at_or_below_cursor(records, stream(), true)
        => |broken| broken.is_empty();

    an_update_of_a_state_from_below_the_cursor_is_a_duplicate:
        |records: &[Record]| edit::at_or_below_cursor(records, state(), true)
        => |broken| broken.is_empty();

    another_content_from_below_the_cursor_is_a_bad_duplicate:
        |records: &[Record]| edit::at_or_below_cursor(records, stream(), false)
        => |broken| broken == [(Rule::BadDuplicate, 1)];

    a_content_that_no_other_delivery_has_is_divergent:
        |records: &[Record]| edit::another_content(records, Fresh)
        => |broken| broken == [(Rule::DivergentValue, 1)];

    a_content_that_does_not_fit_its_hash_is_divergent:
        |records: &[Record]| edit::another_hash(records, Fresh, true)
        => |broken| broken == [(Rule::DivergentValue, 1)];

    the_right_content_with_a_hash_that_does_not_fit_is_divergent:
        |records: &[Record]| edit::another_hash(records, Fresh, false)
        => |broken| broken == [(Rule::DivergentValue, 1)];

    a_payload_that_was_not_published_is_divergent:
        |records: &[Record]| edit::not_what_was_published(records, Fresh)
        => |broken| broken == [(Rule::DivergentValue, 1)];

    a_content_that_is_another_when_it_comes_again_is_a_bad_duplicate:
        |records: &[Record]| edit::another_content(records, Again)
        => |broken| broken == [(Rule::BadDuplicate, 1)];

    a_content_that_does_not_fit_its_hash_when_it_comes_again_is_a_bad_duplicate:
        |records: &[Record]| edit::another_hash(records, Again, true)
        => |broken| broken == [(Rule::BadDuplicate, 1)];

    a_payload_that_was_not_published_and_comes_again_is_a_bad_duplicate:
        |records: &[Record]| edit::not_what_was_published(records, Again)
        => |broken| broken == [(Rule::BadDuplicate, 1)];

    a_channel_that_is_silent_while_its_socket_answers_is_stuck:
        edit::silent_channel => |broken| broken == [(Rule::StuckChannel, 1)];

    an_ok_reply_before_the_replay_is_a_false_replay_complete:
        |records: &[Record]| edit::reply_before_replay(records, true)
        => |broken| matches!(broken, [(Rule::FalseReplayComplete, 1..)]);

    a_replay_without_a_settled_version_is_a_false_replay_complete:
        |records: &[Record]| edit::replay_without_a_settled_version(records, SETTLE_US, true)
        => |broken| matches!(broken, [(Rule::FalseReplayComplete, 1..)]);
}

proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn an_update_that_every_client_missed_is_a_gap_if_it_was_acknowledged_and_else_a_hole(
        history in valid(),
        draw in any::<Index>(),
    ) {
        let changes = edit::missing_for_everybody(&history.records);
        prop_assume!(!changes.is_empty());
        let (change, acknowledged) = draw.get(&changes);
        let settled = settle(&history, &apply(&history.records, change));
        let rules: Vec<_> = broken(&settled).into_iter().map(|(rule, _)| rule).collect();
        prop_assert_eq!(rules, if *acknowledged { vec![Rule::Gap] } else { Vec::new() });
        let told = settled.findings.iter().any(|finding| finding.name == "holes");
        prop_assert!(told || *acknowledged);
    }

    #[test]
    fn an_acknowledged_publish_that_nobody_got_is_a_lost_publish(history in valid()) {
        let id = PublishId::Planned(1_000_000);
        let done = history.end.at - 1_000;
        let lost = records::published(id, 0, done - 100, done, Some(1_000), 7);
        let retired = history.records.iter().position(|r| matches!(r, Record::Retired { .. }));
        let change = Change::Insert(retired.expect("everybody is retired"), lost);
        let edited = apply(&history.records, &change);
        prop_assert_eq!(broken(&settle(&history, &edited)), [(Rule::LostPublish, 1)]);

        let undrained = End { drained: false, ..history.end };
        let settled = shards::settle(plans::history(), &edited, undrained);
        prop_assert_eq!(broken(&settled), []);
        prop_assert_eq!(settled.tally.rule(Rule::LostPublish).undecided, 1);
    }

    #[test]
    fn a_subscribe_that_is_not_answered_within_the_bound_is_no_convergence(
        history in valid(),
        draw in any::<Index>(),
    ) {
        let changes = edit::no_reply(&history.records);
        let (change, client) = draw.get(&changes);
        let mut edited = apply(&history.records, change);
        let late = history.end.at + CONVERGE_US;
        for record in &mut edited {
            match record {
                Record::Retired { client: id, at, .. } if id == client => *at = late,
                _ => {}
            }
        }
        let end = End { at: late, ..history.end };
        let settled = shards::settle(plans::history(), &edited, end);
        prop_assert_eq!(broken(&settled), [(Rule::NoConvergence, 1)]);
    }
}

proptest! {
    #![proptest_config(cases(192))]

    #[test]
    fn an_event_that_nobody_published_is_a_phantom(history in alone(), draw in any::<Index>()) {
        let changes = edit::never_begun(&history.records);
        prop_assume!(!changes.is_empty());
        let edited = apply(&history.records, draw.get(&changes));
        let settled = shards::settle(plans::alone(), &edited, history.end);
        prop_assert_eq!(broken(&settled), [(Rule::Phantom, 1)]);
        // Where others write as well, nobody knows.
        prop_assert_eq!(broken(&settle(&history, &edited)), []);
    }

    #[test]
    fn an_event_of_others_is_a_phantom_where_nobody_else_writes(history in valid()) {
        let settled = shards::settle(plans::alone(), &history.records, history.end);
        let seen_after_ours = foreign_after_ours(&history.records);
        let expected: &[_] = match seen_after_ours {
            0 => &[],
            n => &[(Rule::Phantom, n)],
        };
        prop_assert_eq!(broken(&settled), expected);
    }
}

/// Places of others' updates above the first of ours; on the state, above the first version that was
/// begun after the settle bound.
fn foreign_after_ours(records: &[Record]) -> u64 {
    let late: BTreeSet<(u16, u64)> = records
        .iter()
        .filter_map(|record| match record {
            Record::Published(p) if p.start > SETTLE_US => Some((p.worker, p.worker_seq?)),
            _ => None,
        })
        .collect();
    let places: BTreeMap<(TopicId, u64), Source> = records
        .iter()
        .filter_map(|record| match record {
            Record::Delivered(d) => Some(((d.topic, d.seq), d.source)),
            _ => None,
        })
        .collect();
    let is_ours = |source: &Source| match *source {
        Source::Document { .. } | Source::Foreign => false,
        Source::Event { .. } => true,
        Source::State { worker, version } => late.contains(&(worker, version)),
    };
    let first_of_ours = |of: TopicId| {
        let mine = places.iter().filter(|((topic, _), source)| *topic == of && is_ours(source));
        mine.map(|((_, seq), _)| *seq).min().unwrap_or(u64::MAX)
    };
    let foreign = places.iter().filter(|(_, source)| source.is_foreign());
    foreign.filter(|((topic, seq), _)| *seq > first_of_ours(*topic)).count() as u64
}

#[test]
fn a_loss_is_a_consequence_only_of_a_gap_that_was_found() {
    // Four publishes are lost while the client is away, and its cursor with them: no gap is seen.
    let mut run = ByHand::default();
    run.subscribe(0, 1, None).ok(0, 1, 0).publish(1..=4).deliver(0, 1, 1..=4).lose(0);
    run.publish(5..=8).subscribe(0, 2, None).ok(0, 2, 8).publish(9..=9);
    let settled = run.deliver(0, 2, 9..=9).settle();
    assert_eq!(broken(&settled), [(Rule::LostPublish, 4)]);
}

#[test]
fn one_publish_under_two_seqs_is_a_bad_duplicate() {
    let mut run = ByHand::default();
    run.subscribe(0, 1, None).ok(0, 1, 0).publish(1..=1).deliver(0, 1, 1..=1);
    let settled = run.deliver_entry(0, 1, &Entry { seq: 2, ..event(1) }).settle();
    assert_eq!(broken(&settled), [(Rule::BadDuplicate, 1)]);
}

#[test]
fn a_client_is_live_again_when_redeliveries_have_brought_it_to_head() {
    let mut run = ByHand::default();
    run.subscribe(0, 1, None).ok(0, 1, 0).publish(1..=9).deliver(0, 1, 1..=9).lose(0);
    // The reply says nothing of what is owed; what comes after it is no news to the client.
    let sent = [(stream(), Some(5), 9)];
    run.records.push(records::connected(0, 100_000));
    run.records.push(records::subscribe_sent(0, 2, 100_010, &sent));
    let settled = run.ok(0, 2, 9).deliver(0, 2, 6..=9).settle();
    assert_eq!(settled.clients_live_at_end, 1);
}
