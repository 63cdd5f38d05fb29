# SPDX-License-Identifier: BSD-2-Clause
"""Many connections and requests: none fails, the last is as fast as the first, and no frame stays behind.

In the ordinary check 2,000 short connections and 5,000 kept-alive requests; 100,000 of each when
EXO_TEST_LONG is set. The machine with 4 MiB is there because what leaks inside the network's own memory shows
only when that is small.

Time limit: 240 s
"""

import atexit
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from served import Served
from tap import check, same
from web import Connection, get

LONG = bool(os.environ.get("EXO_TEST_LONG"))
SHORT_CONNECTIONS = 100000 if LONG else 2000
KEPT_ALIVE_REQUESTS = 100000 if LONG else 5000
AT_ONCE = 256
ROUNDS = 3
PAGE = b"<p>" + b"0123456789" * 50 + b"</p>\n"
ASK = b"GET / HTTP/1.1\r\nHost: exo\r\n\r\n"
ASK_ONCE = b"GET / HTTP/1.1\r\nHost: exo\r\nConnection: close\r\n\r\n"

tree = tempfile.mkdtemp(prefix="exo-load-")
shared = {}


def served(memory="64M"):
    if memory not in shared:
        shared[memory] = Served(tree, memory=memory, args="--idle-timeout 600", name="load-" + memory,
                                pcap=False,
                                timeout=2300 if LONG else 230)
    return shared[memory]


def clean():
    for machine in shared.values():
        machine.stop()
    shutil.rmtree(tree, ignore_errors=True)


def not_slower(seconds, what):
    """Compare the quicker quarters of the first and the last tenth, which a busy host leaves alone: twice as long and a
    millisecond is too much."""
    tenth = len(seconds) // 10
    first, last = (statistics.quantiles(some, n=4)[0] for some in (seconds[:tenth], seconds[-tenth:]))
    tap.say("%s: %d, %.3f ms each at first, %.3f ms at last, longest %.0f ms" % (
        what, len(seconds), first * 1000, last * 1000, max(seconds) * 1000))
    check(last < 2 * first + 0.001, "%s took %.3f ms at first and %.3f ms at last" % (what, first * 1000,
                                                                                      last * 1000))


def one_short(port):
    """One connection, one request."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(ASK_ONCE)
        answer = b""
        while True:
            part = sock.recv(65536)
            if not part:
                break
            answer += part
    check(answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\n" + PAGE),
          "answer: %r" % answer[:100])


def short(machine, count):
    for unused in range(50):
        one_short(machine.http)
    before = machine.frames()
    seconds = []
    for unused in range(count):
        begin = time.monotonic()
        one_short(machine.http)
        seconds.append(time.monotonic() - begin)
    not_slower(seconds, "short connections")
    same(machine.frames(), before, "the frames afterwards")


def kept(machine, count):
    with Connection(machine.http) as c:
        for unused in range(50):
            same(c.request("/").body, PAGE, "the page")
        before = machine.frames()
        seconds = []
        for number in range(count):
            begin = time.monotonic()
            c.send(ASK)
            answer = c.answer()
            seconds.append(time.monotonic() - begin)
            check(answer.status == 200 and answer.body == PAGE, "answer %d: %r" % (number, answer))
        not_slower(seconds, "kept-alive requests")
        same(machine.frames(), before, "the frames afterwards")


def crowd(machine, count):
    """That many connections alive at once, each used again and again, in order and all together."""
    many = []
    for unused in range(count):
        c = Connection(machine.http)
        same(c.request("/").body, PAGE, "the first page of a connection")
        many.append(c)
    for unused in range(ROUNDS):
        before = machine.frames()
        for unused in range(3):
            for c in many:
                same(c.request("/").body, PAGE, "the page, asked one by one")
        for unused in range(5):
            for c in many:
                c.send(ASK * 2)
            for c in many:
                same((c.answer().body, c.answer().body), (PAGE, PAGE), "the pages, asked by all at once")
        after = machine.frames()
        if after == before:
            break
    same(after, before, "the frames after many requests")
    for c in many:
        c.close()
    same(get(machine.http, "/").body, PAGE, "the page afterwards")
    return before


def crowds(machine, count):
    """How much is under way at once is up to this computer, so the most ever may grow once or twice, but not for ever."""
    first = crowd(machine, count)
    for unused in range(ROUNDS):
        again = crowd(machine, count)
        if again == first:
            break
        first = again
    same(again, first, "the frames after the second crowd")


def test_short():
    """short connections, one after another"""
    short(served(), SHORT_CONNECTIONS)


def test_kept_alive():
    """requests on one connection"""
    kept(served(), KEPT_ALIVE_REQUESTS)


def test_at_once():
    """256 connections alive at once; a second time they need no frame more"""
    machine = served()
    crowds(machine, AT_ONCE)


def test_short_again():
    """short connections after the crowd"""
    short(served(), SHORT_CONNECTIONS // 4)


def test_small_short():
    """short connections with 4 MiB"""
    short(served("4M"), SHORT_CONNECTIONS)


def test_small_kept():
    """kept-alive requests with 4 MiB"""
    kept(served("4M"), KEPT_ALIVE_REQUESTS // 2)


def test_small_at_once():
    """16 connections alive at once with 4 MiB"""
    machine = served("4M")
    crowds(machine, 16)


def test_silence():
    """no machine complained on its console"""
    for machine in shared.values():
        lines = [line for line in machine.text.splitlines() if not line.startswith("watch: ")]
        same(lines, ["httpd: serving / on port 80"], "the console")


atexit.register(clean)
with open(os.path.join(tree, "index.html"), "wb") as page:
    page.write(PAGE)
if __name__ == "__main__":
    tap.main()
