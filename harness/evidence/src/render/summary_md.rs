//! `summary.md`: the report for a pull request or a chat, verdict first.

use std::fmt::Write as _;

use super::befell;
use super::terminal;
use super::units::{count, duration_or_dash};
use super::{RenderError, Renderer};
use crate::report::RunReport;

pub struct SummaryMd;

impl Renderer for SummaryMd {
    fn file_name(&self) -> &'static str {
        "summary.md"
    }

    fn render(&self, report: &RunReport) -> Result<Vec<u8>, RenderError> {
        let mut out = String::new();
        write(&mut out, report)
            .map_err(|error| RenderError { file: self.file_name(), why: error.to_string() })?;
        Ok(out.into_bytes())
    }
}

/// What would break a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn write(out: &mut String, report: &RunReport) -> std::fmt::Result {
    writeln!(out, "# {}: {}\n", report.decision, report.scenario.name)?;
    let befell = befell::lines(report);
    for line in &befell {
        writeln!(out, "- **{}**", cell(line))?;
    }
    if !befell.is_empty() {
        writeln!(out)?;
    }
    writeln!(
        out,
        "Run `{}`, seed {}{}, started {} UTC, {:.1} s{}. Target `{}` ({}{}). Made by {} {}.\n",
        report.run_id,
        report.scenario.seed,
        report.scenario.profile.as_ref().map(|p| format!(", profile {p}")).unwrap_or_default(),
        report.started_at,
        report.duration_s,
        match (report.finished, report.interrupted) {
            (false, _) => ", **unfinished**",
            (true, true) => ", **interrupted**",
            (true, false) => "",
        },
        report.target.url,
        report.target.kind,
        if report.target.defects.is_empty() {
            String::new()
        } else {
            format!(", defects: {}", report.target.defects.join(", "))
        },
        report.tool.name,
        report.tool.version,
    )?;
    if let Some(defects) = terminal::defects(report) {
        writeln!(out, "**Not a judgement of a real target: {}.**\n", cell(&defects))?;
    }
    for skipped in befell::not_applicable(report) {
        writeln!(out, "- {}", cell(&skipped))?;
    }
    for reason in &report.reasons {
        writeln!(out, "- {}", cell(reason))?;
    }
    gates(out, report)?;
    faults(out, report)?;
    oracle(out, report)?;
    figures(out, report)?;
    requests(out, report)?;
    generator(out, report)
}

fn gates(out: &mut String, report: &RunReport) -> std::fmt::Result {
    writeln!(out, "\n## Gates\n")?;
    writeln!(out, "| gate | objective | verdict | n | estimate | why |")?;
    writeln!(out, "| --- | --- | --- | ---: | ---: | --- |")?;
    for gate in &report.gates {
        if !gate.judged {
            writeln!(out, "| {} | | not judged | | | not named by this profile |", gate.name)?;
        }
        if gate.advisory && gate.judged {
            writeln!(out, "| {} | | *advisory* | | | decides nothing |", gate.name)?;
        }
        for objective in &gate.objectives {
            writeln!(
                out,
                "| {} | `{}{}` {} | {} | {} | {} | {} |",
                gate.name,
                objective.metric,
                if objective.selector.is_empty() {
                    String::new()
                } else {
                    format!(" {}", objective.selector)
                },
                cell(&objective.require),
                objective.verdict,
                count(objective.n),
                terminal::estimate(objective),
                cell(&objective.reason),
            )?;
        }
    }
    Ok(())
}

fn faults(out: &mut String, report: &RunReport) -> std::fmt::Result {
    if report.faults.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Faults, planned against effective\n")?;
    writeln!(out, "| fault | phase | at | planned | effective | counted by |")?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | --- |")?;
    for fault in &report.faults {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            fault.kind,
            fault.phase,
            super::units::duration(fault.at_us),
            count(fault.planned),
            fault.effective.map_or_else(|| "unproven".to_owned(), count),
            cell(&fault.proof),
        )?;
    }
    let commands = report.faults.iter().flat_map(|fault| &fault.commands);
    for (index, run) in commands.enumerate() {
        let first = if index == 0 { "\n" } else { "" };
        writeln!(out, "{first}- {}", cell(&run.told()))?;
    }
    writeln!(
        out,
        "\nConnects: {} in all, {}/s at the peak. Most sockets open at once: {}.",
        count(report.fleet.connects),
        count(report.fleet.connects_peak_per_s),
        count(report.fleet.clients_peak)
    )
}

