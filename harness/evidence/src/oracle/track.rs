//! One client's view of one topic: what was delivered in the current epoch, in constant memory.
//!
//! An epoch begins with a subscribe. Within it, what was delivered is everything above the resume
//! cursor up to the highest seq, less the ranges that are missing: so three small fields tell
//! whether a seq is new, a repeat, or came out of order.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::record::Micros;

/// Missing ranges kept open in an epoch; with more, the oldest is settled as lost.
const MISSING_MAX: usize = 8;
/// Lost ranges remembered, to attribute consequences.
const LOST_MAX: usize = 16;
/// Seqs of a topic that is not dense remembered, to know a repeat when it comes.
const RECENT_MAX: usize = 64;

/// A range of seqs that did not come, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// First seq.
    pub first: u64,
    /// Last seq.
    pub last: u64,
    /// When a later one was seen.
    pub noticed_at: Micros,
}

/// What a delivery was to the track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Above everything the client had: it is applied.
    Fresh,
    /// Above everything of the epoch, but the client had it before: a redelivery, not applied.
    Redelivered,
    /// An identical place in this epoch was delivered already.
    Repeat,
    /// At or below the resume cursor: by its cursor the client has it, and does not apply it again.
    Overlap,
    /// A missing seq that comes after a later one.
    OutOfOrder,
    /// Older than what is remembered of a topic that is not dense.
    Undecided,
}

/// Whether anything of the topic may come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A subscribe named it and was not refused.
    #[default]
    Subscribed,
    /// The last subscribe was refused, or has ended since, because this topic's cursor is stale.
    Stale,
    /// Its unsubscribe was acknowledged.
    Left {
        /// When.
        at: Micros,
        /// Whether something came all the same.
        broken: bool,
    },
    /// Not subscribed, for another topic's sake.
    Out,
}

/// One client's view of one topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Number of the subscribe that began the epoch; 0 before the first.
    pub epoch: u32,
    /// The resume cursor, or what stands for it; `None` until the first delivery or reply.
    pub floor: Option<u64>,
    /// The resume cursor, where one was sent.
    #[serde(default)]
    cursor: Option<u64>,
    /// Highest seq of the epoch, the cursor included.
    pub highest: Option<u64>,
    /// Highest seq that the client ever applied.
    pub last_applied: Option<u64>,
    /// Seqs applied.
    pub applied: u64,
    /// Whether anything of the topic may come.
    pub standing: Standing,
    /// What was due before came by replay, although the client was live: it subscribed again on a
    /// live socket. `None` when that never happened in this life of the socket.
    pub live_from: Option<Micros>,
    /// From when on the client was owed all that was begun: 0 once it has subscribed without a cursor, but not
    /// because its own was stale (what was pruned is owed to nobody who was not there), else
    /// when the first subscribe with one was answered.
    pub owed_from: Option<Micros>,
    missing: Vec<Missing>,
    lost: Vec<Missing>,
    /// In ascending order.
    recent: VecDeque<u64>,
}

impl Track {
    /// Begins an epoch with a cursor or without one; returns what the last epoch never got.
    pub fn begin(&mut self, epoch: u32, cursor: Option<u64>) -> Vec<Missing> {
        let lost = self.settle();
        self.epoch = epoch;
        self.standing = Standing::Subscribed;
        (self.cursor, self.floor) = (cursor, cursor);
        self.highest = cursor;
        self.recent.clear();
        lost
    }

    /// It subscribes without a cursor, and no refusal had said that the log is pruned: all is replayed.
    pub fn replays_all(&mut self) {
        self.owed_from = Some(0);
    }

    /// Ends the epoch: what is still missing is lost.
    pub fn settle(&mut self) -> Vec<Missing> {
        let missing = std::mem::take(&mut self.missing);
        self.remember_lost(&missing);
        missing
    }

