#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Right answers on a shared address, and no harm from broken or hostile packets.

One machine on a raw wire: `address` holds the address, web1 and web2 have a TCP port each. Each question gets exactly
one answer, from whoever it is for; what is broken gets none. After each case both servers answer, and no frame that the
machine sent is malformed (tshark, if there is one, says so too, of the whole capture).

Fragments have no ports, but for the first: the kernel copies all of them to everybody who shares the address, each puts
them together, and only the one that has the port may answer. So a request in fragments is answered, once. A first
fragment without a whole TCP header is dropped (RFC 1858); none is that small that crossed an ordinary network.

Time limit: 240 s
"""

import atexit
import hashlib
import itertools
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import peer as p
import tap
import web
import wire as w
from tap import Skip, check, same

LIBOS = os.environ.get("EXO_HTTPD_LIBOS", "uni")
LONG = bool(os.environ.get("EXO_TEST_LONG"))
FLOOD = 20000 if LONG else 5000
STORM = 20000 if LONG else 2000
LARGE = (4 << 20) if LONG else 48 << 10
PORT1, PORT2, NOBODY = 8081, 8082, 9999
CROWD = 300                             # who come at once: more than lwIP's own backlog has
QUIET = 0.25                            # seconds in which an answer comes, if there is one
STRANGER = "02:00:00:00:00:77"

CONFIG = """\
[machine]
memory = 64M
[program address]
net = own
[program web1]
image = httpd
libos = %(libos)s
args = --port 8081 /
net = share
port = tcp/8081
memory = 16M
volume = %(tree)s:/
[program web2]
image = httpd
libos = %(libos)s
args = --port 8082 /
net = share
port = tcp/8082
memory = 16M
main = yes
"""

tree = tempfile.mkdtemp(prefix="exo-hostile-")
PAGE = b"<p>one page</p>\n" * 30
shared = {}
chance = random.Random(20)


class Host(p.Peer):
    """A peer whose packets can be made odd: `how` for the IP header, `split` for fragments of so many bytes."""

    def __init__(self, cable):
        self.how, self.split = {}, 0
        super().__init__(cable)

    def send_ip(self, protocol, payload, src=None, **how):
        how = {**self.how, **how}
        if not self.split or len(payload) <= self.split:
            super().send_ip(protocol, payload, src, **how)
            return
        for packet in w.fragments(src or self.ip, self.guest_ip, protocol, payload, self.split,
                                  next(self.idents) & 0xffff, **how):
            self.send_packet(packet)


def machine():
    """The machine, its host on the other end of the wire."""
    if "host" not in shared:
        with open(os.path.join(tree, "index.html"), "wb") as file:
            file.write(PAGE)
        shared["data"] = random.Random(3).randbytes(LARGE)
        with open(os.path.join(tree, "large.bin"), "wb") as file:
            file.write(shared["data"])
        with open(os.path.join(tree, "exo.conf"), "w", encoding="utf-8") as file:
            file.write(CONFIG % {"tree": tree, "libos": LIBOS})
        shared["pcap"] = os.path.join(guest.log_dir(), "hostile-wire.pcap")
        shared["wire"] = w.Wire(shared["pcap"])
        shared["guest"] = guest.Guest("--net", shared["wire"].option, "--config", os.path.join(tree, "exo.conf"),
                                      name="web", timeout=230 if not LONG else 1200, pcap=False)
        shared["host"] = Host(shared["wire"])
        for port in (PORT1, PORT2):
            shared["guest"].wait_line("^httpd: serving / on port %d" % port)
        shared["host"].wait_guest()
    return shared["host"]


def get(port, path="/", seconds=20, **how):
    with machine().connect(port, seconds=seconds, **how) as tcp:
        tcp.settimeout(seconds)
        return web.Connection(port, sock=tcp).request(path, headers=[("Connection", "close")])


def well():
    """Both servers answer, and all that the machine ever sent is well formed."""
    host = machine()
    check(shared["guest"].running(), "the machine has ended:\n" + shared["guest"].text[-1000:])
    for port in (PORT1, PORT2):
        same(get(port).body, PAGE, "the page on port %d" % port)
    same(host.bad, [], "malformed frames from the machine")


def opening(frame):
    """What is the same when the machine sends once more that it takes a connection."""
    return (frame.sport, frame.dport, frame.seq) if frame.flags and frame.flags & 63 == w.SYN | w.ACK else None


def answers(send, seconds=QUIET):
    """All that the machine says to something, but for ARP requests and what it says again to earlier questions."""
    host = machine()
    since = -1
    while since != host.mark():         # let it finish with what was before
        since = host.mark()
        time.sleep(0.05)
    send()
    time.sleep(seconds)
    with host.changed:
        before, found = host.frames[:since], host.frames[since:]
    earlier = {opening(frame) for frame in before} - {None}
    return [f for f in found if (f.kind != w.ARP or f.arp_op != 1) and opening(f) not in earlier]


def one(send, what):
    """The one answer there must be."""
    found = answers(send)
    same(len(found), 1, "number of answers to %s (%r)" % (what, found))
    return found[0]


def none(send, what):
    found = answers(send)
    same(found, [], "answers to " + what)


def segment(dport, flags, seq=1000, ack=0, payload=b"", sport=None, **how):
    """A function that sends one segment."""
    host = machine()
    sport = sport or next(host.ports)
    return lambda: host.send_tcp(sport, dport, seq, ack, flags, payload, **how)


def is_reset(frame, dport, seq, ack):
    same((frame.sport, frame.flags & (w.RST | w.SYN), frame.seq), (dport, w.RST, seq), "the reset (%r)" % frame)
    if ack is not None:
        same((frame.flags & w.ACK, frame.ack), (w.ACK, ack), "what the reset acknowledges (%r)" % frame)


def whole(frames, protocol):
    """The payload that the fragments make."""
    parts = {frame.offset: frame for frame in frames if frame.protocol == protocol}
    data = b""
    while len(data) in parts:
        frame = parts[len(data)]
        size = (frame.data[14] & 15) * 4
        data += frame.data[14 + size:14 + struct.unpack("!H", frame.data[16:18])[0]]
        if not frame.more:
            return data
    raise AssertionError("the fragments do not make a packet: %r" % frames)


def test_arp():
    """an ARP request has exactly one answer; one for another address none"""
    host = machine()
    frame = one(lambda: host.send_arp(1, "00:00:00:00:00:00", host.guest_ip, dst=w.BROADCAST), "an ARP request")
    same((frame.arp_op, frame.src, frame.sender_mac, frame.dst), (2, host.guest_ip, host.guest_mac, host.ip), "it")
    one(lambda: host.send_arp(1, "00:00:00:00:00:00", host.guest_ip, dst=host.guest_mac), "an ARP request to it alone")
    none(lambda: host.send_arp(1, "00:00:00:00:00:00", "10.0.2.99", dst=w.BROADCAST), "a request for another address")
    well()


def test_ping():
    """an echo request has exactly one answer, whole or in fragments, in whatever order these come"""
    host = machine()
    for size in (0, 1, 56, 1472):
        data = chance.randbytes(size)
        frame = one(lambda: host.ping(data), "an echo request of %d bytes" % size)
        same((frame.icmp[:2], frame.payload), ((0, 0), data), "the echo")
    for size, split, order in ((2000, 1480, 1), (4000, 1480, 1), (4000, 1480, -1), (200, 8, 1), (600, 24, 0),
                               (65000, 1480, 1)):
        data = chance.randbytes(size)
        body = w.icmp(8, 0, b"\0\7\0\1", data)
        parts = w.fragments(host.ip, host.guest_ip, w.ICMP, body, split, next(host.idents))
        parts = parts[::order] if order else chance.sample(parts, len(parts))
        found = answers(lambda: [host.send_packet(part) for part in parts])
        echo = whole(found, w.ICMP)
        same((echo[:2], echo[8:], w.checksum(echo)), (b"\0\0", data, 0), "the echo of fragments")
        same(len(found), max(1, -(-len(echo) // 1480)), "frames of the echo of %d bytes" % size)
    well()


def test_ip_options():
    """IP options: a SYN is answered once, and a page is served over packets that all have options"""
    host = machine()
    routes = (b"\1\1\1\0", b"\7\x0b\4" + bytes(8) + b"\0", b"\x44\x0c\5\0" + bytes(8), b"\1" * 39 + b"\0",
              b"\x83\7\4\x0a\0\2\2\0", b"\x94\4\0\0")
    for options in routes:
        frame = one(segment(PORT1, w.SYN, ip={"options": options}), "a SYN with options")
        same((frame.sport, frame.flags & 63, frame.ack), (PORT1, w.SYN | w.ACK, 1001), "it")
        host.send_tcp(frame.dport, PORT1, 1001, 0, w.RST)
        is_reset(one(segment(NOBODY, w.SYN, ip={"options": options}), "a SYN to nobody with options"), NOBODY, 0, 1001)
    host.how = {"options": routes[1]}
    try:
        for port in (PORT1, PORT2):
            same(get(port).body, PAGE, "the page")
    finally:
        host.how = {}
    well()


def test_nobody():
    """ports that nobody has: one reset for TCP, one port unreachable for UDP, nothing for a reset"""
    host = machine()
    is_reset(one(segment(NOBODY, w.SYN), "a SYN"), NOBODY, 0, 1001)
    is_reset(one(segment(NOBODY, w.SYN, payload=b"early"), "a SYN with data"), NOBODY, 0, 1006)
    is_reset(one(segment(NOBODY, w.ACK, ack=77), "an ACK"), NOBODY, 77, None)
    is_reset(one(segment(NOBODY, w.FIN | w.ACK, ack=78), "a FIN"), NOBODY, 78, None)
    none(segment(NOBODY, w.RST), "a reset")
    is_reset(one(segment(PORT1, w.ACK, ack=77), "an ACK to a server"), PORT1, 77, None)
    for port in (NOBODY, PORT1):
        frame = one(lambda: host.send_udp(5000, port, b"hello?"), "UDP to port %d" % port)
        same(frame.icmp[:2], (3, 3), "the kind of the ICMP message")
        same((frame.payload[9], frame.payload[20:24]), (w.UDP, struct.pack("!HH", 5000, port)), "what it quotes")
    well()


def test_silence():
    """what nobody may answer: broadcasts, wrong addresses, forged senders"""
    host = machine()
    udp = w.udp(host.ip, "10.0.2.255", 5000, NOBODY, b"all")
    none(lambda: host.send_packet(w.ipv4(host.ip, "10.0.2.255", w.UDP, udp)), "UDP to the broadcast address")
    syn = w.tcp(host.ip, "10.0.2.255", 5000, PORT1, 1, 0, w.SYN)
    none(lambda: host.send_packet(w.ipv4(host.ip, "10.0.2.255", w.TCP, syn)), "a SYN to the broadcast address")
    syn = w.tcp(host.ip, "10.0.2.99", 5000, PORT1, 1, 0, w.SYN)
    none(lambda: host.send_packet(w.ipv4(host.ip, "10.0.2.99", w.TCP, syn)), "a SYN to somebody else's address")
    for src in ("0.0.0.0", "255.255.255.255", "10.0.2.255", "224.0.0.1", "127.0.0.1"):
        for port in (PORT1, NOBODY):
            none(segment(port, w.SYN, src=src), "a SYN from %s" % src)
    for port in (PORT1, NOBODY):
        packet = w.ipv4(host.ip, host.guest_ip, w.TCP, w.tcp(host.ip, host.guest_ip, 5000, port, 1, 0, w.SYN))
        none(lambda: host.send_frame(w.ether(STRANGER, host.mac, w.IPV4, packet)), "a SYN in a stranger's frame")
        none(lambda: host.send_frame(w.ether(w.BROADCAST, host.mac, w.IPV4, packet)), "a SYN in a broadcast frame")
        for tag in (b"\0\0", b"\0\5", b"\xef\xff"):
            none(lambda: host.send_frame(w.ether(host.guest_mac, host.mac, 0x8100, tag + b"\x08\0" + packet)),
                 "a SYN with a VLAN tag")
    none(lambda: host.send_frame(w.ether(STRANGER, host.mac, w.ARP, w.arp(
        1, host.mac, host.ip, "00:00:00:00:00:00", host.guest_ip))), "an ARP request in a stranger's frame")
    well()


def test_fragments():
    """TCP in fragments: one answer, and whole pages; incomplete and overlapping ones harm nobody"""
    if LIBOS == "event":
        raise Skip("event takes no fragments (libos/event/ip.c)")
    host = machine()
    options = b"\2\4\5\xb4" + b"\1" * 36
    host.split = 8
    none(segment(PORT1, w.SYN, options=options), "a SYN in tiny fragments")
    host.split = 48                     # what the smallest link lets through
    try:
        frame = one(segment(PORT1, w.SYN, options=options), "a SYN in fragments")
        same((frame.sport, frame.flags & 63, frame.ack), (PORT1, w.SYN | w.ACK, 1001), "it")
        host.split = 0
        host.send_tcp(frame.dport, PORT1, 1001, 0, w.RST)
        host.split = 48
        is_reset(one(segment(NOBODY, w.SYN, options=options), "a SYN to nobody in fragments"), NOBODY, 0, 1001)
        frame = one(lambda: host.send_udp(5000, NOBODY, b"x" * 100), "UDP to nobody in fragments")
        same(frame.icmp[:2], (3, 3), "the kind of the ICMP message")
        for port in (PORT1, PORT2):
            same(get(port).body, PAGE, "the page")
    finally:
        host.split = 0
    for number in range(STORM):
        how = {"offset": chance.randrange(8190) * 8, "more": chance.random() < .5}
        if number % 3 == 0:
            how = {"offset": 0, "more": True}
        host.send_ip(chance.choice((w.TCP, w.UDP, w.ICMP)), chance.randbytes(chance.choice((8, 24, 400, 1400))), **how)
    body = w.icmp(8, 0, bytes(4), bytes(60))
    for first, second in ((24, 16), (16, 8), (8, 0), (24, 24)):
        ident = next(host.idents)
        host.send_ip(w.ICMP, body[:first], ident=ident, more=True)
        host.send_ip(w.ICMP, body[second:], ident=ident, offset=second)
    host.send_ip(w.ICMP, bytes(1400), offset=65528)
    host.split = 1480
    try:
        found = answers(lambda: host.ping(b"p" * 3000))
    finally:
        host.split = 0
    check(len([f for f in found if f.protocol == w.ICMP]) >= 3, "no answer to fragments after the storm: %r" % found)
    well()


def test_checksums():
    """wrong checksums: no answer at all"""
    host = machine()
    for port in (PORT1, NOBODY):
        none(segment(port, w.SYN, check=0x1234), "a SYN with a wrong TCP checksum")
        none(segment(port, w.SYN, ip={"check": 0x1234}), "a SYN with a wrong IP checksum")
    none(lambda: host.send_udp(5000, NOBODY, b"x", check=0x1234), "a wrong UDP checksum")
    none(lambda: host.send_ip(w.ICMP, w.icmp(8, 0, bytes(4), b"x", check=0x1234)), "a wrong ICMP checksum")
    well()


def good_frames(host):
    """One good frame of each kind that would have an answer."""
    ip, me = host.guest_ip, host.ip
    return [w.ether(host.guest_mac, host.mac, w.ARP, w.arp(1, host.mac, me, "00:00:00:00:00:00", ip), pad=False)] + [
        w.ether(host.guest_mac, host.mac, w.IPV4, w.ipv4(me, ip, protocol, body), pad=False) for protocol, body in (
            (w.TCP, w.tcp(me, ip, 5001, PORT1, 1, 0, w.SYN, options=b"\2\4\5\xb4")),
            (w.TCP, w.tcp(me, ip, 5001, NOBODY, 1, 0, w.SYN)),
            (w.UDP, w.udp(me, ip, 5000, NOBODY, b"")), (w.ICMP, w.icmp(8, 0, bytes(4))))]


def test_truncated():
    """headers cut off anywhere, runts and giants"""
    host = machine()

    def cut():
        for frame in good_frames(host):
            for length in range(1, len(frame)):
                host.send_frame(frame[:length])
                host.send_frame(frame[:length])
    none(cut, "headers that are cut off")
    none(lambda: [host.send_frame(frame[:14 + n].ljust(60, b"\0")) for frame in good_frames(host)
                  for n in range(len(frame) - 14) if n < 20], "headers filled up with zero bytes")
    for size in (1, 13, 14, 15, 59, 1514, 1515, 1518, 1519, 1520, 1521, 2048, 2049, 4096, 9000, 16000, 65000):
        start = good_frames(host)[1]
        host.send_frame((start + chance.randbytes(size))[:size])
        host.send_frame(chance.randbytes(size))
    well()


def test_lengths():
    """lengths that lie, in IP, TCP and UDP headers"""
    host = machine()

    def lie():
        for port in (PORT1, NOBODY):
            sport = next(host.ports)
            for how in ({"words": 0}, {"words": 4}, {"words": 15}, {"total": 0}, {"total": 19}, {"total": 39},
                        {"total": 41}, {"total": 1500}, {"total": 65535}, {"version": 6}, {"version": 0}):
                host.send_tcp(sport, port, 1, 0, w.SYN, ip=how)
            for words in (0, 4, 6, 15):
                host.send_tcp(sport, port, 1, 0, w.SYN, words=words)
        for length in (0, 7, 10, 65535):
            host.send_udp(5000, NOBODY, b"x", length=length)
    none(lie, "lengths that lie")
    well()


def test_arp_nonsense():
    """ARP that makes no sense, a storm of it, and replies that nobody asked for"""
    host = machine()
    mac, ip, zero = host.mac, host.guest_ip, "00:00:00:00:00:00"

    def nonsense():
        for wrong in ({"hardware": 6}, {"protocol": 0x86dd}, {"sizes": (8, 4)}, {"sizes": (6, 16)},
                      {"sizes": (0, 0)}, {"sizes": (255, 255)}):
            host.send_arp(1, zero, ip, dst=w.BROADCAST, **wrong)
        for operation in (0, 3, 4, 8, 65535):
            host.send_arp(operation, zero, ip, dst=w.BROADCAST)
    none(nonsense, "nonsense")
    for sender_mac, sender_ip in ((w.BROADCAST, "10.0.2.66"), (zero, "10.0.2.66"), (mac, "255.255.255.255"),
                                  (mac, ip), (host.guest_mac, ip), (mac, "224.0.0.1"), (mac, "0.0.0.0")):
        for operation in (1, 2):
            host.send_frame(w.ether(w.BROADCAST, mac, w.ARP, w.arp(operation, sender_mac, sender_ip, zero, ip)))
    for unused in range(STORM):
        host.send_frame(w.ether(chance.choice((w.BROADCAST, host.guest_mac)), mac, w.ARP, w.arp(
            chance.choice((1, 2)), w.mac_text(chance.randbytes(6)), "10.0.2.%d" % chance.randrange(16, 255), zero, ip)))
    host.send_arp(2, host.guest_mac, host.guest_ip)
    well()
    none(lambda: None, "the storm, long after it")


def cpu_seconds():
    """The emulator's processor time."""
    total = 0
    for pid in guest.emulator_pids(shared["guest"].process.pid):
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def test_land():
    """packets from the machine to itself: no storm, neither on the wire nor inside"""
    host = machine()
    for port, protocol in ((PORT1, w.TCP), (PORT2, w.TCP), (NOBODY, w.TCP), (NOBODY, w.UDP), (7, w.UDP), (8, w.ICMP)):
        src = host.guest_ip
        body = {w.TCP: w.tcp(src, src, port, port, 1000, 0, w.SYN), w.UDP: w.udp(src, src, port, port, b"echo"),
                w.ICMP: w.icmp(8, 0, bytes(4), b"echo")}[protocol]
        found = answers(lambda: [host.send_ip(protocol, body, src=src) for unused in range(50)])
        check(len(found) <= 50, "%d packets to %d of land" % (len(found), 50))
        # Neighbours that earlier cases forged may still be asked for; that is no answer to these.
        strays = [f for f in found if f.kind != w.ARP and f.dst not in (host.ip, src)]
        check(not strays, repr(strays))
    time.sleep(0.5)
    before = cpu_seconds()
    time.sleep(1)
    check(cpu_seconds() - before < 0.5, "the machine does not come to rest: %.2f s" % (cpu_seconds() - before))
    well()


