//! `report`: everything that is made from a run's sources, made again.

use khala_bundle::{Bundle, Leftover, Lock, Maker, Reading};

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
    let path = dir.display().to_string();
    show(&made, Shown::of(report.json), dir, &path)?;
    if report.json {
        output::say(&path);
    }
    Ok(if made.interrupted { Exit::Interrupted } else { made.decision.into() })
}
