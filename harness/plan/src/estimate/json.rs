//! The estimate for machines: what `check --json` prints. Keys are only ever added; a change of
//! meaning raises [`VERSION`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Estimate, Expected, FaultInstant, ObjectiveEstimate, PhaseSpan, Slow, Why};
use crate::gate::power::Needs;
use crate::model::{Plan, TargetKind};
use crate::read::{Diagnostics, Severity};
use crate::units::micros;

/// Version of the document.
const VERSION: u32 = 1;

/// The document. Names end in their units.
#[derive(JsonSchema, Serialize)]
struct Document<'a> {
    version: u32,
    scenario: &'a str,
    profile: Option<&'a str>,
    seed: u64,
    target: Target<'a>,
    /// Whether nothing is written.
    passive: bool,
    /// The most clients that the target may have; `null` for no bound.
    clients_max: Option<u32>,
    /// The most connects that may be begun in a second; `null` for no bound.
    connect_rate_max: Option<f64>,
    total_us: u64,
    timeline: Vec<Phase<'a>>,
    clients_peak: u32,
    /// Whoever is there at once.
    clients_in_all: u32,
    cohorts: Vec<Cohort<'a>>,
    publishes: u64,
    commands_per_s: f64,
    frames_per_s: f64,
    descriptors: Descriptors,
    source_ports: SourcePorts,
    memory_bytes: MemoryBytes,
    objectives: Vec<Objective<'a>>,
    stability: Stability,
    /// Why a run would be refused here, or with `--strict` would tell nothing; the exit code says which.
    errors: Vec<Mistake>,
    warnings: Vec<Warning<'a>>,
}

#[derive(JsonSchema, Serialize)]
struct Target<'a> {
    kind: &'static str,
    url: Option<&'a str>,
    defects: &'a [String],
}

#[derive(JsonSchema, Serialize)]
struct Phase<'a> {
    phase: &'a str,
    start_us: u64,
    end_us: u64,
    faults: Vec<Fault>,
}

#[derive(JsonSchema, Serialize)]
struct Fault {
    /// From 0, over all phases, as in `run.json`.
    id: u16,
    #[serde(rename = "type")]
    name: &'static str,
    /// From the start of the run.
    at_us: u64,
    /// `null` for an instant.
    duration_us: Option<u64>,
    /// `null` when it acts on the target.
    clients: Option<usize>,
    /// Of a slow reader: whether it is expected to be evicted.
    eviction_expected: Option<bool>,
    /// When, from the start of the fault.
    eviction_after_s: Option<f64>,
    /// Of a hook: its commands, by what each is for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    commands: BTreeMap<&'static str, Vec<String>>,
    /// Of a hook: what may follow from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    causes: Option<Vec<&'static str>>,
    /// Until when, from the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    causes_until_us: Option<u64>,
}

#[derive(JsonSchema, Serialize)]
struct Cohort<'a> {
    name: &'a str,
    surface: &'static str,
    clients: u32,
}

#[derive(JsonSchema, Serialize)]
struct Descriptors {
    harness: u64,
    target: u64,
}

#[derive(JsonSchema, Serialize)]
struct SourcePorts {
    needed: u64,
    available: u64,
}

/// Rests on assumed figures.
#[derive(JsonSchema, Serialize)]
struct MemoryBytes {
    harness: u64,
    /// `null` for a target by URL.
    reference: Option<u64>,
}

#[derive(JsonSchema, Serialize)]
struct Objective<'a> {
    gate: &'a str,
    judged: bool,
    advisory: bool,
    metric: &'static str,
    require: &'a str,
    /// `null` when no evidence is enough.
    needed: Option<Evidence>,
    /// Seconds with samples that it takes beside; `null` where it does not go by seconds.
    seconds_needed: Option<u64>,
    verdicts: Vec<Verdict<'a>>,
}

#[derive(JsonSchema, Serialize)]
struct Stability {
    advisory: bool,
    absence_us: u64,
    /// Whose word that is.
    absence_from: String,
    limits: Vec<Limit>,
}

#[derive(JsonSchema, Serialize)]
struct Limit {
    kind: &'static str,
    /// As a scenario would write it.
    limit: String,
    at_least: u64,
    from: String,
    /// `null` where it depends on what the run has occasion for.
    count: Option<u64>,
}

