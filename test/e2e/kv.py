# SPDX-License-Identifier: BSD-2-Clause
"""kv, the key-value store: the same questions to it on this computer (under its sanitizers, over poll()) and in the machine,
over the libOSes it is built for; by a plain client and, if it is installed, by Python's pymemcache.

Time limit: 120 s
"""

import atexit
import os
import random
import re
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from guest import Guest, build_dir
from tap import Skip, check, has, same

HOST = os.path.join(build_dir(), "test/e2e/kv-host")
servers = {}


class Host:
    """kv compiled for this computer."""

    def __init__(self, *options):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.number = s.getsockname()[1]
        self.process = subprocess.Popen([HOST, "--port", str(self.number), *options], stdout=subprocess.PIPE, text=True)
        same(self.process.stdout.readline(), "kv: serving on port %d\n" % self.number)

    def port(self):
        return self.number

    def stop(self):
        check(self.process.poll() is None, "kv has ended by itself")
        self.process.terminate()
        self.process.communicate(timeout=10)


class Machine:
    """kv in the machine, over a libOS."""

    def __init__(self, libos, *options):
        self.guest = Guest("--libos", libos, "-m", "64M", "-p", "0:11211", "kv", "--", *options, name=libos, pcap=False)
        self.guest.wait_line("^kv: serving on port 11211")

    def port(self):
        return self.guest.port(11211)

    def stop(self):
        check(self.guest.running(), "the machine has ended:\n" + self.guest.text[-2000:])
        self.guest.stop()


def server(where):
    if where not in servers:
        servers[where] = Host("-m", "4") if where == "host" else Machine(where, "-m", "4")
    return servers[where]


class Client:
    """A plain client: bytes there, bytes back."""

    def __init__(self, where):
        self.sock = socket.create_connection(("127.0.0.1", server(where).port()), 20)
        self.sock.settimeout(20)
        self.have = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def more(self):
        part = self.sock.recv(65536)
        if not part:
            raise EOFError("the connection ended behind %r" % self.have[-100:])
        self.have += part

    def line(self):
        while b"\r\n" not in self.have:
            self.more()
        line, self.have = self.have.split(b"\r\n", 1)
        return line

    def bytes(self, count):
        while len(self.have) < count:
            self.more()
        part, self.have = self.have[:count], self.have[count:]
        return part

    def ask(self, text, *wanted):
        self.sock.sendall(text)
        for line in wanted:
            same(self.line(), line, "the answer to %r" % text[:60])

    def get(self, *keys):
        self.sock.sendall(b"get " + b" ".join(keys) + b"\r\n")
        found = {}
        while True:
            line = self.line()
            if line == b"END":
                return found
            unused, key, unused2, count = line.split()
            found[key] = self.bytes(int(count))
            same(self.bytes(2), b"\r\n", "the end of a value")

    def set(self, key, value):
        self.ask(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value), b"STORED")

    def stats(self):
        self.sock.sendall(b"stats\r\n")
        found = {}
        while (line := self.line()) != b"END":
            unused, name, value = line.decode().split()
            found[name] = value
        return found


