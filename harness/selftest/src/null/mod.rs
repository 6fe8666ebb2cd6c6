//! The null server: it says as little as the contract allows, and knows exactly what it did.
//!
//! It exists so that the harness can be measured itself. Commands are taken over HTTP as a runtime
//! takes them; each client gets each event after a delay drawn for it alone ([`Latency`]), and in
//! stated windows everything stands still ([`Freeze`]). Of all that it keeps a [`Record`] by its own
//! clock: what the harness reports of the same run must be the same.
//!
//! It must never be a target that a verdict is about: no token is checked, no cursor is stale, nobody is
//! slow. It shares no code with the parts of the harness that measure: samples are kept as they are,
//! and percentiles are taken by rank.
//!
//! Each of its threads is a small runtime of its own. A freeze blocks the threads themselves, so that
//! nothing is read, sent or accepted, whatever was under way.

mod http;
mod lane;
mod latency;
mod log;
mod record;
mod shared;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::latency::Latency;
pub use self::record::{Deliveries, Frozen, Lateness, Publishes, RECORD_PATH, Record};
use self::shared::Shared;
use crate::clock;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// A window in which the server stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// When it begins, from the taking of the first event that carries a mark.
    pub after: Duration,
    /// How long it lasts.
    pub length: Duration,
}

/// What the server does.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// From taking an event to handing it to a client's socket.
    pub latency: Latency,
    /// Seed of the draws of the latency.
    pub seed: u64,
    /// When it stands still, in order.
    pub freezes: Vec<Freeze>,
    /// Threads, at least 1.
    pub threads: u32,
}

/// A null server that serves until it is stopped.
pub struct NullServer {
    local_addr: SocketAddr,
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

impl NullServer {
    /// Listens and serves.
    ///
    /// # Errors
    /// When the address cannot be listened on, or a thread cannot be started.
    pub fn start(config: Config) -> std::io::Result<Self> {
        let listener = listen(config.listen)?;
        let local_addr = listener.local_addr()?;
        let stop = CancellationToken::new();
        let threads = config.threads.max(1);
        let shared = Arc::new(Shared::new(config, stop.clone()));
        let mut server = Self { local_addr, stop, threads: Vec::new() };
        for index in 0..threads {
            let (listener, shared) = (listener.try_clone()?, Arc::clone(&shared));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new()
                .name(format!("khala-null-{index}"))
                .spawn(move || runtime.block_on(serve(listener, shared, index == 0)))?;
            server.threads.push(thread);
        }
        Ok(server)
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.stop.cancel();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn listen(addr: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>, first: bool) {
    let stop = shared.stop.clone();
    tokio::spawn(freeze(Arc::clone(&shared), first));
    let served = async {
        let listener = TcpListener::from_std(listener)?.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY refused");
            }
        });
        axum::serve(listener, http::router(shared)).await
    };
    // What is still open ends with the runtime.
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::error!(%error, "the null server cannot serve");
        },
        () = stop.cancelled() => {}
    }
}

/// Stops this thread in every window; the first thread notes when.
async fn freeze(shared: Arc<Shared>, first: bool) {
    let mut begun = shared.begun.subscribe();
    let Ok(begun) = begun.wait_for(Option::is_some).await.map(|begun| *begun) else { return };
    let Some(begun) = begun else { return };
    for window in &shared.config.freezes {
        let from = begun + window.after;
        tokio::time::sleep_until(from.into()).await;
        let since = clock::now();
        // Blocks on purpose: no task of this thread goes on.
        std::thread::sleep((from + window.length).saturating_duration_since(since));
        if first {
            shared.froze(since, clock::now());
        }
    }
}
