//! What the judge must know beside the shards: how the run went, as the engine tells it.

use std::collections::BTreeMap;

use khala_plan::fault::{FaultKind, Need};
use khala_plan::model::ActsOn;
use khala_plan::schedule::{PlannedFault, Schedule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::builds::SocketBuilds;
use crate::command::CommandRun;
use crate::hist::Hist;
use crate::record::{Micros, Resource};
use crate::render::units::count;
use crate::shard::Settled;
use crate::shard::stalls::Stall;

/// One planned fault, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultOutcome {
    /// Id in the schedule.
    pub id: u16,
    /// Type, such as `disconnect`.
    pub kind: String,
    /// Phase it belongs to.
    pub phase: String,
    /// When it was due.
    pub at_us: Micros,
    /// Clients it was to hit.
    pub planned: u64,
    /// Clients it hit, counted from the other side; `None` when nothing there could tell.
    pub effective: Option<u64>,
    /// How `effective` was counted.
    pub proof: String,
    /// Whether the run reached its time.
    pub applied: bool,
    /// Commands of the user's that it ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandRun>,
    /// What of the target it cannot do without, by plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests_on: Option<RestsOn>,
}

/// What of the target a fault cannot do without; the operators' token opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestsOn {
    /// The windows of its topics, by which cursors are placed.
    Windows,
    /// A request that operators make: a trim, a revocation.
    Request,
}

impl RestsOn {
    fn of(fault: &FaultKind) -> Option<Self> {
        if fault.needs(Need::Windows) {
            return Some(Self::Windows);
        }
        let asks = fault.needs(Need::RetentionHook) || fault.needs(Need::Revocation);
        asks.then_some(Self::Request)
    }
}

impl FaultOutcome {
    /// Share of the planned clients that a fault must have hit to count as having bitten.
    pub const BITE_SHARE: f64 = 0.9;
    /// The proof of a fault that waited for a hand in vain.
    pub const NOT_SWITCHED: &str = "nobody switched it on";

    /// A fault before its time; `why` nothing is proven yet.
    #[must_use]
    pub fn not_applied(schedule: &Schedule, fault: &PlannedFault, why: &str) -> Self {
        let phase = schedule.phases.get(usize::from(fault.phase));
        Self {
            id: fault.id,
            kind: fault.kind.name().to_owned(),
            phase: phase.map(|phase| phase.name.clone()).unwrap_or_default(),
            at_us: fault.at_us,
            planned: match fault.kind.acts_on() {
                ActsOn::Clients => fault.targets.len() as u64,
                ActsOn::Target => 1,
            },
            effective: None,
            proof: why.to_owned(),
            applied: false,
            commands: Vec::new(),
            rests_on: None,
        }
        .planned_as(fault)
    }

    /// With what the plan alone says of it, whoever wrote the rest, and when.
    #[must_use]
    pub fn planned_as(self, fault: &PlannedFault) -> Self {
        Self { rests_on: RestsOn::of(&fault.kind), ..self }
    }

    /// Whether it waited for a hand in vain: nothing was disturbed.
    #[must_use]
    pub fn was_not_switched_on(&self) -> bool {
        self.proof == Self::NOT_SWITCHED
    }

    /// Why the fault cannot carry a verdict, if it cannot.
    #[must_use]
    pub fn why_it_did_not_bite(&self) -> Option<String> {
        let name = format!("fault {} ({} in {})", self.id, self.kind, self.phase);
        if !self.applied {
            let at_s = std::time::Duration::from_micros(self.at_us).as_secs_f64();
            return Some(format!("{name} was not due: the run ended before its time, {at_s:.1} s"));
        }
        if self.planned == 0 {
            return Some(format!("{name} was aimed at no client"));
        }
        match self.effective {
            None => Some(format!("{name} could not be proven from the target's side")),
            Some(effective) if (effective as f64) < Self::BITE_SHARE * self.planned as f64 => {
                let planned = self.planned;
                Some(match self.rests_on {
                    // That they went away and came back is not what was to be tried.
                    Some(RestsOn::Windows) => format!(
                        "{name} brought back {effective} of {planned} clients with the cursor that was to be tried"
                    ),
                    _ if self.was_not_switched_on() => {
                        format!("{name} hit 0 of {planned} clients planned: {}", Self::NOT_SWITCHED)
                    }
                    _ => format!("{name} hit {effective} of {planned} clients planned"),
                })
            }
            Some(_) => None,
        }
    }
}

