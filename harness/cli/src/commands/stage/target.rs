//! The target, asked beside the runs: what the contract says of it, and which topics it grants.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use khala_conform::case::{Does, Times};
use khala_conform::ctx::Ctx;
use khala_conform::known::Known;
use khala_conform::outcome::Stop;
use khala_conform::report::{CaseResult, Decision, Report, Status};
use khala_conform::select;
use khala_conform::world::{Named, OpenError, Options, World};
use khala_engine::reach::guard::Guard;
use khala_evidence::judge::Verdict;
use khala_stage::command;
use khala_stage::entry::{Failed, StepResult};
use khala_stage::untested::Untested;
use khala_wire::message::event;
use tokio_util::sync::CancellationToken;

use super::embedded::Embedded;
use super::order::Order;
use crate::exit::{Exit, Failure};
use crate::{args, command_line, scenario};

/// Lines kept of the cases that did not pass.
const LINES_MAX: usize = 30;

/// A scenario that has nothing but the target.
pub fn asked(order: &Order<'_>) -> args::Scenario {
    let smoke = khala_plan::rollout::ScenarioRun {
        name: "target".to_owned(),
        file: String::new(),
        profile: None,
        set: Vec::new(),
        stage_load: false,
    };
    let mut scenario = order.scenario(&smoke, &[]);
    scenario.file = args::BUILT_IN.into();
    scenario.defect.clear();
    // What is overridden of scenarios need not fit this one.
    scenario.set.retain(|set| set.starts_with("target.") || set.starts_with("auth."));
    scenario
}

/// What may be spoken to.
///
/// # Errors
/// When the allow file cannot be used.
pub fn guard(order: &Order<'_>) -> Result<Guard, Failure> {
    scenario::guard(&asked(order))
}

/// Runs what waits for the target.
///
/// # Errors
/// When there is no runtime to be had.
pub fn run<T>(what: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start a runtime")?;
    let done = runtime.block_on(what);
    runtime.shutdown_background();
    Ok(done)
}

/// Who is asked: the target, or one of this program that is started for it.
fn options(
    order: &Order<'_>,
    embedded: Option<&Embedded>,
    writes: bool,
    wait_max: Duration,
) -> Result<Options, Failure> {
    let mut set: Vec<String> = asked(order).set;
    let named = match (&order.target, embedded) {
        (Some(url), _) if scenario::is_url(url) => Named::Url(url.clone()),
        (Some(named), _) => {
            let (path, text) = scenario::profile(&asked(order), named)?;
            Named::Profile(path, text)
        }
        (None, Some(embedded)) => {
            set.clear();
            Named::Profile("(the embedded runtime)".to_owned(), embedded.profile.clone())
        }
        (None, None) => {
            return Err(Failure::new(Exit::Internal, "the embedded runtime was not started"));
        }
    };
    Ok(Options {
        named,
        set,
        guard: guard(order)?.waiting(),
        allow: Some(if writes { vec![Does::Reads, Does::Writes] } else { vec![Does::Reads] }),
        times: Times::default(),
        wait_max,
        stop: None,
        run_id: format!("{:08x}", rand::random::<u32>()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commands: order.args.allow_hooks,
        session_key: embedded.map(|embedded| embedded.session_key.clone()),
    })
}

fn started(order: &Order<'_>) -> Result<Option<Embedded>, Failure> {
    let defects: Vec<String> = order.args.defect.iter().map(ToString::to_string).collect();
    match order.target {
        Some(_) => Ok(None),
        None => Embedded::start(&defects).map(Some).map_err(|error| {
            let what = format!(
                "the embedded runtime cannot be started: {error:#}; nothing more is sent: mend that (its keys need a \
                 folder for temporary files that can be written to, TMPDIR), then the same command with --resume takes \
                 the stage up where it was"
            );
            Failure::new(Exit::Setup, what)
        }),
    }
}

/// What `conform` asks of the target.
pub struct Asked<'a> {
    /// Patterns of the cases; all without any.
    pub only: &'a [String],
    /// Whether cases may write.
    pub writes: bool,
    /// Text of the file of accepted deviations.
    pub known: Option<String>,
    /// The longest time-out of the runtime's that is waited for.
    pub wait_max: Duration,
    /// How long all of it may take.
    pub within: Duration,
}

