# SPDX-License-Identifier: BSD-2-Clause
"""exo disk: images of disks and the extents on them.

An image is a sparse file with a partition table (GPT), so that other tools see what it is.
Extents are its partitions; each begins at a multiple of 1 MiB and has whole blocks of 4096
bytes.  Tables are read here (gpt.py) and changed by sfdisk; file systems are made by their
own tools in a file beside, and copied.  Nothing here needs root.
"""

import ctypes
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import uuid

from . import gpt, tree, util
from .gpt import ALIGN, BLOCK
from .options import Option, parse
from .util import ExoError, say, warn

CHUNK = 1 << 20
LEAST = 3 << 20                         # of an image: a table at each end, and one extent
MOST = ((1 << 32) - 1) * BLOCK
REST = "rest"
TOOLS = {"sfdisk": "fdisk", "mke2fs": "e2fsprogs", "e2fsck": "e2fsprogs"}      # command: Debian's package
PROGRESS_BYTES = 64 << 20


def _label(text):
    if not util.plain_name(text) or len(text) > gpt.MAX_LABEL:
        raise ValueError("'%s' is not a label: letters, digits, . _ + -, at most %d" % (text, gpt.MAX_LABEL))
    return text


def _size(text):
    if text == REST:
        return text
    size = util.parse_size(text)
    if size % BLOCK:
        raise ValueError("'%s' is not a multiple of %d bytes, a block" % (text, BLOCK))
    return size


def _type(text):
    if text in gpt.TYPES:
        return gpt.TYPES[text]
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError("unknown type '%s'; it is a UUID, or %s" % (text, util.nearest_mend(
            text, gpt.TYPES).replace("the nearest known one is", "nearest"))) from None


def _extent(text):
    """LABEL:SIZE[:TYPE] as a triple."""
    label, colon, rest = text.partition(":")
    size, more, kind = rest.partition(":")
    if not colon:
        raise ValueError("'%s' is not LABEL:SIZE[:TYPE]; write for example data:64M" % text)
    return _label(label), _size(size), _type(kind if more else "linux")


def _text(text):
    if not text:
        raise ValueError("the value is empty")
    return text


HELP = Option("-h --help", None, None, "this page")
OPTIONS = [
    Option("--label", "LABEL:SIZE[:TYPE]", _extent, "create: an extent; SIZE may be rest, TYPE is linux (default),\n"
           "cofs or a UUID", many=True),
    Option("--type", "TYPE", _type, "add: linux (default), cofs or a UUID"),
    Option("--ext2", "DIR", _text, "import: a file system ext2 with the files of DIR"),
    Option("--cofs", "DIR", _text, "import: a file system cofs with the files of DIR"),
    Option("--common", "DIR", _text, "import: a file system common with the files of DIR, to be had in common"),
    Option("-f --force", None, None, "create, export: write over a file that is there"),
    Option("--files", None, None, "export: the files of the file system, into a directory"),
    Option("--live", None, None, "import: also while a machine has the disk; it must not use the extent\n"
           "meanwhile, and reads it anew afterwards"),
    Option("--repair", None, None, "check: put a damaged copy of the table back"),
    Option("-q --quiet", None, None, "no messages but errors"),
    HELP,
]


# --- files

def _tool(name):
    """A tool's path: they lie in sbin, which is not on everybody's PATH."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise ExoError(name, "is not installed", "install it (apt-get install %s, or ./bootstrap)" % TOOLS[name])
    return path


def _call(words, what, mend, text=None):
    """Run a tool; its last line tells what was wrong."""
    done = subprocess.run(words, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          encoding="utf-8", errors="replace", env=dict(os.environ, LC_ALL="C"))
    if done.returncode:
        lines = [line for line in done.stdout.strip().splitlines() if line] or ["it says nothing"]
        raise ExoError(what, "%s failed: %s" % (os.path.basename(words[0]), lines[-1]), mend)


def _open(path, write=False, live=False):
    """An image, opened; when it is to be written no machine may have it, but for an extent that is said to be at rest."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            raise ExoError(path, "is no file", "name a disk image")
        file = open(path, "r+b" if write else "rb")
    except FileNotFoundError:
        raise ExoError(path, "there is no such file", "make it with exo disk create") from None
    except OSError as error:
        raise ExoError(path, "cannot be %s: %s" % ("written" if write else "read", error.strerror)) from None
    if write and not live:
        try:                                    # the emulator locks some of the bytes from 100 on
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 200, 100)
        except OSError:
            file.close()
            raise ExoError(path, "is in use by a machine", "end that first; exo disk import has --live") from None
    return file


