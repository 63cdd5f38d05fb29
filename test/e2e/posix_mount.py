# SPDX-License-Identifier: BSD-2-Clause
"""Mounting while processes run: extents, images, hostile ones, under open files, by the tools mount and umount.

Time limit: 400 s
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

sys.path.insert(0, os.path.join(guest.SOURCE, "tools"))
from exolib import gpt  # noqa: E402

SCRATCH = tempfile.TemporaryDirectory()
PROGRAM = os.path.join(guest.build_dir(), "test", "guest", "posix_mount.posix")
chance = random.Random(int(os.environ.get("EXO_TEST_SEED", "5")))


def path(*names):
    return os.path.join(SCRATCH.name, *names)


def exo(*words, status=0, timeout=300):
    done = guest.exo(*words, timeout=timeout)
    same(done.returncode, status, "exo %s\n%s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout + done.stderr


def tool(*words):
    program = shutil.which(words[0], path="/sbin:/usr/sbin:" + os.environ["PATH"])
    check(program, "%s: e2fsprogs are needed" % words[0])
    done = subprocess.run([program, *words[1:]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)


def uuid(label):
    with open(path("disk.img"), "rb") as file:
        return gpt.read(file, label).find(label).uuid


def nest():
    """An image "deep" with an image "deep" in it, and so on: six."""
    os.mkdir(path("nest"))
    write(path("nest", "hello"), b"hello\n")
    for level in range(6):
        same(tool("mke2fs", "-q", "-t", "ext2", "-O", "none,filetype,sparse_super", "-b", "1024", "-N", "16", "-m", "0", "-d",
                  path("nest"), path("image"), "%dk" % (160 + 60 * level))[0], 0, "mke2fs")
        os.replace(path("image"), path("nest", "deep"))
    shutil.copy(path("nest", "deep"), path("v", "deep"))


def prepare():
    os.mkdir(path("tree"))
    write(path("tree", "hello"), b"hello\n")
    os.makedirs(path("tree", "a", "b"))
    for i in range(12):
        write(path("tree", "a", "file%d" % i), chance.randbytes(i * 3000))
    os.symlink("../hello", path("tree", "a", "link"))
    labels = ("two:8M", "three:8M", "read:4M", "bad:1M", "small:2M")
    exo("disk", "create", path("disk.img"), "32M", *[word for label in labels for word in ("--label", label)])
    for name, kind in (("two", "ext2"), ("three", "cofs"), ("read", "ext2")):
        exo("disk", "import", path("disk.img"), name, "--" + kind, path("tree"))
    os.mkdir(path("v"))
    for name in ("mount", "umount"):
        shutil.copy(os.path.join(guest.build_dir(), "apps", name, name + ".posix"), path("v", name))
    same(tool("mke2fs", "-q", "-t", "ext2", "-O", "none,filetype,sparse_super", "-b", "1024", "-d",
              path("tree"), path("v", "image"), "512k")[0], 0, "mke2fs")
    nest()
    exo("disk", "import", path("disk.img"), "small", "--cofs", path("tree"))
    exo("disk", "export", path("disk.img"), "small", path("v", "cofs"))


def machine(*more):
    extents = ("two", "three", "read read-only", "bad", uuid("read") + " read-only as again")
    return ("--memory", "128M", "--timeout", "250", "--disk", path("disk.img"),
            *[word for extent in extents for word in ("--extent", extent)], *more)


def test_all():
    """every documented error, what works, what is in use, others at work, hostile images"""
    said = exo("run", *machine("-v", path("v") + ":/v"), PROGRAM, "--", str(chance.randrange(1 << 31)))
    check("not ok" not in said, said)
    has(said, "1..", "the end")
    sys.stdout.write("".join("# %s\n" % line for line in said.splitlines() if "hostile" in line or "times" in line))


def test_what_is_left():
    """what was written is on the disk, and in order"""
    exo("disk", "export", path("disk.img"), "two", path("two"))
    code, said = tool("e2fsck", "-f", "-n", path("two"))
    same(code, 0, said)
    exo("disk", "check", path("disk.img"), "three")


if __name__ == "__main__":
    prepare()
    tap.main()
