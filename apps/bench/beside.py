#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""make bench-linux: the same work on Exo and on a Linux guest in the same emulator, and ratios.

    beside.py [--only micro|http|kv|disk] [--runs N] [--seconds N] [--cpus N] [--systems NAME,...] [--loads NAME,...]

micro: figures of `make bench` beside those of apps/bench/linux.c in the guest, both instructions under -icount.
http, kv: requests per second over a tap device in a namespace of its own (exolib/wire.py), the systems in turn, one
machine at a time, `--runs` rounds (nine, unless told otherwise); medians, with the least and the greatest; the ratio is that of
each round. disk: a file of 64 MiB, read from the disk and copied on it, all systems with the same emulated disk and settings;
`host` is this computer writing as much to a file until it is stable, by itself.
Everything goes into bench-linux.tsv in the build folder too, after each round, so that a run that is interrupted (Ctrl-C shows what
it has so far) is not lost: figure, system, value, least, greatest, unit.
"""

import argparse
import contextlib
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get("EXO_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("EXO_BUILD") or os.getcwd()
os.environ.update(EXO_SOURCE=SOURCE, EXO_BUILD=BUILD)
sys.path.insert(0, os.path.join(SOURCE, "tools"))

from exolib import linux, load, tree, util, wire       # noqa: E402  (needs the path above)

ICOUNT = ("-icount", "shift=0,sleep=off", "-seed", "42", "-rtc", "base=2020-01-01T00:00:00,clock=vm")
MICRO_SECONDS = 300
MACHINE = "q35"
MEMORY = 512
EXO = [sys.executable, os.path.join(SOURCE, "tools", "exo")]
SMALL, LARGE = 100, 102400
# name: (kind, path, connections)
LOADS = {"http_1": ("http", "/small", 1), "http_64": ("http", "/small", 64), "http_256": ("http", "/small", 256),
         "http_100k_1": ("http", "/100k", 1), "http_100k_64": ("http", "/100k", 64), "kv_64": ("kv", None, 64)}
# A program of Exo that serves each kind, by libOS: (program, its arguments)
SERVERS = {"http": {"uni": ("httpd", ["/"]), "dataplane": ("httpd", ["/"])},
           "kv": {"uni": ("kv", []), "dataplane": ("kv", [])}}
PEERS = {"http": "nginx", "kv": "memcached"}
PORTS = {"http": 80, "kv": 11211}
DISK_FILE = 64 << 20
DISK_WARM = 16 << 20
DISK_PASSES = 4
HOST_STEP = 1 << 20


def cpu_seconds(pid):
    """What a process and its children have used."""
    ticks, left = 0, [pid]
    while left:
        one = left.pop()
        try:
            with open("/proc/%d/stat" % one, encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
            for task in os.listdir("/proc/%d/task" % one):
                with open("/proc/%d/task/%s/children" % (one, task), encoding="ascii") as file:
                    left += map(int, file.read().split())
        except (OSError, ValueError):
            pass                            # it has ended
    return ticks / os.sysconf("SC_CLK_TCK")


def exo_words(*words):
    """What the tool writes."""
    done = subprocess.run(EXO + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise util.ExoError("exo " + " ".join(words), done.stderr.decode("utf-8", "replace").strip()[-300:])
    return done.stdout.decode("utf-8", "replace")


class ExoGuest:
    """A program of Exo's on a wire: as linux.Guest. The emulator is started by itself, so that no tool is in its time."""

    def __init__(self, cable, program, libos, arguments, files, port, cpus=1):
        self.folder = tempfile.TemporaryDirectory()
        module = os.path.join(self.folder.name, "module")
        exo_words("image", "-q", "-o", module, "--libos", libos, "--guest-net", "own", "-v", files, program, "--", *arguments)
        words = exo_words("run", "-n", "-q", "--boot", "direct", "--machine", MACHINE, "-m", "%dM" % MEMORY, "--smp", str(cpus),
                          "--net", "tap:" + cable.tap, "--mac", cable.mac, "--module", module)
        self.cable, self.words, self.port = cable, shlex.split(words), port
        self.process = self.ready_seconds = None

    def __enter__(self):
        wait = self.cable.first_answer(self.port)
        begun = time.monotonic()
        self.process = self.cable.start(self.words, cwd=self.folder.name, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        answered = wait(20, self.process)
        if answered is None:
            self.close()
            raise util.ExoError(" ".join(self.words), "does not answer on port %d" % self.port)
        self.ready_seconds = answered - begun
        return self

    def close(self):
        wire.end(self.process)
        self.folder.cleanup()

    def __exit__(self, *unused):
        self.close()

    @property
    def pid(self):
        return self.process.pid


class Table:
    """Values of each round, by (figure, system)."""

    def __init__(self):
        self.rounds, self.units, self.save = {}, {}, lambda: None

    def add(self, figure, system, value, unit):
        self.rounds.setdefault((figure, system), []).append(value)
        self.units[figure] = unit

    def row(self, figure, system):
        """(median, least, greatest)"""
        values = self.rounds[figure, system]
        return statistics.median(values), min(values), max(values)

    def ratio(self, figure, system, peer):
        """How many times the peer's value, each round by itself: (median, least, greatest)"""
        ratios = [a / b for a, b in zip(self.rounds[figure, system], self.rounds[figure, peer]) if b]
        return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else (0, 0, 0)

    def write(self, path, comments):
        with open(path, "w", encoding="ascii") as file:
            file.writelines("# %s\n" % line for line in comments)
            for figure, system in self.rounds:
                file.write("%s\t%s\t%s\t%s\n" % (figure, system, "\t".join("%.6g" % v for v in self.row(figure, system)),
                                                 self.units[figure]))


class Progress:
    """Says before each step what it is, and from how long the others took how long all will take."""

    def __init__(self, kind, steps):
        self.kind, self.steps, self.done, self.begun = kind, steps, 0, time.monotonic()

    def step(self, number, runs, what=""):
        left = ""
        if self.done:
            seconds = (time.monotonic() - self.begun) / self.done * (self.steps - self.done)
            left = "; about %d min left" % max(1, round(seconds / 60)) if seconds > 90 else "; %d s left" % round(seconds)
        self.done += 1
        util.say("%s: round %d of %d%s (%d of %d%s)" % (self.kind, number + 1, runs, what, self.done, self.steps, left))


def compiled(folder, source="linux.c"):
    """A file of apps/bench as a program for Linux that needs nothing else."""
    path = os.path.join(folder, "bench-linux")
    words = [os.environ.get("CC", "gcc").split()[-1], "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-static", "-pthread", "-o", path,
             os.path.join(SOURCE, "apps", "bench", source)]
    done = subprocess.run(words, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise util.ExoError("apps/bench/" + source, "is not compiled: " + done.stderr.decode("utf-8", "replace")[-300:],
                            "a static C library is needed: apt-get install libc6-dev")
    return path


def figures_of(text):
    return {name: int(value) for name, value in re.findall(r"^bench (\S+) (\d+) insns", text.replace("\r", ""), re.M)}


def exo_figures(program, *words):
    done = subprocess.run(EXO + ["run", "--icount", "-m", "256M", "--timeout", str(MICRO_SECONDS), program, *words],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise util.ExoError(program, "ended with status %d" % done.returncode)
    return figures_of(done.stdout.decode("utf-8", "replace"))


def short_files(folder):
    """What a short-lived file costs in memory and on cofs."""
    speed, figures = os.path.join(BUILD, "test", "guest", "fs_speed.uni"), {}
    image, empty = os.path.join(folder, "cofs"), os.path.join(folder, "empty")
    os.mkdir(empty)
    exo_words("disk", "create", image, "64M", "--label", "data:rest")
    exo_words("disk", "import", image, "data", "--cofs", empty)
    for kind, words in (("memory", ["--mount", "/data memory"]), ("cofs", ["--disk", image, "--mount", "/data cofs extent:data"])):
        found = re.search(r"^create_write_close_unlink (\d+)",
                          exo_words("run", "-q", "--icount", "--timeout", "60", *words, speed, "--", "/data"), re.M)
        figures["short_file_" + kind] = int(found.group(1))
    return figures


def make_ext4(path, folder):
    """A disk for Linux, of 256 MiB, with what is in a directory."""
    with open(path, "wb") as file:
        file.truncate(256 << 20)
    make = shutil.which("mkfs.ext4", path="/sbin:/usr/sbin:" + os.environ["PATH"])
    if not make or subprocess.run([make, "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-d", folder, path],
                                  check=False).returncode:
        raise util.ExoError("mkfs.ext4", "did not make a disk for the Linux guest", "install e2fsprogs")


def linux_drive(path):
    """The emulator's words for it: the settings of Exo's disks."""
    return ("-blockdev", "node-name=file0,driver=file,filename=%s,discard=unmap,cache.no-flush=off" % path, "-blockdev",
            "node-name=raw0,driver=raw,file=file0,discard=unmap", "-device",
            "virtio-blk-pci,disable-legacy=on,drive=raw0,write-cache=on,rerror=report,werror=report")


def micro(table):
    """Both sides' figures, those that both have; a short file on ext4 stands beside one on cofs."""
    with tempfile.TemporaryDirectory() as folder:
        ours = dict(exo_figures("processes"), **exo_figures("bench"), **short_files(folder))
        make_ext4(os.path.join(folder, "ext4"), os.path.join(folder, "empty"))
        script = "mkdir -p /mnt; mount -t ext4 /dev/vda /mnt; /bin/bench /mnt/short"
        with linux.Guest(None, ["/bin/sh", "-c", script], files={"bin/bench": compiled(folder)}, memory=MEMORY << 20,
                         more=(*ICOUNT, *linux_drive(os.path.join(folder, "ext4")))) as guest:
            theirs = figures_of(guest.finish(MICRO_SECONDS))
    if not theirs:
        raise util.ExoError("the Linux guest", "tells no figures")
    print("%-22s %10s %10s %8s" % ("instructions", "exo", "linux", "times"))
    for name, value in theirs.items():
        if name in ours:
            table.add(name, "exo", ours[name], "insns")
            table.add(name, "linux", value, "insns")
            print("%-22s %10d %10d %8.1f" % (name, ours[name], value, value / ours[name]), flush=True)


def served(folder):
    """What the servers serve."""
    for name, size in (("small", SMALL), ("100k", LARGE)):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(bytes(97 + i % 26 for i in range(size)))


def make_guest(cable, system, kind, folder, cpus):
    if system in PEERS.values():
        return linux.Guest(cable, system, cpus=cpus, memory=MEMORY << 20, machine=MACHINE, files={"www": folder})
    program, arguments = SERVERS[kind][system]
    return ExoGuest(cable, program, system, arguments, folder, PORTS[kind], cpus)


def one_round(table, cable, system, kind, loads, options, folder):
    """One machine's life: time to the first answer, then each load after a short one that is not counted."""
    with make_guest(cable, system, kind, folder, options.cpus) as guest:
        table.add("%s_first_answer" % kind, system, guest.ready_seconds * 1e3, "ms")
        for name in loads:
            unused, path, connections = LOADS[name]

            def run(seconds, path=path, connections=connections):
                if kind == "http":
                    return load.http(cable, path, connections, seconds)
                return load.kv(cable, connections, seconds)
            with contextlib.suppress(util.ExoError):     # to warm up; if there is something wrong, the next one says so
                run(1)
            before = cpu_seconds(guest.pid)
            result = run(options.seconds)
            used = cpu_seconds(guest.pid) - before
            table.add(name, system, result.rate, "1/s")
            table.add(name + "_p50", system, result.p50_us, "us")
            table.add(name + "_p99", system, result.p99_us, "us")
            table.add(name + "_errors", system, result.errors, "errors")
            table.add(name + "_cpu", system, used / max(result.requests, 1) * 1e6, "us")


def show(table, name, systems, peer):
    """The rows of one load."""
    for system in systems:
        if (name, system) not in table.rounds:
            continue
        rate, least, greatest = table.row(name, system)
        text = "%-14s %-10s %9.0f/s (%.0f to %.0f)  p50 %.0f  p99 %.0f us  cpu %.0f us" % (
            name, system, rate, least, greatest, *(table.row(name + part, system)[0] for part in ("_p50", "_p99", "_cpu")))
        errors = sum(table.rounds[name + "_errors", system])
        if errors:
            text += "  %d errors" % errors
        if system != peer and (name, peer) in table.rounds:
            text += "  %.2f times (%.2f to %.2f); p99 %.2f" % (*table.ratio(name, system, peer),
                                                               table.ratio(name + "_p99", system, peer)[0])
        print(text, flush=True)


def servers(table, kind, options):
    """Rounds of all systems in turn."""
    programs = tree.find().programs()
    wanted = options.systems or [*SERVERS[kind], PEERS[kind]]
    systems = [s for s in wanted if s == PEERS[kind] or s in SERVERS[kind] and (SERVERS[kind][s][0], s) in programs]
    loads = [name for name, (its, *unused) in LOADS.items() if its == kind and (not options.loads or name in options.loads)]
    progress = Progress(kind, options.runs * len(systems))
    try:
        with tempfile.TemporaryDirectory() as folder, wire.Wire() as cable:
            served(folder)
            for number in range(options.runs):
                for system in systems if number % 2 == 0 else reversed(systems):
                    progress.step(number, options.runs, ", " + system)
                    one_round(table, cable, system, kind, loads, options, folder)
                table.save()
    finally:
        show_servers(table, kind, systems, loads)


def show_servers(table, kind, systems, loads):
    for name in loads:
        show(table, name, systems, PEERS[kind])
    for system in systems:
        if (kind + "_first_answer", system) not in table.rounds:
            continue
        print("%-14s %-10s %9.0f ms from the emulator's start to the first answer (%.0f to %.0f)" % (
            kind, system, *table.row(kind + "_first_answer", system)))


def disk_images(folder):
    """The disks: an extent with each kind of file system of Exo's, and an ext4 for Linux; each with the file `big`, and a
    smaller one, `warm`, which is copied first."""
    site, images = os.path.join(folder, "site"), {name: os.path.join(folder, name) for name in ("ext2", "cofs", "ext4")}
    os.makedirs(os.path.join(site, "copies"))
    for name, size in (("big", DISK_FILE), ("warm", DISK_WARM)):
        with open(os.path.join(site, name), "wb") as file:
            file.write(os.urandom(size))
    for kind in ("ext2", "cofs"):
        exo_words("disk", "create", images[kind], "256M", "--label", "data:rest")
        exo_words("disk", "import", images[kind], "data", "--" + kind, site)
    make_ext4(images["ext4"], site)
    return images


def disk_copy(image, path):
    """A disk of a machine's own. It is stable before the machine starts, or its first flush would wait for that, too."""
    subprocess.run(["cp", "--sparse=always", image, path], check=True)
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def host_disk(folder):
    """MB/s at which this computer writes the file's bytes until they are stable: no machine's copy can be faster."""
    path = os.path.join(folder, "host")
    with open(os.path.join(folder, "site", "big"), "rb") as file:
        content = file.read()
    begin = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for at in range(0, len(content), HOST_STEP):
            file.write(content[at:at + HOST_STEP])
        os.fdatasync(file.fileno())
    taken = time.monotonic() - begin
    os.unlink(path)
    return len(content) / taken / 1e6


def exo_disk(image, kind, options, program, *words):
    """What a program prints with a disk of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "disk")
        disk_copy(image, path)
        return exo_words("run", "-q", "--machine", MACHINE, "-m", "%dM" % MEMORY, "--timeout", "60", "--disk", path, "--mount",
                         "/data %s extent:data%s" % (kind, options), program, "--", *words)


def linux_disk(image, folder):
    """{name: [microseconds, ...]} with Linux's own read-ahead, and with one of 2 MiB."""
    path, found = os.path.join(folder, "disk"), {}
    disk_copy(image, path)
    script = "mkdir -p /mnt; mount -t ext4 /dev/vda /mnt; /bin/disk %d /mnt/big /mnt/copy; echo AHEAD; " \
             "echo 2048 >/sys/block/vda/queue/read_ahead_kb; /bin/disk %d /mnt/big /mnt/copy" % (DISK_PASSES, DISK_PASSES)
    with linux.Guest(None, ["/bin/sh", "-c", script], files={"bin/disk": os.path.join(folder, "bench-linux")},
                     memory=MEMORY << 20, machine=MACHINE, more=linux_drive(path)) as guest:
        before, unused, after = guest.finish(MICRO_SECONDS).partition("AHEAD")
    for system, text in (("linux", before), ("linux-ahead", after)):
        for name, value in re.findall(r"^disk (\S+) (\d+)", text.replace("\r", ""), re.M):
            found.setdefault((name, system), []).append(int(value))
    if len(found) != 8:
        raise util.ExoError("the Linux guest", "tells no figures of its disk")
    return found


def disk_round(table, images, folder):
    """Reads and copies are warm but for the file: a first pass is left out on both sides, where the emulator sees the code
    for the first time."""
    speed = os.path.join(BUILD, "test", "guest", "fs_speed.uni")
    for kind in ("ext2", "cofs"):
        text = exo_disk(images[kind], kind, " ro,policy=lru", speed, "-", *["/data/big"] * (DISK_PASSES + 1))
        rates = [float(rate) for rate in re.findall(r", ([0-9.]+) MB/s", text)][1:]
        table.add("disk_read_64m", "exo-" + kind, statistics.median(rates), "MB/s")
        for program in ("cp", "xcp"):
            text = exo_disk(images[kind], kind, "", program, "-t", "/data/warm", "/data/big", "/data/copies")
            taken = float(re.findall(r"\d{8,} bytes in ([0-9.]+) s", text)[1])
            table.add("disk_copy_64m", "%s-%s" % (program, kind), DISK_FILE / taken / 1e6, "MB/s")
    table.add("disk_copy_64m", "host", host_disk(folder), "MB/s")
    found = linux_disk(images["ext4"], folder)
    for system in ("linux", "linux-ahead"):
        table.add("disk_read_64m", system, DISK_FILE / statistics.median(found["read", system][1:]), "MB/s")
        best = min(statistics.median(found[way, system][1:]) for way in ("cp", "loop", "range"))
        table.add("disk_copy_64m", system, DISK_FILE / best, "MB/s")


def disks(table, options):
    """The rounds, and what each is of Linux's and of our own cp."""
    with tempfile.TemporaryDirectory() as folder:
        images = disk_images(folder)
        compiled(folder, "linux_disk.c")
        progress = Progress("disk", options.runs)
        try:
            for number in range(options.runs):
                progress.step(number, options.runs)
                disk_round(table, images, folder)
                table.save()
        finally:
            show_disks(table)


def show_disks(table):
    for figure, system in sorted(table.rounds):
        if not figure.startswith("disk_"):
            continue
        peers = [peer for peer in ("linux", "linux-ahead", system.replace("xcp", "cp")) if peer != system]
        print("%-14s %-12s %7.0f MB/s (%.0f to %.0f)%s" % (figure, system, *table.row(figure, system), "".join(
            "  %.1f times %s" % (table.ratio(figure, system, peer)[0], peer) for peer in peers if (figure, peer) in table.rounds
        ) if not system.startswith(("linux", "host")) else ""), flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", choices=["micro", "http", "kv", "disk"])
    parser.add_argument("--runs", type=positive, default=9, help="rounds of the loads (default 9)")
    parser.add_argument("--seconds", type=positive, default=2, help="of each load (default 2)")
    parser.add_argument("--cpus", type=positive, default=1)
    known = sorted({system for kind in SERVERS for system in (*SERVERS[kind], PEERS[kind])})
    parser.add_argument("--systems", type=lambda text: names(text, known), help="some of %s (default: all there are)" % ", ".join(known))
    parser.add_argument("--loads", type=lambda text: names(text, LOADS), help="some of " + ", ".join(LOADS))
    return parser.parse_args()


def positive(text):
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError("'%s' is no number from 1 on" % text)
    return int(text)


def names(text, known):
    for name in text.split(","):
        if name not in known:
            raise argparse.ArgumentTypeError("there is no '%s'; known are %s" % (name, ", ".join(known)))
    return text.split(",")


def main():
    options, table = arguments(), Table()
    made, path = linux.image(util.say), os.path.join(BUILD, "bench-linux.tsv")
    table.save = lambda: table.write(path, ["Linux guest: " + ", ".join(made.versions), "%d round(s) of %d s; figure, system, median, "
                                            "least, greatest, unit" % (options.runs, options.seconds)])
    for kind, work in (("micro", lambda: micro(table)), ("disk", lambda: disks(table, options)),
                       ("http", lambda: servers(table, "http", options)), ("kv", lambda: servers(table, "kv", options))):
        if options.only in (None, kind):
            work()
    table.save()
    util.say("written: " + path)


if __name__ == "__main__":
    try:
        main()
    except util.ExoError as error:
        util.complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
