# SPDX-License-Identifier: BSD-2-Clause
"""Partition tables (GPT) of disk images: reading them, and what is wrong with them.

The table stands twice, at the image's beginning and at its end, each copy with checksums.
A copy that is whole is believed, the first one before the second, unless its entries
contradict each other; libos/disk/gpt.c, which reads them in the machine, decides the same.
Changes are made by sfdisk, but for putting a damaged copy back, which is copying.
"""

import os
import struct
import uuid
import zlib

from .util import ExoError

BLOCK = 4096
ALIGN = 1 << 20
ENTRY = 128
MAX_ENTRIES = 128
MAX_LABEL = 36
HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
ENTRIES = struct.Struct("<16s16sQQQ72s")
SECTORS = (512, 4096)
TYPES = {"linux": "0fc63daf-8483-4772-8e79-3d69d8477de4", "cofs": "7c0f5a1e-64e3-4f0b-9d52-c0f5e70cb10c"}


class Damage(Exception):
    """Why a copy is not believed."""


class Extent:
    """One entry: where it lies, in bytes, and what it is called."""

    def __init__(self, number, raw, sector):
        kind, own, first, last, self.attributes, name = ENTRIES.unpack(raw)
        self.number = number
        self.type, self.uuid = str(uuid.UUID(bytes_le=kind)), str(uuid.UUID(bytes_le=own))
        self.start, self.end = first * sector, (last + 1) * sector
        self.label = name.decode("utf-16-le", "replace").partition("\0")[0]

    bytes = property(lambda self: self.end - self.start)

    def type_name(self):
        return next((word for word, text in TYPES.items() if text == self.type), self.type)

    def usable(self):
        return self.start % BLOCK == 0 and self.end % BLOCK == 0


class Table:
    """A table as one copy says it; `faults` is what is wrong with the image beyond that."""

    def __init__(self, header, entries, sector):
        (self.at, self.other, first, last, disk, self.entries_at, self.count) = (
            header[5], header[6], header[7], header[8], header[9], header[10], header[11])
        self.sector, self.raw = sector, entries
        self.start, self.end = first * sector, (last + 1) * sector
        self.uuid = str(uuid.UUID(bytes_le=disk))
        self.faults = []
        used = [n for n in range(self.count) if any(entries[n * ENTRY:n * ENTRY + 16])]
        self.extents = [Extent(n, entries[n * ENTRY:(n + 1) * ENTRY], sector) for n in used]

    def find(self, label):
        """The extent of a label or UUID; None: there is none."""
        found = [e for e in self.extents if e.uuid == label.lower()] or [e for e in self.extents if e.label == label]
        if len(found) > 1:
            raise ExoError("extent %s" % label, "%d extents have this label" % len(found),
                           "name it by its UUID: %s" % ", ".join(e.uuid for e in found))
        return found[0] if found else None

    def free(self):
        """Runs that are free, as (start, bytes), from an aligned start on."""
        at, runs = self.start, []
        for extent in sorted(self.extents, key=lambda e: e.start) + [None]:
            start = (at + ALIGN - 1) // ALIGN * ALIGN
            end = (extent.start if extent else self.end) // BLOCK * BLOCK
            if end > start:
                runs.append((start, end - start))
            at = extent.end if extent else at
        return runs

    def contradiction(self, size):
        """What cannot be among the entries, or None."""
        extents = sorted(self.extents, key=lambda e: e.start)
        for extent in extents:
            if extent.end <= extent.start:
                return "extent %s ends before it begins" % extent.label
            if extent.start < self.start or extent.end > self.end or extent.end > size:
                return "extent %s lies outside the disk's usable part" % extent.label
        for one, two in zip(extents, extents[1:]):
            if two.start < one.end:
                return "extents %s and %s overlap" % (one.label, two.label)
        return None


