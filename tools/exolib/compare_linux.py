# SPDX-License-Identifier: BSD-2-Clause
"""The outside, for `exo compare --linux`: a program or a server on a Linux guest in the same emulator (linux.py).

The program is the same source, built for Linux: NAME.linux beside the variants that come with Exo, or a C
source compiled here.  nginx and memcached are Debian's.
"""

import collections
import os
import re
import shlex
import shutil
import subprocess
import time

from . import compare_measure, linux, qemu, run
from .util import ExoError, parse_size

SERVERS = ("nginx", "memcached")
KINDS = {"nginx": "http", "memcached": "kv"}
MEMORY = "256M"
WHOLE_RUNS = 5                  # of a program that runs to its end, all in one guest


class LinuxMachine(compare_measure.Machine):
    """A running Linux guest."""

    def __init__(self, job, variant, counting):
        self.job, self.ports, self.calls, self.counts, self.console = job, {}, {}, None, b""
        more = []
        if counting:
            self.counts = job.work.file("counts")
            self.calls = {compare_measure.PAGE_FAULT_NAME if name == linux.PAGE_FAULT else name: at
                          for name, at in linux.entries().items()}
            places = "".join(",at=%x" % at for at in self.calls.values())
            more = ["-plugin", "%s,counts=%s%s" % (job.tree.plugin(), self.counts, places)]
        whole = job.spec.kind == "none"
        serve = linux.COMMANDS if whole and counting else variant.serve()
        self.guest = linux.Guest(None if whole else job.cable, serve, cpus=job.options.cpus or 1, memory=parse_size(MEMORY),
                                 files=variant.files(job), port=variant.port, more=more, tells=counting,
                                 kernel_args=linux.NO_KASLR if counting else ())

    def __enter__(self):
        if self.counts and os.path.exists(self.counts):
            os.unlink(self.counts)
        self.guest.__enter__()
        self.process = self.guest.process
        return self

    def __exit__(self, *unused):
        self.guest.close()

    def ready(self, variant, wait):
        return 1000.0 * self.guest.ready_seconds

    def ended(self, variant):
        """Wait for the end of a program that runs to it; milliseconds since the guest's start."""
        until = time.monotonic() + compare_measure.END_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            found = re.search(r"^exo-linux: ended with status (\d+)", self.guest.console, re.MULTILINE)
            if found and found.group(1) != "0":
                raise self.failed(variant, "ended with status " + found.group(1))
            if found:
                return 1000.0 * (time.monotonic() - self.guest.begun)
            time.sleep(0.01)
        raise self.failed(variant, "does not end")

    def one_run(self, variant, line, idle):
        """Counts of one command, less what the guest does in that time without one."""
        before, began = self.count(), time.monotonic()
        done = self.guest.ask(line, r"exo-linux: done (\d+)", compare_measure.END_SECONDS)
        if not done or done.group(1) != "0":
            raise self.failed(variant, "ended with status %s" % done.group(1) if done else "does not end")
        time.sleep(compare_measure.SETTLE_SECONDS)
        found, took = self.count() - before, time.monotonic() - began
        return collections.Counter({name: max(0.0, found[name] - idle.get(name, 0) * took) for name in found})

    def failed(self, variant, what):
        self.console = self.guest.console.encode()
        return super().failed(variant, what)

    def info(self):
        used = self.guest.used_bytes()
        return {"used_bytes": used, "envs": []} if used else None


class Linux(compare_measure.Variant):
    """A server on Linux: `path` is its program's, or one of SERVERS."""

    def __init__(self, name, path, args, port):
        super().__init__(name, "linux", path, args, port)
        self.title = path if path in SERVERS else "linux"

    def serve(self):
        if self.path in SERVERS:
            return self.path
        return ["/program"] + [w.replace("%p", str(self.port)).replace("%d", "/www") for w in self.args]

    def files(self, job):
        found = {}
        if self.path not in SERVERS:    # an installed one is data here, and has no right to be executed
            found["/program"] = job.work.file("program")
            shutil.copyfile(self.path, found["/program"])
            os.chmod(found["/program"], 0o755)
        if job.spec.kind == "none":
            source = job.work.file("nothing.c")
            with open(source, "w", encoding="ascii") as file:
                file.write(compare_measure.EMPTY_C)
            found["/nothing"] = compile_here(job.work, source, "nothing")
        for folder, unused, names in os.walk(job.volume) if job.volume else ():
            for name in names:
                path = os.path.join(folder, name)
                found["/www/" + os.path.relpath(path, job.volume)] = path
        return found

    def machine(self, job, counting=False):
        return LinuxMachine(job, self, counting)

    def begin(self, job, machine):
        return None                     # the guest itself waits for its first answer

    def counted_whole(self, job):
        """The program, and one that does nothing, in turn in one guest."""
        with self.machine(job, counting=True) as machine:
            if not machine.guest.ask("true", r"exo-linux: done 0", compare_measure.READY_SECONDS):
                raise machine.failed(self, "the guest does not start")
            time.sleep(compare_measure.SETTLE_SECONDS)
            idle, seconds = compare_measure.idle_counts(machine)
            idle = {name: number / seconds for name, number in idle.items()}
            batches = []
            for number in range(WHOLE_RUNS + 1):        # the first is left out: its files are not in memory yet
                empty = machine.one_run(self, "/nothing", idle)
                found = machine.one_run(self, shlex.join(self.serve()), idle)
                batches.append({name: max(0.0, found[name] - empty[name]) for name in found | empty})
        return {"batches": batches[1:], "operations": 1, "info": None, "with_start": False}

    def frames(self, job):
        return None

    def about(self, job):
        return {"image_bytes": None, "blocks": None, "linux_memory": parse_size(MEMORY)}


def compile_here(work, source, name):
    """A C source as a program for Linux."""
    path = work.file(name + ".linux")
    compiler = shutil.which(os.environ.get("CC", "cc").split()[0])
    if not compiler:
        raise ExoError("cc", "there is no C compiler for this computer", "apt-get install gcc")
    done = subprocess.run([compiler, "-O2", "-static", "-o", path, source], stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, timeout=120, check=False,
                          preexec_fn=run.die_with_parent(os.getpid()))
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").splitlines() or ["?"]
        raise ExoError(source, "does not compile for Linux: " + next((line for line in lines if " error: " in line), lines[0]))
    return path


def variants(place, values, spec, name, source, work):
    """What --linux asks for, as variants."""
    found = []
    for what in values.linux:
        if what and KINDS[what] != spec.kind:
            raise ExoError("option --linux=%s" % what, "does not serve a load of kind %s" % spec.kind)
        if what:
            port = linux.PORTS[what]
            found.append(Linux(what, what, [], port))
            continue
        path = compile_here(work, source, name) if source else place.linux_program(name)
        args = values.words[1:] or compare_measure.default_args(spec)
        found.append(Linux(name, path, args, compare_measure.PORTS[spec.kind]))
    if found:
        qemu.emulator_path()
        linux.image()
    return found
