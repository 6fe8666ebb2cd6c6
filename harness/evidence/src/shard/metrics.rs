//! The measured figures of a shard: histograms and counts by (metric, phase, surface), made lazily.
//!
//! Everything here is a sum of integers or a histogram, so that merging is exact in any order.

use std::collections::BTreeMap;

use khala_plan::metric::{Clustering, MetricId, MetricKind};
use khala_plan::surface::Surface;
use serde::{Deserialize, Serialize};

use crate::hist::{Hist, Sparse};
use crate::pairs;
use crate::record::{Micros, second_of};

/// Groups that clients are hashed into, for the design effect.
pub const CLIENT_GROUPS: u32 = 64;

/// What a cell belongs to. No surface where no client is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The metric.
    pub metric: MetricId,
    /// Index of the phase of the intended start.
    pub phase: u16,
    /// The client's surface.
    pub surface: Option<Surface>,
}

impl Key {
    /// Whether a cell belongs to a metric, one of some phases and, where one is named, a surface.
    #[must_use]
    pub fn is_of(&self, metric: MetricId, phases: &[u16], surface: Option<Surface>) -> bool {
        let is_selected = surface.is_none() || self.surface == surface;
        self.metric == metric && phases.contains(&self.phase) && is_selected
    }
}

/// A latency or magnitude.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// From the intended start: what is gated.
    pub response: Hist,
    /// From the actual start: the uncorrected figure beside it.
    pub service: Hist,
    /// Samples without a service time: the generator stood still while they were under way.
    #[serde(default)]
    pub apart: u64,
    /// Samples by cluster (second of the run, or group of clients), for the design effect.
    #[serde(with = "pairs")]
    pub clusters: BTreeMap<u32, Sparse>,
}

impl Distribution {
    fn merge(&mut self, other: &Self) {
        self.response.merge(&other.response);
        self.service.merge(&other.service);
        self.apart += other.apart;
        for (&cluster, theirs) in &other.clusters {
            self.clusters.entry(cluster).or_default().merge(theirs);
        }
    }

    /// Samples, censored ones included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.clusters.values().map(Sparse::len).sum()
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Samples that had not ended when they had to.
    #[must_use]
    pub fn censored(&self) -> u64 {
        self.clusters.values().map(Sparse::censored).sum()
    }
}

/// Bad over all, or occurrences (`all` then says out of how many chances, where that is known).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Bad ones, or occurrences.
    pub hits: u64,
    /// All.
    pub all: u64,
    /// Hits that no time would have mended: of clients that the target had turned away for good.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub for_good: u64,
    /// (hits, all) by cluster.
    #[serde(with = "pairs")]
    pub clusters: BTreeMap<u32, (u64, u64)>,
}

