//! Objects of the serializer V1 to a client that asked for V2 (contract, section 3, framing).

use serde_json::json;

use super::MALFORMED;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::Frame;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(v1_objects), MALFORMED, "contract");

fn v1_objects(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames >= LATER).then(|| {
        let Message { join, reference, channel, event, payload } = message;
        let object = json!({"event": event, "join_ref": join, "payload": payload, "ref": reference,
            "topic": channel});
        vec![Frame::text(object.to_string()).into()]
    })
}
