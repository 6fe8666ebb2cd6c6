"""Processes of this machine, as Linux tells of them: what the hooks look for."""

import os
import pathlib


def stat(pid):
    """State and parent of a process; None if there is none."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


def processes():
    pids = [int(entry.name) for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit()]
    return {pid: seen for pid in pids if (seen := stat(pid)) and seen[0] != "Z"}


def name(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def listener(port):
    """The process that listens at a port of this machine; None if none is seen to."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in pathlib.Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for pid in processes():
        try:
            if any(os.readlink(fd) in inodes for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()):
                return pid
        except OSError:
            continue
    return None


def descendants(root, seen):
    found, new = {root}, {root}
    while new:
        new = {pid for pid, (_, parent) in seen.items() if parent in new} - found
        found |= new
    return found
