//! How defects hold a live batch back, or let it go by unsent.
//!
//! A hold is chosen once for the update that is next and kept, however often the connection looks
//! again. Whatever waits for a time says so in [`Tail::paused_until`], which wakes the connection.
//!
//! [`Tail::paused_until`]: super::tail::Tail::paused_until

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;
use tokio::time::Instant;

use super::connection::Connection;
use super::next::Asking;
use super::tail::Hold;
use crate::defect::Kind;
use crate::fanout::BatchKey;

impl Asking<'_> {
    /// Lets a live batch go on; `None` when a defect holds it back. May shorten it.
    pub(super) fn hold(&mut self, key: &mut BatchKey) -> Option<()> {
        self.pause()?;
        self.delay(key)?;
        match key.topic.kind() {
            TopicKind::Stream => self.late(key),
            TopicKind::State => self.delay_state(key),
        }
    }

    /// `tail_lost`: whether what is next is lost between replay and live tail.
    pub(super) fn loses(&mut self) -> bool {
        // A time that is over must not stay: without the defect nothing may be looked at.
        self.tail.lost_until = self.tail.lost_until.filter(|until| *until > self.now);
        let lost = self.tail.lost_until.is_some();
        if lost {
            self.shared.defects.note(Kind::TailLost);
        }
        lost
    }

    /// `late_publish`: the head waits for its successor. The choice falls on an event, for all
    /// connections alike.
    fn late(&mut self, key: &mut BatchKey) -> Option<()> {
        let defects = &self.shared.defects;
        if key.to >= key.head
            && defects.armed(Kind::LatePublish)
            && self
                .tail
                .picks
                .pick(Hold::Late, key.to, || defects.acts(Kind::LatePublish, 0, key.to))
        {
            self.act(Hold::Late, Kind::LatePublish);
            key.to -= 1;
        }
        (key.to >= key.first).then_some(())
    }

    /// `delivery_delay`: an event waits for its time, and those behind it with it.
    fn delay(&mut self, key: &mut BatchKey) -> Option<()> {
        if !self.shared.defects.armed(Kind::DeliveryDelay) {
            return Some(());
        }
        let (shared, number) = (self.shared, self.number);
        let choose = || shared.defects.acts(Kind::DeliveryDelay, number, key.first);
        if !self.tail.picks.pick(Hold::Delay, key.first, choose) {
            return Some(());
        }
        let delay = shared.config.defect_times.delivery_delay;
        // What retention has taken meanwhile is for the caller to find out.
        let Some(entries) = shared.store.log(key.topic).entries(key.first, key.to) else {
            return Some(());
        };
        let mut due = entries.iter().map(|entry| entry.at() + delay);
        let first = due.next().filter(|due| *due > self.now);
        if first.is_some() {
            self.tail.paused_until = first;
            self.act(Hold::Delay, Kind::DeliveryDelay);
            return None;
        }
        key.to = key.first + due.take_while(|due| *due <= self.now).count() as u64;
        Some(())
    }

    /// `state_delay`: an update of a state waits for its time. The choice falls on an update, for all
    /// connections alike.
    fn delay_state(&mut self, key: &BatchKey) -> Option<()> {
        let shared = self.shared;
        if !shared.defects.armed(Kind::StateDelay) {
            return Some(());
        }
        let chosen = || shared.defects.acts(Kind::StateDelay, 0, key.first);
        if !self.tail.picks.pick(Hold::State, key.first, chosen) {
            return Some(());
        }
        let delay = shared.config.defect_times.delivery_delay;
        // What retention has taken meanwhile is for the caller to find out.
        let Some(entries) = shared.store.log(key.topic).entries(key.first, key.first) else {
            return Some(());
        };
        let due = entries.first().map(|entry| entry.at() + delay).filter(|due| *due > self.now);
        if due.is_some() {
            self.tail.paused_until = due;
            self.act(Hold::State, Kind::StateDelay);
            return None;
        }
        Some(())
    }

    /// `pause_every_10s`: nothing goes out in the first part of each period but the first.
    fn pause(&mut self) -> Option<()> {
        let defects = &self.shared.defects;
        if !defects.armed(Kind::PauseEvery10s) {
            return Some(());
        }
        let times = &self.shared.config.defect_times;
        let period_ms = times.pause_every.as_millis().max(1);
        let up = self.now.duration_since(self.shared.started);
        let nth = u64::try_from(up.as_millis() / period_ms).unwrap_or(u64::MAX);
        let since_start = times.pause_every.saturating_mul(u32::try_from(nth).unwrap_or(u32::MAX));
        let until = self.shared.started + since_start + times.pause_for;
        if nth == 0 || until <= self.now {
            return Some(());
        }
        if !self.tail.picks.pick(Hold::Pause, nth, || defects.acts_nth(Kind::PauseEvery10s, nth)) {
            return Some(());
        }
        self.act(Hold::Pause, Kind::PauseEvery10s);
        self.tail.paused_until = Some(until);
        None
    }

    fn act(&mut self, hold: Hold, kind: Kind) {
        if self.tail.picks.first_act(hold) {
            self.shared.defects.note(kind);
        }
    }
}

impl Connection {
    /// Defect `starved_topic`: the last of a connection's topics waits while another is busy.
    pub(super) fn starve(&mut self, topic: TopicId, now: Instant) {
        let Self { channel, shared, open, .. } = self;
        let Some(channel) = channel else { return };
        if !shared.defects.armed(Kind::StarvedTopic) {
            return;
        }
        let index = topic.index();
        let (before, rest) = channel.tails.split_at_mut(index);
        let Some((Some(tail), after)) = rest.split_first_mut() else { return };
        let is_last = after.iter().all(Option::is_none);
        let busy = before.iter().flatten().filter_map(|tail| tail.busy_at).max();
        let until = busy.map(|busy| busy + shared.config.defect_times.starve_quiet);
        let Some(until) = until.filter(|until| is_last && *until > now) else { return };
        let next = tail.sent + 1;
        if shared.store.log(topic).head() < next {
            return;
        }
        let choices = &mut channel.choices;
        let taken = tail.picks.pick(Hold::Starve, next, || {
            *choices += 1;
            shared.defects.acts(Kind::StarvedTopic, open.number, *choices)
        });
        if taken {
            tail.paused_until = Some(until);
            if tail.picks.first_act(Hold::Starve) {
                shared.defects.note(Kind::StarvedTopic);
            }
        }
    }
}
