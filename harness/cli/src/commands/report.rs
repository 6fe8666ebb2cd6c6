//! `report`: everything that is made from a run's sources, made again.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
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
    let page = report.page.as_deref();
    let page = page.map(|file| Page::open(file, report.beside.as_deref())).transpose()?;
    let _lock = Lock::take(dir)?;
    let reading = Reading { hlog: true, ..Reading::default() };
    let derived = bundle.settle_with(reading, Leftover::default())?.derive(Maker::Report)?;
    derived.remade.iter().for_each(|what| output::say(&format!("note: {what}")));
    complain(&derived, dir);
    let made = derived.report;
    let written = page.map_or(Ok(()), |page| page.write(&made));
    let path = dir.display().to_string();
    show(&made, Shown::of(report.json, report.shown.summary), dir, &path)?;
    if report.json {
        output::say(&path);
    }
    let exit = if made.interrupted { Exit::Interrupted } else { made.decision.into() };
    output::unwritten(written, exit)
}

/// The page of a run in a file of the user's, with the recovery of another run beside its own. The file is opened before
/// anything is made: what cannot be written is told at once.
struct Page<'a> {
    path: &'a Path,
    file: File,
    other: Option<RunReport>,
}

impl<'a> Page<'a> {
    fn open(path: &'a Path, beside: Option<&Path>) -> Result<Self, Failure> {
        let folder = path.parent().unwrap_or(Path::new("."));
        if khala_bundle::is_bundle(folder).is_ok() {
            let what = format!(
                "{} would be written into a bundle, where it is no evidence of the run: name another folder",
                path.display()
            );
            return Err(Failure::new(Exit::Usage, what));
        }
        let other = match beside {
            Some(dir) => Some(Bundle::open(dir)?.settle()?.report()),
            None => None,
        };
        // What is there stays until there is something to put in its place.
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| Failure::unwritten("write", path, &error))?;
        Ok(Self { path, file, other })
    }

    fn write(mut self, report: &RunReport) -> Result<(), Failure> {
        let page = report_html::page(report, self.other.as_ref());
        // What is no file, such as a pipe, has no length.
        let emptied = match self.file.metadata() {
            Ok(about) if about.is_file() => self.file.set_len(0),
            _ => Ok(()),
        };
        let written = emptied.and_then(|()| self.file.write_all(page.as_bytes()));
        written.map_err(|error| Failure::unwritten("write", self.path, &error))
    }
}
