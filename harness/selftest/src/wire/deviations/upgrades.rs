//! Answers to upgrades, as servers, proxies and load balancers give them.

use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step, drip};
use crate::wire::http::{Answer, Head};
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::go("upconnlist", Deviation::accepted(upconnlist)),
    Row::go("up_byte_by_byte", Deviation::accepted(up_byte_by_byte)),
    Row::no_go("updeflate", Deviation::accepted(updeflate), "ws_protocol", "an extension"),
    Row::no_go("up403_10", Deviation::upgrade(up403_10), "gate:stability", "403"),
    Row::no_go("up503", Deviation::upgrade(up503), "gate:stability", "503"),
    Row::no_go("up429", Deviation::upgrade(up429), "gate:stability", "429"),
    Row::go("up_many_headers", Deviation::accepted(up_many_headers)),
    Row::go("up_lower_case", Deviation::accepted(up_lower_case)),
    Row::go("up103_browser", Deviation::accepted(up103)).set(&["fleet.surface.desktop.name=ios"]),
    Row::no_go("up103_desktop", Deviation::accepted(up103), STABILITY, "103"),
    Row::no_go("up_subprotocol", Deviation::accepted(up_subprotocol), BROKEN, "a subprotocol"),
    Row::no_go("up_key_wrong", Deviation::accepted(up_key_wrong), BROKEN, KEY),
    Row::no_go("up_key_missing", Deviation::accepted(up_key_missing), BROKEN, KEY),
    Row::no_go("up_key_twice", Deviation::accepted(up_key_twice), BROKEN, KEY),
    Row::no_go("up_no_upgrade", Deviation::accepted(up_no_upgrade), BROKEN, "without the headers"),
    Row::no_go("up101_10", Deviation::accepted(up101_10), STABILITY, REFUSED),
    Row::no_go("up302", Deviation::upgrade(up302), STABILITY, "302"),
    Row::no_go("up401", Deviation::upgrade(up401), STABILITY, "auth_errors"),
    Row::no_go("up200_html", Deviation::upgrade(up200_html), STABILITY, REFUSED),
    Row::no_go("up_garbage", Deviation::upgrade(up_garbage), STABILITY, REFUSED),
    Row::no_go("up_no_answer", Deviation::upgrade(up_no_answer), STABILITY, REFUSED),
    Row::no_go("up_hangs", Deviation::upgrade(up_hangs), STABILITY, REFUSED)
        .set(&["target.connect_timeout=1s"]),
    Row::no_run("garbage_from_the_start", Deviation::upgrade(up_garbage).also_preflight(), "HTTP"),
    Row::no_run("html_from_the_start", Deviation::upgrade(up200_html).also_preflight(), "200"),
    Row::no_run(
        "close_from_the_start",
        Deviation::upgrade(up_no_answer).also_preflight(),
        "closed",
    ),
];

const STABILITY: &str = "gate:stability";
const BROKEN: &str = "ws_protocol";
const KEY: &str = "no accept key, several or a wrong one";
const REFUSED: &str = "connect_errors";

/// Longer than any run here waits.
const FOR_EVER: Duration = Duration::from_secs(120);

/// An answer, for every other upgrade.
fn half(socket: &Socket, answer: Answer) -> Option<Vec<Step>> {
    socket.number.is_multiple_of(2).then(|| vec![Step::Send(answer.bytes()), Step::Finish])
}

/// `Connection` as a list: RFC 9110, section 7.6.1; HAProxy and nginx add to it.
fn upconnlist(head: Head) -> Vec<Step> {
    vec![Step::Send(head.with("Connection", Some("keep-alive, Upgrade")).bytes())]
}

