#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Measures every figure of doc/performance, prints it, and writes bench.tsv into the build folder.

    run.py [--accept] [--only NAME] [--operations N]

Figures without a device come from the guest itself under icount and repeat to the digit. Figures with a device are
executed instructions, counted by the emulator plugin insncount.so, per operation: median of five batches, with the
spread. --accept copies the figures to doc/performance/bench.tsv, the ones that later runs are compared with.
"""

import argparse
import contextlib
import mmap
import os
import re
import shlex
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get("EXO_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("EXO_BUILD") or os.getcwd()
os.environ.update(EXO_SOURCE=SOURCE, EXO_BUILD=BUILD)
sys.path.insert(0, os.path.join(SOURCE, "test", "lib"))

import peer                     # noqa: E402  (needs the path above)
import tiny                     # noqa: E402
import wire                     # noqa: E402
from guest import Guest, exo    # noqa: E402

ACCEPTED = os.path.join(SOURCE, "doc", "performance", "bench.tsv")
PLUGIN = os.path.join(BUILD, "apps", "bench", "insncount.so")
BATCHES = 5
WALL_RUNS = 15
HOSTPAIR = os.path.join(BUILD, "apps", "bench", "hostpair")
DISK_RUNS = 3
PAIR_RUNS = 9
PAIR_ROUNDS = 5000      # some 50 ms each: schedulers need a while to spread threads
PAIR_OPERATIONS = 800
PAIR_AIM = 0.9
REPLY_BYTES = 100
UDP_BYTES = 22          # 64 bytes with the headers
UDP_BURST = 16          # the guest answers every sixteenth packet
FILTER_FRAMES = 400
CODE_RANGE = (0xffffc00000000000, 0xffffc80000000000)   # where machine code of programs is executed: CODE_BASE in port.h
AIMS = {"null_call": 60, "trap": 120, "trap_fix_resume": 300, "page_fault_fresh": 1000, "page_fault_pool": 350,
        "map_100": 5000, "map_100_run": 2500, "prot1": 250, "unprot1": 250, "prot100": 3000, "unprot100": 3000,
        "appel1": 700, "appel2": 450, "dirty_query": 10, "transfer_rtt": 250, "disk_read_4k": 3000,
        "short_file_memory": 5000, "short_file_cofs": 10000, "fork_exit_wait": 60000, "fork_exec_wait": 150000,
        "pipe_rtt": 2500, "open_close": 1500, "stat": 800, "signal_self": 500, "pthread_create_join": 3000, "tcp_rtt": 15000,
        "env_create_destroy": 60000, "env_frames": 16, "env_switch": 300, "thread_switch": 60, "filter_10": 150,
        "bpf_verify_per_insn": 2000, "filter_reject": 100, "http_request": 24000, "boot_first_line": 2000000,
        "kernel_longest": 20000, "kernel_text": 163840}

EVENTS = {"switches": "space switches", "invalidations": "TLB invalidations", "calls": "calls"}


class Counter:
    """The plugin's counts of one running machine."""

    def __init__(self, folder, longest=False, more=""):
        self.path = os.path.join(folder, "counts")
        self.options = ["--qemu-arg=-plugin",
                        "--qemu-arg=%s,counts=%s%s%s" % (PLUGIN, self.path, ",longest=on" if longest else "", more)]

    def read(self):
        """(all, kernel, longest, entries); the last two only with longest"""
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 32, access=mmap.ACCESS_READ) as counts:
            return struct.unpack("4Q", counts[:32])

    def read_within(self):
        """(instructions within the addresses given, times that the one address was entered)"""
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 48, access=mmap.ACCESS_READ) as counts:
            return struct.unpack("2Q", counts[32:48])


