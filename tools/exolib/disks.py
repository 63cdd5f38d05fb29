# SPDX-License-Identifier: BSD-2-Clause
"""Disks of the machine: what --disk and the key `disk` say, and the emulator's words for them.

FILE[,OPTION...], commas in FILE doubled.  FILE is a raw image or a block device; scratch:SIZE
is an empty image that goes when the run ends; node:NAME is a block node that the caller makes
with --qemu-arg -blockdev.  Each disk is a chain of the emulator's block nodes: the file, then
the raw format, then what tests put between it and the device (errors, a log of writes, a
limit of the rate).  The disk has a write cache that FLUSH empties, and errors of the file are
reported to the machine, never waited for.
"""

import os
import re
import stat

from .util import ExoError, nearest_mend, parse_number, parse_size, parse_word, show_size

MAX_DISKS = 4
BLOCK = 4096
DRIVERS = ("virtio", "nvme")
CACHES = ("writeback", "writethrough")
SECTORS = ("512", "4096")
NODE = r"[A-Za-z][A-Za-z0-9_.-]{0,30}"


class Disk:
    """One disk, as it was asked for."""

    def __init__(self):
        self.file = self.scratch = self.node = None        # one of them is set
        self.driver, self.cache, self.sector = "virtio", "writeback", 512
        self.readonly = self.noflush = False
        self.iops = self.bps = self.queues = self.blkdebug = self.log = None

    def __str__(self):
        return self.file or self.node and "node:" + self.node or "scratch:" + show_size(self.scratch)


def _plain(text):
    return text


# option: how its value is read; None: it has none
OPTIONS = {
    "driver": lambda text: parse_word(text, DRIVERS, "driver"),
    "readonly": None,
    "cache": lambda text: parse_word(text, CACHES, "cache"),
    "noflush": None,
    "sector": lambda text: int(parse_word(text, SECTORS, "sector")),
    "queues": lambda text: parse_number(text, 1, 16, "a number of queues"),
    "iops": lambda text: parse_number(text, 1, 10 ** 9, "a number of requests in a second"),
    "bps": parse_size,
    "blkdebug": _plain,
    "log": _plain,
}


def _place(disk, word):
    kind, colon, rest = word.partition(":")
    if kind == "scratch" and colon:
        disk.scratch = parse_size(rest)
        if disk.scratch % BLOCK:
            raise ValueError("%s is not a multiple of %d bytes, which a block has" % (rest, BLOCK))
    elif kind == "node" and colon:
        if not re.fullmatch(NODE, rest, re.ASCII):
            raise ValueError("'%s' is not a block node's name" % rest)
        disk.node = rest
    else:
        disk.file = word


def parse_disk(text):
    """A Disk from FILE[,OPTION...]."""
    words = [word.replace("\0", ",") for word in text.replace(",,", "\0").split(",")]
    disk = Disk()
    if not words[0]:
        raise ValueError("'%s' names no file" % text)
    _place(disk, words[0])
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if name not in OPTIONS:
            raise ValueError("unknown option '%s' of a disk; %s" % (name, nearest_mend(name, OPTIONS)))
        read = OPTIONS[name]
        if (read is None) == bool(equals) or equals and not value:
            raise ValueError("option %s of a disk %s" % (name, "needs a value" if read else "has no value"))
        setattr(disk, name, read(value) if read else True)
    if disk.node and (disk.readonly or disk.noflush or disk.iops or disk.bps or disk.blkdebug or disk.log):
        raise ValueError("a block node has what is between file and disk already")
    return disk


def rebase(disk, folder):
    """File names of a configuration begin at its own directory."""
    for key in ("file", "blkdebug", "log"):
        if getattr(disk, key):
            setattr(disk, key, os.path.join(folder, getattr(disk, key)))


def check(disks):
    """Each image is there, and is one; or ExoError."""
    if len(disks) > MAX_DISKS:
        raise ExoError("disks", "%d are too many" % len(disks), "there may be %d" % MAX_DISKS)
    names = [os.path.realpath(disk.file) for disk in disks if disk.file]
    for disk in disks:
        if disk.file:
            _check_file(disk)
            if names.count(os.path.realpath(disk.file)) > 1 and not disk.readonly:
                raise ExoError("disk %s" % disk, "is given twice", "give it once, or readonly each time")
        if disk.blkdebug and not os.path.isfile(disk.blkdebug):
            raise ExoError("disk %s: blkdebug=%s" % (disk, disk.blkdebug), "there is no such file",
                           "write the emulator's error rules into it")


