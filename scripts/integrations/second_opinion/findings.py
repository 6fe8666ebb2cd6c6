"""Where the contract is silent: what is a finding, and breaks a rule only where the target's keys say so
(`findings_are_rules` of the recording's beginning). Holes are in `shares`: they change what a gap is."""

from registry import Violation

FINDINGS = {}
# Documented limits: the finding that it is to be over one.
OVER = {"update_bytes": "update", "batch_updates": "batch", "batch_bytes": "batch"}
# Largest payload of a command that makes a worker's event, in bytes (the topic class's limit).
WORKER_EVENT_BYTES_MAX = 128 * 1024


def finding(name, rule):
    """Registers a function from a story to what is found of a name."""

    def register(judge):
        FINDINGS[name] = (rule, judge)
        return judge

    return register


def breaches(story, rule):
    """What breaks a rule on this target by its keys alone."""
    for name in story.begin.get("findings_are_rules", []):
        breaks, judge = FINDINGS.get(name, (None, None))
        if breaks == rule:
            yield from judge(story)


def of_clients(story, what):
    for client in story.clients.values():
        for record in client.records:
            if record["record"] == what:
                yield record


def lives(record):
    return record["answer"]["answer"] == "lives"


@finding("expired_token_lives", "authz_leak")
def expired_token_lives(story):
    """A socket answered after its token's end."""
    for record in of_clients(story, "token_tried"):
        if record["kind"] == "expires" and lives(record):
            yield Violation("a token that has expired", record["at"], record["client"])


@finding("revoked_device_lives", "authz_leak")
def revoked_device_lives(story):
    """A socket answered after its device's revocation, or a new one got past the join."""
    for record in of_clients(story, "token_tried"):
        if record["kind"] != "revoked_device":
            continue
        answer = record["answer"]
        joined = answer["answer"] == "accepted" or answer.get("step") == "subscribe"
        if lives(record) or joined:
            yield Violation("a device that is revoked", record["at"], record["client"])


@finding("future_cursor_accepted", "false_replay_complete")
def future_cursor_accepted(story):
    """A subscribe with a cursor beyond head was answered ok."""
    for record in of_clients(story, "finding"):
        if record["name"] == "future_cursor_accepted":
            yield Violation("there is no such replay", record["at"], record["client"])


@finding("replay_head_behind", "malformed_message")
def replay_head_behind(story):
    """A batch of a replay named a head below what anybody had been sent when the replay was asked for."""
    for record in of_clients(story, "finding"):
        if record["name"] == "replay_head_behind":
            yield Violation("the head is of before", record["at"], record["client"])


@finding("future_cursor_silence", "gap")
def future_cursor_silence(story):
    """What was begun after that answer, and acknowledged longer than the settle bound before a heartbeat
    whose answer came first, did not come. Versions of documents may be skipped where a later one came."""
    for record in of_clients(story, "beyond_head"):
        due, first = record["asked"] - story.begin["settle_us"], record["first"]
        owed = {}
        for (topic, seq), contents in story.contents.items():
            if topic != record["topic"] or (first is not None and (topic in story.states or seq >= first)):
                continue
            deliveries = [delivery for of in contents.values() for delivery in of]
            for command in filter(None, map(story.command_of, deliveries)):
                if command["start"] > record["from"] and command["done"] < due:
                    owed[seq] = min(command["done"], owed.get(seq, command["done"]))
        if owed:
            seqs = (min(owed), max(owed))
            yield Violation("did not come", min(owed.values()), record["client"], record["topic"], seqs)


def over_limit(story, name):
    for record in of_clients(story, "over_limit"):
        if OVER[record["limit"]] == name:
            why = f"{record['size']}: {record['limit']}"
            seqs = tuple(record["seqs"]) if record["seqs"] else None
            yield Violation(why, record["at"], record["client"], record["topic"], seqs)


@finding("update_over_limit", "malformed_message")
def update_over_limit(story):
    """An update of more than 256 KiB came. The client measured it; here they are counted."""
    yield from over_limit(story, "update")


@finding("batch_over_limit", "malformed_message")
def batch_over_limit(story):
    """A batch of more than 200 updates or 2 MiB came."""
    yield from over_limit(story, "batch")


@finding("publish_over_limit", "malformed_message")
def publish_over_limit(story):
    """A command of the load over its class's limit was acknowledged."""
    sizes = dict(enumerate(story.begin.get("payload_bytes", [])))
    for record in story.published:
        big = sizes.get(record["worker"], 0) > WORKER_EVENT_BYTES_MAX
        if big and record["outcome"] == "ok" and "planned" in record["id"]:
            yield Violation("too large a payload was taken", record["done"])
