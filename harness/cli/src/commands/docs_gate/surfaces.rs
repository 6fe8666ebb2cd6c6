//! The matrix of surfaces of a repository, held against the surfaces that are built in: a canary whose clients
//! subscribe to other topics than the real ones do says nothing of these. How the matrix is read is
//! [`khala_stage::surfaces`]'s.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use khala_plan::surface::Surface;
use khala_stage::surfaces::{Matrix, list};
use khala_wire::topic::KNOWN;

use super::{Found, Repository};

/// Where a matrix is looked for, the first that is there: as the runbook names it, and as ours lies.
const USUAL: [&str; 2] = ["docs/sync/SURFACES.md", "harness/CONTRACT.md"];

pub fn check(repository: &Repository, named: Option<(&Path, String)>, found: &mut Found) {
    let (shown, text) = match named {
        Some((file, text)) => (file.to_owned(), Ok(text)),
        None => {
            let usual =
                USUAL.iter().map(PathBuf::from).find(|path| repository.files.contains(path));
            let Some(path) = usual else {
                let what =
                    format!("no matrix of surfaces: neither {} is there", USUAL.join(" nor "));
                found.notes.push(what);
                return;
            };
            let text = repository.text(&path);
            (path, text)
        }
    };
    let shown = shown.display();
    match text.and_then(|text| Matrix::read(&text)) {
        Ok(matrix) => {
            let (compared, problems) = compared(&matrix);
            found.surfaces += compared;
            found.problems.extend(problems.iter().map(|problem| format!("{shown}: {problem}")));
        }
        Err(why) => found.problems.push(format!("{shown}: {why}")),
    }
}

/// How many surfaces have a row, and what in it is otherwise.
fn compared(matrix: &Matrix) -> (usize, Vec<String>) {
    let mut problems = Vec::new();
    let mut rows = 0;
    for surface in Surface::ALL {
        let name = surface.name();
        let topics = match matrix.topics_of(name) {
            Ok(Some(topics)) => topics,
            Ok(None) => {
                problems.push(format!("no row is of {name}, a surface that is built in"));
                continue;
            }
            Err(why) => {
                problems.push(why);
                continue;
            }
        };
        rows += 1;
        let built_in = surface.default_topics();
        let built_in: BTreeSet<String> =
            built_in.into_iter().map(|topic| topic.name().to_owned()).collect();
        if topics.always != built_in {
            problems.push(format!(
                "{name} subscribes to {} there, and to {} as it is built in",
                list(&topics.always),
                list(&built_in)
            ));
        }
        let unknown = |topic: &&String| !KNOWN.iter().any(|known| known.name == topic.as_str());
        let all = topics.all();
        let unknown = all.iter().filter(unknown);
        problems.extend(unknown.map(|topic| format!("{name}: no topic is called {topic}")));
    }
    (rows, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "| Surface | Topic subscriptions |\n|---|---|\n";
    const WEB: &str = "| `apps/openagents.com/web-shell` | `runtime.codex_worker_summaries`, optional \
                       `runtime.run_summaries` |\n";
    const DESKTOP: &str =
        "| Desktop (`apps/autopilot-desktop`) | `runtime.codex_worker_events` |\n";
    const IOS: &str = "| `apps/autopilot-ios` | same as `desktop` |\n";

    fn problems(rows: &[&str]) -> Vec<String> {
        let text = format!("# Surfaces\n\n{HEAD}{}", rows.concat());
        compared(&Matrix::read(&text).expect("a matrix")).1
    }

    #[test]
    fn a_matrix_of_the_surfaces_that_are_built_in_is_sound() {
        assert_eq!(problems(&[WEB, DESKTOP, IOS]), [""; 0]);
        let others = "| `apps/onyx` | run events only |\n";
        assert_eq!(problems(&[others, IOS, WEB, DESKTOP]), [""; 0], "whatever the order");
    }

    #[test]
    fn what_is_otherwise_is_named_by_its_surface() {
        assert_eq!(problems(&[WEB, DESKTOP]), ["no row is of ios, a surface that is built in"]);
        let other = DESKTOP.replace("worker_events", "worker_summaries");
        let found = problems(&[WEB, &other, IOS]);
        let said = "subscribes to `runtime.codex_worker_summaries` there, and to `runtime.codex_worker_events` as";
        assert!(found.len() == 2 && found.iter().all(|it| it.contains(said)), "{found:?}");
        let optional = DESKTOP.replace("| `runtime", "| optionally `runtime");
        assert!(
            problems(&[WEB, &optional, IOS])[0].contains("desktop subscribes to nothing there")
        );
        let unknown = WEB.replace("run_summaries", "run_sums");
        assert_eq!(
            problems(&[&unknown, DESKTOP, IOS]),
            ["web-shell: no topic is called runtime.run_sums"]
        );
    }

    #[test]
    fn a_row_that_cannot_be_known_is_a_problem() {
        let found = problems(&[WEB, DESKTOP, "| ios | same as android |\n"]);
        assert_eq!(found, ["`ios` has the same as `android`, and no row is of that"]);
    }
}
