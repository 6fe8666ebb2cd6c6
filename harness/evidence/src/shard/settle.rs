//! What waits for the whole run: the ledger, agreement between clients, the target's windows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use khala_plan::units::micros;
use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::absence;
use super::behind::Behind;
use super::client::Client;
use super::findings::Seen;
use super::flow::Flow;
use super::found::Found;
use super::stalls::Stalls;
use super::{Settled, Shard, never_recovered, spread};
use crate::context::Context;
use crate::oracle::baseline::Versions;
use crate::oracle::false_replay_complete::Against;
use crate::oracle::late_publish::Stood;
use crate::oracle::ledger::Ledger;
use crate::oracle::lost_publish::{Owed, Witness};
use crate::oracle::stands::Later;
use crate::oracle::starved_topic::Commands;
use crate::oracle::state_stale::Holder;
use crate::oracle::windows::Timelines;
use crate::oracle::{
    End, Rule, Tally, after_unsubscribe, authz_leak, bad_duplicate, divergent_value, future_cursor,
    gap, late_publish, lost_publish, no_convergence, phantom, slow, stands, state_stale, successor,
    wrongful_eviction,
};
use crate::record::{Micros, PublishId};

impl Shard {
    /// Settles what needs the whole run. `published_on`: the topics that the run's commands feed.
    #[must_use]
    pub fn settle(self, published_on: &BTreeSet<TopicId>, end: End) -> Settled {
        let Self { context, clients, mut flow, stalls } = self;
        let lives = Lives::settle(clients, &context, &stalls, end, &mut flow);
        spread::settle(&context, &stalls, &mut flow);
        ledger_alone(&context, &mut flow, published_on, end);
        silences(&context, &mut flow);
        let around =
            Around { context: &context, ledger: &flow.ledger, stalls: &stalls, published_on };
        let evictions = flow.totals.evictions;
        let untold = clients_by_ledger(&around, &lives.clients, end, evictions, &mut flow.tally);
        if untold > 0 {
            let message = format!(
                "sockets of clients that the harness made slow, which the target ended without a word that \
                 reached the client; of {evictions} evictions that the target counted"
            );
            flow.findings.add(at_end("ended_untold", message, untold));
        }
        between_clients(&context, &stalls, &mut flow, published_on, &lives.clients, end);
        // What was only found now has the client's last frames for its story.
        for violation in flow.tally.kept() {
            if let Some((client, life)) =
                violation.client.and_then(|client| Some((client, lives.clients.get(&client)?)))
                && !life.told
            {
                flow.stories.keep(client, life.story(end.at));
            }
        }
        let absences = absence::absences(&flow.stability, &stalls, &context);
        let unseen = unseen(&flow.ledger, published_on, &lives.clients);
        Settled {
            absences,
            behind: Behind::of(&lives.clients, |client| !context.leaves(client), unseen),
            sight: flow.windows.sight(),
            stability: flow.stability,
            clients: lives.clients.len() as u64,
            clients_live_at_end: lives.live_at_end,
            applied: lives.applied,
            unreached: lives
                .unreached
                .into_iter()
                .map(|(topic, who)| (topic, who.into_iter().collect()))
                .collect(),
            acknowledged: flow.ledger.acknowledged().len() as u64,
            refused: flow.ledger.unanswered().len() as u64,
            replies: flow.replies.len() as u64,
            tally: flow.tally,
            metrics: flow.metrics,
            series: flow.series,
            exposures: flow.exposures,
            whereabouts: flow.whereabouts,
            totals: flow.totals,
            findings: flow.findings.into_list(),
            stalls,
            probes: flow.probes,
            exhausted: flow.exhausted,
            stories: flow.stories,
        }
    }
}

/// The clients when nothing more comes.
struct Lives {
    clients: BTreeMap<u32, Client>,
    live_at_end: u64,
    /// Updates applied, by topic, over all clients.
    applied: BTreeMap<TopicId, u64>,
    /// Of a passive run: clients that subscribed to a topic and applied nothing of it.
    unreached: BTreeMap<TopicId, BTreeSet<u32>>,
}

