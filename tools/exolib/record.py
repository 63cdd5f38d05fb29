# SPDX-License-Identifier: BSD-2-Clause
"""Recording a run from outside: exo run --trace FILE.json and --profile FILE.

A program more, apps/record, observes the others by capabilities and writes what it sees to
a log in memory; memory.py copies that while the machine runs, and this module makes files of
it when it has ended: whether the programs ended, hang or took the kernel with them.
"""

import copy
import os
import shlex
import sys

from . import config, memory
from .symbols import Symbols
from .util import ExoError, say, warn

# Kinds of entries: include/exo/trace.h, then apps/record/log.h.
CALL, RESULT, EXCEPTION, UPCALL, RUNS, WAITS, END = range(1, 8)
(PATIENT, LOST, SAMPLE, STACK, FLOW, FLOW_NAME, ENV, CPU, SLICE, UNKNOWN, NAME, COPY) = range(100, 112)
NAMES_CALL, NAMES_ERROR, NAMES_VECTOR = range(3)
LOG_FRAMES, RING_FRAMES = 1024, 256
SAMPLE_US = 1000
MANY = 200000                   # records that take their time
PROFILES = (".svg", ".folded")
LABEL_NAME = 8                  # letters of a name in the label of a process (libos/keep/body.c)


FILES = {}


def symbols_of(path, image):
    """A file's symbols, where it lies; the file is read once."""
    if path not in FILES:
        FILES[path] = Symbols(path)
    found = copy.copy(FILES[path])
    found.place(image)
    return found


class Paths:
    """Which file a program or a process comes from."""

    def __init__(self, plan):
        self.programs = {program.name: program.path for program in plan.programs}
        self.files = [pair for program in plan.programs for pair in getattr(program, "processes", [])]
        self.volumes, self.walked = [host for host, unused in plan.volumes], False

    def find(self, label):
        """A process' label has the first letters of its program's name, and its number: NAME[PID]."""
        if label in self.programs:
            return self.programs[label]
        stem, bracket, unused = label.partition("[")
        if not bracket:
            return None
        return self.match(stem) or self.walk() or self.match(stem)

    def match(self, stem):
        return next((path for name, path in self.files if name[:LABEL_NAME] == stem), None)

    def walk(self):
        """The programs in the volumes; only if there is no other way."""
        if self.walked:
            return
        self.walked = True
        for host in self.volumes:
            for directory, unused, names in os.walk(host):
                for name in names:
                    path = os.path.join(directory, name)
                    try:
                        with open(path, "rb") as file:
                            if file.read(4) == b"\x7fELF":
                                self.files.append((name.rpartition(".posix")[0] or name, path))
                    except OSError:
                        pass                    # it has not been packed either


class Patient:
    """A program that was observed."""

    def __init__(self, number, words, text, path):
        self.number, self.env, self.name, self.path = number, words[0], text, path
        self.symbols = None
        if path and words[1]:
            self.symbols = symbols_of(path, words[1])

    def show(self, address):
        return self.symbols.show(address) if self.symbols else "0x%x" % address


class Decoded:
    """The log, with what it says about itself."""

    def __init__(self, log, paths):
        self.log, self.patients, self.names, self.cpus, self.lost = log, {}, {}, 1, log.lost
        for unused, patient, kind, number, words in log.entries():
            if kind == PATIENT:
                name = self.text(words[3:5])
                self.patients[patient] = Patient(patient, words, name, paths.find(name))
            elif kind == NAME:
                key = number >> 24, number & 0xffff
                self.names[key] = self.names.get(key, "") + self.text(words)
            elif kind == CPU:
                self.cpus = max(self.cpus, number + 1)
            elif kind == RUNS:
                self.cpus = max(self.cpus, number + 1)

    def entries(self):
        return self.log.entries()

    @staticmethod
    def text(words):
        return b"".join(word.to_bytes(8, "little") for word in words).partition(b"\0")[0].decode("utf-8", "replace")

    def call_name(self, number):
        return self.names.get((NAMES_CALL, number), "call %d" % number).partition(",")[0]

    def call_arguments(self, number, words):
        unused, letters, names = (self.names.get((NAMES_CALL, number), "") + ",,").split(",", 2)
        names = [name.strip() for name in names.split(",")]
        return {name: show_value(letter, word) for letter, name, word in zip(letters, names, words)}

    def result(self, word):
        if word >> 63 and (1 << 64) - word <= 64:
            number = (1 << 64) - word
            return "-" + self.names.get((NAMES_ERROR, number), str(number))
        return word if word < 100000 else "0x%x" % word

    def vector(self, number):
        return self.names.get((NAMES_VECTOR, number), "exception %d" % number)


def show_value(letter, word):
    """An argument as apps/trace shows it."""
    if letter in "cs" and word >> 32 or letter == "c" and word:
        return "#%d.%d" % (word & 0xffffffff, word >> 32)
    if letter == "t":
        return "never" if word == (1 << 64) - 1 else "%.6f" % (word / 1e9)
    return "0x%x" % word if letter == "v" or word >= 100000 else word


