//! The listener of `--dashboard`: the page, its events, metrics, and the wish to end the run.
//!
//! It has a thread of its own. What it is told comes over a bounded queue on which nobody waits, and what it
//! shows is the latest picture alone: a viewer who does not read misses pictures and holds up nobody. Who
//! reads nothing for half a minute is cut off by the kernel.

mod door;
mod exposition;
mod routes;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use khala_engine::clock;
use khala_engine::observe::{Event, Progress};
use khala_engine::switches::Switches;
use khala_evidence::render::report_html;
use socket2::SockRef;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::frame::Watch;

/// What is told and not yet taken.
const QUEUE: usize = 256;
/// Connections at once: viewers, scrapes, and whoever else comes.
const CONNECTIONS_MAX: usize = 64;
/// Viewers at once.
const VIEWERS_MAX: usize = 32;
/// How long a request's head may take.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long who reads nothing keeps a connection.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How long the last picture may take to reach those who read.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks whether the thread has ended.
const STEP: Duration = Duration::from_millis(5);

/// How to listen.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What a viewer must know; one is drawn where there is none.
    pub token: Option<String>,
    /// Version of the tool, for metrics.
    pub version: String,
}

/// Why there is no dashboard.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {listen} for the dashboard: {error}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The token is too short to protect anything.
    #[error("the dashboard's token has {0} characters: give it 16 or more")]
    ShortToken(usize),
}

/// Who a viewer is, as the evidence tells it.
pub const VIEWER: &str = "a viewer of the dashboard";

/// Least length of a token that was chosen.
const TOKEN_MIN: usize = 16;

enum Told {
    Event(Box<Event>),
    Progress(Progress),
}

/// What viewers get.
#[derive(Clone, Debug, Default)]
pub(crate) enum Shown {
    /// Nothing yet.
    #[default]
    Nothing,
    /// A frame, as JSON.
    Frame(Bytes),
    /// The last: the page of the report, and its data.
    Report(Bytes, Bytes),
}

/// What the handlers have in common.
pub(crate) struct Shared {
    pub watch: Mutex<Watch>,
    pub shown: watch::Receiver<Shown>,
    pub viewers: Arc<Semaphore>,
    pub token: [u8; 32],
    pub interrupt: CancellationToken,
    pub switches: Arc<Switches>,
    pub aborted: Arc<AtomicBool>,
    pub version: String,
}

impl Shared {
    pub fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Viewers now.
    pub fn viewers_now(&self) -> usize {
        VIEWERS_MAX - self.viewers.available_permits()
    }
}

