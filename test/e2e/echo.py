# SPDX-License-Identifier: BSD-2-Clause
"""Packets answered in the kernel when they arrive: ping by a host on a wire, and real UDP clients.

Time limit: 180 s
"""

import os
import random
import re
import socket
import struct
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import peer
import tap
import wire
from guest import Guest
from tap import check, same, wait_until

SHARED = """\
[program address]
net = own
[program echo]
args = udp %s-v
net = share
port = udp/7
"""


def configuration(text):
    with tempfile.NamedTemporaryFile("w", prefix="exo-echo-", suffix=".conf", delete=False) as file:
        file.write(text)
    return file.name


def counted(machine):
    """How many it says it has answered."""
    found = re.findall(r"^echo: (\d+)\s*$", machine.text, re.MULTILINE)
    return int(found[-1]) if found else 0


def udp_echoes(words, name):
    chance = random.Random(3)
    with Guest("-p", "0:7/udp", "--config", configuration(SHARED % words), name=name, timeout=60) as machine:
        machine.wait_line("^echo: ready, " + ("in the application" if words else "at arrival"))
        address = ("127.0.0.1", machine.port(7, "udp"))
        answered = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(1)
            for size in [0, 1, 21, 22, 23, 24, 100, 1471, 1472] + [chance.randrange(1473) for unused in range(300)]:
                data = chance.randbytes(size)
                for attempt in range(5):            # the emulator's network may lose the first ones
                    client.sendto(data, address)
                    try:
                        same(client.recv(2000), data, "the echo of %d bytes" % size)
                        answered += 1
                        break
                    except socket.timeout:
                        check(attempt < 4, "no echo of %d bytes" % size)
        if not words:
            wait_until(lambda: counted(machine) >= answered, 10, "as many in its own count")


def test_udp_at_arrival():
    """UDP clients get their echoes from the kernel, of every size"""
    udp_echoes("", "udp")


def test_udp_in_the_application():
    """the same from the application's ring"""
    udp_echoes("-a ", "udp-own")


CODE, STACKS, DIRECT = 0xffffc00000000000, 0xffffffff80000000, 0xffff800000000000


def monitor(path, command):
    """What the emulator's monitor says."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(path)
        text = b""
        while not text.endswith(b"(qemu) "):
            text += line.recv(65536)
        line.sendall(command.encode("ascii") + b"\n")
        text = b""
        while not text.endswith(b"(qemu) "):
            text += line.recv(1 << 20)
    return text.decode("ascii", "replace")


def writable(path):
    """Ranges that can be written, with the rights of all levels of the tables."""
    return [(int(a, 16), int(b, 16)) for a, b in
            re.findall(r"^([0-9a-f]{16})-([0-9a-f]{16}) [0-9a-f]{16} .rw", monitor(path, "info mem"), re.MULTILINE)]


def executable(path):
    """Pages of the map at CODE whose last entry has no no-execute bit: their physical addresses."""
    return [int(pa, 16) for va, pa, flags in
            re.findall(r"^([0-9a-f]{16}): ([0-9a-f]{16}) (\S{9})", monitor(path, "info tlb"), re.MULTILINE)
            if CODE <= int(va, 16) < STACKS and flags[0] != "X"]


def test_write_xor_execute():
    """machine code of a program can be written nowhere, and nothing else of memory is executable in the kernel's map"""
    path = os.path.join(tempfile.mkdtemp(prefix="exo-echo-"), "monitor")
    with Guest("-p", "0:7/udp", "--qemu-arg=-monitor", "--qemu-arg=unix:%s,server=on,wait=off" % path,
               "--config", configuration(SHARED % ""), name="wx", timeout=60) as machine:
        machine.wait_line("^echo: ready, at arrival")
        spans, pages = writable(path), executable(path)
        check(pages, "no machine code is mapped")
        tap.say("%d pages of machine code, %d writable ranges" % (len(pages), len(spans)))
        check(not [s for s in spans if s[1] > CODE and s[0] < STACKS], "the executable map is writable: %r" % spans)
        for page in pages:
            check(not [s for s in spans if s[0] <= DIRECT + page < s[1]], "machine code at %x can be written" % page)
        check([s for s in spans if s[0] < DIRECT + (1 << 30) and s[1] > DIRECT], "no memory is writable at all")


def is_answer(frame, rest, payload):
    return frame.icmp == (0, 0, rest) and frame.payload == payload


def test_ping():
    """a ping of each size is answered at arrival; what is no request, or not whole, is not"""
    chance = random.Random(4)
    cable = wire.Wire()
    with peer.Peer(cable) as client, Guest("--net", cable.option, "--config", configuration(
            "[program echo]\nargs = icmp -v\nnet = own\n"), name="ping", timeout=90) as machine:
        client.wait_guest()
        machine.wait_line("^echo: ready, at arrival")
        for number, size in enumerate([0, 1, 17, 18, 22, 23, 56, 1471, 1472] +
                                      [chance.randrange(1473) for unused in range(300)]):
            since, payload = client.mark(), chance.randbytes(size)
            client.ping(payload, ident=number, sequence=size)
            rest = struct.pack("!HH", number, size)
            answer = client.wait_frame(lambda f, rest=rest, payload=payload: is_answer(f, rest, payload), 5, since,
                                       "answer to a ping of %d bytes" % size)
            same((answer.src, answer.dst, answer.bad), (client.guest_ip, client.ip, []), "the answer's addresses and sums")
        wait_until(lambda: counted(machine) >= 309, 10, "309 in its own count")
        hostile(client, chance)
        # Behind a flood an answer may find no room in the device, and be dropped: whoever pings, pings again.
        since = client.mark()
        for attempt in range(5):
            client.ping(b"still there", ident=9, sequence=attempt)
            try:
                client.wait_frame(lambda f, attempt=attempt: is_answer(f, struct.pack("!HH", 9, attempt), b"still there"),
                                  2, since)
                break
            except AssertionError:
                if attempt == 4:
                    raise
    cable.close()


def hostile(client, chance):
    """Nothing of this is the program's to answer, and nothing of it harms."""
    client.send_ip(wire.ICMP, wire.icmp(8, 1, b"\0\0\0\1", b"code 1"))
    client.send_ip(wire.ICMP, wire.icmp(0, 0, b"\0\0\0\1", b"an answer"))
    client.send_ip(wire.ICMP, wire.icmp(8, 0, b"\0\0\0\1", b"options"), options=b"\1\1\1\1")
    for fragment in wire.fragments(client.ip, client.guest_ip, wire.ICMP, wire.icmp(8, 0, b"\0\0\0\1", bytes(3000)), 1000, 77):
        client.send_packet(fragment)
    for size in range(14, 60):
        client.send_frame(wire.mac_bytes(client.guest_mac) + wire.mac_bytes(client.mac) +
                          struct.pack("!H", wire.IPV4) + b"\x45" + chance.randbytes(size - 14))
    for unused in range(500):
        body = bytearray(wire.ipv4(client.ip, client.guest_ip, wire.ICMP, wire.icmp(8, 0, b"\0\0\0\1", bytes(20))))
        for unused_too in range(chance.randrange(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        client.send_packet(bytes(body))


if __name__ == "__main__":
    tap.main()
