//! `score`: a run judged by other gates, without running it again.

use khala_bundle::{Bundle, names};
use khala_evidence::judge::Decision;

use crate::exit::{Exit, Failure};
use crate::show::{Shown, quoted, show, wrapped};
use crate::{args, output};

/// Judges a bundle by the gates of a file.
pub fn run(score: &args::Score) -> Result<Exit, Failure> {
    let bundle = Bundle::open(&score.dir)?;
    let evidence = bundle.settle()?;
    let plan = bundle.plan_under(&score.gates)?;
    let mut report = evidence.report_under(&plan);
    report.judged_by = Some(score.gates.display().to_string());
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
    let how = Shown::of(score.json, score.shown.summary);
    show(&report, how, &score.dir, &format!("{dir}, judged by {gates}"))?;
    if report.decision == Decision::Hold {
        let scenario = quoted(&score.dir.join(names::SCENARIO).display().to_string());
        let gates = quoted(&gates.to_string());
        output::say(&format!(
            "note: `khala-harness check {scenario} --gates {gates}` says what these gates need of such a run"
        ));
    }
    Ok(report.decision.into())
}
