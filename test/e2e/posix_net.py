# SPDX-License-Identifier: BSD-2-Clause
"""Processes of the libOS posix on the network: a server with a process for each connection, and real clients.

Time limit: 240 s
"""

import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from guest import Guest
from tap import check, has, same

SERVER = os.path.join(guest.build_dir(), "test", "guest", "posix_server.posix")
BIG = 1 << 20


class Server(Guest):
    def __init__(self, name, **how):
        super().__init__("-m", "96M", "-p", "0:80", "-p", "0:7/udp", SERVER, name=name, timeout=100, **how)
        self.wait_line("^server: ready")
        self.address = ("127.0.0.1", self.port(80))

    def connect(self):
        return socket.create_connection(self.address, timeout=20)

    def ask(self, line, data=b""):
        """One line, what follows it, and all that comes back."""
        with self.connect() as link:
            link.sendall(line.encode() + b"\n" + data)
            return everything(link)

    def finish(self, served):
        """It ends by itself, and has waited for every child."""
        self.ask("QUIT")
        same(self.wait(), 0, "the server's exit status")
        has(self.text, "served %d, ended %d" % (served + 1, served + 1), "its count")


def everything(link):
    parts = []
    while True:
        part = link.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def pattern(count):
    return bytes((i * 13 >> 2) & 255 for i in range(count))


def body(answer):
    return answer.split(b"\r\n\r\n", 1)[1]


def test_short():
    """Many short connections in a row, then forty at once, each by a process of its own"""
    with Server("short") as server:
        for number in range(560):       # more than a user may have sockets at once
            same(body(server.ask("GET /%d HTTP/1.0\r\n\r" % number)), pattern(number), "the answer")
        wrong, gate = [], threading.Barrier(40)

        def client(number):
            try:
                data = os.urandom(3000)
                with server.connect() as link:
                    link.sendall(b"ECHO 3000\n" + data[:1000])
                    gate.wait(20)
                    link.sendall(data[1000:])
                    if everything(link) != data:
                        wrong.append(number)
            except (OSError, threading.BrokenBarrierError) as error:
                wrong.append((number, error))

        clients = [threading.Thread(target=client, args=(number,)) for number in range(40)]
        for one in clients:
            one.start()
            time.sleep(0.02)            # the emulator resets some when all come in the same moment
        for one in clients:
            one.join()
        same(wrong, [], "clients that got something else")
        server.finish(600)


def test_curl():
    """curl gets a megabyte"""
    with Server("curl") as server:
        done = subprocess.run(["curl", "-sS", "--max-time", "30", "http://127.0.0.1:%d/%d" % (server.address[1], BIG)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
        same((done.returncode, done.stderr), (0, b""), "curl")
        same(hashlib.sha256(done.stdout).hexdigest(), hashlib.sha256(pattern(BIG)).hexdigest(), "what it got")
        data = os.urandom(300000)
        with server.connect() as link:
            sender = threading.Thread(target=link.sendall, args=(b"ECHO 300000\n" + data,))
            sender.start()
            same(everything(link) == data, True, "an echo of 300,000 bytes")
            sender.join()
        server.finish(2)


def ended(link):
    """Has the connection come to an end, with nothing said? The emulator's network may make a plain end of a reset."""
    try:
        return everything(link) == b""
    except ConnectionResetError:
        return True


def test_ends():
    """Connections that are cut, processes that crash or are killed, clients that go away: the server goes on"""
    with Server("ends") as server:
        with server.connect() as link:
            link.sendall(b"ABORT\n")
            check(ended(link), "SO_LINGER of no time: cut")
        with server.connect() as link:
            link.sendall(b"DROP\n" + bytes(3000))
            check(ended(link), "closed with unread data: cut")
        for word in ("KILL", "CRASH"):
            same(server.ask(word), b"", "%s: an end" % word)
        for cut in range(10):
            with server.connect() as link:
                link.sendall(b"GET /400000 HTTP/1.0\r\n\r\n" if cut % 2 else b"ECHO 100000\n12345")
                if cut % 2:
                    link.recv(1000)
                if cut % 3:
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        same(body(server.ask("GET /100 HTTP/1.0\r\n\r")), pattern(100), "it still serves")
        server.finish(15)


def test_out():
    """A process connects to this computer; a closed port refuses; names; ping"""
    with socket.socket() as here, Server("out") as server:
        here.bind(("127.0.0.1", 0))
        here.listen(1)
        port = here.getsockname()[1]

        def answer():
            link = here.accept()[0]
            with link:
                link.sendall(link.recv(100).upper())

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        same(server.ask("CONNECT 10.0.2.2 %d" % port), b"FROM THE GUEST\n", "what this computer said")
        thread.join()
        here.close()
        has(server.ask("CONNECT 10.0.2.2 %d" % port).decode(), "refused", "a closed port")
        has(server.ask("CONNECT 127.0.0.1 81").decode(), "refused", "a closed port of its own")
        same(server.ask("CONNECT 127.0.0.1 80"), b"", "itself")
        same(server.ask("NAME localhost"), b"127.0.0.1", "a name")
        for address in ("127.0.0.1", "10.0.2.2"):
            same(server.ask("PING " + address), b"alive", "a ping of " + address)
        server.finish(8)


def test_udp():
    """UDP datagrams of many sizes"""
    with Server("udp") as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        for size in (0, 1, 100, 1472, 1473, 4000, 8000):
            data = os.urandom(size)
            for attempt in range(5):
                client.sendto(data, ("127.0.0.1", server.port(7, "udp")))
                try:
                    same(client.recv(65536), data, "the echo of %d bytes" % size)
                    break
                except socket.timeout:
                    check(attempt < 4, "no echo of %d bytes" % size)
        server.finish(0)


if __name__ == "__main__":
    tap.main()
