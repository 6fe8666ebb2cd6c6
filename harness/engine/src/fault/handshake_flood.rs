//! `handshake_flood`: connections that begin an upgrade and never finish it, for an interval.
//!
//! Each sends the first lines of an upgrade and no more. One that the target ends is opened again after a
//! pause, so that a target that times them out is flooded all the same. They are taken back by closing
//! them, with a reset, which leaves no port waiting: where their owner goes, so do they. Proven by the
//! connections that the target's side accepted, all at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use khala_plan::fault::handshake_flood::HandshakeFlood;
use khala_plan::schedule::PlannedFault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::{Fault, Grip, OnTarget, Proof};
use crate::reach::{Link, Outgoing, Reach};

/// How long a connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Before one that ended is opened again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

impl Fault for HandshakeFlood {
    fn on_target(&self, fault: &PlannedFault, grip: Grip) -> OnTarget {
        let (sockets, fault) = (self.sockets, fault.clone());
        Box::pin(async move {
            let begun = format!(
                "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\n",
                grip.target.socket_path,
                grip.target.reach.place().authority()
            );
            let (begun, open) = (Arc::<str>::from(begun), Arc::new(Open::default()));
            let mut flood = JoinSet::new();
            for _ in 0..sockets {
                flood.spawn(hold(grip.target.reach.clone(), Arc::clone(&begun), Arc::clone(&open)));
            }
            grip.until_over(&fault).await;
            flood.shutdown().await;
            Ok(open.most.load(Ordering::Relaxed))
        })
    }

    fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
        Proof {
            effective: u64::from(answered >= u64::from(self.sockets)),
            how: format!("{answered} of {} connections open at once", self.sockets),
        }
    }
}

/// How many are open, and were at the most.
#[derive(Default)]
struct Open {
    now: AtomicU64,
    most: AtomicU64,
}

/// One that is open, until it is dropped.
struct Counted<'a>(&'a Open);

impl<'a> Counted<'a> {
    fn new(open: &'a Open) -> Self {
        let now = open.now.fetch_add(1, Ordering::Relaxed) + 1;
        open.most.fetch_max(now, Ordering::Relaxed);
        Self(open)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps one connection open; ends only by being aborted.
async fn hold(reach: Reach, begun: Arc<str>, open: Arc<Open>) {
    loop {
        let connecting = reach.connect(Outgoing::default());
        if let Ok(Ok(Link { mut stream, .. })) =
            tokio::time::timeout(CONNECT_WITHIN, connecting).await
            && stream.abort_on_close().is_ok()
            && stream.write_all(begun.as_bytes()).await.is_ok()
        {
            let _open = Counted::new(&open);
            let mut answer = [0; 256];
            while let Ok(1..) = stream.read(&mut answer).await {}
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncBufReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn fewer_than_planned_at_once_are_no_flood() {
        let fault = PlannedFault {
            id: 0,
            phase: 1,
            at_us: 0,
            duration_us: Some(1),
            spread_us: None,
            kind: HandshakeFlood { sockets: 3 }.into(),
            targets: Vec::new(),
        };
        let hit = |open| HandshakeFlood { sockets: 3 }.by_answers(&fault, open).effective;
        assert_eq!((hit(2), hit(3)), (0, 1));
    }

    #[tokio::test]
    async fn a_connection_that_the_target_ends_is_opened_again_until_the_fault_is_over() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (reach, open) = (Reach::here(&url).expect("on this machine"), Arc::default());
        let mut flood = JoinSet::new();
        flood.spawn(hold(reach, Arc::from("GET /\r\n"), Arc::clone(&open)));
        let (mut first, _) = listener.accept().await.expect("one comes");
        let mut line = String::new();
        let read = tokio::io::BufReader::new(&mut first).read_line(&mut line).await;
        assert_eq!((read.ok(), line.as_str()), (Some(7), "GET /\r\n"));
        drop(first);
        let (mut second, _) = listener.accept().await.expect("it comes again");
        flood.shutdown().await;
        let mut rest = Vec::new();
        // What was sent is lost to the reset, or not.
        let _ = second.read_to_end(&mut rest).await;
        assert_eq!(open.now.load(Ordering::Relaxed), 0);
        assert_eq!(open.most.load(Ordering::Relaxed), 1);
    }
}