/// How the generator itself was. What is measured by second is filled in from the shards
/// ([`Generator::with`]).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Worker threads.
    pub worker_threads: u32,
    /// CPU time over wall time, of the whole process, in cores.
    pub cpu_cores: f64,
    /// CPU share of the busiest thread in its busiest second, 0 to 1.
    pub hottest_thread: f64,
    /// Share of the run in which the thread that waited most wanted a core and had none, 0 to 1.
    #[serde(default)]
    pub waited_for_core: f64,
    /// 99th percentile of the lateness of the latest thread's timers, in microseconds.
    #[serde(default)]
    pub lag_p99_us: Option<u64>,
    /// Largest lateness of a timer, in microseconds.
    #[serde(default)]
    pub lag_max_us: u64,
    /// Times in which a thread stood still, the latest.
    #[serde(default)]
    pub stalls: Vec<Stall>,
    /// Most bytes that waited in the kernel after a read by a client that is to keep up.
    #[serde(default)]
    pub backlog_peak_bytes: u64,
    /// Operations that could not be tried, by what had run out.
    #[serde(default)]
    pub exhausted: BTreeMap<Resource, u64>,
    /// Most descriptors open.
    pub descriptors_peak: u64,
    /// Descriptors the process may open.
    pub descriptors_limit: u64,
    /// Largest resident set, in MiB.
    pub memory_peak_mib: u64,
    /// Records dropped by a full recorder.
    pub dropped_records: u64,
    /// Threads that ended with a bug of ours: their share of the evidence is missing.
    #[serde(default)]
    pub lost_threads: u32,
    /// Publishes planned.
    pub publishes_planned: u64,
    /// Publishes begun.
    pub publishes_begun: u64,
    /// Publishes that were never begun, because the target had left as many unanswered as may be under
    /// way: no shortfall of the generator.
    #[serde(default)]
    pub publishes_withheld: u64,
    /// The longest that a message, once read, waited for its client.
    #[serde(default)]
    pub own_queue_max_us: u64,
    /// What the probes could not read, if anything.
    pub unprobed: Vec<String>,
}

impl Generator {
    /// The facts with what the shards measured, over so many phases of the run.
    #[must_use]
    pub fn with(mut self, settled: &Settled, phases: usize) -> Self {
        let all: Vec<u16> = (0_u16..).take(phases).collect();
        let lags = settled.metrics.lag(&all);
        let seen = settled.probes.over(|_| true);
        self.cpu_cores = seen.share(seen.cpu_us);
        self.hottest_thread = settled.probes.hottest_share();
        self.waited_for_core = seen.share(seen.waited_us);
        self.lag_p99_us = lags.values().filter_map(|lag| lag.percentile(99.0)).max();
        self.lag_max_us = lags.values().map(Hist::max).max().unwrap_or(0);
        self.stalls = settled.stalls.all();
        self.backlog_peak_bytes = seen.backlog_bytes;
        self.exhausted.clone_from(&settled.exhausted);
        self.descriptors_peak = seen.descriptors;
        self.memory_peak_mib = seen.memory_kib.div_ceil(1024);
        self.dropped_records = settled.totals.dropped;
        self.publishes_withheld = settled.totals.withheld;
        self.own_queue_max_us = seen.queue_max_us;
        self
    }
}

