"""Whether a connection is served fairly, and what waits for one that does not read."""

from registry import Violation, rule
from rules_slow import came_through

# Reads of another topic that a silence must hold: with fewer no drain goes on.
READS = 5


@rule("starved_topic", "a read that ends a silence")
def starved_topic(story):
    """Of the topics of one connection none waits while others go on. Something comes on a topic after a
    silence in which its oldest outstanding event had waited beyond the settle bound, while another topic
    was read at least so often, the first time something that was begun only after that event was
    acknowledged."""
    for client in story.clients.values():
        drain = Drain(story)
        deliveries = iter(client.deliveries)
        for record in client.records:
            if record["record"] == "offline":
                drain = Drain(story)
            elif record["record"] == "delivered":
                delivery = next(deliveries)
                if delivery.subscription is not None and drain.starved(delivery):
                    seqs = (delivery.seq, delivery.seq)
                    why = "it had waited while another topic went on"
                    yield Violation(why, delivery.at, client.number, delivery.topic, seqs)


class Drain:
    """What one connection was sent, topic by topic."""

    def __init__(self, story):
        self.story = story
        # By topic: the last read and the one before, and the first of each live read.
        self.last_at, self.reads = {}, {}
        # Topic and time of the reads whose longest wait was looked at.
        self.looked_at = set()

    def starved(self, delivery):
        """Takes a delivery; whether it ends such a silence."""
        topic, at = delivery.topic, delivery.at
        last, before = self.last_at.get(topic, (0, 0))
        before = before if last == at else last
        self.last_at[topic] = (at, before)
        foreign = delivery.event is None and delivery.state is None
        live_from = delivery.live_from
        if not delivery.fresh or foreign or live_from is None or live_from > at:
            return False
        reads = self.reads.setdefault(topic, [])
        if not reads or reads[-1].at != at:
            reads.append(delivery)
        # Of what one read brings, the first that was begun live had waited longest.
        if not self.may_have_waited(delivery) or (topic, at) in self.looked_at:
            return False
        self.looked_at.add((topic, at))
        owed = self.owed(delivery)
        silent_since = max(before, live_from)
        if owed is None or owed["start"] < live_from:
            return False
        waited_since = max(owed["done"], silent_since)
        settle = self.story.begin["settle_us"]
        waited = at - waited_since - self.story.client_stalled(delivery.client, waited_since, at)
        goes_on = any(
            self.goes_on(reads[-READS], silent_since, owed)
            for other, reads in self.reads.items()
            if other != topic and len(reads) >= READS
        )
        return goes_on and waited > settle

    def goes_on(self, first, silent_since, owed):
        command = self.story.command_of(first)
        return first.at > silent_since and command is not None and command["start"] > owed["done"]

    def may_have_waited(self, delivery):
        """Whether it, or the version owed before it, may have been begun while the client was live."""
        if delivery.state is None:
            begun = delivery.event["begun"]
            return begun is not None and begun >= delivery.live_from
        return delivery.known_version is not None and delivery.known_version < delivery.state["version"]

    def owed(self, delivery):
        """The acknowledged command of what the topic owed next: of a stream, what came; of a state, the
        version after the last that the client has of the document."""
        if delivery.state is None:
            return self.story.acknowledged.get(delivery.publish)
        worker, version = delivery.state["worker"], delivery.state["version"]
        known = delivery.known_version
        if known is None or known >= version:
            return None
        return self.story.by_worker_seq.get((worker, known + 1))


@rule("stuck_channel", "a socket that a client left")
def stuck_channel(story):
    """While the socket of a live client answers heartbeats, its channel answers them too. The client
    compared the order of the answers; here those are counted that were live when they asked, and read."""
    for client in story.clients.values():
        for at in client.life.silences:
            if not client.slow_by_plan:
                yield Violation("its channel was silent", at, client.number)


@rule("unbounded_buffer", "a time in which the harness kept a client slow")
def unbounded_buffer(story):
    """What waits for a client that does not read is bounded: on the socket it was slow on it finds fewer
    events of that time than make its eviction due, or the target has passed some over."""
    needed = story.begin["eviction_needs"]
    if needed is None:
        return
    acknowledged = came_through(story)
    for client in story.clients.values():
        found = {interval.ended: (0, False) for interval in client.life.intervals}
        found |= found_waiting(client, story.streams)
        for interval in client.life.intervals:
            held, passed_over = found[interval.ended]
            if interval.ended is None or not interval.same_socket or passed_over:
                continue
            held = min(held, sum(interval.began <= at <= interval.ended for at in acknowledged))
            if held >= needed:
                yield Violation(f"found {held} waiting", interval.ended, client.number)


def found_waiting(client, streams):
    """By when each slow time ended: how many events of it came afterwards on the same socket and
    subscription, and whether seqs were missing among them."""
    found, interval = {}, None
    by_end = {interval.ended: interval for interval in client.life.intervals}
    deliveries = iter(client.deliveries)
    for record in client.records:
        what = record["record"]
        delivery = next(deliveries) if what == "delivered" else None
        if what == "slow_ended":
            interval = by_end.get(record["at"])
            found[record["at"]] = (0, False)
        elif what in ("slow_began", "subscribe_sent", "offline"):
            interval = None
        elif interval is not None and delivery is not None and delivery.topic in streams:
            begun = delivery.event["begun"] if delivery.event else None
            waited = begun is not None and interval.began <= begun <= interval.ended
            held, passed_over = found[interval.ended]
            held += delivery.fresh and waited
            found[interval.ended] = (held, passed_over or delivery.skips)
    return found
