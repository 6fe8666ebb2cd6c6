"""Edits of a clean recording, each of which must make one rule speak: a checker that cannot disagree is no
second opinion. An edit changes a `Recording` in place; the rule must find nothing before it and something
after it.
"""

from story import Story

EDITS = {}
# The same for findings that a key makes a rule.
SILENT = {}


def edit(rule):
    def register(change):
        EDITS[rule] = change
        return change

    return register


def silent(name):
    def register(change):
        SILENT[name] = change
        return change

    return register


class Desk:
    """A recording to be edited, with ways to find something in it."""

    def __init__(self, recording):
        self.recording, self.begin, self.end = recording, recording.begin, recording.end
        self.story = Story(recording)

    def records_of(self, client):
        return next(
            records
            for records in self.recording.threads.values()
            if any(record.get("client") == client for record in records)
        )

    def mine(self, client, what):
        return [
            record
            for record in self.records_of(client)
            if record.get("client") == client and record["record"] == what
        ]

    def subscription(self, topics, at_least=3):
        """A subscription that got something, and its deliveries as records."""
        for sub in self.story.subscriptions:
            fresh = {delivery.seq for delivery in sub.deliveries if delivery.fresh}
            if sub.topic in topics and len(fresh) >= at_least and sub.answer == "ok":
                delivered = self.mine(sub.client, "delivered")
                of_topic = [r for r in delivered if r["topic"] == sub.topic]
                return sub, [r for r in of_topic if r["epoch"] == sub.epoch and r["seq"] in fresh]
        raise LookupError("the run has no such subscription")

    def remove(self, client, record):
        self.records_of(client).remove(record)

    def insert_after(self, client, record, new):
        records = self.records_of(client)
        records.insert(records.index(record) + 1, {"client": client, **new})

    def refuse(self, sub, **figures):
        """Turns an ok reply into a refusal as stale; by its figures the cursor is below the floor."""
        (reply,) = [r for r in self.mine(sub.client, "subscribe_ok") if r["epoch"] == sub.epoch]
        said = {"topic": sub.topic, "reason": "retention_floor", "cursor": sub.cursor or 0}
        said |= {"floor": said["cursor"] + 1, "head": said["cursor"] + 2, "budget": 10, "lag": 2}
        reply.pop("watermarks")
        reply |= {"record": "subscribe_stale", "topics": [said | figures]}
        return reply

    def resumed(self):
        """A stream's subscription with a cursor, and what it got."""
        subs = [s for s in self.story.subscriptions if s.topic in self.story.streams and s.cursor]
        return max(subs, key=lambda sub: len(sub.deliveries))


@edit("frame_mismatch")
def pushes_differ(desk):
    next(r for c in desk.story.clients for r in desk.mine(c, "pushes_compared"))["agree"] = False


@edit("nonmonotonic")
def two_change_places(desk):
    _, delivered = desk.subscription(desk.story.streams)
    delivered[0]["seq"], delivered[1]["seq"] = delivered[1]["seq"], delivered[0]["seq"]


@edit("gap")
def one_is_missing(desk):
    sub, delivered = desk.subscription(desk.story.streams)
    desk.remove(sub.client, delivered[1])


@edit("lost_publish")
def the_tail_is_missing(desk):
    client = next(c for c in desk.story.witnesses if desk.story.streams & set(c.current))
    topic = min(desk.story.streams & set(client.current))
    head = max(desk.story.seq_of.get((topic, key), 0) for key in desk.story.acknowledged)
    for record in desk.mine(client.number, "delivered"):
        if record["topic"] == topic and record["seq"] >= head:
            desk.remove(client.number, record)


@edit("after_unsubscribe")
def one_comes_after_the_reply(desk):
    sub, delivered = desk.subscription(desk.story.streams)
    left = {"record": "unsubscribed", "at": delivered[1]["at"], "topics": [sub.topic]}
    desk.insert_after(sub.client, delivered[1], left)


@edit("tail_before_snapshot")
def one_comes_after_the_refusal(desk):
    desk.refuse(desk.subscription(desk.story.streams)[0])


@edit("state_regress")
def a_version_goes_back(desk):
    _, delivered = desk.subscription(desk.story.states)
    delivered[0]["source"]["state"] = delivered[-1]["source"]["state"]
    worker = delivered[-1]["source"]["state"]["worker"]
    delivered[-1]["source"] = {"state": {"worker": worker, "version": 0}}


