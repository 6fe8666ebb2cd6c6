//! Nobody listens: a stream that is closed, full or hung up on costs what would have been printed, and
//! neither the evidence nor the verdict.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Harness, exit};

/// A disk without room.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").expect("Linux has one").into()
}

/// A pipe whose reader has gone.
fn gone() -> Stdio {
    let (read, write) = std::io::pipe().expect("a pipe");
    drop(read);
    write.into()
}

/// What a shell makes of `script`, in which `"$@"` is the binary with these arguments.
fn shell(script: &str, arguments: &[&std::ffi::OsStr]) -> std::process::Output {
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "bash", env!("CARGO_BIN_EXE_khala-harness")]).args(arguments);
    bash.stdin(Stdio::null()).output().expect("bash runs")
}

/// Gates that no run of `tiny.toml` passes.
const IMPOSSIBLE: &str = r#"
[[gate]]
name = "reconnect"
[[gate.objective]]
metric = "time_to_recovered"
during = ["storm"]
require = "p(50) < 301ms"
"#;

#[test]
fn a_run_that_nobody_hears_keeps_its_evidence_and_its_verdict() {
    let silent = || Harness::tiny().env("KHALA_LOG", "khala_engine=trace");
    let deaf = silent().stdout(full()).stderr(gone()).start();
    let run = silent().stdout(gone()).stderr(full()).ended().exits(exit::GO);
    for ended in [run, deaf.ended().exits(exit::GO)] {
        assert_eq!(ended.report()["decision"], "GO");
        assert!(ended.files.contains_key("manifest.json"), "{:?}", ended.names());
    }
}

#[test]
fn whatever_is_wrong_with_the_streams_the_verdict_is_the_exit_code() {
    let run = Harness::tiny().ended().exits(exit::GO);
    let (dir, bundle) = run.restored(|_| true);
    let gates = dir.path().join("gates.toml");
    std::fs::write(&gates, IMPOSSIBLE).expect("can be written");
    let score = || Harness::new("score").arg(&bundle).arg("--gates").arg(&gates);

    for json in [&[][..], &["--json"]] {
        let score = || json.iter().fold(score(), |score, flag| score.arg(flag));
        let told = score().stdout(full()).ended_plain().exits(exit::NO_GO);
        let warning = "warning: cannot write to standard output: No space left";
        let warned = told.stderr.lines().filter(|line| line.starts_with(warning)).count();
        assert_eq!(warned, 1, "{}", told.stderr);
        let told = score().stdout(gone()).ended_plain().exits(exit::NO_GO);
        assert!(!told.stderr.contains("warning"), "a reader that has seen enough is no failure");
        score().stdout(full()).stderr(full()).ended_plain().exits(exit::NO_GO);
        score().stdout(gone()).stderr(gone()).ended_plain().exits(exit::NO_GO);
    }
    for command in ["report", "verify"] {
        let command = Harness::new(command).arg(&bundle).stdout(full()).stderr(gone());
        command.ended_plain().exits(exit::GO);
    }

    let arguments = ["score".as_ref(), bundle.as_os_str(), "--gates".as_ref(), gates.as_os_str()];
    for script in [
        r#""$@" 2>&1 | head -n 1; exit ${PIPESTATUS[0]}"#,
        r#""$@" 2>&1 | true; exit ${PIPESTATUS[0]}"#,
        r#""$@" >&-"#,
        r#""$@" 2>&-"#,
        r#""$@" <&- >&- 2>&-"#,
        r#"trap '' PIPE; "$@" 2>&1 | true; exit ${PIPESTATUS[0]}"#,
    ] {
        assert_eq!(shell(script, &arguments).status.code(), Some(exit::NO_GO), "{script}");
    }
}

#[test]
fn an_error_that_nobody_hears_keeps_its_exit_code() {
    for stream in [full, gone] {
        let none = Harness::check("there-is-no-such-scenario.toml").stderr(stream());
        none.ended_plain().exits(exit::INVALID_SCENARIO);
        Harness::new("no-such-command").stderr(stream()).ended_plain().exits(exit::USAGE);
    }
    let warned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/smoke.toml");
    let warned = || Harness::check(&warned).set("fleet.clients=2").stderr(gone());
    warned().ended_plain().exits(exit::GO);
}

#[test]
fn what_was_asked_for_and_cannot_be_written_is_a_failure_that_says_so() {
    for asked in ["schema", "metrics", "man", "--help", "--version"] {
        let failed = Harness::new(asked).stdout(full()).ended_plain().exits(exit::INTERNAL);
        assert!(failed.stderr.starts_with("error: cannot write to standard output"), "{asked}");
        let heard = Harness::new(asked).stdout(gone()).ended_plain().exits(exit::GO);
        assert_eq!(heard.stderr, "", "{asked}");
    }
}

#[test]
fn help_is_help_and_a_mistake_is_a_mistake() {
    let help = Harness::new("run").arg("--help").ended_plain().exits(exit::GO);
    assert!(help.stdout.contains("Usage: khala-harness run"), "{}", help.stdout);
    assert_eq!(help.stderr, "");
    let mistake = Harness::new("run").arg("--no-such-flag").ended_plain().exits(exit::USAGE);
    assert!(mistake.stderr.contains("unexpected argument '--no-such-flag'"), "{}", mistake.stderr);
    assert_eq!(mistake.stdout, "");
}
