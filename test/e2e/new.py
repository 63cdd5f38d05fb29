# SPDX-License-Identifier: BSD-2-Clause
"""exo new: what it makes builds, runs and passes its own test; and what it refuses.

Time limit: 200 s
"""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

work = tempfile.mkdtemp(prefix="exo-new-")
EXO = os.path.join(guest.SOURCE, "tools", "exo")
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
ENV["EXO_BUILD"] = os.path.abspath(guest.build_dir())


def new(*words, status=0):
    done = subprocess.run([EXO, "new", *words], cwd=work, env=ENV, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
    same((done.returncode, done.stdout), (status, ""), "exo new %s (%s)" % (" ".join(words), done.stderr))
    return done.stderr


def make(name, *words):
    done = subprocess.run(["make", "-s", *words], cwd=os.path.join(work, name), env=ENV, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    same(done.returncode, 0, "make %s: %s" % (" ".join(words), done.stdout))
    return done.stdout


def variants():
    """The libOSes that there are here."""
    place = os.path.join(ENV["EXO_BUILD"], "libos")
    return [name for name in ("uni", "posix", "dataplane", "event")
            if os.path.isfile(os.path.join(place, name, "lib%s.a" % name))]


def test_app():
    """exo new app: built, run and checked with each libOS there is"""
    for libos in variants():
        new("app", "a-" + libos, "--libos=" + libos)
        said = make("a-" + libos, "check")
        check("ok - " in said and "not ok" not in said, said)
        make("a-" + libos, "clean")
        same(sorted(os.listdir(os.path.join(work, "a-" + libos))),
             [".gitignore", "Makefile", "README", "a-%s.c" % libos, "check"], "files after make clean")
    has(make("a-uni", "run", "ARGS=-- Ada"), "hello, Ada")


def test_libos():
    """exo new libos: its faults, slices and packets; a test that sees what is broken"""
    new("libos", "mine")
    same(make("mine", "check").count("ok - "), 3, "cases")
    path = os.path.join(work, "mine", "mine.c")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace("faults++", "faults += 9"))
    done = subprocess.run(["make", "-s", "check"], cwd=os.path.join(work, "mine"), env=ENV, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    check(done.returncode and "not ok - page faults, no more" in done.stdout, done.stdout)


def test_blocks():
    """exo new libos --blocks: a store over TCP"""
    new("libos", "store", "--blocks")
    same(make("store", "check"), "ok - a file\n", "the test")


def test_errors():
    """existing directories, bad names and kinds are refused, with the mend; nothing is left behind"""
    before = sorted(os.listdir(work))
    os.makedirs(os.path.join(work, "there"))
    for words, parts in ((("app", "there"), ("is there already",)), (("app", "9x"), ("name 9x", "write a letter")),
                         (("app", "a b"), ("name a b",)), (("app", "x" * 16), ("at most 15",)),
                         (("app", "no/x"), ("no: there is no such directory", "mkdir -p no")),
                         (("lib", "x"), ("the nearest known one is libos",)), ((), ("exo new app NAME",)),
                         (("app",), ("takes one name",)), (("app", "x", "--libos=unix"), ("libOS unix", "uni")),
                         (("libos", "x", "--libos=uni"), ("option --libos",)), (("app", "address"), ("a meaning already",)),
                         (("app", "x", "--lib=uni"), ("--libos",))):
        said = new(*words, status=125)
        same(said.count("\n"), 1, "lines of %r" % said)
        for part in parts:
            has(said, part)
    os.rmdir(os.path.join(work, "there"))
    same(sorted(os.listdir(work)), before, "what is there")


def test_missing():
    """a computer without a compiler is told of it; the directory is made all the same"""
    bare = os.path.join(work, "bin")
    os.mkdir(bare)
    os.symlink(shutil.which("python3"), os.path.join(bare, "python3"))
    done = subprocess.run([sys.executable, EXO, "new", "app", "alone"], cwd=work, env=dict(ENV, PATH=bare), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False)
    same(done.returncode, 0, "exit status")
    has(done.stderr, "gcc is not installed, which compiling it needs: exo doctor says how to get it")
    check(os.path.isfile(os.path.join(work, "alone", "alone.c")), "it is made")


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
