"""Whether cursors are refused when they are stale, and only then, and how clients bootstrap after it.

A client cannot know floor and head at the instant when its subscribe was looked at. Both only rise. So a
window of the target's metrics that was answered before the subscribe was sent bounds them from below,
and one that was asked for after the reply from above. What lies between is nobody's fault.
"""

from registry import Violation, rule


class Bounds:
    """Floor, head and budget of a topic at some instant of a time, as far as windows tell."""

    def __init__(self, windows, since, until):
        before = [w for w in windows if w["answered"] <= since]
        after = [w for w in windows if w["asked"] >= until]
        self.floor_low = max(map(floor_of, before), default=0)
        self.head_low = max((w["head"] for w in before), default=0)
        self.floor_high = min(map(floor_of, after), default=None)
        self.head_high = min((w["head"] for w in after), default=None)
        near = sorted(before, key=lambda w: w["answered"])[-1:]
        near += sorted(after, key=lambda w: (w["asked"], w["answered"]))[:1]
        self.budgets = [w["budget"] for w in near]
        if after and (self.floor_high < self.floor_low or self.head_high < self.head_low):
            # The target went back: it lost its log, and its windows bound nothing.
            self.floor_low = self.head_low = 0
            self.floor_high = self.head_high = None
            self.budgets = []

    def surely_stale(self, cursor):
        beyond = self.budgets and self.head_low - cursor > max(self.budgets)
        return cursor < self.floor_low or bool(beyond)

    def surely_fresh(self, cursor):
        if self.floor_high is None:
            return False
        return cursor >= self.floor_high and self.head_high - cursor <= min(self.budgets)


def floor_of(window):
    """The lowest cursor that retention serves: one below the oldest seq, or the head of an empty log."""
    return window["head"] if window["oldest"] is None else max(window["oldest"] - 1, 0)


def bounds_of(story, sub):
    """What windows say of the time from a subscribe to its reply; None of a topic without windows."""
    windows = story.windows.get(sub.topic)
    return Bounds(windows, sub.sent_at, sub.answered_at) if windows else None


def answered(story, *answers):
    """Subscriptions with a cursor that were answered so, each with its bounds. One that ended as stale in its
    middle is answered so once more, for the cursor that the target names."""
    ended = [ending for client in story.clients.values() for ending in client.endings]
    for sub in [*story.subscriptions, *ended]:
        if sub.cursor is not None and sub.answer in answers:
            yield sub, bounds_of(story, sub)


def breach(sub, why):
    return Violation(why, sub.answered_at, sub.client, sub.topic, (sub.cursor, sub.cursor))


# Both reasons of the contract, in the order in which they are looked at.
REASONS = ("retention_floor", "replay_budget")


def own_reasons(cursor, said):
    """The reasons that may apply by a refusal's own figures, of which any may be absent; none if by them the
    cursor is fresh."""
    floor, budget = said.get("floor"), said.get("budget")
    behind = said.get("lag") if said.get("head") is None else said["head"] - cursor
    below = None if floor is None else cursor < floor
    beyond = None if None in (behind, budget) else behind > budget
    if below:
        return REASONS[:1]
    return tuple(reason for reason, holds in zip(REASONS, (below, beyond)) if holds is not False)


@rule("stale_not_signalled", "a cursor that was accepted")
def stale_not_signalled(story):
    """A cursor that was stale before the subscribe was sent is refused."""
    for sub, bounds in answered(story, "ok"):
        if bounds and bounds.surely_stale(sub.cursor):
            yield breach(sub, "accepted, although stale before the subscribe was sent")


@rule("false_stale", "a topic of a refusal")
def false_stale(story):
    """A cursor that was fresh until after the reply, or is so by the refusal's own figures, is not
    refused; nor is a topic for which no cursor was sent, or that is not subscribed to when it ends."""
    for sub, bounds in answered(story, "stale"):
        if not own_reasons(sub.cursor, sub.said):
            yield breach(sub, "refused, although fresh by the refusal's own figures")
        elif bounds and bounds.surely_fresh(sub.cursor):
            yield breach(sub, "refused, although fresh after the reply")
    for client in story.clients.values():
        for record in client.records:
            if record["record"] == "subscribe_stale":
                yield from without_cursor(client, record)
        for record, said in client.never_had:
            place = (record["at"], client.number, said["topic"], (said["cursor"], said["cursor"]))
            yield Violation("called stale without being subscribed to", *place)


def without_cursor(client, record):
    if not client.is_refusal(record):
        return
    sent = {sub.topic: sub for sub in client.subscriptions if sub.epoch == record["epoch"]}
    for said in record["topics"]:
        topic, cursor = said["topic"], said["cursor"]
        if topic not in sent or sent[topic].cursor is None:
            seqs = (cursor, cursor)
            yield Violation("no cursor was sent", record["at"], client.number, topic, seqs)


@rule("wrong_reason", "a refused cursor")
def wrong_reason(story):
    """A refusal names the cursor that was sent, a lag that is head less cursor, and the reason that
    applies: the floor is looked at first, then the budget."""
    for sub, bounds in answered(story, "stale"):
        why = by_figures(sub.cursor, sub.said)
        own = own_reasons(sub.cursor, sub.said)
        if why is None and own and bounds and not bounds.surely_fresh(sub.cursor):
            why = by_windows(sub.cursor, sub.said["reason"], bounds)
            why = why or other_figures(story, sub)
        if why:
            yield breach(sub, why)


