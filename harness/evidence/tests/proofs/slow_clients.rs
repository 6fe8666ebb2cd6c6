//! What waits for a client that does not read: bounded, and then the end of it.

use std::sync::LazyLock;

use khala_evidence::oracle::{End, Rule};
use khala_evidence::record::{OfflineCause, PublishId, Source};
use khala_evidence::{Record, Settled};
use proptest::prelude::*;

use crate::support::plans::Planned;
use crate::support::records::{self, Entry, stream};
use crate::support::{all_broken, cases, shards};

const SLOW: &str = r#"
version = 1
name = "slow"
seed = 7
[target]
kind = "reference"
[target.slow_consumer]
queue_limit = 10
send_buffer = "4KiB"
[auth]
mint = "hs256"
[fleet]
clients = 1
ramp = "1s"
[[fleet.surface]]
name = "desktop"
share = 1.0
[[load]]
command = "codex-worker-events"
rate = "10/s"
arrival = "constant"
payload_bytes = 1024
[[phase]]
name = "slow"
duration = "60s"
[[phase.fault]]
type = "slow_reader"
at = "1s"
duration = "50s"
mode = "one"
attributes = { pause = true, rcvbuf = "4KiB" }
[[gate]]
name = "ux"
[[gate.objective]]
metric = "violations"
require = "count == 0"
"#;

const BEGAN_US: u64 = 2_000_000;
const EVERY_US: u64 = 100_000;

fn planned() -> &'static Planned {
    static PLANNED: LazyLock<Planned> = LazyLock::new(|| Planned::of(SLOW));
    &PLANNED
}

fn needed() -> u32 {
    u32::try_from(planned().context.eviction_needs()).expect("an eviction is due")
}

/// A client that does not read while so many are published, then finds `found` of them on its socket,
/// is told off, comes back and gets the rest.
fn settle(published: u32, found: u32) -> Settled {
    let mut now = 1_000_000;
    let mut list = vec![
        records::connected(0, now),
        records::subscribe_sent(0, 1, now + 1, &[(stream(), None, 0)]),
        records::subscribe_ok(0, 1, now + 2, &[(stream(), 0)]),
        records::slow_began(0, BEGAN_US),
    ];
    let begun = |n: u32| BEGAN_US + u64::from(n) * EVERY_US;
    for n in 1..=published {
        let (id, seq, at) = (PublishId::Planned(n), u64::from(n), begun(n));
        list.push(records::published(id, 0, at, at + 1_000, Some(seq), 7));
    }
    now = begun(published) + EVERY_US;
    list.push(records::slow_ended(0, now, true));
    let mut deliver = |list: &mut Vec<Record>, epoch, numbers: std::ops::RangeInclusive<u32>| {
        for n in numbers {
            now += 10;
            let at = Some(begun(n));
            let source = Source::Event {
                publish: PublishId::Planned(n),
                intended: at,
                begun: at,
                payload: 7,
                worker_seq: None,
            };
            let seq = u64::from(n);
            let entry = Entry { topic: stream(), seq, content: seq, hash_fits: true, source };
            list.push(records::delivered(0, epoch, now, &entry));
        }
        now
    };
    let at = deliver(&mut list, 1, 1..=found);
    list.push(records::slow_consumer(0, at + 1, true));
    list.push(records::offline(0, at + 2, OfflineCause::ChannelClosed));
    list.push(records::connected(0, at + 3));
    let cursor = Some(u64::from(found));
    let head = u64::from(published);
    list.push(records::subscribe_sent(0, 2, at + 4, &[(stream(), cursor, head)]));
    let at = deliver(&mut list, 2, found + 1..=published);
    list.push(records::subscribe_ok(0, 2, at + 1, &[(stream(), head)]));
    list.push(records::retired(0, at + 2, true));
    shards::settle(planned(), &list, End { at: at + 2, drained: true })
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn as_much_as_may_wait_is_accepted(more in 0_u32..100, found in 0_u32..1_000) {
        let settled = settle(needed() + more, found % needed());
        prop_assert_eq!(all_broken(&settled), []);
        prop_assert_eq!(settled.tally.rule(Rule::UnboundedBuffer).judged, 1);
    }

    #[test]
    fn more_than_may_wait_was_kept_without_a_bound(more in 0_u32..100, found in 0_u32..1_000) {
        let settled = settle(needed() + more, needed() + found % (more + 1));
        prop_assert_eq!(all_broken(&settled), [(Rule::UnboundedBuffer, 1)]);
    }
}
