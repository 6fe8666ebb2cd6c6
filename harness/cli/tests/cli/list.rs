//! `list`: with the name of one, all that there is to say of it.

use crate::support::{Harness, exit};

fn list(what: &str, name: &str) -> Harness {
    Harness::new("list").arg(what).arg(name)
}

#[test]
fn each_that_is_listed_tells_of_itself_by_its_name() {
    for what in ["surfaces", "faults", "metrics", "rules", "defects", "scenarios"] {
        let all = Harness::new("list").arg(what).ended_plain().exits(exit::GO).stdout;
        // The first and the last: all of them would be two hundred processes.
        for line in [all.lines().next(), all.lines().last()].into_iter().flatten() {
            let (name, told) = line.split_once("  ").expect("a name and what it is");
            let one = list(what, name).ended_plain().exits(exit::GO).stdout;
            assert!(one.starts_with(&format!("{name}: ")), "{one}");
            assert!(what == "surfaces" || one.contains(told.trim()), "{one}");
            assert!(one.lines().count() > 1, "there is more to say: {one}");
        }
    }
}

#[test]
fn a_fault_tells_its_attributes_as_the_page_of_all_keys_does() {
    let one = list("faults", "disconnect").ended_plain().exits(exit::GO).stdout;
    for said in [
        "  style       word; `close`, `reset`, `half_open`; default `\"close\"`",
        "  close_code  integer; from 1000 to 4999; default `1000`",
        "such as `close_code = 1001`",
        "[[phase.fault]]",
        "attributes = { style = \"reset\" }",
    ] {
        assert!(one.contains(said), "no {said} in:\n{one}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_one_that_was_meant() {
    for (what, name, said) in [
        ("faults", "disconect", "there is no fault `disconect`: did you mean `disconnect`?"),
        ("metrics", "delivry", "there is no metric `delivry`: did you mean `delivery`?"),
        ("rules", "gaps", "there is no rule `gaps`: did you mean `gap`?"),
        (
            "surfaces",
            "mainframe",
            "there is no surface `mainframe`: `khala-harness list surfaces` names",
        ),
    ] {
        let run = list(what, name).ended_plain().exits(exit::USAGE);
        assert!(run.stderr.starts_with(&format!("error: {said}")), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
}
