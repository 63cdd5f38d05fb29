# SPDX-License-Identifier: BSD-2-Clause
"""Seeing inside from outside: traces as files, profiles, gdb's commands, exotop; also when the patient is wedged.

Time limit: 180 s
"""

import collections
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import xml.etree.ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))

import guest
import tap
import web
from exolib import memory, perfetto, record
from tap import check, has, same

DIE = os.path.join(guest.build_dir(), "test", "guest", "die.uni")
PHASES = {"X": ("ts", "dur"), "i": ("ts", "s"), "C": ("ts", "args"), "M": ("args",)}
METADATA = ("process_name", "thread_name", "process_sort_index")


def path_of(name):
    return os.path.join(guest.log_dir(), "see-" + name)


def config(name, text):
    with open(path_of(name), "w", encoding="utf-8") as file:
        file.write(text)
    return path_of(name)


def events(path):
    """The events of a trace file, which must keep to the format's rules."""
    with open(path, encoding="utf-8") as file:
        trace = json.load(file)
    check(isinstance(trace, dict) and trace["displayTimeUnit"] in ("ms", "ns"), "not the object format")
    spans = collections.defaultdict(list)
    named = set()
    for event in trace["traceEvents"]:
        phase = event["ph"]
        check(phase in PHASES and all(key in event for key in PHASES[phase]), "phase or keys: %r" % event)
        check(isinstance(event["name"], str) and event["name"], "name: %r" % event)
        check(isinstance(event["pid"], int) and isinstance(event["tid"], int), "pid, tid: %r" % event)
        check(all(isinstance(event.get(key, 0), (int, float)) and event.get(key, 0) >= 0 for key in ("ts", "dur")),
              "times: %r" % event)
        if phase == "M":
            check(event["name"] in METADATA, "metadata: %r" % event)
            named.add(event["pid"])
        elif phase == "C":
            check(event["args"] and all(isinstance(v, (int, float)) for v in event["args"].values()), "counter: %r" % event)
        elif phase == "i":
            check(event["s"] in "gpt", "scope: %r" % event)
        else:
            spans[event["pid"], event["tid"]].append((event["ts"], -event["dur"]))
    check({event["pid"] for event in trace["traceEvents"]} == named, "a process without a name")
    for track, found in spans.items():
        nested(track, sorted(found))
    return trace["traceEvents"], trace["otherData"]


def nested(track, found):
    """Spans of one track lie one within the other, or apart."""
    ends = []
    for start, minus in found:
        while ends and ends[-1] <= start + 0.0005:
            ends.pop()
        check(not ends or start - minus <= ends[-1] + 0.0005, "track %s: a span from %f ends after the one around it" % (
            track, start))
        ends.append(start - minus)


def spans(trace, **wanted):
    return [e for e in trace if e["ph"] == "X" and all(e.get(key) == value for key, value in wanted.items())]


def test_trace():
    """a trace file: calls with arguments and results, faults by function, the end; the program's status is the run's"""
    done = guest.exo("run", "--timeout", "30", "--trace", path_of("hello.json"), "hello", "--", "--exit", 7)
    same(done.returncode, 7, "status")
    has(done.stderr, "ui.perfetto.dev", "what is said")
    trace, other = events(path_of("hello.json"))
    same(other["records lost"], 0, "lost")
    writes = spans(trace, name="console_write")
    same(writes[0]["args"]["bytes"], 16, "bytes of the first write")
    same(writes[0]["args"]["result"], 16, "its result")
    check(any(e["args"].get("result") == "-NOTABLE" for e in spans(trace, name="space_write")), "no error by name")
    faults = [e for e in trace if e["name"] == "page fault"]
    check(faults and all(re.match(r"[a-z_]\w*[.\w]*\+0x", e["args"]["at"]) for e in faults), "faults: %r" % faults[:3])
    ends = [e for e in trace if e["name"] == "ended: exit"]
    same([e["args"]["status"] for e in ends], [7], "the end")
    same(len(spans(trace, pid=1, name="hello")) >= 1, True, "spans on the CPU's track")


