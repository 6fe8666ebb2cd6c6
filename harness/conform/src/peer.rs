//! A socket of a case's own, and all that was heard over it.
//!
//! It judges nothing: it sends what it is told, keeps what came, and says how a wait ended. Texts of the
//! target are made harmless where a case quotes them ([`Msg::told`], [`quote`]).

use khala_engine::clock;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use khala_engine::said;
use khala_engine::throttle::Pace;
use khala_engine::transport::Socket;
use khala_wire::CHANNEL;
use khala_wire::frame::{Frame, Vsn};
use khala_wire::message::event;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::delivery::{self, Delivered};
use crate::outcome::{Stop, undecided};
use crate::reader::{Inbound, Order, Reader};

/// The join's reference, and that of all that belongs to its channel.
pub const JOIN_REF: &str = "1";

/// One text message of the target.
#[derive(Clone, Debug)]
pub struct Msg {
    /// As it came.
    pub text: String,
    /// Null of a message that is none of Phoenix.
    pub join_ref: Value,
    /// Null of pushes.
    pub msg_ref: Value,
    /// The channel.
    pub topic: String,
    /// The event; empty of a message that is none of Phoenix.
    pub event: String,
    /// The payload.
    pub payload: Value,
    /// The payload as it came.
    pub raw: String,
    /// What it delivers, of a canonical push of a batch.
    pub delivers: Vec<Rc<Delivered>>,
}

impl Msg {
    /// Whether it says that its client is ended for being slow.
    #[must_use]
    pub fn evicts(&self) -> bool {
        self.event == event::SYNC_ERROR
            && self.payload["code"] == "slow_consumer"
            && self.payload["action"] == "disconnect"
    }

    /// Reads it.
    pub(crate) fn read(vsn: Vsn, text: &str) -> Self {
        let value = |raw: Option<&serde_json::value::RawValue>| {
            raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(Value::Null)
        };
        let mut msg = match Frame::parse(vsn, text) {
            Ok(frame) => Self {
                text: text.to_owned(),
                join_ref: value(frame.join_ref),
                msg_ref: value(frame.msg_ref),
                topic: frame.channel.clone().into_owned(),
                event: frame.event.clone().into_owned(),
                payload: value(Some(frame.payload)),
                raw: frame.payload.get().to_owned(),
                delivers: Vec::new(),
            },
            Err(_) => Self {
                text: text.to_owned(),
                join_ref: Value::Null,
                msg_ref: Value::Null,
                topic: String::new(),
                event: String::new(),
                payload: Value::Null,
                raw: String::new(),
                delivers: Vec::new(),
            },
        };
        msg.delivers = delivery::of_frame(&msg).into_iter().map(Rc::new).collect();
        msg
    }

    /// Whether a client that joined with [`JOIN_REF`] takes it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.topic == CHANNEL && (self.join_ref.is_null() || self.join_ref == JOIN_REF)
    }

    /// The status of a reply; empty of anything else.
    #[must_use]
    pub fn status(&self) -> &str {
        self.payload.get("status").and_then(Value::as_str).unwrap_or_default()
    }

    /// The response of a reply.
    #[must_use]
    pub fn response(&self) -> &Value {
        self.payload.get("response").unwrap_or(&Value::Null)
    }

    /// The code of an error, or its reason; empty where it has neither.
    #[must_use]
    pub fn code(&self) -> &str {
        let at = if self.event == event::REPLY { self.response() } else { &self.payload };
        let named = at.get("code").or_else(|| at.get("reason"));
        named.and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it, a reply to this event, is ok.
    ///
    /// # Errors
    /// Undecided, where it is not.
    pub fn is_ok_to(&self, event: &str) -> Result<(), Stop> {
        match self.status() {
            "ok" => Ok(()),
            _ => {
                Err(undecided(format!("on the way, `{event}` was refused: {}", word(self.code()))))
            }
        }
    }

    /// It, as a report may quote it.
    #[must_use]
    pub fn told(&self) -> String {
        format!("`{}`", said::text(&self.text))
    }
}

/// A value of the target, as a report may quote it.
#[must_use]
pub fn quote(value: &Value) -> String {
    format!("`{}`", said::text(&value.to_string()))
}

