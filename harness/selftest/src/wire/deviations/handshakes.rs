//! Answers to upgrades that are valid, as servers and proxies write them.

use std::fmt::Write as _;
use std::time::Duration;

use crate::wire::deviation::{Deviation, Socket, Step};
use crate::wire::frame::{Frame, PING, PONG};
use crate::wire::http::{Answer, Head};
use crate::wire::row::Row;

pub const ROWS: &[Row] = &[
    Row::go("up_no_reason", Deviation::accepted(up_no_reason)),
    Row::go("up_odd_reason", Deviation::accepted(up_odd_reason)),
    Row::go("up_white_space", Deviation::accepted(up_white_space)),
    Row::go("up_cookies", Deviation::accepted(up_cookies)),
    Row::go("up_values_in_case", Deviation::accepted(up_values_in_case)),
    Row::go("up_reversed", Deviation::accepted(up_reversed)),
    Row::go("up_connection_lines", Deviation::accepted(up_connection_lines)),
    Row::go("up_long_header", Deviation::accepted(up_long_header)),
    Row::go("up_late", Deviation::accepted(up_late)),
    Row::go("up_with_first_frames", Deviation::accepted(up_with_first_frames)),
    Row::go("up_one_503", Deviation::upgrade(up_one_503)),
    Row::no_go("up_to_h2c", Deviation::accepted(up_to_h2c), "ws_protocol", "without the headers"),
    Row::no_go(
        "up_body_behind",
        Deviation::accepted(up_body_behind),
        "ws_protocol",
        "a reserved bit",
    ),
];

fn send(head: &Head) -> Vec<Step> {
    vec![Step::Send(head.bytes())]
}

/// A status line that ends with the status: RFC 9112, section 4, lets the reason be absent, and servers of
/// HTTP/2 descent (Envoy, hyper's custom reasons) have none.
fn up_no_reason(mut head: Head) -> Vec<Step> {
    "HTTP/1.1 101 ".clone_into(&mut head.line);
    send(&head)
}

/// "Web Socket Protocol Handshake", as WebSocket-Node and older Jettys say: a client ignores the reason
/// (RFC 9112, section 4).
fn up_odd_reason(mut head: Head) -> Vec<Step> {
    "HTTP/1.1 101 Web Socket Protocol Handshake".clone_into(&mut head.line);
    send(&head)
}

/// No space behind the colon, tabs, and space at the end of values: OWS of RFC 9110, section 5.5.
fn up_white_space(head: Head) -> Vec<Step> {
    let mut text = format!("{}\r\n", head.line);
    for (index, (name, value)) in head.headers.iter().enumerate() {
        let (before, after) = [("", ""), ("\t ", "  \t"), ("    ", " ")][index % 3];
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}:{before}{value}{after}\r\n");
    }
    text.push_str("\r\n");
    vec![Step::Send(text.into_bytes())]
}

/// Cookies of a balancer's stickiness (AWS ALB sets two), and what edges add: a header may come twice
/// where it is a list, and Set-Cookie always may (RFC 6265, section 3).
fn up_cookies(head: Head) -> Vec<Step> {
    let expires = "Expires=Thu, 01 Jan 2026 00:00:00 GMT; Path=/";
    let head = head.and("Set-Cookie", &format!("AWSALB=a; {expires}"));
    let head = head.and("Set-Cookie", &format!("AWSALBCORS=a; {expires}; SameSite=None; Secure"));
    let head = head.and("Date", "Thu, 01 Jan 2026 00:00:00 GMT").and("Server", "envoy");
    let head = head.and("Via", "1.1 varnish").and("Via", "1.1 vegur").and("Vary", "Origin");
    let head = head.and("Keep-Alive", "timeout=5").and("Alt-Svc", "h3=\":443\"; ma=86400");
    send(&head.and("Strict-Transport-Security", "max-age=31536000"))
}

/// `WebSocket` and `UPGRADE`: both are compared without case (RFC 6455, section 4.1); Python's
/// `websocket-server` and .NET write them so.
fn up_values_in_case(head: Head) -> Vec<Step> {
    let head = head.with("Upgrade", Some("WebSocket"));
    send(&head.with("Connection", Some("UPGRADE")))
}

/// The headers in another order, the accept key first: the order of different names means nothing
/// (RFC 9110, section 5.3).
fn up_reversed(mut head: Head) -> Vec<Step> {
    head.headers.sort_by_key(|(name, _)| std::cmp::Reverse(name.to_ascii_lowercase()));
    send(&head)
}

/// `Connection` on two lines, which is the same as a list (RFC 9110, section 5.2).
fn up_connection_lines(head: Head) -> Vec<Step> {
    let head = head.with("Connection", Some("keep-alive"));
    send(&head.and("connection", "Upgrade"))
}

/// A header of 16 KiB, such as a policy of content security.
fn up_long_header(head: Head) -> Vec<Step> {
    send(&head.and("Content-Security-Policy", &"default-src 'self'; ".repeat(820)))
}

/// The answer after 800 ms: a back end that is only just being started.
fn up_late(head: Head) -> Vec<Step> {
    vec![Step::Wait(Duration::from_millis(800)), Step::Send(head.bytes())]
}

/// A ping and a pong in the same segment as the answer: a server may send as soon as it has accepted
/// (RFC 6455, section 4.2.2), and a client's buffer then holds more than the head.
fn up_with_first_frames(head: Head) -> Vec<Step> {
    let (ping, pong) = (Frame::whole(PING, "hello"), Frame::whole(PONG, ""));
    vec![Step::Send([head.bytes(), ping.bytes(), pong.bytes()].concat())]
}

/// One client's first upgrade is turned away with 503, as a balancer does whose back end is not ready; it
/// tries again. One of twelve is within any limit.
fn up_one_503(socket: &Socket) -> Option<Vec<Step>> {
    let headers = [("Retry-After", "1")];
    let answer = Answer::new("503 Service Unavailable", &headers, "no healthy upstream");
    (socket.number == 0).then(|| vec![Step::Send(answer.bytes()), Step::Finish])
}

/// A 101 to another protocol (RFC 6455, section 4.1: the client fails the connection), as a back end that
/// answers the h2c upgrade of the proxy before it.
fn up_to_h2c(head: Head) -> Vec<Step> {
    send(&head.with("Upgrade", Some("h2c")))
}

/// A body behind the 101, as a framework that ends every answer with a page: its first byte is read as a
/// frame.
fn up_body_behind(head: Head) -> Vec<Step> {
    vec![Step::Send([head.bytes(), b"Switching Protocols".to_vec()].concat())]
}
