//! What becomes of the faults: their baselines, and how the target's side proves them.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_evidence::facts::FaultOutcome;
use khala_evidence::record::Micros;
use khala_plan::schedule::{PlannedFault, Schedule};
use khala_wire::metrics::FanoutMetrics;

use crate::clock::micros;
use crate::fault::{self, Sides};
use crate::heads::Answers;
use crate::observe::EventKind;

/// The target's side before the faults of an instant.
enum Baseline {
    /// It was asked for.
    Asked,
    There(FanoutMetrics, Answers),
    /// Why there is none.
    Failed(String),
}

/// A fault whose proof is being waited for.
struct Proving<'a> {
    fault: &'a PlannedFault,
    /// Metrics before; none are needed of a fault that answers prove.
    before: FanoutMetrics,
    answers_before: Answers,
    planned_together: u64,
    until: Micros,
    /// When the target's side first showed it.
    first_seen: Option<Micros>,
}

/// The target's side now.
pub(super) struct Now<'a> {
    /// The time.
    pub at: Micros,
    /// Its last metrics, and when they were asked for.
    pub metrics: Option<(Micros, &'a FanoutMetrics)>,
    /// What it has answered.
    pub answers: Answers,
    /// Why metrics could not be read, if some could not.
    pub unread: Option<&'a str>,
}

/// The faults of a run.
pub(super) struct Proofs<'a> {
    schedule: &'a Schedule,
    outcomes: Vec<FaultOutcome>,
    baselines: BTreeMap<Micros, Baseline>,
    proving: Vec<Proving<'a>>,
    refused: BTreeMap<u16, String>,
}

