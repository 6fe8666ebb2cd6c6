//! A stage report as a document: the decision first, then what to do, then what it rests on.

use khala_evidence::judge::{Decision, Verdict};

use crate::command;
use crate::decide::Opened;
use crate::doc::{Block, Line, code, prose, strong, text};
use crate::entry::HoldResult;
use crate::evidence::{KPIS_MAX, Kpi, RunSummary, Whole};
use crate::remedy::{self, Blocker};
use crate::report::{GateRow, StageReport, StepRow};
use crate::untested::Untested;

/// The document of a report.
pub fn of(report: &StageReport) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(1, text(report.headline()))];
    blocks.push(Block::Para(strong(&report.statement)));
    blocks.extend(warnings(report));
    blocks.extend(next(report));
    blocks.extend(untested(report));
    blocks.extend(gates(report));
    blocks.extend(plan(report));
    blocks.extend(issues(report));
    blocks.extend(report.hold.iter().flat_map(hold));
    blocks.extend(kpis(report));
    blocks.extend(fanout(report));
    blocks.extend(steps(report));
    blocks.extend(evidence(report));
    blocks.extend(around(report));
    blocks
}

fn heading(text: &str) -> Block {
    Block::Heading(2, prose(text))
}

/// What a reader must know before anything else.
fn warnings(report: &StageReport) -> Vec<Block> {
    let begun = &report.begun;
    let mut told: Vec<Line> = Vec::new();
    if begun.embedded {
        told.push(prose(
            "No canary was tested. The rollout file names no target, or the variable that it reads for it (such as \
             `KHALA_CANARY`) was not set, so that the embedded reference runtime stood in for it. Nothing here is of a \
             build that is to be rolled out.",
        ));
    }
    if begun.is_rehearsal() {
        told.push(prose("Rehearsal: a GO of it opens rehearsals alone."));
    }
    if let Some(planned) = begun.hold_planned_s {
        told.push(prose(&format!(
            "The hold was {}, in place of the {} that the stage asks for.",
            length(begun.hold_s),
            length(planned)
        )));
    }
    if !begun.set.is_empty() {
        let what = "Every scenario was run with these overrides of the command line: ";
        told.push(text(format!("{what}{}.", begun.set.join(", "))));
    }
    if let Opened::ByWord { reason, instead } = &report.opened {
        let what = prose(&format!("Without a GO of the stage before ({instead})"));
        told.push([what, text(format!(", by the owner's word: {reason}"))].concat());
    }
    if !begun.defects.is_empty() {
        let defects = begun.defects.join(", ");
        told.push(text(format!("The runtime was started with defects: {defects}.")));
    }
    for gap in &report.gaps_s {
        told.push(prose(&format!(
            "It was interrupted, and taken up again after {gap:.0} s, which nobody observed and which are not held."
        )));
    }
    for run in &report.runs {
        let of_it = || [text("Nobody planned, in "), code(&run.scenario), text(": ")].concat();
        told.extend(run.told.iter().map(|line| [of_it(), prose(&format!("{line}."))].concat()));
    }
    let waivers = |what: &'static str, waivers: &[String]| {
        waivers.iter().map(|it| text(format!("{what}: {it}"))).collect::<Vec<_>>()
    };
    told.extend(waivers("Passed over by a waiver", &report.waivers_used));
    told.extend(waivers("A waiver did not count", &report.waivers_unused));
    if told.is_empty() {
        return Vec::new();
    }
    vec![Block::List(false, told)]
}

