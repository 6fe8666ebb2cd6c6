//! The upgrade's request and answer, taken and refused as the surfaces' own clients do.
//!
//! Browsers are the measure (RFC 6455, section 4.1, as Fetch's WebSocket handshake has it): header names
//! in any case, `Connection` as a list of tokens over any number of lines, any number of other headers,
//! an answer that comes byte by byte; and no extension or subprotocol that nobody offered, no accept key
//! but the right one. The status line is read first, whatever the HTTP version: a 403 is a 403. Where
//! the clients differ, [`Interim`] says how.

use std::time::Duration;

use khala_evidence::record::Breach;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::target::builds::Builds;

/// Longest head of an answer, in bytes: Chromium's limit.
const HEAD_MAX: usize = 256 * 1024;
/// Bytes asked for at once.
const READ: usize = 2 * 1024;
/// Bytes kept of the body that came with a refusal.
const BODY_KEPT: usize = 200;
/// How long is waited for what is missing of it.
const BODY_WAIT: Duration = Duration::from_millis(200);

/// What a client makes of an interim answer (status 100, 102, 103, …) before the final one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interim {
    /// Passes over it, as browsers and URLSession do.
    #[default]
    Skipped,
    /// Takes it for the final answer, and so for a refusal, as tokio-tungstenite does.
    Refused,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `Host`.
    pub host: &'a str,
    /// Path and query; holds the token, so it reaches no error.
    pub path_and_query: &'a str,
    /// `User-Agent`.
    pub user_agent: &'a str,
    /// Lines of further headers, each with its end; they may hold secrets.
    pub headers: &'a str,
    /// Counts the builds that answers name.
    pub builds: Option<&'a Builds>,
}

/// An answer with another status than 101.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// `Retry-After`, as it stands.
    pub retry_after: Option<String>,
    /// The start of the body, as far as it came with the head.
    pub body: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HTTP {}", self.status)
    }
}

/// Why there was no upgrade.
#[derive(Debug)]
pub enum Error {
    /// The connection broke, or ended before the answer did.
    Io(std::io::Error),
    /// It was refused.
    Refused(Refusal),
    /// The answer breaks RFC 6455.
    Breached(Breach),
    /// It was no answer to an HTTP request.
    NoHttp(String),
}

/// Asks for the upgrade and reads the answer; returns what came after its head.
///
/// # Errors
/// As [`Error`] says.
pub async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &Request<'_>,
    interim: Interim,
) -> Result<Vec<u8>, Error> {
    let key = generate_key();
    let Request { host, path_and_query, user_agent, headers, builds } = request;
    let text = format!(
        "GET {path_and_query} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nUser-Agent: {user_agent}\r\n\
         {headers}\r\n"
    );
    stream.write_all(text.as_bytes()).await.map_err(Error::Io)?;
    let mut read = Vec::with_capacity(READ);
    loop {
        let head_len = match head_len(&read) {
            Some(len) => len,
            None if read.len() > HEAD_MAX => {
                return Err(Error::NoHttp(format!("its head is longer than {HEAD_MAX} bytes")));
            }
            None => {
                more(stream, &mut read).await?;
                continue;
            }
        };
        let rest = read.split_off(head_len);
        let answer = Answer::parse(&read)?;
        match answer.status {
            101 => {
                answer.verify(&derive_accept_key(key.as_bytes())).map_err(Error::Breached)?;
                if let Some(builds) = builds {
                    builds.saw(answer.first(builds.header()));
                }
                return Ok(rest);
            }
            100..200 if interim == Interim::Skipped => read = rest,
            status => {
                let retry_after = answer.first("retry-after").map(str::to_owned);
                let length = answer.first("content-length").and_then(|text| text.parse().ok());
                let body = body_of(stream, rest, length.unwrap_or(BODY_KEPT)).await;
                return Err(Error::Refused(Refusal { status, retry_after, body }));
            }
        }
    }
}

