//! Puts a report together from what was settled, learnt and judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use khala_plan::metric::{MetricId, MetricKind};
use khala_plan::schedule::Schedule;
use khala_plan::stability::Incident;
use khala_plan::surface::Surface;
use khala_wire::topic::TopicId;

use super::{
    Cause, Ended, Fleet, IncidentLine, Load, MetricLine, Oracle, Percentiles, Phase, RequestLine,
    RunReport, Scenario, Second, Shared, Target, Tool,
};
use crate::facts::{FaultOutcome, RunFacts, TargetFacts};
use crate::hist::Sparse;
use crate::judge::{Case, RunVerdict, stability};
use crate::oracle::tally::CauseTally;
use crate::oracle::{Rule, RuleTally};
use crate::record::Micros;
use crate::shard::absence::Manner;
use crate::shard::metrics::Distribution;
use crate::shard::stability::{Blame, TICK_US};

impl RunReport {
    /// Puts the report together.
    #[must_use]
    pub fn of(case: &Case<'_>, verdict: RunVerdict, tool_version: &str) -> Self {
        let Case { plan, schedule, facts, settled } = *case;
        let RunFacts { run_id, started_at, ended_at, duration_us, interrupted, .. } = facts.clone();
        let series = series(case);
        Self {
            format_version: Self::FORMAT_VERSION,
            tool: Tool {
                name: "khala-harness".to_owned(),
                version: tool_version.to_owned(),
                commit: None,
            },
            run_id,
            started_at,
            ended_at,
            duration_s: Duration::from_micros(duration_us).as_secs_f64(),
            interrupted,
            finished: facts.unfinished.is_none(),
            scenario: Scenario {
                name: plan.name.clone(),
                description: plan.description.clone(),
                profile: plan.profile.clone(),
                seed: plan.seed,
            },
            decision: verdict.decision,
            verdict: verdict.verdict,
            reasons: verdict.reasons,
            of_the_run: verdict.of_the_run,
            altered: false,
            unvouched: false,
            judged_by: None,
            gates: verdict.gates,
            oracle: Oracle::of(case),
            fleet: Fleet::of(case, &series),
            load: Load {
                planned: schedule.publishes.len() as u64,
                acknowledged: settled.acknowledged,
                refused: settled.refused,
            },
            phases: phases(schedule),
            faults: faults(case),
            fault_ends: fault_ends(schedule),
            exposures: settled.exposures.clone(),
            whereabouts: settled.whereabouts.clone(),
            findings: settled.findings.iter().chain(&facts.findings).cloned().collect(),
            generator: facts.generator.clone().with(settled, schedule.phases.len()),
            target: Target::of(case),
            requests: request_lines(case),
            unplanned_ends: incident_lines(case, Blame::Target),
            own_ends: incident_lines(case, Blame::Ours),
            planned_ends: match has_hook(schedule)
                || settled.clients_live_at_end < schedule.staying()
            {
                true => incident_lines(case, Blame::Plan),
                false => Vec::new(),
            },
            idle_ends: stability::idle(&settled.stability),
            metrics: metric_lines(case),
            series,
            stories: settled.stories.clone(),
            provenance: None,
        }
    }
}

/// What came of the faults, with what the plan says of them: runs of old tell less of it themselves.
fn faults(case: &Case<'_>) -> Vec<FaultOutcome> {
    let planned = |outcome: &FaultOutcome| case.schedule.faults.get(usize::from(outcome.id));
    let with = |outcome: &FaultOutcome| match planned(outcome) {
        Some(fault) => outcome.clone().planned_as(fault),
        None => outcome.clone(),
    };
    case.facts.faults.iter().map(with).collect()
}

impl Target {
    fn of(case: &Case<'_>) -> Self {
        let TargetFacts { url, kind, defects, build, sockets, way, .. } = case.facts.target.clone();
        let absences = stability::absences(case);
        let of = |manner| absences.iter().filter(move |absence| absence.manner == manner);
        Self {
            lost: of(Manner::Lost).next().map(stability::sentence),
            restarts: of(Manner::Restarted).cloned().collect(),
            url,
            kind,
            exclusive: case.plan.target.exclusive,
            passive: case.plan.is_passive(),
            defects,
            build,
            sockets,
            way,
            absences,
        }
    }
}

