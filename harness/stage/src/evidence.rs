//! What a stage keeps of a run: enough to decide by and to report, and where the rest is.

use khala_evidence::builds::SocketBuilds;
use khala_evidence::hist::Hist;
use khala_evidence::judge::{Decision, GateVerdict, ObjectiveVerdict, Unit, Verdict};
use khala_evidence::report::{MetricLine, RunReport};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fanout::Fanout;

/// Figures kept of a run: those of the KPI table.
pub const KPIS_MAX: usize = 80;

/// A run, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// Folder of its evidence.
    pub bundle: String,
    /// SHA-256 of the folder's manifest, which has the digest of every file, in hex.
    pub manifest_sha256: Option<String>,
    /// Name of the scenario.
    pub scenario: String,
    /// Its profile.
    pub profile: Option<String>,
    /// Root of all randomness.
    pub seed: u64,
    /// UTC, RFC 3339.
    pub started_at: String,
    /// Seconds.
    pub duration_s: f64,
    /// What it found.
    pub decision: Decision,
    /// The verdict behind it.
    pub verdict: Verdict,
    /// Whether it came to its end.
    pub finished: bool,
    /// Whether it was ended early, and why.
    pub ended_early: Option<String>,
    /// What the target said of its build.
    pub build: Option<String>,
    /// The builds of its sockets; absent where nobody said that answers to upgrades name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sockets: Option<SocketBuilds>,
    /// Most sockets at once.
    pub clients_peak: u64,
    /// Updates judged.
    pub deliveries: u64,
    /// Commands acknowledged.
    pub acknowledged: u64,
    /// Violations of rules.
    pub violations: u64,
    /// Its gates.
    pub gates: Vec<GateLine>,
    /// Why the run as a whole is no GO.
    pub reasons: Vec<String>,
    /// What befell it although nobody planned it.
    pub told: Vec<String>,
    /// Its figures.
    pub kpis: Vec<Kpi>,
    /// The target's own metrics, where it shows them.
    pub fanout: Option<Fanout>,
    /// How to run the same again.
    pub command: String,
}

/// A gate's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateLine {
    /// The gate.
    pub name: String,
    /// The worst of its objectives; `None` where this run does not judge it.
    pub verdict: Option<Verdict>,
    /// Whether it decides nothing.
    pub advisory: bool,
    /// Objectives that are no PASS.
    pub open: Vec<ObjectiveLine>,
    /// Objectives that are.
    pub passed: u64,
    /// Those, with what was measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<ObjectiveLine>,
    /// Objectives that the run did not exercise: neither kept nor broken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untested: Vec<ObjectiveLine>,
}

/// An objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveLine {
    /// The metric.
    pub metric: String,
    /// The selected label, such as `surface=ios`; may be empty.
    pub selector: String,
    /// The claim.
    pub require: String,
    /// The stricter claim.
    pub warn: Option<String>,
    /// Its verdict.
    pub verdict: Verdict,
    /// Samples.
    pub n: u64,
    /// What was measured.
    pub measured: String,
    /// The 95 % bounds of it, where there are any.
    pub bound: String,
    /// Why, in a sentence.
    pub reason: String,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kpi {
    /// The metric.
    pub metric: String,
    /// The phase.
    pub phase: String,
    /// The surface, where one is concerned.
    pub surface: String,
    /// Samples.
    pub n: u64,
    /// The figure, as people read it.
    pub figure: String,
}

impl ObjectiveLine {
    /// The metric, with the selected label.
    #[must_use]
    pub fn name(&self) -> String {
        match self.selector.as_str() {
            "" => self.metric.clone(),
            selector => format!("{} [{selector}]", self.metric),
        }
    }

    /// Whether somebody calls it so: by its metric, or by the rule that it is on.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.metric == name || self.selector.strip_prefix("rule=") == Some(name)
    }
}

impl GateLine {
    /// Its objectives that a verdict was drawn on, what fails first.
    pub fn judged(&self) -> impl Iterator<Item = &ObjectiveLine> {
        let mut open: Vec<_> = self.open.iter().collect();
        open.sort_by_key(|one| std::cmp::Reverse(one.verdict));
        open.into_iter().chain(&self.held)
    }
}