def test_tcp_options():
    """TCP options that make no sense, and segments as small as a peer may ask for"""
    host = machine()
    options = [b"\2\4\0\0", b"\2\4\xff\xff", b"\2\4\0\1", b"\2\0\0\0", b"\2\1\0\0", b"\2\3\5\0", b"\2\xff\5\xb4",
               b"\2\4", b"\2", b"\3\3\xff\0", b"\x08\x0a" + bytes(8), b"\x08\xff", b"\x08", b"\xff\0\xff\0", b"\0\2\4\5",
               b"\5\x22" + bytes(32), b"\1" * 40]
    options += [chance.randbytes(40) for unused in range(100)]
    for each in options:
        sport = next(host.ports)
        host.send_tcp(sport, PORT1, 5, 0, w.SYN, options=each)
        host.send_tcp(sport, PORT1, 6, 0, w.ACK, b"GET / HTTP/1.0\r\n\r\n", options=each)
        host.send_tcp(sport, PORT1, 6, 0, w.RST, options=each)
    for mss in (1, 64, 536):
        same(get(PORT1, "/large.bin", mss=mss).body, shared["data"], "the large file with segments of %d" % mss)
        same(get(PORT1, mss=mss).body, PAGE, "the page with segments of %d" % mss)
    well()


def test_storms():
    """resets, FINs and random segments: an open connection outlives those that are not for it"""
    host = machine()
    with host.connect(PORT2) as tcp:
        c = web.Connection(PORT2, sock=tcp)
        same(c.request("/").body, PAGE, "the page before")
        for unused in range(STORM):
            seq = (tcp.sent + chance.randrange(1 << 17, 1 << 31) * chance.choice((-1, 1))) & 0xffffffff
            host.send_tcp(tcp.sport, PORT2, seq, chance.randrange(1 << 32), chance.choice((
                w.RST, w.RST | w.ACK, w.SYN, w.FIN | w.ACK, w.SYN | w.ACK, w.ACK)))
        same(c.request("/").body, PAGE, "the page afterwards")
    for unused in range(STORM * 2):
        host.send_tcp(chance.randrange(1, 40000), chance.choice((PORT1, PORT2, NOBODY)), chance.randrange(1 << 32),
                      chance.randrange(1 << 32), chance.randrange(256), chance.randbytes(chance.choice((0, 0, 1, 100))),
                      window=chance.choice((0, 1, 65535)), urgent=chance.randrange(65536))
    well()


