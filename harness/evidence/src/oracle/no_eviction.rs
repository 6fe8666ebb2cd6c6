//! Rule `no_eviction`: a client that does not read while enough is published is disconnected.
//!
//! The target ended it when it said `slow_consumer` with `disconnect`, or when the socket went by its
//! doing, from the moment the client was made slow until the grace after it reads again. Enough is what
//! [`Context::eviction_needs`](crate::context::Context::eviction_needs) says, acknowledged meanwhile:
//! the load of twice the time to the last strike that `check` prints. Kept for sure is a client that, on the
//! socket it was slow on, gets something that was due after it reads again, or that nothing was said
//! to in all of the grace. Cases: intervals that ended in an eviction, or with a client kept.
//! Undecided: too little published, a socket that the harness or the client ended, a run that ended
//! within the grace, and a client that nobody let go. Memory: the intervals of [`slow`](super::slow).

use super::rule::Rule;
use super::slow::{GRACE_US, Interval};
use super::tally::{Tally, Violation};
use crate::record::Micros;

/// Judges one interval.
pub fn judge(
    client: u32,
    interval: &Interval,
    until: Micros,
    needed: u64,
    published: &dyn Fn(Micros, Micros) -> u64,
    tally: &mut Tally,
) {
    if interval.evicted {
        tally.judged(Rule::NoEviction, 1);
        return;
    }
    let Some(ended) = interval.ended.filter(|_| interval.same_socket && !interval.cut) else {
        tally.undecided(Rule::NoEviction);
        return;
    };
    let kept = interval.read_on || until >= ended.saturating_add(GRACE_US);
    let count = published(interval.began, ended);
    if !kept || count < needed {
        tally.undecided(Rule::NoEviction);
        return;
    }
    tally.judged(Rule::NoEviction, 1);
    let violation = Violation {
        at_us: ended,
        rule: Rule::NoEviction,
        client: Some(client),
        topic: None,
        seqs: None,
        epoch: None,
        message: format!(
            "the client did not read for {:.1?} while {count} publishes were acknowledged, {needed} \
             make an eviction due, and was neither told nor cut off",
            std::time::Duration::from_micros(ended.saturating_sub(interval.began))
        ),
    };
    tally.violate(violation, 0);
}

#[cfg(test)]
mod tests {
    use super::super::slow::Slow;
    use super::*;
    use crate::record::{Cut, OfflineCause};

    const RULE: Rule = Rule::NoEviction;
    const UNTIL: Micros = 100_000_000;

    fn judged(slow: &Slow, until: Micros, published: u64) -> Tally {
        let mut tally = Tally::new(5);
        slow.settle(1, until, 256, &|_, _| published, &mut tally);
        tally
    }

    fn kept(same_socket: bool) -> Slow {
        let mut slow = Slow::default();
        slow.began(10);
        slow.ended(20_000_000, same_socket);
        slow
    }

    #[test]
    fn a_slow_client_that_keeps_its_socket_is_a_violation() {
        let tally = judged(&kept(true), UNTIL, 256);
        assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
    }

    #[test]
    fn one_that_is_told_or_cut_off_by_the_target_is_accepted() {
        let mut told = Slow::default();
        told.began(10);
        told.told_off(15);
        told.ended(20, true);
        let mut told_later = kept(true);
        told_later.told_off(20_000_000 + GRACE_US);
        let mut broken = kept(false);
        broken.offline(20_000_001, OfflineCause::Broken { how: Cut::Eof });
        for slow in [told, told_later, broken] {
            let tally = judged(&slow, UNTIL, 256);
            assert_eq!((tally.total(), tally.rule(RULE).judged), (0, 1));
        }
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
