//! What the README says is so: its commands, its counts, and what the first command prints.

use std::path::{Path, PathBuf};

use crate::support::{Ended, Harness, exit};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect("it is committed")
}

#[test]
fn every_command_has_its_line() {
    let readme = page("README.md");
    let help = Harness::new("--help").ended_plain().exits(exit::GO).stdout;
    let listed = help.split("Commands:\n").nth(1).expect("a list of commands");
    let listed = listed.split("\n\n").next().expect("a list that ends");
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| *name != "help") {
        assert!(readme.contains(&format!("`khala-harness {name}")), "no line on {name}");
    }
}

#[test]
fn every_shipped_scenario_has_its_line() {
    let readme = page("README.md");
    for entry in std::fs::read_dir(root().join("scenarios")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        if name.ends_with(".toml") {
            assert!(readme.contains(&format!("](scenarios/{name})")), "no line on {name}");
        }
    }
}

#[test]
fn the_number_of_defects_is_the_catalogues() {
    let catalogue = page("harness/reference/DEFECTS.md");
    let count = catalogue.lines().rev().find_map(|line| line.strip_suffix(" defects."));
    let count = count.expect("the page ends with their number");
    assert!(page("README.md").contains(&format!("There are {count}, ")), "{count} defects");
}

/// What stands between the markers of the exams.
fn quote(text: &str) -> &str {
    let (_, rest) = text.split_once("<!-- exams: -->").expect("it begins");
    rest.split_once("<!-- :exams -->").expect("it ends").0
}

/// `scripts/exams` renews both.
#[test]
fn the_quote_of_the_exams_is_the_pages() {
    let exams = page("harness/EXAMS.md");
    assert!(quote(&exams).lines().count() > 3, "a table: {exams}");
    assert_eq!(quote(&page("README.md")), quote(&exams));
}

/// Every page of the repository, by its path in it.
fn pages(folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("can be listed").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let foreign =
            ["target", "node_modules", "reports"].contains(&&*name) || name.starts_with('.');
        if path.is_dir() && !foreign {
            pages(&path, names);
        } else if name.ends_with(".md") {
            let within = path.strip_prefix(root()).expect("below the root");
            names.push(within.display().to_string());
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let mut names = Vec::new();
    pages(&root(), &mut names);
    assert!(names.len() > 20, "{names:?}");
    for name in &names {
        let text = page(name);
        let folder = root().join(name).parent().expect("a folder").to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let elsewhere = link.starts_with("http") || path.is_empty() || path.contains(' ');
            assert!(elsewhere || folder.join(path).exists(), "{name} links to {link}");
        }
    }
}

/// A line without its figures, which differ from run to run.
fn form(line: &str) -> String {
    let is_figure = |word: &str| word.contains(|c: char| c.is_ascii_digit());
    let is_unit = |word: &str| matches!(word.trim_end_matches(')'), "ms" | "µs" | "s");
    let words = line.split_whitespace().filter(|word| !is_unit(word));
    words.map(|word| if is_figure(word) { "#" } else { word }).collect::<Vec<_>>().join(" ")
}

/// The lines up to the first empty one: what a reader decides by.
fn head(printed: &str) -> Vec<&str> {
    printed.lines().take_while(|line| !line.trim().is_empty()).collect()
}

/// The block of the README under a command: what stands before it, in it, and after it.
fn block<'a>(readme: &'a str, command: &str) -> (&'a str, &'a str, &'a str) {
    let begin = readme.find(command).expect("the command") + command.len();
    let end = begin + readme[begin..].find("```").expect("a block that ends");
    (&readme[..begin], &readme[begin..end], &readme[end..])
}

/// Shown lines as this run printed them; one that ends in `…` stays, and so do a path and what is typed.
fn renewed<'a>(shown: impl Iterator<Item = &'a str>, stdout: &str) -> String {
    let mut renewed = String::new();
    let mut typed = false;
    for line in shown {
        typed |= line.starts_with("$ ");
        let elided = line.trim_end().strip_suffix('…').map(form);
        let is_shown = |printed: &&str| match &elided {
            Some(start) => form(printed).starts_with(start.trim_end()),
            None => form(printed) == form(line),
        };
        let stays = typed || line.contains("reports/runs/");
        let printed = stdout.lines().find(is_shown);
        assert!(stays || printed.is_some(), "nothing like it is printed: {line}\n{stdout}");
        let kept = stays || elided.is_some();
        renewed += if kept { line } else { printed.unwrap_or(line) };
        renewed += "\n";
    }
    renewed
}

/// With `KHALA_UPDATE_README` in the environment the README gets the lines of this run.
fn renew(command: &str, lines: &str) {
    if std::env::var_os("KHALA_UPDATE_README").is_some() {
        let readme = page("README.md");
        let (before, _, after) = block(&readme, command);
        let text = format!("{before}{lines}{after}");
        std::fs::write(root().join("README.md"), text).expect("the README can be written");
    }
}

/// A run of the smoke scenario. A machine that is busy with others makes a HOLD, which prints why.
fn smoke(more: &[&str]) -> Ended {
    let one = || {
        let run = Harness::run(root().join("scenarios/smoke.toml")).env("KHALA_SUMMARY", "short");
        more.iter().fold(run, |run, arg| run.arg(*arg)).ended()
    };
    let mut runs = std::iter::repeat_with(one).take(3);
    runs.find(|run| run.code != Some(exit::HOLD)).expect("HOLD three times")
}

/// One test for both blocks, so that each has the README that the other has renewed. Of the first command the
/// README has all of the ten lines, line breaks apart; of all else what it does not leave out.
#[test]
fn the_first_commands_print_what_they_are_said_to_print() {
    let command = "$ cargo run --release -- run scenarios/smoke.toml\n";
    let run = smoke(&[]).exits(exit::GO);
    let readme = page("README.md");
    let (_, shown, _) = block(&readme, command);
    let printed = head(&run.stdout);
    let renews = std::env::var_os("KHALA_UPDATE_README").is_some();
    let whole = |lines: &[&str]| form(&lines.join(" "));
    let in_step = whole(&head(shown)) == whole(&printed);
    assert!(renews || in_step, "{shown}\nand not\n{}", run.stdout);
    // The last line is the bundle's path, which is a test's own.
    let path = head(shown).last().copied().unwrap_or_default();
    let told = printed.iter().take(printed.len().saturating_sub(1));
    let mut lines: String = told.chain([&path]).map(|line| format!("{line}\n")).collect();
    lines += &renewed(shown.lines().skip(head(shown).len()), &run.stdout);
    renew(command, &lines);

    let command = "$ cargo run --release -- run scenarios/smoke.toml --defect drop_on_reconnect\n";
    let run = smoke(&["--defect", "drop_on_reconnect"]).exits(exit::NO_GO);
    let (_, shown, _) = block(&readme, command);
    renew(command, &renewed(shown.lines(), &run.stdout));
}
