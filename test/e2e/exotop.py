# SPDX-License-Identifier: BSD-2-Clause
"""exotop: what it shows is what happens, and it asks the kernel for nothing but to sleep and to write its lines.

Time limit: 120 s
"""

import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
import web
from tap import check, has, same

DIE = os.path.join(guest.build_dir(), "test", "guest", "die.uni")

BUSY = """\
[program exotop]
args = -d 0.5 -n 3
slices = 3
main = yes
[program hog]
image = %s
args = loop
"""
SERVER = """\
[program httpd]
net = own
args = /
main = yes
[program exotop]
args = -d 0.2
"""


def looks(text):
    """The text from each headline to the next."""
    return re.split(r"^(?=exotop: [0-9.]+ s of )", text, flags=re.M)[1:]


def share(look, label):
    """An environment's share in per cent, and its CPU."""
    found = re.search(r"^ *\d+ +%s +(\d+) \w+ +([\d.]+) " % label, look, re.M)
    check(found, "no %s in:\n%s" % (label, look))
    return float(found.group(2)), int(found.group(1))


def config(text):
    with tempfile.NamedTemporaryFile("w", prefix="exo-exotop-", suffix=".conf", delete=False) as file:
        file.write(text)
    return file.name


def test_no_calls():
    """it enters the kernel for one console write a line and one sleep a look"""
    done = guest.exo("run", "--timeout", "30", "--smp", "2", "exotop", "--", "-d", "0.2", "-n", "3", "--entries")
    same(done.returncode, 0, "status")
    found = re.search(r"^exotop: (\d+) looks, (\d+) lines, (\d+) kernel entries for them", done.stdout, re.M)
    check(found, "no line with the figures:\n" + done.stdout)
    same(int(found.group(1)), 3, "looks")
    check(int(found.group(2)) >= 15, "too few lines")
    entries = int(found.group(3)) - int(found.group(2))
    check(3 <= entries <= 6, "%d entries besides the lines, for 3 sleeps" % entries)
    same(len(looks(done.stdout)), 3, "looks shown")
    check("\033" not in done.stdout, "an escape sequence without having been asked for one")


def test_idle():
    """a machine with nothing to do idles, on each CPU, and is said to"""
    done = guest.exo("run", "--timeout", "30", "--smp", "2", "exotop", "--", "-d", "0.5", "-n", "2")
    last = looks(done.stdout)[-1]
    idle = [float(x) for x in re.findall(r"^cpu \d+ +idle +([\d.]+)%", last, re.M)]
    same(len(idle), 2, "CPUs")
    check(min(idle) > 90, "not idle:\n" + last)
    check(re.search(r"^ *1 +init +0 asleep ", last, re.M), "init is not asleep:\n" + last)


def test_busy():
    """a program that loops is first and has nearly all of its CPU; slices are counted"""
    file = config(BUSY % DIE)
    try:
        done = guest.exo("run", "--timeout", "40", "--smp", "2", "--config", file)
    finally:
        os.unlink(file)
    same(done.returncode, 0, "status")
    last = looks(done.stdout)[-1]
    first = re.search(r"^  env .*\n *\d+ +(\w+)", last, re.M)
    same(first.group(1), "hog", "who is first in:\n" + last)
    used, cpu = share(last, "hog")
    check(used > 85, "the hog has %.1f%%:\n%s" % (used, last))
    idle = float(re.search(r"^cpu %d +idle +([\d.]+)%%" % cpu, last, re.M).group(1))
    check(idle < 15, "its CPU idles:\n" + last)
    has(last, "slices 3 taken, 3 bound", "slices")


def test_server():
    """beside httpd: its flow's packets, and its share while it is asked"""
    file = config(SERVER)
    try:
        with guest.Guest("-p", "0:80", "--config", file, name="server", timeout=60, pcap=False) as machine:
            machine.wait_line("^httpd: serving / on port 80")
            for _ in range(100):
                web.get(machine.port(80), "/")
            machine.wait_line(r"^flow \d+ +\S+ +env \d+  in [1-9]\d*/s .* out [1-9]\d*/s", 20)
            machine.wait_line(r"^ *\d+ +httpd +\d \w+ ", 20)
    finally:
        os.unlink(file)


def test_terminal():
    """-t puts each look in the place of the one before"""
    done = guest.exo("run", "--timeout", "30", "exotop", "--", "-t", "-d", "0.1", "-n", "2")
    same(done.stdout.count("\033[H\033[J"), 2, "times home and cleared")


def test_arguments():
    """-l cuts the list; help; unknown arguments and bad numbers are refused with the usage"""
    done = guest.exo("run", "--timeout", "30", "exotop", "--", "-d", "0.1", "-n", "1", "-l", "1")
    same(len(re.findall(r"^ *\d+ +(init|exotop) ", done.stdout, re.M)), 1, "environments shown")
    done = guest.exo("run", "--timeout", "30", "exotop", "--", "--help")
    same(done.returncode, 0, "status of --help")
    has(done.stdout, "-d SECONDS", "help")
    for words in (["-x"], ["-d"], ["-d", "fast"], ["-n", "-1"], ["-d", "0"]):
        done = guest.exo("run", "--timeout", "30", "exotop", "--", *words)
        same(done.returncode, 2, "status of %s" % words)
        has(done.stdout, "usage: exotop", "what it says to %s" % words)


if __name__ == "__main__":
    tap.main()
