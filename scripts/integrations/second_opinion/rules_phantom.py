"""Whether what came was published at all."""

from collections import Counter, defaultdict

from registry import of_delivery, rule
from rules_content import right_of


@rule("phantom", "a seq of a topic")
def phantom(story):
    """Where nobody else writes, every event was published, and none comes before its command was begun.
    What others wrote before the first event of ours is older than the run; a state lags behind its
    commands, so there it is what comes before a version that was begun after the settle bound. Of a run
    that did not drain, or has no record of its load, the records may be missing and not the commands."""
    sound = any(key[0] == "planned" for key in [*story.acknowledged, *story.unanswered])
    if not (story.begin["exclusive"] and story.end["drained"] and sound):
        return
    possible = Possible(story)
    for topic in story.begin["published_on"]:
        possible.unmarked.clear()
        ours_came = False
        for seq in sorted(seq for of, seq in story.contents if of == topic):
            contents = story.contents[topic, seq]
            right, doubt = right_of(story, contents)
            if right is None:
                continue
            first = min(contents[right], key=lambda delivery: (delivery.at, delivery.client))
            ours_came = ours_came or possible.is_known(first)
            why = possible.why_not(first, ours_came)
            if why:
                breach = of_delivery(first, why)
                breach.doubt = doubt
                yield breach


class Possible:
    """What the run's commands may have made."""

    def __init__(self, story):
        self.story = story
        # A command without an answer may have made an event, and so may a worker's stop, whose answer
        # tells no seq.
        self.spare = Counter(record["worker"] for record in story.unanswered.values())
        self.last = Counter()
        for worker, seq in story.by_worker_seq:
            self.last[worker] = max(seq, self.last[worker])
        self.unmarked = defaultdict(set)

    def may_exist(self, worker):
        return self.spare[worker] + 1

    def is_known(self, delivery):
        """Whether it is surely of a command of the run."""
        if delivery.publish is not None and delivery.publish[0] == "lifecycle":
            return delivery.publish[1:] in self.story.by_worker_seq
        if delivery.state is not None:
            command = self.story.by_worker_seq.get((delivery.state["worker"], delivery.state["version"]))
            return command is not None and command["start"] > self.story.begin["settle_us"]
        if delivery.publish is None or delivery.publish[0] != "planned":
            return False
        return self.why_not(delivery, False) is None

    def why_not(self, delivery, ours_came):
        """Why it cannot have been published, if it cannot."""
        if delivery.state is not None:
            worker, version = delivery.state["worker"], delivery.state["version"]
            beyond = version > self.last[worker] + self.may_exist(worker)
            return f"version {version} of worker {worker} was never made" if beyond else None
        if delivery.publish is None:
            return "nothing that the run published" if ours_came else None
        kind = delivery.publish[0]
        if kind == "planned":
            return self.never_begun(delivery)
        if kind == "over_socket" or delivery.publish[1:] in self.story.by_worker_seq:
            # What came over a socket is `command_accepted`'s.
            return None
        _, worker, seq = delivery.publish
        self.unmarked[worker].add(seq)
        too_many = len(self.unmarked[worker]) > self.may_exist(worker)
        return f"event {seq} of worker {worker} is one too many" if too_many else None

    def never_begun(self, delivery):
        key = delivery.publish
        command = self.story.acknowledged.get(key) or self.story.unanswered.get(key)
        if command is None:
            return "the publish was never begun"
        return "came before its command was begun" if command["start"] > delivery.at else None
