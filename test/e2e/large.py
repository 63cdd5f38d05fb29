#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Large frames on a real wire: what the emulator's card is given in one frame leaves as whole, right segments.

The wire's device is put into a bridge with a pair of devices that cannot cut or sum, so this computer's kernel cuts, by what the
guest's frames say; at the pair's other end each frame is read raw and judged here.

Time limit: 60 s
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(SOURCE, "tools"), os.path.join(SOURCE, "apps", "bench")]

import beside
import tap
from exolib import wire
from exolib.util import ExoError
from tap import Skip, check, same

BYTES = 300001
SIOCGIFHWADDR, SIOCETHTOOL, TX_SUMS, CUTS, GENERIC_CUTS = 0x8927, 0x8946, 0x17, 0x1f, 0x24
ETH_ALL = 3
NOT_HERE = 3                    # exit status of what runs inside
PLUMB = """\
set -e
ip link add left type veth peer name right
ip link add between type bridge
ip link set between type bridge stp_state 0 forward_delay 0
ip address flush dev {tap}
ip link set {tap} address 02:00:00:00:00:77
ip link set right address {old}
ip link set {tap} master between
ip link set left master between
for one in left right between; do ip link set $one up; done
ip address add {host}/{bits} dev right
ip neighbour replace {guest} lladdr {mac} dev right nud permanent
"""


def content():
    return bytes(i * i >> 7 & 255 for i in range(BYTES))


def switch_off(device, *what):
    """Of a network device: what it does for others (ethtool -K DEVICE ... off)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for number in what:
            value = ctypes.create_string_buffer(struct.pack("II", number, 0))
            fcntl.ioctl(one, SIOCETHTOOL, struct.pack("16sQ8x", device.encode(), ctypes.addressof(value)))


def address_of(device):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        return fcntl.ioctl(one, SIOCGIFHWADDR, struct.pack("40s", device.encode()))[18:24].hex(":")


def folded(data):
    """The Internet checksum's sum."""
    total = sum(struct.unpack("!%dH" % ((len(data) + 1) // 2), data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def raw(device):
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    one.bind((device, 0))
    one.setblocking(False)
    return one


def frames_of(one, mac):
    """What the guest has sent of TCP, as it lies in the socket."""
    found = []
    while True:
        try:
            data = one.recv(70000)
        except BlockingIOError:
            return found
        if data[6:12] == mac and data[12:14] == b"\x08\0" and data[23] == 6:
            found.append(data)


def inner(tap_name, host, guest, bits, mac):
    """Inside the wire's namespace, with the guest running."""
    done = subprocess.run(["sh", "-c", PLUMB.format(tap=tap_name, host=host, guest=guest, bits=bits, mac=mac,
                                                    old=address_of(tap_name))], check=False)
    if done.returncode:
        sys.exit(NOT_HERE)
    for device in ("left", "right"):
        switch_off(device, CUTS, GENERIC_CUTS, TX_SUMS)
    mac = bytes.fromhex(mac.replace(":", ""))
    first, last = raw(tap_name), raw("right")
    got = b""
    with socket.create_connection((guest, 80), 10) as client:
        for unused in range(3):
            client.sendall(b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n")
        while got.count(b"HTTP/1.1 200") < 3 or len(got) - got.rindex(b"\r\n\r\n") - 4 < BYTES:
            data = client.recv(65536)
            check(data, "the connection ended after %d bytes" % len(got))
            got += data
    same(got.count(content()), 3, "whole replies")
    large, cut = frames_of(first, mac), frames_of(last, mac)
    stream = {}
    for data in cut:
        check(len(data) <= 1514, "a frame of %d bytes" % len(data))
        total = struct.unpack("!H", data[16:18])[0]
        check(data[14] == 0x45 and folded(data[14:34]) == 0xffff, "IPv4's header")
        data = data[:14 + total]        # short ones are filled up
        check(folded(data[26:34] + struct.pack("!HH", 6, total - 20) + data[34:]) == 0xffff, "TCP's sum of %d bytes" % len(data))
        same(data[26:30] + data[34:36], socket.inet_aton(guest) + b"\0\x50", "whom it is from")
        at = struct.unpack("!I", data[38:42])[0]
        stream[at] = max(data[34 + (data[46] >> 4) * 4:], stream.get(at, b""), key=len)
    begin = min(at for at, data in stream.items() if data)
    text, at = b"", begin
    while stream.get(at & 0xffffffff):
        text += stream[at & 0xffffffff]
        at += len(stream[at & 0xffffffff])
    same(text.count(content()), 3, "replies in the segments")
    longest = max(map(len, large))
    print("%d frames of up to %d bytes became %d" % (len(large), longest, len(cut)))
    check(longest > 16000 and 3 * len(large) < len(cut), "the card was not given large frames: %d of up to %d bytes, %d" % (
        len(large), longest, len(cut)))


def variant(libos):
    try:
        cable = wire.Wire()
        cable.__enter__()
    except ExoError as error:
        raise Skip(str(error)) from None
    with cable, tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "file"), "wb") as file:
            file.write(content())
        with beside.ExoGuest(cable, "httpd", libos, ["/"], folder, 80):
            time.sleep(0.2)
            status, out, said = cable.run([sys.executable, os.path.abspath(__file__), "inner", cable.tap, cable.host, cable.guest,
                                           str(cable.bits), cable.mac], 30)
    if status == NOT_HERE:
        raise Skip("no pair of devices or no bridge can be made: " + said.strip())
    check(status == 0, said)
    print("# " + out.strip())


def test_uni():
    """uni: each segment on the wire is whole, its sums are right, and the card was given few frames"""
    variant("uni")


def test_dataplane():
    """dataplane: the same"""
    variant("dataplane")


if __name__ == "__main__":
    if sys.argv[1:2] == ["inner"]:
        inner(*sys.argv[2:])
    else:
        tap.main()
