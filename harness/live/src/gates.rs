//! How each gate stands so far: its figures held against its claims as they are, whatever their bounds.
//!
//! A state is no verdict. What needs the whole run is open until its end.

use std::time::Duration;

use khala_evidence::judge::{ORACLE_GATE, STABILITY_GATE, Unit};
use khala_evidence::oracle::Rule;
use khala_evidence::render::report_html::so_far::{self, Stands};
use khala_evidence::standing::{Bounds, Standing};
use khala_plan::Plan;
use khala_plan::metric::MetricId;
use khala_plan::model::{Claim, Comparison, Estimator, Objective};
use khala_plan::schedule::Schedule;
use khala_plan::stability::Incident;
use khala_plan::surface::Surface;
use serde::Serialize;

/// How a claim stands so far; the order is that of what wants to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its figure is within its bound.
    Holding,
    /// There is no sample yet, or only the end of the run will tell.
    Open,
    /// Its figure is beyond its bound.
    Breaking,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Holding, Self::Open, Self::Breaking];

    /// The name on the page and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Holding => "holding",
            Self::Open => "open",
            Self::Breaking => "breaking",
        }
    }
}

/// A gate so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateSoFar {
    /// Its name.
    pub name: String,
    /// Whether it decides nothing.
    pub advisory: bool,
    /// The worst of its claims.
    pub state: State,
    /// Its claims.
    pub claims: Vec<ClaimSoFar>,
}

/// A claim so far, for one value of its selector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimSoFar {
    /// The metric.
    pub metric: String,
    /// The selected label, such as `surface=ios`; empty when nothing is selected.
    pub selector: String,
    /// Phases whose samples count; none where all measured ones do.
    pub during: Vec<String>,
    /// The claim as written.
    pub require: String,
    /// How it stands.
    pub state: State,
    /// Its figure, in `unit`; none where there is none, or where it had not ended.
    pub estimate: Option<f64>,
    /// The 95 % bounds of the figure, in `unit`, roughly; none where there are none yet, and of what is counted.
    pub bounds: Bounds,
    /// What the figure is in.
    pub unit: Unit,
    /// Samples.
    pub n: u64,
}

/// Every gate that the run judges, as it stands `now_us` microseconds into the run.
#[must_use]
pub fn so_far(
    plan: &Plan,
    schedule: &Schedule,
    standing: &Standing,
    now_us: u64,
) -> Vec<GateSoFar> {
    let case = Case { plan, schedule, standing, now_us };
    let declared = plan.gates.iter().filter(|gate| gate.judged).map(|gate| {
        let claims = gate.objectives.iter().flat_map(|objective| case.objective(objective));
        GateSoFar::of(&gate.name, gate.advisory, claims.collect())
    });
    let stability = GateSoFar::of(STABILITY_GATE, plan.stability.advisory, case.incidents());
    let violations = case.violations(Rule::ALL);
    let all = ClaimSoFar {
        metric: MetricId::Violations.name().to_owned(),
        selector: String::new(),
        during: Vec::new(),
        require: "count == 0".to_owned(),
        state: if violations > 0 { State::Breaking } else { State::Holding },
        estimate: Some(amount(violations)),
        bounds: (None, None),
        unit: Unit::Count,
        n: standing.totals().deliveries,
    };
    let oracle = GateSoFar::of(ORACLE_GATE, plan.oracle.advisory, vec![all]);
    declared.chain([stability, oracle]).collect()
}

/// The gate that wants to be looked at first, and its claim that does: what is beyond its bound, then what decides
/// something.
#[must_use]
pub fn worst(gates: &[GateSoFar]) -> Option<(&GateSoFar, &ClaimSoFar)> {
    let claims = gates.iter().flat_map(|gate| gate.claims.iter().map(move |claim| (gate, claim)));
    // The first of the worst.
    claims
        .rev()
        .max_by_key(|(gate, claim)| (claim.state == State::Breaking, !gate.advisory, claim.state))
}

impl State {
    fn stands(self) -> Stands {
        match self {
            Self::Holding => Stands::Holds,
            Self::Open => Stands::Open,
            Self::Breaking => Stands::Beyond,
        }
    }
}

