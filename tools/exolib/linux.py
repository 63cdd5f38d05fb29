# SPDX-License-Identifier: BSD-2-Clause
"""A Linux guest to compare with: Debian's kernel and programs in the same emulator, with the same devices.

The packages are those that this computer's apt knows and trusts: `apt-get download` checks
each against the signed lists.  Nothing is installed; they lie in a cache directory
(EXO_LINUX_CACHE, else ~/.cache/exo/linux), by version, and are fetched once.  From them an
initial RAM disk is made: busybox, nginx, memcached with the libraries that they name, and
the kernel modules of the network card.  A second archive behind it (the kernel unpacks both)
has what one run needs: its settings, files and programs.

So that the emulator does not decide the comparison, Linux is `tuned`: told to do without what
the emulator makes dear and hardware does not (byte-wise string instructions, protection keys,
5-level paging), its C library too, and without the defences that the other side does not have
either.  doc/performance/README.md says what is fair and what is not.
"""

import ctypes
import hashlib
import os
import re
import shlex
import shutil
import stat
import struct
import subprocess
import tempfile
import threading
import time

from . import qemu, run, wire
from .util import ExoError

KERNEL = "linux-image-cloud-amd64"
PACKAGES = ("busybox-static", "nginx", "memcached", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g",
            "libevent-2.1-7", "libsasl2-2", "libgcc-s1")
MODULES = ("virtio_net", "virtio_pci", "virtio_mmio", "virtio_blk")
SERVERS = {"nginx": ("/usr/sbin/nginx", "-c", "/etc/nginx.conf"),
           "memcached": ("/usr/bin/memcached", "-u", "root", "-p", "11211", "-U", "0", "-m", "64", "-c", "1024",
                         "-t", "%CPUS%")}
PORTS = {"nginx": 80, "memcached": 11211}
TUNED = ("mitigations=off", "init_on_alloc=0", "apparmor=0", "audit=0", "nowatchdog", "randomize_kstack_offset=off",
         "cgroup_disable=memory", "hardened_usercopy=off", "nopku", "no5lvl", "clearcpuid=erms,fsrm,rep_good")
TUNABLES = "glibc.cpu.hwcaps=-ERMS,-FSRM"
START_SECONDS = 60
COMMANDS = "while read -r line; do eval \"$line\" </dev/null; echo exo-linux: done $?; done"     # each line of input is one
TELL_SECONDS = 20
TELL = "echo exo-linux: free $(awk '/^MemFree/ { print $2 }' /proc/meminfo) kB, files $(du -xsk / | cut -f1) kB"
PAGE_FAULT, CALL = "asm_exc_page_fault", "__x64_sys_"
SYMBOLS = " [tT] (%s[a-z0-9_]+|%s)$" % (CALL, PAGE_FAULT)
NO_KASLR = ("nokaslr",)
VERSION = "2"                   # of the archive: another one is built when this changes

NGINX = """\
worker_processes %CPUS%;
error_log stderr crit;
pid /run/nginx.pid;
daemon off;
events { worker_connections 4096; multi_accept on; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    keepalive_timeout 3600s;
    server_tokens off;
    types { text/html html; text/plain txt; }
    server { listen 80 backlog=4096; root /www; location / { index index.html; } }
}
"""

INIT = """\
#!/bin/busybox sh
export PATH=/bin:/usr/bin:/sbin:/usr/sbin
/bin/busybox mkdir -p /proc /sys /tmp /run /var/log/nginx /var/lib/nginx /www
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
for module in $(cat /modules/order); do insmod /modules/$module; done
ifconfig lo 127.0.0.1 up
[ -d /sys/class/net/eth0 ] && ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
echo 4096 >/proc/sys/net/core/somaxconn; echo 4096 >/proc/sys/net/ipv4/tcp_max_syn_backlog
ulimit -n 65536
cat /www/* >/dev/null 2>&1
CPUS=$(grep -c ^processor /proc/cpuinfo)
sed -i s/%CPUS%/$CPUS/ /etc/nginx.conf
echo "exo-linux: kernel $(uname -r), $CPUS CPU(s)"
. /run.sh
"""


def cache_dir():
    base = os.environ.get("EXO_LINUX_CACHE")
    return base or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "exo", "linux")


def _apt(words, folder=None):
    """What one of apt's programs writes; an error says what it said."""
    if not shutil.which(words[0]):
        raise ExoError(words[0], "is not installed: the Linux guest is made from Debian's packages",
                       "use a Debian system for this comparison")
    done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False, timeout=600)
    if done.returncode:
        lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.startswith("E:")]
        raise ExoError("Debian's packages for the Linux guest", "cannot be fetched: " + (lines or ["?"])[0][2:].strip(),
                       "bring the computer to a network and run apt-get update, or leave the Linux side out")
    return done.stdout.decode("utf-8", "replace")


