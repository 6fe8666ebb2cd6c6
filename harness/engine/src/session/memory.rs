//! Sessions in memory, under any clock: a pair of queues, and a dialler that a test answers.

use futures_util::FutureExt;
use khala_evidence::record::Cut;
use khala_wire::topic::TopicId;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

use super::{Connector, Goodbye, Inbound, Session};
use crate::client::dialect::phoenix::Phoenix;
use crate::clock;
use crate::throttle::Pace;
use crate::transport::DialError;

/// Messages that may wait in either direction.
const WAITING_MAX: usize = 64;

/// The target's end of a session.
#[derive(Debug)]
pub struct Peer {
    /// What the client is told.
    pub say: mpsc::Sender<Inbound>,
    /// What the client sends.
    pub heard: mpsc::Receiver<String>,
    /// How the client ended it, once it has.
    pub ended: Rc<Cell<Option<Ended>>>,
    /// Whether it answers no goodbye.
    pub deaf: Rc<Cell<bool>>,
}

/// How a client ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With a goodbye.
    Closed(Goodbye),
    /// With a reset.
    Reset,
}

/// The client's end of a session.
#[derive(Debug)]
pub struct Memory {
    inbound: mpsc::Receiver<Inbound>,
    outbound: mpsc::Sender<String>,
    ended: Rc<Cell<Option<Ended>>>,
    deaf: Rc<Cell<bool>>,
    pace: Rc<Cell<Pace>>,
    flood: Option<(String, u32)>,
}

impl Memory {
    /// So many times there is this text to be read, and a millisecond passes with each; then it ends.
    pub fn flood(&mut self, text: String, times: u32) {
        self.flood = Some((text, times));
    }

    async fn flooded(&mut self) -> Option<Inbound> {
        let (text, left) = self.flood.as_mut()?;
        if *left == 0 {
            return Some(Inbound::Cut(Cut::Eof));
        }
        *left -= 1;
        // Passes when it is first polled; nobody else gets to do anything meanwhile.
        let _ = tokio::time::advance(Duration::from_millis(1)).now_or_never();
        let read_at = clock::system_now();
        Some(Inbound::Text { text: text.clone().into(), read_at })
    }
}

/// Both ends of a session.
#[must_use]
pub fn pair() -> (Memory, Peer) {
    let (say, inbound) = mpsc::channel(WAITING_MAX);
    let (outbound, heard) = mpsc::channel(WAITING_MAX);
    let (ended, deaf) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(false)));
    let pace = Rc::new(Cell::new(Pace::Full));
    (
        Memory {
            inbound,
            outbound,
            ended: Rc::clone(&ended),
            deaf: Rc::clone(&deaf),
            pace,
            flood: None,
        },
        Peer { say, heard, ended, deaf },
    )
}

impl Session for Memory {
    async fn next(&mut self) -> Inbound {
        if let Some(inbound) = self.flooded().await {
            return inbound;
        }
        match self.inbound.recv().await {
            Some(Inbound::Text { text, .. }) => {
                Inbound::Text { text, read_at: clock::system_now() }
            }
            Some(inbound) => inbound,
            None => Inbound::Cut(Cut::Eof),
        }
    }

    async fn send(&mut self, text: String) -> Result<(), Cut> {
        self.outbound.send(text).await.map_err(|_| Cut::Eof)
    }

    fn unread(&self) -> u64 {
        self.inbound.len() as u64
    }

    fn pace(&self) -> Pace {
        self.pace.get()
    }

    fn set_pace(&self, pace: Pace) {
        self.pace.set(pace);
    }

    async fn close(self, goodbye: Goodbye) {
        self.ended.set(Some(Ended::Closed(goodbye)));
        if self.deaf.get() {
            std::future::pending().await
        }
    }

    fn reset(self) {
        self.ended.set(Some(Ended::Reset));
    }
}

/// Cursors that come with a dial.
type Cursors = Vec<(TopicId, Option<u64>)>;

/// A dialler whose every dial waits until the test answers it.
#[derive(Clone, Debug, Default)]
pub struct Dialled {
    answers: Rc<RefCell<VecDeque<Result<Memory, DialError>>>>,
    given: Rc<Notify>,
    begun: Rc<Cell<u32>>,
    shown: Rc<RefCell<Cursors>>,
}

impl Dialled {
    /// Answers the dial that waits, or the next one.
    pub fn answer(&self, answer: Result<Memory, DialError>) {
        self.answers.borrow_mut().push_back(answer);
        self.given.notify_one();
    }

    /// Dials begun so far.
    #[must_use]
    pub fn begun(&self) -> u32 {
        self.begun.get()
    }
}

impl Dialled {
    /// The cursors that came with the last dial.
    #[must_use]
    pub fn shown(&self) -> Cursors {
        self.shown.borrow().clone()
    }
}

impl Connector for Dialled {
    type Session = Memory;
    type Dialect = Phoenix;

    const TAKEN: u16 = 101;

    async fn connect(
        &self,
        _token: &str,
        cursors: &[(TopicId, Option<u64>)],
    ) -> Result<Memory, DialError> {
        self.begun.set(self.begun.get() + 1);
        *self.shown.borrow_mut() = cursors.to_vec();
        loop {
            if let Some(answer) = self.answers.borrow_mut().pop_front() {
                return answer;
            }
            self.given.notified().await;
        }
    }
}
