//! Drives one machine over its sessions: waits, dials, reads, writes, and is cut when told so.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use khala_evidence::record::{Cut, Micros, Outcome, Record, Request, Sink};
use khala_plan::Plan;
use khala_plan::model::{ChosenCursor, DisconnectStyle, Mint, Resume};
use khala_plan::schedule::Identity;
use khala_wire::topic::TopicId;
use tokio::sync::Notify;

use super::machine::{Action, Machine, Phase, World};
use super::reader::Reader;
use super::snapshot;
use crate::answer::Answer;
use crate::clock::Clock;
use crate::contact::Ear;
use crate::heads::LocalHeads;
use crate::http::Http;
use crate::mint::Minter;
use crate::session::{Close, Connector, Inbound, Session};
use crate::stall::Watch;
use crate::target::Target;
use crate::target::window::Windows;
use crate::throttle::Pace;
use crate::transport::DialError;

/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Status of an upgrade that is taken.
const SWITCHING_PROTOCOLS: u16 = 101;
/// Close code of a client that leaves in good order.
const CLOSE_NORMAL: u16 = 1000;

/// How long a half-open socket is kept from closing: longer than any idle time-out of the contract.
const BURIED_FOR: Duration = Duration::from_secs(90);

/// Bytes remembered of a frame's beginning.
const EXCERPT_HEAD: usize = 160;
/// And of its end.
const EXCERPT_TAIL: usize = 80;

/// What a thread's clients share.
pub struct Surroundings<S> {
    /// The run's clock.
    pub clock: Clock,
    /// Whether the thread stands still.
    pub watch: Watch,
    /// The plan.
    pub plan: Arc<Plan>,
    /// The target.
    pub target: Arc<Target>,
    /// Takes the records.
    pub sink: RefCell<S>,
    /// Reads batches.
    pub reader: RefCell<Reader>,
    /// What any client has seen.
    pub heads: LocalHeads,
    /// Hears whether the target is there.
    pub ear: Ear,
    /// Mints.
    pub minter: Minter,
    /// Requests that are no operation of a client's surface: snapshots, windows.
    pub http: Http,
    /// The target's windows, as read for clients that come back with a chosen cursor.
    pub windows: Windows,
}

impl<S: Sink> Surroundings<S> {
    /// Takes a record of something that is no client machine's.
    pub fn record(&self, record: Record) {
        let mut sink = self.sink.borrow_mut();
        self.watch.look(&mut *sink);
        sink.record(record);
    }

    fn with<R>(&self, act: impl FnOnce(&mut World<'_, S>) -> R) -> R {
        let mut sink = self.sink.borrow_mut();
        self.watch.look(&mut *sink);
        let mut reader = self.reader.borrow_mut();
        act(&mut World { sink: &mut *sink, reader: &mut reader, heads: &self.heads })
    }
}

/// What a client is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Cut the socket.
    Cut {
        /// The fault.
        fault: u16,
        /// When the plan wanted it.
        intended: Micros,
        /// How it looks to the target.
        style: DisconnectStyle,
    },
    /// Cut the socket, stay away until a time, and come back with a cursor.
    Away {
        /// The fault.
        fault: u16,
        /// When the plan wanted it.
        intended: Micros,
        /// When to come back.
        until: Micros,
        /// With which cursor.
        resume: Resume,
    },
    /// Close the socket, and come back with a cursor that is not the client's.
    Cursor {
        /// The fault.
        fault: u16,
        /// When the plan wanted it.
        intended: Micros,
        /// With which cursor.
        cursor: ChosenCursor,
    },
    /// Read slowly from now on.
    Slow(Pace),
    /// Read as fast as it comes again.
    Fast,
    /// Give up topics until a time.
    Unsubscribe {
        /// The topics, as the fault lists them.
        topics: Topics,
        /// When to subscribe again.
        until: Micros,
    },
    /// The session is about to be revoked: once the socket is gone, stay away until a time.
    Revoke {
        /// The fault.
        fault: u16,
        /// When the plan wanted it.
        intended: Micros,
        /// When to come back, with the session that [`Control::session`] has then.
        until: Micros,
    },
    /// The target is about to be restarted.
    Restarting {
        /// The fault.
        fault: u16,
        /// When the plan wants it.
        intended: Micros,
    },
    /// The revocation was acknowledged, or was not.
    Revoked {
        /// When.
        at: Option<Micros>,
    },
    /// Leave the run.
    Retire,
}

