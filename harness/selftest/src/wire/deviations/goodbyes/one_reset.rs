//! One client's connection is reset, once: a NAT that forgot it, as AWS's NAT gateway answers what
//! it has timed out with a reset.

use super::one;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::frame(one_reset));

fn one_reset(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    one(socket).then(|| vec![Step::Reset])
}
