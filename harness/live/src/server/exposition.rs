//! `/metrics`, in Prometheus' text format. Names are stable; labels are bounded by the plan: surfaces,
//! phases, types of faults, metrics, rules, gates.

use std::fmt::Error;

use khala_evidence::oracle::Rule;
use khala_evidence::standing::{BOUNDS, Coarse, Standing};
use khala_plan::metric::MetricKind;
use khala_plan::stability::Incident;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::Shared;
use crate::frame::{FaultSoFar, FaultState, Frame};
use crate::gates::State;

/// What every name begins with.
const PREFIX: &str = "khala_harness";

/// The text of a scrape.
///
/// # Errors
/// Never: a string takes all.
pub fn text(shared: &Shared) -> Result<String, Error> {
    let (frame, standing, faults) = {
        let watch = shared.watch();
        (watch.now(), watch.standing(), watch.faults().to_vec())
    };
    let scrape = Scrape {
        frame,
        standing,
        faults,
        viewers: shared.viewers_now(),
        version: shared.version.clone(),
    };
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

/// What one scrape tells.
#[derive(Debug)]
struct Scrape {
    frame: Frame,
    standing: Standing,
    faults: Vec<FaultSoFar>,
    viewers: usize,
    version: String,
}

type Labels = Vec<(&'static str, String)>;

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        self.run(&mut encoder)?;
        self.load(&mut encoder)?;
        self.findings(&mut encoder)?;
        self.metrics(&mut encoder)
    }
}

impl Scrape {
    fn run(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let frame = &self.frame;
        let info = labels([("scenario", &frame.scenario), ("version", &self.version)]);
        gauges(encoder, "run_info", "What is run, by what", [(info, 1)])?;
        for (name, help, value) in [
            ("run_elapsed_seconds", "Since the start of the run", frame.elapsed_s),
            ("run_planned_seconds", "All declared phases together", frame.planned_s),
            ("drain_max_seconds", "What the drain after the phases may take", frame.drain_s),
            ("dashboard_viewers", "Viewers of the live view", self.viewers as u64),
        ] {
            gauges(encoder, name, help, [(Vec::new(), value)])?;
        }
        let phases = frame
            .phases
            .iter()
            .map(|phase| (labels([("phase", &phase.name)]), u64::from(phase.name == frame.phase)));
        gauges(encoder, "phase", "1 for the phase that the run is in", phases)
    }

    fn load(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let (frame, totals) = (&self.frame, self.standing.totals());
        let clients = [
            ("planned", frame.clients.planned),
            ("online", frame.clients.online),
            ("live", frame.clients.live),
        ];
        let clients = clients.map(|(state, count)| (labels([("state", state)]), count));
        let help = "Clients of the plan, those with a socket, those with replay complete";
        gauges(encoder, "clients", help, clients)?;
        for (name, help, value) in [
            ("publishes", "Publishes begun", frame.published),
            ("deliveries", "Updates that clients got and that were judged", totals.deliveries),
            ("repeats", "Of them, repeats within an epoch, which are allowed", totals.repeats),
            ("connects", "Connects begun", totals.connects),
            ("evictions", "Evictions of slow clients, by the target's own count", totals.evictions),
            ("withheld", "Commands that the target left no room for", totals.withheld),
        ] {
            counters(encoder, name, help, [(Vec::new(), value)])?;
        }
        let of = |kind: &str, state: FaultState| {
            let those = self.faults.iter().filter(|fault| fault.kind == kind);
            those.filter(|fault| fault.state == state).count() as u64
        };
        let mut kinds: Vec<&str> = self.faults.iter().map(|fault| fault.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let faults = kinds.into_iter().flat_map(|kind| {
            FaultState::ALL
                .map(|state| (labels([("type", kind), ("state", state.name())]), of(kind, state)))
        });
        gauges(encoder, "faults", "Faults of the plan, by what became of them", faults)
    }

    fn findings(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let broken = self.standing.rules();
        let rules = Rule::ALL.iter().map(|rule| {
            (labels([("rule", rule.name())]), broken.get(rule).copied().unwrap_or_default())
        });
        counters(encoder, "violations", "Violations of the oracle's rules so far", rules)?;
        let incidents = Incident::ALL.iter().map(|&incident| {
            (labels([("kind", incident.name())]), self.standing.incidents(incident).0)
        });
        let help = "What befell the run although nobody planned it, by the target's doing";
        counters(encoder, "incidents", help, incidents)?;
        let gates = self.frame.gates.iter().flat_map(|gate| {
            State::ALL.map(|state| {
                let labels = labels([("gate", gate.name.as_str()), ("state", state.name())]);
                (labels, u64::from(gate.state == state))
            })
        });
        let help =
            "1 for the state that a gate is in so far; no verdict, which the end of the run gives";
        gauges(encoder, "gate_state", help, gates)
    }

    fn metrics(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let proportions: Vec<_> = self
            .standing
            .counts()
            .iter()
            .filter(|(key, _)| key.metric.kind() == MetricKind::Proportion)
            .map(|(key, &(hits, all))| {
                let surface = key.surface.map(|surface| surface.name());
                (self.labels_of(key.metric.name(), key.phase, surface), hits, all)
            })
            .collect();
        let errors = proportions.iter().map(|(labels, hits, _)| (labels.clone(), *hits));
        counters(encoder, "operation_errors", "Operations that failed, by metric", errors)?;
        let all = proportions.iter().map(|(labels, _, all)| (labels.clone(), *all));
        counters(encoder, "operations", "Operations tried, by metric", all)?;

        let help = "Latencies from the intended start, by metric; what had not ended is beyond every bucket";
        let kind = MetricType::Histogram;
        let mut family = encoder.encode_descriptor("latency_seconds", help, None, kind)?;
        for (key, cell) in self.standing.distributions() {
            if key.metric.kind() != MetricKind::Latency {
                continue;
            }
            let surface = key.surface.map(|surface| surface.name());
            let labels = self.labels_of(key.metric.name(), key.phase, surface);
            histogram(family.encode_family(&labels)?, cell)?;
        }
        Ok(())
    }

    fn labels_of(&self, metric: &str, phase: u16, surface: Option<&str>) -> Labels {
        let phase = self.frame.phases.get(usize::from(phase));
        labels([
            ("metric", metric),
            ("phase", phase.map_or("", |phase| &phase.name)),
            ("surface", surface.unwrap_or_default()),
        ])
    }
}

fn labels<const N: usize>(labels: [(&'static str, &str); N]) -> Labels {
    labels.into_iter().map(|(key, value)| (key, value.to_owned())).collect()
}

fn gauges(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    all: impl IntoIterator<Item = (Labels, u64)>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in all {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        if labels.is_empty() {
            family.encode_gauge(&value)?;
        } else {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    all: impl IntoIterator<Item = (Labels, u64)>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in all {
        if labels.is_empty() {
            family.encode_counter::<NoLabelSet, u64, f64>(&value, None)?;
        } else {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&value, None)?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "microseconds are far below 2^52")]
fn histogram(mut encoder: MetricEncoder<'_>, cell: &Coarse) -> Result<(), Error> {
    let seconds = |us: u64| us as f64 / 1e6;
    let mut buckets: Vec<(f64, u64)> =
        BOUNDS.iter().zip(cell.buckets()).map(|(&bound, &count)| (seconds(bound), count)).collect();
    let within: u64 = cell.buckets().iter().sum();
    buckets.push((f64::INFINITY, cell.len() - within));
    encoder.encode_histogram::<NoLabelSet>(seconds(cell.sum()), cell.len(), &buckets, None)
}