/// The beginning of a refusal's body, of which a part may still be on its way.
async fn body_of<S: AsyncRead + Unpin>(stream: &mut S, mut body: Vec<u8>, len: usize) -> String {
    let wanted = len.min(BODY_KEPT);
    let rest = async {
        let mut part = [0; BODY_KEPT];
        while body.len() < wanted {
            match stream.read(&mut part).await {
                Ok(0) | Err(_) => break,
                Ok(read) => body.extend(&part[..read]),
            }
        }
    };
    // A refusal is one without its body too.
    let _ = tokio::time::timeout(BODY_WAIT, rest).await;
    body.truncate(wanted);
    String::from_utf8_lossy(&body).into_owned()
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, read: &mut Vec<u8>) -> Result<(), Error> {
    // Whoever does not begin with an HTTP status line will not answer one however long one waits.
    let begun = &read[..read.len().min(5)];
    if !b"HTTP/".starts_with(begun) {
        return Err(Error::NoHttp("it does not begin as an HTTP answer does".to_owned()));
    }
    let mut part = [0; READ];
    match stream.read(&mut part).await.map_err(Error::Io)? {
        0 => {
            let why = "it closed the connection before it answered the upgrade";
            Err(Error::Io(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, why)))
        }
        count => {
            read.extend_from_slice(&part[..count]);
            Ok(())
        }
    }
}

/// Length of the head with the empty line that ends it, once it is there.
fn head_len(read: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = read[from..].iter().position(|&byte| byte == b'\n') {
        let next = from + at + 1;
        match read.get(next..) {
            Some([b'\n', ..]) => return Some(next + 1),
            Some([b'\r', b'\n', ..]) => return Some(next + 2),
            _ => from = next,
        }
    }
    None
}

/// An answer's head.
struct Answer<'a> {
    status: u16,
    /// Whether its version is older than HTTP/1.1, which knows no upgrade.
    old: bool,
    /// Names in lower case.
    headers: Vec<(String, &'a str)>,
}

impl<'a> Answer<'a> {
    fn parse(head: &'a [u8]) -> Result<Self, Error> {
        // Headers are octets; what is not UTF-8 can be no header that is looked at here.
        let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.trim_ascii_end());
        let first = lines.next().unwrap_or_default();
        let status = status(first).ok_or_else(|| {
            let line = String::from_utf8_lossy(&first[..first.len().min(60)]);
            Error::NoHttp(format!("its first line is `{}`", line.escape_debug()))
        })?;
        let headers = lines.filter_map(|line| {
            let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim()))
        });
        let old = first.starts_with(b"HTTP/1.0 ") || first.starts_with(b"HTTP/0");
        Ok(Self { status, old, headers: headers.collect() })
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(found, _)| found == name).map(|(_, value)| *value)
    }

    fn first(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// Whether it is the upgrade that was asked for.
    fn verify(&self, accept_key: &str) -> Result<(), Breach> {
        let upgrades: Vec<_> = self.all("upgrade").collect();
        let websocket = matches!(upgrades[..], [one] if one.eq_ignore_ascii_case("websocket"));
        let mut tokens = self.all("connection").flat_map(|value| value.split(','));
        let connection = tokens.any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
        if self.old || !websocket || !connection {
            return Err(Breach::UpgradeHeaders);
        }
        let keys: Vec<_> = self.all("sec-websocket-accept").collect();
        if keys[..] != [accept_key] {
            return Err(Breach::AcceptKey);
        }
        // An empty list names nothing.
        if self.all("sec-websocket-extensions").any(|value| !value.is_empty()) {
            return Err(Breach::Extension);
        }
        if self.first("sec-websocket-protocol").is_some() {
            return Err(Breach::Subprotocol);
        }
        Ok(())
    }
}

