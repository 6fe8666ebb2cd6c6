"""Slow clients and bystanders, and who is at head in time."""

from registry import Violation, rule


@rule("wrongful_eviction", "a notice to a client that reads")
def wrongful_eviction(story):
    """No client is called a slow consumer but those that the harness keeps slow, until a grace after it
    lets them read again."""
    grace = story.begin["slow_grace_us"]
    for client in story.clients.values():
        intervals = client.life.intervals
        for record in client.records:
            if record["record"] != "slow_consumer":
                continue
            at = record["at"]
            if not any(i.began <= at <= end_of(i, grace) for i in intervals):
                yield Violation("called slow, although it reads", at, client.number)


def end_of(interval, grace):
    return float("inf") if interval.ended is None else interval.ended + grace


@rule("no_eviction", "a time in which the harness kept a client slow")
def no_eviction(story):
    """A client that does not read while enough is published is told off for good, from when it was made slow
    until the grace after it reads again; one that reads on, slowly, is told before its socket ends in order.
    Only what somebody who reads had within the settle bound counts: what the target sat on fills no queue.
    Open: too little published, a socket that ended without a word or by the harness or the client, a run that
    ended within the grace, a client that nobody let go."""
    needed, grace = story.begin["eviction_needs"], story.begin["slow_grace_us"]
    if needed is None:
        return
    acknowledged = came_through(story)
    for client in story.clients.values():
        intervals = client.life.intervals
        next_began = [following.began for following in intervals[1:]] + [float("inf")]
        for interval, began in zip(intervals, next_began):
            until = min(end_of(interval, grace), began)
            told, ended = ends_of_socket(client, interval.began, until)
            if told:
                continue
            if ended is not None and client.number not in story.begin["paused_clients"] and in_order(ended):
                yield Violation("ended without a word, although it reads", interval.began, client.number)
            if ended is not None or interval.ended is None or not interval.same_socket:
                continue
            kept = story.ended_for(client) >= interval.ended + grace or reads_on(client, interval, until)
            count = sum(interval.began <= at <= interval.ended for at in acknowledged)
            if kept and count >= needed:
                yield Violation(f"kept through {count} publishes", interval.ended, client.number)


def came_through(story):
    """When those commands were acknowledged whose events reached somebody in time; all of them where nobody
    reads a stream who is never slow."""
    readers = (client for client in story.clients.values() if not client.life.intervals)
    if not any(sub.topic in story.streams for client in readers for sub in client.subscriptions):
        return [record["done"] for record in story.planned.values()]
    first = {}
    for delivery in story.deliveries:
        if delivery.publish is not None:
            first[delivery.publish] = min(delivery.at, first.get(delivery.publish, delivery.at))
    settle = story.begin["settle_us"]
    return [
        record["done"]
        for key, record in story.planned.items()
        if key in first and first[key] <= record["done"] + settle
    ]


def ends_of_socket(client, since, until):
    """Whether the target told the client off for good, and why its socket ended, if it did."""
    told, ended = False, None
    for record in client.records:
        what = record["record"]
        if what not in ("slow_consumer", "offline") or not since <= record["at"] <= until:
            continue
        if what == "slow_consumer":
            told = told or record["disconnect"]
        elif ended is None or in_order(record["cause"]):
            ended = record["cause"]
    return told, ended


def in_order(cause):
    """Whether the target ended the socket after all that it had sent."""
    if not isinstance(cause, dict):
        return False
    return "closed_by_target" in cause or cause.get("broken", {}).get("how") == "eof"


def reads_on(client, interval, until):
    """Whether something that was due after it reads again came, so that the socket was never ended."""
    return any(
        interval.ended < (d.intended or 0) and interval.ended <= d.at <= until and d.subscription
        for d in client.deliveries
    )


@rule("no_convergence", "a wait of a client, or a watermark that it was told")
def no_convergence(story):
    """From when it first has a socket a client is at head with its replay complete within the bound, the
    times in which the generator stood still not counted. A passive run, in which nothing else says what is
    owed, holds a live client also against the watermarks of heartbeats."""
    if story.is_passive:
        yield from heads_not_reached(story)
    bound = story.begin["converge_us"]
    for client in story.clients.values():
        for wait in client.life.waits:
            waited = wait.at - wait.since - story.client_stalled(client.number, wait.since, wait.at)
            if waited > bound and not wait.slow:
                yield Violation("late at head", wait.since + bound, client.number)
        since = client.life.waiting_since
        if client.life.live_since is None and since is not None and not client.life.slow:
            until = story.ended_for(client)
            if until - since - story.client_stalled(client.number, since, until) > bound:
                yield Violation("never at head", since + bound, client.number)


def heads_not_reached(story):
    """Of each topic the oldest watermark that a live client was told and had not reached, until it has or
    begins anew."""
    settle = story.begin["settle_us"]
    for client in story.clients.values():
        never = [(topic, told, story.ended_for(client)) for topic, told in client.open_heads.items()]
        for topic, (since, head), until in client.head_waits + never:
            waited = until - since - story.client_stalled(client.number, since, until)
            if waited > settle:
                seqs = (head, head)
                yield Violation("below a head", since + settle, client.number, topic, seqs)
