//! A report on standard output: for people, or for machines.

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::Context as _;
use khala_bundle::Derived;
use khala_engine::environment;
use khala_evidence::render::terminal::{self, Colour, Reader};
use khala_evidence::render::{self, Renderer};
use khala_evidence::report::RunReport;

use crate::args::Summary;
use crate::exit::Failure;
use crate::output;

/// How much of a report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Ten lines.
    Short,
    /// The summary, all of it.
    Full,
    /// Its first line.
    Head,
    /// `run.json` itself.
    Json,
}

/// Prints a report on the bundle `dir`: the summary and `last`, or `run.json` itself. It decides nothing whether that can be
/// printed.
///
/// # Errors
/// When it cannot be rendered, which is a bug.
pub fn show(report: &RunReport, how: Shown, dir: &Path, last: &str) -> Result<(), Failure> {
    if how == Shown::Json {
        let run_json: &dyn Renderer = render::ALL[0];
        let bytes = run_json.render(report).context("a rendering failed")?;
        output::verdict(&bytes);
        return Ok(());
    }
    let bundle = quoted(&dir.display().to_string());
    let at_a_terminal = std::io::stdout().is_terminal();
    let colour = if output::colour_on(at_a_terminal) { Colour::Always } else { Colour::Never };
    let reader =
        Reader { colour, width: width(at_a_terminal), bundle: &bundle, last, at_a_terminal };
    let text = match how {
        Shown::Full => terminal::render_for(report, &reader),
        Shown::Head => {
            let text = terminal::render_short(report, &reader);
            let head = text.lines().next().unwrap_or_default();
            format!("{head}\n{last}\n")
        }
        _ => terminal::render_short(report, &reader),
    };
    output::verdict(text.as_bytes());
    Ok(())
}

impl Shown {
    /// Machines' form, or people's.
    pub fn of(json: bool, summary: Summary) -> Self {
        match (json, summary) {
            (true, _) => Self::Json,
            (false, Summary::Short) => Self::Short,
            (false, Summary::Full) => Self::Full,
        }
    }
}

/// Says what is missing of a report's files, and what to do.
pub fn complain(derived: &Derived, dir: &Path) {
    for why in &derived.unwritten {
        output::say(&format!("warning: {why}"));
    }
    let dir = quoted(&dir.display().to_string());
    if !derived.kept {
        output::say(&format!(
            "warning: the verdict stands, but not all that it was made from could be kept: what `khala-harness report {dir}` \
             makes ends where the journal does"
        ));
    } else if !derived.unwritten.is_empty() {
        output::say(&format!(
            "warning: the verdict stands, and what it was made from is kept: once that can be written, \
             `khala-harness report {dir}` makes the rest"
        ));
    }
}

/// Columns of a terminal that does not say how many it has.
const TERMINAL_WIDTH: usize = 80;

/// Columns for what is printed: `COLUMNS` if it is set, else the terminal's own; where there is none, as many
/// as a log or a mail shows.
fn width(at_a_terminal: bool) -> usize {
    let asked = environment::variable("COLUMNS").and_then(|columns| columns.parse().ok());
    let own = || rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let own = || own().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    let otherwise = if at_a_terminal { TERMINAL_WIDTH } else { terminal::WIDTH };
    asked.filter(|columns| *columns > 0).or_else(own).unwrap_or(otherwise)
}

/// Columns of the screen, where there is one or `COLUMNS` says so; what goes to a program stays as it is.
pub fn screen_width() -> Option<usize> {
    let at_a_terminal = std::io::stdout().is_terminal();
    let asked = environment::is_set("COLUMNS");
    (at_a_terminal || asked).then(|| width(at_a_terminal))
}

/// Columns of the terminal that standard error goes to.
pub fn columns_of_stderr() -> usize {
    let own = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    let own = own.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
    own.unwrap_or(TERMINAL_WIDTH)
}

/// A sentence in lines that fit the screen.
pub fn wrapped(sentence: &str) -> String {
    terminal::wrapped(sentence, width(std::io::stdout().is_terminal()))
}

pub use khala_stage::command::quoted;
