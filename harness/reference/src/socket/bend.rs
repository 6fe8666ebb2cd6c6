//! How defects bend a batch on its way out.
//!
//! The choice is made first (and may be to hold the batch back), the batch is changed after that.
//! Without an armed defect every batch is straight, and goes out of the shared cache.

use khala_wire::TopicKind;
use khala_wire::payload::Update;

use super::channel::Swap;
use super::next::{Asking, Mode};
use crate::defect::{Kind, tamper};
use crate::fanout::BatchKey;
use crate::store::TopicLog;

/// What is done to one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bend {
    /// `drop_on_reconnect`
    pub drop_first: bool,
    /// `swap_two`
    swap: bool,
    /// `corrupt_payload`
    corrupt: bool,
    /// `bad_duplicate`
    repeat: bool,
    /// `state_regress`
    regress: bool,
    /// `frame_mismatch`
    mismatch: bool,
}

impl Bend {
    /// Whether nothing is done to it.
    pub fn straight(self) -> bool {
        self == Self::default()
    }

    /// The updates that go out instead of `updates`, which begin after `sent`.
    pub fn apply(self, mut updates: Vec<Update>, sent: u64, log: &TopicLog) -> Vec<Update> {
        if self.drop_first && !updates.is_empty() {
            updates.remove(0);
        }
        if self.swap && updates.len() > 1 {
            updates.swap(0, 1);
        }
        if self.corrupt
            && let Some(first) = updates.first_mut()
        {
            *first = tamper::alter(first);
        }
        if self.regress
            && let Some(first) = updates.first_mut()
            && let Some(old) = log.superseded(&first.doc_key, first.watermark)
        {
            *first = Update { watermark: first.watermark, ..old.update.clone() };
        }
        if self.repeat
            && let Some(entry) = log.entries(sent, sent).and_then(|mut one| one.pop())
        {
            updates.insert(0, tamper::alter(&entry.update));
        }
        updates
    }

    /// What the frame says when it is to say something else than the legacy push.
    pub fn apart(self, updates: &[Update]) -> Option<Vec<Update>> {
        let mut apart = self.mismatch.then(|| updates.to_vec())?;
        if let Some(first) = apart.first_mut() {
            *first = tamper::alter(first);
        }
        Some(apart)
    }
}

impl Asking<'_> {
    /// What defects do to a batch; `None` when one of them holds it back. May shorten it.
    pub(super) fn bend(&mut self, key: &mut BatchKey, mode: Mode) -> Option<Bend> {
        let mismatch = self.chooses(Kind::FrameMismatch);
        let bend = Bend { mismatch, ..Bend::default() };
        if key.topic.kind() == TopicKind::State {
            return Some(Bend { regress: self.chooses(Kind::StateRegress), ..bend });
        }
        if mode == Mode::Live {
            self.late(key)?;
        }
        let swap = mode == Mode::Live && self.swap(key)?;
        let corrupted = self.shared.defects.chose(Kind::CorruptPayload, self.number);
        let repeatable = mode == Mode::Live && self.tail.delivered();
        Some(Bend {
            drop_first: self.tail.drop_next,
            swap,
            corrupt: corrupted && self.toss(Kind::CorruptPayload),
            repeat: repeatable && self.chooses(Kind::BadDuplicate),
            ..bend
        })
    }

    fn chooses(&mut self, kind: Kind) -> bool {
        if !self.shared.defects.armed(kind) {
            return false;
        }
        *self.choices += 1;
        self.shared.defects.acts(kind, self.number, *self.choices)
    }

    fn toss(&mut self, kind: Kind) -> bool {
        *self.choices += 1;
        self.shared.defects.coin(kind, self.number, *self.choices)
    }

    /// `late_publish`: the head waits for its successor. The choice falls on an event, for all
    /// connections alike, so that it does not change as one connection looks again.
    fn late(&mut self, key: &mut BatchKey) -> Option<()> {
        let at_head = key.to >= key.head;
        if at_head && self.shared.defects.acts(Kind::LatePublish, 0, key.to) {
            key.to -= 1;
        }
        (key.to >= key.first).then_some(())
    }

    /// `swap_two`: whether the first two are swapped; `None` while one waits for the other.
    fn swap(&mut self, key: &BatchKey) -> Option<bool> {
        if !self.shared.defects.armed(Kind::SwapTwo) {
            return Some(false);
        }
        let chosen = match self.tail.swap {
            Some(swap) if swap.first == key.first => swap,
            _ => {
                let hold = self.shared.config.defect_times.swap_hold;
                let acts = self.chooses(Kind::SwapTwo);
                Swap { first: key.first, hold_until: acts.then(|| self.now + hold) }
            }
        };
        self.tail.swap = Some(chosen);
        let Some(hold_until) = chosen.hold_until else { return Some(false) };
        let pair = key.to > key.first;
        if !pair && hold_until > self.now {
            return None;
        }
        self.tail.swap = None;
        Some(pair)
    }
}
