//! Half of the sockets go to a runtime that is not of the cluster, an older build that nobody took
//! out of the pool: `Phoenix.PubSub` reaches nodes that are connected, and no others.

use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::split(), "no_convergence", "at head");
