# SPDX-License-Identifier: BSD-2-Clause
"""Composing the boot module: the first program and, behind it, the boot archive.

The kernel gets one module.  It is apps/init's ELF image, filled up with zero bytes to
whole 4096-byte pages, then a ustar archive: etc/exo.conf, bin/NAME.LIBOS, and the
volumes' files.  The archive depends on its input only: entries are sorted, owners are
left out, times are the files' own; a name too long for ustar takes GNU's form.  Files are
streamed, so a volume may be larger than this computer's memory.

A symbolic link in a volume is followed if its target lies inside the same volume, and
is reported and left out otherwise; so are devices, sockets and pipes.
"""

import io
import os
import stat
import sys
import tarfile
import time

from . import config as conf
from . import elf
from .util import ExoError, nearest_mend, paint, plain_name, warn

PAGE = 4096
TEXT_MAX = 16384                # bytes of etc/exo.conf that the first program reads (apps/init)
PROCESS = "posix"               # the libOS of those that are processes of a keeper


class Progress:
    """Tells a person at a terminal that long work goes on; silent for half a second, and elsewhere."""

    def __init__(self, what):
        self.what, self.start, self.shown, self.done = what, time.monotonic(), 0.0, 0
        self.on = sys.stderr.isatty()

    def add(self, count):
        self.done += count
        now = time.monotonic()
        if self.on and now - self.start > 0.5 and now - self.shown > 0.1:
            self.shown = now
            sys.stderr.write("\r%s%s: %d MiB\033[K" % (paint("exo: ", "1"), self.what, self.done >> 20))
            sys.stderr.flush()

    def end(self):
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class _Counted:
    """A file that reports what is read from it."""

    def __init__(self, file, progress):
        self.file, self.progress = file, progress

    def read(self, size):
        data = self.file.read(size)
        self.progress.add(len(data))
        return data


def read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ExoError(path, "cannot be read: %s" % error.strerror) from None


class Volume:
    """The entries of one host directory, by their path in the archive."""

    def __init__(self, host, guest):
        self.host, self.guest = host, guest.strip("/")
        self.root = os.path.realpath(host)
        self.entries = {}

    def scan(self):
        if not os.path.isdir(self.host):
            reason = "is not a directory" if os.path.lexists(self.host) else "there is no such directory"
            raise ExoError("volume %s" % self.host, reason, "name a directory: -v DIR or -v DIR:/GUESTPATH")
        if self.guest:
            self.entries[self.guest] = self.host
        self._scan_dir(self.host, self.guest, [self.root])
        return self.entries

    def _scan_dir(self, host, guest, above):
        try:
            with os.scandir(host) as found:
                names = sorted(entry.name for entry in found)
        except OSError as error:
            raise ExoError(host, "cannot be read: %s" % error.strerror, "make it readable") from None
        for name in names:
            self._scan_entry(os.path.join(host, name), guest + "/" + name if guest else name, above)

    def _scan_entry(self, path, guest, above):
        real = path
        if os.path.islink(path):
            real = os.path.realpath(path)
            if real != self.root and not real.startswith(self.root.rstrip("/") + "/"):
                return warn("%s: left out: the link leads out of the volume" % path)
            if not os.path.exists(real):
                return warn("%s: left out: the link leads nowhere" % path)
            if real in above or any(up.startswith(real + "/") for up in above):
                return warn("%s: left out: the link leads to a directory that it lies in" % path)
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            raise ExoError(path, "cannot be read: %s" % error.strerror, "make it readable") from None
        if stat.S_ISDIR(mode):
            self.entries[guest] = path
            self._scan_dir(path, guest, above + [os.path.realpath(real)])
        elif stat.S_ISREG(mode):
            self.entries[guest] = path
        else:
            warn("%s: left out: it is neither a file nor a directory" % path)
        return None


