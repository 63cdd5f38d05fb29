# SPDX-License-Identifier: BSD-2-Clause
"""What conn.h promises, asked of all that implement it: the same program (test/guest/conn_rules.c) on this computer under its
sanitizers (over poll()), and over uni, posix, dataplane and event, by clients that behave and clients that do not.

Time limit: 240 s
"""

import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from guest import Guest, build_dir
from tap import check, same

PORT = 8077
CROWD = 250
PATTERN = bytes(i % 251 for i in range(251 * 64))


def pattern(size):
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


class Host:
    """conn_rules compiled for this computer."""

    def __init__(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.number = s.getsockname()[1]
        self.process = subprocess.Popen([os.path.join(build_dir(), "test/e2e/conn-host"), str(self.number)],
                                        stdout=subprocess.PIPE, text=True)
        same(self.process.stdout.readline(), "conn_rules: serving\n")

    def port(self):
        return self.number

    def stop(self):
        check(self.process.poll() is None, "the program has ended by itself")
        self.process.terminate()
        self.process.communicate(timeout=10)


class Machine:
    """conn_rules in the machine."""

    def __init__(self, libos):
        self.libos = libos
        self.guest = Guest("-m", "64M", "-p", "0:%d" % PORT, os.path.join(build_dir(), "test/guest/conn_rules." + libos),
                           name="conn-" + libos, timeout=100)
        self.guest.wait_line("^conn_rules: serving")

    def port(self):
        return self.guest.port(PORT)

    def stop(self):
        check(self.guest.running(), "the machine has ended:\n" + self.guest.text[-2000:])
        self.guest.stop()


class Client:
    def __init__(self, server, window=0):
        self.sock = socket.socket()
        if window:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.sock.settimeout(20)
        self.sock.connect(("127.0.0.1", server.port()))
        self.have = b""

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def bytes(self, count):
        while len(self.have) < count:
            part = self.sock.recv(65536)
            if not part:
                raise EOFError("the connection ended behind %d of %d bytes" % (len(self.have), count))
            self.have += part
        part, self.have = self.have[:count], self.have[count:]
        return part

    def line(self):
        text = b""
        while not text.endswith(b"\n"):
            text += self.bytes(1)
        return text[:-1].decode()

    def ask(self, text):
        self.send(text)
        return self.line()

    def rest(self):
        """All to the end; None: a reset."""
        try:
            while part := self.sock.recv(65536):
                self.have += part
        except ConnectionResetError:
            return None
        data, self.have = self.have, b""
        return data

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def stats(server):
    with Client(server) as c:
        opened, closed, live, error, broken = c.ask(b"s\n").split()
        return {"opened": int(opened), "closed": int(closed), "live": int(live) - 1, "error": error, "broken": int(broken)}


def settled(server, live=0):
    """The last closed connection's error and story, when only so many are left."""
    for unused in range(100):
        now = stats(server)
        if now["live"] <= live:
            return now
        time.sleep(0.1)
    raise AssertionError("connections are left: %s" % now)


def pieces(server):
    with Client(server) as c:
        same(c.ask(b"z\n"), "pong")
        for byte in b"e 5\nhello":
            c.send(bytes([byte]))
            time.sleep(0.005)
        same(c.bytes(5), b"hello")
        data = os.urandom(300000)
        c.send(b"e 300000\n")
        c.sock.setblocking(False)
        sent, got, end = 0, b"", time.monotonic() + 30
        while len(got) < len(data) and time.monotonic() < end:
            try:
                sent += c.sock.send(data[sent:sent + 65536])
            except BlockingIOError:
                pass
            try:
                got += c.sock.recv(65536)
            except BlockingIOError:
                time.sleep(0.002)
        check(got == data, "300,000 bytes come back as they were (%d have)" % len(got))


def pipelines(server):
    """10,000 requests at once, and their end behind them."""
    with Client(server) as c:
        c.send(b"z\n" * 10000)
        c.finish()
        data = c.rest()
        same((data or b"").count(b"pong\n"), 10000, "answers")


def pauses(server):
    with Client(server) as c:
        begin = time.monotonic()
        c.send(b"p 400\nz\nz\n")
        c.finish()
        same(c.rest(), b"pong\npong\n", "what was left is shown again, then the end is told")
        check(time.monotonic() - begin >= 0.3, "not before the time")      # clocks may differ
    with Client(server) as c:
        c.send(b"p 300\n")
        time.sleep(0.1)
        c.finish()
        same(c.rest(), b"", "a paused one with nothing left is told of the end")


def closes(server):
    with Client(server) as c:
        c.send(b"b 500000\nc\nz\n")
        time.sleep(0.5)
        check(c.rest() == pattern(500000), "all that was queued comes, then the end")
    with Client(server) as c:
        c.send(b"zz")
        time.sleep(0.05)
        c.send(b"z\nc")
        time.sleep(0.05)
        c.send(b"\n")
        same(c.rest(), b"pong\n", "closed on what was left")
    with Client(server) as c:
        c.send(b"b 1000\nc\n" + b"x" * 40000)
        time.sleep(0.2)
        same(len(c.rest() or b""), 1000, "bytes before the end, though more came")
    same(settled(server)["live"], 0)


def aborts(server):
    with Client(server) as c:
        c.send(b"a\n")
        check(not c.rest(), "a reset; user networking makes an end of it")
    same(settled(server)["live"], 0)


def errors(server):
    """The error that `closed` is told."""
    with Client(server) as c:
        c.send(b"a\n")
        c.rest()
    same(settled(server)["error"], "A", "conn_abort")
    c = Client(server)
    c.ask(b"z\n")
    c.reset()
    same(settled(server)["error"], "R", "the client's reset")
    with Client(server) as c:
        try:
            c.send(b"l\n")
            for unused in range(100):
                c.send(b"x" * 1000)
                time.sleep(0.01)
        except OSError:
            pass
    same(settled(server)["error"], "N", "too much is left")


def halves(server):
    with Client(server) as c:
        c.send(b"h 200000\n")
        time.sleep(0.05)
        c.finish()
        check(c.rest() == pattern(200000), "what is sent after the other side's end comes whole")
    with Client(server) as c:
        c.send(b"z\nunfinished")
        c.finish()
        same(c.rest(), b"pong\n", "half a request is dropped at the end")


def owes(server):
    with Client(server) as c:
        for unused in range(20):
            owed, room = map(int, c.ask(b"o\n").split())
            if not owed:
                break
            time.sleep(0.05)
        same(owed, 0, "owed by one that has read all")
        check(room > 0, "room")
        for what in b"b", b"k":
            c.send(what + b" 300000\n")
            check(c.bytes(300000) == pattern(300000), "300,000 bytes")
            time.sleep(0.3)
            same(c.ask(b"o\n").split()[0], "0", "owed when all is acknowledged")


def slow(server):
    """A reader that does not read for a while, beside one that does."""
    with Client(server, window=4096) as c:
        c.send(b"b 600000\n")
        time.sleep(1.5)
        with Client(server) as other:
            same(other.ask(b"z\n"), "pong", "meanwhile")
        check(c.bytes(600000) == pattern(600000), "the slow one gets all")


def timers(server):
    with Client(server) as c:
        for ms in (0, 1, 30, 250):
            begin = time.monotonic()
            took = int(c.ask(b"t %d\n" % ms))
            check(ms <= took <= ms + 300, "a timer of %d ms took %d" % (ms, took))
            check(time.monotonic() - begin >= (ms * 0.75 - 2) / 1000, "by our clock too")


def resets(server):
    """Resets in the middle of large answers, and before them."""
    for i in range(60):
        c = Client(server)
        c.send(b"%s 3000000\n" % (b"k" if i % 2 else b"b"))
        if i % 3:
            c.bytes(1 + i * 1000)
        c.reset()
    same(settled(server)["live"], 0, "connections left")


def crowds(server):
    """Many connections, perhaps more than there is room for; afterwards there is room again."""
    some = []
    for unused in range(CROWD):
        c = Client(server)
        some.append(c)
        try:
            same(c.ask(b"z\n"), "pong")    # so that it is open over there, too, unless it was refused
        except (OSError, EOFError):
            pass
    for c in some:
        c.reset()
    same(settled(server)["live"], 0, "connections left")
    for unused in range(CROWD):
        with Client(server) as c:
            same(c.ask(b"z\n"), "pong")
    same(settled(server)["live"], 0, "connections left")


def listening():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(8)
    s.settimeout(20)
    return s, s.getsockname()[1]


def asks(server):
    """It connects to us: who is there is heard out, its half is ended before; who is not, refuses."""
    s, port = listening()
    with s, Client(server) as c:
        c.send(b"x %d\n" % port)
        if getattr(server, "libos", "") == "event":
            same(c.line(), "cannot")
            return
        peer, unused = s.accept()
        with peer:
            heard = b""
            while part := peer.recv(100):
                heard += part
            same(heard, b"hello\n", "what it said, and its end")
            peer.sendall(pattern(200000))
        check(c.bytes(200000) == pattern(200000), "what it was told, though its half had ended")
        same(c.line(), "closed")
    with Client(server) as c:
        same(c.ask(b"x %d\n" % port), "refused")
    s, port = listening()
    with s:
        c = Client(server)
        c.send(b"x %d\n" % port)
        peer, unused = s.accept()
        with peer:
            same(peer.recv(100), b"hello\n")
            c.reset()                           # who has asked for it goes: it is aborted
            peer.settimeout(20)
            try:
                while peer.recv(100):
                    pass
            except ConnectionResetError:
                pass
    same(settled(server)["live"], 0, "connections left")


def works(server):
    """Something that takes long is done beside; on dataplane others are answered meanwhile."""
    with Client(server) as c, Client(server) as other:
        other.ask(b"z\n")
        c.send(b"w 600\n")
        begin = time.monotonic()
        same(other.ask(b"z\n"), "pong")
        took = time.monotonic() - begin
        same(c.line(), "done")
        check(getattr(server, "libos", "") in ("posix", "event") or time.monotonic() - begin >= 0.3, "not before the time")
        check(getattr(server, "libos", "") != "dataplane" or took < 0.4, "others waited %.2f s" % took)
    many = [Client(server) for unused in range(12)]
    for c in many:
        c.send(b"w 20\n")
    for c in many[:4]:
        c.reset()
    for c in many[4:]:
        same(c.line(), "done")
        c.sock.close()
    same(settled(server)["live"], 0, "connections left")


CASES = (asks, works, pieces, pipelines, pauses, closes, aborts, errors, halves, owes, slow, timers, resets, crowds)


def all_of(server):
    wrong = []
    only = os.environ.get("EXO_CONN_CASES", "")
    with Client(server) as c:
        c.ask(b"z\n")
    for case in CASES:
        if only and case.__name__ not in only.split():
            continue
        begin = time.monotonic()
        try:
            case(server)
        except (AssertionError, OSError, EOFError, ValueError) as error:
            wrong.append("%s: %s" % (case.__name__, re.sub(r"\s+", " ", repr(error))[:300]))
            print("# " + wrong[-1], flush=True)
        print("# %s: %.2f s" % (case.__name__, time.monotonic() - begin), flush=True)
    if stats(server)["broken"]:
        wrong.append("conn_send took less than conn_room had said")
    server.stop()
    check(not wrong, "\n".join(wrong))


threads = {}


def run(where, server):
    try:
        threads[where].wrong = None
        all_of(server)
    except Exception as error:          # pylint: disable=broad-except
        threads[where].wrong = error


def result(where):
    """Most of the time is waiting: all run at once, from the first on."""
    if not threads:
        for name in ("host", "uni", "posix", "dataplane", "event"):
            server = Host() if name == "host" else Machine(name)
            threads[name] = threading.Thread(target=run, args=(name, server))
            threads[name].start()
    threads[where].join()
    if threads[where].wrong:
        raise threads[where].wrong


def test_host():
    """On this computer, over poll()"""
    result("host")


def test_uni():
    """Over uni"""
    result("uni")


def test_posix():
    """Over posix"""
    result("posix")


def test_dataplane():
    """Over dataplane"""
    result("dataplane")


def test_event():
    """Over event"""
    result("event")


if __name__ == "__main__":
    tap.main()
