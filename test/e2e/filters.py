# SPDX-License-Identifier: BSD-2-Clause
"""Claims of tcpdump expressions: they hold for the packets that tcpdump itself lets pass, on the host and in a machine.

Time limit: 300 s
"""

import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
import wire as w
from tap import check, has, same
from tiny import TinyTree

sys.path.insert(0, os.path.join(guest.SOURCE, "tools"))
from exolib import filters, util  # noqa: E402

EXPRESSIONS = [
    "", "ip", "ip6", "arp", "not ip", "not arp", "tcp", "udp", "icmp or icmp6", "tcp port 80", "udp dst port 53",
    "dst port 80", "tcp src port 1024", "host 10.0.0.1", "src host 10.0.0.1", "arp dst host 10.0.0.1", "net 10.0.0.0/8",
    "src net 192.168.0.0/16 and udp", "tcp[tcpflags] & tcp-syn != 0", "ether host 52:54:00:12:34:56",
    "ether dst 52:54:00:12:34:56 and ip", "broadcast", "ether multicast", "vlan 5", "ip[8] < 5", "ip[2:2] > 500",
    "udp dst portrange 1024-2047", "ip and ip[6:2] & 0x3fff != 0", "tcp dst port 80 and src host 10.0.0.1",
    "ip proto 47 or ip proto 89",
]
REFUSED = {"len > 100": "length", "ip[8] = ip[9]": "computes", "not tcp": "exclude each other",
           "portrange 1000-1003": "cases", "ip[0] * 4 > 20": "computes", "no such word": "syntax error"}
rng = random.Random(int(os.environ.get("EXO_TEST_SEED", "1")))
tree = TinyTree()


