# SPDX-License-Identifier: BSD-2-Clause
"""Raw Ethernet frames: building them right or wrong, reading them, and a wire that may be bad.

The wire is a pair of UNIX datagram sockets between a test and the emulator (`exo run --net
dgram:...`): one datagram is one frame.  Builders fill in right values; each field that a test may
want wrong is an argument.  Addresses are text (10.0.2.2, 52:54:00:12:34:56).
"""

import ipaddress
import os
import random
import shutil
import socket
import struct
import tempfile
import time

ARP, IPV4 = 0x0806, 0x0800
ICMP, TCP, UDP = 1, 6, 17
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
BROADCAST = "ff:ff:ff:ff:ff:ff"


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def mac_text(data):
    return data.hex(":")


def ip_bytes(text):
    return ipaddress.IPv4Address(text).packed


def ip_text(data):
    return str(ipaddress.IPv4Address(data))


def checksum(data):
    """The Internet checksum."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total > 0xffff:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def ether(dst, src, kind, payload, pad=True):
    frame = mac_bytes(dst) + mac_bytes(src) + struct.pack("!H", kind) + payload
    return frame.ljust(60, b"\0") if pad else frame


def arp(operation, sender_mac, sender_ip, target_mac, target_ip, hardware=1, protocol=IPV4, sizes=(6, 4)):
    return struct.pack("!HHBBH", hardware, protocol, *sizes, operation) + mac_bytes(sender_mac) + \
        ip_bytes(sender_ip) + mac_bytes(target_mac) + ip_bytes(target_ip)


def ipv4(src, dst, protocol, payload, ident=0, more=False, offset=0, dont=False, ttl=64, tos=0, options=b"",
         **wrong):
    """A packet or, with `more` or `offset` (bytes), a fragment. wrong: version, words, total, check."""
    options = options.ljust((len(options) + 3) // 4 * 4, b"\0")
    words = wrong.get("words", 5 + len(options) // 4)
    total = wrong.get("total", 20 + len(options) + len(payload))
    flags = (0x4000 if dont else 0) | (0x2000 if more else 0) | offset // 8
    head = struct.pack("!BBHHHBBH", wrong.get("version", 4) << 4 | words, tos, total, ident, flags, ttl,
                       protocol, 0)
    head += ip_bytes(src) + ip_bytes(dst) + options
    check = wrong.get("check", checksum(head))
    return head[:10] + struct.pack("!H", check) + head[12:] + payload


def fragments(src, dst, protocol, payload, size, ident, **how):
    """The packet in fragments of at most `size` payload bytes (a multiple of 8)."""
    return [ipv4(src, dst, protocol, payload[at:at + size], ident=ident, more=at + size < len(payload),
                 offset=at, **how)
            for at in range(0, len(payload), size)]


def pseudo(src, dst, protocol, length):
    return ip_bytes(src) + ip_bytes(dst) + struct.pack("!BBH", 0, protocol, length)


def udp(src, dst, sport, dport, payload, **wrong):
    """wrong: length, check."""
    length = wrong.get("length", 8 + len(payload))
    head = struct.pack("!HHHH", sport, dport, length, 0)
    check = checksum(pseudo(src, dst, UDP, 8 + len(payload)) + head + payload) or 0xffff
    return head[:6] + struct.pack("!H", wrong.get("check", check)) + payload


def tcp(src, dst, sport, dport, seq, ack, flags, payload=b"", window=65535, options=b"", urgent=0, **wrong):
    """wrong: words (header length in 32-bit words), check."""
    options = options.ljust((len(options) + 3) // 4 * 4, b"\0")
    words = wrong.get("words", 5 + len(options) // 4)
    head = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xffffffff, ack & 0xffffffff, words << 4, flags,
                       window, 0, urgent)
    head += options
    check = checksum(pseudo(src, dst, TCP, len(head) + len(payload)) + head + payload)
    return head[:16] + struct.pack("!H", wrong.get("check", check)) + head[18:] + payload


def icmp(kind, code, rest, payload=b"", **wrong):
    """rest: the four bytes behind the checksum. wrong: check."""
    body = struct.pack("!BBH", kind, code, 0) + rest + payload
    return body[:2] + struct.pack("!H", wrong.get("check", checksum(body))) + body[4:]


class Frame:
    """One frame taken apart as far as it is right; missing fields are None; `bad` lists what is wrong."""

    def __init__(self, data):
        self.data, self.bad = data, []
        self.kind = self.arp_op = self.protocol = self.src = self.dst = None
        self.sport = self.dport = self.flags = self.seq = self.ack = self.window = None
        self.icmp = self.payload = None
        self.offset, self.more = 0, False
        if len(data) < 14:
            self.bad.append("short frame")
            return
        self.dst_mac, self.src_mac = mac_text(data[:6]), mac_text(data[6:12])
        self.kind = struct.unpack("!H", data[12:14])[0]
        if self.kind == ARP:
            self._arp(data[14:])
        elif self.kind == IPV4:
            self._ipv4(data[14:])

    def _arp(self, data):
        if len(data) < 28:
            self.bad.append("short ARP")
            return
        self.arp_op = struct.unpack("!H", data[6:8])[0]
        self.sender_mac, self.src = mac_text(data[8:14]), ip_text(data[14:18])
        self.target_mac, self.dst = mac_text(data[18:24]), ip_text(data[24:28])

    def _ipv4(self, data):
        size = (data[0] & 15) * 4 if data else 0
        if len(data) < 20 or data[0] >> 4 != 4 or size < 20 or len(data) < size:
            self.bad.append("malformed IP header")
            return
        total, self.ident, fragment = struct.unpack("!HHH", data[2:8])
        self.ttl, self.protocol = data[8], data[9]
        self.src, self.dst, self.options = ip_text(data[12:16]), ip_text(data[16:20]), data[20:size]
        self.more, self.offset = bool(fragment & 0x2000), (fragment & 0x1fff) * 8
        if checksum(data[:size]):
            self.bad.append("IP checksum")
        if total < size or total > len(data):
            self.bad.append("IP length")
            return
        self.payload = data[size:total]
        if not self.more and not self.offset:
            {TCP: self._tcp, UDP: self._udp, ICMP: self._icmp}.get(self.protocol,
                                                                   lambda body: None)(self.payload)

    def _tcp(self, body):
        if len(body) < 20 or not 20 <= (body[12] >> 4) * 4 <= len(body):
            self.bad.append("malformed TCP header")
            return
        size = (body[12] >> 4) * 4
        self.sport, self.dport, self.seq, self.ack = struct.unpack("!HHII", body[:12])
        self.flags, self.window = body[13], struct.unpack("!H", body[14:16])[0]
        if checksum(pseudo(self.src, self.dst, TCP, len(body)) + body):
            self.bad.append("TCP checksum")
        self.tcp_options, self.payload = body[20:size], body[size:]

    def _udp(self, body):
        if len(body) < 8 or not 8 <= struct.unpack("!H", body[4:6])[0] <= len(body):
            self.bad.append("malformed UDP header")
            return
        self.sport, self.dport, length = struct.unpack("!HHH", body[:6])
        if body[6:8] != b"\0\0" and checksum(pseudo(self.src, self.dst, UDP, length) + body[:length]):
            self.bad.append("UDP checksum")
        self.payload = body[8:length]

    def _icmp(self, body):
        if len(body) < 8:
            self.bad.append("malformed ICMP header")
            return
        if checksum(body):
            self.bad.append("ICMP checksum")
        self.icmp, self.payload = (body[0], body[1], body[4:8]), body[8:]

    def __repr__(self):
        parts = ["%04x" % (self.kind or 0), "%s -> %s" % (self.src, self.dst)]
        if self.protocol is not None:
            parts.append("protocol %d" % self.protocol)
        if self.sport is not None:
            parts.append("%d -> %d" % (self.sport, self.dport))
        if self.flags is not None:
            names = "".join(n for n, bit in zip("FSRPAU", (1, 2, 4, 8, 16, 32)) if self.flags & bit)
            parts.append("%s seq %d ack %d win %d" % (names, self.seq, self.ack, self.window))
        if self.icmp:
            parts.append("icmp %d/%d" % self.icmp[:2])
        return "<%s%s>" % (", ".join(parts), ", bad: " + ", ".join(self.bad) if self.bad else "")


class Pcap:
    """A capture file; it is whole after every frame."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))

    def write(self, frame):
        now = time.time()
        self.file.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(frame), len(frame)) + frame)
        self.file.flush()


