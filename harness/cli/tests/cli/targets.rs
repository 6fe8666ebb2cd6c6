//! Targets that are not there, not on this machine, or not Khala: exit 100 with a sentence that says
//! what was wrong, within the time-outs, and nothing left. And one by URL that is right.

use std::io::{BufRead as _, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::by_hand::{ADMIN, KEY, reference_by_hand, reference_with};
use crate::support::servers::{self, Server};
use crate::support::{Ended, Harness, exit, number, scenario};
use khala_wire::token::{CLAIMS_VERSION, DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_KID, Key};

fn at(url: &str) -> Harness {
    Harness::run(scenario("elsewhere.toml")).env("KHALA_TEST_URL", url).env("KHALA_TEST_KEY", KEY)
}

/// Runs against a URL at which there is no Khala.
fn refused(url: &str) -> Ended {
    let run = at(url).ended().exits(exit::SETUP);
    assert!(run.out_dir_is_empty, "nothing ran, so there is no evidence");
    assert_eq!(run.stdout, "");
    assert!(!run.stderr.contains(KEY) && !run.stderr.contains("eyJ"), "{}", run.stderr);
    // Connect and join are timed out after a second each; anything near the patience of these tests
    // would be a hang. Ten times as much is left for a slow machine.
    assert!(run.took < Duration::from_secs(20), "it took {:?}", run.took);
    let errors = run.stderr.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, 1, "one sentence: {}", run.stderr);
    run
}

/// Like [`refused`]; the message names the URL and what was tried, and says `why`.
fn not_khala(url: &str, why: &str) {
    let run = refused(url);
    for said in [url, "Tried:", why] {
        assert!(run.stderr.contains(said), "no `{said}` in: {}", run.stderr);
    }
}

#[test]
fn a_port_at_which_nobody_listens() {
    let url = servers::nobody();
    not_khala(&url, "refused");
    let run = refused(&url);
    assert!(run.stderr.contains("/sync/socket/websocket"), "what was tried: {}", run.stderr);
}

#[test]
fn a_server_that_accepts_and_says_nothing() {
    not_khala(&Server::silent().url, "within 1s");
}

#[test]
fn a_server_that_closes_at_once() {
    not_khala(&Server::closing().url, "broke");
}

#[test]
fn a_plain_http_server() {
    not_khala(&Server::http("200 OK").url, "HTTP 200");
    not_khala(&Server::http("404 Not Found").url, "HTTP 404");
}

#[test]
fn a_server_that_forbids_the_upgrade() {
    not_khala(&Server::http("403 Forbidden").url, "HTTP 403");
}

#[test]
fn a_web_socket_server_that_echoes() {
    not_khala(&Server::echo().url, "it echoes, it does not speak Khala");
}

#[test]
fn a_web_socket_server_that_never_answers_the_join() {
    not_khala(&Server::mute_web_socket().url, "the join was not answered within 1s");
}

#[test]
fn a_web_socket_server_that_closes_after_the_upgrade() {
    not_khala(&Server::closing_web_socket().url, "accepted the upgrade and closed");
}

