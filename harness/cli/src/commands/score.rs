//! `score`: a run judged by other gates, without running it again.

use crate::evidence::{self, Evidence, Reading};
use crate::exit::{Exit, Failure};
use crate::show::show;
use crate::{args, output};

/// Judges a bundle by the gates of a file.
pub fn run(score: &args::Score) -> Result<Exit, Failure> {
    let evidence = Evidence::read(&score.dir, Reading::default())?;
    let (plan, _) =
        evidence::plan(&score.dir, evidence.begin.profile.as_deref(), Some(&score.gates))?;
    let report = evidence.report_under(&plan);
    show(&report, score.json)?;
    if !score.json {
        let (dir, gates) = (score.dir.display(), score.gates.display());
        output::print(format!("\n{dir}, judged by {gates}\n").as_bytes())?;
    }
    Ok(report.decision.into())
}
