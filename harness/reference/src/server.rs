//! Binding, accepting, and the graceful stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use khala_wire::metrics::FanoutMetrics;
use khala_wire::payload::Update;
use khala_wire::topic::TopicId;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Config;
use crate::clock;
use crate::http::{AppState, router};
use crate::metrics::fanout_metrics;
use crate::shared::Shared;
use crate::store::{Draft, JournalError, project_forever};

/// Connections that may wait to be accepted: a storm of reconnects comes in one instant.
const BACKLOG: i32 = 4096;
/// Largest header block and pipelined read of an HTTP connection.
const HTTP_BUFFER_BYTES: usize = 16 << 10;
/// Pause after an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time between trims of what is too old.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// The server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address.
    #[error("the reference runtime cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What a former run has left.
    #[error(transparent)]
    Data(#[from] JournalError),
}

/// The server ended in another way than it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Sockets were still open when the time for a graceful stop was over.
    #[error("{open} sockets did not end within {} s of the stop", limit.as_secs_f64())]
    StopTimedOut {
        /// How many.
        open: usize,
        /// The time they had.
        limit: Duration,
    },
}

/// Seeding was refused.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// No such topic.
    #[error("topic `{0}` is not known")]
    UnknownTopic(String),
    /// A log has no holes and never goes back.
    #[error("the next watermark of `{topic}` is {next}, not {given}")]
    NotNext {
        /// The topic.
        topic: String,
        /// What it would be.
        next: u64,
        /// What was given.
        given: u64,
    },
}

/// A bound server that does not accept yet.
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Arc<Shared>,
}

/// A way into a running server for whoever holds it in the same process: tests, and a harness that
/// embeds it.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Server {
    /// Listens on an address; port 0 takes a free one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the data directory cannot be used.
    #[expect(clippy::unused_async, reason = "binding registers with the runtime it is called in")]
    pub async fn bind(addr: SocketAddr, config: Config) -> Result<Self, StartError> {
        let listen = || {
            let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            if let Some(bytes) = config.buffers.kernel_send {
                // Accepted sockets inherit it.
                socket.set_send_buffer_size(bytes)?;
            }
            socket.bind(&addr.into())?;
            socket.listen(BACKLOG)?;
            let listener = TcpListener::from_std(socket.into())?;
            let local_addr = listener.local_addr()?;
            Ok((listener, local_addr))
        };
        let (listener, local_addr) =
            listen().map_err(|source| StartError::Listen { addr, source })?;
        let shared = Arc::new(Shared::new(config));
        if let Some(dir) = &shared.config.data_dir {
            shared.store.take_up(dir, &shared.defects)?;
        }
        Ok(Self { listener, local_addr, shared })
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A way in for the same process.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until told to stop, then stops gracefully: sockets are closed with 1012 (joined) or
    /// 1000, within [`Config::shutdown_timeout`].
    ///
    /// # Errors
    /// When sockets remained after that time.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let Self { listener, shared, .. } = self;
        let tasks = TaskTracker::new();
        let app = router(AppState { shared: Arc::clone(&shared), tasks: tasks.clone() });
        let store = Arc::clone(&shared.store);
        tokio::spawn(project_forever(store, shared.config.projection_every, shutdown.clone()));
        tokio::spawn(trim_forever(Arc::clone(&shared), shutdown.clone()));

        let requests = Arc::new(AtomicUsize::new(0));
        while let Some(stream) = accept(&listener, &shutdown).await {
            let busy = requests.load(Ordering::Relaxed) + shared.sockets.len();
            if busy >= shared.config.connections_max {
                tracing::warn!(busy, "connection refused: at the limit");
                continue;
            }
            let guard = Counted::new(&requests);
            let service = TowerToHyperService::new(app.clone());
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(shared.config.header_timeout)
                .max_buf_size(HTTP_BUFFER_BYTES);
            let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
            let stopped = shutdown.clone();
            tasks.spawn(async move {
                let _guard = guard;
                serve_http(connection, stopped).await;
            });
        }
        drop(listener);
        stop(&shared, &tasks).await
    }
}

type HttpConnection =
    http1::UpgradeableConnection<TokioIo<TcpStream>, TowerToHyperService<axum::Router>>;

async fn serve_http(connection: HttpConnection, stopped: CancellationToken) {
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopped.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "HTTP connection ended");
    }
}

/// The next connection; `None` when the server is to stop.
async fn accept(listener: &TcpListener, shutdown: &CancellationToken) -> Option<TcpStream> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY refused");
                }
                return Some(stream);
            }
            Err(error) => {
                // Either the peer was gone before it was accepted, or descriptors ran out; the
                // first passes by itself, the second needs others to end.
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn stop(shared: &Shared, tasks: &TaskTracker) -> Result<(), RunError> {
    shared.stop();
    tasks.close();
    let limit = shared.config.shutdown_timeout;
    let ended = tokio::time::timeout(limit, tasks.wait()).await;
    ended.map_err(|_| RunError::StopTimedOut { open: shared.sockets.len(), limit })
}

async fn trim_forever(shared: Arc<Shared>, stopped: CancellationToken) {
    let mut ticks = tokio::time::interval(TRIM_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for log in shared.store.logs() {
            log.trim_aged(clock::now());
        }
    }
}

struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handle {
    /// Appends updates to a topic as they stand, all before anyone is woken: content that commands
    /// cannot produce. Their watermarks must be the next ones.
    ///
    /// # Errors
    /// When the topic is unknown, or a watermark is not the next.
    pub fn seed(&self, topic: &str, updates: Vec<Update>) -> Result<(), SeedError> {
        self.seed_all(updates.into_iter().map(|update| (topic.to_owned(), update)).collect())
    }

    /// [`Handle::seed`] for several topics at once.
    ///
    /// # Errors
    /// As [`Handle::seed`]; what came before the refused update stays.
    pub fn seed_all(&self, updates: Vec<(String, Update)>) -> Result<(), SeedError> {
        for (topic, update) in updates {
            let log = self.shared.store.log(known(&topic)?);
            let next = log.head() + 1;
            if update.watermark != next {
                return Err(SeedError::NotNext { topic, next, given: update.watermark });
            }
            log.append(Draft {
                doc_key: update.doc_key,
                doc_version: update.doc_version,
                payload: update.payload,
                payload_hash: update.payload_hash,
            });
        }
        self.shared.store.ring();
        Ok(())
    }

    /// Moves the head of a topic that retains nothing, as if all before had been pruned.
    ///
    /// # Errors
    /// When the topic is unknown, retains something, or is beyond that head.
    pub fn start_at(&self, topic: &str, head: u64) -> Result<(), SeedError> {
        let log = self.shared.store.log(known(topic)?);
        if log.start_at(head) {
            return Ok(());
        }
        let next = log.head() + 1;
        Err(SeedError::NotNext { topic: topic.to_owned(), next, given: head })
    }

    /// Prunes a topic to its newest `keep` events; returns how many went.
    ///
    /// # Errors
    /// When the topic is unknown.
    pub fn trim(&self, topic: &str, keep: usize) -> Result<usize, SeedError> {
        Ok(self.shared.store.log(known(topic)?).trim_to(keep))
    }

    /// The operators' view.
    #[must_use]
    pub fn metrics(&self) -> FanoutMetrics {
        fanout_metrics(&self.shared, usize::MAX)
    }
}

fn known(topic: &str) -> Result<TopicId, SeedError> {
    TopicId::of(topic).ok_or_else(|| SeedError::UnknownTopic(topic.to_owned()))
}
