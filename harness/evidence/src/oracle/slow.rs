//! When the harness made a client slow, and what the target did about it: the facts that
//! `wrongful_eviction`, `no_eviction` and `unbounded_buffer` judge.
//!
//! Memory: [`INTERVALS_MAX`] intervals a client; those beyond are undecided.

use serde::{Deserialize, Serialize};

use super::no_eviction;
use super::rule::Rule;
use super::tally::Tally;
use super::unbounded_buffer;
use crate::record::{Cut, Micros, OfflineCause};

/// For how long after the harness lets a client read again it still counts as slow: what the target
/// said meanwhile has to be read first, and its queue to run dry.
pub const GRACE_US: Micros = 5_000_000;
/// Intervals kept of a client.
pub const INTERVALS_MAX: usize = 16;

/// One interval in which the harness kept a client slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// When it began.
    pub began: Micros,
    /// When it ended, if it did.
    pub ended: Option<Micros>,
    /// Whether the client then still had the session that it was slow on.
    #[serde(rename = "same_socket")]
    pub same_session: bool,
    /// Whether the target told it off for good.
    pub evicted: bool,
    /// Whether the target ended the socket without a word that reached the client.
    pub untold: bool,
    /// Whether it did so in order, after all that it had sent.
    pub in_order: bool,
    /// Whether the socket was of no use any more for another reason: the harness or the client ended it,
    /// or the channel crashed.
    pub cut: bool,
    /// Whether something that was due after the end came on the same socket: it was never ended.
    pub read_on: bool,
    /// Events of streams that were begun in it and came after it, on the same socket and subscription.
    pub held: u64,
    /// Whether some seqs were missing among what came so.
    pub passed_over: bool,
    /// Whether what comes has nothing to do with it any more: the socket is gone, or the client has
    /// subscribed again.
    pub closed: bool,
}

/// One client's slowness.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slow {
    intervals: Vec<Interval>,
    beyond: u64,
    now: bool,
    last_ended: Option<Micros>,
}

impl Slow {
    /// Whether the harness has ever made it slow.
    #[must_use]
    pub fn ever(&self) -> bool {
        self.now || self.last_ended.is_some()
    }

    /// Whether it is slow at present.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.now
    }

    /// Whether the target may call it slow.
    #[must_use]
    pub fn counts_as_slow(&self, at: Micros) -> bool {
        self.now || self.last_ended.is_some_and(|ended| at <= ended.saturating_add(GRACE_US))
    }

    /// The harness made it slow.
    pub fn began(&mut self, at: Micros) {
        if std::mem::replace(&mut self.now, true) {
            return;
        }
        if self.intervals.len() < INTERVALS_MAX {
            self.intervals.push(Interval { began: at, ..Interval::default() });
        } else {
            self.beyond += 1;
        }
    }

    /// The harness lets it read again.
    pub fn ended(&mut self, at: Micros, same_session: bool) {
        if !std::mem::replace(&mut self.now, false) {
            return;
        }
        self.last_ended = Some(at);
        if self.beyond == 0
            && let Some(interval) = self.intervals.last_mut()
        {
            (interval.ended, interval.same_session) = (Some(at), same_session);
        }
    }

    /// The interval that something at `at` may be the target's answer to.
    fn current(&mut self, at: Micros) -> Option<&mut Interval> {
        if self.beyond > 0 || !self.counts_as_slow(at) {
            return None;
        }
        self.intervals.last_mut()
    }

    /// The target told it off for good.
    pub fn told_off(&mut self, at: Micros) {
        if let Some(interval) = self.current(at) {
            interval.evicted = true;
        }
    }

    /// The interval on whose socket the client reads again.
    fn read_again(&mut self) -> Option<&mut Interval> {
        if self.beyond > 0 {
            return None;
        }
        let reads = |it: &&mut Interval| it.same_session && !it.closed;
        self.intervals.last_mut().filter(reads)
    }

    /// An event of a stream came for the first time; its command was begun at `begun`.
    pub fn found(&mut self, at: Micros, begun: Micros) {
        if let Some(interval) = self.read_again()
            && interval.ended.is_some_and(|ended| ended <= at && begun <= ended)
            && interval.began <= begun
        {
            interval.held += 1;
        }
    }

    /// Seqs of a stream were missing before what came.
    pub fn skipped(&mut self, at: Micros) {
        if let Some(interval) = self.read_again()
            && interval.ended.is_some_and(|ended| ended <= at)
        {
            interval.passed_over = true;
        }
    }

    /// The client subscribes: what comes now is sent anew.
    pub fn resubscribed(&mut self) {
        if let Some(interval) = self.intervals.last_mut() {
            interval.closed = true;
        }
    }

    /// Its socket is gone.
    pub fn offline(&mut self, at: Micros, cause: OfflineCause) {
        self.resubscribed();
        let Some(interval) = self.current(at) else { return };
        match cause {
            OfflineCause::ClosedByTarget { .. } | OfflineCause::Broken { how: Cut::Eof } => {
                (interval.untold, interval.in_order) = (true, true);
            }
            OfflineCause::Broken { .. } => interval.untold = true,
            // A crash, and a broken protocol, are no way to evict anybody.
            OfflineCause::ProtocolBroken { .. }
            | OfflineCause::ChannelClosed
            | OfflineCause::Fault { .. }
            | OfflineCause::HeartbeatTimeout
            | OfflineCause::ChannelSilent { .. }
            | OfflineCause::GaveUp => interval.cut = true,
        }
    }

    /// Something arrived that was due at `intended`.
    pub fn delivered(&mut self, at: Micros, intended: Micros) {
        if let Some(interval) = self.current(at)
            && interval.ended.is_some_and(|ended| intended > ended)
            && !interval.evicted
            && !interval.untold
            && !interval.cut
        {
            interval.read_on = true;
        }
    }

    /// Judges all intervals; gives how those ended that the target ended.
    pub fn settle(&self, case: &Case<'_>, tally: &mut Tally) -> Ends {
        let Case { needed, .. } = *case;
        let mut ends = Ends::default();
        tally.undecided_cases(Rule::NoEviction, self.beyond);
        tally.undecided_cases(Rule::UnboundedBuffer, self.beyond);
        for interval in &self.intervals {
            ends.told += u64::from(interval.evicted);
            ends.untold += u64::from(interval.untold && !interval.evicted);
            if needed == u64::MAX && !interval.evicted {
                // No load of the plan makes an eviction due: that is no case, and `check` has said so.
                continue;
            }
            unbounded_buffer::judge(case, interval, tally);
            ends.open += u64::from(no_eviction::judge(case, interval, tally) == Open::ByCount);
        }
        ends
    }
}

