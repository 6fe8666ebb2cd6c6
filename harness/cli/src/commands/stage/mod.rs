//! `stage`: one decision of a rollout. Preconditions, scenarios, the hold, and the report that says whether to go on.
//!
//! What happened is written down before it counts ([`store`]); what is to be done next, and the decision, follow from
//! what is written, so that a stage that was killed goes on where it was.

mod again;
mod asked;
mod builds;
mod clock;
mod conclude;
mod embedded;
mod held;
mod hold;
mod kept;
mod missing;
mod order;
mod preconditions;
mod runs;
mod sealed;
mod space;
mod store;
mod target;
mod tries;
mod verified;
mod watch;
mod witness;

use std::path::Path;

use khala_engine::command::Redactor;
use khala_engine::webhook::Webhook;
use khala_evidence::judge::Verdict;
use khala_plan::Plan;
use khala_stage::decide::{self, Case, Named, Opened};
use khala_stage::entry::{Begun, Entry, StepResult, Waived};
use khala_stage::evidence::RunSummary;
use khala_stage::history::{Attempt, History};
use khala_stage::steps::{self, Step};
use tokio_util::sync::CancellationToken;

pub use self::sealed::all as seal_all;
pub use self::verified::{is_folder, is_manifest, verify};

use self::asked::Asked;
use self::conclude::Concluded;
use self::kept::Kept;
use self::order::Order;
use self::runs::Of;
use self::store::Store;
use super::{seal, webhook};
use crate::exit::{Exit, Failure};
use crate::{args, command_line, output, scenario, setup, signals};

/// Runs a stage, or takes it up again, and decides it.
pub fn run(stage: &args::Stage) -> Result<Exit, Failure> {
    let order = Order::of(stage)?;
    let interrupt = signals::token()
        .map_err(|error| Failure::new(Exit::Internal, format!("cannot handle signals: {error}")))?;
    stage.stop_file.as_deref().map_or(Ok(()), |file| signals::stop_file(&interrupt, file))?;
    let (asked, plans) = check(&order, &interrupt)?;
    let with = seal::With::of(&stage.seal)?;
    let webhook = webhook(&order)?;
    let mut store = Store::open(&stage.stage_dir)?;
    store.with_runs_in(&stage.out_dir)?;
    store.hold_room()?;
    has_room(&order, &plans)?;
    conclude::publish_again(&order, &mut store)?;
    let attempt = begin(&order, asked, &mut store)?;
    if order.target.is_none() {
        output::say(
            "warning: REHEARSAL: the rollout file names no target, so that the embedded reference runtime is tested and no \
             canary (set the variable that it reads for `target`, such as KHALA_CANARY, or give --target)",
        );
    }
    if may_begin(&order, &store, attempt) {
        let carried_out = carry_out(&order, &mut store, attempt, &interrupt);
        carried_out.map_err(|failure| with_what_failed(store.attempt(attempt), failure))?;
    }
    if interrupt.is_cancelled() {
        output::say(&format!(
            "stage {}: interrupted, and nothing is decided; the same command with --resume takes it up again",
            order.stage
        ));
        return Ok(Exit::Interrupted);
    }
    match store.full() {
        // What failed is decided in the room that was held for it; all else is carried out once there is room.
        Some(error) if failed(store.attempt(attempt)).is_none() => return Err(space::lost(error)),
        Some(error) => output::say(&format!("warning: {error}: no more load is sent")),
        None => {}
    }
    let Concluded { report, name, unwritten } = conclude::end(&order, &mut store, attempt)?;
    if let Err(failure) = sealed::one(&store, attempt, &with) {
        let why = failure.message;
        output::say(&format!("warning: the attempt is not sealed, and the decision stands: {why}"));
    }
    let mut exit = conclude::tell(stage, &report, &name)?;
    if let Some(error) = unwritten {
        output::say(&format!(
            "error: {error}; the decision is in the journal, and its report is not written: {}, and the same command with \
             --resume writes it",
            space::mend(&error)
        ));
        // What people act on is the report.
        exit = if exit == Exit::Go { Exit::Setup } else { exit };
    }
    if let Some(webhook) = &webhook {
        webhook::tell_of_stage(webhook, &report, exit, (&stage.stage_dir, &name));
    }
    Ok(exit)
}