/// Asks for what the contract says.
///
/// # Errors
/// When a pattern or a setting means nothing.
pub fn conform(
    order: &Order<'_>,
    asked: &Asked<'_>,
    interrupt: &CancellationToken,
) -> Result<StepResult, Failure> {
    Ok(match report(order, asked, interrupt)? {
        Err(why) => StepResult::of(Verdict::Inconclusive, why).next("have the target answer"),
        Ok(report) => of_report(&report, &again(order, asked)),
    })
}

/// The report of the cases, or why there is none.
fn report(
    order: &Order<'_>,
    asked: &Asked<'_>,
    interrupt: &CancellationToken,
) -> Result<Result<Report, String>, Failure> {
    let usage = |why: String| Failure::new(Exit::InvalidScenario, why);
    let cases = select::select(asked.only).map_err(usage)?;
    let known = match &asked.known {
        Some(text) => Known::read(text).map_err(usage)?,
        None => Known::default(),
    };
    let embedded = started(order)?;
    let options = options(order, embedded.as_ref(), asked.writes, asked.wait_max)?;
    let started_at = khala_bundle::utc_now();
    run(async {
        let run = khala_conform::run(options, &cases, &known, started_at, interrupt, &|_| {});
        match tokio::time::timeout(asked.within, run).await {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(OpenError::Settings(why))) => Err(why),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("it did not end within {:?}", asked.within)),
        }
    })
}

/// How to ask the same by hand.
fn again(order: &Order<'_>, asked: &Asked<'_>) -> String {
    let target = order.target.as_deref().unwrap_or("URL");
    let mut words = ["khala-harness", "conform", "--target", target].map(str::to_owned).to_vec();
    if !asked.writes {
        words.extend(["--allow", "reads"].map(str::to_owned));
    }
    words.extend(asked.only.iter().flat_map(|only| ["--only".to_owned(), only.clone()]));
    let set = command_line::told(self::asked(order).set.into_iter());
    words.extend(set.into_iter().flat_map(|set| ["--set".to_owned(), set]));
    let allow = order.args.allow.iter().map(|file| file.display().to_string());
    words.extend(allow.flat_map(|file| ["--allow-file".to_owned(), file]));
    words.extend(order.args.allow_hooks.then(|| "--allow-hooks".to_owned()));
    command::line(&words)
}

fn of_report(report: &Report, again: &str) -> StepResult {
    let verdict = match report.decision {
        Decision::Go => Verdict::Pass,
        Decision::NoGo => Verdict::Fail,
        Decision::Hold => Verdict::Inconclusive,
    };
    let totals = report.totals;
    let what = format!(
        "{}: {} of {} cases pass, {} deviate, {} accepted, {} undecided, {} not applicable, {}",
        report.decision.name(),
        totals.pass,
        totals.cases,
        totals.deviation,
        totals.accepted,
        totals.undecided,
        totals.not_applicable,
        findings(report)
    );
    let mut result = StepResult::of(verdict, what);
    result.failed = (verdict == Verdict::Fail).then(|| failed(report));
    result.untested = untested(report, again);
    let told = |one: &&CaseResult| !matches!(one.status, Status::Pass | Status::NotApplicable);
    let line = |one: &CaseResult| format!("`{}`: {}: {}", one.id, one.result(), one.told());
    // What matters first.
    let mut amiss: Vec<_> = report.results.iter().filter(told).collect();
    amiss.sort_by_key(|one| one.status);
    result.lines = amiss.iter().take(LINES_MAX).map(|one| line(one)).collect();
    if amiss.len() > LINES_MAX {
        result.lines.push(format!("and {} more", amiss.len() - LINES_MAX));
    }
    if verdict == Verdict::Fail {
        result.next = Some(format!(
            "`{again}` shows each case; mend the runtime. (Only a deviation that the contract's owner accepts: list it in the \
             precondition's `known` file.)"
        ));
    } else if verdict != Verdict::Pass {
        result.next =
            Some(format!("`{again}` shows each case, and what the undecided ones lacked"));
    }
    result
}

/// What deviates, in the words of an issue.
fn failed(report: &Report) -> Failed {
    let mut areas: Vec<(&str, usize)> = Vec::new();
    for one in report.of(Status::Deviation).filter(|one| one.accepted.is_none()) {
        match areas.iter_mut().find(|(area, _)| *area == one.area.name()) {
            Some((_, count)) => *count += 1,
            None => areas.push((one.area.name(), 1)),
        }
    }
    areas.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let (deviate, cases) = (report.totals.deviation, report.totals.cases);
    let areas = areas.iter().map(|(area, count)| format!("{area} {count}"));
    let areas = areas.collect::<Vec<_>>().join(", ");
    let verb = if deviate == 1 { "deviates" } else { "deviate" };
    let measured = format!("{deviate} of {cases} cases {verb} ({areas})");
    Failed {
        title: format!("conform fails: {deviate} of {cases} {verb} ({areas})"),
        claim: "0 deviations from the contract".to_owned(),
        measured,
    }
}

