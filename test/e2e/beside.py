#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is beside Exo in make bench-linux and exo compare --linux: the wire, the loads, the Linux guest's parts.

Time limit: 100 s
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(SOURCE, "tools")]

import tap
from exolib import inside, linux, load, tree, wire
from exolib.util import ExoError
from tap import Skip, check, has, same

WRK = """\
Running 2s test @ http://10.0.2.15/small
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.67ms    8.32ms  71.70ms   95.77%
    Req/Sec    30.08k     8.35k   40.19k    83.33%
  Latency Distribution
     50%    1.99ms
     75%    2.43ms
     90%    3.80ms
     99%    1.34s
  89702 requests in 3.00s, 26.50MB read
  Socket errors: connect 1, read 2, write 3, timeout 4
  Non-2xx or 3xx responses: 5
Requests/sec:  29881.29
Transfer/sec:      8.75MB
"""


def wire_or_skip():
    try:
        return wire.Wire().__enter__()
    except ExoError as error:
        raise Skip(str(error)) from None


def namespaces():
    """The network namespaces of this computer's processes."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.add(os.readlink("/proc/%s/ns/net" % pid))
        except OSError:
            pass
    return found


def test_wrk():
    """what wrk writes is read, with units and errors"""
    found = load.parse_wrk(WRK)
    same((found["rate"], found["requests"], found["seconds"]), (29881.29, 89702, 3.0), "rate, requests, seconds")
    same((found["p50_us"], found["p90_us"], found["p99_us"], found["max_us"]), (1990.0, 3800.0, 1340000.0, 71700.0), "times")
    same((found["errors"], int(found["bytes"])), (15, int(26.5 * 1048576)), "errors and bytes")
    try:
        load.parse_wrk("unable to connect")
    except ExoError as error:
        has(str(error), "not understood")
    else:
        raise AssertionError("taken: no output of wrk's")


def test_archive():
    """the guest's archive is one that cpio's format describes: every file where it belongs"""
    archive = linux.Archive()
    archive.file("a/b/c", b"hello", 0o755)
    archive.file("a/d", b"")
    data, at, found = archive.finish(), 0, []
    same(len(data) % 512, 0, "its length")
    while True:
        same(data[at:at + 6], b"070701", "magic at %d" % at)
        field = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110:at + 110 + field[11] - 1].decode()
        at += (110 + field[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            break
        found.append((name, field[1], data[at:at + field[6]]))
        at += (field[6] + 3) // 4 * 4
    same(found, [("a", 0o40755, b""), ("a/b", 0o40755, b""), ("a/b/c", 0o100755, b"hello"), ("a/d", 0o100644, b"")], "entries")


def test_needed():
    """the libraries and the loader of a program of this computer's; none of what is no program"""
    path = os.path.realpath(sys.executable)
    names, loader = linux.needed(linux.read(path))
    check(any(re.match(r"libc\.so", name) for name in names), "libraries: %r" % names)
    has(loader, "/ld-")
    same(linux.needed(b"#!/bin/sh\n"), ([], None), "of a script")


def test_settings():
    """a guest's command line and last script: tuned or not, words with blanks, a worker for each CPU"""
    class Made:
        kernel, initrd = "/k", "/i"
    words = linux.command(Made, "/i", cpus=2, memory=256 << 20)
    has(words[words.index("-append") + 1], "mitigations=off")
    same(words[words.index("-smp") + 1], "2", "CPUs")
    check("mitigations" not in " ".join(linux.command(Made, "/i", tuned=False)), "an untuned guest is tuned")
    has(linux.script_of("memcached", True), "-t $CPUS")
    has(linux.script_of("nginx", True, True), "-c /etc/nginx.conf &\nwhile read line; do echo exo-linux: free ")
    has(linux.script_of(["/bin/x", "two words"], False), "/bin/x 'two words'")
    check("GLIBC" not in linux.script_of("nginx", False), "an untuned guest's C library is tuned")


