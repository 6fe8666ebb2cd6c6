//! Every client's channel crashes once: `phx_error`, and the socket stays open (contract, section
//! 3, framing).

use super::crash;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(phxerror), "gate:stability", "channel_ends");

fn phxerror(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    crash(socket, message, |message, _| vec![(&message).into()])
}
