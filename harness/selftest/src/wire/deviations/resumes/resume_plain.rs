//! Nothing, as a tunnel does (RFC 9110, section 3.7): what these clients do is of their scenario's
//! making.

use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::none()).resume();
