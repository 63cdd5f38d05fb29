#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A file system that programs have in common (libos/fs/common.h): two work in it at once, and see each other's files, while a
third, which may write its own directory, attacks; then everything is looked at after a reboot and on the host.

EXO_TEST_LONG=1: 10^5 attempts. Time limit: 200 s
"""

import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import Skip, check, same

SCRATCH = tempfile.TemporaryDirectory()
IMAGE = os.path.join(SCRATCH.name, "disk.img")
LONG = os.environ.get("EXO_TEST_LONG") == "1"
STEPS, ATTEMPTS = (1500, 100000) if LONG else (60, 2000)


def program(name):
    return os.path.join(guest.build_dir(), "test", "guest", name)


def exo(*words, status=0):
    done = guest.exo(*words, timeout=150)
    check(status is None or done.returncode == status, "exo %s: %d\n%s%s" % (" ".join(words), done.returncode, done.stdout, done.stderr))
    return (done.stdout + done.stderr).replace("\r", "")


def run(*sections, image=IMAGE, status=0):
    """sections: (name, program, args, lines)."""
    text = "[machine]\ndisk = %s\nmemory = 128M\n" % image
    for name, what, args, *lines in sections:
        text += "[program %s]\nimage = %s\nargs = %s\ncpu = 0\n%s\n" % (name, program(what), args, "\n".join(lines))
    path = os.path.join(SCRATCH.name, "common.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    return exo("run", "--timeout", "140", "--config", path, status=status)


def test_image():
    """exo disk makes one, with files"""
    site = os.path.join(SCRATCH.name, "site")
    os.mkdir(site)
    for name, size in (("empty", 0), ("small", 10), ("large", 300000)):
        with open(os.path.join(site, name), "wb") as file:
            file.write(os.urandom(size))
    exo("disk", "create", IMAGE, "32M", "--label", "data:16M")
    exo("disk", "import", IMAGE, "data", "--common", site)
    check("0 faults" in exo("disk", "check", IMAGE, "data"), "it is whole")
    if not LONG:
        return
    out = os.path.join(SCRATCH.name, "out")
    exo("disk", "export", IMAGE, "data", out, "--files")
    same(subprocess.run(["diff", "-r", site, out], check=False).returncode, 0, "what comes out")


def test_together():
    """two programs, of uni and of posix, work in one tree, a third attacks"""
    said = run(("alice", "in_common.uni", "work /data %d 1 /data/bob" % STEPS, "mount = /data common extent:data share=bob,share=mallory",
                "serve = bob", "serve = mallory"),
               ("bob", "in_common.posix", "work /data %d 2" % STEPS, "mount = /data common share:data/bob", "use = bob"),
               ("mallory", "in_common_attack.uni", "mallory %d" % ATTEMPTS, "mount = /data common share:data/mallory", "use = mallory"))
    for words in ("in_common: /data: %d steps" % STEPS, "in_common: /data/bob: "):
        check(words in said, "\"%s\" is missing:\n%s" % (words, said))
    found = re.search(r"(\d+) attempts, (\d+) let through, (\d+) that must not be", said)
    check(found, "the attacker says nothing:\n" + said)
    tap.say(found.group(0))
    same(found.group(3), "0", said)
    check("takes a name: 0" in said, said)


def test_reboot():
    """after a reboot it is all there"""
    said = run(("alice", "in_common.uni", "check /data /data/bob", "mount = /data common extent:data"))
    same(len(re.findall("files are what the list says", said)), 2, said)


def test_name():
    """who calls his domain by the name of one that is to come is not taken for it"""
    run(("alice", "in_common.uni", "wait /data/carol", "mount = /data common extent:data share=carol", "serve = carol"),
        ("carol", "in_common.uni", "work /data 5 2", "mount = /data common share:data/carol", "use = carol"))
    out = os.path.join(SCRATCH.name, "names")
    exo("disk", "export", IMAGE, "data", out, "--files")
    check(os.path.exists(os.path.join(out, "carol", "list")), "carol has a directory of her own")
    check(not os.path.exists(os.path.join(out, "mallory", "list")), "and not mallory's")


def test_maker():
    """who is given something else than a volume does not take it; a maker who unmounts has his frames back"""
    exo("disk", "create", "--force", IMAGE + "2", "16M", "--label", "data:8M")
    site = os.path.join(SCRATCH.name, "nothing")
    os.makedirs(site, exist_ok=True)
    exo("disk", "import", IMAGE + "2", "data", "--common", site)
    said = run(("maker", "in_common_maker.uni", "make bob", "extent = data", "serve = bob"),
               ("bob", "in_common_maker.uni", "take bob", "mount = /data common share:data/bob", "use = bob"), image=IMAGE + "2")
    for words in ("7 of 7 refused, 0 slots kept", "unmounted, 0 frames", "gone: an error, then an error, and an error"):
        check(words in said, "\"%s\" is missing:\n%s" % (words, said))


def hogged(share):
    """Two work while a third has taken what it got of a fresh volume, under that share: what it got, and what was said."""
    image = IMAGE + "3"
    site = os.path.join(SCRATCH.name, "nothing")
    os.makedirs(site, exist_ok=True)
    exo("disk", "create", "--force", image, "16M", "--label", "data:8M")
    exo("disk", "import", image, "data", "--common", site)
    said = run(("alice", "in_common.uni", "work /data %d 1 /data/bob" % STEPS,
                "mount = /data common extent:data share=bob,share=mallory" + share, "serve = bob", "serve = mallory"),
               ("bob", "in_common.posix", "work /data %d 2" % STEPS, "mount = /data common share:data/bob", "use = bob"),
               ("mallory", "in_common_hog.uni", "mallory 4", "mount = /data common share:data/mallory", "use = mallory"),
               image=image, status=None)
    found = re.search(r"(\d+) of (\d+) blocks, (\d+) of (\d+) buffers, refused (\d+) times", said)
    check(found, "the hog says nothing:\n" + said)
    return [int(n) for n in found.groups()], said


def test_hog():
    """a program that takes all blocks and buffers of its domain, and writes all back for ever, gets its share, and holds up nobody"""
    (blocks, all_blocks, buffers, all_buffers, refused), said = hogged("")
    tap.say("%d of %d blocks, %d of %d buffers" % (blocks, all_blocks, buffers, all_buffers))
    check(blocks <= all_blocks / 3 and buffers <= all_buffers / 3 and refused, said)
    check(blocks >= all_blocks / 4 and buffers >= all_buffers / 4, "it does not get its share:\n" + said)
    for words in ("in_common: /data: %d steps" % STEPS, "in_common: /data/bob: "):
        check(words in said, "\"%s\" is missing:\n%s" % (words, said))
    (less, _, _, _, _), said = hogged(":1M")
    check(less <= 256, "it has more than it was given:\n" + said)
    check("in_common: /data: %d steps" % STEPS in said, said)


def test_host():
    """and on the host"""
    if not LONG:
        raise Skip("with EXO_TEST_LONG=1 only")
    out = os.path.join(SCRATCH.name, "after")
    said = exo("disk", "check", IMAGE, "data", status=None)     # what the attacker has made of its own domain is a fault
    check("faults" in said, said)
    exo("disk", "export", IMAGE, "data", out, "--files")
    for name in ("bob/list", "list", "bob/done", "large"):
        check(os.path.exists(os.path.join(out, name)), name)


if __name__ == "__main__":
    tap.main(SCRATCH.cleanup)
