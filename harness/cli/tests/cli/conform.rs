//! `conform`: a runtime is asked for what the contract says of it, and scripts go by how that ends.

use std::ffi::OsStr;
use std::path::Path;

use crate::support::by_hand::{ByHand, KEY, reference_by_hand, reference_with};
use crate::support::servers::{self, Server};
use crate::support::{Ended, Harness, eventually, exit, scenario};
use rustix::process::Signal;
use tempfile::TempDir;

/// `conform` at a URL, for the cases whose names have this in them.
fn conform(url: &str, only: &str) -> Harness {
    let asked = Harness::new("conform").arg("--target").arg(url).arg("--only").arg(only);
    asked.env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", KEY)
}

fn at(target: &ByHand, only: &str) -> Harness {
    conform(&target.url, only)
}

/// A runtime that takes tokens that nobody signed.
fn without_signatures() -> ByHand {
    reference_with(&[OsStr::new("--defect"), OsStr::new("alg_none_accepted")])
}

#[test]
fn the_list_is_the_committed_page() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../CONFORM.md");
    let run = Harness::new("conform").arg("--list").ended_plain().exits(exit::GO);
    assert_eq!(run.stdout, std::fs::read_to_string(page).expect("it is committed"));
}

/// Each command that opens a target by what is looked for at one place.
fn openers(url: &str) -> [Harness; 3] {
    ["conform", "doctor", "run"].map(|command| {
        let asked = Harness::new(command).arg("--target").arg(url);
        if command == "run" {
            asked.arg(scenario("tiny.toml").as_os_str()).set("target.exclusive=true")
        } else {
            asked
        }
    })
}

#[test]
fn what_opens_the_target_and_is_not_there_is_a_matter_of_setting_up_whoever_asks() {
    let target = reference_by_hand();
    for asked in openers(&target.url) {
        let without = asked.ended_plain().exits(exit::SETUP);
        let said = without.stdout + &without.stderr;
        assert!(said.contains("environment variable RUNTIME_SYNC_TOKEN_SIGNING_KEY"), "{said}");
    }
    for asked in openers(&target.url) {
        let named = asked.set("auth.mint=static").set("auth.token.env=KHALA_TEST_NOT_SET");
        let without = named.ended_plain().exits(exit::SETUP);
        let said = without.stdout + &without.stderr;
        assert!(said.contains("environment variable KHALA_TEST_NOT_SET"), "{said}");
    }
    for asked in openers(&target.url) {
        let nowhere = asked.set("auth.mint=static").ended_plain().exits(exit::INVALID_SCENARIO);
        assert!(nowhere.stderr.contains("token"), "{}", nowhere.stderr);
        assert!(!nowhere.stderr.contains("error: error:"), "{}", nowhere.stderr);
    }
    for asked in openers(&target.url) {
        let told = asked.set("auth.secret={ command = [\"true\"] }").ended_plain();
        let told = told.exits(exit::USAGE);
        assert!(told.stderr.contains("--allow-hooks"), "{}", told.stderr);
    }
}

#[test]
fn a_runtime_that_keeps_the_contract_ends_with_0_and_the_report_in_each_form() {
    let (target, dir) = (reference_by_hand(), TempDir::new().expect("a folder"));
    let file = |name: &str| dir.path().join(name);
    let mut asked = at(&target, "token_");
    for (option, name) in
        [("--json", "a.json"), ("--junit", "a.xml"), ("--markdown", "a.md"), ("--html", "a.html")]
    {
        asked = asked.arg(option).arg(file(name));
    }
    let run = asked.ended_plain().exits(exit::GO);
    assert!(run.stdout.starts_with("GO  conform "), "{}", run.stdout);
    let read = |name: &str| std::fs::read_to_string(file(name)).expect("written");
    let json: serde_json::Value = serde_json::from_str(&read("a.json")).expect("JSON");
    assert_eq!(json["decision"], "GO");
    assert_eq!(json["totals"]["deviation"], 0);
    for name in ["a.xml", "a.md", "a.html"] {
        assert!(read(name).contains("token_alg_none"), "{name}");
    }
}

