//! What people read of a run, as the proofs look at it.

use khala_evidence::render::terminal::{self, Colour, Reader};
use khala_evidence::render::{self, Renderer};
use khala_evidence::report::RunReport;

/// Somebody without colours, whose bundle is `runs/one`.
pub fn reader(width: usize, at_a_terminal: bool) -> Reader<'static> {
    Reader { colour: Colour::Never, width, bundle: "runs/one", last: "runs/one", at_a_terminal }
}

/// One line of what was printed over several.
pub fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The lines of what to do, of which as many as it takes stand among the ten.
pub fn what_to_do(shown: &str) -> Vec<&str> {
    let lines = shown.lines().skip_while(|line| !line.starts_with("  Next  "));
    lines.take_while(|line| !line.starts_with("  All   ")).collect()
}

/// Lines beside those of what to do, which has two of the ten, and more where it takes more.
pub fn besides_what_to_do(shown: &str) -> usize {
    shown.lines().count() - what_to_do(shown).len()
}

/// The terminal's ten lines, as one.
pub fn ten_lines(report: &RunReport) -> String {
    let shown = terminal::render_short(report, &reader(100, false));
    assert!(besides_what_to_do(&shown) <= 8, "{shown}");
    flat(&shown)
}

/// A file of the bundle.
pub fn file(name: &str, report: &RunReport) -> String {
    let renderer: &dyn Renderer =
        *render::ALL.iter().find(|it| it.file_name() == name).expect("such a rendering");
    String::from_utf8(renderer.render(report).expect("renders")).expect("text")
}

/// The page for whoever decides.
pub fn summary(report: &RunReport) -> String {
    file("summary.md", report)
}