class Trouble:
    """What happens to frames in one direction: chances of loss, doubling, overtaking, a changed bit."""

    def __init__(self, seed=1, loss=0.0, double=0.0, reorder=0.0, corrupt=0.0):
        self.random = random.Random(seed)
        self.loss, self.double, self.reorder, self.corrupt = loss, double, reorder, corrupt
        self.held = []
        self.counts = {"lost": 0, "doubled": 0, "overtaken": 0, "corrupted": 0}

    def _happens(self, probability, name):
        if probability and self.random.random() < probability:
            self.counts[name] += 1
            return True
        return False

    def frames(self, frame):
        """The frames that arrive now when this one was sent."""
        if self._happens(self.loss, "lost"):
            return self.release()
        if self._happens(self.corrupt, "corrupted"):
            at = self.random.randrange(len(frame) * 8)
            frame = bytearray(frame)
            frame[at // 8] ^= 1 << at % 8
            frame = bytes(frame)
        if not self.held and self._happens(self.reorder, "overtaken"):
            self.held.append(frame)
            return []
        return [frame] * (2 if self._happens(self.double, "doubled") else 1) + self.release()

    def release(self):
        held, self.held = self.held, []
        return held


class Wire:
    """The test's end of the cable. Give `.option` to the runner: Guest("--net", wire.option, ...)."""

    def __init__(self, pcap=None):
        self.dir = tempfile.mkdtemp(prefix="exo-wire-")
        self.ours, self.theirs = os.path.join(self.dir, "test"), os.path.join(self.dir, "guest")
        self.option = "dgram:%s,%s" % (self.theirs, self.ours)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind(self.ours)
        self.to_guest, self.from_guest = Trouble(), Trouble()
        self.pcap = Pcap(pcap) if pcap else None
        self.sent = self.received = self.unsent = 0

    def send(self, frame):
        """Send a frame through the wire's troubles; one that the emulator has no room for is lost."""
        for arriving in self.to_guest.frames(frame):
            self.send_plain(arriving)

    def send_plain(self, frame):
        try:
            self.sock.settimeout(2)
            self.sock.sendto(frame, self.theirs)
        except OSError:
            self.unsent += 1
            return
        self.sent += 1
        if self.pcap:
            self.pcap.write(frame)

    def receive(self, seconds):
        """Frames that arrive within the time, after the wire's troubles; an empty list if there are none."""
        self.sock.settimeout(max(seconds, 0.001))
        try:
            frame = self.sock.recv(70000)
        except (BlockingIOError, TimeoutError, socket.timeout):
            return self.from_guest.release()
        self.received += 1
        if self.pcap:
            self.pcap.write(frame)
        return self.from_guest.frames(frame)

    def close(self):
        self.sock.close()
        shutil.rmtree(self.dir, ignore_errors=True)
