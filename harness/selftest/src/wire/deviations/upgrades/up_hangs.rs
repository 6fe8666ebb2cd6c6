//! No answer at all, as a backend that accepts and is stuck.

use std::time::Duration;

use super::{REFUSED, STABILITY};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::row::Row;

/// Longer than any run here waits.
const FOR_EVER: Duration = Duration::from_secs(120);

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up_hangs), STABILITY, REFUSED)
    .set(&["target.connect_timeout=1s"]);

fn up_hangs(socket: &Socket) -> Option<Vec<Step>> {
    socket.number.is_multiple_of(2).then(|| vec![Step::Wait(FOR_EVER), Step::Finish])
}