fn next(report: &StageReport) -> Vec<Block> {
    let mut blocks = vec![heading("What to do next")];
    let items: Vec<Line> = match report.decision {
        Decision::Go => {
            let rehearsal = if report.begun.is_rehearsal() { " (in rehearsal)" } else { "" };
            match &report.next_stage {
                Some(next) => {
                    let until = report.fresh_until.as_ref();
                    let until = until.map_or_else(
                        || "while this GO is fresh".to_owned(),
                        |until| format!("by {until}, while this GO is fresh"),
                    );
                    let go_on = prose(&format!("Go on to stage {next}{rehearsal} {until}: "));
                    vec![command(report, go_on, next)]
                }
                None => vec![prose("Nothing: this was the last stage.")],
            }
        }
        Decision::NoGo => {
            let needed = report.plan.iter().zip(1..).filter(|(step, _)| step.needed);
            let first = needed.map(|(step, number)| format!("{number}. {}", step.name));
            let first = first.collect::<Vec<_>>().join(", then ");
            let because = |why: &str| report.plan.iter().any(|step| step.why.starts_with(why));
            let what = match (because(remedy::NOTHING_YET), because(remedy::NOT_BY_THIS)) {
                (true, _) => "Do not begin the rollout",
                (_, true) => {
                    "Do not begin this stage: it rolled nothing out, and nothing of it is to be rolled back (1 of the plan \
                     says what of the stage before)"
                }
                _ => "Stop the rollout, and roll back",
            };
            vec![
                prose(&format!("{what}. Of the plan below: {first}. It says how, and why.")),
                prose("File the blockers: their texts stand below, ready to be pasted."),
            ]
        }
        Decision::Hold => vec![
            prose("Do not go on and do not roll back for this alone: settle what stands below."),
            command(report, prose("Then begin a new attempt: "), &report.begun.stage),
        ],
    };
    let mut items: Vec<Line> = items;
    items.extend(whom(report));
    blocks.push(Block::List(false, items));
    if !report.reasons.is_empty() {
        let row = |reason: &crate::decide::Reason| {
            vec![strong(reason.decision.to_string()), prose(&reason.why), prose(&reason.next)]
        };
        blocks.push(Block::Table(
            vec!["decides", "why", "what to do"],
            report.reasons.iter().map(row).collect(),
        ));
        blocks.extend(not_run(report));
    }
    blocks
}

/// The command that goes on with a stage, with what has to be set for it.
fn command(report: &StageReport, before: Line, stage: &str) -> Line {
    let again = code(command::again(&report.begun, stage));
    let secrets = prose(&format!("{}.", command::secrets(&report.begun)));
    [before, again, secrets].concat()
}

/// Who decides, and whom to call.
fn whom(report: &StageReport) -> Vec<Line> {
    let role = report.role.as_ref().map_or_else(String::new, |role| format!(", as {role}"));
    let mut lines = vec![text(format!("Who decides: {}{role}.", report.begun.owner))];
    if report.decision != Decision::Go {
        lines.push(match &report.escalation {
            Some(whom) => text(format!("Whom to call, and where blockers go: {whom}")),
            None => prose(
                "Whom to call, and where blockers go, the rollout file does not say (`escalation`): the owner knows.",
            ),
        });
    }
    lines
}

/// Steps that were left out for what was found before.
fn not_run(report: &StageReport) -> Option<Block> {
    let left: Vec<&str> = report
        .steps
        .iter()
        .filter(|step| step.verdict.is_none())
        .map(|step| bare(&step.step))
        .collect();
    let is_amiss = |step: &&StepRow| step.verdict.is_some_and(|it| it > Verdict::Warn);
    let because: Vec<String> = report
        .steps
        .iter()
        .filter(is_amiss)
        .map(|step| match step.verdict {
            Some(Verdict::Fail) => format!("{} failed", bare(&step.step)),
            _ => format!("{} left something open", bare(&step.step)),
        })
        .collect();
    if left.is_empty() || because.is_empty() {
        return None;
    }
    let what = format!(
        "Not run, because {}: {}. Nothing to do for these until that is mended.",
        because.join(" and "),
        left.join(", ")
    );
    Some(Block::Para(prose(&what)))
}

/// A step by its own name.
fn bare(step: &str) -> &str {
    step.strip_prefix("precondition ").or_else(|| step.strip_prefix("scenario ")).unwrap_or(step)
}

