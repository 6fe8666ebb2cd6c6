"""Whether what was acknowledged reached the clients, and when.

A publish binds the target from its acknowledgement on. On which seq of a topic it came out is known from
whoever got it.
"""

from bisect import bisect_left
from collections import defaultdict

from findings import breaches
from registry import Violation, rule
from rules_cursor import bounds_of
from shares import Shares, lost_of


@rule("late_publish", "an event at a client")
def late_publish(story):
    """An event does not wait for its successor: of two that were due and acknowledged far apart, the
    earlier does not come beyond the settle bound and in one read with the later, unless the later had
    waited as long. For clients that were live, and reading, since before the earlier was due."""
    settle = story.begin["settle_us"]
    for client in story.clients.values():
        for topic in story.streams:
            fresh = [d for d in client.deliveries if d.topic == topic and d.fresh]
            for early, late in zip(fresh, fresh[1:]):
                if not together(early, late, settle):
                    continue
                if early.publish not in story.acknowledged or late.publish not in story.acknowledged:
                    continue
                acked = story.acknowledged[early.publish]["done"]
                next_acked = answered_by(story, late.publish)
                if next_acked - acked <= 2 * settle:
                    continue
                waited = early.at - acked - story.client_stalled(client.number, acked, early.at)
                if waited > settle and late.at - next_acked < settle:
                    seqs = (early.seq, early.seq)
                    yield Violation("waited for the next one", late.at, client.number, topic, seqs)


def answered_by(story, publish):
    """When a publish was acknowledged, at the earliest: what the publishers' thread slept through it may
    have left unread."""
    command = story.acknowledged[publish]
    return command["done"] - story.publishers_stalled(command["start"], command["done"])


def together(early, late, settle):
    return (
        early.live
        and late.intended is not None
        and (early.at, early.seq + 1) == (late.at, late.seq)
        and late.intended - early.intended > settle
    )


def watching(story, topic):
    """Witnesses that are subscribed to a topic at the end."""
    return [
        client
        for client in story.witnesses
        if topic in client.current and client.standing.get(topic) == "subscribed"
    ]


@rule("lost_publish", "a publish that reached nobody, or a client and topic whose tail is missing")
def lost_publish(story):
    """When the run has drained, each acknowledged publish has reached each client that is live and
    subscribed to the end; and whenever one that was sent later has reached somebody. What is missing below
    the highest that a client got is `gap`'s. Without publishes of its own a run holds each client against what
    anybody had been sent before the drain began."""
    if story.is_passive and story.end["drained"]:
        yield from tails_by_sight(story)
    for topic in story.streams.intersection(story.begin["published_on"]):
        clients = watching(story, topic)
        yield from reached_nobody(story, topic, story.end["drained"] and len(clients) > 0)
        if not story.end["drained"]:
            continue
        out = [story.seq_of.get((topic, publish), 0) for publish in story.acknowledged]
        head = max(out, default=0)
        for client in clients:
            highest = client.current[topic].highest or 0
            if highest < head:
                seqs = (highest + 1, head)
                yield Violation("the tail is missing", story.end["at"], client.number, topic, seqs)


def tails_by_sight(story):
    heads = defaultdict(int)
    for (topic, seq), at in story.first_seen.items():
        if at < story.begin["drain_from"]:
            heads[topic] = max(seq, heads[topic])
    for topic, head in heads.items():
        for client in watching(story, topic):
            highest = client.current[topic].highest or 0
            if highest < head:
                seqs = (highest + 1, head)
                yield Violation("others had more", story.end["at"], client.number, topic, seqs)


def reached_nobody(story, topic, drained):
    """Publishes that no client ever got. One that left a gap, on a seq that nobody got, is a gap already."""
    explained = Shares(story, topic).explained
    for key in lost_of(story, topic, drained):
        if key in explained:
            continue
        yield Violation(f"{key} reached nobody", story.acknowledged[key]["done"], None, topic)


