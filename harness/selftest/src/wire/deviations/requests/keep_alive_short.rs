//! Connections that stay for 60 ms only (RFC 9112, section 9.3.1: a client may meet a close at any time):
//! Node's `keepAliveTimeout`, made short.

use std::time::Duration;

use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::keep_alive(Duration::from_millis(60))).control();
