# SPDX-License-Identifier: BSD-2-Clause
"""The runner with the real kernel: every way to boot, statuses, several programs, damaged modules.

Time limit: 300 s
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

work = tempfile.mkdtemp(prefix="exo-machine-")
GREETING = "Hello from Exo!\n"


def exo(*words, **how):
    return guest.exo(*words, cwd=work, **how)


def write(name, content):
    path = os.path.join(work, name)
    with open(path, "wb") as file:
        file.write(content)
    return path


def program(name, body):
    """A program of one's own; returns its file."""
    source = write(name + ".c", ("#include <stdio.h>\nint main(void)\n{\n%s\n}\n" % body).encode())
    image = os.path.join(work, name + ".uni")
    subprocess.run([sys.executable, os.path.join(guest.SOURCE, "tools", "exo-cc"), source, "-o", image],
                   check=True, timeout=60)
    return image


def hello(*options, status=0, seconds=60):
    """Run hello; it must greet and end with the status."""
    done = exo("run", "-t", seconds, *options, "hello", "--exit", status)
    same(done.returncode, status, "exit status with %s (%s %s)" % (options, done.stdout[-500:], done.stderr))
    has(done.stdout.replace("\r", ""), GREETING, "console with %s" % (options,))
    return done


def test_direct_boot():
    """direct boot on every machine type, with little, odd and much memory, another CPU, and two CPUs"""
    for options in ("--machine microvm", "--machine q35", "--machine pc", "-m 4M", "-m 5000K", "-m 33M",
                    "-m 8G",
                    "--cpu qemu64", "--cpu qemu64 --machine q35 -m 4M", "--smp 2", "--icount", "-p 0:80",
                    "--machine q35 -p 0:80", "-p 0:80 -m 4M"):
        hello(*options.split(), status=11)


def test_grub_bios():
    """GRUB boots it from a BIOS on q35 and pc, with 32 MiB too"""
    for options in ("--machine q35", "--machine pc -m 32M", "-p 0:80"):
        hello("--boot", "bios", *options.split(), status=12)


def test_grub_uefi():
    """GRUB boots it from UEFI firmware"""
    hello("--boot", "uefi", "-m", "256M", status=13)


def test_quiet():
    """with -q the console has the program's output and nothing else"""
    same(hello("-q").stdout, GREETING + "argv[1] = --exit\nargv[2] = 0\n", "console")


def test_fault_status():
    """a program that a CPU exception ends is 128 + its number, with a report that names the function"""
    cases = (("store", "*(volatile int *)0x123 = 1; return 0;", 142, "page fault"),
             ("illegal", "__asm__ volatile(\"ud2\"); return 0;", 134, "illegal instruction"),
             ("divide", "__asm__ volatile(\"xor %%ecx, %%ecx; div %%ecx\" ::: \"eax\", \"ecx\", \"edx\"); "
              "return 0;",
              128, "division"))
    for name, body, status, cause in cases:
        done = exo("run", "-t", 30, "--json", program(name, body))
        same(done.returncode, status, "exit status of %s (%s)" % (name, done.stdout))
        has(done.stdout, cause, "report")
        has(done.stdout, "main+0x", "report")
        has(done.stdout, '"cause": "fault"', "record")


def test_endless():
    """a program that never ends is stopped by the time limit, and its last line is shown"""
    done = exo("run", "-t", 2, program("endless", "puts(\"round and round\"); fflush(stdout); for (;;) ;"))
    same(done.returncode, 124, "exit status")
    has(done.stderr, "round and round")


def test_several():
    """of several programs the one marked main gives the status; without a mark it is the first"""
    text = "[program one]\nimage = hello\nargs = --exit 21\n[program two]\nimage = hello\nargs = --exit 22\n"
    for mark, status in (("", 21), ("main = yes\n", 22)):
        path = write("two.conf", (text + mark).encode())
        done = exo("run", "-t", 30, "--config", path)
        same(done.returncode, status, "exit status (%s%s)" % (done.stdout, done.stderr))


def test_kernel_arguments():
    """the kernel takes its arguments, and names the nearest known one for another"""
    hello("--kernel-arg", "slice_us=500", "--kernel-arg", "quiet")
    done = exo("run", "-t", 20, "--qemu-arg=-append", "--qemu-arg=slice_ms=3", "hello")
    same(done.returncode, 126, "exit status")
    has(done.stdout, "slice_us", "console")


