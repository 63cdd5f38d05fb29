#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Servers that die or spin beside one that serves: the other notices nothing, and all that they held is free again.

One machine: `address` holds the network address, web2 is under load all the time (short requests, a connection kept
alive, and a large file that is being fetched), and beside it one server for each way to go wrong. What a dead server
held is checked three ways: init's own count (it says so if something is left), the frames and flows that test/guest/watch
reads from the exposed tables, and its port, where connections are refused from then on.

Time limit: 180 s
"""

import atexit
import hashlib
import os
import random
import shutil
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import served
import tap
import web
from tap import check, has, same

LONG = bool(os.environ.get("EXO_TEST_LONG"))
WAYS = ("wild-store", "stack-overflow", "illegal", "loop")
CAUSES = {"wild-store": "page fault", "stack-overflow": "stack overflow", "illegal": "illegal instruction"}
FIRST_PORT, OTHER_PORT = 8081, 8090
FLOWS_EACH = 3                          # its port, a copy of ARP, a copy of fragments
LARGE = (64 if LONG else 8) << 20
SECONDS = 20 if LONG else 1             # of load after each fault

HEAD = """\
[machine]
memory = %(memory)s
[program address]
net = own
memory = 8M
[program watch]
image = %(watch)s
[program web2]
image = httpd
args = --port %(port)d /
net = share
port = tcp/%(port)d
memory = 8M
volume = %(directory)s:/
main = yes
"""
VICTIM = """\
[program %(name)s]
image = httpd
args = --port %(port)d --test-faults /
net = share
port = tcp/%(port)d
memory = 4M
"""

tree = tempfile.mkdtemp(prefix="exo-isolation-")
page = b"<p>the other one</p>\n" * 20
shared = {}


def port_of(way):
    return FIRST_PORT + WAYS.index(way)


class Machine(served.Served):
    """The machine of this test; reports() and frames() are those of Served."""

    def __init__(self):  # pylint: disable=super-init-not-called
        with tempfile.NamedTemporaryFile("w", prefix="exo-isolation-", suffix=".conf", delete=False) as file:
            file.write(HEAD % {"memory": "%dM" % (64 + (LARGE >> 20)), "port": OTHER_PORT, "directory": tree,
                               "watch": os.path.join(guest.build_dir(), served.WATCH)})
            for way in WAYS:
                file.write(VICTIM % {"name": way, "port": port_of(way)})
        self.config = file.name
        ports = []
        for port in [OTHER_PORT] + [port_of(way) for way in WAYS]:
            ports += ["-p", "0:%d" % port]
        guest.Guest.__init__(self, *ports, "--config", file.name, name="web", timeout=170, pcap=False)
        for port in [OTHER_PORT] + [port_of(way) for way in WAYS]:
            self.wait_line("^httpd: serving / on port %d" % port)


class Load:
    """Requests to the other server from several clients, until finish(), which tells what went wrong."""

    def __init__(self, port):
        self.port, self.over, self.wrong, self.done, self.longest = port, False, [], 0, 0.0
        jobs = [self.short, self.short, self.kept, self.large]
        self.threads = [threading.Thread(target=self.run, args=(job,), daemon=True) for job in jobs]
        for thread in self.threads:
            thread.start()

    def run(self, job):
        try:
            job()
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append("%s: %s: %s" % (job.__name__, type(error).__name__, error))

    def timed(self, ask):
        begin = time.monotonic()
        same(ask().body, page, "the page")
        self.longest = max(self.longest, time.monotonic() - begin)
        self.done += 1

    def short(self):
        while not self.over:
            self.timed(lambda: web.get(self.port, "/"))

    def kept(self):
        with web.Connection(self.port) as c:
            while not self.over:
                self.timed(lambda: c.request("/"))

    def large(self):
        """The large file, read slowly enough to last until the end and then as fast as it comes."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            c = web.Connection(self.port, sock=sock)
            c.ask("/large.bin")
            c.buffer = c._until(b"\r\n\r\n") + b"\r\n\r\n" + c.buffer  # pylint: disable=protected-access
            while not self.over:
                if len(c.buffer) < LARGE - (1 << 20):
                    c.buffer += sock.recv(16384)
                time.sleep(0.02)
            body = c.answer().body
            same(hashlib.sha256(body).hexdigest(), shared["hash"], "the large file's hash")
            self.done += 1

    def finish(self):
        self.over = True
        for thread in self.threads:
            thread.join(60)
            check(not thread.is_alive(), "a client of the other server hangs")
        same(self.wrong, [], "failed requests on the other server")
        tap.say("%d requests on the other server, the longest took %.0f ms" % (self.done, self.longest * 1000))


