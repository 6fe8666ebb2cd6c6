//! One step: a scenario of some size, run, judged, and set beside what the null server did.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use khala_bundle::{Bundle, Evidence};
use khala_evidence::judge::{Case, generator_unfit};
use khala_evidence::report::RunReport;
use khala_plan::metric::MetricId;

use super::outcome::Step;
use super::process::{self, KEY, NullServer};

/// Events that are published in a second; each goes to every client.
const RATE_PER_S: u32 = 20;
/// The phase that is judged. A thread has too few ticks in it for a p99, so its largest lag counts, as in
/// any run: stricter, and a step is short.
const STEADY: Duration = Duration::from_secs(4);
/// Between the ramp and `steady`.
const SETTLE: Duration = Duration::from_millis(500);
/// Clients that arrive in a second.
const RAMP_PER_S: f64 = 2_000.0;
/// To start, drain, retire and render, as far as can be foreseen.
const AROUND: Duration = Duration::from_secs(3);
/// The objective that the generator must be fit for. A tenth of it is what its timers may be late.
const THRESHOLD_MS: u64 = 500;

/// How large a step is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Clients.
    pub clients: u32,
}

impl Size {
    /// A step of so many clients.
    pub fn of(clients: u32) -> Self {
        Self { clients }
    }

    fn ramp(self) -> Duration {
        Duration::from_secs_f64((f64::from(self.clients) / RAMP_PER_S).max(1.0))
    }

    /// How long it will take, about.
    pub fn takes(self) -> Duration {
        self.ramp() + SETTLE + STEADY + AROUND
    }

    fn scenario(self, number: u32, url: &str) -> String {
        let (clients, ramp) = (self.clients, self.ramp().as_millis());
        let (settle, steady) = (SETTLE.as_millis(), STEADY.as_millis());
        format!(
            r#"# A step of `khala-harness selftest --ceiling`.
version = 1
name = "ceiling-{number}"
seed = 1

[target]
kind = "url"
url = "{url}"
exclusive = true

[auth]
mint = "hs256"
secret = {{ env = "{KEY}" }}

[fleet]
clients = {clients}
ramp = "{ramp}ms"

[[fleet.surface]]
name = "desktop"
share = 1
topics = ["runtime.codex_worker_events"]

[[load]]
command = "codex-worker-events"
rate = "{RATE_PER_S}/s"
arrival = "constant"
workers = 4

[[phase]]
name = "settle"
duration = "{settle}ms"
measure = false

[[phase]]
name = "steady"
duration = "{steady}ms"

[[gate]]
name = "fitness"

[[gate.objective]]
metric = "delivery"
during = ["steady"]
require = "max < {THRESHOLD_MS}ms"

[oracle]
drain_within = "5s"
"#
        )
    }
}

/// Runs a step and judges its generator.
pub async fn run(number: u32, size: Size, out_dir: &Path) -> anyhow::Result<Step> {
    let server = NullServer::start().await?;
    let name = format!("ceiling-{number}.toml");
    khala_bundle::write(out_dir, &name, size.scenario(number, &server.url).as_bytes())?;
    let runs = out_dir.join("runs");
    let before = folders(&runs);
    process::run(&out_dir.join(&name), &runs).await?;
    let cpu_s = server.cpu_s();
    let new = folders(&runs).into_iter().find(|dir| !before.contains(dir));
    let dir = new.context("the run left no bundle")?;
    let evidence = Bundle::open(&dir)?.settle()?;
    let report = evidence.report();
    let steady = report.phases.iter().find(|phase| phase.name == "steady");
    let steady = steady.context("the run has no phase `steady`")?;
    let record = server.record(steady.start_us, steady.end_us).await?;
    let mut step = measured(&evidence, &report);
    step.step = number;
    step.clients = size.clients;
    step.clients_live = report.fleet.clients_live_at_end;
    step.null_server_cores = cpu_s.map(|cpu_s| cpu_s / report.duration_s.max(1.0));
    step.null_server_late_p99_us = record.late.p99_us;
    step.delivery_p99_true_us = record.deliveries.p99_us;
    step.deliveries_true = record.deliveries.count;
    step.bundle = dir.display().to_string();
    Ok(step)
}

/// What the run says of its phase `steady`.
fn measured(evidence: &Evidence, report: &RunReport) -> Step {
    let Evidence { plan, schedule, facts, settled, .. } = evidence;
    let case = Case { plan, schedule, facts, settled };
    #[expect(clippy::cast_precision_loss, reason = "half a second in microseconds")]
    let threshold_us = (THRESHOLD_MS * 1_000) as f64;
    let mut step = Step {
        unfit: generator_unfit(&case, "steady", threshold_us),
        threads: plan.generator.worker_threads,
        threshold_us: THRESHOLD_MS * 1_000,
        lag_allowed_us: plan.generator.lag_share_max * threshold_us,
        ..Step::default()
    };
    let Some(index) = schedule.phases.iter().position(|window| window.name == "steady") else {
        return step;
    };
    let window = &schedule.phases[index];
    let lags = settled.metrics.lag(&[u16::try_from(index).unwrap_or(u16::MAX)]);
    // As fitness takes it.
    let lag = lags.values().map(|lag| lag.percentile(99.0).unwrap_or_else(|| lag.max()));
    step.lag_us = lag.max();
    let seconds = window.start_us / 1_000_000..window.end_us / 1_000_000;
    let seen = settled.probes.over(|second| seconds.contains(&u64::from(second)));
    step.cpu_cores = seen.share(seen.cpu_us);
    step.hottest_thread = seen.share(seen.hottest_us);
    let lines: Vec<_> = report.lines(MetricId::Delivery, "steady").collect();
    step.deliveries = lines.iter().map(|line| line.n).sum();
    let seconds = Duration::from_micros(window.end_us - window.start_us).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "deliveries of a few seconds")]
    let per_s = step.deliveries as f64 / seconds;
    step.deliveries_per_s = per_s;
    step.delivery_p99_us =
        lines.iter().filter_map(|line| line.response).filter_map(|response| response.p99).max();
    step
}

fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    // A link, `latest`, is none.
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use khala_plan::{Options, Sources};

    use super::*;

    #[test]
    fn the_scenario_of_any_step_is_sound_and_warns_of_nothing() {
        for clients in [100, 2_565, 30_000] {
            let size = Size::of(clients);
            let text = size.scenario(3, "http://127.0.0.1:4000");
            let loader = |path: &str| Err(format!("{path} is not there"));
            let sources = Sources { path: "ceiling.toml", text: &text, loader: &loader };
            let options = Options {
                profile: None,
                set: Vec::new(),
                defects: Vec::new(),
                seed: None,
                target: None,
                defect: &|_| Ok(()),
                env: &|_| None,
            };
            let loaded = khala_plan::load(&sources, &options);
            let loaded = loaded.unwrap_or_else(|error| panic!("{}", error.render(false)));
            assert!(loaded.warnings.is_empty(), "{}", loaded.warnings.render(false));
            let rate = f64::from(RATE_PER_S);
            assert!((loaded.plan.loads[0].rate_per_s - rate).abs() < 1e-9);
        }
    }
}