def packages():
    """The names of all packages, the kernel's by its version."""
    said = _apt(["apt-cache", "depends", KERNEL])
    found = re.search(r"Depends: (linux-image-\S+)", said)
    if not found:
        raise ExoError("package " + KERNEL, "apt knows none", "run apt-get update")
    return [found.group(1), *PACKAGES]


def fetch(say=lambda text: None):
    """The packages' files, fetched if they are not in the cache."""
    folder = os.path.join(cache_dir(), "packages")
    os.makedirs(folder, exist_ok=True)
    listed = os.path.join(folder, "list")
    if not os.path.exists(listed):
        names = packages()
        say("fetching %d packages of Debian's for the Linux guest (about 35 MB)" % len(names))
        _apt(["apt-get", "download", "-o", "APT::Sandbox::User=root", *names], folder)
        files = sorted(name for name in os.listdir(folder) if name.endswith(".deb"))
        with open(listed + ".new", "w", encoding="ascii") as file:
            file.writelines(name + "\n" for name in files)
        os.rename(listed + ".new", listed)
    with open(listed, encoding="ascii") as file:
        return [os.path.join(folder, line.rstrip("\n")) for line in file]


class Archive:
    """A cpio archive as Linux unpacks it at its start."""

    def __init__(self):
        self.data, self.number, self.made = bytearray(), 0, set()

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.number += 1
        text = name.encode("utf-8") + b"\0"
        head = "070701" + "".join("%08x" % value for value in (
            self.number, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(text), 0))
        for part in (head.encode("ascii") + text, data):
            self.data += part
            self.data += bytes(-len(self.data) % 4)

    def folders(self, path):
        """The directories above a path."""
        parts = path.strip("/").split("/")[:-1]
        for i in range(1, len(parts) + 1):
            name = "/".join(parts[:i])
            if name not in self.made:
                self.made.add(name)
                self.add(name, stat.S_IFDIR | 0o755)

    def file(self, path, data, mode=0o644):
        self.folders(path)
        self.add(path.strip("/"), stat.S_IFREG | mode, data)

    def finish(self):
        self.add("TRAILER!!!", 0)
        self.data += bytes(-len(self.data) % 512)
        return bytes(self.data)


def needed(data):
    """The libraries that a 64-bit ELF image names, and its loader."""
    if data[:5] != b"\x7fELF\x02":
        return [], None
    phoff, = struct.unpack_from("<Q", data, 32)
    count, = struct.unpack_from("<H", data, 56)
    heads = [struct.unpack_from("<IIQQQQQQ", data, phoff + 56 * i) for i in range(count)]
    place = lambda addr: next(h[2] + addr - h[3] for h in heads if h[0] == 1 and h[3] <= addr < h[3] + h[5])
    words = lambda at: data[at:data.index(b"\0", at)].decode("ascii")
    loader = next((words(h[2]) for h in heads if h[0] == 3), None)
    names, strings = [], None
    for head in heads:
        if head[0] != 2:
            continue
        for at in range(head[2], head[2] + head[5], 16):
            tag, value = struct.unpack_from("<QQ", data, at)
            if tag == 1:
                names.append(value)
            elif tag == 5:
                strings = place(value)
            elif tag == 0:
                break
    return [words(strings + name) for name in names], loader


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Unpacked:
    """The packages' files under one directory."""

    def __init__(self, folder):
        self.folder, self.files = folder, {}
        for top, unused, names in os.walk(folder):
            for name in names:
                self.files.setdefault(name, os.path.join(top, name))

    def library(self, name):
        if name not in self.files:
            raise ExoError("library %s" % name, "none of the Linux guest's packages has it")
        return os.path.realpath(self.files[name])

    def closure(self, images):
        """The libraries that images need, {name: path}, and their loader's path in the guest."""
        found, loader, left = {}, None, list(images)
        while left:
            names, own = needed(left.pop())
            loader = loader or own
            for name in names:
                if name not in found:
                    found[name] = self.library(name)
                    left.append(read(found[name]))
        return found, loader

    def modules(self, wanted):
        """The kernel modules in the order in which they can be loaded, [(name, path)]."""
        order = []

        def visit(name):
            path = self.files.get(name + ".ko")
            if not path or (name, path) in order:
                return              # not there: built in
            depends = re.search(rb"\0depends=([^\0]*)", read(path))
            for other in (depends.group(1).decode("ascii").split(",") if depends else []):
                if other:
                    visit(other.replace("-", "_"))
            order.append((name, path))
        for name in wanted:
            visit(name)
        return order


