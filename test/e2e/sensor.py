# SPDX-License-Identifier: BSD-2-Clause
"""The libOS event in its application, the sensor: reports, page, little memory, and hosts that mean no good.

Image: what is loaded of the file. Memory: all frames that the program takes and that are taken for it, page tables and
kernel objects included. Both have limits here, and the limit of memory is also the program's own in the configuration.

Time limit: 150 s
"""

import json
import os
import random
import re
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import peer
import tap
import wire as w
from guest import Guest
from tap import check, same, wait_until
from web import Connection, get

IMAGE_LIMIT = 32 << 10
FRAMES_LIMIT = (128 << 10) // 4096
CPU_LIMIT_US = 20000            # for ten samples at rest; the emulator's host may be busy
PERIOD = 100
COLLECTOR = 9000

CONFIG = """\
[machine]
memory = 16M
[program watch]
image = %s
main = yes
[program sensor]
libos = event
net = own
memory = 128K
args = %s
"""
SHARE = """\
[program address]
net = own
[program sensor]
libos = event
net = share
port = tcp/8080
port = udp/5005
args = --port 8080 --collector 10.0.2.2:%d --period 100
main = yes
"""
FIGURES = re.compile(r"^watch: [0-9]+ free ([0-9]+) (.*)$", re.MULTILINE)


def configuration(text):
    with tempfile.NamedTemporaryFile("w", prefix="exo-sensor-", suffix=".conf", delete=False) as file:
        file.write(text)
    return file.name


def sensor(words, net, name="sensor"):
    watch = os.path.join(guest.build_dir(), "test", "guest", "watch.uni")
    return Guest("--net", net, "--config", configuration(CONFIG % (watch, words)), name=name, timeout=60)


class Machine:
    """A sensor on a wire, and the host on the other end."""

    def __init__(self, words="--collector 10.0.2.2:%d --period %d" % (COLLECTOR, PERIOD), name="sensor", serves=True):
        self.serves = serves
        self.cable = w.Wire()
        self.host = peer.Peer(self.cable)
        self.reports = []
        self.host.hooks.append(self.hear)
        self.guest = sensor(words, self.cable.option, name)

    def hear(self, frame):
        if frame.dport == COLLECTOR and frame.protocol == w.UDP:
            self.reports.append(frame)

    def __enter__(self):
        self.guest.__enter__()
        if self.serves:
            self.host.wait_guest()
        return self

    def __exit__(self, *how):
        self.guest.__exit__(*how)
        self.host.close()
        self.cable.close()

    def ask(self, path="/json", port=80, seconds=20):
        with Connection(0, sock=self.host.connect(port, seconds=seconds)) as c:
            c.sock.settimeout(seconds)
            return c.request(path, headers=[("Connection", "close")])

    def state(self):
        return json.loads(self.ask().body)

    def frames(self):
        """{name: frames} and what is free, once they rest."""
        def last():
            found = FIGURES.findall(self.guest.text[:self.guest.text.rfind("\n") + 1])
            return found[-3:] if len(found) >= 3 and found[-1][1] == found[-3][1] else None
        with self.guest.changed:
            self.guest.changed.wait(0.5)
        wait_until(last, 20, "figures that rest")
        free, text = last()[-1]
        words = text.split()
        return dict(zip(words[::2], map(int, words[1::2])), free=int(free))


def loaded_bytes(path):
    with open(path, "rb") as file:
        data = file.read()
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    total = 0
    for i in range(count):
        kind, unused, at, va, pa, filesz = struct.unpack_from("<IIQQQQ", data, offset + i * size)
        total += filesz if kind == 1 else 0
    return total


def test_image():
    """the image, application included, is at most 32 KiB"""
    size = loaded_bytes(os.path.join(guest.build_dir(), "apps", "sensor", "sensor.event"))
    tap.say("%d bytes are loaded" % size)
    check(size <= IMAGE_LIMIT, "the image has %d bytes" % size)


def test_reports():
    """a datagram for each sample, and the page, in 128 KiB"""
    with Machine() as m:
        wait_until(lambda: len(m.reports) >= 10, 20, "ten reports")
        lines = [frame.payload.decode() for frame in m.reports]
        numbers = [int(line.split()[1]) for line in lines]
        same(numbers, list(range(numbers[0], numbers[0] + len(numbers))), "the reports' numbers")
        check(numbers[0] <= 2, "the first report is number %d" % numbers[0])
        state = m.state()
        rows = state["readings"][:-1]
        same(len(rows), min(16, rows[-1][0]), "readings shown")
        gaps = [b[1] - a[1] for a, b in zip(rows, rows[1:])]
        check(min(gaps) >= PERIOD - 2, "samples came early: %r" % gaps)
        for path, status in (("/", 200), ("/json", 200), ("/x", 404), ("/jsonx", 404)):
            same(m.ask(path).status, status, path)
        frames = m.frames()
        tap.say("frames: %r" % frames)
        same(m.host.bad, [], "malformed frames of the machine")
    # The same without it: what init keeps for it goes with it.
    with Machine("--nonsense", name="without", serves=False) as m:
        m.guest.wait_line("not understood")
        without = m.frames()
    own, for_it = frames["sensor"], frames["init"] - without["init"]
    tap.say("%d frames of its own, %d that init has for it" % (own, for_it))
    check(own + for_it <= FRAMES_LIMIT, "%d KiB all told" % ((own + for_it) * 4))