class Figures:
    def __init__(self):
        self.values = {}
        self.accepted = {}
        if os.path.exists(ACCEPTED):
            with open(ACCEPTED, encoding="ascii") as file:
                for line in file:
                    if not line.startswith("#"):
                        name, value, _unit = line.rstrip("\n").split("\t")
                        self.accepted[name] = float(value)

    def add(self, name, value, unit="insns", note=""):
        self.values[name] = (value, unit)
        change = ""
        if self.accepted.get(name):
            change = "%+.1f%%" % (100.0 * (value - self.accepted[name]) / self.accepted[name])
        aim = AIMS.get(name)
        verdict = "" if aim is None else "aim %d %s" % (aim, "met" if value <= aim else "MISSED")
        print("%-26s %12s %-6s %8s  %-18s %s" % (name, "%g" % value if value < 1e6 else "%d" % value, unit, change,
                                                verdict, note), flush=True)

    def write(self, path, comment=""):
        with open(path, "w", encoding="ascii") as file:
            file.write(comment)
            for name, (value, unit) in self.values.items():
                file.write("%s\t%s\t%s\n" % (name, "%.15g" % value, unit))


def primitives(figures):
    done = exo("run", "--icount", "-m", "256M", "--timeout", "300", "bench", timeout=400)
    if done.returncode != 0:
        raise SystemExit("bench: the guest ended with status %d:\n%s%s" % (done.returncode, done.stdout[-2000:],
                                                                         done.stderr[-1000:]))
    add_lines(figures, done.stdout)


def revocation(figures):
    """From the demand to all frames back, by a test program that is the machine's first environment."""
    done = exo("run", "--boot", "direct", "--icount", "-m", "256M", "--timeout", "120", "--module",
               os.path.join(BUILD, "test", "guest", "revocation.uni"), timeout=200)
    if done.returncode != 0:
        raise SystemExit("bench: revocation: status %d:\n%s%s" % (done.returncode, done.stdout[-2000:],
                                                                done.stderr[-1000:]))
    add_lines(figures, done.stdout)
    print("".join(line + "\n" for line in done.stdout.splitlines() if re.match(r"frames| *\d+  ", line)), end="")


def processes(figures):
    """The libOS posix: a process that forks, execs, waits, asks its keeper."""
    done = exo("run", "--icount", "-m", "256M", "--timeout", "300", "processes", timeout=400)
    if done.returncode != 0:
        raise SystemExit("bench: processes: status %d:\n%s%s" % (done.returncode, done.stdout[-2000:], done.stderr[-1000:]))
    add_lines(figures, done.stdout)


def add_lines(figures, text):
    """Figures as guest programs print them, with their events."""
    events = {name: rest for name, rest in re.findall(r"^events (\S+) (.*)$", text, re.M)}
    for name, value in re.findall(r"^bench (\S+) (\d+) insns", text, re.M):
        note = ""
        if name in events:
            words = events[name].split()
            count = dict(zip(words[::2], map(int, words[1::2])))
            operations = count.pop("operations")
            note = ", ".join("%g %s" % (number / operations, EVENTS[event]) for event, number in count.items()) + " each"
        figures.add(name, int(value), note=note)
    for name, value in re.findall(r"^bench (\S+) (\d+) frames", text, re.M):
        figures.add(name, int(value), "frames")


def disk(figures):
    """Reading from the emulator's null device, which answers within the instruction that asks: nothing is waited for."""
    found = {}
    for _ in range(DISK_RUNS):
        done = exo("run", "--icount", "-m", "128M", "--timeout", "120", "--disk", "node:null0", "--qemu-arg=-blockdev",
                   "--qemu-arg=driver=null-co,node-name=null0,size=1073741824,read-zeroes=off", "--qemu-arg=-global",
                   "--qemu-arg=virtio-mmio.ioeventfd=off", "bench", "disk", timeout=200)
        if done.returncode != 0:
            raise SystemExit("bench: disk: status %d:\n%s%s" % (done.returncode, done.stdout[-2000:], done.stderr[-1000:]))
        for name, value in re.findall(r"^bench (\S+) (\d+) insns", done.stdout, re.M):
            found.setdefault(name, []).append(int(value))
    for name, values in found.items():
        figures.add(name, statistics.median(values), note="median of %d, %d to %d" % (DISK_RUNS, min(values), max(values)))


