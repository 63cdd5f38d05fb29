# SPDX-License-Identifier: BSD-2-Clause
"""No CPU writes where another one does on the kernel's hot ways, as an emulator plugin sees it from outside.

The guest is test/guest/independent.c; the plugin is test/lib/lines.c. One thing is written by all CPUs, by design: the
clock, which the timer interrupt of any of them renews about once a second. So its functions are allowed, for as few
writes as that takes.

Time limit: 120 s
"""

import bisect
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, same

PROGRAM = os.path.join(guest.build_dir(), "test", "guest", "independent.uni")
PLUGIN = os.path.join(guest.build_dir(), "test", "lib", "lines.so")
SYMBOLS = os.path.join(guest.build_dir(), "exo", "exo.elf.sym")
OPERATIONS = 2000
CLOCK = {"piece_renew", "now_renewed", "publish", "timer_learn"}
CLOCK_WRITES = 20       # to one line, each time
SECONDS = 30            # as long as the phase may last


def functions():
    """A function from an address to the name of the kernel's function."""
    found = []
    with open(SYMBOLS, encoding="ascii") as file:
        for line in file:
            address, kind, name = line.split()
            if kind in "tT":
                found.append((int(address, 16), name))
    found.sort()
    starts = [address for address, _name in found]
    return lambda address: found[bisect.bisect(starts, address) - 1][1]


def watch(options):
    """Run the guest; returns [(kind, line, functions, writes)] and how many lines each CPU wrote."""
    name = functions()
    with tempfile.TemporaryDirectory(prefix="exo-lines-") as folder:
        module, out = os.path.join(folder, "module"), os.path.join(folder, "out")
        with open(PROGRAM, "rb") as program, open(module, "wb") as file:
            file.write(program.read() + b"\n" + options.encode("ascii") + b"\n")
        done = guest.exo("run", "--boot", "direct", "--smp", "2", "--timeout", "100", "--qemu-arg=-plugin",
                         "--qemu-arg=%s,out=%s" % (PLUGIN, out), "--module", module, timeout=115)
        if "-plugin" in done.stderr:
            raise tap.Skip("this emulator has no plugins")
        same(done.returncode, 0, "status; the guest said:\n%s%s\nit" % (done.stdout[-2000:], done.stderr[-1000:]))
        with open(out, encoding="ascii") as file:
            rows = [line.split() for line in file]
    check(["full"] not in rows, "the plugin's table is too small")
    shared = [(row[0], int(row[1], 16), {name(int(row[3], 16)), name(int(row[5], 16))}, int(row[6]))
              for row in rows if row[0] != "lines"]
    return shared, [int(count) for count in rows[-1][1:]]


def test_hot():
    """hot operations on two CPUs: no line that one CPU of them writes is written or read by the other, but the clock's"""
    shared, counts = watch("operations=%d" % OPERATIONS)
    tap.say("the CPUs wrote %d and %d lines; %d were the clock's" % (*counts, len(shared)))
    check(min(counts) > 40, "too few lines were seen written: %r" % counts)
    for kind, line, names, writes in shared:
        check(names <= CLOCK or (kind == "read" and names & CLOCK),
              "line 0x%x is written on one CPU and %s on the other: %s" % (line, kind, ", ".join(sorted(names))))
        check(writes <= CLOCK_WRITES * SECONDS, "the clock was renewed too often: %d writes" % writes)


def test_locked():
    """the check sees what is shared: with calls that take the kernel's lock there are such lines"""
    shared, _counts = watch("operations=%d mixed=1" % OPERATIONS)
    check(any(kind == "written" and not names <= CLOCK for kind, _line, names, _writes in shared),
          "no shared line was seen: %r" % shared)


if __name__ == "__main__":
    tap.main()
