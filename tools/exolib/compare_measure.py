# SPDX-License-Identifier: BSD-2-Clause
"""Measuring one variant: a machine, a load on it, and what both say.

Times are taken on a machine without the counting plugin, a fresh one each run: from the emulator's
start to the first answer, then what the load generator saw.  Counts are taken on another machine, whose
emulator has the plugin insncount: instructions executed (an idle machine executes none but its timer's),
and how often each kernel call's handler and the page fault's entry were entered.  A batch of operations
is counted between two readings, less what the machine does in that time without a load.  What the kernel
exposes (include/exo/info.h) is read from the machine's memory, a file of this computer's, so nothing runs
in the guest for it.

All that is started here ends with this program, and has a time limit.
"""

import collections
import copy
import math
import os
import re
import shlex
import struct
import subprocess
import sys
import threading
import time

from . import blocks, elf, load, ports, run, wire
from .compare_stats import per_operation
from .util import ExoError, parse_size

READY_SECONDS = 60              # from the emulator's start to the first answer
END_SECONDS = 600               # for a program that runs to its end
SETTLE_SECONDS = 0.3
WARM_SECONDS = 1
BATCHES = 5
OPERATIONS = 10000              # at least so many are counted, all batches together
COUNT_SECONDS = 90              # or as many as go into this time
IDLE_SECONDS = 2
WATCHER = "[program exotop]\nargs = -d 3600\n"      # runs beside, and does nothing
TAIL_BYTES = 65536
INFO_MAGIC = struct.pack("<Q", 0x4f464e494f584545)
PAGE_FAULT, PAGE_FAULT_NAME = "entry_page_fault", "#PF"
PORTS = {"http": 80, "kv": 11211, "none": 0}
COUNTS = struct.Struct("<5Q")   # all, kernel, longest, entries, within: as insncount.c has them for each CPU, then
AT_MAX = 512                    # ... how often each address was entered
EMPTY_C = "int main(void)\n{\n\treturn 0;\n}\n"


class UserNet(wire.Wire):
    """The emulator's own network in place of a wire: slower, and needs no rights."""

    tap, host, guest = None, "127.0.0.1", "127.0.0.1"

    def __init__(self):
        self.holder, self.started, self.queues = None, [], 1

    def __enter__(self):
        return self

    def close(self):
        for process in self.started:
            wire.end(process)
        self.started = []

    def within(self, words):
        return list(words)


def tool(name):
    """exo or exo-cc, as words of a command: beside the one that runs."""
    path = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), name)
    return [sys.executable, path]


def call(words, seconds, folder=None):
    """A command of this computer's to its end; its standard output, or an ExoError with its last word."""
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=seconds, cwd=folder, check=False, preexec_fn=run.die_with_parent(os.getpid()))
    except subprocess.TimeoutExpired:
        raise ExoError(" ".join(words[1:3]), "did not end within %g s" % seconds) from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["status %d" % done.returncode]
        said = next((line for line in lines if " error: " in line), lines[-1])
        raise ExoError(os.path.basename(words[1]), re.sub(r"^exo(-cc)?: ", "", said))
    return done.stdout.decode("utf-8", "replace")


class Variant:
    """One program that is compared: `libos` it is linked with, file, arguments, port; and the words that start it."""

    def __init__(self, name, libos, path, args, port):
        self.name, self.libos, self.path, self.args, self.port = name, libos, path, args, port
        self.title = libos
        self.slices = None              # that are bound to it
        self.share = None               # and side by side

    def section(self, label, net, volume):
        """Its section of a configuration. The first process of a keeper sees the whole archive, others a directory."""
        process = self.libos == "posix"
        words = [w.replace("%p", str(self.port)).replace("%d", "/srv" if process else "/") for w in self.args]
        lines = ["[program %s]" % label, "image = " + self.path, "libos = " + self.libos]
        lines += ["args = " + shlex.join(words)] if words else []
        lines += ["files = " + ("/" if process else "/srv")] if volume else []
        lines += ["net = " + net, "port = tcp/%d" % self.port] if net != "none" else ["input = no"]     # at its end at once
        lines += ["slices = %d" % self.slices] if self.slices else []
        return "\n".join(lines) + "\n"

    def machine(self, job, counting=False):
        return Machine(job, self.libos, [self], counting)

    def begin(self, job, machine):
        """Begin to ask for an answer; what `ready` waits with."""
        return job.cable.first_answer(machine.where(self)[1], machine.where(self)[0])

    def counted_whole(self, job):
        """Counts of a whole run, less those of a program of the same libOS that does nothing."""
        return counted_whole(job, self)

    def frames(self, job):
        """Frames that were taken for it, beside those that are its own; None: not known."""
        return frames_for(job, self)

    def about(self, job):
        """What does not need a run: the bytes that are loaded, and the blocks that are linked."""
        table, names = blocks.read_table(job.tree.blocks()), job.tree.libos_names()
        found = {"image_bytes": [elf.loaded_bytes(self.path)],
                 "blocks": blocks.linked(self.path, table, self.libos, names)}
        if self.libos == "posix":
            keeper = job.tree.find_program("keeper", "uni")
            found["image_bytes"].append(elf.loaded_bytes(keeper))
            found["keeper_blocks"] = blocks.linked(keeper, table, "uni", names)
        return found


