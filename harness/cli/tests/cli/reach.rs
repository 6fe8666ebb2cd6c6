//! What may be spoken to, said before anything is: allow files, target profiles, a dry run, a stop file.

use std::path::PathBuf;

use crate::support::{Harness, exit, scenario};

/// An entry for a name that nobody has (RFC 6761, section 6.4), with some of its lines replaced.
fn allow(folder: &tempfile::TempDir, edits: &[(&str, &str)]) -> PathBuf {
    let mut text = "[[host]]\nname = \"sync.invalid\"\naddresses = [\"192.0.2.0/24\"]\nclients = 5000\n\
                    connects_per_second = 100\nmessages_per_second = 100\nowner = \"jo\"\nexpires = \"2999-12-31\"\n"
        .to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "no `{from}`");
        text = text.replacen(from, to, 1);
    }
    let path = folder.path().join("allow.toml");
    std::fs::write(&path, text).expect("written");
    path
}

fn elsewhere(command: Harness) -> Harness {
    command
        .arg("--target")
        .arg("https://sync.invalid")
        .set("auth.mint=control")
        .arg("--allow-shared-writes")
}

fn run() -> Harness {
    elsewhere(Harness::run(scenario("tiny.toml")))
}

#[test]
fn a_host_without_an_entry_is_not_even_looked_up() {
    for args in [&[][..], &["--dry-run"]] {
        let mut run = run();
        for arg in args {
            run = run.arg(arg);
        }
        let run = run.ended_plain().exits(exit::SETUP);
        assert!(run.stderr.contains("sync.invalid is not this machine"), "{}", run.stderr);
        assert!(run.stderr.contains("--allow FILE"), "{}", run.stderr);
    }
}

#[test]
fn an_entry_lets_a_dry_run_tell_what_would_be_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = run()
        .arg("--dry-run")
        .arg("--allow")
        .arg(allow(&folder, &[]))
        .ended_plain()
        .exits(exit::SETUP);
    // As the run would: the name has no address.
    assert!(run.stderr.contains("sync.invalid"), "{}", run.stderr);
    for said in [
        "nothing was sent",
        "to https://sync.invalid, by the entry for sync.invalid",
        "its owner is jo",
        "POST /api/sync/token before every connect",
        "POST /internal/v1/codex/workers",
    ] {
        assert!(run.stdout.contains(said), "no `{said}` in {}", run.stdout);
    }
}

#[test]
fn an_entry_that_does_not_cover_the_run_refuses_it() {
    for (edit, why) in [
        (("2999-12-31", "2020-01-01"), "expired on 2020-01-01; its owner is jo"),
        (("clients = 5000", "clients = 1"), "grants 1"),
        (("messages_per_second = 100", "messages_per_second = 0"), "grants 0 writes"),
        (("clients = 5000", "clients = 5000\nports = [8443]"), "port 443 is none of the ports"),
        (("owner = \"jo\"", "owner = \"\""), "nobody answers for it"),
        (("clients = 5000", "client = 5000"), "client"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let allow = allow(&folder, &[edit]);
        let run = run().arg("--allow").arg(&allow).ended_plain().exits(exit::SETUP);
        assert!(run.stderr.contains(why), "{why}: {}", run.stderr);
        let errors = run.stderr.lines().filter(|line| line.starts_with("error: ")).count();
        assert_eq!(errors, 1, "{}", run.stderr);
    }
}

#[test]
fn a_name_that_nobody_has_is_said_to_have_no_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = run().arg("--allow").arg(allow(&folder, &[])).ended_plain().exits(exit::SETUP);
    assert!(run.stderr.contains("its host has no address"), "{}", run.stderr);
}

#[test]
fn secrets_go_to_another_host_in_clear_text_only_where_that_may_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let clear =
        || run().set("target.url=http://sync.invalid").arg("--allow").arg(allow(&folder, &[]));
    let run = clear().ended_plain().exits(exit::SETUP);
    assert!(run.stderr.contains("target.clear_text"), "{}", run.stderr);
    let run = clear().set("target.clear_text=true").ended_plain().exits(exit::SETUP);
    assert!(run.stderr.contains("its host has no address"), "{}", run.stderr);
}

#[test]
fn a_target_profile_is_a_file_a_name_beside_the_scenario_or_a_url() {
    let unknown =
        Harness::check(scenario("tiny.toml")).arg("--target").arg("nowhere").ended_plain();
    let unknown = unknown.exits(exit::INVALID_SCENARIO);
    assert!(unknown.stderr.contains("targets/nowhere.toml"), "{}", unknown.stderr);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    std::fs::write(
        &path,
        "[target]\nurl = \"http://127.0.0.1:9\"\nexclusive = true\n[auth]\nmint = \"control\"\n",
    )
    .expect("written");
    let check = Harness::check(scenario("tiny.toml"))
        .arg("--target")
        .arg(&path)
        .ended_plain()
        .exits(exit::GO);
    assert!(check.stdout.contains("http://127.0.0.1:9"), "{}", check.stdout);
}

#[test]
fn a_stop_file_ends_a_run_with_its_evidence() {
    let folder = tempfile::tempdir().expect("a folder");
    let stop = folder.path().join("stop");
    let run = || Harness::run(scenario("tiny.toml")).arg("--stop-file").arg(&stop);
    // Long enough for the file to come first.
    let mut running = run().set("phase.steady.duration=10m").start();
    running.wait_for_phase("steady");
    std::fs::write(&stop, "").expect("written");
    let ended = running.ended().exits(exit::INTERRUPTED);
    assert!(!ended.out_dir_is_empty, "{}", ended.stderr);
    let again = run().ended_plain().exits(exit::SETUP);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
}
