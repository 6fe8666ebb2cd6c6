//! Strikes against a consumer that does not keep up.
//!
//! A strike needs two things at once: more live events wait on a topic than the limit, and the
//! *socket* has refused bytes for the configured time. A server that is late itself strikes nobody.

use std::time::Duration;

use khala_wire::payload::{CODE_SLOW_CONSUMER, SlowConsumer as Notice};
use khala_wire::topic::TopicId;

use crate::config::{SlowConsumer, TOPICS};

/// What a notice says to people.
const MESSAGE: &str = "client cannot keep up with live fanout";
/// When an evicted client should come back.
const RECONNECT_AFTER_MS: u64 = 2_000;

/// Strikes of one channel.
#[derive(Debug, Default)]
pub struct Lag {
    strikes: u32,
    /// Per topic, time for which the socket refused bytes while the topic was over the limit.
    refused: [Duration; TOPICS],
    /// Notices that wait for the socket to take bytes again; never more than there are strikes.
    notices: Vec<Notice>,
    evicted: bool,
}

impl Lag {
    /// Judges the depths as of now, after the socket has refused bytes for `refused` since it was
    /// judged last.
    pub fn judge(&mut self, depths: [u64; TOPICS], refused: Duration, limits: &SlowConsumer) {
        if depths.iter().all(|depth| *depth == 0) {
            self.strikes = 0;
        }
        for (topic, depth) in TopicId::all().zip(depths) {
            let so_far = &mut self.refused[topic.index()];
            if depth <= limits.queue_limit {
                *so_far = Duration::ZERO;
                continue;
            }
            *so_far += refused;
            if *so_far < limits.strike_every || self.evicted {
                continue;
            }
            *so_far = Duration::ZERO;
            self.strike(topic, depth, limits);
        }
    }

    fn strike(&mut self, topic: TopicId, depth: u64, limits: &SlowConsumer) {
        self.strikes += 1;
        self.evicted = self.strikes >= limits.max_strikes;
        self.notices.push(notice(topic, depth, limits.queue_limit, self.evicted));
    }

    /// Evicts at once, as when retention has taken what the consumer had yet to be sent.
    pub fn evict(&mut self, topic: TopicId, depth: u64, limits: &SlowConsumer) {
        if !self.evicted {
            self.evicted = true;
            self.notices.push(notice(topic, depth, limits.queue_limit, true));
        }
    }

    /// Forgets the eviction and what was to be said: a defect has spared the consumer.
    pub fn spare(&mut self) {
        self.notices.clear();
        if self.evicted {
            *self = Self::default();
        }
    }

    /// Whether the last strike was given.
    pub fn evicted(&self) -> bool {
        self.evicted
    }

    /// Notices that were not sent yet.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }
}

fn notice(topic: TopicId, queue_depth: u64, queue_limit: u64, disconnect: bool) -> Notice {
    Notice {
        action: if disconnect { "disconnect" } else { "throttle" }.to_owned(),
        code: CODE_SLOW_CONSUMER.to_owned(),
        full_resync_required: disconnect,
        message: MESSAGE.to_owned(),
        queue_depth,
        queue_limit,
        reconnect_after_ms: RECONNECT_AFTER_MS,
        topic: topic.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SlowConsumer = SlowConsumer {
        queue_limit: 64,
        max_strikes: 3,
        strike_every: Duration::from_millis(250),
        evict_grace: Duration::from_secs(1),
    };
    const MS_100: Duration = Duration::from_millis(100);

    fn actions(lag: &mut Lag) -> Vec<String> {
        lag.take_notices().into_iter().map(|notice| notice.action).collect()
    }

    #[test]
    fn the_third_strike_disconnects_and_is_the_last() {
        let mut lag = Lag::default();
        for _ in 0..20 {
            lag.judge([0, 0, 65, 0], MS_100, &LIMITS);
        }
        assert!(lag.evicted());
        assert_eq!(actions(&mut lag), ["throttle", "throttle", "disconnect"]);
    }

    #[test]
    fn a_late_server_and_a_queue_at_its_limit_strike_nobody() {
        let mut lag = Lag::default();
        for _ in 0..20 {
            lag.judge([0, 0, 5_000, 0], Duration::ZERO, &LIMITS);
            lag.judge([64; TOPICS], MS_100, &LIMITS);
        }
        assert_eq!(actions(&mut lag), Vec::<String>::new());
    }

    #[test]
    fn time_counts_only_while_the_queue_is_over_and_strikes_lapse_when_it_is_empty() {
        let mut lag = Lag::default();
        for _ in 0..3 {
            lag.judge([0, 0, 65, 0], MS_100, &LIMITS);
        }
        assert_eq!(actions(&mut lag), ["throttle"]);
        lag.judge([0; TOPICS], MS_100, &LIMITS);
        for _ in 0..8 {
            lag.judge([0, 0, 65, 0], MS_100, &LIMITS);
        }
        assert_eq!(actions(&mut lag), ["throttle", "throttle"]);
        assert!(!lag.evicted());
    }

    #[test]
    fn being_overrun_by_retention_evicts_at_once() {
        let mut lag = Lag::default();
        lag.evict(TopicId::WORKER_EVENTS, 9, &LIMITS);
        lag.evict(TopicId::WORKER_EVENTS, 9, &LIMITS);
        assert!(lag.evicted());
        assert_eq!(actions(&mut lag), ["disconnect"]);
    }
}
