//! Runs the real binary as a user does: one program of tests, so that they are linked once, and share what the
//! machine has. A module is one part of what the binary does. What takes the whole machine, or measures it, is a program of
//! its own beside this folder, and so runs alone.

mod support;

mod authority;
mod check;
mod conform;
mod dashboard;
mod defects;
mod docs_gate;
mod doctor;
mod endings;
mod environment;
mod evidence;
mod faults;
mod hooks;
mod init;
mod list;
mod named;
mod output;
mod passive;
mod pause;
mod printed;
mod reach;
mod readme;
mod recording;
mod rollout;
mod runs;
mod scenarios;
mod screen;
mod sealing;
mod secrets;
mod secrets_of_stages;
mod selftest;
mod stage_facts;
mod stage_sealing;
mod stage_storage;
mod stages;
mod storage;
mod targets;
mod urls;
mod verdicts;

/// A file that nobody declares would be a test that nobody runs.
#[test]
fn every_file_beside_this_one_is_declared() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let declared = include_str!("main.rs");
    let files = std::fs::read_dir(here).expect("the folder of this file");
    let names: Vec<_> = files
        .map(|file| file.expect("an entry").file_name().into_string().expect("a name"))
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "main")
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(declared.contains(&format!("\nmod {name};\n")), "{name}.rs is not declared");
    }
}
