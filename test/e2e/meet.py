#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Programs of one machine find each other through the directory, as their configuration says: serve, use.

Time limit: 60 s
"""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import same

MEET = os.path.join(guest.build_dir(), "test", "guest", "meet.uni")
work = tempfile.mkdtemp(prefix="exo-meet-")


def run(*programs):
    """What the last of these programs prints: name, arguments and further keys of each."""
    path = os.path.join(work, "exo.conf")
    with open(path, "w", encoding="ascii") as file:
        for name, args, keys in programs:
            file.write("[program %s]\nimage = %s\nargs = %s\n%s\n" % (name, MEET, args, keys))
        file.write("main = yes\n")
    done = guest.exo("run", "-t", 30, "--config", path)
    same(done.returncode, 0, "status (%s%s)" % (done.stdout, done.stderr))
    return done.stdout.split("\n")[:-1]


def test_meet():
    """whoever uses a label calls who serves it, by the label's badge; what nobody serves is not there"""
    server = ("server", "serve", "serve = clock\nserve = wall.clock")
    other = ("other", "serve", "serve = echo")
    same(run(server, other, ("reader", "ask clock wall.clock echo clo clocks", "use = clock\nuse = echo")),
         ["clock: 1", "wall.clock: 2", "echo: 1", "clo: CAP", "clocks: CAP"], "answers")


def test_not_asked_for():
    """who does not say that it uses something gets no directory"""
    same(run(("server", "serve", "serve = clock"), ("reader", "ask clock", "")), ["no directory"], "answers")


def test_leave():
    """who ends is in the directory no more; the entry that was taken leads to nobody"""
    same(run(("server", "serve 300", "serve = clock"), ("reader", "ask clock leave", "use = clock")),
         ["clock: 1", "withdrawn: CAP", "still held: DEAD"], "answers")


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
