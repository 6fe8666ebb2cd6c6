//! Whether the target is heard at all, and over the clients' sockets: when it last was, and whether
//! anybody is asking.
//!
//! Heard is any answer of HTTP, whatever its status, and anything that comes over a client's socket; a
//! connection that the kernel takes or refuses is nobody's word. Sockets count for themselves too, since
//! what answers metrics or commands may be another process than the one that serves clients. A worker thread looks at it a few times
//! a second and tells of a silence while it lasts and when it is over. A look that comes late says that
//! the harness stood still: what was not heard meanwhile says nothing, and the count starts anew.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use khala_evidence::record::{Heard, Micros, Record};

use crate::clock::{Clock, micros};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A look that comes later than this after the last one was kept from coming.
const LATE: Duration = Duration::from_millis(400);
/// How often a silence that lasts is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often a thread writes down that it hears something.
const HEARD_EVERY: Duration = Duration::from_millis(5);

/// What a thread's clients are doing.
#[derive(Debug, Default)]
pub struct Thread {
    /// Clients that wait for an answer over their socket, or for the socket.
    pub waiting: AtomicU64,
    /// Clients that have begun and not left.
    pub present: AtomicU64,
}

/// What all threads know of it.
#[derive(Debug)]
pub struct Contact {
    clock: Clock,
    /// When HTTP last answered; 0 before.
    http_heard_at: AtomicU64,
    /// When something last came over a client's socket; 0 before.
    sockets_heard_at: AtomicU64,
    /// HTTP requests under way.
    waiting: AtomicU64,
    /// HTTP requests that ended without being heard.
    http_unheard: AtomicU64,
    /// Upgrades that ended without being heard.
    sockets_unheard: AtomicU64,
    /// Requests and upgrades that the harness could not make, for want of something of its own.
    not_asked: AtomicU64,
    threads: Vec<Thread>,
}

impl Contact {
    /// Nothing heard yet, with so many worker threads.
    #[must_use]
    pub fn new(clock: Clock, threads: u32) -> Self {
        Self {
            clock,
            http_heard_at: AtomicU64::new(0),
            sockets_heard_at: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            http_unheard: AtomicU64::new(0),
            sockets_unheard: AtomicU64::new(0),
            not_asked: AtomicU64::new(0),
            threads: (0..threads.max(1)).map(|_| Thread::default()).collect(),
        }
    }

    /// HTTP answered now.
    pub fn heard(&self) {
        self.http_heard_at.fetch_max(self.clock.now(), Ordering::Relaxed);
    }

    /// An HTTP request ended, and nothing was heard of it.
    pub fn unheard(&self) {
        self.http_unheard.fetch_add(1, Ordering::Relaxed);
    }

    /// Something could not be asked, for want of something of the harness's own.
    pub fn not_asked(&self) {
        self.not_asked.fetch_add(1, Ordering::Relaxed);
    }

    /// An HTTP request is under way until what this returns is dropped.
    #[must_use]
    pub fn ask(self: &Arc<Self>) -> Asking {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Asking(Arc::clone(self))
    }

    /// Where a worker thread shows what its clients are doing.
    #[must_use]
    pub fn thread(&self, index: u32) -> Option<&Thread> {
        self.threads.get(index as usize)
    }

    /// What there is to see of each kind of contact.
    fn seen(&self) -> [(Heard, Seen); 2] {
        let sum = |number: fn(&Thread) -> &AtomicU64| -> u64 {
            self.threads.iter().map(|thread| number(thread).load(Ordering::Relaxed)).sum()
        };
        let sockets = Seen {
            heard_at: self.sockets_heard_at.load(Ordering::Relaxed),
            waiting: sum(|thread| &thread.waiting),
            unheard: self.sockets_unheard.load(Ordering::Relaxed),
            clients: sum(|thread| &thread.present),
            not_asked: self.not_asked.load(Ordering::Relaxed),
        };
        let all = Seen {
            heard_at: sockets.heard_at.max(self.http_heard_at.load(Ordering::Relaxed)),
            waiting: sockets.waiting + self.waiting.load(Ordering::Relaxed),
            unheard: sockets.unheard + self.http_unheard.load(Ordering::Relaxed),
            clients: sockets.clients,
            not_asked: sockets.not_asked,
        };
        [(Heard::Nothing, all), (Heard::NoSession, sockets)]
    }

