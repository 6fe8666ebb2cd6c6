//! Which size is tried next: near the answer from the first step on, then nearer, until it is known to
//! [`WITHIN`]. Pure: no clock, no process.

/// How far the largest fit size may be below the smallest unfit one for the answer to count as found.
pub const WITHIN: f64 = 0.05;
/// Clients that a core of the generator carries, about: where the search begins.
const CLIENTS_A_CORE: f64 = 800.0;
/// Share of its core that the busiest thread may use before a generator becomes unfit, about.
const BUSY: f64 = 0.85;
/// Most and least by which a step is larger than the last, while nothing bounds the search.
const STRIDE: (f64, f64) = (1.15, 3.0);
/// Fewer clients are no load.
const CLIENTS_MIN: u32 = 20;

/// What is known so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// The largest size that was fit.
    fit: Option<u32>,
    /// The smallest size that was not.
    unfit: Option<u32>,
    next: u32,
}

impl Search {
    /// Nothing tried, on a machine with so many cores, half of which are the null server's.
    pub fn on(cores: usize) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "cores")]
        let own = (cores.saturating_sub(cores / 2)).max(1) as f64;
        // A machine with one core shares it with the null server.
        let own = if cores < 2 { own / 2.0 } else { own };
        Self { fit: None, unfit: None, next: whole(CLIENTS_A_CORE * own) }
    }

    /// The next size; none when the answer is known well enough, or when next to nothing is too much.
    pub fn next(&self) -> Option<u32> {
        let known = match (self.fit, self.unfit) {
            (Some(fit), Some(unfit)) => f64::from(unfit) <= f64::from(fit) * (1.0 + WITHIN),
            (None, Some(unfit)) => unfit <= CLIENTS_MIN,
            (_, None) => false,
        };
        (!known).then_some(self.next)
    }

    /// Takes what came of a size: whether the generator was fit, and the share of a core that its busiest
    /// thread used.
    pub fn tried(&mut self, clients: u32, fit: bool, busy: f64) {
        let bound = if fit { &mut self.fit } else { &mut self.unfit };
        *bound = Some(match *bound {
            Some(known) if fit => known.max(clients),
            Some(known) => known.min(clients),
            None => clients,
        });
        // Work grows with the clients.
        let foreseen = f64::from(clients) * BUSY / busy.max(0.01);
        let next = match (self.fit, self.unfit) {
            (Some(low), None) => {
                let (least, most) = STRIDE;
                foreseen.clamp(f64::from(low) * least, f64::from(low) * most)
            }
            // It waits for something else than its own work, of which its work says nothing.
            (None, Some(high)) if foreseen >= f64::from(high) => f64::from(high) / 2.0,
            (None, Some(high)) => {
                let (least, most) = STRIDE;
                foreseen.clamp(f64::from(high) / most, f64::from(high) / least)
            }
            // The middle of two sizes of which one is a multiple of the other.
            (Some(low), Some(high)) => (f64::from(low) * f64::from(high)).sqrt(),
            (None, None) => return,
        };
        self.next = whole(next).max(CLIENTS_MIN);
        if let (Some(low), Some(high)) = (self.fit, self.unfit) {
            self.next = self.next.clamp(low.saturating_add(1), high.saturating_sub(1).max(low + 1));
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn whole(clients: f64) -> u32 {
    clients.round() as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::step::Size;
    use super::*;

    /// Searches on a machine that carries so many clients; the largest fit size, and the time that it took.
    fn found(cores: usize, ceiling: u32, linear: bool) -> (u32, Duration) {
        let (mut search, mut took) = (Search::on(cores), Duration::ZERO);
        while let Some(clients) = search.next() {
            took += Size::of(clients).takes();
            let load = f64::from(clients) / f64::from(ceiling);
            let busy = if linear { 0.9 * load } else { load.sqrt() };
            search.tried(clients, clients <= ceiling, busy.min(1.0));
            assert!(took < Duration::from_secs(3_600), "it ends: {search:?}");
        }
        (search.fit.unwrap_or(0), took)
    }

    #[test]
    fn the_answer_is_found_to_a_twentieth() {
        for cores in [1, 2, 4, 16] {
            for ceiling in [100, 350, 800, 1_777, 5_000, 20_000] {
                for linear in [true, false] {
                    let (fit, _) = found(cores, ceiling, linear);
                    let least = f64::from(ceiling) / (1.0 + WITHIN);
                    assert!(fit <= ceiling && f64::from(fit) >= least - 1.0, "{fit} of {ceiling}");
                }
            }
        }
    }

    #[test]
    fn it_takes_a_minute_where_a_machine_carries_what_its_size_lets_expect() {
        for cores in [2, 4, 8] {
            let expected = Search::on(cores).next().expect("a first size");
            for share in [0.7, 0.85, 1.0, 1.3, 1.6] {
                let (_, took) = found(cores, whole(f64::from(expected) * share), true);
                assert!(took <= Duration::from_secs(60), "{share} of {expected}: {took:?}");
            }
        }
    }

    #[test]
    fn a_machine_that_others_use_as_well_is_searched_as_fast() {
        let (mut search, mut steps) = (Search::on(2), 0);
        while let Some(clients) = search.next() {
            search.tried(clients, clients <= 300, 0.2);
            steps += 1;
        }
        assert!(search.fit.is_some_and(|fit| (286..=300).contains(&fit)), "{search:?}");
        assert!(steps <= 8, "{steps}");
    }

    #[test]
    fn a_machine_that_carries_nothing_ends_the_search() {
        assert_eq!(found(2, 3, true).0, 0);
    }
}