def module():
    path = os.path.join(work, "good.mod")
    done = exo("image", "-o", path, "hello", "--exit", 23)
    same(done.returncode, 0, "exit status")
    with open(path, "rb") as file:
        return file.read()


def ends(name, data, statuses):
    """Booting this module must end by itself, with one of the statuses and a word on the console."""
    done = exo("run", "-t", 20, "--module", write(name, data))
    check(done.returncode in statuses, "%s: status %d, not %s; console: %s" % (
        name, done.returncode, statuses, done.stdout))
    check(done.stdout.strip(), "%s: nothing was said" % name)


def places(*options, config=None):
    """Where a program says that it lies: a function, a variable, and a local one, as one line."""
    image = os.path.join(work, "place.uni")
    if not os.path.exists(image):
        program("place", '\tstatic int value;\n\tint own;\n\tprintf("%p %p %p\\n", (void *)main, (void *)&value, '
                         '(void *)&own);\n\treturn 0;')
    words = ["--config", write("place.conf", config.encode())] if config else [image]
    done = exo("run", "-q", "-t", 30, *options, *words)
    same(done.returncode, 0, "exit status with %s: %s%s" % (options, done.stdout, done.stderr))
    return done.stdout.strip().splitlines()


def test_addresses():
    """two runs put a program at different places, unless the command line or the configuration says no"""
    lines = {place for i in range(4) for place in places()}
    same(len(lines), 4, "different places of four runs: %s" % lines)
    for column in range(3):
        same(len({line.split()[column] for line in lines}), 4, "different addresses: %s" % lines)
    fixed = places("--no-randomize")
    same(places("--no-randomize"), fixed, "places of two runs with --no-randomize")
    check(int(fixed[0].split()[0], 16) >> 20 == 4, "main does not lie at 4 MiB: %s" % fixed)
    same(places("--icount"), fixed, "places under --icount")
    check(places("--icount", "--randomize") != fixed, "--icount --randomize did not move it")
    text = "%s[program place]\nimage = place.uni\n%s"
    same(places(config=text % ("[machine]\nrandomize = no\n", "")), fixed, "places with the machine's randomize = no")
    same(places(config=text % ("", "randomize = no\n")), fixed, "places with the program's randomize = no")
    check(places(config=text % ("[machine]\nrandomize = no\n", "randomize = yes\n")) != fixed, "it did not move")
    check(places("--randomize", config=text % ("", "randomize = no\n")) != fixed, "it did not move")
    told = places(config=text % ("", "show_addresses = yes\n"))
    base = int(told[0].split(" -o ")[1], 16)
    same(int(told[1].split()[0], 16) - base, int(fixed[0].split()[0], 16) - 0x400000, "what show_addresses tells")


def test_bad_modules():
    """a module that is cut, damaged or something else altogether ends with an error, not with silence"""
    data, chance = module(), random.Random(3)
    archive = next(at for at in range(0, len(data), 4096) if data[at + 257:at + 263] == b"ustar\0")
    ends("random.mod", chance.randbytes(8192) if hasattr(chance, "randbytes") else b"?" * 8192, (125, 126))
    ends("zero.mod", bytes(65536), (125, 126))
    ends("init-only.mod", data[:archive], (125, 126))
    ends("cut-init.mod", data[:archive // 2], (125, 126))
    ends("cut-archive.mod", data[:archive + 1500], (125, 126))
    ends("cut-program.mod", data[:archive + 20000], (125, 126))
    ends("no-config.mod", data.replace(b"etc/exo.conf", b"etc/exo.cong"), (125, 126))
    ends("bad-config.mod", data.replace(b"[program hello]", b"[progrbm hello]"), (125, 126))
    ends("bad-sum.mod", data[:archive] + b"x" + data[archive + 1:], (125, 126))
    start = data.index(b"\x7fELF", archive)
    for i in range(12):
        bad = bytearray(data)
        for unused in range(3):
            bad[start + chance.randrange(4, 64 + 56 * 5)] = chance.choice((0, 1, 0x7f, 0x80, 0xff))
        ends("program-%d.mod" % i, bytes(bad), range(256))


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
