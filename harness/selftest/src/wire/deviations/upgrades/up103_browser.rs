//! 103 before the 101 (RFC 8297): browsers and URLSession pass over it.

use super::up103;
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::go(Deviation::accepted(up103)).set(&["fleet.surface.desktop.name=ios"]);
