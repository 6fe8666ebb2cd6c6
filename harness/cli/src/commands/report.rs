//! `report`: everything that is made from a run's sources, made again.

use crate::bundle::Lock;
use crate::evidence::{Evidence, Reading};
use crate::exit::{Exit, Failure};
use crate::manifest::Maker;
use crate::show::show;
use crate::{args, output};

/// Makes the report of a bundle again.
pub fn run(report: &args::Report) -> Result<Exit, Failure> {
    // Nothing is written, not even a lock, where there is no run.
    let dir = &report.dir;
    crate::evidence::is_bundle(dir)?;
    let _lock = Lock::take(dir)?.ok_or_else(|| {
        let message = format!("{}: the run is still going on; wait for its end", dir.display());
        Failure::new(Exit::Setup, message)
    })?;
    let evidence = Evidence::read(dir, Reading { hlog: true, ..Reading::default() })?;
    let derived = evidence.derive(Maker::Report)?;
    derived.complain(dir);
    let made = derived.report;
    let path = dir.display().to_string();
    show(&made, report.json, dir, &path)?;
    if report.json {
        output::say(&path);
    }
    Ok(if made.interrupted { Exit::Interrupted } else { made.decision.into() })
}
