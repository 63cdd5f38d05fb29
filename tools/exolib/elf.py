# SPDX-License-Identifier: BSD-2-Clause
"""ELF files as far as packing needs them: is it a program for this machine, and leaving out debug data.

Debug sections make up most of an image and nothing in the machine reads them, so slim()
leaves them out: segments stay byte for byte where they are, section numbers stay as they
are, the symbol table (the machine's reports name functions from it) moves up behind the
segments, and what was left out becomes an empty section.  A file whose headers do not fit
together is passed on as it is: to judge it is the machine's business, and tested there.
"""

import struct

from .util import ExoError

MAGIC = b"\x7fELF\x02\x01\x01"
ET_DYN = 3
EM_X86_64 = 62
IMAGE_BASE = 0x400000           # EXO_VA_IMAGE: where position-independent programs lie if not at random
PT_LOAD, PT_NOTE, PT_TLS = 1, 4, 7
SHT_NULL, SHT_SYMTAB, SHT_NOBITS, SHF_ALLOC = 0, 2, 8, 2
STT_NOTYPE, STT_FUNC = 0, 2
EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
PHDR = struct.Struct("<IIQQQQQQ")
SHDR = struct.Struct("<IIQQQQIIQQ")
SYM = struct.Struct("<IBBHQQ")
PROCESS_NOTE = struct.pack("<III4s", 4, 16, 2, b"Exo\0")
OWN_PREFIX = "__exo_"           # of the libOS's names in programs that others wrote
NEEDLESS = (b".debug_", b".zdebug_", b".comment", b".gnu.lto_")


def check(path, what):
    """Fail clearly unless the file is a 64-bit x86 program."""
    try:
        with open(path, "rb") as file:
            head = file.read(EHDR.size)
    except OSError as error:
        raise ExoError(path, "%s cannot be read: %s" % (what, error.strerror)) from None
    if len(head) < EHDR.size or not head.startswith(MAGIC):
        raise ExoError(path, "%s is not a 64-bit ELF file" % what, "link it with exo-cc")
    if EHDR.unpack(head)[2] != EM_X86_64:
        raise ExoError(path, "%s is for another kind of processor" % what, "link it with exo-cc")


def fixed_base(path):
    """How far above the addresses in its file a program lies that is not put at random."""
    with open(path, "rb") as file:
        return IMAGE_BASE if EHDR.unpack(file.read(EHDR.size))[1] == ET_DYN else 0


def is_process(path):
    """Does a program have the note of the libOS posix (libos/posix/note.S)?"""
    try:
        with open(path, "rb") as file:
            data = file.read()
        head = EHDR.unpack_from(data)
        segments = _table(data, PHDR, head[5], head[9], head[10])
    except (OSError, ValueError, struct.error):
        return False
    return any(s[0] == PT_NOTE and PROCESS_NOTE in data[s[2]:s[2] + s[5]] for s in segments)


def functions(path):
    """The functions that a file's symbol table names, as (name, address, bytes, whether it is global).

    The libOS's own in a program of others are named as its sources name them (build-aux/target.mk, names of programs).
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
        head = EHDR.unpack_from(data)
        sections = _table(data, SHDR, head[6], head[11], head[12])
        table = next(s for s in sections if s[1] == SHT_SYMTAB)
        names, found = sections[table[6]], []
        for at in range(table[4], table[4] + table[5], SYM.size):
            name, info, unused, section, address, size = SYM.unpack_from(data, at)
            if info & 15 in (STT_NOTYPE, STT_FUNC) and section:
                word = _name(data, names, name).decode("ascii", "replace")
                found.append((word.removeprefix(OWN_PREFIX), address, size, info >> 4 != 0))
        return found
    except OSError as error:
        raise ExoError(path, "cannot be read: %s" % error.strerror) from None
    except (ValueError, IndexError, StopIteration, struct.error):
        return []


def loaded_bytes(path):
    """How much of a program's file is loaded: its text and its data, without what is only zeroes."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        head = EHDR.unpack_from(data)
        return sum(s[5] for s in _table(data, PHDR, head[5], head[9], head[10]) if s[0] == PT_LOAD)
    except (OSError, ValueError, struct.error):
        return 0


def memory_end(path):
    """The physical address behind a kernel's last segment; 0 if its headers do not say."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        head = EHDR.unpack_from(data)
        segments = _table(data, PHDR, head[5], head[9], head[10])
    except (OSError, ValueError, struct.error):
        return 0
    return max([s[4] + s[6] for s in segments if s[0] == PT_LOAD], default=0)


def _table(data, entry, offset, size, count):
    """The entries of a header table, or ValueError."""
    if size != entry.size or offset + size * count > len(data):
        raise ValueError("header table")
    return [list(entry.unpack_from(data, offset + i * size)) for i in range(count)]


def _name(data, names, offset):
    start = names[4] + offset
    return data[start:data.find(b"\0", start)]


def _rebuild(data):
    head = list(EHDR.unpack_from(data))
    segments = _table(data, PHDR, head[5], head[9], head[10])
    sections = _table(data, SHDR, head[6], head[11], head[12])
    if not sections or head[13] >= len(sections):
        raise ValueError("no section names")
    end = max([EHDR.size, head[5] + head[9] * head[10]] + [s[2] + s[5] for s in segments])
    end = max([end] + [s[4] + s[5] for s in sections if s[2] & SHF_ALLOC and s[1] != SHT_NOBITS])
    if end > len(data):
        raise ValueError("file ends early")
    names = list(sections[head[13]])
    out = bytearray(data[:end])
    for section in sections:
        if section[2] & SHF_ALLOC or section[1] in (SHT_NULL, SHT_NOBITS):
            continue
        if _name(data, names, section[0]).startswith(NEEDLESS):
            section[:] = [0] * len(section)
            continue
        if section[4] + section[5] > len(data) or len(out) > len(data):
            raise ValueError("section does not fit")
        out += bytes(-len(out) % 8)
        start, section[4] = section[4], len(out)
        out += data[start:start + section[5]]
    out += bytes(-len(out) % 8)
    head[6] = len(out)
    for section in sections:
        out += SHDR.pack(*section)
    out[:EHDR.size] = EHDR.pack(*head)
    return bytes(out)


def slim(data):
    """The file without debug sections; unchanged if it is malformed or would not become smaller."""
    try:
        smaller = _rebuild(data)
    except (ValueError, struct.error):
        return data
    return smaller if len(smaller) < len(data) else data
