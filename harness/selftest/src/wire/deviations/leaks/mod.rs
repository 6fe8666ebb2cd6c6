//! Batches of topics that nobody was granted.

use crate::wire::deviation::{Socket, Step};
use crate::wire::deviations::{LATER, batch};
use crate::wire::message::Message;

rows![leakunknown, leakknown, leak_unreadable, push_before_subscribe,];

const UNKNOWN: &str = "org:77:billing";

/// A batch of a topic behind the message in hand, once a socket.
fn leaks(socket: &Socket, message: &Message, topic: &str) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| {
        let [batch, frame] = batch::pushes(&message.join, topic, 5);
        vec![message.into(), (&batch).into(), (&frame).into()]
    })
}