impl Count {
    fn merge(&mut self, other: &Self) {
        self.hits += other.hits;
        self.all += other.all;
        self.for_good += other.for_good;
        for (&cluster, &(hits, all)) in &other.clusters {
            let ours = self.clusters.entry(cluster).or_default();
            ours.0 += hits;
            ours.1 += all;
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// All figures of a shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    #[serde(with = "pairs")]
    distributions: BTreeMap<Key, Distribution>,
    #[serde(with = "pairs")]
    counts: BTreeMap<Key, Count>,
    #[serde(with = "pairs")]
    scheduler_lag: BTreeMap<(u16, u16), Hist>,
}

/// The cluster of a sample.
fn cluster(clustering: Clustering, client: u32, intended: Micros) -> u32 {
    match clustering {
        Clustering::Seconds => second_of(intended),
        // Hashed, so that neighbours in the ramp or on one source address do not share a group.
        Clustering::Clients => {
            let digest = khala_wire::canonical::digest64(&client.to_le_bytes());
            u32::try_from(digest % u64::from(CLIENT_GROUPS)).unwrap_or(0)
        }
    }
}

impl Metrics {
    /// Adds a sample of a distribution. `client` and `intended` choose the cluster.
    pub fn sample(&mut self, key: Key, client: u32, intended: Micros, response: u64, service: u64) {
        debug_assert!(matches!(key.metric.kind(), MetricKind::Latency | MetricKind::Magnitude));
        let cell = self.distributions.entry(key).or_default();
        cell.response.add(response);
        cell.service.add(service);
        let cluster = cluster(key.metric.clustering(), client, intended);
        cell.clusters.entry(cluster).or_default().add(response);
    }

    /// Adds a sample that had not ended after `waited`: beyond every threshold.
    pub fn censored(&mut self, key: Key, client: u32, intended: Micros, waited: u64) {
        let cell = self.distributions.entry(key).or_default();
        cell.response.add(waited);
        cell.service.add(waited);
        let cluster = cluster(key.metric.clustering(), client, intended);
        cell.clusters.entry(cluster).or_default().add_censored();
    }

    /// Adds `hits` out of `all`.
    pub fn count(&mut self, key: Key, client: u32, at: Micros, hits: u64, all: u64) {
        let cell = self.counts.entry(key).or_default();
        cell.hits += hits;
        cell.all += all;
        let cluster = cluster(key.metric.clustering(), client, at);
        let group = cell.clusters.entry(cluster).or_default();
        group.0 += hits;
        group.1 += all;
    }

    /// Says of a hit that was counted that no time would have mended it.
    pub fn for_good(&mut self, key: Key) {
        self.counts.entry(key).or_default().for_good += 1;
    }

    /// Adds a sample that was under way while the generator stood still: from its intended time it
    /// took as long as it took, but how long the target took is not known.
    pub fn sample_apart(&mut self, key: Key, client: u32, intended: Micros, response: u64) {
        let cell = self.distributions.entry(key).or_default();
        cell.response.add(response);
        cell.apart += 1;
        let cluster = cluster(key.metric.clustering(), client, intended);
        cell.clusters.entry(cluster).or_default().add(response);
    }

    /// Adds the lateness of a timer of a thread.
    pub fn scheduler_lag(&mut self, phase: u16, thread: u16, lag_us: Micros) {
        self.scheduler_lag.entry((phase, thread)).or_default().add(lag_us);
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        for (&key, theirs) in &other.distributions {
            self.distributions.entry(key).or_default().merge(theirs);
        }
        for (&key, theirs) in &other.counts {
            self.counts.entry(key).or_default().merge(theirs);
        }
        for (&thread, theirs) in &other.scheduler_lag {
            self.scheduler_lag.entry(thread).or_default().merge(theirs);
        }
    }

    /// Distributions by key.
    #[must_use]
    pub fn distributions(&self) -> &BTreeMap<Key, Distribution> {
        &self.distributions
    }

    /// Counts by key.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<Key, Count> {
        &self.counts
    }

    /// The distribution over some phases and, where one is named, of one surface.
    #[must_use]
    pub fn distribution(
        &self,
        metric: MetricId,
        phases: &[u16],
        surface: Option<Surface>,
    ) -> Distribution {
        let mut all = Distribution::default();
        for (key, cell) in &self.distributions {
            if key.is_of(metric, phases, surface) {
                all.merge(cell);
            }
        }
        all
    }

    /// The count over some phases and, where one is named, of one surface.
    #[must_use]
    pub fn count_of(&self, metric: MetricId, phases: &[u16], surface: Option<Surface>) -> Count {
        let mut all = Count::default();
        for (key, cell) in &self.counts {
            if key.is_of(metric, phases, surface) {
                all.merge(cell);
            }
        }
        all
    }

    /// How late the timers of each thread of the generator were over some phases.
    #[must_use]
    pub fn lag(&self, phases: &[u16]) -> BTreeMap<u16, Hist> {
        let mut threads: BTreeMap<u16, Hist> = BTreeMap::new();
        for (&(phase, thread), hist) in &self.scheduler_lag {
            if phases.contains(&phase) {
                threads.entry(thread).or_default().merge(hist);
            }
        }
        threads
    }
}