def files(figures):
    """A short-lived file of 4 KiB on each kind of file system: made, written, closed, removed; nothing waits for the disk."""
    speed = os.path.join(BUILD, "test", "guest", "fs_speed.uni")
    with tempfile.TemporaryDirectory() as folder:
        image, empty = os.path.join(folder, "disk.img"), os.path.join(folder, "empty")
        os.mkdir(empty)
        steps = [("create", image, "192M", "--label", "ext2:64M", "--label", "cofs:64M"),
                 ("import", image, "ext2", "--ext2", empty), ("import", image, "cofs", "--cofs", empty)]
        for step in steps:
            done = exo("disk", *step)
            if done.returncode != 0:
                raise SystemExit("bench: exo disk %s: %s" % (step[0], done.stderr))
        for kind, source in (("memory", ""), ("ext2", " extent:ext2"), ("cofs", " extent:cofs")):
            done = exo("run", "--icount", "--timeout", "60", "--disk", image, "--mount", "/data " + kind + source, speed, "--",
                       "/data", timeout=100)
            found = re.search(r"^create_write_close_unlink (\d+)", done.stdout, re.M)
            if not found:
                raise SystemExit("bench: files: status %d:\n%s%s" % (done.returncode, done.stdout, done.stderr))
            figures.add("short_file_" + kind, int(found.group(1)))


def two_cpus_run(option, *words):
    """What test/guest/twocpus.c writes with one option."""
    with tempfile.TemporaryDirectory() as folder:
        module = os.path.join(folder, "module")
        with open(os.path.join(BUILD, "test", "guest", "twocpus.uni"), "rb") as program, open(module, "wb") as file:
            file.write(program.read() + b"\n%s\n" % option.encode("ascii"))
        done = exo("run", "--boot", "direct", "--smp", "2", "--timeout", "120", *words, "--module", module, timeout=150)
    if done.returncode != 0:
        raise SystemExit("bench: twocpus: status %d:\n%s%s" % (done.returncode, done.stdout[-2000:], done.stderr[-1000:]))
    return done.stdout


def two_cpus(figures):
    """Calls from one CPU to another; and how much faster two CPUs are than one, beside two threads of this computer."""
    add_lines(figures, two_cpus_run("cross=1", "--icount"))
    gains = {"host": [], "guest": []}
    for _ in range(PAIR_RUNS):
        texts = {"host": subprocess.run([HOSTPAIR, str(PAIR_ROUNDS)], check=True, stdout=subprocess.PIPE).stdout.decode(),
                 "guest": two_cpus_run("speed=%d" % PAIR_OPERATIONS)}
        for name, text in texts.items():
            one, two = map(int, re.search(r"one (\d+) two (\d+)", text).groups())
            gains[name].append(2 * one / two)
    gains["ratio"] = [guest / host for guest, host in zip(gains["guest"], gains["host"])]
    for name, unit in (("host", "times"), ("guest", "times"), ("ratio", "ratio")):
        figures.add("smp_gain_" + name if name != "ratio" else "smp_ratio", round(statistics.median(gains[name]), 3), unit,
                    note="median of %d, %.2f to %.2f%s" % (
                        PAIR_RUNS, min(gains[name]), max(gains[name]),
                        "; aim at least %g" % PAIR_AIM if name == "ratio" else ""))


def boot(figures):
    for memory in (64, 512, 8192):
        done = exo("run", "--icount", "--boot", "direct", "--machine", "microvm", "-m", "%dM" % memory, "--timeout",
                   "120", "bench", "first-line", timeout=200)
        found = re.search(r"^bench boot_first_line (\d+) insns", done.stdout, re.M)
        if not found:
            raise SystemExit("bench: no first line with %d MiB:\n%s%s" % (memory, done.stdout[-2000:], done.stderr))
        figures.add("boot_first_line" if memory == 64 else "boot_first_line_%d" % memory, int(found.group(1)))


