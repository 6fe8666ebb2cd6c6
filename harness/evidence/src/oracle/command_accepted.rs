//! Rule `command_accepted`: a command over the socket is refused and changes nothing.
//!
//! Refused is an error reply, the end of the channel or the end of the socket: the contract calls an
//! unknown event a crash of the channel. That it changed nothing is judged by what comes out: such a
//! command carries a mark of its own, and an event with it is a violation, whoever gets it and whatever
//! the answer was.
//!
//! Cases: commands that were answered. Undecided: those without an answer. No memory.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{CommandAnswer, Delivery, Micros, PublishId, Source};

/// A command was sent by a client, and answered or not.
pub fn on_answer(client: u32, at_us: Micros, answer: CommandAnswer, tally: &mut Tally) {
    match answer {
        CommandAnswer::Refused => tally.judged(Rule::CommandAccepted, 1),
        CommandAnswer::None => tally.undecided(Rule::CommandAccepted),
        CommandAnswer::Obeyed => {
            tally.judged(Rule::CommandAccepted, 1);
            let violation = Violation {
                at_us,
                rule: Rule::CommandAccepted,
                client: Some(client),
                topic: None,
                seqs: None,
                epoch: None,
                message: "a command over the socket was answered with ok".to_owned(),
            };
            tally.violate(violation, 0);
        }
    }
}

/// Judges a delivery.
pub fn on_delivery(delivery: &Delivery, tally: &mut Tally) {
    let Source::Event { publish: PublishId::OverSession { client: sender }, .. } = delivery.source
    else {
        return;
    };
    let Delivery { client, topic, seq, at, epoch, .. } = *delivery;
    let violation = Violation {
        at_us: at,
        rule: Rule::CommandAccepted,
        client: Some(client),
        topic: Some(topic),
        seqs: Some((seq, seq)),
        epoch: Some(epoch),
        message: format!("seq {seq} is an event that client {sender} sent over its socket"),
    };
    tally.violate(violation, 0);
}

#[cfg(test)]
mod tests {
    use khala_wire::topic::TopicId;

    use super::*;

    const RULE: Rule = Rule::CommandAccepted;

    #[test]
    fn an_ok_is_a_violation_and_silence_is_undecided() {
        use CommandAnswer::{None, Obeyed, Refused};
        for (answer, expected) in [(Refused, (0, 1, 0)), (Obeyed, (1, 1, 0)), (None, (0, 0, 1))] {
            let mut tally = Tally::new(5);
            on_answer(1, 5, answer, &mut tally);
            let of = tally.rule(RULE);
            assert_eq!((tally.count(RULE), of.judged, of.undecided), expected, "{answer:?}");
        }
    }

    #[test]
    fn what_comes_out_is_a_violation_whatever_the_answer_was() {
        let ours = |publish| Source::Event {
            publish,
            intended: None,
            begun: None,
            payload: 0,
            worker_seq: None,
        };
        let cases = [
            (ours(PublishId::OverSession { client: 7 }), 1),
            (ours(PublishId::Planned(7)), 0),
            (Source::Foreign, 0),
        ];
        for (source, expected) in cases {
            let mut tally = Tally::new(5);
            let delivery = Delivery {
                client: 0,
                epoch: 1,
                topic: TopicId::WORKER_EVENTS,
                seq: 4,
                at: 9,
                content: 1,
                hash_fits: true,
                source,
            };
            on_delivery(&delivery, &mut tally);
            assert_eq!(tally.count(RULE), expected, "{source:?}");
        }
    }
}
