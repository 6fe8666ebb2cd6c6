"""What the tries of the second runtime came to: rows, the page, and the JSON of it."""

import dataclasses
import json
import re

WORDS = {0: "GO", 95: "HOLD", 99: "NO-GO", 100: "not usable"}
CAUGHT, MISSED, HELD, FALSE_ALARM = "caught", "missed", "as it must", "false alarm"

PROSE = """# The second runtime

A small server of the [contract](CONTRACT.md) in Node, on `ws` and `pg`, with its state in PostgreSQL. It was written from
the contract alone, by somebody who had seen neither the [reference runtime](reference/src/lib.rs) nor the oracle, and so
were its defects: one's own kill matrix is learnt by heart, this one was not. It lives in
[`scripts/integrations/second-runtime`](../scripts/integrations/second-runtime/README.md), outside the crates.

One command starts it, and installs what is missing (as root for the first time):

```console
$ export RUNTIME_SYNC_TOKEN_SIGNING_KEY=…
$ scripts/integrations/second-runtime/start --port 4600
```

One command tries it, and makes this page:

```console
$ cargo build --release
$ scripts/second-runtime-exam --runs 3 --page harness/SECOND-RUNTIME.md
```

## Where it differs

The contract lets runtimes differ. Where the reference does one thing, this one does the other:

| what | here | what the harness goes by instead |
| --- | --- | --- |
| fan-out metrics | none | faults are proven by answers and sockets; floor, head and budget come from the refusal of cursor 0 |
| snapshot path | none | bootstrap by a subscribe without a cursor |
| operators' trim | none | retention by count (`--retention-events`); `stale-cursor` cannot trim it and is a HOLD, `cursor-bounds` needs no trim |
| `x-oa-user-id` | a positive integer | `fleet.user_ids = "numeric"` |
| socket path | `/socket/websocket` | `target.socket_path` |
| buffers of sockets | the kernel's own | profile `kernel-buffers` of `slow-consumer` |
| a past | 1,500 events of others | `fleet.first_subscribe = "from-now"` |
| processes | two, behind one port | sockets and commands of a client reach either |
| seqs | allocated before the insert: a failed one leaves a hole | `holes` is a finding, not a `gap` |
| summaries | the latest version of a document in a batch | versions and watermarks of states may be skipped |
| the third strike | ends the channel, the socket stays | runtimes differ (contract, section 3) |

## Without a defect

Each scenario by URL, each on a runtime that may have a past from the one before.

{clean}

## With a defect

Each was chosen where the runtime was written, and judged by the first scenario that ends in NO-GO; *first tries* says
whether it was found before the judging side knew any of them, or after what. {count}

{defects}

## What was not found

{missed}
"""


@dataclasses.dataclass
class Row:
    """One run: of which scenario, its exit code, the rules or gates it broke, what its report says first."""

    scenario: str
    code: int
    rules: list
    line: str
    seconds: int

    @property
    def decision(self):
        return WORDS.get(self.code, f"exit {self.code}")


def first_line(printed):
    """The sentence that says what to do, which the terminal wraps: "Go on: …", "Do not go on: …"."""
    lines = []
    for line in printed.splitlines()[1:]:
        # What comes next names the run's folder, which is gone when this is read.
        if line.startswith(("  Tried", "  Next", "  All")):
            break
        if line.startswith(("  Go on", "  Do not")):
            lines = []
        lines.append(line.strip())
    return " ".join(lines)


def rules_of(report):
    """The rules of the oracle that were broken, most clients first as the report has them; else the gates."""
    rules = list(dict.fromkeys(cause["rule"] for cause in report["oracle"]["causes"]))
    if rules:
        return rules
    gates = (re.match(r"FAIL: ([a-z-]+: [a-z_]+(?: \[[^]]*\])?)", reason) for reason in report["reasons"])
    return list(dict.fromkeys(gate[1] for gate in gates if gate))


def decisive(rows):
    """The run that found the defect, or the last one that did not."""
    return next((row for row in rows if row.code == 99), rows[-1])


def status_of(defect, rows, may_hold):
    """Of a run without a defect: as it must, or a false alarm; of a defect: caught, or missed."""
    if defect != "none":
        return CAUGHT if decisive(rows).code == 99 else MISSED
    held = all(row.code == 0 or row.code == 95 and row.scenario in may_hold for row in rows)
    return HELD if held else FALSE_ALARM


def cell(text):
    return text.replace("|", "/")


def defects_table(results, found):
    lines = ["| defect | scenario | rule or gate | first line of the report | first tries |",
             "| --- | --- | --- | --- | --- |"]
    for defect, rows in results.items():
        row, how = decisive(rows), found.get(defect, "–")
        if row.code == 99:
            rules = ", ".join(f"`{rule}`" for rule in row.rules[:3]) + (" …" if len(row.rules) > 3 else "")
            lines.append(f"| `{defect}` | {row.scenario} | {rules or '–'} | {cell(row.line)} | {how} |")
        else:
            lines.append(f"| `{defect}` | – | – | missed | {how} |")
    return "\n".join(lines)


def clean_table(runs):
    lines = ["| scenario | " + " | ".join(f"run {n}" for n in range(1, len(runs) + 1)) + " |",
             "| --- |" + " --- |" * len(runs)]
    for at, row in enumerate(runs[0]):
        cells = (f"{run[at].decision}" for run in runs)
        lines.append(f"| {row.scenario} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def page(clean, defects, found):
    missed = [name for name, rows in defects.items() if status_of(name, rows, ()) == MISSED]
    caught = len(defects) - len(missed)
    why = "\n".join(f"- `{name}`: {found.get(name, 'not known yet')}" for name in missed)
    return PROSE.format(
        clean=clean_table(clean) if clean else "Not tried.",
        count=f"{caught} of {len(defects)} are found.",
        defects=defects_table(defects, found), missed=why or "Nothing.")


def as_json(started_at, whole, clean, defects, may_hold):
    """The counts and rows, for a page of all exams; `whole` if every defect was tried. `version` 1."""
    tried = []
    for name, rows in defects.items():
        row = decisive(rows)
        tried.append({"name": name, "scenario": row.scenario, "rule": ", ".join(row.rules), "line": row.line,
                      "status": status_of(name, rows, may_hold)})
    runs = [{"scenario": row.scenario, "decision": row.decision, "status": status_of("none", [row], may_hold)}
            for rows in clean for row in rows]
    caught = sum(row["status"] == CAUGHT for row in tried)
    totals = {"defects": len(tried), "caught": caught, "missed": len(tried) - caught, "clean_runs": len(runs),
              "false_alarms": sum(row["status"] == FALSE_ALARM for row in runs)}
    document = {"version": 1, "started_at": started_at, "whole": whole, "totals": totals,
                "defects": tried, "clean": runs}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