def first_byte_ms(command, folder):
    """Wall time from the emulator's start to the first byte on its console."""
    began = time.monotonic()
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        first = process.stdout.read(1)
        took = time.monotonic() - began
        process.stdout.read()
        process.wait(20)
    if not first:
        raise SystemExit("bench: no output from: " + " ".join(command))
    return took * 1000.0


def boot_wall(figures):
    """hello's first line against the bare floor: a kernel that writes one line at once, in alternating runs."""
    with tempfile.TemporaryDirectory() as folder:
        module = os.path.join(folder, "hello.mod")
        if exo("image", "-q", "-o", module, "hello").returncode:
            raise SystemExit("bench: no boot module")
        words = ["run", "-n", "-q", "--kernel-arg", "quiet", "--boot", "direct", "--machine", "microvm", "-m", "64M",
                 "--module", module]
        commands = {"hello": shlex.split(exo(*words).stdout),
                    "floor": shlex.split(exo(*words, "--kernel", tiny.assemble(folder)).stdout)}
        times = {name: [] for name in commands}
        for _ in range(WALL_RUNS):
            for name, command in commands.items():
                times[name].append(first_byte_ms(command, folder))
        floor, hello = statistics.median(times["floor"]), statistics.median(times["hello"])
        figures.add("boot_wall_floor", round(floor, 1), "ms", note="a kernel that only writes a line")
        figures.add("boot_wall", round(hello, 1), "ms", note="%+.1f ms over the floor; median of %d alternating runs" % (
            hello - floor, WALL_RUNS))


