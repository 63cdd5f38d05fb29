# SPDX-License-Identifier: BSD-2-Clause
"""Extents of one disk: two programs at once and one extent that both may read, a reboot, power cuts while extents change.

Time limit: 240 s
"""

import array
import os
import random
import re
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
LOAD = os.path.join(guest.build_dir(), "test", "guest", "extent_load.uni")
IMAGE = os.path.join(SCRATCH.name, "disk.img")
WRITES = {"left": (11, 2400), "right": (23, 1200)}
chance = random.Random(int(os.environ.get("EXO_TEST_SEED", "3")))


def path(name):
    return os.path.join(SCRATCH.name, name)


def exo(*words, status=0, timeout=100):
    done = guest.exo(*words, timeout=timeout)
    same(done.returncode, status, "exo %s\n%s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout + done.stderr


def pattern(blocks):
    """What extent_load.c calls marked with salt 0."""
    words = array.array("I", [(block * 2654435761 + i) & 0xffffffff for block in range(blocks) for i in range(1024)])
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()


def conf(text):
    with open(path("lab.conf"), "w") as file:
        file.write("[machine]\ndisk = disk.img\ncpus = 2\n" + text)
    return path("lab.conf")


def program(name, args, lines=""):
    return "[program %s]\nimage = %s\nargs = %s\n%s\n" % (name, LOAD, args, lines)


def both(run):
    """Both programs at work, the run's number told to both."""
    text = ""
    for cpu, (name, (seed, writes)) in enumerate(WRITES.items()):
        text += program(name, "load %s %d %d %d" % (name, seed, writes, run), "cpu = %d\nextent = %s\nextent = %s\n"
                        "extent = meet shared\ndisk_shares = %d" % (cpu, name, "common read-only", 48 - 32 * cpu))
    return exo("run", "--timeout", "90", "--config", conf(text))


def test_two_at_once():
    """two programs write their extents at once and read a third, which they cannot write"""
    exo("disk", "create", IMAGE, "32M", *[word for label in ("left:8M", "right:8M", "common:4M", "meet:1M")
                                           for word in ("--label", label)])
    with open(path("common"), "wb") as file:
        file.write(pattern(1024))
    exo("disk", "import", IMAGE, "common", path("common"))
    out = both(1)
    for name in WRITES:
        has(out, name + ": ")
    same(out.count(" 0 wrong"), 2, "programs without a fault:\n" + out)


def test_reboot():
    """after a reboot each finds its extent, with all that was written; by UUID as well"""
    with open(IMAGE, "rb") as file:
        table = gpt.read(file, IMAGE)
    uuid = table.find("right").uuid
    for name, (seed, writes) in WRITES.items():
        label = "left" if name == "left" else uuid.upper() + " as right"
        out = exo("run", "--timeout", "60", "--config", conf(program("p", "check %s %d %d" % (name, seed, writes),
                                                                     "extent = %s read-only" % label)))
        has(out, " 0 wrong")
        out = exo("run", "--timeout", "60", "--config", conf(program("p", "check %s %d %d" % (name, seed + 1, writes),
                                                                     "extent = %s" % label)), status=1)
        check(" 0 wrong" not in out, "the check sees nothing")
    exo("disk", "export", IMAGE, "common", path("common.out"))
    with open(path("common"), "rb") as one, open(path("common.out"), "rb") as two:
        check(one.read() == two.read(), "the extent that may only be read has changed")


def test_refused():
    """who names what is not there, or another's, is told so before anything starts"""
    for lines, part in (("extent = lost", "no disk has one of this label"),
                        ("extent = left\ndisk_shares = 60\n[program q]\nimage = hello\nextent = right\ndisk_shares = 5",
                         "only 4 of the 64 of disk0 are left"),
                        ("extent = left\n[program q]\nimage = hello\nextent = %s as x" % _uuid("left"), "is program p's already")):
        has(exo("run", "--timeout", "20", "--config", conf("[program p]\nimage = hello\n%s\n" % lines), status=125), part)
    has(exo("run", "--timeout", "20", "--extent", "left", "hello", status=125), "the machine has no disk")
    with open(path("zero.img"), "wb") as file:
        file.truncate(8 << 20)
    has(exo("run", "--timeout", "20", "--disk", path("zero.img"), "--extent", "left", "hello", status=125),
        "there is no partition table (GPT)")


def _uuid(label):
    with open(IMAGE, "rb") as file:
        return gpt.read(file, IMAGE).find(label).uuid


def labels(image):
    """The labels on an image in memory."""
    with open(path("state.img"), "wb") as file:
        file.write(image)
    with open(path("state.img"), "rb") as file:
        return frozenset(e.label for e in gpt.read(file, "state").extents)


def test_cut():
    """the power goes while a program adds and removes extents: the table is always that before or after a change"""
    small = path("small.img")
    exo("disk", "create", small, "12M", "--label", "keep:1M")
    with open(small, "rb") as file:
        before = bytearray(file.read())
    rounds = 4
    log = path("writes.log")
    exo("run", "--timeout", "60", "--disk", "%s,log=%s" % (small, log), "--guest-disk", "whole", LOAD, "churn", str(rounds))
    entries = writelog.read(log)
    steps = [frozenset(["keep"])]
    for i in range(rounds):
        steps.append(steps[-1] | {"r%d" % i})
        if i >= 2:
            steps.append(steps[-1] - {"r%d" % (i - 2)})
    reached, cuts, sample = 0, 0, []
    for number, state in writelog.states(before, entries, chance):
        found = labels(state)
        check(found in steps, "cut at %d of %d: %s" % (number, len(entries), sorted(found)))
        check(steps.index(found) >= reached - 1, "cut at %d: a change is gone that was stable" % number)
        reached = max(reached, steps.index(found))
        cuts += 1
        if chance.random() < 0.02 and len(sample) < 3:
            sample.append((state, found))
    same(reached, len(steps) - 1, "changes seen")
    tap.say("%d cuts of %d entries" % (cuts, len(entries)))
    for state, found in sample:
        with open(path("booted.img"), "wb") as file:
            file.write(state)
        out = exo("run", "--timeout", "30", "--disk", path("booted.img"), "extents")
        same(frozenset(re.findall(r"^(\S+) +[0-9]+ +[0-9]+ +[0-9]+ ", out, re.M)), found, "what the guest finds")
        exo("run", "--timeout", "30", "--disk", path("booted.img"), "extents", "make", "after", "1M")
        exo("disk", "check", path("booted.img"))


def test_mounts():
    """files go from this computer into cofs and ext2, in the machine from one to the other, and out again, the same"""
    img, tree = path("mounts.img"), os.path.join(guest.SOURCE, "doc")
    exo("disk", "create", img, "64M", "--label", "old:24M", "--label", "own:24M:cofs")
    exo("disk", "import", img, "old", "--ext2", tree)
    exo("disk", "import", img, "own", "--cofs", tree)
    words = ["run", "--timeout", "30", "--disk", img, "--mount", "/old ext2 extent:old", "--mount", "/own cofs extent:own"]
    exo(*words, "cp", "/own/architecture.md", "/old/there.md")
    exo(*words, "cp", "/old/architecture.md", "/own/abi/back.md")
    out = exo(*words, "--extent", "old read-only", "cp", "/own/disk.md", "/old/never.md", status=1)
    check("never.md" in out and "ead-only" in out, out)
    for label, place in (("old", "there.md"), ("own", "abi/back.md")):
        exo("disk", "check", img, label)
        exo("disk", "export", img, label, path("out-" + label), "--files")
        with open(os.path.join(tree, "architecture.md"), "rb") as one, open(os.path.join(path("out-" + label), place), "rb") as two:
            check(one.read() == two.read(), "%s on %s differs" % (place, label))
        os.unlink(os.path.join(path("out-" + label), place))
        done = subprocess.run(["diff", "-r", "-x", "lost+found", tree, path("out-" + label)], check=False, stdout=subprocess.PIPE)
        same(done.stdout.decode(), "", "what differs from the tree")


def rule(sector, iotype="write"):
    """A rule for the emulator: this sector cannot be written."""
    with open(path("rules"), "w") as file:
        file.write('[inject-error]\nevent = "none"\niotype = "%s"\nerrno = "5"\nsector = "%d"\nonce = "off"\n'
                   'immediately = "off"\n' % (iotype, sector))
    return path("rules")


def test_failing_disk():
    """a table that cannot be written stays as it was; a block that cannot be is its own program's loss"""
    small = path("errors.img")
    exo("disk", "create", small, "12M", "--label", "keep:1M")
    for sector, status in ((12 * 2048 - 1, 1), (1, 1), (4096, 0)):
        disk = "%s,blkdebug=%s" % (small, rule(sector))
        out = exo("run", "--timeout", "30", "--disk", disk, "extents", "make", "more", "1M", status=status)
        check(bool(status) == ("cannot be written" in out), out)
        has(exo("run", "--timeout", "30", "--disk", small, "extents"), "keep")
    exo("disk", "check", small)
    with open(IMAGE, "rb") as file:
        extents = {e.label: e for e in gpt.read(file, IMAGE).extents}
    text = ""
    for cpu, (name, (seed, writes)) in enumerate(WRITES.items()):
        text += program(name, "load %s %d %d 7" % (name, seed, writes), "cpu = %d\nextent = %s\nextent = common read-only\n"
                        "extent = meet shared" % (cpu, name))
    file = conf(text)
    with open(file) as old:
        lines = old.read().replace("disk = disk.img", "disk = disk.img,blkdebug=%s" % rule(extents["right"].start // 512 + 800))
    with open(file, "w") as new:
        new.write(lines)
    out = exo("run", "--timeout", "60", "--config", file)
    has(out, "left: ")
    check(re.search(r"^left: .* 0 wrong", out, re.M) and not re.search(r"^right: .* 0 wrong", out, re.M), out)


if __name__ == "__main__":
    tap.main()
