//! Publish limits: so many commands a second on a topic.

use std::time::Duration;

use tokio::time::Instant;

/// The window of a rate limit.
const WINDOW: Duration = Duration::from_secs(1);

/// Commands counted in windows of one second.
#[derive(Debug, Default)]
pub struct Rate {
    window: Option<(Instant, u32)>,
}

impl Rate {
    /// Takes one command, or says how long to wait.
    pub fn take(&mut self, per_second: u32, now: Instant) -> Result<(), Duration> {
        let (started, taken) = match self.window {
            Some((started, taken)) if now.duration_since(started) < WINDOW => (started, taken),
            _ => (now, 0),
        };
        if taken >= per_second {
            return Err(WINDOW - now.duration_since(started));
        }
        self.window = Some((started, taken + 1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_window_takes_its_number_and_says_how_long_to_wait() {
        let mut rate = Rate::default();
        let start = clock::now();
        assert_eq!(
            (0..3).map(|_| rate.take(2, start)).collect::<Vec<_>>(),
            [Ok(()), Ok(()), Err(Duration::from_secs(1))]
        );
        let later = start + Duration::from_millis(600);
        assert_eq!(rate.take(2, later), Err(Duration::from_millis(400)));
        assert_eq!(rate.take(2, start + WINDOW), Ok(()));
    }
}
