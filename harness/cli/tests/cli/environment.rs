//! Variables that are set but empty, as CI systems pass the secrets that they do not have: they count as unset.

use std::collections::BTreeSet;

use crate::support::by_hand::{ADMIN, KEY, reference_opened_by};
use crate::support::{Harness, exit, scenario};

/// Variables that no help names.
const OTHERS: [&str; 8] = [
    "COLUMNS",
    "FORCE_COLOR",
    "KHALA_HARNESS_DASHBOARD_TOKEN",
    "KHALA_HARNESS_SIGN_PASSWORD",
    "KHALA_LOG",
    "KHALA_TARGET_ADMIN_TOKEN",
    "NO_COLOR",
    "RUNTIME_ADMIN_TOKEN",
];

/// Variables that give an argument of a subcommand, as its help says.
fn in_help(subcommand: &str) -> BTreeSet<String> {
    let help = Harness::new(subcommand).arg("--help").ended_plain().exits(exit::GO).stdout;
    let names = help.split("[env: ").skip(1);
    names.map(|rest| rest.split(['=', ']']).next().expect("a name").to_owned()).collect()
}

fn all_empty(command: Harness, named: &BTreeSet<String>) -> Harness {
    let others = OTHERS.iter().map(|name| (*name).to_owned());
    named.iter().cloned().chain(others).fold(command, |command, name| command.env(&name, ""))
}

#[test]
fn an_empty_variable_gives_no_argument() {
    let of_run = in_help("run");
    for name in
        ["KHALA_HARNESS_ALLOW", "KHALA_HARNESS_SIGN_KEY", "KHALA_HARNESS_WEBHOOK", "KHALA_SUMMARY"]
    {
        assert!(of_run.contains(name), "{of_run:?}");
    }
    let run = all_empty(Harness::tiny(), &of_run).ended().exits(exit::GO);
    assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    assert!(!run.files.contains_key("manifest.json.minisig"), "{:?}", run.names());
    assert!(run.stdout.lines().count() < 20, "short, as without the variable: {}", run.stdout);

    // Each command goes as far as without them: to what these arguments name, which is not there.
    let (_dir, bundle) = run.restored(|_| true);
    let bundle = bundle.display().to_string();
    let none = scenario("none.toml").display().to_string();
    for (subcommand, arguments) in [
        ("report", &[bundle.as_str()][..]),
        ("score", &[&bundle, "--gates", &none]),
        ("seal", &[&bundle]),
        ("doctor", &[&none]),
        ("conform", &["--target=http://127.0.0.1:9"]),
        ("stage", &["1", "--owner=Ada", "--rollout", &none]),
    ] {
        let command = || arguments.iter().fold(Harness::new(subcommand), |it, one| it.arg(one));
        let without = command().ended_plain();
        let empty = all_empty(command(), &in_help(subcommand)).ended_plain();
        assert_eq!((without.code, without.stderr), (empty.code, empty.stderr), "{subcommand}");
    }
}

#[test]
fn an_empty_flag_is_an_error() {
    for (flag, code) in [
        ("--sign-key=", exit::USAGE),
        ("--sign-password-file=", exit::USAGE),
        ("--allow=", exit::USAGE),
        ("--summary=", exit::USAGE),
        ("--webhook=", exit::USAGE),
        ("--target=", exit::INVALID_SCENARIO),
    ] {
        let run = Harness::tiny().arg(flag).ended();
        assert!(run.out_dir_is_empty, "{flag}: {}", run.stderr);
        run.exits(code);
    }
}

#[test]
fn an_empty_secret_is_a_missing_one_and_the_next_name_is_looked_for() {
    let target = reference_opened_by(KEY, ADMIN);
    let run = || Harness::run(scenario("elsewhere.toml"));
    let keyless = run().env("KHALA_TEST_URL", &target.url).env("KHALA_TEST_KEY", "");
    let keyless = keyless.ended().exits(exit::SETUP);
    let told = "from environment variable KHALA_TEST_KEY: it is not set, or is empty";
    assert!(keyless.stderr.contains(told) && keyless.out_dir_is_empty, "{}", keyless.stderr);

    let nowhere = run().env("KHALA_TEST_URL", "").env("KHALA_TEST_KEY", KEY);
    let nowhere = nowhere.ended().exits(exit::INVALID_SCENARIO);
    let told = "the environment variable `KHALA_TEST_URL` is not set, or is empty";
    assert!(nowhere.stderr.contains(told), "{}", nowhere.stderr);

    // The name that fits any target goes first, but not with nothing.
    let opened = run().env("KHALA_TEST_URL", &target.url).env("KHALA_TEST_KEY", KEY);
    let opened = opened.env("KHALA_TARGET_ADMIN_TOKEN", "").env("RUNTIME_ADMIN_TOKEN", ADMIN);
    let opened = opened.env("KHALA_TARGET_COMMAND_SECRET", "").ended().exits(exit::GO);
    assert!(opened.files.contains_key("metrics/after.json"), "{:?}", opened.names());

    // A file without a word in it is no secret either.
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("key");
    std::fs::write(&file, "\n").expect("is written");
    let empty = run().env("KHALA_TEST_URL", &target.url);
    let empty = empty.set(&format!("auth.secret={{ file = \"{}\" }}", file.display()));
    let empty = empty.ended().exits(exit::SETUP);
    assert!(empty.stderr.contains("key: it is empty"), "{}", empty.stderr);
}

#[test]
fn a_reference_with_empty_variables_is_one_without() {
    // Its own known keys open it, and everybody is an operator.
    let target = reference_opened_by("", "");
    let run = Harness::run(scenario("elsewhere.toml")).env("KHALA_TEST_URL", &target.url);
    let key = khala_reference::config::DEVELOPMENT_SYNC_KEY;
    let run = run.env("KHALA_TEST_KEY", key).ended().exits(exit::GO);
    assert!(run.files.contains_key("metrics/after.json"), "{:?}", run.names());
}
