//! `score`: a run judged by other gates, without running it again.

use crate::args;
use crate::evidence::{self, Evidence, Reading};
use crate::exit::{Exit, Failure};
use crate::show::show;

/// Judges a bundle by the gates of a file.
pub fn run(score: &args::Score) -> Result<Exit, Failure> {
    let evidence = Evidence::read(&score.dir, Reading::default())?;
    let (plan, _) =
        evidence::plan(&score.dir, evidence.begin.profile.as_deref(), Some(&score.gates))?;
    let report = evidence.report_under(&plan);
    show(&report, score.json)?;
    if !score.json {
        println!("\n{}, judged by {}", score.dir.display(), score.gates.display());
    }
    Ok(report.decision.into())
}
