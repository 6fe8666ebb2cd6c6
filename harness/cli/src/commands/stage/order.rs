//! What was asked for: the rollout file, the stage, and what the command line changes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use khala_engine::command::Redactor;
use khala_engine::environment;
use khala_plan::rollout::{Canary, Check, Rollout, ScenarioRun, Stage, Waiver};
use khala_stage::decide::expires_ms;
use khala_stage::entry::RolloutFile;
use khala_stage::journal::sha256;

use crate::exit::{Exit, Failure};
use crate::setup::folder_of;
use crate::{args, command_line, output, scenario};

/// An order, resolved.
#[derive(Clone)]
pub struct Order<'a> {
    /// As it was typed.
    pub args: &'a args::Stage,
    /// The rollout.
    pub rollout: Rollout,
    /// SHA-256 of its file.
    pub sha256: String,
    /// The file, and the variables that it read.
    asked_by: RolloutFile,
    /// Its folder.
    pub folder: PathBuf,
    /// Id of the stage.
    pub stage: String,
    /// The target as `--target` takes it; `None` is the embedded runtime.
    pub target: Option<String>,
    /// The build that is to be there.
    pub build: Option<String>,
    /// Length of the hold, in seconds; 0 without one.
    pub hold_s: u64,
    /// What the rollout file says, where `--hold` made it another.
    pub hold_planned_s: Option<u64>,
    /// Waivers.
    pub waivers: Vec<Waiver>,
}

impl<'a> Order<'a> {
    /// Reads the files that the command line names.
    ///
    /// # Errors
    /// With everything that is wrong with them.
    pub fn of(args: &'a args::Stage) -> Result<Self, Failure> {
        let colour = output::colour_on(std::io::IsTerminal::is_terminal(&std::io::stderr()));
        let text = rollout_file(&args.rollout)?;
        let shown = args.rollout.display().to_string();
        let variables = RefCell::new(BTreeMap::new());
        let variable = |name: &str| {
            let value = environment::variable(name)?;
            variables.borrow_mut().insert(name.to_owned(), value.clone());
            Some(value)
        };
        let mut rollout = khala_plan::rollout::load(&shown, &text, &variable).map_err(|wrong| {
            let message = scenario::clean(&wrong.render(colour));
            Failure { exit: Exit::InvalidScenario, message }
        })?;
        without_secrets(&mut rollout);
        let variables = variables.into_inner();
        let Some(stage) = rollout.stage(&args.stage) else {
            return Err(no_stage(&rollout, &args.stage));
        };
        let folder = folder_of(&args.rollout);
        let target = target(args, stage, &folder);
        let embedded = || format!("khala-harness reference {}", env!("CARGO_PKG_VERSION"));
        let build = args.build.clone().or_else(|| stage.canary.build.clone());
        let build = build.or_else(|| target.is_none().then(embedded));
        let planned_s = stage.hold.as_ref().map_or(0, |hold| hold.length.duration().as_secs());
        let hold_s = match args.hold.filter(|_| planned_s > 0) {
            Some(hold) => hold.as_secs(),
            None => planned_s,
        };
        Ok(Self {
            args,
            sha256: sha256(text.as_bytes()),
            asked_by: RolloutFile { text, variables },
            folder,
            stage: stage.id.clone(),
            target,
            build,
            hold_s,
            hold_planned_s: (hold_s != planned_s).then_some(planned_s),
            waivers: waivers(args, colour)?,
            rollout,
        })
    }

    /// The stage.
    pub fn stage(&self) -> &Stage {
        // It was found when the order was read.
        self.rollout.stage(&self.stage).unwrap_or(&self.rollout.stages[0])
    }

    /// The same order of the stage before, where there is one.
    pub fn before(&self) -> Option<Self> {
        let before = self.rollout.before(&self.stage)?;
        Some(Self {
            stage: before.id.clone(),
            target: target(self.args, before, &self.folder),
            ..self.clone()
        })
    }

    /// How the canary is reached.
    pub fn canary(&self) -> &Canary {
        &self.stage().canary
    }

    /// The rollout file as it may be kept; `None` where a secret is in it.
    pub fn asked_by(&self) -> Option<RolloutFile> {
        let RolloutFile { text, variables } = &self.asked_by;
        let redactor = Redactor::of_environment([]);
        let variables = variables.iter().map(|(name, value)| (name.clone(), redactor.word(value)));
        let variables = variables.collect();
        (redactor.word(text) == *text).then(|| RolloutFile { text: text.clone(), variables })
    }

    /// The variables that the rollout file reads and that were set, as reports tell them; `None` in place of a secret.
    pub fn variables(&self) -> BTreeMap<String, Option<String>> {
        told_variables(&self.asked_by.variables)
    }

    /// What is tested, for people.
    pub fn told_target(&self) -> String {
        let header = self.canary().header.as_ref();
        let header = header.map_or_else(String::new, |(name, _)| format!(", routed by `{name}`"));
        match &self.target {
            None => "the embedded runtime".to_owned(),
            Some(target) => format!("{target}{header}"),
        }
    }

    /// Defects of the embedded runtime, as they are typed.
    pub fn defects(&self) -> Vec<String> {
        self.args.defect.iter().map(ToString::to_string).collect()
    }

    /// Overrides of the command line, without secrets.
    pub fn set(&self) -> Vec<String> {
        command_line::told(self.args.set.iter().cloned())
    }

    /// Flags by which more is allowed than without them.
    pub fn allowed(&self) -> Vec<String> {
        let args = self.args;
        let flag = |given: bool, flag: &str| given.then(|| flag.to_owned());
        let file = args.allow.as_ref().map(|path| format!("--allow {}", path.display()));
        let flags = [
            flag(args.allow_hooks, "--allow-hooks"),
            flag(args.allow_shared_writes, "--allow-shared-writes"),
            file,
        ];
        flags.into_iter().flatten().collect()
    }