def profile_file(text):
    """A name that says what to write."""
    if not text.endswith(PROFILES):
        raise ValueError("'%s' is neither a FILE.svg (a flame graph) nor a FILE.folded (its stacks as lines)" % text)
    return text


def is_file(word):
    """Whether the word behind --trace is the file for it, rather than a program."""
    return word.endswith(".json")


def trace_value(text):
    """calls, all, or FILE.json."""
    if text in ("calls", "all") or is_file(text):
        return text
    raise ValueError("'%s' is neither calls nor all nor a FILE.json" % text)


def wanted(values):
    """Does the command line ask for a record?"""
    return bool(getattr(values, "profile", None)) or is_file(getattr(values, "trace", None) or "")


def observe(plan, values, image, words, what):
    """One program more, which observes all others, or those that --observe names, and ends as the first of them does."""
    if not plan.programs:
        raise ExoError("option --%s" % what, "the module holds its configuration already", "leave it out")
    main = next((p for p in plan.programs if p.get("main")), plan.programs[0])
    if not values.config:
        main.name = main.name.encode()[:config.MAX_OBSERVE_NAME].decode("utf-8", "ignore")
    names = [p.name for p in [main] + [p for p in plan.programs if p is not main]]
    if image in names:
        raise ExoError("option --%s" % what, "a program is called %s already" % image, "give that another name")
    for name in values.observe:
        if name not in names:
            raise ExoError("option --observe", "there is no program %s" % name, "the programs are %s" % ", ".join(names))
    names = [name for name in names if not values.observe or name in values.observe]
    for name in names:
        if len(name.encode()) > config.MAX_OBSERVE_NAME:
            raise ExoError("option --%s" % what, "'%s' is too long a name to observe; it may have %d letters" % (
                name, config.MAX_OBSERVE_NAME), "give the program a shorter one, or name others with --observe")
    if len(names) > config.MAX_REPEATED["observe"]:
        raise ExoError("option --%s" % what, "%d programs are too many to observe" % len(names),
                       "name at most %d with --observe" % config.MAX_REPEATED["observe"])
    section = config.Section(image, 0)
    section.values.update({"image": image, "args": words + names, "observe": names, "input": False})
    main.values.setdefault("input", True)
    if names[0] == main.name:
        main.values.pop("main", None)
        section.values["main"] = True
    elif not any(p.get("main") for p in plan.programs):
        main.values["main"] = True
    plan.programs.append(section)


def plan_record(plan, values):
    """The recorder, as the options want it."""
    words = []
    if values.profile:
        words += ["--sample", str(SAMPLE_US)]
        if not is_file(values.trace or ""):
            words.append("--calls")
    words += ["--log", str(LOG_FRAMES), "--ring", str(RING_FRAMES)]
    observe(plan, values, "record", words, "profile" if values.profile else "trace")
    plan.record_bytes = (LOG_FRAMES + RING_FRAMES * len(plan.programs)) * memory.PAGE


class Recorder:
    """The record of one run."""

    def __init__(self, plan, values, work):
        self.plan, self.values = plan, values
        machine = plan.machine
        machine.memory_file = work.file("memory")
        machine.memory = (machine.memory + 8191) // 8192 * 8192     # as the emulator wants it
        self.memory = memory.Memory(machine.memory_file, machine.memory)
        self.log = memory.Log(self.memory, work.file("log"))
        self.log.start()

    def finish(self):
        """When the machine has ended: the files that were asked for."""
        from . import flame, perfetto
        self.log.finish()
        try:
            decoded = Decoded(self.log, Paths(self.plan))
            if not decoded.patients:
                warn("nothing was recorded: the machine ended before the recorder began")
            if self.log.taken > MANY:
                self.tell("%d records are being written ..." % self.log.taken)
            command = command_line()
            if is_file(self.values.trace or ""):
                count = perfetto.write(self.values.trace, decoded, command)
                self.tell("%s: %d events of %s; open it at https://ui.perfetto.dev or in chrome://tracing" % (
                    self.values.trace, count, names_of(decoded)))
            if self.values.profile:
                self.tell(flame.write(self.values.profile, decoded, command))
            lost = decoded.lost + sum(words[0] for unused, unused, kind, unused, words in decoded.entries() if kind == LOST)
            if lost:
                warn("%d records are lost: they came faster than they could be kept" % lost)
        except OSError as error:
            raise ExoError(error.filename or "the record", "cannot be written: %s" % error.strerror) from None
        finally:
            self.memory.close()

    def tell(self, text):
        if not self.values.quiet:
            say(text)


def command_line():
    return "exo " + " ".join(shlex.quote(word) for word in sys.argv[1:])


def names_of(decoded):
    """Programs, without their processes' numbers."""
    return ", ".join(dict.fromkeys(one.name.partition("[")[0] for one in decoded.patients.values())) or "no program"


def outputs(values):
    """Files that will be written."""
    return [path for path in (values.profile, values.profile_all, values.trace if is_file(values.trace or "") else None)
            if path]


def check_outputs(values):
    for path in outputs(values):
        try:
            with open(path, "w", encoding="utf-8"):
                pass
        except OSError as error:
            raise ExoError(path, "cannot be written: %s" % error.strerror, "name another file") from None
