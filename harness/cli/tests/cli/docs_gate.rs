//! `docs-gate` on this repository and on another's, and the schemas that are published.

use std::path::{Path, PathBuf};

use crate::support::{Harness, exit, scenario};
use jsonschema::Validator;
use serde_json::Value;
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn gate(dir: &Path) -> Harness {
    Harness::new("docs-gate").arg(dir)
}

/// A folder with these files.
fn repository(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("is made");
        std::fs::write(path, text).expect("is written");
    }
    dir
}

const SURFACES: &str = "\
# Surfaces

| Surface | Topics | Status |
| --- | --- | --- |
| `apps/openagents.com/web-shell` | `runtime.codex_worker_summaries`, optional `runtime.run_summaries` | live |
| `apps/autopilot-desktop` | `runtime.codex_worker_events` | live |
| `apps/autopilot-ios` | same as desktop | live |
| `apps/onyx` | run events only | limited |
";

#[test]
fn this_repository_passes() {
    let told = gate(&root()).arg("--json").ended_plain();
    let found: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!((told.code, &found["problems"]), (Some(exit::GO), &serde_json::json!([])));
    assert!(found["links"].as_u64() > Some(200), "{found}");
    assert_eq!((&found["generated"], &found["surfaces"]), (&11.into(), &3.into()), "{found}");
}

