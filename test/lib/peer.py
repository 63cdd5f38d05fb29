# SPDX-License-Identifier: BSD-2-Clause
"""A host on the other end of the wire: ARP, DHCP server, ping, UDP, and TCP clients.

    wire = Wire(); guest = Guest("--net", wire.option, "httpd", "/")
    peer = Peer(wire); peer.wait_guest()
    with peer.connect(80) as tcp:
        tcp.sendall(b"GET / HTTP/1.0\r\n\r\n")

A thread answers what every host answers and gives the rest to whoever waits for it; all frames
of the guest are kept in `.frames`.  A Tcp object has the methods of a socket that web.Connection
uses.  It sends again what is not acknowledged, so it also works on a wire with troubles.
"""

import itertools
import struct
import threading
import time

import wire as w

LEASE_SECONDS = 86400
RESEND_SECONDS = 0.25
MAX_FRAMES = 200000


def after(a, b):
    """Whether sequence number a is behind b."""
    return 0 < (a - b) & 0xffffffff < 1 << 31


class Peer:
    """One host with an address; it also gives the guest its own by DHCP."""

    def __init__(self, cable, ip="10.0.2.2", guest_ip="10.0.2.15", mac="02:00:00:00:00:fe"):
        self.wire, self.ip, self.guest_ip, self.mac = cable, ip, guest_ip, mac
        self.guest_mac = None
        self.frames = []                    # what the guest sent
        self.bad = []                       # of these, the malformed ones
        self.connections = {}
        self.answers = True                 # answer ARP, DHCP and ping at all
        self.changed = threading.Condition(threading.RLock())
        self.ports = itertools.count(40000)
        self.idents = itertools.count(1)
        self.hooks = []                     # called with each Frame, before anything else
        self.closing = False
        self.thread = threading.Thread(target=self._loop, daemon=True)
        self.thread.start()

    # sending

    def send_frame(self, frame):
        self.wire.send(frame)

    def send_arp(self, operation, target_mac, target_ip, dst=None, **wrong):
        body = w.arp(operation, self.mac, self.ip, target_mac, target_ip, **wrong)
        self.send_frame(w.ether(dst or target_mac, self.mac, w.ARP, body))

    def send_packet(self, packet):
        """An IP packet as it stands, to the guest's hardware address."""
        self.send_frame(w.ether(self.guest_mac or w.BROADCAST, self.mac, w.IPV4, packet))

    def send_ip(self, protocol, payload, src=None, **how):
        how.setdefault("ident", next(self.idents) & 0xffff)
        self.send_packet(w.ipv4(src or self.ip, self.guest_ip, protocol, payload, **how))

    def send_tcp(self, sport, dport, seq, ack, flags, payload=b"", src=None, ip=None, **how):
        """A TCP segment; `ip` holds arguments for the packet around it."""
        body = w.tcp(src or self.ip, self.guest_ip, sport, dport, seq, ack, flags, payload, **how)
        self.send_ip(w.TCP, body, src=src, **(ip or {}))

    def send_udp(self, sport, dport, payload, src=None, **how):
        self.send_ip(w.UDP, w.udp(src or self.ip, self.guest_ip, sport, dport, payload, **how), src=src)

    def ping(self, payload=b"exo", ident=7, sequence=1, **how):
        self.send_ip(w.ICMP, w.icmp(8, 0, struct.pack("!HH", ident, sequence), payload), **how)

    def syn_flood(self, dport, count, rate=None, network="10.77.%d.%d"):
        """SYNs from addresses that do not exist and never answer."""
        for i in range(count):
            src = network % (i >> 8 & 255, i & 255)
            self.send_tcp(1024 + i % 60000, dport, i * 7919, 0, w.SYN, src=src, options=b"\x02\x04\x05\xb4")
            if rate:
                time.sleep(1 / rate)

    # receiving

    def wait_frame(self, matches, seconds=10, since=0, what="frame"):
        """The first of the guest's frames, from index `since` on, that matches."""
        end = time.monotonic() + seconds
        at = since
        with self.changed:
            while True:
                while at < len(self.frames):
                    if matches(self.frames[at]):
                        return self.frames[at]
                    at += 1
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError("no %s within %g s; last frames: %r" % (what, seconds,
                                                                                 self.frames[-5:]))
                self.changed.wait(left)

    def mark(self):
        """An index for wait_frame(since=...): only frames from now on."""
        with self.changed:
            return len(self.frames)

    def wait_guest(self, seconds=30):
        """Wait until the guest has its address and answers an ARP request; returns its hardware address."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            since = self.mark()
            self.send_arp(1, "00:00:00:00:00:00", self.guest_ip, dst=w.BROADCAST)
            try:
                frame = self.wait_frame(lambda f: f.arp_op == 2 and f.src == self.guest_ip, 0.25, since)
            except AssertionError:
                continue
            self.guest_mac = frame.sender_mac
            return self.guest_mac
        raise AssertionError("the guest did not answer ARP within %g s; its frames: %r" % (seconds,
                                                                                           self.frames[-5:]))

    def _loop(self):
        while not self.closing:
            try:
                arrived = self.wire.receive(0.05)
            except OSError:
                return
            for data in arrived:
                self._take(w.Frame(data))
            now = time.monotonic()
            for connection in list(self.connections.values()):
                connection.tick(now)

    def _take(self, frame):
        with self.changed:
            if len(self.frames) < MAX_FRAMES:
                self.frames.append(frame)
            if frame.bad:
                self.bad.append(frame)
            for hook in self.hooks:
                hook(frame)
            if not frame.bad:
                self._answer(frame)
            self.changed.notify_all()

    def _answer(self, frame):
        if frame.kind == w.ARP:
            if self.answers and frame.arp_op == 1 and frame.dst == self.ip:
                self.guest_mac = frame.sender_mac
                self.send_arp(2, frame.sender_mac, frame.src)
        elif frame.protocol == w.TCP and frame.sport is not None:
            connection = self.connections.get((frame.dport, frame.sport))
            if connection and frame.dst == self.ip:
                connection.take(frame)
        elif frame.protocol == w.UDP and frame.dport == 67 and self.answers:
            self._dhcp(frame)
        elif frame.icmp and frame.icmp[0] == 8 and frame.dst == self.ip and self.answers:
            self.send_ip(w.ICMP, w.icmp(0, 0, frame.icmp[2], frame.payload))

    def _dhcp(self, frame):
        """Answer DISCOVER by OFFER, REQUEST by ACK."""
        body = frame.payload
        if len(body) < 240 or body[0] != 1 or body[236:240] != b"\x63\x82\x53\x63":
            return
        options = dhcp_options(body[240:])
        answer = {1: 2, 3: 5}.get((options.get(53) or b"\0")[0])
        if not answer:
            return
        own = w.ip_bytes(self.ip)
        reply = b"\x02\x01\x06\0" + body[4:8] + b"\0\0" + body[10:16] + w.ip_bytes(self.guest_ip)
        reply += own + b"\0" * 4 + body[28:44] + b"\0" * 192 + b"\x63\x82\x53\x63"
        for code, value in ((53, bytes([answer])), (54, own), (51, struct.pack("!I", LEASE_SECONDS)),
                            (1, b"\xff\xff\xff\0"), (3, own), (6, own)):
            reply += bytes([code, len(value)]) + value
        datagram = w.udp(self.ip, "255.255.255.255", 67, 68, reply + b"\xff")
        packet = w.ipv4(self.ip, "255.255.255.255", w.UDP, datagram, ident=next(self.idents) & 0xffff)
        self.send_frame(w.ether(w.BROADCAST, self.mac, w.IPV4, packet))

    # TCP

    def connect(self, port, seconds=20, **how):
        """A TCP connection to the guest, made."""
        connection = Tcp(self, next(self.ports), port, **how)
        with self.changed:
            self.connections[connection.sport, port] = connection
        connection.open(seconds)
        return connection

    def close(self):
        self.closing = True
        self.thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def dhcp_options(data):
    found, at = {}, 0
    while at < len(data) and data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        if at + 1 >= len(data):
            break
        found[data[at]] = data[at + 2:at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return found


class Tcp:
    """One connection from the peer to the guest, with as much of TCP as a client needs."""

    def __init__(self, peer, sport, dport, mss=1460, window=65535):
        self.peer, self.sport, self.dport, self.mss, self.window = peer, sport, dport, mss, window
        self.first = (sport * 7919 * 65536 + int(time.monotonic() * 250000)) & 0xffffffff
        self.sent = self.acked = self.first         # next to send; first not acknowledged
        self.expected = 0                           # next byte from the guest
        self.unacked = []                           # (seq, flags, payload, time)
        self.early = {}                             # what came too early, by sequence number
        self.data = b""
        self.guest_window = 0
        self.made = self.ended = self.reset = self.fin_sent = False
        self.timeout = 20

    def _segment(self, flags, payload=b"", seq=None, options=b""):
        self.peer.send_tcp(self.sport, self.dport, self.sent if seq is None else seq, self.expected, flags,
                           payload,
                           window=self.window, options=options)

    def _push(self, flags, payload=b""):
        """Send something that takes sequence numbers, and keep it until it is acknowledged."""
        self.unacked.append([self.sent, flags, payload, time.monotonic()])
        self._send_kept(self.unacked[-1])
        self.sent = (self.sent + len(payload) + bool(flags & (w.SYN | w.FIN))) & 0xffffffff

    def _send_kept(self, kept):
        seq, flags, payload, unused = kept
        kept[3] = time.monotonic()
        options = struct.pack("!BBH", 2, 4, self.mss) if flags & w.SYN else b""
        self._segment(flags, payload, seq, options)

    def _wait(self, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            if self.reset:
                raise ConnectionResetError("the guest reset the connection")
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("port %d: %s not within %g s" % (self.dport, what, seconds))
            self.peer.changed.wait(left)

    def open(self, seconds):
        with self.peer.changed:
            self._push(w.SYN)
            self._wait(lambda: self.made, seconds, "connected")

    def take(self, frame):
        """A segment from the guest; called with the lock held."""
        if frame.flags & w.RST:
            self.reset = frame.seq == self.expected or not self.made
            return
        if frame.flags & w.SYN:
            if not self.made and frame.ack != self.sent:        # to some other SYN from this port
                self._segment(w.RST, seq=frame.ack)
                return
            if not self.made:
                self.expected = (frame.seq + 1) & 0xffffffff
                self.made = True
            self._take_ack(frame)
            self._segment(w.ACK)
            return
        self._take_ack(frame)
        if frame.payload or frame.flags & w.FIN:
            end = frame.seq + len(frame.payload) + bool(frame.flags & w.FIN)
            if not after(self.expected, frame.seq) or after(end, self.expected):
                self.early[frame.seq] = (frame.payload, bool(frame.flags & w.FIN))
            self._in_order()
            self._segment(w.ACK)

    def _take_ack(self, frame):
        if frame.flags & w.ACK and after(frame.ack, self.acked) and not after(frame.ack, self.sent):
            self.acked = frame.ack
            self.unacked = [kept for kept in self.unacked if after(
                kept[0] + len(kept[2]) + bool(kept[1] & (w.SYN | w.FIN)), self.acked)]
        self.guest_window = frame.window

    def _in_order(self):
        """Take from the early segments what is next."""
        moved = True
        while moved and not self.ended:
            moved = False
            for seq in list(self.early):
                payload, fin = self.early[seq]
                skip = (self.expected - seq) & 0xffffffff
                if skip >> 31:
                    continue                        # still too early
                del self.early[seq]
                if skip <= len(payload):
                    self.data += payload[skip:]
                    self.expected = (self.expected + len(payload) - skip + fin) & 0xffffffff
                    self.ended = self.ended or fin
                    moved = True

    def tick(self, now):
        """Send again what has waited too long; called by the peer's thread."""
        with self.peer.changed:
            if self.unacked and not self.reset and now - self.unacked[0][3] > RESEND_SECONDS:
                for kept in self.unacked[:4]:
                    self._send_kept(kept)

    def sendall(self, data):
        with self.peer.changed:
            for at in range(0, len(data), self.mss):
                part = data[at:at + self.mss]
                self._wait(lambda: (self.sent - self.acked) & 0xffffffff < max(self.guest_window, 1),
                           self.timeout,
                           "room in its window")
                self._push(w.ACK | w.PSH, part)

    def recv(self, count):
        with self.peer.changed:
            self._wait(lambda: self.data or self.ended, self.timeout, "data")
            part, self.data = self.data[:count], self.data[count:]
            return part

    def settimeout(self, seconds):
        self.timeout = seconds

    def finish(self):
        """Send FIN: nothing more comes from here."""
        with self.peer.changed:
            if not self.fin_sent and not self.reset:
                self.fin_sent = True
                self._push(w.ACK | w.FIN)

    def abort(self):
        """Send RST and forget the connection."""
        with self.peer.changed:
            self._segment(w.RST | w.ACK)
            self.reset = True
            self.peer.connections.pop((self.sport, self.dport), None)

    def close(self, seconds=5):
        """End both directions; if the guest does not within the time, reset."""
        self.finish()
        try:
            with self.peer.changed:
                self._wait(lambda: self.ended and not self.unacked, seconds, "closed")
        except (TimeoutError, ConnectionResetError):
            if not self.reset:
                self.abort()
        # Stay in the table: a repeated FIN of the guest is answered.

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