def measure(figures, name, counter, operation, operations, kernel=True):
    """Median over the batches of executed instructions for one operation."""
    operation(max(operations // 10, 50))        # caches, buffers and translated code settle
    found = []
    for _ in range(BATCHES):
        time.sleep(0.3)
        before = counter.read()
        operation(operations)
        time.sleep(0.3)
        after = counter.read()
        total = after[0] - before[0] - (0 if kernel else after[1] - before[1])
        found.append(total / operations)
    middle = statistics.median(found)
    note = "spread %.1f%%, kernel share %.0f%%" % (
        100.0 * (max(found) - min(found)) / middle, 100.0 * (after[1] - before[1]) / (after[0] - before[0]))
    if after[3] > before[3]:
        note += ", %.1f kernel entries" % ((after[3] - before[3]) / operations)
    figures.add(name, round(middle), note=note)


def read_reply(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(98304)
        if not part:
            raise SystemExit("bench: the server closed the connection early: %r" % data[:200])
        data += part
    return data


def http(figures, operations, libos="uni", name="http_request", net="own"):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "short.txt"), "w", encoding="ascii") as file:
            file.write("x" * REPLY_BYTES)
        with tempfile.TemporaryDirectory() as private:
            counter = Counter(private, longest=True)
            with Guest("-m", "64M", "--no-randomize", "-p", "0:80", "-v", folder + ":/", *counter.options, "--libos", libos,
                       "--guest-net", net, "httpd", name="http", timeout=1800, pcap=False) as guest:
                address = ("127.0.0.1", guest.port(80))
                head = b"GET /short.txt HTTP/1.1\r\nHost: bench\r\n"
                deadline = time.monotonic() + 30
                while True:
                    try:
                        with socket.create_connection(address, 5) as connection:
                            connection.sendall(head + b"Connection: close\r\n\r\n")
                            reply = b""
                            while part := connection.recv(98304):
                                reply += part
                        if reply:
                            break
                    except OSError:
                        pass
                    if time.monotonic() > deadline:
                        raise SystemExit("bench: httpd does not answer:\n" + guest.text[-2000:])
                    time.sleep(0.1)

                def short(count):
                    for _ in range(count):
                        with socket.create_connection(address, 20) as connection:
                            connection.sendall(head + b"Connection: close\r\n\r\n")
                            while connection.recv(98304):
                                pass

                with socket.create_connection(address, 20) as kept:
                    kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    kept.sendall(head + b"\r\n")
                    time.sleep(0.5)
                    size = len(kept.recv(98304))

                    def keepalive(count):
                        for _ in range(count):
                            kept.sendall(head + b"\r\n")
                            read_reply(kept, size)

                    measure(figures, name + "_keepalive", counter, keepalive, operations)
                measure(figures, name, counter, short, operations)


def packets(figures, operations):
    with tempfile.TemporaryDirectory() as private:
        counter = Counter(private)
        with Guest("-m", "64M", "--no-randomize", "-p", "0:7/udp", *counter.options, "bench", "udp", name="udp", timeout=600,
                   pcap=False) as guest:
            guest.wait_line("^udp ready")
            address = ("127.0.0.1", guest.port(7, "udp"))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(0.5)

                def send(count):
                    for _ in range(count // UDP_BURST):
                        for _packet in range(UDP_BURST):
                            client.sendto(b"u" * UDP_BYTES, address)
                        for _attempt in range(UDP_BURST):       # some may be lost, above all before the first ARP
                            try:
                                client.recv(100)
                                break
                            except socket.timeout:
                                client.sendto(b"u" * UDP_BYTES, address)

                measure(figures, "rx_packet", counter, send, operations, kernel=False)


def kernel_symbols(*names):
    """[start, end) of functions of the kernel's."""
    listing = subprocess.run([os.environ.get("TARGET_NM", "nm"), "-S", os.path.join(BUILD, "exo", "exo.elf")], check=True,
                             stdout=subprocess.PIPE).stdout.decode()
    sizes = {name: (int(at, 16), int(at, 16) + int(size, 16))
             for at, size, name in re.findall(r"^(\w+) (\w+) [tT] (\w+)$", listing, re.M)}
    return [sizes[name] for name in names if name in sizes]


def filter_run(claims, functions, frames):
    """Instructions in these functions and in compiled programs for each packet, with so many claims in force."""
    find = kernel_symbols("flow_find")[0]
    more = ",at=%x,within=%x-%x" % (find[0], CODE_RANGE[0], CODE_RANGE[1])
    more += "".join(",within=%x-%x" % place for place in kernel_symbols(*functions))
    with tempfile.TemporaryDirectory() as folder:
        counter = Counter(folder, more=more)
        module = os.path.join(folder, "module")
        with open(os.path.join(BUILD, "test", "guest", "filters.uni"), "rb") as program, open(module, "wb") as file:
            file.write(program.read() + b"\npackets=1 claims=%d\n" % claims)
        cable = wire.Wire()
        with Guest("--boot", "direct", "-m", "64M", "--net", cable.option, *counter.options, "--module", module, name="filters",
                   timeout=120, pcap=False) as guest:
            guest.wait_line("^filters ready")
            send(cable, frames[:1] * 64)        # translated code settles
            before = counter.read_within()
            send(cable, frames)
            after = counter.read_within()
        cable.close()
    if after[1] - before[1] != len(frames):
        print("filter: %d of %d frames arrived" % (after[1] - before[1], len(frames)), file=sys.stderr)
    return (after[0] - before[0]) / (after[1] - before[1])


def send(cable, frames):
    for i, frame in enumerate(frames):
        cable.send_plain(frame)
        if i % 8 == 7:
            time.sleep(0.01)
    time.sleep(0.3)


def connection(number, port=80):
    """A frame of the connection that test/guest/filters.c makes as number so and so."""
    source, here = "10.1.%d.%d" % divmod(number, 256), "10.0.2.15"
    return wire.ether("52:54:00:12:34:56", "52:55:0a:00:02:02", 0x0800, wire.ipv4(
        source, here, 6, wire.tcp(source, here, 1024 + number * 7, port, 1, 1, 0x10)))


def filters(figures):
    """Finding a packet's owner among TCP connections' claims: flow_find() and the program that it runs."""
    for claims in (1, 10, 100, 1000):
        frames = [connection(i * 37 % claims) for i in range(FILTER_FRAMES)]
        figures.add("filter_%d" % claims, round(filter_run(claims, ["flow_find"], frames), 1))
    floods = {"filter_reject": [wire.ether("52:54:00:12:34:56", "52:55:0a:00:02:02", 0x0800, wire.ipv4(
                  "10.9.%d.1" % (i % 256), "10.0.2.15", 17, wire.udp("10.9.%d.1" % (i % 256), "10.0.2.15", 1024 + i, 80, b"flood")))
                                for i in range(FILTER_FRAMES)],
              "filter_reject_port": [connection(i % 10, 81 + i) for i in range(FILTER_FRAMES)]}
    for name, frames in floods.items():
        figures.add(name, round(filter_run(10, ["flow_find", "flow_receive", "receive_for", "deliver"], frames), 1),
                    note="all from the driver on, of packets that none of 10 claims takes; " +
                    ("UDP" if name == "filter_reject" else "they differ in the port only"))
    done = exo("run", "--boot", "direct", "--icount", "-m", "64M", "--net", "user", "--timeout", "120", "--module",
               os.path.join(BUILD, "test", "guest", "filters.uni"), timeout=200)
    add_lines(figures, done.stdout)


ECHO_PING = """\
[program echo]
args = icmp %s
net = own
%s"""
ECHO_UDP = """\
[program address]
net = own
[program echo]
args = udp %s
net = share
port = udp/7
%s"""
ECHO_SPINNERS = """\
[program bench]
args = spin %d
"""


def echo_figure(figures, name, counter, operation, operations, spinners):
    """Beside others that run all the time only the kernel's instructions count, less those of the same time without
    packets."""
    if not spinners:
        measure(figures, name, counter, operation, operations)
        return
    operation(operations // 10)
    found = []
    for _ in range(BATCHES):
        began, before = time.monotonic(), counter.read()[1]
        operation(operations)
        took, middle = time.monotonic() - began, counter.read()[1]
        time.sleep(took)
        found.append((2 * middle - before - counter.read()[1]) / operations)
    figures.add(name, round(statistics.median(found)), note="spread %.1f%%, kernel only" % (
        100.0 * (max(found) - min(found)) / statistics.median(found)))


def echo_part(figures, operations, name, config, words="", more=""):
    """An echo of 64 bytes with headers is asked for when the last one has come: a ping, from a host on a wire, or UDP."""
    ping = config is ECHO_PING
    with tempfile.TemporaryDirectory() as private, contextlib.ExitStack() as stack:
        path, counter = os.path.join(private, "echo.conf"), Counter(private, longest=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(config % (words, more))
        cable = wire.Wire() if ping else None
        if ping:
            client = stack.enter_context(peer.Peer(cable))
        guest = stack.enter_context(Guest("-m", "64M", "--no-randomize", *(("--net", cable.option) if ping else ("-p", "0:7/udp")),
                                          "--kernel-arg", "slice_us=50000", *counter.options, "--config", path, name=name,
                                          timeout=600, pcap=False))
        if ping:
            client.wait_guest()
        guest.wait_line("^echo: ready")
        if more:
            guest.wait_line("^spin ready")

        def pings(count):
            for number in range(count):
                since, rest = client.mark(), struct.pack("!HH", 5, number)
                client.ping(b"u" * UDP_BYTES, ident=5, sequence=number)
                client.wait_frame(lambda frame, rest=rest: frame.icmp == (0, 0, rest), 10, since)

        def packets_of(socket_of):
            def operation(count):
                for _ in range(count):
                    socket_of.send(b"u" * UDP_BYTES)
                    try:
                        socket_of.recv(100)
                    except socket.timeout:      # lost, above all before the first ARP
                        pass
            return operation

        if ping:
            echo_figure(figures, name, counter, pings, operations, more)
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0.5)
            sender.connect(("127.0.0.1", guest.port(7, "udp")))
            echo_figure(figures, name, counter, packets_of(sender), operations, more)


def echo(figures, operations):
    """Answered at arrival, and by the application: its TCP/IP, and for UDP a loop over its ring that does nothing else."""
    echo_part(figures, operations, "handler_echo", ECHO_PING)
    for spinners in (1, 63):
        echo_part(figures, operations, "handler_echo_%d" % (spinners + 1), ECHO_PING, more=ECHO_SPINNERS % spinners)
    echo_part(figures, operations, "app_echo", ECHO_PING, "-a")
    echo_part(figures, operations, "handler_echo_udp", ECHO_UDP)
    echo_part(figures, operations, "app_echo_ring", ECHO_UDP, "-a")


def longest(figures):
    """The longest stay in the kernel over this program, the guest test that looks for it, and the call fuzzer."""
    guests = {"bench": ["-m", "256M", "bench"],
              "longest": ["-m", "128M", "--icount", "--net", "user", "--module",
                          os.path.join(BUILD, "test", "guest", "longest.uni")],
              "fuzz": ["-m", "128M", "--net", "user", "--module", os.path.join(BUILD, "test", "guest", "fuzz.uni")]}
    found = {}
    for name, words in guests.items():
        with tempfile.TemporaryDirectory() as private:
            counter = Counter(private, longest=True)
            done = exo("run", "--timeout", "600", *counter.options, *words, timeout=700)
            if done.returncode != 0 and "not ok" in done.stdout:
                raise SystemExit("bench: %s: status %d:\n%s" % (name, done.returncode, done.stdout[-2000:]))
            found[name] = counter.read()[2]
    figures.add("kernel_longest", max(found.values()), note=", ".join("%s %d" % item for item in found.items()))


def text(figures):
    size = os.environ.get("TARGET_SIZE", "size")
    listing = subprocess.run([size, "-A", os.path.join(BUILD, "exo", "exo.elf")], check=True, stdout=subprocess.PIPE)
    total = sum(int(line.split()[1]) for line in listing.stdout.decode().splitlines()
                if re.match(r"\.(text|init)", line))
    figures.add("kernel_text", total, "bytes")


def http_all(figures, operations):
    """Requests of httpd over each way that packets take."""
    http(figures, operations)
    http(figures, operations, "dataplane", "dataplane")
    http(figures, operations, "dataplane", "dataplane_own", "device")


PARTS = {"primitives": primitives, "processes": processes, "revocation": revocation, "disk": disk, "files": files,
         "smp": two_cpus, "boot": boot, "wall": boot_wall, "packets": packets, "filters": filters, "http": http_all,
         "echo": echo, "longest": longest, "text": text}
COUNTED = packets, http_all, echo          # by the emulator's plugin, over --operations


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--accept", action="store_true", help="make these the accepted figures")
    parser.add_argument("--only", choices=tuple(PARTS))
    parser.add_argument("--operations", type=int, default=2000, help="per batch, of %d (default 2000)" % BATCHES)
    options = parser.parse_args()
    figures = Figures()
    for name, part in PARTS.items():
        if options.only in (None, name):
            part(figures, *([options.operations] if part in COUNTED else []))
    if not options.only:
        figures.write(os.path.join(BUILD, "bench.tsv"))
        if options.accept:
            compiler = subprocess.run([*shlex.split(os.environ.get("TARGET_CC", "gcc")), "--version"], check=True,
                                      stdout=subprocess.PIPE).stdout.decode().splitlines()[0]
            figures.write(ACCEPTED, "# %s\n" % compiler)
            print("accepted: %s" % ACCEPTED)


if __name__ == "__main__":
    main()
