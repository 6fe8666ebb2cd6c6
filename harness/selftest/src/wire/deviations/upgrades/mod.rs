//! Answers to upgrades, as servers, proxies and load balancers give them.

use crate::wire::deviation::{Socket, Step};
use crate::wire::http::{Answer, Head};

rows![
    upconnlist,
    up_byte_by_byte,
    updeflate,
    up403_10,
    up503,
    up429,
    up_many_headers,
    up_lower_case,
    up103_browser,
    up103_desktop,
    up_subprotocol,
    up_key_wrong,
    up_key_missing,
    up_key_twice,
    up_no_upgrade,
    up101_10,
    up302,
    up401,
    up200_html,
    up_garbage,
    up_no_answer,
    up_then_reset,
    up_hangs,
    garbage_from_the_start,
    html_from_the_start,
    close_from_the_start,
];

const STABILITY: &str = "gate:stability";
const BROKEN: &str = "ws_protocol";
const KEY: &str = "no accept key, several or a wrong one";
const REFUSED: &str = "connect_errors";

/// An answer, for every other upgrade.
fn half(socket: &Socket, answer: Answer) -> Option<Vec<Step>> {
    socket.number.is_multiple_of(2).then(|| vec![Step::Send(answer.bytes()), Step::Finish])
}

/// 103 before the 101 (RFC 8297): browsers and URLSession pass over it, tokio-tungstenite takes the first
/// answer for the last.
fn up103(head: Head) -> Vec<Step> {
    let hint = b"HTTP/1.1 103 Early Hints\r\nLink: </app.css>; rel=preload\r\n\r\n";
    vec![Step::Send([hint, &head.bytes()[..]].concat())]
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
