#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""memcached, built unmodified from its source, with libevent over epoll and four threads, answers this computer.

Without the sources (no network, and no folder that holds them) all is skipped.

Time limit: 900 s
"""

import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import ported
import tap
from guest import Guest
from tap import check, same

CONNECTIONS = 400
server = None


def start():
    """The one server of all cases."""
    global server
    if server:
        return server
    program = ported.program("memcached", "memcached")
    server = Guest("-m", "256M", "-p", "0:11211", program, "--", "-u", "root", "-U", "0", "-t", "4", "-m", "32",
                   name="memcached", timeout=300)
    return server


class Client:
    def __init__(self):
        for tries in range(50):
            try:
                self.socket = socket.create_connection(("127.0.0.1", start().port(11211)), 20)
                self.file = self.socket.makefile("rwb")
                if tries < 49 and self.ask("version")[:8] != b"VERSION ":
                    continue        # the runner's port is there before the server
                return
            except OSError:
                time.sleep(0.2)
        raise AssertionError("no connection")

    def send(self, line, data=None):
        self.file.write(line.encode() + b"\r\n" + (data + b"\r\n" if data is not None else b""))
        self.file.flush()

    def ask(self, line, data=None):
        self.send(line, data)
        return self.file.readline().rstrip(b"\r\n")

    def get(self, key):
        said = self.ask("get " + key)
        if said == b"END":
            return None
        data = self.file.read(int(said.split()[3]) + 2)[:-2]
        same(self.file.readline(), b"END\r\n", "the end")
        return data


def test_commands():
    """set, get, add, incr, append, cas, delete, what expires, what is too large"""
    client = Client()
    same(client.ask("set a 5 0 5", b"hello"), b"STORED", "set")
    same(client.get("a"), b"hello", "get")
    same(client.ask("add a 0 0 1", b"x"), b"NOT_STORED", "add of what is there")
    same(client.ask("append a 0 0 1", b"!"), b"STORED", "append")
    same(client.get("a"), b"hello!", "get")
    same(client.ask("set n 0 0 2", b"41"), b"STORED", "set")
    same(client.ask("incr n 1"), b"42", "incr")
    same(client.ask("delete a"), b"DELETED", "delete")
    same(client.get("a"), None, "what is gone")
    same(client.ask("set late 0 1 1", b"x"), b"STORED", "set for a second")
    time.sleep(2.5)
    same(client.get("late"), None, "what is too old")
    large = bytes(range(256)) * 3500
    same(client.ask("set large 0 0 %d" % len(large), large), b"STORED", "set of 896,000 bytes")
    check(client.get("large") == large, "other bytes come back")
    same(client.ask("set huge 0 0 2000000", b"x" * 2000000), b"SERVER_ERROR object too large for cache", "too large")


def test_many():
    """400 connections at once, spread over the threads"""
    clients = [Client() for unused in range(CONNECTIONS)]
    for number, client in enumerate(clients):
        client.send("set k%d 0 0 4" % number, b"%04d" % number)
    for client in clients:
        same(client.file.readline(), b"STORED\r\n", "set")
    for number, client in enumerate(clients):
        same(client.get("k%d" % ((number * 7) % CONNECTIONS)), b"%04d" % ((number * 7) % CONNECTIONS), "get")
    for client in clients:
        client.file.close()
        client.socket.close()
    same(Client().get("k3"), b"0003", "afterwards")


def test_pressure():
    """more than it may keep: the oldest go, the server stays"""
    client = Client()
    for number in range(1500):
        client.send("set p%d 0 0 30000 noreply" % number, b"%06d" % number * 5000)
    check(client.get("p1499") == b"001499" * 5000, "the last is gone")
    same(client.get("p0"), None, "the first")


if __name__ == "__main__":
    tap.main(lambda: server and server.running() and server.stop())