    /// Ranges that are missing as yet.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing.len()
    }

    fn remember_lost(&mut self, ranges: &[Missing]) {
        self.lost.extend_from_slice(ranges);
        let excess = self.lost.len().saturating_sub(LOST_MAX);
        self.lost.drain(..excess);
    }

    /// The subscribe was answered.
    pub fn accepted(&mut self, at: Micros) {
        self.owed_from.get_or_insert(at);
    }

    /// The ok reply says where the socket stands: the baseline where nothing else was said.
    pub fn answered(&mut self, watermark: u64) {
        if self.highest.is_none() {
            self.floor = Some(watermark);
            self.highest = Some(watermark);
            self.last_applied = self.last_applied.max(Some(watermark));
        }
    }

    /// Takes a delivery, on a topic whose seqs are dense or not; also returns a range that overflowed the list of missing ones.
    pub fn deliver(&mut self, dense: bool, seq: u64, at: Micros) -> (Step, Option<Missing>) {
        // Without a cursor the first seq delivered is the baseline.
        let highest = *self.highest.get_or_insert(seq.saturating_sub(1));
        let floor = *self.floor.get_or_insert(highest);
        if seq <= highest {
            return (self.below_highest(dense, seq, floor), None);
        }
        self.highest = Some(seq);
        let overflow = if !dense {
            self.recent.push_back(seq);
            if self.recent.len() > RECENT_MAX {
                self.recent.pop_front();
            }
            None
        } else if seq > highest + 1 {
            self.open(Missing { first: highest + 1, last: seq - 1, noticed_at: at })
        } else {
            None
        };
        if self.last_applied.is_some_and(|last| seq <= last) {
            return (Step::Redelivered, overflow);
        }
        self.last_applied = Some(seq);
        self.applied += 1;
        (Step::Fresh, overflow)
    }

    fn below_highest(&mut self, dense: bool, seq: u64, floor: u64) -> Step {
        if seq <= floor {
            let is_had = self.cursor.is_some_and(|cursor| seq <= cursor);
            return if is_had { Step::Overlap } else { Step::OutOfOrder };
        }
        if dense {
            return if self.fill(seq) { Step::OutOfOrder } else { Step::Repeat };
        }
        match self.recent.binary_search(&seq) {
            Ok(_) => Step::Repeat,
            Err(0) if self.recent.len() == RECENT_MAX => Step::Undecided,
            Err(_) => Step::OutOfOrder,
        }
    }

    fn open(&mut self, missing: Missing) -> Option<Missing> {
        self.missing.push(missing);
        if self.missing.len() <= MISSING_MAX {
            return None;
        }
        let oldest = self.missing.remove(0);
        self.remember_lost(&[oldest]);
        Some(oldest)
    }

    /// Takes a seq out of the missing ranges; whether it was in one.
    fn fill(&mut self, seq: u64) -> bool {
        let Some(index) = self.missing.iter().position(|m| (m.first..=m.last).contains(&seq))
        else {
            return false;
        };
        let range = self.missing.remove(index);
        let halves = [Missing { last: seq - 1, ..range }, Missing { first: seq + 1, ..range }];
        for half in halves.into_iter().filter(|half| half.first <= half.last).rev() {
            self.missing.insert(index, half);
        }
        true
    }

    /// Whether every seq from `first` to `last` is known to be lost.
    #[must_use]
    pub fn all_lost(&self, first: u64, last: u64) -> bool {
        let lost = |seq: u64| {
            self.lost.iter().chain(&self.missing).any(|m| (m.first..=m.last).contains(&seq))
        };
        // Bounded: a check of more than this many seqs is not a consequence of single losses.
        last - first < 1_000 && (first..=last).all(lost)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(cursor: Option<u64>, seqs: &[u64]) -> (Vec<Step>, Vec<(u64, u64)>) {
        let mut track = Track::default();
        track.begin(1, cursor);
        let steps = seqs.iter().map(|&seq| track.deliver(true, seq, 0).0).collect();
        (steps, track.settle().iter().map(|m| (m.first, m.last)).collect())
    }

    #[test]
    fn a_hole_after_the_cursor_is_missing() {
        assert_eq!(steps(Some(4), &[6]), (vec![Step::Fresh], vec![(5, 5)]));
    }

    #[test]
    fn without_a_cursor_the_first_seq_is_the_baseline() {
        assert_eq!(steps(None, &[9, 10]), (vec![Step::Fresh, Step::Fresh], vec![]));
    }

    #[test]
    fn a_swap_is_out_of_order_and_not_a_hole() {
        assert_eq!(
            steps(Some(0), &[2, 1, 3]),
            (vec![Step::Fresh, Step::OutOfOrder, Step::Fresh], vec![])
        );
    }

    #[test]
    fn a_repeat_is_told_from_what_the_client_has_by_its_cursor() {
        assert_eq!(
            steps(Some(3), &[2, 3, 4, 4, 3]),
            (vec![Step::Overlap, Step::Overlap, Step::Fresh, Step::Repeat, Step::Overlap], vec![])
        );
    }

    #[test]
    fn below_a_baseline_that_is_no_cursor_everything_is_new() {
        assert_eq!(steps(None, &[5, 4]), (vec![Step::Fresh, Step::OutOfOrder], vec![]));
        let mut track = Track::default();
        track.begin(1, Some(9));
        track.begin(2, None);
        track.answered(7);
        assert_eq!(track.deliver(true, 7, 0).0, Step::OutOfOrder, "the old cursor is gone");
    }

    #[test]
    fn the_reply_is_the_baseline_when_nothing_was_delivered() {
        let mut track = Track::default();
        track.begin(1, None);
        track.answered(7);
        track.deliver(true, 9, 5);
        assert_eq!(track.settle(), [Missing { first: 8, last: 8, noticed_at: 5 }]);
    }

    #[test]
    fn all_is_owed_from_the_beginning_or_from_the_first_answer_to_a_cursor_on() {
        let mut track = Track::default();
        track.begin(1, Some(7));
        assert_eq!(track.owed_from, None);
        track.accepted(40);
        track.accepted(60);
        assert_eq!(track.owed_from, Some(40));
        track.begin(2, None);
        assert_eq!(track.owed_from, Some(40), "after a stale cursor the log is pruned");
        track.replays_all();
        assert_eq!(track.owed_from, Some(0));
    }

    #[test]
    fn an_older_cursor_makes_redeliveries_that_are_not_applied_again() {
        let mut track = Track::default();
        track.begin(1, Some(0));
        (1..=3).for_each(|seq| assert_eq!(track.deliver(true, seq, 0).0, Step::Fresh));
        track.begin(2, Some(1));
        assert_eq!(track.deliver(true, 2, 0).0, Step::Redelivered);
        assert_eq!(track.applied, 3);
    }

    #[test]
    fn states_may_skip_and_repeat_but_not_go_back() {
        let mut track = Track::default();
        track.begin(1, Some(0));
        for (seq, step) in [(5, Step::Fresh), (5, Step::Repeat), (4, Step::OutOfOrder)] {
            assert_eq!(track.deliver(false, seq, 0).0, step);
        }
        assert_eq!(track.settle(), []);
    }

    /// A stream that has what is given after cursor 0.
    fn stream(seqs: &[u64]) -> Track {
        let mut track = Track::default();
        track.begin(1, Some(0));
        for &seq in seqs {
            track.deliver(true, seq, seq);
        }
        track
    }

    fn ranges(missing: &[Missing]) -> Vec<(u64, u64)> {
        missing.iter().map(|range| (range.first, range.last)).collect()
    }

    #[test]
    fn what_comes_late_is_taken_out_of_its_range() {
        let mut track = stream(&[6, 9]);
        assert_eq!((track.missing(), ranges(&track.missing)), (2, vec![(1, 5), (7, 8)]));
        for (late, left) in [
            (3, vec![(1, 2), (4, 5), (7, 8)]),
            (1, vec![(2, 2), (4, 5), (7, 8)]),
            (5, vec![(2, 2), (4, 4), (7, 8)]),
            (4, vec![(2, 2), (7, 8)]),
        ] {
            assert_eq!(track.deliver(true, late, 99), (Step::OutOfOrder, None));
            assert_eq!(ranges(&track.missing), left, "after {late}");
        }
        assert_eq!(track.deliver(true, 4, 99), (Step::Repeat, None));
        let noticed: Vec<_> = track.settle().iter().map(|range| range.noticed_at).collect();
        assert_eq!((noticed, track.missing()), (vec![6, 9], 0));
    }

    #[test]
    fn of_too_many_ranges_the_oldest_is_settled() {
        let most = MISSING_MAX as u64;
        let mut track = stream(&(1..=most).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(track.missing(), MISSING_MAX);
        let oldest = Missing { first: 1, last: 1, noticed_at: 2 };
        let next = track.deliver(true, most * 2 + 2, 99);
        assert_eq!(next, (Step::Fresh, Some(oldest)));
        assert_eq!(track.missing(), MISSING_MAX);
        assert!(track.all_lost(1, 1), "it is remembered");
    }

    #[test]
    fn what_is_lost_is_remembered_and_what_is_missing_counts_too() {
        let mut track = stream(&[5, 8]);
        for _ in 0..2 {
            assert!(track.all_lost(1, 4) && track.all_lost(2, 3) && track.all_lost(7, 7));
            assert!(!track.all_lost(4, 6) && !track.all_lost(5, 5) && !track.all_lost(8, 8));
            track.begin(2, Some(8));
        }
        // Seqs 2, 4, … are lost one an epoch; the first two of them are forgotten.
        let mut track = Track::default();
        let lost = LOST_MAX as u64 + 2;
        for n in 0..lost {
            track.begin(1, Some(n * 2 + 1));
            track.deliver(true, n * 2 + 3, 0);
        }
        track.settle();
        let remembered = (0..lost).filter(|n| track.all_lost(n * 2 + 2, n * 2 + 2));
        assert_eq!(remembered.collect::<Vec<_>>(), (2..lost).collect::<Vec<_>>());
    }

    #[test]
    fn more_than_a_thousand_seqs_follow_from_no_loss() {
        let track = stream(&[2_000]);
        assert!(track.all_lost(1, 1_000) && !track.all_lost(1, 1_001));
    }

    #[test]
    fn of_a_state_topic_the_last_places_are_remembered() {
        let recent = RECENT_MAX as u64;
        let mut track = Track::default();
        track.begin(1, Some(0));
        let place = |n: u64| n * 2;
        for n in 1..recent {
            assert_eq!(track.deliver(false, place(n), 0), (Step::Fresh, None));
        }
        // All are known as yet: what is not among them never came.
        assert_eq!(track.deliver(false, place(1) - 1, 0).0, Step::OutOfOrder);
        track.deliver(false, place(recent), 0);
        assert_eq!(track.deliver(false, place(1) - 1, 0).0, Step::Undecided);
        assert_eq!(track.deliver(false, place(1), 0).0, Step::Repeat);
        track.deliver(false, place(recent + 1), 0);
        assert_eq!(track.deliver(false, place(1), 0).0, Step::Undecided);
        assert_eq!(track.deliver(false, place(2), 0).0, Step::Repeat);
        assert_eq!(track.deliver(false, place(2) + 1, 0).0, Step::OutOfOrder);
        assert_eq!(track.deliver(false, 0, 0).0, Step::Overlap, "the cursor");
        track.begin(2, Some(0));
        assert_eq!(track.deliver(false, place(2), 0).0, Step::Redelivered);
        assert_eq!(track.deliver(false, place(1), 0).0, Step::OutOfOrder);
    }

    #[test]
    fn a_replys_watermark_counts_as_applied_only_where_nothing_was_said() {
        let mut track = Track::default();
        track.begin(1, None);
        track.answered(7);
        assert_eq!((track.floor, track.highest, track.last_applied), (Some(7), Some(7), Some(7)));
        track.answered(9);
        assert_eq!(track.highest, Some(7));
        track.begin(2, None);
        track.answered(5);
        assert_eq!((track.highest, track.last_applied), (Some(5), Some(7)));
        assert_eq!(track.deliver(true, 6, 0).0, Step::Redelivered);
        assert_eq!(track.deliver(true, 7, 0).0, Step::Redelivered);
        assert_eq!(track.deliver(true, 8, 0).0, Step::Fresh);
        assert_eq!(track.applied, 1);
    }

    proptest! {
        /// Dense histories over several epochs, with redeliveries from any older cursor and repeats,
        /// are accepted; the same with one seq taken out of an epoch is not.
        #[test]
        fn valid_histories_pass_and_one_deletion_is_found(
            epochs in prop::collection::vec((1_u64..20, 0_u64..10), 1..5),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut plan = Vec::new();
            let mut head = 0_u64;
            for (count, back) in epochs {
                let cursor = head.saturating_sub(back);
                head += count;
                plan.push((cursor, (cursor + 1..=head).collect::<Vec<_>>()));
            }
            let run = |plan: &[(u64, Vec<u64>)]| {
                let mut track = Track::default();
                let mut lost = 0;
                let mut bad = 0;
                for (epoch, (cursor, seqs)) in plan.iter().enumerate() {
                    lost += track.begin(u32::try_from(epoch).expect("few") + 1, Some(*cursor)).len();
                    for &seq in seqs {
                        let (step, overflow) = track.deliver(true, seq, 0);
                        bad += usize::from(step == Step::OutOfOrder);
                        lost += usize::from(overflow.is_some());
                    }
                }
                (lost + track.settle().len(), bad, track.applied)
            };
            prop_assert_eq!(run(&plan), (0, 0, head));

            let (epoch, seqs) = plan.iter().enumerate().max_by_key(|(_, (_, s))| s.len()).map(|(e, (_, s))| (e, s.len())).expect("one");
            if seqs >= 2 {
                let mut broken = plan.clone();
                // Not the last: a tail that never came is another rule's business.
                broken[epoch].1.remove(cut.index(seqs - 1));
                let (lost, bad, _) = run(&broken);
                prop_assert!(lost == 1 && bad == 0);
            }
        }
    }
}