/// A dashboard that is listened for.
#[derive(Debug)]
pub struct Dashboard {
    address: SocketAddr,
    token: Option<String>,
    tell: mpsc::Sender<Told>,
    report: Option<oneshot::Sender<Bytes>>,
    aborted: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

impl Dashboard {
    /// Listens, before anything is sent to the target. `interrupt` is cancelled by who asks for the end,
    /// `switches` are those of the faults that wait for a hand.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the token is too short.
    pub fn begin(
        settings: Settings,
        watch: Watch,
        interrupt: CancellationToken,
        switches: Arc<Switches>,
    ) -> Result<Self, Error> {
        let Settings { listen, token, version } = settings;
        if let Some(short) = token.as_ref().filter(|token| token.len() < TOKEN_MIN) {
            return Err(Error::ShortToken(short.len()));
        }
        let cannot = |error| Error::Listen { listen, error };
        let listener = TcpListener::bind(listen).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
        // Of the system's own randomness, for this run alone.
        let drawn = token.is_none().then(|| format!("{:032x}", rand::random::<u128>()));
        let aborted = Arc::<AtomicBool>::default();
        let (show, shown) = watch::channel(Shown::Nothing);
        let secret = token.as_deref().or(drawn.as_deref()).unwrap_or_default();
        let shared = Arc::new(Shared {
            watch: Mutex::new(watch),
            shown,
            viewers: Arc::new(Semaphore::new(VIEWERS_MAX)),
            token: door::digest(secret),
            interrupt,
            switches,
            aborted: Arc::clone(&aborted),
            version,
        });
        let (tell, told) = mpsc::channel(QUEUE);
        let (report, reported) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("khala-dashboard".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                    let over = CancellationToken::new();
                    let serving = tokio::spawn(serve(listener, Arc::clone(&shared), over.clone()));
                    show_all(told, reported, &shared, &show).await;
                    over.cancel();
                    let _ = tokio::time::timeout(SHOWN_WITHIN, serving).await;
                });
                // Who still reads is not waited for.
                runtime.shutdown_background();
            })
            .map_err(cannot)?;
        Ok(Self {
            address,
            token: drawn,
            tell,
            report: Some(report),
            aborted,
            thread: Some(thread),
        })
    }

    /// Where the page is. The token stands in it where it was drawn for this run; one that was chosen does
    /// not.
    #[must_use]
    pub fn url(&self) -> String {
        let fragment = self.token.as_ref().map(|token| format!("#token={token}"));
        format!("http://{}/{}", self.address, fragment.unwrap_or_default())
    }

    /// Something happened. What there is no room for is missing on the page alone.
    pub fn event(&self, event: &Event) {
        let _ = self.tell.try_send(Told::Event(Box::new(event.clone())));
    }

    /// Once a second.
    pub fn progress(&self, progress: &Progress) {
        let _ = self.tell.try_send(Told::Progress(progress.clone()));
    }

    /// Whether a viewer has asked for the end of the run.
    #[must_use]
    pub fn aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    /// Shows the report, a page as `report.html` is one, with its data as the last frame, and closes. Who does not
    /// read is waited for two seconds at the most.
    pub fn finish(mut self, page: Vec<u8>) {
        if let Some(report) = self.report.take() {
            let _ = report.send(page.into());
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        // Without a report it closes at once.
        drop(self.report.take());
        let Some(thread) = self.thread.take() else { return };
        let until = clock::system_now() + 2 * SHOWN_WITHIN;
        while !thread.is_finished() && clock::system_now() < until {
            std::thread::sleep(STEP);
        }
    }
}

/// Makes frames of what is told, until the report is there or nobody has one any more.
async fn show_all(
    mut told: mpsc::Receiver<Told>,
    mut report: oneshot::Receiver<Bytes>,
    shared: &Shared,
    show: &watch::Sender<Shown>,
) {
    loop {
        let told = tokio::select! {
            biased;
            report = &mut report => {
                if let Ok(page) = report {
                    show.send_replace(last(page));
                }
                return;
            }
            told = told.recv() => told,
        };
        match told {
            Some(Told::Event(event)) => shared.watch().event(&event),
            Some(Told::Progress(progress)) => {
                let picture = {
                    let mut watch = shared.watch();
                    let frame = watch.progress(&progress);
                    watch.picture(frame)
                };
                // A picture is made of strings and numbers.
                if let Ok(json) = serde_json::to_vec(&picture) {
                    show.send_replace(Shown::Frame(json.into()));
                }
            }
            None => return,
        }
    }
}

/// The report for viewers: its page, and the data in it.
fn last(page: Bytes) -> Shown {
    let data = std::str::from_utf8(&page).ok().and_then(report_html::data_of);
    let data = data.map(|data| page.slice_ref(data.as_bytes()));
    Shown::Report(page, data.unwrap_or_default())
}

/// Takes connections until the run is over, then lets those that are there end.
async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>, over: CancellationToken) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let router = routes::of(shared);
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = over.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, mostly: the run needs them more.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Who finds no room is hung up on.
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let socket = SockRef::from(&stream);
        let _ = socket.set_tcp_nodelay(true);
        let _ = socket.set_tcp_user_timeout(Some(READ_WITHIN));
        let service = TowerToHyperService::new(router.clone());
        let over = over.clone();
        connections.spawn(async move {
            let _permit = permit;
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = over.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            let _ = connection.await;
        });
    }
    while connections.join_next().await.is_some() {}
}
