//! `reference`: the reference runtime alone, as a target for others or as a run's child.

use std::io::{ErrorKind, Read as _};
use std::net::SocketAddr;

use anyhow::Context as _;
use khala_engine::environment::variable;
use khala_engine::target::child::env;
use khala_reference::{Config, Server, StartError};
use khala_wire::token::{DEFAULT_AUDIENCE, DEFAULT_ISSUER, DEFAULT_KID, Key, KeyRing};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio_util::sync::CancellationToken;

use crate::args;
use crate::exit::{Exit, Failure};
use crate::{output, signals};

/// Threads of the runtime.
const THREADS: usize = 2;

/// Serves until a signal comes, or the parent goes.
pub fn run(reference: &args::Reference) -> Result<Exit, Failure> {
    stays_here("--listen", reference.listen, reference.allow_remote, "--allow-remote")?;
    if reference.with_parent {
        die_with_parent()?;
    }
    rlimit::increase_nofile_limit(u64::MAX).context("cannot raise the limit of descriptors")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(serve(reference))
}

async fn serve(reference: &args::Reference) -> Result<Exit, Failure> {
    let server = Server::bind(reference.listen, config(reference)).await.map_err(|error| {
        let help = match &error {
            StartError::Listen { source, .. } => no_listening(source),
            StartError::Data(_) => "",
        };
        Failure::new(Exit::Setup, format!("{error}{help}"))
    })?;
    let token = signals::quiet_token().context("cannot handle signals")?;
    if reference.with_parent {
        end_with_standard_input(token.clone());
    }
    say_where(server.local_addr())?;
    server.run(token).await.map_err(|error| Failure::new(Exit::Internal, error))?;
    Ok(Exit::Go)
}

fn config(reference: &args::Reference) -> Config {
    let mut config = Config::default();
    if let Some(key) = variable(env::SYNC_KEY) {
        let issuer = variable("RUNTIME_SYNC_TOKEN_ISSUER").unwrap_or(DEFAULT_ISSUER.to_owned());
        let audience =
            variable("RUNTIME_SYNC_TOKEN_AUDIENCE").unwrap_or(DEFAULT_AUDIENCE.to_owned());
        config.sync_keys = KeyRing::new(vec![Key::new(DEFAULT_KID, key)], issuer, audience);
    }
    if let Some(key) = variable(env::SESSION_KEY) {
        config.session_key = Some(key.into_bytes());
    }
    config.signature_secret = variable(env::SIGNATURE_SECRET).map(String::into_bytes);
    config.admin_token = variable(env::ADMIN_TOKEN);
    config.defects = reference.defect.clone();
    config.seed = reference.seed;
    for &(topic, events) in &reference.retain {
        config.limits_mut(topic).retain_events = usize::try_from(events).unwrap_or(usize::MAX);
    }
    for &(topic, events) in &reference.replay_budget {
        config.limits_mut(topic).replay_budget_events = events;
    }
    if let Some(events) = reference.queue_limit {
        config.slow_consumer.queue_limit = events;
    }
    if let Some(strikes) = reference.max_strikes {
        config.slow_consumer.max_strikes = strikes;
    }
    config.ends_expired = reference.ends_expired;
    if let Some(bytes) = reference.payload_max {
        config.publish.iter_mut().for_each(|limits| limits.payload_bytes_max = bytes);
    }
    config.buffers.kernel_send = reference.send_buffer;
    config.data_dir.clone_from(&reference.data_dir);
    config
}

/// Tells whoever started this process where it listens: one line of JSON.
pub fn say_where(address: SocketAddr) -> Result<(), Failure> {
    output::print(
        format!("{}\n", serde_json::json!({ "listening": address.to_string() })).as_bytes(),
    )
}

/// Refuses to be reached from other machines, unless that is asked for.
///
/// # Errors
/// When it would be.
pub fn stays_here(
    flag: &str,
    listen: SocketAddr,
    allow_remote: bool,
    leave: &str,
) -> Result<(), Failure> {
    if allow_remote || listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let ip = listen.ip();
    let message = format!(
        "{flag} {listen}: other machines can reach {ip}, and whoever reaches this server can use it; \
         listen on 127.0.0.1, or pass {leave} if they may"
    );
    Err(Failure::new(Exit::Usage, message))
}

/// What to do where an address cannot be listened on, in a clause; nothing where nobody knows.
pub fn no_listening(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::AddrInUse => {
            ": something listens there already; name another port, or port 0, which takes a free one"
        }
        ErrorKind::AddrNotAvailable => ": this machine has no such address; 127.0.0.1 is its own",
        ErrorKind::PermissionDenied => {
            ": ports below 1024 are the system's; name another, or port 0, which takes a free one"
        }
        _ => "",
    }
}

/// SIGKILL when the parent dies: a server whose harness was killed has nobody left to be graceful for.
pub fn die_with_parent() -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .context("cannot ask for a signal on the parent's death")
}

/// The parent holds the other end: when it goes, whatever way, the pipe closes.
pub fn end_with_standard_input(token: CancellationToken) {
    std::thread::spawn(move || {
        let mut nothing = [0_u8; 64];
        let mut stdin = std::io::stdin();
        while matches!(stdin.read(&mut nothing), Ok(read) if read > 0) {}
        token.cancel();
    });
}