/// What nobody tested, whatever was decided.
fn untested(report: &StageReport) -> Vec<Block> {
    if report.untested.is_empty() {
        return Vec::new();
    }
    let says = match report.decision {
        Decision::Go => "This GO says nothing of the following:",
        Decision::NoGo | Decision::Hold => "Whatever was found, nothing is known of the following:",
    };
    let row = |one: &Untested| vec![prose(&one.what), prose(&one.why), prose(&one.by)];
    let rows = report.untested.iter().map(row).collect();
    let table = Block::Table(vec!["not tested", "why", "what would test it"], rows);
    let heading = heading("What was not tested or checked");
    match report.decision {
        Decision::NoGo => {
            let what = format!("{} things that nothing is known of", report.untested.len());
            vec![heading, Block::Folded(what, vec![table])]
        }
        _ => vec![heading, Block::Para(prose(says)), table],
    }
}

/// What is said where there would be figures.
const NO_RUN: &str = "No scenario was run";

fn gates(report: &StageReport) -> Vec<Block> {
    let rows = report.gates.iter().map(|gate| {
        let verdict = gate.verdict.map_or_else(|| "not judged".to_owned(), |it| it.to_string());
        let verdict = match gate.untested {
            0 => verdict,
            more => format!("{verdict}, {more} not tested"),
        };
        let needed = if gate.must_apply { "yes" } else { "" };
        let by = gate.by.join(", ");
        vec![code(&gate.gate), strong(verdict), prose(needed), prose(&by), values(gate)]
    });
    let head = vec!["gate", "verdict", "must apply", "judged by", "measured, with 95 % bounds"];
    let mut blocks = vec![heading("Gates")];
    if report.runs.is_empty() {
        blocks.push(Block::Para(prose(&format!("{NO_RUN}, so that no gate was judged."))));
    }
    blocks.push(Block::Table(head, rows.collect()));
    blocks.push(Block::Para(prose(
        "`must apply`: without it the stage is no GO. `judged by`: the scenarios that judged it, each with its verdict; the \
         worst one counts. Figures: what fails first; all of them stand under the KPI snapshots.",
    )));
    blocks
}

/// Objectives of a gate in its row.
const VALUES_MAX: usize = 3;

fn values(gate: &GateRow) -> Line {
    let told = gate.objectives.iter().take(VALUES_MAX).map(|row| {
        let bound = if row.bound.is_empty() { String::new() } else { format!(" ({})", row.bound) };
        let name = row.name();
        format!("{name}: {}{bound}, must be {}", row.measured, claim(&row.require))
    });
    let mut told: Vec<String> = told.collect();
    match gate.objectives.len().saturating_sub(VALUES_MAX) {
        0 => {}
        more => told.push(format!("{more} more below")),
    }
    prose(&told.join("; "))
}

/// A claim as prose has it: no backtick of its own.
fn claim(require: &str) -> String {
    format!("`{}`", require.replace('`', "'"))
}

fn plan(report: &StageReport) -> Vec<Block> {
    if report.plan.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![
        heading("Remediation plan"),
        Block::Para(prose("In the runbook's order, drawn from the objectives that failed.")),
    ];
    for (step, number) in report.plan.iter().zip(1..) {
        let needed = if step.needed { "do it" } else { "not now" };
        let line = format!("{number}. {}: {needed}", step.name);
        blocks.push(Block::Para(strong(line)));
        let mut items = vec![prose(&format!("Why: {}", step.why))];
        items.extend(step.actions.iter().map(|action| prose(action)));
        blocks.push(Block::List(false, items));
    }
    blocks
}