def converse(where):
    """Every command, and its errors."""
    with Client(where) as c:
        c.ask(b"flush_all\r\n", b"OK")
        c.ask(b"set a 5 0 3\r\nabc\r\n", b"STORED")
        c.ask(b"get a\r\n", b"VALUE a 5 3", b"abc", b"END")
        c.ask(b"add a 0 0 1\r\nx\r\nreplace b 0 0 1\r\nx\r\n", b"NOT_STORED", b"NOT_STORED")
        c.ask(b"append a 0 0 2\r\nde\r\nprepend a 0 0 1\r\n_\r\nget a\r\n", b"STORED", b"STORED", b"VALUE a 5 6",
              b"_abcde", b"END")
        c.sock.sendall(b"gets a\r\n")
        cas = c.line().split()[4]
        same((c.line(), c.line()), (b"_abcde", b"END"))
        c.ask(b"cas a 0 0 1 %s\r\nx\r\ncas a 0 0 1 %s\r\ny\r\ncas none 0 0 1 1\r\nz\r\n" % (cas, cas), b"STORED", b"EXISTS",
              b"NOT_FOUND")
        c.ask(b"set n 0 0 1\r\n9\r\nincr n 1\r\ndecr n 11\r\nincr a 1\r\n", b"STORED", b"10", b"0",
              b"CLIENT_ERROR cannot increment or decrement non-numeric value")
        c.ask(b"touch a 100\r\ntouch none 1\r\ndelete a\r\ndelete a\r\n", b"TOUCHED", b"NOT_FOUND", b"DELETED", b"NOT_FOUND")
        c.ask(b"set a 0 0 3\r\nabcdef\r\nversion\r\n", b"CLIENT_ERROR bad data chunk")
        check(c.line().startswith(b"VERSION "), "the version")
        c.ask(b"set %s 0 0 1\r\nx\r\n" % (b"k" * 251), b"CLIENT_ERROR bad command line format")
        c.ask(b"set a 0 0 2000000\r\n" + bytes(2000000) + b"\r\nnonsense\r\n", b"SERVER_ERROR object too large for cache",
              b"ERROR")
        c.ask(b"g" * 20000 + b"\r\nget a\r\n", b"CLIENT_ERROR line too long", b"END")
        c.ask(b"set a 0 0 1 noreply\r\nx\r\ndelete a noreply\r\nverbosity 1\r\n", b"OK")
        c.ask(b"quit\r\n")
        same(c.sock.recv(1), b"", "the end")


def large_values(where):
    """Values of all sizes, many at once, a reader that does not read."""
    rand = random.Random(1)
    with Client(where) as c:
        c.ask(b"flush_all\r\n", b"OK")
        values = {b"v%d" % size: rand.randbytes(size) for size in (0, 1, 100, 8000, 8192, 8193, 16000, 20000, 70000, 500000)}
        for key, value in values.items():
            c.set(key, value)
        for key, value in values.items():
            check(c.get(key) == {key: value}, "the value of %r" % key)
        check(c.get(*values, b"none") == values, "all at once")
        c.sock.sendall((b"get " + b" ".join(values) + b"\r\n") * 8)
        with Client(where) as other:
            other.set(b"other", b"x")
            same(other.get(b"other"), {b"other": b"x"}, "meanwhile")
            other.ask(b"flush_all\r\n", b"OK")
        for unused in range(8):
            while (line := c.line()) != b"END":
                key, count = line.split()[1], int(line.split()[3])
                check(c.bytes(count) == values[key] and c.bytes(2) == b"\r\n", "the value of %r, late" % key)
        c.set(b"max", bytes(1 << 20))
        same(len(c.get(b"max")[b"max"]), 1 << 20, "the largest")