    /// Looks for silences longer than `bound` for ever, and records them.
    pub async fn watch(&self, bound: Duration, record: impl Fn(Record)) {
        let now = self.clock.now();
        let mut watches =
            self.seen().map(|(heard, seen)| Watch::new(heard, micros(bound), now, seen));
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = self.clock.now();
            for (watch, (_, seen)) in watches.iter_mut().zip(self.seen()) {
                if let Some(silence) = watch.look(now, seen) {
                    record(silence);
                }
            }
        }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub struct Asking(Arc<Contact>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Requests that must have been in vain before a silence is the target's: a single answer that is lost is
/// an incident of its own, and when it is quiet nobody else may be asking. Of sockets alone a few more,
/// since something else was heard meanwhile. Assumptions.
fn asked_min(heard: Heard) -> u64 {
    match heard {
        Heard::Nothing => 2,
        Heard::NoSession => 3,
    }
}

/// One thread's ear: knows when it last wrote down that it hears something.
#[derive(Debug)]
pub struct Ear {
    contact: Arc<Contact>,
    written_at: Cell<Micros>,
}

impl Ear {
    /// A thread's ear.
    #[must_use]
    pub fn new(contact: Arc<Contact>) -> Self {
        Self { contact, written_at: Cell::new(0) }
    }

    /// Something came over a client's socket.
    pub fn heard(&self, now: Micros) {
        if now >= self.written_at.get() + micros(HEARD_EVERY) {
            self.written_at.set(now);
            self.contact.sockets_heard_at.fetch_max(self.contact.clock.now(), Ordering::Relaxed);
        }
    }

    /// An upgrade ended, and nothing was heard of it.
    pub fn unheard(&self) {
        self.contact.sockets_unheard.fetch_add(1, Ordering::Relaxed);
    }

    /// A socket could not be asked for.
    pub fn not_asked(&self) {
        self.contact.not_asked();
    }

    /// What all threads know.
    #[must_use]
    pub fn contact(&self) -> &Arc<Contact> {
        &self.contact
    }
}

/// What there is to see at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    heard_at: Micros,
    waiting: u64,
    unheard: u64,
    clients: u64,
    not_asked: u64,
}

/// What was made of the looks so far.
#[derive(Debug)]
struct Watch {
    heard: Heard,
    bound: Micros,
    looked_at: Micros,
    last: Seen,
    /// The silence that may be one.
    silence: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    from: Micros,
    /// When somebody was last seen asking in vain.
    to: Micros,
    /// Requests unheard before it.
    unheard_before: u64,
    waiting: u64,
    clients: u64,
    told_at: Option<Micros>,
}

impl Watch {
    fn new(heard: Heard, bound: Micros, now: Micros, seen: Seen) -> Self {
        Self { heard, bound, looked_at: now, last: seen, silence: None }
    }

    fn look(&mut self, now: Micros, seen: Seen) -> Option<Record> {
        let looked_at = std::mem::replace(&mut self.looked_at, now);
        let last = std::mem::replace(&mut self.last, seen);
        let heard = seen.heard_at > last.heard_at;
        // Who could not ask cannot say that nobody answers.
        let at_a_loss = seen.not_asked > last.not_asked && seen.unheard == last.unheard;
        if heard || at_a_loss || now.saturating_sub(looked_at) > micros(LATE) {
            // Where the harness stood still, what is told ends with when somebody last asked in vain.
            let open = self.silence.take().filter(|open| open.told_at.is_some())?;
            return Some(open.record(self.heard, last, true));
        }
        if seen.waiting > 0 || seen.unheard > last.unheard {
            let open = self.silence.get_or_insert(Open {
                from: looked_at,
                to: now,
                unheard_before: last.unheard,
                waiting: 0,
                clients: 0,
                told_at: None,
            });
            open.to = now;
            open.waiting = open.waiting.max(seen.waiting);
            open.clients = open.clients.max(seen.clients);
        }
        let open = self.silence.as_mut()?;
        let lasts = open.to.saturating_sub(open.from) > self.bound
            && open.asked(seen) >= asked_min(self.heard);
        let due = open.told_at.is_none_or(|told| now >= told + micros(TELL_EVERY));
        (lasts && due).then(|| {
            open.told_at = Some(now);
            open.record(self.heard, seen, false)
        })
    }
}

impl Open {
    /// Requests that waited or failed in it.
    fn asked(&self, seen: Seen) -> u64 {
        self.waiting + seen.unheard.saturating_sub(self.unheard_before)
    }

