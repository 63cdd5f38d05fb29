#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Bad input at the start: archives, configurations and program images. A clear line, status 125, nothing hangs.

The runner checks most of this before it boots anything, so modules are made by hand here and given to `exo run
--module`: what judges them is the machine itself. One image in a few hundred damaged ones is booted; the rest is
test/unit/elf's.

Time limit: 180 s
"""

import atexit
import io
import os
import random
import re
import shutil
import struct
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

LONG = bool(os.environ.get("EXO_TEST_LONG"))
DAMAGED = 300 if LONG else 8
LIMIT = 20                              # seconds for a machine that should end at once
tree = tempfile.mkdtemp(prefix="exo-bad-start-")


def built(path):
    with open(os.path.join(guest.build_dir(), path), "rb") as file:
        return file.read()


INIT = built("apps/init/init.elf")
HELLO = built("apps/hello/hello.uni")
HTTPD = built("apps/httpd/httpd.uni")
CONFIG = "[machine]\nmemory = 16M\n[program hello]\nimage = hello\n"


def archive(config=CONFIG, more=(), hello=HELLO):
    """A boot archive; more: (name, content) pairs."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        files = [("bin/hello.uni", hello)] + list(more)
        if config is not None:
            files.insert(0, ("etc/exo.conf", config.encode()))
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def boot(tar, first=INIT, memory="16M", net="none"):
    """Boot the first program with this archive behind it; returns (status, console and messages)."""
    path = os.path.join(tree, "boot.mod")
    with open(path, "wb") as file:
        file.write(first + bytes(-len(first) % 4096) + tar)
    begin = time.monotonic()
    done = guest.exo("run", "--timeout", LIMIT, "-m", memory, "--net", net, "--module", path, timeout=LIMIT + 20)
    check(done.returncode != 124, "hangs:\n" + done.stdout + done.stderr)
    check(time.monotonic() - begin < LIMIT, "took %.1f s" % (time.monotonic() - begin))
    return done.returncode, done.stdout + done.stderr


def refused(tar, *parts, status=125, **how):
    """The machine refuses it, in one line that has all the parts."""
    got, text = boot(tar, **how)
    same(got, status, "status, with console %r," % text[-400:])
    lines = [line for line in text.splitlines() if all(part in line for part in parts)]
    check(len(lines) == 1, "lines with %r in:\n%s" % (parts, text))
    check(len(lines[0]) < 300 and "??" not in lines[0], "the line is not clear: " + lines[0])
    return lines[0]


def test_good():
    """the module that all others are made from works"""
    status, text = boot(archive())
    same(status, 0, "status, with console %r," % text)


def test_archive():
    """archives that are missing, cut off, damaged"""
    good = archive()
    refused(b"", "init: ", "no archive")
    refused(good[:100], "init: boot archive, at byte ")
    refused(good[:1024 + 700], "init: boot archive, at byte ")
    refused(good[:1536 + 4096], "init: boot archive, at byte ")
    damaged = bytearray(good)
    damaged[3] ^= 0x20
    refused(bytes(damaged), "init: boot archive, at byte 0", "checksum")
    damaged = bytearray(good)
    damaged[1024 + 125] = ord("7")      # a length that leads far out
    refused(bytes(damaged), "init: boot archive, at byte ")
    refused(random.Random(5).randbytes(8192), "init: boot archive, at byte 0")
    refused(archive(config=None), "init: the boot archive has no etc/exo.conf")
    refused(archive(config=None, more=[("etc/exo.conf/x", b"")]), "init: the boot archive has no etc/exo.conf")
    refused(archive(config=CONFIG + "#" * 20000 + "\n"), "init: etc/exo.conf: longer than ")


