#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Volumes of `common` as who may write all bytes of a domain would make them: directories in circles and in many places at
once, runs far behind each other, names that lead elsewhere, chains of tables. Looking at them ends, and nothing is written
outside of the folder.

Time limit: 60 s
"""

import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, same

SCRATCH = tempfile.TemporaryDirectory()
TOOL = os.path.join(guest.build_dir(), "tools", "exo-fs")
BLOCK, SECTOR, SECONDS = 4096, 512, 10
ROOT, TABLE, NODE, MAP, NAMES = 1, 2, 3, 4, 5
FILE, DIRECTORY = 1, 2
MAGIC, GENERATION = 0x6e6d6f63, 7


def slots(*all):
    """(block, type, count, first page) each, for sectors 1 and 2."""
    all = list(all) + [(0, 0, 0, 0)] * (62 - len(all))
    packed = [struct.pack("<IIII", b, t << 24 | c, at, 0) for b, t, c, at in all]
    return bytes(16) + b"".join(packed[:31]) + bytes(16) + b"".join(packed[31:])


def top(home, *owned):
    return struct.pack("<IIII", MAGIC, 1, home, GENERATION).ljust(SECTOR, b"\0") + slots(*owned)


def node(kind, parent, name, *owned, size=0, links=2):
    head = struct.pack("<IBBHIIIIIIQQ", GENERATION, kind, len(name), 0o755, links, 0, 0, parent, GENERATION, 0, size, 0)
    head = head.ljust(48 + 3 * 16 + 48, b"\0") + name.ljust(256, b"\0")
    return head.ljust(SECTOR, b"\0") + slots(*owned)


def names(*all):
    """(name, block, kind) each, in one sector."""
    sector = b""
    for i, (name, block, kind) in enumerate(all):
        sector += struct.pack("<IIBBBB", block, GENERATION, i, kind, len(name), 0) + name.ljust((len(name) + 3) & ~3, b"\0")
    check(len(sector) <= SECTOR, "they fit")
    return sector


def volume(blocks, count=256):
    """An image of blocks by number."""
    path = os.path.join(SCRATCH.name, "image")
    with open(path, "wb") as image:
        image.truncate(count * BLOCK)
        for number, data in blocks.items():
            image.seek(number * BLOCK)
            image.write(data.ljust(BLOCK, b"\0"))
    return path


def tree(entries, nodes):
    """A volume with one domain: entries of the root directory, and nodes by block."""
    blocks = {0: top(2, (1, TABLE, 1, 0)), 2: node(DIRECTORY, 0, b"", (3, NAMES, 1, 0)), 3: names(*entries)}
    blocks[1] = top(2, *[(number, NODE, 1, 0) for number in [2] + [n for n, data in nodes.items() if len(data) == 3 * SECTOR]])
    blocks.update(nodes)
    return volume(blocks)


def run(*words):
    done = subprocess.run((TOOL,) + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=SECONDS, check=False, encoding="utf-8", errors="replace")
    check(done.returncode in (0, 1), "exo-fs %s: %d\n%s" % (" ".join(words), done.returncode, done.stdout))
    return done.returncode, done.stdout


def look(image, faults=True):
    """Both ways to look at it end; the files that come out."""
    status, said = run("check", "common", image)
    same(status, int(faults), "status of check\n" + said)
    out = tempfile.mkdtemp(dir=SCRATCH.name)
    run("extract", "common", image, os.path.join(out, "in"))
    same(os.listdir(out), ["in"], "what is there")
    found = []
    for where, directories, files in os.walk(os.path.join(out, "in")):
        found += [os.path.relpath(os.path.join(where, name), os.path.join(out, "in")) for name in directories + files]
    check(len(found) < 100, "%d files came out" % len(found))
    return sorted(found)


def test_sound():
    """what this makes is a volume"""
    image = tree([(b"a", 10, DIRECTORY), (b"f", 12, FILE)], {
        10: node(DIRECTORY, 2, b"a", (11, NAMES, 1, 0), links=3), 11: names((b"b", 14, DIRECTORY)),
        12: node(FILE, 2, b"f", links=1), 14: node(DIRECTORY, 10, b"b")})
    with open(image, "r+b") as file:
        file.seek(2 * BLOCK)
        file.write(node(DIRECTORY, 0, b"", (3, NAMES, 1, 0), links=3))
    same(look(image, faults=False), ["a", "a/b", "f"], "files")


def test_circle():
    """a directory in itself"""
    image = tree([(b"a", 10, DIRECTORY)], {
        10: node(DIRECTORY, 2, b"a", (11, NAMES, 1, 0)), 11: names((b"b", 12, DIRECTORY), (b"root", 2, DIRECTORY)),
        12: node(DIRECTORY, 10, b"b", (13, NAMES, 1, 0)), 13: names((b"a", 10, DIRECTORY), (b"b", 12, DIRECTORY))})
    same(look(image), ["a", "a/b"], "files")


def test_bush():
    """forty directories, each with two names of the next: 2^40 paths"""
    nodes = {}
    for i in range(40):
        nodes[10 + 2 * i] = node(DIRECTORY, 8 + 2 * i if i else 2, b"x", (11 + 2 * i, NAMES, 1, 0))
        nodes[11 + 2 * i] = names((b"x", 12 + 2 * i, DIRECTORY), (b"y", 12 + 2 * i, DIRECTORY))
    same(look(tree([(b"x", 10, DIRECTORY)], nodes))[-1], "/".join("x" * 40), "the deepest")


def test_sparse():
    """a directory's pages, and a file's, 2^32 behind each other"""
    image = tree([(b"d", 10, DIRECTORY), (b"f", 14, FILE), (b"g", 16, FILE)], {
        10: node(DIRECTORY, 2, b"d", (11, NAMES, 1, 0), (12, NAMES, 1, 0xfffffff0), (13, NAMES, 1, 0xffffffff)),
        14: node(FILE, 2, b"f", (15, 0, 1, 0xffffffff), size=2**62, links=1), 16: node(FILE, 2, b"g", size=2**64 - 1, links=1)})
    same(look(image), ["d"], "files")


def test_names():
    """names that are none"""
    bad = (b"../evil", b"..", b".", b"/tmp/evil", b"a/b", b"z\0y")
    image = tree([(name, 10, FILE) for name in bad] + [(b"good", 10, FILE)], {10: node(FILE, 2, b"good", links=7)})
    same(look(image), ["good"], "files")


def test_domains():
    """a name of what another domain has"""
    blocks = {
        0: top(2, (1, TABLE, 1, 0), (20, TABLE, 1, 0)), 1: top(2, (2, NODE, 1, 0), (10, NODE, 1, 0), (11, NODE, 1, 0)),
        2: node(DIRECTORY, 0, b"", (3, NAMES, 1, 0), links=4), 3: names((b"mine", 10, FILE), (b"d", 11, DIRECTORY),
                                                                      (b"bob", 21, DIRECTORY)),
        10: node(FILE, 2, b"mine", links=1), 11: node(DIRECTORY, 2, b"d"),
        20: top(21, (21, NODE, 1, 0)), 21: node(DIRECTORY, 2, b"bob", (22, NAMES, 1, 0)),
        22: names((b"steal", 10, FILE), (b"d", 11, DIRECTORY), (b"up", 2, DIRECTORY))}
    same(look(volume(blocks)), ["bob", "d", "mine"], "files")


def test_chain():
    """thousands of tables, each in the next, from the end of the volume to its beginning"""
    last = 6000
    blocks = {0: top(2, (1, TABLE, 1, 0)), 1: top(2, (2, NODE, 1, 0), (last, TABLE, 1, 0)), 2: node(DIRECTORY, 0, b"")}
    for number in range(10, last + 1):
        blocks[number] = top(2, *([(number - 1, TABLE, 1, 0)] if number > 10 else []))
    same(look(volume(blocks, count=last + 10), faults=False), [], "files")


def test_claims():
    """blocks that two own, that are none, and maps of themselves"""
    for owned in ((3, NAMES, 1, 0), (250, 0, 0xffffff, 0), (0xffffffff, 0, 1, 0), (250, 0, 0, 0), (10, MAP, 1, 0), (1, TABLE, 1, 0),
                  (60, 255, 100, 0), (60, NAMES, 100, 5), (60, MAP, 100, 5)):
        look(tree([(b"f", 10, FILE)], {10: node(FILE, 2, b"f", (40, 0, 2, 0), (41, 0, 2, 1) if owned[0] == 3 else owned,
                                                size=100000, links=1)}), faults=owned[0] != 60)


def test_flipped():
    """bytes of metadata turned over, one by one"""
    image = tree([(b"a", 10, DIRECTORY), (b"f", 12, FILE)], {
        10: node(DIRECTORY, 2, b"a", (11, NAMES, 1, 0), links=3), 11: names((b"b", 14, DIRECTORY)),
        12: node(FILE, 2, b"f", (15, 0, 1, 0), links=1), 14: node(DIRECTORY, 10, b"b")})
    for block in (0, 1, 2, 3, 10, 11, 12):
        for at in list(range(0, 64, 5)) + list(range(528, 560, 3)):
            with open(image, "r+b") as file:
                file.seek(block * BLOCK + at)
                byte = file.read(1)[0]
                file.seek(block * BLOCK + at)
                file.write(bytes([byte ^ 0xff]))
                file.flush()
                run("check", "common", image)
                file.seek(block * BLOCK + at)
                file.write(bytes([byte]))


if __name__ == "__main__":
    tap.main()
