//! Nothing: the proxy itself must not show, as a tunnel does not (RFC 9110, section 3.7: a blind
//! relay).

use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::none());