/// The target as the run met it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFacts {
    /// Base URL.
    pub url: String,
    /// `reference` or `url`.
    pub kind: String,
    /// Defects that it was started with.
    pub defects: Vec<String>,
    /// Its build, where it says so.
    #[serde(default)]
    pub build: Option<String>,
    /// The builds of its sockets; `None` where nobody said that its answers to upgrades name them.
    #[serde(default)]
    pub sockets: Option<SocketBuilds>,
    /// Why it is gone although nobody asked it to go, if it is.
    pub lost: Option<String>,
    /// When that was noticed.
    #[serde(default)]
    pub lost_at_us: Option<Micros>,
    /// How it was reached; `None` of one on the harness's own pipe.
    #[serde(default)]
    pub way: Option<Way>,
}

/// How a target by URL was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Way {
    /// Whether over TLS.
    pub tls: bool,
    /// Whether any certificate was taken.
    pub insecure: bool,
    /// Base URL of the proxy on the way.
    pub proxy: Option<String>,
    /// The addresses that its name stood for, and what came of the connects to each.
    pub addresses: Vec<Connects>,
}

/// What came of the connects to one address, the harness's own requests among them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connects {
    /// The address, with its port.
    pub address: String,
    /// Connections that came about, TLS included.
    pub made: u64,
    /// Those that did not.
    pub failed: u64,
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match (self.tls, self.insecure) {
            (false, _) => "in clear text",
            (true, false) => "over TLS",
            (true, true) => "over TLS, with whatever certificate came",
        })?;
        if let Some(proxy) = &self.proxy {
            write!(f, ", through the proxy {proxy}")?;
        }
        match self.addresses.as_slice() {
            [] | [Connects { failed: 0, .. }] => Ok(()),
            several => {
                let told = several.iter().map(|Connects { address, made, failed }| match failed {
                    0 => format!("{address} ({made} connections)"),
                    failed => format!("{address} ({made} connections, {failed} failed)"),
                });
                write!(f, "; at {}", told.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// Something that the contract is silent on, or that a target does differently. Fails nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Short name.
    pub name: String,
    /// What was seen, in a sentence: the first of them.
    pub message: String,
    /// How often.
    pub count: u64,
    /// When first, in microseconds from the start of the run; `None` of what is found when it is over.
    #[serde(default)]
    pub first_us: Option<Micros>,
    /// When last.
    #[serde(default)]
    pub last_us: Option<Micros>,
    /// The client that saw the first, where one did.
    #[serde(default)]
    pub client: Option<u32>,
}

impl Finding {
    /// One that is found when the run is over.
    #[must_use]
    pub fn at_end(name: &str, message: String, count: u64) -> Self {
        let name = name.to_owned();
        Self { name, message, count, first_us: None, last_us: None, client: None }
    }

    /// How often and when: `7 times, first at 12.3 s (client 4), last at 30.1 s`.
    #[must_use]
    pub fn times(&self) -> String {
        let often = if self.count == 1 {
            "once".to_owned()
        } else {
            format!("{} times", count(self.count))
        };
        let whose = self.client.map_or_else(String::new, |client| format!(" (client {client})"));
        let at = |us| std::time::Duration::from_micros(us).as_secs_f64();
        match (self.first_us, self.last_us) {
            (Some(first), Some(last)) if self.count > 1 => {
                format!("{often}, first at {:.1} s{whose}, last at {:.1} s", at(first), at(last))
            }
            (Some(first), _) => format!("{often}, at {:.1} s{whose}", at(first)),
            (None, _) => format!("{often}{whose}"),
        }
    }
}

/// How the run went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Id of the run.
    pub run_id: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// UTC, RFC 3339.
    pub ended_at: String,
    /// From the first arrival to the last client retired, in microseconds.
    pub duration_us: Micros,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// Whether the topics ran dry at the end within the bound.
    pub drained: bool,
    /// The target.
    pub target: TargetFacts,
    /// The faults.
    pub faults: Vec<FaultOutcome>,
    /// The generator.
    pub generator: Generator,
    /// Findings.
    pub findings: Vec<Finding>,
    /// Lines of `events.ndjson` that a bound kept out.
    pub events_dropped: u64,
    /// Why the run has no end, if it has none: only then are the facts made of what it left behind.
    #[serde(default)]
    pub unfinished: Option<String>,
    /// What of the run could not be kept as evidence beside the journal, and why: a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unkept: Vec<String>,
}