def test_unfetched():
    """packages that cannot be fetched: a sentence that says so, and the mend"""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "apt-cache"), "w", encoding="ascii") as file:
            file.write("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
        os.chmod(file.name, 0o755)
        changed = {"PATH": folder + ":" + os.environ["PATH"], "EXO_LINUX_CACHE": os.path.join(folder, "cache")}
        before = {name: os.environ.get(name) for name in changed}
        os.environ.update(changed)
        try:
            linux.image()
        except ExoError as error:
            has(str(error), "cannot be fetched: no network")
            has(str(error), "apt-get update")
        else:
            raise AssertionError("a guest was made of nothing")
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def test_lease():
    """the address server offers, then grants, what it was told; and says nothing to what is not DHCP"""
    ask = bytes([1, 1, 6, 0]) + b"\1\2\3\4" + bytes(20) + b"\x52\x54\0\x12\x34\x56" + bytes(202) + inside.MAGIC
    for kind, wanted in ((inside.DISCOVER, inside.OFFER), (inside.REQUEST, inside.ACK)):
        reply = inside.answer(ask + bytes([inside.KIND, 1, kind, inside.END]), "10.0.2.2", "10.0.2.15", 24)
        same((reply[0], reply[4:8], reply[16:20], reply[28:34]), (2, b"\1\2\3\4", bytes([10, 0, 2, 15]), ask[28:34]), "head")
        said = inside.options(reply)
        same((said[inside.KIND], said[inside.MASK]), (bytes([wanted]), b"\xff\xff\xff\0"), "kind and mask")
    for bad in (b"", ask[:200], ask, ask + bytes([inside.KIND, 1, 7, inside.END]), ask + bytes([inside.KIND, 200])):
        same(inside.answer(bad, "10.0.2.2", "10.0.2.15", 24), None, "an answer to %r" % bad[240:])


def store(listener, wrong):
    """A little memcached for one test; the answer to the get with this number is spoiled."""
    values, gets = {}, 0

    def serve(one):
        nonlocal gets
        file = one.makefile("rwb")
        for line in file:
            words = line.split()
            if words[0] == b"set":
                values[words[1]] = file.read(int(words[4]) + 2)[:-2]
                file.write(b"STORED\r\n")
            else:
                gets += 1
                value = values.get(words[1], b"") if gets != wrong else b"?" * 100
                file.write(b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (words[1], len(value), value))
            file.flush()
    while True:
        try:
            one = listener.accept()[0]
        except OSError:
            return
        threading.Thread(target=serve, args=(one,), daemon=True).start()


def kv_load(wrong, *words):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=store, args=(listener, wrong), daemon=True).start()
        done = subprocess.run([tree.find().host_tool("exo-kvload"), *words, "127.0.0.1", str(listener.getsockname()[1])],
                              stdout=subprocess.PIPE, check=True, timeout=30).stdout.decode().split()
    return {name: float(value) for name, value in zip(done[::2], done[1::2])}


def test_kvload():
    """exo-kvload sets all keys, asks on all connections, checks every answer, and tells what it found"""
    found = kv_load(0, "-c", "4", "-d", "1", "-k", "50")
    check(found["requests"] > 50 and found["errors"] == 0 and found["misses"] == 0, repr(found))
    check(0 < found["p50_us"] <= found["p90_us"] <= found["p99_us"] <= found["max_us"], repr(found))
    same(kv_load(20, "-c", "4", "-d", "1", "-k", "50")["errors"], 1, "errors of a store that gives a wrong value once")
    done = subprocess.run([tree.find().host_tool("exo-kvload"), "-c", "0", "127.0.0.1", "1"], stderr=subprocess.PIPE, check=False)
    same(done.returncode, 2, "status for a wrong option")


