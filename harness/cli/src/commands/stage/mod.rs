//! `stage`: one decision of a rollout. Preconditions, scenarios, the hold, and the report that says whether to go on.
//!
//! What happened is written down before it counts ([`store`]); what is to be done next, and the decision, follow from
//! what is written, so that a stage that was killed goes on where it was.

mod builds;
mod clock;
mod embedded;
mod hold;
mod order;
mod preconditions;
mod runs;
mod store;
mod target;
mod watch;

use khala_evidence::judge::{Decision, Verdict};
use khala_evidence::render::escape;
use khala_stage::decide::{self, Case, Decided, Opened, Reason};
use khala_stage::entry::{Begun, Ended, Entry, StepResult};
use khala_stage::history::{Attempt, History};
use khala_stage::render;
use khala_stage::report::StageReport;
use khala_stage::steps::{self, Step};
use tokio_util::sync::CancellationToken;

use self::order::Order;
use self::runs::Of;
use self::store::Store;
use crate::exit::{Exit, Failure};
use crate::{args, command_line, output, scenario, setup, signals};

/// Runs a stage, or takes it up again, and decides it.
pub fn run(stage: &args::Stage) -> Result<Exit, Failure> {
    let order = Order::of(stage)?;
    check(&order)?;
    let mut store = Store::open(&stage.stage_dir)?;
    publish_again(&order, &store)?;
    let interrupt = signals::token()
        .map_err(|error| Failure::new(Exit::Internal, format!("cannot handle signals: {error}")))?;
    let attempt = begin(&order, &mut store)?;
    if may_begin(&order, &store, attempt) {
        carry_out(&order, &mut store, attempt, &interrupt)?;
    }
    if interrupt.is_cancelled() {
        output::say(&format!(
            "stage {}: interrupted, and nothing is decided; the same command with --resume takes it up again",
            order.stage
        ));
        return Ok(Exit::Interrupted);
    }
    let (report, name) = end(&order, &mut store, attempt)?;
    tell(stage, &report, &name)
}

/// Whether all of it can be carried out: what is wrong with a scenario is found before anything is sent.
fn check(order: &Order<'_>) -> Result<(), Failure> {
    let stage = order.stage();
    let mut all: Vec<_> = stage.scenarios.iter().map(|one| order.scenario(one, &[])).collect();
    all.extend(stage.hold.iter().map(|hold| order.scenario(&hold.scenario, &[])));
    if order.target.is_some() {
        all.push(target::asked(order));
    }
    for one in &all {
        let plan = scenario::load_untold(one, |_| Ok(()))?.plan;
        if !order.args.allow_hooks {
            setup::no_secret_commands(&plan, "read the target's profile, then add --allow-hooks")?;
        }
    }
    order.stage().hold.iter().try_for_each(|hold| hold::check(order, hold))
}

/// Begins an attempt, or takes the last one up again.
fn begin(order: &Order<'_>, store: &mut Store) -> Result<u32, Failure> {
    let args = order.args;
    if args.resume {
        return resume(order, store);
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
        defects: order.defects(),
        set: order.set(),
        allowed: order.allowed(),
        hold_s: order.hold_s,
        hold_planned_s: order.hold_planned_s,
        without_predecessor: args.without_predecessor.clone(),
        waivers: order.waivers.iter().cloned().map(Into::into).collect(),
        command: command_line::this(),
    };
    store.write(Entry::Begun(Box::new(begun)))?;
    Ok(attempt)
}

/// Takes the last attempt of the stage up again, if it was interrupted and asked for the same.
fn resume(order: &Order<'_>, store: &mut Store) -> Result<u32, Failure> {
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
            order.stage, ended.decision
        );
        return Err(usage(what));
    }
    let Begun { rollout_sha256, build, target, hold_s, set, defects, allowed, .. } = &last.begun;
    let differs = [
        ("the rollout file", *rollout_sha256 != order.sha256),
        ("the build", *build != order.build),
        ("the target", *target != order.told_target()),
        ("the length of the hold", *hold_s != order.hold_s),
        ("what --set overrides", *set != order.set()),
        ("what --defect breaks", *defects != order.defects()),
        (
            "what is allowed (--allow-hooks, --allow-shared-writes, --allow)",
            *allowed != order.allowed(),
        ),
    ];
    if let Some((what, _)) = differs.iter().find(|(_, differs)| *differs) {
        return Err(usage(format!(
            "{what} is another than when the attempt began: resume it with the same command, or begin a new attempt \
             without --resume"
        )));
    }
    if let Some(reason) = decide::too_old(&order.rollout, order.stage(), last, &clock::now()) {
        return Err(usage(format!("{}: {}", reason.why, reason.next)));
    }
    let attempt = last.begun.attempt;
    store.write(Entry::Resumed { attempt, owner: order.args.owner.clone() })?;
    Ok(attempt)
}

