//! Rule `malformed_message`: every message is one of the contract's: text, the serializer's shape, and of
//! a known event the fields that the contract gives it.
//!
//! A real client throws such a message away, or falls over it. What is well-formed and not known (an
//! event, a field) is a finding and breaks nothing.
//!
//! An update that contradicts itself or what was published has the shape, and is read: it is a kind of its own. So is
//! a word on where a topic stands that what comes later refutes ([`stands`](super::stands)), and that of a heartbeat that
//! lies below what the same socket had been sent when a heartbeat before it was, at least the settle bound earlier.
//!
//! Cases: messages that came. Nothing is undecided. No memory.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Flaw, Micros};

/// The kind of updates that can be read and say what is not so, whatever that is; others are told apart by
/// their reasons.
pub const NOT_SO: &str = "what it says is not so";

fn message(what: &str) -> String {
    format!("a message is not one of the contract's: {what}")
}

/// How it is told that a message can be read, and what it says is not so.
pub(super) fn not_so(why: &str) -> String {
    message(&format!("{NOT_SO}: {why}"))
}

/// A client got a message that is none of the contract's.
pub fn on_malformed(client: u32, at: Micros, flaw: Flaw, why: &str, tally: &mut Tally) {
    let (kind, message) = match flaw {
        Flaw::Shape => (why, message(why)),
        Flaw::Content => (NOT_SO, not_so(why)),
    };
    let violation = Violation {
        at_us: at,
        rule: Rule::MalformedMessage,
        client: Some(client),
        topic: None,
        seqs: None,
        epoch: None,
        message,
    };
    tally.violate_as(kind, violation);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_so_is_one_kind_whatever_it_says() {
        let mut tally = Tally::new(5);
        for (at, why) in [(7, "a"), (8, "b")] {
            on_malformed(3, at, Flaw::Content, why, &mut tally);
        }
        on_malformed(3, 9, Flaw::Shape, "a batch lacks `topic`", &mut tally);
        let kinds: Vec<_> = tally
            .rule(Rule::MalformedMessage)
            .kinds
            .iter()
            .map(|(kind, of)| (kind.to_string(), of.violations))
            .collect();
        assert!(kinds.contains(&(NOT_SO.to_owned(), 2)), "{kinds:?}");
        assert_eq!(kinds.len(), 2);
        let kept = tally.kept();
        assert!(kept[0].message.ends_with(": what it says is not so: a"), "{kept:?}");
    }

    #[test]
    fn it_says_what_is_wrong() {
        let mut tally = Tally::new(5);
        on_malformed(3, 7, Flaw::Shape, "a batch lacks `topic`", &mut tally);
        let kept = tally.kept();
        assert_eq!((kept[0].client, kept[0].at_us), (Some(3), 7));
        assert!(kept[0].message.ends_with("a batch lacks `topic`"), "{kept:?}");
    }
}
