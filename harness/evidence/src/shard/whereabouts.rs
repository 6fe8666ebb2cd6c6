//! Where the clients that a fault is aimed at were when it was due: what it could hit, and why not the rest.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Shard;
use super::client::Client;
use crate::record::Micros;

/// Clients that a fault is aimed at, by where they were when it was due, as far as their records tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Whereabouts {
    /// They had a session.
    pub connected: u64,
    /// They had never had one.
    pub not_yet: u64,
    /// An earlier fault had cut them off, and they were not back: by its id.
    pub cut_by: BTreeMap<u16, u64>,
    /// They had lost their session otherwise.
    pub away: u64,
    /// They had left the run.
    pub retired: u64,
}

impl Whereabouts {
    fn enter(&mut self, life: &Client) {
        if life.retired_at.is_some() {
            self.retired += 1;
        } else if life.opened_at.is_some() {
            self.connected += 1;
        } else if let Some(cut) = life.cut {
            *self.cut_by.entry(cut.fault).or_default() += 1;
        } else if life.ended_by.is_some() {
            self.away += 1;
        } else {
            self.not_yet += 1;
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        self.connected += other.connected;
        self.not_yet += other.not_yet;
        self.away += other.away;
        self.retired += other.retired;
        for (fault, clients) in &other.cut_by {
            *self.cut_by.entry(*fault).or_default() += clients;
        }
    }
}

impl Shard {
    /// Notes where a client was when the faults were due that are aimed at it, up to now: before its life is
    /// changed by what happened now.
    pub(super) fn note_where(&mut self, client: u32, now: Micros) {
        let aimed = self.context.aimed_at(client);
        let life = self.clients.entry(client).or_default();
        while let Some(&(_, fault)) =
            aimed.get(usize::from(life.faults_due)).filter(|(due, _)| *due <= now)
        {
            life.faults_due += 1;
            self.flow.whereabouts.entry(fault).or_default().enter(life);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::client::Cut;
    use crate::shard::stability::Blame;

    #[test]
    fn a_client_is_somewhere_and_only_there() {
        let mut here = Whereabouts::default();
        let mut life = Client::default();
        here.enter(&life);
        life.opened_at = Some(5);
        here.enter(&life);
        life.opened_at = None;
        life.ended_by = Some(Blame::Target);
        here.enter(&life);
        life.cut = Some(Cut { fault: 3, intended: 7, at: 8 });
        here.enter(&life);
        // It is back, and has not got everything yet: a fault can hit it.
        life.opened_at = Some(9);
        here.enter(&life);
        life.retired_at = Some(10);
        here.enter(&life);
        let cut_by = BTreeMap::from([(3, 1)]);
        let expected = Whereabouts { connected: 2, not_yet: 1, cut_by, away: 1, retired: 1 };
        assert_eq!(here, expected);
        here.merge(&expected);
        assert_eq!((here.connected, here.cut_by[&3], here.retired), (4, 2, 2));
    }
}