class Module:
    """A boot module to be written: what it consists of, and how large it will be."""

    def __init__(self, init, config_text):
        self.init = elf.slim(read_file(init))
        self.written = {}               # (device, inode) of a file: the name it has in the archive
        text = config_text.encode("utf-8", "surrogateescape")
        if len(text) >= TEXT_MAX:
            raise ExoError("configuration", "programs, arguments and rights come to %d bytes; %d are the most" % (
                len(text), TEXT_MAX - 1), "shorter arguments, or a file of them in a volume")
        self.programs = {}              # name in the archive: the file that a program comes from
        self.files = {"etc": None, "bin": None, "etc/exo.conf": text}
        elf.check(init, "the first program")

    def add_program(self, name, path):
        elf.check(path, "the program")
        self.files["bin/" + name] = elf.slim(read_file(path))
        self.programs["bin/" + name] = path

    def add_process(self, name, path):
        """A program that runs as a process, under its own name."""
        self.add_program(name, path)

    def add_volume(self, host, guest):
        for path, source in Volume(host, guest).scan().items():
            old = self.files.get(path, self)
            if path in self.programs and os.path.samefile(self.programs[path], source):
                continue
            if old is not self and not (old is None or os.path.isdir(source)):
                raise ExoError("/" + path, "comes from two places (%s is one)" % source,
                               "give the volumes different guest paths")
            if old is self:
                self.files[path] = source
        self._add_parents()

    def _add_parents(self):
        for path in list(self.files):
            while "/" in path:
                path = path.rpartition("/")[0]
                self.files.setdefault(path, None)

    def size(self):
        """Bytes of the module, near enough to check it against the guest's memory."""
        total, seen = (len(self.init) + PAGE - 1) // PAGE * PAGE + tarfile.RECORDSIZE, set()
        for source in self.files.values():
            length = 0
            if isinstance(source, bytes):
                length = len(source)
            elif source is not None and not os.path.isdir(source):
                state = os.stat(source)
                length = 0 if (state.st_dev, state.st_ino) in seen else state.st_size
                seen.add((state.st_dev, state.st_ino))
            total += 512 + (length + 511) // 512 * 512
        return total

    def write(self, path):
        """Write the module; returns its size. A file with several names is there once."""
        self.written = {}
        progress = Progress("packing files")
        try:
            with open(path, "wb") as out:
                out.write(self.init + bytes(-len(self.init) % PAGE))
                with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT, encoding="utf-8",
                                  errors="surrogateescape") as archive:
                    for name in sorted(self.files, key=lambda n: os.fsencode(n).split(b"/")):
                        self._write_entry(archive, name, self.files[name], progress)
                return out.tell()
        except OSError as error:
            raise ExoError(path, "cannot be written: %s" % error.strerror,
                           "free some room, or set TMPDIR") from None
        finally:
            progress.end()

    def _write_entry(self, archive, name, source, progress):
        info = tarfile.TarInfo(name)
        data = None
        if source is None:
            info.type, info.mode = tarfile.DIRTYPE, 0o755
        elif isinstance(source, bytes):
            info.size, data = len(source), io.BytesIO(source)
            info.mode = 0o755 if name.startswith("bin/") else 0o644
        else:
            try:
                state = os.stat(source)
                same = self.written.get((state.st_dev, state.st_ino))
                if stat.S_ISDIR(state.st_mode):
                    info.type = tarfile.DIRTYPE
                elif same:
                    info.type, info.linkname = tarfile.LNKTYPE, same
                else:
                    self.written[state.st_dev, state.st_ino] = name
                    data = open(source, "rb")
                    info.size = os.fstat(data.fileno()).st_size
            except OSError as error:
                raise ExoError(source, "cannot be read: %s" % error.strerror,
                               "make it readable, or leave it out") from None
            info.mode, info.mtime = stat.S_IMODE(state.st_mode), int(state.st_mtime)
        if name.startswith("bin/") and data is not None:
            _align(archive)
        archive.format = _format_for(info)
        try:
            if data is None:
                archive.addfile(info)
            else:
                with data:
                    archive.addfile(info, _Counted(data, progress))
        except OSError as error:
            if error.errno is None:             # tarfile's word for a file that ended early
                raise ExoError(str(source), "became shorter while it was read", "try again") from None
            raise


