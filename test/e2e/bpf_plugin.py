# SPDX-License-Identifier: BSD-2-Clause
"""exo bpf plugin: the protocol of the public conformance runner, by the interpreter, compiled, and in the machine.

Time limit: 240 s
"""

import os
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

PLUGIN = os.path.join(guest.build_dir(), "tools", "bpf-plugin")
HERE = ("--interp", "--jit")
MACHINE = ("--vm", "--vm --interp")


def insn(code, dst=0, src=0, offset=0, imm=0):
    return struct.pack("<BBhi", code, dst | src << 4, offset, imm)


EXIT = insn(0x95)
ANSWER = insn(0xb7, 0, imm=42) + EXIT
LOAD = insn(0x79, 0, 1) + EXIT
LENGTH = insn(0xbf, 0, 2) + EXIT
ADDRESS = insn(0xbf, 0, 1) + EXIT
# A local call, the stack, an atomic operation, a division: 0xdeadbeef00000007 in all.
MIXED = (insn(0x18, 1, imm=0) + insn(0, imm=-559038737) + insn(0x85, src=1, imm=1) + EXIT
         + insn(0x7b, 10, 1, -8) + insn(0xb7, 2, imm=50) + insn(0x3f, 2, 2) + insn(0xb7, 3, imm=6)
         + insn(0xdb, 10, 3, -8, 0) + insn(0xdb, 10, 2, -8, 1) + insn(0x79, 0, 10, -8) + EXIT)

# A call by number: gives back r1, and r6 is as it was.
CALL = (insn(0xb7, 1, imm=3) + insn(0xb7, 6, imm=4) + insn(0x85, imm=77) + insn(0x0f, 0, 6) + EXIT)


def hexa(data, between=" "):
    return between.join("%02x" % byte for byte in data)


def run(words, text, tool=(PLUGIN,)):
    env = dict(os.environ, EXO_BUILD=guest.build_dir())
    return subprocess.run(list(tool) + list(words), input=text.encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=env, timeout=100, check=False)


def gives(want, words, text, tool=(PLUGIN,)):
    done = run(words, text, tool)
    same((done.returncode, done.stdout.decode(), done.stderr.decode()), (0, want + "\n", ""), "plugin %r" % (words,))


def refuses(part, words, text):
    done = run(words, text)
    same((done.returncode, done.stdout.decode()), (1, ""), "plugin %r" % (words,))
    has(done.stderr.decode(), part)


def test_protocol():
    """Program on standard input, memory as argument, r0 on standard output"""
    for how in HERE:
        gives("2a", ["", how], hexa(ANSWER) + "\n")
        gives("deadbeef00000007", [how], hexa(MIXED) + "\n")
        gives("8877665544332211", [hexa(range(0x11, 0x99, 0x11)), how], hexa(LOAD) + "\n")
    gives("2a", [], hexa(ANSWER) + "\n")


def test_odd_arguments():
    """Options in any order and place, several in one argument, empty ones; memory in several words"""
    program = hexa(LENGTH) + "\n"
    for words in (["11 22 33", "--jit"], ["--jit", "11 22 33"], ["--interp --jit", "11 22 33"], ["11  22 33 "],
                  ["11", "22", "33", ""], ["112233", "", "--interp"], ["", "--jit", "  11 22  33  "],
                  ["0x11 0x22 3"], ["--jit 11 22", "33"]):
        gives("3", words, program)
    for words in ([], [""], ["", ""], ["  "], ["", "--jit"], ["--interp", " "]):
        gives("0", words, program)
        gives("0", words, hexa(ADDRESS) + "\n")


def test_program_forms():
    """Two spaces between bytes, none, capitals, no newline"""
    for text in (hexa(ANSWER, "  ") + " \n", hexa(ANSWER, ""), hexa(ANSWER).upper(), "  " + hexa(ANSWER) + "\r\n",
                 hexa(ANSWER) + "\nmore that nobody reads\n"):
        gives("2a", ["", "--jit"], text)


def elf(code, flags=4, size=None):
    """An ELF file with a section of nothing, one of constants, one of instructions"""
    sections = [(0, 0, 0, 0), (1, 2, 64, 8), (1, flags, 72, len(code) if size is None else size)]
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 1, 247, 1, 0, 0, 72 + len(code), 0, 64, 0, 0, 64, 3, 0)
    return head + bytes(8) + code + b"".join(
        struct.pack("<IIQQQQIIQQ", 0, kind, flag, 0, at, bytes_, 0, 0, 8, 0) for kind, flag, at, bytes_ in sections)


