//! From seconds to verdicts.

use khala_evidence::judge::{CONFIDENCE, Verdict};
use khala_evidence::stats::{binomial, poisson};

use super::{
    Block, ESCALATE_SHARE, FAILED_MAX, Failed, Indicator, Limit, Line, SECONDS_MAX, Settings,
    Windows, incidents,
};
use crate::series::{Counts, Second};

/// The contract's window, in seconds.
const CONTRACT_S: u64 = 600;
/// Failures that it takes at least for a share to be proven too large: one or two of a few say nothing.
const BAD_MIN: u64 = 3;

/// Sums over the beginnings of a hold, so that any window is one difference.
pub(super) struct Sums {
    bad: Vec<u64>,
    all: Vec<u64>,
    /// Observed milliseconds.
    time: Vec<u64>,
}

impl Sums {
    pub fn of(seconds: &[&Second], indicator: Indicator) -> Self {
        let mut sums = Self { bad: vec![0], all: vec![0], time: vec![0] };
        let (mut bad, mut all, mut time) = (0, 0, 0);
        for second in seconds {
            let counts = second.counts.get(&indicator).copied().unwrap_or_default();
            (bad, all) = (bad + counts.bad, all + counts.all);
            time += u64::from(second.observed_ms);
            sums.bad.push(bad);
            sums.all.push(all);
            sums.time.push(time);
        }
        sums
    }

    /// The seconds `from` to `until`.
    pub fn within(&self, from: usize, until: usize) -> Counts {
        Counts { bad: self.bad[until] - self.bad[from], all: self.all[until] - self.all[from] }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a week")]
    fn seconds(&self, from: usize, until: usize) -> f64 {
        (self.time[until] - self.time[from]) as f64 / 1e3
    }
}

/// A figure of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figure {
    /// How many times its limit it is, by the estimate.
    estimate: f64,
    /// The same by the bound from below.
    lower: f64,
}

/// The figure of a window; `None` where there was no occasion.
#[expect(clippy::cast_precision_loss, reason = "counts of a hold")]
fn figure(limit: Limit, counts: Counts, seconds: f64) -> Option<Figure> {
    let bad = counts.bad as f64;
    let rate = |per_s: f64| {
        (seconds > 0.0).then(|| Figure {
            estimate: bad / seconds / per_s,
            lower: poisson::lower(bad, seconds, CONFIDENCE).unwrap_or(0.0) / per_s,
        })
    };
    match limit {
        Limit::Share(share) => (counts.all > 0).then(|| {
            let all = counts.all.max(counts.bad) as f64;
            let proven = counts.bad >= BAD_MIN;
            let lower = binomial::lower(bad, all, CONFIDENCE).filter(|_| proven).unwrap_or(0.0);
            Figure { estimate: bad / all / share, lower: lower / share }
        }),
        Limit::Rate(per_s) => rate(per_s),
        // What was counted was counted: a count has no bound.
        Limit::Count(max) => {
            (seconds > 0.0).then(|| Figure { estimate: bad / max as f64, lower: bad / max as f64 })
        }
    }
}

/// Judges the seconds of a hold, those that were observed, in order.
#[must_use]
pub fn judge(seconds: &[Second], settings: &Settings) -> Windows {
    let observed: Vec<&Second> = seconds.iter().filter(|second| second.observed_ms > 0).collect();
    let window = settings.clipped(settings.window_s);
    let mut failed = Vec::new();
    let lines = Indicator::ALL
        .into_iter()
        .map(|indicator| line(indicator, &observed, window, settings, &mut failed))
        .collect();
    let auth = Sums::of(&observed, Indicator::AuthFailures);
    let escalated = escalated(&auth, &observed, settings);
    let mut windows = Windows {
        window_s: window as u64,
        clipped: (window as u64) < CONTRACT_S,
        indicators: lines,
        blocks: blocks(&observed, window),
        incidents: incidents::of(&auth, observed.len(), window, settings),
        escalated,
        failed,
    };
    if escalated && let Some(line) = windows.indicators.first_mut() {
        line.verdict = Verdict::Fail;
        line.reason = "more than 25 % of the sessions failed over five minutes".to_owned();
    }
    windows
}

fn line(
    indicator: Indicator,
    seconds: &[&Second],
    window: usize,
    settings: &Settings,
    failed: &mut Vec<Failed>,
) -> Line {
    let sums = Sums::of(seconds, indicator);
    let len = seconds.len();
    let mut line = Line {
        indicator,
        verdict: Verdict::Pass,
        windows: 0,
        failed: 0,
        open: 0,
        total: sums.within(0, len),
        worst: None,
        burn: burn(indicator, &sums, len, settings),
        reason: String::new(),
    };
    let mut worst = -1.0;
    let mut failing: Vec<(usize, usize)> = Vec::new();
    // Of what is shorter than a window, all of it is one.
    for until in window.min(len).max(1)..=len {
        let from = until.saturating_sub(window);
        let counts = sums.within(from, until);
        let Some(figure) = figure(indicator.limit(), counts, sums.seconds(from, until)) else {
            continue;
        };
        line.windows += 1;
        if figure.estimate > worst {
            worst = figure.estimate;
            let told = told(indicator.limit(), counts, sums.seconds(from, until));
            line.worst = Some((told, until as u64));
        }
        if figure.lower > 1.0 {
            line.failed += 1;
            match failing.last_mut().filter(|(_, last)| *last >= from) {
                Some((_, last)) => *last = until,
                None => failing.push((from, until)),
            }
        } else if figure.estimate > 1.0 {
            line.open += 1;
        }
    }
    let kept = failing.iter().take(FAILED_MAX);
    failed.extend(kept.map(|&(from, until)| kept_whole(indicator, seconds, from, until)));
    conclude(&mut line, settings);
    line
}

