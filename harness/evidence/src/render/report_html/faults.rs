//! What was disturbed on purpose, planned against effective, with the proof that it reached the target.

use super::super::beside;
use super::super::units::{count, counted, duration};
use super::html::Html;
use super::part;
use super::tables::{Head, cell, figure, name, table};
use crate::facts::FaultOutcome;
use crate::record::Micros;
use crate::report::RunReport;

const HEADS: [Head; 7] = [
    ("Fault", false),
    ("Phase", false),
    ("At", true),
    ("Lasted by plan", true),
    ("Planned", true),
    ("Effective", true),
    ("Proof", false),
];

/// When a fault is over by plan; its own moment, where it does not last or that is not recorded.
pub fn end(report: &RunReport, fault: &FaultOutcome) -> Micros {
    report.fault_ends.get(&fault.id).copied().unwrap_or(fault.at_us).max(fault.at_us)
}

pub fn write(html: &mut Html, report: &RunReport) {
    part(html, "faults", |html| {
        if report.faults.is_empty() {
            return html.leaf("p", &[], "Nothing was disturbed on purpose.");
        }
        table(html, "Faults, planned against effective", &HEADS, |html| {
            for fault in &report.faults {
                row(html, report, fault);
            }
        });
        let commands: Vec<_> = report.faults.iter().flat_map(|fault| &fault.commands).collect();
        if !commands.is_empty() {
            html.tag("ul", &[], |html| {
                for run in commands {
                    html.leaf("li", &[], &run.told());
                }
            });
        }
        html.tag("p", &[], |html| {
            html.text("Connects: ");
            html.datum(report.fleet.connects, &count(report.fleet.connects));
            html.text(" in all, ");
            html.datum(report.fleet.connects_peak_per_s, &count(report.fleet.connects_peak_per_s));
            html.text(" in the busiest second. Most sockets open at once: ");
            html.datum(report.fleet.clients_peak, &count(report.fleet.clients_peak));
            html.text(".");
        });
    });
}

fn row(html: &mut Html, report: &RunReport, fault: &FaultOutcome) {
    let lasted = end(report, fault) - fault.at_us;
    let mut proof = beside::fault(report, fault);
    if let Some(exposure) = report.exposures.get(&fault.id) {
        proof += &format!(
            "; each client had at least {} of each topic before it, and {} after",
            counted(exposure.before_min, "delivery", "deliveries"),
            count(exposure.after_min)
        );
    }
    html.tag("tr", &[], |html| {
        name(html, &format!("#{} {}", fault.id, fault.kind));
        cell(html, &fault.phase);
        figure(html, Some(fault.at_us), &duration(fault.at_us));
        let shown = if lasted == 0 { "a moment".to_owned() } else { duration(lasted) };
        figure(html, None::<u64>, &shown);
        figure(html, Some(fault.planned), &count(fault.planned));
        html.tag("td", &[("class", "n")], |html| {
            let bitten = fault.why_it_did_not_bite().is_none();
            html.leaf("span", &[("aria-hidden", "true")], if bitten { "✓ " } else { "? " });
            let shown = beside::effective(report, fault);
            match fault.effective {
                Some(effective) => html.datum(effective, &shown),
                None => html.text(&shown),
            }
        });
        cell(html, &proof);
    });
}
