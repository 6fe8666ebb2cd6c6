//! Whole histories of a correct runtime, drawn: who connects, what is published, what is pushed,
//! what breaks, in any order.

use khala_evidence::Record;
use khala_evidence::oracle::End;
use khala_evidence::record::BadToken;
use khala_wire::topic::TopicId;
use proptest::prelude::*;

use super::plans;
use super::records::{self, state, stream};
use super::world::{Fate, Resume, Stage, World};

/// A history and how it ended.
#[derive(Clone)]
pub struct History {
    pub records: Vec<Record>,
    pub end: End,
}

/// One record a line, so that a failing case can be read.
impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut records = self.records.iter().enumerate();
        records.try_for_each(|(index, record)| writeln!(f, "{index:4} {record:?}"))
    }
}

/// Clients are numbered; what a number means is settled when the step is taken.
#[derive(Clone, Debug)]
enum Step {
    Publish {
        worker: u16,
        fate: Fate,
        state_lag_us: u64,
    },
    Foreign {
        on_stream: bool,
    },
    /// The client's next step: connect, be pushed some of the replay or its reply, be pushed some
    /// of what is new.
    Advance {
        client: u32,
        resume: Resume,
        pushes: u8,
        coalesce: bool,
    },
    Repeat {
        client: u32,
    },
    Refuse {
        client: u32,
    },
    Cut {
        client: u32,
        fault: u16,
    },
    CutAll {
        fault: u16,
    },
    Lose {
        client: u32,
    },
    Beat {
        client: u32,
    },
    Lag {
        lag_us: u64,
    },
    /// A thread stands still: one of the clients', or the publishers'.
    Stall {
        thread: u16,
        us: u64,
    },
    TryToken {
        client: u32,
        kind: BadToken,
    },
    Revoke {
        client: u32,
    },
    Command {
        client: u32,
    },
}

impl Step {
    /// The client that acts, which its thread must be awake for.
    fn client(&self) -> Option<u32> {
        match *self {
            Self::Advance { client, .. }
            | Self::Repeat { client }
            | Self::Refuse { client }
            | Self::Cut { client, .. }
            | Self::Lose { client }
            | Self::Beat { client }
            | Self::TryToken { client, .. }
            | Self::Revoke { client }
            | Self::Command { client } => Some(client),
            Self::Publish { .. }
            | Self::Foreign { .. }
            | Self::CutAll { .. }
            | Self::Lag { .. }
            | Self::Stall { .. } => None,
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        6 => (0_u64..2_000).prop_map(|after_us| Fate::Acknowledged { after_us }),
        3 => (0_u64..400_000).prop_map(|after_us| Fate::Acknowledged { after_us }),
        1 => Just(Fate::Unanswered),
        1 => Just(Fate::Refused),
        1 => Just(Fate::NotInserted),
    ]
}

fn resume() -> impl Strategy<Value = Resume> {
    prop_oneof![
        6 => Just(Resume::Kept),
        3 => (1_u64..6).prop_map(Resume::Older),
        1 => Just(Resume::Forgotten),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0_u32..8;
    let publish = (0_u16..3, fate(), 0_u64..150_000)
        .prop_map(|(worker, fate, state_lag_us)| Step::Publish { worker, fate, state_lag_us });
    let advance = (client.clone(), resume(), 1_u8..6, any::<bool>()).prop_map(
        |(client, resume, pushes, coalesce)| Step::Advance { client, resume, pushes, coalesce },
    );
    prop_oneof![
        20 => publish,
        4 => any::<bool>().prop_map(|on_stream| Step::Foreign { on_stream }),
        50 => advance,
        4 => client.clone().prop_map(|client| Step::Repeat { client }),
        1 => client.clone().prop_map(|client| Step::Refuse { client }),
        3 => (client.clone(), 0_u16..2).prop_map(|(client, fault)| Step::Cut { client, fault }),
        1 => (0_u16..2).prop_map(|fault| Step::CutAll { fault }),
        2 => client.clone().prop_map(|client| Step::Lose { client }),
        3 => client.clone().prop_map(|client| Step::Beat { client }),
        2 => (client.clone(), bad_token())
            .prop_map(|(client, kind)| Step::TryToken { client, kind }),
        1 => client.clone().prop_map(|client| Step::Revoke { client }),
        1 => client.prop_map(|client| Step::Command { client }),
        3 => (0_u64..3_000).prop_map(|lag_us| Step::Lag { lag_us }),
        2 => (0_u16..3, 100_000_u64..1_500_000)
            .prop_map(|(thread, us)| Step::Stall { thread, us }),
    ]
}

fn bad_token() -> impl Strategy<Value = BadToken> {
    prop::sample::select(vec![
        BadToken::Expired,
        BadToken::AlgNone,
        BadToken::Revoked,
        BadToken::WrongScope,
    ])
}

fn gap_us() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0_u64..5_000, 2 => 5_000_u64..60_000, 1 => 60_000_u64..250_000]
}

