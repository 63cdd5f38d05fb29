# SPDX-License-Identifier: BSD-2-Clause
"""Commands of gdb's for a machine that runs Exo: `exo envs` and others; `help exo` names them.

They read the kernel's own structures through the debugger, so they work at any moment after boot,
whatever the programs do: nothing in the machine takes part.  gdb must have the kernel's symbols:

    gdb exo.elf -x exo-gdb.py -ex 'target remote :1234' -ex 'exo programs hello=hello.uni'

exo run --gdb prints this line with the right names.
"""

import struct

import gdb

PHYS = 0xffff800000000000       # PHYS_BASE: all memory by physical address (arch/x86_64/port.h)
PAGE = 4096
DISP, START, CAPS = 0x10000, 0x12000, 0x20000   # EXO_VA_* of include/exo/start.h
IMAGE_AT = 56                   # struct exo_start: image
CAPS_PER_FRAME = 64
SLICES = 64
AREAS = {"ON": 0x100, "OFF": 0x400, "FAULT": 0x700}
REGS = ("rax rbx rcx rdx rsi rdi rbp r8 r9 r10 r11 r12 r13 r14 r15 vector error address rip cs rflags rsp ss "
        "fs_base gs_base").split()
ENV_STATES = ("none", "made", "ready", "asleep", "calling", "ended", "stopped")
FRAME_STATES = ("absent", "free", "owned", "table", "links", "caps", "disp", "arg", "env", "flow", "ring", "account",
                "kernel", "info", "code", "device", "split", "volume")
TYPES = ("none", "frame", "space", "env", "entry", "slice", "flow", "account", "console", "machine", "code", "ports",
         "interrupts", "blocks", "disk", "node")
RIGHTS = ("read", "write", "exec", "grant", "control", "claim", "bind", "wake")
VECTORS = {0: "division", 1: "debug", 3: "breakpoint", 6: "illegal instruction", 13: "protection", 14: "page fault",
           64: "exit", 65: "destroyed", 66: "protocol", 67: "repossessed"}


class Trouble(gdb.GdbError):
    """What the user is told."""


def value(text):
    try:
        return gdb.parse_and_eval(text)
    except gdb.error as error:
        raise Trouble("the kernel's symbols are missing, or it has not booted yet: %s" % error) from None


def number(text):
    return int(value(text))


def memory(address, count):
    """Bytes of the machine; None: they are not mapped."""
    try:
        return bytes(gdb.selected_inferior().read_memory(address, count))
    except gdb.MemoryError:
        return None


def frame(pfn):
    return PHYS + pfn * PAGE


