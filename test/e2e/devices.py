# SPDX-License-Identifier: BSD-2-Clause
"""Drivers in application space: the clock, a second serial port, the screen, as the configuration hands them out.

Time limit: 120 s
"""

import os
import re
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

CONF = "[program devices]\nargs = %s\n%s\n"


def conf(what, more):
    path = os.path.join(guest.log_dir(), "devices-%s.conf" % what)
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONF % (what, more))
    return path


def test_clock():
    """the date, and interrupts at full seconds and 64 times a second, also with two CPUs"""
    for words in ((), ("--smp", 2, "--machine", "pc")):
        done = guest.exo("run", "--timeout", "40", *words, "--config", conf("rtc", "device = rtc"))
        same(done.returncode, 0, "status; " + done.stdout)
        date = re.search(r"^date (\d{4}-\d\d-\d\d) ", done.stdout, re.M)
        check(date and abs(time.time() - time.mktime(time.strptime(date.group(1), "%Y-%m-%d"))) < 3 * 86400,
              "the date is not today's: " + done.stdout)
        seconds = [int(s) for s in re.findall(r"^second (\d\d) ", done.stdout, re.M)]
        check(len(seconds) == 3 and all((b - a) % 60 >= 1 for a, b in zip(seconds, seconds[1:])), "seconds %r" % seconds)
        has(done.stdout, "64 of 64 a second after ", "the fast interrupts")


def test_serial():
    """a second serial port is driven by a program, in both directions, while the console is the kernel's"""
    path = os.path.join(guest.log_dir(), "devices.sock")
    if os.path.exists(path):
        os.unlink(path)
    with guest.Guest("--machine", "pc", "--qemu-arg=-serial", "--qemu-arg=unix:%s,server=on,wait=on" % path,
                     "--config", conf("com2", "device = com2"), name="com2", timeout=60) as machine:
        with socket.socket(socket.AF_UNIX) as line:
            for unused in range(200):
                try:
                    line.connect(path)
                    break
                except OSError:
                    time.sleep(0.05)
            stream = line.makefile("rwb")
            same(stream.readline(), b"ready\n", "the greeting")
            for text in (b"hello there\n", b"x" * 100 + b"\n"):
                stream.write(text)
                stream.flush()
                same(stream.readline(), text.upper(), "the answer")
            stream.write(b"quit\n")
            stream.flush()
            same(machine.wait(), 0, "status")


def test_screen():
    """a screen's memory, mapped by a program"""
    done = guest.exo("run", "--timeout", "30", "--machine", "pc", "--qemu-arg=-vga", "--qemu-arg=std", "--config",
                     conf("video", "device = video"))
    same((done.returncode, done.stdout), (0, "on the screen\n"), "status and output")


def test_refused():
    """what was not handed out is not there; what the kernel has is refused however it is called"""
    done = guest.exo("run", "--timeout", "30", "--config", conf("rtc", ""))
    same(done.returncode, 1, "status")
    has(done.stdout, "write device = rtc", "what to do")
    done = guest.exo("run", "--timeout", "30", "--config", conf("rtc", "device = rtc:0x60-0x64:1"))
    same(done.returncode, 1, "status")
    has(done.stdout, "in use", "the refusal")


if __name__ == "__main__":
    tap.main()
