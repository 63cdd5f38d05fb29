# SPDX-License-Identifier: BSD-2-Clause
"""The console's input: pipes, files and terminals; its end, Ctrl-C, keys one by one, and who may read.

Time limit: 200 s
"""

import os
import pty
import random
import select
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same


def cat(data, *words):
    """What comes out of cat when `data` goes in."""
    done = subprocess.run(guest.exo_command("run", "--timeout", "40", *words, "cat"), input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    same(done.returncode, 0, "status; %r" % done.stderr[-300:])
    return done.stdout


def test_pipe():
    """a pipe's bytes come through as they are, its end is seen; also the bytes that mark ends"""
    same(cat(b"one\ntwo"), b"one\ntwo", "output")
    same(cat(b""), b"", "output for nothing")
    same(cat(b"a\x04b\x16\x16c\x04\x04"), b"a\x04b\x16\x16c\x04\x04", "output with marks")


def test_much():
    """150 KB of anything, on one CPU and on two"""
    data = random.Random(3).randbytes(150000)
    check(cat(data) == data, "not the same bytes")
    check(cat(data, "--smp", 2) == data, "not the same bytes with two CPUs")


def test_file():
    """a file as standard input; and none"""
    path = os.path.join(guest.SOURCE, "README")
    with open(path, "rb") as file:
        done = guest.exo("run", "--timeout", "30", "cat", stdin=file)
    with open(path, encoding="utf-8") as file:
        same(done.stdout, file.read(), "output")
    same(guest.exo("run", "--timeout", "30", "cat").stdout, "", "output with /dev/null")


def test_threads():
    """reading and poll() block one thread only"""
    words = guest.exo_command("run", "--timeout", "30", "cat", "--", "--ticks")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        lines = [process.stdout.readline() for unused in range(6)]
        check(b"nothing yet\n" in lines and b"tick 2\n" in lines, "not both: %r" % lines)
        process.stdin.write(b"late\n")
        process.stdin.flush()
        for unused in range(100):
            if process.stdout.readline() == b"late\n":
                break
        else:
            raise AssertionError("what was sent late does not come back")
        process.stdin.close()
        same(process.wait(20), 0, "status")


class Terminal:
    """`exo run` at a terminal of its own."""

    def __init__(self, *words):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            words = guest.exo_command("run", "--timeout", "40", *words)
            os.execvp(words[0], words)
        self.text = b""

    def type(self, data):
        os.write(self.fd, data)

    def wait_for(self, data, seconds=20):
        end = time.monotonic() + seconds
        while data not in self.text:
            if time.monotonic() > end or not select.select([self.fd], [], [], 1)[0]:
                check(time.monotonic() < end, "no %r within %d s, but %r" % (data, seconds, self.text[-500:]))
                continue
            try:
                self.text += os.read(self.fd, 4096)
            except OSError:
                raise AssertionError("it ended without %r: %r" % (data, self.text[-500:])) from None

    def end(self):
        """Read to its end; the exit status."""
        try:
            while True:
                data = os.read(self.fd, 4096)
                if not data:
                    break
                self.text += data
        except OSError:
            pass
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_terminal():
    """a terminal: lines, shown by itself; Ctrl-D is the end"""
    terminal = Terminal("cat", "--", "--ticks")
    terminal.wait_for(b"tick 1")
    terminal.type(b"hallo\x7f\n")
    terminal.wait_for(b"\nhall\r\n")
    terminal.type(b"\x04")
    same(terminal.end(), 0, "status; %r" % terminal.text)


def test_keys():
    """-i: keys one by one and unseen; Ctrl-D ends; the terminal is as before"""
    terminal = Terminal("-i", "cat", "--", "--ticks")
    terminal.wait_for(b"tick 1")
    terminal.type(b"kx")
    terminal.wait_for(b"kx")
    same(terminal.text.count(b"k"), terminal.text.count(b"tick") + 1, "times that it is seen")
    terminal.type(b"\x04")
    same(terminal.end(), 0, "status")


def test_interrupt():
    """Ctrl-C at the terminal ends the run, with and without -i"""
    for words in ((), ("-i",)):
        terminal = Terminal(*words, "cat", "--", "--ticks")
        terminal.wait_for(b"tick 1")
        terminal.type(b"\x03")
        same(terminal.end(), 128 + signal.SIGINT, "status")


def test_lines():
    """what several programs write at once: each line is whole"""
    count, text = 2000, "[machine]\nmemory = 128M\n"
    for name, libos in (("alice", "uni"), ("bob", "posix"), ("carol", "uni")):
        text += "[program %s]\nimage = %s\nargs = %s %d\ncpu = 0\n" % (
            name, os.path.join(guest.build_dir(), "test", "guest", "lines." + libos), name, count)
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        done = guest.exo("run", "--timeout", "60", "--config", file.name)
    same(done.returncode, 0, "status; " + done.stderr[-300:])
    lines = done.stdout.replace("\r", "").splitlines()
    wanted = sorted("%s: line %d is whole" % (name, i) for name in ("alice", "bob", "carol") for i in range(count))
    known = set(wanted)
    torn = [line for line in lines if line not in known]
    check(not torn, "%d of %d lines are not whole: %s" % (len(torn), len(lines), torn[:3]))
    check(sorted(lines) == wanted, "%d lines, not %d" % (len(lines), len(wanted)))


CONF = """[program first]
image = cat
[program second]
image = cat
%s
"""


def test_who():
    """the main program reads, another only if it is told to, and never both"""
    path = os.path.join(guest.log_dir(), "console-who.conf")
    for more, wanted in (("main = yes", b"text"), ("main = yes\ninput = no", b"")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONF % more)
        done = subprocess.run(guest.exo_command("run", "--timeout", "30", "--config", path), input=b"text",
                              stdout=subprocess.PIPE, timeout=60, check=False)
        same((done.returncode, done.stdout), (0, wanted), "status and output with %r" % more)
    with open(path, "w", encoding="utf-8") as file:
        file.write((CONF % "main = yes").replace("[program second]", "input = yes\n[program second]"))
    with subprocess.Popen(guest.exo_command("run", "--timeout", "30", "--config", path), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        has(process.stdout.readline().decode(), "cat: input: ", "what the one that came late says")
        process.kill()
        process.stdin.close()


if __name__ == "__main__":
    tap.main()