impl GateSoFar {
    /// As the page's table has it.
    #[must_use]
    pub fn row(&self) -> so_far::Gate {
        so_far::Gate {
            name: self.name.clone(),
            advisory: self.advisory,
            stands: self.state.stands(),
            claims: self.claims.iter().map(ClaimSoFar::row).collect(),
        }
    }

    fn of(name: &str, advisory: bool, claims: Vec<ClaimSoFar>) -> Self {
        let state = claims.iter().map(|claim| claim.state).max().unwrap_or(State::Open);
        Self { name: name.to_owned(), advisory, state, claims }
    }
}

impl ClaimSoFar {
    fn row(&self) -> so_far::Claim {
        so_far::Claim {
            metric: self.metric.clone(),
            selector: self.selector.clone(),
            during: self.during.clone(),
            require: self.require.clone(),
            stands: self.state.stands(),
            unit: self.unit,
            estimate: self.estimate,
            bounds: self.bounds,
            n: self.n,
        }
    }
}

struct Case<'a> {
    plan: &'a Plan,
    schedule: &'a Schedule,
    standing: &'a Standing,
    now_us: u64,
}

impl Case<'_> {
    fn objective(&self, objective: &Objective) -> Vec<ClaimSoFar> {
        if objective.metric == MetricId::Violations {
            return vec![self.rule(objective)];
        }
        let selected: Vec<Option<Surface>> =
            match objective.selector.get("surface").map(String::as_str) {
                None => vec![None],
                Some("*") => self.plan.fleet.surfaces().into_iter().map(Some).collect(),
                Some(name) => vec![Surface::of(name)],
            };
        selected.into_iter().map(|surface| self.claim(objective, surface)).collect()
    }

    fn claim(&self, objective: &Objective, surface: Option<Surface>) -> ClaimSoFar {
        let (metric, claim) = (objective.metric, &objective.require);
        let phases = self.phases(&objective.during);
        let none = (None, None);
        let (n, estimate, bounds, state) = match claim.estimator {
            _ if is_of_the_end(metric) => (0, None, none, State::Open),
            Estimator::Percentile(_) | Estimator::Max => {
                let sample = self.standing.distribution(metric, &phases, surface);
                let figure = match claim.estimator {
                    Estimator::Percentile(q) => sample.percentile(q),
                    _ => sample.max(),
                };
                // What had not ended is beyond every bound.
                let state = match figure {
                    None if sample.is_empty() => State::Open,
                    None => State::Breaking,
                    Some(figure) => held(claim, amount(figure)),
                };
                let bounds = match claim.estimator {
                    Estimator::Percentile(q) => {
                        self.standing.percentile_bounds(metric, &phases, surface, q)
                    }
                    _ => none,
                };
                (sample.len(), figure.map(amount), bounds, state)
            }
            Estimator::Proportion | Estimator::Ratio => {
                let (hits, all) = self.standing.count_of(metric, &phases, surface);
                let share = (all > 0).then(|| amount(hits) / amount(all));
                let bounds = match claim.estimator {
                    Estimator::Proportion => self.standing.share_bounds(metric, &phases, surface),
                    _ => none,
                };
                (all, share, bounds, share.map_or(State::Open, |share| held(claim, share)))
            }
            Estimator::Rate => {
                let (hits, all) = self.standing.count_of(metric, &phases, surface);
                let seconds = self.seconds_of(&phases);
                let rate = (seconds > 0.0).then(|| amount(hits) / seconds);
                let bounds = match rate {
                    Some(_) => self.standing.rate_bounds(metric, &phases, surface, seconds),
                    None => none,
                };
                (all, rate, bounds, rate.map_or(State::Open, |rate| held(claim, rate)))
            }
            Estimator::Count => {
                let (hits, all) = self.standing.count_of(metric, &phases, surface);
                (all.max(hits), Some(amount(hits)), none, held(claim, amount(hits)))
            }
        };
        ClaimSoFar {
            metric: metric.name().to_owned(),
            selector: surface.map(|it| format!("surface={}", it.name())).unwrap_or_default(),
            during: objective.during.clone(),
            require: claim.text.clone(),
            state,
            estimate,
            bounds,
            unit: Unit::of(metric, claim.estimator),
            n,
        }
    }

    fn rule(&self, objective: &Objective) -> ClaimSoFar {
        let named = objective.selector.get("rule").filter(|name| *name != "*");
        let rules: Vec<Rule> = match named {
            Some(name) => Rule::of(name).into_iter().collect(),
            None => Rule::ALL.to_vec(),
        };
        let violations = amount(self.violations(&rules));
        ClaimSoFar {
            metric: objective.metric.name().to_owned(),
            selector: named.map(|name| format!("rule={name}")).unwrap_or_default(),
            during: Vec::new(),
            require: objective.require.text.clone(),
            state: held(&objective.require, violations),
            estimate: Some(violations),
            bounds: (None, None),
            unit: Unit::Count,
            n: self.standing.totals().deliveries,
        }
    }

    fn violations(&self, rules: &[Rule]) -> u64 {
        let broken = self.standing.rules();
        rules.iter().filter_map(|rule| broken.get(rule)).sum()
    }

    fn incidents(&self) -> Vec<ClaimSoFar> {
        let over = Duration::from_micros(self.now_us);
        let clients = self.schedule.arrivals.len() as u64;
        let claims = Incident::ALL.iter().filter_map(|&incident| {
            let (bad, occasions) = self.standing.incidents(incident);
            let limit = self.plan.stability.limits.get(&incident)?;
            let allowed = limit.count(occasions, clients, over);
            (bad > 0 || occasions > 0).then(|| ClaimSoFar {
                metric: "unplanned_ends".to_owned(),
                selector: format!("kind={}", incident.name()),
                during: Vec::new(),
                require: format!("count <= {allowed}"),
                state: if bad > allowed { State::Breaking } else { State::Holding },
                estimate: Some(amount(bad)),
                bounds: (None, None),
                unit: Unit::Count,
                n: occasions,
            })
        });
        claims.collect()
    }

    /// Indices of the phases that an objective reads: those it names, else all measured ones.
    fn phases(&self, during: &[String]) -> Vec<u16> {
        let windows = self.schedule.phases.iter().zip(0_u16..);
        let wanted = windows.filter(|(window, _)| match during {
            [] => window.measure,
            named => named.contains(&window.name),
        });
        wanted.map(|(_, index)| index).collect()
    }

    /// How much of some phases has passed, in seconds.
    fn seconds_of(&self, phases: &[u16]) -> f64 {
        let windows = phases.iter().filter_map(|&at| self.schedule.phases.get(usize::from(at)));
        let passed = windows.map(|window| {
            self.now_us.min(window.end_us).saturating_sub(window.start_us.min(self.now_us))
        });
        Duration::from_micros(passed.sum()).as_secs_f64()
    }
}

