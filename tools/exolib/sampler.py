# SPDX-License-Identifier: BSD-2-Clause
"""Sampling from the emulator's side: exo run --profile-all FILE.

At moments of its own choice the machine is stopped, its clocks with it, and the registers of all CPUs are asked of the
emulator's monitor (QMP).  Stacks are read from the machine's memory, which is a file of this computer's, through the page
tables of whoever runs.  So all is seen that runs, and nothing in the machine runs for it: programs, and the kernel, which
has its interrupts off and is out of reach for any sampler inside.  Stacks are found by call frame information; the way
from the kernel back to its caller is what its entry code (arch/x86_64/entry.S) leaves on its stack.

The program is told by its dispatcher page and start record, which lie at the same addresses in every space.  A sample
stands for the time that the machine has run since the one before; a halted CPU's is idle and counts nowhere.
"""

import json
import random
import re
import socket
import struct
import threading
import time

from . import flame, memory, record
from .util import ExoError, say, warn

PERIOD_SECONDS = 0.004
CONNECT_SECONDS = 10
COPY_BYTES = 4096               # of a stack
PAGE = 4096
ADDRESS = 0x000ffffffffff000    # of a page table's entry
PRESENT, LARGE = 1, 0x80
VA_DISP, VA_START, VA_INFO = 0x10000, 0x12000, 0x100000         # include/exo/start.h
DISP_SELF, START_IMAGE, INFO_ENVS, ENV_LABEL = 0x70, 56, 56, 32
LABEL_BYTES = 16
BOOT, IDLE, CODE = "[boot]", "[idle]", "[downloaded program]"
SAVES_RSP = b"\x65\x48\x89\x24\x25"      # mov %rsp, %gs:OFFSET
FRAMES = ("interrupted", "exception_slow", "page_fault_slow")   # leave a struct arch_frame for C
FRAME_RBP, FRAME_RIP, FRAME_CS, FRAME_RSP = 6, 17, 18, 20
DEEPEST = 64


class Monitor:
    """The emulator's monitor."""

    def __init__(self, path):
        self.path, self.file = path, None

    def connect(self, stop):
        until = time.monotonic() + CONNECT_SECONDS
        while not stop.is_set() and time.monotonic() < until:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(self.path)
            except OSError:
                link.close()
                stop.wait(0.005)
                continue
            self.file = link.makefile("rwb")
            link.close()                        # the file holds it
            self.file.readline()
            self.do("qmp_capabilities")
            return True
        return False

    def do(self, name, **arguments):
        """A command's result; EOFError when the emulator has ended."""
        self.file.write(json.dumps({"execute": name, "arguments": arguments}).encode("ascii") + b"\n")
        self.file.flush()
        while line := self.file.readline():
            said = json.loads(line)
            if "error" in said:
                raise ExoError("the emulator's monitor", said["error"].get("desc", name))
            if "return" in said:
                return said["return"]
        raise EOFError

    def registers(self):
        """Of each CPU: {name: value}."""
        text = self.do("human-monitor-command", **{"command-line": "info registers -a"})
        found = []
        for part in re.split(r"^CPU#\d+", text, flags=re.MULTILINE)[1:]:
            one = {name: int(value, 16) for name, value in re.findall(r"\b([A-Z][A-Z0-9]+) *=([0-9a-f]{16})", part)}
            one.update({name: int(value) for name, value in re.findall(r"\b(CPL|HLT)=(\d)", part)})
            base = re.search(r"^GS =[0-9a-f]{4} ([0-9a-f]{16})", part, re.MULTILINE)
            one["GS"] = int(base.group(1), 16) if base else 0
            if {"RIP", "RSP", "RBP", "CR3", "CPL"} <= one.keys():
                found.append(one)
        return found