def _check_file(disk):
    what = "disk %s" % disk.file
    try:
        mode = os.stat(disk.file).st_mode
        with open(disk.file, "rb" if disk.readonly else "r+b") as file:
            magic = file.read(4)
            size = file.seek(0, os.SEEK_END)
    except FileNotFoundError:
        raise ExoError(what, "there is no such file", "make one with exo disk create, or write scratch:64M "
                       "for a disk that goes when the run ends") from None
    except IsADirectoryError:
        raise ExoError(what, "is a directory", "name an image") from None
    except OSError as error:
        raise ExoError(what, "cannot be %s: %s" % ("read" if disk.readonly else "written", error.strerror),
                       None if disk.readonly else "add ,readonly to read it only") from None
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        raise ExoError(what, "is neither a file nor a block device", "name an image")
    if magic == b"QFI\xfb":
        raise ExoError(what, "is an image of the format qcow2", "make it a plain one: qemu-img convert -O raw")
    if size == 0:
        raise ExoError(what, "is empty", "make it an image with exo disk create")
    if size % BLOCK:
        raise ExoError(what, "its size, %d bytes, is not a multiple of %d, which a block has" % (size, BLOCK),
                       "make it longer: truncate -s %%%d FILE" % BLOCK)


def prepare(disks, work):
    """Make what the run needs: empty images for scratch disks, files for logs of writes."""
    for number, disk in enumerate(disks):
        try:
            if disk.scratch:
                disk.file = work.file("disk%d.raw" % number)
                with open(disk.file, "wb") as file:
                    file.truncate(disk.scratch)
            if disk.log:
                with open(disk.log, "wb"):
                    pass
        except OSError as error:
            raise ExoError("disk %s" % disk, "cannot be made: %s" % error.strerror) from None


def _comma(text):
    return str(text).replace(",", ",,")


def _nodes(disk, name):
    """The chain of block nodes; returns words and the last node's name."""
    common = ",read-only=%s,cache.no-flush=%s" % ("on" if disk.readonly else "off",
                                                  "on" if disk.noflush or disk.scratch else "off")
    path = disk.file or "exo-scratch.raw"
    kind = "file"
    if os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode):
        kind = "host_device"
    chain = [("file", "driver=%s,filename=%s,discard=unmap" % (kind, _comma(path)))]
    words = []
    if disk.blkdebug:
        chain.append(("errors", "driver=blkdebug,image=%s,config=" + _comma(disk.blkdebug).replace("%", "%%")))
    chain.append(("raw", "driver=raw,file=%s,discard=unmap"))
    if disk.log:
        words += ["-blockdev", "driver=file,node-name=%s-log,filename=%s" % (name, _comma(disk.log))]
        chain.append(("logged", "driver=blklogwrites,file=%%s,log=%s-log,log-sector-size=512" % name))
    if disk.iops or disk.bps:
        limits = ",x-iops-total=%d" % disk.iops if disk.iops else ""
        limits += ",x-bps-total=%d" % disk.bps if disk.bps else ""
        words += ["-object", "throttle-group,id=%s-limit%s" % (name, limits)]
        chain.append(("slow", "driver=throttle,throttle-group=%s-limit,file=%%s" % name))
    last = None
    for suffix, text in chain:
        text = text % last if last else text
        last = "%s-%s" % (name, suffix)
        words += ["-blockdev", "node-name=%s,%s%s" % (last, text, common)]
    return words, last


def _device(disk, node, number, machine):
    if disk.driver == "nvme":
        return "nvme,serial=exo%d,drive=%s,logical_block_size=%d,physical_block_size=%d,write-cache=%s%s" % (
            number, node, disk.sector, disk.sector, "on" if disk.cache == "writeback" else "off",
            ",max_ioqpairs=%d,msix_qsize=%d" % (disk.queues, disk.queues + 1) if disk.queues else "")
    device = "virtio-blk-device" if machine == "microvm" else "virtio-blk-pci,disable-legacy=on"
    return "%s,drive=%s,write-cache=%s,rerror=report,werror=report,logical_block_size=%d,physical_block_size=%d%s" % (
        device, node, "on" if disk.cache == "writeback" else "off", disk.sector, disk.sector,
        ",num-queues=%d" % disk.queues if disk.queues else "")


def words(disks, machine):
    """The emulator's words for all disks."""
    result = []
    for number, disk in enumerate(disks):
        node = disk.node
        if not node:
            nodes, node = _nodes(disk, "disk%d" % number)
            result += nodes
        result += ["-device", _device(disk, node, number, machine)]
    return result


def explain(said, disks):
    """An error in the user's words, if what the emulator said at its end is about a disk; else None."""
    found = re.search(r"drive=disk([0-9])-[^\n]*: Failed to get [^\n]*lock", said)
    if found:
        return ExoError("disk %s" % disks[int(found[1])], "another program uses it: a run of exo, or a tool",
                        "end that one, or give each run an image of its own (or readonly to all)")
    return None
