//! Drives one machine over its sessions: waits, dials, reads, writes, and is cut when told so.
//!
//! Whatever it waits for, it takes orders meanwhile: a dial and a snapshot go on beside them, and a
//! client that takes snapshots reads its session and keeps it alive.

mod converse;
mod dial;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use khala_evidence::record::{Micros, Record, Sink};
use khala_plan::Plan;
use khala_plan::model::Resume;
use khala_plan::schedule::Identity;

use super::machine::{Machine, Phase};
use super::orders::{Comeback, Control, Expected, Order};
use super::reader::Reader;
use super::world::World;
use crate::clock::Clock;
use crate::contact::Ear;
use crate::heads::LocalHeads;
use crate::http::Http;
use crate::mint::Minter;
use crate::said;
use crate::session::{Connector, Session};
use crate::stall::Watch;
use crate::target::Target;
use crate::target::window::Windows;
use crate::throttle::Pace;
use crate::turnstile::Turnstile;

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
    /// What holds connects down, where something does.
    pub turnstile: Option<Arc<Turnstile>>,
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
pub struct Driver<S, C: Connector> {
    /// What the thread shares.
    pub around: Rc<Surroundings<S>>,
    /// The machine.
    pub machine: Machine,
    /// What it speaks.
    pub dialect: C::Dialect,
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
    /// Whether the connect that it waits for has its turn.
    pub has_turn: bool,
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
                    self.show();
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
            Order::Read { pace: Pace::Full, .. } => self.speed_up(false),
            Order::Read { fault, pace } => self.slow_down(fault, pace),
            Order::Revoked { at } => self.revoked(at),
            Order::Expect { fault, intended, end: Expected::Process } => {
                self.machine.restarting(fault, intended);
            }
            Order::Cut { fault, comeback: Comeback::At { until, resume }, .. } => {
                self.resume = Some((fault, resume));
                around.with(|world| self.machine.stay_away(since, now, until, world));
            }
            Order::Expect { end: Expected::Session { until }, .. } => {
                around.with(|world| self.machine.stay_away(since, now, until, world));
            }
            // There is nothing to cut or to give up: the target's side will show that the fault missed
            // this client. Leaving is for whoever called.
            Order::Cut { .. } | Order::Sever { .. } | Order::Unsubscribe { .. } | Order::Retire => {
            }
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

    /// A frame for the flight recorder.
    fn remember(&self, at: Micros, sent: bool, text: &str) {
        let (client, bytes, excerpt) = (self.client, text.len() as u64, excerpt(text));
        self.around
            .with(|world| world.sink.record(Record::Frame { client, at, sent, bytes, excerpt }));
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

    /// Whether a connect that is due has to wait: its turn comes later.
    fn waits_its_turn(&mut self, now: Micros) -> bool {
        let Some(turnstile) = &self.around.turnstile else { return false };
        if std::mem::take(&mut self.has_turn) {
            return false;
        }
        let turn = turnstile.turn(now);
        if turn <= now {
            return false;
        }
        self.has_turn = true;
        let around = Rc::clone(&self.around);
        around.with(|world| self.machine.stay_away(now, now, turn, world));
        true
    }

    async fn wait(&mut self, until: Micros) -> Option<Order> {
        let control = Rc::clone(&self.control);
        tokio::select! {
            order = control.taken() => {
                self.has_turn = false;
                Some(order)
            }
            () = tokio::time::sleep_until(self.around.clock.instant(until)) => {
                let now = self.around.clock.now();
                if !self.waits_its_turn(now) {
                    self.around.with(|world| self.machine.tick(now, world));
                }
                None
            }
        }
    }
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
