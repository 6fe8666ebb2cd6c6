//! What keeps a run from beginning: the user's or the world's doing, one sentence each.

use std::io;
use std::net::IpAddr;

/// A run could not be set up. Nothing was sent but the probes that the message names.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Too few descriptors.
    #[error(
        "the plan needs about {needed} file descriptors in the harness and the limit is {limit}: \
         lower fleet.clients, or raise the hard limit (ulimit -Hn)"
    )]
    Descriptors {
        /// Needed.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// An address that clients are to connect from is not to be had.
    #[error("generator.source_addresses: {address} cannot be used here: {why}")]
    Source {
        /// The address.
        address: std::net::Ipv4Addr,
        /// The kernel's word.
        why: io::Error,
    },
    /// The target is not on this machine.
    #[error(
        "{url}: {address} is not a loopback address; for now only targets on this machine are \
         served, so that nobody's production meets a storm by mistake"
    )]
    NotLoopback {
        /// The target's URL.
        url: String,
        /// The address.
        address: IpAddr,
    },
    /// The URL cannot be used.
    #[error("target.url `{url}`: {why}; write it as http://127.0.0.1:4000")]
    BadUrl {
        /// As written.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// Nothing useful answers there.
    #[error("no Khala runtime at {url}: {why}. Tried: {}", tried.join("; "))]
    NoTarget {
        /// The target's URL.
        url: String,
        /// What is wrong.
        why: String,
        /// Each probe, in order.
        tried: Vec<String>,
    },
    /// Something answers there that lets nobody in.
    #[error("{url} is there and refuses {what}: {why}; {mend}")]
    Refused {
        /// The target's URL.
        url: String,
        /// What it refuses.
        what: &'static str,
        /// Its own word.
        why: String,
        /// What to look at.
        mend: String,
    },
    /// Where its topics stand could not be learnt.
    #[error(
        "{url} does not say where its topics stand, which fleet.first_subscribe = \"from-now\" needs: {why}; \
         \"from-start\" does without"
    )]
    Heads {
        /// The target's URL.
        url: String,
        /// What was wrong.
        why: String,
    },
    /// Another run holds the target.
    #[error(
        "another run holds the target at {address}: wait for it to end, two runs at once would each be \
         judged for both; `ss -xlp` names the process that listens at @{name}"
    )]
    Locked {
        /// The target.
        address: std::net::SocketAddr,
        /// The lock: a socket in the abstract name space.
        name: String,
    },
    /// The scenario writes to a target that others use.
    #[error(
        "the scenario publishes to {url}, which is not declared exclusive: others would see its \
         events; pass --allow-shared-writes if they may, or set target.exclusive = true"
    )]
    SharedWrites {
        /// The target's URL.
        url: String,
    },
    /// A secret is not there.
    #[error("{what} is read from {from}, which is not there: {why}")]
    Secret {
        /// What it is for.
        what: String,
        /// Where it is read from.
        from: String,
        /// What is wrong.
        why: String,
    },
    /// A value cannot be sent.
    #[error("{what}, read from {from}, cannot be sent: {why}")]
    Value {
        /// What it is for.
        what: String,
        /// Where it is read from.
        from: String,
        /// What is wrong.
        why: String,
    },
    /// The reference runtime did not start.
    #[error("the reference runtime did not start: {0}")]
    Reference(String),
    /// A worker could not be created on the target.
    #[error("cannot create a worker on the target, so nothing could be published: {why}{mend}")]
    Workers {
        /// What was wrong.
        why: String,
        /// What to look at, in a clause, where that is known.
        mend: String,
    },
    /// Threads or runtimes could not be made.
    #[error("cannot start the generator: {0}")]
    Generator(#[from] io::Error),
}