fn oracle(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let oracle = &report.oracle;
    writeln!(
        out,
        "\n## Oracle\n\n{} deliveries and {} replay replies judged; {} repeats, {} redeliveries, {} \
         foreign events. At the end {}.\n",
        count(oracle.deliveries),
        count(oracle.replies),
        count(oracle.repeats),
        count(oracle.redelivered),
        count(oracle.foreign),
        cell(&befell::drain(report)),
    )?;
    writeln!(out, "| rule | judged | violations | consequences | undecided |")?;
    writeln!(out, "| --- | ---: | ---: | ---: | ---: |")?;
    for (rule, violations) in &oracle.violations {
        writeln!(
            out,
            "| `{rule}` | {} | {} | {} | {} |",
            count(oracle.judged.get(rule).copied().unwrap_or(0)),
            count(*violations),
            count(oracle.consequences.get(rule).copied().unwrap_or(0)),
            count(oracle.undecided.get(rule).copied().unwrap_or(0)),
        )?;
    }
    if let Some(names) = terminal::not_exercised(report) {
        writeln!(out, "\n{names}.")?;
    }
    if !oracle.kept.is_empty() {
        writeln!(out, "\nThe earliest violations:\n")?;
    }
    for violation in oracle.kept.iter().take(20) {
        writeln!(out, "- {}", terminal::violation(violation))?;
    }
    if let Some(again) =
        oracle.kept.iter().find_map(|one| terminal::again(report, one, terminal::HERE))
    {
        writeln!(
            out,
            "\nAgain, with the first one's client alone, from this folder: \
             `{again}`"
        )?;
    }
    Ok(())
}

fn figures(out: &mut String, report: &RunReport) -> std::fmt::Result {
    writeln!(out, "\n## Figures\n")?;
    writeln!(
        out,
        "Response is from the intended start (what gates judge), service from the actual one. A \
         percentile with fewer than 10 samples beyond it is not printed. Own queue: how much of the \
         figures may be the harness's own, where that is above 1 ms or 1 % of the p99.\n"
    )?;
    writeln!(
        out,
        "| metric | phase | surface | n | never | p50 | p90 | p99 | max | service p99 | own queue |"
    )?;
    writeln!(out, "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for sample in &report.metrics {
        let (Some(response), Some(service)) = (sample.response, sample.service) else { continue };
        let figure = |value: Option<u64>| {
            if sample.unit == "us" {
                duration_or_dash(value)
            } else {
                value.map_or_else(|| "–".to_owned(), count)
            }
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            sample.metric.name(),
            sample.phase,
            sample.surface.map_or("", |surface| surface.name()),
            count(sample.n),
            count(sample.censored),
            figure(response.p50),
            figure(response.p90),
            figure(response.p99),
            figure(Some(response.max)),
            figure(service.p99),
            sample.telling_own_queue_us().map_or_else(String::new, |us| duration_or_dash(Some(us))),
        )?;
    }
    Ok(())
}

/// A text of the target, so that nothing in it is read as Markdown or HTML.
fn quoted(text: &str) -> String {
    format!("`{}`", cell(&text.replace('`', "'")))
}

fn requests(out: &mut String, report: &RunReport) -> std::fmt::Result {
    if report.requests.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Requests\n")?;
    writeln!(out, "| request | status | count | ok | first | Retry-After | it said |")?;
    writeln!(out, "| --- | --- | ---: | ---: | --- | --- | --- |")?;
    for line in &report.requests {
        let text = |text: &Option<String>| text.as_deref().map(quoted).unwrap_or_default();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} in {} | {} | {} |",
            line.request,
            cell(&line.status),
            count(line.count),
            count(line.ok),
            super::units::duration(line.first_at_us),
            line.first_phase,
            text(&line.retry_after),
            text(&line.example),
        )?;
    }
    Ok(())
}

fn generator(out: &mut String, report: &RunReport) -> std::fmt::Result {
    let generator = &report.generator;
    writeln!(
        out,
        "\n## Generator\n\n{} worker threads, {:.2} cores used, hottest thread {:.0} %, {} of {} \
         descriptors, {} MiB resident at the peak. {} of {} planned publishes begun{}, {}; {} records \
         dropped.\n\n{}.",
        generator.worker_threads,
        generator.cpu_cores,
        generator.hottest_thread * 100.0,
        count(generator.descriptors_peak),
        count(generator.descriptors_limit),
        generator.memory_peak_mib,
        count(generator.publishes_begun),
        count(generator.publishes_planned),
        terminal::withheld(generator),
        befell::published(report),
        count(generator.dropped_records),
        terminal::fitness(generator),
    )?;
    for finding in &report.findings {
        writeln!(
            out,
            "\nFinding `{}` ({}×): {}",
            finding.name,
            count(finding.count),
            cell(&finding.message)
        )?;
    }
    Ok(())
}
