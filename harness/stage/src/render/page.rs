//! A stage report as a document: the decision first, then what to do, then what it rests on.

use khala_evidence::judge::{Decision, Verdict};

use crate::command;
use crate::decide::Opened;
use crate::doc::{Block, Line, code, prose, strong, text};
use crate::entry::HoldResult;
use crate::evidence::{Kpi, RunSummary, Whole};
use crate::remedy::Blocker;
use crate::report::{StageReport, StepRow};

/// The document of a report.
pub fn of(report: &StageReport) -> Vec<Block> {
    let mut blocks = vec![Block::Heading(1, text(report.headline()))];
    blocks.push(Block::Para(strong(&report.statement)));
    blocks.extend(warnings(report));
    blocks.extend(next(report));
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
            vec![match &report.next_stage {
                Some(next) => {
                    let until = report.fresh_until.as_ref();
                    let until = until.map_or_else(
                        || "while this GO is fresh".to_owned(),
                        |until| format!("by {until}, while this GO is fresh"),
                    );
                    let go_on = prose(&format!("Go on to stage {next}{rehearsal} {until}: "));
                    [go_on, code(command::again(&report.begun, next)), text(".")].concat()
                }
                None => prose("Nothing: this was the last stage."),
            }]
        }
        Decision::NoGo => {
            let needed = report.plan.iter().zip(1..).filter(|(step, _)| step.needed);
            let first = needed.map(|(step, number)| format!("{number}. {}", step.name));
            let first = first.collect::<Vec<_>>().join(", then ");
            let mut items = vec![prose(&format!(
                "Stop the rollout, and roll back: {first}. The plan below says how, and why."
            ))];
            items.push(prose("File the blockers: their texts stand below, ready to be pasted."));
            items
        }
        Decision::Hold => vec![
            prose("Do not go on and do not roll back for this alone: settle what stands below."),
            [
                prose("Then begin a new attempt: "),
                code(command::again(&report.begun, &report.begun.stage)),
                text("."),
            ]
            .concat(),
        ],
    };
    blocks.push(Block::List(false, items));
    if !report.reasons.is_empty() {
        let row = |reason: &crate::decide::Reason| {
            vec![strong(reason.decision.to_string()), prose(&reason.why), prose(&reason.next)]
        };
        blocks.push(Block::Table(
            vec!["decides", "why", "what to do"],
            report.reasons.iter().map(row).collect(),
        ));
    }
    blocks
}

/// What is said where there would be figures.
const NO_RUN: &str = "No scenario was run";

fn gates(report: &StageReport) -> Vec<Block> {
    let rows = report.gates.iter().map(|gate| {
        let verdict = gate.verdict.map_or_else(|| "not judged".to_owned(), |it| it.to_string());
        let needed = if gate.must_apply { "yes" } else { "" };
        let by = gate.by.join(", ");
        vec![code(&gate.gate), strong(verdict), prose(needed), prose(&by), prose(&gate.worst)]
    });
    let head =
        vec!["gate", "verdict", "must apply", "judged by", "worst objective that is no PASS"];
    let mut blocks = vec![heading("Gates")];
    if report.runs.is_empty() {
        blocks.push(Block::Para(prose(&format!("{NO_RUN}, so that no gate was judged."))));
    }
    blocks.push(Block::Table(head, rows.collect()));
    blocks
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
    let mut blocks =
        vec![heading("Blockers"), Block::Para(prose("An issue each, ready to be pasted."))];
    for blocker in &report.blockers {
        blocks.push(Block::Verbatim(issue(report, blocker, build)));
    }
    blocks
}

fn issue(report: &StageReport, blocker: &Blocker, build: &str) -> String {
    let Blocker { objective, claim, measured, bound, reason, evidence, again, .. } = blocker;
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
        "{}\n\nBlocks stage {} ({}) for build {build} on {}.\n\nObjective: {objective}\nMust hold: {claim}\n\
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
    if report.runs.is_empty() {
        blocks.push(Block::Para(prose(&format!("{NO_RUN}, so that there are no figures."))));
    }
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
    Block::Table(vec!["metric", "phase", "surface", "n", "figure"], rows.collect())
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
        "Of `GET /internal/v1/khala/fanout/metrics?topic_limit=20`; each snapshot is in the bundle's `metrics/`.",
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
                number(line.clients),
            ]
        })
    });
    let head = vec!["run", "metric", "before", "most during", "after", "clients saw"];
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
    let mut blocks =
        vec![heading("Steps"), Block::Table(head, report.steps.iter().map(row).collect())];
    for step in &report.steps {
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
