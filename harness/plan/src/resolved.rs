//! A plan as a scenario again: `scenario.resolved.toml`, with every default and override written
//! out.
//!
//! Reading it gives the same plan (under the profile of the same name, which then only says what is
//! judged). Secrets appear as the places they are read from, never as themselves.

use std::fmt::Write as _;

use crate::backoff::Backoff;
use crate::model::{
    ActsOn, Arrival, Auth, BuildSource, Command, Extra, ExtraValue, Fault, FaultMode,
    FirstSubscribe, Fleet, Gate, Lane, Load, Mint, ORACLE_GATE, Objective, Plan, Push,
    STABILITY_GATE, Secret, SlowConsumerLimits, SnapshotPath, Stability, Target, TargetKind,
    UserIds,
};
use crate::stability::{Allowance, LimitFrom};
use crate::units::{format_bytes, format_duration};

/// Writing to a string does not fail; the result is dropped in one place.
macro_rules! line {
    ($out:expr, $($format:tt)*) => {{ let _ = writeln!($out, $($format)*); }};
}

/// The plan as TOML.
#[must_use]
pub fn to_toml(plan: &Plan) -> String {
    let mut out = String::new();
    line!(out, "version = 1");
    line!(out, "name = {}", text(&plan.name));
    if let Some(description) = &plan.description {
        line!(out, "description = {}", text(description));
    }
    line!(out, "seed = {}", plan.seed);
    if !plan.must_apply.is_empty() {
        line!(out, "must_apply = {}", texts(plan.must_apply.iter().map(String::as_str)));
    }
    target(&mut out, &plan.target);
    limits(&mut out, "target.stability", &plan.stability, LimitFrom::Target);
    auth(&mut out, &plan.auth);
    fleet(&mut out, &plan.fleet);
    plan.loads.iter().for_each(|one| load(&mut out, one));
    for phase in &plan.phases {
        line!(out, "\n[[phase]]\nname = {}", text(&phase.name));
        line!(out, "duration = \"{}\"", format_duration(phase.duration));
        line!(out, "measure = {}", phase.measure);
        phase.faults.iter().for_each(|one| fault(&mut out, one));
    }
    plan.gates.iter().for_each(|one| gate(&mut out, one));
    built_in_gates(&mut out, plan);
    tuning(&mut out, plan);
    stability(&mut out, plan);
    profile(&mut out, plan);
    out
}

/// A resolved scenario with the gates of a file in place of its own: what `score` judges again.
///
/// # Errors
/// When the text is no TOML.
pub fn with_gates(text: &str, gates: &str) -> Result<String, toml::de::Error> {
    let mut table: toml::Table = text.parse()?;
    // What must apply is said of the gates that are gone.
    table.remove("gate");
    table.remove("must_apply");
    if let Some(toml::Value::Table(profiles)) = table.get_mut("profile") {
        // What a profile judges are the gates that are gone.
        let each = profiles.iter_mut().filter_map(|(_, profile)| profile.as_table_mut());
        each.for_each(|profile| drop(profile.remove("judge")));
    }
    let gates = toml::Value::Array(vec![toml::Value::String(gates.replace("${", "$${"))]);
    table.insert("gates".to_owned(), gates);
    Ok(table.to_string())
}

/// A string in TOML; what looks like a variable is kept from being read as one.
fn text(value: &str) -> String {
    toml::Value::String(value.replace("${", "$${")).to_string()
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = values.into_iter().map(text).collect();
    format!("[{}]", quoted.join(", "))
}

