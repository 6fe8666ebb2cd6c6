//! No answer at all, as a back end that is stuck: Linux completes connections before anybody
//! accepts them (listen(2)).

use super::{REFUSED, STABILITY};
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::deviations::FOR_EVER;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up_hangs), STABILITY, REFUSED)
    .set(&["target.connect_timeout=1s"]);

fn up_hangs(socket: &Socket) -> Option<Vec<Step>> {
    socket.number.is_multiple_of(2).then(|| vec![Step::Wait(FOR_EVER), Step::Finish])
}