def machine():
    if "machine" not in shared:
        data = random.Random(8).randbytes(LARGE)
        shared["hash"] = hashlib.sha256(data).hexdigest()
        with open(os.path.join(tree, "large.bin"), "wb") as file:
            file.write(data)
        with open(os.path.join(tree, "index.html"), "wb") as file:
            file.write(page)
        shared["machine"] = Machine()
    return shared["machine"]


def ask_fault(port, way):
    """Ask the server for its fault. There is no answer: the connection ends, or nothing comes (endless loop)."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.sendall(("GET /.fault/%s HTTP/1.1\r\nHost: exo\r\n\r\n" % way).encode())
    return sock


def refused(port):
    """Whether the machine refuses a connection: the emulator's network then ends ours at once, without data."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return sock.recv(1) == b""
    except ConnectionError:
        return True


def one_way(way):
    m = machine()
    mine, other = m.port(port_of(way)), m.port(OTHER_PORT)
    same(web.get(mine, "/").status, 200, "the first server's status before")
    held = [socket.create_connection(("127.0.0.1", mine), 10) for unused in range(5)]
    before = m.frames()
    check(before.get(way), "watch does not show %s: %r" % (way, before))
    load, start = Load(other), len(m.text)
    time.sleep(SECONDS / 4)
    sock = ask_fault(mine, way)
    if way in CAUSES:
        m.wait_line("^exo: %s \\(environment " % way, start=start)
    time.sleep(SECONDS)
    load.finish()
    for c in held:
        c.close()
    if way in CAUSES:
        dead(m, way, before, start)
    else:
        sock.settimeout(0.2)
        try:
            check(False, "the server that spins said %r" % sock.recv(10))
        except (TimeoutError, socket.timeout):
            pass
        check(way in m.frames(), "the server that spins is gone")
    sock.close()


def dead(m, way, before, start):
    """The report is whole, the port refuses, and what it held is free."""
    tap.wait_until(lambda: way not in m.frames(), what="%s gone from the exposed tables" % way)
    report = m.text[start:]
    has(report, CAUSES[way], "the report")
    has(report, "#1 ", "the backtrace")
    check(" left " not in report, "init found something left behind:\n" + report)
    same(web.get(m.port(OTHER_PORT), "/").body, page, "the other server's page")
    begin = time.monotonic()
    check(refused(m.port(port_of(way))), "a dead server's port does not refuse connections")
    check(time.monotonic() - begin < 2, "refusing a dead server's port took %.1f s" % (time.monotonic() - begin))
    now = m.frames()
    for name in before:
        if name not in ("free", "flows", "init", "web2", "address", way):
            same(now[name], before[name], "the figure of " + name)
    same(before["flows"] - now["flows"], FLOWS_EACH, "flows that were freed")
    spent = sum(before[n] - now[n] for n in ("web2", "address", "init"))
    same(now["free"] - before["free"], before[way] + spent, "frames that were freed")
    shared.setdefault("init", []).append(before["init"] - now["init"])


def test_wild_store():
    """a wild store in one server; the other fails no request"""
    one_way("wild-store")


def test_stack_overflow():
    """a stack overflow in one server"""
    one_way("stack-overflow")


def test_illegal():
    """an illegal instruction in one server"""
    one_way("illegal")


def test_same_each():
    """each of these gave back the same number of init's frames"""
    freed = shared.get("init", [])
    same(len(freed), 3, "servers that died")
    check(freed[0] > 0 and len(set(freed)) == 1, "init's frames that were freed: %r" % freed)


def test_loop():
    """an endless loop in one server, which keeps on spinning"""
    one_way("loop")


def test_loop_later():
    """the other server after that"""
    m = machine()
    load = Load(m.port(OTHER_PORT))
    time.sleep(SECONDS)
    load.finish()
    lines = [line for line in m.text.splitlines() if line.startswith(("exo: address ", "exo: web2 "))]
    same(lines, [], "reports about those that did nothing wrong")
    check(m.running(), "the machine has ended")


def clean():
    if "machine" in shared:
        shared["machine"].stop()
    shutil.rmtree(tree, ignore_errors=True)


atexit.register(clean)
if __name__ == "__main__":
    tap.main()