#[test]
fn a_web_socket_server_that_speaks_of_something_else() {
    let why = "answered the join with something else";
    not_khala(&Server::talking_web_socket("welcome to the chat").url, why);
    not_khala(&Server::talking_web_socket(r#"{"type":"hello"}"#).url, why);
}

#[test]
fn a_target_on_another_machine_is_refused_before_anything_is_sent() {
    // An address for documentation: nobody has it.
    let run = refused("http://192.0.2.1:4000");
    assert!(run.stderr.contains("192.0.2.1"), "{}", run.stderr);
    assert!(run.stderr.contains("is not this machine"), "{}", run.stderr);
    assert!(!run.stderr.contains("Tried:"), "nothing was tried: {}", run.stderr);
}

#[test]
fn a_secret_that_is_not_there_is_named_and_nothing_is_sent() {
    let server = Server::silent();
    let run = Harness::run(scenario("elsewhere.toml")).env("KHALA_TEST_URL", &server.url).ended();
    let run = run.exits(exit::SETUP);
    assert!(run.stderr.contains("KHALA_TEST_KEY"), "{}", run.stderr);
    assert!(run.out_dir_is_empty);
    assert_eq!(server.accepted(), 0);
}

#[test]
fn evidence_that_cannot_be_written_ends_the_run_before_anything_is_sent() {
    let server = Server::silent();
    let folder = tempfile::TempDir::new().expect("a folder");
    let file = folder.path().join("a-file");
    std::fs::write(&file, "in the way").expect("is written");
    let out_dir = file.join("runs");
    let run = at(&server.url).arg("--out-dir").arg(&out_dir).ended_plain().exits(exit::SETUP);
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "one sentence: {}", run.stderr);
    assert!(run.stderr.contains(&out_dir.display().to_string()), "{}", run.stderr);
    assert_eq!(run.stdout, "");
    assert_eq!(server.accepted(), 0, "nothing was sent");
}

#[test]
fn a_reference_started_by_hand_is_a_target_by_url() {
    let target = reference_by_hand();
    let run = at(&target.url).env("RUNTIME_ADMIN_TOKEN", ADMIN).ended().exits(exit::GO);
    let report = run.report();
    assert_eq!(report["target"]["kind"], "url");
    assert_eq!(report["target"]["url"], target.url);
    assert_eq!(number(&report, "/fleet/clients_peak"), 16);
    assert_eq!(number(&report, "/faults/0/effective"), 16, "proven from the target's metrics");
    assert!(number(&report, "/oracle/deliveries") > 0);
}

#[test]
fn without_the_operators_view_a_fault_is_proven_by_the_sockets_and_that_is_told_before_the_load() {
    let target = reference_by_hand();
    let run = at(&target.url).ended().exits(exit::GO);
    let report = run.report();
    assert_eq!(number(&report, "/faults/0/effective"), 16);
    let proof = report["faults"][0]["proof"].as_str().expect("a text");
    assert!(proof.starts_with("new upgrades by clients whose sockets had been cut"), "{proof}");
    let missing = "no admin token is given: set environment variable KHALA_TARGET_ADMIN_TOKEN";
    let (told, load) = (run.stderr.find(missing), run.stderr.find("phase ramp"));
    assert!(told.is_some() && told < load, "{}", run.stderr);
}

#[test]
fn a_past_that_all_would_replay_is_told_before_the_load_with_what_spares_it() {
    let target = reference_by_hand();
    let first = at(&target.url).env("RUNTIME_ADMIN_TOKEN", ADMIN).ended().exits(exit::GO);
    assert!(!first.stderr.contains("has a past"), "there was none: {}", first.stderr);
    // By its metrics, and where they cannot be read by what a subscribe is answered.
    for operator in [true, false] {
        let run = at(&target.url).set("fleet.clients=160");
        let run = if operator { run.env("RUNTIME_ADMIN_TOKEN", ADMIN) } else { run };
        let said = run.ended().stderr;
        let (told, load) = (said.find("note: the target has a past"), said.find("phase ramp"));
        assert!(told.is_some() && told < load, "{said}");
        assert!(said.contains("to each of 160 clients"), "{said}");
        assert!(said.contains("fleet.first_subscribe = \"from-now\" spares"), "{said}");
    }
    let spared = at(&target.url).set("fleet.clients=160").set("fleet.first_subscribe=from-now");
    let said = spared.ended().stderr;
    assert!(!said.contains("has a past"), "{said}");
}

#[test]
fn without_the_operators_view_the_lowest_cursor_tells_where_the_floor_is() {
    let target = reference_by_hand();
    let run = Harness::run(scenario("floor.toml"))
        .env("KHALA_TEST_URL", &target.url)
        .env("KHALA_TEST_KEY", KEY)
        .ended()
        .exits(exit::GO);
    let report = run.report();
    assert_eq!(number(&report, "/faults/0/effective"), 4, "each had such a cursor");
    assert!(
        run.stderr.contains("from what a subscribe with cursor 0 is answered"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_wrong_key_is_no_missing_runtime() {
    let target = reference_by_hand();
    let run = at(&target.url).env("KHALA_TEST_KEY", "another").ended().exits(exit::SETUP);
    assert!(run.stderr.contains("is there and refuses the sync token"), "{}", run.stderr);
    assert!(
        run.stderr.contains("auth.secret (environment variable KHALA_TEST_KEY)"),
        "{}",
        run.stderr
    );
    assert!(!run.stderr.contains("no Khala runtime"), "{}", run.stderr);
}

#[test]
fn a_command_tells_a_secret_only_when_hooks_may_run() {
    let target = reference_by_hand();
    let told =
        || at(&target.url).set("auth.secret={ command = [\"printenv\", \"KHALA_TEST_KEY\"] }");
    let run = told().ended().exits(exit::USAGE);
    assert!(run.stderr.contains("auth.secret is told by [\"printenv\""), "{}", run.stderr);
    assert!(run.out_dir_is_empty);
    let run = told().arg("--allow-hooks").ended().exits(exit::GO);
    let resolved = String::from_utf8_lossy(run.file("scenario.resolved.toml"));
    assert!(
        resolved.contains("secret = { command = [\"printenv\", \"KHALA_TEST_KEY\"] }"),
        "{resolved}"
    );
    assert!(!resolved.contains(KEY));
}

#[test]
fn a_program_of_ones_own_carries_commands_out_when_hooks_may_run() {
    let target = reference_by_hand();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/hooks/publish");
    let by = |command: &str| {
        let asked = at(&target.url).set("target.commands=command");
        asked.set(&format!("target.command={command}"))
    };
    let own = format!("[\"{script}\"]");
    let run = by(&own).ended().exits(exit::USAGE);
    assert!(run.stderr.contains("target.command runs [\""), "{}", run.stderr);
    let run = by(&own).arg("--allow-hooks").ended().exits(exit::GO);
    assert!(number(&run.report(), "/oracle/judged/lost_publish") > 0, "{}", run.stdout);
    let run = by("[\"false\"]").arg("--allow-hooks").ended().exits(exit::SETUP);
    assert!(run.stderr.contains("target.command: it ended with"), "{}", run.stderr);
}

/// A token that opens the reference, for somebody.
fn token_of(user: &str) -> String {
    let now = khala_engine::clock::unix_seconds();
    let claims = serde_json::json!({
        "aud": DEFAULT_AUDIENCE, "iss": DEFAULT_ISSUER, "iat": now, "nbf": now, "exp": now + 600,
        "jti": format!("jti-{user}"), "oa_claims_version": CLAIMS_VERSION, "sub": format!("user:{user}"),
        "oa_user_id": user, "oa_org_id": "o", "oa_session_id": format!("s-{user}"),
        "oa_device_id": format!("d-{user}"), "oa_sync_scopes": ["runtime.codex_worker_events"],
    });
    Key::new(DEFAULT_KID, KEY).sign(&claims).expect("signs")
}

#[test]
fn tokens_of_a_file_are_taken_in_turn() {
    let target = reference_by_hand();
    let dir = tempfile::TempDir::new().expect("a folder");
    let tokens = dir.path().join("tokens");
    let profile = dir.path().join("target.toml");
    let text = format!(
        "[target]\nkind = \"url\"\nurl = \"{}\"\nexclusive = true\n[auth]\nmint = \"static\"\ntoken = {{ file = {tokens:?} }}\n",
        target.url
    );
    std::fs::write(&profile, text).expect("writes");
    let run = || at(&target.url).arg("--target").arg(profile.clone());
    std::fs::write(&tokens, "\n  \n").expect("writes");
    let none = run().ended().exits(exit::SETUP);
    assert!(none.stderr.contains("it is empty"), "{}", none.stderr);
    // One of three is none that the target takes: a third of the clients are refused, and no more.
    let three = format!("{}\nno-token\n\n{}\n", token_of("a"), token_of("b"));
    std::fs::write(&tokens, three).expect("writes");
    let run = run().ended().exits(exit::NO_GO);
    let report = run.report();
    assert_eq!(
        number(&report, "/fleet/clients_peak"),
        11,
        "of 16, those with numbers 1, 4, 7, 10 and 13 are not let in"
    );
    assert!(!run.said().contains(&token_of("a")[..40]));
}

#[test]
fn a_session_that_others_began_mints_for_all() {
    let target = reference_by_hand();
    let claims = serde_json::json!({
        "did": "their-device", "sid": "their-session", "sub": "theirs", "org": "o", "iss": "khala-control",
        "exp": khala_engine::clock::unix_seconds() + 600, "scopes": ["runtime.codex_worker_events"],
    });
    let key = khala_reference::config::DEVELOPMENT_SESSION_KEY;
    let token = Key::new(DEFAULT_KID, key).sign(&claims).expect("signs");
    let run = at(&target.url)
        .set("auth.mint=control")
        .set("auth.session_token={ env = \"KHALA_TEST_SESSION\" }")
        .env("KHALA_TEST_SESSION", &token)
        .ended()
        .exits(exit::GO);
    assert_eq!(number(&run.report(), "/fleet/clients_peak"), 16);
    assert!(!run.said().contains(&token));
}

#[test]
fn a_target_that_others_use_is_written_to_only_when_that_is_said() {
    let target = reference_by_hand();
    let shared = || at(&target.url).set("target.exclusive=false");
    let run = shared().ended().exits(exit::SETUP);
    assert!(run.stderr.contains("--allow-shared-writes"), "{}", run.stderr);
    assert!(run.out_dir_is_empty);
    let run = shared().arg("--allow-shared-writes").env("RUNTIME_ADMIN_TOKEN", ADMIN).ended();
    run.exits(exit::GO);
}

#[test]
fn one_run_at_a_time_holds_a_target() {
    let target = reference_by_hand();
    let mut first = at(&target.url).set("phase.storm.duration=60s").start();
    first.wait_for_phase("steady");
    let second = at(&target.url).ended().exits(exit::SETUP);
    assert!(second.stderr.contains("another run"), "{}", second.stderr);
    assert!(second.out_dir_is_empty);
    // Whoever runs it, and wherever they keep their temporary files.
    let elsewhere = tempfile::TempDir::new().expect("a folder");
    let dir = elsewhere.path().to_str().expect("a path in UTF-8");
    let third = at(&target.url).env("TMPDIR", dir).ended().exits(exit::SETUP);
    assert!(third.stderr.contains("another run"), "{}", third.stderr);
    let left = std::fs::read_dir(elsewhere.path()).expect("can be listed").count();
    assert_eq!(left, 0, "no file is made");
    first.signal(rustix::process::Signal::INT);
    first.ended().exits(exit::INTERRUPTED);
}

#[test]
fn the_wrong_key_is_refused_by_the_target_and_said() {
    let target = reference_by_hand();
    let run = Harness::run(scenario("elsewhere.toml"))
        .env("KHALA_TEST_URL", &target.url)
        .env("KHALA_TEST_KEY", "another-key-than-the-targets-0123456789")
        .ended()
        .exits(exit::SETUP);
    assert!(run.stderr.contains("HTTP 403"), "{}", run.stderr);
    assert!(run.out_dir_is_empty);
}

#[test]
fn a_server_listens_to_other_machines_only_when_that_is_said() {
    for server in ["reference", "null-server"] {
        for address in ["0.0.0.0:0", "[::]:0"] {
            let listen = || Harness::new(server).arg("--listen").arg(address);
            let refused = listen().ended_plain().exits(exit::USAGE);
            assert!(refused.stderr.contains("--allow-remote"), "{}", refused.stderr);
            assert_eq!(refused.stdout, "");
        }
        for here in ["127.0.0.2:0", "[::ffff:127.0.0.1]:0"] {
            assert!(listens(Harness::new(server).arg("--listen").arg(here)), "{server} {here}");
        }
        let everywhere = Harness::new(server).arg("--listen").arg("0.0.0.0:0");
        assert!(listens(everywhere.arg("--allow-remote")), "{server}");
    }
}

/// Whether a server says where it listens; it has ended then.
fn listens(server: Harness) -> bool {
    let (says, stdout) = std::io::pipe().expect("a pipe");
    let _server = server.stdout(stdout).start_plain();
    let mut line = String::new();
    std::io::BufReader::new(says).read_line(&mut line).expect("can be read");
    line.contains("listening")
}

#[test]
fn a_port_that_is_taken_is_said_by_the_reference() {
    let target = reference_by_hand();
    let address = target.url.strip_prefix("http://").expect("a URL");
    let run = Harness::new("reference").arg("--listen").arg(address).ended_plain();
    let run = run.exits(exit::SETUP);
    assert!(run.stderr.contains(address), "{}", run.stderr);
}

/// One HTTP request on a connection of its own; the whole answer.
fn ask(url: &str, method: &str, path: &str, body: &str) -> String {
    let address = url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .expect("it takes it");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn a_reference_with_a_data_dir_survives_its_own_kill() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let dir = folder.path().join("made-when-missing");
    let arguments = ["--data-dir".as_ref(), dir.as_os_str()];
    let workers = "/internal/v1/codex/workers";
    let target = reference_with(&arguments);
    let created = ask(&target.url, "POST", workers, r#"{"worker_id":"w"}"#);
    assert!(created.starts_with("HTTP/1.1 202"), "{created}");
    drop(target); // SIGKILL
    let target = reference_with(&arguments);
    let there = ask(&target.url, "GET", &format!("{workers}/w/snapshot"), "");
    assert!(there.starts_with("HTTP/1.1 200") && there.contains(r#""latest_seq":1"#), "{there}");
    drop(target);
    let forgetful = reference_by_hand();
    let gone = ask(&forgetful.url, "GET", &format!("{workers}/w/snapshot"), "");
    assert!(gone.starts_with("HTTP/1.1 404"), "{gone}");
}

/// Passes connections on to a target, and keeps what the clients sent.
struct Recording {
    url: String,
    sent: Sent,
}

/// What came over each connection.
type Sent = std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>;

impl Recording {
    fn before(target: &str) -> Self {
        let target = target.trim_start_matches("http://").to_owned();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let sent = Sent::default();
        let kept = sent.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, kept) = (target.clone(), kept.clone());
                std::thread::spawn(move || {
                    let Ok(server) = TcpStream::connect(target) else { return };
                    let halves = (client.try_clone(), server.try_clone());
                    let (Ok(mut to_client), Ok(mut from_server)) = halves else { return };
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from_server, &mut to_client);
                        let _ = to_client.shutdown(std::net::Shutdown::Both);
                    });
                    record(client, server, &kept);
                });
            }
        });
        Self { url, sent }
    }
}

