# SPDX-License-Identifier: BSD-2-Clause
"""The libOS dataplane with real clients: pieces, pipelines, slow readers, pauses, resets, floods; idle it sleeps; nothing leaks.

Time limit: 120 s
"""

import os
import re
import socket
import struct
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, same
from web import Connection

ASK = b"GET / HTTP/1.1\r\n\r\n"
BODY = b"x" * 110
BIG = 1000000
PROGRAM = os.path.join(guest.build_dir(), "test", "guest", "answerer.dataplane")
shared = {}


def machine(memory="32M"):
    """A machine with so much memory; "own" in front of it: the program has the network device to itself."""
    if memory not in shared:
        net, size = ("device", memory[3:]) if memory.startswith("own") else ("own", memory)
        made = guest.Guest("-m", size, "-p", "0:80", "-p", "0:7/udp", "--guest-net", net, PROGRAM, name="answerer-" + memory,
                           timeout=110, pcap=False)
        made.wait_line("^answering")
        shared[memory] = made
        for unused in range(100):           # the address comes by DHCP
            try:
                with Connection(made.port(80), timeout=0.4) as c:
                    if c.request("/").body == BODY:
                        break
            except (OSError, EOFError):
                time.sleep(0.05)
    return shared[memory]


def counts(memory="32M"):
    with Connection(machine(memory).port(80)) as c:
        lines = c.request("/counts").body.decode().split()
    return dict(zip(lines[::2], map(int, lines[1::2])))


def settled(free, memory="32M"):
    """All connections but that of the question are gone, and so many pages are free again."""
    end = time.monotonic() + 15
    while True:
        now = counts(memory)
        if now["open"] == 1 and now["free"] >= free:
            return
        check(time.monotonic() < end, "%d connections are left, %d pages are free of %d that were" % (
            now["open"] - 1, now["free"], free))
        time.sleep(0.2)


def test_pieces():
    """requests in pieces, several at once, after the other side has ended, are answered in order"""
    before = counts()
    with Connection(machine().port(80)) as c:
        for byte in ASK:
            c.send(bytes([byte]))
        same(c.answer().body, BODY, "the answer to single bytes")
        c.send(ASK * 50)
        for unused in range(50):
            same(c.answer().body, BODY, "an answer of many")
        c.send(ASK[:7])
        time.sleep(0.05)
        c.send(ASK[7:] + ASK)
        same(c.answer().body, BODY, "the answer to two pieces")
        same(c.answer().body, BODY, "and to the one behind them")
        c.send(ASK)
        c.sock.shutdown(socket.SHUT_WR)
        same(c.answer().body, BODY, "the answer after the end")
        same(c.sock.recv(10), b"", "then its end")
    with Connection(machine().port(80)) as c:
        for byte in b"GET /close HTTP/1.1\r\n\r\n":
            c.send(bytes([byte]))
        same(c.answer().body, BODY, "the last answer of one that closes")
        same(c.sock.recv(10), b"", "then its end")
    settled(before["free"] - 4)


def test_shown():
    """requests that come whole are shown where the kernel put them: nothing is copied on the way in"""
    with Connection(machine().port(80)) as c:
        c.request("/")
        before = counts()
        for unused in range(100):
            c.request("/")
        after = counts()
        same(after["copied_in"], before["copied_in"], "bytes copied")
        before = after
        same(c.request("/kept").body, b"k" * BIG, "the big answer by reference")
        check(counts()["copied_out"] - before["copied_out"] < 2000, "a kept answer is copied")
        same(c.request("/big").body, b"c" * BIG, "the big answer by copy")


