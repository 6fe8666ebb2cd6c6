//! A report on standard output: for people, or for machines.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use khala_evidence::render::terminal::{self, Colour};
use khala_evidence::render::{self, Renderer};
use khala_evidence::report::RunReport;

use crate::exit::Failure;
use crate::{output, scenario};

/// Prints a report: the summary and `last`, or `run.json` itself. It decides nothing whether that can be
/// printed.
///
/// # Errors
/// When it cannot be rendered, which is a bug.
pub fn show(report: &RunReport, json: bool, last: &str) -> Result<(), Failure> {
    if json {
        let run_json: &dyn Renderer = render::ALL[0];
        let bytes = run_json.render(report).context("a rendering failed")?;
        output::verdict(&bytes);
        return Ok(());
    }
    let colour = if scenario::colour_on(std::io::stdout().is_terminal()) {
        Colour::Always
    } else {
        Colour::Never
    };
    output::verdict(format!("{}\n{last}\n", terminal::render(report, colour)).as_bytes());
    Ok(())
}
