//! What a stage asks, and of which target, by digests: so that an attempt is resumed, and a GO counted, for the same alone.

use std::collections::BTreeMap;
use std::path::Path;

use khala_engine::target::keys;
use khala_plan::Plan;
use khala_plan::model::{Target, TargetKind};
use khala_plan::rollout::{Check, Stage};
use khala_stage::entry::Before;
use khala_stage::journal::sha256;

use super::order::Order;
use super::target;
use crate::exit::{Exit, Failure};
use crate::scenario;

/// What is tested where no target is named.
const EMBEDDED: &str = "the embedded runtime";

/// What is asked, and of whom.
pub struct Asked {
    /// SHA-256 of how the target is reached, in hex.
    pub target_sha256: String,
    /// SHA-256 of all that is asked, in hex.
    pub asks_sha256: String,
    /// The files that say it, with their SHA-256 in hex.
    pub files: BTreeMap<String, String>,
    /// The variables that secrets are read from, where they are set.
    pub secrets: Vec<String>,
    /// The same of the stage before.
    pub before: Option<Before>,
}

impl Asked {
    /// What an order asks; `plans` are those of its scenarios, resolved.
    ///
    /// # Errors
    /// When the target's profile cannot be read.
    pub fn of(order: &Order<'_>, plans: &[Plan]) -> Result<Self, Failure> {
        let files = files(order);
        let mut asks = format!("{:?}\n{files:?}\n", order.rollout);
        plans.iter().for_each(|plan| asks.push_str(&khala_plan::resolved::to_toml(plan)));
        if let Some(allow) = &order.args.allow {
            // One that cannot be read is told by whoever needs it.
            asks.push_str(&khala_plan::text(std::fs::File::open(allow)).unwrap_or_default());
        }
        Ok(Self {
            target_sha256: target_sha256(order)?,
            asks_sha256: sha256(asks.as_bytes()),
            files,
            secrets: secrets(plans),
            before: before(order),
        })
    }
}

/// Refuses scenarios that are carried out elsewhere than on the stage's target: what they find says nothing of the canary,
/// whose build is asked. `plans` are those of the stage's runs, in order, and then, by URL, one of nothing but the target.
///
/// # Errors
/// With the first of them, and what to do.
pub fn on_one_target(order: &Order<'_>, plans: &[Plan]) -> Result<(), Failure> {
    let canary = order.target.is_some().then(|| plans.last()).flatten();
    let wanted = canary.map_or_else(|| EMBEDDED.to_owned(), |plan| reached(&plan.target));
    let stage = order.stage();
    let runs = stage.scenarios.iter().chain(stage.hold.iter().map(|hold| &hold.scenario));
    for (run, plan) in runs.zip(plans) {
        let there = match (&plan.target.kind, canary) {
            (TargetKind::Reference { .. }, None) => EMBEDDED.to_owned(),
            _ => reached(&plan.target),
        };
        if there != wanted {
            let what = format!(
                "the scenario `{}` of stage {} is run elsewhere than on the stage's target, or reached in another way \
                 (URL, path, headers or parameters): nothing was sent; take `target.…` out of its `set` and its file, or \
                 say it in [canary] or [stage.canary]",
                run.name, order.stage
            );
            return Err(Failure::new(Exit::InvalidScenario, what));
        }
    }
    Ok(())
}

/// The variables that the secrets of some plans are read from, where they are set.
fn secrets(plans: &[Plan]) -> Vec<String> {
    let mut names: Vec<String> = plans.iter().flat_map(keys::variables).collect();
    names.sort();
    names.dedup();
    names
}

fn before(order: &Order<'_>) -> Option<Before> {
    let before = order.before()?;
    let stated =
        order.args.target.is_none() && order.canary().is_stated() && before.canary().is_stated();
    // A profile that is no longer there says nothing of where the stage before was.
    let target_sha256 = stated.then(|| target_sha256(&before).ok()).flatten();
    Some(Before { target_sha256, files: files(&before) })
}

