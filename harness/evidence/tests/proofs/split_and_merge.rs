//! One stream of records, split over shards in any way and merged in any order, settles to the same
//! facts, exactly.

use khala_evidence::oracle::{End, Rule};
use khala_evidence::{Record, Settled};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::by_hand::event;
use crate::support::garbage::garbage;
use crate::support::history::{History, valid};
use crate::support::records::{self, Entry};
use crate::support::shards::{Split, settle, settle_split, settle_taken};
use crate::support::{cases, plans};

fn split(shards: impl Strategy<Value = usize>) -> impl Strategy<Value = Split> {
    let places = prop::collection::vec(0_usize..100, 16);
    let merges = prop::collection::vec((0_usize..100, 0_usize..100), 8);
    (shards, places, merges).prop_map(|(shards, places, merges)| Split { shards, places, merges })
}

fn assert_equal_however_split(records: &[Record], end: End, splits: &[Split]) {
    let whole = settle(plans::history(), records, end);
    for split in splits {
        let merged = settle_split(plans::history(), records, end, split);
        assert_eq!(merged, whole, "split as {split:?}");
    }
}

fn assert_comes_back(settled: &Settled) {
    let text = serde_json::to_string(settled).expect("serialises");
    let back: Settled = serde_json::from_str(&text).expect("parses");
    assert_eq!(&back, settled);
}

/// A history in which some deliveries are missing, moved or changed, so that there is something to
/// count and something to keep.
fn damaged() -> impl Strategy<Value = History> {
    let damage = prop::collection::vec((any::<Index>(), 0_u8..4, any::<Index>()), 1..40);
    (valid(), damage).prop_map(|(mut history, damage)| {
        for (place, kind, other) in damage {
            let records = &mut history.records;
            let place = place.index(records.len());
            match (&mut records[place], kind) {
                (Record::Delivered(delivery), 0) => delivery.content ^= 1,
                (Record::Delivered(delivery), 1) => delivery.seq += 1,
                (Record::Delivered(_), 2) => drop(records.remove(place)),
                (Record::Delivered(delivery), _) => {
                    let again = Record::Delivered(*delivery);
                    records.insert(other.index(records.len()), again);
                }
                (Record::SubscribeOk { .. } | Record::Published(_), 0) => {
                    drop(records.remove(place));
                }
                _ => {}
            }
        }
        history
    })
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_valid_history_settles_to_the_same_facts_however_it_was_split(
        history in valid(),
        four in split(Just(4)),
        several in split(2_usize..9),
    ) {
        assert_equal_however_split(&history.records, history.end, &[four, several]);
    }

    #[test]
    fn a_damaged_history_settles_to_the_same_violations_however_it_was_split(
        history in damaged(),
        drained in any::<bool>(),
        four in split(Just(4)),
        several in split(2_usize..9),
    ) {
        let end = End { drained, ..history.end };
        assert_equal_however_split(&history.records, end, &[four, several]);
    }

    #[test]
    fn records_without_rhyme_or_reason_settle_to_the_same_facts_however_they_were_split(
        records in garbage(),
        drained in any::<bool>(),
        several in split(2_usize..9),
    ) {
        let end = End { at: 12_000_000, drained };
        assert_equal_however_split(&records, end, &[several]);
    }

    #[test]
    fn what_is_taken_away_each_second_and_put_together_again_settles_to_the_same_facts(
        history in damaged(),
        records in garbage(),
        every in 1_usize..40,
    ) {
        let whole = settle(plans::history(), &history.records, history.end);
        let taken = settle_taken(plans::history(), &history.records, history.end, every);
        prop_assert_eq!(taken, whole);
        let end = End { at: 12_000_000, drained: true };
        let whole = settle(plans::history(), &records, end);
        prop_assert_eq!(settle_taken(plans::history(), &records, end, every), whole);
    }

    #[test]
    fn settled_facts_come_back_from_json(history in damaged(), records in garbage()) {
        assert_comes_back(&settle(plans::history(), &history.records, history.end));
        let end = End { at: 12_000_000, drained: true };
        assert_comes_back(&settle(plans::history(), &records, end));
    }
}

/// Every way in which two shards of one record each come together.
fn assert_equal_in_either_order(records: &[Record], found: u64) {
    let end = End { at: 12_000_000, drained: true };
    let whole = settle(plans::history(), records, end);
    assert_eq!(whole.violations(Rule::DivergentValue), found);
    for shards in 2..=records.len() {
        for merges in [(0, 0), (1, 0)] {
            let places = (0..records.len()).collect();
            let split = Split { shards, places, merges: vec![merges] };
            assert_equal_however_split(records, end, &[split]);
        }
    }
}

#[test]
fn a_hash_that_fits_here_and_does_not_fit_there_is_found_in_whatever_order_they_come() {
    let delivered = |client: u32| {
        let entry = Entry { hash_fits: client != 1, ..event(1) };
        records::delivered(client, 1, 1_000 + u64::from(client), &entry)
    };
    assert_equal_in_either_order(&[0, 1, 2].map(delivered), 1);
}

#[test]
fn more_contents_than_are_remembered_are_counted_the_same_however_they_come() {
    let delivered = |client: u32| {
        let content = (u64::from(client) * 7) % 20;
        let entry = Entry { content, hash_fits: client == 0, ..event(1) };
        records::delivered(client, 1, 1_000 + u64::from(client), &entry)
    };
    let list: Vec<_> = (0..20).map(delivered).collect();
    assert_equal_in_either_order(&list, 19);
}

#[test]
fn damage_is_found_and_kept_or_the_comparisons_above_would_compare_nothing() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let found = (0..32).filter(|_| {
        let history = damaged().new_tree(&mut runner).expect("a history").current();
        let settled = settle(plans::history(), &history.records, history.end);
        settled.tally.total() > 2 && !settled.tally.kept().is_empty()
    });
    assert!(found.count() >= 24);
}
