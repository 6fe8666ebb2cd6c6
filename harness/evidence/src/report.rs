//! The report of a run: the single source of every rendering, versioned.
//!
//! `run.json` is its summary, a few hundred kilobytes at the most however long the run was. What grows with
//! the run stands in files of its own, made from the same report: the seconds in `timeseries.csv`, the
//! samples of each figure in `histograms.ndjson` and `clusters.ndjson`, and the last frames of clients in
//! `stories.ndjson`. A reader checks [`RunReport::FORMAT_VERSION`] first. Within a version fields are added,
//! never renamed and never given another meaning. In version 1 `run.json` held everything.

mod made;

pub(crate) use made::request_lines;

use std::collections::BTreeMap;

use khala_plan::metric::MetricId;
use khala_plan::stability::Incident;
use khala_plan::surface::Surface;
use khala_wire::topic::TopicId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::builds::SocketBuilds;
use crate::facts::{FaultOutcome, Finding, Generator, Way};
use crate::journal::Host;
use crate::judge::{Decision, GateVerdict, RunReason, Verdict};
use crate::oracle::tally::Clients;
use crate::oracle::{Rule, Violation};
use crate::record::Micros;
use crate::shard::absence::Absence;
use crate::shard::behind::Behind;
use crate::shard::exposure::Exposure;
use crate::shard::flight::Stories;
use crate::shard::metrics::Distribution;
use crate::shard::probes::ProbeSecond;
use crate::shard::whereabouts::Whereabouts;

/// One run, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunReport {
    /// [`RunReport::FORMAT_VERSION`].
    pub format_version: u32,
    /// What made it.
    pub tool: Tool,
    /// Id of the run.
    pub run_id: String,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// UTC, RFC 3339.
    pub ended_at: String,
    /// Seconds from the first arrival to the last client retired.
    pub duration_s: f64,
    /// Whether a signal ended it.
    pub interrupted: bool,
    /// Whether it came to its end at all; one that did not is a HOLD, or a NO-GO by what was proven until
    /// then.
    pub finished: bool,
    /// What was run.
    pub scenario: Scenario,
    /// GO, NO-GO or HOLD.
    pub decision: Decision,
    /// The verdict behind it.
    pub verdict: Verdict,
    /// Why, when it is not GO.
    pub reasons: Vec<String>,
    /// Those of them that no objective says: what the run as a whole is held against.
    #[serde(default)]
    pub of_the_run: Vec<RunReason>,
    /// Whether its sources were changed after the run, so that nothing in it is what the run found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub altered: bool,
    /// Whether nothing says what the run wrote: its manifest was gone when this was made, and there was a report.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unvouched: bool,
    /// The gate file by which it was judged in place of the run's own gates; only of what `score` prints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_by: Option<String>,
    /// The gates; those that are always judged come last.
    pub gates: Vec<GateVerdict>,
    /// The oracle.
    pub oracle: Oracle,
    /// The clients.
    pub fleet: Fleet,
    /// The publishers.
    pub load: Load,
    /// The phases, implicit ones included.
    pub phases: Vec<Phase>,
    /// Planned against effective.
    pub faults: Vec<FaultOutcome>,
    /// When each fault that lasts is over by plan, by fault id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fault_ends: BTreeMap<u16, Micros>,
    /// Deliveries around each fault, by fault id.
    pub exposures: BTreeMap<u16, Exposure>,
    /// Where the clients were that each fault is aimed at, when it was due, by fault id.
    #[serde(default)]
    pub whereabouts: BTreeMap<u16, Whereabouts>,
    /// What fails nothing but is worth knowing.
    pub findings: Vec<Finding>,
    /// The generator itself.
    pub generator: Generator,
    /// The target.
    pub target: Target,
    /// Every request of the harness, by kind and status.
    #[serde(default)]
    pub requests: Vec<RequestLine>,
    /// Single incidents that nobody planned, by kind and code.
    #[serde(default)]
    pub unplanned_ends: Vec<IncidentLine>,
    /// The same of what follows from the harness's own stalls, wants and heartbeats.
    #[serde(default)]
    pub own_ends: Vec<IncidentLine>,
    /// The same of what a hook or another fault may cause, in runs with a hook and in those at whose end clients were
    /// away: what it did to the clients, and what they met on their way back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub planned_ends: Vec<IncidentLine>,
    /// Where all sockets that nobody planned to end had been silent for about as long: an idle time-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ends: Option<IdleEnds>,
    /// Figures, a line for each metric, phase and surface.
    pub metrics: Vec<MetricLine>,
    /// What happened in each second; not in `run.json`.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    pub series: Vec<Second>,
    /// The last frames of clients for which a rule was broken; not in `run.json`.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    pub stories: Stories,
    /// Where and how it was run; `None` of a report that was not made from a bundle.
    #[serde(default)]
    pub provenance: Option<Provenance>,
}

