# SPDX-License-Identifier: BSD-2-Clause
"""A recorder's log as a trace file for Perfetto and Chrome's viewer (Trace Event Format, JSON).

Process 1 is the machine: a track for each CPU says which program ran there, and counters tell
of idleness, flows and slices.  Each environment is a process with one track: when it ran, within
that its calls, between them what it waited for; exceptions and upcalls are instants on it.  Times
are microseconds since the machine's start.  What the kernel does not record is not made up:
an exception's handler has no end, and a call that a program did not come back from has none.
"""

import json

from .record import (CALL, CPU, ENV, EXCEPTION, FLOW, FLOW_NAME, LOST, RESULT, RUNS, SLICE, END, UPCALL, WAITS)

MACHINE = 1
FIRST = 100                     # process number of the first patient
REASONS = ("start", "slice", "time", "event", "replied", "moved")
EVENTS = ("receive", "sent", "child", "cut", "wake", "demand", "answered", "lost", "console", "interrupt", "disk")
EXIT = 64
CAUSES = {EXIT: "exit", 65: "destroyed", 66: "broke the dispatcher page's rules", 67: "repossessed"}
PARTED = ("sleep", "yield", "reply", "send", "call", "env_exit")     # calls after which somebody else may run


class Writer:
    """The list of events, one by one to the file."""

    def __init__(self, file):
        self.file, self.count = file, 0
        file.write('{"displayTimeUnit": "ns", "traceEvents": [\n')

    def put(self, **event):
        self.file.write(("" if not self.count else ",\n") + json.dumps(event))
        self.count += 1

    def end(self, other):
        self.file.write('\n], "otherData": %s}\n' % json.dumps(other))


def us(ns):
    return ns / 1000


class Track:
    """One environment: what it is doing now."""

    def __init__(self, writer, log, patient):
        self.writer, self.log, self.patient = writer, log, patient
        self.pid = FIRST + patient.number
        self.cpu, self.since = 0, None          # runs since; None: it does not
        self.call = None                        # (time, number, words) that has not come back
        self.away, self.away_name = None, None  # since when it waits, and for what
        self.last = 0
        writer.put(ph="M", name="process_name", pid=self.pid, tid=0, args={"name": patient.name})
        writer.put(ph="M", name="thread_name", pid=self.pid, tid=1, args={"name": "environment %d" % (
            patient.env & 0xffffffff)})
        writer.put(ph="M", name="process_sort_index", pid=self.pid, tid=0, args={"sort_index": self.pid})

    def span(self, name, category, start, end, **args):
        self.writer.put(ph="X", name=name, cat=category, pid=self.pid, tid=1, ts=us(start), dur=us(max(0, end - start)),
                        args=args)

    def instant(self, name, category, time, **args):
        self.writer.put(ph="i", s="t", name=name, cat=category, pid=self.pid, tid=1, ts=us(time), args=args)

    def stop(self, time, why):
        """It does not run from now on."""
        if self.since is not None:
            self.span("runs", "cpu", self.since, time, cpu=self.cpu)
            self.writer.put(ph="X", name=self.patient.name, cat="cpu", pid=MACHINE, tid=self.cpu + 1, ts=us(self.since),
                            dur=us(max(0, time - self.since)), args={"until": why})
            self.since = None
        self.away, self.away_name = time, why

    def leave(self, why):
        """A call has not come back: it left the CPU there."""
        time, number, words = self.call
        self.call = None
        self.span(self.log.call_name(number), "call", time, time, **self.log.call_arguments(number, words))
        self.stop(time, why)

    def event(self, time, kind, number, words):
        self.last = time
        if kind == RUNS:
            if self.call:
                self.leave(self.log.call_name(self.call[1]))
            elif self.since is not None:
                self.stop(time, "?")
            if self.away is not None and time > self.away:
                self.span(self.away_name, "waits", self.away, time)
            self.since, self.cpu, self.away = time, number, None
            return
        if self.since is None and kind != END:
            self.since = self.away = time       # the record that it was given the CPU was lost
        if kind == CALL:
            if self.call:
                self.leave(self.log.call_name(self.call[1]))
                self.since = time
            self.call = (time, number, words)
        elif kind == RESULT:
            self.result(time, number, words[0])
        elif kind == WAITS:
            self.stop(time, "interrupted")
        elif kind == EXCEPTION:
            self.exception(time, number, words)
        elif kind == UPCALL:
            self.upcall(time, number, words)
        elif kind == END:
            self.end(time, number, words)

    def result(self, time, number, word):
        if self.call and self.call[1] == number:
            start, number, words = self.call
            arguments = self.log.call_arguments(number, words)
            arguments["result"] = self.log.result(word)
            self.span(self.log.call_name(number), "call", start, time, **arguments)
        else:
            self.instant("%s returns" % self.log.call_name(number), "call", time, result=self.log.result(word))
        self.call = None

    def exception(self, time, vector, words):
        arguments = {"at": self.patient.show(words[2])}
        if vector == 14:
            arguments.update(address="0x%x" % words[1], access=access(words[0]))
        self.instant(self.log.vector(vector), "exception", time, **arguments)

    def upcall(self, time, number, words):
        if self.call:
            self.leave(self.log.call_name(self.call[1]))
            self.since, self.away = time, None
        if number == 1:
            self.instant("transfer", "upcall", time, badge=words[0], caller=words[1] & 0xffffffff)
        elif number == 2:
            self.instant("end of the slice", "upcall", time)
        else:
            reasons = [name for i, name in enumerate(REASONS) if words[0] >> i & 1]
            reasons += [name for i, name in enumerate(EVENTS) if words[0] >> i + 8 & 1]
            self.instant("run: " + ", ".join(reasons or ["slice"]), "upcall", time)

    def end(self, time, cause, words):
        if self.call:
            self.leave(self.log.call_name(self.call[1]))
        self.stop(time, "ended")
        self.away = None
        what = CAUSES.get(cause) or self.log.vector(cause)
        arguments = {"status": words[0] if cause == EXIT else "0x%x" % words[0]}
        if words[1]:
            arguments["at"] = self.patient.show(words[1])
        self.instant("ended: %s" % what, "end", time, **arguments)

    def finish(self, end):
        """The machine ended, at this time, while it was alive."""
        if self.call:
            self.leave(self.log.call_name(self.call[1]))
        if self.since is not None:
            self.stop(self.last, "the record ends")
        elif self.away is not None and end > self.away:
            self.span(self.away_name, "waits", self.away, end, until="the record ends")

    def lost(self, count):
        self.call = None
        if self.since is not None:
            self.stop(self.last, "records are lost")
        self.instant("%d records lost" % count, "lost", self.last, count=count)


