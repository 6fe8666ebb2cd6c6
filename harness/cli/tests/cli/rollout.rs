//! Stages of a rollout, end to end: decided, opened one by the other, killed and taken up again.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::by_hand::{ByHand, KEY, reference_by_hand};
use crate::support::rollout::{Rollout, assert_published, ended, reasons, report};
use crate::support::servers::Server;
use crate::support::{Ended, Harness, eventually, exit};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn each_stage_needs_a_go_of_the_one_before_for_the_same_build() {
    let rollout = Rollout::new();
    let too_soon = rollout.stage("1").ended_plain().exits(exit::HOLD);
    assert!(reasons(&report(&too_soon)).contains("stage 0 was never attempted"));
    assert!(!rollout.path("runs").exists(), "nothing was sent");

    let first = rollout.stage("0").ended_plain().exits(exit::GO);
    let first = report(&first);
    assert_eq!(first["hold"]["windows"]["clipped"], true);
    assert!(first["hold"]["observed_s"].as_f64().is_some_and(|seconds| seconds >= 2.85), "{first}");
    let second = rollout.stage("1").ended_plain().exits(exit::GO);
    let second = report(&second);
    assert_eq!((&second["number"], &second["of"]), (&2.into(), &2.into()));
    assert_eq!(second["opened"]["by"]["stage"], "0");

    let other = rollout.stage("1").arg("--build").arg("8").ended_plain().exits(exit::HOLD);
    assert!(reasons(&report(&other)).contains("for other builds alone"));
    let real = report(&second_without_hold(&rollout));
    assert!(reasons(&real).contains("only rehearsed"), "{real}");

    let name = |end: &str| {
        let reports = rollout.reports();
        reports.iter().filter(|name| name.contains("-stage-1") && name.ends_with(end)).count()
    };
    assert_eq!((name(".md"), name(".html"), name(".json")), (4, 4, 4));
    let latest = ended(&rollout.path("stages/stage.json"));
    assert!(latest.contains("only rehearsed"), "the latest by a name that stays");
    assert_published(&serde_json::from_str(&latest).expect("JSON"));
}

#[test]
fn all_files_that_a_copied_rollout_lacks_are_told_at_once_with_their_lines() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let text = include_str!("../../../../scenarios/rollout.toml");
    std::fs::write(dir.path().join("rollout.toml"), text).expect("is written");
    let stage = || {
        let stage = Harness::new("stage").arg("0").arg("--rollout").arg("rollout.toml");
        stage.arg("--owner").arg("Ada").in_folder(dir.path())
    };
    let told = stage().ended_plain().exits(exit::INVALID_SCENARIO);
    for file in ["smoke.toml", "access-control.toml", "slow-consumer.toml", "SURFACES.md"] {
        let says = |line: &&str| !line.starts_with('#') && line.contains(file);
        let number = text.lines().position(|line| says(&line)).expect("it names it") + 1;
        let said = format!("rollout.toml:{number}: {file}");
        assert!(told.stderr.contains(&said), "no {said} in {}", told.stderr);
    }
    let said = "`khala-harness init --scenario access-control` writes";
    assert!(told.stderr.contains(said), "{}", told.stderr);
    assert!(told.stderr.contains("nothing was sent"), "{}", told.stderr);
}

/// Stage 1, not rehearsed, which is not opened by what was.
fn second_without_hold(rollout: &Rollout) -> Ended {
    let mut harness = Harness::new("stage").arg("1");
    let dirs = [("--rollout", "rollout.toml"), ("--stage-dir", "stages"), ("--out-dir", "runs")];
    for (flag, name) in dirs {
        harness = harness.arg(flag).arg(rollout.path(name).into_os_string());
    }
    let profile = "[target]\nkind = \"url\"\nurl = \"http://127.0.0.1:9\"\nexclusive = true\n[auth]\nmint = \"hs256\"\n\
                   secret = { env = \"RUNTIME_SYNC_TOKEN_SIGNING_KEY\" }\n";
    let canary = rollout.path("canary.toml");
    std::fs::write(&canary, profile).expect("can be written");
    let build = concat!("khala-harness reference ", env!("CARGO_PKG_VERSION"));
    let harness = harness.arg("--target").arg(canary.into_os_string()).arg("--build").arg(build);
    let harness = harness.env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", KEY);
    harness.arg("--owner").arg("Ada").arg("--json").ended_plain().exits(exit::HOLD)
}

