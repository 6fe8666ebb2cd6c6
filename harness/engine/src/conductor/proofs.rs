//! What becomes of the faults: their baselines, and how they are proven, by the best side that can tell.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_evidence::command::CommandRun;
use khala_evidence::facts::FaultOutcome;
use khala_evidence::record::Micros;
use khala_plan::Plan;
use khala_plan::model::Cohort;
use khala_plan::schedule::{PlannedFault, Schedule};
use khala_wire::metrics::FanoutMetrics;

use crate::clock::micros;
use crate::fault::{self, Counted, Fault, Proof, ShownBy, Sides};
use crate::observe::EventKind;

/// The target's metrics before the faults of an instant.
enum Baseline {
    /// They were asked for.
    Asked,
    There(FanoutMetrics),
    /// Why there are none.
    Failed(String),
}

/// A fault whose proof is being waited for.
struct Proving<'a> {
    fault: &'a PlannedFault,
    /// Metrics before, or why there are none.
    before: Result<FanoutMetrics, String>,
    planned_together: u64,
    /// Until when metrics are looked at.
    until: Micros,
    /// Whether they are.
    looks: bool,
    /// Whether metrics that were asked for after it were there.
    looked: bool,
    /// The most that they showed. A gauge goes back: what was ever seen was hit.
    most: Option<Proof>,
    /// When they first showed it.
    first_seen: Option<Micros>,
}

/// The target's side now.
pub(super) struct Now<'a> {
    /// The time.
    pub at: Micros,
    /// Its last metrics, and when they were asked for.
    pub metrics: Option<(Micros, &'a FanoutMetrics)>,
    /// What answers and sockets show of a fault.
    pub answered: &'a dyn Fn(u16) -> u64,
    /// Why metrics could not be read, if some could not.
    pub unread: Option<&'a str>,
}

/// The faults of a run.
pub(super) struct Proofs<'a> {
    plan: &'a Plan,
    schedule: &'a Schedule,
    outcomes: Vec<FaultOutcome>,
    baselines: BTreeMap<Micros, Baseline>,
    proving: Vec<Proving<'a>>,
    refused: BTreeMap<u16, String>,
}

impl<'a> Proofs<'a> {
    pub fn new(plan: &'a Plan, schedule: &'a Schedule) -> Self {
        let why = "the run did not come so far";
        let not_applied = |fault| FaultOutcome::not_applied(schedule, fault, why);
        Self {
            plan,
            schedule,
            outcomes: schedule.faults.iter().map(not_applied).collect(),
            baselines: BTreeMap::new(),
            proving: Vec::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Whether some are still to be proven.
    pub fn are_waited_for(&self) -> bool {
        !self.proving.is_empty()
    }

    /// Whether the target's metrics are to be read often.
    pub fn want_metrics(&self) -> bool {
        self.proving.iter().any(|entry| entry.looks)
    }

    /// What the metrics show from now on is the run's own end.
    pub fn metrics_are_over(&mut self) {
        self.proving.iter_mut().for_each(|entry| entry.looks = false);
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
    ) {
        let baseline = match metrics {
            Ok(metrics) if answered <= due => Baseline::There(metrics),
            Ok(_) => return,
            Err(why) => Baseline::Failed(why),
        };
        self.baselines.insert(due, baseline);
    }

    /// A fault is due. Returns how many it is aimed at.
    pub fn due(&mut self, fault: &'a PlannedFault) -> u64 {
        let before = match self.baselines.get(&fault.at_us) {
            Some(Baseline::There(metrics)) => Ok(metrics.clone()),
            Some(Baseline::Failed(why)) => Err(why.clone()),
            Some(Baseline::Asked) => Err("they had not come when it was due".to_owned()),
            None => Err("they were not asked for".to_owned()),
        };
        let proving = self.proving(fault, before);
        self.proving.push(proving);
        let outcome = &mut self.outcomes[usize::from(fault.id)];
        (outcome.applied, outcome.proof) = (true, "nothing showed it".to_owned());
        outcome.planned
    }

    /// A fault is due that waits for a hand, and nobody has switched it on: it hits nobody. Returns what there
    /// is to say.
    pub fn not_switched(&mut self, fault: &PlannedFault) -> EventKind {
        let outcome = &mut self.outcomes[usize::from(fault.id)];
        (outcome.applied, outcome.effective) = (true, Some(0));
        outcome.proof = FaultOutcome::NOT_SWITCHED.to_owned();
        let (id, effective, how) = (outcome.id, outcome.effective, outcome.proof.clone());
        EventKind::FaultProven { id, effective, how }
    }

    /// A fault on the target could not be carried out.
    pub fn refused(&mut self, fault: u16, why: String) {
        if let Some(outcome) = self.outcomes.get_mut(usize::from(fault)) {
            outcome.proof.clone_from(&why);
        }
        self.refused.insert(fault, why);
    }

    /// A command of a fault ended.
    pub fn ran(&mut self, fault: u16, run: CommandRun) {
        if let Some(outcome) = self.outcomes.get_mut(usize::from(fault)) {
            outcome.commands.push(run);
        }
    }

    fn proving(
        &self,
        fault: &'a PlannedFault,
        before: Result<FanoutMetrics, String>,
    ) -> Proving<'a> {
        let acting = fault::of(&fault.kind);
        let together = |other: &&PlannedFault| {
            let alike = match acting.counted_as() {
                Counted::ByType => fault.kind.is_like(&other.kind),
                counted => fault::of(&other.kind).counted_as() == counted,
            };
            other.at_us == fault.at_us && alike
        };
        let same_instant = self.schedule.faults.iter().filter(together);
        let hit = self.cohorts(fault);
        let lasts = fault
            .duration_us
            .unwrap_or_else(|| fault.spread_us.unwrap_or(0) + micros(acting.metrics_within(&hit)));
        Proving {
            fault,
            looks: before.is_ok() && acting.shown_by().contains(&ShownBy::Metrics),
            before,
            planned_together: same_instant.map(|other| other.targets.len() as u64).sum(),
            until: fault.at_us + lasts,
            looked: false,
            most: None,
            first_seen: None,
        }
    }

    /// The cohorts of which clients are hit.
    fn cohorts(&self, fault: &PlannedFault) -> Vec<&'a Cohort> {
        let aimed_at = |of: u16| {
            let mut arrivals = self.schedule.arrivals.iter().filter(|it| it.cohort == of);
            arrivals.any(|it| fault.targets.binary_search(&it.client).is_ok())
        };
        let cohorts = (0..).zip(&self.plan.fleet.cohorts);
        cohorts.filter(|(of, _)| aimed_at(*of)).map(|(_, cohort)| cohort).collect()
    }

