//! Answers to upgrades, as servers, proxies and load balancers give them.

use std::time::Duration;

use crate::commands::selftest::wire::deviation::{Deviation, Socket, Step, drip};
use crate::commands::selftest::wire::http::{Answer, Head};
use crate::commands::selftest::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::go("upconnlist", Deviation::accepted(upconnlist)),
    Row::go("up_byte_by_byte", Deviation::accepted(up_byte_by_byte)),
    Row::no_go("updeflate", Deviation::accepted(updeflate), "ws_protocol", "an extension"),
    Row::no_go("up403_10", Deviation::upgrade(up403_10), "gate:stability", "403"),
    Row::no_go("up503", Deviation::upgrade(up503), "gate:stability", "503"),
    Row::no_go("up429", Deviation::upgrade(up429), "gate:stability", "429"),
];

/// An answer, for every other upgrade.
fn half(socket: &Socket, answer: Answer) -> Option<Vec<Step>> {
    (socket.number % 2 == 0).then(|| vec![Step::Send(answer.bytes()), Step::Finish])
}

/// `Connection` as a list: RFC 9110, section 7.6.1; HAProxy and nginx add to it.
fn upconnlist(head: Head) -> Vec<Step> {
    vec![Step::Send(head.with("Connection", Some("keep-alive, Upgrade")).bytes())]
}

/// The answer a byte at a time, as a slow link or a proxy without a buffer passes it.
fn up_byte_by_byte(head: Head) -> Vec<Step> {
    drip(&head.bytes(), Duration::from_millis(1))
}

/// An extension that nobody offered (RFC 6455, section 4.1: the client fails the connection), as proxies
/// that compress on their own account name it.
fn updeflate(head: Head) -> Vec<Step> {
    vec![Step::Send(head.and("Sec-WebSocket-Extensions", "permessage-deflate").bytes())]
}

/// A 403 over HTTP/1.0, as older proxies refuse.
fn up403_10(socket: &Socket) -> Option<Vec<Step>> {
    let mut answer = Answer::new("403 Forbidden", &[], "");
    answer.head.line = "HTTP/1.0 403 Forbidden".to_owned();
    half(socket, answer)
}

/// 503 with a Retry-After (RFC 9110, section 15.6.4), of a load balancer without a backend.
fn up503(socket: &Socket) -> Option<Vec<Step>> {
    let headers = [("Retry-After", "1"), ("Content-Type", "text/html")];
    half(socket, Answer::new("503 Service Unavailable", &headers, "<html>overloaded</html>"))
}

/// 429 with a Retry-After (RFC 6585, section 4), of a rate limit at the edge.
fn up429(socket: &Socket) -> Option<Vec<Step>> {
    half(socket, Answer::new("429 Too Many Requests", &[("Retry-After", "1")], ""))
}