def test_trace_wedged():
    """a wedged program, one without a stack and a deadlocked one are traced to the last moment; one is left out"""
    conf = config("wedged.conf", "[machine]\ncpus = 2\n[program wedged]\nimage = %s\nargs = wedge\nslices = 4\n"
                  "[program gone]\nimage = %s\nargs = gone\ncpu = 1\n[program other]\nimage = hello\n"
                  "[program dead]\nimage = %s\nargs = deadlock\n" % (DIE, DIE, DIE))
    done = guest.exo("run", "--timeout", "4", "--config", conf, "--observe", "wedged", "--observe", "gone", "--observe", "dead",
                     "--trace=" + path_of("wedged.json"), "--profile", path_of("wedged.folded"))
    same(done.returncode, 124, "status")
    trace, unused = events(path_of("wedged.json"))
    names = {e["pid"]: e["args"]["name"] for e in trace if e["name"] == "process_name"}
    same(sorted(names.values()), ["dead", "gone", "machine", "wedged"], "processes")
    last = max(e["ts"] for e in trace if e["ph"] != "M")
    for pid in [p for p, name in names.items() if name != "machine"]:
        to_the_end = spans(trace, pid=pid, name="sleep" if names[pid] == "dead" else "runs")
        check(max(e["ts"] + e["dur"] for e in to_the_end) > last - 200000, "%s is not seen to the end" % names[pid])
    check(spans(trace, pid=1, tid=2, name="gone") and spans(trace, pid=1, tid=1, name="wedged"), "CPUs' tracks")
    check(any(e["name"] == "slice 0 is wedged's" for e in trace), "no slices")
    lines = folded("wedged.folded")
    check(re.search(";main;(die|wedge)$", costliest(lines, "wedged")), "the loop is not what costs: %r" % lines)
    check(re.search("^gone;(die|gone|main)$", costliest(lines, "gone")), "without a stack it is not the function: %r" % lines)


def folded(name):
    with open(path_of(name), encoding="utf-8") as file:
        return [(stack, int(count)) for stack, unused, count in (line.rpartition(" ") for line in file.read().splitlines())]


def costliest(lines, program):
    """The stack of a program that took most time in user mode."""
    return max((count, stack) for stack, count in lines if stack.startswith(program + ";") and ";[" not in stack)[1]


def test_packets():
    """packets of a flow, waits and a profile of a server under load, with the kernel's part by call"""
    with guest.Guest("-p", "0:80", "-v", os.path.join(guest.SOURCE, "doc") + ":/", "--trace=" + path_of("httpd.json"),
                     "--profile", path_of("httpd.svg"), "httpd", name="httpd") as machine:
        machine.wait_line("httpd: serving")
        port = machine.port(80)
        for unused in range(200):
            web.get(port, "/architecture.md")
    trace, other = events(path_of("httpd.json"))
    same(other["records lost"], 0, "lost")
    packets = [e for e in trace if e.get("cat") == "packets"]
    check(sum(int(e["name"].split()[0]) for e in packets if e["name"].endswith("in")) >= 400, "few packets in")
    check(all(e["args"]["flow is"] == "httpd's" for e in packets), "whose they are: %r" % packets[:2])
    check(spans(trace, name="flow_kick") and spans(trace, cat="waits", name="sleep"), "no kicks, or no waits")
    tree = xml.etree.ElementTree.parse(path_of("httpd.svg"))
    titles = [e.text for e in tree.iter("{http://www.w3.org/2000/svg}title")]
    for wanted in ("all", "httpd", "main", "[kernel]", "flow_kick"):
        check(any(title.startswith(wanted + ":") for title in titles), "no box %s in %r" % (wanted, titles[:40]))


def test_no_frame_pointers():
    """stacks of a program without frame pointers (dataplane), by call frame information"""
    program = os.path.join(guest.build_dir(), "apps", "httpd-events", "httpd-events.dataplane")
    if not os.path.exists(program):
        raise tap.Skip("httpd-events.dataplane is not built")
    with guest.Guest("-p", "0:80", "-v", os.path.join(guest.SOURCE, "doc") + ":/", "--profile", path_of("events.folded"),
                     program, "/", name="events") as machine:
        machine.wait_line("serving")
        port = machine.port(80)
        for unused in range(200):
            web.get(port, "/architecture.md")
    check(any(re.match("httpd-event;thread_begin;.*;main;conn_run;.*;", stack) for stack, unused in folded("events.folded")),
          "no stack down to main: %r" % folded("events.folded")[:20])


