"""What a client may have of a state topic without it having been delivered to it.

A cursor says that the client has everything up to it. Where the client was sent less than that, the
rest came with a snapshot, of which is known what it held, or a fault chose the cursor. Without a cursor all that is retained is
replayed; but a log that was pruned no longer has every document.
"""


class Basis:
    """From where on a client must be sent everything of a topic."""

    def __init__(self, topic, cursor, before, pruned, whole):
        self.topic = topic
        # A snapshot's: what it did not hold the client does not have.
        self.whole = whole
        # Known up to it; None where no cursor was ever ahead of what was delivered.
        self.cursor = cursor
        # What was begun before may be known, or gone.
        self.before = before
        # Whether the target had called a cursor of this client stale before.
        self.pruned = pruned
        # When an ok reply first came on it.
        self.replayed_by = None

    def may_be_pruned(self, story):
        """Whether a replay without a cursor may have had nothing of a document: floors only rise, so a
        window that was asked for after the reply with a floor of 0 rules it out."""
        if self.pruned or self.replayed_by is None:
            return True
        windows = story.windows.get(self.topic, [])
        later = [w for w in windows if w["asked"] >= self.replayed_by]
        return not any(w["oldest"] is None and w["head"] == 0 or w["oldest"] == 1 for w in later)


class Bases:
    """Those of one client, by topic."""

    def __init__(self):
        self.bases, self.snapshots, self.refused = {}, {}, set()

    def get(self, topic):
        return self.bases.get(topic)

    def snapshot_taken(self, record):
        if record["outcome"] == "ok" and record["head"] is not None:
            self.snapshots[record["topic"]] = record

    def subscribed(self, sub, last_applied):
        """Gives the snapshot that it resumes from, if it does from one."""
        topic, old = sub.topic, self.bases.get(sub.topic)
        snapshot = self.snapshots.pop(topic, None)
        old_cursor = old.cursor if old else None
        known = max(last_applied or 0, old_cursor or 0)
        before = sub.sent_at
        if snapshot is not None and snapshot["head"] != sub.cursor:
            snapshot = None
        if sub.cursor is not None:
            if sub.cursor <= known:
                return snapshot
            if snapshot is not None:
                before = snapshot["done"]
        before = max(before, old.before if old else 0)
        pruned = (sub.cursor is None and topic in self.refused) or bool(old and old.pruned)
        cursor = old_cursor if sub.cursor is None else sub.cursor
        self.bases[topic] = Basis(topic, cursor, before, pruned, snapshot is not None)
        return snapshot

    def replied(self, topic, at):
        """An ok reply came; gives the basis as it is then."""
        basis = self.bases.get(topic)
        if basis is not None and basis.replayed_by is None:
            basis.replayed_by = at
        return basis