@edit("state_stale")
def the_last_version_is_missing(desk):
    client = next(c for c in desk.story.witnesses if desk.story.states & set(c.current))
    for record in desk.mine(client.number, "delivered"):
        if record["topic"] in desk.story.states and record["source"] != "foreign":
            record["source"]["state"]["version"] = 0


@edit("divergent_value")
def one_gets_something_else(desk):
    desk.subscription(desk.story.streams)[1][1]["content"] ^= 1


@edit("bad_duplicate")
def one_comes_again_altered(desk):
    sub, delivered = desk.subscription(desk.story.streams)
    desk.insert_after(sub.client, delivered[1], delivered[1] | {"content": 1})


@edit("false_replay_complete")
def the_reply_comes_first(desk):
    sub = desk.resumed()
    records = desk.records_of(sub.client)
    sent, reply = [
        next(r for r in desk.mine(sub.client, what) if r["epoch"] == sub.epoch)
        for what in ("subscribe_sent", "subscribe_ok")
    ]
    desk.remove(sub.client, reply)
    records.insert(records.index(sent) + 1, reply)
    # All of it had been acknowledged when the subscribe was sent.
    for published in desk.story.published:
        published["done"] = min(published["done"], sent["at"] - 1)


@edit("late_publish")
def one_waits_for_the_next(desk):
    desk.begin["settle_us"] = 1
    sub, delivered = desk.subscription(desk.story.streams, 5)
    live = [d for d in desk.story.deliveries if d.live and d.subscription is sub]
    early, late = live[0], live[1]
    acked = [desk.story.acknowledged[d.publish] for d in (early, late)]
    acked[0]["done"], acked[1]["done"] = late.at - 100, late.at
    for record in delivered:
        if record["seq"] == early.seq:
            record["at"] = late.at


@edit("no_convergence")
def the_bound_is_short(desk):
    desk.begin["converge_us"] = 1


@edit("wrongful_eviction")
def a_reader_is_called_slow(desk):
    sub, delivered = desk.subscription(desk.story.streams)
    notice = {"record": "slow_consumer", "at": delivered[1]["at"], "disconnect": False}
    desk.insert_after(sub.client, delivered[1], notice)


@edit("no_eviction")
def one_is_kept_although_slow(desk):
    desk.begin |= {"eviction_needs": 1, "slow_grace_us": 0}
    sub, delivered = desk.subscription(desk.story.streams)
    ended = {"record": "slow_ended", "at": delivered[-1]["at"], "same_socket": True}
    desk.insert_after(sub.client, delivered[-1], ended)
    desk.insert_after(sub.client, delivered[0], {"record": "slow_began", "at": delivered[0]["at"]})


@edit("false_stale")
def a_fresh_cursor_is_refused(desk):
    sub = desk.resumed()
    desk.refuse(sub, floor=sub.cursor, head=sub.cursor, lag=0)


@edit("wrong_reason")
def the_reason_is_the_other(desk):
    desk.refuse(desk.resumed(), reason="replay_budget")


@edit("stale_not_signalled")
def a_stale_cursor_is_accepted(desk):
    sub = desk.resumed()
    window = {"record": "window", "asked": 0, "answered": 0, "topic": sub.topic}
    window |= {"oldest": sub.cursor + 2, "head": sub.cursor + 9, "budget": 100}
    desk.recording.threads[0].append(window)
    for records in desk.recording.threads.values():
        records[:] = [r for r in records if r["record"] != "window" or r is window]


@edit("bad_snapshot")
def a_snapshot_lacks_a_document(desk):
    sub, delivered = desk.subscription(desk.story.states)
    head = max(record["seq"] for record in delivered)
    taken = {"record": "snapshot_taken", "topic": sub.topic, "outcome": "ok", "head": head, "documents": []}
    at = delivered[0]["at"]
    desk.insert_after(sub.client, delivered[0], taken | {"start": at, "done": at})


@edit("authz_leak")
def a_topic_was_not_granted(desk):
    sub, _ = desk.subscription(desk.story.streams)
    desk.begin["granted"][sub.client] = []


@edit("command_accepted")
def a_command_comes_out(desk):
    _, delivered = desk.subscription(desk.story.streams)
    delivered[1]["source"]["event"]["publish"] = {"over_socket": {"client": 1}}


@edit("wrong_close_or_error")
def a_close_has_another_code(desk):
    sub, delivered = desk.subscription(desk.story.streams)
    word = {"record": "word", "at": delivered[1]["at"], "place": "close", "word": "1008"}
    desk.insert_after(sub.client, delivered[1], word)