#[test]
fn a_defect_is_a_no_go_with_blockers_and_a_plan_and_takes_an_earlier_go_back() {
    let rollout = Rollout::new();
    let broken =
        rollout.stage("0").arg("--defect").arg("drop_nth").ended_plain().exits(exit::NO_GO);
    let broken = report(&broken);
    let blockers = broken["blockers"].as_array().expect("blockers");
    assert!(
        blockers.iter().any(|it| it["metric"]
            .as_str()
            .is_some_and(|it| it.contains("violations") || it.contains("gap"))),
        "{blockers:?}"
    );
    assert_eq!(broken["plan"].as_array().map(Vec::len), Some(4));
    let steps = broken["steps"].as_array().expect("steps");
    let hold = steps.iter().find(|step| step["step"] == "hold").expect("the hold");
    assert_eq!(hold["tries"], 0, "no more load is sent");
    let after = rollout.stage("1").ended_plain().exits(exit::HOLD);
    assert!(reasons(&report(&after)).contains("is NO-GO"));
}

#[test]
fn a_precondition_that_does_not_hold_keeps_load_away() {
    let rollout = Rollout::new();
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    let failed = report(&rollout.stage("0").ended_plain().exits(exit::NO_GO));
    let steps = failed["steps"].as_array().expect("steps");
    let command = steps[1]["command"].as_str().expect("the command is kept");
    assert!(command.contains("exit code 1") && command.contains("stdout: fine"), "{command}");
    assert!(!rollout.path("runs").exists(), "nothing was sent");
}

#[test]
fn a_target_that_is_gone_or_says_no_build_is_a_hold() {
    let rollout = Rollout::with("target = \"http://127.0.0.1:9\"\nbuild_samples = 2");
    let gone = report(&rollout.stage("0").ended_plain().exits(exit::HOLD));
    assert!(reasons(&gone).contains("nobody said which build"), "{gone}");
    let gone = rollout.stage("0").arg("--build").arg("7").ended_plain().exits(exit::HOLD);
    assert!(reasons(&report(&gone)).contains("the build is to be `7`"), "{}", gone.stdout);
}

/// Somebody pasted the command without its variables.
#[test]
fn a_build_without_a_canary_is_a_hold_and_a_stage_without_either_is_told_as_a_rehearsal() {
    let rollout = Rollout::with("target = \"${CANARY_OF_A_TEST:-}\"");
    let lost = rollout.stage("0").arg("--build").arg("r-118").ended_plain().exits(exit::HOLD);
    assert!(lost.stderr.contains("REHEARSAL: the rollout file names no target"), "{}", lost.stderr);
    let told = report(&lost);
    assert!(reasons(&told).contains("the build is to be `r-118`"), "{told}");
    let next = told["reasons"][0]["next"].as_str().expect("what to do");
    assert!(next.contains("no canary was named"), "{next}");
    assert!(!rollout.path("runs").exists(), "no load was sent");
}

#[test]
fn what_to_type_next_has_the_variables_that_the_rollout_file_reads() {
    let rollout = Rollout::with("target = \"${CANARY_OF_A_TEST:-}\"\nbuild_samples = 2");
    let stage = rollout.stage("0").env("CANARY_OF_A_TEST", "http://127.0.0.1:9");
    let told = report(&stage.arg("--build").arg("7").ended_plain().exits(exit::HOLD));
    assert_eq!(told["begun"]["variables"]["CANARY_OF_A_TEST"], "http://127.0.0.1:9");
    let secrets = told["begun"]["secrets"].to_string();
    assert!(secrets.contains("RUNTIME_ADMIN_TOKEN"), "{secrets}");
    let page = rollout.reports().into_iter().find(|name| name.ends_with(".md")).expect("a report");
    let page = ended(&rollout.path("stages").join(page));
    assert!(
        page.contains(
            "CANARY_OF_A_TEST='http://127.0.0.1:9' khala-harness stage 0 --owner NAME --rollout "
        ),
        "{page}"
    );
    assert!(page.contains("set as they were (secrets, told nowhere)"), "{page}");
}

#[test]
fn a_journal_that_was_cut_or_changed_is_a_hold_and_decides_nothing() {
    let rollout = Rollout::new();
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    rollout.stage("0").ended_plain().exits(exit::NO_GO);
    let path = rollout.path("stages/journal.ndjson");
    let whole = ended(&path);
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    for cut in [lines[..lines.len() - 1].concat(), lines[1..].concat(), String::new()] {
        std::fs::write(&path, cut).expect("can be written");
        let damaged = rollout.stage("1").ended_plain().exits(exit::HOLD);
        assert!(damaged.stderr.contains("no stage is a GO by it"), "{}", damaged.stderr);
    }
    // A line that was being written when its process was killed is none.
    std::fs::write(&path, format!("{whole}{{\"format\":1,")).expect("can be written");
    let next = rollout.stage("1").ended_plain().exits(exit::HOLD);
    assert!(reasons(&report(&next)).contains("is NO-GO"), "{}", next.stdout);
}

