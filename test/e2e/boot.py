# SPDX-License-Identifier: BSD-2-Clause
"""Every way to boot serves a page; every size of memory works or is refused in words.

Each machine has a time limit of its own. What the runner does before it starts a machine is tested in
runner_machine.py.

Time limit: 240 s
"""

import atexit
import hashlib
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from guest import Guest
from monitor import Monitor
from tap import Skip, check, has, same
from web import get

sys.path.insert(0, os.path.join(guest.SOURCE, "tools"))
from exolib import elf  # noqa: E402

LIMIT = 40              # seconds for one machine on a busy computer
PAGE = b"<h1>booted</h1>\n"
FILE = random.Random(9).randbytes(300000)
GREETING = "Hello from Exo!\n"
KERNEL_BASE = 0xffffffff80000000
PROGRAMS = 0xffffc00000000000            # where machine code of programs is executable
STOP_STATUS = 35        # the emulator's own exit status after a kernel stop

work = tempfile.mkdtemp(prefix="exo-boot-")
site = os.path.join(work, "site")


def serves(name, *options):
    """A machine that boots so serves a page and a file."""
    with Guest(*options, "-p", "0:80", "-v", site + ":/", "httpd", "/", name=name, timeout=LIMIT,
               pcap=False) as machine:
        machine.wait_line("^\r?httpd: serving ",
                          LIMIT)        # firmware and GRUB may leave their own before it
        port = machine.port(80)
        same(get(port, "/").body, PAGE, "the page with %s" % (options,))
        same(hashlib.sha256(get(port, "/file").body).hexdigest(), hashlib.sha256(FILE).hexdigest(),
             "the file's sum")
        check(machine.text.endswith("httpd: serving / on port 80\n"), "console: %r" % machine.text)


def greets(*options):
    """A machine that boots so runs hello to its end."""
    done = guest.exo("run", "-t", LIMIT, *options, "hello", "--exit", "7", timeout=LIMIT + 20)
    same(done.returncode, 7, "status with %s (%s %s)" % (" ".join(options), done.stdout[-500:], done.stderr))
    has(done.stdout.replace("\r", ""), GREETING, "console with %s" % " ".join(options))


def test_bios():
    """a GRUB image serves from BIOS firmware"""
    serves("bios", "--boot", "bios")


def test_uefi():
    """a GRUB image serves from UEFI firmware"""
    serves("uefi", "--boot", "uefi", "-m", "256M")


def test_direct():
    """direct boot serves on every machine type, and with the plainest CPU there is"""
    for kind in ("microvm", "q35", "pc"):
        serves("direct-" + kind, "--machine", kind)
        serves("qemu64-" + kind, "--machine", kind, "--cpu", "qemu64")


def test_grub_cpu():
    """GRUB boots it with the plainest CPU, on both PCI machines"""
    serves("bios-qemu64", "--boot", "bios", "--cpu", "qemu64", "--machine", "q35")
    greets("--boot", "bios", "--cpu", "qemu64", "--machine", "pc")


def test_cpus():
    """programs run to their end on every machine type with 2 to 16 CPUs, and 16 of more are used"""
    for kind in ("microvm", "q35", "pc"):
        for cpus in (2, 4, 8):
            greets("--machine", kind, "--smp", str(cpus))
    greets("--smp", "16")
    greets("--smp", "2", "-m", "4M")
    greets("--smp", "2", "--cpu", "qemu64")
    greets("--smp", "2", "--boot", "bios")
    greets("--smp", "2", "--boot", "uefi", "-m", "256M")
    done = guest.exo("run", "-t", LIMIT, "--qemu-arg=-smp", "--qemu-arg=20", "hello", timeout=LIMIT + 20)
    same(done.stdout.replace("\r", ""), "exo: 4 CPUs beyond 16 are left out\n" + GREETING,
         "console with 20 CPUs")


def kernel_symbols():
    with open(os.path.join(guest.build_dir(), "exo", "exo.elf.sym"), encoding="ascii") as file:
        return {name: int(address, 16) for address, _kind, name in map(str.split, file)}


def serving(monitor, name, *options):
    """An idle machine with a monitor."""
    return Guest(*monitor.options, *options, "-p", "0:80", "-v", site + ":/", "httpd", "/", name=name,
                 timeout=LIMIT, pcap=False)