/// What a step failed by, if one did.
fn failed(attempt: &Attempt) -> Option<(&str, &StepResult)> {
    let mut ended = attempt.runs.iter().filter_map(|run| Some((run, &run.ended.as_ref()?.0)));
    let found = ended.find(|(_, result)| result.verdict == Verdict::Fail);
    found.map(|(run, result)| (run.step.as_str(), result))
}

/// What keeps a stage from going on, with what had failed by then: that is a NO-GO, whatever comes of the rest.
fn with_what_failed(attempt: &Attempt, failure: Failure) -> Failure {
    match failed(attempt) {
        Some((step, result)) if failure.exit == Exit::Setup => Failure {
            exit: Exit::NoGo,
            message: format!("{}\nNO-GO all the same: {step}: {}", failure.message, result.what),
        },
        _ => failure,
    }
}

/// Refuses a stage whose runs have no room for their evidence; `plans` begin with those of its scenarios.
fn has_room(order: &Order<'_>, plans: &[Plan]) -> Result<(), Failure> {
    let stage = order.stage();
    let hold = stage.hold.iter().map(|hold| hold::plan(order, hold));
    let hold = hold.collect::<Result<Vec<_>, _>>()?;
    space::for_runs(&order.args.out_dir, plans.iter().take(stage.scenarios.len()).chain(&hold))
}

/// Who is to be told of the decision: whether it may be is known before anything is sent.
fn webhook(order: &Order<'_>) -> Result<Option<Webhook>, Failure> {
    let Some(url) = &order.args.webhook else { return Ok(None) };
    let who = format!("stage {}", order.stage);
    webhook::of(url, &target::guard(order)?, env!("CARGO_PKG_VERSION"), &who).map(Some)
}

/// Whether all of it can be carried out: what is wrong with a scenario is found before anything is sent. What is asked, and
/// the plans, those of the runs first.
fn check(order: &Order<'_>, interrupt: &CancellationToken) -> Result<(Asked, Vec<Plan>), Failure> {
    missing::refuse(order)?;
    let stage = order.stage();
    let mut all: Vec<_> = stage.scenarios.iter().map(|one| order.scenario(one, &[])).collect();
    all.extend(stage.hold.iter().map(|hold| order.scenario(&hold.scenario, &[])));
    if order.target.is_some() {
        all.push(target::asked(order));
    }
    let mut plans = Vec::new();
    for one in &all {
        let plan = scenario::load_untold(one, |_| Ok(()))?.plan;
        if !order.args.allow_hooks {
            setup::no_secret_commands(&plan, "read the target's profile, then add --allow-hooks")?;
        }
        plans.push(plan);
    }
    order.stage().hold.iter().try_for_each(|hold| hold::check(order, hold))?;
    asked::on_one_target(order, &plans)?;
    let asked = Asked::of(order, &plans)?;
    if order.args.allow_hooks {
        // Before anything is written down. What tells nothing is a matter of the step that needs it.
        let _ = plans.iter().try_for_each(|plan| setup::learn_secrets(plan, interrupt));
    }
    Ok((asked, plans))
}

/// Begins an attempt, or takes the last one up again.
fn begin(order: &Order<'_>, asked: Asked, store: &mut Store) -> Result<u32, Failure> {
    let args = order.args;
    if args.resume {
        return resume(order, &asked, store);
    }
    let attempt = u32::try_from(store.history.attempts.len()).unwrap_or(u32::MAX - 1) + 1;
    let begun = Begun {
        attempt,
        stage: order.stage.clone(),
        build: order.build.clone(),
        owner: args.owner.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        tool_commit: args::commit().map(str::to_owned),
        rollout: order.rollout.name.clone(),
        rollout_sha256: order.sha256.clone(),
        target: order.told_target(),
        embedded: order.target.is_none(),
        target_sha256: asked.target_sha256,
        asks_sha256: asked.asks_sha256,
        files: asked.files,
        before: asked.before,
        defects: order.defects(),
        set: order.set(),
        allowed: order.allowed(),
        hold_s: order.hold_s,
        hold_planned_s: order.hold_planned_s,
        without_predecessor: args.without_predecessor.clone(),
        waivers: order.waivers.iter().cloned().map(Into::into).collect(),
        rollout_file: args.rollout.display().to_string(),
        stage_dir: args.stage_dir.display().to_string(),
        variables: order.variables(),
        secrets: asked.secrets,
        asked_by: order.asked_by(),
        command: command_line::this(&Redactor::of_environment([])),
    };
    store.write(Entry::Begun(Box::new(begun)))?;
    Ok(attempt)
}

