//! `DEFECTS.md`, made from the catalogue, and that each defect is put to the test.

use std::fmt::Write as _;
use std::path::Path;

use khala_reference::defect::{CATALOGUE, Group};

/// Set it to write the page instead of comparing it.
const UPDATE: &str = "KHALA_UPDATE_DEFECTS_MD";

const INTRODUCTION: &str = "\
# Defects of the reference runtime

The closed list of ways in which the reference runtime can be told to break the contract:
`khala-harness reference --defect NAME[,probability][,after=N]`. *Per* is what one opportunity is,
what probability and `after` count. *Primary* is the rule of the oracle, or the gate, that must
catch the defect; the consequences and the gate `stability` may fail beside it, and nothing else may. The fan-out metrics
count how often each selected defect has acted (`defects_acted`).

A defect shows where it has an occasion to act. *Shows in* names the shipped scenario that catches it, whole
or in its profile `smoke`; where it says `selftest`, the scenario is one of the harness's own, which
`khala-harness selftest --matrix --only NAME` runs, as it runs all others.

Made from `src/defect/catalogue/` by a test. To make it again:
`KHALA_UPDATE_DEFECTS_MD=1 cargo test -p khala-reference --test defects page`
";

fn title(group: Group) -> &'static str {
    match group {
        Group::Delivery => "Delivery",
        Group::Cursors => "Cursors",
        Group::Snapshot => "Snapshot",
        Group::Authority => "Authority",
        Group::Flow => "Flow",
        Group::Latency => "Latency",
    }
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut group = None;
    for defect in CATALOGUE {
        if group.replace(defect.group) != Some(defect.group) {
            let head =
                "| defect | what it does | per | probability | primary | consequences | shows in |";
            let rule = "| --- | --- | --- | --- | --- | --- | --- |";
            let _ = write!(page, "\n## {}\n\n{head}\n{rule}\n", title(defect.group));
        }
        let consequences: Vec<_> =
            defect.consequences.iter().map(|what| format!("`{what}`")).collect();
        let consequences =
            if consequences.is_empty() { "none".to_owned() } else { consequences.join(", ") };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | `{}` | {consequences} | {} |",
            defect.name,
            defect.summary,
            defect.per.name(),
            defect.probability,
            defect.primary,
            defect.shows_in().map_or("`selftest`".to_owned(), |name| format!("`{name}`")),
        );
    }
    let _ = write!(page, "\n{} defects.\n", CATALOGUE.len());
    page
}

#[test]
fn the_page_of_defects_is_that_of_the_catalogue() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("DEFECTS.md");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, page()).expect("written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "DEFECTS.md is not what the catalogue says. Make it again with\n\
         {UPDATE}=1 cargo test -p khala-reference --test defects page\n\
         read what has changed, and commit it."
    );
}

#[test]
fn every_defect_is_put_to_the_test() {
    let tests = [
        include_str!("authority.rs"),
        include_str!("content.rs"),
        include_str!("cursors.rs"),
        include_str!("delivery.rs"),
        include_str!("flow.rs"),
        include_str!("latency.rs"),
        include_str!("replay.rs"),
        include_str!("snapshot.rs"),
    ];
    for defect in CATALOGUE {
        let named = format!("async fn {}_", defect.name);
        assert!(tests.iter().any(|file| file.contains(&named)), "no test is called {named}…");
    }
}
