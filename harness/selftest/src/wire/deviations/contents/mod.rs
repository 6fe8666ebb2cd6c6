//! Updates whose hash is right and whose content is not, and pushes that come in another order than usual.

use khala_wire::canonical;
use serde_json::Value;

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::batch::{STATE, begun, edit};
use crate::wire::message::Message;

rows![
    state_of_another,
    state_behind,
    state_stopped,
    event_type_other,
    event_key_other,
    frame_schema_2,
    pushes_in_pairs,
    past_missing,
    mint_bare,
    mint_token_alone,
];

const RULE: &str = "malformed_message";

/// The payloads of one topic's updates changed, each with a hash that fits.
fn rewritten(
    socket: &mut Socket,
    message: &Message,
    of_state: bool,
    change: impl Fn(&mut Value),
) -> Option<Vec<Step>> {
    begun(socket, message)?;
    edit(message, |update| {
        if (update["topic"] == STATE) == of_state {
            change(update);
            update["payload_hash"] = canonical::payload_hash(&update["payload"]).into();
        }
    })
}
