//! What entries grant and refuse.

use std::net::SocketAddr;

use super::*;

const ENTRY: &str = "[[host]]\nname = \"Sync.example.com\"\naddresses = [\"10.20.0.0/16\", \"2001:db8::/32\"]\n\
                     clients = 10\nconnects_per_second = 3\nmessages_per_second = 2\n\
                     owner = \"jo\"\nexpires = \"2999-12-31\"\n";

fn guard(more: &str) -> Guard {
    Guard::parse(&format!("{ENTRY}{more}")).unwrap_or_else(|why| panic!("{why}"))
}

fn place(url: &str) -> Place {
    Place::of(url).expect("a place")
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Whether an address may be connected to now.
async fn connect(permit: &Permit, to: &str) -> Result<(), Refused> {
    permit.stands_for(address(to))?;
    permit.connect().await
}

#[tokio::test]
async fn this_machine_is_free_and_must_be_this_machine() {
    let none = Guard::default();
    for url in ["http://127.0.0.1:4000", "http://localhost:4000", "https://[::1]:1"] {
        let permit = none.permit(&place(url)).expect("free");
        for _ in 0..10_000 {
            assert_eq!(connect(&permit, "127.0.0.2:4000").await, Ok(()), "{url}");
            assert_eq!(permit.write().await, Ok(()));
        }
        let elsewhere = connect(&permit, "10.0.0.1:4000").await;
        assert!(matches!(elsewhere, Err(Refused::NotLoopback(..))), "{url}");
        assert_eq!(permit.covers(u32::MAX, u32::MAX), Ok(()));
    }
}

#[test]
fn another_host_needs_an_entry_of_its_name() {
    for url in ["http://10.20.0.1", "https://other.example.com", "https://example.com"] {
        let refused = guard("").permit(&place(url)).expect_err(url);
        assert!(matches!(&refused, Refused::NoEntry(_)), "{url}: {refused}");
    }
    assert!(guard("").permit(&place("https://SYNC.example.com.")).is_ok());
}

#[test]
fn a_name_is_the_same_host_however_it_is_written() {
    for (name, url) in [
        ("2001:DB8:0::1", "https://[2001:db8::1]"),
        ("[2001:db8::1]", "https://[2001:db8:0:0::1]:8443"),
        ("sync.example.com.", "https://sync.example.com"),
        ("10.20.0.1", "https://10.20.0.1."),
    ] {
        let guard = Guard::parse(&ENTRY.replace("Sync.example.com", name)).expect(name);
        assert!(guard.permit(&place(url)).is_ok(), "{name}: {url}");
    }
    for wrong in
        ["https://sync.example.com", "sync.example.com:443", "*.example.com", "", "a/b", "a@b"]
    {
        let error = Guard::parse(&ENTRY.replace("Sync.example.com", wrong)).expect_err(wrong);
        assert!(error.contains("without scheme, port and path"), "{wrong}: {error}");
    }
    // An address in IPv6 is no other host's entry.
    let four = Guard::parse(&ENTRY.replace("Sync.example.com", "10.20.0.1")).expect("it reads");
    assert!(matches!(four.permit(&place("https://[::ffff:10.20.0.1]")), Err(Refused::NoEntry(_))));
}

#[tokio::test]
async fn a_range_of_ipv4_in_ipv6_is_one_of_ipv4() {
    let mapped = ENTRY.replace("10.20.0.0/16", "::ffff:10.20.0.0/112");
    let guard = Guard::parse(&mapped).expect("it reads");
    let permit = guard.permit(&place("https://sync.example.com")).expect("an entry");
    assert_eq!(connect(&permit, "10.20.3.4:443").await, Ok(()));
    assert!(connect(&permit, "10.21.0.1:443").await.is_err());
}

#[tokio::test]
async fn an_entry_holds_for_its_addresses_at_every_connect() {
    let permit = guard("").permit(&place("https://sync.example.com")).expect("an entry");
    assert_eq!(connect(&permit, "10.20.3.4:443").await, Ok(()));
    assert_eq!(connect(&permit, "[2001:db8::1]:443").await, Ok(()));
    assert_eq!(connect(&permit, "[::ffff:10.20.0.1]:443").await, Ok(()), "the same in IPv6");
    for other in ["10.21.0.1:443", "127.0.0.1:443", "[2001:db9::1]:443"] {
        let refused = connect(&permit, other).await;
        assert!(matches!(refused, Err(Refused::Address(..))), "{other}: {refused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_refused_nothing_for_now() {
    let guard = guard("").waiting();
    let permit = guard.permit(&place("https://sync.example.com")).expect("an entry");
    let began = crate::clock::now();
    for _ in 0..7 {
        assert_eq!(connect(&permit, "10.20.3.4:443").await, Ok(()));
        assert_eq!(permit.write().await, Ok(()));
    }
    assert_eq!((crate::clock::now() - began).as_secs(), 3, "2 writes a second");
    let none = Guard::parse(&ENTRY.replace("messages_per_second = 2", "messages_per_second = 0"));
    let none = none.expect("it reads").waiting();
    let permit = none.permit(&place("https://sync.example.com")).expect("an entry");
    assert!(matches!(permit.write().await, Err(Refused::MessageRate(..))));
}

#[tokio::test(start_paused = true)]
async fn rates_and_counts_are_held() {
    let permit = guard("").permit(&place("https://sync.example.com")).expect("an entry");
    let (mut connects, mut writes) = (0, 0);
    for _ in 0..50 {
        connects += usize::from(connect(&permit, "10.20.3.4:443").await.is_ok());
        writes += usize::from(permit.write().await.is_ok());
    }
    assert_eq!((connects, writes), (3, 2));
    let beyond = connect(&permit, "10.20.3.4:443").await;
    assert!(beyond.is_err_and(|refused| refused.is_for_now()));
    assert_eq!(permit.covers(10, 2), Ok(()));
    assert!(matches!(permit.covers(11, 2), Err(Refused::Clients(_, 11, 10))));
    assert!(matches!(permit.covers(10, 3), Err(Refused::Messages(_, 3, 2))));
    // One entry is one allowance, whoever asks.
    let same = guard("ports = [443]\n");
    let (one, two) = (
        same.permit(&place("https://sync.example.com")).expect("an entry"),
        same.permit(&place("https://sync.example.com")).expect("an entry"),
    );
    let mut both = 0;
    for n in 0..50 {
        both += usize::from([&one, &two][n % 2].write().await.is_ok());
    }
    assert_eq!(both, 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_the_same_file_has_the_same_allowance() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("allow.toml");
    std::fs::write(&path, ENTRY).expect("written");
    let permit = || {
        let guard = Guard::read(&path).unwrap_or_else(|error| panic!("{error}"));
        guard.permit(&place("https://sync.example.com")).expect("an entry")
    };
    let mut writes = 0;
    for _ in 0..9 {
        writes += usize::from(permit().write().await.is_ok());
    }
    assert_eq!(writes, 2);
    std::fs::write(&path, ENTRY.replace("messages_per_second = 2", "messages_per_second = 0"))
        .expect("written");
    tokio::time::advance(std::time::Duration::from_secs(9)).await;
    assert!(permit().write().await.is_err(), "as the file is now");
}

#[test]
fn an_entry_holds_for_its_ports_days_and_hours() {
    let other = guard("ports = [8443]\n").permit(&place("https://sync.example.com"));
    assert!(matches!(other, Err(Refused::Port(_, 443))), "{other:?}");
    let past = ENTRY.replace("2999-12-31", "2020-01-01");
    let expired = Guard::parse(&past).expect("it reads").permit(&place("https://sync.example.com"));
    assert!(matches!(&expired, Err(Refused::Expired(_, _, owner)) if owner == "jo"), "{expired:?}");
    let at = |guard: &Guard, hour: i8, minute: i8| {
        let day = jiff::civil::date(2999, 12, 31);
        guard.entries[0].holds_at(day, jiff::civil::time(hour, minute, 0, 0)).is_ok()
    };
    let day = guard("hours = \"08:00-18:00\"\n");
    assert_eq!(
        [(7, 59), (8, 0), (17, 59), (18, 0)].map(|(h, m)| at(&day, h, m)),
        [false, true, true, false]
    );
    let night = guard("hours = \"22:00-06:00\"\n");
    assert_eq!(
        [(21, 59), (22, 0), (5, 59), (6, 0)].map(|(h, m)| at(&night, h, m)),
        [false, true, true, false]
    );
}

#[test]
fn through_a_proxy_an_entry_says_that_it_may_be() {
    let reached = |more: &str| {
        guard(more).permit(&place("https://sync.example.com")).expect("an entry").through_proxy()
    };
    assert!(matches!(reached(""), Err(Refused::ThroughProxy(_))));
    assert_eq!(reached("through_proxy = true\n"), Ok(()));
}

#[test]
fn an_entry_that_cannot_be_granted_is_refused_with_what_is_wrong() {
    for (from, to, why) in [
        ("clients = 10", "clients = 20001", "no entry grants more than 20000"),
        ("connects_per_second = 3", "connects_per_second = 2001", "more than 2000"),
        ("connects_per_second = 3", "connects_per_second = 0", "connects_per_second"),
        ("messages_per_second = 2", "messages_per_second = 1001", "more than 1000"),
        ("\"10.20.0.0/16\", \"2001:db8::/32\"", "", "no addresses"),
        ("\"10.20.0.0/16\"", "\"10.20\"", "addresses"),
        ("owner = \"jo\"", "owner = \" \"", "owner"),
        ("owner = \"jo\"", "owner = \"jo\"\nhours = \"8-18\"", "is no time"),
        ("owner = \"jo\"", "owner = \"jo\"\nwindow = 1", "window"),
        ("expires = \"2999-12-31\"", "expires = \"soon\"", "expires"),
        ("clients = 10\n", "", "clients"),
    ] {
        let wrong = Guard::parse(&ENTRY.replace(from, to)).expect_err(to);
        assert!(wrong.contains(why), "{to}: {wrong}");
    }
    assert!(Guard::parse(&format!("{ENTRY}{ENTRY}")).is_err_and(|why| why.contains("two entries")));
}