def _table(file, path):
    table = gpt.read(file, path)
    for fault in table.faults:
        warn("%s: %s; exo disk check --repair %s puts it right" % (path, fault, path))
    return table


def _find(table, path, label):
    extent = table.find(label)
    if not extent:
        labels = [e.label for e in table.extents]
        raise ExoError("extent %s" % label, "%s has none of this label" % path,
                       util.nearest_mend(label, labels) if labels else "add it with exo disk add")
    return extent


def _sfdisk(path, words, script, what):
    """The path is free of a leading dash; the table's own place is not wiped for others."""
    _call([_tool("sfdisk"), "--quiet", "--no-reread", "--no-tell-kernel", "--wipe", "never", "--wipe-partitions",
           "never"] + words, what, "see exo help disk", script)


def _plain(path):
    return "./" + path if path.startswith("-") else path


class Progress:
    """A line on a terminal that says how far a long copy is."""

    def __init__(self, what, total, quiet):
        self.what, self.total, self.percent = what, total, -1
        self.on = not quiet and total >= PROGRESS_BYTES and sys.stderr.isatty()

    def at(self, done):
        percent = done * 100 // self.total
        if self.on and percent != self.percent:
            self.percent = percent
            sys.stderr.write("\r%s: %d%%" % (self.what, percent) + ("\r\033[K" if done >= self.total else ""))
            sys.stderr.flush()


def _holes(file, start, end):
    """Chunks of a file that may have data: (offset, bytes)."""
    at = start
    while at < end:
        try:
            at = max(at, os.lseek(file.fileno(), at, os.SEEK_DATA))
            stop = min(end, os.lseek(file.fileno(), at, os.SEEK_HOLE))
        except OSError:
            if at == start and not os.fstat(file.fileno()).st_size:
                return
            try:
                os.lseek(file.fileno(), 0, os.SEEK_HOLE)
                return                          # holes are known here, and there is no data any more
            except OSError:
                stop = end
        while at < min(stop, end):
            step = min(CHUNK, stop - at)
            yield at, step
            at += step


def _clear(file, start, end):
    """Make a range of the image zeroes, as a hole where the system can."""
    if end <= start:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    punch = getattr(libc, "fallocate64", None)
    if punch and not punch(file.fileno(), 3, ctypes.c_int64(start), ctypes.c_int64(end - start)):
        return                                  # 3: PUNCH_HOLE | KEEP_SIZE
    for at, step in _holes(file, start, end):
        os.pwrite(file.fileno(), bytes(step), at)


def _copy(source, start, target, to, count, progress):
    """Bytes from file to file; what is zero there becomes or stays a hole."""
    for at, step in _holes(source, start, start + count):
        data = os.pread(source.fileno(), step, at)
        for piece in range(0, len(data), 65536):
            part = data[piece:piece + 65536]
            if part.count(0) != len(part):
                left = memoryview(part)
                place = to + at - start + piece
                while left:
                    done = os.pwrite(target.fileno(), left, place)
                    place, left = place + done, left[done:]
        progress.at(at + step - start)
    progress.at(count)


# --- what the words after `exo disk` do

def _places(table, wanted):
    """Where extents go: each first run with room. Yields (label, start, bytes, type)."""
    runs = table.free()
    for label, size, kind in wanted:
        if not runs:
            raise ExoError("extent %s" % label, "the disk is full", "make the image larger, or remove an extent")
        run = max(runs, key=lambda r: r[1]) if size == REST else next((r for r in runs if r[1] >= size), None)
        if run is None:
            raise ExoError("extent %s" % label, "%s do not fit: the longest free run has %s" % (
                util.show_size(size), util.show_size(max(r[1] for r in runs))), "make it smaller, or write rest")
        bytes_ = run[1] if size == REST else size
        yield label, run[0], bytes_, kind
        runs.remove(run)
        start = (run[0] + bytes_ + ALIGN - 1) // ALIGN * ALIGN
        if start < run[0] + run[1]:
            runs.append((start, run[0] + run[1] - start))
            runs.sort()