#[test]
fn a_report_that_cannot_be_written_costs_no_verdict_and_is_no_go_that_all_of_it_was_had() {
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("a.md");
    let asked = |target: &ByHand, option: &str| {
        // Taken when it is opened, and full when it is written.
        let asked = at(target, "token_alg").arg(option).arg("/dev/full");
        asked.arg("--markdown").arg(&file).ended_plain()
    };
    let keeps = reference_by_hand();
    for option in ["--json", "--junit", "--html"] {
        let run = asked(&keeps, option).exits(exit::SETUP);
        assert!(run.stdout.starts_with("GO  conform "), "{option}: {}", run.stdout);
        let said =
            "error: cannot write /dev/full: No space left on device (os error 28); make room there";
        assert!(run.stderr.contains(said), "{option}: {}", run.stderr);
        assert!(std::fs::read_to_string(&file).is_ok_and(|it| !it.is_empty()), "the other one");
    }
    let run = asked(&without_signatures(), "--json").exits(exit::NO_GO);
    assert!(run.stdout.starts_with("NO-GO  conform "), "{}", run.stdout);
    assert!(run.stderr.contains("error: cannot write /dev/full: "), "{}", run.stderr);
    // What is known before anything is asked is told then.
    let run = at(&keeps, "token_alg").arg("--junit").arg(dir.path()).ended_plain();
    let run = run.exits(exit::SETUP);
    assert!(run.stdout.is_empty() && run.stderr.contains("name another place"), "{}", run.stderr);
}

#[test]
fn a_deviation_ends_with_99_and_says_what_was_done_what_came_and_what_should_have() {
    let target = without_signatures();
    let run = at(&target, "token_").ended_plain().exits(exit::NO_GO);
    for line in [
        "token_alg_none  a token without a signature",
        "done    Asked for a socket with a token of `alg: none`, which nobody signed.",
        "came    It was opened.",
        "should  It should have been refused: nobody vouches for whoever holds it.",
    ] {
        assert!(run.stdout.contains(line), "{line}\n{}", run.stdout);
    }
    assert!(run.stdout.contains("1 deviation"), "{}", run.stdout);
}

/// The cases about unsigned tokens, with this list of accepted deviations.
fn accepted(target: &ByHand, text: &str) -> Ended {
    let dir = TempDir::new().expect("a folder");
    let list = dir.path().join("known.toml");
    std::fs::write(&list, text).expect("written");
    at(target, "token_").arg("--known").arg(&list).ended_plain()
}

#[test]
fn an_accepted_deviation_is_told_apart_and_one_that_is_no_more_fails() {
    let known = "token_alg_none = \"a proxy before it looks at signatures\"\n";
    let run = accepted(&without_signatures(), known).exits(exit::GO);
    assert!(run.stdout.contains("accepted: a proxy before it"), "{}", run.stdout);
    let run = accepted(&reference_by_hand(), known).exits(exit::NO_GO);
    assert!(run.stdout.contains("Accepted, and no more"), "{}", run.stdout);
    let run =
        accepted(&reference_by_hand(), "no_such_case = \"x\"\n").exits(exit::INVALID_SCENARIO);
    assert!(run.stderr.contains("there is no case `no_such_case`"), "{}", run.stderr);
}

#[test]
fn what_is_not_allowed_does_not_apply_and_where_nothing_does_it_is_no_go() {
    let target = reference_by_hand();
    let run = at(&target, "revoke_close_code").ended_plain().exits(exit::HOLD);
    let whole = "--allow reads,writes,revokes";
    assert!(run.stdout.contains(&format!("Applicable with: {whole}")), "{}", run.stdout);
    let followed = whole.split(' ').fold(at(&target, "revoke_close_code"), |at, word| at.arg(word));
    followed.ended_plain().exits(exit::GO);
    let alone = at(&target, "revoke_close_code").arg("--allow").arg("revokes").ended_plain();
    let alone = alone.exits(exit::GO);
    assert!(alone.stdout.contains("No deviation in 1 of "), "{}", alone.stdout);
    assert!(alone.stdout.contains("`reads` is not allowed"), "{}", alone.stdout);
}

