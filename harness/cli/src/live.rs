//! What is shown while a run goes on, on standard error: a live line on a terminal, else one plain
//! line every ten seconds and at each event that matters.
//!
//! It is shown by a thread of its own, to which nobody waits for: whoever stops reading standard error
//! holds up no run, and misses what there was no room for.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use khala_bundle::{SoFar, Writer};
use khala_engine::observe::{Event, EventKind, Observer, Progress};
use khala_evidence::shard::Seen;
use khala_wire::metrics::FanoutMetrics;

use crate::output;
use khala_engine::clock;

/// Seconds between plain lines.
const PLAIN_EVERY_S: u64 = 10;
/// Lines on their way to standard error.
const QUEUE: usize = 256;
/// How long the last lines may take.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks whether they are out.
const STEP: Duration = Duration::from_millis(2);

enum Shown {
    Line(String),
    Progress(Progress, Seen),
}

/// Watches a run for the terminal and for the bundle.
pub struct Live<'a> {
    bundle: &'a mut Writer,
    so_far: Arc<SoFar>,
    sender: Option<SyncSender<Shown>>,
    screen: Option<JoinHandle<()>>,
}

impl<'a> Live<'a> {
    /// A view that also feeds the bundle. Without a thread for it nothing is shown, and nothing to who wants quiet.
    pub fn new(bundle: &'a mut Writer, so_far: Arc<SoFar>, quiet: bool) -> Self {
        if quiet {
            return Self { bundle, so_far, sender: None, screen: None };
        }
        let (sender, receiver) = sync_channel(QUEUE);
        let screen = std::thread::Builder::new()
            .name("khala-live".to_owned())
            .spawn(move || Screen::new().show(&receiver))
            .ok();
        Self { bundle, so_far, sender: Some(sender), screen }
    }

    fn show(&self, shown: Shown) {
        if let Some(sender) = &self.sender {
            // What has no room is in events.ndjson all the same.
            let _ = sender.try_send(shown);
        }
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        drop(self.sender.take());
        let Some(screen) = self.screen.take() else { return };
        let until = clock::system_now() + SHOWN_WITHIN;
        while !screen.is_finished() && clock::system_now() < until {
            std::thread::sleep(STEP);
        }
    }
}

impl Observer for Live<'_> {
    fn event(&mut self, event: &Event) {
        self.bundle.event(event);
        let at_s = Duration::from_micros(event.at_us).as_secs_f64();
        let text = match &event.kind {
            EventKind::TargetReady { url } => format!("target ready at {url}"),
            EventKind::TargetLacks { what } => format!("note: {what}"),
            EventKind::PhaseBegan { phase, .. } => format!("{at_s:6.1} s  phase {phase}"),
            EventKind::FaultDue { kind, planned, .. } => {
                format!("{at_s:6.1} s  fault {kind}: {planned} planned")
            }
            EventKind::FaultActed { failed: Some(why), .. } => {
                format!("{at_s:6.1} s  fault could not be carried out: {why}")
            }
            EventKind::CommandBegan { part, command, .. } => {
                format!("{at_s:6.1} s  {part} {command:?}")
            }
            EventKind::CommandEnded { run, .. } => {
                format!("{at_s:6.1} s  {}", run.told())
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
            EventKind::DrainEnded { drained, behind, not_live, unseen } => {
                let end = drain_end(*drained, *behind, *not_live, *unseen);
                format!("{at_s:6.1} s  {end}")
            }
            EventKind::UndoDone { id, failed: Some(why) } => {
                format!("{at_s:6.1} s  fault {id} was NOT TAKEN BACK: {why}")
            }
            EventKind::FaultActed { failed: None, .. }
            | EventKind::UndoOwed { .. }
            | EventKind::UndoDone { failed: None, .. }
            | EventKind::Interrupted
            | EventKind::Retired => return,
        };
        self.show(Shown::Line(text));
    }

    fn metrics(&mut self, label: &str, metrics: &FanoutMetrics) {
        self.bundle.metrics(label, metrics);
    }

    fn progress(&mut self, progress: &Progress) {
        self.show(Shown::Progress(progress.clone(), self.so_far.seen()));
    }
}