class Space:
    """The machine's memory as a CPU sees it."""

    def __init__(self, room, root):
        self.map, self.size, self.root = room.map, room.size, root & ADDRESS

    def word_at(self, place):
        return struct.unpack_from("<Q", self.map, place)[0] if 0 <= place <= self.size - 8 else 0

    def place(self, address):
        """Where in memory an address lies; None: nowhere."""
        table = self.root
        for shift in (39, 30, 21, 12):
            entry = self.word_at(table + (address >> shift & 511) * 8)
            if not entry & PRESENT:
                return None
            table = entry & ADDRESS
            if shift == 12 or shift < 39 and entry & LARGE:
                return (table & -(1 << shift)) + (address & (1 << shift) - 1)
        return None

    def words(self, address, count):
        """Words from an address on, as far as they are there."""
        found = []
        while count > 0 and not address & 7:
            place, part = self.place(address), min(count, (PAGE - address % PAGE) // 8)
            if place is None or place + 8 * part > self.size:
                break
            found += struct.unpack_from("<%dQ" % part, self.map, place)
            address, count = address + 8 * part, count - part
        return found

    def word(self, address):
        return (self.words(address, 1) or (None,))[0]


class State:
    """What a CPU was doing: copied while the machine stands, named when it runs again."""

    def __init__(self, registers, room):
        self.rip, self.rsp, self.rbp, self.kernel = registers["RIP"], registers["RSP"], registers["RBP"], not registers["CPL"]
        self.rcx, self.halted = registers.get("RCX"), bool(registers.get("HLT"))
        space = Space(room, registers["CR3"])
        self.stack = space.words(self.rsp & -8, COPY_BYTES // 8)
        self.gs, self.space, self.names, self.below, self.user_stack = registers["GS"], space, [], None, []
        self.label, self.image = self.who(room, space)

    def who(self, room, space):
        """The environment's label and where its program lies."""
        env, info, image = space.word(VA_DISP + DISP_SELF), space.place(VA_INFO), space.word(VA_START + START_IMAGE)
        if env is None or info is None:
            return None, 0
        offset, stride, entries = struct.unpack_from("<III", room.map, info + INFO_ENVS)
        at = info + offset + (env & 0xffffffff) * stride
        if (env & 0xffffffff) >= entries or at + stride > room.size or space.word_at(at) != env:
            return None, 0
        text = room.map[at + ENV_LABEL:at + ENV_LABEL + LABEL_BYTES]
        return text.partition(b"\0")[0].decode("utf-8", "replace"), image or 0

    def look_down(self, names):
        """In the kernel: its functions, and the stack of the program below, while the machine still stands."""
        self.names, self.below = names.in_kernel(self)
        if isinstance(self.below, tuple):
            rip, rsp, rbp = self.below
            if None in self.below or rip >> 47:
                self.below = None
            else:
                self.user_stack = self.space.words(rsp & -8, COPY_BYTES // 8)


class Names:
    """Functions of all programs and of the kernel."""

    def __init__(self, plan, kernel, init):
        self.paths = record.Paths(plan)
        self.short = {name.encode()[:LABEL_BYTES - 1].decode("utf-8", "ignore"): path
                      for name, path in self.paths.programs.items()}
        self.short.setdefault("init", init)
        self.kernel, self.found = record.symbols_of(kernel, 0), {}
        self.kernel.base = 0
        self.rsp_place = self.find_rsp_place()
        for path in {*self.short.values(), kernel}:     # now: while it is read no samples are taken
            record.symbols_of(path, 0).shared_unwinder()

    def find_rsp_place(self):
        """Where the kernel's entry code puts the caller's rsp: what its first instructions say."""
        if "entry_syscall" not in self.kernel.names:
            return None
        code = self.kernel.code(self.kernel.starts[self.kernel.names.index("entry_syscall")], 16)
        at = code.find(SAVES_RSP)
        return struct.unpack_from("<i", code, at + len(SAVES_RSP))[0] if at >= 0 else None

    def program(self, label, image):
        """Symbols of a program where it lies, or None."""
        key = label, image
        if key not in self.found:
            path = self.short.get(label) or self.paths.find(label)
            self.found[key] = record.symbols_of(path, image) if path and image else None
        return self.found[key]

    def user(self, state, rip, rsp, rbp, copy):
        symbols = self.program(state.label, state.image) if state.label else None
        return symbols.stack(rip, rsp, rbp, copy, []) if symbols else ["[unknown]"]

    def in_kernel(self, state):
        """The kernel's functions, the innermost first, and (rip, rsp, rbp) of the program below, IDLE, or None: not known."""
        kernel, unwinder = self.kernel, self.kernel.shared_unwinder()
        rip, rsp, rbp, names = state.rip, state.rsp, state.rbp, []
        word = lambda at: state.stack[at - state.rsp >> 3] if 0 <= at - state.rsp < 8 * len(state.stack) else None
        for depth in range(DEEPEST):
            found = kernel.find(rip - (1 if depth else 0))
            names.append(found[0] if found else CODE if not depth else "[unknown]")
            if found == ("entry_syscall", 0) and not depth:     # nothing has been done yet
                return names, (state.rcx, rsp, rbp)
            if names[-1] in ("entry_syscall", "leave"):
                user_rsp = state.space.word(state.gs + self.rsp_place) if self.rsp_place is not None else None
                return names, (word(rsp + 8), user_rsp, rbp)
            if depth and names[-1] in FRAMES:
                below = tuple(word(rsp + 8 * n) for n in (FRAME_RIP, FRAME_RSP, FRAME_RBP))
                return names, below if (word(rsp + 8 * FRAME_CS) or 0) & 3 else IDLE
            row = unwinder.row(rip - (1 if depth else 0))
            if row is None:                     # assembly, or a program that was downloaded: look for who called it
                rsp = next((at for at in range(rsp, state.rsp + 8 * len(state.stack), 8) if self.called_from(word(at))), None)
                if rsp is None:
                    break
                rip, rsp = word(rsp), rsp + 8
                continue
            frame = (rsp if row[0] == 7 else rbp) + row[1]
            rip = word(frame + row[3])
            rbp = word(frame + row[2]) if row[2] is not None else rbp
            if rip is None or rbp is None:
                break
            rsp = frame
        return names, None

    def called_from(self, word):
        return word is not None and word >> 63 and self.kernel.find(word - 1) is not None and self.kernel.is_return(word)

    def stack(self, state):
        """The functions of a sample, the outermost first, the program's name before them; None: an idle CPU."""
        name = (state.label or BOOT).partition("[")[0] or BOOT
        if not state.kernel:
            return (name, *self.user(state, state.rip, state.rsp, state.rbp, state.stack))
        names, below = list(state.names), state.below
        if state.halted or names[0] == "arch_idle":
            return None
        if len(names) > 1 and names[-1] in FRAMES + ("entry_syscall", "keep_caller"):
            names.pop()                         # all come by it
        if below == IDLE:
            return (IDLE, flame.KERNEL, *names[::-1])
        user = self.user(state, *below, state.user_stack) if below else []
        return (name, *user, flame.KERNEL, *names[::-1])


class Sampler:
    """The samples of one run."""

    def __init__(self, plan, values, work, place, room=None):
        self.values, machine = values, plan.machine
        if machine.gdb is not None:
            raise ExoError("options --profile-all and --gdb", "both stop the machine and let it go on", "give one of them")
        known = ["init", *(program.name for program in plan.programs)]
        for name in values.observe:
            if plan.programs and name not in known:
                raise ExoError("option --observe", "there is no program %s" % name, "the programs are %s" % ", ".join(known))
        self.room, self.own = room, room is None
        if self.own:
            machine.memory_file = work.file("memory")
            machine.memory = (machine.memory + 8191) // 8192 * 8192     # as the emulator wants it
            self.room = memory.Memory(machine.memory_file, machine.memory)
        path = work.file("monitor")
        machine.extra += ["-qmp", "unix:%s,server=on,wait=off" % path.replace(",", ",,")]
        self.names, self.monitor = Names(plan, machine.kernel, place.init()), Monitor(path)
        self.stacks, self.samples, self.idle, self.busy = {}, 0, 0.0, 0.0
        self.stop, self.failed = threading.Event(), None
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        try:
            if not self.monitor.connect(self.stop):
                return
            since = time.monotonic()
            while not self.stop.wait(random.uniform(0.5, 1.5) * PERIOD_SECONDS):
                self.monitor.do("stop")
                ran = time.monotonic() - since
                try:
                    states = self.look()
                finally:
                    since = time.monotonic()
                    self.monitor.do("cont")
                for state in states:
                    self.add(state, ran)
        except (OSError, EOFError, ValueError):
            pass                                # the machine has ended
        except ExoError as error:
            self.failed = error

    def look(self):
        """What each CPU does, while none does anything."""
        states = []
        for registers in self.monitor.registers():
            state = State(registers, self.room)
            if state.kernel:
                state.look_down(self.names)
            states.append(state)
        return states

    def add(self, state, seconds):
        stack = self.names.stack(state)
        if stack is None:
            self.idle += seconds
            return
        self.busy += seconds
        if self.values.observe and stack[0] not in self.values.observe:
            return
        self.samples += 1
        self.stacks[stack] = self.stacks.get(stack, 0) + round(seconds * 1e9)

    def finish(self):
        """When the machine has ended: the file that was asked for."""
        self.stop.set()
        self.thread.join(CONNECT_SECONDS)
        path, libos = self.values.profile_all, set()
        try:
            if path.endswith(".svg"):
                for one in self.names.found.values():
                    if one:
                        libos |= flame.libos_functions(one, {name for stack in self.stacks for name in stack})
            total = self.idle + self.busy
            note = "%d samples from the emulator's side of %s; the CPUs were idle %d %% of the time" % (
                self.samples, ", ".join(sorted({stack[0] for stack in self.stacks})) or "no program",
                round(100 * self.idle / total) if total else 0)
            flame.write_lines(path, self.stacks, libos, record.command_line(), note, "kernel")
            if self.failed:
                warn("sampling ended early: %s" % self.failed)
            if not self.values.quiet:
                say("%s: %s" % (path, note))
        except OSError as error:
            raise ExoError(error.filename or path, "cannot be written: %s" % error.strerror) from None
        finally:
            if self.own:
                self.room.close()
