//! What a command line names: a file that is not there ends with the code of what it is and is told with its flag, and
//! what is said of a flag is said of the flag that was typed.

use std::path::Path;

use crate::support::by_hand::reference_by_hand;
use crate::support::{Ended, Harness, exit};
use tempfile::TempDir;

/// The files of the sources.
fn sources(path: &str) -> String {
    format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))
}

fn typed(dir: &Path, words: &[&str]) -> Ended {
    let [command, arguments @ ..] = words else { panic!("no command") };
    let harness = Harness::new(command).in_folder(dir);
    arguments.iter().fold(harness, |harness, word| harness.arg(*word)).ended_plain()
}

#[test]
fn a_file_that_is_not_there_ends_with_the_code_of_what_it_is_and_is_told_with_its_flag() {
    let folder = TempDir::new().expect("a folder");
    let (smoke, rollout) = (sources("scenarios/smoke.toml"), sources("scenarios/rollout.toml"));
    let nobody = "http://127.0.0.1:9";
    let of_a_scenario: [&[&str]; 5] = [
        &["check", "nosuch.toml"],
        &["check", &smoke, "--target", "nosuch"],
        &["check", &smoke, "--target", "./nosuch.toml"],
        &["check", &smoke, "--gates", "nosuch.toml"],
        &["stage", "0", "--owner", "me", "--rollout", "nosuch.toml"],
    ];
    let of_another: [&[&str]; 10] = [
        &["check", &smoke, "--allow", "nosuch"],
        &["run", &smoke, "--sign-key", "nosuch"],
        &["run", &smoke, "--sign-key", &smoke, "--sign-password-file", "nosuch"],
        &["stage", "0", "--owner", "me", "--rollout", &rollout, "--waivers", "nosuch"],
        &["conform", "--target", nobody, "--known", "nosuch"],
        &["verify", ".", "--public-key", "nosuch"],
        &["docs-gate", ".", "--surfaces", "nosuch"],
        &["report", "nosuch"],
        &["explain", "nosuch", "1"],
        &["seal", "nosuch", "--statement"],
    ];
    let all = of_a_scenario.map(|words| (words, exit::INVALID_SCENARIO)).into_iter();
    for (words, code) in all.chain(of_another.map(|words| (words, exit::SETUP))) {
        let ended = typed(folder.path(), words).exits(code);
        assert!(ended.stderr.contains("nosuch"), "{words:?}: {}", ended.stderr);
        // A flag is named; what stands by itself needs no name.
        let flag = words.iter().rev().nth(1).filter(|word| word.starts_with("--"));
        let told = flag.is_none_or(|flag| ended.stderr.contains(&format!("{flag} ")));
        let by_itself = ["--gates", "--allow"].iter().any(|flag| words.contains(flag));
        assert!(told || by_itself, "{words:?}: {}", ended.stderr);
    }
}

#[test]
fn a_file_that_is_misspelt_is_told_with_the_one_that_was_meant() {
    let folder = TempDir::new().expect("a folder");
    for name in ["rollout.toml", "waivers.toml"] {
        std::fs::write(folder.path().join(name), "").expect("is written");
    }
    let stage = |more: &[&str]| {
        typed(folder.path(), &[&["stage", "0", "--owner", "me"], more].concat()).stderr
    };
    let misspelt = stage(&["--rollout", "rolout.toml"]);
    assert!(misspelt.contains("did you mean rollout.toml?"), "{misspelt}");
    // Where there is none at all it is said what names one, and where there is one to start from.
    let none = stage(&[]);
    assert!(none.contains("--rollout FILE names"), "{none}");
    assert!(none.contains("init --rollout"), "{none}");
    let rollout = sources("scenarios/rollout.toml");
    let misspelt = stage(&["--rollout", &rollout, "--waivers", "waiver.toml"]);
    assert!(misspelt.contains("did you mean waivers.toml?"), "{misspelt}");
    // Of names of a letter none is nearer than the others.
    let nine = typed(folder.path(), &["stage", "9", "--owner", "me", "--rollout", &rollout]);
    assert!(nine.exits(exit::USAGE).stderr.contains("there are 0"));
}

#[test]
fn what_is_said_of_a_profile_that_ships_works_from_where_one_stands() {
    let folder = TempDir::new().expect("a folder");
    let dir = folder.path();
    typed(dir, &["init", "--scenario", "smoke"]).exits(exit::GO);
    std::fs::create_dir(dir.join("own")).expect("a folder");
    std::fs::rename(dir.join("scenarios/smoke.toml"), dir.join("own/mine.toml")).expect("moved");
    let check = |target: &str| typed(dir, &["check", "own/mine.toml", "--target", target]);
    let first = check("local").exits(exit::INVALID_SCENARIO).stderr;
    assert!(first.contains("`khala-harness init --target local` writes"), "{first}");
    let path = "scenarios/targets/local.toml";
    assert!(first.contains(&format!("`--target {path}`")), "{first}");
    typed(dir, &["init", "--target", "local"]).exits(exit::GO);
    let second = check("local").exits(exit::INVALID_SCENARIO).stderr;
    assert!(!second.contains("init --target"), "it was done: {second}");
    assert!(second.contains(&format!("`--target {path}`")), "{second}");
    // It is found; what it wants of the environment is another thing.
    let found = check(path).exits(exit::SETUP);
    assert!(found.stdout.starts_with("smoke, seed 42"), "{}", found.stdout);
    // A scenario of that name is elsewhere, too.
    typed(dir, &["init", "--scenario", "smoke"]).exits(exit::GO);
    let elsewhere = typed(dir, &["check", "smoke.toml"]).exits(exit::INVALID_SCENARIO).stderr;
    assert!(elsewhere.contains("did you mean scenarios/smoke.toml?"), "{elsewhere}");
}

#[test]
fn what_is_wrong_with_a_flag_is_said_of_the_flag_that_was_typed() {
    let smoke = sources("scenarios/smoke.toml");
    let here = Path::new(".");
    for flag in [["--worker-threads", "0"], ["--only-client", "999"], ["--target", "htp://h:1"]] {
        let ended = typed(here, &[&["check", &smoke][..], &flag].concat());
        let told = ended.exits(exit::INVALID_SCENARIO).stderr;
        assert!(told.contains(&flag.join(" ")) && !told.contains("--set"), "{flag:?}: {told}");
    }
    // What was typed as a `--set` is told as one.
    let set = typed(here, &["check", &smoke, "--set", "generator.worker_threads=0"]);
    assert!(set.stderr.contains("--set generator.worker_threads=0"), "{}", set.stderr);
}

#[test]
fn an_address_that_is_taken_is_told_with_what_to_do() {
    let target = reference_by_hand();
    let address = target.url.strip_prefix("http://").expect("a URL");
    let dashboard = format!("--dashboard={address}");
    let smoke = sources("scenarios/smoke.toml");
    let folder = TempDir::new().expect("a folder");
    let all: [&[&str]; 3] = [
        &["reference", "--listen", address],
        &["null-server", "--listen", address],
        &["run", &smoke, &dashboard],
    ];
    for words in all {
        let told = typed(folder.path(), words).exits(exit::SETUP).stderr;
        assert!(told.contains("something listens there already"), "{words:?}: {told}");
        assert!(told.contains("port 0, which takes a free one"), "{words:?}: {told}");
    }
}
