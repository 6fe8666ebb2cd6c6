//! An event that the contract does not know, with a batch of a topic that the client subscribes to: a newer lane
//! beside the old one. No client applies it, and nobody sees what he may not see: Phoenix clients hand events on by
//! their names.

use super::later;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch::{self, STREAM};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::message(event_of_ones_own), "unknown_event");

fn event_of_ones_own(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    later(socket, message, |join| {
        let [push, _] = batch::pushes(&join, STREAM, 5);
        Message::push(join, "sync:delta", push.payload)
    })
}
