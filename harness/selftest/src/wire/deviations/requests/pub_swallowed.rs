//! Publishes are acknowledged by a middle box that never passes them on: a 202 says that a request
//! was accepted, not that it is done (RFC 9110, section 15.3.3).

use crate::wire::deviation::{Deviation, Step};
use crate::wire::http::{Answer, Purpose, Request};
use crate::wire::row::Row;

pub(super) const ROW: Row =
    Row::no_go(Deviation::request(pub_swallowed), "lost_publish", "reached no client");

fn pub_swallowed(request: &Request) -> Option<Vec<Step>> {
    let hit = request.purpose == Purpose::Publish && request.number % 4 == 3;
    hit.then(|| {
        let seq = 100_000 + request.number;
        let body = format!(
            r#"{{"data":{{"seq":{seq},"event_type":"load","payload":{{}},"occurred_at":"2026-01-01T00:00:00Z","worker_id":"w"}}}}"#
        );
        let headers = [("Content-Type", "application/json")];
        vec![Step::Send(Answer::new("202 Accepted", &headers, body).bytes())]
    })
}