fn conclude(line: &mut Line, settings: &Settings) {
    let must = settings.must_apply.iter().any(|name| name == line.indicator.name());
    let burning = line.burn.filter(|(long, short)| long.min(*short) > settings.burn_rate_max);
    let worst = line.worst.as_ref().map_or("nothing", |(told, _)| told.as_str());
    (line.verdict, line.reason) = match (line.windows, line.failed, burning) {
        (0, ..) if must => (
            Verdict::Inconclusive,
            "it had no occasion in the hold, and must have had one".to_owned(),
        ),
        (0, ..) => (Verdict::NotApplicable, "it had no occasion in the hold".to_owned()),
        (windows, failed @ 1.., _) => {
            (Verdict::Fail, format!("{failed} of {windows} windows fail; the worst: {worst}"))
        }
        (_, 0, Some((long, short))) => (
            Verdict::Fail,
            format!(
                "its budget is spent {long:.1} times as fast as it may be over the long window, and \
                 {short:.1} times over the short one"
            ),
        ),
        (windows, 0, None) if line.open > 0 => (
            Verdict::Inconclusive,
            format!(
                "{} of {windows} windows are over the limit, and too little was seen to prove it; the worst: {worst}",
                line.open
            ),
        ),
        (windows, 0, None) => (Verdict::Pass, format!("{windows} windows, the worst: {worst}")),
    };
}

/// The worst burn rates by their bounds from below: those at which the lesser of both is largest.
fn burn(indicator: Indicator, sums: &Sums, len: usize, settings: &Settings) -> Option<(f64, f64)> {
    let long = settings.clipped(settings.burn_long_s);
    let short = settings.clipped(settings.burn_short_s);
    let limit = match indicator.limit() {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        Limit::Count(max) => Limit::Rate(max as f64 / CONTRACT_S as f64),
        other => other,
    };
    let mut worst: Option<(f64, f64)> = None;
    for until in long.min(len).max(1)..=len {
        let over = |window: usize| {
            let from = until.saturating_sub(window);
            figure(limit, sums.within(from, until), sums.seconds(from, until))
        };
        let (Some(long), Some(short)) = (over(long), over(short)) else { continue };
        if worst.is_none_or(|(l, s)| long.lower.min(short.lower) > l.min(s)) {
            worst = Some((long.lower, short.lower));
        }
    }
    worst
}

fn escalated(auth: &Sums, seconds: &[&Second], settings: &Settings) -> bool {
    let window = settings.clipped(settings.escalate_s);
    let len = seconds.len();
    (window..=len).any(|until| {
        let counts = auth.within(until - window, until);
        let time = auth.seconds(until - window, until);
        figure(Limit::Share(ESCALATE_SHARE), counts, time).is_some_and(|of| of.lower > 1.0)
    })
}

fn blocks(seconds: &[&Second], window: usize) -> Vec<Block> {
    let block = |(number, chunk): (usize, &[&Second])| {
        let from_s = (number * window) as u64;
        let mut counts = std::collections::BTreeMap::new();
        for (&indicator, more) in chunk.iter().flat_map(|second| &second.counts) {
            let all: &mut Counts = counts.entry(indicator).or_default();
            all.bad += more.bad;
            all.all += more.all;
        }
        Block { from_s, until_s: from_s + chunk.len() as u64, counts }
    };
    seconds.chunks(window).enumerate().map(block).collect()
}

fn kept_whole(indicator: Indicator, seconds: &[&Second], from: usize, until: usize) -> Failed {
    let rows = seconds[from..until].iter().zip(from as u64..);
    let rows = rows.filter_map(|(second, at)| Some((at, *second.counts.get(&indicator)?)));
    Failed {
        indicator,
        from_s: from as u64,
        until_s: until as u64,
        seconds: rows.take(SECONDS_MAX).collect(),
    }
}

/// The figure of a window, for people.
#[expect(clippy::cast_precision_loss, reason = "counts of a hold")]
fn told(limit: Limit, counts: Counts, seconds: f64) -> String {
    let Counts { bad, all } = counts;
    match limit {
        Limit::Share(_) => {
            format!("{bad} of {all} ({:.2} %)", 100.0 * bad as f64 / all.max(1) as f64)
        }
        Limit::Rate(_) => {
            format!("{bad} in {seconds:.0} s ({:.3}/s)", bad as f64 / seconds.max(1e-3))
        }
        Limit::Count(_) => format!("{bad} in {seconds:.0} s"),
    }
}
