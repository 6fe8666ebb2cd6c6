//! Rule `stuck_channel`: while its socket answers heartbeats, the channel of a live client answers
//! them too.
//!
//! Clients ask both together, the channel first. Stuck is a channel that has not answered when the
//! socket answers for the second time: a question that was sent half a heartbeat's interval or more
//! after the first answer had come. One connection has one order, so that the target itself put the
//! later answer before the earlier one: no slowness of ours can produce that, and it is a proof. A
//! channel that is closed or crashes says so and is not stuck; a socket that does not answer either
//! is dead or frozen, and the channel's silence says nothing more.
//!
//! For clients that were live when they asked and that the plan never makes slow: a slow one's
//! answers wait behind what it does not read. Cases: heartbeats of such clients that were answered,
//! and channels that were stuck. Nothing is undecided: what the order does not prove is no case. No
//! memory.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::Micros;

/// A client left its socket because the channel was silent. `owed`: it was live when it asked, and
/// reads.
pub fn on_silent(client: u32, at: Micros, asked: Micros, owed: bool, tally: &mut Tally) {
    if !owed {
        return;
    }
    tally.judged(Rule::StuckChannel, 1);
    let violation = Violation {
        at_us: at,
        rule: Rule::StuckChannel,
        client: Some(client),
        topic: None,
        seqs: None,
        epoch: None,
        message: format!(
            "the channel did not answer a heartbeat for {:.1?}, nor was it closed, while the socket \
             answered twice",
            std::time::Duration::from_micros(at.saturating_sub(asked))
        ),
    };
    tally.violate(violation, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule::StuckChannel;

    #[test]
    fn a_silent_channel_of_a_live_client_is_a_violation_and_of_another_is_no_case() {
        let judged = |owed| {
            let mut tally = Tally::new(5);
            on_silent(1, 40_000_000, 20_000_000, owed, &mut tally);
            tally
        };
        let tally = judged(true);
        assert_eq!((tally.count(RULE), tally.rule(RULE).judged), (1, 1));
        assert!(tally.kept()[0].message.contains("for 20.0s"), "{}", tally.kept()[0].message);
        assert!(!judged(false).exercised(RULE));
    }
}
