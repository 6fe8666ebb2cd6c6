//! How defects bend a batch on its way out.
//!
//! The choice is made first (and may be to hold the batch back), the batch is changed after that.
//! Without an armed defect every batch is straight, and goes out of the shared cache.

use khala_wire::TopicKind;
use khala_wire::payload::Update;

use super::next::{Asking, Mode};
use super::tail::Swap;
use crate::defect::{Defects, Kind, tamper};
use crate::fanout::BatchKey;
use crate::store::TopicLog;

/// What is done to one batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bend {
    /// `drop_on_reconnect`
    pub drop_first: bool,
    /// `drop_last_of_batch`
    drop_last: bool,
    /// `drop_nth`; the choice falls on each event.
    thin: bool,
    /// `swap_two`
    swap: bool,
    /// `corrupt_payload`
    corrupt: bool,
    /// `wrong_payload`
    mislabel: bool,
    /// `bad_duplicate`
    repeat: bool,
    /// `watermark_regress`
    fall_back: bool,
    /// `state_regress`
    regress: bool,
    /// `frame_mismatch`
    mismatch: bool,
}

/// Whose batch is bent.
pub struct Whose<'a> {
    /// The server's defects.
    pub defects: &'a Defects,
    /// The topic's log.
    pub log: &'a TopicLog,
    /// The connection's number.
    pub number: u64,
    /// The cursor from which its subscription resumed.
    pub from: u64,
    /// The last watermark that it was sent.
    pub sent: u64,
}

impl Bend {
    /// Whether nothing is done to it.
    pub fn straight(self) -> bool {
        self == Self::default()
    }

    /// The updates that go out instead of `updates`.
    pub fn apply(self, mut updates: Vec<Update>, whose: &Whose<'_>) -> Vec<Update> {
        let Whose { defects, log, from, sent, .. } = *whose;
        self.thin_out(&mut updates, whose);
        if self.swap && updates.len() > 1 {
            updates.swap(0, 1);
            defects.note(Kind::SwapTwo);
        }
        let Some(first) = updates.first_mut() else { return updates };
        let mut replace = |kind: Kind, other: &dyn Fn(&Update) -> Option<Update>| {
            if let Some(other) = other(first) {
                *first = other;
                defects.note(kind);
            }
        };
        if self.corrupt {
            replace(Kind::CorruptPayload, &tamper::alter);
        }
        if self.mislabel {
            replace(Kind::WrongPayload, &|first| {
                let other = log.entry(first.watermark.checked_sub(1)?)?;
                Some(tamper::with_payload_of(first, &other.update))
            });
        }
        if self.regress {
            replace(Kind::StateRegress, &|first| {
                let old = log.superseded(&first.doc_key, first.watermark)?;
                Some(Update { watermark: first.watermark, ..old.update.clone() })
            });
        }
        if self.fall_back {
            replace(Kind::WatermarkRegress, &|first| {
                Some(Update { watermark: from, ..first.clone() })
            });
        }
        if self.repeat
            && let Some(again) = log.entry(sent).and_then(|entry| tamper::alter(&entry.update))
        {
            updates.insert(0, again);
            defects.note(Kind::BadDuplicate);
        }
        updates
    }

    fn thin_out(self, updates: &mut Vec<Update>, whose: &Whose<'_>) {
        let defects = whose.defects;
        if self.drop_first && !updates.is_empty() {
            updates.remove(0);
            defects.note(Kind::DropOnReconnect);
        }
        if self.drop_last && updates.len() > 1 {
            updates.pop();
            defects.note(Kind::DropLastOfBatch);
        }
        if self.thin {
            updates.retain(|update| {
                let dropped = defects.acts(Kind::DropNth, whose.number, update.watermark);
                if dropped {
                    defects.note(Kind::DropNth);
                }
                !dropped
            });
        }
    }

    /// What the frame says when it is to say something else than the legacy push.
    pub fn apart(self, updates: &[Update], defects: &Defects) -> Option<Vec<Update>> {
        let mut apart = self.mismatch.then(|| updates.to_vec())?;
        let first = apart.first_mut()?;
        *first = tamper::alter(first)?;
        defects.note(Kind::FrameMismatch);
        Some(apart)
    }
}

impl Asking<'_> {
    /// What defects do to a batch; `None` when one of them holds it back. May shorten it.
    pub(super) fn bend(&mut self, key: &mut BatchKey, mode: Mode) -> Option<Bend> {
        if mode == Mode::Live {
            self.hold(key)?;
        }
        let mismatch = self.chooses(Kind::FrameMismatch);
        let bend = Bend { mismatch, ..Bend::default() };
        if key.topic.kind() == TopicKind::State {
            return Some(Bend { regress: self.chooses(Kind::StateRegress), ..bend });
        }
        let live = mode == Mode::Live;
        let swap = live && self.swap(key)?;
        let corrupted = self.shared.defects.chose(Kind::CorruptPayload, self.number);
        Some(Bend {
            drop_first: self.tail.drop_next,
            drop_last: key.to > key.first && self.chooses(Kind::DropLastOfBatch),
            thin: self.shared.defects.armed(Kind::DropNth),
            swap,
            corrupt: corrupted && self.toss(Kind::CorruptPayload),
            mislabel: self.chooses(Kind::WrongPayload),
            repeat: live && self.tail.delivered() && self.chooses(Kind::BadDuplicate),
            fall_back: live && self.tail.from > 0 && self.chooses(Kind::WatermarkRegress),
            ..bend
        })
    }

    /// An opportunity of a defect on this channel.
    pub(super) fn chooses(&mut self, kind: Kind) -> bool {
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
