//! What waits for the whole run: the ledger, agreement between clients, the target's windows.

use std::collections::{BTreeMap, BTreeSet};

use khala_wire::topic::TopicId;

use super::client::Client;
use super::{Settled, Shard, never_recovered};
use crate::context::Context;
use crate::oracle::baseline::Versions;
use crate::oracle::ledger::Ledger;
use crate::oracle::lost_publish::Witness;
use crate::oracle::state_stale::Holder;
use crate::oracle::{
    End, Rule, Tally, after_unsubscribe, bad_duplicate, divergent_value, gap, late_publish,
    lost_publish, no_convergence, state_stale, wrongful_eviction,
};
use crate::record::{Micros, PublishId};

impl Shard {
    /// Settles what needs the whole run. `published_on`: the topics that the run's commands feed.
    #[must_use]
    pub fn settle(self, published_on: &BTreeSet<TopicId>, end: End) -> Settled {
        let Self { context, mut state } = self;
        let bounds = context.bounds().clone();
        let clients = std::mem::take(&mut state.clients);
        let mut clients_live_at_end = 0;
        let mut applied: BTreeMap<TopicId, u64> = BTreeMap::new();
        let mut settled_clients = BTreeMap::new();
        for (id, mut client) in clients {
            clients_live_at_end += u64::from(client.live_since.is_some());
            let at = client.retired_at.unwrap_or(end.at);
            if let (None, Some(since)) = (client.live_since, client.unconverged_since) {
                if client.slow.is_slow() {
                    state.tally.undecided(Rule::NoConvergence);
                } else {
                    let bound = bounds.converge_within;
                    no_convergence::judge(id, since, at, false, bound, &mut state.tally);
                }
            }
            if let Some(cut) = client.cut {
                never_recovered(&context, &mut state.metrics, id, cut, client.attempts);
            }
            client.marks.settle(bounds.storm_min_deliveries, &mut state.exposures);
            for (&topic, track) in &mut client.tracks {
                let lost = track.settle();
                gap::on_lost(id, topic, track.epoch, &lost, &mut state.tally);
                *applied.entry(topic).or_default() += track.applied;
            }
            settled_clients.insert(id, client);
        }
        divergent_value::settle(&state.ledger, &mut state.tally);
        bad_duplicate::settle(&state.ledger, &mut state.tally);
        late_publish::count_cases(&state.ledger, bounds.settle_within, &mut state.tally);
        clients_by_ledger(&context, &state.ledger, &settled_clients, end, &mut state.tally);
        let timelines = state.windows.timelines();
        for (&id, life) in &settled_clients {
            life.cursors.settle(id, &timelines, &mut state.tally);
        }
        let track_of =
            |client: u32, topic: TopicId| settled_clients.get(&client)?.tracks.get(&topic).cloned();
        state.replies.settle(&state.ledger, bounds.settle_within, &track_of, &mut state.tally);
        let witnesses: Vec<_> = settled_clients
            .iter()
            .map(|(&client, life)| Witness {
                client,
                live: life.is_witness(),
                tracks: &life.tracks,
            })
            .collect();
        lost_publish::settle(&state.ledger, published_on, &witnesses, end, &mut state.tally);
        let holders = settled_clients.iter().filter(|(_, life)| life.is_witness());
        let holders = holders.map(|(&client, life)| Holder {
            client,
            tracks: &life.tracks,
            versions: &life.versions,
            baselines: &life.baselines,
        });
        let versions = Versions::of(&state.ledger);
        state_stale::settle(&state.ledger, &versions, published_on, holders, end, &mut state.tally);
        Settled {
            clients: settled_clients.len() as u64,
            clients_live_at_end,
            applied,
            acknowledged: state.ledger.acknowledged().len() as u64,
            refused: state.ledger.refused(),
            replies: state.replies.len() as u64,
            tally: state.tally,
            metrics: state.metrics,
            series: state.series,
            exposures: state.exposures,
            totals: state.totals,
            findings: state.findings.into_list(),
        }
    }
}

/// Judges what each client left behind against the ledger.
fn clients_by_ledger(
    context: &Context,
    ledger: &Ledger,
    clients: &BTreeMap<u32, Client>,
    end: End,
    tally: &mut Tally,
) {
    let planned = |publish: &PublishId| matches!(publish, PublishId::Planned(_));
    let mut acknowledged: Vec<Micros> = ledger
        .acknowledged()
        .iter()
        .filter(|(publish, _)| planned(publish))
        .map(|(_, entry)| entry.at)
        .collect();
    acknowledged.sort_unstable();
    let published = |from: Micros, until: Micros| {
        let before = |at| acknowledged.partition_point(|&acknowledged| acknowledged < at);
        before(until.saturating_add(1)).saturating_sub(before(from)) as u64
    };
    let needed = context.eviction_needs();
    let mut slow = 0;
    for (&id, life) in clients {
        slow += u64::from(life.slow.ever());
        let until = life.retired_at.unwrap_or(end.at);
        life.slow.settle(id, until, needed, &published, tally);
        life.together.settle(id, ledger, context.bounds().settle_within, tally);
        for (&topic, track) in &life.tracks {
            after_unsubscribe::settle(topic, track, ledger, tally);
        }
    }
    wrongful_eviction::count_cases(clients.len() as u64, slow, tally);
}