#[derive(JsonSchema, Serialize)]
struct Verdict<'a> {
    /// `null` when all surfaces are judged together.
    surface: Option<&'static str>,
    expected: Evidence,
    /// Seconds that have any of these samples, where the objective goes by seconds.
    seconds_expected: Option<u64>,
    decidable: bool,
    /// Why the plan cannot exercise it, if it cannot.
    not_applicable: Option<&'a str>,
    /// What is known of it by the plan alone, if anything is.
    foregone: Option<Foregone<'a>>,
}

#[derive(JsonSchema, Serialize)]
struct Foregone<'a> {
    /// `never_passes`, `may_not_pass`, `always_warns` or `never_fails`.
    verdict: &'static str,
    why: &'a str,
    mend: &'a str,
}

#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
enum Evidence {
    Samples(f64),
    Seconds(f64),
    /// As many as others make.
    OfOthers,
}

#[derive(JsonSchema, Serialize)]
struct Warning<'a> {
    at: String,
    what: String,
    help: Option<&'a str>,
}

/// Of a scenario that is none: what is wrong with it.
#[derive(JsonSchema, Serialize)]
struct Mistakes {
    version: u32,
    errors: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

/// One of them.
#[derive(JsonSchema, Serialize)]
struct Mistake {
    /// Where: file, line and column, or the flag; the scenario's file where it is about the whole.
    at: String,
    what: String,
    help: Option<String>,
    notes: Vec<String>,
}

/// Either.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "its schema is what it is for")]
enum Printed<'a> {
    Plan(Box<Document<'a>>),
    Mistakes(Mistakes),
}

/// The JSON Schema of what `check --json` prints.
#[must_use]
pub fn schema() -> String {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Printed<'_>>();
    schema.insert("title".to_owned(), "khala-harness check --json".into());
    // A map of strings and numbers.
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}

/// Something about a scenario as a whole.
fn whole((at, what): &(String, String)) -> Mistake {
    Mistake { at: at.clone(), what: what.clone(), help: None, notes: Vec::new() }
}

/// What is printed of a scenario that could not even be read: why not, of which file.
///
/// # Errors
/// When it cannot be serialised, which is a bug.
pub fn unread(why: &(String, String)) -> Result<String, serde_json::Error> {
    let (errors, warnings) = (vec![whole(why)], Vec::new());
    let document = Mistakes { version: VERSION, errors, warnings };
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

/// The document as text; `errors` are of whole files, each with its path.
///
/// # Errors
/// When it cannot be serialised, which is a bug.
pub(super) fn text(
    estimate: &Estimate,
    plan: &Plan,
    warnings: &Diagnostics,
    errors: &[(String, String)],
) -> Result<String, serde_json::Error> {
    let cohorts = estimate.cohorts.iter();
    let document = Document {
        version: VERSION,
        scenario: &plan.name,
        profile: plan.profile.as_deref(),
        seed: plan.seed,
        target: target(&plan.target.kind),
        passive: plan.is_passive(),
        clients_max: plan.target.clients_max,
        connect_rate_max: plan.target.connect_rate_max,
        total_us: micros(estimate.total),
        timeline: estimate.phases.iter().map(phase).collect(),
        clients_peak: estimate.clients_peak,
        clients_in_all: estimate.clients_in_all,
        cohorts: cohorts
            .map(|(name, surface, clients)| Cohort {
                name,
                surface: surface.name(),
                clients: *clients,
            })
            .collect(),
        publishes: estimate.publishes,
        commands_per_s: estimate.commands_per_s,
        frames_per_s: estimate.frames_per_s,
        descriptors: Descriptors {
            harness: estimate.descriptors_harness,
            target: estimate.descriptors_target,
        },
        source_ports: SourcePorts {
            needed: estimate.ports_needed,
            available: estimate.ports_available,
        },
        memory_bytes: MemoryBytes {
            harness: estimate.memory_harness_bytes,
            reference: estimate.memory_reference_bytes,
        },
        objectives: estimate.objectives.iter().map(objective).collect(),
        stability: stability(estimate, plan),
        errors: errors.iter().map(whole).collect(),
        warnings: warnings
            .iter()
            .map(|warning| Warning {
                at: warnings.location(warning),
                what: warning.what().to_owned(),
                help: warning.help_text(),
            })
            .chain(warnings.more(Severity::Warning).map(|what| Warning {
                at: String::new(),
                what,
                help: None,
            }))
            .collect(),
    };
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

fn target(kind: &TargetKind) -> Target<'_> {
    match kind {
        TargetKind::Reference { defects, .. } => Target { kind: "reference", url: None, defects },
        TargetKind::Url { base_url } => Target { kind: "url", url: Some(base_url), defects: &[] },
    }
}

fn phase(span: &PhaseSpan) -> Phase<'_> {
    let faults = span.faults.iter().map(fault).collect();
    Phase { phase: &span.name, start_us: micros(span.start), end_us: micros(span.end), faults }
}

fn fault(instant: &FaultInstant) -> Fault {
    let (eviction_expected, eviction_after_s) = match instant.slow {
        Some(Slow::Struck(strike)) => (Some(true), Some(strike.struck_s)),
        Some(Slow::Spared) => (Some(false), None),
        None => (None, None),
    };
    let causes = instant.causes.as_ref();
    Fault {
        id: instant.id,
        name: instant.name,
        at_us: micros(instant.at),
        duration_us: instant.duration.map(micros),
        clients: instant.targets,
        eviction_expected,
        eviction_after_s,
        commands: instant.commands.iter().cloned().collect(),
        causes: causes.map(|(causes, _)| causes.iter().map(|cause| cause.name()).collect()),
        causes_until_us: causes.map(|(_, until)| micros(*until)),
    }
}

fn stability(estimate: &Estimate, plan: &Plan) -> Stability {
    let (absence, from) = estimate.absence;
    let limits = estimate.limits.iter().map(|estimate| Limit {
        kind: estimate.incident.name(),
        limit: estimate.limit.allowance.to_string(),
        at_least: estimate.limit.at_least,
        from: estimate.limit.from.to_string(),
        count: estimate.count,
    });
    Stability {
        advisory: plan.stability.advisory,
        absence_us: micros(absence),
        absence_from: from.to_string(),
        limits: limits.collect(),
    }
}

fn foregone(what: &super::Foregone) -> Foregone<'_> {
    let verdict = match what {
        super::Foregone::NeverPasses(_) => "never_passes",
        super::Foregone::MayNotPass(_) => "may_not_pass",
        super::Foregone::AlwaysWarns(_) => "always_warns",
        super::Foregone::NeverFails(_) => "never_fails",
    };
    let Why { why, mend } = what.why();
    Foregone { verdict, why, mend }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of samples are far below 2^52")]
fn objective(estimate: &ObjectiveEstimate) -> Objective<'_> {
    let needed = match estimate.needs {
        Needs::Samples(samples) => {
            Some(Evidence::Samples(samples.max(estimate.min_samples) as f64))
        }
        Needs::Seconds(seconds) => Some(Evidence::Seconds(seconds)),
        Needs::Never => None,
    };
    let verdicts = estimate.expected.iter().map(|(surface, expected)| Verdict {
        surface: *surface,
        expected: match *expected {
            Expected::Samples(samples) | Expected::SamplesOver(samples, _) => {
                Evidence::Samples(samples)
            }
            Expected::Seconds(seconds) => Evidence::Seconds(seconds),
            Expected::OfOthers => Evidence::OfOthers,
        },
        seconds_expected: match *expected {
            Expected::SamplesOver(_, seconds) => Some(seconds),
            Expected::Samples(_) | Expected::Seconds(_) | Expected::OfOthers => None,
        },
        decidable: estimate.reaches(*expected),
        not_applicable: estimate.why_not_applicable(*surface),
        foregone: estimate.foregone(*surface).map(foregone),
    });
    Objective {
        gate: &estimate.gate,
        judged: estimate.judged,
        advisory: estimate.advisory,
        metric: estimate.metric,
        require: &estimate.claim,
        needed,
        seconds_needed: estimate.seconds_needed,
        verdicts: verdicts.collect(),
    }
}

#[cfg(test)]
mod tests;
