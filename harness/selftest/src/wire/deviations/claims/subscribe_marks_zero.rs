//! The reply to a subscribe says that its topics stand at 0, whatever cursor was sent: where the socket stands
//! was read before it was set (contract, section 3, subscribe).

use serde_json::Value;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(subscribe_marks_zero), "malformed_message", "below cursor")
        .resume();

fn subscribe_marks_zero(_: &mut Socket, mut message: Message) -> Option<Vec<Step>> {
    message.is_subscribe_reply().then(|| {
        let marks = message.payload["response"]["current_watermarks"].as_array_mut();
        for mark in marks.into_iter().flatten() {
            mark["watermark"] = Value::from(0);
        }
        vec![(&message).into()]
    })
}