def test_same_port_again():
    """a client's port is used again at once, after an orderly end of either side"""
    host = machine()
    for port in (PORT1, PORT2):
        for unused in range(3):
            sport = next(host.ports)
            for again in range(3):
                host.ports = itertools.chain([sport], host.ports)
                begin = time.monotonic()
                same(get(port).body, PAGE, "the page")
                check(time.monotonic() - begin < 2, "round %d took %.1f s" % (again, time.monotonic() - begin))
    well()


def test_syn_flood():
    """a flood of SYNs from forged addresses: a polite client is served all the time"""
    host = machine()
    flood = threading.Thread(target=host.syn_flood, args=(PORT1, FLOOD), kwargs={"rate": 4000})
    flood.start()
    served, slowest = 0, 0.0
    while flood.is_alive() or served < 10:
        begin = time.monotonic()
        same(get(PORT1).body, PAGE, "the page during the flood")
        slowest = max(slowest, time.monotonic() - begin)
        served += 1
        same(get(PORT2).body, PAGE, "the other server's page during the flood")
    flood.join()
    tap.say("%d pages during %d SYNs, the slowest took %.0f ms" % (served, FLOOD, slowest * 1000))
    check(slowest < 10, "a page took %.1f s" % slowest)
    well()


def raw_open(host, ports, seconds=10):
    """Connections from these ports, all asked for at once, by segments made by hand: {port: the guest's first number}."""
    since = host.mark()
    for sport in ports:
        host.send_tcp(sport, PORT1, sport * 1000, 0, w.SYN, options=b"\x02\x04\x05\xb4")
    end, opened = time.monotonic() + seconds, {}
    while len(opened) < len(ports) and time.monotonic() < end:
        time.sleep(0.05)
        with host.changed:
            frames = host.frames[since:]
        opened = {f.dport: f.seq for f in frames if opening(f) and f.sport == PORT1 and f.dport in ports}
    return opened