def frame():
    """One that is near to what the expressions ask for."""
    addresses = ["10.0.0.1", "10.0.0.2", "192.168.3.4", "9.255.255.255", "255.255.255.255"]
    macs = ["52:54:00:12:34:56", "52:54:00:12:34:57", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"]
    ports = [80, 81, 53, 1023, 1024, 2047, 2048, 443]
    src, dst, sport, dport = (rng.choice(list_) for list_ in (addresses, addresses, ports, ports))
    protocol = rng.choice([6, 6, 17, 17, 1, 47, 89, 132, 44])
    body = bytearray(rng.randbytes(rng.choice([0, 3, 8, 20, 40, 600])))
    if protocol in (6, 17):
        body = bytearray(w.tcp(src, dst, sport, dport, 1, 1, rng.choice([2, 16, 18])) if protocol == 6 else
                         w.udp(src, dst, sport, dport, b"x"))
    kind = rng.choice([0x0800, 0x0800, 0x0800, 0x0806, 0x86dd, 0x8100, 0x1234])
    if kind == 0x0806:
        payload = w.arp(1, macs[0], src, macs[1], dst)
    elif kind == 0x86dd:
        payload = bytes([0x60, 0, 0, 0, 0, len(body) & 255, rng.choice([6, 17, 58, 44]), 64]) + rng.randbytes(32) + body
    elif kind == 0x8100:
        payload = rng.choice([5, 6, 0x1005]).to_bytes(2, "big") + b"\x08\x00" + w.ipv4(src, dst, protocol, bytes(body))
    else:
        payload = w.ipv4(src, dst, protocol, bytes(body), ttl=rng.choice([1, 4, 5, 64]), more=rng.random() < 0.1,
                         offset=rng.choice([0, 0, 0, 0, 8]), options=rng.choice([b"", b"", b"\x01" * 8]))
    data = bytearray(w.ether(rng.choice(macs), rng.choice(macs), kind, payload, pad=False))
    if rng.random() < 0.2 and len(data) > 14:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.1:
        del data[rng.randrange(14, len(data) + 1):]
    return bytes(data)


def verdicts(frames, expression):
    """Which frames tcpdump lets pass: their numbers, which stand in the time of each."""
    path = os.path.join(tree.dir, "packets.pcap")
    with open(path, "wb") as file:
        file.write(0xa1b2c3d4.to_bytes(4, "little") + b"\x02\0\x04\0" + bytes(8) + (65535).to_bytes(4, "little") +
                   (1).to_bytes(4, "little"))
        for number, data in enumerate(frames):
            file.write(number.to_bytes(4, "little") + bytes(4) + 2 * len(data).to_bytes(4, "little") + data)
    done = subprocess.run(["tcpdump", "-r", path, "-w", "-", "--", expression], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=True, timeout=30)
    at, found = 24, set()
    while at < len(done.stdout):
        found.add(int.from_bytes(done.stdout[at:at + 4], "little"))
        at += 16 + int.from_bytes(done.stdout[at + 8:at + 12], "little")
    return found


def test_equal():
    """claims hold for the packets that tcpdump lets pass, and exclude each other"""
    frames = [frame() for _ in range(2000)]
    both_ways = 0
    for expression in EXPRESSIONS:
        claims = filters.compile_claims(expression)
        theirs = verdicts(frames, expression)
        ours = {number for number, data in enumerate(frames) if filters.matches(claims, data)}
        same(sorted(ours ^ theirs)[:5], [], "frames judged otherwise by '%s'" % expression)
        both_ways += 0 < len(theirs) < len(frames)
        for data in frames[:300]:
            check(sum(filters.matches([claim], data) for claim in claims) <= 1, "two claims for one packet: " + expression)
        for claim in claims:
            same(filters.show(filters.parse_claim(filters.show(claim))), filters.show(claim), "a claim read back")
    check(both_ways >= len(EXPRESSIONS) - 2, "%d expressions tell packets apart" % both_ways)


def test_refused():
    """what is no set of disjoint conjunctions is refused, with the reason"""
    for expression, reason in REFUSED.items():
        try:
            filters.compile_claims(expression)
            check(False, "'%s' was accepted" % expression)
        except util.ExoError as error:
            has(str(error), reason, expression)


def test_tool():
    """exo filter prints what a configuration takes; without tcpdump it says what is missing"""
    done = guest.exo("filter", "udp", "dst", "port", "53")
    same(done.returncode, 0, "exit status")
    has(done.stdout, "claim = 12:2=0x800 20:2&0x1fff=0 23:1=0x11 @14&15<<2+16:2=0x35", "the claim")
    same(guest.exo("filter").returncode, 125, "exit status without an expression")
    done = subprocess.run([sys.executable, "-c", "import sys; sys.path.insert(0, %r); from exolib import filters; "
                           "filters.shutil.which = lambda *a, **k: None; filters.compile_claims('ip')"
                           % os.path.join(guest.SOURCE, "tools")], stderr=subprocess.PIPE, check=False)
    has(done.stderr.decode(), "install it", "the mend")


def test_configuration():
    """a program gets the packets of an expression, and no others"""
    expression = "udp dst port 53 or arp"
    path = tree.file("filters.conf", ("[program claimed]\nimage = %s\nclaim = tcpdump:%s\nclaim = 12:2=0x1234\n" % (
        os.path.join(guest.build_dir(), "test", "guest", "claimed.uni"), expression)).encode())
    frames = [frame().ljust(60, b"\0") for _ in range(400)]
    claims = filters.compile_claims(expression) + [filters.parse_claim("12:2=0x1234")]
    wanted = sum(filters.matches(claims, data) for data in frames)
    check(20 < wanted < 380, "%d of the packets are its" % wanted)
    cable = w.Wire()
    with guest.Guest("--net", cable.option, "--config", path, name="claimed", pcap=False) as machine:
        machine.wait_line("claims %d" % len(claims))
        for number, data in enumerate(frames):
            cable.send_plain(data)
            if number % 8 == 7:
                tap.time.sleep(0.02)
        machine.wait_line("packets %d$" % wanted)
    cable.close()


def test_bad_configuration():
    """what is wrong with a claim is said with its line"""
    for value, reason in (("12:3=1", "is no term"), ("12:2=1 12:2=2", "stands once"), ("tcpdump:len > 5", "length"),
                          ("12:1=0x100", "outside its mask")):
        path = tree.file("bad.conf", ("[program a]\nimage = hello\nclaim = %s\n" % value).encode())
        done = guest.exo("run", "--config", path)
        same(done.returncode, 125, "exit status")
        has(done.stderr, "bad.conf:3: claim: ", "its line")
        has(done.stderr, reason, value)


if __name__ == "__main__":
    tap.main(tree.remove)
