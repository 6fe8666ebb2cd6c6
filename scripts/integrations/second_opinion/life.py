"""One client's life online: when it waits to be at head, when it is live, when it is kept slow.

A client is live when its subscribe was answered and it has, on every topic of it, what any client had
seen when it was sent. Its wait begins when it first has a socket, and goes on over reconnects that the
target forced; a planned cut ends it without a verdict.
"""


class Wait:
    """A wait for being live."""

    def __init__(self, since, at, live, slow):
        self.since, self.at, self.live, self.slow = since, at, live, slow


class Interval:
    """A time in which the harness kept the client slow, and what became of its socket."""

    def __init__(self, began):
        self.began, self.ended, self.same_socket = began, None, False
        self.evicted = self.cut = self.read_on = False


class Life:
    """Told record by record: `before` the client's own tracks take it, and `after`."""

    def __init__(self):
        self.live_since = self.waiting_since = None
        self.slow = self.ever_slow = False
        self.waits, self.intervals = [], []
        # When it left a socket whose channel was silent although it was live when it asked, and read.
        self.silences = []
        # Of the subscribe in force: topic to what must be reached, and whether it was answered.
        self.targets, self.answered = None, False

    def before(self, record):
        what = record["record"]
        if what in ("connected", "rejoining") and self.waiting_since is None:
            self.waiting_since = record["at"]
        elif what == "offline":
            self.offline(record)
        elif what == "subscribe_ok":
            self.answered = self.targets is not None
        elif what == "subscribe_stale" and not self.answered:
            self.targets = None
        elif what == "slow_began" and not self.slow:
            self.slow = self.ever_slow = True
            self.intervals.append(Interval(record["at"]))
        elif what == "slow_ended" and self.slow:
            self.slow_ended(record)

    def after(self, record, current):
        what = record["record"]
        if what == "subscribe_sent":
            # Not before: the tracks must know whether the client was live when it was sent.
            self.targets = {asked["topic"]: asked["head_seen"] for asked in record["topics"]}
            self.answered = False
        if what in ("subscribe_ok", "delivered") and self.live_since is None and self.answered:
            if all(current[topic].reached(seq) for topic, seq in self.targets.items()):
                self.live_since = record["at"]
                if self.waiting_since is not None:
                    self.waits.append(Wait(self.waiting_since, record["at"], True, self.slow))
                self.waiting_since = None

    def offline(self, record):
        cause = record["cause"]
        if "channel_silent" in cause and self.live_since is not None and not self.ever_slow:
            if self.live_since <= cause["channel_silent"]["asked"]:
                self.silences.append(record["at"])
        self.live_since, self.targets, self.answered = None, None, False
        if "fault" in record["cause"]:
            self.waiting_since = None

    def ended_stale(self, at):
        """The subscription has ended in its middle: it is live when another has brought it to head."""
        self.live_since, self.targets, self.answered = None, None, False
        if self.waiting_since is None:
            self.waiting_since = at

    def slow_ended(self, record):
        self.slow = False
        interval = self.intervals[-1]
        interval.ended, interval.same_socket = record["at"], record["same_socket"]
        # While it was slow, its own slowness kept it from converging.
        if self.waiting_since is not None:
            self.waiting_since = max(self.waiting_since, record["at"])