/// A set of known topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Topics(u8);

impl FromIterator<TopicId> for Topics {
    fn from_iter<I: IntoIterator<Item = TopicId>>(topics: I) -> Self {
        Self(topics.into_iter().fold(0, |set, topic| set | 1 << topic.0))
    }
}

impl Topics {
    fn list(self) -> Vec<TopicId> {
        (0..8).filter(|id| self.0 & (1 << id) != 0).map(TopicId).collect()
    }
}

/// Orders that may wait for a client; of more, the oldest is forgotten (and its fault hits less).
const ORDERS_MAX: usize = 8;

/// How a client is told.
#[derive(Debug, Default)]
pub struct Control {
    orders: RefCell<VecDeque<Order>>,
    /// The session of the next connect.
    session: RefCell<String>,
    given: Notify,
    /// The client's state, for progress and for the drain.
    pub view: RefCell<View>,
}

/// What a thread shows of a client.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Whether it has a socket.
    pub online: bool,
    /// Whether replay is complete.
    pub live: bool,
    /// Whether it has left the run.
    pub retired: bool,
    /// Whether it has begun its first connect, and may connect again.
    pub present: bool,
    /// Whether it waits for an answer of the target, and would hear it.
    pub waiting: bool,
    /// Whether it is at head on every topic.
    cursors: Vec<(TopicId, Option<u64>)>,
}

impl View {
    /// Whether the client has applied all that any client has seen.
    #[must_use]
    pub fn at_head(&self, heads: &LocalHeads) -> bool {
        self.cursors.iter().all(|&(topic, cursor)| cursor.unwrap_or(0) >= heads.seq(topic))
    }
}

impl Control {
    /// The control of a client that begins with a session.
    #[must_use]
    pub fn with_session(session: String) -> Self {
        Self { session: RefCell::new(session), ..Self::default() }
    }

    /// The session of the next connect.
    #[must_use]
    pub fn session(&self) -> String {
        self.session.borrow().clone()
    }

    /// Another session for the next connect: a fault revokes the one there is.
    pub fn renew_session(&self, fault: u16) {
        self.session.borrow_mut().push_str(&format!("-after-{fault}"));
    }

    /// Gives an order.
    pub fn give(&self, order: Order) {
        let mut orders = self.orders.borrow_mut();
        if orders.len() >= ORDERS_MAX {
            orders.pop_front();
        }
        orders.push_back(order);
        self.given.notify_one();
    }

    async fn taken(&self) -> Order {
        loop {
            if let Some(order) = self.orders.borrow_mut().pop_front() {
                return order;
            }
            self.given.notified().await;
        }
    }
}

/// One client and all it needs.
pub struct Driver<S, C> {
    /// What the thread shares.
    pub around: Rc<Surroundings<S>>,
    /// The machine.
    pub machine: Machine,
    /// The client's number.
    pub client: u32,
    /// Who it is.
    pub identity: Identity,
    /// What its tokens ask for.
    pub scopes: Vec<String>,
    /// How to connect.
    pub dial: C,
    /// How it is told.
    pub control: Rc<Control>,
    /// The cursor to come back with, once a fault has sent it away, and the fault.
    pub resume: Option<(u16, Resume)>,
    /// The sync token of the socket there is, for snapshots.
    pub bearer: Option<String>,
    /// The pace that a fault wants, kept over reconnects while the fault lasts.
    pub slow: Option<Pace>,
}

/// What ended a wait.
enum Waited<T> {
    Done(T),
    Order(Order),
}

impl<S: Sink, C: Connector> Driver<S, C> {
    /// Runs the client until it is retired.
    pub async fn run(mut self) {
        loop {
            let order = match self.machine.phase() {
                Phase::Waiting(until) => self.wait(until).await,
                Phase::Connecting => self.connect().await,
                // A machine is online only inside `converse`, which leaves it when it is not.
                Phase::Online | Phase::Stopped => Some(self.control.taken().await),
            };
            self.show();
            match order {
                Some(Order::Retire) => {
                    let now = self.around.clock.now();
                    self.around.with(|world| self.machine.retire(now, world));
                    self.control.view.borrow_mut().retired = true;
                    return;
                }
                Some(Order::Slow(pace)) => self.slow_down(pace),
                Some(Order::Fast) => self.speed_up(false),
                // Without a socket there is nothing to cut or to give up: the target's side will
                // show that the fault missed this client.
                Some(
                    Order::Cut { .. }
                    | Order::Away { .. }
                    | Order::Cursor { .. }
                    | Order::Unsubscribe { .. }
                    | Order::Revoke { .. }
                    | Order::Restarting { .. },
                )
                | None => {}
                Some(Order::Revoked { at }) => self.revoked(at),
            }
        }
    }