impl Lives {
    /// Judges what each client's own life says: whether it converged and came back, and what it lost.
    fn settle(
        clients: BTreeMap<u32, Client>,
        context: &Context,
        stalls: &Stalls,
        end: End,
        flow: &mut Flow,
    ) -> Self {
        let bounds = context.bounds();
        let mut lives = Self {
            clients: BTreeMap::new(),
            live_at_end: 0,
            applied: BTreeMap::new(),
            unreached: BTreeMap::new(),
        };
        for (id, mut client) in clients {
            let leaves = context.leaves(id);
            lives.live_at_end += u64::from(client.live_since.is_some() && !leaves);
            let at = client.retired_at.unwrap_or(end.at);
            if let (None, Some(since)) = (client.live_since, client.unconverged_since) {
                if client.slow.is_slow() {
                    flow.tally.undecided(Rule::NoConvergence);
                } else {
                    let bound = bounds.converge_within;
                    let own = stalls.of(context.thread_of(id));
                    let at = at.saturating_sub(own.within(since, at));
                    no_convergence::judge(id, since, at, false, bound, &mut flow.tally);
                }
            }
            let seq_of = |topic: TopicId| {
                let track = client.tracks.get(&topic);
                track.and_then(|track| track.highest).unwrap_or_default()
            };
            let own = stalls.of(context.thread_of(id));
            let settle_within = bounds.settle_within;
            client.heads_told.settle((id, at), seq_of, own, settle_within, &mut flow.tally);
            // Who left by plan within the phase had not the time that others had.
            if let Some(cut) = client.cut.filter(|cut| !context.leaves_within(id, cut.fault)) {
                let tried = (client.attempts, client.turned_away);
                never_recovered(context, &mut flow.metrics, id, cut, tried);
            }
            let back = client.cut.is_none();
            if !leaves {
                client.marks.settle(back, bounds.storm_min_deliveries, &mut flow.exposures);
            }
            for (&topic, track) in &mut client.tracks {
                let lost = track.settle();
                flow.lost.add(id, topic, track.epoch, &lost);
                *lives.applied.entry(topic).or_default() += track.applied;
                if track.applied == 0 && context.is_passive() {
                    lives.unreached.entry(topic).or_default().insert(id);
                }
            }
            lives.clients.insert(id, client);
        }
        lives
    }
}

/// Judges what the ledger alone says: contents that differ, publishes that nobody made or that were refused
/// and came, and events that wait for their successor.
fn ledger_alone(context: &Context, flow: &mut Flow, published_on: &BTreeSet<TopicId>, end: End) {
    let settle_within = context.bounds().settle_within;
    for misnamed in flow.ledger.reconcile() {
        divergent_value::misnamed(&misnamed, &mut flow.tally);
    }
    divergent_value::settle(&flow.ledger, &mut flow.tally);
    bad_duplicate::settle(&flow.ledger, &mut flow.tally);
    if context.is_exclusive() {
        let (ledger, tally) = (&flow.ledger, &mut flow.tally);
        phantom::settle(ledger, published_on, settle_within, end.drained, tally);
    }
    late_publish::count_cases(&flow.ledger, settle_within, &mut flow.tally);
    if let (times, Some((publish, status, topic, seq))) = flow.ledger.refused_and_seen() {
        let message = format!(
            "{} was refused with HTTP {status}, and seq {seq} of {} is it",
            name(publish),
            topic.name()
        );
        flow.findings.add(at_end("refused_command_came_out", message, times));
    }
    for &topic in published_on {
        if let Some((message, count)) = successor::find(&flow.ledger, topic) {
            flow.findings.add(at_end(successor::NAME, message, count));
        }
    }
}

/// Tells of the silences that followed cursors beyond head.
fn silences(context: &Context, flow: &mut Flow) {
    let settle_within = context.bounds().settle_within;
    for silence in future_cursor::settle(&flow.beyond_head, &flow.ledger, settle_within) {
        let future_cursor::Silence { stay, missed, seqs, times: (at, last), message } = silence;
        let (client, topic, seqs) = (Some(stay.client), Some(stay.topic), Some(seqs));
        let found = Found { name: future_cursor::NAME, client, at, topic, seqs, message };
        found.enter_as((missed, last), context, &mut flow.findings, &mut flow.tally);
    }
}

