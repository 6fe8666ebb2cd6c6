//! Rule `frame_mismatch`: the two pushes of a batch, `sync:frame` and `sync:update_batch`, agree.
//!
//! The client compares them byte for byte; the rule counts. Cases: pairs compared. Nothing is
//! undecided, and there is no memory.

use khala_wire::topic::TopicId;

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::Micros;

/// Two pushes of one batch, as the client compared them.
#[derive(Clone, Copy, Debug)]
pub struct Compared {
    /// The client.
    pub client: u32,
    /// When the second was read.
    pub at: Micros,
    /// The topic.
    pub topic: TopicId,
    /// Highest seq of the second.
    pub seq: u64,
    /// Whether they agree.
    pub agree: bool,
}

/// Judges a comparison.
pub fn judge(compared: Compared, tally: &mut Tally) {
    let Compared { client, at, topic, seq, agree } = compared;
    tally.judged(Rule::FrameMismatch, 1);
    if agree {
        return;
    }
    let violation = Violation {
        at_us: at,
        rule: Rule::FrameMismatch,
        client: Some(client),
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: None,
        message: format!("sync:frame and sync:update_batch of the batch up to seq {seq} differ"),
    };
    tally.violate(violation, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_that_agree_are_accepted_and_others_are_not() {
        let mut tally = Tally::new(5);
        let compared =
            Compared { client: 1, at: 2, topic: TopicId::WORKER_EVENTS, seq: 3, agree: true };
        judge(compared, &mut tally);
        assert_eq!((tally.total(), tally.rule(Rule::FrameMismatch).judged), (0, 1));
        judge(Compared { agree: false, ..compared }, &mut tally);
        assert_eq!(tally.count(Rule::FrameMismatch), 1);
        assert_eq!(tally.rule(Rule::FrameMismatch).judged, 2);
    }
}
