# SPDX-License-Identifier: BSD-2-Clause
"""Power cuts and disk faults of a machine: workloads run in it, their log of writes judged by the host, states booted again.

A workload of test/fs/workloads.c runs in the machine, on a disk that logs its writes (test/guest/fs_work.c). Host programs
judge what power cuts at each entry leave (test/fs/replay.c); of every 20 states at least one is put on a disk again, eight
to a disk, and the machine has to find the same tree there. Then the same with a disk that fails at each block that the
workload reads, writes, or when it flushes, once and for good: errors reach the program, and nothing hangs.

Time limit: 600 s
"""

import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
import writelog
from tap import check, has, same

sys.path.insert(0, os.path.join(guest.SOURCE, "tools"))
from exolib import gpt  # noqa: E402

SCRATCH = tempfile.TemporaryDirectory()
BUILD = guest.build_dir()
WORK = os.path.join(BUILD, "test", "guest", "fs_work.uni")
REPLAY = os.path.join(BUILD, "test", "fs", "replay")
LONG = bool(os.environ.get("EXO_TEST_LONG"))
SEED = int(os.environ.get("EXO_TEST_SEED", "1"))
KINDS = os.environ.get("EXO_TEST_FS", "ext2 cofs common").split()
BLOCK, BLOCKS = 4096, 1024
AT_ONCE = 8
chance = random.Random(SEED)

with open(os.path.join(guest.SOURCE, "test", "lib", "scale.h")) as scales:
    SCALE = {name: int(hours if LONG else usual)
             for name, usual, hours in re.findall(r"X\((\w+), (\d+), (\d+)\)", scales.read())}


def path(name):
    return os.path.join(SCRATCH.name, name)


def exo(*words, status=0, timeout=100):
    done = guest.exo(*words, timeout=timeout)
    check(status is None or done.returncode == status, "exo %s gives %d\n%s%s" % (" ".join(words), done.returncode, done.stdout,
                                                                               done.stderr))
    return done.stdout + done.stderr


