//! Healthy clients are told that they are slow by the error frame alone: the copy that clients of the canonical
//! delivery read (contract, section 3, slow consumer; section 7: no healthy client is evicted).

use super::{SLOW, error_frame};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::message::Message;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::message(slow_by_frame_alone), "wrongful_eviction", "slow");

fn slow_by_frame_alone(socket: &mut Socket, message: Message) -> Option<Vec<Step>> {
    error_frame(socket, message, SLOW)
}
