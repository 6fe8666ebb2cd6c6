//! Servers, webhooks and commands that tell more than they should, and what a command has of secrets: for tests that look
//! for them in all that is kept and said.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use khala_wire::token::{DEFAULT_KID, Key};
use percent_encoding::NON_ALPHANUMERIC;

use super::Harness;
use super::search::{AWKWARD, base64, percent};
use super::servers::Server;

pub const KEY: &str = "canary-7f3a-key-0123456789abcdef0123";
pub const DASHBOARD: &str = "canary-7f3a-dashboard-0123456789";
pub const ADMIN: &str = "canary-7f3a-admin-bearer";

/// A server before another, which answers some requests itself: `answer` has the request's first line, and how many
/// of this path came before.
pub fn edge(target: &str, answer: fn(&str, usize) -> Option<String>) -> Server {
    let target = target.trim_start_matches("http://").to_owned();
    let seen = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)]);
    Server::start(move |mut client| {
        let Some(request) = whole_request(&mut client) else { return };
        let line = request.lines().next().unwrap_or_default().to_owned();
        let kind = match line.as_str() {
            line if line.contains("/sync/socket") => 0,
            line if line.starts_with("POST") => 1,
            _ => 2,
        };
        let number = seen[kind].fetch_add(1, Ordering::SeqCst);
        if let Some(answer) = answer(&line, number) {
            let _ = client.write_all(answer.as_bytes());
            return;
        }
        let Ok(mut server) = TcpStream::connect(&target) else { return };
        // One request a connection, so that each is seen; but an upgrade is one for good.
        let sent = match kind {
            0 => request,
            _ => request.replacen("\r\n", "\r\nconnection: close\r\n", 1),
        };
        let _ = server.write_all(sent.as_bytes());
        let halves = (client.try_clone(), server.try_clone());
        let (Ok(mut from_client), Ok(mut to_server)) = halves else { return };
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(std::net::Shutdown::Both);
        });
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(std::net::Shutdown::Both);
    })
}

/// A request with its body.
pub fn whole_request(client: &mut TcpStream) -> Option<String> {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap_or(0)) {
                return Some(text);
            }
        }
        match client.read(&mut part) {
            Ok(count @ 1..) => request.extend_from_slice(&part[..count]),
            _ => return None,
        }
    }
}

pub fn answer(status: &str, header: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{header}content-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

pub const LOCATION: &str = "location: http://127.0.0.1:9/?token=canary-7f3a-location\r\n\
                        set-cookie: session=canary-7f3a-cookie\r\n";
pub const BODY: &str =
    r#"{"error":"internal","message":"canary-7f3a-body","data":{"token":"canary-7f3a-body"}}"#;

/// A control service that fails now and then, and tells more than it should.
pub fn indiscreet_control(_: &str, number: usize) -> Option<String> {
    match number {
        // The preflight, and most of the first connects.
        0..=12 => None,
        number if number % 4 == 0 => Some(answer("500 Internal Server Error", "", BODY)),
        number if number % 4 == 1 => Some(answer("302 Found", LOCATION, BODY)),
        number if number % 4 == 2 => Some(answer("200 OK", "", "[\"canary-7f3a-body\"]")),
        _ => None,
    }
}

/// A runtime that sends some requests elsewhere.
pub fn indiscreet_runtime(line: &str, number: usize) -> Option<String> {
    let is_upgrade = line.contains("/sync/socket");
    let every = if is_upgrade { 9 } else { 5 };
    (number > 6 && number.is_multiple_of(every)).then(|| answer("302 Found", LOCATION, "{}"))
}

/// What a shell does that tells all it knows, to both of its streams.
pub const TELLS_ALL: &str = "env; env >&2";

/// Secrets in each form, under names that tell nothing.
pub fn encoded() -> Vec<(String, String)> {
    const HOOK: &str = "canary-7f3a-hook";
    let of = |secret: &str| {
        let all = percent(secret.as_bytes(), NON_ALPHANUMERIC);
        let one = |before: &str| base64(format!("{before}{secret}").as_bytes());
        let json = serde_json::to_string(secret).expect("a string");
        let small = all.to_ascii_lowercase();
        [
            all,
            small,
            one(""),
            one("").replace('+', "-").replace('/', "_"),
            one("u:"),
            one("me:"),
            json,
        ]
    };
    let all = [HOOK, AWKWARD].into_iter().flat_map(of);
    all.zip(1..).map(|(form, number)| (format!("FORM_{number}"), form)).collect()
}

/// A command that has every secret in its environment, and tells all that it does.
pub fn opened(command: Harness, session: &str) -> Harness {
    let forms = encoded().into_iter();
    forms
        .fold(command, |command, (name, form)| command.env(&name, &form))
        .env("KHALA_TEST_KEY", KEY)
        .env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", KEY)
        .env("RUNTIME_ADMIN_TOKEN", ADMIN)
        .env("KHALA_TEST_SESSION", session)
        .env("MY_TOKEN", "canary-7f3a-hook")
        .env("AWKWARD_TOKEN", AWKWARD)
        .env("KHALA_HARNESS_DASHBOARD_TOKEN", DASHBOARD)
        .env("KHALA_HARNESS_SIGN_PASSWORD", "canary-7f3a-password")
        .env("KHALA_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
}

pub fn session_token() -> String {
    let claims = serde_json::json!({
        "did": "their-device", "sid": "their-session", "sub": "theirs", "org": "o", "iss": "khala-control",
        "exp": khala_engine::clock::unix_seconds() + 600, "scopes": ["runtime.codex_worker_events"],
    });
    let key = khala_reference::config::DEVELOPMENT_SESSION_KEY;
    Key::new(DEFAULT_KID, key).sign(&claims).expect("signs")
}

/// A webhook that answers with what it was told and more, and whose own URL is a secret.
pub fn indiscreet_webhook() -> (Server, String) {
    let server = Server::start(|mut client| {
        let _ = whole_request(&mut client);
        let _ = client.write_all(answer("302 Found", LOCATION, BODY).as_bytes());
    });
    let path = percent(AWKWARD.as_bytes(), NON_ALPHANUMERIC);
    let in_base64 = base64(AWKWARD.as_bytes()).replace('+', "-").replace('/', "_");
    let url = format!("{}/canary-7f3a/{path}?key={in_base64}", server.url);
    (server, url)
}
