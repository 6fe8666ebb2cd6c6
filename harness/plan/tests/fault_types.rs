//! The types of faults are told apart in their own folders alone: everybody else asks what a definition says of
//! itself, so that another type is two files and two lines.

use std::fs;
use std::path::Path;

use khala_plan::fault::REGISTRY;

/// Where types are told apart, below the folder of the crates.
const FOLDERS: [&str; 2] = ["plan/src/fault", "engine/src/fault"];
/// The rows of the self-test say which scenario shows what: a type is named there as in a scenario.
const SCENARIOS: &str = "selftest/src/cases";

/// Calls `look` for each source of a folder, with its path below `root`; tests are left out.
fn sources(root: &Path, folder: &Path, look: &mut impl FnMut(&str, &str)) {
    for entry in fs::read_dir(folder).expect("is read") {
        let path = entry.expect("is read").path();
        let below = path.strip_prefix(root).expect("is below").to_str().expect("is UTF-8");
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if FOLDERS.contains(&below)
            || below == SCENARIOS
            || name == "tests"
            || name.ends_with("_tests")
        {
            continue;
        }
        if path.is_dir() {
            sources(root, &path, look);
        } else if below.ends_with(".rs") {
            let text = fs::read_to_string(&path).expect("is read");
            look(below, text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default());
        }
    }
}

/// Whether a line of code tells types apart: by a type's own module or attributes, or by its name, be it in
/// a text for people: what is told of a type is told by its definition.
fn tells_apart(line: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with("//") {
        return false;
    }
    let names = || REGISTRY.iter().map(|fault| fault.name);
    let imported = line.split("fault::").skip(1).any(|rest| {
        let inside = rest.strip_prefix('{').unwrap_or(rest);
        let paths = inside.split([',', '}', ';']);
        let paths = if rest.starts_with('{') { paths.take(64) } else { paths.take(1) };
        let mut modules = paths.map(|path| {
            let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let path = path.trim();
            &path[..path.find(|c| !is_part(c)).unwrap_or(path.len())]
        });
        modules.any(|module| names().any(|name| name == module))
    });
    // Names of one word are words of the wire and of tokens too.
    let named = names().filter(|name| name.contains('_')).any(|name| line.contains(name));
    let compared = line.contains("kind.name()")
        && ["==", "!=", "match ", "matches!"].iter().any(|how| line.contains(how));
    imported || named || compared || line.contains(".attributes::<")
}

#[test]
fn types_of_faults_are_told_apart_in_their_own_folders_alone() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crates' folder");
    let (mut read, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(crates).expect("is read") {
        let src = entry.expect("is read").path().join("src");
        if src.is_dir() {
            sources(crates, &src, &mut |path, text| {
                read += 1;
                let lines = (1..).zip(text.lines()).filter(|(_, line)| tells_apart(line));
                wrong.extend(lines.map(|(n, line)| format!("{path}:{n}: {}", line.trim())));
            });
        }
    }
    assert!(read > 300, "only {read} sources were found");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn what_tells_types_apart_is_seen() {
    for line in [
        "use khala_plan::fault::disconnect::Disconnect;",
        "use crate::fault::{hook, pause::Pause};",
        "if let Some(burst) = fault.kind.attributes::<PublishBurst>() {",
        "match fault.kind.name() {",
        "    if kind.name() == HOOK {",
        "        \"slow_reader\" => 3,",
        "let help = \"lengthen the slow_reader\";",
    ] {
        assert!(tells_apart(line), "{line}");
    }
    for line in [
        "use crate::fault::{self, Grip, Hooks};",
        "use khala_plan::fault::Need;",
        "let word = \"token\";",
        "// `fault::cursor` asks for it.",
        "let name = fault.kind.name();",
    ] {
        assert!(!tells_apart(line), "{line}");
    }
}
