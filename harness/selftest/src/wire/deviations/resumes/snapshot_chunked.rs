//! Snapshots in chunks, without a length (RFC 9112, section 7.1): they are made as they are sent.

use super::snapshot;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(snapshot_chunked)).resume();

fn snapshot_chunked(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    snapshot(request)?;
    Some(vec![Step::Send(answer.chunked(11))])
}