/// Cases that were not applicable or not allowed, by what it takes.
fn untested(report: &Report, again: &str) -> Vec<Untested> {
    let mut by_need: Vec<(String, Vec<String>)> = Vec::new();
    for one in report.of(Status::NotApplicable) {
        let need = one.mend.clone().filter(|mend| !mend.is_empty());
        let need = need.unwrap_or_else(|| format!("`{again}` says of each what it takes"));
        let id = format!("`{}`", one.id);
        match by_need.iter_mut().find(|(known, _)| *known == need) {
            Some((_, ids)) => ids.push(id),
            None => by_need.push((need, vec![id])),
        }
    }
    by_need.sort_by_key(|(_, ids)| std::cmp::Reverse(ids.len()));
    let cases = report.totals.cases;
    let told = by_need.into_iter().map(|(need, ids)| {
        Untested::new(
            format!("{} of {cases} cases of `conform`: {}", ids.len(), ids.join(", ")),
            "not applicable to this target as it was asked, or not allowed",
            need,
        )
    });
    told.collect()
}

/// How many findings there are, and which: nothing fails by them, and whoever decides knows of them.
fn findings(report: &Report) -> String {
    let ids = report.of(Status::Finding).map(|one| format!("`{}`", one.id)).collect::<Vec<_>>();
    let name = if ids.len() == 1 { "finding" } else { "findings" };
    let which = if ids.is_empty() { String::new() } else { format!(" ({})", ids.join(", ")) };
    format!("{} {name}{which}", ids.len())
}

/// Asks the control service for a token that opens a socket.
///
/// # Errors
/// When a setting means nothing.
pub fn token(
    order: &Order<'_>,
    within: Duration,
    interrupt: &CancellationToken,
) -> Result<StepResult, Failure> {
    let only = ["mint_answer".to_owned()];
    let asked = Asked { only: &only, writes: false, known: None, wait_max: Duration::ZERO, within };
    let report = match report(order, &asked, interrupt)? {
        Ok(report) => report,
        Err(why) => {
            return Ok(StepResult::of(Verdict::Inconclusive, why).next("have the target answer"));
        }
    };
    let Some(case) = report.results.first() else {
        return Ok(StepResult::of(Verdict::Inconclusive, "the control service was not asked")
            .next("run the stage again"));
    };
    Ok(match case.status {
        Status::Pass => StepResult::of(Verdict::Pass, case.seen.clone()),
        Status::Deviation | Status::Finding => StepResult::of(Verdict::Fail, case.told())
            .next("mend the control service: clients get no token"),
        Status::Undecided | Status::NotApplicable => {
            let mend = case.mend.clone().unwrap_or_else(|| "have it answer".to_owned());
            StepResult::of(Verdict::Inconclusive, case.seen.clone()).next(mend)
        }
    })
}

/// The topics that the runtime grants to each surface: those that a join allows with a token for the surface's topics.
///
/// # Errors
/// When a setting means nothing.
pub fn granted(
    order: &Order<'_>,
    surfaces: &BTreeMap<String, BTreeSet<String>>,
    within: Duration,
) -> Result<Result<BTreeMap<String, BTreeSet<String>>, String>, Failure> {
    let embedded = started(order)?;
    let options = options(order, embedded.as_ref(), false, Duration::ZERO)?;
    run(async {
        let local = tokio::task::LocalSet::new();
        let asking = local.run_until(async {
            let world = World::open(options).await.map_err(|error| error.to_string())?;
            let ctx = Ctx::new(Rc::new(world), "surfaces", 1, false);
            let mut granted = BTreeMap::new();
            for (surface, topics) in surfaces {
                let allowed = allowed(&ctx, topics).await;
                let allowed = allowed.map_err(|why| format!("the surface `{surface}`: {why}"))?;
                granted.insert(surface.clone(), allowed);
            }
            Ok(granted)
        });
        let asked = tokio::time::timeout(within, asking).await;
        asked.unwrap_or_else(|_| Err(format!("it did not end within {within:?}")))
    })
}

