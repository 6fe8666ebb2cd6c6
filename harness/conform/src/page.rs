//! The list of cases, as a page: made from the registry alone.

use std::fmt::Write as _;

use crate::case::{Area, Case, Catch};

/// The page's head.
const HEAD: &str = "\
<!-- Printed by `khala-harness conform --list`; a test tells when it is out of date. -->
# Conformance

`khala-harness conform --target URL` asks a runtime for what [the contract](CONTRACT.md) says of it, a sentence at a time. Each
case has users, sessions, devices and workers of its own. *Does* says what asking does to the target, which `--allow` permits:
`reads` opens sockets and subscribes, `writes` creates workers and publishes events that others see, `revokes` revokes
sessions that it made up, `abuses` publishes much and does not read, `ends` stops the target (`--stop-pid`). Without
`--allow` it does what the target's profile allows (`target.allows`), else it reads and writes.

A broken MUST is a *deviation* and ends with 99; a broken SHOULD, or what surprises where the contract is silent, is a *finding* and
fails nothing. What cannot be asked is *not applicable*, with what would make it so; what could not be carried out is *undecided*, never
a pass, and ends with 95. Deviations that are accepted stand in a file for `--known`, a line `case = \"reason\"` each; a line whose
case is kept again fails.

*Catches* names what the case was seen to catch, in a test: a defect of the reference runtime (`reference --defect`), or, after
*proxy*, what a proxy before it does.
";

/// The page of these cases.
#[must_use]
pub fn page(cases: &[(usize, &'static Case)]) -> String {
    let mut out = HEAD.to_owned();
    let musts = cases.iter().filter(|(_, case)| case.level == crate::case::Level::Must).count();
    // Writing to a string does not fail.
    let _ = writeln!(out, "\n{} cases, {musts} of them MUST.", cases.len());
    let mut area: Option<Area> = None;
    for (_, case) in cases {
        if area != Some(case.area) {
            area = Some(case.area);
            let _ = writeln!(
                out,
                "\n## {}\n\n| case | what | level | the contract's sentence | does | catches |\n\
                 | --- | --- | --- | --- | --- | --- |",
                case.area.name()
            );
        }
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {}: \"{}\" | {} | {} |",
            case.id,
            case.title,
            case.level.name(),
            case.section,
            case.sentence.replace('|', "\\|"),
            case.does.name(),
            catches(case.caught_by)
        );
    }
    out
}

fn catches(caught: &[Catch]) -> String {
    let each = caught.iter().map(|catch| match catch {
        Catch::Defect(spec) => format!("`{spec}`"),
        Catch::Proxy(name) => format!("proxy `{name}`"),
    });
    let each: Vec<_> = each.collect();
    if each.is_empty() { "–".to_owned() } else { each.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_up_to_date() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../CONFORM.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        let all = crate::select::select(&[]).expect("all");
        let renew = "renew it: khala-harness conform --list > harness/CONFORM.md";
        assert!(committed == page(&all), "{renew}");
        assert_eq!(all.len(), crate::cases::all().len());
    }
}