/// A valid history that has run dry: everybody who has a socket has everything.
pub fn valid() -> impl Strategy<Value = History> {
    drawn(true)
}

/// The same, of a runtime to which nobody else has written since the run began.
pub fn alone() -> impl Strategy<Value = History> {
    drawn(false)
}

fn drawn(others_write: bool) -> impl Strategy<Value = History> {
    let steps = prop::collection::vec((gap_us(), step()), 40..140);
    (2_usize..=8, 1_u16..=3, 0_u64..12, 0_u64..12, steps).prop_map(
        move |(clients, workers, history, trimmed, steps)| {
            let generator = &plans::history().plan.generator;
            let mut world =
                World::new(generator, subscriptions(clients), workers, history, trimmed);
            for (gap_us, step) in steps {
                world.advance(world.now + gap_us);
                if others_write || !matches!(step, Step::Foreign { .. }) {
                    take(&mut world, step);
                }
            }
            finish(&mut world);
            History { end: End { at: world.now, drained: true }, records: world.records }
        },
    )
}

/// Clients with both of the topics that all are granted, and some with one of them.
fn subscriptions(clients: usize) -> Vec<Vec<TopicId>> {
    let mut topics = vec![vec![stream(), state()]; 4];
    topics.extend([vec![stream()], vec![stream()], vec![state()], vec![state()]]);
    topics.rotate_right(clients / 2);
    topics.truncate(clients);
    topics
}

fn take(world: &mut World, step: Step) {
    let clients = world.clients();
    if let Some(client) = step.client() {
        world.wake(client % clients);
    }
    match step {
        Step::Publish { worker, fate, state_lag_us } => {
            world.wake_publisher();
            world.publish(worker, world.now, fate, state_lag_us);
        }
        Step::Foreign { on_stream } => world.foreign(if on_stream { stream() } else { state() }),
        Step::Advance { client, resume, pushes, coalesce } => {
            advance(world, client % clients, resume, pushes, coalesce);
        }
        Step::Repeat { client } => {
            let client = client % clients;
            if has_socket(world, client) {
                world.topics(client).into_iter().for_each(|topic| world.repeat(client, topic));
            }
        }
        Step::Refuse { client } if world.stage(client % clients) == Stage::Offline => {
            world.fail_connect(client % clients);
        }
        Step::Cut { client, fault } if has_socket(world, client % clients) => {
            world.cut(client % clients, fault, world.now);
        }
        Step::CutAll { fault } => {
            world.wake_all();
            let intended = world.now;
            for client in 0..clients {
                if has_socket(world, client) {
                    world.cut(client, fault, intended);
                }
            }
        }
        Step::Lose { client } if has_socket(world, client % clients) => {
            world.lose(client % clients);
        }
        Step::Beat { client } if world.stage(client % clients) == Stage::Live => {
            world.beat(client % clients);
        }
        Step::Lag { lag_us } => world.lag(lag_us),
        Step::Stall { thread, us } => world.stall(thread, us),
        Step::TryToken { client, kind } => world.try_token(client % clients, kind),
        Step::Command { client } => world.command(client % clients),
        Step::Revoke { client } if has_socket(world, client % clients) => {
            world.revoke(client % clients);
        }
        Step::Refuse { .. }
        | Step::Cut { .. }
        | Step::Lose { .. }
        | Step::Beat { .. }
        | Step::Revoke { .. } => {}
    }
}

fn has_socket(world: &World, client: u32) -> bool {
    matches!(world.stage(client), Stage::Live | Stage::Replaying)
}

fn advance(world: &mut World, client: u32, resume: Resume, pushes: u8, coalesce: bool) {
    match world.stage(client) {
        Stage::Offline => world.connect(client, resume),
        // An odd draw completes the replay, so that some of them take several steps.
        Stage::Replaying if pushes % 2 == 1 => world.reply(client, coalesce),
        Stage::Replaying | Stage::Live => {
            for _ in 0..pushes {
                for topic in world.topics(client) {
                    world.push(client, topic, coalesce);
                }
            }
        }
        Stage::Retired => {}
    }
}

/// Everybody comes back, some with new events in between, and everything runs dry.
fn finish(world: &mut World) {
    world.wake_all();
    for client in 0..world.clients() {
        if world.stage(client) == Stage::Offline {
            world.connect(client, Resume::Kept);
        }
        world.publish(0, world.now, Fate::Acknowledged { after_us: 100 }, 1_000);
    }
    world.drain(true);
    for worker in [0, 1, 0, 1] {
        world.publish(worker, world.now, Fate::Acknowledged { after_us: 100 }, 1_000);
    }
    world.drain(false);
    world.records.push(records::finding("unknown_event", "event `x` on channel `y`"));
    world.retire();
}