/// What became of the drain: that the topics ran dry is said only when they did.
fn drain_end(drained: bool, behind: u64, not_live: u64, unseen: u64) -> String {
    let missing = [
        (behind, "live clients behind"),
        (not_live, "clients not live"),
        (unseen, "acknowledged publishes that nobody has seen"),
    ];
    let missing: Vec<_> =
        missing.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    match (drained, missing.is_empty()) {
        (true, true) => "the topics ran dry".to_owned(),
        (true, false) => format!("nothing more comes: {}", missing.join(", ")),
        (false, true) => "the drain ended before the topics were known to be dry".to_owned(),
        (false, false) => format!("the topics did not run dry: {}", missing.join(", ")),
    }
}

/// Standard error.
struct Screen {
    bar: Option<ProgressBar>,
    last_plain_s: Option<u64>,
    /// What was seen when a line was last shown, and when that was.
    before: (u64, Seen),
}

impl Screen {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // What has no room on a narrow screen is cut at its end, where the least needed stands.
            let style = ProgressStyle::with_template("{bar:12} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, last_plain_s: None, before: (0, Seen::default()) }
    }

    fn show(mut self, all: &Receiver<Shown>) {
        while let Ok(shown) = all.recv() {
            match shown {
                Shown::Line(text) => match &self.bar {
                    Some(bar) => bar.println(text),
                    None => output::say(&text),
                },
                Shown::Progress(progress, seen) => self.progress(&progress, seen),
            }
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn progress(&mut self, progress: &Progress, seen: Seen) {
        let Progress { elapsed_s, planned_s, .. } = progress;
        let plain = self.bar.is_none();
        if plain && self.last_plain_s.is_some_and(|last| elapsed_s - last < PLAIN_EVERY_S) {
            return;
        }
        let (since, before) = std::mem::replace(&mut self.before, (*elapsed_s, seen));
        let line = line(progress, seen, (elapsed_s.saturating_sub(since), before));
        match &self.bar {
            Some(bar) => {
                bar.set_length(*planned_s);
                bar.set_position(*elapsed_s);
                bar.set_message(line);
            }
            None => {
                self.last_plain_s = Some(*elapsed_s);
                output::say(&format!("{elapsed_s:6} s  {line}"));
            }
        }
    }
}

/// How the run goes, in a line: what matters most first. `before` is what had been seen so many seconds ago.
fn line(progress: &Progress, seen: Seen, (seconds, before): (u64, Seen)) -> String {
    let Progress { elapsed_s, planned_s, phase, clients, online, live, published } = progress;
    let left = planned_s.saturating_sub(*elapsed_s);
    let violations = match seen.violations {
        0 => String::new(),
        1 => "1 VIOLATION, ".to_owned(),
        some => format!("{some} VIOLATIONS, "),
    };
    let rate = |now: u64, then: u64| now.saturating_sub(then).checked_div(seconds).unwrap_or(0);
    let updates = rate(seen.deliveries, before.deliveries);
    let connects = rate(seen.connects, before.connects);
    format!(
        "{phase}: {violations}{left} s left, {live} live, {online} of {clients} connected, {updates} updates/s, \
         {connects} connects/s, {published} published"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_the_topics_ran_dry_is_said_only_when_they_did() {
        for (drained, missing, said) in [
            (true, [0, 0, 0], "the topics ran dry"),
            (true, [0, 60, 0], "nothing more comes: 60 clients not live"),
            (false, [0, 0, 0], "the drain ended before the topics were known to be dry"),
            (
                false,
                [2, 1, 7],
                "the topics did not run dry: 2 live clients behind, 1 clients not live, \
                 7 acknowledged publishes that nobody has seen",
            ),
        ] {
            let [behind, not_live, unseen] = missing;
            assert_eq!(drain_end(drained, behind, not_live, unseen), said);
        }
    }

    #[test]
    fn a_line_says_what_matters_first_and_rates_by_what_was_seen_since() {
        let progress = Progress {
            elapsed_s: 30,
            planned_s: 72,
            phase: "storm".to_owned(),
            clients: 60,
            online: 59,
            live: 58,
            published: 7,
        };
        let seen = |deliveries, connects, violations| Seen { deliveries, connects, violations };
        assert_eq!(
            line(&progress, seen(1_500, 80, 0), (10, seen(500, 60, 0))),
            "storm: 42 s left, 58 live, 59 of 60 connected, 100 updates/s, 2 connects/s, 7 published"
        );
        let broken = line(&progress, seen(0, 0, 2), (0, Seen::default()));
        assert!(broken.starts_with("storm: 2 VIOLATIONS, 42 s left"), "{broken}");
    }
}