def access(error):
    """What a page fault's error code says."""
    return "%s of %s page" % ("execute" if error & 16 else "write" if error & 2 else "read",
                              "a present" if error & 1 else "an absent")


class Machine:
    """Counters and the CPUs' tracks."""

    def __init__(self, writer, cpus):
        self.writer, self.flows, self.names, self.cpu = writer, {}, {}, {}
        self.slices = {}
        writer.put(ph="M", name="process_name", pid=MACHINE, tid=0, args={"name": "machine"})
        writer.put(ph="M", name="process_sort_index", pid=MACHINE, tid=0, args={"sort_index": 0})
        for cpu in range(cpus):
            writer.put(ph="M", name="thread_name", pid=MACHINE, tid=cpu + 1, args={"name": "CPU %d" % cpu})

    def counter(self, name, time, **values):
        self.writer.put(ph="C", name=name, pid=MACHINE, tid=0, ts=us(time), args=values)

    def flow(self, time, index, words, owner):
        old = self.flows.get(index)
        self.flows[index] = words
        name = "flow %d %s" % (index, self.names.get(index, ""))
        self.counter(name.strip() + " packets", time, **{"in": words[0], "out": words[3], "dropped": words[2]})
        if old is None:
            return
        for label, packets, size in (("in", 0, 1), ("out", 3, 4)):
            count, length = words[packets] - old[packets], words[size] - old[size]
            if count > 0:
                self.writer.put(ph="i", s="p", name="%d packet%s %s" % (count, "" if count == 1 else "s", label), cat="packets",
                                pid=MACHINE, tid=0, ts=us(time), args={"flow": index, "bytes": length, "flow is": owner})

    def of_cpu(self, time, index, words):
        old = self.cpu.get(index)
        self.cpu[index] = (time, words[0])
        if old and time > old[0]:
            share = min(100.0, max(0.0, (words[0] - old[1]) * 100 / (time - old[0])))
            self.counter("CPU %d idle %%" % index, time, idle=round(share, 1))

    def slice(self, time, index, words, owner):
        cpu, env, used = words[:3]
        if self.slices.get((cpu, index)) != env:
            self.slices[cpu, index] = env
            held = sum(1 for (c, unused), e in self.slices.items() if c == cpu and e == env)
            self.writer.put(ph="i", s="t", name="slice %d is %s" % (index, owner), cat="slice",
                            pid=MACHINE, tid=cpu + 1, ts=us(time), args={"slice": index, "bound": held, "used_us": us(used)})


def write(path, log, command):
    """The file; returns how many events are in it."""
    with open(path, "w", encoding="utf-8") as file:
        writer = Writer(file)
        machine = Machine(writer, log.cpus)
        tracks = {number: Track(writer, log, patient) for number, patient in log.patients.items()}
        own = {patient.env & 0xffffffff: patient.name for patient in log.patients.values()}
        owner = lambda env: (own.get(env) or "environment %d" % env) + "'s" if env else "nobody's"
        lost = end = 0
        for time, patient, kind, number, words in log.entries():
            end = max(end, time)
            if kind <= END and patient in tracks:
                tracks[patient].event(time, kind, number, words)
            elif kind == LOST and patient in tracks:
                tracks[patient].lost(words[0])
                lost += words[0]
            elif kind == FLOW_NAME:
                machine.names[number] = log.text(words)
            elif kind == FLOW:
                machine.flow(time, number, words, owner(words[5]))
            elif kind == CPU:
                machine.of_cpu(time, number, words)
            elif kind == SLICE:
                machine.slice(time, number, words, owner(words[1]))
            elif kind == ENV:
                pass
        for track in tracks.values():
            track.finish(end)
        writer.end({"made by": "exo run --trace", "command": command, "records lost": lost + log.lost})
        return writer.count
