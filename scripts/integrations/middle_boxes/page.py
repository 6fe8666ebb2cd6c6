"""The page of the middle boxes: what stood between, what it did, and what the harness said."""

PROSE = """# Middle boxes

Between clients and a runtime stand boxes: balancers, proxies, ends of TLS. `scripts/middle-boxes` puts haproxy and nginx,
as Debian ships them, before the [reference runtime](reference/src/lib.rs) and runs scenarios through them. Set up well they
must be a GO; what they did to the clients is told all the same. A mistake in their configuration must be found, and named
so that whoever reads it knows where to look.

```console
$ cargo build --release
$ scripts/middle-boxes --page harness/MIDDLE-BOXES.md
```

Each case is a box (the last one nearest to the harness) and what is done to it meanwhile, in
[`boxes.py`](../scripts/integrations/middle_boxes/boxes.py); the configurations stand there too. The harness speaks
clear text, so where TLS ends at a box a second box makes it.

A backend that leaves is two servers of one haproxy, which are two ways to the same runtime: the state is one, as behind
any real balancer. [`backend-leaves`](../scenarios/backend-leaves.toml) takes one out by a hook, and so says that its
clients may be cut off: that is a GO. The same without a plan is a NO-GO: nobody who runs a canary
wants to miss it.

## Set up well

{good}

## Mistakes, and what nobody planned

{bad}

## What it takes

| box | what the contract wants of it |
| --- | --- |
| any | an idle time-out above the heartbeats: clients beat every 20 s, the runtime every 15 s, and it ends what is silent for 60 s. haproxy: `timeout tunnel`; nginx: `proxy_read_timeout`, which is 60 s if nobody sets it |
| any | the upgrade passed on. nginx: `proxy_http_version 1.1` and the headers `Upgrade` and `Connection` |
| haproxy | a reload keeps old sockets with the old worker (`-W`, USR2) until they end; `hard-stop-after` cuts them |
| nginx | a reload (HUP) keeps old workers until their sockets end; `worker_shutdown_timeout` cuts them |
| haproxy | `set server … state drain` lets sockets live; `maint` with `shutdown sessions` cuts them at once, and their clients come back together |
"""


def paragraphs(said):
    """What was printed, with the terminal's wrapping taken out: a line that goes on is indented further."""
    found, depth = [], 0
    for line in said.splitlines():
        indent = len(line) - len(line.lstrip())
        if found and line.strip() and indent > depth and indent > 2:
            found[-1] += " " + line.strip()
        elif line.strip():
            found.append(line)
            depth = indent
    return found


def told(case, said):
    """The decision's sentence, what befell the run, and the line that names what must be named."""
    lines = paragraphs(said)
    if not lines[0].startswith(("GO", "HOLD", "NO-GO")):
        return next((line for line in lines if line.startswith("error")), lines[-1])
    under = next(at for at, line in enumerate(lines) if line.startswith("  Tried"))
    *befell, sentence = (line.strip() for line in lines[1:under])
    shown = [sentence, *befell[:1]]
    for word in case.says:
        if not any(word in line for line in shown):
            shown += [line.strip() for line in lines if word in line][:1]
    return "<br>".join(line.replace("|", "/") for line in shown)


def table(rows):
    words = {0: "GO", 95: "HOLD", 99: "NO-GO"}
    lines = ["| case | what | decision | what the harness says |", "| --- | --- | --- | --- |"]
    for case, code, said in rows:
        decision = words.get(code, f"exit code {code}")
        lines.append(f"| `{case.name}` | {case.what} | {decision} | {told(case, said)} |")
    return "\n".join(lines)


def page(results):
    """`results`: (case, exit code, what was printed)."""
    good = [row for row in results if row[0].code == 0]
    bad = [row for row in results if row[0].code != 0]
    return PROSE.format(good=table(good), bad=table(bad))