def test_wire():
    """a wire: what runs inside sees nothing but it, and it is gone when its maker is killed"""
    with wire_or_skip() as cable:
        status, out, unused = cable.run(["ip", "-br", "address"], 10)
        same(status, 0, "status")
        has(out, "10.0.2.2/24")
        same(len(out.splitlines()), 2, "devices")
    text = ("import sys, time; sys.path.insert(0, %r); from exolib import wire\n"
            "cable = wire.Wire().__enter__(); cable.start(['sleep', '60'])\nprint(cable.holder.pid, flush=True); time.sleep(60)\n")
    maker = subprocess.Popen([sys.executable, "-c", text % os.path.join(SOURCE, "tools")], stdout=subprocess.PIPE)
    space = os.readlink("/proc/%d/ns/net" % int(maker.stdout.readline()))
    check(space in namespaces(), "the wire is not there")
    maker.kill()
    maker.wait()
    maker.stdout.close()
    tap.wait_until(lambda: space not in namespaces(), 10, "end of the killed maker's wire")


def test_served():
    """httpd over the wire answers the load, and the time of its first answer is told"""
    with tempfile.TemporaryDirectory() as folder, wire_or_skip() as cable:
        with open(os.path.join(folder, "page"), "w", encoding="ascii") as file:
            file.write("x" * 100)
        wait, begun = cable.first_answer(80), time.monotonic()
        guest = cable.start([sys.executable, os.path.join(SOURCE, "tools", "exo"), "run", "-q", "--net", "tap:" + cable.tap,
                             "--mac", cable.mac, "-v", folder, "httpd", "--", "/"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL)
        answered = wait(30, guest)
        check(answered and answered > begun, "no answer")
        try:
            load.find_wrk()
        except ExoError as error:
            raise Skip(str(error)) from None
        found = load.http(cable, "/page", connections=64, seconds=1)
        check(found.requests > 100 and found.errors == 0, "%d requests, %d errors" % (found.requests, found.errors))


def test_linux():
    """the Linux guest, made of Debian's packages, serves a page by nginx and keys by memcached"""
    if not os.environ.get("EXO_TEST_LONG"):
        raise Skip("make check-long does this")
    try:
        linux.image(tap.say)
    except ExoError as error:
        raise Skip(str(error)) from None
    with wire_or_skip() as cable:
        with linux.Guest(cable, "nginx", files={"www/page": b"hello"}) as guest:
            check(guest.ready_seconds > 0.1, "ready after %r s" % guest.ready_seconds)
            check(load.http(cable, "/page", 4, 1).errors == 0, "errors")
    with wire_or_skip() as cable:
        with linux.Guest(cable, "memcached"):
            check(load.kv(cable, 4, 1).errors == 0, "errors")


def test_disk():
    """the disk beside Linux: a round of make bench-linux tells all figures and ratios"""
    if not os.environ.get("EXO_TEST_LONG"):
        raise Skip("make check-long does this")
    try:
        linux.image(tap.say)
    except ExoError as error:
        raise Skip(str(error)) from None
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, os.path.join(SOURCE, "apps", "bench", "beside.py"), "--only", "disk", "--runs", "1"],
                              stdout=subprocess.PIPE, check=False, timeout=90, cwd=folder).stdout.decode()
    same(len(re.findall(r"^disk_read_64m +(?:exo|linux)\S* +\d+ MB/s", done, re.M)), 4, "reads:\n" + done)
    same(len(re.findall(r"^disk_copy_64m +(?:x?cp|linux)\S* +\d+ MB/s", done, re.M)), 6, "copies:\n" + done)
    same(len(re.findall(r"^disk_copy_64m +host +\d+ MB/s", done, re.M)), 1, "the host's own:\n" + done)
    check(float(re.search(r"^disk_copy_64m +xcp-cofs .* ([0-9.]+) times cp-cofs", done, re.M).group(1)) > 1, "xcp is no faster:\n" + done)


if __name__ == "__main__":
    tap.main()
