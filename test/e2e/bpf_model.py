# SPDX-License-Identifier: BSD-2-Clause
"""Random programs by RFC 9669's words: a model written from its text alone, beside the interpreter and compiled code.

Each program is straight-line but for jumps over one instruction. The model computes what it leaves in registers, memory and
stack while it is made; the program then folds all that into r0. EXO_TEST_OPTIONS: seed=N programs=N.

Time limit: 120 s
"""

import os
import random
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check

PLUGIN = os.path.join(guest.build_dir(), "tools", "bpf-plugin")
PROGRAMS = 60
NUMBERS = [0, 1, 2, -1, -2, 7, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
           0xffffffff, 1 << 32, (1 << 63) - 1, 1 << 63, 0x123456789abcdef0, 0xdeadbeefcafebabe]
ALL = (1 << 64) - 1
WIDTH = {0x00: 4, 0x08: 2, 0x10: 1, 0x18: 8}         # by the size bits of a load or store
MEMORY, STACK = 9, 10                                # registers that point to 64 bytes each
FOLD = 0x7f4a7c15


def cut(number, bits):
    return number & ((1 << bits) - 1)


def signed(number, bits):
    number = cut(number, bits)
    return number - (1 << bits) if number >> (bits - 1) else number


def divide(a, b, bits, by_sign):
    """Quotient and remainder, section 4.1: towards 0; by 0 they are 0 and the dividend"""
    a, b = (signed(a, bits), signed(b, bits)) if by_sign else (cut(a, bits), cut(b, bits))
    if b == 0:
        return 0, a
    quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return quotient, a - quotient * b


ALU = {
    0x00: lambda a, b, bits, offset: a + b,
    0x10: lambda a, b, bits, offset: a - b,
    0x20: lambda a, b, bits, offset: a * b,
    0x30: lambda a, b, bits, offset: divide(a, b, bits, offset)[0],
    0x40: lambda a, b, bits, offset: a | b,
    0x50: lambda a, b, bits, offset: a & b,
    0x60: lambda a, b, bits, offset: a << (b & (bits - 1)),
    0x70: lambda a, b, bits, offset: cut(a, bits) >> (b & (bits - 1)),
    0x80: lambda a, b, bits, offset: -a,
    0x90: lambda a, b, bits, offset: divide(a, b, bits, offset)[1],
    0xa0: lambda a, b, bits, offset: a ^ b,
    0xb0: lambda a, b, bits, offset: signed(b, offset) if offset else b,
    0xc0: lambda a, b, bits, offset: signed(a, bits) >> (b & (bits - 1)),
}
# Operands as unsigned and as signed numbers.
JUMPS = {
    0x10: lambda a, b, x, y: a == b,
    0x20: lambda a, b, x, y: a > b,
    0x30: lambda a, b, x, y: a >= b,
    0x40: lambda a, b, x, y: a & b,
    0x50: lambda a, b, x, y: a != b,
    0x60: lambda a, b, x, y: x > y,
    0x70: lambda a, b, x, y: x >= y,
    0xa0: lambda a, b, x, y: a < b,
    0xb0: lambda a, b, x, y: a <= b,
    0xc0: lambda a, b, x, y: x < y,
    0xd0: lambda a, b, x, y: x <= y,
}
ATOMICS = {
    0x00: lambda old, value: old + value,
    0x40: lambda old, value: old | value,
    0x50: lambda old, value: old & value,
    0xa0: lambda old, value: old ^ value,
}


