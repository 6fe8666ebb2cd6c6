//! `init`: what it writes is right, runs as it is and against a target by URL, and is never written
//! over.

mod support;

use std::path::Path;

use support::by_hand::{ADMIN, KEY, reference_by_hand};
use support::{Ended, Harness, exit, number};
use tempfile::TempDir;

fn init(dir: &Path) -> Ended {
    Harness::new("init").arg(dir.as_os_str()).ended_plain()
}

/// A folder with a first scenario, and the scenario.
fn initialised() -> (TempDir, std::path::PathBuf) {
    let dir = TempDir::new().expect("a folder");
    init(dir.path()).exits(exit::GO);
    let first = dir.path().join("scenarios/first.toml");
    (dir, first)
}

#[test]
fn it_says_what_it_wrote_and_what_to_try() {
    let dir = TempDir::new().expect("a folder");
    let dir = dir.path().join("new folder");
    let run = init(&dir).exits(exit::GO);
    let path = dir.display();
    assert_eq!(
        run.stdout,
        format!(
            "wrote {path}/scenarios/first.toml\nwrote {path}/scenarios/scenario.schema.json\n\n\
             Next:\n  khala-harness check '{path}/scenarios/first.toml'\n  \
             khala-harness run '{path}/scenarios/first.toml'\n"
        )
    );
    assert_eq!(run.stderr, "");
    let first = std::fs::read_to_string(dir.join("scenarios/first.toml")).expect("it was written");
    for command in ["check", "run"] {
        let typed = format!("#   khala-harness {command} '{path}/scenarios/first.toml'  ");
        assert!(first.contains(&typed), "no {typed} in:\n{first}");
    }
    let schema = std::fs::read_to_string(dir.join("scenarios/scenario.schema.json"));
    let printed = Harness::new("schema").ended_plain().exits(exit::GO).stdout;
    assert_eq!(schema.expect("it was written"), printed);
}

#[test]
fn without_a_folder_it_is_the_one_it_is_started_in() {
    let dir = TempDir::new().expect("a folder");
    let run = Harness::new("init").in_folder(dir.path()).ended_plain().exits(exit::GO);
    assert!(run.stdout.starts_with("wrote scenarios/first.toml\n"), "{}", run.stdout);
    assert!(run.stdout.ends_with("khala-harness run scenarios/first.toml\n"), "{}", run.stdout);
    assert!(dir.path().join("scenarios/first.toml").is_file());
}

#[test]
fn what_it_writes_is_right_and_every_objective_can_be_decided() {
    let (_dir, first) = initialised();
    let check = || Harness::check(&first);
    let local = check().arg("--profile").arg("local").ended_plain();
    for run in [check().ended_plain(), local] {
        let run = run.exits(exit::GO);
        assert!(!run.stdout.contains("CANNOT REACH A VERDICT"), "{}", run.stdout);
        assert_eq!(run.stderr, "", "nothing to warn of");
    }
}

#[test]
fn it_runs_as_it_is() {
    let (_dir, first) = initialised();
    let run = Harness::run(&first).ended().exits(exit::GO);
    let report = run.report();
    assert_eq!(number(&report, "/fleet/clients_peak"), 60);
    assert_eq!(number(&report, "/faults/0/effective"), 60);
    assert_eq!(report["target"]["kind"], "reference");
}

#[test]
fn with_its_profile_it_runs_against_a_url() {
    let (_dir, first) = initialised();
    let target = reference_by_hand();
    let run = Harness::run(&first)
        .arg("--profile")
        .arg("local")
        .arg("--allow-shared-writes")
        .env("KHALA_TARGET_URL", &target.url)
        .env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", KEY)
        .env("RUNTIME_ADMIN_TOKEN", ADMIN)
        .ended()
        .exits(exit::GO);
    let report = run.report();
    assert_eq!(report["target"]["url"], target.url);
    assert_eq!(number(&report, "/faults/0/effective"), 60, "proven from the target's metrics");
}

#[test]
fn nothing_that_is_there_is_written_over() {
    let (dir, first) = initialised();
    std::fs::write(&first, "mine").expect("is written");
    let run = init(dir.path()).exits(exit::SETUP);
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1));
    for said in ["error: ", &first.display().to_string(), "nothing was written", "init DIR"] {
        assert!(run.stderr.contains(said), "no {said} in: {}", run.stderr);
    }
    assert_eq!(std::fs::read_to_string(&first).expect("is there"), "mine");

    // A schema of another version is its owner's affair.
    std::fs::remove_file(&first).expect("is removed");
    let schema = dir.path().join("scenarios/scenario.schema.json");
    std::fs::write(&schema, "{}").expect("is written");
    let run = init(dir.path()).exits(exit::GO);
    assert!(run.stdout.contains(&format!("kept {}", schema.display())), "{}", run.stdout);
    assert_eq!(std::fs::read_to_string(&schema).expect("is there"), "{}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let run = init(file.path()).exits(exit::INTERNAL);
    assert!(run.stderr.starts_with("error: cannot make "), "{}", run.stderr);
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1));
}
