//! "Going away" (RFC 6455, section 7.4.1), which Envoy and browsers' servers send when they drain; the
//! target lists it.

use super::one;
use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::Frame;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::go(Deviation::frame(close1001_listed)).set(&["target.close_codes=[1001]"]);

fn close1001_listed(socket: &mut Socket, _: &Frame) -> Option<Vec<Step>> {
    one(socket).then(|| vec![Frame::close(1001, b"draining").into(), Step::Finish])
}
