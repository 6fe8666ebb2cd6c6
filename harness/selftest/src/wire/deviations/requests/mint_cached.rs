//! The first token for everybody: a cache that takes no account of `Authorization` (RFC 9111, section
//! 3.5, forbids it). Each client then speaks as somebody else.

use crate::wire::deviation::Deviation;
use crate::wire::http::Purpose;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::cached(Purpose::Mint), "authz_leak", "another client's").control();