def replay(*words):
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    done = subprocess.run([REPLAY] + [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
                          timeout=200)
    said = done.stdout.decode("utf-8", "replace")
    same(done.returncode, 0, "replay %s\n%s" % (words, said))
    return said


def run(disk, args, extents, status=0):
    """The program on a disk's extents."""
    with open(path("work.conf"), "w") as file:
        file.write("[machine]\ndisk = %s\n[program work]\nimage = %s\nargs = %s\n%s" % (
            disk, WORK, args, "".join("extent = %s\n" % name for name in extents)))
    return exo("run", "--timeout", "60", "--config", path("work.conf"), status=status)


def places_of(image, labels):
    """Where extents are: labels to first byte and length."""
    with open(image, "rb") as file:
        table = gpt.read(file, image)
    return {label: (table.find(label).start, table.find(label).bytes) for label in labels}


def new_disk(kind):
    """A disk with an empty file system in the extent "fs", and that as a file; where the extents are."""
    fresh, base = path("fresh-" + kind), path("base-" + kind)
    if not os.path.exists(fresh):
        replay("make", kind, base, BLOCKS)
        exo("disk", "create", fresh, "8M", "--label", "fs:4M", "--label", "marks:256K")
        exo("disk", "import", fresh, "fs", base)
    shutil.copyfile(fresh, path("disk.img"))
    shutil.copyfile(base, path("base"))
    return places_of(fresh, ("fs", "marks"))


def events(log, places):
    """The log as the host program wants it: what happened in the extent, and how far the program was."""
    out = []
    (first, length), (marks, marks_length) = places["fs"], places["marks"]
    for entry in writelog.read(log):
        if entry.flags & writelog.FLUSH:
            out.append(b"F")
        data = entry.data or (b"" if not entry.flags & writelog.DISCARD else bytes(entry.count))
        for at in range(entry.at, entry.at + len(data), BLOCK):
            block = data[at - entry.at:at - entry.at + BLOCK]
            if first <= at < first + length:
                out.append(b"W" + struct.pack("<I", (at - first) // BLOCK) + block)
                if entry.flags & writelog.FUA:
                    out.append(b"F")
            elif marks <= at < marks + marks_length and block[:4] == b"mark":
                out.append(b"M" + block[4:12])
    return out


def logged(kind, workload):
    """Run a workload; what the host program needs."""
    places = new_disk(kind)
    log = path("writes.log")
    out = run("%s,log=%s" % (path("disk.img"), log), "work %s %s" % (kind, workload), ("fs", "marks"))
    has(out, " operations, 0 failed")
    happened = events(log, places)
    with open(path("events"), "wb") as file:
        file.write(b"".join(happened))
    return sum(event[:1] == b"W" for event in happened), sum(event[:1] == b"F" for event in happened)


def boot(kind, expected):
    """States on a disk, each in an extent of its own: the machine finds what the host found."""
    labels = []
    for number in expected:
        labels += ["--label", "s%d:4M" % number]
    exo("disk", "create", "--force", path("boot.img"), "%dM" % (4 * len(expected) + 4), *labels)
    names = ["s%d" % number for number in expected]
    places = places_of(path("boot.img"), names)
    with open(path("boot.img"), "r+b") as disk:
        for number in expected:
            with open(path("state-%d" % number), "rb") as state:
                disk.seek(places["s%d" % number][0])
                shutil.copyfileobj(state, disk)
            os.unlink(path("state-%d" % number))
    out = run(path("boot.img"), "check %s %s" % (kind, " ".join(names)), names)
    for number, wanted in expected.items():
        has(out, "s%d %s 0" % (number, wanted))


def cuts(kind):
    workloads = ["replace", "append", "overwrite", "rename-directories", "rename-over", "many-names", "large", "mail"]
    states = SCALE["crash_guest_states"] // len(workloads)
    boots = max(SCALE["crash_guest_boots"] // len(workloads), states // 20 + 1)
    booted = judged = 0
    if LONG:
        workloads += ["random-%d" % (SEED * 1000 + i) for i in range(40)]
    for workload in workloads:
        writes, flushes = logged(kind, workload)
        said = replay("judge", kind, workload, path("base"), path("events"), states, SEED, boots, SCRATCH.name)
        expected = {int(number): wanted for number, wanted in re.findall(r"^boot (\d+) (\w+)$", said, re.M)}
        numbers = sorted(expected)
        for at in range(0, len(numbers), AT_ONCE):
            boot(kind, {number: expected[number] for number in numbers[at:at + AT_ONCE]})
        judged, booted = judged + states, booted + len(numbers)
        tap.say("%s %s: %d blocks written, %d flushes, %d states, %d booted" % (kind, workload, writes, flushes, states, len(numbers)))
    check(booted * 20 >= judged, "%d of %d states booted" % (booted, judged))
    tap.say("%s: %d states, %d booted, seed %d" % (kind, judged, booted, SEED))


def faulty(kind, workload, rules):
    """Run a workload on a disk that fails as the rules say."""
    with open(path("rules"), "w") as file:
        file.write(rules)
    out = run("%s,blkdebug=%s" % (path("disk.img"), path("rules")), "work %s %s faults" % (kind, workload), ("fs", "marks"), status=None)
    check("operations, " in out or "mount: -" in out, "it neither ends nor fails as it ought to:\n%s\n%s" % (rules, out))
    return out


def faults(kind):
    """Each block that a workload touches fails, once and for good; and flushes do."""
    workload = "mail"
    places = new_disk(kind)
    log = path("writes.log")
    run("%s,log=%s" % (path("disk.img"), log), "work %s %s" % (kind, workload), ("fs", "marks"))
    blocks = sorted({struct.unpack("<I", event[1:5])[0] for event in events(log, places) if event[:1] == b"W"})
    if not LONG:
        blocks = sorted(chance.sample(blocks, min(len(blocks), 4)))
    met = 0
    for block in blocks + [None]:
        for kind_of in ("read", "write") if block is not None else ("flush",):
            for once in ("on", "off"):
                where = "sector = \"%d\"\n" % ((places["fs"][0] + block * BLOCK) // 512) if block is not None else ""
                new_disk(kind)
                out = faulty(kind, workload, "[inject-error]\nevent = \"none\"\niotype = \"%s\"\nerrno = \"5\"\nonce = \"%s\"\n%s" % (
                    kind_of, once, where))
                met += ": -" in out
                check("wrong:" not in out, "%s of block %s, once %s:\n%s" % (kind_of, block, once, out))
                if kind_of == "flush" and once == "off":
                    check(re.search(r"^(mount|operation \d+|unmount): -", out, re.M), "a flush that fails is not told:\n" + out)
    tap.say("%s: %d blocks, faults met in %d runs" % (kind, len(blocks), met))
    check(met, "no fault was met")


def make_case(name, what, text):
    def case():
        what(name)
    case.__doc__ = text % name
    return case


for one in KINDS:
    globals()["test_cuts_" + one] = make_case(one, cuts, "power cuts while a machine works on %s")
    globals()["test_faults_" + one] = make_case(one, faults, "a disk that fails under a machine that works on %s")

if __name__ == "__main__":
    tap.main()