def crowd(where, clients=16, turns=120):
    """Many clients, each with keys of its own, in random pieces: no answer is mixed up."""
    wrong = []

    def run(seed, client):
        rand = random.Random(seed)
        mine = {}
        try:
            with client as c:
                for turn in range(turns):
                    key = b"c%d-%d" % (seed, rand.randrange(8))
                    if rand.random() < 0.4:
                        value = rand.randbytes(rand.choice((1, 30, 300, 3000)))
                        text = b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value)
                        cut = rand.randrange(len(text))
                        c.sock.sendall(text[:cut])
                        c.sock.sendall(text[cut:])
                        same(c.line(), b"STORED")
                        mine[key] = value
                    else:
                        found = c.get(key)
                        if found != ({key: mine[key]} if key in mine else {}):
                            wrong.append((key, turn))
        except Exception as error:      # pylint: disable=broad-except
            wrong.append(repr(error))

    with Client(where) as c:
        c.ask(b"flush_all\r\n", b"OK")
    threads = []
    for i in range(clients):
        client = Client(where)
        client.ask(b"verbosity 1\r\n", b"OK")
        threads.append(threading.Thread(target=run, args=(i, client)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(wrong, [], "what went wrong")


def bounded(where):
    """More than there is memory for: the last ones are there, the rest was evicted, and the bound holds."""
    with Client(where) as c:
        c.ask(b"flush_all\r\n", b"OK")
        value = b"x" * 1000
        for start in range(0, 8000, 100):
            c.sock.sendall(b"".join(b"set k%d 0 0 1000 noreply\r\n%s\r\n" % (i, value) for i in range(start, start + 100)))
        same(c.get(b"k7999"), {b"k7999": value}, "the last")
        same(c.get(b"k0"), {}, "the first")
        stats = c.stats()
        check(int(stats["evictions"]) > 3000, "evictions: %s" % stats["evictions"])
        check(int(stats["total_malloced"]) <= 4 << 20, "memory: %s" % stats["total_malloced"])
        check(2000 < int(stats["curr_items"]) < 4200, "items: %(curr_items)s in %(total_malloced)s bytes" % stats)


def foreign(where):
    """pymemcache's client agrees."""
    sys.path.append("/usr/lib/python3/dist-packages")       # where Debian has it, whichever Python runs this
    try:
        from pymemcache.client.base import Client as Theirs     # pylint: disable=import-outside-toplevel
    except ImportError:
        raise Skip("pymemcache is not installed (python3-pymemcache)") from None
    c = Theirs(("127.0.0.1", server(where).port()), timeout=20, connect_timeout=20)
    c.flush_all()
    check(c.set("a", b"1") and c.get("a") == b"1" and c.get("none") is None, "set and get")
    check(c.set_many({"b": b"2", "c": b"3"}) == [] and c.get_many(["a", "b", "c", "d"]) ==
          {"a": b"1", "b": b"2", "c": b"3"}, "many")
    value, cas = c.gets("a")
    same(value, b"1")
    check(c.cas("a", b"5", cas, noreply=False) is True and c.cas("a", b"6", cas, noreply=False) is False, "cas")
    same((c.incr("a", 3), c.decr("a", 10)), (8, 0))
    check(c.add("a", b"x", noreply=False) is False and c.replace("a", b"xy", noreply=False), "add and replace")
    check(c.append("a", b"z", noreply=False) and c.prepend("a", b"w", noreply=False) and c.get("a") == b"wxyz", "append")
    check(c.touch("a", 100, noreply=False) and c.delete("a", noreply=False) and not c.delete("a", noreply=False), "the rest")
    check(int(c.stats()[b"cmd_get"]) > 0, "stats")
    c.quit()


def all_of(where):
    converse(where)
    large_values(where)
    crowd(where)
    bounded(where)


def test_host():
    """On this computer: every command, large values, many clients, bounded memory"""
    all_of("host")


def test_uni():
    """The same over uni"""
    all_of("uni")


def test_dataplane():
    """The same over dataplane"""
    all_of("dataplane")


def test_event():
    """The same over event"""
    all_of("event")


def test_posix():
    """The same over posix"""
    all_of("posix")


def test_pymemcache():
    """pymemcache, against all of them"""
    for where in ("host", "uni", "dataplane", "event", "posix"):
        foreign(where)


def test_options():
    """Help, and mistakes that name the nearest one"""
    done = subprocess.run([HOST, "--help"], capture_output=True, text=True, timeout=10, check=False)
    check(done.returncode == 0 and "--memory" in done.stdout, "help")
    for words, text in ((["--prot", "80"], "nearest known one is --port"), (["-m", "0"], "from 1 to"),
                        (["--port"], "write a whole number"), (["x"], "only options are known")):
        done = subprocess.run([HOST, *words], capture_output=True, text=True, timeout=10, check=False)
        same(done.returncode, 2, "status of %r" % words)
        has(done.stderr, text)
    done = subprocess.run([HOST, "--port", str(server("host").port())], capture_output=True, text=True, timeout=10,
                          check=False)
    check(done.returncode == 2 and re.search("port [0-9]+: Address already in use", done.stderr), done.stderr)


def test_end():
    """All of them are still there, and no connection was lost"""
    for where in list(servers):
        with Client(where) as c:
            stats = c.stats()
            check(int(stats["curr_connections"]) <= 3, "%s: %s connections" % (where, stats["curr_connections"]))
        servers.pop(where).stop()


atexit.register(lambda: [s.stop() for s in servers.values()])
if __name__ == "__main__":
    tap.main()
