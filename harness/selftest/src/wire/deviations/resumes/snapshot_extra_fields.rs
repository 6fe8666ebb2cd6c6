//! Snapshots with more fields than the contract has (contract, section 5b): clients read what they
//! know.

use super::edited;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(snapshot_extra_fields)).resume();

fn snapshot_extra_fields(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    edited(request, answer, |document| {
        document["generated_at"] = "2026-01-01T00:00:00Z".into();
        document["documents"][0]["etag"] = "1".into();
    })
}
