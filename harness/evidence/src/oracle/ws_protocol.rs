//! Rule `ws_protocol`: the target keeps RFC 6455, in the upgrade's answer and in every frame after it.
//!
//! What a browser fails a connection for is broken, whatever a more patient library makes of it. A cable
//! that is cut is none of it: it ends a socket, and is told as that.
//!
//! Cases: messages that came, and breaches. Nothing is undecided. No memory.

use super::rule::Rule;
use super::tally::{Tally, Violation};
use crate::record::{Breach, Micros};

/// A client saw a breach.
pub fn on_breach(client: u32, at: Micros, breach: Breach, tally: &mut Tally) {
    tally.judged(Rule::WsProtocol, 1);
    let violation = Violation {
        at_us: at,
        rule: Rule::WsProtocol,
        client: Some(client),
        topic: None,
        seqs: None,
        epoch: None,
        message: format!("the target sent {breach}"),
    };
    tally.violate_as(&breach.to_string(), violation);
}

/// What a breach of this kind means for those who use the product, where it is another thing than of most.
pub fn what_users_see_of(kind: &str) -> Option<&'static str> {
    match Breach::ALL.into_iter().find(|breach| breach.to_string() == kind)? {
        Breach::Extension | Breach::Subprotocol | Breach::AcceptKey | Breach::UpgradeHeaders => {
            Some(
                "Browsers cannot connect, because what answers them keeps to no WebSocket handshake.",
            )
        }
        Breach::TooLong => {
            Some("Apps drop the connection, because more is sent at once than they take.")
        }
        Breach::CloseFrame => Some(
            "Apps take the end of a connection for a failure, because its goodbye is malformed.",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_breach_is_named() {
        for breach in Breach::ALL {
            let mut tally = Tally::new(5);
            on_breach(3, 7, breach, &mut tally);
            let kept = tally.kept();
            assert_eq!((kept[0].client, kept[0].at_us), (Some(3), 7));
            assert!(kept[0].message.ends_with(&breach.to_string()), "{kept:?}");
            let found = tally.rule(Rule::WsProtocol);
            assert_eq!((found.judged, found.kinds[&*breach.to_string()].violations), (1, 1));
        }
    }
}
