//! What keeps a run from beginning: the user's or the world's doing, one sentence each.

use std::io;

use crate::reach::guard::Refused;

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
    /// Something may not be spoken to, or not so.
    #[error(transparent)]
    Forbidden(#[from] Refused),
    /// The allow file cannot be used.
    #[error("the allow file {path}: {why}")]
    AllowFile {
        /// Where it is.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Secrets would go to another host in clear text.
    #[error(
        "{url} is another host, and tokens would go there in clear text: use https, or set target.clear_text = \
         true where that may be"
    )]
    ClearText {
        /// The URL.
        url: String,
    },
    /// TLS cannot be set up.
    #[error("{what}, read from {from}: {why}")]
    Tls {
        /// What it is.
        what: String,
        /// Where it is read from.
        from: String,
        /// What is wrong.
        why: String,
    },
    /// A proxy cannot be used.
    #[error("the proxy {url}: {why}")]
    Proxy {
        /// Its URL, without what opens it.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// Nobody says what address the target has.
    #[error("{url}: its host has no address: {why}")]
    Unknown {
        /// The target's URL.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The URL cannot be used.
    #[error("target.url `{url}`: {why}; write it as http://127.0.0.1:4000")]
    BadUrl {
        /// As written.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// A webhook is no URL of one; the URL itself may be a secret.
    #[error("--webhook: {why}; write it as https://hooks.example.com/path")]
    BadWebhook {
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
    /// Somebody is there, and the way does not lead to him.
    #[error("{url} cannot be reached: {why}; {mend}")]
    Unreachable {
        /// The target's URL.
        url: String,
        /// What is wrong.
        why: String,
        /// What to look at.
        mend: &'static str,
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
    #[error("{what} could not be had from {from}: {why}")]
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