    fn revoked(&mut self, at: Option<Micros>) {
        let around = Rc::clone(&self.around);
        around.with(|world| self.machine.revoked(at, world));
    }

    fn slow_down(&mut self, pace: Pace) {
        if self.slow.replace(pace).is_none() {
            let (client, at) = (self.client, self.around.clock.now());
            self.around.with(|world| world.sink.record(Record::SlowBegan { client, at }));
        }
    }

    fn speed_up(&mut self, same_socket: bool) {
        if self.slow.take().is_some() {
            let (client, at) = (self.client, self.around.clock.now());
            let record = Record::SlowEnded { client, at, same_socket };
            self.around.with(|world| world.sink.record(record));
        }
    }

    async fn send<const N: usize>(&mut self, session: &mut C::Session, texts: [String; N]) {
        let around = Rc::clone(&self.around);
        for text in texts {
            self.remember(around.clock.now(), true, &text);
            // Bounded: a target that does not read for this long is gone.
            let timeout = around.plan.target.request_timeout;
            let sent = tokio::time::timeout(timeout, session.send(text)).await;
            if let Err(how) = sent.unwrap_or(Err(Cut::Unsent)) {
                around.with(|world| self.machine.broken(around.clock.now(), how, world));
                return;
            }
        }
    }

    /// A frame for the flight recorder.
    fn remember(&self, at: Micros, sent: bool, text: &str) {
        let (client, bytes, excerpt) = (self.client, text.len() as u64, excerpt(text));
        self.around
            .with(|world| world.sink.record(Record::Frame { client, at, sent, bytes, excerpt }));
    }

    /// Takes snapshots of stale topics, one after another, as the real clients do.
    async fn bootstrap(&mut self, topics: Vec<TopicId>) -> Action {
        let around = Rc::clone(&self.around);
        for topic in topics {
            let start = around.clock.now();
            let taken = snapshot::take(&around.http, self.bearer.as_deref(), topic).await;
            let done = around.clock.now();
            let (answer, taken) = match taken {
                Ok((status, head)) => (Answer::ok(status), Ok(head)),
                Err(answer) => (answer.clone(), Err(answer.outcome)),
            };
            around.record(answer.record(Request::Snapshot, Some(self.client), start, done));
            around.with(|world| self.machine.snapshot(topic, start, done, taken, world));
        }
        around.with(|world| self.machine.bootstrapped(around.clock.now(), world))
    }

    fn show(&self) {
        let mut view = self.control.view.borrow_mut();
        view.online = self.machine.phase() == Phase::Online;
        view.live = self.machine.is_live();
        view.present = self.machine.is_present();
        view.waiting = self.slow.is_none() && self.machine.is_waiting();
        view.cursors.clear();
        view.cursors.extend(self.machine.cursors());
    }

    async fn wait(&mut self, until: Micros) -> Option<Order> {
        let control = Rc::clone(&self.control);
        tokio::select! {
            order = control.taken() => Some(order),
            () = tokio::time::sleep_until(self.around.clock.instant(until)) => {
                let now = self.around.clock.now();
                self.around.with(|world| self.machine.tick(now, world));
                None
            }
        }
    }

    async fn connect(&mut self) -> Option<Order> {
        let control = Rc::clone(&self.control);
        let around = Rc::clone(&self.around);
        self.choose_cursors().await;
        let waited = tokio::select! {
            order = control.taken() => Waited::Order(order),
            session = self.dialled() => Waited::Done(session),
        };
        match waited {
            Waited::Order(Order::Retire) => Some(Order::Retire),
            Waited::Order(order) => {
                // The dial was dropped half-way; it counts for nothing and is begun again.
                let now = around.clock.now();
                around.with(|world| {
                    self.machine.connect_failed(now, now, Outcome::Interrupted, world)
                });
                Some(order)
            }
            Waited::Done(None) => None,
            Waited::Done(Some((session, start, done))) => {
                let first = around.with(|world| self.machine.connected(start, done, world));
                self.show();
                self.converse(session, first).await
            }
        }
    }