impl Oracle {
    fn of(case: &Case<'_>) -> Self {
        let Case { facts, settled, .. } = *case;
        let by_rule = |count: fn(&RuleTally) -> u64| -> BTreeMap<String, u64> {
            let named = |&rule: &Rule| (rule.name().to_owned(), count(&settled.tally.rule(rule)));
            let exercised = Rule::ALL.iter().filter(|&&rule| settled.tally.exercised(rule));
            exercised.map(named).collect()
        };
        let (applied, unreached) = (settled.applied.iter(), settled.unreached.iter());
        Self {
            deliveries: settled.totals.deliveries,
            replies: settled.replies,
            repeats: settled.totals.repeats,
            redelivered: settled.totals.redelivered,
            foreign: settled.totals.foreign,
            applied: applied.map(|(topic, &count)| (topic.name().to_owned(), count)).collect(),
            unreached: unreached
                .map(|(topic, who)| (topic.name().to_owned(), who.clone()))
                .collect(),
            not_exercised: settled.tally.not_exercised(),
            judged: by_rule(|tally| tally.judged),
            violations: by_rule(|tally| tally.violations),
            consequences: by_rule(|tally| tally.consequences),
            undecided: by_rule(|tally| tally.undecided),
            causes: causes(case),
            shared: shared(case),
            kept: settled.tally.kept(),
            drained: facts.drained,
            dry: facts.drained && settled.behind.is_nobody(),
            behind: settled.behind.clone(),
        }
    }
}

impl Fleet {
    fn of(case: &Case<'_>, series: &[Second]) -> Self {
        let mut clients = BTreeMap::new();
        let cohorts = &case.plan.fleet.cohorts;
        clients.extend(cohorts.iter().map(|cohort| (cohort.surface, 0)));
        for arrival in &case.schedule.arrivals {
            if let Some(cohort) = cohorts.get(usize::from(arrival.cohort)) {
                *clients.entry(cohort.surface).or_insert(0) += 1;
            }
        }
        let connects = series.iter().map(|second| second.counts.connects);
        Self {
            clients,
            only_clients: case.plan.fleet.only_clients.clone(),
            clients_peak: case.settled.series.peak_open(),
            left_by_plan: case.schedule.arrivals.len() as u64 - case.schedule.staying(),
            clients_live_at_end: case.settled.clients_live_at_end,
            connects: case.settled.totals.connects,
            connects_peak_per_s: connects.max().unwrap_or(0),
        }
    }
}

impl Percentiles {
    fn of(hist: &crate::hist::Hist) -> Self {
        Self {
            p50: hist.median(),
            p90: hist.percentile(90.0),
            p99: hist.percentile(99.0),
            p99_9: hist.percentile(99.9),
            max: hist.max(),
            mean: hist.mean(),
        }
    }
}

/// When each fault that lasts, or comes to its clients one by one, is over.
fn fault_ends(schedule: &Schedule) -> BTreeMap<u16, Micros> {
    let ends = schedule
        .faults
        .iter()
        .filter_map(|fault| Some((fault.id, fault.at_us + fault.lasts_us()?)));
    ends.collect()
}

fn phases(schedule: &Schedule) -> Vec<Phase> {
    let windows = schedule.phases.iter();
    let phases = windows.map(|window| Phase {
        name: window.name.clone(),
        start_us: window.start_us,
        end_us: window.end_us,
        measure: window.measure,
    });
    phases.collect()
}

/// The causes of all rules, in the order of the rules; of one rule the largest first. What a rule has beyond
/// those that it told apart is its last.
fn causes(case: &Case<'_>) -> Vec<Cause> {
    let of_rule = |&rule: &Rule| {
        let tally = case.settled.tally.rule(rule);
        let told: u64 = tally.causes.values().map(|cause| cause.violations).sum();
        let one = |((topic, kind), cause): ((Option<TopicId>, Box<str>), CauseTally)| Cause {
            rule,
            topic,
            kind: kind.into(),
            violations: cause.violations,
            clients: cause.clients.len() as u64,
            surfaces: surfaces(case, &cause.clients),
            first: cause.first,
            last_us: cause.last_us,
            missing_updates: cause.updates,
            missing_events: cause.events,
        };
        let mut causes: Vec<_> = tally.causes.into_iter().map(one).collect();
        causes.sort_by_key(|cause| (std::cmp::Reverse(cause.violations), cause.first.at_us));
        let beyond = tally.violations.saturating_sub(told);
        if let Some(first) = tally.kept.first().filter(|_| beyond > 0) {
            let (topic, kind, first) = (None, String::new(), first.clone());
            let clients = if told == 0 { tally.clients.len() as u64 } else { 0 };
            causes.push(Cause {
                rule,
                topic,
                kind,
                violations: beyond,
                clients,
                surfaces: BTreeMap::new(),
                first,
                last_us: 0,
                missing_updates: 0,
                missing_events: 0,
            });
        }
        causes
    };
    Rule::ALL.iter().flat_map(of_rule).collect()
}

