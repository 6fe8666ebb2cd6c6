//! A name's addresses, looked up again as real clients do: at a reconnect, not once for the run.
//!
//! What was looked up serves for [`KEPT`], as the system's own resolvers keep it, so that a storm of thousands is
//! no storm on the name server, which holds of a name that is gone too; whoever comes while a question is under way waits for its answer. The question is
//! the system's resolver's, on a thread of its own. Connects go over the addresses in turn.
//!
//! Names under `localhost` need no leave, so no name server hears of them: they stand for what this machine's own table
//! of hosts says, or else for its loopback addresses (RFC 6761, section 6.3).

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::place::{Host, Place, is_localhost};
use crate::clock;

/// How long an answer serves. An assumption: the shortest time to live that operators give what they move.
pub const KEPT: Duration = Duration::from_secs(1);

/// The table of hosts of this machine.
const HOSTS: &str = "/etc/hosts";

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

    /// The one whose turn it is, and those that stand in for it where nobody listens there: a server on this machine
    /// takes `localhost` for one of its loopback addresses, and whoever speaks to it need not know for which.
    ///
    /// # Errors
    /// Those of [`Names::all`].
    pub async fn next(&self) -> std::io::Result<(SocketAddr, Vec<SocketAddr>)> {
        let mut addresses = self.all().await?;
        let mut others = Vec::new();
        if matches!(&self.host, Host::Name(name) if is_localhost(name)) {
            let v6 = addresses.partition_point(SocketAddr::is_ipv4);
            if v6 > 0 {
                others = addresses.split_off(v6);
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Ok((addresses[turn % addresses.len()], others))
    }
}

async fn look_up(name: &str, port: u16) -> Known {
    if is_localhost(name) {
        let table = tokio::task::spawn_blocking(|| std::fs::read(HOSTS).unwrap_or_default()).await;
        let here = of_table(&String::from_utf8_lossy(&table.unwrap_or_default()), name);
        return Ok(here.into_iter().map(|address| SocketAddr::new(address, port)).collect());
    }
    let found = tokio::net::lookup_host((name, port)).await;
    let mut addresses: Vec<_> = found.map_err(|error| (error.kind(), error.to_string()))?.collect();
    addresses.sort_unstable();
    addresses.dedup();
    match addresses.is_empty() {
        true => Err((ErrorKind::NotFound, format!("{name} has no address"))),
        false => Ok(addresses),
    }
}

/// The addresses of a name under `localhost` by a table of hosts, each once; where it has none, both of loopback.
fn of_table(table: &str, name: &str) -> Vec<IpAddr> {
    let mut found = BTreeSet::new();
    for line in table.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) {
            found.insert(address);
        }
    }
    match found.is_empty() {
        true => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        false => found.into_iter().collect(),
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
        assert_eq!(names.next().await.expect("itself").0.to_string(), "[::1]:9");
    }

    #[tokio::test]
    async fn addresses_come_in_turn() {
        let names = names("http://name.invalid:9");
        let two: Vec<SocketAddr> =
            ["127.0.0.1:9", "127.0.0.2:9"].map(|text| text.parse().expect("an address")).to_vec();
        *names.known.lock().await = Some((clock::now(), Ok(two.clone())));
        for at in [0, 1, 0, 1] {
            assert_eq!(names.next().await.expect("known").0, two[at]);
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

    #[test]
    fn a_name_under_localhost_is_what_this_machines_table_says_or_loopback() {
        let table = "# 10.0.0.9 localhost\n127.0.0.1 vm localhost # a.localhost\n::1\tLOCALHOST\n\
                     127.0.0.1 localhost\n10.0.0.1 moved.localhost\nnonsense localhost\n";
        let of = |name: &str| {
            let found = of_table(table, name).into_iter();
            found.map(|address| address.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of("localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(of("a.localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(of("moved.localhost"), ["10.0.0.1"], "the guard refuses it");
    }

    #[tokio::test]
    async fn no_name_server_is_asked_for_a_name_under_localhost() {
        // glibc's resolver has no address for it.
        let found = names("http://nobody-named-it-so.localhost:9").all().await;
        let found = found.expect("without asking").into_iter().map(|address| address.to_string());
        assert_eq!(found.collect::<Vec<_>>(), ["127.0.0.1:9", "[::1]:9"]);
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