#[test]
fn another_repository_is_told_what_is_wrong_with_its_docs() {
    let sound = [
        ("docs/sync/SURFACES.md", SURFACES),
        ("docs/README.md", "# Docs\n\n[surfaces](sync/SURFACES.md#surfaces), [root](/README.md)\n"),
        ("README.md", "# It\n\n[docs](docs/), [elsewhere](https://example.com/none)\n"),
    ];
    let dir = repository(&sound);
    let told = gate(dir.path()).ended_plain().exits(exit::GO).stdout;
    assert!(
        told.contains("3 links, 0 pages of ours, 0 bundles, 3 surfaces: nothing is wrong"),
        "{told}"
    );

    let schema =
        std::fs::read_to_string(root().join("scenarios/scenario.schema.json")).expect("text");
    let stale = schema.replacen("fleet", "flat", 1);
    let other = SURFACES.replacen("worker_summaries", "worker_events", 1);
    let broken = [
        ("docs/sync/SURFACES.md", other.as_str()),
        (
            "docs/README.md",
            "# Docs\n\n[a](sync/NONE.md)\n\n[b](sync/SURFACES.md#none) [c](../../out.md)\n",
        ),
        ("load/scenario.schema.json", stale.as_str()),
        ("theirs/rollout.schema.json", r#"{ "title": "Rollouts of theirs" }"#),
    ];
    let dir = repository(&broken);
    let told = gate(dir.path()).ended_plain().exits(exit::NO_GO).stdout;
    for said in [
        "docs/README.md:3: sync/NONE.md is not there",
        "docs/README.md:5: sync/SURFACES.md#none names a heading that docs/sync/SURFACES.md has not",
        "docs/README.md:5: ../../out.md leads out of the repository",
        "load/scenario.schema.json: it is out of date: khala-harness schema > load/scenario.schema.json",
        "docs/sync/SURFACES.md: web-shell subscribes to `runtime.codex_worker_events` there",
        "5 problems",
    ] {
        assert!(told.contains(said), "no `{said}` in {told}");
    }
}

#[test]
fn a_matrix_that_is_named_must_be_there_and_a_folder_too() {
    let dir = repository(&[("README.md", "# It\n"), ("m.md", SURFACES)]);
    let noted = gate(dir.path()).ended_plain().exits(exit::GO).stdout;
    assert!(noted.contains("note: no matrix of surfaces"), "{noted}");
    let named = |file: &str| gate(dir.path()).arg("--surfaces").arg(dir.path().join(file));
    named("m.md").ended_plain().exits(exit::GO);
    named("none.md").ended_plain().exits(exit::SETUP);
    gate(&dir.path().join("none")).ended_plain().exits(exit::SETUP);
}

#[test]
fn a_folder_with_nothing_to_check_is_a_hold() {
    let dir = repository(&[("src/main.rs", "fn main() {}\n"), ("target/README.md", "# It\n")]);
    let empty = TempDir::new().expect("a folder");
    for dir in [&dir, &empty] {
        let told = gate(dir.path()).ended_plain().exits(exit::HOLD).stdout;
        assert!(
            told.contains("nothing was checked") && !told.contains("nothing is wrong"),
            "{told}"
        );
    }
    let skipped = repository(&[("docs/README.md", "# It\n")]);
    gate(skipped.path()).ended_plain().exits(exit::GO);
    let told = gate(skipped.path()).arg("--skip").arg("docs").arg("--json").ended_plain();
    let told = told.exits(exit::HOLD);
    let found: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!((&found["pages"], &found["links"]), (&0.into(), &0.into()));
}

#[test]
fn a_dead_link_is_told_in_whichever_form_it_is_written() {
    let sound = "# It\n\n<a href=\"b.md#here\">b</a> <img src='c.png'> [b][1] [1][] ![c][2]\n\n\
                 <p><a href=\"https://example.com\">e</a></p>\n\n[1]: b.md\n[2]: c.png\n";
    let here = ("b.md", "<h2 id=\"here\">Here</h2>\n");
    let dir = repository(&[("a.md", sound), here, ("c.png", "")]);
    gate(dir.path()).ended_plain().exits(exit::GO);
    for (from, to, said) in [
        ("b.md#here", "none.md", "a.md:3: none.md is not there"),
        ("#here", "#none", "a.md:3: b.md#none names a heading that b.md has not"),
        ("'c.png'", "'none.png'", "a.md:3: none.png is not there"),
        ("https://example.com", "none/", "a.md:5: none/ is not there"),
        ("[1]: b.md", "[1]: none.md", "a.md:3: none.md is not there"),
        ("[2]: c.png", "[2]: none.png", "a.md:3: none.png is not there"),
        ("[1]: b.md", "[3]: b.md", "a.md:3: nothing defines the link [1]"),
        ("[2]: c.png", "", "a.md:3: nothing defines the link [2]"),
    ] {
        let dir = repository(&[("a.md", &sound.replacen(from, to, 1)), here, ("c.png", "")]);
        let told = gate(dir.path()).ended_plain().exits(exit::NO_GO).stdout;
        assert!(told.contains(said), "no `{said}` in {told}");
    }
}

fn validator(path: &str) -> Validator {
    let text = std::fs::read_to_string(root().join(path)).expect("it is committed");
    let schema = serde_json::from_str(&text).expect("JSON");
    jsonschema::draft202012::new(&schema).expect("a schema")
}

/// What of a document a schema does not want, a line each.
fn unwanted(schema: &Validator, document: &Value) -> Vec<String> {
    schema
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn the_schema_of_reports_fits_those_that_are_made() {
    let schema = validator("reports/run.schema.json");
    let strict = "gate.reconnect.objective=[{ metric = \"time_to_recovered\", during = [\"storm\"], \
                  require = \"p(50) < 301ms\" }]";
    let runs = [
        Harness::tiny(),
        Harness::tiny().set(strict),
        Harness::run(scenario("hooked.toml")).arg("--allow-hooks"),
    ];
    // One in which rules were broken.
    let kept = std::fs::read(root().join("reports/examples/no-go/run.json")).expect("is committed");
    let kept: Value = serde_json::from_slice(&kept).expect("JSON");
    assert_ne!(kept["oracle"]["kept"], serde_json::json!([]));
    for report in runs.map(Harness::start).map(|run| run.ended().report()).into_iter().chain([kept])
    {
        assert_eq!(unwanted(&schema, &report), [""; 0]);
        // It wants what readers act on.
        for key in ["decision", "gates", "oracle", "run_id", "format_version"] {
            let mut less = report.clone();
            less.as_object_mut().expect("an object").remove(key);
            assert!(!unwanted(&schema, &less).is_empty(), "without {key}");
        }
        let mut other = report.clone();
        other["decision"] = "MAYBE".into();
        assert!(!unwanted(&schema, &other).is_empty());
        let mut more = report;
        more["of_a_later_build"] = 1.into();
        assert_eq!(unwanted(&schema, &more), [""; 0], "fields are added");
    }
}

#[test]
fn the_schema_of_checks_fits_what_is_printed() {
    let schema = validator("scenarios/check.schema.json");
    let shipped = std::fs::read_dir(root().join("scenarios")).expect("a folder").flatten();
    let shipped = shipped.map(|entry| entry.path());
    let toml = |path: &PathBuf| path.extension().is_some_and(|it| it == "toml");
    let tests = [scenario("hooked.toml"), scenario("slow.toml"), scenario("mistakes.toml")];
    let mut checked = 0;
    for file in shipped.filter(toml).chain(tests) {
        let check = Harness::check(&file).env("KHALA_TEST_URL", "http://127.0.0.1:9").arg("--json");
        let told = check.env("KHALA_TARGET_URL", "http://127.0.0.1:9").ended_plain();
        let document: Value = serde_json::from_str(&told.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", file.display(), told.stderr));
        assert_eq!(unwanted(&schema, &document), [""; 0], "{}", file.display());
        checked += 1;
    }
    assert!(checked > 18, "{checked}");
    assert!(!unwanted(&schema, &serde_json::json!({ "version": 1 })).is_empty());
}
