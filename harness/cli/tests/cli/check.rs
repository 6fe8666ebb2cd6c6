//! `check` refuses what `run` refuses, in the same words, and says what a run of the plan would want.

use crate::support::{Ended, Harness, exit, scenario};
use tempfile::TempDir;

/// The scenario by URL of these tests, with what it needs but the URL.
fn elsewhere(command: &str, url: &str) -> Harness {
    Harness::new(command)
        .arg(scenario("elsewhere.toml").as_os_str())
        .env("KHALA_TEST_URL", url)
        .env("KHALA_TEST_KEY", "key")
}

/// What a command ends with, and its errors, with what belongs to them.
fn refused(run: &Ended) -> (Option<i32>, String) {
    let errors = run.stderr.lines().skip_while(|line| !line.starts_with("error"));
    (run.code, errors.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_target_that_run_refuses_is_refused_by_check_in_the_same_words() {
    for url in [
        // Addresses for documentation: nobody has them.
        "http://192.0.2.1:4000",
        "http://192.0.2.1",
        "http://[2001:db8::1]:80",
        "http://khala.invalid:4000",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://user@127.0.0.1",
        "http://127.0.0.1/path",
    ] {
        let checked = elsewhere("check", url).ended_plain();
        let ran = elsewhere("run", url).ended();
        let dry = elsewhere("run", url).arg("--dry-run").ended_plain();
        assert_eq!(refused(&checked), refused(&ran), "{url}");
        assert_eq!(refused(&dry), refused(&ran), "{url}");
        assert!(matches!(checked.code, Some(exit::SETUP | exit::INVALID_SCENARIO)), "{url}");
        assert!(ran.out_dir_is_empty, "{url}");
    }
}

#[test]
fn a_header_that_cannot_be_sent_is_refused_by_both() {
    let with = |command: &str| {
        elsewhere(command, "http://127.0.0.1:9")
            .set("target.headers={ x-of = { env = \"KHALA_TEST_HEADER\" } }")
            .env("KHALA_TEST_HEADER", "two\nlines")
    };
    let (checked, ran) = (with("check").ended_plain(), with("run").ended());
    assert_eq!(refused(&checked), refused(&ran));
    assert!(checked.exits(exit::SETUP).stderr.contains("cannot be sent"));
}

#[test]
fn a_name_of_this_machine_is_a_target() {
    elsewhere("check", "http://localhost:4000").ended_plain().exits(exit::GO);
}

#[test]
fn all_that_is_missing_is_told_at_once_with_what_gives_it() {
    let with = |command: &str| {
        Harness::new(command)
            .arg(scenario("elsewhere.toml").as_os_str())
            .env("KHALA_TEST_URL", "http://127.0.0.1:9")
            .set("target.exclusive=false")
            .set("target.command_secret={ file = \"/nowhere/secret\" }")
            .set("target.headers={ x-of = { env = \"KHALA_TEST_HEADER\" } }")
    };
    let ran = with("run").ended().exits(exit::SETUP);
    let checked = with("check").ended_plain().exits(exit::SETUP);
    assert_eq!(refused(&checked), refused(&ran));
    assert!(ran.stderr.contains("error: this is missing, and nothing was sent:"), "{}", ran.stderr);
    for said in [
        "(auth.secret) could not be had from environment variable KHALA_TEST_KEY",
        "(target.command_secret) could not be had from file /nowhere/secret",
        "(target.headers) could not be had from environment variable KHALA_TEST_HEADER",
        "--allow-shared-writes",
        "\nalso not given, to be left so unless this target asks for it",
        "  - no admin token is given: set environment variable KHALA_TARGET_ADMIN_TOKEN, or target.admin_token",
    ] {
        assert!(ran.stderr.contains(said), "no {said} in: {}", ran.stderr);
        assert!(checked.stdout.contains(said), "no {said} in: {}", checked.stdout);
    }
    assert!(checked.stdout.contains("\na run needs beside\n"), "{}", checked.stdout);
    assert!(ran.out_dir_is_empty);
    // Of what needs nothing, nothing is said.
    let plain = Harness::check(scenario("tiny.toml")).ended_plain().exits(exit::GO);
    assert!(!plain.stdout.contains("a run needs beside"), "{}", plain.stdout);
}

/// Insists that `check` refuses as `run` does, and says so in JSON, too; what is said.
fn refused_alike(with: &dyn Fn(&str) -> Harness, code: i32) -> String {
    let (checked, ran) = (with("check").ended_plain(), with("run").ended_plain());
    assert_eq!(refused(&checked), refused(&ran));
    let dry = with("run").arg("--dry-run").ended_plain();
    assert_eq!(refused(&dry), refused(&ran), "a dry run");
    let run = ran.exits(code);
    assert_eq!(run.stdout, "", "nothing ran");
    let json = with("check").arg("--json").ended_plain().exits(code);
    let document: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    let errors = document["errors"].as_array().expect("errors");
    let told: Vec<_> = errors.iter().map(|error| error["what"].as_str().expect("text")).collect();
    let said = checked.exits(code).stderr;
    assert!(!told.is_empty() && told.iter().all(|what| said.contains(what)), "{told:?}: {said}");
    assert_eq!(said.matches("error: ").count(), told.len(), "{told:?}: {said}");
    said
}

#[test]
fn commands_are_refused_by_check_until_they_are_allowed() {
    let hooked = |command: &str| Harness::new(command).arg(scenario("hooked.toml").as_os_str());
    let said = refused_alike(&hooked, exit::USAGE);
    assert!(said.contains("add --allow-hooks"), "{said}");
    hooked("check").arg("--allow-hooks").ended_plain().exits(exit::GO);
    let told = |command: &str| {
        elsewhere(command, "http://127.0.0.1:9").set("auth.secret={ command = [\"true\"] }")
    };
    let said = refused_alike(&told, exit::USAGE);
    assert!(said.contains("auth.secret is told by [\"true\"]"), "{said}");
    told("check").arg("--allow-hooks").ended_plain().exits(exit::GO);
}

#[test]
fn a_program_that_is_not_there_is_refused_by_both_and_is_not_started_by_check() {
    let folder = TempDir::new().expect("a folder");
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "#!/bin/sh\n").expect("is written");
    for (program, why) in [
        ("khala-no-such-program", "No such file or directory"),
        ("/nowhere/program", "No such file or directory"),
        (&*plain.display().to_string(), "Permission denied"),
    ] {
        let with = |key: &'static str| {
            move |command: &str| {
                let command = elsewhere(command, "http://127.0.0.1:9").arg("--allow-hooks");
                command.set(&format!("{key}={}", key_of(key, program)))
            }
        };
        let said = refused_alike(&with("auth.secret"), exit::SETUP);
        assert!(said.contains("(auth.secret) could not be had from command"), "{said}");
        assert!(said.contains(&format!("it cannot be run: {why}")), "{said}");
        let by = with("target.command");
        let said =
            refused_alike(&|command| by(command).set("target.commands=command"), exit::SETUP);
        assert!(
            said.contains(&format!("target.command [\"{program}\"] cannot be run: {why}")),
            "{said}"
        );
    }
    // One that is there is believed.
    let there = folder.path().join("left-a-trace");
    let script = format!("[\"touch\", {there:?}]");
    let check = elsewhere("check", "http://127.0.0.1:9").arg("--allow-hooks");
    check.set(&format!("auth.secret={{ command = {script} }}")).ended_plain().exits(exit::GO);
    assert!(!there.exists(), "check starts nothing");
}