/// A word of the target, as a report may quote it.
#[must_use]
pub fn word(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { format!("`{}`", said::word(text)) }
}

/// How a socket ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By a close frame, with its code if it had one.
    Closed(Option<u16>),
    /// Without one, in this way.
    Cut(String),
    /// What came breaks RFC 6455.
    Breach(String),
}

impl Ended {
    /// In a clause whose subject is the target.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Closed(Some(code)) => format!("it closed the socket with code {code}"),
            Self::Closed(None) => "it closed the socket without a code".to_owned(),
            Self::Cut(how) => format!("it ended the connection without a close frame ({how})"),
            Self::Breach(what) => format!("it sent what breaks RFC 6455: {what}"),
        }
    }
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message, at this place of the log.
    Msg(usize),
    /// The end of the socket.
    Ended(Ended),
    /// Nothing, until then.
    Nothing,
}

/// A socket and all that was heard over it. Dropped, it is reset.
///
/// Its [reader](crate::reader) reads on whatever the case does meanwhile: a client that is busy with another one
/// is no slow consumer.
pub struct Peer {
    reader: Reader,
    vsn: Vsn,
    asked: u64,
    /// All text messages that the case has looked at, in order.
    pub log: Vec<Msg>,
    /// Pongs that came.
    pub pongs: u32,
    ended: Option<Ended>,
    /// The session that it belongs to.
    pub session: String,
    /// Set once it was told that it is ended for being slow.
    pub evicted: Rc<Cell<bool>>,
}

