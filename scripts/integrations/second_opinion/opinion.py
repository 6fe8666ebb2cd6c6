"""Holds the checker's verdict on a bundle against the one in its run.json."""

import json
import pathlib
from collections import Counter

import recording
import rules_authority  # noqa: F401  Rules register themselves.
import rules_content  # noqa: F401
import rules_cursor  # noqa: F401
import rules_flow  # noqa: F401
import rules_ledger  # noqa: F401
import rules_order  # noqa: F401
import rules_phantom  # noqa: F401
import rules_slow  # noqa: F401
import rules_wire  # noqa: F401
from registry import RULES
from story import Story

RECORDING = "recording/run.recording"
# The name of a recording of version 1.
RECORDING_1 = "history/run.history"
# Rules for which the oracle keeps only so much of a client, and counts the rest as undecided. There it may
# have found less than the checker, by no more than it left open.
BOUNDED = {
    "bad_snapshot",
    "false_replay_complete",
    "false_stale",
    "late_publish",
    "no_eviction",
    "nonmonotonic",
    "stale_not_signalled",
    "starved_topic",
    "state_stale",
    "unbounded_buffer",
}


def file_of(bundle):
    """The recording's file in a bundle."""
    path = pathlib.Path(bundle)
    old = path / RECORDING_1
    return old if old.exists() else path / RECORDING


def read(bundle):
    """A bundle's recording and report."""
    path = pathlib.Path(bundle)
    try:
        data = file_of(path).read_bytes()
        report = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        why = f"{error.filename} is not there: give the folder of a run with --record"
        raise recording.Incomplete(why) from error
    except ValueError as error:
        raise recording.Unreadable(f"run.json: {error}") from error
    return recording.read(data), report


def opinion(bundle):
    """What both say of a bundle, rule by rule and figure by figure."""
    read_recording, report = read(bundle)
    if report["run_id"] != read_recording.begin["run_id"]:
        raise recording.Unreadable("run.json is of another run than the recording")
    story = Story(read_recording)
    names = {topic["id"]: topic["name"] for topic in read_recording.begin["topics"]}
    rules = [compare(name, story, names, report["oracle"]) for name in names_of(report["oracle"])]
    figures = [
        {"figure": name, "oracle": theirs, "checker": ours, "agree": theirs == ours}
        for name, theirs, ours in figures_of(story, names, report)
    ]
    agree = all(line["agree"] for line in rules + figures)
    return {"bundle": str(bundle), "agree": agree, "rules": rules, "figures": figures}


def names_of(oracle):
    """Every rule that the oracle had when the report was made, in a fixed order."""
    return sorted({*oracle["violations"], *oracle["not_exercised"]})


def compare(name, story, names, oracle):
    theirs = oracle["violations"].get(name, 0)
    if name not in RULES:
        # Nothing to agree on but silence.
        return {"rule": name, "unit": None, "oracle": theirs, "checker": None, "agree": theirs == 0}
    found = list(RULES[name].judge(story))
    count = sum(violation.count for violation in found)
    line = {"rule": name, "unit": RULES[name].unit, "oracle": theirs, "checker": count}
    left_open = oracle["undecided"].get(name, 0) if name in BOUNDED else 0
    if 0 < theirs < count <= theirs + left_open:
        line["left_open"] = left_open
    kept = [violation for violation in oracle["kept"] if violation["rule"] == name]
    line["agree"] = (theirs == count or "left_open" in line) and are_among(kept, found)
    if not line["agree"]:
        line["checker_says"] = [told(v, names) for v in sorted(found, key=lambda v: v.at)[:5]]
        line["oracle_says"] = [said(v, names) for v in kept[:5]]
    return line


def are_among(kept, found):
    """Whether the oracle's earliest violations, all of them if they are few, are the checker's as well."""
    doubt = any(violation.doubt for violation in found)
    ours = Counter(place(None if doubt else v.client, v.topic, v.seqs) for v in found)
    theirs = Counter(place(None if doubt else v["client"], v["topic"], v["seqs"]) for v in kept)
    return theirs <= ours


def place(client, topic, seqs):
    return (client, topic, tuple(seqs) if seqs else None)


def told(violation, names):
    where = place(violation.client, names.get(violation.topic), violation.seqs)
    return f"at {violation.at} us: {where}: {violation.why}"


def said(violation, names):
    where = place(violation["client"], names.get(violation["topic"]), violation["seqs"])
    return f"at {violation['at_us']} us: {where}: {violation['message']}"


def figures_of(story, names, report):
    """Plain counts of both sides: (name, the report's, the recording's)."""
    oracle, records = report["oracle"], [r for c in story.clients.values() for r in c.records]
    foreign = [d for d in story.deliveries if d.event is None and d.state is None]
    yield "deliveries", oracle["deliveries"], len(story.deliveries)
    yield "foreign", oracle["foreign"], len(foreign)
    yield "repeats", oracle["repeats"], sum(d.repeat for d in story.deliveries)
    yield "redelivered", oracle["redelivered"], sum(d.redelivered or d.overlap for d in story.deliveries)
    yield "acknowledged", report["load"]["acknowledged"], len(story.acknowledged)
    refused = len(story.published) - len(story.acknowledged)
    yield "refused", report["load"]["refused"], refused
    begun = sum(record["record"] == "connect_begun" for record in records)
    yield "connects", report["fleet"]["connects"], begun
    stay = [c for c in story.clients.values() if c.number not in story.leaving]
    live = sum(c.life.live_since is not None for c in stay)
    yield "live at the end", report["fleet"]["clients_live_at_end"], live
    for topic, name in names.items():
        applied = sum(d.fresh for d in story.deliveries if d.topic == topic)
        yield f"applied of {name}", oracle["applied"].get(name, 0), applied
