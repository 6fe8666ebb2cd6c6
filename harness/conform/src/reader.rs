//! A socket's own task: it reads whatever comes as it comes, and does what the case tells it.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use khala_engine::said;
use khala_engine::throttle::Pace;
use khala_engine::transport::{Socket, cut_by};
use khala_evidence::record::Cut;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::peer::Ended;

/// Messages that may wait for the case; with more, nothing is read until it has looked.
const INBOX: usize = 16_384;
/// Orders that may wait for the socket.
const ORDERS: usize = 64;
/// How long a courtesy may take.
const BRIEF: Duration = Duration::from_millis(200);

/// What came.
#[derive(Debug)]
pub enum Inbound {
    /// A text message.
    Text(String),
    /// A pong.
    Pong,
    /// The end; nothing comes after it.
    Ended(Ended),
}

/// What the socket is told.
#[derive(Debug)]
pub enum Order {
    /// Send this.
    Send(Message),
    /// Read at this pace.
    Pace(Pace),
    /// End the sending half, without a close frame.
    HalfClose,
}

/// The case's end of a socket. Dropped, the socket is reset.
pub struct Reader {
    inbox: mpsc::Receiver<Inbound>,
    orders: mpsc::Sender<Order>,
    task: JoinHandle<()>,
}

impl Reader {
    /// Reads from a socket, on this thread's [`tokio::task::LocalSet`].
    #[must_use]
    pub fn start(socket: Socket) -> Self {
        let (heard, inbox) = mpsc::channel(INBOX);
        let (orders, told) = mpsc::channel(ORDERS);
        let task = tokio::task::spawn_local(run(Reset(socket), told, heard));
        Self { inbox, orders, task }
    }

    /// Tells the socket; one that has ended is told nothing.
    pub async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }

    /// What comes next.
    pub async fn next(&mut self) -> Inbound {
        let gone = || Inbound::Ended(Ended::Cut("end of the stream".to_owned()));
        self.inbox.recv().await.unwrap_or_else(gone)
    }

    /// Resets the connection; it is done when this comes back.
    pub async fn reset(self) {
        let Self { inbox, orders, task } = self;
        drop((inbox, orders));
        let _ = task.await;
    }
}

/// A socket that is reset when it is dropped.
struct Reset(Socket);

impl Drop for Reset {
    fn drop(&mut self) {
        // Where the option fails the close is a FIN.
        let _ = self.0.get_ref().abort_on_close();
    }
}

async fn run(mut socket: Reset, mut told: mpsc::Receiver<Order>, heard: mpsc::Sender<Inbound>) {
    let socket = &mut socket.0;
    loop {
        let inbound = tokio::select! {
            order = told.recv() => match order {
                Some(order) => {
                    // Who has let go is not waited for.
                    let obeyed = obey(socket, order);
                    tokio::select! {
                        () = obeyed => {}
                        () = heard.closed() => return,
                    }
                    continue;
                }
                None => return,
            },
            message = socket.next() => read(socket, message).await,
        };
        let Some(inbound) = inbound else { continue };
        let ends = matches!(inbound, Inbound::Ended(_));
        if heard.send(inbound).await.is_err() {
            return;
        }
        if ends {
            // Kept as it is until the case lets go of it.
            while told.recv().await.is_some() {}
            return;
        }
    }
}

async fn obey(socket: &mut Socket, order: Order) {
    match order {
        // What cannot be sent any more shows in what is read.
        Order::Send(message) => drop(socket.send(message).await),
        Order::Pace(pace) => socket.get_ref().throttle().set(pace),
        Order::HalfClose => drop(socket.get_mut().shutdown().await),
    }
}

/// What a read came to; `None` of what is nobody's business.
async fn read(socket: &mut Socket, message: Option<Result<Message, Error>>) -> Option<Inbound> {
    Some(match message {
        Some(Ok(Message::Text(text))) => Inbound::Text(text.as_str().to_owned()),
        Some(Ok(Message::Pong(_))) => Inbound::Pong,
        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Frame(_))) => return None,
        Some(Ok(Message::Close(_))) => {
            let tap = socket.get_ref().tap();
            let code = tap.and_then(|tap| tap.close()).and_then(|close| close.code);
            // The library's answer to it goes out with the next turn.
            let _ = tokio::time::timeout(BRIEF, socket.flush()).await;
            Inbound::Ended(Ended::Closed(code))
        }
        Some(Err(error)) => Inbound::Ended(end_of(socket, &error)),
        None => Inbound::Ended(Ended::Cut("end of the stream".to_owned())),
    })
}

fn end_of(socket: &Socket, error: &Error) -> Ended {
    let tap = socket.get_ref().tap();
    if let Some(breach) = tap.and_then(|tap| tap.breach()) {
        return Ended::Breach(breach.to_string());
    }
    Ended::Cut(match error {
        Error::Io(error) => match cut_by(error) {
            Cut::Eof => "end of the stream".to_owned(),
            Cut::Reset => "reset".to_owned(),
            _ => error.kind().to_string(),
        },
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => "end of the stream".to_owned(),
        other => return Ended::Breach(said::error(other)),
    })
}
