//! How a client is told what to do: orders that wait until its driver takes them, and what it shows.
//!
//! Bounded. Orders that carry a state wait once, in their last form; those that take a fault back, or end
//! something for good, always have room, and there is one a fault at the most. Of all others only so many
//! wait: what has no room is counted for its fault, which then hits fewer than planned.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use khala_evidence::record::Micros;
use khala_plan::model::{ChosenCursor, Resume};
use khala_wire::topic::TopicId;
use tokio::sync::Notify;

use crate::heads::{Heads, LocalHeads};
use crate::session::Goodbye;
use crate::throttle::Pace;

/// What a client is told from outside: a few words, of which faults are composed. A fault that needs another
/// word adds one that others can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// End the socket there is, and come back.
    Cut {
        /// The fault.
        fault: u16,
        /// When the plan wanted it.
        intended: Micros,
        /// How it looks to the target.
        parting: Parting,
        /// When to come back, and with what.
        comeback: Comeback,
    },
    /// The socket there is dies without a word, and the client does not know.
    Sever {
        /// The fault.
        fault: u16,
        /// When the plan wanted it.
        intended: Micros,
    },
    /// Read at this pace from now on; [`Pace::Full`] takes another back.
    Read {
        /// The fault.
        fault: u16,
        /// How fast.
        pace: Pace,
    },
    /// Give up topics until a time.
    Unsubscribe {
        /// The fault.
        fault: u16,
        /// The topics, as the fault lists them.
        topics: Topics,
        /// When to subscribe again.
        until: Micros,
    },
    /// The target is about to end the socket, for this reason.
    Expect {
        /// The fault.
        fault: u16,
        /// When the plan wants it.
        intended: Micros,
        /// What ends.
        end: Expected,
    },
    /// The revocation was acknowledged, or was not.
    Revoked {
        /// When.
        at: Option<Micros>,
    },
    /// Leave the run.
    Retire,
}

/// How the end of a socket looks to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// As when a load balancer dies.
    Reset,
    /// With a goodbye, for which nobody waits.
    Goodbye(Goodbye),
}

/// When and with what a client comes back that was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comeback {
    /// After its back-off, with what it has.
    AsEver,
    /// After its back-off, with a cursor that is not its own.
    With(ChosenCursor),
    /// At a time, with one of these cursors. A client without a socket stays away until then, too.
    At {
        /// The time.
        until: Micros,
        /// With which cursor.
        resume: Resume,
    },
}

/// What ends a socket on the target's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The target's process ends: the client comes back as ever.
    Process,
    /// The client's session is revoked: once the socket is gone, it stays away.
    Session {
        /// When it comes back, with the session that [`Control::session`] has then.
        until: Micros,
    },
}

impl Order {
    /// Whether nothing may keep it from its client: it takes a fault back, it ends something for good, or
    /// it belongs with one that does. Few: one waits, or one a fault.
    fn always_has_room(&self) -> bool {
        match self {
            Self::Read { .. }
            | Self::Expect { end: Expected::Session { .. }, .. }
            | Self::Revoked { .. }
            | Self::Retire => true,
            Self::Cut { .. }
            | Self::Sever { .. }
            | Self::Unsubscribe { .. }
            | Self::Expect { end: Expected::Process, .. } => false,
        }
    }

    /// The fault that gives it, if it is one of a fault that waits beside others.
    fn fault(&self) -> Option<u16> {
        match *self {
            Self::Cut { fault, .. }
            | Self::Sever { fault, .. }
            | Self::Read { fault, .. }
            | Self::Unsubscribe { fault, .. }
            | Self::Expect { fault, .. } => Some(fault),
            Self::Revoked { .. } | Self::Retire => None,
        }
    }
}

/// A set of known topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Topics(u8);

impl FromIterator<TopicId> for Topics {
    fn from_iter<I: IntoIterator<Item = TopicId>>(topics: I) -> Self {
        Self(topics.into_iter().fold(0, |set, topic| set | 1 << topic.index()))
    }
}

impl Topics {
    /// As a list.
    #[must_use]
    pub fn list(self) -> Vec<TopicId> {
        TopicId::all().filter(|topic| self.0 & (1 << topic.index()) != 0).collect()
    }
}

/// Orders that may wait for a client, beside those that always have room.
const ORDERS_MAX: usize = 8;

/// How a client is told.
#[derive(Debug)]
pub struct Control {
    orders: RefCell<VecDeque<Order>>,
    /// Where orders are counted that had no room.
    heads: Arc<Heads>,
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
    /// What it has applied last, by topic.
    pub cursors: Vec<(TopicId, Option<u64>)>,
}