/// Whether the stage before opens this one.
fn may_begin(order: &Order<'_>, store: &Store, attempt: u32) -> bool {
    let attempt = store.attempt(attempt);
    let opened = decide::predecessor(&order.rollout, order.stage(), &store.history, attempt);
    match &opened {
        Opened::Not { why, .. } => {
            output::say(&format!("stage {}: not begun: {why}", order.stage));
            false
        }
        _ => true,
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
        if store.attempt(attempt).result(&name).is_some() {
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
        let Some(result) = one(order, store, attempt, &step, interrupt)? else { return Ok(()) };
        if interrupt.is_cancelled() && !of_hold {
            return Ok(());
        }
        output::say(&format!("stage {}: {name}: {} {}", order.stage, result.verdict, result.what));
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

/// Carries out one step; `None` when the stage was interrupted meanwhile.
fn one(
    order: &Order<'_>,
    store: &mut Store,
    attempt: u32,
    step: &Step<'_>,
    interrupt: &CancellationToken,
) -> Result<Option<StepResult>, Failure> {
    match step {
        Step::BuildsBefore | Step::BuildsAfter => builds::ask(order, interrupt).map(Some),
        Step::Precondition(one) => preconditions::ask(order, one, interrupt).map(Some),
        Step::Scenario(one) => {
            let name = step.name();
            let run = store.attempt(attempt).next_try(&name) - 1;
            runs::scenario(order, store, &Of { attempt, step: &name, run }, one, interrupt)
        }
        Step::Hold(_) => match order.stage().hold.clone() {
            Some(hold) => hold::hold(order, store, attempt, &hold, interrupt),
            None => Ok(None),
        },
    }
}

/// Decides the attempt, writes it down, then its report.
fn end(
    order: &Order<'_>,
    store: &mut Store,
    attempt: u32,
) -> Result<(StageReport, String), Failure> {
    let now = clock::now();
    let name = store.name(&order.stage, &now);
    let decided = {
        let case = Case {
            rollout: &order.rollout,
            stage: order.stage(),
            history: &store.history,
            attempt: store.attempt(attempt),
            now: &now,
            check: &runs::check,
        };
        decide::decide(&case)
    };
    let Decided { decision, reasons, .. } = &decided;
    let reasons = reasons.iter().map(|reason| reason.why.clone()).collect();
    let ended = Ended { attempt, decision: *decision, reasons, report: name.clone() };
    let report = report(order, &store.history, attempt, &now, &decided, &name);
    // The decision counts from here on; a report that is missing is written again the next time.
    store.write_at(now, Entry::Ended(Box::new(ended)))?;
    store.publish(&report, &name, true)?;
    Ok((report, name))
}

fn report(
    order: &Order<'_>,
    history: &History,
    attempt: u32,
    now: &khala_stage::stamp::Stamp,
    decided: &Decided,
    name: &str,
) -> StageReport {
    let attempt = &history.attempts[attempt as usize - 1];
    // The stage of the report, which need not be the one that is run now.
    let stage = order.rollout.stage(&attempt.begun.stage).unwrap_or(order.stage());
    let rollout = &order.rollout;
    let case = Case { rollout, stage, history, attempt, now, check: &|_, _| None };
    StageReport::of(&case, decided, name)
}

/// Writes reports that are missing although their attempts were decided: somebody was killed in between.
fn publish_again(order: &Order<'_>, store: &Store) -> Result<(), Failure> {
    for attempt in &store.history.attempts {
        let Some((ended, at)) = &attempt.ended else { continue };
        let same = attempt.begun.rollout_sha256 == order.sha256;
        if store.has(&ended.report) || !same {
            continue;
        }
        let number = attempt.begun.attempt as usize;
        let mut then = History { attempts: store.history.attempts[..number].to_vec() };
        if let Some(last) = then.attempts.last_mut() {
            last.ended = None;
        }
        let Some(stage) = order.rollout.stage(&attempt.begun.stage) else { continue };
        let decided = {
            let (history, attempt) = (&then, &then.attempts[number - 1]);
            let rollout = &order.rollout;
            let case = Case { rollout, stage, history, attempt, now: at, check: &|_, _| None };
            let again = decide::decide(&case);
            let reasons = ended.reasons.iter().map(|why| {
                let known = again.reasons.iter().find(|reason| reason.why == *why).cloned();
                known.unwrap_or_else(|| Reason {
                    decision: ended.decision,
                    why: why.clone(),
                    next: "see the step in the report".to_owned(),
                })
            });
            Decided { decision: ended.decision, reasons: reasons.collect(), ..again }
        };
        let report = report(order, &then, attempt.begun.attempt, at, &decided, &ended.report);
        store.publish(&report, &ended.report, false)?;
        output::say(&format!(
            "note: the report {} was missing, and is written again",
            ended.report
        ));
    }
    Ok(())
}

/// Tells the decision, what it rests on and what to do.
fn tell(stage: &args::Stage, report: &StageReport, name: &str) -> Result<Exit, Failure> {
    let path = stage.stage_dir.join(format!("{name}.md")).display().to_string();
    if stage.json {
        let json = render::json(report).map_err(|error| {
            Failure::new(Exit::Internal, format!("a rendering failed: {error}"))
        })?;
        output::verdict(json.as_bytes());
        output::say(&path);
    } else {
        let mut text = format!("{}\n{}\n", report.headline(), report.statement);
        for reason in &report.reasons {
            text.push_str(&format!("  {}  {}\n    {}\n", reason.decision, reason.why, reason.next));
        }
        text.push_str(&format!("{path}\n"));
        // Names and reasons are whoever's gave them.
        output::verdict(escape::terminal(&text).as_bytes());
    }
    Ok(match report.decision {
        Decision::Go => Exit::Go,
        Decision::NoGo => Exit::NoGo,
        Decision::Hold => Exit::Hold,
    })
}