fn record(mut client: TcpStream, mut server: TcpStream, kept: &Sent) {
    let mine = {
        let mut kept = kept.lock().expect("nobody panics");
        kept.push(Vec::new());
        kept.len() - 1
    };
    let mut part = [0; 4_096];
    while let Ok(count @ 1..) = client.read(&mut part) {
        // Before the target can answer it.
        kept.lock().expect("nobody panics")[mine].extend_from_slice(&part[..count]);
        if server.write_all(&part[..count]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(std::net::Shutdown::Both);
}

#[test]
fn every_request_carries_the_headers_and_parameters_that_the_target_wants_and_no_secret_is_kept() {
    let target = reference_by_hand();
    let recording = Recording::before(&target.url);
    let edge = "edge-Secret-1";
    let run = at(&recording.url)
        .env("RUNTIME_ADMIN_TOKEN", ADMIN)
        .env("KHALA_TEST_EDGE", edge)
        .set("target.headers={ X-Route = \"blue\", x-edge-token = { env = \"KHALA_TEST_EDGE\" } }")
        .set("target.query={ tenant = \"a&b\", pass = { env = \"KHALA_TEST_EDGE\" } }")
        .ended();
    // Whatever the verdict: a busy machine makes it a HOLD.
    assert!(run.files.contains_key("run.json"), "{}", run.stderr);
    let sent = recording.sent.lock().expect("nobody panics").join(&b'\n');
    let sent = String::from_utf8_lossy(&sent).into_owned();
    let requests: Vec<_> = sent.lines().filter(|line| line.ends_with(" HTTP/1.1")).collect();
    let upgrades = requests.iter().filter(|line| line.starts_with("GET /sync/socket/")).count();
    assert!(upgrades >= 16 && requests.len() > upgrades, "{requests:?}");
    for request in &requests {
        assert!(request.contains(&format!("pass={edge}&tenant=a%26b")), "{request}");
    }
    let lower = sent.to_ascii_lowercase();
    for header in ["\nx-route: blue\r", &format!("\nx-edge-token: {}\r", edge.to_ascii_lowercase())]
    {
        assert_eq!(lower.matches(header).count(), requests.len(), "{header}");
    }
    // The target's log can be joined: the run's id is in each, and of what a browser could send no other header is
    // beside a client's.
    let report = run.report();
    let id = report["run_id"].as_str().expect("an id");
    let agents = lower.matches("\nuser-agent: khala-harness/").count();
    assert_eq!((agents, sent.matches(&format!("(run {id})")).count()), (requests.len(), agents));
    let ids: std::collections::BTreeSet<_> =
        lower.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).collect();
    assert!(ids.iter().all(|it| it.starts_with(&format!("{id}-"))), "{ids:?}");
    assert_eq!(ids.len(), requests.len() - upgrades, "one each, and none of an upgrade");
    let texts = run.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let said = [("stdout", run.stdout.as_bytes()), ("stderr", run.stderr.as_bytes())];
    for (name, bytes) in texts.chain(said) {
        assert!(!bytes.windows(edge.len()).any(|window| window == edge.as_bytes()), "{name}");
    }
    let resolved = String::from_utf8_lossy(run.file("scenario.resolved.toml")).into_owned();
    assert!(resolved.contains("\"x-edge-token\" = { env = \"KHALA_TEST_EDGE\" }"), "{resolved}");
}
