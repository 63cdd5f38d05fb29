#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Programs of two versions of the libOS posix run at once under one keeper, and talk; others are refused by name.

The versions are those of libos/posix/wire.h. In `make check` a program is marked with another version in its note, and
is otherwise the same. With EXO_TEST_LONG=1 a program is linked with the libOS as it was when its processes were of version
1.0, from the history of this tree; without that history the case is skipped.

Time limit: 900 s
"""

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import has, same

PROGRAM = os.path.join(guest.build_dir(), "test", "guest", "posix_versions.posix")
SOURCE = os.path.join(guest.SOURCE, "test", "guest", "posix_versions.c")
FIRST = "1edfb5d"               # the tree when all of the libOS was there and wire.h said 1.0
NOTE = struct.pack("<3I4s", 4, 16, 2, b"Exo\0")
work = tempfile.mkdtemp(prefix="exo-versions-")


def version_here():
    with open(os.path.join(guest.SOURCE, "libos", "posix", "wire.h"), encoding="utf-8") as file:
        text = file.read()
    return tuple(int(re.search(r"#define WIRE_%s\s+(\d+)" % name, text).group(1)) for name in ("MAJOR", "MINOR"))


def marked(name, major, minor):
    """A copy of the program whose note has that version."""
    with open(PROGRAM, "rb") as file:
        image = bytearray(file.read())
    at = image.find(NOTE)
    same(image.count(NOTE), 1, "notes of processes in the program")
    struct.pack_into("<2I", image, at + len(NOTE), major, minor)
    path = os.path.join(work, name)
    with open(path, "wb") as file:
        file.write(image)
    os.chmod(path, 0o755)
    return path


def run(program, *words):
    return guest.exo("run", "-q", "--timeout", "30", "-v", work + ":/v", program, "--", *words)


def talk(program, other):
    done = run(program, "talk", "/v/" + os.path.basename(other))
    same(done.returncode, 0, "status (%s)" % done.stdout)
    same(done.stdout.replace("\r", "").split("\n")[:-1], ["child: all is well", "parent: all is well"] * 2, "what they say")


def test_note():
    """a program's note has the version that wire.h says"""
    with open(PROGRAM, "rb") as file:
        image = file.read()
    same(struct.unpack_from("<2I", image, image.find(NOTE) + len(NOTE)), version_here(), "version")


def test_older():
    """a program marked as of an older minor version and a current one talk, either being the parent"""
    old, new = marked("old", version_here()[0], 0), marked("new", *version_here())
    talk(new, old)
    talk(old, new)


def test_refused():
    """one of another major version, or of a later minor one, is refused, and both versions are named"""
    major, minor = version_here()
    for version in ((major + 1, 0), (major, minor + 1)):
        other = marked("other", *version)
        done = run(PROGRAM, "try", "/v/other")
        words = "a program for processes of version %d.%d is refused: these are of %d.%d" % (*version, major, minor)
        has(done.stdout, words, "what is said")
        has(done.stdout, "exec: EINVAL", "what exec says")
    done = run(other, "try", "/v/other")
    same(done.returncode, 126, "status as process 1")
    has(done.stdout + done.stderr, words, "what is said of process 1")


def third_party():
    with open(os.path.join(guest.build_dir(), "Makefile"), encoding="utf-8") as file:
        found = re.search(r"^THIRD = (.*)$", file.read(), re.MULTILINE)
    return os.path.realpath(os.path.join(guest.build_dir(), found.group(1)))


def do(command, folder, **more):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          universal_newlines=True, env=dict(os.environ, **more))
    same(done.returncode, 0, "status of %s (%s)" % (command, done.stdout[-1500:]))


def first_version():
    """The program, linked with the libOS of the first version."""
    tree = os.path.join(work, "tree")
    if not shutil.which("autoreconf") or subprocess.run(
            ["git", "-C", guest.SOURCE, "cat-file", "-e", FIRST + "^{commit}"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=False).returncode:
        raise tap.Skip("the history of this tree is not here")
    os.mkdir(tree)
    do(["sh", "-c", "git -C '%s' archive %s | tar -x -C '%s'" % (guest.SOURCE, FIRST, tree)], work)
    do(["autoreconf", "-i"], tree)
    build = os.path.join(tree, "build")
    os.mkdir(build)
    do(["../configure", "-q", "--with-third-party=" + third_party()], build)
    do(["make", "-j2", "exo/exo.elf", "libos/posix/libposix.a", "libos/posix/libc.a", "libos/core/libcore.a"], build)
    path = os.path.join(work, "first")
    do([os.path.join(tree, "tools", "exo-cc"), "--libos=posix", "-O1", "-o", path, SOURCE], work, EXO_BUILD=build)
    return path


def test_first():
    """a program linked with the libOS of the first version, and one of today's, talk, either being the parent"""
    if not os.environ.get("EXO_TEST_LONG"):
        raise tap.Skip("only with EXO_TEST_LONG=1: it builds another tree")
    old, new = first_version(), marked("new", *version_here())
    with open(old, "rb") as file:
        image = file.read()
    same(struct.unpack_from("<2I", image, image.find(NOTE) + len(NOTE)), (1, 0), "its version")
    talk(new, old)
    talk(old, new)


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
