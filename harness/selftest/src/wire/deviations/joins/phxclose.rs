//! Every client's channel is closed once; the socket stays (contract, section 3, heartbeats).

use super::phx_error;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(phxclose), "gate:stability", "channel_ends");

fn phxclose(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    (socket.frames == LATER && message.channel != "phoenix").then(|| {
        let close = Message { event: "phx_close".to_owned(), ..phx_error(message.join.clone()) };
        vec![(&message).into(), (&close).into()]
    })
}
