//! A client's socket against real servers: what a failed dial is called, what a cut looks like from
//! the other side, and how slowly it can be made to read.

#![expect(clippy::disallowed_methods, reason = "a test measures by the clock of its machine")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use khala_engine::handshake::Interim;
use khala_engine::reach::{Outgoing, Reach};
use khala_engine::target::extras::Extras;
use khala_engine::throttle::Pace;
use khala_engine::transport::{Dial, DialError, Socket, dial};
use khala_evidence::record::Outcome;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// How long anything may take before a test calls it missing.
const PATIENCE: Duration = Duration::from_secs(60);
/// What must never be seen in an error.
const TOKEN: &str = "eyJsecret";

/// A server that does this with its first connection; what it returns can be waited for.
fn server<T: Send + 'static>(
    answer: impl FnOnce(TcpStream, SocketAddr) -> T + Send + 'static,
) -> (SocketAddr, Receiver<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
    let address = listener.local_addr().expect("has an address");
    let (give, take) = channel();
    std::thread::spawn(move || {
        let (stream, peer) = listener.accept().expect("accepts");
        // A test that does not care has dropped the other end.
        let _ = give.send(answer(stream, peer));
    });
    (address, take)
}

fn web_socket_server<T: Send + 'static>(
    talk: impl FnOnce(WebSocket<TcpStream>) -> T + Send + 'static,
) -> (SocketAddr, Receiver<T>) {
    server(move |stream, _| talk(tungstenite::accept(stream).expect("upgrades")))
}

fn http_server(status: &'static str) -> SocketAddr {
    let (address, _) = server(move |mut stream, _| {
        let mut request = [0; 4096];
        let _ = stream.read(&mut request);
        let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    });
    address
}

fn to(address: SocketAddr) -> Dial {
    Dial {
        reach: Reach::here(&format!("http://{address}")).expect("on this machine"),
        from: Outgoing::default(),
        timeout: PATIENCE,
        user_agent: "khala-harness/test".to_owned(),
        extras: Extras::default(),
        backlog: None,
        interim: Interim::default(),
        message_max: 16 << 20,
    }
}

fn path() -> String {
    format!("/sync/socket/websocket?token={TOKEN}&vsn=2.0.0")
}

async fn fails(how: &Dial) -> DialError {
    let error = dial(how, &path()).await.map(|_| ()).expect_err("must fail");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(TOKEN), "a token reached an error: {shown}");
    error
}

async fn connected(address: SocketAddr) -> Socket {
    dial(&to(address), &path()).await.expect("connects")
}

