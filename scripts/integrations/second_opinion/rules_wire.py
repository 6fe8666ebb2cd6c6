"""What came over the wire and should not have: below the messages, out of shape, or to nobody."""

from findings import breaches
from registry import Violation, rule
from story import publish_key


def each(story, what, why):
    for client in story.clients.values():
        for record in client.records:
            if record["record"] == what:
                yield Violation(why(record), record["at"], client.number)


@rule("ws_protocol", "a breach of RFC 6455")
def ws_protocol(story):
    """Frames and the upgrade's answer are those of RFC 6455."""
    yield from each(story, "breached", lambda record: record["breach"])


@rule("malformed_message", "a message without its shape")
def malformed_message(story):
    """A message is text, of the serializer's shape, and has what the contract gives its event."""
    yield from each(story, "malformed", lambda record: record["why"])
    yield from breaches(story, "malformed_message")
    yield from beyond_the_log(story)


def beyond_the_log(story):
    """Heads of topics, and latest seqs of workers, that were told before something was published that is not
    above them. A head counts once, for whoever was told it first."""
    settle = story.begin["settle_us"]
    planned = {(r["worker"], r["worker_seq"]): max(r["start"] - settle, 0) for r in story.planned.values()}
    begun = {("worker", *place): at for place, at in planned.items()}
    published = {publish_key(record["id"]): record["start"] for record in story.published}
    # What came under several seqs counts by the highest: of them it proves least.
    events, states = {}, {}
    for (topic, seq), contents in sorted(story.contents.items(), key=lambda item: item[0]):
        for first, *_ in contents.values():
            if first.publish is not None and first.publish[0] == "planned":
                events[topic, first.publish] = seq
            if first.state is not None and len(contents) == 1:
                states[topic, first.state["worker"], first.state["version"]] = seq
    for (topic, key), seq in events.items():
        if key in published:
            begun["topic", topic, seq] = published[key]
    for (topic, worker, version), seq in states.items():
        if (worker, version) in planned:
            begun["topic", topic, seq] = planned[worker, version]
    told = {}
    for client in story.clients.values():
        for record in client.records:
            if record["record"] == "stands_at":
                said = ("topic", record["topic"], record["head"])
            elif record["record"] == "latest_told":
                said = ("worker", record["worker"], record["latest"])
            else:
                continue
            told[said] = min((record["at"], client.number), told.get(said, (record["at"], client.number)))
    for (kind, which, most), (at, client) in told.items():
        after = [s for (k, w, s), since in begun.items() if (k, w) == (kind, which) and s <= most and since > at]
        if after:
            seqs = (min(after), most) if kind == "topic" else None
            topic = which if kind == "topic" else None
            yield Violation(f"{kind} {which} was said to stand at {most}", at, client, topic, seqs)


@rule("misaddressed", "a message to nobody")
def misaddressed(story):
    """A message carries the client's channel, and its join or none."""
    yield from each(story, "misaddressed", lambda record: record["to"])