#[test]
fn a_journal_that_is_a_link_is_not_opened() {
    let rollout = Rollout::new();
    std::fs::create_dir(rollout.path("stages")).expect("is made");
    let theirs = rollout.path("theirs");
    std::fs::write(&theirs, "{\"theirs\":1").expect("can be written");
    let link = rollout.path("stages/journal.ndjson");
    std::os::unix::fs::symlink(&theirs, link).expect("can be linked");
    let refused = rollout.stage("0").ended_plain().exits(exit::SETUP).stderr;
    assert!(refused.contains("journal.ndjson is a symbolic link to "), "{refused}");
    assert_eq!(ended(&theirs), "{\"theirs\":1", "it was neither written nor cut");
}

#[test]
fn a_stage_that_was_killed_goes_on_where_it_was() {
    let rollout = Rollout::new();
    let killed = rollout.stage("0").start_plain();
    eventually("the hold's run", || {
        let bundles = rollout.entries("step_bundle");
        bundles.into_iter().find(|entry| entry["step"] == "hold")
    });
    std::thread::sleep(Duration::from_millis(1_500));
    killed.signal(Signal::KILL);
    killed.ended();

    let resumed = report(&rollout.stage("0").arg("--resume").ended_plain().exits(exit::GO));
    let begun = rollout.entries("step_begun");
    let of = |step: &str| begun.iter().filter(|entry| entry["step"] == step).count();
    assert_eq!((of("builds before"), of("scenario held")), (1, 1));
    let ended = rollout.entries("step_ended");
    let steps = resumed["steps"].as_array().expect("steps").len();
    assert_eq!(ended.len(), steps, "each step ends once");
    assert_eq!(resumed["gaps_s"].as_array().map(Vec::len), Some(1));
    let segments = resumed["hold"]["segments"].as_array().expect("segments");
    assert!(segments.len() >= 2 && segments.len() == of("hold"), "{segments:?}");
    let finished = |segment: Option<&Value>| segment.map(|it| it["finished"].clone());
    assert_eq!(finished(segments.first()), Some(false.into()), "the one that was killed");
    assert_eq!(finished(segments.last()), Some(true.into()));
    let again = rollout.stage("0").arg("--resume").ended_plain().exits(exit::USAGE);
    assert!(again.stderr.contains("was decided: GO"), "{}", again.stderr);
}

#[test]
fn a_target_that_dies_in_a_hold_is_a_no_go_at_once() {
    let by_hand = reference_by_hand();
    let rollout = Rollout::of(&by_hand, "echo 7");
    let held = rollout.held_for("0", "60s").start_plain();
    let bundle = eventually("the hold's run", || {
        let bundles = rollout.entries("step_bundle");
        bundles.into_iter().find(|entry| entry["step"] == "hold")
    });
    let journal = Path::new(bundle["bundle"].as_str().expect("a folder")).join("events.ndjson");
    eventually("the hold", || {
        let events = std::fs::read_to_string(&journal).unwrap_or_default();
        events.contains("\"phase\":\"hold\"").then_some(())
    });
    std::thread::sleep(Duration::from_secs(2));
    drop(by_hand);
    let dead = report(&held.ended().exits(exit::NO_GO));
    let observed = dead["hold"]["observed_s"].as_f64().expect("a time");
    assert!(observed < 45.0, "it was not held to its end: {observed}");
    assert!(reasons(&dead).contains("nobody had a socket"), "{}", reasons(&dead));
    let blockers = dead["blockers"].as_array().expect("blockers");
    let objective = |blocker: &Value| blocker["objective"].as_str().map(str::to_owned);
    assert!(
        blockers.iter().filter_map(objective).any(|it| it == "stability / absence"),
        "{blockers:?}"
    );
}

#[test]
fn a_canary_of_which_half_is_the_old_build_is_a_hold_with_the_shares() {
    let by_hand = reference_by_hand();
    let rollout = Rollout::of(
        &by_hand,
        "if rmdir turn 2>/dev/null; then echo 7; else mkdir turn; echo 6; fi",
    );
    let mixed = rollout.stage("0").in_folder(&rollout.path("")).ended_plain().exits(exit::HOLD);
    let told = reasons(&report(&mixed));
    assert!(told.contains("`6` 50 % (2 of 4), `7` 50 % (2 of 4)"), "{told}");
    assert!(!rollout.path("runs").exists(), "nothing was sent");
}

