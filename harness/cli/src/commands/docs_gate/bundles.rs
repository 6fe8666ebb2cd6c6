//! Bundles that are kept in a repository, such as examples: each verifies, and its report is what this build makes
//! of its sources.

use std::path::{Path, PathBuf};

use khala_bundle::{Bundle, names, verify};
use khala_evidence::render;

use super::{Found, Repository};

/// The folder of a repository whose bundles are looked at: runs of tests may lie elsewhere, broken on purpose.
const EXAMPLES: &str = "reports/examples";

pub fn check(repository: &Repository, found: &mut Found) {
    let journals = repository.files.iter().filter(|path| path.ends_with(names::JOURNAL));
    let bundles: Vec<PathBuf> = journals
        .filter(|path| path.starts_with(EXAMPLES))
        .filter_map(|path| path.parent()?.parent().map(Path::to_owned))
        .collect();
    for bundle in bundles {
        found.bundles += 1;
        let shown = bundle.display();
        match problems(&repository.root.join(&bundle)) {
            Ok(problems) => {
                found.problems.extend(problems.iter().map(|problem| format!("{shown}: {problem}")));
            }
            Err(error) => found.problems.push(format!("{shown}: {error}")),
        }
    }
}

fn problems(dir: &Path) -> Result<Vec<String>, khala_bundle::Error> {
    let problems = verify(dir, None)?.problems;
    if !problems.is_empty() {
        return Ok(problems);
    }
    let report = Bundle::open(dir)?.settle()?.report();
    let mut problems = Vec::new();
    for renderer in render::ALL {
        let (name, now) = (renderer.file_name(), renderer.render(&report)?);
        if std::fs::read(dir.join(name)).is_ok_and(|kept| kept != now) {
            problems.push(format!(
                "{name} is not what this build makes of the sources: make the example anew"
            ));
        }
    }
    Ok(problems)
}
