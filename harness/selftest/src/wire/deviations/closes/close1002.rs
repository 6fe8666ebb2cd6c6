//! Every socket once with 1002, which the contract has for sockets that were silent for 60 s
//! (contract, section 3, heartbeats); nobody was.

use super::{ENDS, STABILITY, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<1002>), STABILITY, ENDS);