/// The value of a key that names a program.
fn key_of(key: &str, program: &str) -> String {
    match key {
        "target.command" => format!("[{program:?}]"),
        _ => format!("{{ command = [{program:?}] }}"),
    }
}

#[test]
fn what_cannot_happen_in_a_run_is_warned_of_and_refused_by_a_strict_check() {
    let hook = |program: &str| {
        format!(
            "phase.hooked.fault=[{{ type = \"hook\", at = \"500ms\", attributes = {{ command = [{program:?}] }} }}]"
        )
    };
    let check = |program: &str| {
        Harness::check(scenario("hooked.toml")).arg("--allow-hooks").set(&hook(program))
    };
    let run = check("./no-such-hook").ended_plain().exits(exit::GO);
    let said = "warning: the fault hook in `hooked` cannot happen: its command [\"./no-such-hook\"] cannot be run: No \
                such file";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let strict = |program| check(program).arg("--strict").ended_plain();
    let run = strict("./no-such-hook").exits(exit::HOLD);
    assert!(run.stderr.contains("would be HOLD: the fault hook in `hooked`"), "{}", run.stderr);
    let run = strict("true");
    assert!(!run.stderr.contains("cannot happen"), "{}", run.stderr);
}

#[test]
fn what_a_run_is_begun_with_is_refused_by_both() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("a-file");
    std::fs::write(&file, "in the way").expect("is written");
    let tiny = |command: &str| Harness::new(command).arg(scenario("tiny.toml").as_os_str());
    let below = file.join("runs");
    let cases: [(&[&std::ffi::OsStr], i32, &str); 6] = [
        (&["--out-dir".as_ref(), below.as_os_str()], exit::SETUP, "--out-dir"),
        (&["--out-dir".as_ref(), "/proc/khala".as_ref()], exit::SETUP, "nothing was sent"),
        (&["--stop-file".as_ref(), file.as_os_str()], exit::SETUP, "is there already"),
        (&["--sign-key".as_ref(), "/nowhere/key".as_ref()], exit::SETUP, "/nowhere/key"),
        (&["--dashboard=0.0.0.0:0".as_ref()], exit::USAGE, "--dashboard-allow-remote"),
        (&["--webhook".as_ref(), "http://192.0.2.1/x".as_ref()], exit::SETUP, "the webhook"),
    ];
    for (words, code, why) in cases {
        let with = |command: &str| words.iter().fold(tiny(command), |tiny, word| tiny.arg(*word));
        let said = refused_alike(&with, code);
        assert!(said.contains(why), "{words:?}: {said}");
    }
}

