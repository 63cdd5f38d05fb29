# SPDX-License-Identifier: BSD-2-Clause
"""Names for addresses of a program: from its ELF symbols, moved to where it lies.

Stacks are found by call frame information in a copy of their top (unwind.py), which code
without frame pointers needs, and beyond the copy by the addresses that the recorder found
along the frame pointers.  A function with neither (assembly) hides who called it:
in_frame() says whether the frame pointer is this function's own already.
"""

import bisect
import os
import struct

from .elf import EHDR, ET_DYN, PHDR, PT_LOAD, SHDR
from .unwind import CIE_ID, Unwinder

SYM = struct.Struct("<IBBHQQ")
SHT_SYMTAB = 2
STT_NOTYPE, STT_FUNC = 0, 2
PUSH_RBP = b"\x55\x48\x89\xe5"
ENDBR = b"\xf3\x0f\x1e\xfa"


class Symbols:
    """The functions of one file."""

    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)
        self.base, self.lowest, self.segments = 0, 0, []
        self.starts, self.sizes, self.names = [], [], []
        self.unwinder, self.sections = [], {}
        with open(path, "rb") as file:
            self.data = file.read()
        try:
            self.read()
        except (struct.error, IndexError):
            pass                                # what was read so far will do

    def read(self):
        head = EHDR.unpack_from(self.data)
        self.moves = head[1] == ET_DYN
        segments = [PHDR.unpack_from(self.data, head[5] + i * head[9]) for i in range(head[10])]
        self.segments = [(s[3], s[2], s[5]) for s in segments if s[0] == PT_LOAD]
        self.lowest = min([s[0] for s in self.segments], default=0) & ~4095
        sections = [SHDR.unpack_from(self.data, head[6] + i * head[11]) for i in range(head[12])]
        for section in sections:
            start = sections[head[13]][4] + section[0]
            name = self.data[start:self.data.index(b"\0", start)].decode("ascii", "replace")
            if name in CIE_ID:
                self.sections[name] = section[3], self.data[section[4]:section[4] + section[5]]
        functions = {}
        for section in sections:
            if section[1] != SHT_SYMTAB:
                continue
            names = sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], SYM.size):
                name, info, unused, place, value, size = SYM.unpack_from(self.data, at)
                if not place or place >= len(sections) or not sections[place][2] & 4 or info & 15 not in (
                        STT_NOTYPE, STT_FUNC):
                    continue                    # only what lies in executable sections
                text = self.data[names + name:self.data.index(b"\0", names + name)].decode("utf-8", "replace")
                old = functions.get(value)
                if text and (old is None or (info & 15, info >> 4, size) > old[:3]):
                    functions[value] = (info & 15, info >> 4, size, text)
        for value in sorted(functions):
            self.starts.append(value)
            self.sizes.append(functions[value][2])
            self.names.append(functions[value][3])

    def place(self, image):
        """Its lowest segment lies at this address."""
        self.base = image - self.lowest

    def find(self, address):
        """(name, offset in it) of the function at an address, or None."""
        address -= self.base
        i = bisect.bisect_right(self.starts, address) - 1
        if i < 0 or not any(start <= address < start + size for start, unused, size in self.segments):
            return None
        if self.sizes[i] and address >= self.starts[i] + self.sizes[i]:
            return None
        return self.names[i], address - self.starts[i]

    def show(self, address):
        found = self.find(address)
        return "%s+0x%x" % found if found else "0x%x" % address

    def code(self, address, count):
        address -= self.base
        for start, offset, size in self.segments:
            if start <= address < start + size:
                return self.data[offset + address - start:offset + address - start + count]
        return b""

    def in_frame(self, address):
        """Has the function at this address made its frame?"""
        found = self.find(address)
        if not found:
            return True
        start = address - found[1]
        head = self.code(start, 16)
        skip = len(ENDBR) if head.startswith(ENDBR) else 0
        return head[skip:].startswith(PUSH_RBP) and found[1] >= skip + len(PUSH_RBP)

    def is_return(self, address):
        """Is there a call right before this address? E8 with 4 bytes, or FF /2 of 2 to 7."""
        before = self.code(address - 7, 7)
        return len(before) == 7 and (before[2] == 0xe8 or any(before[i] == 0xff and before[i + 1] >> 3 & 7 == 2
                                                             for i in range(6)))

    def leaves_kernel(self, address):
        """Is this where the kernel goes back to: behind a call, or at the entry of an upcall?"""
        found = self.find(address)
        return "call" if self.code(address - 2, 2) == b"\x0f\x05" else \
            "upcall" if found and not found[1] and found[0].endswith("_entry") else None

    def shared_unwinder(self):
        """One for all that are copies of this."""
        if not self.unwinder:
            self.unwinder.append(Unwinder(self.sections))
        return self.unwinder[0]

    def callers(self, rip, rsp, rbp, copy):
        """What call frame information says of the callers, from a copy of the stack's words from rsp on; is that all?"""
        unwinder = self.shared_unwinder()
        read = lambda at: copy[at - rsp >> 3] if 0 <= at - rsp < 8 * len(copy) and not at & 7 else None
        first, above, moved = [], rsp, rip - self.base
        if copy and unwinder.row(moved) is None and not self.in_frame(rip) and self.find(copy[0]) and \
                self.is_return(copy[0]):
            first, above, moved = [copy[0]], rsp + 8, copy[0] - self.base
            if unwinder.row(moved - 1) is None:
                return first, False
        found, all_of_it = unwinder.callers(moved, above, rbp, self.moved_back(read))
        return first + [address + self.base for address in found], all_of_it

    def moved_back(self, read):
        """Return addresses as they are in the file; frame pointers are not near them."""
        low, high = self.base + self.lowest, self.base + max([s[0] + s[2] for s in self.segments], default=0)

        def word(at):
            value = read(at)
            return value - self.base if value is not None and low <= value < high else value
        return word

    def stack(self, rip, rsp, rbp, copy, addresses):
        """Names of the functions that a sample is in, the outermost first."""
        chain, all_of_it = self.callers(rip, rsp, rbp, copy)
        if not all_of_it:
            if chain and chain[-1] in addresses:
                chain += addresses[addresses.index(chain[-1]) + 1:]
            elif not chain:
                chain = list(addresses)
        names = []
        for depth, address in enumerate([rip] + chain):
            found = self.find(address - (1 if depth else 0))    # a call may be its function's last instruction
            if depth and not (found and self.is_return(address)):
                break                           # no frame pointer, or a stack that is spoilt
            names.append(found[0] if found else "[unknown]")
        return names[::-1]