def words(data):
    return struct.unpack("<%dQ" % (len(data) // 8), data)


def text(array):
    """A char array up to its end."""
    return array.string("utf-8", "replace") if int(array[0]) else ""


def booted():
    info = value("info")
    if not number("info_env") or int(info["magic"]) != 0x4f464e494f584545:
        raise Trouble("the kernel has not booted yet: break at kernel_main, or continue first")
    return info


class Env:
    """One environment: what is exposed of it, and the kernel's own part while there is one."""

    def __init__(self, index, kernels):
        self.index = index
        self.info = value("info_env[%d]" % index)
        self.label = text(self.info["label"])
        self.state = int(self.info["state"])
        self.kernel = kernels.get(int(self.info["id"]))

    def translate(self, address):
        """The physical address behind one of its own; None: not mapped."""
        if self.kernel is None:
            return None
        table = int(self.kernel["root"])
        for shift in (39, 30, 21, 12):
            entry = memory(frame(table) + (address >> shift & 511) * 8, 8)
            entry = words(entry)[0] if entry else 0
            if not entry & 1:
                return None
            if shift == 12 or entry & 0x80:
                mask = (1 << shift) - 1
                return (entry & 0xffffffffff000 & ~mask) | address & mask
            table = (entry & 0xffffffffff000) >> 12
        return None

    def read(self, address, count):
        data = b""
        while count:
            here = min(count, PAGE - address % PAGE)
            physical = self.translate(address)
            piece = None if physical is None else memory(PHYS + physical, here)
            if piece is None:
                return None
            data, address, count = data + piece, address + here, count - here
        return data

    def running_on(self):
        """The CPU that executes it now; None."""
        for cpu in range(int(value("info")["cpus"])):
            if number("(unsigned long)cpus[%d]" % cpu) and self.kernel is not None and int(
                    value("cpus[%d]" % cpu)["current"]) == int(self.kernel.address):
                return cpu
        return None

    def image(self):
        """Where its program lies; 0: unknown."""
        data = self.read(START + IMAGE_AT, 8)
        return words(data)[0] if data else 0

    def area(self, name):
        data = self.read(DISP + AREAS[name], 256)
        return dict(zip(REGS, words(data))) if data else None

    def where(self):
        """(what it is doing, its registers or None)."""
        cpu = self.running_on()
        if cpu is not None:
            thread = cpu_thread(cpu)
            if thread and in_user(thread):
                return "runs on CPU %d" % cpu, thread
            return "runs on CPU %d, in the kernel" % cpu, None
        if self.state == 3:
            return "asleep", None
        if self.state == 4:
            return "waits for a transfer's reply", None
        resume = int(self.kernel["resume"]) & 3
        if resume == 1:
            return "interrupted, upcalls off", self.area("OFF")
        saved = self.read(DISP + 12, 4)
        if resume == 0 and saved and saved[0] & 1:
            return "interrupted", self.area("ON")
        return "goes on with %s" % ("its call's answer" if resume == 2 else "a RUN upcall"), None


def kernels(info):
    """{id: struct env}: those frames that the frame table says are environments."""
    total = int(info["frames_total"])
    data = memory(number("info_frame"), total * 8) or b""
    found = {}
    for pfn in range(len(data) // 8):
        if data[pfn * 8] == FRAME_STATES.index("env"):
            env = value("*(struct env *)%d" % frame(pfn))
            found[int(env["id"])] = env
    return found


def envs():
    info = booted()
    known = kernels(info)
    return [Env(index, known) for index in range(1, int(info["envs"]["entries"]))
            if int(value("info_env[%d]" % index)["state"])]


def find(word):
    """An environment by number or label."""
    for env in envs():
        if word in (str(env.index), env.label):
            return env
    raise Trouble("there is no environment %s; exo envs shows them" % word)


def cpu_thread(cpu):
    """gdb's thread of a CPU: the emulator counts from 1."""
    return next((t for t in gdb.selected_inferior().threads() if t.num == cpu + 1), None)


def in_user(thread):
    thread.switch()
    return int(gdb.parse_and_eval("(unsigned long)$pc")) < 1 << 47


def named(names, index):
    return names[index] if index < len(names) else str(index)


def place(address):
    """An address with the symbol that gdb knows there."""
    shown = gdb.execute("info symbol 0x%x" % address, to_string=True).strip()
    return "0x%x" % address + ("" if shown.startswith("No symbol") else " <%s>" % shown.partition(" in section")[0])


class Command(gdb.Command):
    """One of them: its words are checked, and the thread that was selected stays so."""

    usage, most = "", 0

    def __init__(self):
        super().__init__("exo " + self.name, gdb.COMMAND_DATA)

    def invoke(self, argument, unused):
        given = gdb.string_to_argv(argument)
        if len(given) < self.least or len(given) > self.most:
            raise Trouble("usage: exo %s %s" % (self.name, self.usage))
        thread = gdb.selected_thread()
        try:
            self.run(*given)
        except gdb.MemoryError as error:
            raise Trouble("the kernel has not booted yet, or the machine is reset: %s" % error) from None
        finally:
            if thread and thread.is_valid():
                thread.switch()

    least = 0


class Exo(gdb.Command):
    """What the kernel knows: environments, capabilities, slices, flows, frames; and programs' symbols."""

    def __init__(self):
        super().__init__("exo", gdb.COMMAND_DATA, gdb.COMPLETE_NONE, True)


class Envs(Command):
    """exo envs: the environments: state, CPU, CPU time, kernel entries, faults, frames, what each is doing."""

    name = "envs"

    def run(self):
        print("%5s %-15s %3s %-8s %10s %9s %8s %7s  %s" % ("env", "label", "cpu", "state", "ms", "calls", "faults",
                                                           "frames", "doing"))
        for env in envs():
            info = env.info
            doing = "cause %d (%s), status %d, at 0x%x" % (int(info["cause"]), VECTORS.get(int(info["cause"]), "?"),
                                                           int(info["status"]), int(info["rip"]))
            if env.state != 5:
                doing = env.where()[0] if env.kernel is not None else "?"
            print("%5d %-15s %3d %-8s %10.3f %9d %8d %7d  %s" % (
                env.index, env.label, int(info["cpu"]), named(ENV_STATES, env.state), int(info["ns"]) / 1e6,
                int(info["entries"]), int(info["exceptions"]), int(info["frames"]), doing))


def parked(env):
    """Where a program of libos/core has given the CPU up: what core_sleep left on the stack that core_parked names."""
    path = file_of(env.label)
    place = symbol(path, "core_parked") if path and env.image() else None
    at = env.read(place + env.image() - extent(path)[0], 8) if place is not None else None
    data = env.read(words(at)[0], 64) if at else None
    if not data:
        return None
    kept = words(data)          # control words of the FPU, r15 to r12, rbx, rbp, return address
    return {"rip": kept[7], "rsp": words(at)[0] + 64, "rbp": kept[6]}


class Where(Command):
    """exo where ENV: where an environment is, or where it gave the CPU up: registers, and a backtrace along its frame
    pointers."""

    name, usage, least, most = "where", "ENV", 1, 1

    def run(self, word):
        env = find(word)
        what, regs = env.where() if env.kernel is not None else ("not there any more", None)
        print("%s (environment %d): %s" % (env.label, env.index, what))
        if regs is None and env.kernel is not None:
            regs = parked(env)
        if regs is None:
            return
        if not isinstance(regs, dict):
            regs = {name: int(gdb.parse_and_eval("(unsigned long)$" + name)) for name in ("rip", "rsp", "rbp")}
        elif "rax" in regs:
            for i in range(0, 15, 3):
                print("  " + "  ".join("%-3s %016x" % (name, regs[name]) for name in REGS[i:i + 3]))
            print("  rip %016x  rsp %016x  rflags %x" % (regs["rip"], regs["rsp"], regs["rflags"]))
        print("#0 %s" % place(regs["rip"]))
        at, depth = regs["rbp"], 1
        while at and at % 8 == 0 and depth < 64:
            data = env.read(at, 16)
            if data is None or not words(data)[1]:
                break
            following, back = words(data)
            print("#%d %s" % (depth, place(back)))
            if following <= at:
                break
            at, depth = following, depth + 1


class Caps(Command):
    """exo caps ENV: what an environment holds: slot.generation, type, rights, range, object's frame, parent."""

    name, usage, least, most = "caps", "ENV", 1, 1

    def run(self, word):
        env = find(word)
        if env.kernel is None:
            raise Trouble("environment %s has no table any more" % word)
        for table in range(int(env.kernel["cap_frames"])):
            data = memory(frame(int(env.kernel["cap_frame"][table])), PAGE)
            for slot in range(CAPS_PER_FRAME):
                kind, unused, rights, generation, first, count, where, parent = struct.unpack_from(
                    "<BBHIQIIQ", data, slot * 64)
                if kind:
                    print("#%-9s %-10s %-34s %s" % (
                        "%d.%d" % (table * CAPS_PER_FRAME + slot, generation), named(TYPES, kind),
                        "+".join(name for i, name in enumerate(RIGHTS) if rights >> i & 1), self.tell(
                            kind, first, count, where, parent)))

    @staticmethod
    def tell(kind, first, count, where, parent):
        shown = {1: "frames %d..%d" % (first, first + count - 1),
                 5: "CPU %d slices %d..%d" % (first >> 32, first & 0xffffffff, (first & 0xffffffff) + count - 1),
                 4: "badge %d, environment made as number %d" % (first, count), 3: "environment made as number %d" % count,
                 11: "ports 0x%x..0x%x" % (first, first + count - 1), 12: "lines %d..%d" % (first, first + count - 1)}
        said = shown.get(kind, "%d, %d" % (first, count) if first or count else "")
        if where and kind != 1:
            said += " object in frame %d" % where
        return said.strip() + (", from frame %d slot %d" % (parent >> 6, parent & 63) if parent else "")


class Slices(Command):
    """exo slices: each CPU: who runs, whose slices there are, and how much of them was used."""

    name = "slices"

    def run(self):
        info = booted()
        names = {env.index: env.label for env in envs()}
        for cpu in range(int(info["cpus"])):
            one = value("*cpus[%d]" % cpu)
            current = int(one["current"])
            print("CPU %d: %s, slice %d, idle %.3f ms, %d switches" % (
                cpu, "%s runs" % text(one["current"]["info"]["label"]) if current else "idle", int(one["slice"]),
                int(one["info"]["idle_ns"]) / 1e6, int(one["info"]["switches"])))
            groups = []
            for index in range(SLICES):
                here = value("info_slice[%d]" % (cpu * SLICES + index))
                key = int(here["taken"]), int(here["env"])
                if groups and groups[-1][0] == key and groups[-1][2] == index - 1:
                    groups[-1][2] = index
                    groups[-1][3] += int(here["used_ns"])
                else:
                    groups.append([key, index, index, int(here["used_ns"])])
            for (taken, env), first, last, used in groups:
                if taken:
                    print("  slices %d..%d: %s, used %.3f ms" % (first, last, "%s (%d)" % (names.get(env, "?"), env) if env
                                                                 else "taken, bound to nobody", used / 1e6))


class Flows(Command):
    """exo flows: the flows: label, whose, and packets in, dropped and out."""

    name = "flows"

    def run(self):
        info = booted()
        names = {env.index: env.label for env in envs()}
        for index in range(int(info["flows"]["entries"])):
            flow = value("info_flow[%d]" % index)
            if not int(flow["state"]):
                continue
            env = int(flow["env"])
            print("flow %-3d %-15s device %d depth %d  %s  in %d (%d bytes, %d dropped)  out %d (%d bytes, %d refused)" % (
                index, text(flow["label"]), int(flow["device"]), int(flow["depth"]),
                "bound by %s (%d)" % (names.get(env, "?"), env) if int(flow["state"]) == 2 else "not bound",
                int(flow["rx_packets"]), int(flow["rx_bytes"]), int(flow["rx_dropped"]), int(flow["tx_packets"]),
                int(flow["tx_bytes"]), int(flow["tx_refused"])))


class Frames(Command):
    """exo frames [PFN]: how many frames there are in each state, and who took them; or all about one."""

    name, usage, most = "frames", "[PFN]", 1

    def run(self, word=None):
        info = booted()
        total = int(info["frames_total"])
        names = {env.index: env.label for env in envs()}
        if word is not None:
            pfn = int(word, 0)
            if pfn >= total:
                raise Trouble("frame %d is beyond the last, %d" % (pfn, total - 1))
            seen, own = value("info_frame[%d]" % pfn), value("frame_table[%d]" % pfn)
            print("frame %d: %s, taken by %s (%d), %d capabilities, %d mappings, %d pins, object %d, account %d" % (
                pfn, named(FRAME_STATES, int(seen["state"])), names.get(int(seen["owner"]), "?"), int(seen["owner"]),
                int(seen["holds"]), int(own["maps"]) & 0x7fffffff, int(own["pins"]), int(own["object"]), int(own["account"])))
            return
        states, owners = {}, {}
        for state, unused, unused, owner in struct.iter_unpack("<BBHI", memory(number("info_frame"), total * 8)):
            states[state] = states.get(state, 0) + 1
            if state not in (0, 1, 12, 13):
                owners[owner] = owners.get(owner, 0) + 1
        print("states: " + ", ".join("%s %d" % (named(FRAME_STATES, state), states[state]) for state in sorted(states) if state))
        for owner, count in sorted(owners.items(), key=lambda pair: -pair[1]):
            print("%8d of %s (%d)" % (count, names.get(owner, "the kernel's boot" if not owner else "?"), owner))


# --- programs ---------------------------------------------------------------------------------------------

FILES = {}                      # label: file
LOADED = {}                     # label: (file, start, end, offset)


def extent(path):
    """(lowest, highest) address in a program's file."""
    with open(path, "rb") as file:
        data = file.read()
    offset, count = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    segments = [struct.unpack_from("<IIQQQQQQ", data, offset + i * 56) for i in range(count)]
    loads = [s for s in segments if s[0] == 1]
    return min(s[3] for s in loads) & ~(PAGE - 1), max(s[3] + s[6] for s in loads)


def symbol(path, wanted):
    """A symbol's address in a program's file; None: there is none."""
    with open(path, "rb") as file:
        data = file.read()
    at, size, count = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, at + i * size) for i in range(count)]
    for section in sections:
        if section[1] != 2:
            continue
        names = sections[section[6]][4]
        for entry in range(section[4], section[4] + section[5], 24):
            name, unused, unused, unused, value = struct.unpack_from("<IBBHQ", data, entry)
            if data.startswith(wanted.encode() + b"\0", names + name):
                return value
    return None


def file_of(label):
    """A process of a keeper is called NAME[PID]."""
    return FILES.get(label) or FILES.get(label.partition("[")[0])


def load(env, alone):
    """A program's symbols, where it lies; `alone`: in place of others that lie there, too."""
    path, image = file_of(env.label), env.image()
    if not path or not image:
        return "%s (environment %d): %s" % (env.label, env.index, "no file is known: exo programs %s=FILE" % env.label
                                            if not path else "it has no image yet")
    lowest, highest = extent(path)
    offset = image - lowest
    span = image, highest + offset
    for label, (other, start, end, moved) in list(LOADED.items()):
        if (other, moved) == (path, offset):
            return "%s (environment %d): %s at 0x%x, as before" % (env.label, env.index, path, image)
        if span[0] < end and start < span[1]:
            if not alone:
                return "%s (environment %d): lies where %s does: exo symbols %s changes to it" % (env.label, env.index, label,
                                                                                                env.label)
            gdb.execute("remove-symbol-file -a 0x%x" % (start + PAGE), to_string=True)
            del LOADED[label]
    gdb.execute("add-symbol-file '%s' -o 0x%x" % (path, offset), to_string=True)
    LOADED[env.label] = (path,) + span + (offset,)
    return "%s (environment %d): %s at 0x%x" % (env.label, env.index, path, image)


class Programs(Command):
    """exo programs [LABEL=FILE]...: which file an environment of this label runs; exo symbols and start need it."""

    name, usage, most = "programs", "[LABEL=FILE]...", 1000

    def run(self, *given):
        for word in given:
            label, equals, path = word.partition("=")
            if not equals or not path:
                raise Trouble("'%s' is not LABEL=FILE" % word)
            FILES[label] = path
        for label in sorted(FILES) if not given else ():
            print("%s=%s" % (label, FILES[label]))


class Symbols(Command):
    """exo symbols [ENV]: load the symbols of all programs, or of this one, at the addresses where they lie."""

    name, usage, most = "symbols", "[ENV]", 1

    def run(self, word=None):
        for env in [find(word)] if word else [env for env in envs() if env.state != 5]:
            print(load(env, word is not None))


class Start(Command):
    """exo start LABEL [FUNCTION]: go on until this program is about to run, load its symbols, and go on to a function."""

    name, usage, least, most = "start", "LABEL [FUNCTION]", 1, 2

    def run(self, label, function="main"):
        value("sys_env_start")
        for unused in range(1000):
            stop = gdb.Breakpoint("sys_env_start", temporary=True, internal=True)
            gdb.execute("continue", to_string=True)
            if stop.is_valid():
                stop.delete()
                raise Trouble("the machine stopped before %s began" % label)
            env = self.asked_for()
            if env is not None and env.label == label:
                print(load(env, True))
                if label not in LOADED:
                    return
                gdb.execute("thbreak %s" % function)
                gdb.execute("continue")
                return
        raise Trouble("%s did not begin" % label)

    @staticmethod
    def asked_for():
        """Whom the capability in sys_env_start's first argument names."""
        handle = number("(unsigned long)$rdi")
        caller = value("cpus[%d]" % (gdb.selected_thread().num - 1))["current"]
        slot = handle & 0xffffffff
        data = memory(frame(int(caller["cap_frame"][slot // CAPS_PER_FRAME])) + slot % CAPS_PER_FRAME * 64, 64)
        creation = struct.unpack_from("<I", data, 16)[0]
        return next((env for env in envs() if int(env.info["id"]) >> 32 == creation), None)


Exo()
for one in (Envs, Where, Caps, Slices, Flows, Frames, Programs, Symbols, Start):
    one()
