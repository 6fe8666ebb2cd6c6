//! The end of the connection in place of an answer.

use super::{REFUSED, STABILITY, up_no_answer};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up_no_answer), STABILITY, REFUSED);