fn issues(report: &StageReport) -> Vec<Block> {
    if report.blockers.is_empty() {
        return Vec::new();
    }
    let build = report.begun.build.as_deref().unwrap_or("not stated");
    let whom = report.escalation.as_deref().unwrap_or("your tracker");
    let to = text(format!("An issue each, ready to be pasted into: {whom}."));
    let mut blocks = vec![heading("Blockers"), Block::Para(to)];
    for blocker in &report.blockers {
        blocks.push(Block::Verbatim(issue(report, blocker, build)));
    }
    blocks
}

fn issue(report: &StageReport, blocker: &Blocker, build: &str) -> String {
    let Blocker { claim, measured, bound, reason, evidence, again, .. } = blocker;
    let objectives = blocker.objectives().collect::<Vec<_>>().join("; the same as ");
    let why = if reason == measured { String::new() } else { format!("Why: {reason}\n") };
    let seen: String = blocker.details.iter().map(|line| format!("- {line}\n")).collect();
    let seen = if seen.is_empty() { seen } else { format!("Seen:\n{seen}") };
    let next = blocker.next.as_ref().map_or_else(String::new, |it| format!("To do: {it}\n"));
    let bound = if bound.is_empty() { String::new() } else { format!("95 % bounds: {bound}\n") };
    let again = if again.is_empty() { String::new() } else { format!("Shown again by: {again}\n") };
    let digest = report.runs.iter().find(|run| evidence.starts_with(&run.bundle));
    let digest = digest.and_then(|run| run.manifest_sha256.as_ref());
    let digest = digest.map_or_else(String::new, |it| format!(" (manifest sha256 {it})"));
    format!(
        "{}\n\nBlocks stage {} ({}) for build {build} on {}.\n\nObjective: {objectives}\nMust hold: {claim}\n\
         Measured: {measured}\n{bound}{why}{seen}{next}Evidence: {evidence}{digest}\n{again}Owner of the decision: \
         {}, {}\n",
        blocker.title(&report.begun.stage, build),
        report.begun.stage,
        report.stage_name,
        report.begun.target,
        report.begun.owner,
        report.decided_at,
    )
}

fn hold(hold: &HoldResult) -> Vec<Block> {
    let windows = &hold.windows;
    let share = 100.0 * hold.observed_s / hold.wanted_s.max(1) as f64;
    let clipped = match windows.clipped {
        true => format!(
            "Windows are clipped to {} s: the hold is shorter than the contract's ten minutes.",
            windows.window_s
        ),
        false => "Windows are of ten minutes (contract, section 7), and roll over observed time, a second at a time."
            .to_owned(),
    };
    let mut blocks = vec![
        heading("Hold"),
        Block::Para(prose(&format!(
            "{} wanted, {:.0} s of it observed ({:.1} %), in {} {}. {clipped}",
            length(hold.wanted_s),
            hold.observed_s,
            share.min(100.0),
            hold.segments.len(),
            if hold.segments.len() == 1 { "run" } else { "runs" },
        ))),
    ];
    let rows = windows.indicators.iter().map(|line| {
        let burn =
            line.burn.map_or_else(String::new, |(long, short)| format!("{long:.2} / {short:.2}"));
        vec![
            code(line.indicator.name()),
            strong(line.verdict.to_string()),
            prose(line.indicator.claim()),
            prose(&line.reason),
            prose(&burn),
        ]
    });
    let head = vec!["indicator", "verdict", "limit", "windows", "proven burn rate, long / short"];
    blocks.push(Block::Table(head, rows.collect()));
    let incidents = windows.incidents.iter().map(|incident| {
        let closed = incident
            .closed_s
            .map_or("not closed by the end".to_owned(), |at| format!("closed at {at} s"));
        prose(&format!(
            "Auth failures went over 3 % at {} s of observed time, up to {:.1} %; {closed}.",
            incident.opened_s,
            100.0 * incident.peak
        ))
    });
    let incidents: Vec<_> = incidents.collect();
    if !incidents.is_empty() {
        blocks.push(Block::List(false, incidents));
    }
    let failed = windows.failed.iter().map(|failed| {
        let seconds = failed.seconds.iter().filter(|(_, counts)| counts.bad > 0).take(20);
        let seconds = seconds.map(|(at, counts)| format!("{at} s: {} of {}", counts.bad, counts.all));
        prose(&format!(
            "`{}` failed in windows from {} s to {} s; {}. Every second is in the JSON beside this report.",
            failed.indicator.name(),
            failed.from_s,
            failed.until_s,
            seconds.collect::<Vec<_>>().join(", ")
        ))
    });
    let failed: Vec<_> = failed.collect();
    if !failed.is_empty() {
        blocks.push(Block::List(false, failed));
    }
    blocks
}

