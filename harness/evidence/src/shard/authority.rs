//! Bad tokens, revocations, commands over the socket, and the target's own words, as a shard takes
//! them.

use khala_wire::topic::TopicId;

use super::Shard;
use super::found::Found;
use crate::oracle::after_unsubscribe;
use crate::oracle::authz_leak::{self, Outlives, Tried};
use crate::oracle::wrong_close_or_error::{self, Word};
use crate::record::{Delivery, Micros, Op, OpKind, Outcome, Place, Telling};

impl Shard {
    pub(super) fn word(&mut self, client: u32, at: Micros, place: Place, word: &str) {
        let life = self.clients.entry(client).or_default();
        let said = Word { client, at, place, word, revoked: life.revoked.is_some() };
        wrong_close_or_error::judge(&said, self.context.close_codes(), &mut self.flow.tally);
    }

    /// A batch of a topic that no subscribe of the socket had named.
    pub(super) fn unasked(&mut self, client: u32, at: Micros, topic: &str, seq: Option<u64>) {
        let granted = self.context.granted(client);
        let tally = &mut self.flow.tally;
        match TopicId::of(topic).filter(|topic| granted.contains(topic)) {
            Some(topic) => after_unsubscribe::on_never_subscribed(client, topic, seq, at, tally),
            None => authz_leak::on_ungranted_batch(client, at, topic, seq, tally),
        }
    }

    /// A topic that the client does not subscribe to was named to it: it may be one that its token opens.
    pub(super) fn named(&mut self, client: u32, at: Micros, topic: &str, by: Telling) {
        let granted = self.context.granted(client);
        if !TopicId::of(topic).is_some_and(|topic| granted.contains(&topic)) {
            authz_leak::on_named(client, at, topic, by, &mut self.flow.tally);
        }
    }

    pub(super) fn token_tried(&mut self, tried: Tried) {
        let Some(name) = tried.kind.finding() else {
            return authz_leak::on_tried(tried, &mut self.flow.tally);
        };
        let Tried { client, at, .. } = tried;
        match (authz_leak::outlives(tried), self.context.rule_of(name)) {
            (Outlives::Yes(message), _) => {
                let client = Some(client);
                self.found(Found { name, client, at, topic: None, seqs: None, message });
            }
            (Outlives::No, Some(rule)) => self.flow.tally.judged(rule, 1),
            (Outlives::Open, Some(rule)) => self.flow.tally.undecided(rule),
            (Outlives::No | Outlives::Open, None) => {}
        }
    }

    pub(super) fn revoked(&mut self, client: u32, at: Micros, connected: bool) {
        let life = self.clients.entry(client).or_default();
        life.revoked = authz_leak::on_revoked(at, connected, &mut self.flow.tally);
    }

    /// Judges a delivery by what the client was granted; says whether it may be applied.
    pub(super) fn authorised(&mut self, delivery: &Delivery) -> bool {
        if !self.context.granted(delivery.client).contains(&delivery.topic) {
            authz_leak::on_ungranted(delivery, &mut self.flow.tally);
            return false;
        }
        let life = self.clients.entry(delivery.client).or_default();
        if let Some(revoked) = &mut life.revoked {
            let grace = self.context.bounds().settle_within;
            authz_leak::on_delivery(revoked, delivery, grace, &mut self.flow.tally);
        }
        true
    }

    /// Judges the answer to a heartbeat by whether the session was revoked.
    pub(super) fn heartbeat_authorised(&mut self, op: &Op) {
        let Op { client, kind, start, done, outcome, .. } = *op;
        let Some(life) = self.clients.get_mut(&client) else { return };
        if let (OpKind::Heartbeat, Outcome::Ok, Some(revoked)) = (kind, outcome, &mut life.revoked)
        {
            let grace = self.context.bounds().settle_within;
            let times = (start, done);
            authz_leak::on_heartbeat(revoked, client, times, grace, &mut self.flow.tally);
        }
    }
}