#[test]
fn a_scenario_that_is_run_elsewhere_than_on_the_canary_is_refused() {
    let (by_hand, other) = (reference_by_hand(), reference_by_hand());
    let url = other.url.as_str();
    for set in
        [format!("target.url=\\\"{url}\\\""), "target.headers.x-route=\\\"stable\\\"".to_owned()]
    {
        let rollout = Rollout::of(&by_hand, "echo 7");
        let path = rollout.path("rollout.toml");
        let text = std::fs::read_to_string(&path).expect("is there");
        let line = "file = \"held.toml\"\n";
        let text = text.replacen(line, &format!("{line}set = [\"{set}\"]\n"), 1);
        std::fs::write(&path, text).expect("is written");
        let refused = rollout.stage("0").ended_plain().exits(exit::INVALID_SCENARIO);
        assert!(
            refused.stderr.contains("is run elsewhere than on the stage's target"),
            "{}",
            refused.stderr
        );
        assert!(!rollout.path("stages").exists(), "nothing was begun");
    }
}

/// A balancer before a runtime: answers to requests name the build, and one of so many of those to upgrades does.
fn balancer(by_hand: &ByHand, one_of: usize) -> Server {
    let to = by_hand.url.trim_start_matches("http://").to_owned();
    let upgrades = AtomicUsize::new(0);
    Server::start(move |mut near| {
        let mut far = TcpStream::connect(&to).expect("the runtime is there");
        let (mut asked, mut passed) =
            (near.try_clone().expect("a handle"), far.try_clone().expect("a handle"));
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut asked, &mut passed);
            let _ = passed.shutdown(Shutdown::Write);
        });
        let mut part = [0; 64 << 10];
        while let Ok(count @ 1..) = far.read(&mut part) {
            let mut answer = part[..count].to_vec();
            let is_named = match &answer[..] {
                [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', b'1', b'0', b'1', ..] => {
                    upgrades.fetch_add(1, Ordering::SeqCst).is_multiple_of(one_of)
                }
                head => head.starts_with(b"HTTP/1.1 "),
            };
            if is_named && let Some(at) = answer.iter().position(|&byte| byte == b'\n') {
                answer.splice(at + 1..at + 1, *b"x-build: 7\r\n");
            }
            if near.write_all(&answer).is_err() {
                break;
            }
        }
        let _ = near.shutdown(Shutdown::Write);
    })
}

#[test]
fn a_canary_of_which_half_of_the_sockets_name_no_build_is_a_hold_with_the_shares() {
    let by_hand = reference_by_hand();
    for (one_of, is_mixed) in [(1, false), (2, true)] {
        let balancer = balancer(&by_hand, one_of);
        let rollout = Rollout::by_url(&balancer.url, "build_header = \"x-build\"");
        let stage = report(&rollout.stage("0").ended_plain());
        let told = reasons(&stage);
        let mixed = told.lines().find(|line| line.contains("the sockets are to be of build `7`"));
        assert_eq!(mixed.is_some(), is_mixed, "{told}");
        assert!(mixed.is_none_or(|line| line.contains("no header")), "{told}");
        let runs = stage["runs"].as_array().expect("runs");
        assert!(runs.len() >= 2, "a scenario and the hold: {told}");
        for run in runs {
            let sockets = &run["sockets"];
            assert_eq!((&sockets["asked"], &run["build"]), (&"7".into(), &"7".into()), "{run}");
            assert!(sockets["named"]["7"].as_u64() > Some(0), "{run}");
            assert_eq!(sockets["unnamed"].as_u64() > Some(0), is_mixed, "{run}");
        }
        assert!(
            stage["builds"].as_str().is_some_and(|it| it.contains("to upgrades `7`")),
            "{stage}"
        );
    }
}

#[test]
fn what_is_typed_wrong_is_told() {
    let rollout = Rollout::new();
    let typo = rollout.stage("7").ended_plain().exits(exit::USAGE);
    assert!(typo.stderr.contains("there is no stage `7`"), "{}", typo.stderr);
    let path = rollout.path("rollout.toml");
    let text = ended(&path).replace("name = \"tests\"", "nane = \"tests\"");
    std::fs::write(&path, text).expect("can be written");
    let wrong = rollout.stage("0").ended_plain().exits(exit::INVALID_SCENARIO);
    assert!(wrong.stderr.contains("did you mean `name`?"), "{}", wrong.stderr);
    let nothing = Harness::new("stage").arg("0").ended_plain().exits(exit::USAGE);
    assert!(nothing.stderr.contains("--owner"), "{}", nothing.stderr);
}
