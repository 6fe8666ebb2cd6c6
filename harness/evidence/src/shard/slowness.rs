//! Slow consumers, those of the harness and those that the target sees, as a shard takes them.

use super::Shard;
use crate::oracle::wrongful_eviction::{self, Notice};
use crate::record::Micros;

impl Shard {
    pub(super) fn slow_consumer(&mut self, notice: Notice) {
        let life = self.clients.entry(notice.client).or_default();
        if !life.slow.counts_as_slow(notice.at) {
            wrongful_eviction::on_notice(notice, &mut self.flow.tally);
        } else if notice.disconnect {
            life.slow.told_off(notice.at);
        }
    }

    /// Whether the harness ever made a client slow: what it missed is then the plan's doing.
    pub(super) fn was_slow(&self, client: u32) -> bool {
        self.clients.get(&client).is_some_and(|life| life.slow.ever())
    }

    pub(super) fn slow_began(&mut self, client: u32, at: Micros) {
        self.clients.entry(client).or_default().slow.began(at);
    }

    pub(super) fn slow_ended(&mut self, client: u32, at: Micros, same_session: bool) {
        let life = self.clients.entry(client).or_default();
        life.slow.ended(at, same_session);
        // While it was slow its own slowness kept it from converging.
        if let Some(since) = &mut life.unconverged_since {
            *since = at.max(*since);
        }
    }
}
