//! What is shown while a run goes on, on standard error: a live line on a terminal, else one plain
//! line every ten seconds and at each event that matters. And who else watches: the bundle, the dashboard.
//!
//! It is shown by a thread of its own, to which nobody waits for: whoever stops reading standard error
//! holds up no run, and misses what there was no room for.

use std::io::IsTerminal as _;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use khala_bundle::Writer;
use khala_engine::observe::{Event, EventKind, Observer, Progress};
use khala_evidence::render::terminal;
use khala_live::gates::{self, State};
use khala_live::{Dashboard, Frame, VIEWER, Watch, words};
use khala_wire::metrics::FanoutMetrics;

use crate::{output, screen, show};
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
    Event(Box<Event>),
    Progress(Progress),
}

/// Watches a run for the terminal, for the bundle and for the dashboard.
pub struct Live<'a> {
    bundle: &'a mut Writer,
    dashboard: Option<&'a Dashboard>,
    sender: Option<SyncSender<Shown>>,
    screen: Option<JoinHandle<()>>,
}

impl<'a> Live<'a> {
    /// A view that also feeds the bundle and the dashboard. Without a watch or a thread for it nothing is shown on
    /// standard error.
    pub fn new(
        bundle: &'a mut Writer,
        watch: Option<Watch>,
        dashboard: Option<&'a Dashboard>,
    ) -> Self {
        let Some(watch) = watch else {
            return Self { bundle, dashboard, sender: None, screen: None };
        };
        let (sender, receiver) = sync_channel(QUEUE);
        let screen = std::thread::Builder::new()
            .name("khala-live".to_owned())
            .spawn(move || Screen::new(watch).show(&receiver))
            .ok();
        Self { bundle, dashboard, sender: Some(sender), screen }
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
        let mut event = event.clone();
        if let EventKind::Interrupted { by } = &mut event.kind
            && self.dashboard.is_some_and(Dashboard::aborted)
        {
            *by = Some(VIEWER.to_owned());
        }
        self.bundle.event(&event);
        if let Some(dashboard) = self.dashboard {
            dashboard.event(&event);
        }
        self.show(Shown::Event(Box::new(event)));
    }

    fn metrics(&mut self, label: &str, metrics: &FanoutMetrics) {
        self.bundle.metrics(label, metrics);
    }

    fn progress(&mut self, progress: &Progress) {
        if let Some(dashboard) = self.dashboard {
            dashboard.progress(progress);
        }
        self.show(Shown::Progress(progress.clone()));
    }
}

/// Standard error.
struct Screen {
    watch: Watch,
    bar: Option<ProgressBar>,
    last_plain_s: Option<u64>,
}