class Known:
    """The highest number that had been acknowledged before an instant."""

    def __init__(self, pairs):
        self.times, self.highest = [], []
        for at, number in sorted(pairs):
            self.times.append(at)
            self.highest.append(max(number, self.highest[-1] if self.highest else 0))

    def before(self, at):
        index = bisect_left(self.times, at)
        return self.highest[index - 1] if index else 0


@rule("false_replay_complete", "a reply, for a stream or for a document of a state topic")
def false_replay_complete(story):
    """The ok reply to a subscribe does not come before what was acknowledged before the subscribe was
    sent, as far as nothing was undecided below it; of states, before what had settled by then. A stream
    that is first subscribed to without a cursor is replayed from the retention floor."""
    yield from breaches(story, "false_replay_complete")
    yield from early_for_streams(story)
    yield from without_their_past(story)
    yield from early_for_states(story)


def early_for_streams(story):
    acknowledged = defaultdict(list)
    for (topic, publish), seq in story.seq_of.items():
        if publish in story.planned:
            acknowledged[topic].append((story.planned[publish]["done"], seq))
    if story.is_passive:
        for (topic, seq), at in story.first_seen.items():
            acknowledged[topic].append((at, seq))
    known = {topic: Known(pairs) for topic, pairs in acknowledged.items()}
    decided = times_decided(story, acknowledged)
    for sub in story.subscriptions:
        if sub.topic not in story.streams or sub.watermark is None or sub.topic not in known:
            continue
        required = known[sub.topic].before(sub.sent_at)
        had = sub.highest_at_reply
        required = first_undecided(decided[sub.topic], had, required, sub.sent_at) - 1
        # What never came at all is a gap, and the early reply follows from it.
        lost = set(sub.missing())
        if had < required and not all(seq in lost for seq in range(had + 1, required + 1)):
            why = f"had {had} of {required}"
            seqs = (had + 1, required)
            yield Violation(why, sub.answered_at, sub.client, sub.topic, seqs)


def without_their_past(story):
    """What others had been sent before, above the highest floor that windows allow."""
    seen = {topic: {} for topic in story.streams}
    for delivery in story.deliveries:
        if delivery.topic in seen:
            times = seen[delivery.topic]
            times[delivery.seq] = min(delivery.at, times.get(delivery.seq, delivery.at))
    for sub in story.subscriptions:
        first = sub.topic in story.streams and sub.cursor is None and sub.first_on_socket
        if not first or sub.watermark is None:
            continue
        bounds = bounds_of(story, sub)
        if bounds is None or bounds.floor_high is None or sub.floor_at_reply is None:
            continue
        owed = range(bounds.floor_high + 1, sub.floor_at_reply + 1)
        had = [seq for seq in owed if seen[sub.topic].get(seq, sub.sent_at) < sub.sent_at]
        if had:
            why, seqs = f"nothing up to {sub.floor_at_reply}", (had[0], had[-1])
            yield Violation(why, sub.answered_at, sub.client, sub.topic, seqs)


def times_decided(story, acknowledged):
    """When each seq was first known to have come to be: acknowledged, or seen by anybody."""
    decided = {topic: {} for topic in acknowledged}
    for topic, pairs in acknowledged.items():
        for at, seq in pairs:
            decided[topic][seq] = min(at, decided[topic].get(seq, at))
    for delivery in story.deliveries:
        if delivery.topic in decided:
            times = decided[delivery.topic]
            times[delivery.seq] = min(delivery.at, times.get(delivery.seq, delivery.at))
    return decided


def first_undecided(times, had, required, sent_at):
    """The first seq that may still have been under way when a subscribe was sent: a server that gives out seqs
    before it writes cannot send what stands above it. Below the lowest known one lies the past."""
    seq = max(had + 1, min(times))
    while seq <= required and times.get(seq, sent_at) < sent_at:
        seq += 1
    return seq


def versions_of(story):
    """When each version of each worker's document had been acknowledged, and when its command was begun."""
    acknowledged, begun = defaultdict(list), {}
    for record in story.planned.values():
        acknowledged[record["worker"]].append((record["done"], record["worker_seq"]))
    for record in story.acknowledged.values():
        begun[record["worker"], record["worker_seq"]] = record["start"]
    return {worker: Known(pairs) for worker, pairs in acknowledged.items()}, begun


