//! `doctor`: each line true and of use to one who has never seen the contract.

use crate::support::by_hand::{ADMIN, KEY, reference_by_hand, reference_with};
use crate::support::servers::{self, Server};
use crate::support::{Ended, Harness, eventually, exit};
use rustix::process::Signal;

fn doctor(url: &str) -> Harness {
    of_a_shared_one(url).set("target.exclusive=true")
}

/// Of a target of which nobody says that others do not write to it.
fn of_a_shared_one(url: &str) -> Harness {
    Harness::new("doctor")
        .arg("--target")
        .arg(url)
        .set("auth.secret={ env = \"KHALA_TEST_KEY\" }")
        .env("KHALA_TEST_KEY", KEY)
}

/// What came of a thing, and what to do.
fn line<'a>(run: &'a Ended, what: &str) -> &'a str {
    let (_, after) = run.stdout.split_once(&format!("  {what}\n")).unwrap_or_else(|| {
        panic!("nothing of {what} in {}", run.stdout);
    });
    let end =
        ["\nok  ", "\nless", "\nFAIL", "\nskip"].iter().filter_map(|next| after.find(next)).min();
    &after[..end.unwrap_or(after.len())]
}

#[test]
fn a_runtime_as_it_should_be_is_good_from_its_address_to_an_event_that_comes_back() {
    let reference = reference_by_hand();
    let run = doctor(&reference.url).arg("--allow-writes").ended_plain().exits(exit::GO);
    assert!(!run.stdout.contains("FAIL"), "{}", run.stdout);
    assert!(line(&run, "join").contains("taken in"), "{}", run.stdout);
    assert!(line(&run, "round trip").contains("the event came"), "{}", run.stdout);
    assert!(line(&run, "clock").contains("its clock is"), "{}", run.stdout);
    assert!(!run.stdout.contains(KEY) && !run.stdout.contains("eyJ"), "{}", run.stdout);
    assert!(
        line(&run, "framing").contains("taken: 2.0.0, 1.0.0, none; refused: 9.9.9"),
        "{}",
        run.stdout
    );
    assert!(line(&run, "close codes").contains("closed with 1011"), "{}", run.stdout);
    assert!(line(&run, "time-outs").contains("--time-outs"), "{}", run.stdout);
    assert!(line(&run, "disk").contains("MiB free"), "{}", run.stdout);
    let reads = doctor(&reference.url).ended_plain().exits(exit::GO);
    assert!(line(&reads, "round trip").contains("--allow-writes"), "{}", reads.stdout);
}

#[test]
fn what_is_no_runtime_is_said_to_be_none_at_the_step_where_it_shows() {
    let http = doctor(&Server::http("200 OK").url).ended_plain().exits(exit::SETUP);
    assert!(http.stdout.contains("FAIL  join"), "{}", http.stdout);
    assert!(line(&http, "join").contains("no Khala runtime"), "{}", http.stdout);
    let echo = doctor(&Server::echo().url).ended_plain().exits(exit::SETUP);
    assert!(echo.stdout.contains("FAIL  join"), "{}", echo.stdout);
    let nobody = doctor(&servers::nobody()).ended_plain().exits(exit::SETUP);
    assert!(line(&nobody, "connect").contains("refused"), "{}", nobody.stdout);
    assert!(line(&nobody, "connect").contains("do     nobody listens there"), "{}", nobody.stdout);
    for run in [http, echo, nobody] {
        assert!(
            run.stdout.contains("ok    descriptors"),
            "the machine is looked at all the same: {}",
            run.stdout
        );
        assert!(run.stderr.contains("no run can begin"), "{}", run.stderr);
    }
}

#[test]
fn a_wrong_key_and_a_missing_one_are_told_with_what_mends_them() {
    let reference = reference_by_hand();
    let wrong = doctor(&reference.url)
        .env("KHALA_TEST_KEY", &"x".repeat(32))
        .ended_plain()
        .exits(exit::SETUP);
    assert!(line(&wrong, "join").contains("auth.secret"), "{}", wrong.stdout);
    let missing =
        doctor(&reference.url).set("auth.secret={ env = \"KHALA_NOBODY\" }").ended_plain();
    let missing = missing.exits(exit::SETUP);
    assert!(line(&missing, "secrets").contains("KHALA_NOBODY"), "{}", missing.stdout);
}

