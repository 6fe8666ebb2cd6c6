//! Rule `wrongful_eviction`: no client that reads what it is sent is called a slow consumer, neither
//! to warn it nor to disconnect it.
//!
//! A client is slow from the moment the harness makes it so until the grace after it reads again.
//! Cases: the clients that were never slow, if any client was, or any was called slow. Nothing is
//! undecided. That it is a proof rests on the harness reading in time: see its scheduler lag. Memory:
//! that of [`slow`](super::slow).

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::Micros;

/// What the target told a client.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// The client.
    pub client: u32,
    /// When.
    pub at: Micros,
    /// Whether for good.
    pub disconnect: bool,
    /// Events waiting, as the target says.
    pub queue_depth: u64,
    /// The target's limit.
    pub queue_limit: u64,
}

/// A client that is not slow was called slow.
pub fn on_notice(notice: Notice, tally: &mut Tally) {
    let Notice { client, at, disconnect, queue_depth, queue_limit } = notice;
    let action = if disconnect { "disconnected" } else { "warned" };
    let violation = Violation {
        at_us: at,
        rule: Rule::WrongfulEviction,
        client: Some(client),
        topic: None,
        seqs: None,
        epoch: None,
        message: format!(
            "the client was {action} as a slow consumer (queue {queue_depth} of {queue_limit}), \
             although it reads"
        ),
    };
    tally.violate(violation, 0);
}

/// Counts the cases: `slow` of `clients` were slow at some time.
pub fn count_cases(clients: u64, slow: u64, tally: &mut Tally) {
    if slow > 0 || tally.count(Rule::WrongfulEviction) > 0 {
        tally.judged(Rule::WrongfulEviction, clients.saturating_sub(slow));
    }
}

#[cfg(test)]
mod tests {
    use super::super::slow::{GRACE_US, Slow};
    use super::*;

    #[test]
    fn a_client_counts_as_slow_until_the_grace_is_over() {
        let mut slow = Slow::default();
        assert!(!slow.counts_as_slow(5));
        slow.began(10);
        assert!(slow.counts_as_slow(11));
        slow.ended(20, true);
        assert!(slow.counts_as_slow(20 + GRACE_US));
        assert!(!slow.counts_as_slow(21 + GRACE_US));
    }

    #[test]
    fn the_bystanders_are_the_cases_and_only_where_somebody_was_slow() {
        let judged = |slow| {
            let mut tally = Tally::new(5);
            count_cases(10, slow, &mut tally);
            tally.rule(Rule::WrongfulEviction).judged
        };
        assert_eq!((judged(0), judged(2)), (0, 8));
        let mut tally = Tally::new(5);
        let notice =
            Notice { client: 1, at: 5, disconnect: false, queue_depth: 70, queue_limit: 64 };
        on_notice(notice, &mut tally);
        count_cases(10, 0, &mut tally);
        let found = tally.rule(Rule::WrongfulEviction);
        assert_eq!((found.violations, found.judged), (1, 10));
    }
}
