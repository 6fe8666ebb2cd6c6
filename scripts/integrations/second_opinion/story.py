"""What happened, retold from the records: each client's subscriptions with what came under them, its
life online, what was published, what the target's metrics showed. Nothing is judged here.

The whole recording is in memory, so everything may look ahead and behind.
"""

from collections import Counter
from functools import cached_property

from basis import Bases
from life import Life


def publish_key(publish):
    """A publish id as something that can be looked up: ("planned", n), ("lifecycle", worker, seq), or
    ("over_socket", client): a command that should have changed nothing."""
    if "planned" in publish:
        return ("planned", publish["planned"])
    if "over_socket" in publish:
        return ("over_socket", publish["over_socket"]["client"])
    return ("lifecycle", publish["lifecycle"]["worker"], publish["lifecycle"]["seq"])


class Subscription:
    """One topic of one subscribe, from when it was sent until the topic is subscribed to again."""

    def __init__(self, client, epoch, sent_at, asked, sent_live):
        self.client, self.epoch, self.sent_at, self.sent_live = client, epoch, sent_at, sent_live
        self.topic, self.cursor = asked["topic"], asked["cursor"]
        # Without a cursor because the last one was stale: the log is pruned, and what is replayed is not all.
        self.from_floor = False
        # Whether the ok reply is the first for the topic on its socket: a second subscribe without a cursor
        # replays from where the socket stands.
        self.first_on_socket = False
        self.head_seen, self.by_fault = asked["head_seen"], asked["by_fault"]
        # None, "ok", "stale", or "for_another": refused because another topic of the list is stale.
        self.answer = self.answered_at = self.watermark = self.said = None
        # What the client had when the ok reply came.
        self.highest_at_reply, self.versions_at_reply, self.basis_at_reply = 0, {}, None
        self.floor_at_reply = None
        self.deliveries = []
        # Where it begins: what it resumes after, or what stands for it without a cursor, which is one
        # below the first seq delivered or, if nothing was until the reply, where the reply says.
        self.floor = self.cursor
        # The highest seq that the client has by now, the floor included; None before both.
        self.highest = self.cursor
        self.seen = set()

    def begins_at(self, floor):
        self.floor = self.highest = floor

    def reached(self, seq):
        return (self.highest or 0) >= seq

    def missing(self):
        """Seqs between where it begins and the highest that came, which never came."""
        if not self.seen:
            return []
        return [seq for seq in range(self.floor + 1, self.highest) if seq not in self.seen]


class Ending:
    """The end of a subscription as stale in its middle: to the rules about cursors one more that was refused,
    whose cursor is the one that the target names, since nobody sent one."""

    def __init__(self, sub, said, at):
        self.client, self.topic, self.epoch = sub.client, sub.topic, sub.epoch
        self.sent_at, self.answered_at = sub.sent_at, at
        self.cursor, self.said, self.answer = said["cursor"], said, "stale"


class Delivery:
    """One update at one client, and what it was to the client when it came."""

    def __init__(self, record):
        self.client, self.topic = record["client"], record["topic"]
        self.seq, self.at = record["seq"], record["at"]
        self.content = (record["content"], record["hash_fits"])
        source = record["source"]
        self.event = source["event"] if "event" in source else None
        self.state = source["state"] if "state" in source else None
        # Of somebody else.
        self.document = source["document"] if "document" in source else None
        self.publish = publish_key(self.event["publish"]) if self.event else None
        self.standing = "subscribed"
        self.subscription = None
        # In this subscription before; or above all of it, but applied before.
        self.repeat = self.redelivered = False
        # Not above what came before it, and new.
        self.out_of_order = False
        # At or below the cursor that was sent: the client has it, by its own word.
        self.overlap = False
        # Above everything that the client ever had: it is applied.
        self.fresh = False
        # The version that the client had of the document before, if it had one.
        self.known_version = None
        # It left out seqs that had not come.
        self.skips = False
        # From when on what was due came live and not by replay; None of one that is not live or reads
        # slowly. Whether this was due after it.
        self.live_from, self.live = None, False

    @property
    def is_pointer(self):
        """Whether it came without a payload, so that nothing is known of its content."""
        return self.content[0] == 0

    @property
    def intended(self):
        return self.event["intended"] if self.event else None


