//! No HTTP, as a port that something else listens on.

use super::up_garbage;
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_run(Deviation::upgrade(up_garbage).also_preflight(), "HTTP");