/// The answer a byte at a time, as a slow link or a proxy without a buffer passes it.
fn up_byte_by_byte(head: Head) -> Vec<Step> {
    drip(&head.bytes(), 1, Duration::from_millis(1))
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

/// Two hundred more headers, some 12 KiB of them, as gateways add for tracing and security.
fn up_many_headers(head: Head) -> Vec<Step> {
    let value = "v".repeat(40);
    let head = (0..200).fold(head, |head, n| head.and(&format!("X-Trace-{n}"), &value));
    vec![Step::Send(head.bytes())]
}

/// Names in lower case (RFC 9110, section 5.1), as proxies write that speak HTTP/2 behind.
fn up_lower_case(mut head: Head) -> Vec<Step> {
    head.headers.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
    vec![Step::Send(head.bytes())]
}

/// 103 before the 101 (RFC 8297): browsers and URLSession pass over it, tokio-tungstenite takes the first
/// answer for the last.
fn up103(head: Head) -> Vec<Step> {
    let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </app.css>; rel=preload\r\n\r\n";
    vec![Step::Send([hint, &head.bytes()[..]].concat())]
}

/// A subprotocol that nobody offered (RFC 6455, section 4.1).
fn up_subprotocol(head: Head) -> Vec<Step> {
    vec![Step::Send(head.and("Sec-WebSocket-Protocol", "phoenix").bytes())]
}

/// The accept key of another request (RFC 6455, section 4.1), as a cache answers.
fn up_key_wrong(head: Head) -> Vec<Step> {
    let other = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    vec![Step::Send(head.with("Sec-WebSocket-Accept", other).bytes())]
}

/// No accept key (RFC 6455, section 4.1, wants one), as a handler by hand forgets it.
fn up_key_missing(head: Head) -> Vec<Step> {
    vec![Step::Send(head.with("Sec-WebSocket-Accept", None).bytes())]
}

/// The accept key twice: Chromium fails the handshake over a header that may come once.
fn up_key_twice(head: Head) -> Vec<Step> {
    let key = head.header("Sec-WebSocket-Accept").unwrap_or_default().to_owned();
    vec![Step::Send(head.and("Sec-WebSocket-Accept", &key).bytes())]
}

/// A 101 without `Upgrade`: it is hop-by-hop (RFC 9110, section 7.6.1), and proxies drop it.
fn up_no_upgrade(head: Head) -> Vec<Step> {
    vec![Step::Send(head.with("Upgrade", None).bytes())]
}

/// A 101 over HTTP/1.0: tungstenite, and with it the desktop client, refuses the version.
fn up101_10(mut head: Head) -> Vec<Step> {
    head.line = head.line.replace("HTTP/1.1", "HTTP/1.0");
    vec![Step::Send(head.bytes())]
}

/// A redirect, as to a log-in page: a WebSocket client follows none (Fetch, `WebSocket` opening
/// handshake: redirect mode "error").
fn up302(socket: &Socket) -> Option<Vec<Step>> {
    half(socket, Answer::new("302 Found", &[("Location", "/login")], ""))
}

/// A 401: the clients stop for good, as on a 403.
fn up401(socket: &Socket) -> Option<Vec<Step>> {
    half(socket, Answer::new("401 Unauthorized", &[("WWW-Authenticate", "Bearer")], ""))
}

/// A page, as a captive portal or a single-page application's catch-all sends it.
fn up200_html(socket: &Socket) -> Option<Vec<Step>> {
    half(socket, Answer::new("200 OK", &[("Content-Type", "text/html")], "<html></html>"))
}

/// No HTTP, as a port that something else listens on.
fn up_garbage(socket: &Socket) -> Option<Vec<Step>> {
    socket
        .number
        .is_multiple_of(2)
        .then(|| vec![Step::Send(b"SSH-2.0-OpenSSH\r\n".to_vec()), Step::Finish])
}

/// The end of the connection in place of an answer.
fn up_no_answer(socket: &Socket) -> Option<Vec<Step>> {
    socket.number.is_multiple_of(2).then(|| vec![Step::Finish])
}

/// No answer at all, as a backend that accepts and is stuck.
fn up_hangs(socket: &Socket) -> Option<Vec<Step>> {
    socket.number.is_multiple_of(2).then(|| vec![Step::Wait(FOR_EVER), Step::Finish])
}