def test_profile_all():
    """the emulator's own samples: the kernel's functions on those of the program that called; one without a stack"""
    conf = config("all.conf", "[machine]\ncpus = 2\n[program calls]\nimage = %s\nargs = calls\n"
                  "[program gone]\nimage = %s\nargs = gone\ncpu = 1\n" % (DIE, DIE))
    done = guest.exo("run", "--timeout", "2", "--config", conf, "--profile-all", path_of("all.folded"))
    same(done.returncode, 124, "status")
    has(done.stderr, "samples from the emulator's side", "what is said")
    lines = folded("all.folded")
    check(any(re.match(r"calls;thread_begin;.*;main;.*\[kernel\];(sys|locked)_console_write(;|$)", stack) for stack, unused in lines),
          "no way from main into the kernel: %r" % lines)
    check(re.search("^gone;(die|gone|main|\\[unknown\\])$", costliest(lines, "gone")), "without a stack: %r" % lines)
    times = [sum(count for stack, count in lines if stack.startswith(name)) for name in ("calls;", "gone;")]
    check(min(times) > 0.2e6, "two CPUs, two programs, all the time: %r us" % times)


def test_processes():
    """processes of a keeper are traced and profiled each by its name, by functions of its own file"""
    program = os.path.join(guest.build_dir(), "test", "guest", "posix_pipe.posix")
    if not os.path.exists(program):
        raise tap.Skip("posix_pipe.posix is not built")
    done = guest.exo("run", "--timeout", "50", "--trace", path_of("posix.json"), "--profile", path_of("posix.folded"), program)
    same(done.returncode, 0, "status")
    trace, unused = events(path_of("posix.json"))
    names = [e["args"]["name"] for e in trace if e["name"] == "process_name"]
    check("posix_pi[1]" in names and "posix_pi[2]" in names, "processes: %r" % names[:8])
    check(any(stack.startswith("posix_pi;") and ";core_main;" in stack for stack, unused in folded("posix.folded")),
          "no function of a process")


def test_lost():
    """a log in a file of memory: entries in their order over the end of its room, lost records told, broken heads refused"""
    path = path_of("memory")
    room = memory.Memory(path, 1 << 20)
    try:
        entry = lambda i, kind=record.CALL: memory.ENTRY.pack(i * 1000, kind, 1, i, 0, 0, 0, 0, 0)
        for i in range(100, 160):
            place = 5 * 4096 + (i % 128 - 64 if i % 128 >= 64 else i % 128) * 64 if i % 128 >= 64 else 3 * 4096 + i % 128 * 64
            room.map[place:place + 64] = entry(i)
        struct.pack_into("<16sQII4QII", room.map, 2 * 4096, memory.MAGIC, 2, 1, 64, 128, 160, 100, 3, 2, 0)
        struct.pack_into("<IIII", room.map, 2 * 4096 + memory.HEAD.size, 3, 1, 5, 1)
        room.map[7 * 4096:7 * 4096 + 16] = memory.MAGIC            # in its place, but not the head
        room.map[100:116] = memory.MAGIC
        log = memory.Log(room, path + ".log")
        log.taken = 100
        log.take()
        same([words[0] for unused, unused, unused, unused, words in log.entries()], list(range(100, 160)), "entries")
        same((log.lost, struct.unpack_from("<Q", room.map, 2 * 4096 + memory.TAKEN)[0]), (3, 160), "lost, taken")
        log.put(0, record.LOST, 5)
        decoded = record.Decoded(log, record.Paths(type("", (), {"programs": [], "volumes": []})))
        decoded.patients[0] = record.Patient(0, (1, 0), "one", None)
        perfetto.write(path + ".json", decoded, "a test")
        same(events(path + ".json")[1]["records lost"], 8, "lost, in the file")
    finally:
        room.close()
        os.unlink(path)


def gdb(machine_socket, *commands, timeout=40):
    words = ["gdb", "-nx", "-q", "-batch", os.path.join(guest.build_dir(), "exo", "exo.elf"), "-x",
             os.path.join(guest.SOURCE, "tools", "exo-gdb.py"), "-ex", "target remote " + machine_socket]
    for command in commands:
        words += ["-ex", command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                          check=False)
    return done.stdout.decode("utf-8", "replace")


