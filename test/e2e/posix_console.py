# SPDX-License-Identifier: BSD-2-Clause
"""A session at the console: echo and editing, Ctrl-C, Ctrl-Z and fg, keys one by one, the end of input.

Time limit: 200 s
"""

import os
import pty
import select
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, same

PROGRAM = os.path.join(guest.build_dir(), "test", "guest", "posix_line.posix")


class Session:
    """The program's console, typed at."""

    def __init__(self, *words):
        self.process = subprocess.Popen(guest.exo_command("run", "-i", "--timeout", 60, *words, PROGRAM), bufsize=0,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.text = b""

    def type(self, data):
        self.process.stdin.write(data)

    def see(self, wanted, seconds=30):
        """Read until `wanted` has come; what stood before it is returned."""
        end = time.monotonic() + seconds
        while wanted not in self.text:
            check(time.monotonic() < end, "no %r, but %r" % (wanted, self.text))
            if select.select([self.process.stdout], [], [], 1)[0]:
                data = os.read(self.process.stdout.fileno(), 4096)
                check(data, "it ended without %r: %r" % (wanted, self.text))
                self.text += data
        before, unused, self.text = self.text.partition(wanted)
        return before

    def end(self):
        self.process.stdin.close()
        return self.process.wait(40)


def started(*words):
    session = Session(*words)
    session.see(b"at /dev/console, foreground")
    session.see(b"ready")
    return session


def test_lines():
    """what is typed is shown, can be edited, and comes as a line"""
    session = started()
    session.type(b"hello\n")
    session.see(b"hello\n<hello>")
    session.see(b"ready")
    session.type(b"worx\x7fld\x15all new words\x17line\n")
    session.see(b"<all new line>")
    same(session.end(), 7, "status at the end of input")


def test_interrupt():
    """Ctrl-C: a signal to the program, or the end of the job in the foreground"""
    session = started()
    session.type(b"gone\x03")
    session.see(b"gone^C")
    session.see(b"[int]")
    session.type(b"kept\n")
    session.see(b"<kept>")
    session.type(b"job\n")
    session.see(b"job runs")
    session.type(b"\x03")
    session.see(b"ended by 2")
    session.type(b"on\n")
    session.see(b"<on>")
    same(session.end(), 7, "status")


def test_stop():
    """Ctrl-Z stops the job, fg continues it; then it reads"""
    for words in ((), ("--smp", 2)):
        session = started(*words)
        session.type(b"job\n")
        session.see(b"job runs")
        session.type(b"\x1a")
        session.see(b"stopped by 18")
        session.type(b"fg\n")
        time.sleep(0.2)
        session.type(b"x\n")
        session.see(b"ended with 120")
        same(session.end(), 7, "status")


def test_raw():
    """keys one by one; the settings before come back"""
    session = started()
    session.type(b"raw\n")
    session.see(b"one key")
    session.type(b"k")
    session.see(b"key 107")
    session.type(b"line\n")
    session.see(b"<line>")
    same(session.end(), 7, "status")


def test_stop_output():
    """Ctrl-S holds the output back, Ctrl-Q lets it go"""
    session = started()
    session.type(b"\x13held\n")
    time.sleep(1)
    check(not select.select([session.process.stdout], [], [], 0)[0] or
          b"<held>" not in os.read(session.process.stdout.fileno(), 4096), "it was not held back")
    session.type(b"\x11")
    session.see(b"<held>")
    same(session.end(), 7, "status")


def test_terminal():
    """at a terminal all keys go to the guest, which shows them; Ctrl-] ends the run"""
    pid, fd = pty.fork()
    if pid == 0:
        words = guest.exo_command("run", "--timeout", "60", PROGRAM)
        os.execvp(words[0], words)
    text = b""
    for wanted, typed in ((b"ready", b"ab\x03"), (b"[int]", b"cd\x7f\r"), (b"<c>", b"\x1d")):
        while wanted not in text:
            check(select.select([fd], [], [], 30)[0], "no %r, but %r" % (wanted, text))
            text += os.read(fd, 4096)
        os.write(fd, typed)
    same(text.count(b"ab"), 1, "times that it is seen")
    same(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 130, "status")
    os.close(fd)


if __name__ == "__main__":
    tap.main()