fn target(out: &mut String, target: &Target) {
    line!(out, "\n[target]");
    match &target.kind {
        TargetKind::Reference { defects, .. } => {
            line!(out, "kind = \"reference\"");
            line!(out, "defects = {}", texts(defects.iter().map(String::as_str)));
        }
        TargetKind::Url { base_url } => {
            line!(out, "kind = \"url\"\nurl = {}", text(base_url));
        }
    }
    match target.lane {
        Lane::Ws => line!(out, "lane = \"ws\""),
    }
    line!(out, "socket_path = {}", text(&target.socket_path));
    line!(out, "connect_timeout = \"{}\"", format_duration(target.connect_timeout));
    line!(out, "request_timeout = \"{}\"", format_duration(target.request_timeout));
    line!(out, "exclusive = {}", target.exclusive);
    let apply = match target.apply {
        Push::Frame => "frame",
        Push::UpdateBatch => "update_batch",
    };
    line!(out, "apply = \"{apply}\"");
    let snapshot = match target.snapshot {
        SnapshotPath::Http => "http",
        SnapshotPath::Reset => "reset",
    };
    line!(out, "snapshot = \"{snapshot}\"");
    match &target.build {
        None => {}
        Some(BuildSource::Header(name)) => line!(out, "build_header = {}", text(name)),
        Some(BuildSource::Command(command)) => {
            line!(out, "build_command = {}", texts(command.iter().map(String::as_str)));
        }
    }
    if !target.close_codes.is_empty() {
        let codes: Vec<_> = target.close_codes.iter().map(u16::to_string).collect();
        line!(out, "close_codes = [{}]", codes.join(", "));
    }
    line!(out, "message_max = \"{}\"", format_bytes(target.message_max));
    line!(out, "dense_states = {}", target.dense_states);
    if !target.findings_are_rules.is_empty() {
        let names = texts(target.findings_are_rules.iter().copied());
        line!(out, "findings_are_rules = {names}");
    }
    let secrets =
        [("admin_token", &target.admin_token), ("command_secret", &target.command_secret)];
    for (key, secret) in secrets {
        secret.iter().for_each(|secret| place_of_secret(out, key, secret));
    }
    extras(out, "headers", &target.headers);
    extras(out, "query", &target.query);
    let limits = target.slow_consumer;
    let SlowConsumerLimits { queue_limit, max_strikes, send_buffer_bytes, .. } = limits;
    line!(out, "\n[target.slow_consumer]");
    line!(out, "queue_limit = {queue_limit}\nmax_strikes = {max_strikes}");
    if let Some(bytes) = send_buffer_bytes {
        line!(out, "send_buffer = \"{}\"", format_bytes(bytes.into()));
    }
    if let TargetKind::Url { .. } = target.kind {
        line!(out, "kernel_buffer = \"{}\"", format_bytes(limits.kernel_buffer_bytes.into()));
    }
    let TargetKind::Reference { topics, .. } = &target.kind else { return };
    for (topic, settings) in topics {
        line!(out, "\n[target.topics.{}]", text(topic.name()));
        let events = [
            ("retain_events", settings.retain_events),
            ("replay_budget_events", settings.replay_budget_events),
        ];
        for (key, events) in events {
            events.into_iter().for_each(|events| line!(out, "{key} = {events}"));
        }
    }
}

fn extras(out: &mut String, table: &str, extras: &[Extra]) {
    if extras.is_empty() {
        return;
    }
    line!(out, "\n[target.{table}]");
    for Extra { name, value } in extras {
        let key = toml::Value::String(name.clone()).to_string();
        match value {
            ExtraValue::Text(value) => line!(out, "{key} = {}", text(value)),
            ExtraValue::Secret(secret) => place_of_secret(out, &key, secret),
        }
    }
}

fn auth(out: &mut String, auth: &Auth) {
    line!(out, "\n[auth]");
    match &auth.mint {
        Mint::Hs256 { kid, secret, issuer, audience } => {
            line!(out, "mint = \"hs256\"\nkid = {}", text(kid));
            place_of_secret(out, "secret", secret);
            line!(out, "issuer = {}\naudience = {}", text(issuer), text(audience));
        }
        Mint::Control => line!(out, "mint = \"control\""),
        Mint::Static { token } => {
            line!(out, "mint = \"static\"");
            place_of_secret(out, "token", token);
            // A token made elsewhere has its own time to live.
            return;
        }
    }
    line!(out, "ttl = \"{}\"", format_duration(auth.ttl));
}

fn place_of_secret(out: &mut String, key: &str, secret: &Secret) {
    match secret {
        Secret::Env(name) => line!(out, "{key} = {{ env = {} }}", text(name)),
        Secret::File(path) => line!(out, "{key} = {{ file = {} }}", text(path)),
        Secret::Generated => {}
    }
}

