//! The surface matrix: which topics each surface has, as a Markdown table says it.

use std::collections::{BTreeMap, BTreeSet};

/// Topics by surface.
pub type Matrix = BTreeMap<String, BTreeSet<String>>;

/// Reads the first table of a Markdown text that has a column `surface` and one `topics` (or `topic scopes`).
/// Topics are what stands in backticks in a cell; `–` or nothing is none.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn read(text: &str) -> Result<Matrix, String> {
    let mut rows = text.lines().map(cells);
    let columns = rows.by_ref().flatten().find_map(|header| {
        let find = |word: &str| {
            let names = header.iter().map(|cell| cell.trim().to_lowercase());
            names.into_iter().position(|name| name.starts_with(word))
        };
        Some((find("surface")?, find("topic")?))
    });
    let (surface, topics) =
        columns.ok_or("it has no table with a column `surface` and a column `topics`")?;
    let mut matrix = Matrix::new();
    for row in rows.map_while(|row| row) {
        if row.iter().all(|cell| cell.trim().chars().all(|c| "-: ".contains(c))) {
            continue;
        }
        let cell = |at: usize| row.get(at).map_or("", |cell| cell.trim());
        let name = cell(surface).trim_matches('`').to_owned();
        if name.is_empty() {
            return Err("a row of its table names no surface".to_owned());
        }
        let in_backticks = cell(topics).split('`').skip(1).step_by(2);
        let of_it = in_backticks.map(str::trim).filter(|topic| !topic.is_empty());
        if matrix.insert(name.clone(), of_it.map(str::to_owned).collect()).is_some() {
            return Err(format!("it names the surface `{name}` twice"));
        }
    }
    if matrix.is_empty() { Err("its table has no row".to_owned()) } else { Ok(matrix) }
}

/// The cells of a row of a table; `None` of a line that is none.
fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?;
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    Some(inner.split('|').map(str::to_owned).collect())
}

/// What differs between the matrix and what the runtime grants, a sentence each.
#[must_use]
pub fn differences(matrix: &Matrix, granted: &Matrix) -> Vec<String> {
    let none = BTreeSet::new();
    let surfaces: BTreeSet<_> = matrix.keys().chain(granted.keys()).collect();
    let mut told = Vec::new();
    for surface in surfaces {
        let (wanted, got) =
            (matrix.get(surface).unwrap_or(&none), granted.get(surface).unwrap_or(&none));
        let list = |topics: Vec<&String>| {
            topics.iter().map(|topic| format!("`{topic}`")).collect::<Vec<_>>().join(", ")
        };
        let missing: Vec<_> = wanted.difference(got).collect();
        let more: Vec<_> = got.difference(wanted).collect();
        if !missing.is_empty() {
            told.push(format!("`{surface}` is to have {} and is not granted it", list(missing)));
        }
        if !more.is_empty() {
            told.push(format!(
                "`{surface}` is granted {}, which the matrix does not have",
                list(more)
            ));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Surfaces

Some words | that are no table.

| no | table of ours |
| --- | --- |
| a | b |

| Surface | Owner | Topics |
| --- | :-: | --- |
| `web-shell` | web | `runtime.a`, optionally `runtime.b` |
| desktop | apps | `runtime.c` |
| onyx | | – |

| Surface | Topics |
| --- | --- |
| later | `runtime.z` |
";

    #[test]
    fn the_table_with_surfaces_and_topics_is_read() {
        let matrix = read(TEXT).expect("a matrix");
        let told: Vec<_> = matrix
            .iter()
            .map(|(surface, topics)| {
                format!("{surface}: {}", topics.iter().cloned().collect::<Vec<_>>().join(" "))
            })
            .collect();
        assert_eq!(told, ["desktop: runtime.c", "onyx: ", "web-shell: runtime.a runtime.b"]);
    }

    #[test]
    fn a_text_without_one_is_told() {
        for (text, says) in [
            ("", "no table"),
            ("| surface | scopes |\n| a | b |", "no table"),
            ("| surface | topics |\n| --- | --- |\n", "no row"),
            ("| surface | topics |\n| a | `b` |\n| a | `c` |\n", "twice"),
            ("| surface | topics |\n|  | `b` |\n", "names no surface"),
        ] {
            assert!(read(text).expect_err(text).contains(says), "{text}");
        }
    }

    #[test]
    fn what_differs_is_told_both_ways() {
        let matrix =
            read("| surface | topics |\n| a | `x` `y` |\n| b | `z` |\n").expect("a matrix");
        assert!(differences(&matrix, &matrix).is_empty());
        let granted = read("| surface | topics |\n| a | `x` `z` |\n").expect("a matrix");
        assert_eq!(
            differences(&matrix, &granted),
            [
                "`a` is to have `y` and is not granted it",
                "`a` is granted `z`, which the matrix does not have",
                "`b` is to have `z` and is not granted it",
            ]
        );
    }
}