#[test]
fn all_that_keeps_a_run_from_beginning_is_told_at_once() {
    let with = |command: &str| {
        Harness::new(command)
            .arg(scenario("hooked.toml").as_os_str())
            .arg("--stop-file")
            .arg(scenario("tiny.toml").as_os_str())
            .set("fleet.clients=100000")
    };
    let said = refused_alike(&with, exit::USAGE);
    for why in ["--allow-hooks", "is there already", "file descriptors", "source ports"] {
        assert!(said.contains(why), "no {why} in: {said}");
    }
}

#[test]
fn too_few_source_ports_are_refused_by_both() {
    // Each close in order keeps its port for a minute: ten times three thousand.
    let faults: Vec<_> = (1..=10)
        .map(|second| {
            format!(
                "{{ type = \"disconnect\", at = \"{second}s\", mode = \"all\", attributes = {{ style = \"close\" }} }}"
            )
        })
        .collect();
    let with = |command: &str| {
        Harness::new(command)
            .arg(scenario("tiny.toml").as_os_str())
            .set("fleet.clients=3000")
            .set("phase.storm.duration=20s")
            .set(&format!("phase.storm.fault=[{}]", faults.join(", ")))
    };
    let (checked, ran) = (with("check").ended_plain(), with("run").ended());
    assert_eq!(refused(&checked), refused(&ran));
    assert!(ran.out_dir_is_empty);
    let said = checked.exits(exit::SETUP).stderr;
    assert!(said.contains("source ports and there are 28232"), "{said}");
}

#[test]
fn a_bare_url_has_its_key_where_a_runtime_has_it() {
    let key = "RUNTIME_SYNC_TOKEN_SIGNING_KEY";
    let at = || {
        let check = Harness::check(scenario("tiny.toml")).arg("--allow-shared-writes");
        check.arg("--target").arg("http://127.0.0.1:9")
    };
    let note = format!("note: tokens are signed with the key in {key}");
    let without = at().ended_plain().exits(exit::SETUP);
    assert!(
        without
            .stdout
            .contains(&format!("(auth.secret) could not be had from environment variable {key}")),
        "{}",
        without.stdout
    );
    assert!(!without.stderr.contains(&note), "{}", without.stderr);
    let with = at().env(key, "secret").ended_plain().exits(exit::GO);
    assert!(with.stderr.contains(&note), "{}", with.stderr);
    assert!(!with.stdout.contains("(auth.secret)"), "{}", with.stdout);
    // What is said by hand stands, and another mistake is told as it is.
    let by_hand = at().env(key, "secret").set("auth.secret.env=KHALA_TEST_KEY").ended_plain();
    assert!(!by_hand.stderr.contains(&note), "{}", by_hand.stderr);
    let wrong = at().env(key, "secret").set("fleet.clients=0").ended_plain();
    let wrong = wrong.exits(exit::INVALID_SCENARIO);
    assert!(!wrong.stderr.contains(&note) && wrong.stderr.contains("clients"), "{}", wrong.stderr);
}

