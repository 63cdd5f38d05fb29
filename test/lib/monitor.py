# SPDX-License-Identifier: BSD-2-Clause
"""The emulator's monitor: a machine's registers, memory and page tables, looked at from outside.

    with Monitor() as monitor:
        with Guest(*monitor.options, "httpd") as guest:
            guest.wait_line("serving")
            for cpu in monitor.cpus(): print(cpu["RIP"])
"""

import json
import os
import re
import shutil
import socket
import tempfile
import time

PRESENT, WRITE, USER, LARGE, NO_EXECUTE = 1, 2, 4, 0x80, 1 << 63
FRAME = 0x000ffffffffff000


class Leaf:
    """A stretch of addresses that one entry maps; rights are those of all levels together."""

    def __init__(self, va, entry, size, rights):
        self.va, self.pa, self.size = va, entry & FRAME & ~(size - 1), size
        self.writable, self.user, self.executable = rights

    def __repr__(self):
        return "%#x -> %#x + %#x%s%s%s" % (self.va, self.pa, self.size, " W" if self.writable else "",
                                           " X" if self.executable else "", " U" if self.user else "")


class Monitor:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="exo-monitor-")
        self.path = os.path.join(self.folder, "socket")
        self.options = ["--qemu-arg=-qmp", "--qemu-arg=unix:%s,server=on,wait=off" % self.path]
        self.file = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.file:
            try:
                self.file.close()
            except OSError:             # what was asked last is not sent: the emulator has ended
                pass
        shutil.rmtree(self.folder, True)

    def _connect(self, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                link = socket.socket(socket.AF_UNIX)
                link.settimeout(seconds)
                link.connect(self.path)
                break
            except OSError:
                link.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.file = link.makefile("rw", encoding="utf-8")
        link.close()
        self._command("qmp_capabilities")

    def _command(self, name, **arguments):
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        for line in self.file:
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise OSError("monitor: %s: %s" % (name, answer["error"]["desc"]))
        raise OSError("monitor: the emulator has ended")

    def ask(self, text):
        """The answer to a command of the human monitor."""
        if not self.file:
            self._connect()
        return self._command("human-monitor-command", **{"command-line": text})

    def cpus(self):
        """For each CPU its registers by name, as integers; XS_BASE is the address in segment register XS."""
        parts = re.split(r"^CPU#\d+$", self.ask("info registers -a").replace("\r", ""), flags=re.M)[1:]
        found = []
        for part in parts:
            one = {name: int(value, 16)
                   for name, value in re.findall(r"\b([A-Z]+[0-9]*) *=([0-9a-f]+)", part)}
            for name, base in re.findall(r"^([A-Z]S|TR) *=[0-9a-f]{4} ([0-9a-f]+)", part, re.M):
                one[name + "_BASE"] = int(base, 16)
            found.append(one)
        return found

    def table(self, pa):
        """The 512 entries of a page table."""
        text = self.ask("xp /512gx %#x" % pa)
        return [int(word, 16) for line in text.splitlines() if ": " in line
                for word in line.partition(": ")[2].split()]

    def leaves(self, root, first=0, end=512, level=4, va=0, rights=(True, True, True)):
        """What is mapped by entries [first, end) of a root, and below."""
        size = 1 << (12 + 9 * (level - 1))
        for index, entry in enumerate(self.table(root & FRAME)[first:end], first):
            if not entry & PRESENT:
                continue
            at = va + index * size
            if level == 4 and index >= 256:
                at += 0xffff << 48
            mine = (rights[0] and bool(entry & WRITE), rights[1] and bool(entry & USER),
                    rights[2] and not entry & NO_EXECUTE)
            if level == 1 or entry & LARGE:
                yield Leaf(at, entry, size, mine)
            else:
                yield from self.leaves(entry, level=level - 1, va=at, rights=mine)