#[test]
fn a_flag_without_which_no_run_begins_is_wanted_here_too() {
    let reference = reference_by_hand();
    let shared = of_a_shared_one(&reference.url).ended_plain().exits(exit::SETUP);
    assert!(shared.stdout.contains("FAIL  for this scenario"), "{}", shared.stdout);
    assert!(shared.stdout.contains("--allow-shared-writes"), "{}", shared.stdout);
    let given = of_a_shared_one(&reference.url).arg("--allow-shared-writes").ended_plain();
    let given = given.exits(exit::GO);
    assert!(!given.stdout.contains("--allow-shared-writes"), "{}", given.stdout);
    // Hooks are another such flag; nothing of them is started here.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/backend-leaves.toml");
    let hooks = || doctor(&reference.url).arg(file);
    let wanted = hooks().ended_plain().exits(exit::SETUP);
    assert!(wanted.stdout.contains("--allow-hooks: it runs"), "{}", wanted.stdout);
    let given = hooks().arg("--allow-hooks").ended_plain();
    assert!(!given.stdout.contains("--allow-hooks: it runs"), "{}", given.stdout);
}

#[test]
fn where_the_target_tells_its_limits_nobody_guesses_at_them() {
    let topic = "runtime.codex_worker_events";
    let (retain, budget) = (format!("{topic}=200"), format!("{topic}=120"));
    let arguments = ["--retain", &retain, "--replay-budget", &budget].map(std::ffi::OsStr::new);
    let reference = reference_with(&arguments);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stale-cursor.toml");
    let guess = "hangs on what the target retains and replays";
    let asked = doctor(&reference.url).arg(file).env("RUNTIME_ADMIN_TOKEN", ADMIN).ended_plain();
    assert!(!asked.stderr.contains(guess), "{}", asked.stderr);
    assert!(!asked.stdout.contains("beyond the replay budget"), "it has a place: {}", asked.stdout);
    // Nobody is asked by `check`, which has the contract's limits to go by.
    let checked = Harness::check(file).arg("--target").arg(&reference.url).ended_plain();
    assert!(checked.stderr.contains(guess), "{}", checked.stderr);
}

#[test]
fn nobody_at_the_address_is_told_though_a_secret_is_missing() {
    let run = doctor(&servers::nobody())
        .set("auth.secret={ env = \"KHALA_NOBODY\" }")
        .ended_plain()
        .exits(exit::SETUP);
    assert!(line(&run, "secrets").contains("KHALA_NOBODY"), "{}", run.stdout);
    assert!(line(&run, "connect").contains("nobody listens there"), "{}", run.stdout);
}

#[test]
fn a_socket_at_the_contracts_other_path_is_found_and_the_key_named() {
    let reference = reference_by_hand();
    let run = doctor(&reference.url).set("target.socket_path=\"/elsewhere\"").ended_plain();
    let run = run.exits(exit::SETUP);
    assert!(line(&run, "join").contains("404"), "{}", run.stdout);
    assert!(
        line(&run, "join").contains("set target.socket_path = \"/sync/socket/websocket\""),
        "{}",
        run.stdout
    );
}

#[test]
fn minting_is_a_line_of_its_own() {
    let reference = reference_by_hand();
    let here = doctor(&reference.url).ended_plain().exits(exit::GO);
    assert!(line(&here, "minting").contains("signed here"), "{}", here.stdout);
    let control = Server::http("404 Not Found");
    let nowhere = doctor(&reference.url)
        .set("auth.mint=control")
        .set(&format!("target.control_url=\"{}\"", control.url))
        .ended_plain()
        .exits(exit::SETUP);
    assert!(nowhere.stdout.contains("FAIL  minting"), "{}", nowhere.stdout);
    assert!(line(&nowhere, "minting").contains("/api/sync/token"), "{}", nowhere.stdout);
    assert!(line(&nowhere, "minting").contains("target.control_url"), "{}", nowhere.stdout);
}

#[test]
fn clear_text_to_a_server_that_breaks_off_is_told_that_it_may_be_one_of_tls() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let run = doctor(&url).ended_plain().exits(exit::SETUP);
    assert!(line(&run, "join").contains("begins with https://"), "{}", run.stdout);
}

#[test]
fn the_profile_that_it_writes_is_one() {
    let reference = reference_by_hand();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    doctor(&reference.url).arg("--write-profile").arg(&path).ended_plain().exits(exit::GO);
    let again = Harness::new("doctor").arg("--target").arg(&path).env("KHALA_TEST_KEY", KEY);
    again.ended_plain().exits(exit::GO);
    // It may have been worked on since.
    std::fs::write(&path, "# mine").expect("written");
    let over = doctor(&reference.url).arg("--write-profile").arg(&path).ended_plain();
    assert!(over.exits(exit::SETUP).stderr.contains("it is there already"));
    assert_eq!(std::fs::read_to_string(&path).expect("kept"), "# mine");
}