    /// Asks what became of the faults; stops asking when all of one is seen by the best side that can
    /// tell, or nothing more can come. Returns what there is to say.
    pub fn look(&mut self, now: &Now<'_>, last_chance: bool) -> Vec<EventKind> {
        let mut said = Vec::new();
        let (outcomes, refused) = (&mut self.outcomes, &self.refused);
        self.proving.retain_mut(|entry| {
            let outcome = &mut outcomes[usize::from(entry.fault.id)];
            let Some(proof) = entry.look(now, outcome.planned, last_chance) else { return true };
            outcome.effective = Some(proof.effective);
            outcome.proof = match refused.get(&entry.fault.id) {
                Some(why) => format!("{why}; {}", proof.how),
                None => proof.how,
            };
            let (id, effective, how) = (outcome.id, outcome.effective, outcome.proof.clone());
            said.push(EventKind::FaultProven { id, effective, how });
            false
        });
        said
    }
}

impl Proving<'_> {
    /// Looks once; the proof, when this was the last time.
    fn look(&mut self, now: &Now<'_>, planned: u64, last_chance: bool) -> Option<Proof> {
        let acting = fault::of(&self.fault.kind);
        if self.looks {
            self.look_at_metrics(acting, now);
        }
        let all_in_metrics = self.most.as_ref().is_some_and(|most| most.effective >= planned);
        self.looks &= !all_in_metrics && now.at < self.until && !last_chance;
        if self.looks {
            return None;
        }
        if let Some(most) = self.most.take_if(|_| all_in_metrics) {
            let how = self.timed(&most, now.at, true);
            return Some(Proof { how, ..most });
        }
        let answered = acting.by_answers(self.fault, (now.answered)(self.fault.id));
        if answered.effective < planned && !last_chance {
            return None;
        }
        if let Some(most) = self.most.take() {
            // Metrics that are kept for a while, or left out, by whoever stands between show less than there
            // was: what the clients saw of the target stands against them.
            if answered.effective <= most.effective {
                let how = self.timed(&most, now.at, false);
                return Some(Proof { how, ..most });
            }
            let how = format!(
                "{} (the target's metrics show {} of them: {})",
                answered.how, most.effective, most.how
            );
            return Some(Proof { how, ..answered });
        }
        let how = match self.why_not_by_metrics(acting, now) {
            Some(why) => format!("{} ({why})", answered.how),
            None => answered.how,
        };
        Some(Proof { how, ..answered })
    }

    fn look_at_metrics(&mut self, acting: &dyn Fault, now: &Now<'_>) {
        // What was asked for before the fault shows nothing of it.
        let after = now.metrics.filter(|(asked, _)| *asked >= self.fault.at_us);
        let (Ok(before), Some((_, after))) = (&self.before, after) else { return };
        self.looked = true;
        let sides = Sides { before, after, planned_together: self.planned_together };
        let Some(proof) = acting.by_metrics(self.fault, &sides) else { return };
        if proof.effective > 0 {
            self.first_seen.get_or_insert(now.at);
        }
        let least = self.most.as_ref().map_or(0, |most| most.effective);
        if self.most.is_none() || proof.effective >= least {
            self.most = Some(proof);
        }
    }

    /// How metrics proved it; of an interval, also when.
    fn timed(&self, proof: &Proof, now: Micros, complete: bool) -> String {
        let after_s =
            |at: Micros| Duration::from_micros(at.saturating_sub(self.fault.at_us)).as_secs_f64();
        match self.first_seen {
            Some(first) if self.fault.duration_us.is_some() => format!(
                "{}; first after {:.1} s, {} after {:.1} s",
                proof.how,
                after_s(first),
                if complete { "all" } else { "the last look" },
                after_s(now)
            ),
            _ => proof.how.clone(),
        }
    }

    /// Why the better proof is not the one, if the fault has a better one.
    fn why_not_by_metrics(&self, acting: &dyn Fault, now: &Now<'_>) -> Option<String> {
        if !acting.shown_by().contains(&ShownBy::Metrics) {
            return None;
        }
        Some(match &self.before {
            Err(why) => {
                format!("the target's metrics could not be read just before it: {why}")
            }
            Ok(_) if self.looked => "the target's metrics do not tell".to_owned(),
            Ok(_) => {
                let why = now.unread.unwrap_or("they had not come when its time was over");
                format!("the target's metrics could not be read after it: {why}")
            }
        })
    }
}