def test_gdb():
    """gdb: a program's symbols where it lies, a stop in its main; then the tables, and where a wedged one is"""
    if not shutil.which("gdb"):
        raise tap.Skip("gdb is not installed")
    socket = path_of("gdb.socket")
    conf = config("gdb.conf", "[machine]\ncpus = 2\n[program hello]\nslices = 4\n[program wedged]\nimage = %s\nargs = wedge\n"
                  "main = yes\n[program httpd]\nnet = own\ncpu = 1\nargs = /\n[program dead]\nimage = %s\nargs = deadlock\n" % (DIE, DIE))
    with guest.Guest("--randomize", "--net", "user", "--gdb=" + socket, "--config", conf, name="gdb") as machine:
        tap.wait_until(lambda: "exo programs " in machine.messages, what="the hint")
        programs = re.search("exo programs [^']*", machine.messages).group(0)
        text = gdb(socket, "exo envs", programs, "exo start hello", "bt 1", "exo symbols", "exo caps hello", "detach")
        has(text, "has not booted yet", "before boot")
        check(re.search(r"^#0 +main \(argc=1, .*hello\.c:", text, re.M), "no stop in main:\n" + text)
        for name in ("init", "hello", "wedged", "httpd"):
            check(re.search(r"^%s \(environment \d\): \S+ at 0x[0-9a-f]+" % name, text, re.M), "no symbols of %s:\n%s" % (
                name, text))
        check(re.search(r"^#1\.1 +env +read\+grant\+control\+wake ", text, re.M), "no capability:\n" + text)
        machine.wait_line("die: wedge")
        machine.wait_line("die: deadlock")
        machine.wait_line("httpd: serving")
        time.sleep(0.3)
        text = gdb(socket, programs, "exo symbols", "exo envs", "exo where wedged", "exo where dead",
                   "exo slices", "exo flows", "exo frames",
                   "exo frames 300", "exo where nobody", "detach")
        check(re.search(r"^ +\d+ wedged +0 ready .*(interrupted, upcalls off|runs on CPU 0)", text, re.M), "envs:\n" + text)
        check(re.search(r"^#0 0x[0-9a-f]+ <(die|wedge|main) \+ \d+>\n#1 .*<(main|core_main) ", text, re.M), "where:\n" + text)
        check(re.search(r"^dead .*: asleep\n#0 (.*\n)+?#.*<thread_join ", text, re.M), "where it is deadlocked:\n" + text)
        check(re.search(r"^ +\d+ httpd +1 asleep ", text, re.M), "httpd:\n" + text)
        check(re.search(r"^flow \d+ +net0 .*bound by httpd", text, re.M), "flows:\n" + text)
        check(re.search(r"^states: free \d+, .*env \d, ", text, re.M), "frames:\n" + text)
        check(re.search(r"^frame 300: \w+, ", text, re.M), "a frame:\n" + text)
        has(text, "there is no environment nobody", "an unknown one")


def test_exotop():
    """exotop shows a wedged program's use of its CPU, and processes of a keeper by their programs' names"""
    program = os.path.join(guest.build_dir(), "test", "guest", "posix_pipe.posix")
    if not os.path.exists(program):
        raise tap.Skip("posix_pipe.posix is not built")
    conf = config("top.conf", "[machine]\ncpus = 2\n[program exotop]\nargs = -d 0.1 -n 15\nmain = yes\nslices = 8\n"
                  "[program gone]\nimage = %s\nargs = gone\ncpu = 1\n[program shell]\nimage = %s\nlibos = posix\n" % (
                      DIE, program))
    done = guest.exo("run", "--timeout", "30", "--config", conf)
    same(done.returncode, 0, "status")
    shares = [float(x) for x in re.findall(r"^ *\d+ +gone +1 ready +([\d.]+) ", done.stdout, re.M)]
    check(shares and max(shares) > 80, "the wedged one's share: %r" % shares)
    check(re.search(r"^ *\d+ +posix_pi\[\d+\] +0 \w+ ", done.stdout, re.M), "no process by name:\n" + done.stdout)


def test_options():
    """mistakes are told before the machine starts"""
    for words, says in ((("--profile", "x.png"), "FILE.svg"), (("--trace=x.jsn",), "FILE.json"),
                        (("--observe", "hello"), "neither --trace nor --profile"),
                        (("--profile-all", "x.txt"), "FILE.svg"),
                        (("--profile-all", path_of("x.svg"), "--gdb"), "give one of them"),
                        (("--profile-all", path_of("x.svg"), "--observe", "hallo"), "the programs are init, hello"),
                        (("--trace=all", "--profile", path_of("x.svg")), "only one program observes another"),
                        (("--trace", "/nowhere/x.json"), "cannot be written"),
                        (("--trace", path_of("x.json"), "--observe", "hallo"), "the programs are hello")):
        done = guest.exo("run", *words, "hello")
        same(done.returncode, 125, "status of %s" % (words,))
        has(done.stderr, says, "what is said")


if __name__ == "__main__":
    tap.main()