def _copy(file, size, at, sector, second):
    """The table of one copy; Damage if it is not whole."""
    file.seek(max(at, 0) * sector)
    raw = file.read(sector) if 0 < at < size // sector else b""
    if raw[:8] != b"EFI PART":
        raise Damage("is not there")
    header = HEADER.unpack_from(raw)
    length, total, place = header[2], header[3], header[5]
    if not 92 <= length <= sector or place != at or zlib.crc32(raw[:16] + bytes(4) + raw[20:length]) != total:
        raise Damage("is damaged (header)")
    first, last, entries_at, count, entry = header[7], header[8], header[10], header[11], header[12]
    if header[1] >> 16 != 1 or entry != ENTRY or not 0 < count <= MAX_ENTRIES:
        raise Damage("has a shape that is not known here")
    span = -(-count * ENTRY // sector)
    if not first <= last < size // sector or (
            entries_at <= at or entries_at + span > first or header[6] <= last if not second else
            entries_at <= last or entries_at + span > at or header[6] >= first):
        raise Damage("says what cannot be")
    file.seek(entries_at * sector)
    raw = file.read(count * ENTRY)
    if zlib.crc32(raw) != header[13]:
        raise Damage("is damaged (entries)")
    return Table(header, raw, sector)


def _both(file, size, sector):
    """The copy that is believed, with what is wrong with the other; Damage: neither is whole."""
    last = size // sector - 1
    try:
        table = _copy(file, size, 1, sector, False)
    except Damage as first:
        try:
            table = _copy(file, size, last, sector, True)
        except Damage as second:
            raise Damage((str(first), str(second))) from None
        table.faults.append("the first copy of the table %s; the second is used" % first)
        table.damaged = 0
        return table
    table.damaged = None
    try:
        second = _copy(file, size, table.other, sector, True)
        if second.raw != table.raw or second.uuid != table.uuid:
            table.faults.append("the second copy of the table is not as the first: a change was not finished")
            table.damaged = 1
        elif table.other != last:
            table.faults.append("the second copy of the table is not at the image's end")
    except Damage as error:
        table.faults.append("the second copy of the table %s" % error)
        table.damaged = 1
    return table


def read(file, path):
    """The table of an open image. ExoError: there is none that can be believed."""
    size = os.fstat(file.fileno()).st_size
    found = []
    for sector in SECTORS:
        try:
            table = _both(file, size, sector)
            break
        except Damage as error:
            found.append(error.args[0])
    else:
        if all(text == "is not there" for pair in found for text in pair):
            raise ExoError(path, "has no partition table (GPT)", "make an image with exo disk create")
        texts = next(pair for pair in found if pair != ("is not there", "is not there"))
        raise ExoError(path, "its partition table cannot be used: the first copy %s, the second %s" % texts,
                       "make it anew with exo disk create --force, or try gdisk's recovery")
    wrong = table.contradiction(size)
    if wrong:
        raise ExoError(path, "its partition table says what cannot be: %s" % wrong, "repair it with gdisk")
    table.size = size
    return table


def repair(file, table):
    """Write the copy that is damaged from the one that is whole."""
    sector, which = table.sector, table.damaged
    span = -(-table.count * ENTRY // sector)
    last = table.size // sector - 1
    own, other = (1, table.at) if which == 0 else (last, table.at)
    entries_at = 2 if which == 0 else last - span
    if which == 0 and entries_at + span > table.start // sector or which and entries_at * sector < table.end:
        raise ExoError("the damaged copy", "has no room where it belongs", "repair it with gdisk")

    def header(at, elsewhere, entries):
        fields = [b"EFI PART", 1 << 16, 92, 0, 0, at, elsewhere, table.start // sector, table.end // sector - 1,
                  uuid.UUID(table.uuid).bytes_le, entries, table.count, ENTRY, zlib.crc32(table.raw)]
        fields[3] = zlib.crc32(HEADER.pack(*fields))
        return HEADER.pack(*fields).ljust(sector, b"\0")

    # The one that is whole is touched only when it has to be told where the other is, and then last.
    for at, elsewhere, entries in ((own, other, entries_at), (other, own, table.entries_at)):
        if at == other and table.other == own:
            continue
        file.seek(entries * sector)
        file.write(table.raw)
        file.seek(at * sector)
        file.write(header(at, elsewhere, entries))
        file.flush()
        os.fsync(file.fileno())