#[test]
fn the_targets_profile_says_what_may_be_done_to_it() {
    let (target, dir) = (reference_by_hand(), TempDir::new().expect("a folder"));
    let profile = dir.path().join("mine.toml");
    let asked = |allows: &str| {
        let text = format!(
            "[target]\nurl = \"{}\"\nallows = {allows}\n[auth]\nmint = \"hs256\"\n\
             secret = {{ env = \"RUNTIME_SYNC_TOKEN_SIGNING_KEY\" }}\n",
            target.url
        );
        std::fs::write(&profile, text).expect("written");
        let asked = Harness::new("conform").arg("--target").arg(&profile).arg("--only");
        asked.arg("revoke_close_code").env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", KEY)
    };
    // By default cases do not revoke.
    asked("[\"reads\", \"revokes\"]").ended_plain().exits(exit::GO);
    let beyond = asked("[\"reads\"]").arg("--allow").arg("reads,revokes").ended_plain();
    let beyond = beyond.exits(exit::USAGE);
    assert!(beyond.stderr.contains("--allow revokes is beyond"), "{}", beyond.stderr);
}

#[test]
fn a_target_that_is_none_ends_with_100_and_says_what_it_is() {
    let (nobody, http, echo) = (servers::nobody(), Server::http("404 Not Found"), Server::echo());
    for (url, why) in [
        (&nobody, "no Khala runtime at"),
        (&http.url, "target.socket_path says where its socket is"),
        (&echo.url, "it echoes, it does not speak Khala"),
    ] {
        let run = conform(url, "upgrade_").ended_plain().exits(exit::SETUP);
        assert!(run.stderr.contains(why), "{}", run.stderr);
        assert_eq!(run.stdout, "", "nothing was judged");
    }
}

#[test]
fn a_signal_ends_it_at_once_though_the_target_has_not_answered_yet() {
    let silent = Server::silent();
    let asked = conform(&silent.url, "upgrade_").set("target.connect_timeout=600s");
    let running = asked.set("target.request_timeout=600s").start_plain();
    eventually("a request that is not answered", || (silent.accepted() > 0).then_some(()));
    running.signal(Signal::INT);
    let ended = running.ended().exits(exit::INTERRUPTED);
    assert!(ended.stderr.contains("before any case was asked"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "", "nothing was judged");
}

#[test]
fn a_stop_file_ends_it_with_what_was_decided() {
    let (target, dir) = (reference_by_hand(), TempDir::new().expect("a folder"));
    let stop = dir.path().join("stop");
    // It waits for more than a minute.
    let asked = || at(&target, "idle").arg("--stop-file").arg(&stop);
    let running = asked().start_plain();
    std::thread::sleep(std::time::Duration::from_secs(2));
    std::fs::write(&stop, "").expect("written");
    let ended = running.ended().exits(exit::INTERRUPTED);
    assert!(ended.stderr.contains("stop is there: ending"), "{}", ended.stderr);
    assert!(ended.stdout.contains("undecided"), "{}", ended.stdout);
    let again = asked().ended_plain().exits(exit::SETUP);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
}

/// An allow file with an entry for a name that nobody has (RFC 6761, section 6.4).
fn entry(dir: &TempDir, clients: u32, writes: u32) -> std::path::PathBuf {
    let text = format!(
        "[[host]]\nname = \"sync.invalid\"\naddresses = [\"192.0.2.0/24\"]\nclients = {clients}\n\
         connects_per_second = 9\nmessages_per_second = {writes}\nowner = \"jo\"\nexpires = \"2999-12-31\"\n"
    );
    let path = dir.path().join("allow.toml");
    std::fs::write(&path, text).expect("written");
    path
}

#[test]
fn an_entry_that_does_not_cover_it_refuses_it_before_anybody_is_asked() {
    let dir = TempDir::new().expect("a folder");
    for (clients, writes, why) in [
        (3, 9, "grants 3"),
        (500, 0, "grants 0 writes"),
        // Nobody has the name.
        (500, 9, "has no address"),
    ] {
        let asked = conform("https://sync.invalid", "").arg("--allow-file");
        let run = asked.arg(entry(&dir, clients, writes)).ended_plain().exits(exit::SETUP);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
    let reads = conform("https://sync.invalid", "").arg("--allow").arg("reads").arg("--allow-file");
    let run = reads.arg(entry(&dir, 500, 0)).ended_plain().exits(exit::SETUP);
    assert!(run.stderr.contains("has no address"), "{}", run.stderr);
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    conform("http://127.0.0.1:1", "no_such_case").ended_plain().exits(exit::USAGE);
    Harness::new("conform").ended_plain().exits(exit::USAGE);
}
