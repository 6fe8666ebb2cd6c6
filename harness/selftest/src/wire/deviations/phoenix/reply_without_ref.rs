//! A reply without a ref, as `Phoenix.Channel.reply` to a socket ref taken outside of a message gives.

use serde_json::Value;

use super::reply;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(reply_without_ref));

fn reply_without_ref(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    let steps = reply(socket, &message, Value::Null);
    socket.stage += u32::from(steps.is_some());
    steps
}
