//! The matrix of surfaces of a repository, held against the surfaces that are built in: a canary whose clients
//! subscribe to other topics than the real ones do says nothing of these.
//!
//! The matrix is a table whose head names surfaces and topics. A surface's row is the one whose first such cell has
//! its name as a word. Topics stand as code; those after "optional" or "optionally" may be subscribed to, and a
//! row that says "same as NAME" has that one's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use khala_plan::surface::Surface;
use khala_wire::topic::KNOWN;

use super::markdown::Page;
use super::{Found, Repository};

/// Where a matrix is looked for, the first that is there: as the runbook names it, and as ours lies.
const USUAL: [&str; 2] = ["docs/sync/SURFACES.md", "harness/CONTRACT.md"];

pub fn check(repository: &Repository, named: Option<&Path>, found: &mut Found) {
    let (shown, text) = match named {
        Some(file) => (file.to_owned(), std::fs::read_to_string(file).map_err(|e| e.to_string())),
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
    match text.map(|text| compared(&Page::of(&text))) {
        Ok((compared, problems)) => {
            found.surfaces += compared;
            found.problems.extend(problems.iter().map(|problem| format!("{shown}: {problem}")));
        }
        Err(why) => found.problems.push(format!("{shown}: {why}")),
    }
}

/// How many surfaces have a row, and what in it is otherwise.
fn compared(page: &Page) -> (usize, Vec<String>) {
    let Some(matrix) = page.tables.iter().find_map(|table| Matrix::of(table)) else {
        let what = "it has no table whose head names surfaces and topics".to_owned();
        return (0, vec![what]);
    };
    let mut problems = Vec::new();
    let mut rows = 0;
    for surface in Surface::ALL {
        let name = surface.name();
        let Some(topics) = matrix.topics_of(name) else {
            problems.push(format!("no row is of {name}, a surface that is built in"));
            continue;
        };
        rows += 1;
        let built_in = surface.default_topics();
        let built_in: BTreeSet<String> =
            built_in.into_iter().map(|topic| topic.name().to_owned()).collect();
        if topics.always != built_in {
            let list = |topics: &BTreeSet<String>| match topics.is_empty() {
                true => "nothing".to_owned(),
                false => topics.iter().cloned().collect::<Vec<_>>().join(", "),
            };
            problems.push(format!(
                "{name} subscribes to {} there, and to {} as it is built in",
                list(&topics.always),
                list(&built_in)
            ));
        }
        let known = |topic: &&String| !KNOWN.iter().any(|known| known.name == topic.as_str());
        let all = topics.always.union(&topics.optional);
        problems
            .extend(all.filter(known).map(|topic| format!("{name}: no topic is called {topic}")));
    }
    (rows, problems)
}

/// The table, and which of its columns count.
struct Matrix<'a> {
    rows: &'a [Vec<String>],
    surface: usize,
    topics: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Topics {
    always: BTreeSet<String>,
    optional: BTreeSet<String>,
}

impl<'a> Matrix<'a> {
    fn of(table: &'a [Vec<String>]) -> Option<Self> {
        let (head, rows) = table.split_first()?;
        let column = |word: &str| head.iter().position(|cell| cell.to_lowercase().contains(word));
        Some(Self { rows, surface: column("surface")?, topics: column("topic")? })
    }

    fn topics_of(&self, name: &str) -> Option<Topics> {
        let row = self.rows.iter().find(|row| {
            row.get(self.surface).is_some_and(|cell| has_word(&cell.to_lowercase(), name))
        })?;
        let cell = row.get(self.topics)?;
        let same = cell.to_lowercase();
        let same = same.split_once("same as ").map(|(_, rest)| rest.trim_matches(['`', '.', ' ']));
        let other =
            same.and_then(|other| Surface::ALL.iter().find(|it| has_word(other, it.name())));
        match other.filter(|other| other.name() != name) {
            Some(other) => self.topics_of(other.name()),
            None => Some(Topics::of(cell)),
        }
    }
}

impl Topics {
    fn of(cell: &str) -> Self {
        let mut topics = Self::default();
        let mut optional = false;
        // What stands between backquotes is every other part.
        for (number, part) in cell.split('`').enumerate() {
            if number % 2 == 0 {
                optional |= part.to_lowercase().contains("optional");
            } else if optional {
                topics.optional.insert(part.to_owned());
            } else {
                topics.always.insert(part.to_owned());
            }
        }
        topics
    }
}

/// Whether a text has a name as a word: `desktop` is one of `apps/autopilot-desktop`.
fn has_word(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        ends(before) && ends(after)
    })
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
        compared(&Page::of(&format!("# Surfaces\n\n{HEAD}{}", rows.concat()))).1
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
        let said = "subscribes to runtime.codex_worker_summaries there, and to runtime.codex_worker_events as";
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
    fn a_page_without_a_matrix_is_a_problem() {
        let (rows, found) = compared(&Page::of("# Surfaces\n\nNone.\n"));
        assert_eq!((rows, found.len()), (0, 1));
    }
}