class Client:
    """One client: its records in order, and what they come to."""

    def __init__(self, number, granted, slow_by_plan, streams):
        self.number, self.granted, self.slow_by_plan = number, granted, slow_by_plan
        self.streams = streams
        self.records = []
        self.deliveries, self.subscriptions = [], []
        # Subscriptions that ended as stale in their middle, and what was called stale and not subscribed to.
        self.endings, self.never_had = [], []
        # What refusals told it of floor and head, by topic.
        self.told_of = {}
        # By topic.
        self.current, self.standing, self.last_applied = {}, {}, {}
        # Of states: the version delivered of each (topic, worker), and by topic what is known besides; the
        # version that came with the snapshots from which it resumed.
        self.versions, self.bases, self.held = {}, Bases(), {}
        self.life = Life()
        # By topic, when a heartbeat was answered with which watermark that the client had not reached; and those
        # that it has reached since, with when that was.
        self.open_heads, self.head_waits = {}, []
        # Topics of which a subscribe was answered on the socket that it has.
        self.answered_here = set()

    @cached_property
    def retired_at(self):
        times = [record["at"] for record in self.records if record["record"] == "retired"]
        return times[-1] if times else None

    def tell(self):
        for record in self.records:
            self.life.before(record)
            getattr(self, record["record"], lambda record: None)(record)
            self.life.after(record, self.current)
        return self

    def connected(self, _record):
        self.answered_here.clear()

    def offline(self, _record):
        self.open_heads.clear()

    def heads_told(self, record):
        if self.life.live_since is None or self.slow_by_plan:
            return
        for topic, head in record["heads"]:
            sub = self.current.get(topic)
            subscribed = sub is not None and self.standing.get(topic) == "subscribed"
            if subscribed and not sub.reached(head):
                self.open_heads.setdefault(topic, (record["at"], head))

    def subscribe_sent(self, record):
        self.open_heads.clear()
        for topic, standing in self.standing.items():
            if standing == "stale":
                self.standing[topic] = "out"
        live = self.life.live_since is not None
        for asked in record["topics"]:
            new = Subscription(self.number, record["epoch"], record["at"], asked, live)
            new.from_floor = new.cursor is None and new.topic in self.bases.refused
            self.subscriptions.append(new)
            self.current[new.topic] = new
            self.standing[new.topic] = "subscribed"
            snapshot = self.bases.subscribed(new, self.last_applied.get(new.topic))
            for document in (snapshot or {}).get("documents", []):
                key = (new.topic, document["worker"])
                self.held[key] = max(document["version"], self.held.get(key, 0))

    def pending(self, record):
        """The subscriptions that a reply answers."""
        return [
            sub
            for sub in self.current.values()
            if sub.epoch == record["epoch"] and sub.answer is None
        ]

    def subscribe_ok(self, record):
        marks = dict(map(tuple, record["watermarks"]))
        for sub in self.pending(record):
            sub.answer, sub.answered_at = "ok", record["at"]
            sub.watermark = marks.get(sub.topic)
            sub.first_on_socket = sub.topic not in self.answered_here
            self.answered_here.add(sub.topic)
        for topic, mark in marks.items():
            sub = self.current.get(topic)
            if sub is not None and sub.floor is None:
                # Of a log that was pruned empty nothing is replayed, and a socket that got nothing may stand at 0.
                begin = max(mark, self.told_gone(sub))
                sub.begins_at(begin)
                self.last_applied[topic] = max(begin, self.last_applied.get(topic, 0))
            if sub is not None:
                self.at_reply(sub, record["at"])

    def at_reply(self, sub, at):
        sub.highest_at_reply, sub.floor_at_reply = sub.highest, sub.floor
        of_topic = [key for key in self.versions if key[0] == sub.topic]
        sub.versions_at_reply = {worker: self.versions[_, worker] for _, worker in of_topic}
        sub.basis_at_reply = self.bases.replied(sub.topic, at)

    def snapshot_taken(self, record):
        self.bases.snapshot_taken(record)

    def is_refusal(self, record):
        """Whether a cursor that is called stale is that of a subscribe: it has had no other answer."""
        subs = [sub for sub in self.subscriptions if sub.epoch == record["epoch"]]
        return any(sub.answer in ("stale", "for_another") for sub in subs)

    def subscribe_stale(self, record):
        said = {topic["topic"]: topic for topic in record["topics"]}
        if not self.pending(record):
            self.ended_stale(record, said)
            return
        self.bases.refused.update(said)
        self.told(said.values())
        for sub in self.pending(record):
            sub.said, sub.answered_at = said.get(sub.topic), record["at"]
            sub.answer = "stale" if sub.said else "for_another"
            self.standing[sub.topic] = "stale" if sub.said else "out"

    def told(self, stale):
        for said in stale:
            figures = self.told_of.setdefault(said["topic"], dict.fromkeys(("floor", "head"), 0))
            figures.update({name: max(told, said.get(name) or 0) for name, told in figures.items()})

    def told_gone(self, sub):
        """Up to where refusals told it that nothing is left of a stream: that all of it was pruned."""
        figures = self.told_of.get(sub.topic)
        if sub.cursor is not None or figures is None or sub.topic not in self.streams:
            return 0
        return figures["floor"] if figures["floor"] >= figures["head"] else 0

    def ended_stale(self, record, said):
        subscribed = [topic for topic in said if self.standing.get(topic) == "subscribed"]
        for topic in subscribed:
            self.endings.append(Ending(self.current[topic], said[topic], record["at"]))
            self.standing[topic] = "stale"
        self.never_had += [(record, said[topic]) for topic in said if topic not in subscribed]
        self.bases.refused.update(subscribed)
        self.told(said[topic] for topic in subscribed)
        if subscribed:
            self.life.ended_stale(record["at"])

    def unsubscribed(self, record):
        self.open_heads.clear()
        for topic in record["topics"]:
            self.standing[topic] = "left"

    def delivered(self, record):
        new = Delivery(record)
        self.deliveries.append(new)
        granted = new.topic in self.granted
        new.standing = self.standing.get(new.topic, "never") if granted else "ungranted"
        if new.standing == "out" and new.topic not in self.answered_here:
            new.standing = "refused"
        if new.standing in ("stale", "left", "never", "ungranted", "refused"):
            # Of no subscription, so it is neither applied nor in any order.
            return
        sub = new.subscription = self.current[new.topic]
        sub.deliveries.append(new)
        if sub.floor is None:
            sub.begins_at(max(new.seq - 1, 0))
        applied = self.last_applied.get(new.topic, -1)
        above = new.seq > sub.highest
        # What lies at or below the cursor is none of the subscription's, however often it comes.
        new.skips = new.seq > sub.highest + 1
        new.repeat = new.seq in sub.seen and new.seq > sub.floor
        new.overlap = sub.cursor is not None and new.seq <= sub.cursor
        new.out_of_order = not above and not new.repeat and not new.overlap
        new.redelivered = above and new.seq <= applied
        new.fresh = above and new.seq > applied
        if new.state is not None:
            new.known_version = self.versions.get((new.topic, new.state["worker"]))
            document = (new.topic, new.state["worker"])
            self.versions[document] = max(new.state["version"], self.versions.get(document, 0))
        sub.seen.add(new.seq)
        sub.highest = max(sub.highest, new.seq)
        if new.fresh:
            self.last_applied[new.topic] = new.seq
        new.live_from = self.live_from(sub)
        new.live = new.fresh and None not in (new.live_from, new.intended)
        new.live = new.live and new.intended >= new.live_from
        told = self.open_heads.get(new.topic)
        if told is not None and sub.reached(told[1]):
            self.head_waits.append((new.topic, self.open_heads.pop(new.topic), new.at))

    def live_from(self, sub):
        if self.life.live_since is None or self.slow_by_plan or self.life.ever_slow:
            return None
        if not sub.sent_live:
            return self.life.live_since
        # Subscribed again on a live socket: until the reply it comes by replay.
        return max(self.life.live_since, sub.answered_at) if sub.answered_at is not None else None


