//! A report on standard output: for people, or for machines.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;
use khala_evidence::render::terminal::{self, Colour};
use khala_evidence::render::{self, Renderer};
use khala_evidence::report::RunReport;

use crate::exit::Failure;
use crate::{output, scenario};

/// Prints a report on the bundle `dir`: the summary and `last`, or `run.json` itself. It decides nothing whether that can be
/// printed.
///
/// # Errors
/// When it cannot be rendered, which is a bug.
pub fn show(report: &RunReport, json: bool, dir: &Path, last: &str) -> Result<(), Failure> {
    if json {
        let run_json: &dyn Renderer = render::ALL[0];
        let bytes = run_json.render(report).context("a rendering failed")?;
        output::verdict(&bytes);
        return Ok(());
    }
    let bundle = quoted(&dir.display().to_string());
    let colour = if scenario::colour_on(std::io::stdout().is_terminal()) {
        Colour::Always
    } else {
        Colour::Never
    };
    output::verdict(
        format!("{}\n{last}\n", terminal::render_from(report, colour, &bundle)).as_bytes(),
    );
    Ok(())
}

/// A path as a shell takes it for one word.
pub fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}
