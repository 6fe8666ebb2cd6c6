//! Connections that stay for the next request (RFC 9112, section 9.3), as every server keeps them.

use std::time::Duration;

use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::keep_alive(Duration::from_secs(5))).control();