/// Where and how a run was run, from what it wrote down at its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Provenance {
    /// The machine.
    pub host: Host,
    /// The command line, without secrets; empty of a run that wrote none down.
    pub command: Vec<String>,
    /// SHA-256 of `scenario.resolved.toml`, in hex.
    pub scenario_sha256: String,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Fleet {
    /// Clients that were to be there at the end, and were not live then.
    #[must_use]
    pub fn away_at_end(&self) -> u64 {
        let staying = self.clients.values().sum::<u64>().saturating_sub(self.left_by_plan);
        staying.saturating_sub(self.clients_live_at_end)
    }
}

/// What made the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `khala-harness`
    pub name: String,
    /// Its version.
    pub version: String,
    /// The commit that it was built from, where the build knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// What was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The profile, if any.
    pub profile: Option<String>,
    /// Root of all randomness.
    pub seed: u64,
}

/// The target as the run met it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// Base URL.
    pub url: String,
    /// `reference` or `url`.
    pub kind: String,
    /// Whether the run had it to itself, as the scenario says.
    #[serde(default)]
    pub exclusive: bool,
    /// Whether nothing was written to it: what was judged is the traffic of others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passive: bool,
    /// Defects that it was started with.
    pub defects: Vec<String>,
    /// Its build, where it says so.
    pub build: Option<String>,
    /// The builds of its sockets; absent where nobody said that its answers to upgrades name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sockets: Option<SocketBuilds>,
    /// How it was lost, in a sentence, if it was not there again by the end of the run.
    pub lost: Option<String>,
    /// How it was reached; `None` of the embedded runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<Way>,
    /// Its restarts, planned ones among them.
    #[serde(default)]
    pub restarts: Vec<Absence>,
    /// Every time in which it was away, restarts and its loss among them.
    #[serde(default)]
    pub absences: Vec<Absence>,
}

/// Requests of one kind that ended in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestLine {
    /// What was asked.
    pub request: String,
    /// What the answer was, or what came in its stead.
    pub status: String,
    /// How many.
    pub count: u64,
    /// Of them, those that got what they asked for.
    pub ok: u64,
    /// Of them, those that were refused for who asked: the token, the session, the operators' token.
    #[serde(default, skip_serializing_if = "is_none")]
    pub denied: u64,
    /// Of them, those that the harness itself ended or had no means for.
    pub ours: u64,
    /// Of them, those that the plan itself makes fail: bad tokens that a fault tries, and what befalls the
    /// clients and the target that a fault hit.
    #[serde(default)]
    pub planned: u64,
    /// When the first one ended.
    pub first_at_us: Micros,
    /// The phase in which that was.
    pub first_phase: String,
    /// When the last one ended.
    pub last_at_us: Micros,
    /// What stood in the first refusal that said something: escaped, cut, without secrets.
    pub example: Option<String>,
    /// The first `Retry-After`: told, and not obeyed, for on the WS lane the back-off is the surface's.
    pub retry_after: Option<String>,
}

/// Incidents of one kind and code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentLine {
    /// The kind.
    pub kind: Incident,
    /// What happened.
    pub code: String,
    /// How often.
    pub count: u64,
    /// Clients that incidents of this kind befell, whatever their code; 0 where no client is concerned.
    pub clients: u64,
    /// The same by what the clients are.
    #[serde(default)]
    pub surfaces: BTreeMap<Surface, u64>,
    /// When it happened first.
    pub first_at_us: Micros,
    /// When it happened last.
    pub last_at_us: Micros,
}

/// Sockets that something ended when nothing had come over them for about as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdleEnds {
    /// How many.
    pub count: u64,
    /// The clients whose they were.
    pub clients: u64,
    /// The shortest silence.
    pub least_us: Micros,
    /// The longest.
    pub most_us: Micros,
}