impl RunSummary {
    /// The summary of a report. `bundle` is where it is, `manifest_sha256` the digest of its manifest, `command` runs
    /// it again.
    #[must_use]
    pub fn of(
        report: &RunReport,
        bundle: String,
        manifest_sha256: Option<String>,
        ended_early: Option<String>,
        fanout: Option<Fanout>,
        command: String,
    ) -> Self {
        Self {
            bundle,
            manifest_sha256,
            scenario: report.scenario.name.clone(),
            profile: report.scenario.profile.clone(),
            seed: report.scenario.seed,
            started_at: report.started_at.clone(),
            duration_s: report.duration_s,
            decision: report.decision,
            verdict: report.verdict,
            finished: report.finished && !report.altered,
            ended_early,
            build: report.target.build.clone(),
            sockets: report.target.sockets.clone(),
            clients_peak: report.fleet.clients_peak,
            deliveries: report.oracle.deliveries,
            acknowledged: report.load.acknowledged,
            violations: report.oracle.violations(),
            gates: report.gates.iter().map(gate).collect(),
            reasons: report.reasons.clone(),
            told: told(report),
            kpis: report.metrics.iter().filter_map(kpi).take(KPIS_MAX).collect(),
            fanout,
            command,
        }
    }

    /// What it means for the step that made it.
    #[must_use]
    pub fn step_verdict(&self) -> Verdict {
        match (self.decision, self.verdict) {
            (Decision::NoGo, _) => Verdict::Fail,
            (Decision::Go, _) => Verdict::Pass,
            (Decision::Hold, Verdict::Warn) => Verdict::Warn,
            (Decision::Hold, _) => Verdict::Inconclusive,
        }
    }

    /// It in a sentence.
    #[must_use]
    pub fn told(&self) -> String {
        let early = self.ended_early.as_ref().map(|why| format!("ended early: {why}; "));
        let why = match (self.decision, self.reasons.first()) {
            (Decision::Go, _) | (_, None) => String::new(),
            (_, Some(first)) => format!(": {first}"),
        };
        format!("{}{}{why}", early.unwrap_or_default(), self.decision)
    }

    /// Objectives with this verdict, with their gates; advisory ones are left out.
    pub fn objectives(
        &self,
        verdict: Verdict,
    ) -> impl Iterator<Item = (&GateLine, &ObjectiveLine)> {
        let gates = self.gates.iter().filter(|gate| gate.verdict.is_some() && !gate.advisory);
        let open = gates.flat_map(|gate| gate.open.iter().map(move |one| (gate, one)));
        open.filter(move |(_, one)| one.verdict == verdict)
    }
}

fn gate(gate: &GateVerdict) -> GateLine {
    let is_open = |one: &&ObjectiveVerdict| one.verdict > Verdict::Pass;
    let of = |verdict: Verdict| {
        let all = gate.objectives.iter().filter(|_| gate.judged);
        all.filter(|one| one.verdict == verdict).map(objective).collect::<Vec<_>>()
    };
    let passed = gate.objectives.iter().filter(|one| one.verdict == Verdict::Pass).count();
    GateLine {
        name: gate.name.clone(),
        verdict: gate.verdict.filter(|_| gate.judged),
        advisory: gate.advisory,
        open: gate.objectives.iter().filter(is_open).map(objective).collect(),
        passed: passed as u64,
        held: of(Verdict::Pass),
        untested: of(Verdict::NotApplicable),
    }
}

fn objective(one: &ObjectiveVerdict) -> ObjectiveLine {
    let in_unit = |value: Option<f64>| value.map(|value| figure(one.unit, value));
    let measured = in_unit(one.estimate).unwrap_or_else(|| match one.bad {
        0 => "nothing".to_owned(),
        bad => format!("{bad} of {}", one.n.max(bad)),
    });
    let bound = match (in_unit(one.lower), in_unit(one.upper)) {
        (Some(lower), Some(upper)) => format!("{lower} to {upper}"),
        (Some(lower), None) => format!("at least {lower}"),
        (None, Some(upper)) => format!("at most {upper}"),
        (None, None) => String::new(),
    };
    ObjectiveLine {
        metric: one.metric.clone(),
        selector: one.selector.clone(),
        require: one.require.clone(),
        warn: one.warn.clone(),
        verdict: one.verdict,
        n: one.n,
        measured,
        bound,
        reason: one.reason.clone(),
    }
}

/// A figure as people read it.
fn figure(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Micros => micros(value),
        Unit::Share => format!("{:.3} %", 100.0 * value),
        Unit::Ratio => format!("{value:.2} times"),
        Unit::PerSecond => format!("{value:.3}/s"),
        Unit::Count => format!("{value:.0}"),
    }
}