/// SHA-256 of how the target of an order is reached.
fn target_sha256(order: &Order<'_>) -> Result<String, Failure> {
    if order.target.is_none() {
        return Ok(sha256(EMBEDDED.as_bytes()));
    }
    let plan = scenario::load_untold(&target::asked(order), |_| Ok(()))?.plan;
    Ok(sha256(reached(&plan.target).as_bytes()))
}

/// How a target is reached, a line each.
fn reached(target: &Target) -> String {
    let url = match &target.kind {
        TargetKind::Url { base_url } => base_url.as_str(),
        TargetKind::Reference { .. } => EMBEDDED,
    };
    let mut lines = vec![
        format!("url {url}"),
        format!("path {}", target.socket_path),
        format!("control {:?}", target.way.control_url),
        format!("proxy {:?}", target.way.proxy),
    ];
    // Secrets stand here by where they are read from.
    lines.extend(target.headers.iter().map(|it| format!("header {} {:?}", it.name, it.value)));
    lines.extend(target.query.iter().map(|it| format!("parameter {} {:?}", it.name, it.value)));
    lines.join("\n")
}

/// The files that say what the stage of an order asks.
fn files(order: &Order<'_>) -> BTreeMap<String, String> {
    let stage: &Stage = order.stage();
    let named = |path: &Path| {
        let beside = path.strip_prefix(&order.folder).unwrap_or(path);
        beside.display().to_string()
    };
    let mut files = BTreeMap::new();
    let hold = stage.hold.iter().map(|hold| &hold.scenario);
    for run in stage.scenarios.iter().chain(hold) {
        for (path, text) in scenario::files(&order.scenario(run, &[])) {
            files.insert(named(&path), sha256(text.as_bytes()));
        }
    }
    let asked = stage.preconditions.iter().filter_map(|name| order.rollout.precondition(name));
    let of_checks = asked.filter_map(|one| match &one.check {
        Check::Conform { known, .. } => known.as_ref(),
        Check::Surfaces { matrix } => Some(matrix),
        Check::Token | Check::Rollback { .. } | Check::Command { .. } => None,
    });
    for name in of_checks {
        // One that is not there is told by whoever asks it.
        let path = order.folder.join(name);
        if let Ok(text) = std::fs::read(&path) {
            files.insert(named(&path), sha256(&text));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use khala_plan::model::{Extra, ExtraValue};

    use super::*;

    #[test]
    fn two_ways_to_a_target_are_two_targets() {
        let plan = scenario::load_untold(
            &crate::args::Scenario {
                file: crate::args::BUILT_IN.into(),
                profile: None,
                set: vec!["auth.secret.env=KEY".to_owned()],
                target: Some("http://127.0.0.1:9".to_owned()),
                allow: None,
                seed: None,
                only_client: Vec::new(),
                defect: Vec::new(),
                worker_threads: None,
            },
            |_| Ok(()),
        );
        let target = plan.unwrap_or_else(|failure| panic!("{}", failure.message)).plan.target;
        let spoilt = |spoil: fn(&mut Target)| {
            let mut other = target.clone();
            spoil(&mut other);
            reached(&other)
        };
        let ways = [
            spoilt(|_| {}),
            spoilt(|it| it.kind = TargetKind::Url { base_url: "http://127.0.0.1:10".to_owned() }),
            spoilt(|it| it.socket_path.push('2')),
            spoilt(|it| it.way.control_url = Some("http://127.0.0.1:11".to_owned())),
            spoilt(|it| it.way.proxy = Some("http://127.0.0.1:12".to_owned())),
            spoilt(|it| it.headers.push(route("canary"))),
            spoilt(|it| it.headers.push(route("stable"))),
            spoilt(|it| it.query.push(route("canary"))),
        ];
        let apart: std::collections::BTreeSet<_> = ways.iter().collect();
        assert_eq!(apart.len(), ways.len(), "{ways:#?}");
        assert_eq!(reached(&target), spoilt(|it| it.exclusive = !it.exclusive), "what is no way");
    }

    fn route(value: &str) -> Extra {
        Extra { name: "x-route".to_owned(), value: ExtraValue::Text(value.to_owned()) }
    }
}
