//! What vouches for an attempt of a stage, and who is told of its decision.

use std::path::{Path, PathBuf};

use crate::support::by_hand::reference_by_hand;
use crate::support::keys::Keys;
use crate::support::rollout::{Rollout, reasons, report};
use crate::support::servers::{self, Server};
use crate::support::{Ended, Harness, exit, read_folder};
use khala_stage::journal::sha256;
use serde_json::{Value, json};

fn verify(at: &Path, keys: Option<&Keys>) -> Ended {
    let verify = Harness::new("verify").arg(at);
    let key = |verify: Harness, keys: &Keys| verify.arg("--public-key").arg(keys.public());
    match keys {
        Some(keys) => key(verify, keys),
        None => verify,
    }
    .ended_plain()
}

/// Whether a line of what was found begins with a file's name.
fn names(found: &Ended, name: &str) -> bool {
    found.stdout.lines().any(|line| line.starts_with(name))
}

/// The one file of the folder of stages whose name ends so.
fn the(rollout: &Rollout, end: &str) -> PathBuf {
    let mut files = rollout.reports();
    files.retain(|name| name.ends_with(end));
    let [name] = &files[..] else { panic!("one {end}: {files:?}") };
    rollout.path("stages").join(name)
}

fn json_of(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).expect("is there")).expect("JSON")
}

/// Each way to flip a byte of a file: the first, the last, and one between; of an empty file, one more.
fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    [0, bytes.len() / 2, bytes.len().saturating_sub(1)].into_iter().map(|at| {
        let mut flipped = bytes.to_vec();
        match flipped.get_mut(at) {
            Some(byte) => *byte ^= 1,
            None => flipped.push(0),
        }
        flipped
    })
}