fn kpis(report: &StageReport) -> Vec<Block> {
    let mut blocks = vec![heading("KPI and SLO snapshots")];
    blocks.push(Block::Para(prose(&match report.runs.is_empty() {
        true => format!("{NO_RUN}, so that there are no figures."),
        false => "Updates judged: every update that a client received, replayed ones as well, held against the contract by the \
                  oracle. `delivery` times only what came live in the phases that are measured, so that its n is smaller."
            .to_owned(),
    })));
    // Of a hold in several runs the figures are those of all of them.
    let several = report.hold.as_ref().filter(|hold| hold.segments.len() > 1);
    let is_part = |run: &RunSummary| {
        let mut segments = several.iter().flat_map(|hold| &hold.segments);
        segments.any(|segment| segment.bundle == run.bundle)
    };
    for run in report.runs.iter().filter(|run| !is_part(run)) {
        blocks.push(Block::Para(strong(format!(
            "{}: {}, {} clients, {} updates judged, {:.0} s",
            run.scenario, run.decision, run.clients_peak, run.deliveries, run.duration_s
        ))));
        blocks.push(Block::Para([prose("Made by "), code(&run.command)].concat()));
        blocks.extend(objectives(report, &run.scenario));
        blocks.push(figures(&run.kpis));
    }
    if let Some(hold) = several {
        let Whole { duration_s, clients_peak, deliveries, .. } = hold.whole;
        blocks.push(Block::Para(strong(format!(
            "the whole hold, {} runs: {clients_peak} clients, {deliveries} updates judged, {duration_s:.0} s",
            hold.segments.len()
        ))));
        if let Some(last) = report.runs.iter().rfind(|run| is_part(run)) {
            blocks.push(Block::Para(
                [prose("The last of them made by "), code(&last.command)].concat(),
            ));
        }
        blocks.push(figures(&hold.whole.kpis));
    }
    blocks
}

/// What the gates claimed of a run, with what was measured.
fn objectives(report: &StageReport, run: &str) -> Option<Block> {
    let of_gates =
        report.gates.iter().flat_map(|gate| gate.objectives.iter().map(move |row| (gate, row)));
    let rows: Vec<Vec<Line>> = of_gates
        .filter(|(_, row)| row.run == run)
        .map(|(gate, row)| {
            vec![
                code(&gate.gate),
                prose(&row.name()),
                code(&row.require),
                prose(&row.measured),
                prose(&row.bound),
                prose(&row.n.to_string()),
                strong(row.verdict.to_string()),
            ]
        })
        .collect();
    let head = vec!["gate", "objective", "must hold", "measured", "95 % bounds", "n", "verdict"];
    (!rows.is_empty()).then_some(Block::Table(head, rows))
}

fn figures(kpis: &[Kpi]) -> Block {
    let rows = kpis.iter().map(|kpi| {
        vec![
            code(&kpi.metric),
            prose(&kpi.phase),
            prose(&kpi.surface),
            prose(&kpi.n.to_string()),
            prose(&kpi.figure),
        ]
    });
    let table = Block::Table(vec!["metric", "phase", "surface", "n", "figure"], rows.collect());
    let what = match kpis.len() {
        KPIS_MAX => {
            format!("Figures by phase and surface (the first {KPIS_MAX}; all are in the bundle)")
        }
        all => format!("Figures by phase and surface ({all})"),
    };
    Block::Folded(what, vec![table])
}