/// Whether a metric has its samples only when the run is settled.
fn is_of_the_end(metric: MetricId) -> bool {
    // Each by its name, so that the compiler asks about a new one: what has no samples before the end would be open to the end,
    // or hold without one.
    match metric {
        MetricId::BystanderRatio
        | MetricId::DeliverySpread
        | MetricId::PeakConnects
        | MetricId::Unrecovered => true,
        MetricId::TokenMint
        | MetricId::Connect
        | MetricId::TlsHandshake
        | MetricId::Join
        | MetricId::Subscribe
        | MetricId::ReplayBootstrap
        | MetricId::ResumeToLive
        | MetricId::TimeToRecovered
        | MetricId::Delivery
        | MetricId::Snapshot
        | MetricId::ReplayLag
        | MetricId::UnplannedStale
        | MetricId::HeartbeatRtt
        | MetricId::Publish
        | MetricId::ReconnectAttempts
        | MetricId::AuthErrors
        | MetricId::MintErrors
        | MetricId::ConnectErrors
        | MetricId::TopicErrors
        | MetricId::PublishErrors
        | MetricId::HeartbeatTimeouts
        | MetricId::Reconnects
        | MetricId::Violations => false,
    }
}

fn held(claim: &Claim, figure: f64) -> State {
    let holds = match claim.comparison {
        Comparison::Less => figure < claim.bound,
        Comparison::LessOrEqual => figure <= claim.bound,
        #[expect(clippy::float_cmp, reason = "whole numbers, both")]
        Comparison::Equal => figure == claim.bound,
    };
    if holds { State::Holding } else { State::Breaking }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn amount(count: u64) -> f64 {
    count as f64
}