    fn record(&self, heard: Heard, seen: Seen, over: bool) -> Record {
        let asked = self.asked(seen);
        let (from, to, clients) = (self.from, self.to, self.clients);
        Record::Silence { heard, from, to, over, asked, clients }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1_000;
    const BOUND: Micros = 3_000 * MS;

    fn seen(heard_at: Micros, waiting: u64, unheard: u64) -> Seen {
        Seen { heard_at, waiting, unheard, clients: 12, not_asked: 0 }
    }

    /// What a look each 100 ms tells; `at` says what is seen at a time, in milliseconds.
    fn told(looks: std::ops::Range<u64>, at: impl Fn(u64) -> Seen) -> Vec<(u64, u64, bool, u64)> {
        let first = looks.start * 100;
        let mut watch = Watch::new(Heard::Nothing, BOUND, first * MS, at(first));
        let looked = looks.skip(1).map(|look| look * 100);
        let records = looked.filter_map(|now| watch.look(now * MS, at(now)));
        let silence = |record| match record {
            Record::Silence { from, to, over, asked, clients: 12, .. } => {
                (from / MS, to / MS, over, asked)
            }
            other => panic!("{other:?}"),
        };
        records.map(silence).collect()
    }

    #[test]
    fn a_target_that_is_heard_is_there_however_long_one_waits() {
        assert_eq!(told(0..100, |now| seen(now * MS, 3, 0)), []);
    }

    #[test]
    fn a_target_that_nobody_asks_may_be_silent() {
        assert_eq!(told(0..100, |_| seen(5, 0, 0)), []);
    }

    #[test]
    fn a_silence_counts_from_when_somebody_asks_and_is_told_while_it_lasts() {
        // Frozen at 1 s; the first question is asked at 2 s; heard again at 7 s.
        let of = |now: u64| {
            let heard = if now >= 7_000 { now } else { now.min(1_000) };
            seen(heard * MS, u64::from((2_000..7_000).contains(&now)) * 4, 0)
        };
        assert_eq!(
            told(0..80, of),
            [(1_900, 5_000, false, 4), (1_900, 6_000, false, 4), (1_900, 6_900, true, 4)]
        );
    }

    #[test]
    fn what_is_refused_at_once_was_asked_for_all_the_same() {
        // Dead at 1 s: two requests a second fail at once.
        let of = |now: u64| seen(now.min(1_000) * MS, 0, now.saturating_sub(1_000) / 500);
        let told = told(0..60, of);
        assert_eq!(told.first(), Some(&(1_400, 4_500, false, 7)));
        assert!(told.iter().all(|(from, _, over, _)| (*from, *over) == (1_400, false)));
    }

    #[test]
    fn who_could_not_ask_tells_of_no_silence() {
        // From 1 s on everybody is refused by the harness's own means, and some wait now and then.
        let at_a_loss = |now: u64| Seen {
            not_asked: now.saturating_sub(1_000) / 100,
            ..seen(now.min(1_000) * MS, u64::from(now.is_multiple_of(300)), 0)
        };
        assert_eq!(told(0..100, at_a_loss), []);
        // Whoever could ask, and was not heard, tells all the same.
        let both = |now: u64| Seen { unheard: now / 100, ..at_a_loss(now) };
        assert!(!told(0..100, both).is_empty());
    }

    #[test]
    fn one_failure_long_ago_is_no_silence() {
        let of = |now: u64| seen(now.min(1_000) * MS, 0, u64::from(now >= 1_500));
        assert_eq!(told(0..100, of), []);
    }

    #[test]
    fn a_silence_up_to_the_bound_is_none() {
        let of = |now: u64| {
            let heard = if now >= 4_100 { now } else { now.min(1_000) };
            seen(heard * MS, 2, 0)
        };
        assert_eq!(told(0..60, of), []);
    }

    #[test]
    fn one_answer_that_is_lost_while_it_is_quiet_is_no_silence() {
        assert_eq!(told(0..100, |now| seen(now.min(1_000) * MS, 1, 0)), []);
    }

    #[test]
    fn a_silence_that_was_told_ends_where_the_harness_stands_still() {
        let mut watch = Watch::new(Heard::Nothing, BOUND, 0, seen(0, 2, 0));
        let looks = (1..=40).chain([100]);
        let told: Vec<_> =
            looks.filter_map(|now| watch.look(now * 100 * MS, seen(0, 2, 0))).collect();
        let Some(Record::Silence { to, over, .. }) = told.last() else { panic!("{told:?}") };
        assert_eq!((*to, *over), (4_000 * MS, true));
    }

    #[tokio::test(start_paused = true)]
    async fn sockets_that_are_silent_are_told_although_http_answers() {
        let contact = Contact::new(Clock::starting_in(Duration::ZERO), 1);
        contact.thread(0).expect("one thread").waiting.store(3, Ordering::Relaxed);
        let told = std::cell::RefCell::new(Vec::new());
        let answers = async {
            for _ in 0..50 {
                tokio::time::sleep(LOOK_EVERY).await;
                contact.heard();
            }
        };
        tokio::select! {
            () = contact.watch(Duration::from_secs(3), |record| told.borrow_mut().push(record)) => {}
            () = answers => {}
        }
        let told = told.into_inner();
        assert!(!told.is_empty());
        for record in told {
            assert!(
                matches!(record, Record::Silence { heard: Heard::NoSession, asked: 3, .. }),
                "{record:?}"
            );
        }
    }

    #[test]
    fn a_harness_that_stood_still_starts_the_count_anew() {
        let mut watch = Watch::new(Heard::Nothing, BOUND, 0, seen(0, 2, 0));
        let mut told = Vec::new();
        // It looks at 100 ms, and then stands still for 70 s.
        for now in (1..=1).chain(700..731) {
            told.extend(watch.look(now * 100 * MS, seen(0, 2, 0)));
        }
        assert_eq!(told, [], "three seconds since then are not more than the bound");
        told.extend(watch.look(73_100 * MS, seen(0, 2, 0)));
        assert_eq!(told.len(), 1);
    }
}
