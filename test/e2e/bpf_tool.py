# SPDX-License-Identifier: BSD-2-Clause
"""exo bpf check, dump, run: the kernel's own verifier and compiler on this computer.

Time limit: 60 s
"""

import os
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

BUILD = guest.build_dir()
TOOL = (sys.executable, os.path.join(guest.SOURCE, "tools", "exo"), "bpf")
PROGRAMS = ["headers", "options", "table", "calls", "inode", "pending"]
SCRATCH = tempfile.TemporaryDirectory()


def insn(code, dst=0, src=0, offset=0, imm=0):
    return struct.pack("<BBhi", code, dst | src << 4, offset, imm)


EXIT = insn(0x95)
# The packet's first byte, as far as there is one.
FIRST = insn(0x79, 1, 1) + insn(0x71, 0, 1) + EXIT
OUTSIDE = insn(0xb7, 0, imm=1) + insn(0x79, 0, 1, 272) + EXIT
UDP = os.path.join("apps", "echo", "udp.bpf.o")


def example(name):
    return os.path.join(BUILD, "test", "bpf", name + ".bpf.o")


def write(name, data):
    path = os.path.join(SCRATCH.name, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def run(*words):
    env = dict(os.environ, EXO_BUILD=BUILD)
    done = subprocess.run(TOOL + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                          timeout=30, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def says(status, part, *words):
    got, out, err = run(*words)
    same(got, status, "exo bpf %s\n%s%s" % (" ".join(words), out, err))
    has(out + err, part)
    check("\033" not in out + err, "colours where there is no terminal")
    return out


def test_check():
    """The examples are accepted, with nine tenths of their accesses free of tests"""
    accesses = tested = 0
    for path in [example(name) for name in PROGRAMS] + [os.path.join(BUILD, UDP)]:
        out = says(0, "accepted: ", "check", path)
        words = out.split("memory accesses ")[1].split(",")
        accesses += int(words[0])
        tested += int(words[1].split()[-1])
        has(out, "bytes", "machine code")
    check(tested * 10 <= accesses, "%d of %d accesses are tested at run time" % (tested, accesses))
    out = says(0, "tested: ", "check", example("inode"), "--guards")
    tap.say("%d of %d accesses are tested at run time" % (tested, accesses))


def test_rejected():
    """A rejection names the instruction, the register, what is known of it and what is needed; the status is 1"""
    out = says(1, "rejected at instruction 1: r0 = *(u64 *)(r1 + 272)\n", "check", write("outside", OUTSIDE), "--use",
               "packet")
    for part in ("  >    1  r0 =", "known: r1 is an address in the context window, at offset 0",
                 "needed: offset 0 to 24 in the context window", "mend: "):
        has(out, part)
    says(1, "rejected at instruction 1", "run", write("outside", OUTSIDE), "--use", "packet")
    says(1, "rejected at instruction 1", "dump", write("outside", OUTSIDE), "--use", "packet")


def test_wrong():
    """What is no program, or no word, has status 2 and a sentence with the mend"""
    first = write("first", FIRST)
    for words, part in ((("check",), "which file?"), (("check", "/nowhere"), "No such file"),
                        (("check", sys.executable), "compile with clang -target bpf"), (("check", first), "--use"),
                        (("check", first, "--use", "pocket"), "packet, wake or owner"),
                        (("check", first, "--use"), "packet, wake or owner"),
                        (("check", first, first), "one file"), (("dump", first, "--natif"), "there are --use and --native"),
                        (("check", write("odd", b"12345"), "--use", "wake"), "not 1 to 4096 instructions"),
                        (("run", first, "--use", "packet", "--packet", "1g"), "hexadecimal"),
                        (("run", first, "--use", "packet", "--memory", "00"), "window 0 has 0 bytes"),
                        (("run", first, "--use", "packet", "--pcap", first), "not a capture"),
                        (("run", example("inode"), "--block", first), "has no block 0"),
                        (("run", example("pending"), "--wake", "then=1"), "now=N"),
                        (("run", first, "--packets"), "behind it")):
        says(2, part, *words)


def test_dump():
    """Instructions as in C with what the verifier noted, and the machine code of each"""
    first = write("first", FIRST)
    out = says(0, "r0 = *(u8 *)(r1 + 0)", "dump", first, "--use", "packet")
    has(out, "packet, tested")
    has(out, "context;")
    out = says(0, "exit", "dump", first, "--use", "packet", "--native")
    same(len([line for line in out.splitlines() if line.startswith("      0")]), 3, "lines of machine code")


def test_run_packet():
    """A packet: verdict, and a run that is stopped at its end"""
    first = write("first", FIRST)
    says(0, "r0 0x1 (drop), 3 instructions", "run", first, "--use", "packet", "--packet", "01 02")
    says(0, "(steer to 3)", "run", first, "--use", "packet", "--packet", "13")
    says(0, "stopped: an access outside its window", "run", first, "--use", "packet")


def test_run_capture():
    """Each packet of a capture, in either byte order"""
    first = write("first", FIRST)
    for order in "<>":
        packets = [b"\1" * 60, b"\0" * 60, b"\2\3", b""]
        data = struct.pack(order + "IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
        for number, packet in enumerate(packets):
            data += struct.pack(order + "IIII", number, 5, len(packet), len(packet)) + packet
        out = says(0, "packet 3, 2 bytes: r0 0x2 (done)", "run", first, "--use", "packet", "--pcap", write("pcap", data))
        has(out, "4 packets, 2 instructions each: keep 1 drop 1 done 1 stopped 1")
        says(2, "cut off", "run", first, "--use", "packet", "--pcap", write("pcap", data[:60]))


def test_run_block():
    """A block of an image: what it owns, and which parts of it were read"""
    node = struct.pack("<IIQ", 0x6578746e, 2, 77) + struct.pack("<QIIQII", 1000, 10, 3, 2000, 20, 4)
    image = write("image", bytes(4096) + node.ljust(4096, b"\0"))
    out = says(0, "(well formed)", "run", example("inode"), "--block", image + ":1")
    for part in ("block 77, 1 of them", "block 1000, 10 of them, type 3", "block 2000, 20 of them, type 4",
                 "read of the block: 1 of 64"):
        has(out, part)
    says(0, "(not well formed)", "run", example("inode"), "--block", image)


def test_run_memory():
    """Memory is given, and changes are shown"""
    packet = (bytes(30) + b"\1\2\3\4" + bytes(2) + b"\0\x50" + bytes(30)).hex()
    out = says(0, "(keep)", "run", example("table"), "--packet", packet)
    has(out, "  memory 0 + ", "changes")
    table = "".join(struct.pack("<II", 0x01020304, 5).hex() for _ in range(128))
    says(0, "(steer to 5)", "run", example("table"), "--packet", packet, "--memory", "0:" + table)


def test_run_wake():
    """What a sleeper knows"""
    says(0, "(", "run", example("pending"), "--wake", "now=5,until=9,pending=0x10000")


if __name__ == "__main__":
    tap.main()