def resets(host, ports, since):
    with host.changed:
        return sorted({f.dport for f in host.frames[since:] if f.flags and f.flags & w.RST and f.dport in ports})


def test_crowd():
    """a crowd that asks for connections all at once is let in, nobody is reset"""
    host, ports = machine(), range(20000, 20000 + CROWD)
    since = host.mark()
    opened = raw_open(host, ports)
    same(len(opened), CROWD, "connections that were taken")
    for sport in ports:
        host.send_tcp(sport, PORT1, sport * 1000 + 1, opened[sport] + 1, w.ACK)
    time.sleep(QUIET)
    same(resets(host, ports, since), [], "connections that were reset")
    for sport in ports:
        host.send_tcp(sport, PORT1, sport * 1000 + 1, opened[sport] + 1, w.RST | w.ACK)
    well()


def test_early():
    """many who send what is out of order, and never what is missing, leave memory to others"""
    host, ports = machine(), range(21000, 21060)
    opened = raw_open(host, ports)
    for sport in ports:
        host.send_tcp(sport, PORT1, sport * 1000 + 1, opened[sport] + 1, w.ACK)
    slowest = 0.0
    for part in range(16):
        for sport in ports:
            host.send_tcp(sport, PORT1, sport * 1000 + 2 + 1400 * part, opened[sport] + 1, w.ACK, b"x" * 1400)
        begin = time.monotonic()
        same(get(PORT1).body, PAGE, "the page meanwhile")
        slowest = max(slowest, time.monotonic() - begin)
    same(hashlib.sha256(get(PORT1, "/large.bin").body).digest(), hashlib.sha256(shared["data"]).digest(), "a large file")
    tap.say("the slowest page took %.0f ms" % (slowest * 1000))
    check(slowest < 3, "a page took %.1f s" % slowest)
    for sport in ports:
        host.send_tcp(sport, PORT1, sport * 1000 + 1, opened[sport] + 1, w.RST | w.ACK)
    well()


