//! Replies without `status`, which is half of a reply (contract, section 3, framing), as a server
//! answers that sends the response alone.

use super::{MALFORMED, lacks};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::message(reply_lacks_status), MALFORMED, "status");

fn reply_lacks_status(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    lacks(socket, message, "phx_reply", "status")
}
