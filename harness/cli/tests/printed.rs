//! Commands that print a page made of the code: it is the committed one, or fits the program.

mod support;

use support::{Harness, exit};

/// A file of the repository.
fn committed(path: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    std::fs::read_to_string(path).expect("it is committed")
}

#[test]
fn schema_prints_the_committed_schema() {
    let run = Harness::new("schema").ended_plain().exits(exit::GO);
    assert_eq!(run.stdout, committed("scenarios/scenario.schema.json"));
    assert_eq!(run.stderr, "");
    Harness::new("schema").arg("scenarios/smoke.toml").ended_plain().exits(exit::USAGE);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (read, write) = std::io::pipe().expect("a pipe");
    drop(read);
    let run = Harness::new("schema").stdout(write).ended_plain().exits(exit::GO);
    assert_eq!(run.stderr, "");
}
