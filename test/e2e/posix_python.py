#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""CPython, built unmodified from its sources, its library on a disk: a script, and some of its own tests.

`posix_python.py NAME...` runs those of its tests (test_NAME in its sources) and prints what they say.

Without the sources (no network, and no folder that holds them) all is skipped.

Time limit: 1800 s
"""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import ported
import tap
from tap import check, same

SCRIPT = """\
import json, os, re, signal, socket, subprocess, sys, threading, zlib
print(sys.platform, sys.version_info[:2], os.getpid())
said = subprocess.run(["/bin/sh", "-c", "read x; echo $x; exit 3"], input=b"hello\\n", stdout=subprocess.PIPE)
print(said.stdout, said.returncode)
a, b = socket.socketpair()
thread = threading.Thread(target=lambda: b.sendall(zlib.compress(json.dumps({"n": list(range(100))}).encode())))
thread.start()
thread.join()
print(sum(json.loads(zlib.decompress(a.recv(65536)))["n"]), re.sub("(.)x", r"x\\1", "axbx"))
signal.signal(signal.SIGALRM, lambda *_: print("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause()
child = os.fork()
if not child:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 2 ** 200 % 1000007, 0.1 + 0.2, "\\u00e9".upper())
"""
SAYS = "exo (3, 11) %d\nb'hello\\n' 3\n4950 xaxb\nalarm\n7 %d 0.30000000000000004 \u00c9\n"
# Each passes as a whole. Of test_os and test_posix, which are long, what does not pass wants dlopen, or sendfile as it is
# of systems that are not Linux.
TESTS = ["epoll", "fcntl", "fork1", "mmap", "pty", "select", "signal", "tempfile", "thread", "threading"]

work = tempfile.mkdtemp(prefix="exo-python-")


def system():
    """A disk with /usr, and the folder of the boot archive."""
    disk, tree, usr = (os.path.join(work, name) for name in ("disk.img", "tree", "usr"))
    if os.path.exists(disk):
        return disk, tree
    shell, python = ported.program("dash", "dash"), ported.program("python", "python3.11")
    port = os.path.join(ported.PORTS, "python")
    os.makedirs(os.path.join(usr, "bin"))
    shutil.copy(python, os.path.join(usr, "bin", "python3.11"))
    for name in ("lib", "include"):
        shutil.copytree(os.path.join(port, name), os.path.join(usr, name), symlinks=True)
    for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
                       ("etc/group", "root:x:0:\nnogroup:x:65534:\n"), ("etc/hosts", "127.0.0.1 localhost\n"),
                       ("script.py", SCRIPT)):
        os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
        with open(os.path.join(tree, name), "w", encoding="ascii") as file:
            file.write(text)
    for name in ("bin", "root", "usr"):
        os.makedirs(os.path.join(tree, name))
    shutil.copy(shell, os.path.join(tree, "bin", "sh"))
    for words in (("create", disk, "260M", "--label", "usr:250M"), ("import", disk, "usr", "--ext2", usr)):
        same(guest.exo("disk", *words, timeout=120).returncode, 0, "status of exo disk " + words[0])
    return disk, tree


def run(line, timeout):
    disk, tree = system()
    done = guest.exo("run", "-q", "-t", timeout, "-m", "512M", "--disk", disk + ",readonly", "--mount", "/usr ext2 extent:usr ro",
                     "-v", tree + ":/", os.path.join(tree, "bin", "sh"), "--", "-c",
                     "PATH=/bin:/usr/bin HOME=/root TMPDIR=/tmp LANG=en_US.UTF-8; export PATH HOME TMPDIR LANG; cd /tmp; "
                     + line + "; exit $?", timeout=timeout + 60)
    return done.returncode, done.stdout + done.stderr


def test_script():
    """a script: modules, a child, threads, sockets, signals, numbers"""
    status, said = run("python3.11 /script.py", 120)
    check(status == 0, said)
    pid = int(said.split()[3])
    same(said, SAYS % (pid, 2 ** 200 % 1000007), "what it prints")


def test_own():
    """its own tests of threads, signals, processes, files, terminals"""
    for name in TESTS:
        status, said = run("python3.11 -m test test_" + name, 280)
        check(status == 0, "test_%s: %s" % (name, said[-3000:]))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not hasattr(sys.modules[__name__], "test_" + sys.argv[1].removeprefix("test_")):
        for each in sys.argv[1:]:
            print(run("python3.11 -m test -v test_" + each.removeprefix("test_"), 600)[1])
        shutil.rmtree(work, ignore_errors=True)
    else:
        tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
