//! Every socket once with 1000, which a graceful stop has for sockets that have not joined
//! (contract, section 3, closes); nobody planned it here, and these have joined.

use super::{ENDS, STABILITY, coded};
use crate::wire::deviation::Deviation;
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::no_go(Deviation::frame(coded::<1000>), STABILITY, ENDS);
