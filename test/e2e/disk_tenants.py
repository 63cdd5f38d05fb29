#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two programs on one slow disk, each with an extent and a part of the disk's time, 3:1: what each gets, how long it waits.

The disk is slow because the emulator throttles it. A run is some seconds long; how long somebody waits at worst is looked
at again if it was too long, since this computer may have been elsewhere.

Time limit: 200 s
"""

import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, same

SCRATCH = tempfile.TemporaryDirectory()
IMAGE = os.path.join(SCRATCH.name, "disk.img")
TENANT = os.path.join(guest.build_dir(), "test", "guest", "disk_tenant.uni")
BEGIN, SECONDS = 1500, 6            # ms of the machine's clock; what the throttle has saved up is spent by then
TRIES = 3


def exo(*words):
    done = guest.exo(*words, timeout=100)
    same(done.returncode, 0, "exo %s\n%s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout


def run(disk, *programs):
    """{name: (blocks, us for half of them, us for 99 %)}; programs: (name, place, depth, shares)."""
    text = "[machine]\ndisk = %s,%s\ncpus = 2\n" % (IMAGE, disk)
    for number, (name, place, depth, shares) in enumerate(programs):
        mount = "extent = %s" % name if place.startswith("extent:") else "mount = /data cofs extent:%s ro,cache=64" % name
        text += "[program %s]\nimage = %s\nargs = %s %d %d %d\n%s\ndisk_shares = %d\ncpu = %d\n" % (
            name, TENANT, place, depth, BEGIN, BEGIN + SECONDS * 1000, mount, shares, number)
    path = os.path.join(SCRATCH.name, "lab.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    out = exo("run", "--timeout", "60", "--config", path)
    found = re.findall(r"^disk_tenant (\S+): (\d+) blocks, half within (\d+) us, 99 % within (\d+) us", out.replace("\r", ""), re.M)
    places = {place: name for name, place, *unused in programs}
    same(len(found), len(programs), "programs that said something:\n" + out)
    return {places[place]: tuple(map(int, rest)) for place, *rest in found}


def test_disk():
    """two extents: one holds a file system with a file of 16 MiB"""
    site = os.path.join(SCRATCH.name, "site")
    os.mkdir(site)
    with open(os.path.join(site, "big"), "wb") as file:
        file.write(os.urandom(16 << 20))
    exo("disk", "create", IMAGE, "64M", "--label", "meek:32M", "--label", "greedy:rest")
    exo("disk", "import", IMAGE, "meek", "--cofs", site)


def shares(disk):
    for left in reversed(range(TRIES)):
        got = run(disk, ("meek", "extent:meek", 8, 48), ("greedy", "extent:greedy", 32, 16))
        tap.say("%s: %d and %d blocks" % (disk, got["meek"][0], got["greedy"][0]))
        if 2.7 <= got["meek"][0] / got["greedy"][0] <= 3.3 or not left:
            break
    check(2.7 <= got["meek"][0] / got["greedy"][0] <= 3.3, "%d and %d blocks" % (got["meek"][0], got["greedy"][0]))


def test_shares():
    """both flood: blocks are done in the proportion of the shares, within 10 %"""
    shares("iops=200")


def test_shares_nvme():
    """the same on an NVM Express disk"""
    shares("iops=200,driver=nvme")


def patience(disk):
    """A program that reads a file, one block after the other, beside one that floods: how long it waits, beside alone."""
    file = ("meek", "/data/big", 1, 48)
    for left in reversed(range(TRIES)):
        alone = run(disk, file)["meek"]
        got = run(disk, file, ("greedy", "extent:greedy", 32, 16))
        tap.say("%s: 99 %% within %d us, %d us alone; half %d and %d; the flood got %d blocks, the file's reader %d (alone %d)" % (
            disk, got["meek"][2], alone[2], got["meek"][1], alone[1], got["greedy"][0], got["meek"][0], alone[0]))
        if got["meek"][2] <= 3 * alone[2] or not left:
            break
    check(got["meek"][2] <= 3 * alone[2], "it waited %d us, alone %d us" % (got["meek"][2], alone[2]))
    check(got["greedy"][0] > 100, "the other floods: %d blocks" % got["greedy"][0])


def test_patience():
    """beside a flood, a reader of files waits at most three times as long as alone (99 of 100 reads)"""
    patience("iops=200")


def test_patience_nvme():
    """the same on an NVM Express disk"""
    patience("iops=200,driver=nvme")


if __name__ == "__main__":
    tap.main(SCRATCH.cleanup)
