//! `init`: what it writes is right, runs as it is and against a target by URL, and is never written
//! over.

use std::path::Path;

use crate::support::by_hand::{ADMIN, KEY, reference_by_hand};
use crate::support::{Ended, Harness, exit, number};
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
    let local = check().arg("--profile").arg("local").arg("--allow-shared-writes");
    let local = local.env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", KEY).ended_plain();
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

/// A command in an empty folder, as one has it who has the program and no sources.
fn outside(subcommand: &str, dir: &Path, arguments: &[&str]) -> Ended {
    let started = Harness::new(subcommand).in_folder(dir);
    arguments.iter().fold(started, |command, argument| command.arg(argument)).ended_plain()
}

#[test]
fn what_ships_can_be_had_without_the_sources() {
    let dir = TempDir::new().expect("a folder");
    let dir = dir.path();
    let run = outside("check", dir, &["scenarios/soak.toml"]).exits(exit::INVALID_SCENARIO);
    assert!(run.stderr.contains("`khala-harness init --scenario soak` writes"), "{}", run.stderr);
    let run = outside("init", dir, &["--scenario", "soak"]).exits(exit::GO);
    for said in [
        "wrote scenarios/soak.toml\n",
        "wrote scenarios/gates/runbook.toml\n",
        "wrote scenarios/scenario.schema.json\n",
        "Next:\n  khala-harness check scenarios/soak.toml\n",
    ] {
        assert!(run.stdout.contains(said), "no {said} in {}", run.stdout);
    }
    outside("check", dir, &["scenarios/soak.toml"]).exits(exit::GO);

    let run = outside("check", dir, &["scenarios/soak.toml", "--target", "local"]);
    let run = run.exits(exit::INVALID_SCENARIO);
    assert!(run.stderr.contains("`khala-harness init --target local` writes"), "{}", run.stderr);
    outside("init", dir, &["--scenario", "smoke", "--target", "local"]).exits(exit::GO);
    assert!(dir.join("scenarios/targets/local.toml").is_file());
    assert!(!dir.join("scenarios/first.toml").exists(), "nobody asked for it");
    let run = outside("init", dir, &["--scenario", "smoke"]).exits(exit::SETUP);
    assert!(run.stderr.contains("scenarios/smoke.toml is there already"), "{}", run.stderr);

    // What does not ship is not said to.
    let run = outside("check", dir, &["mine.toml"]).exits(exit::INVALID_SCENARIO);
    assert!(
        run.stderr.contains("No such file") && !run.stderr.contains("it ships"),
        "{}",
        run.stderr
    );
    let run = outside("init", dir, &["--scenario", "smok"]).exits(exit::USAGE);
    assert!(run.stderr.contains("did you mean `smoke`?"), "{}", run.stderr);
    let run = outside("init", dir, &["--target", "locl"]).exits(exit::USAGE);
    assert!(run.stderr.contains("did you mean `local`?"), "{}", run.stderr);
}

#[test]
fn a_rollout_is_written_with_all_that_it_names() {
    let dir = TempDir::new().expect("a folder");
    let dir = dir.path();
    let stage = || {
        outside("stage", dir, &["0", "--owner", "Ada", "--hold", "1s", "--set", "fleet.clients=0"])
    };
    let run = stage().exits(exit::INVALID_SCENARIO);
    assert!(run.stderr.contains("`khala-harness init --rollout` writes"), "{}", run.stderr);
    let run = outside("init", dir, &["--rollout"]).exits(exit::GO);
    for said in [
        "wrote scenarios/rollout.toml\n",
        "wrote scenarios/SURFACES.md\n",
        "wrote scenarios/hold.toml\n",
        "wrote scenarios/rollout.schema.json\n",
        "khala-harness stage 0 --owner NAME --hold 1m --rollout scenarios/rollout.toml\n",
    ] {
        assert!(run.stdout.contains(said), "no {said} in {}", run.stdout);
    }
    // Nothing is missing: only what is overridden is wrong.
    let run = stage().exits(exit::INVALID_SCENARIO);
    assert!(run.stderr.contains("`clients` is 0"), "{}", run.stderr);
    std::fs::remove_file(dir.join("scenarios/SURFACES.md")).expect("is removed");
    std::fs::remove_file(dir.join("scenarios/smoke.toml")).expect("is removed");
    let run = stage().exits(exit::INVALID_SCENARIO);
    assert!(
        run.stderr.contains("SURFACES.md (it ships: `khala-harness init --rollout`"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_is_no_text_and_what_has_no_end_is_refused_in_a_sentence() {
    let dir = TempDir::new().expect("a folder");
    let dir = dir.path();
    std::fs::write(dir.join("binary.toml"), b"version = 1\n\xff\xfe").expect("is written");
    for arguments in [&["binary.toml"][..], &["/dev/zero"]] {
        let run = outside("check", dir, arguments).exits(exit::INVALID_SCENARIO);
        let why = match arguments[0] {
            "/dev/zero" => "it is larger than 16 MiB",
            _ => "it is no text file: byte 13 is not UTF-8",
        };
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
    // Files of every kind that is named.
    outside("init", dir, &["--scenario", "smoke"]).exits(exit::GO);
    let smoke = "scenarios/smoke.toml";
    for arguments in [[smoke, "--target", "./binary.toml"], [smoke, "--allow", "binary.toml"]] {
        let run = outside("check", dir, &arguments);
        assert!(run.stderr.contains("byte 13 is not UTF-8"), "{arguments:?}: {}", run.stderr);
    }
    let nobody = "http://127.0.0.1:9";
    let run = outside("conform", dir, &["--target", nobody, "--known", "/dev/zero"]);
    assert!(run.stderr.contains("larger than 16 MiB"), "{}", run.stderr);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let run = init(file.path()).exits(exit::SETUP);
    assert!(run.stderr.starts_with("error: cannot make "), "{}", run.stderr);
    assert!(run.stderr.trim_end().ends_with("name another place"), "{}", run.stderr);
    assert_eq!((run.stdout.as_str(), run.stderr.lines().count()), ("", 1));
}