/// Judges what takes all clients together: cursors by the target's windows, replies by what came, what was
/// lost by who else got it, and the versions of states.
fn between_clients(
    context: &Context,
    stalls: &Stalls,
    flow: &mut Flow,
    published_on: &BTreeSet<TopicId>,
    clients: &BTreeMap<u32, Client>,
    end: End,
) {
    let settle_within = context.bounds().settle_within;
    let timelines = timelines(settle_within, flow);
    for (&id, life) in clients {
        life.cursors.settle(id, &timelines, settle_within, &mut flow.tally);
    }
    let track_of = |client: u32, topic: TopicId| clients.get(&client)?.tracks.get(&topic).cloned();
    let (ledger, by_sight) = (&flow.ledger, context.is_passive());
    let later = &Later::of(ledger, settle_within);
    let (timelines_of, track_of) = (&timelines, &track_of);
    let against =
        Against { ledger, later, timelines: timelines_of, settle_within, by_sight, track_of };
    flow.replies.settle(&against, &mut flow.tally);
    flow.stands.settle(later, &mut flow.tally);
    if let Some((message, count)) = stands::of_metrics(&flow.windows, later) {
        flow.findings.add(at_end("metrics_disagree", message, count));
    }
    let witnesses: Vec<_> = clients
        .iter()
        .map(|(&client, life)| {
            let live = life.is_witness() && !context.leaves(client);
            Witness { client, live, tracks: &life.tracks }
        })
        .collect();
    let owed = missing(context, flow, published_on, clients, end);
    lost_publish::settle(&flow.ledger, published_on, &owed, &witnesses, end, &mut flow.tally);
    if context.is_passive() {
        let due_by = context.drain_from();
        lost_publish::settle_by_sight(&flow.ledger, &witnesses, due_by, end, &mut flow.tally);
    }
    let holders =
        clients.iter().filter(|(client, life)| life.is_witness() && !context.leaves(**client));
    let holders = holders.map(|(&client, life)| Holder {
        client,
        tracks: &life.tracks,
        versions: &life.versions,
        held: &life.held,
        baselines: &life.baselines,
    });
    let stalls_of = |client| stalls.of(context.thread_of(client));
    flow.jumps.settle(&flow.ledger, stalls_of, settle_within, &mut flow.tally);
    let versions = Versions::of(&flow.ledger);
    flow.snapshots.settle(&flow.ledger, &versions, settle_within, &mut flow.tally);
    let known = (&versions, &timelines);
    state_stale::settle(&flow.ledger, known, published_on, holders, end, &mut flow.tally);
}

/// What the target's windows say, as far as they are not older than they seem.
fn timelines(settle_within: Duration, flow: &mut Flow) -> Timelines {
    let mut seen: BTreeMap<TopicId, Vec<(Micros, u64)>> = BTreeMap::new();
    for (&(topic, seq), contents) in flow.ledger.seen() {
        if let Some(first) = contents.values().map(|content| content.first.0).min() {
            seen.entry(topic).or_default().push((first, seq));
        }
    }
    let settle_us = Micros::try_from(settle_within.as_micros()).unwrap_or(Micros::MAX);
    let age = flow.windows.age(&seen, settle_us);
    if age > 0 {
        let message = format!(
            "the fan-out metrics were up to {:.1} s old when they were answered: they showed heads below what clients \
             had been sent before. What they bound is taken to be as old",
            Duration::from_micros(age).as_secs_f64()
        );
        flow.findings.add(at_end("old_metrics", message, 1));
    }
    flow.windows.timelines(age)
}

/// Found in the whole of the run, at no time of it.
fn at_end(name: &str, message: String, count: u64) -> Seen {
    Seen { name: name.to_owned(), count, times: None, client: None, message }
}

fn name(publish: PublishId) -> String {
    match publish {
        PublishId::Planned(n) => format!("publish {n}"),
        PublishId::Lifecycle { worker, seq } => format!("event {seq} of worker {worker}"),
        PublishId::OverSession { client } => format!("the command of client {client}"),
    }
}

/// Judges what is missing of each topic; gives what is owed of them, as `lost_publish` must know it.
fn missing(
    context: &Context,
    flow: &mut Flow,
    published_on: &BTreeSet<TopicId>,
    clients: &BTreeMap<u32, Client>,
    end: End,
) -> BTreeMap<TopicId, Owed> {
    let missed = flow.lost.topics().keys().chain(published_on).copied();
    let topics: BTreeSet<_> = missed.collect();
    let mut owed = BTreeMap::new();
    for topic in topics {
        let tracks = clients.values().filter_map(|life| life.tracks.get(&topic));
        let from = tracks.filter_map(|track| track.owed_from).min().unwrap_or_default();
        let seqs = gap::Seqs {
            exclusive: context.is_exclusive(),
            holes_are_gaps: context.is_rule("holes"),
            drained: end.drained,
            owed_from: from,
        };
        let found = gap::settle(topic, &flow.lost, &flow.ledger, seqs, &mut flow.tally);
        owed.insert(topic, Owed { from, gaps: found.claimed });
        if let Some(first) = found.first_hole {
            let gap::Found { holes, failed, .. } = found;
            let message = format!(
                "seqs of {} that nobody saw and no acknowledged publish can claim, the first of them \
                 {first}: {holes}; {failed} commands failed or were not answered",
                topic.name()
            );
            flow.findings.add(at_end("holes", message, holes));
        }
    }
    owed
}