/// So many of these clients are of each surface.
fn surfaces(case: &Case<'_>, clients: &BTreeSet<u32>) -> BTreeMap<Surface, u64> {
    let mut surfaces = BTreeMap::new();
    for arrival in case.schedule.arrivals.iter().filter(|one| clients.contains(&one.client)) {
        if let Some(cohort) = case.plan.fleet.cohorts.get(usize::from(arrival.cohort)) {
            *surfaces.entry(cohort.surface).or_insert(0) += 1;
        }
    }
    surfaces
}

fn shared(case: &Case<'_>) -> Vec<Shared> {
    let tally = &case.settled.tally;
    let kept = tally.kept();
    let kept = kept.iter().enumerate();
    kept.filter_map(|(kept, one)| Some(Shared { kept, clients: tally.shared(one)?.clone() }))
        .collect()
}

/// Every request of the run, by kind and status.
pub(crate) fn request_lines(case: &Case<'_>) -> Vec<RequestLine> {
    let requests = case.settled.stability.requests().iter();
    let lines = requests.flat_map(|(request, statuses)| {
        statuses.iter().map(|(status, told)| {
            let phase = case.schedule.phase_at(told.first);
            let text = |text: &Option<(Micros, Box<str>)>| {
                text.as_ref().map(|(_, text)| text.clone().into_string())
            };
            RequestLine {
                request: request.name().to_owned(),
                status: status.to_owned(),
                count: told.count,
                ok: told.ok,
                denied: told.denied,
                ours: told.ours,
                planned: told.planned,
                first_at_us: told.first,
                first_phase: phase_name(case, u16::try_from(phase).unwrap_or(u16::MAX)),
                last_at_us: told.last,
                example: text(&told.example),
                retry_after: text(&told.retry_after),
            }
        })
    });
    lines.collect()
}

/// Whether a command of the plan's own does something to the target.
fn has_hook(schedule: &Schedule) -> bool {
    schedule.faults.iter().any(|fault| !fault.kind.commands().is_empty())
}

fn incident_lines(case: &Case<'_>, blame: Blame) -> Vec<IncidentLine> {
    let told = Incident::ALL
        .iter()
        .filter_map(|&kind| Some((kind, case.settled.stability.told(kind, blame)?)));
    let lines = told.flat_map(|(kind, told)| {
        let surfaces = surfaces(case, &told.clients);
        told.codes.iter().map(move |(code, seen)| IncidentLine {
            kind,
            code: code.to_owned(),
            count: seen.count,
            clients: told.clients.len() as u64,
            surfaces: surfaces.clone(),
            first_at_us: seen.first,
            last_at_us: seen.last,
        })
    });
    lines.collect()
}

fn phase_name(case: &Case<'_>, phase: u16) -> String {
    case.schedule.phases.get(usize::from(phase)).map_or_else(String::new, |w| w.name.clone())
}

/// The percentiles of a sample of which some had not ended: these are taken as longer than all others.
fn ended(sample: &Distribution) -> Ended {
    let mut values: BTreeMap<u64, u64> = BTreeMap::new();
    for (value, count) in sample.clusters.values().flat_map(Sparse::iter) {
        *values.entry(value).or_default() += u64::from(count);
    }
    let of = |q: u64| {
        let mut left = (sample.len() * q).div_ceil(100);
        values.iter().find_map(|(&value, &count)| {
            left = left.saturating_sub(count);
            (left == 0).then_some(value)
        })
    };
    let printed = Percentiles::of(&sample.response);
    Ended {
        p50: printed.p50.and_then(|_| of(50)),
        p90: printed.p90.and_then(|_| of(90)),
        p99: printed.p99.and_then(|_| of(99)),
    }
}

