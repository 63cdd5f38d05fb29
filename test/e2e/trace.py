# SPDX-License-Identifier: BSD-2-Clause
"""exo run --trace: the calls of programs by name, arguments and results, in order, from outside.

Time limit: 120 s
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same


def lines(text, name):
    """What is shown of a program: (time, rest) for each line."""
    return [(float(t), rest) for t, rest in re.findall(r"^\[%s\] (\d+\.\d{6}) (.*)$" % name, text, re.M)]


def test_calls():
    """calls with arguments, results and errors by name; the program's own output and status are as ever"""
    done = guest.exo("run", "--timeout", "30", "--trace", "hello", "--", "--exit", 7)
    same(done.returncode, 7, "status")
    has(done.stdout, "Hello from Exo!\n", "its output")
    shown = lines(done.stdout, "hello")
    check([t for t, unused in shown] == sorted(t for t, unused in shown), "not in order")
    text = "\n".join(rest for unused, rest in shown)
    check(re.search(r"^console_write\(console #\d+\.1, offset 0, bytes 16\) = 16$", text, re.M), "no console_write")
    check(re.search(r"^space_write\(.*\) = -NOTABLE \(no page table", text, re.M), "no error by name")
    same(shown[-2][1], "env_exit(cause 64, status 7)", "the last call")
    same(shown[-1][1], "+++ ended with status 7", "the end")
    check("---" not in text and "-->" not in text and "runs on" not in text, "more than calls:\n" + text)


def test_all():
    """--trace=all: also exceptions, upcalls and switches"""
    shown = [rest for unused, rest in lines(guest.exo("run", "--timeout", "30", "--trace=all", "hello").stdout, "hello")]
    same(shown[:2], ["runs on CPU 0", "--> run: start"], "the start")
    check(any(re.match(r"--- page fault: \w+ of 0x[0-9a-f]+ at 0x[0-9a-f]+$", line) for line in shown), "no page fault")


def test_fault():
    """a program that dies is traced to its end, and the run has its status"""
    done = guest.exo("run", "--timeout", "30", "--trace=all", "test/guest/die.uni", "--", "null",
                     cwd=guest.build_dir())
    same(done.returncode, 142, "status")
    has(done.stdout, "+++ ended by cause 14 (page fault)", "the end")


def test_silent():
    """a program whose libOS is wedged, spinning without a call, is shown as far as it came"""
    done = guest.exo("run", "--timeout", "3", "--trace=all", "test/guest/die.uni", "--", "wedge",
                     cwd=guest.build_dir())
    same(done.returncode, 124, "status")
    shown = [rest for unused, rest in lines(done.stdout, "die")]
    check(shown[0] == "runs on CPU 0" and len(shown) > 100, "little is shown: %r" % shown[-5:])
    check(all(re.match("runs on|interrupted at", line) for line in shown[-50:-1]), "it does more: %r" % shown[-5:])


CONF = """[program one]
image = hello
args = --exit 3
[program two]
image = hello
main = yes
args = --exit 4
[program watch]
image = trace
args = two one
observe = one
observe = two
%s
"""


def test_several():
    """several programs; the observer's capabilities are what the configuration says"""
    path = os.path.join(guest.log_dir(), "trace-several.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONF.replace("main = yes\n", "") % "main = yes")
    done = guest.exo("run", "--timeout", "30", "--config", path)
    same(done.returncode, 4, "status of the first that it names")
    for name, status in (("one", 3), ("two", 4)):
        same(lines(done.stdout, name)[-1][1], "+++ ended with status %d" % status, "end of " + name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONF.replace("observe = one\n", "") % "")
    # What goes to stderr goes byte by byte, and the others speak at the same time: here always in the same order.
    done = guest.exo("run", "--icount", "--timeout", "30", "--config", path)
    same(done.returncode, 4, "status")
    has(done.stdout, "trace: this program may not observe one", "the refusal")


def test_options():
    """unknown kinds and names that are too long are told before the machine starts"""
    done = guest.exo("run", "--trace=cals", "hello")
    same(done.returncode, 125, "status")
    has(done.stderr, "calls", "the nearest known one")


if __name__ == "__main__":
    tap.main()