def test_rest():
    """at rest it costs nothing: one wake for each sample"""
    with Machine("--period 200 --collector 10.0.2.2:%d" % COLLECTOR) as m:
        wait_until(lambda: len(m.reports) >= 3, 20, "reports")
        time.sleep(2.2)             # what has ended is forgotten
        first = m.state()
        wait_until(lambda: len(m.reports) >= first["taken"] + 12, 20, "reports")
        second = m.state()
        samples = second["taken"] - first["taken"]
        turns, sleeps = second["turns"] - first["turns"], second["sleeps"] - first["sleeps"]
        rows = second["readings"][:-1]
        spent = rows[-1][3] - rows[-11][3]
        tap.say("%d samples, %d turns, %d sleeps; ten samples took %d us of CPU" % (samples, turns, sleeps, spent))
        check(sleeps <= 3 * samples + 20, "it slept %d times for %d samples" % (sleeps, samples))
        check(spent <= CPU_LIMIT_US, "ten samples took %d us" % spent)


def mutants(chance, host):
    """Frames with something wrong, to the machine."""
    kinds = [
        lambda: w.ipv4(host.ip, host.guest_ip, w.TCP, w.tcp(host.ip, host.guest_ip, chance.randrange(65536), 80,
                                                           chance.getrandbits(32), chance.getrandbits(32),
                                                           chance.getrandbits(6), chance.randbytes(chance.randrange(40)),
                                                           options=chance.randbytes(4 * chance.randrange(10)))),
        lambda: w.ipv4(host.ip, host.guest_ip, w.UDP, w.udp(host.ip, host.guest_ip, 67, 68, chance.randbytes(300))),
        lambda: w.ipv4(host.ip, host.guest_ip, w.ICMP, w.icmp(8, 0, b"abcd", chance.randbytes(chance.randrange(1400)))),
        lambda: w.ipv4(host.ip, host.guest_ip, w.UDP, w.udp(host.ip, host.guest_ip, 5, 5005, b"x" * chance.randrange(999))),
    ]
    for unused in range(1500):
        packet = bytearray(chance.choice(kinds)())
        for unused in range(chance.randrange(4)):
            packet[chance.randrange(len(packet))] = chance.getrandbits(8)
        if chance.random() < 0.2:
            packet = packet[:chance.randrange(len(packet))]
        kind = w.IPV4 if chance.random() < 0.9 else w.ARP
        yield w.ether(host.guest_mac, host.mac, kind, bytes(packet))


def settled(m, before):
    """It holds no more than before, once what was half open has been given up."""
    wait_until(lambda: m.state()["readings"][-2][5] >= before["readings"][-2][5] - 512, 30, "the heap as before", 0.3)


def test_hostile():
    """broken packets, floods, port scans and slow clients: memory stays, and it answers"""
    chance = random.Random(9)
    with Machine() as m:
        wait_until(lambda: len(m.reports) >= 3, 20, "reports")
        m.ask("/")
        frames, before = m.frames(), m.state()
        for frame in mutants(chance, m.host):
            m.host.send_frame(frame)
        same(m.ask("/").status, 200, "the page after broken packets")
        for port in range(1, 1500):
            m.host.send_tcp(50000, port, 77, 0, w.SYN)
            m.host.send_udp(50000, port, b"?")
        same(m.ask("/").status, 200, "the page after a scan")
        m.host.syn_flood(80, 2000)
        same(m.ask("/").status, 200, "the page after a flood")
        slow = [m.host.connect(80) for unused in range(5)]
        for tcp in slow:
            tcp.sendall(b"GET /json HTTP/1.0\r\nX: ")
        wait_until(lambda: m.ask("/").status == 200, 20, "a page beside slow clients")
        for tcp in slow:
            tcp.abort()
        settled(m, before)
        after = m.frames()
        same((after["sensor"], after["init"], after["free"]), (frames["sensor"], frames["init"], frames["free"]), "frames")
        count = len(m.reports)
        wait_until(lambda: len(m.reports) > count, 10, "further reports")
        same(m.host.bad, [], "malformed frames of the machine")


def test_full():
    """more clients than there is room for are refused, and the silent ones lose their place in time"""
    with Machine("--patience 2000 --period 100") as m:
        m.ask("/")
        idle = []
        for unused in range(12):
            try:
                idle.append(m.host.connect(80, seconds=1))
            except (OSError, AssertionError):
                pass
        tap.say("%d of 12 are connected" % len(idle))
        begin = time.monotonic()
        wait_until(lambda: answers(m), 30, "a page afterwards", 0.5)
        tap.say("a page after %.1f s" % (time.monotonic() - begin))


def answers(m):
    try:
        return m.ask("/", seconds=2).status == 200
    except (OSError, EOFError, AssertionError):
        return False


def test_trouble():
    """a wire that loses, doubles, reorders and corrupts"""
    with Machine() as m:
        wait_until(lambda: len(m.reports) >= 16, 20, "reports")
        m.cable.to_guest = w.Trouble(seed=4, loss=0.06, double=0.05, reorder=0.08, corrupt=0.03)
        m.cable.from_guest = w.Trouble(seed=5, loss=0.06, double=0.05, reorder=0.08, corrupt=0.03)
        for unused in range(8):
            rows = json.loads(m.ask("/json", seconds=30).body)["readings"]
            same(len(rows), 17, "rows")


def test_share():
    """on a shared address, with a port of its own; and by user networking"""
    with Guest("-p", "0:8080", "--config", configuration(SHARE % COLLECTOR), name="share", timeout=40) as machine:
        machine.wait_line("^sensor: sampling")
        state = json.loads(get(machine.port(8080), "/json").body)
        check(state["taken"] >= 1, "nothing was sampled")
    with Guest("-p", "0:80", "--libos", "event", "sensor", "--address", "10.0.2.15/24", name="user",
               timeout=40) as machine:
        machine.wait_line("^sensor: sampling")
        same(get(machine.port(80), "/").status, 200, "the page")


if __name__ == "__main__":
    tap.main()