def default_args(spec):
    """How the servers that come with Exo are told port (%p) and directory (%d)."""
    return ["--port", "%p", "%d"][:{"http": 3, "kv": 2, "none": 0}[spec.kind]]


class Job:
    """What is compared, and where: files, wire, load, options of the command line."""

    def __init__(self, tree, work, cable, spec, options):
        self.tree, self.work, self.cable, self.spec, self.options = tree, work, cable, spec, options
        self.volume = None              # the directory that is served
        self.empty = {}                 # libOS: counts of a program that does nothing
        self.alone = None               # frames that the first program has without a variant
        self.made = {}                  # module: the emulator's command

    def memory(self):
        return self.options.memory or parse_size("64M")

    def command(self, key, variants, more=""):
        """The emulator's command for variants in one machine, and more programs; the module is made once."""
        if key not in self.made:
            config, module = self.work.file(key + ".conf"), self.work.file(key + ".mod")
            with open(config, "w", encoding="utf-8") as file:
                file.write(self.config(variants) + more)
            call([*tool("exo"), "image", "-q", "-o", module, "--config", config], 60)
            self.made[key] = module
        words = [*tool("exo"), "run", "-n", "-q", "--kernel-arg", "quiet", "--accel", "tcg", "-m",
                 "%dK" % (self.memory() >> 10), "--module", self.made[key], "--smp", str(self.options.cpus or 1)]
        published = []
        if self.spec.kind == "none":
            words += ["--net", "none"]
        elif self.cable.tap:
            words += ["--net", "tap:" + self.cable.tap, "--mac", self.cable.mac]
        else:
            published = [ports.parse_publish("127.0.0.1:0:%d" % v.port) for v in variants]
            ports.check_free(published)
            words += [word for p in published for word in ("-p", "127.0.0.1:%d:%d" % (p.host, p.guest))]
        words += ["--icount"] if self.spec.kind == "none" else []
        end = self.work.file("end.log")
        text = call([*words, "--debugcon", end], 60)
        return shlex.split(text), end, {p.guest: p.host for p in published}

    def config(self, variants):
        """The configuration of a machine with these variants; with several, one program more holds the address."""
        alone = len(variants) < 2
        net = "none" if self.spec.kind == "none" else "own" if alone else "share"
        text = "[machine]\nrandomize = no\n"
        for i, variant in enumerate(variants):
            text += variant.section(variant.name if alone else variant.libos, net, self.volume)
            if not i:
                text += "main = yes\n" + ("volume = %s:/srv\n" % self.volume if self.volume else "")
        return text + ("[program address]\nnet = own\n" if net == "share" else "")