/// Takes the last attempt of the stage up again, if it was interrupted and asked for the same.
fn resume(order: &Order<'_>, asked: &Asked, store: &mut Store) -> Result<u32, Failure> {
    let usage = |what: String| Failure::new(Exit::Usage, what);
    let mut of_it = store.history.attempts.iter().rev();
    let Some(last) = of_it.find(|one| one.begun.stage == order.stage) else {
        return Err(usage(format!(
            "stage {} was never begun: there is nothing to resume",
            order.stage
        )));
    };
    if let Some((ended, _)) = &last.ended {
        let what = format!(
            "the last attempt of stage {} was decided: {}; without --resume a new one begins",
            order.stage, ended.decided.decision
        );
        return Err(usage(what));
    }
    if let Some(what) = differs(order, asked, &last.begun) {
        return Err(usage(format!(
            "{what} is another than when the attempt began: resume it with the same command, or begin a new attempt \
             without --resume"
        )));
    }
    if let Some(reason) = decide::too_old(&order.rollout, order.stage(), last, &clock::now()) {
        return Err(usage(format!("{}: {}", reason.why, reason.next)));
    }
    // Its times would prove nothing, and a clock that is right again takes nothing back.
    if let Err(why) = clock::now().since(&last.last) {
        let what = format!(
            "HOLD: {why}: nothing is sent; have the machine's time kept (NTP), then the same command takes the attempt up, \
             or begin a new one without --resume"
        );
        return Err(Failure::new(Exit::Hold, what));
    }
    // Nothing is decided by that: what is put back counts.
    if let Some(why) = tries::missing(last).or_else(|| store.kept(last.begun.attempt).amiss()) {
        return Err(Failure::new(Exit::Hold, format!("HOLD: {why}")));
    }
    let attempt = last.begun.attempt;
    store.write(Entry::Resumed { attempt, owner: order.args.owner.clone() })?;
    Ok(attempt)
}