def _lines(places, sector):
    return "".join('start=%d, size=%d, type=%s, name="%s"\n' % (start // sector, size // sector, kind, label)
                   for label, start, size, kind in places)


def create(values, path, text):
    try:
        size = _size(text)
    except ValueError as error:
        raise ExoError("size", str(error)) from None
    if size == REST or not LEAST <= size <= MOST:
        raise ExoError("size %s" % text, "an image has %s to less than 16T" % util.show_size(LEAST),
                       "write for example 256M")
    labels = [label for label, unused, unused_ in values.label]
    for label in labels:
        if labels.count(label) > 1:
            raise ExoError("extent %s" % label, "is named twice", "give each its own label")
    if len(labels) > gpt.MAX_ENTRIES:
        raise ExoError("--label", "%d extents are too many" % len(labels), "there may be %d" % gpt.MAX_ENTRIES)
    if os.path.lexists(path) and not values.force:
        raise ExoError(path, "is there already", "choose another name, or give --force to write over it")
    sfdisk = _tool("sfdisk")
    folder = os.path.dirname(path) or "."
    try:
        handle, work = tempfile.mkstemp(prefix=".exo-disk-", dir=folder)
    except OSError as error:
        raise ExoError(path, "cannot be made: %s" % error.strerror) from None
    try:
        with open(handle, "r+b") as file:
            file.truncate(size)
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            _call([sfdisk, "--quiet", "--no-reread", "--no-tell-kernel", work], path, None, "label: gpt\nunit: sectors\n")
            table = gpt.read(file, path)
            places = list(_places(table, values.label))
        if places:
            _sfdisk(work, ["--append", work], _lines(places, table.sector), path)
        os.replace(work, path)
    except OSError as error:
        raise ExoError(path, "cannot be made: %s" % error.strerror) from None
    finally:
        if os.path.exists(work):
            os.unlink(work)
    if not values.quiet:
        say("%s: %s, %d extent%s" % (path, util.show_size(size), len(places), "" if len(places) == 1 else "s"))
    return 0


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def list_(values, path):
    with _open(path) as file:
        table = _table(file, path)
    rows = [("LABEL", "SIZE", "BLOCK", "BLOCKS", "TYPE", "UUID")]
    for e in sorted(table.extents, key=lambda e: e.start):
        rows.append((e.label, util.show_size(e.bytes), str(e.start // BLOCK) if e.usable() else "-",
                     str(e.bytes // BLOCK) if e.usable() else "-", e.type_name(), e.uuid))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("  ".join(text.rjust(width) if i in (1, 2, 3) else text.ljust(width)
                        for i, (text, width) in enumerate(zip(row, widths + [0]))).rstrip())
    return 0


def add(values, path, label, size):
    try:
        label, size = _label(label), _size(size)
    except ValueError as error:
        raise ExoError("extent %s" % label, str(error)) from None
    with _open(path, True) as file:
        table = _table(file, path)
        if table.find(label):
            raise ExoError("extent %s" % label, "%s has one of this label already" % path, "choose another")
        if len(table.extents) >= table.count:
            raise ExoError(path, "its table of %d extents is full" % table.count, "remove one first")
        places = list(_places(table, [(label, size, values.type or gpt.TYPES["linux"])]))
        _clear(file, places[0][1], places[0][1] + places[0][2])
    _sfdisk(path, ["--append", _plain(path)], _lines(places, table.sector), path)
    if not values.quiet:
        say("%s: extent %s, %s" % (path, label, util.show_size(places[0][2])))
    return 0


def remove(values, path, label):
    with _open(path, True) as file:
        extent = _find(_table(file, path), path, label)
    _sfdisk(path, ["--delete", _plain(path), str(extent.number + 1)], None, path)
    if not values.quiet:
        say("%s: extent %s is gone" % (path, label))
    return 0


def _make_ext2(folder, extent, work):
    """A file system of the extent's size with a directory's files."""
    files = sum(len(folders) + len(names) for unused, folders, names in os.walk(folder))
    inodes = max(files + 32, extent.bytes >> 14)
    with open(work, "wb") as file:
        file.truncate(extent.bytes)
    _call([_tool("mke2fs"), "-q", "-F", "-t", "ext2", "-b", str(BLOCK), "-N", str(inodes), "-L", extent.label[:16],
           "-E", "root_owner=0:0", "-d", folder, work, str(extent.bytes // BLOCK)], "--ext2 %s" % folder,
          "is the extent of %s large enough?" % util.show_size(extent.bytes))


def _make_own(kind):
    def make(folder, extent, work):
        with open(work, "wb") as file:
            file.truncate(extent.bytes)
        _call([tree.find().host_tool("exo-fs"), "make", kind, work, extent.label, folder], "--%s %s" % (kind, folder),
              "is the extent of %s large enough?" % util.show_size(extent.bytes))
    return make


def _kind(file, extent):
    """The file system on an extent, by what it begins with."""
    head = os.pread(file.fileno(), 2048, extent.start)
    if extent.bytes > 2048 and head[1080:1082] == b"\x53\xef":
        return "ext2"
    if head[:4] == b"comn":
        return "common"
    return "cofs" if extent.type == gpt.TYPES["cofs"] or head[:8] == b"co-exfs1" else None


def _beside(file, extent):
    """The extent's contents in a file of their own, which the caller removes."""
    handle, work = tempfile.mkstemp(prefix="exo-disk-")
    with open(handle, "wb") as out:
        out.truncate(extent.bytes)
        _copy(file, extent.start, out, 0, extent.bytes, Progress(extent.label, extent.bytes, True))
    return work


def import_(values, path, label, source=None):
    makers = [(folder, maker) for folder, maker in ((values.ext2, _make_ext2), (values.cofs, _make_own("cofs")),
                                                   (values.common, _make_own("common"))) if folder]
    if len(makers) + (source is not None) != 1:
        raise ExoError("exo disk import", "takes one source", "name a file, or give --ext2 DIR, --cofs DIR or --common DIR")
    with _open(path, True, values.live) as file:
        extent = _find(_table(file, path), path, label)
        work = None
        try:
            if makers:
                folder, maker = makers[0]
                if not os.path.isdir(folder):
                    raise ExoError(folder, "is no directory", "name one whose files the file system shall have")
                handle, work = tempfile.mkstemp(prefix="exo-disk-")
                os.close(handle)
                maker(folder, extent, work)
            with _source(work or source) as data:
                size = os.fstat(data.fileno()).st_size
                if size > extent.bytes:
                    raise ExoError(source, "has %s, extent %s has %s" % (
                        util.show_size(size), label, util.show_size(extent.bytes)), "make the extent larger")
                _clear(file, extent.start, extent.end)
                _copy(data, 0, file, extent.start, size, Progress(label, max(size, 1), values.quiet))
                os.fsync(file.fileno())
        except OSError as error:
            raise ExoError(path, "cannot be written: %s" % error.strerror) from None
        finally:
            if work:
                os.unlink(work)
    if not values.quiet:
        say("%s: extent %s holds %s" % (path, label, makers[0][0] if makers else source))
    return 0


def _source(path):
    if os.path.exists(path) and not os.path.isfile(path):
        raise ExoError(path, "is no file", "name an image; for a directory's files give --ext2, --cofs or --common")
    try:
        return open(path, "rb")
    except OSError as error:
        raise ExoError(path, "cannot be read: %s" % error.strerror, "name the file to import") from None


def _export_files(file, path, extent, target):
    """The files of an extent's file system, into a directory that is made."""
    kind = _kind(file, extent)
    if not kind:
        raise ExoError("extent %s" % extent.label, "%s has no file system there that is known here" % path,
                       "leave out --files")
    if os.path.lexists(target):
        raise ExoError(target, "is there already", "choose another name")
    work = _beside(file, extent)
    try:
        _call([tree.find().host_tool("exo-fs"), "extract", kind, work, target], "extent %s" % extent.label,
              "see exo disk check %s %s" % (path, extent.label))
    finally:
        os.unlink(work)


def export(values, path, label, target):
    with _open(path) as file:
        extent = _find(_table(file, path), path, label)
        if values.files:
            _export_files(file, path, extent, target)
            if not values.quiet:
                say("%s: the files of extent %s" % (target, label))
            return 0
        if os.path.lexists(target) and not values.force:
            raise ExoError(target, "is there already", "choose another name, or give --force to write over it")
        try:
            if os.path.exists(target) and os.path.samefile(target, path):
                raise ExoError(target, "is the image itself", "choose another name")
            with open(target, "wb") as out:
                out.truncate(extent.bytes)
                _copy(file, extent.start, out, 0, extent.bytes, Progress(label, extent.bytes, values.quiet))
        except OSError as error:
            raise ExoError(target, "cannot be written: %s" % error.strerror) from None
    if not values.quiet:
        say("%s: %s of extent %s" % (target, util.show_size(extent.bytes), label))
    return 0


def _check_files(path, label):
    """The file system on an extent, by its own checker."""
    with _open(path) as file:
        extent = _find(_table(file, path), path, label)
        kind = _kind(file, extent)
        if not kind:
            raise ExoError("extent %s" % label, "%s has no file system there that is known here" % path,
                           "leave the label out to check the table")
        work = _beside(file, extent)
    try:
        words = [tree.find().host_tool("exo-fs"), "check", kind, work] if kind != "ext2" else [_tool("e2fsck"), "-f", "-n", work]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, encoding="utf-8",
                              errors="replace", env=dict(os.environ, LC_ALL="C"))
    finally:
        os.unlink(work)
    for line in done.stdout.strip().splitlines():
        say("%s: %s" % (label, line.replace(work, kind)))
    return 1 if done.returncode else 0


def check(values, path, label=None):
    if label is not None:
        if values.repair:
            raise ExoError("option --repair", "is for the table only", "leave it out")
        return _check_files(path, label)
    with _open(path, values.repair) as file:
        table = gpt.read(file, path)
        faults = list(table.faults)
        if values.repair and table.damaged is not None:
            gpt.repair(file, table)
            table = gpt.read(file, path)
            for fault in faults:
                say("%s: put right: %s" % (path, fault))
            faults = list(table.faults)
    if table.size % BLOCK:
        faults.append("the image is not a multiple of %d bytes; what is beyond is not used" % BLOCK)
    labels = [e.label for e in table.extents]
    for e in table.extents:
        if not e.usable():
            faults.append("extent %s does not begin and end at a block of %d bytes; it cannot be used" % (e.label, BLOCK))
        if labels.count(e.label) > 1:
            faults.append("extent %s: %d extents have this label; name it by its UUID, %s" % (
                e.label, labels.count(e.label), e.uuid))
    for fault in faults:
        say("%s: %s" % (path, fault))
    if not faults and not values.quiet:
        say("%s: both copies of the table are whole; %d extent%s" % (path, len(table.extents), "" if len(table.extents) == 1 else "s"))
    return 1 if faults else 0


# what: (function, its arguments, options)
WHAT = {
    "create": (create, "FILE SIZE", {"label", "force"}),
    "list": (list_, "FILE", set()),
    "add": (add, "FILE LABEL SIZE", {"type"}),
    "remove": (remove, "FILE LABEL", set()),
    "import": (import_, "FILE LABEL [SOURCE]", {"ext2", "cofs", "common", "live"}),
    "export": (export, "FILE LABEL TARGET", {"force", "files"}),
    "check": (check, "FILE [LABEL]", {"repair"}),
}


def verb(words):
    """Returns the exit status, or None for the help page."""
    values = parse("disk", OPTIONS, words)
    if values.help:
        return None
    if not values.words:
        raise ExoError("exo disk", "does one of: %s" % ", ".join(WHAT), "see exo help disk")
    what = values.words[0]
    if what not in WHAT:
        raise ExoError("exo disk %s" % what, "there is no such thing to do", util.nearest_mend(what, WHAT))
    function, arguments, known = WHAT[what]
    for option in OPTIONS:
        if option.key not in known | {"quiet", "help"} and getattr(values, option.key):
            raise ExoError("option --%s" % option.key, "is not for exo disk %s" % what, "see exo help disk")
    names = arguments.split()
    least = len([name for name in names if not name.startswith("[")])
    if not least <= len(values.words) - 1 <= len(names):
        raise ExoError("exo disk %s" % what, "takes %s" % arguments, "see exo help disk")
    return function(values, *values.words[1:])