fn micros(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e6 => format!("{:.1} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

/// Incidents of the target's, in a line each.
fn told(report: &RunReport) -> Vec<String> {
    let absent = report.target.absences.iter().filter(|absence| !absence.planned);
    let absent = absent.map(|absence| {
        let at = |us: u64| std::time::Duration::from_micros(us).as_secs_f64();
        let until = absence.until_us.map_or("the end".to_owned(), |us| format!("{:.1} s", at(us)));
        let from = at(absence.from_us);
        format!("the target was away from {from:.1} s to {until}: {} clients", absence.clients)
    });
    let ends = report.unplanned_ends.iter().map(|line| {
        let at = std::time::Duration::from_micros(line.first_at_us).as_secs_f64();
        format!("{}: {} ({}), first at {at:.1} s", line.kind.name(), line.count, line.code)
    });
    absent.chain(ends).collect()
}

fn kpi(line: &MetricLine) -> Option<Kpi> {
    let figure = match (line.response, line.hits) {
        (Some(of), _) if line.n > 0 => percentiles(line, [of.p50, of.p90, of.p99, Some(of.max)]),
        (None, Some(hits)) => share(hits, line.n),
        _ => return None,
    };
    Some(told_as(line, line.n, figure))
}

/// Median, 90th, 99th and largest, as people read them.
fn percentiles(line: &MetricLine, values: [Option<u64>; 4]) -> String {
    let of = line.metric.unit();
    let told = |(name, value): (&str, Option<u64>)| {
        let value = value? as f64;
        let value = if line.unit == "us" { micros(value) } else { format!("{value:.0} {of}") };
        Some(format!("{name} {value}"))
    };
    let told = ["p50", "p90", "p99", "max"].into_iter().zip(values).filter_map(told);
    told.collect::<Vec<_>>().join(", ")
}

fn share(hits: u64, n: u64) -> String {
    match n {
        0 => hits.to_string(),
        n => format!("{hits} of {n} ({:.3} %)", 100.0 * hits as f64 / n as f64),
    }
}

fn told_as(line: &MetricLine, n: u64, figure: String) -> Kpi {
    Kpi {
        metric: line.metric.name().to_owned(),
        phase: line.phase.clone(),
        surface: line.surface.map_or_else(String::new, |surface| surface.name().to_owned()),
        n,
        figure,
    }
}

/// What several runs of one scenario come to together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Whole {
    /// Seconds, of all of them.
    pub duration_s: f64,
    /// Most sockets at once.
    pub clients_peak: u64,
    /// Updates judged.
    pub deliveries: u64,
    /// Commands acknowledged.
    pub acknowledged: u64,
    /// Violations of rules.
    pub violations: u64,
    /// The figures, of the samples of all of them.
    pub kpis: Vec<Kpi>,
}

/// Adds runs of one scenario up, as if they had been one.
#[derive(Debug, Default)]
pub struct Figures {
    whole: Whole,
    /// A line of figures, and what it is drawn from: in the order in which they came.
    lines: Vec<(MetricLine, Hist)>,
}

impl Figures {
    /// Adds a run; its samples must still be with it.
    pub fn add(&mut self, report: &RunReport) {
        let whole = &mut self.whole;
        whole.duration_s += report.duration_s;
        whole.clients_peak = whole.clients_peak.max(report.fleet.clients_peak);
        whole.deliveries += report.oracle.deliveries;
        whole.acknowledged += report.load.acknowledged;
        whole.violations += report.oracle.violations();
        for line in &report.metrics {
            let is_of_it = |(ours, _): &&mut (MetricLine, Hist)| {
                (ours.metric, &ours.phase, ours.surface) == (line.metric, &line.phase, line.surface)
            };
            let samples = line.samples.as_ref().map(|samples| &samples.response);
            match self.lines.iter_mut().find(is_of_it) {
                Some((ours, hist)) => {
                    ours.n += line.n;
                    ours.hits = ours.hits.zip(line.hits).map(|(ours, theirs)| ours + theirs);
                    samples.into_iter().for_each(|samples| hist.merge(samples));
                }
                None => {
                    let line = MetricLine { samples: None, ..line.clone() };
                    self.lines.push((line, samples.cloned().unwrap_or_default()));
                }
            }
        }
    }

    /// What they come to.
    #[must_use]
    pub fn whole(&self) -> Whole {
        let told = self.lines.iter().filter_map(|(line, hist)| {
            let figure = match (line.response, line.hits) {
                (Some(_), _) if line.n > 0 => {
                    let [p90, p99] = [90.0, 99.0].map(|of| hist.percentile(of));
                    percentiles(line, [hist.median(), p90, p99, Some(hist.max())])
                }
                (None, Some(hits)) => share(hits, line.n),
                _ => return None,
            };
            Some(told_as(line, line.n, figure))
        });
        Whole { kpis: told.take(KPIS_MAX).collect(), ..self.whole.clone() }
    }
}
