//! The channel says nothing any more, and the socket answers its heartbeats: each Phoenix channel
//! is a process of its own, and this one hangs.

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(channel_goes_silent), "stuck_channel", "channel")
        .set(&["phase.steady.duration=8s"]);

fn channel_goes_silent(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames >= LATER && message.channel == "sync:v1").then(Vec::new)
}
