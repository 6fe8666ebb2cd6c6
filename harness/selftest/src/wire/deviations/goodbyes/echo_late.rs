//! The client's goodbye is answered half a second late: an echo is due "as soon as practical" (RFC
//! 6455, section 5.5.1).

use std::time::Duration;

use super::echoes;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(echo_late));

fn echo_late(socket: &mut Socket, frame: &Frame) -> Option<Vec<Step>> {
    let late = Step::Wait(Duration::from_millis(500));
    echoes(socket, frame).then(|| vec![late, frame.clone().into(), Step::Finish])
}