class Documents:
    """Versions of documents: on which seqs they were seen, and when they were acknowledged."""

    def __init__(self, story):
        self.story, self.reflected = story, defaultdict(list)
        for delivery in story.deliveries:
            if delivery.state is not None:
                document = (delivery.topic, delivery.state["worker"])
                self.reflected[document].append((delivery.seq, delivery.state["version"]))
        self.known, self.begun = versions_of(story)

    def must_come(self, topic, worker, had, required, basis, snapshots_count=False):
        """Whether a client that has version `had` of a document is owed the required one. `snapshots_count`:
        what its snapshot held is in it, so that what else was below the snapshot's watermark it lacks."""
        if had >= required:
            return False
        if basis is None or (basis.whole and snapshots_count):
            return True
        seen = self.reflected[topic, worker]
        if basis.cursor is not None and any(s <= basis.cursor and v >= required for s, v in seen):
            return False
        if self.begun.get((worker, required), 0) > basis.before:
            return True
        # Older than the basis. A replay from the beginning brings it all the same: where a document has
        # something in the log, the log has all of it that is newer.
        from_beginning = basis.cursor is None and not basis.pruned
        return from_beginning and (had > 0 or not basis.may_be_pruned(self.story))


def early_for_states(story):
    documents = Documents(story)
    settle = story.begin["settle_us"]
    for client in story.clients.values():
        for sub in client.subscriptions:
            if sub.topic not in story.states or sub.watermark is None:
                continue
            for worker, known in documents.known.items():
                required = known.before(max(sub.sent_at - settle, 0))
                had = sub.versions_at_reply.get(worker, 0)
                if documents.must_come(sub.topic, worker, had, required, sub.basis_at_reply):
                    why = f"had version {had} of {required} of worker {worker}"
                    seqs = (had + 1, required)
                    yield Violation(why, sub.answered_at, client.number, sub.topic, seqs)


@rule("state_stale", "a client, state topic and document, or a delivery")
def state_stale(story):
    """Each acknowledged version, or a later one, reaches each live client within the settle bound; and when
    the run has drained, each has the last of each document."""
    yield from late_versions(story)
    if not story.end["drained"]:
        return
    documents = Documents(story)
    for topic in story.states.intersection(story.begin["published_on"]):
        for client in watching(story, topic):
            for worker, known in documents.known.items():
                required = known.highest[-1]
                key, basis = (topic, worker), client.bases.get(topic)
                had = max(client.versions.get(key, 0), client.held.get(key, 0))
                if documents.must_come(topic, worker, had, required, basis, snapshots_count=True):
                    why = f"has version {had} of {required} of worker {worker}"
                    yield Violation(why, story.end["at"], client.number, topic)


def late_versions(story):
    """Deliveries that bring a version long after its acknowledgement to a client that was live, and reading,
    since before it was begun. With a version come all that the client had not been sent before."""
    commands = defaultdict(list)
    for record in sorted(story.planned.values(), key=lambda record: record["worker_seq"]):
        commands[record["worker"]].append(record)
    settle = story.begin["settle_us"]
    for client in story.clients.values():
        for delivery in client.deliveries:
            if delivery.state is None or not delivery.fresh or delivery.live_from is None:
                continue
            owed = commands[delivery.state["worker"]]
            first = bisect_left(owed, (delivery.known_version or 0) + 1, key=worker_seq_of)
            last = bisect_left(owed, delivery.state["version"] + 1, key=worker_seq_of)
            if any(
                command["start"] >= delivery.live_from
                and waited_for(story, delivery, command["done"]) > settle
                for command in owed[first:last]
            ):
                why = f"version {delivery.state['version']} came late"
                seqs = (delivery.seq, delivery.seq)
                yield Violation(why, delivery.at, client.number, delivery.topic, seqs)


def worker_seq_of(command):
    return command["worker_seq"]


def waited_for(story, delivery, since):
    return delivery.at - since - story.client_stalled(delivery.client, since, delivery.at)