/// The status of a status line of any version: `HTTP/x[.y] nnn …`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/")?;
    let version = rest.iter().position(|&byte| byte == b' ')?;
    let digits =
        |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'.'));
    if !digits(&rest[..version]) {
        return None;
    }
    let code = rest[version..].trim_ascii_start();
    let (code, after) = (code.get(..3)?, code.get(3));
    if !matches!(after, None | Some(b' ')) {
        return None;
    }
    std::str::from_utf8(code).ok()?.parse().ok().filter(|code| (100..600).contains(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of an answer; `KEY` in it stands for the right accept key.
    async fn answered(answer: &str, interim: Interim, chunk: usize) -> Result<Vec<u8>, Error> {
        counted(answer, interim, chunk, None).await
    }

    async fn counted(
        answer: &str,
        interim: Interim,
        chunk: usize,
        builds: Option<&Builds>,
    ) -> Result<Vec<u8>, Error> {
        let (mut client, mut server) = tokio::io::duplex(1 << 20);
        let answer = answer.replace('\n', "\r\n");
        let serving = async move {
            let mut request = Vec::new();
            while head_len(&request).is_none() {
                let mut part = [0; 512];
                let count = server.read(&mut part).await.expect("reads");
                request.extend_from_slice(&part[..count]);
            }
            let request = String::from_utf8(request).expect("text");
            let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
            let key = derive_accept_key(key.expect("has a key").as_bytes());
            let answer = answer.replace("KEY", &key);
            for part in answer.as_bytes().chunks(chunk) {
                server.write_all(part).await.expect("writes");
                tokio::task::yield_now().await;
            }
        };
        let request = Request {
            host: "h",
            path_and_query: "/p?token=secret",
            user_agent: "t",
            headers: "",
            builds,
        };
        let (answered, ()) = tokio::join!(upgrade(&mut client, &request, interim), serving);
        answered
    }

    async fn verdict(headers: &str) -> Result<Vec<u8>, Error> {
        answered(&format!("HTTP/1.1 101 Switching Protocols\n{headers}\n"), Interim::Skipped, 4_096)
            .await
    }

    const GOOD: &str = "upgrade: WebSocket\nconnection: Upgrade\nsec-websocket-accept: KEY\n";

    #[tokio::test]
    async fn an_upgrade_counts_with_its_build_or_without_one_and_a_refusal_does_not() {
        let builds = Builds::by("X-Build");
        let ask = |answer: String| {
            let builds = &builds;
            async move { counted(&answer, Interim::Skipped, 4_096, Some(builds)).await }
        };
        ask(format!("HTTP/1.1 101 Switching Protocols\nx-build: 7\n{GOOD}\n"))
            .await
            .expect("upgraded");
        ask(format!("HTTP/1.1 101 Switching Protocols\n{GOOD}\n")).await.expect("upgraded");
        ask("HTTP/1.1 403 Forbidden\nx-build: 6\ncontent-length: 0\n\n".to_owned())
            .await
            .expect_err("refused");
        let sockets = builds.sockets(None);
        assert_eq!(sockets.told(), "`7` 50 % (1 of 2), no header 50 % (1 of 2)");
    }

    #[tokio::test]
    async fn what_browsers_take_is_taken() {
        let many: String = (0..300).map(|n| format!("x-{n}: {n}\n")).collect();
        for headers in [
            GOOD.to_owned(),
            GOOD.replace("Upgrade\n", "keep-alive, Upgrade\n"),
            GOOD.replace("connection: Upgrade", "Connection: keep-alive\nConnection:upgrade"),
            format!("{many}{GOOD}"),
            format!("{GOOD}sec-websocket-extensions:\n"),
            format!("{GOOD}x-odd: \u{e4}\nno-colon\n"),
        ] {
            assert_eq!(verdict(&headers).await.expect(&headers), b"", "{headers}");
        }
    }

    #[tokio::test]
    async fn what_browsers_refuse_is_refused_by_its_kind() {
        for (headers, breach) in [
            (GOOD.replace("WebSocket", "h2c"), Breach::UpgradeHeaders),
            (GOOD.replace("connection: Upgrade\n", ""), Breach::UpgradeHeaders),
            (GOOD.replace("connection: Upgrade", "connection: notupgrade"), Breach::UpgradeHeaders),
            (GOOD.replace("KEY", "AAAA"), Breach::AcceptKey),
            (GOOD.replace("sec-websocket-accept: KEY\n", ""), Breach::AcceptKey),
            (format!("{GOOD}sec-websocket-accept: KEY\n"), Breach::AcceptKey),
            (format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate\n"), Breach::Extension),
            (format!("{GOOD}Sec-WebSocket-Protocol: phoenix\n"), Breach::Subprotocol),
        ] {
            let Err(Error::Breached(found)) = verdict(&headers).await else { panic!("{headers}") };
            assert_eq!(found, breach, "{headers}");
        }
    }

    #[tokio::test]
    async fn http_1_0_knows_no_upgrade() {
        let answer = format!("HTTP/1.0 101 Switching Protocols\n{GOOD}\n");
        let said = answered(&answer, Interim::Skipped, 4_096).await;
        assert!(matches!(said, Err(Error::Breached(Breach::UpgradeHeaders))), "{said:?}");
    }

    #[tokio::test]
    async fn the_beginning_of_a_refusals_body_is_kept_however_it_comes() {
        let answer =
            format!("HTTP/1.1 503 busy\nContent-Length: 13\n\nscheduled for{}", "x".repeat(9));
        for chunk in [1, 7, 4_096] {
            let said = answered(&answer, Interim::Skipped, chunk).await;
            let Err(Error::Refused(refusal)) = said else { panic!("{said:?}") };
            assert_eq!((refusal.status, &*refusal.body), (503, "scheduled for"), "{chunk}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_comes_byte_by_byte_is_whole_and_what_follows_is_kept() {
        let answer = format!("HTTP/1.1 101 x\n{GOOD}\nfirst frame");
        for chunk in [1, 7] {
            let rest = answered(&answer, Interim::Skipped, chunk).await.expect("upgrades");
            // What had not come yet is read by whoever reads on.
            assert!(b"first frame".starts_with(&rest[..]), "{rest:?}");
        }
        let rest = answered(&answer, Interim::Skipped, 4_096).await.expect("upgrades");
        assert_eq!(rest, b"first frame");
    }

    #[tokio::test]
    async fn a_status_is_read_first_whatever_the_version() {
        for (line, expected) in [
            ("HTTP/1.0 403 Forbidden", 403),
            ("HTTP/1.1 503", 503),
            ("HTTP/2 429 Too Many", 429),
            ("HTTP/1.1  302 Found", 302),
        ] {
            let answer = format!("{line}\nRetry-After: 7\n\n<html>");
            let refused = answered(&answer, Interim::Skipped, 4_096).await;
            let Err(Error::Refused(refusal)) = refused else { panic!("{line}: {refused:?}") };
            assert_eq!(refusal.status, expected);
            assert_eq!((refusal.retry_after.as_deref(), &*refusal.body), (Some("7"), "<html>"));
        }
    }

    #[tokio::test]
    async fn an_interim_answer_is_taken_as_the_surfaces_own_client_takes_it() {
        let answer = format!("HTTP/1.1 103 Early Hints\nlink: x\n\nHTTP/1.1 101 x\n{GOOD}\n");
        answered(&answer, Interim::Skipped, 9).await.expect("upgrades");
        let Err(Error::Refused(refusal)) = answered(&answer, Interim::Refused, 9).await else {
            panic!("must be refused")
        };
        assert_eq!(refusal.status, 103);
    }

    #[tokio::test]
    async fn what_is_no_http_is_said_at_once() {
        for answer in
            ["220 mail.example ESMTP\n\n", "SSH-2.0-x\n", "HTTP/1.1 abc\n\n", "HTTP/1.1 9999\n\n"]
        {
            let said = answered(answer, Interim::Skipped, 4_096).await;
            assert!(matches!(said, Err(Error::NoHttp(_))), "{answer}: {said:?}");
        }
    }
}