class Story:
    """A whole run."""

    def __init__(self, recording):
        self.begin, self.end = recording.begin, recording.end
        self.streams = {t["id"] for t in self.begin["topics"] if t["kind"] == "stream"}
        named = {t["name"]: t["id"] for t in self.begin["topics"]}
        self.worker_events = {named.get("runtime.codex_worker_events")}
        self.states = {t["id"] for t in self.begin["topics"] if t["kind"] == "state"}
        # Where no seq is left out: on streams, and on states that the target's keys say it of.
        self.dense = {t["id"] for t in self.begin["topics"] if t.get("dense", t["kind"] == "stream")}
        self.clients, self.stalls = {}, {}
        self.windows, self.published, self.misacknowledged = {}, [], []
        slow = set(self.begin["slow_clients"])
        self.leaving = set(self.begin.get("leaving", []))
        for records in recording.threads.values():
            for record in records:
                self.sort_in(record, slow)
        for client in self.clients.values():
            client.tell()
        self.deliveries = [d for client in self.clients.values() for d in client.deliveries]
        self.misnamed = {}
        self.reconcile()
        self.subscriptions = [s for client in self.clients.values() for s in client.subscriptions]

    def reconcile(self):
        """What the whole run tells of single records: where an acknowledgement names another seq of the worker
        than the event itself shows, the event's counts; and an update without a payload is the event of the
        worker and seq in its key."""
        shown = {}
        for delivery in self.deliveries:
            own = delivery.event.get("worker_seq") if delivery.event else None
            if own is not None:
                shown.setdefault(delivery.publish, Counter())[own] += 1
        for at, record in enumerate(self.published):
            key = publish_key(record["id"])
            if record["outcome"] != "ok" or record["worker_seq"] is None or key not in shown:
                continue
            counts = shown[key]
            own = min(counts, key=lambda seq: (-counts[seq], seq))
            if own != record["worker_seq"]:
                self.misnamed[key] = record
                self.published[at] = record | {"worker_seq": own}
        by_seq = {worker_seq: publish_key(record["id"]) for worker_seq, record in self.by_worker_seq.items()}
        for delivery in self.deliveries:
            if delivery.is_pointer and delivery.publish is not None and delivery.publish[0] == "lifecycle":
                delivery.publish = by_seq.get(delivery.publish[1:], delivery.publish)

    def sort_in(self, record, slow):
        if record.get("client") is not None:
            number = record["client"]
            if number not in self.clients:
                granted = self.begin["granted"][number]
                self.clients[number] = Client(number, granted, number in slow, self.streams)
            self.clients[number].records.append(record)
        elif record["record"] == "window":
            self.windows.setdefault(record["topic"], []).append(record)
        elif record["record"] == "published":
            self.published.append(record)
        elif record["record"] == "misacknowledged":
            self.misacknowledged.append(record)
        elif record["record"] == "stall":
            self.stalls.setdefault(record["thread"], []).append((record["from"], record["to"]))

    def client_stalled(self, client, since, until):
        """How long the thread of client number `client` stood still in a time: that another one did kept
        it from nothing."""
        return self.stalled(client % self.begin["worker_threads"], since, until)

    def publishers_stalled(self, since, until):
        """The same of the thread that sends the commands."""
        return self.stalled(self.begin["worker_threads"], since, until)

    def stalled(self, thread, since, until):
        """How long a thread of the generator stood still in a time, overlaps counted once."""
        total, counted_to = 0, since
        for start, end in sorted(self.stalls.get(thread, [])):
            start, end = max(start, counted_to), min(end, until)
            if start < end:
                total, counted_to = total + end - start, end
        return total

    def ended_for(self, client):
        """When a client left the run."""
        return client.retired_at if client.retired_at is not None else self.end["at"]

    @cached_property
    def acknowledged(self):
        """The publishes that bind the target: those that it acknowledged."""
        return {
            publish_key(record["id"]): record
            for record in self.published
            if record["outcome"] == "ok" and record["worker_seq"] is not None
        }

    @cached_property
    def unanswered(self):
        """Publishes that ended without an acknowledgement; they may exist all the same."""
        keys = ((publish_key(record["id"]), record) for record in self.published)
        return {key: record for key, record in keys if key not in self.acknowledged}

    @cached_property
    def planned(self):
        """Of them, those of the load. A worker's creation is acknowledged before its event exists."""
        return {key: record for key, record in self.acknowledged.items() if key[0] == "planned"}

    @cached_property
    def by_worker_seq(self):
        """Acknowledged publishes by worker and the worker's seq, which is the version of its document."""
        return {(record["worker"], record["worker_seq"]): record for record in self.acknowledged.values()}

    def command_of(self, delivery):
        """The acknowledged publish that a delivery stems from, if there is one."""
        if delivery.state is not None:
            version = (delivery.state["worker"], delivery.state["version"])
            return self.by_worker_seq.get(version)
        return self.acknowledged.get(delivery.publish)

    @cached_property
    def contents(self):
        """What was delivered of each (topic, seq): content to its deliveries."""
        contents = {}
        for delivery in self.deliveries:
            place = contents.setdefault((delivery.topic, delivery.seq), {})
            place.setdefault(delivery.content, []).append(delivery)
        return contents

    @cached_property
    def seq_of(self):
        """The lowest seq of a topic on which each publish came out."""
        seqs = {}
        for delivery in self.deliveries:
            if delivery.publish is not None:
                key = (delivery.topic, delivery.publish)
                seqs[key] = min(delivery.seq, seqs.get(key, delivery.seq))
        return seqs

    @cached_property
    def gone(self):
        """What is missing where seqs are dense: (subscription, first seq, last seq) of each range."""
        found = []
        for sub in self.subscriptions:
            if sub.topic in self.dense:
                found.extend((sub, first, last) for first, last in ranges(sub.missing()))
        return found

    @cached_property
    def first_seen(self):
        """When each (topic, seq) was first sent to anybody."""
        times = {}
        for delivery in self.deliveries:
            place = (delivery.topic, delivery.seq)
            times[place] = min(delivery.at, times.get(place, delivery.at))
        return times

    @property
    def is_passive(self):
        """Whether nothing was published, so that what others were sent stands for what was acknowledged."""
        return self.begin.get("passive", False)

    @cached_property
    def witnesses(self):
        """Clients that must have got everything by the end: live, not kept from reading, and there to the end."""
        stay = [c for c in self.clients.values() if c.number not in self.leaving]
        return [c for c in stay if c.life.live_since is not None and not c.life.slow]


def ranges(seqs):
    """Sorted numbers as ranges of successive ones, both ends included."""
    found = []
    for seq in seqs:
        if found and found[-1][1] == seq - 1:
            found[-1][1] = seq
        else:
            found.append([seq, seq])
    return found