@edit("phantom")
def one_was_never_published(desk):
    _, delivered = desk.subscription(desk.story.streams)
    seq, topic = delivered[1]["seq"], delivered[1]["topic"]
    for client in desk.story.clients:
        for record in desk.mine(client, "delivered"):
            if (record["topic"], record["seq"]) == (topic, seq):
                record["source"]["event"]["publish"] = {"planned": 1_000_000}


@edit("stuck_channel")
def a_channel_falls_silent(desk):
    sub, delivered = desk.subscription(desk.story.streams)
    at = delivered[-1]["at"]
    cause = {"channel_silent": {"asked": at}}
    desk.insert_after(sub.client, delivered[-1], {"record": "offline", "at": at, "cause": cause})


@edit("starved_topic")
def one_topic_waits_for_the_other(desk):
    desk.begin["settle_us"] = 1_000
    # On one connection: a silence ends with it.
    connections = ((client, since) for client in desk.story.clients.values()
                   for since in {d.live_from for d in client.deliveries} - {None})
    for client, since in connections:
        live = [d for d in client.deliveries if d.live_from == since and d.fresh]
        streams = [d for d in live if d.topic in desk.story.streams]
        states = {d.seq for d in live if d.topic in desk.story.states}
        if len(streams) > 8 and len(states) > 8:
            break
    # After its first live ones nothing but the last comes of the state.
    mine = [r for r in desk.mine(client.number, "delivered") if r["topic"] in desk.story.states]
    for record in [record for record in mine if record["seq"] in states][4:-1]:
        desk.remove(client.number, record)


@edit("unbounded_buffer")
def all_that_waited_is_found(desk):
    desk.begin |= {"eviction_needs": 1, "slow_grace_us": 10**9}
    sub, delivered = desk.subscription(desk.story.streams, 5)
    live = [d for d in desk.story.deliveries if d.live and d.subscription is sub]
    until = next(r for r in delivered if r["seq"] == live[-2].seq)
    ended = {"record": "slow_ended", "at": live[-1].at, "same_socket": True}
    desk.insert_after(sub.client, until, ended)
    began = {"record": "slow_began", "at": live[0].intended}
    desk.insert_after(sub.client, next(r for r in delivered if r["seq"] == live[0].seq), began)


def told(desk, record):
    """Something more that a client was told, in the middle of its life."""
    sub, delivered = desk.subscription(desk.story.streams)
    desk.insert_after(sub.client, delivered[1], {"at": delivered[1]["at"], **record})


@edit("ws_protocol")
def a_frame_is_masked(desk):
    told(desk, {"record": "breached", "breach": "masked"})


@edit("malformed_message")
def a_message_lacks_a_field(desk):
    told(desk, {"record": "malformed", "why": "a batch lacks `topic`"})


@edit("misaddressed")
def a_message_is_anothers(desk):
    told(desk, {"record": "misaddressed", "to": "unknown_join", "event": "sync:frame"})


def tried(desk, kind, answer):
    told(desk, {"record": "token_tried", "start": 0, "kind": kind, "answer": answer})


@silent("expired_token_lives")
def an_expired_token_lives(desk):
    tried(desk, "expires", {"answer": "lives"})


@silent("revoked_device_lives")
def a_revoked_device_joins(desk):
    tried(desk, "revoked_device", {"answer": "accepted"})


@silent("future_cursor_accepted")
def a_cursor_beyond_head_is_accepted(desk):
    told(desk, {"record": "finding", "name": "future_cursor_accepted", "message": "it was"})


@silent("replay_head_behind")
def a_replay_names_an_old_head(desk):
    told(desk, {"record": "finding", "name": "replay_head_behind", "message": "it did"})


@silent("future_cursor_silence")
def nothing_comes_after_it(desk):
    sub, delivered = desk.subscription(desk.story.streams)
    stay = {"record": "beyond_head", "topic": sub.topic, "cursor": 10**6, "from": 0, "first": None}
    told(desk, stay | {"asked": desk.end["at"] + 10 * desk.begin["settle_us"]})


def over(desk, limit):
    sub, _ = desk.subscription(desk.story.streams)
    size = {"size": 10**8, "topic": sub.topic, "seqs": [1, 2]}
    told(desk, {"record": "over_limit", "limit": limit, **size})


@silent("update_over_limit")
def an_update_is_too_large(desk):
    over(desk, "update_bytes")


@silent("batch_over_limit")
def a_batch_is_too_large(desk):
    over(desk, "batch_updates")


@silent("publish_over_limit")
def the_loads_payloads_are_too_large(desk):
    desk.begin["payload_bytes"] = [200_000] * 1_000
