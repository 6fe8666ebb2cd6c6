//! Drives one machine over its sessions: waits, dials, reads, writes, and is cut when told so.
//!
//! Whatever it waits for, it takes orders meanwhile: a dial and a snapshot go on beside them, and a
//! client that takes snapshots reads its session and keeps it alive.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt, stream};
use khala_evidence::record::{Cut, Micros, Op, OpKind, Outcome, Record, Request, Sink};
use khala_plan::Plan;
use khala_plan::model::{DisconnectStyle, Mint, Resume};
use khala_plan::schedule::Identity;
use khala_wire::snapshot::Snapshot;
use khala_wire::topic::TopicId;

use super::machine::{Action, Machine, Phase, World};
use super::orders::{Control, Order};
use super::reader::Reader;
use super::snapshot;
use crate::answer::Answer;
use crate::clock::{Clock, micros};
use crate::contact::Ear;
use crate::heads::LocalHeads;
use crate::http::Http;
use crate::mint::{Minted, Minter};
use crate::said;
use crate::session::{Close, Connector, Goodbye, Inbound, Session};
use crate::stall::Watch;
use crate::target::Target;
use crate::target::window::Windows;
use crate::throttle::Pace;
use crate::transport::DialError;

/// For how long what has come is taken before what is due is done: a session on which something always
/// comes must not keep the client from its heartbeats.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a half-open session is kept from closing: longer than any idle time-out of the contract.
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
    pub lane: Rc<C>,
    /// How it is told.
    pub control: Rc<Control>,
    /// The cursor to come back with, once a fault has sent it away, and the fault.
    pub resume: Option<(u16, Resume)>,
    /// The sync token of the session there is, for snapshots.
    pub bearer: Option<String>,
    /// How a fault wants it to read, kept over reconnects while the fault lasts.
    pub slow: Option<Slowness>,
    /// The fault that has cut it off, until it has a session again.
    pub cut_by: Option<u16>,
}

/// How a fault wants a client to read.
#[derive(Clone, Copy, Debug)]
pub struct Slowness {
    /// The fault.
    fault: u16,
    /// How fast.
    pace: Pace,
    /// Whether a session has shown that the client did not keep up.
    shown: bool,
}

/// What ended a wait on a session.
enum Waited {
    Order(Order),
    Inbound(Inbound),
    /// A snapshot was taken, or (`None`) all were.
    Snapshot(Option<Taken>),
    Deadline,
}

/// What a dial came to.
struct Dialled<X> {
    /// The cursors that a fault wants the client to come back with.
    chosen: Option<Vec<(TopicId, u64)>>,
    /// When the token was asked for, and when that had ended.
    minted: (Micros, Micros),
    token: Result<Minted, Answer>,
    /// When the connect was begun, when that had ended, and how.
    connect: Option<(Micros, Micros, Result<X, DialError>)>,
}

/// A snapshot, or how the request for it ended.
struct Taken {
    topic: TopicId,
    start: Micros,
    done: Micros,
    /// The answer's status and the snapshot, if it is one of the topic.
    taken: Result<(u16, Option<Snapshot>), Answer>,
}

/// Snapshots that are being taken.
type Snapshots = Pin<Box<dyn Stream<Item = Taken>>>;

/// The next of the snapshots; pends where none are taken.
async fn next_of(snapshots: &mut Option<Snapshots>) -> Option<Taken> {
    match snapshots {
        Some(snapshots) => snapshots.next().await,
        None => std::future::pending().await,
    }
}