async fn allowed(ctx: &Ctx, topics: &BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    let why = |stop: Stop| match stop {
        Stop::Undecided(why) | Stop::NotApplicable { why, .. } => why,
        Stop::Broken(broken) => format!("{} {}", broken.did, broken.came),
    };
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut peer = ctx.open(&ctx.somebody(), &topics).await.map_err(why)?;
    let nothing = serde_json::json!({});
    let joined = peer.ask_ok(event::JOIN, nothing, ctx.patience()).await.map_err(why)?;
    let allowed = joined.response()["allowed_topics"].as_array();
    let allowed = allowed.ok_or("the join's reply has no `allowed_topics`")?;
    let texts = allowed.iter().filter_map(|topic| topic.as_str());
    Ok(texts.map(|topic| khala_engine::said::text(topic).into_string()).collect())
}

#[cfg(test)]
mod tests {
    use khala_conform::case::{Area, Level};
    use khala_conform::report::Around;

    use super::*;

    fn case(id: &'static str, status: Status) -> CaseResult {
        CaseResult {
            id,
            area: Area::Upgrade,
            title: "it",
            level: Level::Should,
            section: "1",
            sentence: "It does.",
            does: Does::Reads,
            status,
            seen: "seen".to_owned(),
            broken: None,
            mend: None,
            accepted: None,
            took_s: 0.0,
        }
    }

    fn of(results: Vec<CaseResult>) -> StepResult {
        let around = Around {
            tool: String::new(),
            url: String::new(),
            started_at: String::new(),
            elapsed_s: 0.0,
            allowed: Vec::new(),
            interrupted: false,
            published: 0,
            remains: Vec::new(),
        };
        of_report(&Report::new(around, results, &Known::default()), "khala-harness conform")
    }

    #[test]
    fn a_runtime_that_deviates_is_told_by_what_deviates_and_by_the_bound() {
        let resume = CaseResult { area: Area::Resume, ..case("three", Status::Deviation) };
        let failed = of(vec![
            case("one", Status::Pass),
            case("two", Status::Deviation),
            resume.clone(),
            CaseResult { id: "four", ..resume },
        ]);
        assert_eq!(failed.verdict, Verdict::Fail);
        let told = failed.failed.expect("it failed");
        assert_eq!(told.title, "conform fails: 3 of 4 deviate (resume 2, upgrade 1)");
        assert_eq!(told.claim, "0 deviations from the contract");
        assert_eq!(told.measured, "3 of 4 cases deviate (resume 2, upgrade 1)");
        let next = failed.next.expect("there is something to do");
        assert!(
            next.contains("mend the runtime. (Only a deviation that the contract's owner accepts"),
            "{next}"
        );
    }

    #[test]
    fn cases_that_did_not_apply_are_counted_by_what_they_lack() {
        let lacks = |id, mend: &str| CaseResult {
            mend: Some(mend.to_owned()),
            ..case(id, Status::NotApplicable)
        };
        let passed = of(vec![
            case("one", Status::Pass),
            lacks("two", "the admin token"),
            lacks("three", "--wait-max 2m"),
            lacks("four", "--wait-max 2m"),
        ]);
        assert_eq!(passed.verdict, Verdict::Pass);
        let told: Vec<_> =
            passed.untested.iter().map(|it| (it.what.as_str(), it.by.as_str())).collect();
        assert_eq!(
            told,
            [
                ("2 of 4 cases of `conform`: `three`, `four`", "--wait-max 2m"),
                ("1 of 4 cases of `conform`: `two`", "the admin token"),
            ]
        );
        assert_eq!(passed.lines, [""; 0], "they stand where what was not tested does");
    }

    #[test]
    fn findings_of_a_runtime_that_passes_are_named() {
        let plain = of(vec![case("one", Status::Pass)]);
        assert_eq!(plain.verdict, Verdict::Pass);
        assert!(plain.what.ends_with(", 0 findings"), "{}", plain.what);
        let found = of(vec![
            case("one", Status::Pass),
            case("two", Status::Finding),
            case("six", Status::Finding),
        ]);
        assert_eq!(found.verdict, Verdict::Pass, "nothing fails by them");
        assert!(found.what.ends_with(", 2 findings (`two`, `six`)"), "{}", found.what);
        assert_eq!(found.lines.len(), 2, "and each says what was seen");
    }
}
