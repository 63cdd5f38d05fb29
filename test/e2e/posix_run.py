# SPDX-License-Identifier: BSD-2-Clause
"""exo run of a program of the libOS posix: arguments, files, how it ends, and what ps shows.

Time limit: 120 s
"""

import os
import random
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

PROGRAM = os.path.join(guest.build_dir(), "test", "guest", "posix_role.posix")


def run(*words, options=()):
    return guest.exo("run", "--timeout", "30", *options, PROGRAM, "--", *words)


def test_arguments():
    """it is process 1 and has its arguments, blanks and all; nothing of the keeper's is in its environment"""
    done = run("a b", "", "'c'")
    same(done.returncode, 0, "status")
    has(done.stdout, "pid 1: [/bin/posix_role] [a b] [] ['c']", "arguments")
    check("KEEPER" not in done.stdout and "EXO_" not in done.stdout, "the keeper's variables: " + done.stdout)


def test_ends():
    """threads that end and wait while another one waits for a disk: none sleeps on"""
    with tempfile.TemporaryDirectory() as folder:
        disk = os.path.join(folder, "disk.img")
        os.mkdir(os.path.join(folder, "data"))
        for words in (("create", disk, "20M", "--label", "data:16M"), ("import", disk, "data", "--ext2", os.path.join(folder, "data"))):
            same(guest.exo("disk", *words).returncode, 0, "status of exo disk " + words[0])
        done = guest.exo("run", "-q", "--timeout", "60", "--disk", disk, "--mount", "/data ext2 extent:data",
                         os.path.join(guest.build_dir(), "test", "guest", "posix_ends.posix"))
    check(done.returncode == 0 and "1..5" in done.stdout and "not ok" not in done.stdout, done.stdout + done.stderr)


def test_shows():
    """top shows the processes, mount what is mounted; both say what they cannot do"""
    def app(name, *words):
        return guest.exo("run", "-q", "--timeout", "20", os.path.join(guest.build_dir(), "apps", name, name + ".posix"), "--",
                         *words)
    done = app("top", "-b", "-n", "1")
    same(done.returncode, 0, "status of top")
    has(done.stdout, "1 processes, 1 running", "how many there are")
    check(re.search(r"^ +1 +0 \S+ +R +\d+\.\d +0:00 top", done.stdout, re.MULTILINE), "itself: " + done.stdout)
    done = app("mount")
    same(done.returncode, 0, "status of mount")
    has(done.stdout, "memory on /tmp type memory (rw)", "what is mounted")
    same(app("mount", "/dev/a", "/b").returncode, 1, "status when it cannot mount")
    same(app("mount", "-x").returncode, 2, "status of wrong words")


def test_status():
    """its exit status is the run's, and 128 and the number of a signal that ended it"""
    same(run("exit", "0").returncode, 0, "exit 0")
    same(run("exit", "7").returncode, 7, "exit 7")
    same(run("kill", "9").returncode, 137, "SIGKILL")
    same(run("kill", "15").returncode, 143, "SIGTERM")
    done = run("fault")
    same(done.returncode, 139, "a bad address")
    has(done.stdout, "posix_role: process 1 was ended by signal 11", "what is said of it")


def test_memory():
    """a process can have most of the machine's memory, and malloc says when there is no more"""
    for size, least in (("16M", 8), ("64M", 48)):
        done = run("eat", options=("-m", size))
        same(done.returncode, 0, "status with " + size)
        check(int(done.stdout.split()[-1]) >= least, "MiB of %s: %s" % (size, done.stdout))


def test_input():
    """what is no terminal comes as it is, whole and with an end; with -i it is the console's"""
    sent = random.Random(7).randbytes(50000)
    value = 0
    for byte in sent:
        value = (value * 31 + byte) % (1 << 32)
    with tempfile.TemporaryFile() as file:
        file.write(sent)
        file.seek(0)
        done = guest.exo("run", "--timeout", "30", PROGRAM, "--", "sum", stdin=file)
    same(done.stdout.splitlines()[-1:], ["%d bytes, sum %d, no terminal" % (len(sent), value)], "a file")
    same(run("sum").stdout.splitlines()[-1:], ["0 bytes, sum 0, no terminal"], "nothing")
    has(run("sum", options=("-i",)).stdout, "0 bytes, sum 0, a terminal", "-i")


def test_children():
    """with process 1 all others end"""
    same(run("parent").returncode, 4, "status")


def test_files():
    """the boot archive with what -v gave it, and memory where it can be written"""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "text"), "w", encoding="ascii") as file:
            file.write("from the host\n")
        same(run("show", "/data/text", options=("-v", folder + ":/data")).stdout, "from the host\n", "a volume's file")
        same(run("show", "/text", options=("-v", folder)).stdout, "from the host\n", "at the root")
        os.mkdir(os.path.join(folder, "bin"))
        inside = os.path.join(folder, "bin", "posix_role")
        shutil.copy(PROGRAM, inside)
        done = guest.exo("run", "--timeout", "30", "-v", folder, inside, "--", "show", "/text")
        same(done.stdout, "from the host\n", "which holds the program itself")
    same(run("write", "/tmp/x").stdout, "written\n", "in /tmp")
    same(run("write", "/mem/x", options=("--mount", "/mem memory")).stdout, "written\n", "in a file system of its own")
    same(run("write", "/bin/x").returncode, 1, "in the boot archive")


def test_ps():
    """each process is an environment of its own, by its name and number, and there is nothing but these and the keeper"""
    done = run("ps")
    same(done.returncode, 0, "status")
    same(done.stdout.split(), ["init", "posix_role", "posix_ro[1]", "posix_ro[2]"], "environments")


if __name__ == "__main__":
    tap.main()
