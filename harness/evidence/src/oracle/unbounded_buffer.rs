//! Rule `unbounded_buffer`: what waits for a client that does not read stays bounded.
//!
//! Judged by what the client finds when it reads again on the socket it was slow on: events of a
//! stream that were begun while it was slow and that come only now have waited for it, in the
//! kernel's buffers or in the target's. The contract bounds the latter: a queue of so many, three
//! strikes, and the end. More than
//! [`Context::eviction_needs`](crate::context::Context::eviction_needs) says, which is the load of
//! twice the time to the last strike, can only have been kept without a bound, if nothing was
//! passed over: a target that reads on from its log and skips what retention has taken keeps no
//! more than its log. Evicted or not makes no difference to what was found. A target that keeps its
//! log for longer than the client was slow and reads on from there cannot be told from one that
//! hoards; it breaks `no_eviction` all the same.
//!
//! Lateness, as `no_eviction` is: the bound is an estimate of buffers that nobody sees. Cases:
//! intervals that ended in an eviction, or after which the client had read all that had waited.
//! Undecided: too little published, a socket that the harness or the client ended, a run that ended
//! before all was read, and a client that nobody let go. Memory: the intervals of
//! [`slow`](super::slow).

use super::rule::Rule;
use super::slow::{Case, Interval};
use super::tally::{Tally, Violation};

/// Judges one interval.
pub fn judge(case: &Case<'_>, interval: &Interval, tally: &mut Tally) {
    let Case { client, needed, published, .. } = *case;
    let count = interval.ended.map_or(0, |ended| published(interval.began, ended));
    // What was begun within the interval and answered after it may not have waited.
    let held = interval.held.min(count);
    if interval.ended.is_none() || interval.passed_over || held < needed {
        let read_all = interval.same_session && interval.read_on && count >= needed;
        if interval.evicted || interval.untold || read_all {
            tally.judged(Rule::UnboundedBuffer, 1);
        } else {
            tally.undecided(Rule::UnboundedBuffer);
        }
        return;
    }
    tally.judged(Rule::UnboundedBuffer, 1);
    let violation = Violation {
        at_us: interval.ended.unwrap_or(interval.began),
        rule: Rule::UnboundedBuffer,
        client: Some(client),
        topic: None,
        seqs: None,
        epoch: None,
        message: format!(
            "the client did not read while {count} publishes were acknowledged, and found {held} of \
             them waiting on the same socket, none passed over; {needed} are more than may wait"
        ),
    };
    tally.violate(violation, 0);
}

#[cfg(test)]
mod tests {
    use super::super::slow::Slow;
    use super::*;
    use crate::record::{Micros, OfflineCause};

    const RULE: Rule = Rule::UnboundedBuffer;
    const NEEDED: u64 = 10;
    const ENDED: Micros = 20_000_000;

    fn judged(slow: &Slow, published: u64) -> Tally {
        let mut tally = Tally::new(5);
        let case = Case {
            client: 1,
            until: 100_000_000,
            needed: NEEDED,
            reads_on: false,
            published: &|_, _| published,
        };
        slow.settle(&case, &mut tally);
        tally
    }

    fn outcome(slow: &Slow, published: u64) -> [u64; 3] {
        let found = judged(slow, published).rule(RULE);
        [found.violations, found.judged, found.undecided]
    }

    /// A client that was slow from 10 us to 20 s, and then found so many events.
    fn found(held: u64) -> Slow {
        let mut slow = Slow::default();
        slow.began(10);
        slow.ended(ENDED, true);
        (0..held).for_each(|n| slow.found(ENDED + n, 10 + n));
        slow
    }

    fn reads_on(mut slow: Slow) -> Slow {
        slow.delivered(ENDED + 100, ENDED + 50);
        slow
    }

    #[test]
    fn everything_that_was_published_on_the_old_socket_is_a_violation() {
        assert_eq!(outcome(&found(10), 10), [1, 1, 0]);
        let message = judged(&found(10), 10).kept().pop().map(|it| it.message).unwrap_or_default();
        assert!(message.contains("found 10 of them"), "{message}");
    }

    #[test]
    fn so_it_is_when_the_eviction_comes_only_after_all_of_it() {
        let mut slow = found(10);
        slow.told_off(ENDED + 50);
        assert_eq!(outcome(&slow, 10), [1, 1, 0]);
    }

    #[test]
    fn as_much_as_may_wait_is_accepted() {
        assert_eq!(outcome(&reads_on(found(9)), 10), [0, 1, 0]);
        let mut evicted = found(9);
        evicted.told_off(ENDED + 50);
        assert_eq!(outcome(&evicted, 10), [0, 1, 0]);
        let mut ended = found(9);
        ended.offline(ENDED + 50, OfflineCause::ClosedByTarget { code: None });
        assert_eq!(outcome(&ended, 10), [0, 1, 0]);
    }

    #[test]
    fn a_target_that_passes_over_what_is_gone_keeps_no_more_than_its_log() {
        let mut slow = found(5);
        slow.skipped(ENDED + 5);
        (5..12).for_each(|n| slow.found(ENDED + n, 10 + n));
        assert_eq!(outcome(&reads_on(slow), 12), [0, 1, 0]);
    }

    #[test]
    fn what_was_not_published_meanwhile_or_came_by_replay_did_not_wait() {
        let mut slow = found(9);
        slow.found(ENDED + 9, 9);
        slow.found(ENDED + 10, ENDED + 1);
        assert_eq!(outcome(&reads_on(slow.clone()), 20), [0, 1, 0]);
        slow.resubscribed();
        slow.found(ENDED + 11, 20);
        assert_eq!(outcome(&reads_on(slow.clone()), 20), [0, 1, 0]);
        let mut gone = found(9);
        gone.offline(ENDED + 10, OfflineCause::Fault { id: 0, intended: 0 });
        gone.found(ENDED + 11, 20);
        assert_eq!(outcome(&gone, 20), [0, 0, 1]);
    }

    #[test]
    fn too_little_published_or_not_read_to_its_end_leaves_it_open() {
        assert_eq!(outcome(&reads_on(found(9)), 9), [0, 0, 1]);
        assert_eq!(outcome(&found(9), 10), [0, 0, 1]);
        assert_eq!(
            outcome(&found(12), 9),
            [0, 0, 1],
            "begun, and answered too late to have waited"
        );
    }
}
