//! Who had not got everything when the run ended: what keeps it from having run dry.

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::Client;

/// Clients named, those that are furthest behind.
const NAMED_MAX: usize = 5;

/// A client that is behind on a topic.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Lag {
    /// Seqs between what it has and what any client has seen.
    pub by: u64,
    /// The client.
    pub client: u32,
    /// The topic.
    pub topic: TopicId,
}

/// Who had not got everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Behind {
    /// The furthest behind, the furthest first.
    pub lags: Vec<Lag>,
    /// Live clients that are behind on some topic.
    pub clients: u64,
    /// Clients that were not live.
    pub not_live: u64,
    /// Acknowledged publishes of the load that no client has seen.
    pub unseen: u64,
}

impl Behind {
    /// What the clients left that stay to the end, and so many acknowledged publishes that nobody has seen.
    pub(super) fn of(
        clients: &BTreeMap<u32, Client>,
        stays: impl Fn(u32) -> bool,
        unseen: u64,
    ) -> Self {
        let mut heads: BTreeMap<TopicId, u64> = BTreeMap::new();
        for (&topic, track) in clients.values().flat_map(|life| &life.tracks) {
            let head = heads.entry(topic).or_default();
            *head = track.last_applied.unwrap_or_default().max(*head);
        }
        let mut behind = Self { unseen, ..Self::default() };
        for (&client, life) in
            clients.iter().filter(|(id, life)| stays(**id) && !life.slow.is_slow())
        {
            if life.live_since.is_none() {
                behind.not_live += 1;
                continue;
            }
            let lag = |(&topic, track): (&TopicId, &crate::oracle::track::Track)| {
                let had = track.last_applied.max(track.highest).unwrap_or_default();
                let by = heads.get(&topic).copied().unwrap_or_default().saturating_sub(had);
                (by > 0).then_some(Lag { by, client, topic })
            };
            let lags: Vec<_> = life.tracks.iter().filter_map(lag).collect();
            behind.clients += u64::from(!lags.is_empty());
            behind.lags.extend(lags);
        }
        behind.lags.sort_unstable_by_key(|lag| (std::cmp::Reverse(lag.by), lag.client, lag.topic));
        behind.lags.truncate(NAMED_MAX);
        behind
    }

    /// Whether everybody had everything.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.clients == 0 && self.not_live == 0 && self.unseen == 0
    }
}
