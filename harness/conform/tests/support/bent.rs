//! A proxy before a runtime that deviates in one way: what no defect of the reference makes.
//!
//! Requests go one to a connection. Everything that it starts ends when its handle is dropped.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::again;
use super::bend::{self, Sides};
use super::vouch::{self, Seen};

/// A proxy that runs until it is dropped.
pub struct Bent {
    pub address: SocketAddr,
    _ends: DropGuard,
}

/// What all connections share.
struct Shared {
    name: &'static str,
    target: SocketAddr,
    sockets: AtomicU32,
    commands: AtomicU32,
    seen: Seen,
    devices: Devices,
    /// Workers that were created.
    workers: Mutex<HashSet<String>>,
    /// By session, its newest socket.
    newest: Mutex<HashMap<String, Arc<AtomicU32>>>,
    /// Ends all sockets.
    everybody: CancellationToken,
}

/// The sockets of each device: whose session, and what ends it.
#[derive(Default)]
struct Devices(Mutex<HashMap<String, Vec<(String, CancellationToken)>>>);

impl Devices {
    /// One more socket; `alone` ends those of the device's other sessions.
    fn joined(&self, head: &str, ends: &CancellationToken, alone: bool) {
        let claims = vouch::claims_in(head).unwrap_or_default();
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        let (device, session) = (text("oa_device_id"), text("oa_session_id"));
        let mut devices = self.0.lock().expect("whole");
        let sockets = devices.entry(device).or_default();
        for (_, other) in sockets.iter().filter(|(other, _)| alone && *other != session) {
            other.cancel();
        }
        sockets.push((session, ends.clone()));
    }

    /// Ends all sockets of each device that has one of a session that is named in a body.
    fn revoked(&self, body: &str) {
        let devices = self.0.lock().expect("whole");
        let named = |session: &str| body.contains(&format!("\"{session}\""));
        let theirs = devices.values().filter(|it| it.iter().any(|(session, _)| named(session)));
        theirs.flatten().for_each(|(_, ends)| ends.cancel());
    }
}

impl Bent {
    pub fn start(name: &'static str, target: SocketAddr) -> Self {
        assert!(bend::NAMES.contains(&name), "there is no deviation {name}");
        let ended = CancellationToken::new();
        let token = ended.clone();
        let address = super::SERVERS.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("listens");
            let address = listener.local_addr().expect("an address");
            let (sockets, commands) = (AtomicU32::new(0), AtomicU32::new(0));
            let everybody = token.child_token();
            let (seen, devices) = (Seen::default(), Devices::default());
            let (workers, newest) = (Mutex::default(), Mutex::default());
            let shared = Shared {
                name,
                target,
                sockets,
                commands,
                seen,
                devices,
                workers,
                newest,
                everybody,
            };
            let shared = Arc::new(shared);
            tokio::spawn(async move {
                while let Some(Ok((stream, _))) = token.run_until_cancelled(listener.accept()).await
                {
                    let (shared, token) = (Arc::clone(&shared), token.clone());
                    tokio::spawn(async move {
                        // Either side may be gone at any time.
                        let _ = token.run_until_cancelled(serve(stream, &shared)).await;
                    });
                }
            });
            address
        });
        Self { address, _ends: ended.drop_guard() }
    }
}

/// Reads a head, and what came behind it.
async fn head(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(at + 4);
            return Ok((String::from_utf8_lossy(&read).into_owned(), rest));
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => read.extend_from_slice(&part[..count]),
        }
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let (request, rest) = head(&mut client).await?;
    if request.to_ascii_lowercase().contains("\r\nupgrade: websocket") {
        return socket(client, request, shared).await;
    }
    let revokes = request.contains("/sessions/revoke");
    let length: usize = request
        .to_ascii_lowercase()
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
        .unwrap_or_default();
    let mut body = rest;
    while body.len() < length {
        let mut part = [0; 4096];
        match client.read(&mut part).await? {
            0 => break,
            count => body.extend_from_slice(&part[..count]),
        }
    }
    let number = shared.commands.fetch_add(1, Ordering::Relaxed);
    if let Some(answer) = bend::limited(shared.name, &request, number) {
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    let repeated =
        again::repeated(shared.name, &request, &text, &mut shared.workers.lock().expect("whole"));
    let (request, body) = match repeated {
        Some((request, body)) => (request, body.into_bytes()),
        None => (request, body),
    };
    let mut target = TcpStream::connect(shared.target).await?;
    let request = bend::request(shared.name, &request);
    let request = vouch::exchanged(shared.name, &request, &shared.seen).unwrap_or(request);
    let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    target.write_all(request.as_bytes()).await?;
    target.write_all(&body).await?;
    let mut answer = Vec::new();
    target.read_to_end(&mut answer).await?;
    shared.seen.answered(&answer);
    client.write_all(&bend::answer(shared.name, answer)).await?;
    if revokes && shared.name == "revokes_everybody" {
        shared.everybody.cancel();
    }
    if revokes && shared.name == "revokes_devices" {
        shared.devices.revoked(&text);
    }
    client.shutdown().await
}

async fn socket(mut client: TcpStream, request: String, shared: &Shared) -> std::io::Result<()> {
    let name = shared.name;
    if bend::refuses(name, &request) {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    }
    let ends = shared.everybody.child_token();
    shared.devices.joined(&request, &ends, name == "one_session_a_device");
    let request = bend::request(name, &request);
    let mut request = vouch::exchanged(name, &request, &shared.seen).unwrap_or(request);
    let (mut target, answer, rest) = loop {
        let mut target = TcpStream::connect(shared.target).await?;
        target.set_nodelay(true)?;
        target.write_all(request.as_bytes()).await?;
        let (answer, rest) = head(&mut target).await?;
        match bend::again(name, &request, &answer) {
            Some(other) => request = other,
            None => break (target, answer, rest),
        }
    };
    client.write_all(bend::upgraded(name, &answer).as_bytes()).await?;
    if !answer.starts_with("HTTP/1.1 101") {
        client.write_all(&rest).await?;
        tokio::io::copy_bidirectional(&mut client, &mut target).await?;
        return Ok(());
    }
    let number = shared.sockets.fetch_add(1, Ordering::Relaxed);
    let newest = {
        let mut all = shared.newest.lock().expect("whole");
        Arc::clone(all.entry(bend::session(&request)).or_default())
    };
    newest.store(number, Ordering::Relaxed);
    let mut sides = Sides::new(name, number, newest);
    let mut down = WebSocketStream::from_raw_socket(client, Role::Server, None).await;
    let mut up = WebSocketStream::from_partially_read(target, rest, Role::Client, None).await;
    loop {
        tokio::select! {
            () = ends.cancelled() => return Ok(()),
            message = down.next() => {
                let Some(Ok(message)) = message else { return Ok(()) };
                if let Some(message) = sides.up(message) {
                    // What the other side has ended is read to its end first.
                    let _ = up.send(message).await;
                }
            }
            message = up.next() => {
                let Some(Ok(message)) = message else { return Ok(()) };
                let ends = message.is_close();
                if let Some(message) = sides.down(message) {
                    let _ = down.send(message).await;
                }
                if ends {
                    let _ = down.flush().await;
                    // Until the client has answered, so that it reads the close before the end.
                    let goodbye = async { while let Some(Ok(_)) = down.next().await {} };
                    let _ = tokio::time::timeout(std::time::Duration::from_secs(2), goodbye).await;
                    return Ok(());
                }
            }
        }
    }
}