fn soon<T>(from: &Receiver<T>) -> T {
    from.recv_timeout(PATIENCE).expect("the server is done")
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
    let address = listener.local_addr().expect("has an address");
    drop(listener);
    let error = fails(&to(address)).await;
    assert_eq!(error.outcome(), Outcome::ConnectionFailed);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn nobody_answers_within_the_time_out() {
    let (address, _) = server(|mut stream, _| {
        let mut sink = [0; 1024];
        while matches!(stream.read(&mut sink), Ok(1..)) {}
    });
    let how = Dial { timeout: Duration::from_millis(300), ..to(address) };
    let begun = Instant::now();
    let error = fails(&how).await;
    assert_eq!(error.outcome(), Outcome::Timeout);
    assert!(error.to_string().contains("within 300ms"), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_server_that_closes_instead_of_answering_is_a_failed_connection() {
    let (address, _) = server(|stream, _| drop(stream));
    let error = fails(&to(address)).await;
    assert_eq!(error.outcome(), Outcome::ConnectionFailed, "{error}");
}

#[tokio::test]
async fn refusals_are_told_apart_by_their_status() {
    for (status, code, outcome) in [
        ("401 Unauthorized", 401, Outcome::RefusedAuth),
        ("403 Forbidden", 403, Outcome::RefusedAuth),
        ("404 Not Found", 404, Outcome::ProtocolError),
        ("503 Service Unavailable", 503, Outcome::ProtocolError),
    ] {
        let error = fails(&to(http_server(status))).await;
        assert!(
            matches!(error, DialError::Refused(ref refusal) if refusal.status == code),
            "{error}"
        );
        assert_eq!(error.outcome(), outcome, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_not_an_upgrade() {
    let (address, _) = server(|mut stream, _| {
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n\r\n");
        let mut sink = [0; 1024];
        while matches!(stream.read(&mut sink), Ok(1..)) {}
    });
    let error = fails(&to(address)).await;
    assert!(matches!(error, DialError::Protocol(_)), "{error}");
    assert_eq!(error.outcome(), Outcome::ProtocolError);
}

#[tokio::test]
async fn the_request_says_who_asks_and_comes_from_the_address_it_was_told() {
    let (address, seen) = server(|mut stream, peer| {
        let mut request = [0; 4096];
        let count = stream.read(&mut request).unwrap_or_default();
        (String::from_utf8_lossy(&request[..count]).into_owned(), peer)
    });
    let how = Dial {
        from: Outgoing { source: Some(Ipv4Addr::new(127, 0, 0, 9)), ..Outgoing::default() },
        ..to(address)
    };
    fails(&how).await;
    let (request, peer) = soon(&seen);
    assert!(request.to_lowercase().contains("user-agent: khala-harness/test"), "{request}");
    assert!(request.starts_with(&format!("GET {} HTTP/1.1", path())), "{request}");
    assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 9));
}

/// How the end of a connection looks to who reads.
fn end_of(mut stream: TcpStream) -> Result<(), ErrorKind> {
    let mut sink = [0; 1024];
    loop {
        match stream.read(&mut sink) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error.kind()),
        }
    }
}

#[tokio::test]
async fn an_aborted_socket_is_a_reset_and_a_dropped_one_an_end() {
    let end = || web_socket_server(|socket| end_of(socket.into_inner()));
    let (address, aborted) = end();
    let socket = connected(address).await;
    socket.get_ref().abort_on_close().expect("can be set");
    drop(socket);
    assert_eq!(soon(&aborted), Err(ErrorKind::ConnectionReset));

    let (address, dropped) = end();
    drop(connected(address).await);
    assert_eq!(soon(&dropped), Ok(()));
}

#[tokio::test]
async fn a_message_is_stamped_when_its_bytes_are_read() {
    let (address, _) = web_socket_server(|mut socket| {
        let _ = socket.send(Message::text("one"));
        let _ = socket.read();
        let _ = socket.send(Message::text("two"));
        while socket.read().is_ok() {}
    });
    let mut socket = connected(address).await;
    let text = socket.next().await.expect("a message").expect("no error");
    assert_eq!(text, Message::text("one"));
    let first = socket.get_ref().read_at().expect("it was read");
    let asked = Instant::now();
    assert!(first <= asked);
    socket.send(Message::text("next")).await.expect("is sent");
    socket.next().await.expect("a message").expect("no error");
    let second = socket.get_ref().read_at().expect("it was read");
    assert!(second >= asked && second <= Instant::now());
}

/// A server that talks without end; returns how much it got rid of once a write has failed to
/// get through for a second.
fn flood() -> (SocketAddr, Receiver<usize>) {
    web_socket_server(|mut socket| {
        let limit = Some(Duration::from_secs(1));
        socket.get_ref().set_write_timeout(limit).expect("can be set");
        let text = "x".repeat(16 * 1024);
        let mut count = 0;
        while socket.send(Message::text(text.clone())).is_ok() {
            count += 1;
        }
        count
    })
}

#[tokio::test]
async fn a_paused_reader_leaves_everything_with_the_peer() {
    let (address, stuck) = flood();
    let how = Dial {
        from: Outgoing { receive_buffer: Some(4_096), ..Outgoing::default() },
        ..to(address)
    };
    let mut socket = dial(&how, &path()).await.expect("connects");
    socket.get_ref().throttle().set(Pace::Paused);
    // Nothing is read, so the peer's writes stop getting through; only that ends the wait.
    let got = tokio::select! {
        message = socket.next() => Some(message),
        stuck = tokio::task::spawn_blocking(move || soon(&stuck)) => {
            stuck.expect("does not panic");
            None
        }
    };
    assert!(got.is_none(), "a paused client read {got:?}");
    socket.get_ref().throttle().set(Pace::Full);
    let message = socket.next().await.expect("a message").expect("no error");
    assert!(matches!(message, Message::Text(_)), "what was kept back comes when it reads again");
}

#[tokio::test]
async fn a_reader_at_a_rate_gets_no_more_than_its_rate() {
    const RATE: u32 = 100_000;
    let (address, _) = flood();
    let mut socket = connected(address).await;
    socket.get_ref().throttle().set(Pace::Rate(RATE));
    let begun = Instant::now();
    let mut bytes = 0;
    while bytes < 300_000 {
        let message = socket.next().await.expect("a message").expect("no error");
        bytes += message.len();
    }
    // The reads that are due at once and what was in the buffer are worth less than a second.
    assert!(begun.elapsed() >= Duration::from_secs(2), "{bytes} bytes in {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_dead_socket_says_nothing_and_hears_nothing() {
    let (address, heard) = web_socket_server(|mut socket| {
        let _ = socket.send(Message::text("are you there?"));
        let first = socket.read();
        let _ = socket.send(Message::text("are you still there?"));
        socket.get_ref().set_read_timeout(Some(Duration::from_secs(1))).expect("can be set");
        (first.is_ok(), socket.read().map_err(|error| error.to_string()))
    });
    let mut socket = connected(address).await;
    socket.next().await.expect("a message").expect("no error");
    socket.send(Message::text("yes")).await.expect("is sent");
    socket.get_ref().throttle().set(Pace::Dead);
    socket.send(Message::text("yes")).await.expect("the client believes that it was sent");
    let until_the_server_gave_up = tokio::task::spawn_blocking(move || soon(&heard));
    tokio::select! {
        message = socket.next() => panic!("a dead socket heard {message:?}"),
        heard = until_the_server_gave_up => {
            let (alive, then) = heard.expect("does not panic");
            assert!(alive);
            assert!(then.is_err(), "the server heard {then:?}");
        }
    }
}
