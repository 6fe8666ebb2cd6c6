//! The end of the connection in place of an answer, as nginx gives it for `return 444`.

use super::{REFUSED, STABILITY, up_no_answer};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up_no_answer), STABILITY, REFUSED);
