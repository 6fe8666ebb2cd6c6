"""What came over the wire and should not have: below the messages, out of shape, or to nobody."""

from findings import breaches
from registry import Violation, rule


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


@rule("misaddressed", "a message to nobody")
def misaddressed(story):
    """A message carries the client's channel, and its join or none."""
    yield from each(story, "misaddressed", lambda record: record["to"])
