//! An event that the contract does not know, with a batch of a topic that the token does not open (contract, section
//! 1, rule 8): `broadcast!/3` on a topic of `Phoenix.PubSub` reaches every channel that listens to it, whatever the
//! event, and a client that knows none calls no handler.

use super::later;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::batch;
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(event_of_others), "authz_leak", "org:77:billing");

fn event_of_others(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    later(socket, message, |join| {
        let [push, _] = batch::pushes(&join, "org:77:billing", 5);
        Message::push(join, "sync:delta", push.payload)
    })
}
