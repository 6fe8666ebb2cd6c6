//! What a shard gathers and never reads before the end: sums, histograms, the ledger, violations.
//!
//! The journal is made of these, one a second and thread. Merging all of them, in any order, gives
//! what the run as a whole gathered.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Totals;
use super::exposure::Exposure;
use super::findings::Findings;
use super::flight::Stories;
use super::metrics::Metrics;
use super::probes::Probes;
use super::series::Series;
use super::stability::Stability;
use super::stalls::Stalls;
use super::whereabouts::Whereabouts;
use crate::oracle::Tally;
use crate::oracle::bad_snapshot::content::Contents;
use crate::oracle::false_replay_complete::Replies;
use crate::oracle::future_cursor::Stay;
use crate::oracle::ledger::Ledger;
use crate::oracle::missing::Lost;
use crate::oracle::stands::Stands;
use crate::oracle::state_late::Jumps;
use crate::oracle::windows::Windows;
use crate::record::Resource;

/// What was gathered in some time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    pub(super) ledger: Ledger,
    #[serde(default)]
    pub(super) lost: Lost,
    #[serde(default)]
    pub(super) jumps: Jumps,
    pub(super) replies: Replies,
    #[serde(default)]
    pub(super) stands: Stands,
    pub(super) windows: Windows,
    #[serde(default)]
    pub(super) snapshots: Contents,
    pub(crate) tally: Tally,
    pub(crate) metrics: Metrics,
    pub(crate) series: Series,
    pub(super) exposures: BTreeMap<u16, Exposure>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) whereabouts: BTreeMap<u16, Whereabouts>,
    pub(super) totals: Totals,
    pub(super) findings: Findings,
    #[serde(default)]
    pub(super) beyond_head: BTreeSet<Stay>,
    pub(super) stalls: Stalls,
    pub(super) probes: Probes,
    #[serde(with = "crate::pairs")]
    pub(super) exhausted: BTreeMap<Resource, u64>,
    #[serde(default)]
    pub(crate) stability: Stability,
    pub(super) stories: Stories,
    /// Times that clients which read saw seqs skipped. Whether what is missing is lost is judged at the end; those who
    /// watch hear of it.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(crate) skips: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

impl Flow {
    /// Nothing yet, to keep up to `violations_kept` violations of each rule.
    pub(crate) fn new(violations_kept: u32) -> Self {
        Self {
            ledger: Ledger::default(),
            lost: Lost::default(),
            jumps: Jumps::default(),
            replies: Replies::default(),
            stands: Stands::default(),
            windows: Windows::default(),
            snapshots: Contents::default(),
            tally: Tally::new(violations_kept),
            metrics: Metrics::default(),
            series: Series::default(),
            exposures: BTreeMap::new(),
            whereabouts: BTreeMap::new(),
            totals: Totals::default(),
            findings: Findings::default(),
            beyond_head: BTreeSet::new(),
            stalls: Stalls::default(),
            probes: Probes::default(),
            exhausted: BTreeMap::new(),
            stability: Stability::default(),
            stories: Stories::default(),
            skips: 0,
        }
    }

    /// Adds another flow of the same run.
    pub(super) fn merge(&mut self, other: Self) {
        self.ledger.merge(other.ledger);
        self.lost.merge(other.lost);
        self.jumps.merge(other.jumps);
        self.replies.merge(other.replies);
        self.stands.merge(other.stands);
        self.windows.merge(other.windows);
        self.snapshots.merge(other.snapshots);
        self.tally.merge(other.tally);
        self.metrics.merge(&other.metrics);
        self.series.merge(&other.series);
        for (fault, exposure) in other.exposures {
            self.exposures.entry(fault).or_default().merge(&exposure);
        }
        for (fault, whereabouts) in other.whereabouts {
            self.whereabouts.entry(fault).or_default().merge(&whereabouts);
        }
        self.totals.merge(&other.totals);
        self.findings.merge(other.findings);
        self.beyond_head.extend(other.beyond_head);
        self.stalls.merge(&other.stalls);
        self.probes.merge(&other.probes);
        self.stability.merge(other.stability);
        self.stories.merge(other.stories);
        self.skips += other.skips;
        for (resource, times) in other.exhausted {
            *self.exhausted.entry(resource).or_default() += times;
        }
    }

    /// The figures.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// When the generator stood still, until the flow was taken.
    #[must_use]
    pub fn stalls(&self) -> &Stalls {
        &self.stalls
    }

    /// Sockets of clients that were opened, and those that are gone.
    #[must_use]
    pub fn sockets(&self) -> (u64, u64) {
        (self.series.total(|row| row.connected), self.series.total(|row| row.disconnected))
    }

    /// What the rules found.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The plain counts.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What befell the run.
    #[must_use]
    pub fn stability(&self) -> &Stability {
        &self.stability
    }
}