    /// Puts the cursors in place that a fault wants the client to come back with.
    async fn choose_cursors(&mut self) {
        let Some((fault, resume)) = self.resume.take() else { return };
        let topics: Vec<_> = self.machine.cursors().map(|(topic, _)| topic).collect();
        let windows = match resume {
            Resume::Kept => None,
            _ => self.around.windows.at(fault, &self.around.target).await,
        };
        let cursors = windows
            .iter()
            .flat_map(|windows| topics.iter().filter_map(|&topic| windows.cursor(topic, resume)));
        self.machine.resume_from(cursors.collect::<Vec<_>>());
    }

    /// A session with the times it was begun and done; `None` when the machine knows why not.
    async fn dialled(&mut self) -> Option<(C::Session, Micros, Micros)> {
        let around = Rc::clone(&self.around);
        let clock = around.clock;
        let mint_start = clock.now();
        self.identity.session = self.control.session();
        let jti = format!("{}-{mint_start}", self.identity.session);
        let minted = around
            .minter
            .mint(&around.plan, &around.target, &self.identity, &self.scopes, jti)
            .await;
        let start = clock.now();
        // A token that the harness signs itself is no operation of the target: it is no sample, or
        // a gate on mint errors would be green without having asked anybody.
        let asked = around.plan.auth.mint == Mint::Control;
        let outcome = minted.as_ref().map_or_else(|answer| answer.outcome, |_| Outcome::Ok);
        if asked {
            let answer = match &minted {
                Ok(minted) => Answer::ok(minted.status.unwrap_or_default()),
                Err(answer) => answer.clone(),
            };
            around.record(answer.record(Request::Mint, Some(self.client), mint_start, start));
        }
        if asked || outcome != Outcome::Ok {
            around.with(|world| self.machine.minted(mint_start, start, outcome, world));
        }
        let token = minted.ok()?.token;
        self.bearer = Some(token.clone());
        let path = around.target.socket_query(&token);
        let dialled = self.dial.connect(&path).await;
        let done = clock.now();
        let answer = match &dialled {
            Ok(_) => Answer::ok(SWITCHING_PROTOCOLS),
            Err(error) => error.answer(),
        };
        around.record(answer.record(Request::Upgrade, Some(self.client), start, done));
        match dialled {
            Ok(session) => {
                around.ear.heard(done);
                Some((session, start, done))
            }
            Err(error) => {
                tracing::debug!(client = self.client, %error, "connect failed");
                if error.was_heard() {
                    around.ear.heard(done);
                } else {
                    around.ear.contact().unheard();
                }
                if let DialError::Breached(breach) = error {
                    around.record(Record::Breached { client: self.client, at: done, breach });
                }
                let outcome = error.outcome();
                around.with(|world| self.machine.connect_failed(start, done, outcome, world));
                None
            }
        }
    }