fn fleet(out: &mut String, fleet: &Fleet) {
    line!(out, "\n[fleet]\nclients = {}", fleet.clients);
    line!(out, "ramp = \"{}\"", format_duration(fleet.ramp));
    line!(out, "name_prefix = {}", text(&fleet.name_prefix));
    line!(out, "users = {}\norgs = {}", fleet.users, fleet.orgs);
    if fleet.first_subscribe == FirstSubscribe::FromNow {
        line!(out, "first_subscribe = \"from-now\"");
    }
    if let UserIds::Numeric { first } = fleet.user_ids {
        line!(out, "user_ids = \"numeric\"\nfirst_user_id = {first}");
    }
    if !fleet.only_clients.is_empty() {
        line!(out, "only_clients = {:?}", fleet.only_clients);
    }
    for cohort in &fleet.cohorts {
        line!(out, "\n[[fleet.surface]]\nname = \"{}\"", cohort.surface.name());
        line!(out, "cohort = {}", text(&cohort.name));
        let share = f64::from(cohort.clients) / f64::from(fleet.clients);
        line!(out, "share = {share:?} # {} clients", cohort.clients);
        line!(out, "topics = {}", texts(cohort.topics.iter().map(|topic| topic.name())));
        line!(out, "backoff = {}", backoff(&cohort.backoff));
        line!(out, "heartbeat = \"{}\"", format_duration(cohort.heartbeat));
        line!(out, "replay_batch_size = {}", cohort.replay_batch_size);
    }
}

fn backoff(backoff: &Backoff) -> String {
    let (base, offset, exponent_max, cap, jitter) = backoff.parts();
    if *backoff == Backoff::fixed(base) {
        return format!("{{ fixed = \"{}\" }}", format_duration(base));
    }
    let (base, cap) = (format_duration(base), format_duration(cap));
    format!(
        "{{ base = \"{base}\", exponent_offset = {offset}, exponent_max = {exponent_max}, \
         cap = \"{cap}\", jitter = {jitter:?} }}"
    )
}

fn load(out: &mut String, load: &Load) {
    let command = match load.command {
        Command::CodexWorkerEvents => "codex-worker-events",
    };
    line!(out, "\n[[load]]\ncommand = \"{command}\"");
    match load.arrival {
        Arrival::Poisson => line!(out, "rate = \"{}/s\"\narrival = \"poisson\"", load.rate_per_s),
        Arrival::Constant => line!(out, "rate = \"{}/s\"\narrival = \"constant\"", load.rate_per_s),
        Arrival::Bursts { size, gap } => {
            line!(out, "arrival = \"bursts\"\nburst_size = {size}");
            line!(out, "burst_gap = \"{}\"", format_duration(gap));
        }
    }
    line!(out, "payload_bytes = {}\nworkers = {}", load.payload_bytes, load.workers);
    if !load.during.is_empty() {
        line!(out, "during = {}", texts(load.during.iter().map(String::as_str)));
    }
}

fn fault(out: &mut String, fault: &Fault) {
    line!(out, "\n[[phase.fault]]\ntype = \"{}\"", fault.kind.name());
    line!(out, "at = \"{}\"", format_duration(fault.at));
    if let Some(duration) = fault.duration {
        line!(out, "duration = \"{}\"", format_duration(duration));
    }
    if let Some(spread) = fault.spread {
        line!(out, "spread = \"{}\"", format_duration(spread));
    }
    if fault.kind.acts_on() == ActsOn::Clients {
        aim(out, fault);
    }
    if let Ok(attributes) = toml::Value::try_from(&fault.kind) {
        line!(out, "attributes = {}", inline(&attributes));
    }
}

fn aim(out: &mut String, fault: &Fault) {
    if let Some(cohort) = &fault.cohort {
        line!(out, "cohort = {}", text(cohort));
    }
    match fault.mode {
        FaultMode::One => line!(out, "mode = \"one\""),
        FaultMode::All => line!(out, "mode = \"all\""),
        FaultMode::Fixed(count) => line!(out, "mode = \"fixed\"\nvalue = {count}"),
        FaultMode::FixedPercent(share) => {
            line!(out, "mode = \"fixed-percent\"\nvalue = {share:?}");
        }
        FaultMode::RandomMaxPercent(share) => {
            line!(out, "mode = \"random-max-percent\"\nvalue = {share:?}");
        }
    }
}