fn metric_lines(case: &Case<'_>) -> Vec<MetricLine> {
    let metrics = &case.settled.metrics;
    let mut lines: Vec<_> = metrics
        .distributions()
        .iter()
        .map(|(key, sample)| MetricLine {
            metric: key.metric,
            unit: if key.metric.kind() == MetricKind::Latency { "us" } else { "count" }.to_owned(),
            settled_at_end: key.metric.is_settled_at_end(),
            phase: phase_name(case, key.phase),
            surface: key.surface,
            n: sample.len(),
            censored: sample.censored(),
            apart: sample.apart,
            hits: None,
            response: Some(Percentiles::of(&sample.response)),
            ended: (sample.censored() > 0).then(|| ended(sample)),
            service: Some(Percentiles::of(&sample.service)),
            own_queue_us: own_queue(case, key.metric, key.phase),
            samples: Some(sample.clone()),
        })
        .collect();
    lines.extend(metrics.counts().iter().map(|(key, count)| MetricLine {
        metric: key.metric,
        unit: "of n".to_owned(),
        settled_at_end: false,
        phase: phase_name(case, key.phase),
        surface: key.surface,
        n: count.all,
        censored: 0,
        apart: 0,
        hits: Some(count.hits),
        response: None,
        ended: None,
        service: None,
        own_queue_us: None,
        samples: None,
    }));
    lines
}

/// What of a latency in a phase may be the generator's own queue.
fn own_queue(case: &Case<'_>, metric: MetricId, phase: u16) -> Option<u64> {
    if metric.kind() != MetricKind::Latency {
        return None;
    }
    let publisher = case.plan.generator.publisher_thread();
    let of_commands = metric == MetricId::Publish;
    let lags = case.settled.metrics.lag(&[phase]);
    let mine = lags.iter().filter(|(thread, _)| (**thread == publisher) == of_commands);
    let late = mine.map(|(_, lag)| lag.percentile(99.0).unwrap_or_else(|| lag.max())).max()?;
    if of_commands {
        return Some(late);
    }
    let within = |second| case.reaches_into(&[phase], second);
    Some(late + case.settled.probes.usual_queue_us(within))
}

fn series(case: &Case<'_>) -> Vec<Second> {
    let all: Vec<u16> = (0_u16..).take(case.schedule.phases.len()).collect();
    let delivery = case.settled.metrics.distribution(MetricId::Delivery, &all, None);
    let rows: Vec<_> = case.settled.series.rows().collect();
    let last = rows.last().map_or(0, |(second, ..)| *second);
    let mut unplanned: BTreeMap<u64, u64> = BTreeMap::new();
    for (tick, what) in case.settled.stability.ticks() {
        let ended: u64 = what.ended.iter().map(|(_, n)| *n).sum();
        *unplanned.entry(tick * TICK_US / 1_000_000).or_default() += ended;
    }
    let rows = rows.into_iter();
    rows.map(|(second, counts, open)| {
        let until = if second == last { u32::MAX } else { second };
        let latency = delivery.clusters.get(&second);
        let phase = case.schedule.phase_at(u64::from(second) * 1_000_000);
        Second {
            second,
            phase: phase_name(case, u16::try_from(phase).unwrap_or(u16::MAX)),
            open,
            violations: case.settled.tally.within(second..=until),
            unplanned_ends: unplanned.get(&second.into()).copied().unwrap_or(0),
            counts,
            generator: case.settled.probes.at(second),
            ..latency.map_or_else(Second::default, Second::of_delivery)
        }
    })
    .collect()
}

impl Second {
    /// A second of which only the delivery latencies are known.
    pub(crate) fn of_delivery(sparse: &Sparse) -> Self {
        Self {
            delivery_p50_us: nearest_rank(sparse, 500),
            delivery_p90_us: percentile(sparse, 900),
            delivery_p99_us: percentile(sparse, 990),
            delivery_p99_9_us: percentile(sparse, 999),
            delivery_max_us: sparse.iter().last().map(|(value, _)| value),
            ..Self::default()
        }
    }
}

/// A quantile in thousandths, where at least 10 samples lie beyond it.
fn percentile(sparse: &crate::hist::Sparse, thousandths: u64) -> Option<u64> {
    let beyond = sparse.len() * (1_000 - thousandths) / 1_000;
    if beyond < 10 { None } else { nearest_rank(sparse, thousandths) }
}

/// The smallest value that so many thousandths of the samples do not exceed.
fn nearest_rank(sparse: &crate::hist::Sparse, thousandths: u64) -> Option<u64> {
    let rank = (sparse.len() * thousandths).div_ceil(1_000);
    let mut seen = 0;
    sparse.iter().find_map(|(value, count)| {
        seen += u64::from(count);
        (seen >= rank).then_some(value)
    })
}