impl<'a> Proofs<'a> {
    pub fn new(schedule: &'a Schedule) -> Self {
        let why = "the run did not come so far";
        let not_applied = |fault| FaultOutcome::not_applied(schedule, fault, why);
        Self {
            schedule,
            outcomes: schedule.faults.iter().map(not_applied).collect(),
            baselines: BTreeMap::new(),
            proving: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Whether the target's side is to be looked at often.
    pub fn are_waited_for(&self) -> bool {
        !self.proving.is_empty()
    }

    /// What became of the faults.
    pub fn into_outcomes(self) -> Vec<FaultOutcome> {
        self.outcomes
    }

    /// The metrics before the faults of `due` are asked for, or cannot even be.
    pub fn baseline_asked(&mut self, due: Micros, asked: bool) {
        let baseline = if asked {
            Baseline::Asked
        } else {
            Baseline::Failed("too many reads of them had no answer".to_owned())
        };
        self.baselines.insert(due, baseline);
    }

    /// The metrics before the faults of `due` are there, or could not be read. What comes after the
    /// faults is no baseline.
    pub fn baseline(
        &mut self,
        due: Micros,
        answered: Micros,
        metrics: Result<FanoutMetrics, String>,
        answers: Answers,
    ) {
        let baseline = match metrics {
            Ok(metrics) if answered <= due => Baseline::There(metrics, answers),
            Ok(_) => return,
            Err(why) => Baseline::Failed(why),
        };
        self.baselines.insert(due, baseline);
    }

    /// A fault is due. Returns how many it is aimed at, and what there is to say if it cannot be proven.
    pub fn due(&mut self, fault: &'a PlannedFault, answers: Answers) -> (u64, Option<EventKind>) {
        let acting = fault::of(&fault.kind);
        let before = match self.baselines.get(&fault.at_us) {
            Some(Baseline::There(metrics, answers)) => Ok((metrics.clone(), answers.clone())),
            _ if acting.proven_by_answers() => Ok((FanoutMetrics::default(), answers)),
            Some(Baseline::Failed(why)) => Err(why.as_str()),
            Some(Baseline::Asked) => Err("they had not come when it was due"),
            None => Err("they were not asked for"),
        };
        let (proof, proving) = match before {
            Ok((before, answers_before)) => {
                ("nothing showed it".to_owned(), Some(self.proving(fault, before, answers_before)))
            }
            Err(why) => {
                (format!("the target's metrics could not be read just before it: {why}"), None)
            }
        };
        let unproven = proving.is_none().then(|| {
            let (id, how) = (fault.id, proof.clone());
            EventKind::FaultProven { id, effective: None, how }
        });
        self.proving.extend(proving);
        let outcome = &mut self.outcomes[usize::from(fault.id)];
        (outcome.applied, outcome.proof) = (true, proof);
        (outcome.planned, unproven)
    }

    /// A fault on the target could not be carried out.
    pub fn refused(&mut self, fault: u16, why: String) {
        if let Some(outcome) = self.outcomes.get_mut(usize::from(fault)) {
            outcome.proof.clone_from(&why);
        }
        self.refused.insert(fault, why);
    }

    fn proving(
        &self,
        fault: &'a PlannedFault,
        before: FanoutMetrics,
        answers_before: Answers,
    ) -> Proving<'a> {
        let together = |other: &&PlannedFault| {
            // An offline client's socket ends as a disconnected one's does.
            let cuts = |name: &str| name == "disconnect" || name == "offline";
            let (ours, theirs) = (fault.kind.name(), other.kind.name());
            other.at_us == fault.at_us && (ours == theirs || cuts(ours) && cuts(theirs))
        };
        let same_instant = self.schedule.faults.iter().filter(together);
        let until = match fault.duration_us {
            Some(duration) => fault.at_us + duration,
            None => {
                let last = fault.at_us + fault.spread_us.unwrap_or(0);
                last + micros(fault::of(&fault.kind).proof_timeout())
            }
        };
        Proving {
            fault,
            before,
            answers_before,
            planned_together: same_instant.map(|other| other.targets.len() as u64).sum(),
            until,
            first_seen: None,
        }
    }

    /// Asks the target's side what became of the faults; stops asking when all of one is seen, or its
    /// time is over. Returns what there is to say.
    pub fn look(&mut self, now: &Now<'_>, last_chance: bool) -> Vec<EventKind> {
        let mut said = Vec::new();
        let (outcomes, refused) = (&mut self.outcomes, &self.refused);
        self.proving.retain_mut(|entry| {
            let outcome = &mut outcomes[usize::from(entry.fault.id)];
            let over = entry.look(now, outcome, last_chance);
            if over {
                if let Some(why) = refused.get(&entry.fault.id) {
                    outcome.proof = format!("{why}; {}", outcome.proof);
                }
                let (id, effective, how) = (outcome.id, outcome.effective, outcome.proof.clone());
                said.push(EventKind::FaultProven { id, effective, how });
            }
            !over
        });
        said
    }
}

impl Proving<'_> {
    /// Looks once; whether that was the last time.
    fn look(&mut self, now: &Now<'_>, outcome: &mut FaultOutcome, last_chance: bool) -> bool {
        let acting = fault::of(&self.fault.kind);
        let late = now.at >= self.until || last_chance;
        // What was asked for before the fault shows nothing of it.
        let metrics = now.metrics.filter(|(asked, _)| *asked >= self.fault.at_us);
        let nothing = FanoutMetrics::default();
        let after = match metrics {
            Some((_, metrics)) => metrics,
            None if acting.proven_by_answers() => &nothing,
            None if late => {
                let why = now.unread.unwrap_or("they had not come when its time was over");
                outcome.proof = format!("the target's metrics could not be read after it: {why}");
                return true;
            }
            None => return false,
        };
        let sides = Sides {
            before: &self.before,
            after,
            answers_before: self.answers_before.clone(),
            answers_after: now.answers.clone(),
            planned_together: self.planned_together,
        };
        let proof = acting.prove(self.fault, &sides);
        // A gauge goes back: the most that was ever seen is what was hit.
        outcome.effective = outcome.effective.max(proof.effective);
        if proof.effective > Some(0) {
            self.first_seen.get_or_insert(now.at);
        }
        let complete = outcome.effective >= Some(outcome.planned);
        if !complete && !late {
            return false;
        }
        let after_s =
            |at: Micros| Duration::from_micros(at.saturating_sub(self.fault.at_us)).as_secs_f64();
        outcome.proof = match self.first_seen {
            Some(first) if self.fault.duration_us.is_some() => format!(
                "{}; first after {:.1} s, {} after {:.1} s",
                proof.how,
                after_s(first),
                if complete { "all" } else { "the last look" },
                after_s(now.at)
            ),
            _ => proof.how,
        };
        true
    }
}
