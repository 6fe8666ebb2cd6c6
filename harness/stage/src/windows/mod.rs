//! The hold in rolling windows, by the numbers that operators hold the runtime to (contract, section 7).
//!
//! Windows roll over observed time, a second at a time: what nobody saw is in none of them. A window fails when
//! its figure is over the limit and the one-sided 95 % bound from below says so too; over the limit by the
//! estimate alone it is open, and an open window is no GO.

mod incidents;
mod judge;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use khala_evidence::judge::Verdict;
use khala_plan::rollout::Hold;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use incidents::Incident;
pub use judge::judge;

use crate::series::{Counts, Second};

/// Events that a resume may lag behind at the 95th percentile.
pub const LAG_MAX_EVENTS: u64 = 250;

/// What is looked at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Indicator {
    /// Connects and mints refused for the token, over all attempts.
    AuthFailures,
    /// Token requests that failed, over all of them.
    MintFailures,
    /// Resumes that lag by more than 250 events, over all resumes.
    ReplayLag,
    /// Resumes that nobody planned to be refused with `stale_cursor`, and that were.
    UnplannedStale,
    /// Connects after the first of a client that no fault planned.
    Reconnects,
    /// Heartbeats without an answer by the next one.
    HeartbeatTimeouts,
}

/// What an indicator may come to in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So much of all, 0 to 1.
    Share(f64),
    /// So many a second.
    Rate(f64),
    /// So many in ten minutes.
    Count(u64),
}

impl Indicator {
    /// Every indicator.
    pub const ALL: [Self; 6] = [
        Self::AuthFailures,
        Self::MintFailures,
        Self::ReplayLag,
        Self::UnplannedStale,
        Self::Reconnects,
        Self::HeartbeatTimeouts,
    ];

    /// The name that rollout files and reports use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AuthFailures => "auth_failures",
            Self::MintFailures => "mint_failures",
            Self::ReplayLag => "replay_lag",
            Self::UnplannedStale => "unplanned_stale_cursors",
            Self::Reconnects => "reconnects",
            Self::HeartbeatTimeouts => "heartbeat_timeouts",
        }
    }

    /// What it may come to (contract, section 7). The p95 of the lag is at most 250 where no more than 5 % of the
    /// resumes lag by more.
    #[must_use]
    pub fn limit(self) -> Limit {
        match self {
            Self::AuthFailures => Limit::Share(0.03),
            Self::MintFailures => Limit::Share(0.01),
            Self::ReplayLag => Limit::Share(0.05),
            Self::UnplannedStale => Limit::Count(50),
            Self::Reconnects => Limit::Rate(1.5),
            Self::HeartbeatTimeouts => Limit::Rate(0.05),
        }
    }

    /// The limit as reports write it.
    #[must_use]
    pub fn claim(self) -> &'static str {
        match self {
            Self::AuthFailures => "at most 3 % of the attempts",
            Self::MintFailures => "at most 1 % of the requests",
            Self::ReplayLag => "p95 at most 250 events",
            Self::UnplannedStale => "at most 50 in 10 min",
            Self::Reconnects => "at most 1.5/s",
            Self::HeartbeatTimeouts => "at most 0.05/s",
        }
    }
}

/// How windows are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Length of the hold, in seconds: windows that are longer are clipped to it.
    pub hold_s: u64,
    /// Rolling windows, in seconds.
    pub window_s: u64,
    /// The window of the share at which a hold ends at once, in seconds.
    pub escalate_s: u64,
    /// For how long auth failures must have been low before an incident is closed, in seconds.
    pub close_s: u64,
    /// The long window of burn rates, in seconds.
    pub burn_long_s: u64,
    /// The short one.
    pub burn_short_s: u64,
    /// How many times as fast as the limit a budget may be spent over both.
    pub burn_rate_max: f64,
    /// Indicators that must have had occasions.
    pub must_apply: Vec<String>,
}

/// Share of auth failures at which a hold ends at once (contract, section 7).
pub const ESCALATE_SHARE: f64 = 0.25;
/// Share below which an incident is closed (contract, section 7).
pub const CLOSE_SHARE: f64 = 0.02;

impl Settings {
    /// Those of a hold of so many seconds.
    #[must_use]
    pub fn of(hold: &Hold, hold_s: u64) -> Self {
        let seconds = |duration: Duration| duration.as_secs().max(1);
        Self {
            hold_s,
            window_s: 600,
            escalate_s: 300,
            close_s: 900,
            burn_long_s: seconds(hold.burn_long),
            burn_short_s: seconds(hold.burn_short),
            burn_rate_max: hold.burn_rate_max,
            must_apply: hold.must_apply.clone(),
        }
    }

    /// A window as it is drawn: in whole seconds, at least one, and no longer than the hold.
    fn clipped(&self, window_s: u64) -> usize {
        usize::try_from(window_s.min(self.hold_s).max(1)).unwrap_or(usize::MAX)
    }
}

/// What the rolling windows of a hold came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Windows {
    /// Length of the windows as they were drawn, in seconds.
    pub window_s: u64,
    /// Whether that is less than the contract's ten minutes.
    pub clipped: bool,
    /// By indicator.
    pub indicators: Vec<Line>,
    /// The hold in blocks of a window each, one after the other.
    pub blocks: Vec<Block>,
    /// Incidents of auth failures.
    pub incidents: Vec<Incident>,
    /// Whether more than a quarter of the sessions failed over five minutes.
    pub escalated: bool,
    /// What failed, with every second of it.
    pub failed: Vec<Failed>,
}

/// An indicator over the whole hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Which.
    pub indicator: Indicator,
    /// PASS, INCONCLUSIVE, FAIL; not applicable where there was no occasion and there need not be one.
    pub verdict: Verdict,
    /// Windows in which there was an occasion.
    pub windows: u64,
    /// Of them, those that fail.
    pub failed: u64,
    /// Those that are open.
    pub open: u64,
    /// Occurrences over the hold.
    pub total: Counts,
    /// The worst window: its figure, as people read it, and at which second of observed time it ends.
    pub worst: Option<(String, u64)>,
    /// The worst burn rates: over the long window, over the short one.
    pub burn: Option<(f64, f64)>,
    /// Why, in a sentence.
    pub reason: String,
}

/// A block of observed time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Block {
    /// First second of observed time in it.
    pub from_s: u64,
    /// First second after it.
    pub until_s: u64,
    /// What happened in it.
    pub counts: BTreeMap<Indicator, Counts>,
}

/// Windows of one indicator that failed, one after the other, or lie over one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// Which.
    pub indicator: Indicator,
    /// First second of observed time in them.
    pub from_s: u64,
    /// First second after them.
    pub until_s: u64,
    /// Each second that saw anything of it, the first [`SECONDS_MAX`]: (second of observed time, counts).
    pub seconds: Vec<(u64, Counts)>,
}

/// Seconds kept of windows that failed; the bundle has all of them.
pub const SECONDS_MAX: usize = 600;
/// Runs of failing windows that are kept of an indicator.
pub const FAILED_MAX: usize = 16;

/// How much of these seconds was observed, in seconds.
#[must_use]
pub fn observed_s(seconds: &[Second]) -> f64 {
    // The sum of none is -0 otherwise.
    seconds.iter().fold(0.0, |sum, second| sum + f64::from(second.observed_ms)) / 1e3
}