def _base(unpacked):
    """The archive that all runs share."""
    archive = Archive()
    archive.folders("dev/console")
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.file("init", INIT.encode("ascii"), 0o755)
    archive.file("bin/busybox", read(os.path.join(unpacked.folder, "bin/busybox")), 0o755)
    images = {}
    for words in SERVERS.values():
        images[words[0]] = read(unpacked.folder + words[0])
        archive.file(words[0], images[words[0]], 0o755)
    libraries, loader = unpacked.closure(images.values())
    libraries["libpthread.so.0"] = unpacked.library("libpthread.so.0")      # for programs made on older systems
    for name, path in libraries.items():
        archive.file("/lib/x86_64-linux-gnu/" + name, read(path), 0o755)
    archive.file(loader, read(unpacked.library(os.path.basename(loader))), 0o755)
    modules = unpacked.modules(MODULES)
    for name, path in modules:
        archive.file("modules/%s.ko" % name, read(path))
    archive.file("modules/order", "".join("%s.ko\n" % name for name, path in modules).encode("ascii"))
    for path in ("etc/passwd", "etc/group"):
        archive.file(path, b"root:x:0:0:root:/:/bin/sh\nnobody:x:99:99::/:/bin/sh\n" if path[4] == "p" else
                     b"root:x:0:\nnogroup:x:99:\n")
    archive.file("etc/nginx.conf", NGINX.encode("ascii"))
    return archive.finish()


class Image:
    """Kernel and initial RAM disk; `versions` tells the packages."""

    def __init__(self, folder, files):
        self.kernel, self.initrd = os.path.join(folder, "vmlinuz"), os.path.join(folder, "initrd")
        self.versions = [os.path.basename(name)[:-4].replace("%3a", ":").rsplit("_", 1)[0].replace("_", " ")
                         for name in files]


def image(say=lambda text: None):
    """The Linux guest, made when it is not in the cache."""
    files = fetch(say)
    mark = "\n".join([VERSION, INIT, NGINX, *files])
    folder = os.path.join(cache_dir(), "image-" + hashlib.sha256(mark.encode("utf-8")).hexdigest()[:12])
    if not os.path.exists(os.path.join(folder, "initrd")):
        say("making the Linux guest")
        if not shutil.which("dpkg-deb"):
            raise ExoError("dpkg-deb", "is not installed, and unpacks Debian's packages")
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as private:
            for path in files:
                if subprocess.run(["dpkg-deb", "-x", path, private], check=False).returncode:
                    raise ExoError(path, "cannot be unpacked", "remove the folder %s" % cache_dir())
            unpacked = Unpacked(private)
            kernel = next(name for name in sorted(unpacked.files) if name.startswith("vmlinuz-"))
            shutil.copyfile(unpacked.files[kernel], os.path.join(folder, "vmlinuz"))
            with open(os.path.join(folder, "initrd.new"), "wb") as file:
                file.write(_base(unpacked))
            os.rename(os.path.join(folder, "initrd.new"), os.path.join(folder, "initrd"))
    return Image(folder, files)


def overlay(script, files):
    """The archive of one run: {path in the guest: path here, or bytes}."""
    archive = Archive()
    archive.file("run.sh", script.encode("utf-8"))
    for path, source in sorted(files.items()):
        if isinstance(source, bytes):
            archive.file(path, source)
        elif os.path.isdir(source):
            for name in sorted(os.listdir(source)):
                if os.path.isfile(os.path.join(source, name)):
                    archive.file(path.rstrip("/") + "/" + name, read(os.path.join(source, name)))
        else:
            archive.file(path, read(source), stat.S_IMODE(os.stat(source).st_mode))
    return archive.finish()


