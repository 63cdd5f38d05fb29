# SPDX-License-Identifier: BSD-2-Clause
"""ps: what it shows is what there is, and it asks the kernel for nothing but to write its lines.

Time limit: 60 s
"""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same


def listing(*words):
    done = guest.exo("run", "--timeout", "20", *words)
    same(done.returncode, 0, "status")
    return done.stdout


def test_no_calls():
    """between its first and last line it enters the kernel for console writes only"""
    # With time by instructions, no slice ends in between because this computer is busy.
    out = listing("--icount", "ps", "--", "--entries")
    found = re.search(r"^ps: (\d+) lines, (\d+) kernel entries for them", out, re.M)
    check(found, "no line with the figures")
    check(int(found.group(1)) >= 5, "too few lines")
    same(int(found.group(2)), int(found.group(1)), "kernel entries")


def test_frames():
    """the frames by state add up to the machine's, and most of them are free"""
    found = re.search(r"^frames: (\d+) of 4 KiB:(.*)$", listing("-m", "64M", "ps"), re.M)
    check(found, "no line with the frames")
    states = dict(zip(re.findall(r" ([a-z]+) \d+", found.group(2)),
                      map(int, re.findall(r" [a-z]+ (\d+)", found.group(2)))))
    same(sum(states.values()), int(found.group(1)), "sum of the states")
    check(states["free"] > int(found.group(1)) * 0.9, "only %d frames are free" % states["free"])
    same(states["env"], 2, "environment frames")


def test_environments():
    """init and ps are shown by name, with their states; with a network its flows are, too"""
    text = listing("--net", "user", "ps")
    check(re.search(r"^\d+ +init +asleep +0 ", text, re.M), "init is not asleep on CPU 0:\n" + text)
    check(re.search(r"^\d+ +ps +ready +0 ", text, re.M), "ps is not ready on CPU 0:\n" + text)
    check(re.search(r"^flow \d+ +net0 ", text, re.M), "no flow of the device:\n" + text)


def test_cpus():
    """each CPU has its line, and its time is idle time for the most part"""
    text = listing("--smp", "3", "ps")
    same(re.findall(r"^cpu (\d+) +idle \d+ us, ", text, re.M), ["0", "1", "2"], "CPUs")
    has(text, "slices: 192 of ", "slices of all CPUs")


def test_argument():
    """an unknown argument is refused with the known one"""
    done = guest.exo("run", "--timeout", "20", "ps", "--", "--entires")
    same(done.returncode, 2, "status")
    check("--entries" in done.stdout, "the known argument is not named: " + done.stdout)


if __name__ == "__main__":
    tap.main()