    /// Talks until the machine is offline. Returns an order that is not yet carried out.
    async fn converse(&mut self, mut session: C::Session, first: Action) -> Option<Order> {
        let around = Rc::clone(&self.around);
        let control = Rc::clone(&self.control);
        let clock = around.clock;
        let mut action = first;
        // Whether the socket is the one on which the client was made slow.
        let mut slow_here = false;
        if let Some(pace) = self.slow {
            session.set_pace(pace);
        }
        loop {
            match std::mem::replace(&mut action, Action::None) {
                Action::None | Action::Connect | Action::Close | Action::Stop => {}
                Action::Bootstrap(topics) => {
                    action = self.bootstrap(topics).await;
                    continue;
                }
                Action::Send(text) => self.send(&mut session, [text]).await,
                Action::SendBoth(texts) => self.send(&mut session, texts).await,
            }
            if self.machine.phase() != Phase::Online {
                self.show();
                if session.pace() == Pace::Dead {
                    tokio::task::spawn_local(bury(session));
                    return None;
                }
                // In the background, so that a slow goodbye does not delay the reconnect.
                tokio::task::spawn_local(close(session, CLOSE_NORMAL));
                return None;
            }
            let deadline = clock.instant(self.machine.deadline());
            let waited = tokio::select! {
                biased;
                order = control.taken() => Waited::Order(order),
                inbound = session.next() => Waited::Done(Some(inbound)),
                () = tokio::time::sleep_until(deadline) => Waited::Done(None),
            };
            match waited {
                Waited::Order(Order::Cut { fault, intended, style: DisconnectStyle::HalfOpen }) => {
                    let now = clock.now();
                    around.with(|world| self.machine.cut_silently(now, fault, intended, world));
                    session.set_pace(Pace::Dead);
                }
                Waited::Order(Order::Cut { fault, intended, style }) => {
                    let now = clock.now();
                    around.with(|world| self.machine.cut(now, fault, intended, world));
                    self.show();
                    cut(session, style);
                    return None;
                }
                Waited::Order(Order::Away { fault, intended, until, resume }) => {
                    let now = clock.now();
                    let cut = around
                        .with(|world| self.machine.cut_until(now, fault, intended, until, world));
                    if cut {
                        self.resume = Some((fault, resume));
                    }
                    self.show();
                    self::cut(session, DisconnectStyle::Reset);
                    return None;
                }
                Waited::Order(Order::Cursor { fault, intended, cursor }) => {
                    let now = clock.now();
                    around.with(|world| {
                        self.machine.cut_for_cursor(now, fault, intended, cursor, world)
                    });
                    self.show();
                    cut(session, DisconnectStyle::Close { code: CLOSE_NORMAL });
                    return None;
                }
                Waited::Order(Order::Slow(pace)) => {
                    self.slow_down(pace);
                    session.set_pace(pace);
                    slow_here = true;
                }
                Waited::Order(Order::Fast) => {
                    self.speed_up(slow_here);
                    session.set_pace(Pace::Full);
                }
                Waited::Order(Order::Unsubscribe { topics, until }) => {
                    action = self.machine.unsubscribe(&topics.list(), until);
                }
                Waited::Order(Order::Revoke { fault, intended, until }) => {
                    self.machine.revoking(fault, intended, until);
                }
                Waited::Order(Order::Restarting { fault, intended }) => {
                    self.machine.restarting(fault, intended);
                }
                Waited::Order(Order::Revoked { at }) => self.revoked(at),
                Waited::Order(Order::Retire) => {
                    let now = clock.now();
                    around.with(|world| self.machine.retire(now, world));
                    close(session, CLOSE_NORMAL).await;
                    return Some(Order::Retire);
                }
                Waited::Done(None) => {
                    action = around.with(|world| self.machine.tick(clock.now(), world));
                    self.show();
                }
                Waited::Done(Some(inbound)) => {
                    action = self.inbound(inbound);
                    self.show();
                }
            }
        }
    }

    /// Tells the machine what came.
    fn inbound(&mut self, inbound: Inbound) -> Action {
        let around = Rc::clone(&self.around);
        let now = around.clock.now();
        around.ear.heard(now);
        match inbound {
            Inbound::Text { text, read_at } => {
                let read_at = around.clock.since(read_at);
                self.remember(read_at, false, &text);
                return around.with(|world| self.machine.text(read_at, now, &text, world));
            }
            Inbound::Binary(bytes) => {
                around.with(|world| self.machine.binary(now, bytes, world));
            }
            Inbound::Closed(Close { code, reason }) => {
                let code_text = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
                self.remember(now, false, &format!("(close frame, {code_text}) {reason}"));
                around.with(|world| self.machine.closed(now, code, world));
            }
            Inbound::Breached(breach) => {
                around.with(|world| self.machine.breached(now, breach, world));
            }
            Inbound::Cut(how) => around.with(|world| self.machine.broken(now, how, world)),
        }
        Action::None
    }
}

/// What is remembered of a frame: where it says what it is, and where batches say how far they go.
fn excerpt(text: &str) -> Box<str> {
    if text.len() <= EXCERPT_HEAD + EXCERPT_TAIL {
        return text.into();
    }
    let head = text.floor_char_boundary(EXCERPT_HEAD);
    let tail = text.ceil_char_boundary(text.len() - EXCERPT_TAIL);
    format!("{} … {}", &text[..head], &text[tail..]).into()
}

fn cut(session: impl Session, style: DisconnectStyle) {
    match style {
        // Half-open sockets are not closed: see `bury`.
        DisconnectStyle::HalfOpen => {}
        DisconnectStyle::Reset => session.reset(),
        DisconnectStyle::Close { code } => {
            tokio::task::spawn_local(close(session, code));
        }
    }
}

/// Keeps a half-open socket, so that the target hears nothing: it has to find out by itself.
async fn bury(session: impl Session) {
    tokio::time::sleep(BURIED_FOR).await;
    // The goodbye may not be heard now either.
    session.reset();
}

async fn close(session: impl Session, code: u16) {
    // Bounded: whoever does not answer the goodbye is left.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, session.close(code)).await;
}
