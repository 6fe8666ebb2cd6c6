//! Every fourth publish is refused by its rate (contract, section 4), and does not happen.

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row = Row::go(Deviation::request(pub_limited));

fn pub_limited(request: &Request) -> Option<Vec<Step>> {
    (request.purpose == Purpose::Publish && request.number % 4 == 3).then(|| {
        let body = r#"{"error":"khala_publish_rate_limited","retry_after_ms":500,
            "topic_class":"codex_worker_events","max_publish_per_second":240}"#;
        let headers = [("Content-Type", "application/json"), ("Retry-After", "1")];
        vec![Step::Send(Answer::new("429 Too Many Requests", &headers, body).bytes())]
    })
}
