//! A session from its first message to its end: what comes, what is due, and what is ordered meanwhile.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use khala_evidence::record::{Cut, Micros, Request, Sink};
use khala_plan::model::Resume;
use khala_wire::snapshot::Snapshot;
use khala_wire::topic::TopicId;
use tokio::time::Instant;

use super::Driver;
use crate::client::dialect::{Dialect, Page, Shelf, Taken};
use crate::client::machine::spoken::{Ask, Came};
use crate::client::machine::{Action, Brought, Phase};
use crate::client::orders::{Comeback, Control, Expected, Order, Parting};
use crate::clock::micros;
use crate::said;
use crate::session::{Close, Connector, Goodbye, Inbound, Session};
use crate::throttle::Pace;

/// For how long what has come is taken before what is due is done: a session on which something always
/// comes must not keep the client from its heartbeats.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a goodbye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a half-open session is kept from closing: longer than any idle time-out of the contract.
const BURIED_FOR: Duration = Duration::from_secs(90);

/// A session that is talked over.
struct Conversation<X> {
    session: X,
    /// Whether the session is the one on which the client was made slow.
    slow_here: bool,
    /// The snapshots that are being taken meanwhile.
    snapshots: Option<Snapshots>,
    /// Since when something is seen to be due. What has come is taken first, because the thread may
    /// have stood still: an answer that was there in time is no time-out.
    overdue_since: Option<Micros>,
}

/// What ended a wait on a session.
enum Waited {
    Order(Order),
    Inbound(Inbound),
    /// A snapshot was taken, or (`None`) all were.
    Snapshot(Option<(TopicId, Taken)>),
    Deadline,
}

/// How an order ends a session.
enum Ending {
    /// Cut, as it shall look.
    Cut(Parting),
    /// With a goodbye, and the client leaves the run.
    Retired,
}

/// Snapshots that are being taken, each with its topic.
type Snapshots = Pin<Box<dyn Stream<Item = (TopicId, Taken)>>>;

/// The next of the snapshots; pends where none are taken.
async fn next_of(snapshots: &mut Option<Snapshots>) -> Option<(TopicId, Taken)> {
    match snapshots {
        Some(snapshots) => snapshots.next().await,
        None => std::future::pending().await,
    }
}

impl<X: Session> Conversation<X> {
    /// Whether something has been due for so long, while more and more came, that it is done first.
    fn is_overdue(&mut self, now: Micros, deadline: Micros) -> bool {
        if now < deadline {
            self.overdue_since = None;
            return false;
        }
        let overdue = now > *self.overdue_since.get_or_insert(now) + micros(PATIENCE);
        if overdue {
            self.overdue_since = None;
        }
        overdue
    }

    /// Waits for what comes first; orders before messages, messages before what is due.
    async fn wait(&mut self, control: &Control, deadline: Instant) -> Waited {
        tokio::select! {
            biased;
            order = control.taken() => Waited::Order(order),
            inbound = self.session.next() => Waited::Inbound(inbound),
            taken = next_of(&mut self.snapshots) => Waited::Snapshot(taken),
            () = tokio::time::sleep_until(deadline) => Waited::Deadline,
        }
    }
}

