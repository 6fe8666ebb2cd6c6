//! Rule `wrong_close_or_error`: close codes and error codes are those of the contract, and fit what
//! they answer.
//!
//! The contract's lists are closed: a client acts on these words, and does not know others. A close
//! frame of the target carries 1000, 1002, 1011 or 1012, and 1011 where the session was revoked, as it
//! stands on the wire and not as a library rewrites it; one without a code (`none`) is not among them.
//! No close frame at all is allowed (a kill). The target's own list (`target.close_codes`) adds to the
//! contract's. A bad token's upgrade is refused with HTTP 403. A live client's heartbeat, and its unsubscribe of
//! what it has, are answered with ok. `reauth_required` is said to whom the harness has revoked, or whose token
//! has run out. Whether another
//! word was due at all is for other rules (`false_stale`, `wrongful_eviction`) and for gates to say.
//!
//! Cases: words heard. Nothing is undecided. No memory.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Micros, Place};

const CLOSES: &[&str] = &["1000", "1002", "1011", "1012"];
const CLOSES_OF_REVOKED: &[&str] = &["1011"];
const UPGRADES: &[&str] = &["403"];
const JOINS: &[&str] = &[
    "reauth_required",
    "bad_topic",
    "invalid_client_build",
    "unsupported_protocol_version",
    "unsupported_schema_version",
    "upgrade_required",
    "unsupported_client_build",
];
const SUBSCRIBES: &[&str] =
    &["bad_subscription", "forbidden_topic", "stale_cursor", "unmatched topic"];
/// That the session, or its token, is no longer good may be said at any time.
const HEARTBEATS: &[&str] = &["reauth_required"];
const NONE: &[&str] = &[];
const ERRORS: &[&str] = &["stale_cursor", "slow_consumer", "reauth_required"];

/// The word of a close frame without a code, and the number by which a target's own list allows it
/// (RFC 6455, section 7.1.5).
const NO_CODE: (&str, u16) = ("none", 1005);

/// A word of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a> {
    /// The client that it was said to.
    pub client: u32,
    /// When.
    pub at: Micros,
    /// Where.
    pub place: Place,
    /// The word.
    pub word: &'a str,
    /// Whether the socket is of a session whose revocation the target has acknowledged.
    pub revoked: bool,
}

/// The words that the contract has for a place.
fn allowed(place: Place, revoked: bool) -> &'static [&'static str] {
    match place {
        Place::Close if revoked => CLOSES_OF_REVOKED,
        Place::CloseRevoked => CLOSES_OF_REVOKED,
        Place::Close => CLOSES,
        Place::Connect => UPGRADES,
        Place::Join => JOINS,
        Place::Subscribe => SUBSCRIBES,
        Place::Heartbeat => HEARTBEATS,
        Place::Error => ERRORS,
        // What is asked in good order is not refused, and what nobody gave a reason for is not said.
        Place::Unsubscribe | Place::Unprovoked => NONE,
    }
}

/// Whether the target's own list of close codes has a word.
fn own(said: &Word<'_>, close_codes: &[u16]) -> bool {
    let code = if said.word == NO_CODE.0 { Some(NO_CODE.1) } else { said.word.parse().ok() };
    let closes = matches!(said.place, Place::Close | Place::CloseRevoked);
    closes && code.is_some_and(|code| close_codes.contains(&code))
}

/// Judges a word; `close_codes` are those that the target may send beside the contract's.
pub fn judge(said: &Word<'_>, close_codes: &[u16], tally: &mut Tally) {
    tally.judged(Rule::WrongCloseOrError, 1);
    let allowed = allowed(said.place, said.revoked);
    if allowed.contains(&said.word) || own(said, close_codes) {
        return;
    }
    let of = if said.revoked { " of a revoked session" } else { "" };
    let has = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    let message = format!("{}{of} said `{}`; the contract has {has}", said.place, said.word);
    let violation = Violation {
        at_us: said.at,
        rule: Rule::WrongCloseOrError,
        client: Some(said.client),
        topic: None,
        seqs: None,
        epoch: None,
        message,
    };
    tally.violate_as(&format!("{} `{}`", said.place, said.word), violation);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(place: Place, word: &str, revoked: bool) -> u64 {
        let mut tally = Tally::new(5);
        judge(&Word { client: 0, at: 5, place, word, revoked }, &[], &mut tally);
        assert_eq!(tally.rule(Rule::WrongCloseOrError).judged, 1);
        tally.count(Rule::WrongCloseOrError)
    }

    #[test]
    fn the_contracts_words_are_right_in_their_place_and_wrong_in_another() {
        assert_eq!(violations(Place::Close, "1012", false), 0);
        assert_eq!(violations(Place::Close, "1008", false), 1);
        assert_eq!(violations(Place::Connect, "403", false), 0);
        assert_eq!(violations(Place::Connect, "401", false), 1);
        assert_eq!(violations(Place::Join, "reauth_required", false), 0);
        assert_eq!(violations(Place::Join, "stale_cursor", false), 1);
        assert_eq!(violations(Place::Subscribe, "stale_cursor", false), 0);
        assert_eq!(violations(Place::Subscribe, "", false), 1);
        assert_eq!(violations(Place::Error, "slow_consumer", false), 0);
        assert_eq!(violations(Place::Error, "bad_topic", false), 1);
    }

    #[test]
    fn what_is_asked_in_good_order_is_not_refused() {
        for word in ["unmatched topic", "bad_subscription", "", "reauth_required"] {
            assert_eq!(violations(Place::Unsubscribe, word, false), 1, "{word}");
            assert_eq!(violations(Place::Unprovoked, word, false), 1, "{word}");
        }
        assert_eq!(violations(Place::Heartbeat, "unmatched topic", false), 1);
        assert_eq!(violations(Place::Heartbeat, "reauth_required", false), 0);
    }

    #[test]
    fn a_targets_own_list_adds_to_the_contracts_and_to_closes_only() {
        for (word, codes, place, found) in [
            ("4001", &[4001][..], Place::Close, 0),
            ("none", &[4001], Place::Close, 1),
            ("none", &[1005], Place::Close, 0),
            ("4001", &[4001], Place::Connect, 1),
        ] {
            let mut tally = Tally::new(5);
            let said = Word { client: 0, at: 5, place, word, revoked: false };
            judge(&said, codes, &mut tally);
            assert_eq!(tally.count(Rule::WrongCloseOrError), found, "{word} {place}");
        }
    }

    #[test]
    fn a_revoked_session_is_closed_with_1011() {
        assert_eq!(violations(Place::Close, "1011", true), 0);
        assert_eq!(violations(Place::Close, "1000", true), 1);
        assert_eq!(violations(Place::CloseRevoked, "1011", false), 0);
        assert_eq!(violations(Place::CloseRevoked, "1000", false), 1, "before the answer came");
        assert_eq!(violations(Place::Error, "reauth_required", true), 0);
    }
}