impl View {
    /// Whether the client has applied all that any client has seen, or what was called due of it.
    #[must_use]
    pub fn at_head(&self, heads: &LocalHeads) -> bool {
        self.cursors.iter().all(|&(topic, cursor)| cursor.unwrap_or(0) >= heads.due(topic))
    }
}

impl Control {
    /// The control of a client that begins with a session.
    #[must_use]
    pub fn new(session: String, heads: Arc<Heads>) -> Self {
        Self {
            orders: RefCell::default(),
            heads,
            session: RefCell::new(session),
            given: Notify::new(),
            view: RefCell::default(),
        }
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
        if matches!(order, Order::Read { .. }) {
            // The last word on its pace is the one that holds. A slowness that is over before it began
            // was none.
            orders.retain(|waiting| {
                let Order::Read { fault, pace } = *waiting else { return true };
                if pace != Pace::Full {
                    self.heads.count_dropped_order(fault);
                }
                false
            });
        }
        if order == Order::Retire && orders.contains(&order) {
            return;
        }
        let waiting = orders.iter().filter(|waiting| !waiting.always_has_room()).count();
        match order.fault() {
            Some(fault) if waiting >= ORDERS_MAX && !order.always_has_room() => {
                self.heads.count_dropped_order(fault);
                return;
            }
            _ => orders.push_back(order),
        }
        self.given.notify_one();
    }

    /// The next order; waits for one. May be dropped and asked again.
    pub async fn taken(&self) -> Order {
        loop {
            if let Some(order) = self.orders.borrow_mut().pop_front() {
                return order;
            }
            self.given.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> Control {
        Control::new("s".to_owned(), Arc::new(Heads::new(0, 3)))
    }

    fn cut(fault: u16) -> Order {
        let (parting, comeback) = (Parting::Reset, Comeback::AsEver);
        Order::Cut { fault, intended: 5, parting, comeback }
    }

    fn slow(fault: u16) -> Order {
        Order::Read { fault, pace: Pace::Paused }
    }

    fn fast(fault: u16) -> Order {
        Order::Read { fault, pace: Pace::Full }
    }

    fn dropped(control: &Control) -> [u64; 3] {
        [0, 1, 2].map(|fault| control.heads.orders_dropped(fault))
    }

    fn waiting(control: &Control) -> Vec<Order> {
        control.orders.borrow().iter().copied().collect()
    }

    #[test]
    fn what_has_no_room_is_counted_for_its_fault_and_what_waits_keeps_its_place() {
        let control = control();
        (0..ORDERS_MAX).for_each(|_| control.give(cut(0)));
        assert_eq!(dropped(&control), [0, 0, 0]);
        control.give(cut(1));
        control.give(cut(2));
        control.give(cut(2));
        assert_eq!(dropped(&control), [0, 1, 2]);
        assert_eq!(waiting(&control), vec![cut(0); ORDERS_MAX]);
    }

    #[test]
    fn what_takes_a_fault_back_or_ends_something_always_has_room() {
        let control = control();
        let end = Expected::Session { until: 9 };
        let revoke = Order::Expect { fault: 1, intended: 5, end };
        (0..ORDERS_MAX).for_each(|_| control.give(cut(0)));
        let kept = [revoke, Order::Revoked { at: Some(6) }, fast(1), Order::Retire];
        kept.into_iter().for_each(|order| control.give(order));
        (0..100).for_each(|_| control.give(cut(2)));
        assert_eq!(waiting(&control)[ORDERS_MAX..], kept);
        assert_eq!(dropped(&control), [0, 0, 100]);
    }

    #[test]
    fn of_slow_and_fast_the_last_waits_and_a_slowness_that_never_was_is_counted() {
        let control = control();
        control.give(slow(1));
        control.give(cut(0));
        control.give(fast(1));
        assert_eq!(waiting(&control), [cut(0), fast(1)]);
        assert_eq!(dropped(&control), [0, 1, 0]);
        control.give(slow(2));
        assert_eq!(waiting(&control), [cut(0), slow(2)]);
        assert_eq!(dropped(&control), [0, 1, 0], "an end of nothing is no loss");
    }

    #[test]
    fn who_is_to_leave_is_told_once() {
        let control = control();
        (0..3).for_each(|_| control.give(Order::Retire));
        assert_eq!(waiting(&control), [Order::Retire]);
    }
}
