//! A secret is planted wherever one may be met, and looked for in everything that is written and said.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use khala_wire::token::{DEFAULT_KID, Key};
use support::by_hand::reference_opened_by;
use support::servers::Server;
use support::{Ended, Harness, exit, read_folder, scenario};
use tempfile::TempDir;

/// What every planted secret has in it.
const CANARY: &str = "canary-7f3a";
const KEY: &str = "canary-7f3a-key-0123456789abcdef0123";
const ADMIN: &str = "canary-7f3a-admin-bearer";
/// The beginning of every token, whoever signed it.
const TOKEN: &str = "eyJ";

/// A server before another, which answers some requests itself: `answer` has the request's first line, and how many
/// of this path came before.
fn edge(target: &str, answer: fn(&str, usize) -> Option<String>) -> Server {
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
fn whole_request(client: &mut TcpStream) -> Option<String> {
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

fn answer(status: &str, header: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{header}content-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

const LOCATION: &str = "location: http://127.0.0.1:9/?token=canary-7f3a-location\r\n\
                        set-cookie: session=canary-7f3a-cookie\r\n";
const BODY: &str =
    r#"{"error":"internal","message":"canary-7f3a-body","data":{"token":"canary-7f3a-body"}}"#;

/// A control service that fails now and then, and tells more than it should.
fn indiscreet_control(_: &str, number: usize) -> Option<String> {
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
fn indiscreet_runtime(line: &str, number: usize) -> Option<String> {
    let is_upgrade = line.contains("/sync/socket");
    let every = if is_upgrade { 9 } else { 5 };
    (number > 6 && number.is_multiple_of(every)).then(|| answer("302 Found", LOCATION, "{}"))
}

/// Whoever looks for a secret in what a command wrote and said.
struct Search(usize);

impl Search {
    fn of(&mut self, what: &str, ended: &Ended) {
        self.in_texts(what, [("stdout", ended.stdout.as_str()), ("stderr", ended.stderr.as_str())]);
        for (name, bytes) in &ended.files {
            self.in_bytes(&format!("{what}: {name}"), bytes);
        }
    }

    fn in_texts<'a>(&mut self, what: &str, texts: impl IntoIterator<Item = (&'a str, &'a str)>) {
        for (name, text) in texts {
            self.in_bytes(&format!("{what}: {name}"), text.as_bytes());
        }
    }

    fn in_bytes(&mut self, what: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for secret in [CANARY, TOKEN] {
            let around = |at: usize| {
                let from = text[..at].char_indices().rev().nth(60).map_or(0, |(at, _)| at);
                text[from..].chars().take(160).collect::<String>()
            };
            let found = text.find(secret).map(around);
            assert!(found.is_none(), "{what} has {secret}: …{}…", found.unwrap_or_default());
        }
        self.0 += 1;
    }
}

/// A command that has every secret in its environment, and tells all that it does.
fn opened(command: Harness, session: &str) -> Harness {
    command
        .env("KHALA_TEST_KEY", KEY)
        .env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", KEY)
        .env("RUNTIME_ADMIN_TOKEN", ADMIN)
        .env("KHALA_TEST_SESSION", session)
        .env("MY_TOKEN", "canary-7f3a-hook")
        .env("KHALA_HARNESS_SIGN_PASSWORD", "canary-7f3a-password")
        .env("KHALA_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
}

fn session_token() -> String {
    let claims = serde_json::json!({
        "did": "their-device", "sid": "their-session", "sub": "theirs", "org": "o", "iss": "khala-control",
        "exp": khala_engine::clock::unix_seconds() + 600, "scopes": ["runtime.codex_worker_events"],
    });
    let key = khala_reference::config::DEVELOPMENT_SESSION_KEY;
    Key::new(DEFAULT_KID, key).sign(&claims).expect("signs")
}

#[test]
fn no_secret_is_in_a_file_a_line_or_a_page() {
    let target = reference_opened_by(KEY, ADMIN);
    let (runtime, control) =
        (edge(&target.url, indiscreet_runtime), edge(&target.url, indiscreet_control));
    let session = session_token();
    let hook =
        "[\"sh\", \"-c\", 'echo said $MY_TOKEN; echo said $MY_TOKEN >&2; env; env >&2; exit 1']";
    let faults = format!(
        "phase.storm.fault=[{{ type = \"disconnect\", at = \"500ms\", mode = \"all\", attributes = {{ style = \
         \"close\" }} }}, {{ type = \"hook\", at = \"600ms\", attributes = {{ command = {hook} }} }}]"
    );
    let run = opened(Harness::run(scenario("elsewhere.toml")), &session)
        .env("KHALA_TEST_URL", &runtime.url)
        .set(&format!("target.control_url=\"{}\"", control.url))
        .set("auth.mint=control")
        .set("auth.session_token={ env = \"KHALA_TEST_SESSION\" }")
        .set(&faults)
        .arg("--allow-hooks")
        .arg("--record")
        .arg("--statement")
        .env("KHALA_HARNESS_WEBHOOK", &format!("{}/canary-7f3a", support::servers::nobody()))
        .ended();
    assert!(run.files.contains_key("run.json"), "{}", run.stderr);
    let report = run.report();
    // All of it was met: refused tokens, requests that were sent elsewhere, a hook that told all it knew.
    let requests = report["requests"].to_string();
    for met in ["\"mint\"", "\"500\"", "\"302\""] {
        assert!(requests.contains(met), "no {met} in {requests}");
    }
    let told = report["faults"][1]["commands"][0]["stdout"].as_str().expect("text");
    assert!(told.contains("said [redacted]"), "{told}");
    let mut search = Search(0);
    search.of("run", &run);

    let (dir, bundle) = run.restored(|_| true);
    let beside = |command: &str| opened(Harness::new(command), &session).arg(&bundle);
    search.of("report", &beside("report").ended_plain());
    search.of("explain", &beside("explain").arg("0").ended_plain());
    search.of("verify", &beside("verify").arg("--json").ended_plain());
    for (name, bytes) in read_folder(dir.path()) {
        search.in_bytes(&format!("report: {name}"), &bytes);
    }
    assert!(search.0 > 30, "{} texts were looked at", search.0);
}

#[test]
fn no_secret_is_in_what_is_said_of_a_target_that_does_not_open() {
    let target = reference_opened_by(KEY, ADMIN);
    let control = edge(&target.url, |_, _| Some(answer("403 Forbidden", LOCATION, BODY)));
    let session = session_token();
    let by_control = |command: Harness| {
        opened(command, &session)
            .set(&format!("target.control_url=\"{}\"", control.url))
            .set("auth.mint=control")
            .set("auth.session_token={ env = \"KHALA_TEST_SESSION\" }")
    };
    let mut search = Search(0);
    let run =
        by_control(Harness::run(scenario("elsewhere.toml"))).env("KHALA_TEST_URL", &target.url);
    let run = run.ended().exits(exit::SETUP);
    assert!(run.stderr.contains("403"), "{}", run.stderr);
    search.of("run", &run);
    let doctor = by_control(Harness::new("doctor")).arg(scenario("elsewhere.toml").as_os_str());
    let doctor = doctor.env("KHALA_TEST_URL", &target.url).ended_plain().exits(exit::SETUP);
    search.of("doctor", &doctor);
    // A key that does not open the target, and one that is in the wrong place.
    let other = reference_opened_by("another-key-0123456789abcdef01234567", ADMIN);
    let refused = opened(Harness::run(scenario("elsewhere.toml")), &session);
    let refused = refused.env("KHALA_TEST_URL", &other.url).ended().exits(exit::SETUP);
    search.of("run with another key", &refused);
    let clear = opened(Harness::run(scenario("elsewhere.toml")), &session)
        .env("KHALA_TEST_URL", &target.url)
        .set(&format!("auth.secret=\"{KEY}\""));
    search.of("run with a key in clear", &clear.ended().exits(exit::INVALID_SCENARIO));
}

#[test]
fn no_secret_is_in_a_report_on_conformance() {
    let target = reference_opened_by(KEY, ADMIN);
    let dir = TempDir::new().expect("a folder");
    let file = |name: &str| dir.path().join(name);
    let runtime = edge(&target.url, indiscreet_runtime);
    let conform = opened(Harness::new("conform"), "").arg("--target").arg(&runtime.url);
    let conform =
        conform.set("auth.secret.env=KHALA_TEST_KEY").arg("--only").arg("token").arg("--all");
    let conform = ["json", "junit", "markdown", "html"]
        .iter()
        .fold(conform, |conform, form| conform.arg(format!("--{form}")).arg(file(form)));
    let ended = conform.ended_plain();
    let mut search = Search(0);
    search.of("conform", &ended);
    let files = read_folder(Path::new(dir.path()));
    assert_eq!(files.len(), 4, "{}", ended.stderr);
    for (name, bytes) in files {
        search.in_bytes(&format!("conform: {name}"), &bytes);
    }
}

#[test]
#[should_panic(expected = "a file has canary-7f3a: …a canary-7f3a-key")]
fn what_is_looked_for_would_be_found() {
    Search(0).in_bytes("a file", format!("a {KEY}").as_bytes());
}
