//! A message of 3 MiB, to one client: beyond the 2 MiB of a batch, which a client must survive (contract,
//! section 3, delivery).

use super::spaced;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::LATER;
use crate::wire::frame::{FIN, Frame, TEXT};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(message_3mib));

fn message_3mib(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let hit = socket.number == 0 && socket.frames == LATER && frame.first == FIN | TEXT;
    hit.then(|| spaced(frame, 3 << 20))
}
