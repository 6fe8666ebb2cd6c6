//! A subscribed topic of a connection: its position, and what defects have in mind for it.

use tokio::time::Instant;

/// A subscribed topic: how far it has been sent.
#[derive(Debug)]
pub struct Tail {
    /// Last watermark that was sent, or the cursor.
    pub sent: u64,
    /// Cursor it started from.
    pub from: u64,
    /// Head when the subscribe was taken: what lies above is live, and counts as queue.
    live_from: u64,
    /// Defect `after_unsubscribe`: no longer subscribed, but one more batch goes out.
    pub ghost: bool,
    /// Defect `drop_on_reconnect`: the next update is lost.
    pub drop_next: bool,
    /// Defect `swap_two`: what was chosen for the update after `sent`.
    pub swap: Option<Swap>,
    /// Defects: nothing is sent before this time.
    pub paused_until: Option<Instant>,
    /// Defect `tail_lost`: what comes before this time is not sent at all.
    pub lost_until: Option<Instant>,
    /// What holding defects have chosen.
    pub picks: Picks,
    /// When it was last sent something live.
    pub busy_at: Option<Instant>,
}

/// A defect that holds the next update back, and must not choose anew each time it looks at it.
#[derive(Clone, Copy, Debug)]
pub enum Hold {
    /// `late_publish`
    Late,
    /// `delivery_delay`
    Delay,
    /// `pause_every_10s`
    Pause,
    /// `starved_topic`
    Starve,
    /// `state_delay`
    State,
}

/// The last choice of each [`Hold`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Picks([Option<Pick>; 5]);

/// A choice that a defect made for something, such as the update of a watermark.
#[derive(Clone, Copy, Debug)]
pub struct Pick {
    of: u64,
    /// Whether the defect takes it.
    pub taken: bool,
    /// Whether it has acted by it.
    noted: bool,
}

impl Picks {
    /// What was chosen for `of`, chosen now when it was not before.
    pub fn pick(&mut self, hold: Hold, of: u64, choose: impl FnOnce() -> bool) -> bool {
        let slot = &mut self.0[hold as usize];
        match slot {
            Some(pick) if pick.of == of => pick.taken,
            _ => slot.insert(Pick { of, taken: choose(), noted: false }).taken,
        }
    }

    /// Whether the last choice acts for the first time.
    pub fn first_act(&mut self, hold: Hold) -> bool {
        let pick = self.0[hold as usize].as_mut();
        pick.is_some_and(|pick| pick.taken && !std::mem::replace(&mut pick.noted, true))
    }
}

/// A choice of the defect `swap_two`.
#[derive(Clone, Copy, Debug)]
pub struct Swap {
    /// First of the two.
    pub first: u64,
    /// Until when it waits for the second; `None` when it is not to be swapped.
    pub hold_until: Option<Instant>,
}

impl Tail {
    /// A tail that starts after a cursor, subscribed while the topic's head is `head`.
    pub fn new(cursor: u64, head: u64) -> Self {
        Self {
            sent: cursor,
            from: cursor,
            live_from: head.max(cursor),
            ghost: false,
            drop_next: false,
            swap: None,
            paused_until: None,
            lost_until: None,
            picks: Picks::default(),
            busy_at: None,
        }
    }

    /// Live events that wait for this consumer.
    pub fn depth(&self, head: u64) -> u64 {
        if self.ghost { 0 } else { head.saturating_sub(self.sent.max(self.live_from)) }
    }

    /// Whether anything was sent since the subscribe.
    pub fn delivered(&self) -> bool {
        self.sent > self.from
    }

    /// When something that a defect holds back becomes due.
    pub fn due(&self) -> Option<Instant> {
        let held = self.swap.and_then(|swap| swap.hold_until);
        [held, self.paused_until].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replay_is_not_queue_but_what_comes_after_the_subscribe_is() {
        let mut tail = Tail::new(0, 3_000);
        assert_eq!(tail.depth(3_000), 0);
        assert_eq!(tail.depth(3_070), 70);
        tail.sent = 3_010;
        assert_eq!(tail.depth(3_070), 60);
        assert_eq!(Tail::new(1_000_000, 10).depth(500), 0, "a cursor beyond head waits for it");
    }

    #[test]
    fn a_choice_is_made_once_and_acts_once() {
        let mut picks = Picks::default();
        assert!(picks.pick(Hold::Delay, 7, || true));
        assert!(picks.pick(Hold::Delay, 7, || panic!("it was chosen")));
        assert!(picks.first_act(Hold::Delay) && !picks.first_act(Hold::Delay));
        assert!(!picks.pick(Hold::Delay, 8, || false));
        assert!(!picks.first_act(Hold::Delay) && !picks.first_act(Hold::Late));
    }
}