def by_figures(cursor, said):
    if said["cursor"] != cursor:
        return "another cursor is named"
    lag, head = said.get("lag"), said.get("head")
    if None not in (lag, head) and lag != max(head - cursor, 0):
        return "the lag is not head less cursor"
    if said["reason"] == "other":
        return "the reason is none of the contract's"
    own = own_reasons(cursor, said)
    # Fresh by its own figures is `false_stale`'s; a lane may give no reason.
    return None if not own or said["reason"] in (*own, "unsaid") else f"the reason is not {own[0]}"


def by_windows(cursor, reason, bounds):
    if reason == "retention_floor" and bounds.floor_high is not None and cursor >= bounds.floor_high:
        return "the floor was not above the cursor"
    if reason == "replay_budget" and cursor < bounds.floor_low:
        return "the floor was above the cursor, and is looked at first"
    return None


def other_figures(story, sub):
    """What a refusal says otherwise than the metrics. It may be as old as the settle bound."""
    windows = story.windows.get(sub.topic, [])
    shown = Bounds(windows, max(sub.sent_at - story.begin["settle_us"], 0), sub.answered_at)
    limits = {"floor": (shown.floor_low, shown.floor_high), "head": (shown.head_low, shown.head_high)}
    for figure, (low, high) in limits.items():
        said = sub.said.get(figure)
        if said is not None and (said < low or high is not None and said > high):
            return f"{figure} {said} is named, and was from {low} to {high}"
    # One before and one after, and both the same.
    if len(shown.budgets) == 2 and len(set(shown.budgets)) == 1:
        if sub.said.get("budget") not in (None, shown.budgets[0]):
            return "another budget than before and after"
    tiers = {window["tier"] for window in windows if window.get("tier")}
    if len(tiers) == 1 and sub.said.get("tier") not in (None, *tiers):
        return "another tier than the metrics show"
    return None


# What refusals said of a topic, of which the highest counts.
SAID = ("floor", "head", "budget")


@rule("bad_snapshot", "a snapshot")
def bad_snapshot(story):
    """A snapshot is of its topic, and its watermark lies between floor and head and within the budget, so
    that it can be resumed from. What refusals said of floor and head before is a lower bound too. It is the
    state at its watermark: of each of our workers' documents it has at least the version that anybody was
    sent at or below it, with the hash of its payload, and what was sent of that version."""
    state_at = StateAt(story)
    for client in story.clients.values():
        said = {}
        for record in client.records:
            if record["record"] == "subscribe_stale":
                for topic in record["topics"]:
                    highest = said.setdefault(topic["topic"], dict.fromkeys(SAID))
                    told = {figure: topic[figure] for figure in SAID if topic.get(figure) is not None}
                    highest.update({figure: max(highest[figure] or 0, told[figure]) for figure in told})
            elif record["record"] == "snapshot_taken" and record["outcome"] == "ok":
                place = (record["done"], client.number, record["topic"])
                why = judge_snapshot(story, record, said.get(record["topic"]))
                if why:
                    yield Violation(why, *place)
                why = judge_documents(state_at, record)
                if why:
                    yield Violation(why, *place)


class StateAt:
    """What anybody was sent of our documents at or below a watermark, at the least."""

    def __init__(self, story):
        self.workers = {record["worker"] for record in story.acknowledged.values()}
        self.workers &= {record["worker"] for record in story.planned.values()}
        self.sent, self.contents = {}, {}
        for delivery in story.deliveries:
            if delivery.state is not None:
                document = (delivery.topic, delivery.state["worker"])
                self.sent.setdefault(document, []).append((delivery.seq, delivery.state["version"]))
                if not delivery.is_pointer and delivery.content[1]:
                    version = (*document, delivery.state["version"])
                    self.contents.setdefault(version, set()).add(delivery.content[0])

    def version(self, topic, worker, watermark):
        sent = self.sent.get((topic, worker), [])
        return max((version for seq, version in sent if seq <= watermark), default=0)


def judge_documents(state_at, record):
    documents = record.get("documents")
    if record["head"] is None or documents is None:
        return None
    for document in documents:
        if not document["hash_fits"]:
            return f"the hash of worker {document['worker']}'s document is not its payload's"
        version = (record["topic"], document["worker"], document["version"])
        others, content = state_at.contents.get(version), document.get("content", 0)
        # Recordings of before do not say what a snapshot's documents held.
        if content and others and content not in others:
            return f"version {document['version']} of worker {document['worker']}'s document is not what was sent"
    for worker in sorted(state_at.workers):
        owed = state_at.version(record["topic"], worker, record["head"])
        held = [document["version"] for document in documents if document["worker"] == worker]
        if owed > max(held, default=0):
            return f"version {owed} of worker {worker}'s document had been sent at or below it: has {held}"
    return None


def judge_snapshot(story, record, said):
    head = record["head"]
    if head is None:
        return "not of this topic, or of no shape"
    bounds = Bounds(story.windows.get(record["topic"], []), record["start"], record["done"])
    floor_low, head_low, budgets = bounds.floor_low, bounds.head_low, bounds.budgets
    if said:
        floor_low, head_low = max(floor_low, said["floor"] or 0), max(head_low, said["head"] or 0)
        budgets = [*budgets, said["budget"]] if said["budget"] is not None else budgets
    if head < floor_low:
        return "below the floor"
    if budgets and head_low - head > max(budgets):
        return "further behind head than the budget"
    if bounds.head_high is not None and head > bounds.head_high:
        return "above head"
    return None
