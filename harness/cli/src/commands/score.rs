//! `score`: a run judged by other gates, without running it again.

use khala_bundle::Bundle;

use crate::exit::{Exit, Failure};
use crate::show::{show, wrapped};
use crate::{args, output};

/// Judges a bundle by the gates of a file.
pub fn run(score: &args::Score) -> Result<Exit, Failure> {
    let bundle = Bundle::open(&score.dir)?;
    let evidence = bundle.settle()?;
    let plan = bundle.plan_under(&score.gates)?;
    let report = evidence.report_under(&plan);
    let own: Vec<_> = evidence.plan.gates.iter().map(|gate| gate.name.as_str()).collect();
    let own = if own.is_empty() { "none".to_owned() } else { own.join(", ") };
    let head = format!(
        "judged by {}, in place of the run's own gates ({own}), by which it is {}",
        score.gates.display(),
        evidence.report().decision,
    );
    if score.json {
        output::say(&head);
    } else {
        output::verdict(wrapped(&head).as_bytes());
    }
    let (dir, gates) = (score.dir.display(), score.gates.display());
    show(&report, score.json, &score.dir, &format!("{dir}, judged by {gates}"))?;
    Ok(report.decision.into())
}
