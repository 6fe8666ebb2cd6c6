//! A name's addresses, looked up again as real clients do: at a reconnect, not once for the run.
//!
//! What was looked up serves for [`KEPT`], as the system's own resolvers keep it, so that a storm of thousands is
//! no storm on the name server, which holds of a name that is gone too; whoever comes while a question is under way waits for its answer. The question is
//! the system's resolver's, on a thread of its own. Connects go over the addresses in turn.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::place::{Host, Place};
use crate::clock;

/// How long an answer serves. An assumption: the shortest time to live that operators give what they move.
pub const KEPT: Duration = Duration::from_secs(1);

/// What a look-up came to: all addresses, each once, or why there is none.
type Known = Result<Vec<SocketAddr>, (ErrorKind, String)>;

/// The addresses of one place.
#[derive(Debug)]
pub struct Names {
    host: Host,
    port: u16,
    known: Mutex<Option<(Instant, Known)>>,
    turn: AtomicUsize,
}

impl Names {
    /// Those of a place; nobody is asked yet.
    #[must_use]
    pub fn of(place: &Place) -> Self {
        let (host, port) = (place.host.clone(), place.port);
        Self { host, port, known: Mutex::new(None), turn: AtomicUsize::new(0) }
    }

    /// All of them, each once.
    ///
    /// # Errors
    /// When the name has none, or nobody says.
    pub async fn all(&self) -> std::io::Result<Vec<SocketAddr>> {
        let name = match &self.host {
            Host::Address(address) => return Ok(vec![SocketAddr::new(*address, self.port)]),
            Host::Name(name) => name,
        };
        let mut known = self.known.lock().await;
        let fresh = known.take().filter(|(at, _)| clock::now() - *at < KEPT);
        let (at, came) = match fresh {
            Some(fresh) => fresh,
            None => {
                let came = look_up(name, self.port).await;
                (clock::now(), came)
            }
        };
        let (_, came) = known.insert((at, came));
        came.clone().map_err(|(kind, why)| std::io::Error::new(kind, why))
    }

    /// The one whose turn it is.
    ///
    /// # Errors
    /// Those of [`Names::all`].
    pub async fn next(&self) -> std::io::Result<SocketAddr> {
        let addresses = self.all().await?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Ok(addresses[turn % addresses.len()])
    }
}

async fn look_up(name: &str, port: u16) -> Known {
    let found = tokio::net::lookup_host((name, port)).await;
    let mut addresses: Vec<_> = found.map_err(|error| (error.kind(), error.to_string()))?.collect();
    addresses.sort_unstable();
    addresses.dedup();
    match addresses.is_empty() {
        true => Err((ErrorKind::NotFound, format!("{name} has no address"))),
        false => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(url: &str) -> Names {
        Names::of(&Place::of(url).expect("a place"))
    }

    #[tokio::test]
    async fn an_address_stands_for_itself() {
        let names = names("http://[::1]:9");
        assert_eq!(names.next().await.expect("itself").to_string(), "[::1]:9");
    }

    #[tokio::test]
    async fn addresses_come_in_turn() {
        let names = names("http://name.invalid:9");
        let two: Vec<SocketAddr> =
            ["127.0.0.1:9", "127.0.0.2:9"].map(|text| text.parse().expect("an address")).to_vec();
        *names.known.lock().await = Some((clock::now(), Ok(two.clone())));
        for at in [0, 1, 0, 1] {
            assert_eq!(names.next().await.expect("known"), two[at]);
        }
    }

    #[tokio::test]
    async fn an_answer_serves_for_its_time_alone() {
        let names = names("http://name.invalid:9");
        let old = clock::now().checked_sub(KEPT).expect("the machine is up for longer");
        *names.known.lock().await =
            Some((old, Ok(vec!["127.0.0.1:9".parse().expect("an address")])));
        // RFC 6761, section 6.4: there is no such name.
        assert!(names.next().await.is_err(), "it is asked again");
    }
    #[tokio::test]
    async fn a_name_that_is_gone_is_not_asked_for_at_every_dial() {
        let names = names("http://localhost:9");
        let gone = Err((ErrorKind::NotFound, "it is gone".to_owned()));
        *names.known.lock().await = Some((clock::now(), gone));
        assert_eq!(names.next().await.expect_err("is known").to_string(), "it is gone");
        // Long ago it was asked.
        names.known.lock().await.as_mut().expect("known").0 = clock::now() - KEPT;
        assert!(names.next().await.is_ok(), "it is asked again");
    }
}
