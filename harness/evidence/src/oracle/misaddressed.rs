//! Rule `misaddressed`: every message is addressed to a channel and a join of the client.
//!
//! A Phoenix client drops what carries another channel, or a join_ref that is neither null nor its own,
//! without a word: the user sees nothing. What is addressed to the join before the one in force may come
//! until that join's end has, and is none of it.
//!
//! Cases: messages that came. Nothing is undecided. No memory.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Addressee, Micros};

/// A client got a message that it has to drop.
pub fn on_misaddressed(client: u32, at: Micros, to: Addressee, event: &str, tally: &mut Tally) {
    let violation = Violation {
        at_us: at,
        rule: Rule::Misaddressed,
        client: Some(client),
        topic: None,
        seqs: None,
        epoch: None,
        message: format!("a `{event}` was addressed to {to}: real clients drop it"),
    };
    tally.violate_as(&format!("`{event}` to {to}"), violation);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_to_whom() {
        for to in [Addressee::Channel, Addressee::UnknownJoin, Addressee::ClosedJoin] {
            let mut tally = Tally::new(5);
            on_misaddressed(3, 7, to, "sync:frame", &mut tally);
            let message = &tally.kept()[0].message;
            assert!(
                message.contains(&to.to_string()) && message.contains("sync:frame"),
                "{message}"
            );
        }
    }
}
