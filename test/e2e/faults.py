#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What ends a program: status of the machine, report on the console, nothing left behind, the other goes on.

Time limit: 240 s
"""

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

DIE = os.path.join(guest.build_dir(), "test", "guest", "die.uni")


def die(how, *options):
    done = guest.exo("run", "--timeout", "30", *options, DIE, "--", how)
    check("left" not in done.stdout.replace("stack", ""), done.stdout)
    return done


def report(how, status, *parts):
    done = die(how)
    same(done.returncode, status, "exit status")
    for part in parts:
        has(done.stdout, part, "console")
    return done.stdout


def test_null():
    """a NULL pointer: name, cause, address, backtrace with symbols, 128 + vector"""
    text = report("null", 142, "die: page fault: write of address 0x10", "NULL pointer", "exo: die (environment ",
                  "ended by page fault (14): write of address 0x10", "wild_store+0x0", " main+0x", "#1 ", "  rax ")
    check("still here" not in text, text)


def test_wild():
    """stores to text, to the kernel and to nowhere, and a jump to nowhere"""
    report("text", 142, "against the page's rights", "wild_store")
    report("kernel", 142, "write of address 0xffffffff80000000")
    report("jump", 142, "execution of address 0x123456", "main+0x")


def test_stack():
    """stack overflow, of the first thread and of another"""
    report("stack", 142, "thread main: stack overflow", "overflow")
    report("thread", 142, "thread deep: stack overflow", "overflow")


def test_exceptions():
    """illegal instruction, division by zero, a port that is the kernel's"""
    report("illegal", 134, "illegal instruction (6)", "die+0x")
    report("division", 128, "division error (0)")
    report("port", 141, "general protection fault (13)")


def test_handlers():
    """a fault in a fault handler, and a dispatcher page that was overwritten"""
    report("handler", 142, "in a fault handler", "core_fault_entry+0x")
    report("lost", 142, "ended by page fault")


def test_orderly():
    """abort, and memory that runs out, are the program's own affair"""
    same(die("abort").returncode, 134, "exit status")
    done = die("memory", "-m", "8M")
    same(done.returncode, 3, "exit status")
    has(done.stdout, "still here after memory")


def test_other_goes_on():
    """a second program does not notice the end of the first, whatever ends it"""
    for how in ("null", "stack", "illegal", "loop"):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
            conf.write("[machine]\nmemory = 16M\n[program first]\nimage = %s\nargs = %s\nmemory = 2M\n"
                       "[program second]\nimage = %s\nargs = pause\nmain = yes\nmemory = 2M\n" % (DIE, how, DIE))
            conf.flush()
            done = guest.exo("run", "--timeout", "30", "--config", conf.name)
        same(done.returncode, 5, "exit status with " + how)
        has(done.stdout, "die: paused")
        if how != "loop":
            has(done.stdout, "exo: first (environment ")
        check("behind" not in done.stdout, done.stdout)


def test_too_little():
    """a limit that is too small is refused with the least that is needed"""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write("[program first]\nimage = %s\nmemory = 64K\n" % DIE)
        conf.flush()
        done = guest.exo("run", "--timeout", "30", "--config", conf.name)
    same(done.returncode, 125, "exit status")
    has(done.stdout + done.stderr, "is too small, it needs at least")


if __name__ == "__main__":
    tap.main()