#[test]
fn gates_of_a_file_are_checked_as_score_judges_by_them() {
    let gates = |require: &str, phase: &str| {
        format!(
            "[[gate]]\nname = \"theirs\"\n[[gate.objective]]\nmetric = \"time_to_recovered\"\nduring = \
             [\"{phase}\"]\nrequire = \"{require}\"\n"
        )
    };
    let check = |path: &std::path::Path| {
        Harness::check(scenario("tiny.toml")).arg("--gates").arg(path.as_os_str())
    };
    let (_folder, kept) = file(&gates("p(50) < 200ms", "storm"));
    let run = check(&kept).ended_plain().exits(exit::GO);
    assert!(run.stdout.contains("NO TARGET CAN KEEP THE BOUND"), "{}", run.stdout);
    assert!(
        run.stdout.contains("theirs") && !run.stdout.contains("error-budget"),
        "{}",
        run.stdout
    );
    check(&kept).arg("--strict").ended_plain().exits(exit::HOLD);
    let (_folder, sound) = file(&gates("p(50) < 20s", "storm"));
    check(&sound).arg("--strict").ended_plain().exits(exit::GO);
    let (_folder, wrong) = file(&gates("p(50) < 20s", "strom"));
    let refused = check(&wrong).ended_plain().exits(exit::INVALID_SCENARIO);
    assert!(refused.stderr.contains(&wrong.display().to_string()), "{}", refused.stderr);
    let none = check(std::path::Path::new("/nowhere/gates.toml")).ended_plain();
    assert!(none.exits(exit::INVALID_SCENARIO).stderr.contains("/nowhere/gates.toml"));
}

#[test]
fn a_bound_that_no_target_can_keep_or_break_ends_a_strict_check() {
    let gate = |metric: &str, require: &str| {
        let what = format!("metric = \"{metric}\", where = {{ surface = \"desktop\" }}");
        let objective = format!("{{ {what}, during = [\"storm\"], require = \"{require}\" }}");
        let gate = format!("gate=[{{ name = \"g\", objective = [{objective}] }}]");
        Harness::check(scenario("tiny.toml")).set(&gate)
    };
    // Each of the twelve waits 300 ms before it comes back.
    let kept = || gate("time_to_recovered", "max < 300ms");
    let run = kept().ended_plain().exits(exit::GO);
    assert!(run.stdout.contains("NO TARGET CAN KEEP THE BOUND"), "{}", run.stdout);
    assert!(run.stderr.contains("bound it above 300ms"), "{}", run.stderr);
    let run = kept().arg("--strict").ended_plain().exits(exit::HOLD);
    assert!(run.stderr.contains("has its verdict by the plan alone"), "{}", run.stderr);
    let broken = || gate("unrecovered_clients", "count <= 12");
    broken().ended_plain().exits(exit::GO);
    broken().arg("--strict").ended_plain().exits(exit::HOLD);
    gate("unrecovered_clients", "count <= 11").arg("--strict").ended_plain().exits(exit::GO);
}

/// A file of that text, as the last thing that goes.
fn file(text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("file.toml");
    std::fs::write(&path, text).expect("is written");
    (folder, path)
}

#[test]
fn a_file_of_gates_is_no_scenario_and_that_is_what_is_said() {
    let (_folder, gates) = file(
        "[[gate]]\nname = \"g\"\n[[gate.objective]]\nmetric = \"violations\"\nrequire = \"count == 0\"\n",
    );
    let run = Harness::check(&gates).ended_plain().exits(exit::INVALID_SCENARIO);
    let errors = run.stderr.matches("error").count();
    assert_eq!(errors, 1, "one thing is wrong: {}", run.stderr);
    for said in ["is a file of gates, and no scenario", "khala-harness score", "gates = ["] {
        assert!(run.stderr.contains(said), "no {said} in: {}", run.stderr);
    }
}

#[test]
fn a_scenario_is_no_file_of_gates_and_that_is_what_is_said() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let (_folder, bundle) = run.restored(|_| true);
    let score = Harness::new("score").arg(&bundle).arg("--gates").arg(scenario("tiny.toml"));
    let score = score.ended_plain().exits(exit::INVALID_SCENARIO);
    assert_eq!(score.stderr.matches("error").count(), 1, "one thing is wrong: {}", score.stderr);
    assert!(score.stderr.contains("is a scenario, and no gate file"), "{}", score.stderr);
    assert_eq!(score.stdout, "");
}

#[test]
fn what_is_printed_fits_the_screen_and_is_whole_for_a_program() {
    let check = || Harness::check(scenario("tiny.toml"));
    let plain = check().ended_plain().exits(exit::GO).stdout;
    let fitted = check().env("COLUMNS", "60").ended_plain().exits(exit::GO).stdout;
    let wide = |text: &str| text.lines().map(|line| line.chars().count()).max().expect("lines");
    assert!(wide(&plain) > 100 && wide(&fitted) <= 60, "{fitted}");
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&plain), words(&fitted));
}
