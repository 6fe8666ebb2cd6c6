//! The documents in another order: a snapshot is a set (contract, section 5b).

use super::edited;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::answer(snapshot_reordered)).resume();

fn snapshot_reordered(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    edited(request, answer, |document| {
        if let Some(documents) = document["documents"].as_array_mut() {
            documents.reverse();
        }
    })
}
