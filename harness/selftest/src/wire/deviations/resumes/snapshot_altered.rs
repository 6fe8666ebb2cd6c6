//! Documents of a snapshot that say something else than the same version said to others, with a hash that fits
//! (contract, section 5b: it is the state at its watermark): who comes back by it is shown what never was.

use khala_wire::canonical::payload_hash;

use super::edited;
use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::answer(snapshot_altered), "bad_snapshot", "another content").resume();

fn snapshot_altered(request: &Request, answer: Answer) -> Option<Vec<Step>> {
    edited(request, answer, |snapshot| {
        for document in snapshot["documents"].as_array_mut().into_iter().flatten() {
            document["payload"]["started_at"] = "2001-01-01T00:00:00Z".into();
            document["payload_hash"] = payload_hash(&document["payload"]).into();
        }
    })
}