/// A value on one line.
fn inline(value: &toml::Value) -> String {
    match value {
        toml::Value::Table(table) => {
            let pairs: Vec<String> =
                table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        toml::Value::String(value) => text(value),
        toml::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn gate(out: &mut String, gate: &Gate) {
    line!(out, "\n[[gate]]\nname = {}", text(&gate.name));
    line!(out, "advisory = {}", gate.advisory);
    gate.objectives.iter().for_each(|one| objective(out, one));
}

fn objective(out: &mut String, objective: &Objective) {
    line!(out, "\n[[gate.objective]]\nmetric = \"{}\"", objective.metric.name());
    if !objective.selector.is_empty() {
        let labels: Vec<String> = objective
            .selector
            .iter()
            .map(|(label, value)| format!("{label} = {}", text(value)))
            .collect();
        line!(out, "where = {{ {} }}", labels.join(", "));
    }
    line!(out, "during = {}", texts(objective.during.iter().map(String::as_str)));
    if !objective.against.is_empty() {
        line!(out, "against = {}", texts(objective.against.iter().map(String::as_str)));
    }
    line!(out, "require = {}", text(&objective.require.text));
    if let Some(warn) = &objective.warn {
        line!(out, "warn = {}", text(&warn.text));
    }
    line!(out, "min_samples = {}", objective.min_samples);
    objective.reach.iter().for_each(|share| line!(out, "reach = \"{share}\""));
}

/// Of the gates that are always judged, those that decide nothing.
fn built_in_gates(out: &mut String, plan: &Plan) {
    let gates = [(ORACLE_GATE, plan.oracle.advisory), (STABILITY_GATE, plan.stability.advisory)];
    for (name, _) in gates.into_iter().filter(|(_, advisory)| *advisory) {
        line!(out, "\n[[gate]]\nname = \"{name}\"\nadvisory = true");
    }
}

/// The limits that come from one place: whose word a limit is, is part of the plan.
fn limits(out: &mut String, table: &str, stability: &Stability, from: LimitFrom) {
    let absence = stability.absence_from == from;
    let limits: Vec<_> = stability.limits.iter().filter(|(_, limit)| limit.from == from).collect();
    if from == LimitFrom::Target && !absence && limits.is_empty() {
        return;
    }
    line!(out, "\n[{table}]");
    if absence {
        line!(out, "absence = \"{}\"", format_duration(stability.absence));
    }
    for (incident, limit) in limits {
        line!(out, "{} = {}", incident.name(), allowance(limit.allowance));
    }
}

fn allowance(allowance: Allowance) -> String {
    match allowance {
        Allowance::Count(count) => count.to_string(),
        _ => format!("\"{allowance}\""),
    }
}

/// The scenario's limits; those that nobody gave stand beside them as what they are.
fn stability(out: &mut String, plan: &Plan) {
    let stability = &plan.stability;
    limits(out, "stability", stability, LimitFrom::Scenario);
    if stability.absence_from == LimitFrom::Assumed {
        let absence = format_duration(stability.absence);
        line!(out, "# absence = \"{absence}\" ({})", stability.absence_from);
    }
    let given = [LimitFrom::Scenario, LimitFrom::Target];
    let others = stability.limits.iter().filter(|(_, limit)| !given.contains(&limit.from));
    for (incident, limit) in others {
        line!(out, "# {}: {}", incident.name(), limit.told(incident.occasions()));
    }
}

fn tuning(out: &mut String, plan: &Plan) {
    let oracle = &plan.oracle;
    line!(out, "\n[oracle]");
    line!(out, "converge_within = \"{}\"", format_duration(oracle.converge_within));
    line!(out, "settle_within = \"{}\"", format_duration(oracle.settle_within));
    line!(out, "drain_within = \"{}\"", format_duration(oracle.drain_within));
    line!(out, "storm_min_deliveries = {}", oracle.storm_min_deliveries);
    line!(out, "violations_kept = {}", oracle.violations_kept);
    let generator = &plan.generator;
    let addresses: Vec<String> =
        generator.source_addresses.iter().map(ToString::to_string).collect();
    line!(out, "\n[generator]\nworker_threads = {}", generator.worker_threads);
    line!(out, "source_addresses = {}", texts(addresses.iter().map(String::as_str)));
    line!(out, "lag_share_max = {:?}", generator.lag_share_max);
}

/// The profile's changes are in the scenario by now; what is left of it is what it judges.
fn profile(out: &mut String, plan: &Plan) {
    let Some(name) = &plan.profile else { return };
    line!(out, "\n[profile.{name}]");
    if plan.gates.iter().any(|gate| !gate.judged) {
        let judged = plan.gates.iter().filter(|gate| gate.judged);
        line!(out, "judge = {}", texts(judged.map(|gate| gate.name.as_str())));
    }
}

#[cfg(test)]
mod tests;
