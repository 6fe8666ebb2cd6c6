//! `selftest --wire --list`: what would be run, each deviation with where its like was seen. That is told
//! once, in the doc of the deviation's file, and read from there: the files are in this program.

use std::fmt::Write as _;

use super::deviations::FAMILIES;
use super::page;
use super::row::{Expected, Row};

/// The page, of these rows.
pub fn page(rows: &[Row]) -> String {
    let valid = rows.iter().filter(|row| matches!(row.expected, Expected::Go(_))).count();
    let mut page = format!("{HEAD}{} deviations, {valid} of them valid.\n", rows.len());
    for family in FAMILIES {
        let is_of_family = |row: &&Row| family.rows.iter().any(|other| other.name == row.name);
        let mut of_family = rows.iter().filter(is_of_family).peekable();
        if of_family.peek().is_none() {
            continue;
        }
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {}\n\n{}\n\n{TABLE}", family.name, doc(family.text));
        for row in of_family {
            let source = doc(row.text).replace('|', "\\|");
            let wanted = page::wanted(row.expected);
            let _ = writeln!(page, "| `{}` | {wanted} | {source} |", row.name);
        }
    }
    page
}

const HEAD: &str = "\
<!-- Printed by `khala-harness selftest --wire --list`; a test tells when it is out of date. -->
# Deviations on the wire

Between the harness and a runtime that keeps the contract `selftest --wire` puts a proxy that deviates in one way.
What is valid, or what every real client takes, must be GO; the rest must be condemned by the rule or gate that
names it, with that text in a line of the report, or be HOLD where what was to be judged is missing. \"Contract\" is
[CONTRACT.md](CONTRACT.md).

";

const TABLE: &str = "| deviation | must come | what it is, and where its like was seen |\n\
                     | --- | --- | --- |\n";

/// The first paragraph of a file's doc, in one line.
fn doc(text: &str) -> String {
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(str::trim).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::super::row;
    use super::*;

    #[test]
    fn a_doc_is_its_first_paragraph_in_one_line() {
        assert_eq!(doc("//! Seen\n//! by all.\n//!\n//! More.\n\nuse x;\n"), "Seen by all.");
        assert_eq!(doc("/// Of an item.\nfn b() {}\n"), "");
    }

    /// Whose paragraphs, pages and habits the deviations have; who is not among them yet comes here.
    const SOURCES: &[&str] = &[
        "RFC ",
        "ontract, section ",
        "ontract, before section 1",
        "IANA",
        "Fetch",
        "microservices.io",
        "listen(2)",
        "Phoenix",
        "phoenix.js",
        "nginx",
        "Envoy",
        "AWS",
        "Azure",
        "PostgreSQL",
        "libpq",
        "Prometheus",
        "protobuf",
        "tungstenite",
        "Chromium",
        "`ws`",
        "serde",
        "Go's `encoding/json`",
        "Python's `http.server`",
        "Django",
    ];

    #[test]
    fn every_deviation_names_its_source() {
        for row in row::rows() {
            let told = doc(row.text);
            let named = SOURCES.iter().any(|source| told.contains(source));
            assert!(named && told.split(' ').count() > 3, "{}: `{told}`", row.name);
        }
    }

    /// A file that its family does not list is not even compiled.
    #[test]
    fn every_deviation_that_is_written_is_listed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire/deviations");
        for family in FAMILIES {
            let entries = std::fs::read_dir(folder.join(family.name)).expect("a folder");
            let stem = |entry: std::io::Result<std::fs::DirEntry>| {
                let path = entry.expect("an entry").path();
                path.file_stem().expect("a name").to_string_lossy().into_owned()
            };
            let files: BTreeSet<String> = entries.map(stem).filter(|name| name != "mod").collect();
            let rows = family.rows.iter().map(|row| row.name.to_owned()).collect();
            assert_eq!(files, rows, "{}", family.name);
        }
    }

    #[test]
    fn the_committed_page_is_this_builds() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../WIRE.md");
        let committed = std::fs::read_to_string(path).expect("it is committed");
        let renew = "renew it: khala-harness selftest --wire --list > harness/WIRE.md";
        assert!(committed == page(&row::rows()), "{renew}");
    }
}
