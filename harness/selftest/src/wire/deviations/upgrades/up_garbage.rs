//! No HTTP: a port that something else listens on, which speaks first (SSH: RFC 4253, section 4.2).

use super::{REFUSED, STABILITY, up_garbage};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::upgrade(up_garbage), STABILITY, REFUSED);
