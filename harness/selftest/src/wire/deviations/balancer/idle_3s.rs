//! Idle time-outs are 60 s at most balancers (AWS ALB, nginx `proxy_read_timeout`); here as the
//! heartbeat is, a tenth.

use std::time::Duration;

use super::QUIET;
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::idle(Duration::from_secs(3))).set(QUIET);