#[test]
fn the_profile_that_it_writes_has_what_it_learnt_and_says_what_it_left_open() {
    let topic = "runtime.codex_worker_events";
    let arguments = ["--replay-budget", "runtime.codex_worker_events=7"].map(std::ffi::OsStr::new);
    let reference = reference_with(&arguments);
    let folder = tempfile::tempdir().expect("a folder");
    let written = |name: &str, asked: Harness| {
        let path = folder.path().join(name);
        asked.arg("--write-profile").arg(&path).ended_plain().exits(exit::GO);
        let text = std::fs::read_to_string(&path).expect("written");
        let profile: toml::Table = text.parse().expect("TOML");
        let budget = profile["target"].get("retains").and_then(|it| it.get(topic)).cloned();
        (path, text, budget.map(|it| it["replay_budget_events"].clone()))
    };
    let asked = || doctor(&reference.url);
    let (path, text, budget) = written("a.toml", asked().env("RUNTIME_ADMIN_TOKEN", ADMIN));
    assert_eq!(budget, Some(toml::Value::Integer(7)), "{text}");
    for seen in [
        "#   close codes: it closed with 1011",
        "#   time-outs: not tried",
        "#   subscribe: replayed in",
    ] {
        assert!(text.contains(seen), "{seen}\n{text}");
    }
    assert!(!text.contains(KEY) && !text.contains(ADMIN), "{text}");
    let again = Harness::new("doctor").arg("--target").arg(&path).env("KHALA_TEST_KEY", KEY);
    let again = again.ended_plain().exits(exit::GO);
    assert!(line(&again, "limits").contains("replays 7, by its profile"), "{}", again.stdout);
    // What nobody shows is filled in by nobody.
    let (_, text, budget) = written("b.toml", asked());
    assert_eq!(budget, None, "{text}");
    assert!(text.contains("#   target.admin_token = { env = \"NAME\" }: the fan-out"), "{text}");
    // What was given stands.
    let given =
        asked().set(&format!("target.retains={{ \"{topic}\" = {{ replay_budget_events = 9 }} }}"));
    let (_, text, budget) = written("c.toml", given.env("RUNTIME_ADMIN_TOKEN", ADMIN));
    assert_eq!(budget, Some(toml::Value::Integer(9)), "{text}");
    assert!(
        text.contains(".replay_budget_events = 7: the target shows that; 9 was given"),
        "{text}"
    );
}

#[test]
fn what_differs_from_the_contract_is_said_beside_it() {
    let arguments = ["--replay-budget", "runtime.codex_worker_events=7"].map(std::ffi::OsStr::new);
    let reference = reference_with(&arguments);
    let run =
        doctor(&reference.url).env("RUNTIME_ADMIN_TOKEN", ADMIN).ended_plain().exits(exit::GO);
    let limits = line(&run, "limits");
    assert!(limits.contains("7 behind head may be replayed"), "{limits}");
    assert!(
        limits.contains("runtime.codex_worker_events may have 3000 behind head replayed there"),
        "{limits}"
    );
}

#[test]
fn what_a_profile_says_of_limits_is_held_against_what_the_target_shows() {
    let arguments = ["--replay-budget", "runtime.codex_worker_events=7"].map(std::ffi::OsStr::new);
    let reference = reference_with(&arguments);
    let told = |events: u32| {
        let limits = format!("{{ replay_budget_events = {events} }}");
        let retains = format!("target.retains={{ \"runtime.codex_worker_events\" = {limits} }}");
        doctor(&reference.url).set(&retains)
    };
    let run = told(9).env("RUNTIME_ADMIN_TOKEN", ADMIN).ended_plain().exits(exit::GO);
    let limits = line(&run, "limits");
    assert!(limits.contains("said to replay 9, and it replays 7"), "{limits}");
    let right = told(7).env("RUNTIME_ADMIN_TOKEN", ADMIN).ended_plain().exits(exit::GO);
    assert!(!right.stdout.contains("is said to"), "{}", right.stdout);
    // Where it shows nothing the profile is what is known, and what would help is said where there is none.
    let unseen = told(9).ended_plain().exits(exit::GO);
    assert!(line(&unseen, "limits").contains("replays 9, by its profile"), "{}", unseen.stdout);
    let unknown = doctor(&reference.url).ended_plain().exits(exit::GO);
    let limits = line(&unknown, "limits");
    assert!(limits.contains("replays not known") && limits.contains("target.retains"), "{limits}");
}

#[test]
fn a_signal_ends_it_at_once_whatever_it_waits_for() {
    let silent = Server::silent();
    let running = doctor(&silent.url).set("target.request_timeout=60s").start_plain();
    eventually("a request that is not answered", || (silent.accepted() > 0).then_some(()));
    running.signal(Signal::INT);
    let ended = running.ended().exits(exit::INTERRUPTED);
    assert!(ended.stderr.contains("interrupted: nothing more is tried"), "{}", ended.stderr);
}