/// What an attempt was begun with and is not to be resumed with.
fn differs(order: &Order<'_>, asked: &Asked, begun: &Begun) -> Option<&'static str> {
    let waivers: Vec<Waived> = order.waivers.iter().cloned().map(Into::into).collect();
    let tool = (env!("CARGO_PKG_VERSION"), args::commit());
    let differs = [
        ("the rollout file", begun.rollout_sha256 != order.sha256),
        ("the build", begun.build != order.build),
        (
            "the target",
            begun.target != order.told_target() || begun.target_sha256 != asked.target_sha256,
        ),
        ("the length of the hold", begun.hold_s != order.hold_s),
        ("what --set overrides", begun.set != order.set()),
        ("what --defect breaks", begun.defects != order.defects()),
        (
            "what is allowed (--allow-hooks, --allow-shared-writes, --allow)",
            begun.allowed != order.allowed(),
        ),
        ("what --waivers has", begun.waivers != waivers),
        (
            "the reason of --without-predecessor",
            begun.without_predecessor != order.args.without_predecessor,
        ),
        (
            "the build of khala-harness",
            (begun.tool_version.as_str(), begun.tool_commit.as_deref()) != tool,
        ),
        (
            "what is asked (a scenario, the target's profile, a file that says what is allowed or accepted, or a variable \
             that one of them reads)",
            begun.asks_sha256 != asked.asks_sha256,
        ),
    ];
    differs.into_iter().find_map(|(what, differs)| differs.then_some(what))
}

/// Whether the stage before opens this one.
fn may_begin(order: &Order<'_>, store: &Store, attempt: u32) -> bool {
    let attempt = store.attempt(attempt);
    let (rollout, stage, history) = (&order.rollout, order.stage(), &store.history);
    let check = |named: Named<'_>| look(store.dir(), &store.history, named);
    let case = Case { rollout, stage, history, attempt, now: &clock::now(), check: &check };
    match decide::predecessor(&case) {
        Opened::Not { why, .. } => {
            output::say(&format!("stage {}: not begun: {why}", order.stage));
            false
        }
        _ => true,
    }
}

/// What is wrong with something on disk that the journal names; `dir` is the folder of stages.
fn look(dir: &Path, history: &History, named: Named<'_>) -> Option<String> {
    match named {
        Named::Run { bundle, manifest_sha256, decision } => {
            runs::check(bundle, manifest_sha256, decision)
        }
        Named::Samples { attempt, head } => {
            Kept::of(dir, &history.attempts[attempt as usize - 1]).check(head)
        }
        Named::Report { name, sha256 } => store::check_report(dir, name, sha256),
    }
}

/// Carries out the steps that have no result yet, as long as nothing was found.
fn carry_out(
    order: &Order<'_>,
    store: &mut Store,
    attempt: u32,
    interrupt: &CancellationToken,
) -> Result<(), Failure> {
    for step in steps::of(&order.rollout, order.stage()) {
        let name = step.name();
        if store.full().is_some() {
            return Ok(());
        }
        if store.attempt(attempt).result(&name).is_some() {
            continue;
        }
        // What a try came to that was interrupted is read before anything else is done.
        let left = tries::left(order, store.attempt(attempt), &step)?;
        if let Some((run, result)) = left.ended {
            told(order, &name, &result);
            store.write(Entry::StepEnded { attempt, step: name, run, result: Box::new(result) })?;
            continue;
        }
        if interrupt.is_cancelled() || (step.sends_load() && found(store.attempt(attempt), &step)) {
            continue;
        }
        output::say(&format!("stage {}: {name}", order.stage));
        let of_hold = matches!(step, Step::Hold(_));
        if !of_hold {
            let run = store.attempt(attempt).next_try(&name);
            store.write(Entry::StepBegun { attempt, step: name.clone(), run })?;
        }
        let Some(result) = one(order, store, attempt, (&step, left.runs), interrupt)? else {
            return Ok(());
        };
        told(order, &name, &result);
        let run = match store.attempt(attempt).next_try(&name) - 1 {
            // A hold that ended before it began.
            0 => {
                store.write(Entry::StepBegun { attempt, step: name.clone(), run: 1 })?;
                1
            }
            run => run,
        };
        store.write(Entry::StepEnded { attempt, step: name, run, result: Box::new(result) })?;
    }
    Ok(())
}

fn told(order: &Order<'_>, step: &str, result: &StepResult) {
    output::say(&format!("stage {}: {step}: {} {}", order.stage, result.verdict, result.what));
}

/// Whether something was found for which no more load is sent: a precondition that does not hold, a failure, and, for
/// the hold, a scenario that is open.
fn found(attempt: &Attempt, next: &Step<'_>) -> bool {
    let results = attempt.runs.iter().filter_map(|run| Some((run, &run.ended.as_ref()?.0)));
    let is_hold = matches!(next, Step::Hold(_));
    results.into_iter().any(|(run, result)| match result.verdict {
        Verdict::Fail => true,
        Verdict::Inconclusive => is_hold || !run.step.starts_with("scenario "),
        _ => false,
    })
}

/// Carries out one step, of which other tries left runs; `None` when the stage was interrupted meanwhile, and nothing was
/// found that stands all the same.
fn one(
    order: &Order<'_>,
    store: &mut Store,
    attempt: u32,
    (step, others): (&Step<'_>, Vec<RunSummary>),
    interrupt: &CancellationToken,
) -> Result<Option<StepResult>, Failure> {
    // What was asked until then only may say anything.
    let unless_interrupted = |result| (!interrupt.is_cancelled()).then_some(result);
    match step {
        Step::BuildsBefore | Step::BuildsAfter => {
            builds::ask(order, interrupt).map(unless_interrupted)
        }
        Step::Precondition(one) => {
            preconditions::ask(order, one, interrupt).map(unless_interrupted)
        }
        Step::Scenario(one) => {
            let name = step.name();
            let run = store.attempt(attempt).next_try(&name) - 1;
            let of = Of { attempt, step: &name, run };
            runs::scenario(order, store, &of, (one, others), interrupt)
        }
        Step::Hold(_) => match order.stage().hold.clone() {
            Some(hold) => hold::hold(order, store, attempt, &hold, interrupt),
            None => Ok(None),
        },
    }
}
