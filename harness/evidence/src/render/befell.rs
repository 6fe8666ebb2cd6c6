//! What befell the run, in the lines that stand directly under the verdict.

use std::collections::BTreeMap;

use khala_plan::metric::MetricId;

use super::units::{count, counted, utc};
use crate::judge::{Verdict, stability};
use crate::record::Request;
use crate::report::{IncidentLine, RequestLine, RunReport};
use crate::shard::absence::Absence;

/// Statuses named of failed requests; the report has all of them.
const STATUSES_SHOWN: usize = 4;

/// A status as people say it: of HTTP, its number with the protocol.
pub fn status(text: &str) -> String {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 3 { format!("HTTP {text}") } else { text.to_owned() }
}

/// What befell the run although nobody planned it, and what a hook did to it, a line each; nothing of a run that
/// nothing befell.
pub fn lines(report: &RunReport) -> Vec<String> {
    let unplanned = report.target.absences.iter().filter(|absence| !absence.planned);
    let mut lines: Vec<_> = unplanned.map(|absence| away(report, absence)).collect();
    if !report.unplanned_ends.is_empty() {
        lines.push(format!("unplanned: {}", incidents(&report.unplanned_ends)));
    }
    if !report.own_ends.is_empty() {
        lines.push(format!("by the harness's own doing: {}", incidents(&report.own_ends)));
    }
    if !report.planned_ends.is_empty() {
        let away = report.fleet.away_at_end() > 0;
        let whose = if away { "of clients that a fault had hit" } else { "as planned" };
        lines.push(format!("{whose}: {}", incidents(&report.planned_ends)));
    }
    let published = published(report);
    if failed(report, "publish") > 0 {
        lines.push(published);
    }
    lines
}

/// A time in which the target was away, with when that was on the clock, and by what it was noticed.
fn away(report: &RunReport, absence: &Absence) -> String {
    let what = stability::what(absence);
    let clock = utc(&report.started_at, absence.from_us).map(|utc| format!(", from {utc} UTC on"));
    format!("{what}{}: {}", clock.unwrap_or_default(), absence.noticed.join("; "))
}

/// What the plan could not exercise, in a line for each reason: it is neither kept nor broken.
pub fn not_applicable(report: &RunReport) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for gate in report.gates.iter().filter(|gate| gate.judged) {
        for objective in &gate.objectives {
            if objective.verdict != Verdict::NotApplicable {
                continue;
            }
            let selector = match objective.selector.as_str() {
                "" => String::new(),
                selector => format!(" [{selector}]"),
            };
            let name = format!("{}/{}{selector}", gate.name, objective.metric);
            let reason = objective.reason.as_str();
            match by_reason.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, names)) => names.push(name),
                None => by_reason.push((reason, vec![name])),
            }
        }
    }
    let lines = by_reason.into_iter();
    lines.map(|(why, names)| format!("not applicable: {}: {why}", names.join(", "))).collect()
}

/// Incidents in a line: each kind with its codes and clients.
fn incidents(lines: &[IncidentLine]) -> String {
    let mut kinds: BTreeMap<_, Vec<&IncidentLine>> = BTreeMap::new();
    lines.iter().for_each(|line| kinds.entry(line.kind).or_default().push(line));
    let told = kinds.into_iter().map(|(kind, mut lines)| {
        lines.sort_by_key(|line| (std::cmp::Reverse(line.count), line.code.clone()));
        let total: u64 = lines.iter().map(|line| line.count).sum();
        let first = lines.iter().map(|line| line.first_at_us).min().unwrap_or_default();
        let first = std::time::Duration::from_micros(first).as_secs_f64();
        let codes = lines.iter().take(STATUSES_SHOWN);
        let codes: Vec<_> =
            codes.map(|line| format!("{} ×{}", status(&line.code), count(line.count))).collect();
        let more = match lines.len().saturating_sub(STATUSES_SHOWN) {
            0 => String::new(),
            more => format!(", {}", counted(more as u64, "other code", "other codes")),
        };
        let clients = match lines.first().map_or(0, |line| line.clients) {
            0 => String::new(),
            clients => format!(", clients: {}", count(clients)),
        };
        let (total, codes) = (count(total), codes.join(", "));
        format!("{} {total} ({codes}{more}){clients}, first at {first:.2} s", kind.name())
    });
    told.collect::<Vec<_>>().join("; ")
}

fn of<'a>(report: &'a RunReport, request: &'a str) -> impl Iterator<Item = &'a RequestLine> {
    report.requests.iter().filter(move |line| line.request == request)
}

/// Requests of a line that failed although neither the plan nor the harness made them.
fn in_vain(line: &RequestLine) -> u64 {
    line.count.saturating_sub(line.ok + line.ours + line.planned)
}

fn failed(report: &RunReport, request: &str) -> u64 {
    of(report, request).map(in_vain).sum()
}

/// How many requests failed in each way although neither the plan nor the harness made them, most first.
fn ways<'a>(lines: impl Iterator<Item = &'a RequestLine>) -> Vec<(u64, &'a str)> {
    let mut ways: Vec<_> = lines
        .map(|line| (in_vain(line), line.status.as_str()))
        .filter(|(failed, _)| *failed > 0)
        .collect();
    ways.sort_by_key(|(failed, status)| (std::cmp::Reverse(*failed), *status));
    ways
}

