//! No secret is in what a stage keeps and says: its journal, reports, seal, runs, and what it tells a webhook.

use crate::support::by_hand::reference_opened_by;
use crate::support::indiscreet::{ADMIN, KEY, TELLS_ALL, indiscreet_webhook, opened};
use crate::support::keys::Keys;
use crate::support::rollout::Rollout;
use crate::support::search::Search;
use crate::support::{Harness, exit, read_folder};

/// A rollout file that reads secrets into its commands, with a precondition that tells all it knows and goes well or ill.
fn indiscreet_rollout(url: &str, exit: u8) -> Rollout {
    // Where the script is no string of TOML's, the shell has to read it from a file.
    let rollout =
        Rollout::by_url(url, "build_command = [\"sh\", \"-c\", \"sh tells >&2; echo 7\"]");
    std::fs::write(rollout.path("tells"), format!("{TELLS_ALL}\n")).expect("can be written");
    let path = rollout.path("rollout.toml");
    let text = std::fs::read_to_string(&path).expect("is there").replace(
        "command = [\"sh\", \"-c\", \"echo fine; test ! -e broken\"]",
        &format!(
            "command = [\"sh\", \"-c\", \"echo $0 $1 said; sh tells; exit {exit}\", \"${{AWKWARD_TOKEN}}\", \
             \"--key=${{MY_TOKEN}}\"]"
        ),
    );
    assert!(text.contains("AWKWARD_TOKEN"), "{text}");
    std::fs::write(path, text).expect("can be written");
    rollout
}

#[test]
fn no_secret_is_in_the_journal_the_reports_or_the_seal_of_a_stage() {
    let target = reference_opened_by(KEY, ADMIN);
    let keys = Keys::new();
    let (_server, webhook) = indiscreet_webhook();
    let mut search = Search(0);
    for (code, allowed) in [(0, true), (1, true), (0, false)] {
        let rollout = indiscreet_rollout(&target.url, code);
        let stage =
            Harness::new("stage").arg("0").arg("--owner").arg("Ada").arg("--hold").arg("2s");
        let dirs =
            [("--rollout", "rollout.toml"), ("--stage-dir", "stages"), ("--out-dir", "runs")];
        let stage = dirs.iter().fold(stage, |stage, (flag, name)| {
            stage.arg(*flag).arg(rollout.path(name).into_os_string())
        });
        let stage = opened(stage, "").arg("--sign-key").arg(keys.secret()).arg("--statement");
        let stage = if allowed { stage.arg("--allow-hooks") } else { stage };
        let stage = stage.in_folder(&rollout.path("")).env("KHALA_HARNESS_WEBHOOK", &webhook);
        let ended = stage.ended_plain();
        search.of(&format!("stage, {code}"), &ended);
        if !allowed {
            assert_ne!(ended.code, Some(exit::GO), "{}", ended.stderr);
            continue;
        }
        assert_eq!(
            ended.code,
            Some(if code == 0 { exit::GO } else { exit::NO_GO }),
            "{}",
            ended.stderr
        );
        let files = read_folder(&rollout.path("stages"));
        for end in
            ["journal.ndjson", ".md", ".html", "stage.json", ".manifest.json", ".statement.json"]
        {
            assert!(files.keys().any(|name| name.ends_with(end)), "no {end}: {:?}", files.keys());
        }
        let journal = String::from_utf8_lossy(&files["journal.ndjson"]);
        assert!(
            journal.contains("[redacted]") && journal.contains("--key=[redacted]"),
            "{journal}"
        );
        assert!(ended.stderr.contains("the webhook at http://127.0.0.1"), "{}", ended.stderr);
        for (name, bytes) in files {
            search.in_bytes(&format!("stage: {name}"), &bytes);
        }
        if rollout.path("runs").exists() {
            for (name, bytes) in read_folder(&rollout.path("runs")) {
                search.in_bytes(&format!("runs: {name}"), &bytes);
            }
        }
        let verify =
            Harness::new("verify").arg(rollout.path("stages").into_os_string()).arg("--json");
        search.of("verify", &opened(verify, "").ended_plain().exits(exit::GO));
    }
    // A rollout file's commands, without the leave of commands, and a command without a word.
    for words in ["\"${AWKWARD_TOKEN}\", \"${MY_TOKEN}\"", "\"${AWKWARD_TOKEN}\", \"\""] {
        let rollout = Rollout::new();
        let path = rollout.path("rollout.toml");
        let text = std::fs::read_to_string(&path).expect("is there");
        let text = text.replace("\"sh\", \"-c\", \"echo fine; test ! -e broken\"", words);
        std::fs::write(path, text).expect("can be written");
        let stage = Harness::new("stage").arg("0").arg("--owner").arg("Ada");
        let stage = stage.arg("--rollout").arg(rollout.path("rollout.toml").into_os_string());
        let stage = stage.arg("--stage-dir").arg(rollout.path("stages").into_os_string());
        let ended = opened(stage, "").ended_plain().exits(exit::HOLD);
        assert!(ended.stderr.contains("[redacted]"), "{}", ended.stderr);
        search.of("a stage that runs no command", &ended);
        for (name, bytes) in read_folder(&rollout.path("stages")) {
            search.in_bytes(&format!("a stage that runs no command: {name}"), &bytes);
        }
    }
    assert!(search.0 > 50, "{} texts were looked at", search.0);
}