fn fanout(report: &StageReport) -> Vec<Block> {
    let with: Vec<(&RunSummary, _)> =
        report.runs.iter().filter_map(|run| Some((run, run.fanout.as_ref()?))).collect();
    let mut blocks = vec![heading("Fan-out metrics")];
    if with.is_empty() {
        blocks.push(Block::Para(prose(&match report.runs.is_empty() {
            true => format!("{NO_RUN}, so that nobody asked for them."),
            false => "The target showed none.".to_owned(),
        })));
        return blocks;
    }
    blocks.push(Block::Para(prose(
        "Of `GET /internal/v1/khala/fanout/metrics?topic_limit=20`; each snapshot is in the bundle's `metrics/`. \
         At the end: the topics were dry, the clients still there or just going. Clients gone: every one of ours had left, so \
         that consumers beyond the number before the run are others', or leak.",
    )));
    let number =
        |value: Option<u64>| prose(&value.map_or_else(|| "–".to_owned(), |it| it.to_string()));
    let rows = with.iter().flat_map(|(run, fanout)| {
        fanout.lines.iter().map(|line| {
            vec![
                prose(&run.scenario),
                code(&line.name),
                number(line.before),
                number(line.during),
                number(line.after),
                number(line.left),
                number(line.clients),
            ]
        })
    });
    let head =
        vec!["run", "metric", "before", "most during", "at the end", "clients gone", "clients saw"];
    blocks.push(Block::Table(head, rows.collect()));
    let against: Vec<_> = with.iter().flat_map(|(_, fanout)| &fanout.contradictions).collect();
    blocks.push(match against[..] {
        [] => Block::Para(prose("Target and clients do not contradict each other.")),
        _ => Block::List(false, against.into_iter().map(|line| prose(line)).collect()),
    });
    blocks
}

fn steps(report: &StageReport) -> Vec<Block> {
    let row = |step: &StepRow| {
        let verdict = step.verdict.map_or_else(
            || "–".to_owned(),
            |it| match it {
                Verdict::Inconclusive => "HOLD".to_owned(),
                it => it.to_string(),
            },
        );
        let tries = match (step.tries, step.interrupted.len()) {
            (_, 0) => step.tries.to_string(),
            (tries, cut) => format!("{tries}, {cut} interrupted"),
        };
        vec![
            prose(&step.step),
            strong(verdict),
            prose(step.began_at.as_deref().unwrap_or("–")),
            prose(&tries),
            prose(&format!("{:.1} s", step.took_s)),
            prose(&step.what),
        ]
    };
    let head = vec!["step", "verdict", "began (UTC)", "tries", "took", "what was seen"];
    let mut blocks = vec![
        heading("Steps"),
        Block::Table(head, report.steps.iter().map(row).collect()),
        Block::Para(prose(
            "`tries`: how often a step was begun, more than once only after an interruption. –: not run.",
        )),
    ];
    // What an issue has whole stands in it alone.
    let in_issue = |step: &StepRow| {
        let mut of_it = report.blockers.iter().filter(|blocker| blocker.step == step.step);
        of_it.any(|blocker| step.command.is_none() && blocker.details == step.lines)
    };
    for step in &report.steps {
        if in_issue(step) && !step.lines.is_empty() {
            blocks.push(Block::Para(strong(&step.step)));
            blocks.push(Block::Para(prose("What was seen stands in its blocker, above.")));
            continue;
        }
        if step.lines.is_empty() && step.command.is_none() && step.interrupted.is_empty() {
            continue;
        }
        blocks.push(Block::Para(strong(&step.step)));
        let interrupted = step.interrupted.iter().map(|it| format!("interrupted: `{it}`"));
        let lines: Vec<Line> =
            step.lines.iter().cloned().chain(interrupted).map(|line| prose(&line)).collect();
        if !lines.is_empty() {
            blocks.push(Block::List(false, lines));
        }
        blocks.extend(step.command.clone().map(Block::Verbatim));
    }
    blocks
}

