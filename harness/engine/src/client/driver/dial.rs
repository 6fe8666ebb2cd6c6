//! A connect: the cursors that a fault wants, the token, the session.

use std::future::Future;
use std::rc::Rc;
use std::time::Instant;

use khala_evidence::record::{Micros, Op, OpKind, Outcome, Record, Request, Sink};
use khala_plan::model::{Mint, Resume};
use khala_wire::topic::TopicId;

use super::{Driver, Surroundings};
use crate::answer::Answer;
use crate::client::dialect::Dialect;
use crate::client::machine::Phase;
use crate::client::orders::Order;
use crate::mint::Minted;
use crate::session::{Connector, Session};
use crate::transport::DialError;

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

impl<S: Sink + 'static, C: Connector> Driver<S, C> {
    pub(super) async fn connect(&mut self) -> Option<Order> {
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
        self.dialect.begin();
        let first = around.with(|world| self.machine.connected(start, done, world));
        self.show();
        self.converse(session, first).await
    }

    /// Reads the cursors that a fault wants, mints a token and connects. Holds nothing of the driver, which
    /// carries out orders meanwhile.
    fn dialling(&mut self) -> impl Future<Output = Dialled<C::Session>> + use<S, C> {
        self.identity.session = self.control.session();
        let knows = self.around.plan.auth.mint.is_of_planned_identities();
        self.dialect.speaks_for(knows.then(|| self.identity.session.as_str().into()));
        let (around, lane) = (Rc::clone(&self.around), Rc::clone(&self.lane));
        let control = Rc::clone(&self.control);
        let (identity, scopes) = (self.identity.clone(), self.scopes.clone());
        let mut cursors: Vec<_> = self.machine.cursors().collect();
        let (client, resume) = (self.client, self.resume);
        async move {
            let clock = around.clock;
            let chosen = match resume {
                Some((fault, resume)) => {
                    let chosen = choose(&around, client, &cursors, fault, resume).await;
                    overwrite(&mut cursors, &chosen);
                    Some(chosen)
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
                    let connected = lane.connect(&token.token, &cursors).await;
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
        let is_operation = matches!(around.plan.auth.mint, Mint::Control { .. });
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
                match error.outcome() {
                    Outcome::Exhausted(_) => around.ear.not_asked(),
                    _ if error.was_heard() => around.ear.heard(done),
                    _ => around.ear.unheard(),
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
}

/// Puts the cursors that a fault has chosen in the place of the client's own.
fn overwrite(cursors: &mut [(TopicId, Option<u64>)], chosen: &[(TopicId, u64)]) {
    for &(topic, cursor) in chosen {
        for own in cursors.iter_mut().filter(|(of, _)| *of == topic) {
            own.1 = Some(cursor);
        }
    }
}

/// The cursors with which a fault wants a client to come back.
async fn choose<S: Sink>(
    around: &Surroundings<S>,
    client: u32,
    cursors: &[(TopicId, Option<u64>)],
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
    cursors.iter().map(|(topic, _)| topic).filter_map(place).collect()
}
