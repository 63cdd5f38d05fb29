# SPDX-License-Identifier: BSD-2-Clause
"""Disks of the machine, from outside: every kind of device, images byte for byte, failing and slow disks.

Time limit: 300 s
"""

import os
import re
import shutil
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

BLOCK = 4096
EIO = -21                       # EXO_EDEVICE
work = tempfile.mkdtemp(prefix="exo-disk-")


def module(name, **options):
    """A program that runs first, told some numbers."""
    path = os.path.join(work, name + ".module")
    shutil.copy(os.path.join(guest.build_dir(), "test", "guest", name + ".uni"), path)
    with open(path, "ab") as file:
        file.write(("\n%s\n" % " ".join("%s=%d" % pair for pair in options.items())).encode())
    return path


def image(blocks, name="disk.img"):
    path = os.path.join(work, name)
    with open(path, "wb") as file:
        for block in range(blocks):
            file.write(block.to_bytes(8, "little") * (BLOCK // 8) if block < 64 else bytes(BLOCK))
    return path


def run(disk, *words, program="disk_io", seconds=60, status=0, **options):
    """Run the program on the disk; returns what it wrote."""
    done = guest.exo("run", "-t", seconds, "--disk", disk, *words, "--module", module(program, **options),
                     timeout=seconds + 30)
    same(done.returncode, status, "exit status of %s %s (%s%s)" % (disk, words, done.stdout[-2000:], done.stderr))
    return done.stdout.replace("\r", "")


def io(options, *words, blocks=2048, **more):
    """Random requests on an empty image; the host finds on it what the machine says."""
    path = image(0, "io.img")
    os.truncate(path, blocks * BLOCK)
    text = run(path + options, *words, **more)
    check("not ok" not in text, text)
    with open(path, "rb") as file:
        found = zlib.crc32(file.read())
    same("%08x" % found, re.search("# crc ([0-9a-f]{8})", text)[1], "checksum of the image")
    return text


def test_virtio():
    """virtio over PCI and memory-mapped, on one CPU and several, and in little memory"""
    for seed, words in enumerate(("", "--machine q35", "--machine pc --smp 2", "--machine q35 --smp 4", "--smp 2",
                                  "-m 4M", "-m 4M --machine q35")):
        has(io("", *words.split(), seed=seed + 2), "# blk, 2048 blocks", "entry")


def test_nvme():
    """NVM Express with sectors of 512 and 4096 bytes, on one CPU and several, and in little memory"""
    for seed, (options, words) in enumerate((("", ""), (",sector=4096", "--smp 2"), (",sector=4096", "-m 4M"),
                                             (",queues=1", "--smp 4"), ("", "--machine pc --smp 4"))):
        has(io(",driver=nvme" + options, *words.split(), seed=seed + 20), "# nvme, 2048 blocks", "entry")


def test_no_cache():
    """a disk without a cache, with sectors of 4096 bytes; flushes are answered"""
    io(",cache=writethrough,sector=4096", seed=40)
    io(",cache=writethrough,driver=nvme", seed=41)


def test_odd_size():
    """what does not fill a block is not there"""
    for driver in ("", ",driver=nvme"):
        path = image(0, "node.img")
        os.truncate(path, 100 * BLOCK + 1024)
        text = run("node:n" + driver, "--qemu-arg=-blockdev",
                   "--qemu-arg=driver=raw,node-name=n,file.driver=file,file.filename=" + path)
        has(text, " 100 blocks", "entry")
        check("not ok" not in text, text)


def test_four():
    """four disks at once, of both kinds, and a fifth device that finds no place"""
    path = image(0, "spare.img")
    os.truncate(path, 8 * BLOCK)
    extra = ["--disk=scratch:1M,driver=nvme", "--disk=scratch:1M", "--disk=scratch:1M,driver=nvme"]
    extra += ["--qemu-arg=-blockdev", "--qemu-arg=driver=file,node-name=n,filename=" + path,
              "--qemu-arg=-device", "--qemu-arg=virtio-blk-pci,drive=n,addr=1e.0"]
    text = io("", "--machine", "q35", *extra, seed=50)
    has(text, "disk at PCI 00:1e.0 is left out: there are too many devices", "message")


def results(text):
    """(read, write, flush) of each round."""
    return [tuple(int(n) for n in found) for found in
            re.findall("# read (-?[0-9]+) write (-?[0-9]+) flush (-?[0-9]+)", text)]


def failing(options, rules, *words):
    path = image(64)
    debug = os.path.join(work, "rules")
    with open(debug, "w", encoding="ascii") as file:
        file.write(rules)
    text = run("%s%s,blkdebug=%s" % (path, options, debug), *words, mode=1)
    check("not ok" not in text, text)
    return results(text), text


def rule(event, once, sector=None):
    return '[inject-error]\nevent = "%s"\niotype = "%s"\nerrno = "5"\nonce = "%s"\n%s' % (
        event, event.partition("_")[0], "on" if once else "off", 'sector = "%d"\n' % sector if sector is not None else "")


def test_failing():
    """reads, writes and flushes that fail once and for good end with an error, and nothing else happens"""
    for options in ("", ",driver=nvme"):
        same(failing(options, rule("read_aio", True, 16))[0][:4], [(0, 0, 0), (0, 0, 0), (EIO, 0, 0), (0, 0, 0)],
             "a read that fails once")
        same(failing(options, rule("write_aio", True, 24))[0][2:5], [(0, 0, 0), (0, EIO, 0), (0, 0, 0)],
             "a write that fails once")
        got, text = failing(options, rule("read_aio", False))
        same(got, [(EIO, 0, 0)] * 8, "no read works")
        has(text, "# failed 8", "counter")
        same(failing(options, rule("write_aio", False))[0], [(0, EIO, 0)] * 8, "no write works")
        got = failing(options, rule("flush_to_disk", True))[0]
        same(sum(f for r, w, f in got), EIO, "one flush fails")
        same(failing(options, rule("flush_to_disk", False))[0], [(0, 0, EIO)] * 8, "no flush works")
    with open(os.path.join(work, "disk.img"), "rb") as file:
        data = file.read()
    same(data[8 * BLOCK:64 * BLOCK], b"".join(b.to_bytes(8, "little") * 512 for b in range(8, 64)), "other blocks")


def test_slow():
    """a slow disk: everything ends, late"""
    io(",iops=400", "--machine", "q35", blocks=64, steps=300, seed=60)


def test_shares():
    """two rings on a slow NVM Express disk, 3:1, one of which floods (virtio: test/guest/disk_shares)"""
    text = run("scratch:8M,iops=200,driver=nvme", "--smp", "2", program="disk_shares")
    check("not ok" not in text, text)


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
