//! Rule `no_eviction`: a client that does not read while enough is published is disconnected.
//!
//! The target evicted it when it said `slow_consumer` with `disconnect`, from the moment the client was made
//! slow until the grace after it reads again. A socket that the target ended without a word that reached the
//! client is an eviction if the target's own count has it; else it is undecided, for it may have been anything. A
//! client that read on, slowly, must be told: an end in order, after all that the target had sent, without a
//! notice is a violation. Neither a crashed channel nor what the client ended itself is an eviction. Enough is what
//! [`Context::eviction_needs`](crate::context::Context::eviction_needs) says, acknowledged meanwhile and seen
//! within the settle bound by somebody who reads (what the target sat on fills no queue): the load of twice
//! the time to the last strike that `check` prints. Kept for sure is a client that, on the
//! socket it was slow on, gets something that was due after it reads again, or that nothing was said
//! to in all of the grace. Cases: intervals that ended in an eviction, or with a client kept.
//! Undecided: too little published, a socket that the harness or the client ended, a run that ended
//! within the grace, and a client that nobody let go. Memory: the intervals of [`slow`](super::slow).

use super::rule::Rule;
use super::slow::{Case, GRACE_US, Interval, Open};
use super::tally::{Tally, Violation};
use crate::record::Micros;

/// Judges one interval.
pub fn judge(case: &Case<'_>, interval: &Interval, tally: &mut Tally) -> Open {
    let Case { client, until, needed, reads_on, published } = *case;
    if interval.evicted {
        tally.judged(Rule::NoEviction, 1);
        return Open::No;
    }
    if interval.untold && !(reads_on && interval.in_order) {
        return Open::ByCount;
    }
    if interval.untold {
        let what = "the target ended the socket of a client that read slowly, after all that it had sent, \
                    without telling it that it is slow";
        tally.judged(Rule::NoEviction, 1);
        tally.violate(violation(client, interval.began, what.to_owned()), 0);
        return Open::No;
    }
    let Some(ended) = interval.ended.filter(|_| interval.same_session && !interval.cut) else {
        tally.undecided(Rule::NoEviction);
        return Open::No;
    };
    let kept = interval.read_on || until >= ended.saturating_add(GRACE_US);
    let count = published(interval.began, ended);
    if !kept || count < needed {
        tally.undecided(Rule::NoEviction);
        return Open::No;
    }
    tally.judged(Rule::NoEviction, 1);
    let message = format!(
        "the client did not read for {:.1?} while {count} publishes were acknowledged, {needed} make an \
         eviction due, and was neither told nor cut off",
        std::time::Duration::from_micros(ended.saturating_sub(interval.began))
    );
    tally.violate(violation(client, ended, message), 0);
    Open::No
}

fn violation(client: u32, at_us: Micros, message: String) -> Violation {
    Violation {
        at_us,
        rule: Rule::NoEviction,
        client: Some(client),
        topic: None,
        seqs: None,
        epoch: None,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::super::slow::Slow;
    use super::*;
    use crate::record::{Cut, OfflineCause};

    const RULE: Rule = Rule::NoEviction;
    const UNTIL: Micros = 100_000_000;

    fn settled(slow: &Slow, reads_on: bool, counted: u64) -> Tally {
        let mut tally = Tally::new(5);
        let case = Case { client: 1, until: UNTIL, needed: 256, reads_on, published: &|_, _| 256 };
        let ends = slow.settle(&case, &mut tally);
        ends.settle(counted, &mut tally);
        tally
    }

    fn judged(slow: &Slow, until: Micros, published: u64) -> Tally {
        let mut tally = Tally::new(5);
        let published = |_, _| published;
        let case = Case { client: 1, until, needed: 256, reads_on: false, published: &published };
        slow.settle(&case, &mut tally);
        tally
    }

    fn kept(same_session: bool) -> Slow {
        let mut slow = Slow::default();
        slow.began(10);
        slow.ended(20_000_000, same_session);
        slow
    }

    #[test]
    fn a_slow_client_that_keeps_its_socket_is_a_violation() {
        let tally = judged(&kept(true), UNTIL, 256);
        assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
    }

    #[test]
    fn one_that_is_told_is_accepted() {
        let mut told = Slow::default();
        told.began(10);
        told.told_off(15);
        told.ended(20, true);
        let mut told_later = kept(true);
        told_later.told_off(20_000_000 + GRACE_US);
        for slow in [told, told_later] {
            let tally = judged(&slow, UNTIL, 256);
            assert_eq!((tally.total(), tally.rule(RULE).judged), (0, 1));
        }
    }

    fn ended(how: Cut) -> Slow {
        let mut slow = Slow::default();
        slow.began(10);
        slow.offline(15, OfflineCause::Broken { how });
        slow.ended(20, false);
        slow
    }

    #[test]
    fn an_end_without_a_word_is_an_eviction_where_the_target_counted_one() {
        for (counted, outcome) in [(0, (0, 0, 1)), (1, (0, 1, 0)), (2, (0, 1, 0))] {
            let found = settled(&ended(Cut::Eof), false, counted).rule(RULE);
            assert_eq!((found.violations, found.judged, found.undecided), outcome, "{counted}");
        }
        let mut told = kept(true);
        told.told_off(15);
        let mut tally = Tally::new(5);
        let case =
            Case { client: 1, until: UNTIL, needed: 256, reads_on: false, published: &|_, _| 256 };
        let mut ends = told.settle(&case, &mut tally);
        ends += ended(Cut::Reset).settle(&case, &mut tally);
        ends.settle(1, &mut tally);
        assert_eq!(tally.rule(RULE).undecided, 1, "what was told is what the target counted");
    }

    #[test]
    fn who_reads_slowly_must_be_told_unless_the_socket_was_reset() {
        for (how, counted, outcome) in
            [(Cut::Eof, 1, (1, 1, 0)), (Cut::Reset, 1, (0, 1, 0)), (Cut::Reset, 0, (0, 0, 1))]
        {
            let found = settled(&ended(how), true, counted).rule(RULE);
            assert_eq!((found.violations, found.judged, found.undecided), outcome, "{how:?}");
        }
    }

    #[test]
    fn a_crashed_channel_is_no_eviction() {
        let mut crashed = kept(true);
        crashed.offline(20_000_001, OfflineCause::ChannelClosed);
        let found = settled(&crashed, false, 5).rule(RULE);
        assert_eq!((found.violations, found.judged, found.undecided), (0, 0, 1));
    }

    #[test]
    fn too_little_published_a_cut_of_ours_or_an_early_end_leaves_it_open() {
        let mut cut = kept(true);
        cut.offline(20_000_001, OfflineCause::HeartbeatTimeout);
        let mut never_let_go = Slow::default();
        never_let_go.began(10);
        let cases = [
            (kept(true), UNTIL, 255),
            (kept(false), UNTIL, 256),
            (kept(true), 20_000_001, 256),
            (cut, UNTIL, 256),
            (never_let_go, UNTIL, 256),
        ];
        for (slow, until, published) in cases {
            let tally = judged(&slow, until, published);
            assert_eq!((tally.total(), tally.rule(RULE).undecided), (0, 1), "{slow:?}");
        }
    }

    #[test]
    fn reading_on_proves_it_before_the_grace_is_over() {
        let mut slow = kept(true);
        slow.delivered(20_000_500, 20_000_100);
        assert_eq!(judged(&slow, 20_001_000, 256).count(RULE), 1);
    }
}
