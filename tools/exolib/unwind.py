# SPDX-License-Identifier: BSD-2-Clause
"""Unwinding a stack by a program's call frame information, for code without frame pointers.

The sections .debug_frame and .eh_frame say for each address how to find the caller's frame
(DWARF 5, 6.4).  Needed are: the frame's address (CFA) as rsp or rbp and an offset, and where
rbp and the return address were saved.  What is said by an expression is not followed.
"""

import bisect
import struct

RBP, RSP = 6, 7
CIE_ID = {".debug_frame": 0xffffffff, ".eh_frame": 0}
PCREL_SDATA4, ABSOLUTE = 0x1b, 0x00


class _Bytes:
    """Reads numbers one after the other."""

    def __init__(self, data, at, end):
        self.data, self.at, self.end = data, at, end

    def more(self):
        return self.at < self.end

    def fixed(self, form):
        value = struct.unpack_from("<" + form, self.data, self.at)[0]
        self.at += struct.calcsize("<" + form)
        return value

    def unsigned(self):
        value = shift = 0
        while True:
            byte = self.fixed("B")
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def signed(self):
        start = self.at
        value = self.unsigned()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> bits - 1 & 1 else value

    def text(self):
        end = self.data.index(b"\0", self.at)
        value, self.at = self.data[self.at:end], end + 1
        return value

    def skip(self):
        """An expression."""
        self.at += self.unsigned()


class _Row:
    """The rules at one address: CFA = register + offset; saved: {register: offset from the CFA}."""

    def __init__(self, register=None, offset=0, saved=None):
        self.register, self.offset, self.saved = register, offset, dict(saved or {})

    def copy(self):
        return _Row(self.register, self.offset, self.saved)


class Unwinder:
    """The frames of one file; addresses are those in it."""

    def __init__(self, sections):
        """`sections`: {name: (address, bytes)}."""
        self.frames, self.rows, self.common = [], {}, {}
        for name, (address, data) in sections.items():
            try:
                self.read(name, address, data)
            except (struct.error, ValueError, IndexError):
                pass                            # what was read so far will do
        self.frames.sort(key=lambda frame: frame[0])
        self.starts = [frame[0] for frame in self.frames]

    def read(self, name, address, data):
        at = 0
        while at + 8 <= len(data):
            length, ident = struct.unpack_from("<II", data, at)
            if not length or length >= 0xfffffff0:
                return
            part = _Bytes(data, at + 8, at + 4 + length)
            if ident == CIE_ID[name]:
                self.common[name, at] = self.read_common(name, part)
            else:
                self.read_frame(name, address, part, ident if name == ".debug_frame" else at + 4 - ident)
            at += 4 + length

    @staticmethod
    def read_common(name, part):
        version, augmentation, encoding = part.fixed("B"), part.text(), ABSOLUTE
        if version >= 4 and name == ".debug_frame":
            part.at += 2                        # sizes of addresses and segments
        code, data = part.unsigned(), part.signed()
        back = part.unsigned() if version > 1 else part.fixed("B")
        if augmentation.startswith(b"z"):
            end = part.unsigned() + part.at
            if augmentation[1:2] == b"R":
                encoding = part.fixed("B")
            elif augmentation != b"z":
                encoding = None
            part.at = end
        elif augmentation:
            encoding = None
        return code, data, back, augmentation, encoding, part

    def read_frame(self, name, address, part, pointer):
        common = self.common.get((name, pointer))
        if not common or common[4] not in (ABSOLUTE, PCREL_SDATA4):
            return
        if common[4] == ABSOLUTE:
            start, count = part.fixed("Q"), part.fixed("Q")
        else:
            start = part.at + address
            start, count = start + part.fixed("i"), part.fixed("i")
        if common[3].startswith(b"z"):
            part.at += part.unsigned()
        if start and count > 0:
            self.frames.append((start, start + count, common, part.data, part.at, part.end))

    def row(self, address):
        """The rules at an address, or None."""
        if address not in self.rows:
            i = bisect.bisect_right(self.starts, address) - 1
            row = None
            if i >= 0 and address < self.frames[i][1]:
                try:
                    row = self.execute(self.frames[i], address)
                except (struct.error, ValueError, IndexError):
                    pass
            self.rows[address] = row
        return self.rows[address]

    def execute(self, frame, address):
        start, unused, common, data, at, end = frame
        initial = _Row()
        program = common[5]
        _run(_Bytes(program.data, program.at, program.end), common, initial, None, 0, None)
        row = initial.copy()
        row = _run(_Bytes(data, at, end), common, row, initial, start, address)
        return (row.register, row.offset, row.saved.get(RBP), row.saved.get(common[2])) if row.register in (
            RSP, RBP) and common[2] in row.saved else None

    def callers(self, rip, rsp, rbp, read):
        """Return addresses from the innermost on; `read(address)`: a word of the stack, or None. And whether it got to an end."""
        found, first = [], True
        while len(found) < 128:
            row = self.row(rip - (0 if first else 1))
            if row is None:
                return found, False
            frame = (rsp if row[0] == RSP else rbp) + row[1]
            back = read(frame + row[3])
            if row[2] is not None:
                rbp = read(frame + row[2])
            if back is None or rbp is None or frame <= rsp and not first:
                return found, False
            if not back:
                return found, True
            found.append(back)
            rip, rsp, first = back, frame, False
        return found, True


def _run(part, common, row, initial, here, wanted):
    """The instructions up to an address (None: all)."""
    code, factor = common[0], common[1]
    kept = []
    while part.more():
        op = part.fixed("B")
        kind, low = op >> 6, op & 63
        step = None
        if kind == 1:
            step = low
        elif kind == 2:
            row.saved[low] = part.unsigned() * factor
        elif kind == 3:
            _restore(row, initial, low)
        elif op in (0x02, 0x03, 0x04):
            step = part.fixed({2: "B", 3: "H", 4: "I"}[op])
        elif op == 0x01:
            here = part.fixed("Q")
            step = 0
        elif op in (0x05, 0x11):
            register = part.unsigned()
            row.saved[register] = (part.unsigned() if op == 0x05 else part.signed()) * factor
        elif op == 0x06:
            _restore(row, initial, part.unsigned())
        elif op in (0x07, 0x08):
            row.saved.pop(part.unsigned(), None)
        elif op in (0x09, 0x14, 0x15):
            row.saved.pop(part.unsigned(), None)
            part.unsigned()
        elif op == 0x0a:
            kept.append(row.copy())
        elif op == 0x0b:
            row = kept.pop()
        elif op in (0x0c, 0x12):
            row.register = part.unsigned()
            row.offset = part.unsigned() if op == 0x0c else part.signed() * factor
        elif op == 0x0d:
            row.register = part.unsigned()
        elif op in (0x0e, 0x13):
            row.offset = part.unsigned() if op == 0x0e else part.signed() * factor
        elif op == 0x0f:
            part.skip()
            row.register = None
        elif op in (0x10, 0x16):
            row.saved.pop(part.unsigned(), None)
            part.skip()
        elif op == 0x2e:
            part.unsigned()
        elif op:
            raise ValueError("instruction")
        if step is not None:
            here += step * code
            if wanted is not None and here > wanted:
                break
    return row


def _restore(row, initial, register):
    if initial and register in initial.saved:
        row.saved[register] = initial.saved[register]
    else:
        row.saved.pop(register, None)
