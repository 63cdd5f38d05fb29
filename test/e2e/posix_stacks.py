# SPDX-License-Identifier: BSD-2-Clause
"""Network stacks of their own: two sections with two keepers, both on the net, on ports of their own and on one port.

Time limit: 120 s
"""

import os
import socket
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from guest import Guest
from tap import check, has, same

SERVER = os.path.join(guest.build_dir(), "test", "guest", "posix_server.posix")
SCRATCH = tempfile.TemporaryDirectory()
BIG = 300000


def machine(name, *programs):
    """A machine with these sections: name, port it listens at, lines."""
    path = os.path.join(SCRATCH.name, name + ".conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[machine]\nmemory = 128M\npublish = 0:80\npublish = 0:81\n")
        for program, port, lines in programs:
            file.write("[program %s]\nimage = %s\nargs = %d %s\nmemory = 48M\n%s\n" % (
                program, SERVER, port, program, lines))
    server = Guest("--config", path, name="stacks-" + name, timeout=100, pcap=True)
    for program, unused, unused in programs:
        server.wait_line("^server: ready " + program)
    return server


def ask(server, port, line, data=b""):
    with socket.create_connection(("127.0.0.1", server.port(port)), timeout=20) as link:
        link.sendall(line.encode() + b"\n" + data)
        parts = []
        while True:
            part = link.recv(65536)
            if not part:
                return b"".join(parts)
            parts.append(part)


def test_own_ports():
    """Each has its ports; they talk over the net; what one has bound is nothing to the other, nor that it ends"""
    with machine("ports", ("one", 80, "net = own\nport = tcp/80\nmain = yes"),
                 ("two", 81, "net = share\nport = tcp/81\nport = tcp/4000")) as server:
        same(ask(server, 80, "WHO"), b"one", "who has port 80")
        same(ask(server, 81, "WHO"), b"two", "who has port 81")
        data = bytes(i * 7 & 255 for i in range(BIG))
        for port in (80, 81):
            check(ask(server, port, "ECHO %d" % BIG, data) == data, "port %d gives back what it was sent" % port)
        same(ask(server, 80, "CONNECT 10.0.2.2 %d" % server.port(81)), b"two", "by way of this computer")
        same(ask(server, 81, "CONNECT 10.0.2.2 %d 4000" % server.port(80)), b"one", "from a port that it claims")
        has(ask(server, 81, "CONNECT 10.0.2.15 80").decode().lower(), "refused", "the address is each one's own")
        has(ask(server, 81, "CONNECT 127.0.0.1 80").decode().lower(), "refused", "and so is localhost")
        ask(server, 81, "QUIT")
        server.wait_line("^server: served")
        same(ask(server, 80, "WHO"), b"one", "the other goes on")
        ask(server, 80, "QUIT")
        same(server.wait(), 0, "exit status")


def test_one_port():
    """Two stacks serve one port, each the half of the clients"""
    with machine("part", ("one", 80, "net = own\nport = tcp/80/1of2\nmain = yes"),
                 ("two", 80, "net = share\nport = tcp/80/2of2")) as server:
        said = [ask(server, 80, "WHO") for unused in range(40)]
        same(set(said), {b"one", b"two"}, "who answers")
        data = bytes(i * 5 & 255 for i in range(BIG))
        for unused in range(4):
            check(ask(server, 80, "ECHO %d" % BIG, data) == data, "what was sent comes back")


if __name__ == "__main__":
    tap.main()
