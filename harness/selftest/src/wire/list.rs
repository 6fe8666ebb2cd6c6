//! `selftest --wire --list`: what would be run, each deviation with where its like was seen. That is told
//! once, in the source, and read from there: the files are in this program.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::deviations::{FAMILIES, Family};
use super::page;
use super::row::{Expected, Row};

/// The page, of these rows.
pub fn page(rows: &[Row]) -> String {
    let valid = rows.iter().filter(|row| matches!(row.expected, Expected::Go(_))).count();
    let mut page = format!("{HEAD}{} deviations, {valid} of them valid.\n", rows.len());
    for family in FAMILIES {
        let told = sources(family);
        let mut of_family = rows.iter().filter(|row| told.contains_key(row.name)).peekable();
        if of_family.peek().is_none() {
            continue;
        }
        let about = comment(family.text.lines(), "//!");
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {}\n\n{about}\n\n{TABLE}", family.name);
        for row in of_family {
            let source = told.get(row.name).map_or("", String::as_str).replace('|', "\\|");
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

/// By row: the comment above its line, else the doc of its function.
fn sources(family: &Family) -> BTreeMap<&'static str, String> {
    let lines: Vec<&str> = family.text.lines().collect();
    let told = |row: &Row| {
        let named = format!("\"{}\"", row.name);
        let at = lines.iter().position(|line| line.contains(&named)).unwrap_or(0);
        // A row that takes several lines has its name below the call.
        let begins = (0..=at).rev().find(|&at| lines[at].contains("Row::")).unwrap_or(0);
        let above = above(&lines[..begins], "//");
        let call = lines[begins..].join(" ");
        if above.is_empty() { above_function(&lines, &call) } else { above }
    };
    family.rows.iter().map(|row| (row.name, told(row))).collect()
}

/// The doc of the function that a row's line names first.
fn above_function(lines: &[&str], call: &str) -> String {
    let named = call.split("Deviation::").nth(1).and_then(|rest| rest.split_once('('));
    let name = named.map_or("", |(_, rest)| rest.split([')', ':', ',']).next().unwrap_or(""));
    let begins = [format!("fn {name}("), format!("fn {name}<")];
    let is_it = |line: &&str| begins.iter().any(|begins| line.starts_with(begins.as_str()));
    let at = lines.iter().position(|line| !name.is_empty() && is_it(line));
    at.map_or_else(String::new, |at| above(&lines[..at], "///"))
}

/// The comment that ends these lines.
fn above(lines: &[&str], mark: &str) -> String {
    let is_code = |line: &&str| !line.trim_start().starts_with(mark);
    let from = lines.iter().rposition(is_code).map_or(0, |at| at + 1);
    comment(lines[from..].iter().copied(), mark)
}

/// The first paragraph of a comment, in one line.
fn comment<'a>(lines: impl Iterator<Item = &'a str>, mark: &str) -> String {
    let texts = lines.map_while(|line| line.trim_start().strip_prefix(mark));
    let texts = texts.map(str::trim).take_while(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::row;
    use super::*;

    #[test]
    fn every_deviation_tells_what_it_is() {
        for family in FAMILIES {
            for (name, source) in sources(family) {
                assert!(source.split(' ').count() > 3, "{name}: `{source}`");
            }
        }
    }

    #[test]
    fn a_comment_above_a_row_goes_before_its_functions() {
        const ROWS: &[Row] = &[
            Row::go("a", super::super::deviation::Deviation::none()),
            Row::go("b", super::super::deviation::Deviation::none()),
        ];
        let text = "//! Of two.\n\n    // Here.\n    // And there.\n    Row::go(\"a\", Deviation::none()),\n    \
                    Row::go(\n        \"b\",\n        Deviation::frame(b),\n\n/// Seen\n/// by all.\nfn b(x";
        let found = sources(&Family { name: "of_two", rows: ROWS, text });
        assert_eq!(found.into_values().collect::<Vec<_>>(), ["Here. And there.", "Seen by all."]);
    }

    #[test]
    fn the_committed_page_is_this_builds() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../WIRE.md");
        let committed = std::fs::read_to_string(path).expect("it is committed");
        let renew = "renew it: khala-harness selftest --wire --list > harness/WIRE.md";
        assert!(committed == page(&row::rows()), "{renew}");
    }
}