def test_cpus_idle():
    """all CPUs come up, and rest in the kernel with a stack, a task state and a GS of their own"""
    text = kernel_symbols()
    for kind, cpus in (("microvm", 8), ("q35", 4), ("pc", 2)):
        options = ("--machine", kind, "--smp", cpus)
        with Monitor() as monitor, serving(monitor, "idle-" + kind, *options) as machine:
            machine.wait_line("^httpd: serving ", LIMIT)
            same(get(machine.port(80), "/").body, PAGE, "the page")
            for _ in range(100):
                states = monitor.cpus()
                if all(one["HLT"] for one in states):
                    break
                time.sleep(0.05)
            same(len(states), cpus, "CPUs")
            for one in states:
                same(one["HLT"], 1, "halted")
                check(text["image_start"] <= one["RIP"] < text["text_end"], "RIP %#x" % one["RIP"])
            for name in ("RSP", "GS_BASE", "TR", "TR_BASE"):
                same(len({one[name] for one in states}), cpus, "different values of " + name)


def test_kernel_map():
    """nothing in the kernel's half is writable and executable; its code and constants are writable nowhere"""
    symbols = kernel_symbols()
    start, text, constants = (
        symbols[name] - KERNEL_BASE for name in ("image_start", "text_end", "rodata_end"))
    for options in (("--machine", "microvm"), ("--machine", "q35", "--smp", 3)):
        with Monitor() as monitor, serving(monitor, "map", *options) as machine:
            machine.wait_line("^httpd: serving ", LIMIT)
            leaves = list(monitor.leaves(monitor.cpus()[0]["CR3"], 256))
        programs = set()
        check(len(leaves) > 512, "%d entries" % len(leaves))
        for leaf in leaves:
            check(not leaf.user, "the user's: %r" % leaf)
            check(not (leaf.writable and leaf.executable), "writable and executable: %r" % leaf)
            if leaf.executable and PROGRAMS <= leaf.va < KERNEL_BASE:       # a program for the kernel: its frames alone
                same(leaf.size, 4096, "the size of %r" % leaf)
                programs.add(leaf.pa)
                continue
            check(not leaf.executable or leaf.pa >= start and leaf.pa + leaf.size <= (text + 4095) & ~4095,
                  "executable, and no code: %r" % leaf)
            check(not leaf.writable or leaf.pa >= constants or leaf.pa + leaf.size <= start,
                  "a writable alias: %r" % leaf)
        for leaf in leaves:
            check(not leaf.writable or not any(leaf.pa <= pa < leaf.pa + leaf.size for pa in programs),
                  "a writable alias of a program: %r" % leaf)
        mapped = {leaf.va for leaf in leaves if leaf.va >= KERNEL_BASE}
        stacks = sorted(va for va in mapped if va < KERNEL_BASE + start)
        same(len(stacks), 3 * (options[-1] - 1) if "--smp" in options else 0, "pages of stacks")
        for va in stacks[::3]:
            check(va - 4096 not in mapped, "the page below the stack at %#x is mapped" % va)


def test_seed():
    """with the kernel argument seed the machine's choices are the same each time"""
    maps = []
    for seed in (7, 7, 8):
        with Monitor() as monitor, serving(monitor, "seed", "--kernel-arg", "seed=%d" % seed) as machine:
            machine.wait_line("^httpd: serving ", LIMIT)
            maps.append(sorted(leaf.va for leaf in monitor.leaves(monitor.cpus()[0]["CR3"], 0, 256)))
    same(maps[0], maps[1], "the program's addresses with the same seed")
    check(maps[0] != maps[2], "another seed, and the same addresses")


def test_memory():
    """direct boot with memories small, large and odd"""
    for size in ("4M", "5M", "7M", "16M", "33M", "64M", "100M", "3000M", "8192M", "4097K", "4608K", "3G",
                 "3584M", "4G",
                 "5000M"):
        greets("-m", size)
    for size in ("4M", "7M", "100M", "3000M", "4G", "8192M"):
        greets("-m", size, "--machine", "q35")
        greets("-m", size, "--machine", "pc")


def test_memory_grub():
    """GRUB from a BIOS with memories from 32 MiB on"""
    for size in ("32M", "33M", "100M", "3000M", "8192M"):
        greets("-m", size, "--boot", "bios")
    serves("bios-32", "--boot", "bios", "-m", "32M")


def test_memory_serves():
    """a page is served with very little and with very much memory"""
    for size in ("4M", "5M", "8192M"):
        serves("memory-" + size, "-m", size)


def module_of_hello():
    path = os.path.join(work, "hello.mod")
    if not os.path.exists(path):
        same(guest.exo("image", "-o", path, "hello").returncode, 0, "status of exo image")
    return path


def emulator(*options, change=lambda words: words):
    """The emulator's own command for hello, changed; returns its status and the console."""
    done = guest.exo("run", "-n", "--debugcon", os.path.join(work, "end"), *options, "--module",
                     module_of_hello())
    same(done.returncode, 0, "status of exo run -n (%s)" % done.stderr)
    words = change(shlex.split(done.stdout))
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=LIMIT, check=False)
    return ended.returncode, ended.stdout.decode("utf-8", "replace").replace("\r", "")


