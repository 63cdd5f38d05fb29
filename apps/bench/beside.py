#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""make bench-linux: the same work on Exo and on a Linux guest in the same emulator, and ratios.

    beside.py [--only micro|http|kv] [--runs N] [--seconds N] [--cpus N] [--systems NAME,...] [--loads NAME,...]

micro: figures of `make bench` beside those of apps/bench/linux.c in the guest, both instructions under -icount.
http, kv: requests per second over a tap device in a namespace of its own (exolib/wire.py), the systems in turn, one
machine at a time, `--runs` rounds; medians, with the least and the greatest; the ratio is that of each round.
Everything goes into bench-linux.tsv in the build folder too: figure, system, value, least, greatest, unit.
"""

import argparse
import contextlib
import os
import re
import shlex
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
        self.rounds, self.units = {}, {}

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


def compiled(folder):
    """apps/bench/linux.c as a program for Linux that needs nothing else."""
    path = os.path.join(folder, "bench-linux")
    words = [os.environ.get("CC", "gcc").split()[-1], "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-static", "-pthread", "-o", path,
             os.path.join(SOURCE, "apps", "bench", "linux.c")]
    done = subprocess.run(words, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise util.ExoError("apps/bench/linux.c", "is not compiled: " + done.stderr.decode("utf-8", "replace")[-300:],
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


def short_file():
    done = subprocess.run(EXO + ["run", "--icount", "--timeout", "60", "--mount", "/data memory",
                                 os.path.join(BUILD, "test", "guest", "fs_speed.uni"), "--", "/data"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False).stdout.decode("utf-8", "replace")
    found = re.search(r"^create_write_close_unlink (\d+)", done, re.M)
    return {"short_file_memory": int(found.group(1))} if found else {}


def micro(table):
    """Both sides' figures, those that both have."""
    ours = dict(exo_figures("processes"), **exo_figures("bench"), **short_file())
    with tempfile.TemporaryDirectory() as folder:
        with linux.Guest(None, ["/bin/bench"], files={"bin/bench": compiled(folder)}, memory=MEMORY << 20, more=ICOUNT) as guest:
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
    with tempfile.TemporaryDirectory() as folder, wire.Wire() as cable:
        served(folder)
        for number in range(options.runs):
            for system in systems if number % 2 == 0 else reversed(systems):
                util.say("%s: round %d of %d: %s" % (kind, number + 1, options.runs, system))
                one_round(table, cable, system, kind, loads, options, folder)
    for name in loads:
        show(table, name, systems, PEERS[kind])
    for system in systems:
        print("%-14s %-10s %9.0f ms from the emulator's start to the first answer (%.0f to %.0f)" % (
            kind, system, *table.row(kind + "_first_answer", system)))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", choices=["micro", "http", "kv"])
    parser.add_argument("--runs", type=int, default=9, help="rounds of the loads (default 9)")
    parser.add_argument("--seconds", type=int, default=2, help="of each load (default 2)")
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--systems", type=lambda text: text.split(","), help="e.g. uni,nginx (default: all there are)")
    parser.add_argument("--loads", type=lambda text: text.split(","), help=", ".join(LOADS))
    return parser.parse_args()


def main():
    options, table = arguments(), Table()
    made = linux.image(util.say)
    for words, kind in ((micro, "micro"), (servers, "http"), (servers, "kv")):
        if options.only in (None, kind):
            words(table) if kind == "micro" else words(table, kind, options)
    path = os.path.join(BUILD, "bench-linux.tsv")
    table.write(path, ["Linux guest: " + ", ".join(made.versions), "%d round(s) of %d s; figure, system, median, least, "
                       "greatest, unit" % (options.runs, options.seconds)])
    util.say("written: " + path)


if __name__ == "__main__":
    try:
        main()
    except util.ExoError as error:
        util.complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
