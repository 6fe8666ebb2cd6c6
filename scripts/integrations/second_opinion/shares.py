"""What seqs that nobody got come to: claimed by a publish that got lost, a hole, or nobody's.

A runtime may allocate a seq and then fail to insert: a hole, which no client can be sent. As long as an
acknowledged publish has reached nobody, a missing seq may be its own. Where nobody else writes, each hole
is of a command that failed or was not answered.
"""


class Shares:
    """The missing seqs of a topic that nobody got, shared out from the lowest on."""

    def __init__(self, story, topic):
        gone = {
            seq
            for sub, first, last in story.gone
            if sub.topic == topic
            for seq in range(first, last + 1)
        }
        nobodys = sorted(gone - {seq for of, seq in story.contents if of == topic})
        self.explained = set()
        if topic in story.streams:
            lost = claims_of(story, topic, lost_of(story, topic, story.end["drained"]))
        else:
            # A state lags behind its commands, so that their times say nothing of its seqs.
            lost = {key: (0, float("inf")) for key in lost_versions(story, topic)}
        rest = [seq for seq in nobodys if not self.claimed(seq, lost)]
        if "holes" in story.begin.get("findings_are_rules", []):
            rest = []
        elif story.begin["exclusive"]:
            seen = {publish for _, publish in story.seq_of}
            rest = rest[: sum(key not in seen for key in story.unanswered)]
        self.holes = set(rest)

    def claimed(self, seq, lost):
        """Whether a lost publish claims a seq: of those that may, the one with the fewest to come."""
        may = [(below, key) for key, (above, below) in lost.items() if above < seq < below]
        if not may:
            return False
        _, key = min(may)
        del lost[key]
        self.explained.add(key)
        return True


def owed_from(story, topic):
    """From when on some client was owed all that was begun: from the beginning, if it has subscribed without
    a cursor, though not because its own was stale, else from the reply to its first subscribe."""
    asked = [sub for sub in story.subscriptions if sub.topic == topic]
    if any(sub.cursor is None and not sub.from_floor for sub in asked):
        return 0
    return min((sub.answered_at for sub in asked if sub.answer == "ok"), default=0)


def lost_of(story, topic, drained):
    """Publishes that can no longer come on a stream: nobody got them, and the run has drained, or somebody
    got one that was sent after their acknowledgement."""
    commands = {**story.acknowledged, **story.unanswered}
    seen = [publish for of, publish in story.seq_of if of == topic]
    last_begun = max((commands[p]["start"] for p in seen if p in commands), default=0)
    since = owed_from(story, topic)
    return sorted(
        key
        for key, command in story.acknowledged.items()
        if (topic, key) not in story.seq_of
        and command["start"] >= since
        # A worker's creation is acknowledged before its event exists.
        and (drained or (key[0] == "planned" and last_begun > command["done"]))
    )


def claims_of(story, topic, lost):
    """Between which seqs each lost publish came out: after all that was acknowledged before it was begun, and
    before all that was begun after it was acknowledged."""
    commands = {**story.acknowledged, **story.unanswered}
    out = [(commands[p], seq, p) for (of, p), seq in story.seq_of.items() if of == topic and p in commands]
    claims = {}
    for key in lost:
        mine = story.acknowledged[key]
        # A worker's creation is acknowledged before its event exists.
        done = mine["done"] if key[0] == "planned" else float("inf")
        before = [seq for c, seq, p in out if p in story.planned and c["done"] < mine["start"]]
        after = [seq for c, seq, _ in out if c["start"] > done]
        claims[key] = (max(before, default=0), min(after, default=float("inf")))
    return claims


def lost_versions(story, topic):
    """Of a state topic those after which no version of the document came; versions may be skipped."""
    if not story.end["drained"]:
        return []
    reached, since = {}, owed_from(story, topic)
    for delivery in story.deliveries:
        if delivery.topic == topic and delivery.state is not None:
            worker = delivery.state["worker"]
            reached[worker] = max(delivery.state["version"], reached.get(worker, 0))
    return [
        key
        for key, command in story.planned.items()
        if command["start"] >= since
        and reached.get(command["worker"], 0) < command["worker_seq"]
    ]
