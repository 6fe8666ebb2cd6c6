"""What came in which order, and what did not come at all."""

from findings import breaches
from registry import Violation, of_delivery, rule
from rules_authority import numbers_of, of_batch
from shares import Shares


@rule("frame_mismatch", "a pair of pushes that a client compared")
def frame_mismatch(story):
    """Both pushes of a batch say the same. The client compared them; here they are counted."""
    for client in story.clients.values():
        for record in client.records:
            if record["record"] == "pushes_compared" and not record["agree"]:
                seqs = (record["seq"], record["seq"])
                yield Violation("differ", record["at"], client.number, record["topic"], seqs)


@rule("nonmonotonic", "a delivery")
def nonmonotonic(story):
    """Within a subscription, a seq is above all that came before and above the cursor, or it is one that
    came under this subscription before (delivery is at least once)."""
    for delivery in story.deliveries:
        if delivery.out_of_order:
            yield of_delivery(delivery, "not above what came before, and new to the subscription")


@rule("gap", "successive seqs that one subscription of a client never got")
def gap(story):
    """Where seqs are dense, what lies between where a subscription begins and the highest that came under
    it has come, sooner or later; but for holes, which no client can be sent."""
    yield from breaches(story, "gap")
    holes = {topic: Shares(story, topic).holes for topic in story.dense}
    for sub, first, last in story.gone:
        if not holes[sub.topic].issuperset(range(first, last + 1)):
            later = [delivery.at for delivery in sub.deliveries if delivery.seq > last]
            yield Violation("never came", min(later), sub.client, sub.topic, (first, last))


@rule("after_unsubscribe", "a delivery")
def after_unsubscribe(story):
    """Nothing of a topic follows the reply to its unsubscribe, until it is subscribed to again; nor comes
    anything of one that the token opens over a socket that never subscribed to it, which a list that is refused
    for another topic's sake does not."""
    for delivery in story.deliveries:
        if delivery.standing == "left":
            yield of_delivery(delivery, "came after the unsubscribe was acknowledged")
        if delivery.standing == "refused":
            yield of_delivery(delivery, "the list with its topic was refused")
    for client in story.clients.values():
        for record in client.records:
            if record["record"] == "unasked":
                topic = numbers_of(story).get(record["topic"])
                if topic in client.granted:
                    yield of_batch(record, topic, "never subscribed to")


@rule("tail_before_snapshot", "a delivery")
def tail_before_snapshot(story):
    """Nothing of a topic whose cursor was called stale comes before the next subscribe."""
    for delivery in story.deliveries:
        if delivery.standing == "stale":
            yield of_delivery(delivery, "came after the refusal and before the next subscribe")


@rule("state_regress", "a delivery that a client applies")
def state_regress(story):
    """As a topic goes on, a document's version does not go back: what is applied is no older than what
    the client was sent of the document before."""
    for client in story.clients.values():
        known = {}
        for delivery in client.deliveries:
            said = delivery.state or delivery.document
            if said is None or delivery.subscription is None:
                continue
            document = (delivery.topic, "worker" in said, said.get("worker", said.get("key")))
            version = said["version"]
            before = known.get(document, version)
            if delivery.fresh and version < before:
                yield of_delivery(delivery, f"version {version} after {before}")
            known[document] = max(version, before)
