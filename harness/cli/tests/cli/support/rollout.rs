//! A rollout of its own for a test, in a folder of its own.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;
use tempfile::TempDir;

use super::by_hand::{ADMIN, ByHand, KEY};
use super::{Ended, Harness, scenario};

/// A rollout of three stages; each is held for as long as `--hold` says.
pub struct Rollout(TempDir);

impl Rollout {
    pub fn new() -> Self {
        Self::with("")
    }

    /// The same, with more keys of the canary.
    pub fn with(canary: &str) -> Self {
        let dir = TempDir::new().expect("a folder");
        // Of its own, so that a test may change it.
        let held = "held.toml";
        std::fs::copy(scenario(held), dir.path().join(held)).expect("can be copied");
        let stage = |id: &str| {
            format!(
                "[[stage]]\nid = \"{id}\"\nname = \"Stage {id}\"\nclients = 8\nmust_apply = [\"ux\"]\n[[stage.scenario]]\n\
                 file = {held:?}\n[stage.hold]\nscenario = {held:?}\nduration = \"60m\"\nmust_apply = \
                 [\"reconnects\"]\n"
            )
        };
        let text = format!(
            "version = 1\nname = \"tests\"\n[canary]\n{canary}\n[[precondition]]\nname = \"says\"\ncheck = \
             \"command\"\ncommand = [\"sh\", \"-c\", \"echo fine; test ! -e broken\"]\n{}{}{}",
            stage("0"),
            stage("1"),
            stage("2")
        );
        std::fs::write(dir.path().join("rollout.toml"), text).expect("can be written");
        Self(dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// One whose canary is a runtime that was started by hand, and that says its build by a command.
    pub fn of(by_hand: &ByHand, build_command: &str) -> Self {
        let build = format!("build_command = [\"sh\", \"-c\", {build_command:?}]");
        Self::by_url(&by_hand.url, &build)
    }

    /// One whose canary is at a URL, and says its build as this key of its profile has it.
    pub fn by_url(url: &str, build: &str) -> Self {
        let rollout = Self::with("target = \"canary.toml\"\nbuild = \"7\"\nbuild_samples = 4");
        let profile = format!(
            "[target]\nkind = \"url\"\nurl = \"{url}\"\nexclusive = true\n{build}\n[auth]\nmint = \"hs256\"\n\
             secret = {{ env = \"RUNTIME_SYNC_TOKEN_SIGNING_KEY\" }}\n"
        );
        std::fs::write(rollout.path("canary.toml"), profile).expect("can be written");
        rollout
    }

    /// `stage N`, rehearsed for three seconds.
    pub fn stage(&self, id: &str) -> Harness {
        self.held_for(id, "3s")
    }

    pub fn held_for(&self, id: &str, hold: &str) -> Harness {
        let mut harness = Harness::new("stage").arg(id);
        let dirs =
            [("--rollout", "rollout.toml"), ("--stage-dir", "stages"), ("--out-dir", "runs")];
        for (flag, name) in dirs {
            harness = harness.arg(flag).arg(self.path(name).into_os_string());
        }
        harness
            .arg("--owner")
            .arg("Ada")
            .arg("--hold")
            .arg(hold)
            .arg("--allow-hooks")
            .arg("--json")
            .env("RUNTIME_SYNC_TOKEN_SIGNING_KEY", KEY)
            .env("RUNTIME_ADMIN_TOKEN", ADMIN)
    }

    pub fn journal(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("stages/journal.ndjson")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Entries of a kind in the journal.
    pub fn entries(&self, kind: &str) -> Vec<Value> {
        self.journal().iter().filter_map(|line| line["entry"].get(kind).cloned()).collect()
    }

    pub fn reports(&self) -> Vec<String> {
        let listed = std::fs::read_dir(self.path("stages")).expect("a folder").flatten();
        listed.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }
}

/// The report that was printed, which is one by the published schema.
pub fn report(ended: &Ended) -> Value {
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| {
        panic!("{error}\nstdout:\n{}\nstderr:\n{}", ended.stdout, ended.stderr)
    });
    assert_published(&report);
    report
}

#[track_caller]
pub fn assert_published(report: &Value) {
    static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
        let text = include_str!("../../../../../reports/stage.schema.json");
        let schema = serde_json::from_str(text).expect("JSON");
        jsonschema::draft202012::new(&schema).expect("a schema")
    });
    let wrong = SCHEMA.iter_errors(report).map(|it| format!("{}: {it}", it.instance_path()));
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}

pub fn reasons(report: &Value) -> String {
    let reasons = report["reasons"].as_array().expect("reasons").iter();
    reasons.filter_map(|reason| reason["why"].as_str()).collect::<Vec<_>>().join("\n")
}

pub fn ended(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