    /// The scenario of a run, as `run` takes it; `more` goes after all other overrides.
    pub fn scenario(&self, run: &ScenarioRun, more: &[String]) -> args::Scenario {
        let mut set = Vec::new();
        if self.target.is_some()
            && let Some((name, value)) = &self.canary().header
        {
            set.push(format!("target.headers.{name}={value:?}"));
        }
        if run.stage_load {
            set.push(format!("fleet.clients={}", self.stage().clients));
        }
        set.extend(run.set.iter().chain(&self.args.set).chain(more).cloned());
        args::Scenario {
            file: self.folder.join(&run.file),
            profile: run.profile.clone(),
            set,
            target: self.target.clone(),
            allow: self.args.allow.clone(),
            seed: None,
            only_client: Vec::new(),
            defect: self.args.defect.clone(),
            worker_threads: None,
        }
    }

    /// How long a run goes on after something failed in it; `None` where nothing ends it early.
    pub fn grace(&self) -> Option<Duration> {
        self.rollout.abort_on_fail.then_some(self.rollout.grace)
    }
}

/// Takes secrets out of what reports tell as it stands.
fn without_secrets(rollout: &mut Rollout) {
    let redactor = Redactor::of_environment([]);
    rollout.escalation = rollout.escalation.as_deref().map(|text| redactor.word(text));
    for one in &mut rollout.preconditions {
        if let Check::Rollback { how: Some(how), .. } = &mut one.check {
            *how = redactor.word(how);
        }
    }
}

/// Variables as reports tell them: a secret by its name alone.
fn told_variables(variables: &BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    let redactor = Redactor::of_environment([]);
    let told = variables.iter().map(|(name, value)| {
        let typed = format!("{name}={value}");
        let is_plain = command_line::told(std::iter::once(typed.clone())) == [typed]
            && redactor.word(value) == *value;
        (name.clone(), is_plain.then(|| value.clone()))
    });
    told.collect()
}

/// The target of a stage: the command line's, else the rollout file's.
fn target(args: &args::Stage, stage: &Stage, folder: &Path) -> Option<String> {
    match &args.target {
        Some(named) => Some(resolved(named, folder, Path::new(""))),
        None => stage.canary.target.as_deref().map(|it| resolved(it, folder, folder)),
    }
}

/// A target as `run --target` takes it from anywhere: names are beside the rollout file, other relative paths
/// under `base`.
fn resolved(named: &str, folder: &Path, base: &Path) -> String {
    // What is empty is told as such by whoever reads it.
    if named.is_empty() || scenario::is_url(named) {
        return named.to_owned();
    }
    match named.contains(['/', '.']) {
        true => base.join(named).display().to_string(),
        false => folder.join("targets").join(format!("{named}.toml")).display().to_string(),
    }
}

fn no_stage(rollout: &Rollout, asked: &str) -> Failure {
    let ids: Vec<&str> = rollout.stages.iter().map(|stage| stage.id.as_str()).collect();
    let steps: Vec<&str> =
        ids.iter().copied().filter(|id| id.starts_with(&format!("{asked}-"))).collect();
    let what = match (&steps[..], khala_plan::closest(asked, ids.iter().copied())) {
        ([_, ..], _) => format!("stage `{asked}` has steps of its own: {}", steps.join(", ")),
        (_, Some(meant)) => format!("there is no stage `{asked}`: did you mean `{meant}`?"),
        (_, None) => format!("there is no stage `{asked}`; there are {}", ids.join(", ")),
    };
    Failure::new(Exit::Usage, what)
}

fn waivers(args: &args::Stage, colour: bool) -> Result<Vec<Waiver>, Failure> {
    let Some(path) = &args.waivers else { return Ok(Vec::new()) };
    let text = scenario::text_of("--waivers", path, "name a file of `[[waiver]]` tables")?;
    let shown = path.display().to_string();
    let waivers = khala_plan::rollout::waivers(&shown, &text)
        .map_err(|wrong| Failure { exit: Exit::InvalidScenario, message: wrong.render(colour) })?;
    for waiver in &waivers {
        expires_ms(&waiver.expires).map_err(|why| {
            Failure::new(Exit::InvalidScenario, format!("{shown}: `expires`: {why}"))
        })?;
    }
    Ok(waivers)
}

fn rollout_file(path: &Path) -> Result<String, Failure> {
    khala_plan::text(std::fs::File::open(path)).map_err(|error| {
        let help = scenario::or_meant(
            path,
            "--rollout FILE names a rollout file; `khala-harness init --rollout` writes scenarios/rollout.toml and what \
             it names",
        );
        let what = format!("--rollout {}: {error}; {help}", path.display());
        Failure::new(Exit::InvalidScenario, what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_told_with_their_values_and_secrets_by_their_names_alone() {
        let set = [
            ("KHALA_BUILD", "r-118"),
            ("KHALA_CANARY", "https://canary.example.com"),
            ("KHALA_SYNC_TOKEN", "hunter2"),
            ("KHALA_OTHER", "https://me:hunter2@canary.example.com"),
        ];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let told = told_variables(&set);
        let of = |name: &str| told[name].as_deref();
        assert_eq!(of("KHALA_BUILD"), Some("r-118"));
        assert_eq!(of("KHALA_CANARY"), Some("https://canary.example.com"));
        assert_eq!((of("KHALA_SYNC_TOKEN"), of("KHALA_OTHER")), (None, None));
    }
}
