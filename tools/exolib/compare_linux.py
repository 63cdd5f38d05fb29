# SPDX-License-Identifier: BSD-2-Clause
"""The outside, for `exo compare --linux`: a program or a server on a Linux guest in the same emulator (linux.py).

The program is the same source, built for Linux: NAME.linux beside the variants that come with Exo, or a C
source compiled here.  nginx and memcached are Debian's.
"""

import os
import shutil
import subprocess

from . import compare_measure, linux, qemu, run
from .util import ExoError, parse_size

SERVERS = ("nginx", "memcached")
KINDS = {"nginx": "http", "memcached": "kv"}
MEMORY = "256M"


class LinuxMachine(compare_measure.Machine):
    """A running Linux guest."""

    def __init__(self, job, variant, counting):
        self.job, self.ports, self.calls, self.counts, self.console = job, {}, {}, None, b""
        more = []
        if counting:
            self.counts = job.work.file("counts")
            more = ["-plugin", "%s,counts=%s" % (job.tree.plugin(), self.counts)]
        self.guest = linux.Guest(job.cable, variant.serve(), cpus=job.options.cpus or 1, memory=parse_size(MEMORY),
                                 files=variant.files(job), port=variant.port, more=more)

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

    def failed(self, variant, what):
        self.console = self.guest.console.encode()
        return super().failed(variant, what)

    def info(self):
        return None


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
        for folder, unused, names in os.walk(job.volume) if job.volume else ():
            for name in names:
                path = os.path.join(folder, name)
                found["/www/" + os.path.relpath(path, job.volume)] = path
        return found

    def machine(self, job, counting=False):
        return LinuxMachine(job, self, counting)

    def begin(self, job, machine):
        return None                     # the guest itself waits for its first answer

    def about(self, job):
        return {"image_bytes": None, "blocks": None}


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
        raise ExoError(source, "does not compile for Linux: " + done.stderr.decode("utf-8", "replace").splitlines()[0])
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