/// Acknowledged publishes of the load that nobody has seen, although somebody subscribes to where they
/// come out one by one.
fn unseen(
    ledger: &Ledger,
    published_on: &BTreeSet<TopicId>,
    clients: &BTreeMap<u32, Client>,
) -> u64 {
    let subscribed =
        |topic: &&TopicId| clients.values().any(|life| life.tracks.contains_key(topic));
    let mut streams = published_on.iter().filter(|topic| topic.kind() == TopicKind::Stream);
    let Some(&stream) = streams.find(subscribed) else { return 0 };
    let seqs = ledger.seqs();
    let planned = |publish: &&PublishId| matches!(publish, PublishId::Planned(_));
    let acknowledged = ledger.acknowledged().keys().filter(planned);
    acknowledged.filter(|publish| !seqs.contains_key(&(stream, **publish))).count() as u64
}

/// What the lives of clients are judged against.
struct Around<'a> {
    context: &'a Context,
    ledger: &'a Ledger,
    stalls: &'a Stalls,
    published_on: &'a BTreeSet<TopicId>,
}

/// When the publishes of the load were acknowledged that the target was sending at the time: somebody who was
/// never slow had each within the settle bound. What the target sat on fills no queue of a slow client, and so
/// makes no eviction due. Where nobody reads, all of them.
pub(super) fn came_through(
    ledger: &Ledger,
    clients: &BTreeMap<u32, Client>,
    published_on: &BTreeSet<TopicId>,
    settle_within: Micros,
) -> Vec<Micros> {
    let stream = |topic: &&TopicId| topic.kind() == TopicKind::Stream;
    let reads = |life: &Client| {
        let mut streams = published_on.iter().filter(stream);
        !life.slow.ever() && streams.any(|topic| life.tracks.contains_key(topic))
    };
    let first_seen = clients.values().any(reads).then(|| ledger.first_seen());
    let in_time = |publish: &PublishId, at: Micros| {
        first_seen.as_ref().is_none_or(|first_seen| {
            first_seen.get(publish).is_some_and(|&seen| seen <= at.saturating_add(settle_within))
        })
    };
    let mut acknowledged: Vec<Micros> = (ledger.acknowledged().iter())
        .filter(|(publish, _)| matches!(publish, PublishId::Planned(_)))
        .filter(|(publish, entry)| in_time(publish, entry.at))
        .map(|(_, entry)| entry.at)
        .collect();
    acknowledged.sort_unstable();
    acknowledged
}

/// Judges what each client left behind against the ledger, and slow ones by how many `evictions` the target
/// counted; gives how many of these it ended without a word.
fn clients_by_ledger(
    around: &Around<'_>,
    clients: &BTreeMap<u32, Client>,
    end: End,
    evictions: u64,
    tally: &mut Tally,
) -> u64 {
    let Around { context, ledger, stalls, published_on } = *around;
    let publishes = after_unsubscribe::Publishes::of(ledger);
    let settle = micros(context.bounds().settle_within);
    let acknowledged = came_through(ledger, clients, published_on, settle);
    let published = |from: Micros, until: Micros| {
        let before = |at| acknowledged.partition_point(|&acknowledged| acknowledged < at);
        before(until.saturating_add(1)).saturating_sub(before(from)) as u64
    };
    let needed = context.eviction_needs();
    let commands = Commands::of_ledger(ledger);
    let settle_within = context.bounds().settle_within;
    let (mut slow_clients, mut ends) = (0, slow::Ends::default());
    for (&id, life) in clients {
        slow_clients += u64::from(life.slow.ever());
        let until = life.retired_at.unwrap_or(end.at);
        let reads_on = context.reads_on_slowly(id);
        let case = slow::Case { client: id, until, needed, reads_on, published: &published };
        ends += life.slow.settle(&case, tally);
        authz_leak::settle(context.granted(id), life.revoked, ledger, tally);
        let own = stalls.of(context.thread_of(id));
        let stood = Stood { own, publisher: stalls.of(context.publisher_thread()) };
        life.together.settle(id, ledger, stood, settle_within, tally);
        life.drain.settle(id, &commands, own, settle_within, tally);
        after_unsubscribe::settle_aways(&life.aways, published_on, &publishes, tally);
        for (&topic, track) in &life.tracks {
            let publishes = published_on.contains(&topic).then_some(&publishes);
            after_unsubscribe::settle(topic, track, ledger, (publishes, until), tally);
        }
    }
    ends.settle(evictions, tally);
    wrongful_eviction::count_cases(clients.len() as u64, slow_clients, tally);
    ends.untold
}
