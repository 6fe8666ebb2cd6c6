//! Servers that are not Khala: whatever a scenario's URL may lead to by mistake.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// A listening server; its thread ends with the test.
pub struct Server {
    pub url: String,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// Answers each connection on a thread of its own.
    pub fn start(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let url = format!("http://{}", listener.local_addr().expect("has an address"));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, answer) = (Arc::clone(&accepted), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || answer(stream));
            }
        });
        Self { url, accepted }
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Upgrades, then does as it is told.
    pub fn web_socket(talk: impl Fn(WebSocket<TcpStream>) + Send + Sync + 'static) -> Self {
        Self::start(move |stream| {
            if let Ok(socket) = tungstenite::accept(stream) {
                talk(socket);
            }
        })
    }

    /// Sends back what it gets.
    pub fn echo() -> Self {
        Self::web_socket(|mut socket| {
            while let Ok(message) = socket.read() {
                if matches!(message, Message::Text(_) | Message::Binary(_))
                    && socket.send(message).is_err()
                {
                    return;
                }
            }
        })
    }

    /// Upgrades, reads, and never says a word.
    pub fn mute_web_socket() -> Self {
        Self::web_socket(|mut socket| while socket.read().is_ok() {})
    }

    /// Upgrades and closes at once.
    pub fn closing_web_socket() -> Self {
        Self::web_socket(|mut socket| {
            let _ = socket.close(None);
            while socket.read().is_ok() {}
        })
    }

    /// Upgrades, and says something of its own instead of an answer.
    pub fn talking_web_socket(text: &'static str) -> Self {
        Self::web_socket(move |mut socket| {
            let _ = socket.send(Message::text(text));
            while socket.read().is_ok() {}
        })
    }

    /// Accepts and says nothing.
    pub fn silent() -> Self {
        Self::start(|mut stream| {
            let mut sink = [0; 1024];
            while matches!(stream.read(&mut sink), Ok(1..)) {}
        })
    }

    /// Accepts and closes at once.
    pub fn closing() -> Self {
        Self::start(drop)
    }

    /// Speaks HTTP and nothing else.
    pub fn http(status: &'static str) -> Self {
        Self::start(move |mut stream| {
            let (mut request, mut part) = (Vec::new(), [0; 1024]);
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut part) {
                    Ok(count @ 1..) => request.extend_from_slice(&part[..count]),
                    _ => return,
                }
            }
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\
                 connection: close\r\n\r\nhello"
            );
        })
    }
}

/// A server that keeps what it is sent and answers so.
pub fn told(status: &'static str) -> (Server, Arc<Mutex<Vec<String>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeps = Arc::clone(&kept);
    let server = Server::start(move |mut stream| {
        let (mut request, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.to_ascii_lowercase();
                let length = length.split("content-length: ").nth(1).expect("a length");
                let length: usize = length.lines().next().expect("a line").parse().expect("one");
                if body.len() >= length {
                    keeps.lock().expect("nobody panics").push(text);
                    break;
                }
            }
            match stream.read(&mut part) {
                Ok(count @ 1..) => request.extend_from_slice(&part[..count]),
                _ => return,
            }
        }
        let _ =
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    });
    (server, kept)
}

/// The URL of a port at which nobody listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
    format!("http://{}", listener.local_addr().expect("has an address"))
}
