//! Rule `malformed_message`: every message is one of the contract's: text, the serializer's shape, and of
//! a known event the fields that the contract gives it.
//!
//! A real client throws such a message away, or falls over it. What is well-formed and not known (an
//! event, a field) is a finding and breaks nothing.
//!
//! Cases: messages that came. Nothing is undecided. No memory.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::Micros;

/// A client got a message that is none of the contract's.
pub fn on_malformed(client: u32, at: Micros, why: &str, tally: &mut Tally) {
    let violation = Violation {
        at_us: at,
        rule: Rule::MalformedMessage,
        client: Some(client),
        topic: None,
        seqs: None,
        epoch: None,
        message: format!("a message is not one of the contract's: {why}"),
    };
    tally.violate_as(why, violation);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_wrong() {
        let mut tally = Tally::new(5);
        on_malformed(3, 7, "a batch lacks `topic`", &mut tally);
        let kept = tally.kept();
        assert_eq!((kept[0].client, kept[0].at_us), (Some(3), 7));
        assert!(kept[0].message.ends_with("a batch lacks `topic`"), "{kept:?}");
    }
}
