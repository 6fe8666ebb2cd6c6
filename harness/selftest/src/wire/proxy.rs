//! The proxy: between the harness and runtimes that keep the contract, and deviating in one way.
//!
//! Requests go one to a connection. Everything that it starts ends when its handle is dropped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::deviation::{Deviation, Socket, Step};
use super::frame::{self, CLOSE, Frame};
use super::http::{Answer, Head, Purpose, Request};
use super::message::Message;
use crate::clock;

/// Connections at once.
const CONNECTIONS_MAX: usize = 512;
/// How long the target may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the harness may take to close its side of a connection that was ended.
const LINGER: Duration = Duration::from_secs(2);
/// What only the harness's clients have in their upgrade's path: its first look at a target has not.
const CLIENTS: &str = "client=khala-harness";

/// A proxy that runs until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    _ends: DropGuard,
}

/// What all connections share.
struct Shared {
    deviation: Deviation,
    targets: Vec<SocketAddr>,
    sockets: AtomicU32,
    /// Requests of each purpose.
    requests: [AtomicU32; 5],
    /// The answers that a cache keeps.
    cached: Mutex<BTreeMap<String, Answer>>,
}

impl Proxy {
    /// Listens on a free port of the loopback; `targets` are the runtime, and a second one where the
    /// deviation wants one.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(deviation: Deviation, targets: Vec<SocketAddr>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let ended = CancellationToken::new();
        let (sockets, requests) = (AtomicU32::new(0), Default::default());
        let cached = Mutex::new(BTreeMap::new());
        let shared = Arc::new(Shared { deviation, targets, sockets, requests, cached });
        let token = ended.clone();
        tokio::spawn(async move { token.run_until_cancelled(accept(listener, shared)).await });
        Ok(Self { address, _ends: ended.drop_guard() })
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Dropping the set ends what is in it.
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        // Out of descriptors: the harness's run will say what it could not do.
        let Ok((stream, _)) = listener.accept().await else { return };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // Either side may be gone at any time; that is what a proxy is between.
            let _ = serve(stream, &shared).await;
            drop(permit);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut head = Head::read(&mut reader).await?;
    let after = if head.asks_for_a_socket() {
        serve_socket(head, &mut reader, &mut writer, shared).await?
    } else {
        loop {
            let after = serve_request(head, &mut reader, &mut writer, shared).await?;
            let Some(idle) = shared.deviation.keep_alive else { break after };
            let next = tokio::time::timeout(idle, Head::read(&mut reader)).await;
            let Ok(Ok(next)) = next else { break after };
            head = next;
        }
    };
    if after == After::Reset {
        // Not in halves: the writing one says goodbye when it is dropped.
        let whole = reader.into_inner().reunite(writer).map_err(std::io::Error::other)?;
        return whole.set_zero_linger();
    }
    finish(&mut reader, &mut writer).await
}

/// Ends a connection so that what was sent arrives: one closed with bytes unread is reset.
async fn finish<R, W>(reader: &mut R, writer: &mut W) -> std::io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    writer.shutdown().await?;
    let mut nowhere = tokio::io::sink();
    let unread = tokio::io::copy(reader, &mut nowhere);
    // Whoever does not close is not waited for.
    let _ = tokio::time::timeout(LINGER, unread).await;
    Ok(())
}

async fn connect(target: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(target)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// It goes on.
    On,
    /// It ends in good order.
    Finish,
    /// It is broken off.
    Reset,
}

/// Does these; what becomes of the connection after them.
async fn take<W: AsyncWrite + Unpin>(writer: &mut W, steps: Vec<Step>) -> std::io::Result<After> {
    for step in steps {
        match step {
            Step::Send(bytes) => writer.write_all(&bytes).await?,
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Finish => return Ok(After::Finish),
            Step::Reset => return Ok(After::Reset),
        }
    }
    Ok(After::On)
}

