//! One client's channel crashes, so it joins again; then a push of the old join comes between the new
//! join's reply and the old one's `phx_close`. Contract, section 3: a second join closes the old channel,
//! after the new join's reply. What the old one still says until then real clients drop.

use super::crash;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(old_join_data));

fn old_join_data(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    if socket.number != 0 {
        return None;
    }
    crash(socket, message, |message, old| vec![(&message).into(), (&old).into()])
}
