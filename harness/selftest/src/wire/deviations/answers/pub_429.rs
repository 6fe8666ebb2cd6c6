//! Every fourth publish is refused by a rate limit that stands behind the write (the answer is the
//! one of contract, section 4): it happens all the same.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::told(Deviation::answer(pub_429), "refused");

fn pub_429(request: &Request, _: Answer) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish && request.number % 4 == 3).then(|| {
        let body = r#"{"error":"khala_publish_rate_limited","retry_after_ms":500}"#;
        let headers = [("Content-Type", "application/json")];
        vec![Step::Send(Answer::new("429 Too Many Requests", &headers, body).bytes())]
    })
}
