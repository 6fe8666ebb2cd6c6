//! The recorder's notes: what happened around the frames, as one exhaustive enum.
//!
//! Must never guess: a note that has a known first word but not the known shape is
//! [`Note::Other`], and a test asserts that there is none.

/// What a note tells.
#[derive(Debug, PartialEq)]
pub enum Note<'a> {
    /// A client is about to open a socket.
    Connect { url: &'a str },
    /// The upgrade was accepted (101).
    Upgraded,
    /// The upgrade was refused.
    Rejected { status: u16, body: &'a str },
    /// The socket is closed; no code when it was cut without a close frame.
    Closed { received_code: Option<u16> },
    /// A command over HTTP, and its answer.
    Http { method: &'a str, path: &'a str, request: &'a str, status: u16, response: &'a str },
    /// A WebSocket ping was answered.
    Ping,
    /// Anything else.
    Other(&'a str),
}

impl<'a> Note<'a> {
    /// Reads a note.
    pub fn read(note: &'a str) -> Self {
        let read = match note.split_once(' ') {
            Some(("CONNECT", url)) => Some(Self::Connect { url }),
            Some(("UPGRADED", rest)) => {
                rest.starts_with("HTTP 101 headers=").then_some(Self::Upgraded)
            }
            Some(("REJECTED", rest)) => rejected(rest),
            Some(("CLOSED", rest)) => closed(rest),
            Some(("HTTP", rest)) => http(rest),
            Some(("PING/PONG", _)) => Some(Self::Ping),
            _ => None,
        };
        read.unwrap_or(Self::Other(note))
    }
}

/// `HTTP 403 headers={…} body=bytearray(b'…')`
fn rejected(rest: &str) -> Option<Note<'_>> {
    let rest = rest.strip_prefix("HTTP ")?;
    let status = rest.get(..3)?.parse().ok()?;
    let body = rest.split_once("body=bytearray(b'")?.1.strip_suffix("')")?;
    Some(Note::Rejected { status, body })
}

/// `rcvd=Close(code=1000, reason='') sent=…`, or `rcvd=None sent=None`
fn closed(rest: &str) -> Option<Note<'_>> {
    let rest = rest.strip_prefix("rcvd=")?;
    if rest == "None sent=None" {
        return Some(Note::Closed { received_code: None });
    }
    let code = rest.strip_prefix("Close(code=")?.get(..4)?.parse().ok()?;
    Some(Note::Closed { received_code: Some(code) })
}

/// `POST /path {…} => 202 {…}`
fn http(rest: &str) -> Option<Note<'_>> {
    let (method, rest) = rest.split_once(' ')?;
    let (path, rest) = rest.split_once(' ')?;
    let (request, rest) = rest.split_once(" => ")?;
    let (status, response) = rest.split_once(' ')?;
    Some(Note::Http { method, path, request, status: status.parse().ok()?, response })
}
