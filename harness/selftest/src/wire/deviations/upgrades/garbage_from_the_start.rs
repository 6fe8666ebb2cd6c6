//! No HTTP, from the first connection on: a port that something else listens on, which speaks first
//! (SSH: RFC 4253, section 4.2).

use super::up_garbage;
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_run(Deviation::upgrade(up_garbage).also_preflight(), "HTTP");
