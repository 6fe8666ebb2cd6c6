//! What is shown while a run goes on, on standard error: a live line on a terminal, else one plain
//! line every ten seconds and at each event that matters.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use khala_engine::observe::{Event, EventKind, Observer, Progress};

use khala_wire::metrics::FanoutMetrics;

use crate::bundle::Bundle;
use crate::output;

/// Seconds between plain lines.
const PLAIN_EVERY_S: u64 = 10;

/// Watches a run for the terminal and for the bundle.
pub struct Live<'a> {
    bundle: &'a mut Bundle,
    bar: Option<ProgressBar>,
    last_plain_s: Option<u64>,
}

impl<'a> Live<'a> {
    /// A view that also feeds the bundle.
    pub fn new(bundle: &'a mut Bundle) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:24} {pos:>3}/{len} s  {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bundle, bar, last_plain_s: None }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => output::say(text),
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Live<'_> {
    fn event(&mut self, event: &Event) {
        self.bundle.event(event);
        let at_s = std::time::Duration::from_micros(event.at_us).as_secs_f64();
        let text = match &event.kind {
            EventKind::TargetReady { url } => format!("target ready at {url}"),
            EventKind::PhaseBegan { phase } => format!("{at_s:6.1} s  phase {phase}"),
            EventKind::FaultDue { kind, planned, .. } => {
                format!("{at_s:6.1} s  fault {kind}: {planned} planned")
            }
            EventKind::FaultProven { effective: Some(effective), how, .. } => {
                format!("{at_s:6.1} s  fault hit {effective} ({how})")
            }
            EventKind::FaultProven { effective: None, how, .. } => {
                format!("{at_s:6.1} s  fault not proven ({how})")
            }
            EventKind::TargetLost { why } => format!("{at_s:6.1} s  target lost: {why}"),
            EventKind::WorkerRemains { worker, why } => {
                format!("{at_s:6.1} s  worker {worker} remains on the target: {why}")
            }
            EventKind::DrainBegan => format!("{at_s:6.1} s  draining"),
            EventKind::DrainEnded { drained: true } => format!("{at_s:6.1} s  drained"),
            EventKind::DrainEnded { drained: false } => format!("{at_s:6.1} s  not drained"),
            EventKind::Interrupted | EventKind::Retired => return,
        };
        self.say(&text);
    }

    fn metrics(&mut self, label: &str, metrics: &FanoutMetrics) {
        self.bundle.metrics(label, metrics);
    }

    fn progress(&mut self, progress: &Progress) {
        let Progress { elapsed_s, planned_s, phase, clients, online, live, published } = progress;
        if let Some(bar) = &self.bar {
            bar.set_length(*planned_s);
            bar.set_position(*elapsed_s);
            bar.set_message(format!("{phase}: {live} live, {online} of {clients} connected"));
            return;
        }
        if self.last_plain_s.is_some_and(|last| elapsed_s - last < PLAIN_EVERY_S) {
            return;
        }
        self.last_plain_s = Some(*elapsed_s);
        output::say(&format!(
            "{elapsed_s:6} s  {phase}: {live} live, {online} of {clients} connected, {published} \
             published"
        ));
    }
}
