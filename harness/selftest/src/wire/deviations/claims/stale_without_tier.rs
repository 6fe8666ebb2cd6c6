//! A refusal that names no tier: where a target's shape is another, the target is the fact (contract, before section
//! 1), and clients do not read it.

use super::stale_figures;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::message(stale_without_tier)).resume();

fn stale_without_tier(_: &mut Socket, message: Message) -> Option<Vec<Step>> {
    stale_figures(message, |stale| {
        stale.as_object_mut().into_iter().for_each(|fields| _ = fields.remove("qos_tier"));
    })
}