def test_elf():
    """The program as an ELF file, and broken ones"""
    for how in HERE:
        gives("deadbeef00000007", [how, "--elf"], hexa(elf(MIXED), "  "))
        gives("2a", ["11 22", how], hexa(elf(ANSWER)))
        refuses("no instructions", [how], hexa(elf(ANSWER, 2)))
        refuses("no instructions", [how], hexa(elf(ANSWER, size=1 << 40)))
        refuses("outside", [how], hexa(elf(ANSWER)[:-1]))
        refuses("too short", [how], hexa(elf(ANSWER)[:60]))
        refuses("12 bytes", [how], hexa(elf(ANSWER, size=12)))


def test_calls():
    """Calls by number"""
    for how in HERE:
        gives("7", [how], hexa(CALL))


def test_errors():
    """Bad hexadecimal, bad programs, unknown options: a sentence, and status 1"""
    for how in HERE:
        for part, words, text in (
                ("no program", [how], ""),
                ("0 bytes", [how], "\n"),
                ("15 bytes", [how], hexa(ANSWER[:15])),
                ("9 bytes", [how], hexa(ANSWER[:9])),
                ("memory: xy", ["11 xy", how], hexa(ANSWER)),
                ("memory: 123", ["123", how], hexa(ANSWER)),
                ("program: g7", [how], "g7 00"),
                ("--nojit", [how, "--nojit"], hexa(ANSWER)),
                ("no such instruction", [how], hexa(insn(0x85, src=2, imm=5) + EXIT)),
                ("no such instruction", [how], hexa(insn(0x8d, imm=5) + EXIT)),
                ("no such instruction", [how], hexa(insn(0x20, imm=5) + EXIT)),
                ("instruction 1: there is no such instruction", [how], hexa(insn(0xb7) + insn(0xff) + EXIT)),
                ("no such register", [how], hexa(insn(0xb7, 11) + EXIT)),
                ("r10 is written", [how], hexa(insn(0xb7, 10) + EXIT)),
                ("half of an lddw", [how], hexa(insn(0x18))),
                ("leads nowhere", [how], hexa(insn(0x05, offset=1) + EXIT)),
                ("leads nowhere", [how], hexa(insn(0x05, offset=1) + insn(0x18) + insn(0) + EXIT)),
                ("past the end", [how], hexa(insn(0xb7))),
                ("stopped", [how], hexa(insn(0x85, src=1, imm=-1) + EXIT)),
                ("not there", [how], hexa(insn(0xb7, 1, imm=8) + LOAD)),
        ):
            refuses(part, words, text)
    refuses("stopped", ["--jit"], hexa(insn(0x05, offset=-1) + EXIT))


def test_verify():
    """--verify says on standard error what the verifier answers, and the program runs all the same"""
    done = run(["--verify"], hexa(ANSWER))
    same((done.returncode, done.stdout), (0, b"2a\n"), "plugin --verify")
    has(done.stderr.decode(), "verifier: accepted: 2 instructions")
    done = run(["11 22 33 44 55 66 77 88", "--verify --interp"], hexa(insn(0xbf, 1, 2) + insn(0xb7, 0) + LOAD[8:]))
    same((done.returncode, done.stdout), (0, b"0\n"), "plugin --verify")
    has(done.stderr.decode(), "verifier: rejected at instruction 0: r1 = r2\n")


def test_exo_bpf():
    """exo bpf plugin is the same, and its page says how"""
    tool = (sys.executable, os.path.join(guest.SOURCE, "tools", "exo"), "bpf")
    gives("2a", ["plugin", "", "--jit"], hexa(ANSWER), tool)
    done = run(["--help"], "", tool)
    check(done.returncode == 0 and b"exo bpf plugin" in done.stdout, "exo bpf --help")
    for words, part in ((["plugged"], b"the nearest known one is plugin"), ([], b"see exo help bpf")):
        done = run(words, "", tool)
        check(done.returncode == 125 and part in done.stderr, "exo bpf %s" % words)


def test_machine():
    """In the machine: the same answers"""
    for how in MACHINE:
        gives("deadbeef00000007", ["", how], hexa(MIXED))
    gives("8877665544332211", [hexa(range(0x11, 0x99, 0x11)), "--vm"], hexa(LOAD))
    gives("0", ["--vm"], hexa(LENGTH))
    refuses("stopped", ["--vm"], hexa(insn(0x85, src=1, imm=-1) + EXIT))
    refuses("no such instruction", ["--vm"], hexa(insn(0x85, src=2, imm=5) + EXIT))
    gives("7", ["--vm"], hexa(CALL))


def test_cost():
    """Compiled code needs at most a fifth of the interpreter's instructions"""
    done = guest.exo("run", "--quiet", "--icount", "--timeout", "100", "bpf_vm", "--", "measure")
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("bpf ")]
    check(len(lines) >= 4, "there are not 4 programs:\n%s" % done.stdout)
    for words in lines:
        tap.say(" ".join(words))
        figures = dict(zip(words[2::2], words[3::2]))
        check(int(figures["interpreted"]) >= 5 * int(figures["compiled"]), "%s: %s" % (words[1], figures))


if __name__ == "__main__":
    tap.main()
