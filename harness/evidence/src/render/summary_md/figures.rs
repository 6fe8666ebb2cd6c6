//! Figures, requests and the generator.

use std::fmt::Write as _;

use super::super::escape::markdown_line as cell;
use super::super::units::{count, counted, duration_or_dash, moment};
use super::super::{befell, texts};
use crate::report::RunReport;

pub fn write(out: &mut String, report: &RunReport) -> std::fmt::Result {
    figures(out, report)?;
    requests(out, report)?;
    generator(out, report)
}

fn figures(out: &mut String, report: &RunReport) -> std::fmt::Result {
    writeln!(out, "\n## Figures\n")?;
    writeln!(
        out,
        "Response is from the intended start (what gates judge), service from the actual one. A \
         percentile with fewer than 10 samples beyond it is not printed. Own queue: how much of the \
         figures may be the harness's own, where that is above 1 ms or 1 % of the p99.\n"
    )?;
    if report.metrics.iter().any(|line| line.censored > 0) {
        writeln!(
            out,
            "Never: what had not ended by the end of the phase (a client that had not recovered by then, for one). \
             A figure among these is at least what is printed: `> 5.00 s` is longer than that, by how much \
             nobody knows.\n"
        )?;
    }
    writeln!(
        out,
        "| metric | phase | surface | n | never | p50 | p90 | p99 | max | service p99 | own queue |"
    )?;
    writeln!(out, "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for sample in &report.metrics {
        let (Some(response), Some(service)) = (sample.response, sample.service) else { continue };
        let ended = sample.ended;
        let none = ended.map(|_| None);
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
            texts::beyond(response.p50, ended.map(|it| it.p50), figure),
            texts::beyond(response.p90, ended.map(|it| it.p90), figure),
            texts::beyond(response.p99, ended.map(|it| it.p99), figure),
            texts::beyond(Some(response.max), none, figure),
            texts::beyond(service.p99, ended.filter(|it| it.p99.is_none()).and(none), figure),
            sample.telling_own_queue_us().map_or_else(String::new, |us| duration_or_dash(Some(us))),
        )?;
    }
    Ok(())
}

fn requests(out: &mut String, report: &RunReport) -> std::fmt::Result {
    if report.requests.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Requests\n")?;
    writeln!(
        out,
        "| request | status | count | ok | failed by plan | first | Retry-After | it said |"
    )?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | --- | --- | --- |")?;
    for line in &report.requests {
        let text = |text: &Option<String>| text.as_deref().map(super::quoted).unwrap_or_default();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} in {} | {} | {} |",
            line.request,
            cell(&line.status),
            count(line.count),
            count(line.ok),
            count(line.planned),
            moment(line.first_at_us),
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
        "\n## Generator\n\n{}, {:.2} cores used, hottest thread {:.0} %, {} of {} \
         descriptors, {} MiB resident at the peak. {} of {} planned publishes begun{}, {}; {} \
         dropped.\n\n{}.",
        counted(generator.worker_threads.into(), "worker thread", "worker threads"),
        generator.cpu_cores,
        generator.hottest_thread * 100.0,
        count(generator.descriptors_peak),
        count(generator.descriptors_limit),
        generator.memory_peak_mib,
        count(generator.publishes_begun),
        count(generator.publishes_planned),
        texts::withheld(generator),
        befell::published(report),
        counted(generator.dropped_records, "record", "records"),
        texts::fitness(generator),
    )?;
    for finding in &report.findings {
        writeln!(
            out,
            "\nFinding `{}` ({}): {}",
            finding.name,
            finding.times(),
            cell(&finding.message)
        )?;
    }
    Ok(())
}