/// The oracle's work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Oracle {
    /// Deliveries judged.
    pub deliveries: u64,
    /// Replies to subscribes judged, a topic each.
    pub replies: u64,
    /// Of the deliveries, repeats within a subscription (allowed).
    pub repeats: u64,
    /// Of the deliveries, redeliveries after a resume (allowed).
    pub redelivered: u64,
    /// Of the deliveries, events of others.
    pub foreign: u64,
    /// Distinct (client, seq) applied, by topic.
    pub applied: BTreeMap<String, u64>,
    /// Of a passive run: clients that subscribed to a topic and got nothing of it, by topic, as ranges of their
    /// numbers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreached: BTreeMap<String, Clients>,
    /// Rules that the run never put to the test; they appear nowhere else in the report.
    #[serde(default)]
    pub not_exercised: Vec<String>,
    /// Cases judged, by rule; each rule says what its cases are.
    #[serde(default)]
    pub judged: BTreeMap<String, u64>,
    /// Violations by rule; every rule that was judged is listed, with 0.
    pub violations: BTreeMap<String, u64>,
    /// What follows from a violation of an earlier rule, by rule.
    pub consequences: BTreeMap<String, u64>,
    /// Cases that the bounds leave open, by rule.
    pub undecided: BTreeMap<String, u64>,
    /// The earliest violations of each rule.
    pub kept: Vec<Violation>,
    /// What the violations of each rule have in common.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// Of the violations kept, those that stand for several clients.
    #[serde(default)]
    pub shared: Vec<Shared>,
    /// Whether all that was to come had the time to come: nothing more came when the run ended.
    pub drained: bool,
    /// Whether the topics ran dry: everybody was there and had everything.
    #[serde(default)]
    pub dry: bool,
    /// Who had not got everything, if they did not.
    #[serde(default)]
    pub behind: Behind,
}

/// Violations of one rule that one thing may have caused: they are of one topic, and of one kind where the
/// rule tells kinds apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// The rule.
    pub rule: Rule,
    /// The topic, where one is concerned.
    pub topic: Option<TopicId>,
    /// What was broken of it; empty where the rule tells no kinds apart.
    pub kind: String,
    /// Violations.
    pub violations: u64,
    /// Clients that they befell; 0 where no client is concerned.
    pub clients: u64,
    /// The same by what the clients are.
    #[serde(default)]
    pub surfaces: BTreeMap<Surface, u64>,
    /// The earliest.
    pub first: Violation,
    /// When the last was noticed; earlier than the earliest where that is not known.
    #[serde(default)]
    pub last_us: Micros,
    /// Updates that never came, over all clients, by breaches by which something is missing; else 0.
    #[serde(default)]
    pub missing_updates: u64,
    /// Of these, different events; 0 where that is not counted.
    #[serde(default)]
    pub missing_events: u64,
}

/// A violation that stands for several clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shared {
    /// Which, in the order of [`Oracle::kept`], from 0.
    pub kept: usize,
    /// The clients, as ranges of their numbers.
    pub clients: Clients,
}

impl Oracle {
    /// The clients that a kept violation befell, if it stands for several.
    #[must_use]
    pub fn clients_of(&self, kept: usize) -> Option<&Clients> {
        let shared = self.shared.iter().find(|shared| shared.kept == kept);
        shared.map(|shared| &shared.clients)
    }

    /// Violations of all rules.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.violations.values().sum()
    }
}

/// The clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fleet {
    /// Those that took part by plan, by surface.
    pub clients: BTreeMap<Surface, u64>,
    /// Numbers of the clients that took part where the others of the fleet were left out; empty where all did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_clients: Vec<u32>,
    /// Most sockets open at once.
    pub clients_peak: u64,
    /// Of the clients, those that left before the end, by plan.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left_by_plan: u64,
    /// Clients live when the run ended.
    pub clients_live_at_end: u64,
    /// Connects begun.
    pub connects: u64,
    /// Connects begun in the busiest second.
    pub connects_peak_per_s: u64,
}

/// The publishers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Planned.
    pub planned: u64,
    /// Acknowledged, workers' own events included.
    pub acknowledged: u64,
    /// Refused or not answered.
    pub refused: u64,
}

/// A phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// First microsecond of the run in it.
    pub start_us: Micros,
    /// First microsecond after it.
    pub end_us: Micros,
    /// Whether objectives that name no phase judge it.
    pub measure: bool,
}

/// One line of figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricLine {
    /// The metric.
    pub metric: MetricId,
    /// `us`, `count`, or `of n`.
    pub unit: String,
    /// Whether it was settled at the end, so that it is of no second: `latency.hlog` has nothing of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settled_at_end: bool,
    /// The phase of the intended start.
    pub phase: String,
    /// The surface, where clients are concerned.
    pub surface: Option<Surface>,
    /// Samples, censored ones included; for counts, the chances.
    pub n: u64,
    /// Samples that had not ended when they had to.
    pub censored: u64,
    /// Samples without a service time: the generator stood still while they were under way.
    pub apart: u64,
    /// Occurrences, for counts and proportions.
    pub hits: Option<u64>,
    /// From the intended start: what is gated. Samples that had not ended count by how long they had been waited
    /// for; `ended` says which figures are therefore less than the truth.
    pub response: Option<Percentiles>,
    /// Where samples had not ended: the percentiles of all samples by those that had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// From the actual start: the uncorrected figure.
    pub service: Option<Percentiles>,
    /// How much of a latency may be the generator's own queue, in microseconds: the p99 of the lag of
    /// the latest thread that took such samples, and how long messages waited for their clients once
    /// read. Nothing is subtracted.
    #[serde(default)]
    pub own_queue_us: Option<u64>,
    /// The samples themselves; not in `run.json`.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    pub samples: Option<Distribution>,
}