impl Peer {
    /// Over a socket that was just upgraded; within a [`tokio::task::LocalSet`].
    #[must_use]
    pub fn new(socket: Socket, vsn: Vsn, session: String) -> Self {
        let (log, ended) = (Vec::new(), None);
        let (reader, evicted) = (Reader::start(socket), Rc::default());
        Self { reader, vsn, asked: 1, log, pongs: 0, ended, session, evicted }
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Sends a text as it stands; a socket that has ended says so to whoever listens.
    pub async fn send_text(&mut self, text: &str) {
        self.reader.order(Order::Send(Message::text(text.to_owned()))).await;
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        self.reader.order(Order::Send(Message::binary(bytes))).await;
    }

    /// Sends a ping.
    pub async fn ping(&mut self) {
        self.reader.order(Order::Send(Message::Ping("khala".into()))).await;
    }

    /// Begins the closing handshake.
    pub async fn goodbye(&mut self) {
        self.reader.order(Order::Send(Message::Close(None))).await;
    }

    /// Sends a message of Phoenix with these references.
    pub async fn push(
        &mut self,
        join_ref: &Value,
        msg_ref: &Value,
        topic: &str,
        event: &str,
        payload: &Value,
    ) {
        let text = match self.vsn {
            Vsn::V2 => json!([join_ref, msg_ref, topic, event, payload]).to_string(),
            Vsn::V1 => {
                json!({ "topic": topic, "event": event, "payload": payload, "ref": msg_ref })
                    .to_string()
            }
        };
        self.send_text(&text).await;
    }

    /// A reference that was not used before.
    pub fn fresh_ref(&mut self) -> String {
        self.asked += 1;
        self.asked.to_string()
    }

    /// What comes next, until an instant.
    pub async fn next(&mut self, until: Instant) -> Heard {
        loop {
            if let Some(ended) = &self.ended {
                return Heard::Ended(ended.clone());
            }
            match tokio::time::timeout_at(until, self.reader.next()).await {
                Err(_) => return Heard::Nothing,
                Ok(Inbound::Text(text)) => {
                    let msg = Msg::read(self.vsn, &text);
                    self.evicted.set(self.evicted.get() || msg.evicts());
                    self.log.push(msg);
                    return Heard::Msg(self.log.len() - 1);
                }
                Ok(Inbound::Pong) => self.pongs += 1,
                Ok(Inbound::Ended(ended)) => self.ended = Some(ended),
            }
        }
    }

    /// Listens for so long, whatever comes; where the log stood before.
    pub async fn listen(&mut self, time: Duration) -> usize {
        let from = self.log.len();
        let until = clock::now() + time;
        while let Heard::Msg(_) = self.next(until).await {}
        from
    }

    /// Listens until the condition holds; whether it did in time.
    pub async fn until(&mut self, within: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let until = clock::now() + within;
        loop {
            if holds(self) {
                return true;
            }
            let Heard::Msg(_) = self.next(until).await else { return holds(self) };
        }
    }

    /// The first message from `from` on that fits; listens for it.
    pub async fn first(
        &mut self,
        from: usize,
        within: Duration,
        fits: impl Fn(&Msg) -> bool,
    ) -> Option<Msg> {
        let found = |peer: &Self| peer.log[from..].iter().find(|msg| fits(msg)).cloned();
        self.until(within, |peer| found(peer).is_some()).await;
        found(self)
    }

    /// How the socket ends, if it does so in time.
    pub async fn end(&mut self, within: Duration) -> Option<Ended> {
        self.listen_to_end(within).await;
        self.ended.clone()
    }

    async fn listen_to_end(&mut self, within: Duration) {
        let until = clock::now() + within;
        while let Heard::Msg(_) = self.next(until).await {}
    }

    /// Asks, and waits for the reply with its reference; the reply, or what came instead in a clause.
    ///
    /// # Errors
    /// What came instead.
    pub async fn try_ask(
        &mut self,
        event: &str,
        payload: &Value,
        within: Duration,
    ) -> Result<Msg, String> {
        let msg_ref = if event == event::JOIN { JOIN_REF.to_owned() } else { self.fresh_ref() };
        self.try_ask_as(&json!(JOIN_REF), &json!(msg_ref), CHANNEL, event, payload, within).await
    }

    /// The same with references and channel of the caller's.
    ///
    /// # Errors
    /// What came instead.
    pub async fn try_ask_as(
        &mut self,
        join_ref: &Value,
        msg_ref: &Value,
        topic: &str,
        event: &str,
        payload: &Value,
        within: Duration,
    ) -> Result<Msg, String> {
        let from = self.log.len();
        self.push(join_ref, msg_ref, topic, event, payload).await;
        let answers = |msg: &Msg| msg.event == event::REPLY && msg.msg_ref == *msg_ref;
        let ends = |msg: &Msg| msg.is_ours() && matches!(&*msg.event, event::CLOSE | event::ERROR);
        let heard = self.first(from, within, |msg| answers(msg) || ends(msg)).await;
        match heard {
            Some(msg) if answers(&msg) => Ok(msg),
            Some(msg) => Err(format!("it ended the channel with {}", msg.event)),
            None => Err(match &self.ended {
                Some(ended) => ended.told(),
                None => format!("it did not answer `{event}` within {within:?}"),
            }),
        }
    }

    /// Asks, where an answer is only a step on the way.
    ///
    /// # Errors
    /// Undecided, where none comes.
    pub async fn ask(
        &mut self,
        event: &str,
        payload: Value,
        within: Duration,
    ) -> Result<Msg, Stop> {
        let reply = self.try_ask(event, &payload, within).await;
        reply.map_err(|came| undecided(format!("on the way, {came} (asked: `{event}`)")))
    }

    /// [`Peer::ask`], and the answer must be ok.
    ///
    /// # Errors
    /// Undecided, where it is not.
    pub async fn ask_ok(
        &mut self,
        event: &str,
        payload: Value,
        within: Duration,
    ) -> Result<Msg, Stop> {
        let reply = self.ask(event, payload, within).await?;
        reply.is_ok_to(event)?;
        Ok(reply)
    }

    /// What was delivered by the canonical pushes from a place of the log on.
    #[must_use]
    pub fn delivered(&self, from: usize) -> Vec<Rc<Delivered>> {
        let ours = self.log[from..].iter().filter(|msg| msg.is_ours());
        ours.flat_map(|msg| msg.delivers.iter().map(Rc::clone)).collect()
    }

    /// Reads at this pace from now on.
    pub async fn pace(&mut self, pace: Pace) {
        self.reader.order(Order::Pace(pace)).await;
    }

    /// Ends the sending half of the connection, and nothing else: no close frame.
    pub async fn half_close(&mut self) {
        self.reader.order(Order::HalfClose).await;
    }

    /// Resets the connection; it is done when this comes back.
    pub async fn reset(self) {
        self.reader.reset().await;
    }
}