#[test]
fn one_flipped_byte_in_any_file_of_a_stage_is_named() {
    let keys = Keys::new();
    let by_hand = reference_by_hand();
    let rollout = Rollout::of(&by_hand, "echo 7");
    let stage = rollout.stage("0").arg("--sign-key").arg(keys.secret()).arg("--statement");
    stage.ended_plain().exits(exit::GO);
    let dir = rollout.path("stages");
    let whole = verify(&dir, Some(&keys)).exits(exit::GO);
    assert!(
        whole.stdout.contains("the last decision, as the journal has it: GO"),
        "{}",
        whole.stdout
    );
    let attempt = the(&rollout, "-stage-0.manifest.json");
    verify(&attempt, Some(&keys)).exits(exit::GO);

    let files = read_folder(&dir);
    for end in [
        "journal.ndjson",
        "journal.head",
        "builds-1.ndjson",
        "builds-1.head",
        "-stage-0.md",
        "-stage-0.html",
        "-stage-0.json",
        "-stage-0.manifest.json",
        "-stage-0.manifest.json.minisig",
        "-stage-0.statement.json",
        "-stage-0.statement.json.minisig",
        "stage.json",
    ] {
        assert!(files.keys().any(|name| name.ends_with(end)), "no {end}: {:?}", files.keys());
    }
    for (name, bytes) in &files {
        let file = dir.join(name);
        for flipped in flipped(bytes) {
            std::fs::write(&file, flipped).expect("is written");
            let found = verify(&dir, Some(&keys)).exits(exit::HOLD);
            assert!(names(&found, name), "{name}: {}", found.stdout);
        }
        // Whose a signature should be is what the key says; all else is found without one.
        if !name.ends_with(".minisig") {
            let found = verify(&dir, None).exits(exit::HOLD);
            assert!(names(&found, name), "{name}, without a key: {}", found.stdout);
        }
        std::fs::write(&file, bytes).expect("is written");
    }
    // The evidence of its runs, which are signed as well.
    let runs: Vec<PathBuf> =
        json_of(&attempt)["runs"].as_object().expect("runs").keys().map(PathBuf::from).collect();
    assert_eq!(runs.len(), 2, "a scenario and the hold: {runs:?}");
    for run in &runs {
        verify(run, Some(&keys)).exits(exit::GO);
        for name in ["manifest.json", "manifest.json.minisig", "summary.md", "statement.json"] {
            let bytes = std::fs::read(run.join(name)).expect("is there");
            let mut other = bytes.clone();
            other[bytes.len() / 2] ^= 1;
            std::fs::write(run.join(name), other).expect("is written");
            for at in [&dir, &attempt] {
                let found = verify(at, Some(&keys)).exits(exit::HOLD);
                let named = format!("{}: {name}", run.display());
                assert!(names(&found, &named), "{named}: {}", found.stdout);
            }
            std::fs::write(run.join(name), bytes).expect("is written");
        }
    }
    let away = runs[0].with_extension("away");
    std::fs::rename(&runs[0], &away).expect("is moved");
    let found = verify(&dir, Some(&keys)).exits(exit::HOLD);
    assert!(names(&found, &format!("{} is missing", runs[0].display())), "{}", found.stdout);
    std::fs::rename(&away, &runs[0]).expect("is moved");
    for name in files.keys() {
        let file = dir.join(name);
        std::fs::remove_file(&file).expect("is removed");
        let found = verify(&dir, Some(&keys)).exits(exit::HOLD);
        assert!(names(&found, name), "{name} is gone: {}", found.stdout);
        std::fs::write(&file, &files[name]).expect("is written");
    }
    verify(&dir, Some(&keys)).exits(exit::GO);

    // A rehearsal says nothing of a build, and is told as one.
    let told = json_of(&the(&rollout, "-stage-0.statement.json"));
    assert_eq!(told["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(told["predicateType"], "https://in-toto.io/attestation/test-result/v0.1");
    assert_eq!(told["predicate"]["result"], "PASSED");
    assert_eq!(told["subject"].as_array().map(Vec::len), Some(1), "{told}");
    assert_eq!(told["subject"][0]["annotations"]["rehearsal"], "true");
    let passed = told["predicate"]["passedTests"].as_array().expect("a list");
    for step in ["builds before", "scenario held", "hold", "builds after"] {
        assert!(passed.contains(&json!(step)), "{step}: {passed:?}");
    }
}

/// Writes the journal of a folder of stages anew, with its head, as whoever edits it would.
fn rewritten(rollout: &Rollout, edit: impl Fn(&mut Value)) {
    let (mut text, mut last, mut lines) = (String::new(), String::new(), 0_u64);
    for mut line in rollout.journal() {
        edit(&mut line["entry"]);
        line["prev"] = last.into();
        let line = line.to_string();
        last = sha256(line.as_bytes());
        text += &(line + "\n");
        lines += 1;
    }
    let dir = rollout.path("stages");
    std::fs::write(dir.join("journal.ndjson"), text).expect("is written");
    let head = format!("{{\"lines\":{lines},\"sha256\":\"{last}\"}}");
    std::fs::write(dir.join("journal.head"), head).expect("is written");
}

#[test]
fn a_decision_that_was_edited_is_noticed_although_everything_around_it_was_made_anew() {
    let rollout = Rollout::new();
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    rollout.stage("0").arg("--statement").ended_plain().exits(exit::NO_GO);
    let dir = rollout.path("stages");
    verify(&dir, None).exits(exit::GO);
    // The report, every copy of it, and the journal that has its digest say GO; there is no seal any more.
    let mut report = json_of(&the(&rollout, "-stage-0.json"));
    (report["decision"], report["reasons"]) = ("GO".into(), json!([]));
    let report = serde_json::to_string_pretty(&report).expect("JSON") + "\n";
    for file in [the(&rollout, "-stage-0.json"), dir.join("stage.json")] {
        std::fs::write(file, &report).expect("is written");
    }
    for end in [".manifest.json", ".statement.json"] {
        std::fs::remove_file(the(&rollout, end)).expect("is removed");
    }
    rewritten(&rollout, |entry| {
        if entry["ended"].is_object() {
            let decided = &mut entry["ended"]["decided"];
            (decided["decision"], decided["reasons"]) = ("GO".into(), json!([]));
            entry["ended"]["report_sha256"] = sha256(report.as_bytes()).into();
        }
    });
    let found = verify(&dir, None).exits(exit::HOLD);
    let told =
        "attempt 1 (stage 0): it is GO, and what lies there makes it NO-GO: precondition says";
    assert!(names(&found, told), "{}", found.stdout);
    // Nor does anybody vouch for it.
    let sealed = Harness::new("seal").arg(&dir).arg("--statement").ended_plain().exits(exit::HOLD);
    assert!(sealed.stdout.contains("nothing was sealed"), "{}", sealed.stdout);
    // What people read is what its lines give.
    let html = the(&rollout, "-stage-0.html");
    assert!(
        names(
            &found,
            &format!("{} is not what was written", html.file_name().expect("a name").display())
        ),
        "{}",
        found.stdout
    );
    // With its step to match, the step is held against the command that it ran; with the rollout file, against its digest.
    rewritten(&rollout, |entry| {
        if entry["step_ended"]["step"] == "precondition says" {
            entry["step_ended"]["result"]["verdict"] = "PASS".into();
        }
        if entry["begun"].is_object() {
            let text = entry["begun"]["asked_by"]["text"].as_str().expect("the rollout file");
            entry["begun"]["asked_by"]["text"] = text.replace("must_apply", "# must_apply").into();
        }
    });
    let found = verify(&dir, None).exits(exit::HOLD);
    assert!(found.stdout.contains("not the one whose digest it has"), "{}", found.stdout);
}

#[test]
fn what_a_journal_says_of_runs_is_held_against_their_evidence_as_far_as_it_is_there() {
    let rollout = Rollout::new();
    rollout.stage("0").ended_plain().exits(exit::GO);
    let dir = rollout.path("stages");
    let whole = verify(&dir, None).exits(exit::GO);
    assert!(!whole.stdout.contains("drawn"), "all of it is: {}", whole.stdout);
    let files = read_folder(&dir);
    let edited = |step: &str, edit: &dyn Fn(&mut Value), told: &str| {
        rewritten(&rollout, |entry| {
            if entry["step_ended"]["step"] == step {
                edit(&mut entry["step_ended"]["result"]);
            }
        });
        let found = verify(&dir, None).exits(exit::HOLD);
        assert!(found.stdout.contains(told), "{told}: {}", found.stdout);
        for (name, bytes) in &files {
            std::fs::write(dir.join(name), bytes).expect("is written");
        }
    };
    let more = |result: &mut Value| result["run"]["deliveries"] = 1_000_000.into();
    edited("scenario held", &more, "scenario held is told otherwise than");
    let longer = |result: &mut Value| result["hold"]["observed_s"] = 60.0.into();
    edited("hold", &longer, "is said to have been observed for 60.0 s");
    let quieter = |result: &mut Value| {
        let line = &mut result["hold"]["windows"]["indicators"][4];
        assert_eq!(line["indicator"], "reconnects");
        line["windows"] = 1_000_000.into();
    };
    edited("hold", &quieter, "the windows of its hold are told otherwise");
    verify(&dir, None).exits(exit::GO);

    // What was pruned is believed, and that is said.
    let bundles = rollout.entries("step_bundle");
    let bundle = PathBuf::from(bundles[0]["bundle"].as_str().expect("a folder"));
    std::fs::remove_dir_all(&bundle).expect("can be removed");
    let pruned = verify(&dir, None).exits(exit::GO);
    let told = pruned.stdout.lines().find(|line| line.contains("no longer there"));
    assert!(
        told.is_some_and(|told| told.contains(&bundle.display().to_string())),
        "{}",
        pruned.stdout
    );
    // What an earlier build wrote has no rollout file.
    rewritten(&rollout, |entry| {
        if let Some(begun) = entry.get_mut("begun").and_then(Value::as_object_mut) {
            begun.remove("asked_by");
        }
    });
    let unknown = verify(&dir, None).exits(exit::GO);
    assert!(unknown.stdout.contains("its decision cannot be drawn again"), "{}", unknown.stdout);
}

#[test]
fn a_no_go_and_a_hold_of_a_stage_are_failed_and_nothing_of_them_is_warned() {
    let keys = Keys::new();
    let rollout = Rollout::new();
    let sealed = |stage: Harness| {
        stage.arg("--sign-key").arg(keys.secret()).arg("--statement").ended_plain()
    };
    let hold = report(&sealed(rollout.stage("1")).exits(exit::HOLD));
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    sealed(rollout.stage("0")).exits(exit::NO_GO);
    for (stage, decision, failed) in
        [("1", "HOLD", "stage: stage 0 was never attempted"), ("0", "NO-GO", "precondition says")]
    {
        let told = json_of(&the(&rollout, &format!("-stage-{stage}.statement.json")));
        let predicate = &told["predicate"];
        assert_eq!(
            (&predicate["result"], &predicate["warnedTests"]),
            (&"FAILED".into(), &json!([]))
        );
        let tests = predicate["failedTests"].as_array().expect("a list");
        let is_it = |test: &Value| test.as_str().is_some_and(|test| test.starts_with(failed));
        assert!(tests.iter().any(is_it), "{failed}: {tests:?}");
        assert_eq!(told["subject"][0]["annotations"]["decision"], decision);
    }
    assert!(reasons(&hold).contains("never attempted"));
    verify(&rollout.path("stages"), Some(&keys)).exits(exit::GO);
}

#[test]
fn an_attempt_that_nobody_signed_is_named_until_it_is_sealed() {
    let keys = Keys::new();
    let rollout = Rollout::new();
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    let dir = rollout.path("stages");
    rollout.stage("0").arg("--sign-key").arg(keys.secret()).ended_plain().exits(exit::NO_GO);
    rollout.stage("0").ended_plain().exits(exit::NO_GO);
    let unsigned = verify(&dir, Some(&keys)).exits(exit::HOLD);
    assert!(unsigned.stdout.contains("nobody signed attempt 2"), "{}", unsigned.stdout);
    assert!(!unsigned.stdout.contains("attempt 1"), "{}", unsigned.stdout);
    let noted = verify(&dir, None).exits(exit::GO);
    assert!(noted.stdout.contains("attempt 2 has no manifest"), "{}", noted.stdout);

    let seal = || Harness::new("seal").arg(&dir).arg("--sign-key").arg(keys.secret());
    seal().arg("--statement").ended_plain().exits(exit::GO);
    verify(&dir, Some(&keys)).exits(exit::GO);
    // What the next stage finds is what its folder should hold.
    rollout.stage("0").ended_plain().exits(exit::NO_GO);
    // One that was changed is not sealed.
    let report = the(&rollout, "-stage-0.md");
    let was = std::fs::read(&report).expect("is there");
    std::fs::write(&report, "mine").expect("is written");
    let refused = seal().ended_plain().exits(exit::HOLD);
    assert!(refused.stdout.contains("nothing was sealed"), "{}", refused.stdout);
    std::fs::write(&report, was).expect("is written");
    // By another key.
    let text = std::fs::read_to_string(keys.public()).expect("is there");
    let key = text.lines().nth(1).expect("a key");
    let other = key.replace(&key[10..14], "AAAA");
    Harness::new("verify").arg(&dir).arg("--public-key").arg(other).ended_plain().exits(exit::HOLD);
}

#[test]
fn what_lies_in_a_folder_of_stages_and_is_of_none_is_told() {
    let rollout = Rollout::new();
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    rollout.stage("0").ended_plain().exits(exit::NO_GO);
    let dir = rollout.path("stages");
    for (name, code) in [
        ("notes.txt", exit::GO),
        (".gitkeep", exit::GO),
        (".hidden", exit::HOLD),
        ("builds-9.ndjson", exit::HOLD),
        ("2026-11-30-stage-9.json.minisig", exit::HOLD),
        ("2026-11-30-stage-9.md", exit::HOLD),
        ("2026-11-30-stage-9.manifest.json", exit::HOLD),
    ] {
        std::fs::write(dir.join(name), "mine").expect("can be written");
        let found = verify(&dir, None).exits(code);
        assert_eq!(names(&found, name), name != ".gitkeep", "{name}: {}", found.stdout);
        std::fs::remove_file(dir.join(name)).expect("can be removed");
    }
    std::os::unix::fs::symlink("/etc/hostname", dir.join("link")).expect("is linked");
    assert!(names(&verify(&dir, None).exits(exit::HOLD), "link is a symbolic link"));
    // What is left where the journal is gone is still a folder of stages.
    std::fs::remove_file(dir.join("link")).expect("can be removed");
    std::fs::remove_file(dir.join("journal.ndjson")).expect("can be removed");
    assert!(names(&verify(&dir, None).exits(exit::HOLD), "journal.ndjson is missing"));
}

#[test]
fn a_key_that_cannot_be_used_begins_no_stage() {
    let keys = Keys::new();
    for (key, why) in
        [(keys.public(), "no secret key in minisign's format"), (keys.none(), "No such file")]
    {
        let rollout = Rollout::new();
        let stage = rollout.stage("0").arg("--sign-key").arg(&key).ended_plain().exits(exit::SETUP);
        assert!(stage.stderr.contains(why), "{}", stage.stderr);
        assert!(!rollout.path("stages").exists() && !rollout.path("runs").exists());
    }
}

#[test]
fn a_webhook_is_told_each_decision_of_a_stage_and_its_path_stays_secret() {
    let (server, kept) = servers::told("200 OK");
    let url = format!("{}/T0/hunter-2?key=hunter-2", server.url);
    let rollout = Rollout::new();
    let told = |stage: Harness, code: i32| {
        let stage = stage.arg("--webhook").arg(&url).ended_plain().exits(code);
        let mut kept = kept.lock().expect("nobody panics");
        let requests = std::mem::take(&mut *kept);
        let [request] = &requests[..] else { panic!("once: {requests:?}") };
        let (head, body) = request.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("POST /T0/hunter-2?key=hunter-2 HTTP/1.1"), "{head}");
        let (told, report): (Value, Value) =
            (serde_json::from_str(body).expect("JSON"), report(&stage));
        assert_eq!((&told["event"], &told["version"]), (&"stage_decision".into(), &1.into()));
        assert_eq!((&told["decision"], &told["exit_code"]), (&report["decision"], &code.into()));
        assert_eq!(told["decided_at"], report["decided_at"]);
        for key in ["stage", "attempt", "owner", "build", "target"] {
            assert_eq!(told[key], report["begun"][key], "{key}");
        }
        assert_eq!(told["rehearsal"], true);
        let path = PathBuf::from(told["report"].as_str().expect("a path"));
        assert_eq!(json_of(&path), report);
        assert!(told["report_sha256"].as_str().is_some_and(|it| it.len() == 64), "{told}");
        assert!(head.contains(&format!("(stage {})", told["stage"].as_str().expect("an id"))));
        told
    };
    let hold = told(rollout.stage("1"), exit::HOLD);
    let said = hold["text"].as_str().expect("a line");
    assert!(said.starts_with("HOLD") && said.contains("never attempted"), "{said}");
    let go = told(rollout.stage("0"), exit::GO);
    assert_eq!((&go["next_stage"], &go["reasons"]), (&"1".into(), &json!([])));
    std::fs::write(rollout.path("broken"), "").expect("can be written");
    let no_go = told(rollout.stage("0"), exit::NO_GO);
    assert!(no_go["reasons"][0].as_str().is_some_and(|it| it.contains("says")), "{no_go}");
    for folder in ["stages", "runs"] {
        for (name, bytes) in read_folder(&rollout.path(folder)) {
            assert!(!bytes.windows(8).any(|window| window == b"hunter-2"), "{folder}: {name}");
        }
    }
}

#[test]
fn a_webhook_that_is_not_told_changes_no_decision_and_is_waited_for_within_bounds() {
    let (refuses, _) = servers::told("500 Internal Server Error");
    let silent = Server::silent();
    let whys = [
        (refuses.url.clone(), "500"),
        (servers::nobody(), "refused"),
        (silent.url.clone(), "timeout"),
    ];
    let begun = whys.map(|(url, why)| {
        let rollout = Rollout::new();
        std::fs::write(rollout.path("broken"), "").expect("can be written");
        let url = format!("{url}/hunter-2");
        let stage = rollout.stage("0").env("KHALA_HARNESS_WEBHOOK", &url).start_plain();
        (rollout, stage, why)
    });
    for (rollout, stage, why) in begun {
        let stage = stage.ended().exits(exit::NO_GO);
        let said = stage.stderr.lines().find(|line| line.contains("webhook")).expect("it is said");
        assert!(said.contains(why) && said.contains("the decision stands"), "{said}");
        assert!(!stage.stderr.contains("hunter-2"), "{}", stage.stderr);
        assert_eq!(report(&stage)["decision"], "NO-GO");
        let ended = rollout.entries("ended");
        assert_eq!(ended[0]["decided"]["decision"], "NO-GO", "{ended:?}");
    }
    // Where it may not be told, that is said before anything is asked.
    let rollout = Rollout::new();
    let far = rollout.stage("0").arg("--webhook").arg("https://hooks.example.com/hunter-2");
    let far = far.ended_plain().exits(exit::SETUP);
    assert!(far.stderr.contains("no entry of an allow file"), "{}", far.stderr);
    assert!(!far.stderr.contains("hunter-2") && !rollout.path("stages").exists());
}