def test_lone_loss():
    """an answer that is lost is sent again, though nothing else comes or goes"""
    host, cable = machine(), shared["wire"]
    good = cable.from_guest
    with host.connect(PORT1) as tcp:
        cable.from_guest = w.Trouble(1, loss=1)
        tcp.sendall(b"GET / HTTP/1.1\r\nHost: exo\r\n\r\n")
        time.sleep(p.RESEND_SECONDS * .8)
        with host.changed:
            tcp.unacked.clear()         # not to be sent again: that would stir the machine
        cable.from_guest = good
        tcp.settimeout(8)
        same(web.Connection(PORT1, sock=tcp).answer().body, PAGE, "the page")
    well()


def test_bad_wire():
    """10 % lost, 5 % doubled, some overtaken and corrupted, both ways: files come whole"""
    host, cable = machine(), shared["wire"]
    well()
    wanted = hashlib.sha256(shared["data"]).hexdigest()
    good = (cable.to_guest, cable.from_guest)
    cable.to_guest = w.Trouble(1, loss=.1, double=.05, reorder=.05, corrupt=.02)
    cable.from_guest = w.Trouble(2, loss=.1, double=.05, reorder=.05, corrupt=.02)
    got = []

    def transfer(port):
        failure = None
        for unused in range(3):         # a connection may be given up on such a wire; what comes must be right
            try:
                got.append(hashlib.sha256(get(port, "/large.bin", 200).body).hexdigest())
                return
            except Exception as error:  # pylint: disable=broad-except
                failure = "%s: %s" % (type(error).__name__, error)
                tap.say("once more, because of " + failure)
        got.append(failure)
    try:
        threads = [threading.Thread(target=transfer, args=(port,)) for port in (PORT1, PORT2) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tap.say("to the machine: %r, from it: %r" % (cable.to_guest.counts, cable.from_guest.counts))
    finally:
        cable.to_guest, cable.from_guest = good
    same(got, [wanted] * 4, "what came")
    host.bad.clear()                    # the wire did that
    host.send_arp(2, host.guest_mac, host.guest_ip)
    well()


def test_tshark():
    """tshark finds no malformed frame and no wrong checksum in what the machine sent"""
    host = machine()
    if not shutil.which("tshark"):
        raise tap.Skip("tshark is not installed")
    wrong = "_ws.malformed or ip.checksum.status == 0 or tcp.checksum.status == 0 or udp.checksum.status == 0 or " \
        "icmp.checksum.status == 0"
    words = ["tshark", "-n", "-r", shared["pcap"], "--disable-protocol", "http"]
    for protocol in ("ip", "tcp", "udp"):
        words += ["-o", protocol + ".check_checksum:TRUE"]
    for what, least in (("(%s) and eth.src == %s" % (wrong, host.guest_mac), None),
                        ("eth.src == %s" % host.guest_mac, 100)):
        done = subprocess.run(words + ["-Y", what], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=120, check=False)
        same(done.returncode, 0, "tshark's status (%s)" % done.stderr.decode("utf-8", "replace")[-300:])
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        if least:
            check(len(lines) > least, "tshark saw %d frames of the machine" % len(lines))
        else:
            same(lines[:10], [], "what tshark complains about")


def test_console():
    """nobody complained on the console"""
    machine()
    lines = [line for line in shared["guest"].text.splitlines() if not line.startswith(("httpd: serving ", "address: "))]
    same(lines, [], "the console")


def clean():
    if "host" in shared:
        shared["host"].close()
    if "guest" in shared:
        shared["guest"].stop()
    if "wire" in shared:
        shared["wire"].close()
    shutil.rmtree(tree, ignore_errors=True)


atexit.register(clean)
if __name__ == "__main__":
    tap.main()
