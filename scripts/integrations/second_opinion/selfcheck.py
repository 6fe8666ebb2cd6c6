"""Whether the checker can be trusted: it knows every rule, each rule speaks when the recording is edited to
break it and is silent before, and a damaged recording is refused, wherever the damage is.

Usage: selfcheck.py BUNDLE, of a clean run with --record
"""

import copy
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True

import recording  # noqa: E402
from edits import EDITS, SILENT, Desk  # noqa: E402
from findings import FINDINGS  # noqa: E402
from opinion import RECORDING, RULES, file_of, names_of, read  # noqa: E402
from story import Story  # noqa: E402
from xxh3 import digest64  # noqa: E402

CHECKER = pathlib.Path(__file__).parents[2] / "second-opinion"
# Of the bytes i * 7 % 251, by the algorithm's own implementation, on either side of each of its cases.
DIGESTS = {
    17: 0xF34C3C9CF5A112D1,
    33: 0xC077B45492D29CDE,
    128: 0x4C659B745F435148,
    129: 0xB85222B83902B6E5,
    240: 0xD6DFBF67B0675B54,
    241: 0xC614C8C3575348C1,
    1024: 0xF22EF3DC84FF47EA,
    1025: 0x43F869A83769A435,
    5000: 0xCE29A19460EE1BFC,
}


def frame(lines):
    payload = zlib.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    return struct.pack("<IQ", len(payload), digest64(payload)) + payload


def written(story):
    """A recording as the bytes of a file, with counts that fit."""
    data, threads = [recording.HEAD, frame([story.begin])], []
    for thread, records in story.threads.items():
        chunk = {"recording": "chunk", "thread": thread, "number": 0, "records": len(records)}
        data.append(frame([chunk, *records]))
        threads.append({"thread": thread, "chunks": 1, "records": len(records), "dropped": 0})
    data.append(frame([story.end | {"threads": threads}]))
    return b"".join(data)


def checker(bundle, data):
    """The checker's exit code and output on a bundle with another recording in it."""
    with tempfile.TemporaryDirectory() as folder:
        copied = pathlib.Path(folder)
        (copied / "recording").mkdir()
        (copied / RECORDING).write_bytes(data)
        (copied / "run.json").write_bytes((bundle / "run.json").read_bytes())
        ended = subprocess.run([CHECKER, folder], capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout + ended.stderr


def found(rule, edited):
    return sum(violation.count for violation in RULES[rule].judge(Story(edited)))


def every_rule_can_speak(clean, rules):
    for rule in rules:
        before = found(rule, clean)
        edited = copy.deepcopy(clean)
        EDITS[rule](Desk(edited))
        after = found(rule, edited)
        assert before == 0 < after, f"{rule}: {before} before {EDITS[rule].__name__}, {after} after"
    print(f"{len(rules)} rules are silent on the clean run, and each speaks of its own edit")


def every_rule_is_known(report):
    rules = names_of(report["oracle"])
    unknown = sorted(set(rules) - set(RULES))
    assert not unknown, f"scripts/integrations/second_opinion has no rule {unknown}"
    return rules


def every_finding_can_speak(clean):
    for name, (rule, _) in FINDINGS.items():
        edited = copy.deepcopy(clean)
        SILENT[name](Desk(edited))
        edited.begin["findings_are_rules"] = []
        assert found(rule, edited) == 0, f"{name} breaks {rule} without the key"
        edited.begin["findings_are_rules"] = [name]
        assert found(rule, edited) > 0, f"{name} does not break {rule} with the key"
    print(f"{len(FINDINGS)} findings break their rule by the key alone")


def an_edit_is_a_disagreement(bundle, clean):
    assert checker(bundle, written(clean))[0] == 0, "written again, it is the same"
    edited = copy.deepcopy(clean)
    EDITS["gap"](Desk(edited))
    code, said = checker(bundle, written(edited))
    assert code == 1 and "gap: oracle 0, checker 1  DISAGREE" in said, said
    print("one delivery taken out is a disagreement:")
    print(next(line for line in said.splitlines() if "gap" in line))


def damage_is_refused(bundle):
    data = file_of(bundle).read_bytes()
    at = [at for at, _ in recording.frames(data)]
    middle = at[len(at) // 2]

    def flipped(place):
        return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]

    damages = {
        "a flipped bit in a payload": (flipped(middle + 40), f"at byte {middle}"),
        "a flipped bit in a checksum": (flipped(middle + 6), f"at byte {middle}"),
        "a flipped bit in a length": (flipped(middle), f"at byte {middle}"),
        "a flipped bit in the head": (flipped(3), "at byte 0"),
        "a torn end": (data[:-9], f"at byte {at[-1]}"),
        "no end": (data[: at[-1]], f"at byte {at[-1]}"),
        "a frame taken out": (data[: at[1]] + data[at[2] :], None),
        "more after the end": (data + data[at[1] : at[2]], f"at byte {len(data)}"),
    }
    for what, (damaged, where) in damages.items():
        code, said = checker(bundle, damaged)
        assert code == 2 and (where is None or where in said), f"{what}: {code} {said}"
    print(f"{len(damages)} damages are refused, and the place is named")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    bundle = pathlib.Path(sys.argv[1])
    for size, digest in DIGESTS.items():
        assert digest64(bytes(i * 7 % 251 for i in range(size))) == digest, f"XXH3 of {size} bytes"
    clean, report = read(bundle)
    every_rule_can_speak(clean, every_rule_is_known(report))
    every_finding_can_speak(clean)
    an_edit_is_a_disagreement(bundle, clean)
    damage_is_refused(bundle)


if __name__ == "__main__":
    main()