def _align(archive):
    """Let the next entry's data begin on a page, so that a program's text can be used where it lies: a pax record
    that is only a comment fills the room before its header."""
    room = -(archive.offset + 512) % PAGE
    if room:
        fill = room - 512 or PAGE
        pad = tarfile.TarInfo("././@PaxHeader")
        pad.type, pad.size = b"x", fill
        archive.addfile(pad, io.BytesIO(b"%d comment=%s\n" % (fill, b" " * (fill - len("%d comment=\n" % fill)))))


def _format_for(info):
    """ustar, or GNU's form of it for a name that ustar has no room for."""
    try:
        info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")
        return tarfile.USTAR_FORMAT
    except ValueError:
        return tarfile.GNU_FORMAT


def compose(tree, programs, volumes, typed=True):
    """The module for program sections (their images are found here) and (host, guest) volumes; is the input typed?"""
    taken = {}
    for program in programs:
        libos = program.get("libos") or libos_of(program.get("image") or program.name, tree)
        path, name = locate(tree, program.get("image") or program.name, libos)
        if taken.setdefault((name, libos), path) != path:
            raise ExoError("program %s" % program.name, "%s and %s would have one name, bin/%s.%s" % (
                path, taken[name, libos], name, libos), "rename one of the files")
        program.values["image"], program.values["libos"] = name, libos
        program.path = path
    processes = [(p.get("image"), p.path) for p in programs if p.get("libos") == PROCESS]
    for program in programs:
        program.processes = [(name, path) for name, path in processes if program.get("libos") == PROCESS]
        keep(tree, program, typed)
    module = Module(tree.init(), conf.dump(programs))
    for name, path in processes:
        module.add_process(name, path)
    for program in programs:
        module.add_program("%s.%s" % (program.get("image"), program.get("libos")), program.path)
    for host, guest in volumes:
        module.add_volume(host, guest)
    return module


def libos_of(image, tree):
    """The libOS of a program that is named without: what its file says, or which there is one for."""
    if os.path.isfile(image):
        suffix = image.rpartition(".")[2]
        return PROCESS if elf.is_process(image) else suffix if suffix in tree.libos_names() else "uni"
    known = {libos for name, libos in tree.programs() if name == image}
    return next((libos for libos in ("uni", PROCESS, *sorted(known)) if libos in known), "uni")


def keep(tree, program, typed):
    """A program of the libOS posix is the first process of a keeper: that is what the machine starts."""
    if program.get("libos") != PROCESS:
        return
    program.values["args"] = ([] if typed and program.get("input", True) else ["--input=plain"]) + ["/bin/" + program.get("image")] + (
        program.get("args") or [])
    program.values["image"], program.values["libos"] = "keeper", "uni"
    program.values.setdefault("files", "/")
    program.path = tree.find_program("keeper", "uni")


def locate(tree, image, libos):
    """A program's file and its name in the archive: a file that is named wins over a program of the tree."""
    known = tree.libos_names()
    if libos not in known:
        raise ExoError("libOS %s" % libos, "there is none of this name", nearest_mend(libos, known))
    for path in (image, "%s.%s" % (image, libos)):
        if os.path.isfile(path):
            stem = os.path.basename(path)
            if stem.endswith("." + libos):
                stem = stem[:-len(libos) - 1]
            if not plain_name(stem):
                raise ExoError(path, "its name cannot stand in the configuration",
                               "rename it: letters, digits, . _ + -")
            return path, stem
    if "/" in image:
        raise ExoError("program %s" % image, "there is no such file",
                       "link one with exo-cc, or name a known program")
    return tree.find_program(image, libos), image
