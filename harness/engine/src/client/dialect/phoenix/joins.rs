//! The joins of one socket: to which of them a message is addressed, and whether it still may be.
//!
//! A Phoenix client takes what carries its channel and no join_ref, or its own; all else it drops. What
//! it drops is still the target's doing: a join_ref that the socket used before is valid until the
//! `phx_close` of that join has come, also after a crash (without one: for a while after the new join's
//! reply); one that it never used is not.

use khala_evidence::record::{Addressee, Micros};

/// Joins remembered of a socket; what is addressed to older ones counts as never used.
const PAST_MAX: usize = 8;

/// A join that another has replaced, or whose channel is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Past {
    reference: u64,
    /// When a join after it was answered.
    replaced_at: Option<Micros>,
    /// Whether its channel's end has come.
    closed: bool,
}

/// The joins of one socket.
#[derive(Clone, Debug, Default)]
pub(super) struct Joins {
    current: u64,
    /// Whether the channel of the current one is there, or may be.
    open: bool,
    past: Vec<Past>,
}

/// What to make of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// It is the client's.
    Ours,
    /// A real client drops it, and nothing is wrong with it.
    Dropped,
    /// A real client drops it, and it should not have come.
    Wrong(Addressee),
}

impl Joins {
    /// The join_ref of what the client sends.
    pub(super) fn current(&self) -> u64 {
        self.current
    }

    /// A join is sent.
    pub(super) fn begin(&mut self, reference: u64) {
        if self.current != 0 {
            // A crash is told by whoever watches the channel: what it said before may still be on its way,
            // and if it did not die, its `phx_close` is.
            self.past.push(Past { reference: self.current, replaced_at: None, closed: false });
            let excess = self.past.len().saturating_sub(PAST_MAX);
            self.past.drain(..excess);
        }
        (self.current, self.open) = (reference, true);
    }

    /// The current join was answered.
    pub(super) fn answered(&mut self, at: Micros) {
        for past in &mut self.past {
            past.replaced_at.get_or_insert(at);
        }
    }

    /// The channel of the current join is gone.
    pub(super) fn end(&mut self) {
        self.open = false;
    }

    /// The end of a channel has come, of an old join; whether it was one.
    pub(super) fn closed(&mut self, reference: u64) -> bool {
        let past = self.past.iter_mut().find(|past| past.reference == reference);
        past.is_some_and(|past| !std::mem::replace(&mut past.closed, true))
    }

    /// To whom a message on the client's channel is addressed; `data`: whether it is one that only a
    /// subscription brings.
    pub(super) fn address(
        &self,
        reference: Option<u64>,
        data: bool,
        at: Micros,
        settle_us: Micros,
    ) -> Address {
        match reference {
            None if self.open || !data => Address::Ours,
            Some(one) if one == self.current && self.open => Address::Ours,
            Some(one) if one == self.current && !data => Address::Dropped,
            None => Address::Wrong(Addressee::ClosedJoin),
            Some(one) if one == self.current => Address::Wrong(Addressee::ClosedJoin),
            Some(one) => match self.past.iter().find(|past| past.reference == one) {
                None => Address::Wrong(Addressee::UnknownJoin),
                Some(_) if !data => Address::Dropped,
                Some(past) if past.closed => Address::Wrong(Addressee::ClosedJoin),
                Some(past) if past.is_over(at, settle_us) => Address::Wrong(Addressee::OldJoin),
                Some(_) => Address::Dropped,
            },
        }
    }
}

impl Past {
    fn is_over(&self, at: Micros, settle_us: Micros) -> bool {
        self.replaced_at.is_some_and(|replaced| at > replaced.saturating_add(settle_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Micros = 2_000;

    fn data(joins: &Joins, reference: Option<u64>, at: Micros) -> Address {
        joins.address(reference, true, at, SETTLE)
    }

    #[test]
    fn ours_is_what_carries_no_join_or_the_one_in_force() {
        let mut joins = Joins::default();
        joins.begin(3);
        for reference in [None, Some(3)] {
            assert_eq!(data(&joins, reference, 0), Address::Ours);
        }
        assert_eq!(data(&joins, Some(2), 0), Address::Wrong(Addressee::UnknownJoin));
        joins.end();
        for reference in [None, Some(3)] {
            assert_eq!(data(&joins, reference, 0), Address::Wrong(Addressee::ClosedJoin));
        }
        assert_eq!(joins.address(Some(3), false, 0, SETTLE), Address::Dropped);
    }

    #[test]
    fn data_of_the_old_join_is_dropped_until_its_end_has_come() {
        let mut joins = Joins::default();
        joins.begin(1);
        joins.begin(5);
        assert_eq!(data(&joins, Some(1), 10), Address::Dropped);
        joins.answered(100);
        assert_eq!(data(&joins, Some(1), 100 + SETTLE), Address::Dropped);
        assert!(joins.closed(1));
        assert!(!joins.closed(1), "its end comes once");
        assert_eq!(data(&joins, Some(1), 101), Address::Wrong(Addressee::ClosedJoin));
        assert_eq!(data(&joins, Some(5), 101), Address::Ours);
    }

    #[test]
    fn without_an_end_the_old_join_lasts_for_the_settle_bound_after_the_new_ones_reply() {
        let mut joins = Joins::default();
        joins.begin(1);
        joins.begin(5);
        joins.answered(100);
        joins.answered(5_000);
        assert_eq!(data(&joins, Some(1), 101 + SETTLE), Address::Wrong(Addressee::OldJoin));
        assert_eq!(joins.address(Some(1), false, 9_000, SETTLE), Address::Dropped);
    }

    #[test]
    fn a_join_that_was_never_answered_is_over_with_the_one_before_it() {
        let mut joins = Joins::default();
        for reference in [1, 5, 9] {
            joins.begin(reference);
        }
        joins.answered(100);
        for old in [1, 5] {
            assert_eq!(data(&joins, Some(old), 100 + SETTLE), Address::Dropped);
            assert_eq!(data(&joins, Some(old), 101 + SETTLE), Address::Wrong(Addressee::OldJoin));
        }
    }

    #[test]
    fn a_join_after_a_crash_ends_the_old_one_as_any_other_does() {
        let mut joins = Joins::default();
        joins.begin(1);
        joins.end();
        assert_eq!(data(&joins, Some(1), 0), Address::Wrong(Addressee::ClosedJoin));
        joins.begin(5);
        joins.answered(100);
        assert_eq!(data(&joins, Some(1), 100 + SETTLE), Address::Dropped);
        assert_eq!(data(&joins, Some(1), 101 + SETTLE), Address::Wrong(Addressee::OldJoin));
        assert!(joins.closed(1));
        assert_eq!(data(&joins, Some(1), 101), Address::Wrong(Addressee::ClosedJoin));
    }
}