def test_datagram():
    """datagrams come back"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        for size in (1, 100, 1400):
            s.sendto(b"d" * size, ("127.0.0.1", machine().port(7, "udp")))
            same(len(s.recv(2000)), size, "bytes of it")


def test_idle():
    """idle, it sleeps: a second has few turns"""
    counts()
    before = counts()
    time.sleep(1)
    after = counts()
    turns = after["turns"] - before["turns"]
    tap.say("%d turns, %d of them empty" % (turns, after["empty"] - before["empty"]))
    check(turns < 60, "%d turns of the loop in an idle second" % turns)


def test_pause():
    """one that is paused is held up by TCP, shown all when it resumes, and in order"""
    with Connection(machine().port(80)) as c:
        start = time.monotonic()
        c.send(b"GET /pause HTTP/1.1\r\n\r\n" + ASK * 1000)
        same(c.answer().body, b"paused", "the first answer")
        check(time.monotonic() - start > 0.25, "it did not wait")
        for unused in range(1000):
            same(c.answer().body, BODY, "an answer behind it")


def test_too_much():
    """a head that never ends is cut off; so is one who is aborted"""
    before = counts()
    with Connection(machine().port(80)) as c:
        try:
            for unused in range(100):
                c.send(b"y" * 1000)
                time.sleep(0.001)
            same(c.sock.recv(10), b"", "an end")
        except (ConnectionError, EOFError):
            pass
    with Connection(machine().port(80)) as c:
        c.send(b"GET /abort HTTP/1.1\r\n\r\n")
        try:
            same(c.sock.recv(10), b"", "an end")
        except ConnectionError:
            pass
    settled(before["free"] - 4)


def test_slow():
    """slow readers hold up nobody, lose nothing, and leave nothing behind when they go"""
    before = counts()
    slow = []
    for unused in range(40):
        slow.append(Connection(machine().port(80)))
        same(slow[-1].request("/").body, BODY, "the page of one of many")
    for number, c in enumerate(slow):
        if number:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.ask("/big" if number % 2 else "/kept")
    with Connection(machine().port(80)) as c:
        start = time.monotonic()
        for unused in range(50):
            same(c.request("/").body, BODY, "the page beside them")
        check(time.monotonic() - start < 5, "it took %.1f s" % (time.monotonic() - start))
    same(len(slow[0].answer().body), BIG, "bytes for a slow one")
    for c in slow:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.sock.close()
    settled(before["free"] - 4)


def many(port, count, wrong):
    try:
        for number in range(count):
            with Connection(port) as c:
                for unused in range(number % 3 + 1):
                    if c.request("/").body != BODY:
                        wrong.append("body")
    except Exception as error:              # pylint: disable=broad-except
        wrong.append(repr(error))


def crowd(memory):
    before = counts(memory)
    wrong, threads = [], []
    for unused in range(8):
        threads.append(threading.Thread(target=many, args=(machine(memory).port(80), 40, wrong), daemon=True))
        threads[-1].start()
    gone = []
    for number in range(150):               # who connect, say a little or nothing, and go
        c = Connection(machine(memory).port(80))
        same(c.request("/").body, BODY, "the page of one of many")
        c.send(ASK[:number % len(ASK)])
        gone.append(c)
    for c in gone:
        c.sock.close()
    for thread in threads:
        thread.join(60)
    same(wrong, [], "what went wrong")
    settled(before["free"] - 6, memory)


def test_crowd():
    """many at once, and many who say nothing: all are answered, nothing is left"""
    crowd("32M")


def test_little_memory():
    """the same with 6 MiB, beside big answers that nobody reads"""
    hold = []
    for unused in range(20):
        hold.append(Connection(machine("6M").port(80)))
        same(hold[-1].request("/").body, BODY, "the page of one of many")
    for c in hold:
        c.ask("/big")
    try:
        with Connection(machine("6M").port(80)) as c:
            for unused in range(20):
                same(c.request("/").body, BODY, "the page beside them")
    finally:
        for c in hold:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            c.sock.close()
    end = time.monotonic() + 10
    while counts("6M")["open"] > 1 and time.monotonic() < end:
        time.sleep(0.2)
    crowd("6M")


def test_owned():
    """with a device of its own nothing is copied by the kernel, whatever comes; and all of it is answered"""
    with Connection(machine("own24M").port(80)) as c:
        for unused in range(100):
            same(c.request("/").body, BODY, "an answer")
        c.send(ASK * 50)
        for unused in range(50):
            same(c.answer().body, BODY, "an answer of many")
        same(c.request("/big").body, b"c" * BIG, "a big one")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        for size in (1, 100, 1400) * 50:
            s.sendto(b"d" * size, ("127.0.0.1", machine("own24M").port(7, "udp")))
            same(len(s.recv(2000)), size, "bytes of a datagram that comes back")
    wrong = []
    many(machine("own24M").port(80), 60, wrong)
    same(wrong, [], "what went wrong")
    after = counts("own24M")
    tap.say("%d bytes received, %d copied" % (after["received"], after["kernel_copied"]))
    check(after["received"] > 80000, "so few bytes were received")
    same(after["kernel_copied"], 0, "bytes that the kernel copied")
    check(counts()["kernel_copied"] > 0, "nor does it copy where the device is shared?")


def test_successor():
    """who waits for the device has it when its owner ends, and serves in its place; and so has the next"""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write("".join("[program %s]\nimage = %s\nnet = device\n" % (name, PROGRAM) for name in "abc") + "main = yes\n")
        config.flush()
        with guest.Guest("-p", "0:80", "--config", config.name, name="successor", timeout=60, pcap=False) as made:
            for number in range(3):
                made.wait_line("^answering" + "(.|\n)*^answering" * number)
                for unused in range(100):
                    try:
                        with Connection(made.port(80), timeout=0.4) as c:
                            same(c.request("/").body, BODY, "an answer")
                            found = dict(re.findall("([a-z_]+) ([0-9]+)", c.request("/counts").body.decode()))
                            break
                    except (OSError, EOFError):
                        time.sleep(0.05)
                check(int(found["received"]) and not int(found["kernel_copied"]), "copies, or nothing: %s" % found)
                with Connection(made.port(80)) as c:
                    c.send(b"GET /stop HTTP/1.1\r\n\r\n")
                made.wait_line("^stopped with (.|\n)*^stopped with " if number else "^stopped with ")
            same(made.wait(), 0, "the last one's status")


def test_parts():
    """two copies on two CPUs serve one port: each has the clients of its half, and all are answered"""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write("[program half]\nimage = %s\nnet = own\nport = tcp/80\ncopies = 2\n" % PROGRAM)
        config.flush()
        with guest.Guest("--smp", "2", "-p", "0:80", "--config", config.name, name="parts", timeout=60, pcap=False) as made:
            made.wait_line("^answering(.|\n)*^answering")
            port, opened = made.port(80), set()
            for unused in range(100):
                try:
                    with Connection(port, timeout=0.4) as c:
                        c.request("/")
                        break
                except (OSError, EOFError):
                    time.sleep(0.05)
            kept = []
            for unused in range(16):
                kept.append(Connection(port))
                same(kept[-1].request("/").body, BODY, "the first answer")
            for unused in range(4):
                for c in kept:
                    same(c.request("/").body, BODY, "an answer")
            for c in kept:
                opened.add(int(re.search(r"open ([0-9]+)", c.request("/counts").body.decode()).group(1)))
            tap.say("connections of each: %s" % sorted(opened))
            check(len(opened) <= 2 and sum(opened) >= 16 - (len(opened) == 1) * 16 and max(opened) < 16,
                  "one program has all connections: %s" % opened)
            wrong = []
            many(port, 60, wrong)
            same(wrong, [], "what went wrong")


def test_poll():
    """a program around poll() and sockets that do not block sends back what comes, also to those who read late"""
    program = os.path.join(guest.build_dir(), "test", "guest", "poller.dataplane")
    with guest.Guest("-p", "0:80", program, name="poller", timeout=60, pcap=False) as made:
        made.wait_line("^polling")
        port, data = made.port(80), os.urandom(300000)
        for unused in range(100):
            try:
                with socket.create_connection(("127.0.0.1", port), 0.4) as s:
                    s.sendall(b"up")
                    if s.recv(10):
                        break
            except OSError:
                time.sleep(0.05)
        for unused in range(20):
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                s.sendall(b"one")
                same(s.recv(10), b"one", "what came back")
        with socket.create_connection(("127.0.0.1", port), 10) as s:
            sender = threading.Thread(target=s.sendall, args=(data,), daemon=True)
            sender.start()
            time.sleep(0.2)
            back = b""
            while len(back) < len(data) and (part := s.recv(65536)):
                back += part
            check(back == data, "%d of %d bytes came back, or others" % (len(back), len(data)))
            s.shutdown(socket.SHUT_WR)
            same(s.recv(10), b"", "the end")


SLOW = """\
[machine]
disk = %s,iops=20
[program httpd]
image = httpd
libos = dataplane
args = --cache 256 /site
net = own
extent = site
mount = /site cofs extent:site ro,cache=600
main = yes
"""


def slow_disk(files):
    """A machine that serves files from a disk with twenty requests a second."""
    folder = tempfile.TemporaryDirectory()
    site, image, config = (os.path.join(folder.name, name) for name in ("site", "disk.img", "exo.conf"))
    os.mkdir(site)
    for name, data in files.items():
        with open(os.path.join(site, name), "wb") as file:
            file.write(data)
    for words in (("create", image, "16M", "--label", "site:rest"), ("import", image, "site", "--cofs", site)):
        done = guest.exo("disk", *words, timeout=60)
        same(done.returncode, 0, done.stdout + done.stderr)
    with open(config, "w", encoding="ascii") as file:
        file.write(SLOW % image)
    made = guest.Guest("-p", "0:80", "--config", config, name="slow-disk", timeout=60, pcap=False)
    made.wait_line("^httpd: serving")
    return folder, made


def fetch(port, name, data, wrong):
    try:
        with Connection(port, timeout=30) as c:
            if c.request("/" + name).body != data:
                wrong.append(name)
    except Exception as error:              # pylint: disable=broad-except
        wrong.append(repr(error))


def test_slow_disk():
    """who asks for a file that is on a slow disk waits; others get what is in memory meanwhile, at once"""
    files = {"warm": b"w" * 1000, "large": os.urandom(2000000), **{"cold%d" % i: os.urandom(60000) for i in range(2)}}
    folder, made = slow_disk(files)
    with folder, made, Connection(made.port(80), timeout=20) as warm:
        same(warm.request("/warm").body, files["warm"], "the page, for the first time")
        began, slowest, count, wrong = time.monotonic(), 0.0, 0, []
        readers = [threading.Thread(target=fetch, args=(made.port(80), name, files[name], wrong), daemon=True)
                   for name in files if name != "warm"]
        for reader in readers:
            reader.start()
        while any(reader.is_alive() for reader in readers):
            asked = time.monotonic()
            same(warm.request("/warm").body, files["warm"], "the page beside them")
            slowest = max(slowest, time.monotonic() - asked)
            count += 1
            time.sleep(0.002)
        took = time.monotonic() - began
        same(wrong, [], "what went wrong")
        tap.say("they took %.2f s; meanwhile %d answers from memory, the slowest %.0f ms" % (took, count, slowest * 1000))
        check(took > 0.5, "the disk was not slow: %.2f s" % took)
        check(slowest < took / 3 and count > 50, "%d answers from memory, the slowest took %.2f s" % (count, slowest))


def test_line():
    """more clients than places ask for a file that is not in memory: all are answered, also who then finds it there"""
    files = {"warm": b"w" * 1000, "cold": os.urandom(3000)}
    folder, made = slow_disk(files)
    with folder, made:
        crowd = []
        for unused in range(100):
            crowd.append(Connection(made.port(80)))
            same(crowd[-1].request("/warm").body, files["warm"], "the page in memory")
        for c in crowd:
            c.ask("/cold")
        same([c.answer().body == files["cold"] for c in crowd], [True] * len(crowd), "the answers")
        for c in crowd:
            c.sock.close()


def test_stop():
    """conn_stop ends the loop with its value"""
    made = machine()
    with Connection(made.port(80)) as c:
        c.send(b"GET /stop HTTP/1.1\r\n\r\n")
    made.wait_line("^stopped with ")
    same(made.wait(), 0, "the program's status")


def clean():
    for made in shared.values():
        made.stop()


if __name__ == "__main__":
    tap.main(clean)