def without(name):
    """A change of a command: leave out a word and its value."""
    def change(words):
        at = words.index(name)
        return words[:at] + words[at + 2:]
    return change


def instead(name, value):
    def change(words):
        at = words.index(name)
        return words[:at] + [name, value] + words[at + 2:]
    return change


def stops_with(text, status, console):
    same(status, STOP_STATUS, "the emulator's status (%s)" % console[-500:])
    has(console, text, "console")
    same(len(console.splitlines()), 1, "lines on the console %r" % console)


def test_no_module():
    """without a module the kernel says so and stops"""
    for kind in ("microvm", "q35", "pc"):
        stops_with("no boot module", *emulator("--machine", kind, change=without("-initrd")))


def test_no_module_grub():
    """and so it does when GRUB names none"""
    maker = os.path.join(guest.SOURCE, "tools", "mkgrub")
    image = os.path.join(work, "no-module.img")
    kernel = os.path.join(guest.build_dir(), "exo", "exo.elf")
    empty = os.path.join(work, "empty")
    with open(empty, "wb"):
        pass
    done = subprocess.run([maker, "--bios", "-k", kernel, "-m", empty, "-o", image], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)
    if done.returncode:
        raise Skip("mkgrub: %s" % done.stdout.decode("utf-8", "replace")[-200:])
    done = guest.exo("run", "--boot", "bios", "-n", "hello")
    words = shlex.split(done.stdout)
    words = [word.replace("exo-disk.img", image) for word in words]
    words = [word.replace("exo-end.log", os.path.join(work, "end")) for word in words]
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=LIMIT, check=False)
    console = ended.stdout.decode("utf-8", "replace")
    same(ended.returncode, STOP_STATUS, "the emulator's status (%s)" % console[-500:])
    has(console, "module", "console")


def test_too_little():
    """with too little memory the runner refuses, and the kernel itself says so"""
    for size in ("512K", "1000K", "1023K"):
        done = guest.exo("run", "-m", size, "hello")
        same(done.returncode, 125, "status with -m " + size)
        has(done.stderr, "too little", "message")
    done = guest.exo("run", "-m", "31M", "--boot", "bios", "hello")
    same(done.returncode, 125, "status with 31 MiB and GRUB")
    # The emulator lays the module at memory's end: over the kernel's end when the two do not fit.
    need = elf.memory_end(os.path.join(guest.build_dir(), "exo",
                                       "exo.elf")) + os.path.getsize(module_of_hello())
    for spare in (-8, 4, 8, 16, 32, 64, 128):
        status, console = emulator(change=instead("-m", "%dK" % ((need >> 10) + spare)))
        if spare < 0:
            stops_with("the boot module lies over the kernel", status, console)
            continue
        said = console.splitlines()
        check(said and (GREETING.strip() == said[0] or "memory" in console and len(said) == 1),
              "with %d KiB beside kernel and module: %d %r" % (spare, status, console))
        tap.say("%d KiB beside kernel and module: %s" % (spare, said[0]))


def test_kernel_arguments():
    """an unknown kernel argument stops the kernel, which names the nearest known one"""
    for text, nearest in (("slice_su=3", "slice_us"), ("queit", "quiet"), ("xyz", "")):
        name = text.partition("=")[0]
        stops_with("unknown kernel argument %s; the nearest known one is %s" % (name, nearest),
                   *emulator(change=lambda words, text=text: words + ["-append", text]))
    status, console = emulator(change=lambda words: words + ["-append", "slice_us=many"])
    stops_with("slice_us", status, console)
    status, console = emulator(change=lambda words: words + ["-append", "slice_us=500 quiet seed=7"])
    same(status, 33, "the emulator's status (%s)" % console)


def test_bad_module():
    """what is no module, or a damaged one, is told in a line"""
    path = os.path.join(work, "bad.mod")
    with open(module_of_hello(), "rb") as file:
        good = file.read()
    for content in (b"x", b"not a program at all" * 1000, good[:1000], good[:6000], b"\x7fELF" + bytes(60),
                    bytes(8192)):
        with open(path, "wb") as file:
            file.write(content)
        status, console = emulator(change=instead("-initrd", path))
        check(status in (STOP_STATUS, 33), "status %d with %r" % (status, content[:30]))
        lines = console.splitlines()
        check(len(lines) == 1 and lines[0].startswith(("exo: ", "init: ")),
              "console with %r: %r" % (content[:30], console))


def make_site():
    os.makedirs(site)
    with open(os.path.join(site, "index.html"), "wb") as file:
        file.write(PAGE)
    with open(os.path.join(site, "file"), "wb") as file:
        file.write(FILE)


atexit.register(shutil.rmtree, work, True)
make_site()
if __name__ == "__main__":
    tap.main()
