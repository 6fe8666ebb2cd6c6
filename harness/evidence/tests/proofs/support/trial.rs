//! A whole run as the judge gets it: a plan, what was recorded, and how the run went.

use khala_evidence::facts::RunFacts;
use khala_evidence::judge::{Case, ObjectiveVerdict, RunVerdict, judge};
use khala_evidence::oracle::End;
use khala_evidence::record::Probe;
use khala_evidence::report::RunReport;
use khala_evidence::{Record, Settled};
use khala_plan::Schedule;

use super::plans::{Planned, SMALL, STORM, edited};
use super::records::{self, client_of};
use super::shards;
use super::world::{Fate, Resume, Stage, World};

/// How often the world is looked at.
const SLOT_US: u64 = 50_000;
/// How long clients stay away after the cut.
const AWAY_US: u64 = 1_000_000;
/// A timer's lateness in a run in which nothing is wrong.
const LAG_US: u64 = 50;

/// A run.
pub struct Trial {
    pub planned: Planned,
    pub records: Vec<Record>,
    pub facts: RunFacts,
    pub end: End,
}

impl Trial {
    /// A plan, with records made by hand.
    pub fn of(text: &str, records: Vec<Record>) -> Self {
        let planned = Planned::of(text);
        let at = planned.schedule.phases.last().map_or(0, |phase| phase.end_us);
        let facts = records::sound_facts(&planned.schedule, at);
        Self { planned, records, facts, end: End { at, drained: true } }
    }

    /// The run of [`STORM`], changed as told, in which everything goes well.
    pub fn storm(edits: &[(&str, &str)]) -> Self {
        Self::played(Planned::of(&edited(STORM, edits)))
    }

    /// The run of [`SMALL`] and its smoke profile, in which everything goes well.
    pub fn small() -> Self {
        Self::played(Planned::with_profile(SMALL, Some("smoke")))
    }

    /// The same, in which clients 3 and 5 never got seq 7, and client 5 not seq 9 either.
    pub fn with_gaps() -> Self {
        Self::small().without(|record| match record {
            Record::Delivered(it) => {
                it.seq == 7 && [3, 5].contains(&it.client) || it.seq == 9 && it.client == 5
            }
            _ => false,
        })
    }

    /// A plan as it is carried out when everything goes well.
    pub fn played(planned: Planned) -> Self {
        let world = play(&planned);
        let facts = records::sound_facts(&planned.schedule, world.now);
        let end = End { at: world.now, drained: true };
        Self { planned, records: world.records, facts, end }
    }

    /// Without the records for which `gone` holds.
    pub fn without(mut self, gone: impl Fn(&Record) -> bool) -> Self {
        self.records.retain(|record| !gone(record));
        self
    }

    /// Without anything of some clients.
    pub fn without_clients(self, gone: impl Fn(u32) -> bool) -> Self {
        self.without(|record| client_of(record).is_some_and(&gone))
    }

    pub fn settle(&self) -> Settled {
        shards::settle(&self.planned, &self.records, self.end)
    }

    pub fn judge(&self) -> RunVerdict {
        self.judge_settled(&self.settle())
    }

    pub fn judge_settled(&self, settled: &Settled) -> RunVerdict {
        judge(&self.case(settled))
    }

    fn case<'a>(&'a self, settled: &'a Settled) -> Case<'a> {
        let Planned { plan, schedule, .. } = &self.planned;
        Case { plan, schedule, facts: &self.facts, settled }
    }

    pub fn report(&self) -> RunReport {
        let settled = self.settle();
        let case = self.case(&settled);
        RunReport::of(&case, judge(&case), "0.0.0")
    }
}

/// The verdicts of one metric in one gate, in the order of the objectives.
pub fn of<'a>(verdict: &'a RunVerdict, gate: &str, metric: &str) -> Vec<&'a ObjectiveVerdict> {
    let gate = verdict.gates.iter().find(|g| g.name == gate).expect("there is such a gate");
    gate.objectives.iter().filter(|objective| objective.metric == metric).collect()
}

/// The one verdict of a rule in the oracle's own gate.
pub fn rule<'a>(verdict: &'a RunVerdict, name: &str) -> &'a ObjectiveVerdict {
    let selector = format!("rule={name}");
    let found = of(verdict, "oracle", "violations").into_iter().find(|o| o.selector == selector);
    found.expect("the oracle judges the rule")
}

fn play(planned: &Planned) -> World {
    let Schedule { phases, arrivals, publishes, faults } = &planned.schedule;
    let drain = phases.last().expect("there is a drain").start_us;
    // Workers are made for publishes, and what makes them is an event as well.
    let workers = if publishes.is_empty() { 0 } else { 4 };
    let mut world = World::new(&planned.plan.generator, planned.topics(), workers, 0, 0);
    for slot in 0..drain / SLOT_US {
        let due = slot * SLOT_US..(slot + 1) * SLOT_US;
        world.advance(due.start);
        world.lag(LAG_US);
        for publish in publishes.iter().filter(|publish| due.contains(&publish.at_us)) {
            let fate = Fate::Acknowledged { after_us: 400 };
            world.publish(publish.worker, publish.at_us, fate, 10_000);
        }
        for fault in faults.iter().filter(|fault| due.contains(&fault.at_us)) {
            fault.targets.iter().for_each(|&client| world.cut(client, fault.id, fault.at_us));
        }
        let returns = faults.iter().map(|f| (f.at_us + AWAY_US, &f.targets[..]));
        let back = returns.filter(|(at, _)| due.contains(at)).flat_map(|(_, targets)| targets);
        let arriving = arrivals.iter().filter(|arrival| due.contains(&arrival.at_us));
        for client in arriving.map(|arrival| arrival.client).chain(back.copied()) {
            world.connect(client, Resume::Kept);
        }
        for client in 0..world.clients() {
            match world.stage(client) {
                Stage::Replaying => world.reply(client, false),
                Stage::Live => world.push_all(client, false),
                Stage::Offline | Stage::Retired => {}
            }
        }
    }
    world.advance(drain);
    world.drain(false);
    world.retire();
    world.records.push(Record::Probe(Probe {
        at: 1_000_000,
        wall_us: 1_000_000,
        cpu_us: 250_000,
        hottest_us: 120_000,
        waited_us: 10_000,
        descriptors: 100,
        memory_kib: 64 * 1024,
        backlog_bytes: 0,
    }));
    world
}
