//! The same below the heartbeat's interval: the mistake that nginx's default of 60 s is to a client that
//! heartbeats every 90.

use std::time::Duration;

use super::QUIET;
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::idle(Duration::from_secs(1)), "gate:stability", "socket_ends").set(QUIET);