class Program:
    def __init__(self, draw):
        self.draw, self.code = draw, b""
        self.start = bytes(draw.randrange(256) for _ in range(64))
        self.bytes = {MEMORY: bytearray(self.start), STACK: bytearray(64)}
        self.reg = [draw.choice(NUMBERS) & ALL for _ in range(9)]
        self.put(0xbf, MEMORY, 1)
        for i, number in enumerate(self.reg):
            self.put(0x18, i, imm=number)
            self.put(0, imm=number >> 32)
        for i in range(8):
            self.put(0x7a, STACK, offset=8 * i - 64)
        for _ in range(draw.randrange(1, 30)):
            draw.choice((self.arithmetic, self.arithmetic, self.swap, self.jump, self.load, self.store, self.atomic))()
        self.fold()

    def put(self, code, dst=0, src=0, offset=0, imm=0):
        self.code += struct.pack("<BBhi", code, dst | src << 4, offset, signed(imm, 32))

    def any_reg(self):
        return self.draw.randrange(9)

    def operand(self):
        """(SRC bit, src, imm, value)"""
        if self.draw.randrange(2):
            src = self.any_reg()
            return 8, src, 0, self.reg[src]
        imm = signed(self.draw.choice(NUMBERS), 32)
        return 0, 0, imm, imm & ALL

    def arithmetic(self):
        op, wide, dst, offset = self.draw.choice(list(ALU)), self.draw.randrange(2), self.any_reg(), 0
        bits = 64 if wide else 32
        by_reg, src, imm, value = (0, 0, 0, 0) if op == 0x80 else self.operand()
        if op in (0x30, 0x90):
            offset = self.draw.randrange(2)
        elif op == 0xb0 and by_reg:
            offset = self.draw.choice((0, 8, 16, 32)[:3 + wide])
        self.put((7 if wide else 4) | op | by_reg, dst, src, offset, imm)
        self.reg[dst] = cut(ALU[op](self.reg[dst], value, bits, offset), bits)

    def swap(self):
        code, bits, dst = self.draw.choice((0xd4, 0xdc, 0xd7)), self.draw.choice((16, 32, 64)), self.any_reg()
        self.put(code, dst, imm=bits)
        order = "little" if code == 0xd4 else "big"
        self.reg[dst] = int.from_bytes(cut(self.reg[dst], bits).to_bytes(bits // 8, "little"), order)

    def jump(self):
        op, wide, dst, over = self.draw.choice(list(JUMPS) + [0x00]), self.draw.randrange(2), self.any_reg(), self.any_reg()
        bits = 64 if wide else 32
        if op:
            by_reg, src, imm, value = self.operand()
            a, b = cut(self.reg[dst], bits), cut(value, bits)
            taken = JUMPS[op](a, b, signed(a, bits), signed(b, bits))
            self.put((5 if wide else 6) | op | by_reg, dst, src, 1, imm)
        else:
            taken = True
            self.put(5 if wide else 6, offset=wide, imm=not wide)
        self.put(0x07, over, imm=12345)
        if not taken:
            self.reg[over] = cut(self.reg[over] + 12345, 64)

    def place(self, sizes, aligned=False):
        """(size bits, base, offset, bytes, which of them)"""
        size, base = self.draw.choice(sizes), self.draw.choice((MEMORY, STACK))
        width = WIDTH[size]
        at = self.draw.randrange(64 // width) * width
        if not aligned and self.draw.randrange(2):
            at = self.draw.randrange(65 - width)
        return size, base, at - 64 if base == STACK else at, self.bytes[base], slice(at, at + width)

    def load(self):
        by_sign, dst = self.draw.randrange(2), self.any_reg()
        size, base, offset, data, where = self.place(list(WIDTH)[:3 if by_sign else 4])
        self.put((0x81 if by_sign else 0x61) | size, dst, base, offset)
        number = int.from_bytes(data[where], "little")
        self.reg[dst] = signed(number, 8 * WIDTH[size]) & ALL if by_sign else number

    def store(self):
        size, base, offset, data, where = self.place(list(WIDTH))
        by_reg, src, imm, value = self.operand()
        self.put((0x63 if by_reg else 0x62) | size, base, src, offset, imm)
        data[where] = cut(value, 8 * WIDTH[size]).to_bytes(WIDTH[size], "little")

    def atomic(self):
        size, base, offset, data, where = self.place((0x00, 0x18), True)
        bits, src = 8 * WIDTH[size], self.any_reg()
        op = self.draw.choice(list(ATOMICS) + [0xe0, 0xf0])
        fetch = op >= 0xe0 or self.draw.randrange(2)
        old, value = int.from_bytes(data[where], "little"), self.reg[src]
        self.put(0xc3 | size, base, src, offset, op | fetch)
        if op == 0xf0:
            new, self.reg[0] = value if old == cut(self.reg[0], bits) else old, old
        else:
            new = value if op == 0xe0 else ATOMICS[op](old, value)
            if fetch:
                self.reg[src] = old
        data[where] = cut(new, bits).to_bytes(WIDTH[size], "little")

    def fold(self):
        self.r0 = self.reg[0]
        for reg in range(1, 9):
            self.put(0x27, 0, imm=FOLD)
            self.put(0xaf, 0, reg)
            self.r0 = cut(self.r0 * FOLD, 64) ^ self.reg[reg]
        for base, data in self.bytes.items():
            for i in range(0, 64, 8):
                self.put(0x79, 1, base, i - 64 if base == STACK else i)
                self.put(0x27, 0, imm=FOLD)
                self.put(0xaf, 0, 1)
                self.r0 = cut(self.r0 * FOLD, 64) ^ int.from_bytes(data[i:i + 8], "little")
        self.put(0x95)


def options():
    return dict(word.split("=") for word in os.environ.get("EXO_TEST_OPTIONS", "").split() if "=" in word)


def test_model():
    """Interpreted and compiled, random programs leave what the model says"""
    seed = int(options().get("seed", 1))
    env = dict(os.environ, EXO_BUILD=guest.build_dir())
    for number in range(int(options().get("programs", PROGRAMS))):
        program = Program(random.Random(seed * 1000003 + number))
        for how in ("--interp", "--jit"):
            done = subprocess.run([PLUGIN, program.start.hex(), how], input=program.code.hex().encode(), env=env,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
            check(done.stdout.decode().strip() == "%x" % program.r0, "seed %d, program %d, %s: %r, not %x: %s" % (
                seed, number, how, done.stdout + done.stderr, program.r0, program.code.hex()))


if __name__ == "__main__":
    tap.main()
