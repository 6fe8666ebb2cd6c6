//! Batches of topics that nobody was granted.

use super::{LATER, batch};
use crate::commands::selftest::wire::deviation::{Deviation, Socket, Step};
use crate::commands::selftest::wire::message::Message;
use crate::commands::selftest::wire::row::Row;

const UNKNOWN: &str = "org:77:billing";
const KNOWN: &str = "runtime.notifications";

pub const ROWS: &[Row] = &[
    Row::no_go("leakunknown", Deviation::message(leakunknown), "authz_leak", UNKNOWN),
    Row::no_go("leakknown", Deviation::message(leakknown), "authz_leak", KNOWN),
];

/// A batch of a topic that the contract does not know, as a wildcard subscription at a broker passes on.
fn leakunknown(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    leaks(socket, &message, UNKNOWN)
}

/// A batch of a known topic that was not granted.
fn leakknown(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    leaks(socket, &message, KNOWN)
}

fn leaks(socket: &Socket, message: &Message, topic: &str) -> Option<Vec<Step>> {
    (socket.frames == LATER).then(|| {
        let [batch, frame] = batch::pushes(&message.join, topic, 5);
        vec![message.into(), (&batch).into(), (&frame).into()]
    })
}
