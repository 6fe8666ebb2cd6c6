//! A target whose URL is none: one clear error, with the code of an invalid scenario, whoever is asked and wherever it
//! is written.

use crate::support::{Ended, Harness, exit, scenario};
use tempfile::TempDir;

/// What is no base URL of a target, with what is said of it.
fn bad() -> Vec<(String, &'static str)> {
    let long = "x".repeat(100_000);
    let label = format!("http://{}.example.com", "x".repeat(64));
    let plain = [
        ("ws:/x", "starts with"),
        ("ws://127.0.0.1:4000", "starts with"),
        ("http:/127.0.0.1:4000", "starts with"),
        ("127.0.0.1:4000", "starts with"),
        ("localhost:4000", "starts with"),
        ("ftp://127.0.0.1", "starts with"),
        ("http://", "not a base url"),
        ("http:///", "not a base url"),
        ("http://:4000", "has no host"),
        ("ws://[::1", "starts with"),
        ("http://[::1", "`[` without its `]`"),
        ("http://[zz]:1", "`zz` is no address of IPv6"),
        ("http://[fe80::1%eth0]:1", "no address of IPv6"),
        ("http://[::1]x", "`x` is no port"),
        ("http://::1:4000", "stands in brackets"),
        ("http://127.0.0.1:99999", "`99999` is no port"),
        ("http://host:0", "`0` is no port"),
        ("http://host:", "`` is no port"),
        ("http://host:+80", "`+80` is no port"),
        ("http://host:x", "`x` is no port"),
        ("http://hunter2@127.0.0.1", "user or password"),
        ("http://me:hunter2@127.0.0.1", "user or password"),
        ("http://127.0.0.1#fragment", "not a base url"),
        ("http://127.0.0.1?a=b", "not a base url"),
        ("http://127.0.0.1/path", "not a base url"),
        ("http://a b", "not a base url"),
        ("http://a\u{1}b", "not a base url"),
        ("http://a\"b", "no name of a host"),
        ("http://a\\b", "no name of a host"),
        ("http://a%20b", "no name of a host"),
        ("http://a..b", "no name of a host"),
        ("http://.", "has no host"),
        ("http://bücher.example", "begins with `xn--`"),
        ("http://例え:4000", "begins with `xn--`"),
    ];
    let plain = plain.into_iter().map(|(url, why)| (url.to_owned(), why));
    let of_length = [
        (format!("http://{long}"), "has 100000 bytes"),
        (label, "63 between its dots"),
        (long.clone() + "://x", "starts with"),
    ];
    plain.chain(of_length).collect()
}

/// Insists on one error that says why, and on its code.
fn refused(who: &str, url: &str, why: &str, run: Ended) {
    let short: String = url.chars().take(60).collect();
    let errors = run.stderr.lines().filter(|line| line.starts_with("error")).count();
    assert_eq!(run.code, Some(exit::INVALID_SCENARIO), "{who} {short}: {}", run.stderr);
    assert_eq!(errors, 1, "{who} {short}: {}", run.stderr);
    assert!(run.stderr.contains(why), "{who} {short}: no {why} in {}", run.stderr);
    assert!(run.stderr.len() < 4_000, "{who} {short}: {} bytes", run.stderr.len());
    assert!(!run.stderr.contains("hunter2"), "{who} {short}: {}", run.stderr);
    assert!(!run.stderr.contains('\u{1}'), "{who} {short}: {}", run.stderr);
}

/// The commands that take a target.
fn commands(url: &str, dir: &TempDir) -> Vec<Harness> {
    let rollout = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/rollout.toml");
    let of = |command: &str| Harness::new(command);
    let begun = [
        of("run").arg(scenario("tiny.toml")).arg("--out-dir").arg(dir.path()),
        of("check").arg(scenario("tiny.toml")),
        of("doctor"),
        of("conform"),
        of("stage").arg("0").arg("--owner").arg("A").arg("--rollout").arg(rollout),
    ];
    let begun = begun.into_iter().map(|it| it.arg("--target").arg(url).in_folder(dir.path()));
    begun.collect()
}

#[test]
fn whoever_is_asked_says_what_is_wrong_with_a_url_by_one_error_and_one_code() {
    let dir = TempDir::new().expect("a folder");
    for (url, why) in bad() {
        for (number, command) in commands(&url, &dir).into_iter().enumerate() {
            let who = ["run", "check", "doctor", "conform", "stage"][number];
            let run = command.ended_plain();
            // Blamed is what was typed.
            assert!(!run.stderr.contains("--set"), "{who}: {}", run.stderr);
            let blamed = run.stderr.contains(" | --target ");
            // Of a long line what stands around the mistake is shown.
            assert!(blamed || url.len() > 1_000, "{who}: {}", run.stderr);
            refused(who, &url, why, run);
        }
    }
    for command in commands("", &dir) {
        refused("empty", "", "--target is empty", command.ended_plain());
    }
    let left = std::fs::read_dir(dir.path()).expect("can be listed").count();
    assert_eq!(left, 0, "nothing was begun");
}

#[test]
fn wherever_a_url_is_written_the_same_is_said_of_it() {
    let dir = TempDir::new().expect("a folder");
    let profile = dir.path().join("target.toml");
    for (url, why) in bad() {
        let by_key = Harness::check(scenario("tiny.toml")).set("target.kind=url");
        let by_key = by_key.set("auth.secret={ env = \"KEY\" }").set(&format!("target.url={url}"));
        refused("--set", &url, why, by_key.ended_plain());
        let text = serde_json::to_string(&url).expect("a text");
        std::fs::write(&profile, format!("[target]\nurl = {text}\n[auth]\nmint = \"control\"\n"))
            .expect("is written");
        let by_profile = Harness::check(scenario("tiny.toml")).arg("--target").arg(&profile);
        refused("a profile", &url, why, by_profile.ended_plain());
        // The same mistake in the keys beside it.
        let control = Harness::check(scenario("elsewhere.toml"))
            .env("KHALA_TEST_URL", "http://127.0.0.1:9")
            .env("KHALA_TEST_KEY", "key")
            .set(&format!("target.control_url={url}"));
        refused("control_url", &url, why, control.ended_plain());
    }
}

#[test]
fn a_url_that_is_right_is_taken() {
    for url in [
        "http://127.0.0.1:4000",
        "http://127.0.0.1:4000//",
        "https://localhost",
        "http://[::1]:4000/",
        "http://[::ffff:127.0.0.1]:4000",
        "http://under_score.localhost:1",
        "http://LOCALHOST.:65535",
    ] {
        let check = Harness::check(scenario("elsewhere.toml")).env("KHALA_TEST_URL", url);
        check.env("KHALA_TEST_KEY", "key").ended_plain().exits(exit::GO);
    }
}

#[test]
fn a_webhook_that_is_no_url_is_a_mistake_of_the_command_line_and_is_not_shown() {
    for url in
        ["hooks.example.com/hunter2", "http://127.0.0.1:0/hunter2", "https://me:hunter2@a/x", ""]
    {
        for command in ["run", "check"] {
            let command = Harness::new(command).arg(scenario("tiny.toml"));
            let run = command.arg("--webhook").arg(url).ended_plain().exits(exit::USAGE);
            assert!(run.stderr.contains("error: --webhook: "), "{}", run.stderr);
            assert_eq!(run.stderr.trim_end().lines().count(), 1, "{}", run.stderr);
            assert!(!run.stderr.contains("hunter2") && run.stdout.matches("hunter2").count() == 0);
        }
    }
}
