//! Plans, read from scenario texts as users write them.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use khala_evidence::Context;
use khala_plan::{Options, Plan, Schedule, Sources, load};
use khala_wire::topic::TopicId;

/// A plan with all that is derived from it.
pub struct Planned {
    pub plan: Plan,
    pub schedule: Schedule,
    pub context: Arc<Context>,
    pub published_on: BTreeSet<TopicId>,
}

impl Planned {
    pub fn of(text: &str) -> Self {
        Self::with_profile(text, None)
    }

    pub fn with_profile(text: &str, profile: Option<&str>) -> Self {
        let plan = read(text, profile);
        let schedule = Schedule::of(&plan);
        let context = Arc::new(Context::of(&plan, &schedule));
        let published_on = plan.loads.iter().flat_map(|load| load.command.topics()).collect();
        Self { plan, schedule, context, published_on }
    }

    /// The topics of each client, by its id.
    pub fn topics(&self) -> Vec<Vec<TopicId>> {
        let mut topics = vec![Vec::new(); self.schedule.arrivals.len()];
        for arrival in &self.schedule.arrivals {
            let cohort = &self.plan.fleet.cohorts[usize::from(arrival.cohort)];
            topics[arrival.client as usize] = cohort.topics.clone();
        }
        topics
    }
}

/// The plan of [`HISTORY`], read once.
pub fn history() -> &'static Planned {
    static PLANNED: LazyLock<Planned> = LazyLock::new(|| Planned::of(HISTORY));
    &PLANNED
}

/// The same on a target that nobody else writes to.
pub fn alone() -> &'static Planned {
    static PLANNED: LazyLock<Planned> = LazyLock::new(|| {
        Planned::of(&edited(HISTORY, &[("exclusive = false", "exclusive = true")]))
    });
    &PLANNED
}

/// A text with some of it replaced.
pub fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "the plan has no `{from}`");
        text = text.replacen(from, to, 1);
    }
    text
}

fn read(text: &str, profile: Option<&str>) -> Plan {
    let loader = |path: &str| Err(format!("{path} is not there"));
    let sources = Sources { path: "proof.toml", text, loader: &loader };
    let options = Options {
        profile: profile.map(str::to_owned),
        set: Vec::new(),
        defects: Vec::new(),
        seed: None,
        target: None,
        defect: &|_| Ok(()),
        env: &|_| None,
    };
    match load(&sources, &options) {
        Ok(loaded) => loaded.plan,
        Err(wrong) => panic!("{}", wrong.render(false)),
    }
}

/// Eight clients on three surfaces, two storms, and others that write as well. States settle within 200 ms, so that a history of a
/// few seconds has settled versions to miss.
pub const HISTORY: &str = r#"
version = 1
name = "history"
seed = 7

[target]
kind = "reference"
exclusive = false

[auth]
mint = "hs256"

[fleet]
clients = 8
ramp = "1s"

[[fleet.surface]]
name = "desktop"
share = 0.5
topics = ["runtime.codex_worker_events", "runtime.codex_worker_summaries"]

[[fleet.surface]]
name = "ios"
share = 0.25
topics = ["runtime.codex_worker_events", "runtime.codex_worker_summaries"]

[[fleet.surface]]
name = "web-shell"
share = 0.25
topics = ["runtime.codex_worker_events", "runtime.codex_worker_summaries"]

[[load]]
command = "codex-worker-events"
rate = "4/s"
arrival = "constant"

[[phase]]
name = "steady"
duration = "4s"

[[phase]]
name = "storm"
duration = "8s"

[[phase.fault]]
type = "disconnect"
at = "1s"
mode = "all"

[[phase.fault]]
type = "disconnect"
at = "4s"
mode = "all"

[[gate]]
name = "ux"

[[gate.objective]]
metric = "violations"
require = "count == 0"

[oracle]
converge_within = "60s"
settle_within = "200ms"
"#;

/// Eighty clients on two surfaces, one storm, and a gate of every estimator.
pub const STORM: &str = r#"
version = 1
name = "storm"
seed = 42

[target]
kind = "reference"

[auth]
mint = "hs256"

[fleet]
clients = 80
ramp = "2s"

[[fleet.surface]]
name = "desktop"
share = 0.5
topics = ["runtime.codex_worker_events", "runtime.codex_worker_summaries"]

[[fleet.surface]]
name = "ios"
share = 0.5

[[load]]
command = "codex-worker-events"
rate = "4/s"
arrival = "constant"

[[phase]]
name = "steady"
duration = "6s"

[[phase]]
name = "storm"
duration = "12s"

[[phase.fault]]
type = "disconnect"
at = "2s"
mode = "all"

[[gate]]
name = "error-budget"

[[gate.objective]]
metric = "auth_errors"
during = ["ramp", "storm"]
require = "proportion <= 5%"

[[gate]]
name = "reconnect"

[[gate.objective]]
metric = "time_to_recovered"
where = { surface = "*" }
during = ["storm"]
require = "p(90) < 6s"
warn = "p(90) < 4s"

[[gate.objective]]
metric = "unrecovered_clients"
during = ["storm"]
require = "count == 0"

[[gate.objective]]
metric = "reconnects"
require = "rate <= 0.5/s"

[[gate]]
name = "ux"

[[gate.objective]]
metric = "delivery"
during = ["steady"]
require = "max < 5s"

[[gate.objective]]
metric = "violations"
require = "count == 0"

[oracle]
converge_within = "5s"
"#;

/// Two phases, two surfaces, one gate with one objective: what the text gives for `OBJECTIVE`.
pub fn one_objective(objective: &str) -> String {
    format!(
        r#"
version = 1
name = "one-objective"
seed = 1

[target]
kind = "reference"

[auth]
mint = "hs256"

[fleet]
clients = 1000
ramp = "10s"

[[fleet.surface]]
name = "desktop"
share = 0.9

[[fleet.surface]]
name = "ios"
share = 0.1

[[load]]
command = "codex-worker-events"
rate = "1/s"
arrival = "constant"

[[phase]]
name = "steady"
duration = "600s"

[[phase]]
name = "storm"
duration = "60s"

[[phase.fault]]
type = "disconnect"
at = "10s"
mode = "all"

[[gate]]
name = "one"

[[gate.objective]]
{objective}

[oracle]
storm_min_deliveries = 0
"#
    )
}

/// Eight clients, a short storm, a gate that the profile does not judge: small enough to be read when
/// it is rendered.
pub const SMALL: &str = r#"
version = 1
name = "small"
description = "A run to be rendered."
seed = 3

[target]
kind = "reference"

[auth]
mint = "hs256"

[fleet]
clients = 8
ramp = "1s"

[[fleet.surface]]
name = "desktop"
share = 1.0

[[load]]
command = "codex-worker-events"
rate = "2/s"
arrival = "constant"

[[phase]]
name = "steady"
duration = "2s"

[[phase]]
name = "storm"
duration = "3s"

[[phase.fault]]
type = "disconnect"
at = "1s"
mode = "all"

[[gate]]
name = "reconnect"

[[gate.objective]]
metric = "time_to_recovered"
where = { surface = "*" }
during = ["storm"]
require = "p(50) < 2s"
warn = "p(50) < 500ms"

[[gate]]
name = "error-budget"

[[gate.objective]]
metric = "topic_errors"
require = "proportion <= 50%"

[oracle]
storm_min_deliveries = 1

[profile.smoke]
judge = ["reconnect"]
"#;