/// The most frequent of them, each with how often.
fn told(ways: &[(u64, &str)]) -> String {
    let shown = ways.iter().take(STATUSES_SHOWN);
    let shown: Vec<_> =
        shown.map(|(failed, text)| format!("{} {}", count(*failed), status(text))).collect();
    let more = match ways.len().saturating_sub(STATUSES_SHOWN) {
        0 => String::new(),
        more => format!(", {}", counted(more as u64, "other way", "other ways")),
    };
    format!("{}{more}", shown.join(", "))
}

/// Of a metric that counts requests which failed: what came instead of what was asked for, over the whole run.
pub fn instead(requests: &[RequestLine], metric: MetricId) -> Option<String> {
    let (request, denied) = match metric {
        MetricId::PublishErrors => (Request::Publish, None),
        MetricId::MintErrors => (Request::Mint, None),
        MetricId::AuthErrors => (Request::Connect, Some(true)),
        MetricId::ConnectErrors => (Request::Connect, Some(false)),
        _ => return None,
    };
    let lines = requests.iter().filter(|line| line.request == request.name());
    let ways = ways(lines.filter(|line| denied.is_none_or(|denied| (line.denied > 0) == denied)));
    (!ways.is_empty()).then(|| told(&ways))
}

/// What clients that were not there at the end met most often in place of a connection.
pub fn kept_away(report: &RunReport) -> Option<String> {
    const WAY_IN: [Request; 4] =
        [Request::Mint, Request::Connect, Request::Join, Request::Subscribe];
    let lines = report
        .requests
        .iter()
        .filter(|line| WAY_IN.iter().any(|request| request.name() == line.request));
    let failed = |line: &RequestLine| line.count.saturating_sub(line.ok + line.ours);
    let most = lines.max_by_key(|line| (failed(line), std::cmp::Reverse(line.first_at_us)))?;
    let n = failed(most);
    (n > 0).then(|| format!("{}: {} ×{}", most.request, status(&most.status), count(n)))
}

/// What became of the load's commands: how many were acknowledged, and why the others were not.
pub fn published(report: &RunReport) -> String {
    let planned = report.load.planned;
    let ok: u64 = of(report, "publish").map(|line| line.ok).sum();
    let failures = ways(of(report, "publish"));
    let all: u64 = failures.iter().map(|(failed, _)| failed).sum();
    let mut notes = Vec::new();
    if all > 0 {
        notes.push(format!("{} failed: {}", count(all), told(&failures)));
    }
    let ours: u64 = of(report, "publish").map(|line| line.ours).sum();
    if ours > 0 {
        notes.push(format!("{} broken off by the harness or never tried", count(ours)));
    }
    let asked: u64 = of(report, "publish").map(|line| line.planned).sum();
    if asked > 0 {
        notes.push(format!("{} failed as the plan makes them", count(asked)));
    }
    let open = planned.saturating_sub(ok + all + ours + asked);
    if open > 0 {
        notes.push(format!("{} never begun or without an end", count(open)));
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    format!("published {} of {}{notes}", count(ok), count(planned))
}

/// How the topics were at the end, in a clause.
pub fn drain(report: &RunReport) -> String {
    let oracle = &report.oracle;
    if oracle.dry {
        return "the topics ran dry".to_owned();
    }
    let behind = &oracle.behind;
    let mut why = Vec::new();
    if behind.clients > 0 {
        let named: Vec<_> = behind
            .lags
            .iter()
            .map(|lag| {
                format!("client {} by {} on {}", lag.client, count(lag.by), lag.topic.name())
            })
            .collect();
        let clients = counted(behind.clients, "live client was", "live clients were");
        why.push(format!("{clients} behind ({})", named.join(", ")));
    }
    if behind.not_live > 0 {
        why.push(format!("{} not live", counted(behind.not_live, "client was", "clients were")));
    }
    if behind.unseen > 0 {
        let publishes = counted(behind.unseen, "acknowledged publish", "acknowledged publishes");
        why.push(format!("nobody has seen {publishes}"));
    }
    if !oracle.drained {
        why.push("more may have been on its way".to_owned());
    }
    format!("the topics did not run dry: {}", why.join("; "))
}

/// So many requests of a line, in a line of their own.
fn refusal(line: &RequestLine, n: u64) -> String {
    let at = std::time::Duration::from_micros(line.first_at_us).as_secs_f64();
    let retry = line.retry_after.as_ref().map(|after| format!("; Retry-After: {after}"));
    let example = line.example.as_ref().map(|text| format!("; it said: {text}"));
    format!(
        "{} {} ×{}, first at {at:.2} s in {}{}{}",
        line.request,
        status(&line.status),
        count(n),
        line.first_phase,
        retry.unwrap_or_default(),
        example.unwrap_or_default()
    )
}

/// The requests that did not get what they asked for although the plan does not make them fail, a line each.
pub fn refusals(report: &RunReport) -> Vec<String> {
    let beyond = |line: &RequestLine| line.count.saturating_sub(line.ok + line.planned);
    let lines = report.requests.iter().map(|line| (line, beyond(line)));
    lines.filter(|(_, n)| *n > 0).map(|(line, n)| refusal(line, n)).collect()
}

/// The requests that failed because the plan makes them, a line each: no trouble.
pub fn asked_for(report: &RunReport) -> Vec<String> {
    let lines = report.requests.iter().filter(|line| line.planned > 0);
    lines.map(|line| refusal(line, line.planned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_status_is_called_one() {
        assert_eq!(status("503"), "HTTP 503");
        assert_eq!(status("429 khala_publish_rate_limited"), "HTTP 429 khala_publish_rate_limited");
        assert_eq!(status("timeout"), "timeout");
        assert_eq!(status("1012"), "1012");
    }
}