fn evidence(report: &StageReport) -> Vec<Block> {
    let digest = |of: Option<&String>| of.map_or_else(|| prose("none: it was killed"), code);
    let mut rows: Vec<Vec<Line>> = report
        .runs
        .iter()
        .map(|run| {
            let manifest = digest(run.manifest_sha256.as_ref());
            vec![
                prose(&run.scenario),
                code(&run.bundle),
                manifest,
                prose(&run.decision.to_string()),
            ]
        })
        .collect();
    let segments = report.hold.iter().flat_map(|hold| &hold.segments);
    let known = |bundle: &str| report.runs.iter().any(|run| run.bundle == bundle);
    rows.extend(segments.filter(|one| !known(&one.bundle)).map(|one| {
        let what = format!("{}, {:.0} s observed", one.decision, one.observed_s);
        let manifest = digest(one.manifest_sha256.as_ref());
        vec![prose("part of the hold"), code(&one.bundle), manifest, prose(&what)]
    }));
    if rows.is_empty() {
        let why = format!(
            "{NO_RUN}, so that there is no bundle: what was found stands with the steps, above."
        );
        return vec![heading("Evidence"), Block::Para(prose(&why))];
    }
    let head = vec!["run", "bundle", "SHA-256 of its manifest", "it says"];
    vec![
        heading("Evidence"),
        Block::Para(prose(
            "A bundle is named by the digest of its manifest, which has the digest of every file: `khala-harness \
             verify DIR` checks both.",
        )),
        Block::Table(head, rows),
    ]
}

fn around(report: &StageReport) -> Vec<Block> {
    let begun = &report.begun;
    let opened = match &report.opened {
        Opened::First => "It is the first stage.".to_owned(),
        Opened::By { stage, at, report } => {
            format!("Opened by the GO of stage {stage} at {at} (`{report}`).")
        }
        Opened::ByWord { .. } => "Opened by the owner's word, see above.".to_owned(),
        Opened::Not { why, .. } => format!("Not opened: {why}."),
    };
    let commit = begun.tool_commit.as_deref().unwrap_or("not known");
    let lines = vec![
        [
            text(format!("Target: {}. ", begun.target)),
            prose(&format!("Builds that answered: {}.", report.builds)),
        ]
        .concat(),
        prose(&opened),
        prose(&format!("Began at {}, decided at {} (UTC).", report.began_at, report.decided_at)),
        [
            text("Rollout "),
            code(&begun.rollout),
            prose(&format!(", file of SHA-256 `{}`.", begun.rollout_sha256)),
        ]
        .concat(),
        [
            text(format!("khala-harness {} (commit {commit}): ", begun.tool_version)),
            code(command::line(&begun.command)),
        ]
        .concat(),
    ];
    let row = |one: &crate::report::AttemptRow| {
        let is_this = one.attempt == begun.attempt;
        vec![
            prose(&format!("{}{}", one.attempt, if is_this { " (this)" } else { "" })),
            prose(&one.began_at),
            text(&one.owner),
            strong(&one.decision),
            code(&one.report),
        ]
    };
    let head = vec!["attempt", "began", "owner", "decision", "report"];
    vec![
        heading("Attempts of this stage and build"),
        Block::Para(prose("The last one counts: a later NO-GO or HOLD takes an earlier GO back.")),
        Block::Table(head, report.attempts.iter().map(row).collect()),
        heading("How it was run"),
        Block::List(false, lines),
    ]
}

/// Seconds as people say them.
fn length(seconds: u64) -> String {
    match seconds {
        s if s >= 3_600 && s % 3_600 == 0 => format!("{} h", s / 3_600),
        s if s >= 60 && s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
