//! The hold: how much of it was observed, and its rolling windows.

use super::{heading, length};
use crate::doc::{Block, code, prose, strong};
use crate::entry::HoldResult;

pub fn hold(hold: &HoldResult) -> Vec<Block> {
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