/// The key of a canary is what a command tells, and the rollout file's own command prints it before anything else of the
/// stage has asked for it.
#[test]
fn no_secret_that_a_command_tells_is_in_what_is_kept_of_a_stage() {
    const OTHER: &str = "canary-7f3a-key-of-a-keyring-0123456789";
    let target = reference_opened_by(OTHER, ADMIN);
    let rollout = Rollout::by_url(&target.url, "build_command = [\"sh\", \"-c\", \"echo 7\"]");
    let kept = rollout.path("kept");
    std::fs::write(&kept, format!("{OTHER}\n")).expect("is written");
    let change = |name: &str, from: &str, to: &str| {
        let path = rollout.path(name);
        let text = std::fs::read_to_string(&path).expect("is there");
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(path, text.replace(from, to)).expect("is written");
    };
    change(
        "canary.toml",
        "{ env = \"RUNTIME_SYNC_TOKEN_SIGNING_KEY\" }",
        &format!("{{ command = [\"cat\", {kept:?}] }}"),
    );
    let words = format!("\"cat {}; echo $0\", \"--key={OTHER}\"", kept.display());
    change("rollout.toml", "\"echo fine; test ! -e broken\"", &words);
    let stage = Harness::new("stage").arg("0").arg("--owner").arg("Ada").arg("--hold").arg("2s");
    let dirs = [("--rollout", "rollout.toml"), ("--stage-dir", "stages"), ("--out-dir", "runs")];
    let stage = dirs.iter().fold(stage, |stage, (flag, name)| {
        stage.arg(*flag).arg(rollout.path(name).into_os_string())
    });
    let (_server, webhook) = indiscreet_webhook();
    let stage = stage.env("RUNTIME_ADMIN_TOKEN", ADMIN).env("KHALA_LOG", "trace");
    let stage = stage.env("KHALA_HARNESS_WEBHOOK", &webhook);
    let ended = stage.arg("--allow-hooks").in_folder(&rollout.path("")).ended_plain();
    assert_eq!(ended.code, Some(exit::GO), "{}", ended.stderr);
    let mut search = Search(0);
    search.of("stage", &ended);
    let files = read_folder(&rollout.path("stages"));
    let journal = String::from_utf8_lossy(&files["journal.ndjson"]).into_owned();
    assert!(journal.contains("[redacted]\\n--key=[redacted]"), "{journal}");
    for (name, bytes) in files {
        search.in_bytes(&format!("stage: {name}"), &bytes);
    }
    for (name, bytes) in read_folder(&rollout.path("runs")) {
        search.in_bytes(&format!("runs: {name}"), &bytes);
    }
    assert!(search.0 > 20, "{} texts were looked at", search.0);
}
