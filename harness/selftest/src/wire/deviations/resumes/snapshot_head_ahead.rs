//! A snapshot that claims to be of later (contract, section 5b: it is the state at its watermark):
//! who resumes there misses what lies between.

use super::edited;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::answer(snapshot_head_ahead), "bad_snapshot", "head").resume();

fn snapshot_head_ahead(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    edited(request, answer, |document| {
        let head = document["head_watermark"].as_u64().unwrap_or_default();
        document["head_watermark"] = (head + 1000).into();
    })
}
