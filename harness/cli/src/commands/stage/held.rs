//! What was held until now: the parts of a hold, and what they come to together.

use std::path::Path;

use khala_bundle::Bundle;
use khala_evidence::judge::Verdict;
use khala_evidence::report::RunReport;
use khala_plan::rollout::Hold;
use khala_stage::decide;
use khala_stage::entry::{HoldResult, Segment, StepResult, Waived};
use khala_stage::evidence::{Figures, RunSummary};
use khala_stage::history::Attempt;
use khala_stage::series::{Second, Series};
use khala_stage::stamp::Stamp;
use khala_stage::steps::HOLD;
use khala_stage::windows::{self, Indicator, Settings, observed_s};

use super::hold::{PHASE, least_s, left_out, lengths};
use super::order::Order;
use super::{runs, tries};
use crate::commands::run::Unrun;
use crate::exit::Failure;

/// One part: a run.
struct Part {
    segment: Segment,
    run: RunSummary,
}

impl Part {
    /// Whether it came to its end, and something vouches for it: one that was killed as its evidence was written has no
    /// manifest, and counts as one that was cut.
    fn has_an_end(&self) -> bool {
        self.segment.finished && self.segment.manifest_sha256.is_some()
    }

    /// What it means for the hold. What a part that was cut did not come to says nothing; what it warned of was seen.
    fn verdict(&self) -> Verdict {
        let warned = || self.run.objectives(Verdict::Warn).next().is_some();
        match self.run.step_verdict() {
            Verdict::Fail => Verdict::Fail,
            whole if self.segment.finished || self.run.ended_early.is_some() => whole,
            _ if warned() => Verdict::Warn,
            _ => Verdict::Pass,
        }
    }
}

/// What each second of a part showed, and what of it none of the target's doing is.
///
/// # Errors
/// When its bundle cannot be read.
pub fn seconds(
    dir: &Path,
    report: &RunReport,
) -> Result<(Vec<Second>, &'static [Indicator]), khala_bundle::Error> {
    let bundle = Bundle::open(dir)?;
    let mut series = Series::default();
    let left_out = left_out(&bundle.plan()?.0);
    left_out.iter().for_each(|indicator| series.leave_out(*indicator));
    for entry in bundle.entries()? {
        let Ok(entry) = entry else { break };
        series.take(&entry);
    }
    let phase = report.phases.iter().find(|phase| phase.name == PHASE);
    let seconds = phase.map(|phase| series.between(phase.start_us, phase.end_us));
    Ok((seconds.unwrap_or_default(), left_out))
}

/// What was held until now.
#[derive(Default)]
pub struct Held {
    seconds: Vec<Second>,
    parts: Vec<Part>,
    figures: Figures,
    /// What keeps it from being judged whatever the parts say, with what to do.
    amiss: Vec<(String, &'static str)>,
    left_out: &'static [Indicator],
}

impl Held {
    /// What earlier tries observed that were interrupted. A part whose evidence is gone may have failed.
    ///
    /// # Errors
    /// When the scenario of the hold cannot be read.
    pub fn earlier(order: &Order<'_>, hold: &Hold, attempt: &Attempt) -> Result<Self, Failure> {
        let mut held = Self::default();
        let named = attempt.tries(HOLD).filter_map(|run| run.bundle.as_deref());
        for dir in named.map(Path::new) {
            match tries::report(dir) {
                Err(why) => held.amiss.push((why, tries::MISSING)),
                Ok(report) => {
                    let lengths = lengths(order, hold, order.hold_s)?;
                    let scenario = order.scenario(&hold.scenario, &lengths);
                    let command = runs::command(&scenario, order.args);
                    let summary = runs::summary(&report, dir, None, command);
                    held.take(&report, summary);
                }
            }
        }
        Ok(held)
    }

    /// Takes a part: what its run saw in its phase, and what it found. One whose evidence cannot be read keeps the hold
    /// from being judged.
    pub fn take(&mut self, report: &RunReport, run: RunSummary) {
        let (seconds, left_out) = match seconds(Path::new(&run.bundle), report) {
            Ok(seen) => seen,
            Err(error) => {
                self.amiss.push((format!("the evidence of a part of it: {error}"), tries::MISSING));
                (Vec::new(), self.left_out)
            }
        };
        self.left_out = left_out;
        let segment = Segment {
            bundle: run.bundle.clone(),
            manifest_sha256: run.manifest_sha256.clone(),
            began: report.started_at.clone(),
            observed_s: observed_s(&seconds),
            finished: report.finished && !report.interrupted,
            decision: report.decision,
            build: report.target.build.clone(),
            sockets: report.target.sockets.clone(),
            warned: report.verdict == Verdict::Warn,
        };
        self.figures.add(report);
        self.parts.push(Part { segment, run });
        self.seconds.extend(seconds);
    }

    /// Notes that a part came to no report.
    pub fn came_to_nothing(&mut self, why: &Unrun) {
        let (told, next) = runs::unrun(why);
        self.amiss.push((format!("a part of it: {told}"), next));
    }

