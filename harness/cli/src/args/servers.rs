//! Arguments of the servers: `reference` and `null-server`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use khala_reference::defect::DefectSpec;
use khala_selftest::null::{Freeze, Latency};
use khala_wire::topic::{KNOWN, TopicId};

use super::{SEED_MAX, defect, duration};

/// `reference`
#[derive(Debug, ClapArgs)]
pub struct Reference {
    /// Address to listen on; port 0 takes a free one. The first line on standard output says which.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Listen on an address that other machines can reach: its keys are known, so anybody there can write to
    /// it.
    #[arg(long)]
    pub allow_remote: bool,
    /// Break the contract on purpose: `NAME[,probability][,after=N]`; may be given several times.
    #[arg(long, value_name = "DEFECT", value_parser = defect)]
    pub defect: Vec<DefectSpec>,
    /// Seed of the defects' own draws.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    pub seed: u64,
    /// Retain at most this many events of a topic.
    #[arg(long, value_name = "TOPIC=EVENTS", value_parser = topic_events)]
    pub retain: Vec<(TopicId, u64)>,
    /// Replay budget of a topic, in events behind head.
    #[arg(long, value_name = "TOPIC=EVENTS", value_parser = topic_events)]
    pub replay_budget: Vec<(TopicId, u64)>,
    /// Events that may wait for a socket.
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub queue_limit: Option<u64>,
    /// Strikes at which a socket that does not keep up is disconnected.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub max_strikes: Option<u32>,
    /// `SO_SNDBUF` of accepted sockets, in bytes: small ones make slow readers show.
    #[arg(long, value_name = "BYTES")]
    pub send_buffer: Option<usize>,
    /// End sockets when their tokens expire; without it a token is looked at when it opens a socket, as the
    /// recorded runtime does. The contract is silent on it.
    #[arg(long)]
    pub ends_expired: bool,
    /// Largest payload of a command, in bytes of JSON, whatever its topic's class; the contract's limits
    /// without it.
    #[arg(long, value_name = "BYTES")]
    pub payload_max: Option<usize>,
    /// Directory of the journal: what it holds is taken up at the start, so that topics, workers and
    /// runs survive a restart and a kill. Without it nothing survives.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// End when standard input closes or the parent dies.
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// `null-server`
#[derive(Debug, ClapArgs)]
pub struct NullServer {
    /// Address to listen on; port 0 takes a free one. The first line on standard output says which.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Listen on an address that other machines can reach.
    #[arg(long)]
    pub allow_remote: bool,
    /// From taking an event to handing it to a client: `200ms`, or `lognormal:MEDIAN,SIGMA` as in
    /// `lognormal:200ms,0.5`.
    #[arg(long, value_name = "LATENCY", default_value = "0ms", value_parser = latency)]
    pub latency: Latency,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    pub seed: u64,
    /// Stand still for a while, counted from the first event: `AFTER+LENGTH`, as in `5s+2s`. May be
    /// given several times, in order.
    #[arg(long, value_name = "AFTER+LENGTH", value_parser = freeze)]
    pub freeze: Vec<Freeze>,
    /// Threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// End when standard input closes or the parent dies.
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// Most events of a topic, as in a scenario.
const TOPIC_EVENTS_MAX: u64 = 10_000_000;

fn topic_events(text: &str) -> Result<(TopicId, u64), String> {
    let (topic, events) = text.split_once('=').ok_or("write TOPIC=EVENTS")?;
    let topic = TopicId::of(topic).ok_or_else(|| {
        let known = KNOWN.iter().map(|topic| topic.name);
        match khala_plan::closest(topic, known.clone()) {
            Some(meant) => format!("there is no topic `{topic}`: did you mean `{meant}`?"),
            None => {
                let known: Vec<_> = known.collect();
                format!("there is no topic `{topic}`; known are {}", known.join(", "))
            }
        }
    })?;
    let known = events.parse().ok().filter(|events| (1..=TOPIC_EVENTS_MAX).contains(events));
    let wrong = || format!("`{events}` is not a number of events from 1 to {TOPIC_EVENTS_MAX}");
    Ok((topic, known.ok_or_else(wrong)?))
}

fn latency(text: &str) -> Result<Latency, String> {
    let Some(lognormal) = text.strip_prefix("lognormal:") else {
        return duration(text).map(Latency::Constant);
    };
    let (median, sigma) = lognormal.split_once(',').ok_or("write lognormal:MEDIAN,SIGMA")?;
    let median = duration(median)?;
    let sigma = sigma.parse().ok().filter(|sigma| (0.0..=Latency::SIGMA_MAX).contains(sigma));
    let sigma =
        sigma.ok_or_else(|| format!("SIGMA is a number from 0 to {}", Latency::SIGMA_MAX))?;
    Ok(Latency::LogNormal { median, sigma })
}

fn freeze(text: &str) -> Result<Freeze, String> {
    let (after, length) = text.split_once('+').ok_or("write AFTER+LENGTH, as in 5s+2s")?;
    Ok(Freeze { after: duration(after)?, length: duration(length)? })
}