def test_configuration():
    """mistakes in the configuration: line and nearest word; the runner says the same before it boots"""
    program = "[program hello]\nimage = hello\n"
    two = "[program a]\nimage = hello\nnet = %s\nport = tcp/80\n[program b]\nimage = hello\nnet = %s\nport = tcp/80\n"
    for text, line, parts in (
            (program + "memroy = 8M\n", 3, ["memroy", "memory"]),
            (program + "[progam x]\n", 3, ["progam", "program"]),
            (program + "net = onw\n", 3, ["onw", "own"]),
            ("[machine]\ncpuss = 2\n" + program, 2, ["cpuss", "cpus"]),
            (program + "memory = lots\n", 3, ["lots"]),
            (program + "port = 80\n", 3, ["PROTOCOL/PORT"]),
            (program + "net = own\nport = tcp/70000\n", 4, ["65535"]),
            (program + "nonsense\n", 3, []),
            (program + "main = perhaps\n", 3, ["perhaps"]),
            (two % ("own", "share"), 8, ["belongs already to program a"]),
            (program + program, 3, ["hello"]),
            ("image = hello\n", 1, []),
            ("", 1, []),
            (program + "args = \"never closed\n", 3, ["quote"]),
            (program + "\xe9\0\1\n", 3, [])):
        refused(archive(config=text), "init: etc/exo.conf:%d:" % line, *parts)
        path = os.path.join(tree, "wrong.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = guest.exo("run", "--timeout", LIMIT, "--config", path)
        same(done.returncode, 125, "the runner's status for %r" % text)
        for part in [p for p in parts if " " not in p] + (["%s:%d" % (path, line)] if line > 1 else []):
            has(done.stderr, part, "what the runner says about %r" % text)
    refused(archive(config="[program x]\nimage = nothere\n"), "init: program x: ", "bin/nothere.uni")


def test_limits():
    """too little memory for a program, or for the machine; an address shared that nobody holds; no network"""
    text = "[program web]\nimage = httpd\nmemory = %dK\n"
    httpd = [("bin/httpd.uni", HTTPD)]
    line = refused(archive(config=text % 64, more=httpd), "init: program web: a limit of 64 KiB is too small", "at least ")
    least = int(re.search("at least ([0-9]+) KiB", line).group(1))
    check(64 < least < 4096, line)
    refused(archive(config=text % (least - 4), more=httpd), "init: program web: a limit of %d KiB is too small" % (least - 4))
    got, said = boot(archive(config=text % least, more=httpd))
    check(got not in (125, 126) and "too small" not in said, "with the least: status %d\n%s" % (got, said))
    net = "[program hello]\nimage = hello\nnet = %s\nport = tcp/80\n"
    refused(archive(config=net % "share"), "init: ", "hello", "net = own", net="user")
    refused(archive(config=net % "own"), "init: program hello: the machine has no network device")
    big = archive(more=[("data", bytes(3 << 20))])
    got, text = boot(big, memory="4M")
    check(got in (125, 126) and re.search("memory", text), "3 MiB in a machine of 4 MiB: status %d\n%s" % (got, text))


def test_abi():
    """an image for another interface of the kernel: both versions are named"""
    at = HELLO.find(b"Exo\0")
    check(at > 0, "hello has no note about its interface")
    major, minor = struct.unpack_from("<II", HELLO, at + 4)
    for other in ((major + 7, minor), (major, minor + 1)):
        image = bytearray(HELLO)
        struct.pack_into("<II", image, at + 4, *other)
        refused(archive(hello=bytes(image)), "init: program hello: ", "%d.%d" % other, "%d.%d" % (major, minor))
    image = bytearray(HELLO)
    struct.pack_into("<Q", image, at + 12, 1 << 40)
    refused(archive(hello=bytes(image)), "init: program hello: ", "features")
    image[at:at + 4] = b"Nix\0"
    refused(archive(hello=bytes(image)), "init: program hello: ", "note", "exo-cc")


def patched(offset, layout, value):
    image = bytearray(HELLO)
    struct.pack_into(layout, image, offset, value)
    return bytes(image)


def segment(number):
    """The offset of the header of a loaded segment."""
    phoff, = struct.unpack_from("<Q", HELLO, 32)
    count, = struct.unpack_from("<H", HELLO, 56)
    loads = [phoff + 56 * i for i in range(count) if struct.unpack_from("<I", HELLO, phoff + 56 * i)[0] == 1]
    return loads[number]


def header(kind):
    """The offset of the first program header of this kind."""
    phoff, count = struct.unpack_from("<Q", HELLO, 32)[0], struct.unpack_from("<H", HELLO, 56)[0]
    return next(at for at in (phoff + 56 * i for i in range(count)) if struct.unpack_from("<I", HELLO, at)[0] == kind)


def tag(number):
    """The offset of an entry's value in the dynamic section."""
    start, = struct.unpack_from("<Q", HELLO, header(2) + 8)
    return next(at + 8 for at in range(start, start + 4096, 16) if struct.unpack_from("<Q", HELLO, at)[0] == number)


def test_relocations():
    """dynamic sections and relocations that lie: refused by name, with the reason"""
    dynamic, protect = header(2), header(0x6474e552)
    table, = struct.unpack_from("<Q", HELLO, tag(7))            # addresses of the first segment are offsets
    for image, reason in (
            (patched(protect, "<I", 2), "more than one dynamic section"),
            (patched(dynamic + 8, "<Q", 1 << 60), "outside the file"),
            (patched(dynamic + 32, "<Q", 32), "no end"),
            (patched(tag(7), "<Q", 1 << 40), "table of relocations"),
            (patched(tag(8), "<Q", 25), "relocations of unknown size"),
            (patched(tag(8), "<Q", 24 << 30), "too many relocations"),
            (patched(tag(9), "<Q", 16), "relocations of unknown size"),
            (patched(tag(9) - 8, "<Q", 1), "shared libraries"),
            (patched(tag(9) - 8, "<Q", 22), "relocations of its text"),
            (patched(table + 8, "<Q", 37), "base plus addend"),
            (patched(table, "<Q", 0x3000), "word of data"),
            (patched(table, "<Q", 1 << 63), "word of data"),
            (patched(table, "<Q", struct.unpack_from("<Q", HELLO, table + 24)[0]), "ascending order"),
            (patched(protect + 40, "<Q", 1 << 30), "part to protect"),
            (patched(protect + 16, "<Q", 0x3000 + struct.unpack_from("<Q", HELLO, protect + 16)[0] % 4096),
             "part to protect")):
        refused(archive(hello=image), "init: program hello: ", reason)


def test_images():
    """images that are cut off or whose headers lie: refused by name, with the reason"""
    first, second = segment(0), segment(1)
    for image in (b"", b"\x7f", b"#!/bin/sh\nexit\n", HELLO[:63], HELLO[:64], HELLO[:100], HELLO[:4096],
                  patched(4, "<B", 1), patched(5, "<B", 2), patched(16, "<H", 2), patched(16, "<H", 1),
                  patched(18, "<H", 183), patched(32, "<Q", 1 << 63), patched(54, "<H", 32), patched(56, "<H", 0),
                  patched(56, "<H", 65535), patched(24, "<Q", 0), patched(24, "<Q", 0xffffffff80000000),
                  patched(first + 8, "<Q", (1 << 64) - 4096), patched(second + 16, "<Q", 0),
                  patched(first + 16, "<Q", 0xffffffff80000000), patched(first + 32, "<Q", 1 << 62),
                  patched(first + 40, "<Q", 0), patched(first + 40, "<Q", (1 << 64) - 1), patched(first + 4, "<I", 7),
                  patched(second + 16, "<Q", struct.unpack_from("<Q", HELLO, first + 16)[0]),
                  patched(second + 40, "<Q", 600 << 20)):
        refused(archive(hello=image), "init: program hello: ")


def test_damaged():
    """images with a few damaged bytes in their headers: refused, or they run and end on their own account"""
    chance = random.Random(1)
    seen = {}
    for unused in range(DAMAGED):
        image = bytearray(HELLO)
        for again in range(chance.randrange(1, 5)):
            at = chance.randrange(32, 64 + 56 * 5)
            image[at] = chance.randrange(256)
        status, text = boot(archive(hello=bytes(image)))
        check(status in (0, 125) or 128 <= status < 160, "status %d:\n%s" % (status, text))
        if status == 125:
            has(text, "init: program hello: ")
        seen[status] = seen.get(status, 0) + 1
    tap.say("statuses: %r" % seen)


def test_first_program():
    """a first program that is no program: the kernel says so and stops"""
    for first in (b"", b"no ELF at all", INIT[:64], INIT[:4096], b"\x7fELF" + bytes(4092)):
        status, text = boot(archive() if len(first) == 13 else b"", first=first)
        check(status in (125, 126), "status %d:\n%s" % (status, text))
        check(re.search("module|image|ELF", text), "no clear line:\n" + text)


atexit.register(shutil.rmtree, tree, True)
if __name__ == "__main__":
    tap.main()