class Machine:
    """A running emulator: its console's end, its exit, what it counts. A context manager."""

    def __init__(self, job, key, variants, counting=False, more=""):
        self.job, self.console, self.counts = job, b"", None
        self.words, self.end_file, self.ports = job.command(key, variants, more)
        self.process = None
        if counting:
            self.counts, self.memory = job.work.file("counts"), job.work.file("memory")
            self.calls = call_places(job.tree.kernel())
            places = "".join(",at=%x" % at for at in self.calls.values())
            self.words += ["-plugin", "%s,counts=%s%s" % (job.tree.plugin(), self.counts, places),
                           "-object", "memory-backend-file,id=ram0,size=%d,mem-path=%s,share=on" % (
                               job.memory(), self.memory), "-machine", "memory-backend=ram0"]

    def __enter__(self):
        for path in (self.counts, self.end_file):
            if path and os.path.exists(path):
                os.unlink(path)
        self.begun = time.monotonic()
        self.process = self.job.cable.start(self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        return self

    def read(self):
        while data := os.read(self.process.stdout.fileno(), 65536):
            self.console = (self.console + data)[-TAIL_BYTES:]

    def __exit__(self, *unused):
        wire.end(self.process)
        self.reader.join(5)
        if self.process in self.job.cable.started:
            self.job.cable.started.remove(self.process)
        self.process.stdout.close()

    def where(self, variant):
        """Address and port at which a variant is reached."""
        return self.job.cable.guest, self.ports.get(variant.port, variant.port)

    def failed(self, variant, what):
        lines = self.console.decode("utf-8", "replace").strip().splitlines()
        return ExoError("%s.%s" % (variant.name, variant.libos), what,
                        "its last line was '%s'" % lines[-1][-200:] if lines else "it wrote nothing")

    def ready(self, variant, wait):
        """Milliseconds from the start to the first answer."""
        answered = wait(READY_SECONDS, self.process)
        if answered is None or answered != answered:
            raise self.failed(variant, "gives no answer on port %d" % variant.port if self.process.poll() is None
                              else "the machine ended before it answered")
        return 1000.0 * (answered - self.begun)

    def ended(self, variant):
        """Wait for the end of a program that runs to it; milliseconds since the start."""
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise self.failed(variant, "does not end within %d s" % END_SECONDS) from None
        took = 1000.0 * (time.monotonic() - self.begun)
        with open(self.end_file, encoding="ascii", errors="replace") as file:
            outcome = run.judge(self.process.returncode, file.read())
        if outcome.status:
            raise self.failed(variant, "ended with status %d" % outcome.status)
        return took

    def count(self):
        """All counts so far, as a Counter: insns, kernel, and each call and the page fault by name."""
        return read_counts(self.counts, self.calls)

    def info(self):
        return read_info(self.memory)


def read_counts(path, calls):
    """What the plugin has counted on all CPUs together."""
    with open(path, "rb") as file:
        data = file.read()
    found = collections.Counter({name: 0 for name in ("insns", "kernel", *calls)})
    for at in range(0, len(data), COUNTS.size + 8 * AT_MAX):
        total, kernel = COUNTS.unpack_from(data, at)[:2]
        found.update(insns=total, kernel=kernel)
        found.update(dict(zip(calls, struct.unpack_from("<%dQ" % len(calls), data, at + COUNTS.size))))
    return found


def call_places(kernel):
    """Where the kernel is entered: {name: address} of each call's handler, and of page faults as `#PF`."""
    places = {}
    for name, address, unused, unused_global in elf.functions(kernel):
        for prefix in ("sys_", "locked_"):
            if name.startswith(prefix) and name != "sys_none" and (prefix == "locked_" or name[4:] not in places):
                places[name[len(prefix):]] = address
        if name == PAGE_FAULT:
            places[PAGE_FAULT_NAME] = address
    return places


def read_info(path):
    """What the kernel exposes: frames in use, and each environment's counters by label."""
    with open(path, "rb") as file:
        data = file.read()
    at = data.find(INFO_MAGIC)
    while at >= 0 and at % 4096:
        at = data.find(INFO_MAGIC, at + 1)
    if at < 0:
        return None
    unused, free, memory = struct.unpack_from("<III", data, at + 24)
    offset, stride, entries = struct.unpack_from("<III", data, at + 56)
    envs = []
    for i in range(entries):
        place = at + offset + i * stride
        number, state = struct.unpack_from("<QI", data, place)
        if number and state not in (0, 5):
            label = data[place + 32:place + 48].split(b"\0")[0].decode("ascii", "replace")
            envs.append({"label": label, "exceptions": struct.unpack_from("<Q", data, place + 56)[0],
                         "switches": struct.unpack_from("<Q", data, place + 80)[0],
                         "frames": struct.unpack_from("<I", data, place + 96)[0]})
    return {"used_bytes": (memory - free) * 4096, "envs": envs}


def taken_by_init(job, variant=None):
    """Frames that the first program has taken for itself, for one that watches and, if given, for a variant."""
    key, machine = "watched" + (variant.libos if variant else ""), None
    if variant:
        machine = Machine(job, key, [variant], True, WATCHER)
        wait = variant.begin(job, machine)
    else:
        machine = Machine(job, key, [], True, WATCHER + "main = yes\n[program hello]\n")
    with machine:
        if variant:
            machine.ready(variant, wait)
        last, until = None, time.monotonic() + READY_SECONDS
        while time.monotonic() < until and machine.process.poll() is None:
            time.sleep(SETTLE_SECONDS)
            info = machine.info()
            envs = {env["label"]: env["frames"] for env in info["envs"]} if info else {}
            if "exotop" in envs and "hello" not in envs and envs == last:
                return envs["init"]
            last = envs
    return None


def frames_for(job, variant):
    """Frames that the first program has taken for a variant: what it was loaded into, its tables. None: not known."""
    if job.alone is None:
        job.alone = taken_by_init(job) or 0
    found = taken_by_init(job, variant)
    return found - job.alone if found and job.alone else None


def apply(job, machine, variant, seconds, warm=False):
    """One load, to its end; one that only warms up need not be answered."""
    spec, (address, port) = job.spec, machine.where(variant)
    try:
        if spec.kind == "kv":
            done = load.kv(job.cable, connections=spec.connections, seconds=seconds, get_share=spec.get,
                           value_bytes=spec.value, address=address, port=port)
        else:
            done = load.http(job.cable, spec.path, connections=spec.connections, seconds=seconds, address=address,
                             port=port, keepalive=spec.keepalive)
    except ExoError as error:
        if machine.process.poll() is not None:
            raise machine.failed(variant, "the machine ended under load") from None
        raise error
    if machine.process.poll() is not None:
        raise machine.failed(variant, "the machine ended under load")
    if not done.requests and not warm:
        raise machine.failed(variant, "no request was answered in %g s" % seconds)
    return done


def figures(done):
    """What a load generator saw, by the names that tables use."""
    return {"rate": done.rate, "p50": done.p50_us, "p90": done.p90_us, "p99": done.p99_us, "errors": done.errors,
            "requests": done.requests}


def timed(job, variant):
    """One timed run on a fresh machine."""
    if job.spec.kind == "none":
        with variant.machine(job) as machine:
            return {"end": machine.ended(variant)}
    machine = variant.machine(job)
    wait = variant.begin(job, machine)
    with machine:
        found = {"first": machine.ready(variant, wait)}
        apply(job, machine, variant, WARM_SECONDS, True)
        found.update(figures(apply(job, machine, variant, job.spec.seconds)))
        return found


def side_by_side(job, variants):
    """All variants loaded at once in one machine, each on a port of its own; {libOS: what its load saw}."""
    variants = [copy.copy(variant) for variant in variants]
    for number, variant in enumerate(variants):
        variant.port, variant.slices = variant.port + number, variant.share
    machine = Machine(job, "side", variants)
    waits = [v.begin(job, machine) for v in variants]
    found, errors = {}, []

    def one(variant):
        try:
            found[variant.libos] = figures(apply(job, machine, variant, job.spec.seconds))
        except ExoError as error:
            errors.append(error)

    with machine:
        for variant, wait in zip(variants, waits):
            machine.ready(variant, wait)
        threads = [threading.Thread(target=one, args=(variant,), daemon=True) for variant in variants]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return found


def idle_counts(machine):
    """What a machine without a load does, and in how many seconds."""
    before, began = machine.count(), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return machine.count() - before, time.monotonic() - began


def counted(job, variant, tell=lambda text: None):
    """Counts for one operation, batch by batch, and what the machine holds under load."""
    if job.spec.kind == "none":
        return variant.counted_whole(job)
    machine = variant.machine(job, counting=True)
    wait = variant.begin(job, machine)
    with machine:
        machine.ready(variant, wait)
        rate = max(1.0, apply(job, machine, variant, WARM_SECONDS, True).rate)
        seconds = min(15, max(1, math.ceil(1.1 * OPERATIONS / BATCHES / rate)))
        time.sleep(SETTLE_SECONDS)
        idle, idle_seconds = idle_counts(machine)
        batches, operations, first = [], 0, time.monotonic()
        while len(batches) < BATCHES or operations < OPERATIONS and time.monotonic() - first < COUNT_SECONDS:
            tell("batch %d" % (len(batches) + 1))
            before, began = machine.count(), time.monotonic()
            done = apply(job, machine, variant, seconds)
            time.sleep(SETTLE_SECONDS)
            more, took = machine.count(), time.monotonic() - began
            more.subtract(before)
            operations += done.requests
            batches.append({name: per_operation(number, idle[name] * took / idle_seconds, done.requests)
                            for name, number in more.items()})
        info = machine.info()
    return {"batches": batches, "operations": operations, "info": info,
            "for_it": variant.frames(job) if info else None}


def run_whole(job, key, variant):
    with Machine(job, key, [variant], counting=True) as machine:
        machine.ended(variant)
        return machine.count()


def counted_whole(job, variant):
    if variant.libos not in job.empty:
        job.empty[variant.libos] = None
        try:
            path = compile_c(job.work, job.work.file("empty.c"), "empty", variant.libos, EMPTY_C)
            job.empty[variant.libos] = run_whole(job, "empty-" + variant.libos,
                                                 Variant("empty", variant.libos, path, [], 0))
        except ExoError:
            pass                        # no compiler here: the figures have the machine's start in them
    found, empty = run_whole(job, variant.libos, variant), job.empty[variant.libos]
    return {"batches": [{name: max(0, number - (empty[name] if empty else 0)) for name, number in found.items()}],
            "operations": 1, "info": None, "with_start": empty is None}


def compile_c(work, source, name, libos, text=None):
    """A C file as a program of a libOS; its path."""
    if text:
        with open(source, "w", encoding="ascii") as file:
            file.write(text)
    path = work.file("%s.%s" % (name, libos))
    call([*tool("exo-cc"), "--libos=" + libos, "-O2", "-o", path, source], 120)
    return path