impl<S: Sink + 'static, C: Connector> Driver<S, C> {
    /// Talks until the machine is offline. Returns an order that is not yet carried out.
    pub(super) async fn converse(&mut self, session: C::Session, first: Action) -> Option<Order> {
        let around = Rc::clone(&self.around);
        let control = Rc::clone(&self.control);
        let clock = around.clock;
        let mut talk =
            Conversation { session, slow_here: false, snapshots: None, overdue_since: None };
        if let Some(slow) = self.slow {
            talk.session.set_pace(slow.pace);
        }
        let mut action = first;
        loop {
            self.act(action, &mut talk).await;
            if self.machine.phase() != Phase::Online {
                self.leave(talk.session);
                return None;
            }
            if !self.machine.is_bootstrapping() {
                talk.snapshots = None;
            }
            let deadline = self.machine.deadline();
            let now = clock.now();
            if talk.is_overdue(now, deadline) {
                action = around.with(|world| self.machine.tick(now, world));
                continue;
            }
            action = match talk.wait(&control, clock.instant(deadline)).await {
                Waited::Order(order) => match self.ordered(order, &mut talk) {
                    ControlFlow::Continue(action) => action,
                    ControlFlow::Break(ending) => return self.end(talk.session, ending).await,
                },
                Waited::Deadline => {
                    let action = around.with(|world| self.machine.tick(clock.now(), world));
                    self.show();
                    action
                }
                Waited::Inbound(inbound) => {
                    self.show_unread(&talk.session);
                    let action = self.inbound(inbound);
                    self.show();
                    action
                }
                Waited::Snapshot(Some((topic, taken))) => {
                    self.took(topic, taken);
                    Action::None
                }
                Waited::Snapshot(None) => {
                    talk.snapshots = None;
                    around.with(|world| self.machine.bootstrapped(clock.now(), world))
                }
            };
        }
    }

    /// Does what the machine wants done over the session.
    async fn act(&mut self, action: Action, talk: &mut Conversation<C::Session>) {
        match action {
            Action::None | Action::Connect | Action::Close | Action::Stop => {}
            Action::Bootstrap(topics) => talk.snapshots = Some(self.snapshots(topics)),
            Action::Ask(ask) => self.ask(&mut talk.session, [ask]).await,
            Action::AskBoth(asks) => self.ask(&mut talk.session, asks).await,
        }
    }

    /// Carries out an order over the session; breaks where that ends it.
    fn ordered(
        &mut self,
        order: Order,
        talk: &mut Conversation<C::Session>,
    ) -> ControlFlow<Ending, Action> {
        let around = Rc::clone(&self.around);
        let now = around.clock.now();
        match order {
            Order::Cut { fault, intended, parting, comeback } => {
                self.cut(fault, intended, comeback);
                return ControlFlow::Break(Ending::Cut(parting));
            }
            Order::Sever { fault, intended } => {
                around.with(|world| self.machine.cut_silently(now, fault, intended, world));
                talk.session.set_pace(Pace::Dead);
                self.cut_by = Some(fault);
            }
            Order::Read { pace: Pace::Full, .. } => {
                self.show_unread(&talk.session);
                self.speed_up(talk.slow_here);
                talk.session.set_pace(Pace::Full);
            }
            Order::Read { fault, pace } => {
                self.slow_down(fault, pace);
                talk.session.set_pace(pace);
                talk.slow_here = true;
            }
            Order::Unsubscribe { fault, topics, until } => {
                let action = self.machine.unsubscribe(now, fault, &topics.list(), until);
                return ControlFlow::Continue(action);
            }
            Order::Expect { fault, intended, end: Expected::Session { until } } => {
                self.machine.revoking(fault, intended, until);
            }
            Order::Expect { fault, intended, end: Expected::Process } => {
                self.machine.restarting(fault, intended);
            }
            Order::Revoked { at } => self.revoked(at),
            Order::Retire => {
                around.with(|world| self.machine.retire(now, world));
                return ControlFlow::Break(Ending::Retired);
            }
        }
        ControlFlow::Continue(Action::None)
    }

    /// Has the machine leave a socket that a fault cuts, if it has one.
    fn cut(&mut self, fault: u16, intended: Micros, comeback: Comeback) {
        let around = Rc::clone(&self.around);
        let now = around.clock.now();
        let machine = &mut self.machine;
        let cut = around.with(|world| match comeback {
            Comeback::AsEver => machine.cut(now, fault, intended, world),
            Comeback::With(cursor) => machine.cut_for_cursor(now, fault, intended, cursor, world),
            Comeback::At { until, .. } => machine.cut_until(now, fault, intended, until, world),
        });
        match comeback {
            _ if !cut => {}
            Comeback::AsEver => self.cut_by = Some(fault),
            // The subscribe with the cursor shows it, not the socket.
            Comeback::With(_) => {}
            Comeback::At { resume, .. } => {
                self.resume = Some((fault, resume));
                self.cut_by = (resume == Resume::Kept).then_some(fault);
            }
        }
    }

    /// Ends the session as an order wants it. Returns the order that is not yet carried out.
    async fn end(&mut self, session: C::Session, ending: Ending) -> Option<Order> {
        match ending {
            Ending::Cut(parting) => {
                self.show();
                part(session, parting);
                None
            }
            Ending::Retired => {
                close(session, Goodbye::InOrder).await;
                Some(Order::Retire)
            }
        }
    }

    /// Leaves a session that the machine has given up or lost.
    fn leave(&mut self, session: C::Session) {
        self.show_unread(&session);
        self.show();
        if session.pace() == Pace::Dead {
            tokio::task::spawn_local(bury(session));
        } else {
            // In the background, so that a slow goodbye does not delay the reconnect.
            tokio::task::spawn_local(close(session, Goodbye::InOrder));
        }
    }

    async fn ask<const N: usize>(&mut self, session: &mut C::Session, asks: [Ask; N]) {
        let around = Rc::clone(&self.around);
        for text in asks.map(|ask| self.dialect.say(&ask)).into_iter().flatten() {
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

    /// Snapshots of stale topics, taken one after another, as the real clients do.
    fn snapshots(&self, topics: Vec<TopicId>) -> Snapshots {
        let (around, bearer) = (Rc::clone(&self.around), self.bearer.clone());
        Box::pin(stream::iter(topics).then(move |topic| {
            let (around, bearer) = (Rc::clone(&around), bearer.clone());
            async move {
                let (http, token, clock) = (&around.http, bearer.as_deref(), around.clock);
                (topic, C::Dialect::snapshot(Shelf { http, token, clock }, topic).await)
            }
        }))
    }

    /// A snapshot was taken, or the request for it has failed.
    fn took(&mut self, topic: TopicId, Taken { pages, snapshot }: Taken) {
        let around = Rc::clone(&self.around);
        let now = around.clock.now();
        let start = pages.first().map_or(now, |page| page.start);
        let done = pages.last().map_or(now, |page| page.done);
        for Page { start, done, answer } in pages {
            around.record(answer.record(Request::Snapshot, Some(self.client), start, done));
        }
        around.with(|world| {
            let lies = match &snapshot {
                Ok(Some(snapshot)) => world.reader.contradiction_in(snapshot),
                _ => None,
            };
            if let Some(why) = lies {
                world.not_so(self.client, done, why);
            }
            let brought = |snapshot: Snapshot| Brought {
                head: snapshot.head_watermark,
                documents: world.reader.held(&snapshot),
            };
            let brought = snapshot.map(|snapshot| snapshot.map(brought));
            self.machine.snapshot(topic, (start, done), brought, world);
        });
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
                    let came = Came { read_at, now };
                    self.dialect.text(came, &text, &mut self.machine, world)
                });
            }
            Inbound::Binary(bytes) => {
                around.with(|world| self.dialect.binary(now, bytes, &self.machine, world));
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

fn part(session: impl Session, parting: Parting) {
    match parting {
        Parting::Reset => session.reset(),
        Parting::Goodbye(goodbye) => {
            tokio::task::spawn_local(close(session, goodbye));
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
