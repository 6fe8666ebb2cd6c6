//! Requests and answers of HTTP/1.1, as far as a proxy must read them to change them.

use std::fmt::Write as _;
use std::io::{Error, ErrorKind};

use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Longest head that is read, in bytes.
const HEAD_MAX: u64 = 64 * 1024;
/// Longest body that is read, in bytes.
const BODY_MAX: u64 = 16 * 1024 * 1024;

/// The first line and the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first line.
    pub line: String,
    /// The headers, in their order.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Reads one, with the empty line that ends it.
    ///
    /// # Errors
    /// When the connection ends before it does, or it has no end.
    pub async fn read<R: AsyncBufRead + Unpin>(from: &mut R) -> std::io::Result<Self> {
        let mut left = from.take(HEAD_MAX);
        let line = next_line(&mut left).await?;
        let mut headers = Vec::new();
        loop {
            let line = next_line(&mut left).await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or(ErrorKind::InvalidData)?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Self { line, headers })
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The same with another value of a header, or without it.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.headers.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        self.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As it stands on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            // Writing to a string cannot fail.
            let _ = write!(text, "{name}: {value}\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// Whether a request asks for a WebSocket.
    pub fn asks_for_a_socket(&self) -> bool {
        self.header("upgrade").is_some_and(|to| to.eq_ignore_ascii_case("websocket"))
    }

    /// The status of an answer; 0 when there is none.
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
    }

    /// Reads the body that a request announces.
    ///
    /// # Errors
    /// When it does not come, or is longer than any that the harness sends.
    pub async fn body<R: AsyncBufRead + Unpin>(&self, from: &mut R) -> std::io::Result<Vec<u8>> {
        let len = self.header("content-length").and_then(|len| len.parse().ok()).unwrap_or(0_u64);
        if len > BODY_MAX {
            return Err(Error::new(ErrorKind::InvalidData, "a body is too long"));
        }
        let mut body = Vec::new();
        from.take(len).read_to_end(&mut body).await?;
        Ok(body)
    }
}

async fn next_line<R: AsyncBufRead + Unpin>(from: &mut R) -> std::io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line).await?;
    match line.strip_suffix("\r\n").or_else(|| line.strip_suffix('\n')) {
        Some(line) => Ok(line.to_owned()),
        None => Err(Error::new(ErrorKind::UnexpectedEof, "a head has no end")),
    }
}

/// What a request of the harness is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A sync token.
    Mint,
    /// An event of a worker.
    Publish,
    /// The fan-out metrics.
    Metrics,
    /// A snapshot of a topic.
    Snapshot,
    /// Anything else: setting up, taking down.
    Other,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What it is for.
    pub purpose: Purpose,
    /// How many of this purpose came before it.
    pub number: u32,
}

impl Purpose {
    /// By a request's first line.
    pub fn of(line: &str) -> Self {
        let mut words = line.split(' ');
        match (words.next(), words.next().map(|path| path.split('?').next().unwrap_or(path))) {
            (Some("POST"), Some("/api/sync/token")) => Self::Mint,
            (Some("POST"), Some(path)) if path.ends_with("/events") => Self::Publish,
            (Some("GET"), Some("/internal/v1/khala/fanout/metrics")) => Self::Metrics,
            (Some("GET"), Some(path))
                if path.ends_with("/snapshot") && path.contains("/topics/") =>
            {
                Self::Snapshot
            }
            _ => Self::Other,
        }
    }
}

/// An answer with its whole body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: Head,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer that is made up.
    pub fn new(status: &str, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let own = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let head = Head { line: format!("HTTP/1.1 {status}"), headers: own.collect() };
        Self { head, body: body.into() }
    }

    /// Reads one of a connection that ends with it.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn read<R: AsyncBufRead + Unpin>(from: &mut R) -> std::io::Result<Self> {
        let head = Head::read(from).await?;
        let mut body = Vec::new();
        from.take(BODY_MAX).read_to_end(&mut body).await?;
        Ok(Self { head, body })
    }

    /// The same with another body.
    #[must_use]
    pub fn saying(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// The same with a body of JSON changed; nothing when its body is none.
    pub fn edited(self, change: impl FnOnce(&mut Value)) -> Option<Self> {
        let mut document = serde_json::from_slice(&self.body).ok()?;
        change(&mut document);
        Some(self.saying(document.to_string()))
    }

    /// As it stands on the wire, with its length, as the last one of its connection.
    pub fn bytes(&self) -> Vec<u8> {
        self.with_length("close")
    }

    /// The same, but not as the last one of its connection.
    pub fn kept_alive(&self) -> Vec<u8> {
        self.with_length("keep-alive")
    }

    fn with_length(&self, connection: &str) -> Vec<u8> {
        let head = self.head.clone().with("Transfer-Encoding", None);
        let head = head.with("Content-Length", Some(&self.body.len().to_string()));
        [head.with("Connection", Some(connection)).bytes(), self.body.clone()].concat()
    }

    /// The same without a length: its end is the connection's.
    pub fn until_closed(&self) -> Vec<u8> {
        let head = self.head.clone().with("Transfer-Encoding", None).with("Content-Length", None);
        [head.with("Connection", Some("close")).bytes(), self.body.clone()].concat()
    }

    /// The same without a length, in chunks of `size` bytes.
    pub fn chunked(&self, size: usize) -> Vec<u8> {
        let head = self.head.clone().with("Content-Length", None);
        let head = head.with("Transfer-Encoding", Some("chunked"));
        let mut bytes = head.with("Connection", Some("close")).bytes();
        for chunk in self.body.chunks(size.max(1)) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            bytes.extend([chunk, b"\r\n"].concat());
        }
        bytes.extend(b"0\r\n\r\n");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_read_and_written_as_it_was() {
        let text = b"POST /a HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\n\r\nhi!";
        let mut from = &text[..];
        let head = Head::read(&mut from).await.expect("a head");
        assert_eq!(head.bytes(), text[..text.len() - 3]);
        assert_eq!(head.body(&mut from).await.expect("a body"), b"hi");
        assert_eq!(head.with("host", None).header("Host"), None);
        assert!(Head::read(&mut &b"GET / HTTP/1.1\r\nHost"[..]).await.is_err());
    }

    #[test]
    fn requests_are_told_apart_by_what_they_are_for() {
        for (line, purpose) in [
            ("POST /api/sync/token HTTP/1.1", Purpose::Mint),
            ("POST /internal/v1/codex/workers/w/events HTTP/1.1", Purpose::Publish),
            ("POST /internal/v1/codex/workers HTTP/1.1", Purpose::Other),
            ("GET /internal/v1/khala/fanout/metrics?topic_limit=20 HTTP/1.1", Purpose::Metrics),
            ("GET /internal/v1/khala/topics/t/snapshot HTTP/1.1", Purpose::Snapshot),
            ("GET /internal/v1/codex/workers/w/snapshot HTTP/1.1", Purpose::Other),
        ] {
            assert_eq!(Purpose::of(line), purpose, "{line}");
        }
    }

    #[test]
    fn an_answer_has_its_length_or_none() {
        let answer = Answer::new("200 OK", &[("A", "b")], "hello");
        let text = String::from_utf8(answer.bytes()).expect("text");
        let wanted =
            "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        assert_eq!(text, wanted);
        let text = String::from_utf8(answer.chunked(3)).expect("text");
        assert!(text.ends_with("\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), "{text}");
    }
}
