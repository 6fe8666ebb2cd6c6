"""What a token opens and for how long, and the words that the contract has."""

from findings import breaches
from registry import Violation, of_delivery, rule

# At which step a bad token is refused at the latest: the upgrade looks at the token itself, the join at
# its session, the subscribe at its scopes.
STEPS = ("upgrade", "join", "subscribe", "heartbeat")
REFUSED_AT = {"revoked": "join", "wrong_scope": "subscribe"}
# Good once: on what becomes of their sockets the contract is silent.
SILENT = {"expires", "revoked_device"}

# The contract's closed lists, by where the word is said.
WORDS = {
    "close": {"1000", "1002", "1011", "1012"},
    "upgrade": {"403"},
    "join": {
        "reauth_required",
        "bad_topic",
        "invalid_client_build",
        "unsupported_protocol_version",
        "unsupported_schema_version",
        "upgrade_required",
        "unsupported_client_build",
    },
    "subscribe": {"bad_subscription", "forbidden_topic", "stale_cursor", "unmatched topic"},
    "error": {"stale_cursor", "slow_consumer", "reauth_required"},
    # A live client's heartbeat is answered with ok, and so is its unsubscribe of what it has.
    "heartbeat": {"reauth_required"},
    "unsubscribe": set(),
    "close_revoked": {"1011"},
    "unprovoked": set(),
}


def with_revocation(client):
    """A client's records, each with when the session of its socket had been revoked, if it had."""
    revoked_at = None
    for record in client.records:
        yield record, revoked_at
        if record["record"] == "revoked":
            revoked_at = record["at"] if record["connected"] else None
        elif record["record"] == "offline":
            revoked_at = None


@rule("authz_leak", "a delivery of a topic not granted, a bad token, or a revocation")
def authz_leak(story):
    """Nothing comes of a topic that a client's tokens do not open; a bad token is refused in time; and
    what is begun more than a grace (the settle bound) after a revocation does not reach its socket."""
    yield from breaches(story, "authz_leak")
    for client in story.clients.values():
        for record in client.records:
            if record["record"] == "token_tried" and got_too_far(record["kind"], record["answer"]):
                yield Violation(f"a token {record['kind']}", record["at"], client.number)
        yield from after_revocations(story, client)
        for record in client.records:
            if record["record"] == "joined_as":
                yield Violation("answered for another session", record["at"], client.number)
            if record["record"] == "named":
                topic = numbers_of(story).get(record["topic"])
                if topic not in client.granted:
                    yield Violation("a topic named that was not granted", record["at"], client.number, topic)
            if record["record"] == "unasked":
                topic = numbers_of(story).get(record["topic"])
                if topic not in client.granted:
                    yield of_batch(record, topic, "a batch of a topic not granted")
    for delivery in story.deliveries:
        if delivery.standing == "ungranted":
            yield of_delivery(delivery, "its topic was not granted")


def numbers_of(story):
    """The topics that the contract knows, name to number."""
    return {topic["name"]: topic["id"] for topic in story.begin["topics"]}


def of_batch(record, topic, why):
    """A violation by a batch whose content nobody read."""
    seqs = None if record["seq"] is None else (record["seq"], record["seq"])
    return Violation(why, record["at"], record["client"], topic, seqs)


def got_too_far(kind, answer):
    if kind in SILENT:
        return False
    if answer["answer"] in ("accepted", "lives"):
        return True
    # Without an answer it has passed the steps before the one that it waits at.
    return STEPS.index(answer["step"]) > STEPS.index(REFUSED_AT.get(kind, "upgrade"))


def after_revocations(story, client):
    """The first thing after each revocation that cannot have been under way."""
    caught = None
    for record, revoked_at in with_revocation(client):
        begun = begun_at(record, client)
        late = revoked_at is not None and begun is not None
        if late and begun > revoked_at + story.begin["settle_us"] and caught != revoked_at:
            caught = revoked_at
            seqs = (record["seq"], record["seq"]) if "seq" in record else None
            at = record.get("at", record.get("done"))
            yield Violation("came after it", at, client.number, record.get("topic"), seqs)


def begun_at(record, client):
    """When what a record shows was begun, if that is known: an event, or the answer to a heartbeat."""
    if record["record"] == "delivered" and record["topic"] in client.granted:
        source = record["source"]
        return source["event"]["begun"] if "event" in source else None
    answered = record["record"] == "op" and (record["kind"], record["outcome"]) == ("heartbeat", "ok")
    return record["start"] if answered else None


@rule("command_accepted", "a command that was answered ok, or a delivery of one's event")
def command_accepted(story):
    """A command over the socket is refused, and what it would have made never comes out."""
    for client in story.clients.values():
        for record in client.records:
            if record["record"] == "command_sent" and record["answer"] == "obeyed":
                yield Violation("answered ok", record["at"], client.number)
    for delivery in story.deliveries:
        if delivery.publish is not None and delivery.publish[0] == "over_socket":
            yield of_delivery(delivery, "is a command's that went over the socket")


@rule("wrong_close_or_error", "a word of the target")
def wrong_close_or_error(story):
    """Close codes and error codes are the contract's; the socket of a revoked session is closed with
    1011."""
    for client in story.clients.values():
        for record, revoked_at in with_revocation(client):
            if record["record"] != "word":
                continue
            place, word = record["place"], record["word"]
            wrong = word not in WORDS[place]
            if place in ("close", "close_revoked"):
                if place == "close" and revoked_at is not None:
                    wrong = word != "1011"
                # A close frame without a code counts as 1005 (RFC 6455, section 7.1.5).
                code = "1005" if word == "none" else word
                wrong = wrong and code not in map(str, story.begin.get("close_codes", []))
            if wrong:
                yield Violation(f"{place} says {word}", record["at"], client.number)