/// Percentiles of samples of which some had not ended: each is that of all samples, and absent where it is one that had
/// not, or where `response` has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    /// Median.
    pub p50: Option<u64>,
    /// 90th.
    pub p90: Option<u64>,
    /// 99th.
    pub p99: Option<u64>,
}

/// What is printed of a histogram; a percentile with fewer than 10 samples beyond it is absent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Median.
    pub p50: Option<u64>,
    /// 90th.
    pub p90: Option<u64>,
    /// 99th.
    pub p99: Option<u64>,
    /// 99.9th.
    pub p99_9: Option<u64>,
    /// Largest.
    pub max: u64,
    /// Mean.
    pub mean: f64,
}

/// One second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// From the start of the run.
    pub second: u32,
    /// The phase at its start.
    pub phase: String,
    /// Sockets open at its end.
    pub open: u64,
    /// Violations of it, whenever they were noticed; in the last second also those of later ones.
    #[serde(default)]
    pub violations: u64,
    /// Sockets that the target ended in it although nobody planned that.
    #[serde(default)]
    pub unplanned_ends: u64,
    /// Its counts.
    #[serde(flatten)]
    pub counts: crate::shard::series::Second,
    /// Median delivery latency of publishes intended in it, in microseconds.
    pub delivery_p50_us: Option<u64>,
    /// The same at the 90th percentile; absent, as those after it, with fewer than 10 samples beyond it.
    #[serde(default)]
    pub delivery_p90_us: Option<u64>,
    /// At the 99th percentile.
    #[serde(default)]
    pub delivery_p99_us: Option<u64>,
    /// At the 99.9th percentile.
    #[serde(default)]
    pub delivery_p99_9_us: Option<u64>,
    /// Largest delivery latency of publishes intended in it, in microseconds.
    pub delivery_max_us: Option<u64>,
    /// The generator.
    pub generator: ProbeSecond,
}

/// The JSON Schema of `run.json` of this version: what it has, and leave for what later builds add.
#[must_use]
pub fn schema() -> String {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<RunReport>();
    schema.insert("title".to_owned(), "run.json of khala-harness".into());
    // A map of strings and numbers.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

impl RunReport {
    /// Version of the format.
    pub const FORMAT_VERSION: u32 = 2;

    /// The report as `run.json` tells it: without what stands in files of its own.
    #[must_use]
    pub fn summary(&self) -> Self {
        let without = |line: &MetricLine| MetricLine { samples: None, ..line.clone() };
        Self {
            metrics: self.metrics.iter().map(without).collect(),
            series: Vec::new(),
            stories: Stories::default(),
            ..self.clone()
        }
    }

    /// Puts reasons for which the run as a whole is no GO before the others. What is broken stays broken.
    pub fn doubt(&mut self, why: &[String]) {
        if why.is_empty() {
            return;
        }
        self.reasons.splice(0..0, why.iter().cloned());
        self.of_the_run.splice(0..0, why.iter().map(RunReason::other));
        self.verdict = self.verdict.max(Verdict::Inconclusive);
        if self.decision == Decision::Go {
            self.decision = Decision::Hold;
        }
    }

    /// The figures that are drawn from samples, each with them.
    pub(crate) fn sampled(&self) -> impl Iterator<Item = (&MetricLine, &Distribution)> {
        self.metrics.iter().filter_map(|line| Some((line, line.samples.as_ref()?)))
    }

    /// The lines of one metric in one phase.
    pub fn lines<'a>(
        &'a self,
        metric: MetricId,
        phase: &'a str,
    ) -> impl Iterator<Item = &'a MetricLine> + 'a {
        self.metrics.iter().filter(move |line| line.metric == metric && line.phase == phase)
    }
}

impl MetricLine {
    /// The generator's own queue, where it is enough of the figure to be told: above 1 ms, or above 1 %
    /// of the p99 (of the maximum, where there is no p99).
    #[must_use]
    pub fn telling_own_queue_us(&self) -> Option<u64> {
        let response = self.response?;
        let value = response.p99.unwrap_or(response.max);
        self.own_queue_us.filter(|&queue| queue > 1_000 || queue.saturating_mul(100) > value)
    }
}
