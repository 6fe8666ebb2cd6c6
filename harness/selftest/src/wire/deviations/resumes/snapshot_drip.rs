//! Snapshots a few bytes at a time: TCP keeps no boundaries of writes (RFC 9293, section 3.7).

use std::time::Duration;

use super::snapshot;
use crate::wire::deviation::{Deviation, Step, drip};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(snapshot_drip)).resume();

fn snapshot_drip(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    snapshot(request)?;
    Some(drip(&answer.bytes(), 64, Duration::from_millis(2)))
}
