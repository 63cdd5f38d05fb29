# SPDX-License-Identifier: BSD-2-Clause
"""A wire between a machine and this computer that is not the bottleneck.

It is a tap device in a network namespace of its own: frames go between the emulator and
this computer's TCP/IP with one system call each and no translation, and nothing outside
can reach it or be reached.  The emulator and the load generator are both started inside
(`within`).  The namespace has no name: it belongs to one process, which waits for its
standard input to end, so it goes when this program goes, however that ends; the emulator
and the generator are killed with this program (`start`).  The guest's hardware address is
entered by hand, so that no connection waits for ARP's timers; inside.py gives it its address.

Root may make one; others where user namespaces are allowed and /dev/net/tun may be opened.
"""

import os
import select
import shutil
import subprocess
import sys
import time

from . import run
from .util import ExoError

HOST, GUEST, BITS = "10.0.2.2", "10.0.2.15", 24
MAC = "52:54:00:12:34:56"
TAP = "tap0"
PAGE, STORE = r"GET / HTTP/1.0\r\n\r\n", r"version\r\n"     # requests: memcached hangs up on those who speak HTTP
QUEUE = 4096                    # frames that wait for the emulator
TOOLS = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2"}

SETUP = """\
set -e
ip link set lo up
ip tuntap add dev {tap} mode tap{queues}
ip address add {host}/{bits} dev {tap}
ip link set {tap} txqueuelen {length} up
ip neighbour replace {guest} lladdr {mac} dev {tap} nud permanent
echo 65000 >/proc/sys/net/core/somaxconn 2>/dev/null || :
echo '1024 65000' >/proc/sys/net/ipv4/ip_local_port_range 2>/dev/null || :
echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse 2>/dev/null || :
echo ready
exec cat
"""


def find_tools():
    """The paths of the programs that make a wire, or an error that names what is not there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = {name: shutil.which(name, path=path) for name in TOOLS}
    for name, where in found.items():
        if not where:
            raise ExoError(name, "is not installed, and makes the wire", "apt-get install " + TOOLS[name])
    return found


class Wire:
    """The wire as a context manager; `tap`, `host`, `guest`, `bits` and `mac` are its names and addresses."""

    tap, host, guest, bits, mac = TAP, HOST, GUEST, BITS, MAC

    def __init__(self, queues=1):
        self.queues = queues
        self.tools = find_tools()
        self.holder = None
        self.started = []

    def __enter__(self):
        own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        script = SETUP.format(tap=TAP, host=HOST, guest=GUEST, bits=BITS, mac=MAC, length=QUEUE,
                              queues=" multi_queue" if self.queues > 1 else "")
        environment = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        self.holder = subprocess.Popen(
            [self.tools["unshare"], *own, "--net", "sh", "-c", script], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True)
        if self.holder.stdout.readline() != b"ready\n":
            unused, said = self.holder.communicate()
            lines = said.decode("utf-8", "replace").strip().splitlines() or ["no reason is given"]
            raise ExoError("network namespace with a tap device", "cannot be made: " + lines[-1],
                           "run as root" if own else None)
        self.inside("lease", TAP, HOST, GUEST, BITS)
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        """End what was started inside, then the wire."""
        for process in self.started:
            end(process)
        self.started = []
        if self.holder:
            self.holder.stdin.close()
            self.holder.wait()
            self.holder.stdout.close()
            self.holder.stderr.close()
            self.holder = None

    def inside(self, *words):
        """One of inside.py's programs, when it is ready."""
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside.py")
        process = self.start([sys.executable, "-S", "-E", path, *map(str, words)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        if process.stdout.readline() != b"ready\n":
            raise ExoError("inside the wire", "the program `%s` does not start" % words[0])
        return process

    def first_answer(self, port, address=GUEST, request=None):
        """Begin to ask the guest's port for an answer. Returns wait(seconds, machine): the time (as time.monotonic's) of
        the first one; None if it did not come, or the machine's process ended before."""
        asker = self.inside("answer", address, port, request or (STORE if port == 11211 else PAGE))

        def wait(seconds, machine):
            until = time.monotonic() + seconds
            try:
                while time.monotonic() < until:
                    if select.select([asker.stdout], [], [], 0.2)[0]:
                        return float(asker.stdout.readline() or "nan")
                    if machine.poll() is not None:
                        return None
                return None
            finally:
                end(asker)
                self.started.remove(asker)
                asker.stdin.close()
                asker.stdout.close()
        return wait

    def within(self, words):
        """The words that run a command inside the wire's namespace."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return [self.tools["nsenter"], "--target", str(self.holder.pid), *user, "--net", "--", *words]

    def start(self, words, **how):
        """A process inside (arguments as subprocess.Popen's) that ends with the wire and with this program."""
        process = subprocess.Popen(self.within(words), preexec_fn=run.die_with_parent(os.getpid()), **how)
        self.started.append(process)
        return process

    def run(self, words, seconds, **how):
        """A command inside, to its end: (status, standard output, standard error), or ExoError after so many seconds."""
        process = self.start(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             **how)
        try:
            out, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise ExoError(words[0], "did not end within %g s" % seconds) from None
        finally:
            end(process)
            self.started.remove(process)
        return process.returncode, out.decode("utf-8", "replace"), said.decode("utf-8", "replace")


def end(process):
    """End a process if it still runs; it is gone when this returns."""
    for ask in (process.terminate, process.kill):
        if process.poll() is not None:
            break
        ask()
        try:
            process.wait(run.GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
    process.wait()