/// A client whose intervals are judged, and by what.
pub struct Case<'a> {
    /// The client.
    pub client: u32,
    /// When it was retired.
    pub until: Micros,
    /// How many acknowledged publishes make an eviction due.
    pub needed: u64,
    /// Whether it read on, slowly, whenever it was slow, so that it must be told of its eviction.
    pub reads_on: bool,
    /// How many publishes were acknowledged between two instants.
    pub published: &'a dyn Fn(Micros, Micros) -> u64,
}

/// Whether an interval is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It is, or stays open for good.
    No,
    /// The target's own count of evictions decides it.
    ByCount,
}

/// How intervals ended that the target ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// With a notice.
    pub told: u64,
    /// Without a word that reached the client.
    pub untold: u64,
    /// Of the latter, those that the target's own count decides.
    pub open: u64,
}

impl std::ops::AddAssign for Ends {
    fn add_assign(&mut self, other: Self) {
        self.told += other.told;
        self.untold += other.untold;
        self.open += other.open;
    }
}

impl Ends {
    /// Decides what is open by how many evictions the target has counted: as many as it counted beyond
    /// those that were told were evictions; the others are undecided.
    pub fn settle(self, counted: u64, tally: &mut Tally) {
        let evicted = counted.saturating_sub(self.told).min(self.open);
        tally.judged(Rule::NoEviction, evicted);
        tally.undecided_cases(Rule::NoEviction, self.open - evicted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Cut;

    /// Slow from 1,000 to 2,000, and then on the same socket.
    fn slow() -> Slow {
        let mut slow = Slow::default();
        slow.began(1_000);
        slow.ended(2_000, true);
        slow
    }

    fn last(slow: &Slow) -> &Interval {
        slow.intervals.last().expect("an interval")
    }

    #[test]
    fn it_counts_as_slow_until_the_grace_has_passed() {
        let mut slow = Slow::default();
        assert!(!slow.ever() && !slow.is_slow() && !slow.counts_as_slow(0));
        slow.began(1_000);
        assert!(slow.ever() && slow.is_slow() && slow.counts_as_slow(1_000));
        slow.began(1_500);
        slow.ended(2_000, true);
        assert_eq!((slow.intervals.len(), last(&slow).began), (1, 1_000));
        assert!(slow.ever() && !slow.is_slow());
        assert!(slow.counts_as_slow(2_000 + GRACE_US) && !slow.counts_as_slow(2_001 + GRACE_US));
        slow.ended(3_000, false);
        assert_eq!((last(&slow).ended, last(&slow).same_session), (Some(2_000), true));
    }

    #[test]
    fn being_told_off_counts_while_it_is_slow_and_within_the_grace() {
        for (at, evicted) in [(2_000 + GRACE_US, true), (2_001 + GRACE_US, false)] {
            let mut slow = slow();
            slow.told_off(at);
            assert_eq!(last(&slow).evicted, evicted);
        }
    }

    #[test]
    fn held_is_what_was_begun_in_the_interval_and_comes_after_it() {
        for (at, begun, held) in [
            (2_000, 1_000, 1),
            (2_500, 2_000, 1),
            (1_999, 1_500, 0),
            (2_500, 999, 0),
            (2_500, 2_001, 0),
        ] {
            let mut slow = slow();
            slow.found(at, begun);
            assert_eq!(last(&slow).held, held, "{at} {begun}");
        }
        let mut twice = slow();
        twice.found(2_100, 1_100);
        twice.found(2_200, 1_200);
        assert_eq!(last(&twice).held, 2);
    }

    #[test]
    fn on_another_socket_or_subscription_nothing_was_held_or_passed_over() {
        let mut again = slow();
        again.resubscribed();
        let mut other = Slow::default();
        other.began(1_000);
        other.ended(2_000, false);
        let mut still = Slow::default();
        still.began(1_000);
        for slow in [&mut again, &mut other, &mut still] {
            slow.found(2_100, 1_100);
            slow.skipped(2_100);
            assert_eq!((last(slow).held, last(slow).passed_over), (0, false));
        }
        for (at, passed_over) in [(1_999, false), (2_000, true)] {
            let mut slow = slow();
            slow.skipped(at);
            assert_eq!(last(&slow).passed_over, passed_over, "{at}");
        }
    }

    #[test]
    fn it_reads_on_when_something_comes_that_was_due_after_the_end_on_a_socket_nobody_ended() {
        for (intended, read_on) in [(2_000, false), (2_001, true)] {
            let mut slow = slow();
            slow.delivered(3_000, intended);
            assert_eq!(last(&slow).read_on, read_on, "{intended}");
        }
        let causes = [
            (OfflineCause::Broken { how: Cut::Eof }, (true, true, false)),
            (OfflineCause::ClosedByTarget { code: None }, (true, true, false)),
            (OfflineCause::Broken { how: Cut::Reset }, (true, false, false)),
            (OfflineCause::ChannelClosed, (false, false, true)),
            (OfflineCause::GaveUp, (false, false, true)),
            (OfflineCause::HeartbeatTimeout, (false, false, true)),
        ];
        for (cause, ended) in causes {
            let mut slow = slow();
            slow.offline(2_500, cause);
            slow.delivered(3_000, 2_900);
            let interval = last(&slow);
            let how = (interval.untold, interval.in_order, interval.cut);
            assert_eq!(how, ended, "{cause:?}");
            assert!(interval.closed && !interval.evicted && !interval.read_on, "{cause:?}");
        }
        let mut late = slow();
        late.offline(2_001 + GRACE_US, OfflineCause::Broken { how: Cut::Eof });
        assert!(!last(&late).untold && last(&late).closed);
        let mut slow_again = slow();
        slow_again.began(2_500);
        slow_again.delivered(3_000, 2_900);
        assert!(slow_again.intervals.iter().all(|interval| !interval.read_on));
    }

    #[test]
    fn how_intervals_ended_adds_up_and_what_was_told_is_not_untold() {
        let case =
            Case { client: 1, until: 90, needed: 1_000, reads_on: false, published: &|_, _| 0 };
        let reset = OfflineCause::Broken { how: Cut::Reset };
        let mut twice = Slow::default();
        for began in [10, 30] {
            twice.began(began);
            twice.told_off(began + 1);
            twice.offline(began + 2, reset);
            twice.ended(began + 3, false);
        }
        let told = twice.settle(&case, &mut Tally::new(1));
        assert_eq!(told, Ends { told: 2, untold: 0, open: 0 });
        let mut gone = Slow::default();
        for began in [10, 30, 50] {
            gone.began(began);
            gone.offline(began + 2, reset);
            gone.ended(began + 3, false);
        }
        let untold = gone.settle(&case, &mut Tally::new(1));
        assert_eq!(untold, Ends { told: 0, untold: 3, open: 3 });
        let mut kept = Slow::default();
        kept.began(10);
        kept.ended(20, true);
        assert_eq!(kept.settle(&case, &mut Tally::new(1)), Ends::default());
        let mut all = Ends::default();
        for ends in [told, untold, told] {
            all += ends;
        }
        assert_eq!(all, Ends { told: 4, untold: 3, open: 3 });
    }

    #[test]
    fn intervals_beyond_the_bound_are_undecided_and_touch_none_that_is_kept() {
        let mut slow = Slow::default();
        for n in 0..INTERVALS_MAX as u64 + 2 {
            slow.began(n * 100);
            slow.ended(n * 100 + 50, true);
        }
        let at = INTERVALS_MAX as u64 * 100 + 200;
        slow.told_off(at);
        let kept = (INTERVALS_MAX as u64 - 1) * 100;
        slow.found(at, kept + 10);
        slow.skipped(at);
        slow.delivered(at, at);
        let untouched = Interval {
            began: kept,
            ended: Some(kept + 50),
            same_session: true,
            ..Interval::default()
        };
        assert_eq!(last(&slow), &untouched);
        let mut tally = Tally::new(1);
        let case =
            Case { client: 1, until: at, needed: 1_000, reads_on: false, published: &|_, _| 0 };
        slow.settle(&case, &mut tally);
        // Nothing was published in the others, so that they are open as well.
        for rule in [Rule::NoEviction, Rule::UnboundedBuffer] {
            assert_eq!(tally.rule(rule).undecided, INTERVALS_MAX as u64 + 2, "{rule}");
        }
    }
}