impl Screen {
    fn new(watch: Watch) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:12} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { watch, bar, last_plain_s: None }
    }

    fn show(mut self, all: &Receiver<Shown>) {
        while let Ok(shown) = all.recv() {
            match shown {
                Shown::Event(event) => {
                    self.watch.event(&event);
                    match (words::line(&event), &self.bar) {
                        (Some(text), Some(bar)) => {
                            let text = screen::fitted(&text, show::columns_of_stderr());
                            bar.println(text.trim_end());
                        }
                        (Some(text), None) => output::say(&text),
                        (None, _) => {}
                    }
                }
                Shown::Progress(progress) => {
                    let frame = self.watch.progress(&progress);
                    self.progress(&frame);
                }
            }
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn progress(&mut self, frame: &Frame) {
        if let Some(bar) = &self.bar {
            bar.set_length(frame.planned_s);
            bar.set_position(frame.elapsed_s);
            bar.set_message(beside_the_bar(&line(frame), show::columns_of_stderr()));
            return;
        }
        if self.last_plain_s.is_some_and(|last| frame.elapsed_s - last < PLAIN_EVERY_S) {
            return;
        }
        self.last_plain_s = Some(frame.elapsed_s);
        output::say(&format!("{:6} s  {}", frame.elapsed_s, line(frame)));
    }
}

/// Columns of the bar.
const BAR: usize = 12;

/// A line for a screen of so many columns, its beginning beside the bar: what has no room there goes on below, so that
/// nothing of it is cut.
fn beside_the_bar(line: &str, columns: usize) -> String {
    let bar = "#".repeat(BAR);
    // The last column stays free: a terminal may move on to the next line once it is written.
    let lines = terminal::wrapped(&format!("{bar} {line}"), columns.saturating_sub(1));
    lines.trim_end().trim_start_matches(&bar).trim_start().to_owned()
}

/// How the run goes, in a line: what matters most first.
fn line(frame: &Frame) -> String {
    let violations = violations(frame);
    let gate = match gates::worst(&frame.gates) {
        Some((gate, claim)) if claim.state == State::Breaking => {
            let selector = match claim.selector.as_str() {
                "" => String::new(),
                selector => format!(" [{selector}]"),
            };
            let advisory = if gate.advisory { ", which is advisory," } else { "" };
            let (name, metric, require) = (&gate.name, &claim.metric, &claim.require);
            format!("gate {name}{advisory} beyond its bound so far: {metric}{selector} {require}")
        }
        // What is broken is told before, and nothing may deny it.
        _ if frame.violations + frame.skips > 0 => {
            "no other gate beyond its bound so far".to_owned()
        }
        _ => "no gate beyond its bound so far".to_owned(),
    };
    format!(
        "{}: {violations}{} s left, {} live, {} of {} connected, {:.0} updates/s, {:.0} connects/s, \
         {} published; {gate}",
        frame.phase,
        frame.planned_s.saturating_sub(frame.elapsed_s),
        frame.clients.live,
        frame.clients.online,
        frame.clients.planned,
        frame.deliveries_per_s,
        frame.connects_per_s,
        frame.published,
    )
}

/// Rules that are named beside the number of violations.
const RULES_TOLD: usize = 2;

/// How often rules were broken so far, and which most of all; empty of none. What never came is a violation only once
/// all has come together: until then it is told as what was skipped.
fn violations(frame: &Frame) -> String {
    let skips = match frame.skips {
        0 => String::new(),
        1 => "UPDATES SKIPPED once (judged at the end), ".to_owned(),
        some => format!("UPDATES SKIPPED {some} times (judged at the end), "),
    };
    broken(frame) + &skips
}

fn broken(frame: &Frame) -> String {
    let count = match frame.violations {
        0 => return String::new(),
        1 => "1 VIOLATION".to_owned(),
        some => format!("{some} VIOLATIONS"),
    };
    let mut rules: Vec<_> = frame.rules.iter().filter(|rule| rule.violations > 0).collect();
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.violations));
    let mut named: Vec<_> = rules.iter().take(RULES_TOLD).map(|rule| &*rule.rule).collect();
    named.extend((rules.len() > RULES_TOLD).then_some("…"));
    match named.as_slice() {
        [] => format!("{count}, "),
        named => format!("{count} ({}), ", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use khala_evidence::judge::Unit;
    use khala_live::frame::{Clients, RuleSoFar};
    use khala_live::gates::{ClaimSoFar, GateSoFar};

    use super::*;

    #[test]
    fn a_line_has_the_time_left_the_rates_and_the_gate_that_wants_a_look() {
        let gate = |name: &str, advisory, state| GateSoFar {
            name: name.to_owned(),
            advisory,
            state,
            claims: vec![ClaimSoFar {
                metric: "connect".to_owned(),
                selector: "surface=ios".to_owned(),
                during: Vec::new(),
                require: "p(50) < 1s".to_owned(),
                state,
                estimate: None,
                bounds: (None, None),
                unit: Unit::Micros,
                n: 3,
            }],
        };
        let mut frame = Frame {
            phase: "storm".to_owned(),
            elapsed_s: 8,
            planned_s: 20,
            clients: Clients { planned: 24, online: 20, live: 7 },
            published: 160,
            connects_per_s: 3.2,
            deliveries_per_s: 480.0,
            gates: vec![gate("first", false, State::Holding), gate("aside", true, State::Open)],
            ..Frame::default()
        };
        let load =
            "12 s left, 7 live, 20 of 24 connected, 480 updates/s, 3 connects/s, 160 published";
        let told = "no gate beyond its bound so far";
        assert_eq!(line(&frame), format!("storm: {load}; {told}"));
        // One that decides nothing is beyond its bound all the same.
        frame.gates.push(gate("beside", true, State::Breaking));
        let claim = "beyond its bound so far: connect [surface=ios] p(50) < 1s";
        let told = format!("gate beside, which is advisory, {claim}");
        assert_eq!(line(&frame), format!("storm: {load}; {told}"));
        frame
            .gates
            .extend([gate("worst", false, State::Breaking), gate("later", false, State::Breaking)]);
        frame.violations = 2;
        let told = format!("gate worst {claim}");
        assert_eq!(line(&frame), format!("storm: 2 VIOLATIONS, {load}; {told}"));
    }

    #[test]
    fn on_a_narrow_terminal_nothing_of_the_line_is_cut() {
        let frame = Frame {
            phase: "storm".to_owned(),
            elapsed_s: 8,
            planned_s: 20,
            violations: 12_345,
            skips: 678,
            rules: vec![RuleSoFar { rule: "false_replay_complete".to_owned(), violations: 12_345 }],
            ..Frame::default()
        };
        let whole = line(&frame);
        for columns in [60, 80, 200] {
            let told = beside_the_bar(&whole, columns);
            let mut lines = told.lines();
            let first = lines.next().expect("a line");
            assert!(first.chars().count() + BAR + 1 < columns, "{columns}: {told}");
            assert!(lines.all(|line| line.chars().count() < columns), "{columns}: {told}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&told), words(&whole), "{columns}");
        }
    }

    #[test]
    fn a_broken_rule_is_named_and_denied_by_nothing_else_in_the_line() {
        let rule = |rule: &str, violations| RuleSoFar { rule: rule.to_owned(), violations };
        let mut frame = Frame { violations: 3, ..Frame::default() };
        frame.rules = vec![rule("gap", 1), rule("phantom", 2), rule("lost_publish", 0)];
        let told = line(&frame);
        assert!(told.starts_with(": 3 VIOLATIONS (phantom, gap), "), "{told}");
        assert!(told.ends_with("; no other gate beyond its bound so far"), "{told}");
        frame.rules.extend([rule("wrong_reason", 1)]);
        let told = line(&frame);
        assert!(told.contains("(phantom, gap, …), "), "{told}");
        // What was skipped is judged when all is over.
        let told = line(&Frame { skips: 4, ..Frame::default() });
        assert!(told.starts_with(": UPDATES SKIPPED 4 times (judged at the end), "), "{told}");
        assert!(told.ends_with("; no other gate beyond its bound so far"), "{told}");
    }
}