    /// Notes why no further part is held.
    pub fn give_up(&mut self, why: String) {
        let next = "have the machine's time kept (NTP), then run the stage again, without --resume";
        self.amiss.push((why, next));
    }

    /// How much was observed, in seconds.
    pub fn observed_s(&self) -> f64 {
        observed_s(&self.seconds)
    }

    /// Whether a part came to its end with its evidence.
    pub fn has_an_end(&self) -> bool {
        self.parts.iter().any(Part::has_an_end)
    }

    /// Whether the last part was ended early.
    pub fn ended_early(&self) -> bool {
        self.parts.last().is_some_and(|part| part.run.ended_early.is_some())
    }

    /// Whether a part failed.
    pub fn has_failed(&self) -> bool {
        self.parts.iter().any(|part| part.verdict() == Verdict::Fail)
    }

    /// Whether no further part can make a GO of it: something failed or is open. A warning that a waiver covers is none
    /// of that.
    pub fn is_decided(&self, waivers: &[Waived], now: &Stamp) -> bool {
        let decides = |part: &Part| match part.verdict() {
            Verdict::Warn => !decide::is_waived(waivers, now, &part.run),
            other => other > Verdict::Warn,
        };
        !self.amiss.is_empty() || self.parts.iter().any(decides)
    }

    /// The part that speaks for all: the worst that failed, else the last that came to its end.
    fn decisive(&self) -> Option<usize> {
        let failed = self.parts.iter().rposition(|part| part.verdict() == Verdict::Fail);
        let ended = || self.parts.iter().rposition(Part::has_an_end);
        failed.or_else(ended).or_else(|| self.parts.len().checked_sub(1))
    }

    /// What the hold comes to.
    pub fn concluded(self, order: &Order<'_>, hold: &Hold, settings: &Settings) -> StepResult {
        let windows = windows::judge(&self.seconds, settings);
        let observed_s = self.observed_s();
        let worst = windows.indicators.iter().map(|line| line.verdict).max();
        let worst = worst.unwrap_or(Verdict::Inconclusive);
        let runs = self.parts.iter().map(Part::verdict).max().unwrap_or(Verdict::Inconclusive);
        let seen = match observed_s + 1e-6 < least_s(order, hold) || !self.amiss.is_empty() {
            true => Verdict::Inconclusive,
            false => Verdict::Pass,
        };
        let verdict = runs.max(worst).max(seen).max(Verdict::Pass);
        let mut said = self.said();
        let open = windows.indicators.iter().filter(|line| line.verdict > Verdict::Pass);
        said.extend(open.map(|line| format!("`{}`: {}", line.indicator.name(), line.reason)));
        let too_little = observed_s + 1e-6 < least_s(order, hold);
        said.push(format!(
            "{observed_s:.0} s of {} s were observed{}",
            order.hold_s,
            if too_little { ", which is too little" } else { "" }
        ));
        let mut result = StepResult::of(verdict, said.join("; "));
        let amiss = self.amiss.first().map(|(_, next)| (*next).to_owned());
        result.next = match verdict {
            Verdict::Fail => Some("follow the plan below, and file the blockers".to_owned()),
            Verdict::Inconclusive | Verdict::Warn => Some(amiss.unwrap_or_else(|| {
                "see the hold's table below: hold again once what is open is settled".to_owned()
            })),
            Verdict::Pass | Verdict::NotApplicable => None,
        };
        for indicator in self.left_out {
            result.lines.push(format!(
                "`{}` is not judged: with `fleet.first_subscribe = \"from-now\"` who comes later begins where the run \
                 did",
                indicator.name()
            ));
        }
        let decisive = self.decisive();
        let whole = self.figures.whole();
        let (segments, mut runs): (Vec<_>, Vec<_>) =
            self.parts.into_iter().map(|part| (part.segment, part.run)).unzip();
        result.run = decisive.map(|at| Box::new(runs.remove(at)));
        result.others = runs;
        let wanted_s = order.hold_s;
        result.hold = Some(Box::new(HoldResult {
            wanted_s,
            observed_s,
            segments,
            windows,
            whole,
            samples: None,
        }));
        result
    }

    /// What of the parts keeps it from passing, in words.
    fn said(&self) -> Vec<String> {
        let mut said: Vec<String> = self.amiss.iter().map(|(why, _)| why.clone()).collect();
        let early = self.parts.iter().filter_map(|part| part.run.ended_early.as_ref());
        said.extend(early.map(|why| format!("ended early: {why}")));
        let of = self.parts.len();
        for (part, number) in self.parts.iter().zip(1..) {
            if part.verdict() > Verdict::Pass {
                let which = if of > 1 { format!("part {number} of {of}: ") } else { String::new() };
                said.push(format!("{which}{}", part.run.told()));
            }
        }
        if of == 0 && self.amiss.is_empty() {
            said.push("no part of it came to its end".to_owned());
        }
        said
    }
}

#[cfg(test)]
mod tests;
