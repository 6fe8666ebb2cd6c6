//! `report`: everything that is made from a run's sources, made again.

use std::path::Path;

use khala_bundle::{Bundle, Leftover, Lock, Maker, Reading};
use khala_evidence::render::report_html;
use khala_evidence::report::RunReport;

use crate::exit::{Exit, Failure};
use crate::show::{Shown, complain, show};
use crate::{args, output};

/// Makes the report of a bundle again.
pub fn run(report: &args::Report) -> Result<Exit, Failure> {
    // Nothing is written, not even a lock, where there is no run.
    let dir = &report.dir;
    let bundle = Bundle::open(dir)?;
    let _lock = Lock::take(dir)?;
    let reading = Reading { hlog: true, ..Reading::default() };
    let derived = bundle.settle_with(reading, Leftover::default())?.derive(Maker::Report)?;
    derived.remade.iter().for_each(|what| output::say(&format!("note: {what}")));
    complain(&derived, dir);
    let made = derived.report;
    if let Some(file) = &report.page {
        page(&made, file, report.beside.as_deref())?;
    }
    let path = dir.display().to_string();
    show(&made, Shown::of(report.json, report.shown.summary), dir, &path)?;
    if report.json {
        output::say(&path);
    }
    Ok(if made.interrupted { Exit::Interrupted } else { made.decision.into() })
}

/// Writes the page of a run to a file of the user's, with the recovery of another run beside its own.
fn page(report: &RunReport, file: &Path, beside: Option<&Path>) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(Path::new("."));
    if khala_bundle::is_bundle(folder).is_ok() {
        let what = format!(
            "{} would be written into a bundle, where it is no evidence of the run: name another folder",
            file.display()
        );
        return Err(Failure::new(Exit::Usage, what));
    }
    let other = match beside {
        Some(dir) => Some(Bundle::open(dir)?.settle()?.report()),
        None => None,
    };
    std::fs::write(file, report_html::page(report, other.as_ref())).map_err(|error| {
        Failure::new(Exit::Setup, format!("cannot write {}: {error}", file.display()))
    })
}