def command(made, initrd, cpus=1, memory=512 << 20, tuned=True, machine="q35", network=(), more=(), kernel_args=()):
    """The emulator's words."""
    words = [qemu.emulator_path(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    words += ["-M", machine + (",smm=off,sata=off,usb=off" if machine == "q35" else ""), "-accel", "tcg", "-cpu", "max",
              "-m", "%dM" % (memory >> 20), "-smp", str(cpus), "-serial", "stdio", "-monitor", "none"]
    settings = ["console=ttyS0", "quiet", "panic=-1", *(TUNED if tuned else ()), *kernel_args]
    return words + ["-kernel", made.kernel, "-initrd", initrd, "-append", " ".join(settings), *network, *more]


def script_of(serve, tuned, tells=False):
    """The shell script that runs at the end of the guest's start; one that `tells` what memory is used at each line of input.

    serve: a server, the words of a program, or COMMANDS for commands that come later."""
    words = SERVERS.get(serve, ()) if isinstance(serve, str) else serve
    tell = "export GLIBC_TUNABLES=%s\n" % TUNABLES if tuned else ""
    line = " ".join(shlex.quote(word) for word in words).replace("%CPUS%", "$CPUS")
    if serve == COMMANDS:
        return tell + COMMANDS + "\n"
    if tells:
        line += " &\nwhile read line; do %s; done\nwait $!" % TELL
    return tell + line + "\necho exo-linux: ended with status $?\npoweroff -f\n"


def entries():
    """Where the guest's kernel is entered if its place is not random: {system call: address}, and page faults as PAGE_FAULT.

    The guest's kernel says so itself, once.
    """
    path = os.path.join(os.path.dirname(image().kernel), "entries")
    if not os.path.exists(path):
        with Guest(None, ["/bin/grep", "-E", SYMBOLS, "/proc/kallsyms"], kernel_args=NO_KASLR) as guest:
            lines = re.findall(r"([0-9a-f]{16}) [tT] (\w+)", guest.finish(START_SECONDS))
        if PAGE_FAULT not in [name for unused, name in lines]:
            raise ExoError("the Linux guest", "does not tell where its system calls are")
        with open(path + ".new", "w", encoding="ascii") as file:
            file.writelines("%s %s\n" % line for line in lines)
        os.rename(path + ".new", path)
    found = {}
    with open(path, encoding="ascii") as file:
        for address, name in map(str.split, file):
            found.setdefault(int(address, 16), name[len(CALL):] if name.startswith(CALL) else name)
    return {name: address for address, name in found.items()}


class Guest:
    """A running guest on a wire; with None as wire, one without a network, that runs to its end (`finish`)."""

    def __init__(self, cable, serve, cpus=1, memory=512 << 20, tuned=True, files=None, port=None, machine="q35",
                 more=(), kernel_args=(), tells=False):
        self.cable, self.serve, self.port = cable, serve, port or (PORTS.get(serve) if isinstance(serve, str) else None)
        self.settings = {"cpus": cpus, "memory": memory, "tuned": tuned, "machine": machine, "more": more,
                         "kernel_args": kernel_args}
        self.tells, self.memory = tells, memory
        self.script, self.files = script_of(serve, tuned, tells), files or {}
        self.folder = self.process = self.ready_seconds = None
        self.lines = []

    def __enter__(self):
        self.folder = run.WorkDir()
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def _start(self):
        made = image()
        initrd = self.folder.file("initrd")
        with open(initrd, "wb") as file:
            file.write(read(made.initrd) + overlay(self.script, self.files))
        network, wait = (), None
        if self.cable:
            network = ["-netdev", "tap,id=n0,ifname=%s,script=no,downscript=no" % self.cable.tap, "-device",
                       "virtio-net-pci,disable-legacy=on,romfile=,netdev=n0,mac=" + self.cable.mac]
            if self.port:
                wait = self.cable.first_answer(self.port)
        words = command(made, initrd, network=network, **self.settings)
        streams = {"stdin": subprocess.PIPE if self.tells else subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        begun = self.begun = time.monotonic()
        if self.cable:
            self.process = self.cable.start(words, **streams)
        else:
            self.process = subprocess.Popen(words, preexec_fn=run.die_with_parent(os.getpid()), **streams)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if wait:
            answered = wait(START_SECONDS, self.process)
            if answered is None:
                raise ExoError("the Linux guest", "does not answer on port %d" % self.port,
                               "its last lines: " + " | ".join(self.lines[-3:]))
            self.ready_seconds = answered - begun

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))

    @property
    def pid(self):
        return self.process.pid

    @property
    def console(self):
        return "\n".join(self.lines)

    def ask(self, line, pattern, seconds):
        """Write a line to the guest; what its console then says, or None."""
        before, until = len(self.lines), time.monotonic() + seconds
        self.process.stdin.write(line.encode("utf-8") + b"\n")
        self.process.stdin.flush()
        while time.monotonic() < until and self.process.poll() is None:
            found = re.search(pattern, "\n".join(self.lines[before:]))
            if found:
                return found
            time.sleep(0.02)
        return None

    def used_bytes(self):
        """Memory that is in use, without the files of the RAM disk; None: it does not say."""
        found = self.ask("", r"exo-linux: free (\d+) kB, files (\d+) kB", TELL_SECONDS)
        return found and self.memory - 1024 * (int(found.group(1)) + int(found.group(2)))

    def finish(self, seconds):
        """Wait until the guest has switched itself off; its console."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ExoError("the Linux guest", "did not end within %g s" % seconds,
                           "its last lines: " + " | ".join(self.lines[-3:])) from None
        self.reader.join()
        return self.console

    def close(self):
        if self.process:
            wire.end(self.process)
            self.process.stdout.close() if not self.reader.is_alive() else self.reader.join(1)
        if self.folder:
            self.folder.remove()
            self.folder = None

    def __exit__(self, *unused):
        self.close()