impl<S: Sink + 'static, C: Connector> Driver<S, C> {
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
                Some(order) => self.without_session(order, None),
                None => {}
            }
        }
    }

    /// Carries out an order without a session. `dialling_since`: when the dial began that is under way;
    /// only what keeps the client away, or changes who it is, ends it.
    fn without_session(&mut self, order: Order, dialling_since: Option<Micros>) {
        let around = Rc::clone(&self.around);
        let now = around.clock.now();
        let since = dialling_since.unwrap_or(now);
        match order {
            Order::Slow { fault, pace } => self.slow_down(fault, pace),
            Order::Fast => self.speed_up(false),
            Order::Revoked { at } => self.revoked(at),
            Order::Restarting { fault, intended } => self.machine.restarting(fault, intended),
            Order::Away { fault, until, resume, .. } => {
                self.resume = Some((fault, resume));
                around.with(|world| self.machine.stay_away(since, now, until, world));
            }
            Order::Revoke { until, .. } => {
                around.with(|world| self.machine.stay_away(since, now, until, world));
            }
            // There is nothing to cut or to give up: the target's side will show that the fault missed
            // this client. Leaving is for whoever called.
            Order::Cut { .. }
            | Order::Cursor { .. }
            | Order::Unsubscribe { .. }
            | Order::Retire => {}
        }
    }

    fn revoked(&mut self, at: Option<Micros>) {
        let around = Rc::clone(&self.around);
        around.with(|world| self.machine.revoked(at, world));
    }

    fn slow_down(&mut self, fault: u16, pace: Pace) {
        if self.slow.replace(Slowness { fault, pace, shown: false }).is_none() {
            let (client, at) = (self.client, self.around.clock.now());
            self.around.with(|world| world.sink.record(Record::SlowBegan { client, at }));
        }
    }

    /// Counts for the fault that made the client slow, once, if the target has sent what it has not read.
    fn show_unread(&mut self, session: &C::Session) {
        if let Some(slow) = self.slow.as_mut().filter(|slow| !slow.shown)
            && session.unread() > 0
        {
            slow.shown = true;
            self.around.heads.count_answered(slow.fault);
        }
    }

    fn speed_up(&mut self, same_session: bool) {
        if self.slow.take().is_some() {
            let (client, at) = (self.client, self.around.clock.now());
            let record = Record::SlowEnded { client, at, same_session };
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

    /// Snapshots of stale topics, taken one after another, as the real clients do.
    fn snapshots(&self, topics: Vec<TopicId>) -> Snapshots {
        let (around, bearer) = (Rc::clone(&self.around), self.bearer.clone());
        Box::pin(stream::iter(topics).then(move |topic| {
            let (around, bearer) = (Rc::clone(&around), bearer.clone());
            async move {
                let start = around.clock.now();
                let taken = snapshot::take(&around.http, bearer.as_deref(), topic).await;
                Taken { topic, start, done: around.clock.now(), taken }
            }
        }))
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
        let since = self.around.clock.now();
        let mut dialling = std::pin::pin!(self.dialling());
        let dialled = loop {
            let order = tokio::select! {
                biased;
                order = control.taken() => order,
                dialled = &mut dialling => break dialled,
            };
            if order == Order::Retire {
                return Some(order);
            }
            self.without_session(order, Some(since));
            if self.machine.phase() != Phase::Connecting {
                return None;
            }
        };
        let (session, start, done) = self.dialled(dialled)?;
        let around = Rc::clone(&self.around);
        let first = around.with(|world| self.machine.connected(start, done, world));
        self.show();
        self.converse(session, first).await
    }

    /// Reads the cursors that a fault wants, mints a token and connects. Holds nothing of the driver, which
    /// carries out orders meanwhile.
    fn dialling(&mut self) -> impl Future<Output = Dialled<C::Session>> + use<S, C> {
        self.identity.session = self.control.session();
        let knows = !matches!(self.around.plan.auth.mint, Mint::Static { .. });
        self.machine.speaks_for(knows.then(|| self.identity.session.as_str().into()));
        let (around, lane) = (Rc::clone(&self.around), Rc::clone(&self.lane));
        let control = Rc::clone(&self.control);
        let (identity, scopes) = (self.identity.clone(), self.scopes.clone());
        let topics: Vec<_> = self.machine.cursors().map(|(topic, _)| topic).collect();
        let (client, resume) = (self.client, self.resume);
        async move {
            let clock = around.clock;
            let chosen = match resume {
                Some((fault, resume)) => {
                    Some(choose(&around, client, &topics, fault, resume).await)
                }
                None => None,
            };
            let asked = clock.now();
            let jti = format!("{}-{asked}", identity.session);
            let (plan, target) = (&around.plan, &around.target);
            let token = around.minter.mint(plan, target, &identity, &scopes, jti).await;
            let start = clock.now();
            let connect = match &token {
                Ok(token) => {
                    // From here on it is the session that is waited for; until then it was the token.
                    control.view.borrow_mut().waiting = true;
                    let connected = lane.connect(&token.token).await;
                    Some((start, clock.now(), connected))
                }
                Err(_) => None,
            };
            Dialled { chosen, minted: (asked, start), token, connect }
        }
    }

    /// A session with the times it was begun and done; `None` when the machine knows why not.
    fn dialled(&mut self, dialled: Dialled<C::Session>) -> Option<(C::Session, Micros, Micros)> {
        let around = Rc::clone(&self.around);
        let Dialled { chosen, minted: (asked, minted), token, connect } = dialled;
        if let Some(cursors) = chosen {
            // A cursor that the target's windows did not give is none that the fault has chosen.
            if let Some((fault, resume)) = self.resume.take()
                && resume != Resume::Kept
                && !cursors.is_empty()
            {
                self.cut_by = Some(fault);
            }
            self.machine.resume_from(cursors);
        }
        // A token that the harness signs itself is no operation of the target: it is no sample, or
        // a gate on mint errors would be green without having asked anybody.
        let is_operation = around.plan.auth.mint == Mint::Control;
        let outcome = token.as_ref().map_or_else(|answer| answer.outcome, |_| Outcome::Ok);
        if is_operation {
            let answer = match &token {
                Ok(minted) => Answer::ok(minted.status.unwrap_or_default()),
                Err(answer) => answer.clone(),
            };
            around.record(answer.record(Request::Mint, Some(self.client), asked, minted));
        }
        if is_operation || outcome != Outcome::Ok {
            around.with(|world| self.machine.minted(asked, minted, outcome, world));
        }
        self.bearer = Some(token.ok()?.token);
        let (start, done, connected) = connect?;
        let answer = match &connected {
            Ok(_) => Answer::ok(C::TAKEN),
            Err(error) => error.answer(),
        };
        around.record(answer.record(Request::Connect, Some(self.client), start, done));
        match connected {
            Ok(session) => {
                around.ear.heard(done);
                if let Some(fault) = self.cut_by.take() {
                    around.heads.count_answered(fault);
                }
                if let Some((began, there)) = session.secured() {
                    around.record(Record::Op(self.secured(began, there)));
                }
                Some((session, start, done))
            }
            Err(error) => {
                tracing::debug!(client = self.client, %error, "connect failed");
                if error.was_heard() {
                    around.ear.heard(done);
                } else {
                    around.ear.unheard();
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

    /// The TLS handshake of a connect.
    fn secured(&self, began: Instant, there: Instant) -> Op {
        let clock = self.around.clock;
        let (client, start, done) = (self.client, clock.since(began), clock.since(there));
        let (kind, outcome) = (OpKind::TlsHandshake, Outcome::Ok);
        Op { client, kind, intended: start, start, done, outcome }
    }

    /// Talks until the machine is offline. Returns an order that is not yet carried out.
    async fn converse(&mut self, mut session: C::Session, first: Action) -> Option<Order> {
        let around = Rc::clone(&self.around);
        let control = Rc::clone(&self.control);
        let clock = around.clock;
        let mut action = first;
        // Whether the session is the one on which the client was made slow.
        let mut slow_here = false;
        let mut snapshots: Option<Snapshots> = None;
        // Since when something is seen to be due. What has come is taken first, because the thread may
        // have stood still: an answer that was there in time is no time-out.
        let mut overdue_since = None;
        if let Some(slow) = self.slow {
            session.set_pace(slow.pace);
        }
        loop {
            match std::mem::replace(&mut action, Action::None) {
                Action::None | Action::Connect | Action::Close | Action::Stop => {}
                Action::Bootstrap(topics) => snapshots = Some(self.snapshots(topics)),
                Action::Send(text) => self.send(&mut session, [text]).await,
                Action::SendBoth(texts) => self.send(&mut session, texts).await,
            }
            if self.machine.phase() != Phase::Online {
                self.show_unread(&session);
                self.show();
                if session.pace() == Pace::Dead {
                    tokio::task::spawn_local(bury(session));
                    return None;
                }
                // In the background, so that a slow goodbye does not delay the reconnect.
                tokio::task::spawn_local(close(session, Goodbye::InOrder));
                return None;
            }
            if !self.machine.is_bootstrapping() {
                snapshots = None;
            }
            let deadline = self.machine.deadline();
            let now = clock.now();
            if now < deadline {
                overdue_since = None;
            } else if now > *overdue_since.get_or_insert(now) + micros(PATIENCE) {
                overdue_since = None;
                action = around.with(|world| self.machine.tick(now, world));
                continue;
            }
            let waited = tokio::select! {
                biased;
                order = control.taken() => Waited::Order(order),
                inbound = session.next() => Waited::Inbound(inbound),
                taken = next_of(&mut snapshots) => Waited::Snapshot(taken),
                () = tokio::time::sleep_until(clock.instant(deadline)) => Waited::Deadline,
            };
            match waited {
                Waited::Order(Order::Cut { fault, intended, style: DisconnectStyle::HalfOpen }) => {
                    let now = clock.now();
                    around.with(|world| self.machine.cut_silently(now, fault, intended, world));
                    session.set_pace(Pace::Dead);
                    self.cut_by = Some(fault);
                }
                Waited::Order(Order::Cut { fault, intended, style }) => {
                    let now = clock.now();
                    if around.with(|world| self.machine.cut(now, fault, intended, world)) {
                        self.cut_by = Some(fault);
                    }
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
                        self.cut_by = (resume == Resume::Kept).then_some(fault);
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
                    tokio::task::spawn_local(close(session, Goodbye::InOrder));
                    return None;
                }
                Waited::Order(Order::Slow { fault, pace }) => {
                    self.slow_down(fault, pace);
                    session.set_pace(pace);
                    slow_here = true;
                }
                Waited::Order(Order::Fast) => {
                    self.show_unread(&session);
                    self.speed_up(slow_here);
                    session.set_pace(Pace::Full);
                }
                Waited::Order(Order::Unsubscribe { fault, topics, until }) => {
                    action = self.machine.unsubscribe(fault, &topics.list(), until);
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
                    close(session, Goodbye::InOrder).await;
                    return Some(Order::Retire);
                }
                Waited::Deadline => {
                    action = around.with(|world| self.machine.tick(clock.now(), world));
                    self.show();
                }
                Waited::Inbound(inbound) => {
                    self.show_unread(&session);
                    action = self.inbound(inbound);
                    self.show();
                }
                Waited::Snapshot(Some(Taken { topic, start, done, taken })) => {
                    let (answer, taken) = match taken {
                        Ok((status, snapshot)) => (Answer::ok(status), Ok(snapshot)),
                        Err(answer) => (answer.clone(), Err(answer.outcome)),
                    };
                    let client = Some(self.client);
                    around.record(answer.record(Request::Snapshot, client, start, done));
                    around.with(|world| self.machine.snapshot(topic, (start, done), &taken, world));
                }
                Waited::Snapshot(None) => {
                    snapshots = None;
                    action = around.with(|world| self.machine.bootstrapped(clock.now(), world));
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
                return around.with(|world| {
                    around.watch.took(read_at, now, world.sink);
                    self.machine.text(read_at, now, &text, world)
                });
            }
            Inbound::Binary(bytes) => {
                around.with(|world| self.machine.binary(now, bytes, world));
            }
            Inbound::Closed(Close { code, reason }) => {
                let code_text = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
                self.remember(
                    now,
                    false,
                    &format!("(close frame, {code_text}) {}", said::text(&reason)),
                );
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

/// The cursors with which a fault wants a client to come back.
async fn choose<S: Sink>(
    around: &Surroundings<S>,
    client: u32,
    topics: &[TopicId],
    fault: u16,
    resume: Resume,
) -> Vec<(TopicId, u64)> {
    let windows = match resume {
        Resume::Kept => None,
        _ => {
            let told = |record| around.record(record);
            around.windows.at(fault, &around.plan, &around.target, around.clock, told).await
        }
    };
    if windows.is_none() && resume != Resume::Kept {
        let name = "cursor_not_chosen".to_owned();
        let message = format!(
            "the target told its windows in time neither by metrics nor by a refusal of cursor 0, so that \
             clients came back from fault {fault} with the cursors that they had"
        );
        let (client, at) = (Some(client), around.clock.now());
        around.record(Record::Finding { name, client, at, message });
    }
    let Some(windows) = windows else { return Vec::new() };
    let place = |&topic: &TopicId| {
        let placed = windows.cursor(topic, resume);
        if placed.is_none() {
            let name = "cursor_not_placed".to_owned();
            let message = format!(
                "the target's window of {} has no such place, so that clients came back from fault {fault} \
                 with the cursor that they had",
                topic.name()
            );
            let (client, at) = (Some(client), around.clock.now());
            around.record(Record::Finding { name, client, at, message });
        }
        placed
    };
    topics.iter().filter_map(place).collect()
}

/// What is remembered of a frame: where it says what it is, and where batches say how far they go.
fn excerpt(text: &str) -> Box<str> {
    if text.len() <= EXCERPT_HEAD + EXCERPT_TAIL {
        return said::frame(text).into();
    }
    let head = text.floor_char_boundary(EXCERPT_HEAD);
    let tail = text.ceil_char_boundary(text.len() - EXCERPT_TAIL);
    format!("{} … {}", said::frame(&text[..head]), said::frame(&text[tail..])).into()
}

fn cut(session: impl Session, style: DisconnectStyle) {
    match style {
        // Half-open sessions are not closed: see `bury`.
        DisconnectStyle::HalfOpen => {}
        DisconnectStyle::Reset => session.reset(),
        DisconnectStyle::Close { code } => {
            tokio::task::spawn_local(close(session, Goodbye::Code(code)));
        }
    }
}

/// Keeps a half-open session, so that the target hears nothing: it has to find out by itself.
async fn bury(session: impl Session) {
    tokio::time::sleep(BURIED_FOR).await;
    // The goodbye may not be heard now either.
    session.reset();
}

async fn close(session: impl Session, goodbye: Goodbye) {
    // Bounded: whoever does not answer the goodbye is left.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, session.close(goodbye)).await;
}
