//! Nothing: the proxy itself must not show.

use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::none());
