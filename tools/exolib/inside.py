# SPDX-License-Identifier: BSD-2-Clause
"""What runs inside the namespace of a wire (wire.py), as programs of their own.

`inside.py lease TAP HOST GUEST BITS` answers DHCP for the one machine at the wire's end, as
far as a machine without a past needs it (RFC 2131): DISCOVER is offered the address, REQUEST
is granted it, for a day.  It says `ready`, and ends when its standard input does.

`inside.py answer ADDRESS PORT REQUEST` sends the request (C-like escapes are meant), over and
over, until a byte comes back, and writes the time of this (of the monotonic clock, the same
for all processes).
"""

import ipaddress
import select
import signal
import socket
import struct
import sys
import time

SO_BINDTODEVICE = 25
MAGIC = b"\x63\x82\x53\x63"
KIND, SERVER, LEASE, MASK, ROUTER, NAMES, END = 53, 54, 51, 1, 3, 6, 255
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5
DAY = 86400
STEP = 0.005                    # seconds between two tries
TRIES = 100                     # that wait at once


def options(data):
    """The options of a message as {number: bytes}."""
    found, at = {}, 240
    while at + 1 < len(data) and data[at] != END:
        if data[at] == 0:
            at += 1
            continue
        length = data[at + 1]
        found[data[at]] = data[at + 2:at + 2 + length]
        at += 2 + length
    return found


def answer(data, host, guest, bits):
    """What is sent back for a message, or None."""
    if len(data) < 240 or data[0] != 1 or data[236:240] != MAGIC:
        return None
    asked = options(data).get(KIND, b"\0")[:1]
    if asked not in (bytes([DISCOVER]), bytes([REQUEST])):
        return None
    server, mine = ipaddress.IPv4Address(host).packed, ipaddress.IPv4Address(guest).packed
    mask = struct.pack("!I", 0xffffffff << (32 - bits) & 0xffffffff)
    reply = struct.pack("!4B", 2, 1, 6, 0) + data[4:8] + b"\0\0\x80\0" + bytes(4) + mine + server + bytes(4)
    reply += data[28:44] + bytes(192) + MAGIC
    kind = OFFER if asked[0] == DISCOVER else ACK
    for number, value in ((KIND, bytes([kind])), (SERVER, server), (LEASE, struct.pack("!I", DAY)), (MASK, mask),
                          (ROUTER, server), (NAMES, server)):
        reply += bytes([number, len(value)]) + value
    return (reply + bytes([END])).ljust(300, b"\0")


def lease(tap, host, guest, bits):
    """Serve until standard input ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        server.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, tap.encode() + b"\0")
        server.bind(("0.0.0.0", 67))
        print("ready", flush=True)
        while True:
            ready = select.select([server, sys.stdin], [], [])[0]
            if sys.stdin in ready and not sys.stdin.buffer.read1(100):
                return
            if server in ready:
                reply = answer(server.recv(2048), host, guest, int(bits))
                if reply:
                    server.sendto(reply, ("255.255.255.255", 68))


def first_answer(address, port, request):
    """The time of the first byte; a try is never waited for, since what it sent may be lost while the guest starts."""
    waiting = select.poll()
    tries = {}

    def drop(number):
        waiting.unregister(number)
        tries.pop(number).close()

    print("ready", flush=True)
    while True:
        if len(tries) >= TRIES:
            drop(next(iter(tries)))
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((address, int(port)))
        tries[one.fileno()] = one
        waiting.register(one, select.POLLOUT)
        end = time.monotonic() + STEP
        while end > time.monotonic():
            for number, events in waiting.poll(max(1, 1000 * (end - time.monotonic()))):
                try:
                    if events & select.POLLIN and tries[number].recv(100):
                        print(time.monotonic(), flush=True)
                        return
                    if events & (select.POLLERR | select.POLLHUP | select.POLLIN):
                        drop(number)
                    elif events & select.POLLOUT:
                        tries[number].send(request.encode("ascii").decode("unicode_escape").encode("ascii"))
                        waiting.modify(number, select.POLLIN)
                except OSError:
                    drop(number)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)    # ends it without a word; who started it has one
    {"lease": lease, "answer": first_answer}[sys.argv[1]](*sys.argv[2:])