async fn serve_request(
    head: Head,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    shared: &Shared,
) -> std::io::Result<After> {
    let body = head.body(reader).await?;
    let purpose = Purpose::of(&head.line);
    let number = shared.requests[purpose as usize].fetch_add(1, Ordering::Relaxed);
    let request = Request { purpose, number };
    let deviation = &shared.deviation;
    if let Some(steps) = deviation.on_request.and_then(|act| act(&request)) {
        return take(writer, steps).await;
    }
    let key = deviation.cached_by.map(|by| by(&head)).unwrap_or_default();
    let known =
        lock(&shared.cached).get(&key).filter(|_| deviation.cached == Some(purpose)).cloned();
    let answer = match known {
        Some(answer) => answer,
        None => {
            let request = [head.with("Connection", Some("close")).bytes(), body].concat();
            if deviation.repeated == Some(purpose) && number % 4 == 3 {
                ask(shared.targets[0], &request).await?;
            }
            ask(shared.targets[0], &request).await?
        }
    };
    if deviation.cached == Some(purpose) {
        lock(&shared.cached).entry(key).or_insert_with(|| answer.clone());
    }
    let changed = deviation.on_answer.and_then(|act| act(&request, answer.clone()));
    let stays = deviation.keep_alive.is_some();
    let bytes = if stays { answer.kept_alive() } else { answer.bytes() };
    take(writer, changed.unwrap_or_else(|| vec![Step::Send(bytes)])).await
}

async fn ask(target: SocketAddr, request: &[u8]) -> std::io::Result<Answer> {
    let (from_target, mut to_target) = connect(target).await?.into_split();
    to_target.write_all(request).await?;
    Answer::read(&mut BufReader::new(from_target)).await
}

async fn serve_socket(
    head: Head,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    shared: &Shared,
) -> std::io::Result<After> {
    let deviates = shared.deviation.from_the_start || head.line.contains(CLIENTS);
    let deviation = if deviates { shared.deviation } else { Deviation::none() };
    let number = if deviates { shared.sockets.fetch_add(1, Ordering::Relaxed) } else { 0 };
    let socket = Socket { number, ..Socket::default() };
    if let Some(steps) = deviation.on_upgrade.and_then(|act| act(&socket)) {
        return take(writer, steps).await;
    }
    let second = deviation.split && number % 2 == 1;
    let target = shared.targets.get(usize::from(second)).unwrap_or(&shared.targets[0]);
    let (from_target, mut to_target) = connect(*target).await?.into_split();
    let mut from_target = BufReader::new(from_target);
    to_target.write_all(&head.bytes()).await?;
    let answer = Head::read(&mut from_target).await?;
    let accepted = answer.status() == 101;
    let steps = match deviation.on_accepted {
        Some(act) if accepted => act(answer),
        _ => vec![Step::Send(answer.bytes())],
    };
    let after = take(writer, steps).await?;
    if after != After::On || !accepted {
        return Ok(after);
    }
    let link = Link { deviation, socket: Mutex::new(socket), passed: Mutex::new(clock::now()) };
    tokio::select! {
        up = link.up(reader, &mut to_target) => up,
        down = link.down(&mut from_target, writer) => down,
        () = link.silence() => Ok(After::Finish),
    }
}

/// An accepted socket, in both directions.
struct Link {
    deviation: Deviation,
    socket: Mutex<Socket>,
    /// When something passed last.
    passed: Mutex<Instant>,
}

/// A panic elsewhere leaves nothing half done in what these guard.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    async fn up<R, W>(&self, from: &mut R, to: &mut W) -> std::io::Result<After>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            let frame = frame::read(from).await?;
            *lock(&self.passed) = clock::now();
            let changed = {
                let mut socket = lock(&self.socket);
                socket.closing |= frame.opcode() == CLOSE;
                self.deviation.up(&mut socket, &frame)
            };
            let texts = |messages: Vec<Message>| {
                messages.iter().map(|message| Frame::text(message.text())).collect()
            };
            for frame in changed.map_or_else(|| vec![frame], texts) {
                to.write_all(&frame.masked(rand::random())).await?;
            }
        }
    }

    async fn down<R, W>(&self, from: &mut R, to: &mut W) -> std::io::Result<After>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            let frame = frame::read(from).await?;
            *lock(&self.passed) = clock::now();
            let changed = {
                let mut socket = lock(&self.socket);
                socket.frames += 1;
                self.deviation.down(&mut socket, &frame)
            };
            let steps = changed.unwrap_or_else(|| vec![frame.into()]);
            let after = take(to, steps).await?;
            if after != After::On {
                return Ok(after);
            }
        }
    }

    /// Comes to its end when nothing has passed for as long as the deviation allows.
    async fn silence(&self) {
        let Some(idle) = self.deviation.idle else { return std::future::pending().await };
        loop {
            let silent = clock::now() - *lock(&self.passed);
            match idle.checked_sub(silent) {
                None | Some(Duration::ZERO) => return,
                Some(left) => tokio::time::sleep(left).await,
            }
        }
    }
}
