"""Reads a recording: frames, their checksums, and the lines in them. Nothing is believed that a checksum
does not vouch for, and nothing that is missing goes unsaid. The format: harness/evidence/RECORDING.md.
"""

import json
import struct
import zlib

from xxh3 import digest64

HEAD = b"khala-recording 2\n"
# Of version 1, which differs in names alone.
HEAD_1 = b"khala-history 1\n"


class Unreadable(Exception):
    """The file is not what was written; the message says where."""


class Incomplete(Exception):
    """The file is what was written, and something of the run is not in it."""


class Recording:
    """A whole recording: `begin` and `end` as they stand in the file, and each thread's records."""

    def __init__(self, begin, end, threads):
        self.begin, self.end, self.threads = begin, end, threads


def frames(data):
    """The frames of a file as (where it begins, the lines in it)."""
    head = next((head for head in (HEAD, HEAD_1) if data.startswith(head)), None)
    if head is None:
        raise Unreadable("at byte 0: it does not begin as a recording of version 2 or 1 does")
    at = len(head)
    while at < len(data):
        if at + 12 > len(data):
            raise Unreadable(f"at byte {at}: the last frame is torn")
        size, checksum = struct.unpack_from("<IQ", data, at)
        if at + 12 + size > len(data):
            raise Unreadable(f"at byte {at}: the last frame is torn, or its length is damaged")
        payload = data[at + 12 : at + 12 + size]
        if size < 17 or digest64(payload) != checksum:
            raise Unreadable(f"at byte {at}: the frame is damaged: its checksum does not fit")
        try:
            lines = [json.loads(line) for line in zlib.decompress(payload).splitlines()]
        except (zlib.error, ValueError) as error:
            raise Unreadable(f"at byte {at}: the frame is damaged: {error}") from error
        yield at, lines
        at += 12 + size


def read(data):
    """The recording in the bytes of a file."""
    begin = end = None
    threads, chunks = {}, {}
    for at, lines in frames(data):
        first = lines[0] if lines else {}
        if "history" in first:
            first["recording"] = first.pop("history")
        what = first.get("recording")
        if end is not None or (begin is None) != (what == "begin"):
            raise Unreadable(f"at byte {at}: a frame `{what}` is out of place")
        if what == "begin":
            begin = first
        elif what == "end":
            end = first
        elif what == "chunk":
            thread = first["thread"]
            if first["number"] != chunks.get(thread, 0):
                raise Unreadable(f"at byte {at}: a frame of thread {thread} before it is missing")
            if first["records"] != len(lines) - 1:
                raise Unreadable(f"at byte {at}: it holds {len(lines) - 1} records, not {first}")
            chunks[thread] = first["number"] + 1
            threads.setdefault(thread, []).extend(lines[1:])
        else:
            raise Unreadable(f"at byte {at}: a frame `{what}` is none of this version's")
    if end is None:
        raise Incomplete(f"at byte {len(data)}: the recording has no end: the run was killed")
    check_complete(end, chunks, threads)
    return Recording(begin, end, threads)


def check_complete(end, chunks, threads):
    """Holds what was read against what the last line says was written."""
    for said in end["threads"]:
        thread = said["thread"]
        found = (chunks.get(thread, 0), len(threads.get(thread, [])))
        if found != (said["chunks"], said["records"]):
            raise Unreadable(f"thread {thread}: {found} chunks and records are there, not {said}")
        if said["dropped"]:
            raise Incomplete(f"thread {thread} had to drop {said['dropped']} records")
    if set(threads) - {said["thread"] for said in end["threads"]}:
        raise Unreadable("there are records of a thread that the last line does not name")
    if end["lost_threads"]:
        raise Incomplete(f"{end['lost_threads']} threads ended with a bug, and their records with them")
    for records in threads.values():
        for record in records:
            if record["record"] == "dropped":
                raise Incomplete(f"a full recorder had to drop {record['count']} records")
