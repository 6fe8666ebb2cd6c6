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
    let (dir, gates) = (score.dir.display(), score.gates.display());
    show(&report, score.json, &format!("{dir}, judged by {gates}"))?;
    Ok(report.decision.into())
}
