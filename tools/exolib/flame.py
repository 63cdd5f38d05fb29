# SPDX-License-Identifier: BSD-2-Clause
"""Flame graphs: where the CPU time of programs went, from samples of their stacks.

A sample stands for the program's CPU time since the one before, so the widths are times.
Nobody outside sees the kernel's stack.  Its share is measured instead: the time from each call
to its result, by call, below `[kernel]`; what the samples stand for is made less by as much.
An interruption that the kernel has held off comes when it goes back: such samples are its own.
From `call` to its reply another program works on the caller's time: `[transfer]`.
Processes of one program are one.
FILE.folded has a line for each stack, outermost function first, and microseconds; FILE.svg shows
the same as a picture: application, libOS and kernel in colours of their own, a click enlarges.
"""

import re
import subprocess
from html import escape

from .record import CALL, COPY, END, LOST, RESULT, RUNS, SAMPLE, STACK, UNKNOWN

KERNEL = "[kernel]"
TRANSFER = "[transfer]"
UNSEEN = "[not sampled]"
APP, LIBOS, OS = "app", "libos", "kernel"
LIBOS_PATHS = re.compile("(^|/)(libos|lwip|picolibc|newlib)/")
WIDTH, ROW, LEAST = 1200, 17, 0.1       # pixels; narrower boxes are left out
LETTER = 6.6


def begins(name):
    """Has this function no caller?"""
    return name in ("_start", "bare_start", "thread_begin", "__exo_thread_begin") or name.endswith("_entry")


class Costs:
    """What one program used."""

    def __init__(self, patient):
        self.patient = patient
        self.stacks, self.kernel, self.unseen = {}, {}, 0
        self.sampled = self.samples = 0
        self.call = self.pending = None

    def sample(self, words, counts):
        self.pending = words, (counts & 0xffff, counts >> 16), [], []
        self.whole()

    def part(self, which, count, words):
        """Return addresses (0), or words of the stack (1)."""
        if self.pending:
            self.pending[2 + which].extend(words[:count])
            self.whole()

    def whole(self):
        """Is all there that belongs to the sample?"""
        words, counts, addresses, copy = self.pending
        if len(addresses) >= counts[0] and len(copy) >= counts[1]:
            self.pending = None
            self.done(words, addresses, copy)

    def done(self, words, addresses, copy):
        rip, rsp, ns, unused, rbp = words[:5]
        symbols = self.patient.symbols
        leaves = symbols.leaves_kernel(rip) if symbols else None
        self.samples += 1
        if leaves == "call":
            self.unseen += ns                   # what is the call's of it is measured
            return
        if leaves:
            self.kernel[leaves] = self.kernel.get(leaves, 0) + ns
            self.unseen += ns
            return
        names = tuple(symbols.stack(rip, rsp, rbp, copy, addresses)) if symbols else ("0x%x" % rip,)
        self.stacks[names] = self.stacks.get(names, 0) + ns
        self.sampled += ns

    def trace(self, time, kind, number):
        if kind == CALL:
            self.call = time, number
        elif kind == RESULT and self.call and self.call[1] == number:
            self.kernel[number] = self.kernel.get(number, 0) + time - self.call[0]
            self.call = None
        elif kind in (RUNS, LOST):
            self.call = None

    def whole_stacks(self):
        """Stacks; where one ends too early, as its copy did, with the callers above it if others know only one way there."""
        ways = {}
        for stack in self.stacks:
            if begins(stack[0]):
                for i, name in enumerate(stack):
                    ways.setdefault(name, set()).add(stack[:i])
        whole = {}
        for stack, ns in self.stacks.items():
            above = ways.get(stack[0], ())
            if not begins(stack[0]) and len(above) == 1:
                stack = min(above) + stack
            whole[stack] = whole.get(stack, 0) + ns
        return whole

    def folded(self, log):
        """{stack: nanoseconds}."""
        name, lines = self.patient.name.partition("[")[0], {}
        for number, ns in self.kernel.items():
            call = number if isinstance(number, str) else log.call_name(number)
            lines[name, TRANSFER if call == "call" else KERNEL, call] = ns
        total = self.sampled + self.unseen
        user = max(0, total - sum(self.kernel.values()))
        for stack, ns in self.whole_stacks().items():
            lines[(name,) + stack] = ns * user / self.sampled if self.sampled else 0
        if not self.sampled and user:
            lines[name, UNSEEN] = user
        return lines


def collect(log):
    costs = {number: Costs(patient) for number, patient in log.patients.items()}
    for time, patient, kind, number, words in log.entries():
        one = costs.get(patient)
        if one is None:
            continue
        if kind <= END or kind == LOST:
            one.trace(time, kind, number)
        elif kind == SAMPLE:
            one.sample(words, number)
        elif kind == STACK:
            one.part(0, number, words)
        elif kind == COPY:
            one.part(1, number, words)
        elif kind == UNKNOWN:
            one.unseen += words[0]
    return costs


def libos_functions(symbols, names):
    """Which of these functions come from a libOS's sources, as the debug data of the program says."""
    if not symbols:
        return set()
    starts = {n: s for s, n in zip(symbols.starts, symbols.names) if n in names}
    try:
        done = subprocess.run(["addr2line", "-e", symbols.path] + ["0x%x" % start for start in starts.values()],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except OSError:
        return set()
    places = done.stdout.decode("utf-8", "replace").splitlines()
    # what has no debug data is assembly or the C library, which come with the libOS
    return {name for name, place in zip(starts, places) if LIBOS_PATHS.search(place) or place.startswith("??")}


class Box:
    """A function in its place among its callers."""

    def __init__(self, name, kind):
        self.name, self.kind, self.ns, self.inner = name, kind, 0, {}

    def add(self, stack, ns, kind_of):
        self.ns += ns
        if stack:
            inner = self.inner.setdefault(stack[0], Box(stack[0], None))
            inner.kind = kind_of(self, stack[0])
            inner.add(stack[1:], ns, kind_of)

    def depth(self):
        return 1 + max([box.depth() for box in self.inner.values()], default=0)


COLOURS = {APP: ((255, 150, 70), (246, 120, 80), (255, 176, 88)), LIBOS: ((150, 200, 110), (124, 190, 130), (172, 208, 120)),
           OS: ((120, 170, 230), (140, 184, 238), (108, 156, 220)), None: ((200, 200, 200),) * 3}
STYLE = "text{font:11px monospace;fill:#222}rect{stroke:#fff;stroke-width:.5}g.f:hover rect{stroke:#000}.h{font-size:14px}"
SCRIPT = """
var all=[].slice.call(document.querySelectorAll('g.f'));
function show(x,w){all.forEach(function(g){var r=g.firstElementChild.nextElementSibling,t=r.nextElementSibling,
a=(g.dataset.x-x)/w*%(width)d,b=g.dataset.w/w*%(width)d,l=Math.max(a,0),e=Math.min(a+b,%(width)d);
g.style.display=e-l>.3?'':'none';r.setAttribute('x',l);r.setAttribute('width',Math.max(e-l,.1));
t.setAttribute('x',l+3);var n=Math.floor((e-l-6)/%(letter)s),s=g.dataset.n;
t.textContent=n<3?'':s.length>n?s.slice(0,n-1)+'\\u2026':s;});}
all.forEach(function(g){g.onclick=function(){show(+g.dataset.x,+g.dataset.w)}});"""


def draw(box, left, row, total, bottom, out):
    """A box and those inside, from `left` (ns) on."""
    x, width = left / total * WIDTH, box.ns / total * WIDTH
    if width < LEAST:
        return
    red, green, blue = COLOURS[box.kind][sum(box.name.encode()) % 3]
    y = bottom - row * ROW
    letters = int((width - 6) / LETTER)
    shown = "" if letters < 3 else box.name if len(box.name) <= letters else box.name[:letters - 1] + "\u2026"
    out.append('<g class="f" data-x="%d" data-w="%d" data-n="%s"><title>%s: %.3f ms, %.1f %%</title>'
               '<rect x="%.2f" y="%d" width="%.2f" height="%d" fill="rgb(%d,%d,%d)"/><text x="%.2f" y="%d">%s</text></g>' % (
                   left, box.ns, escape(box.name), escape(box.name), box.ns / 1e6, box.ns * 100 / total, x, y, width, ROW - 1,
                   red, green, blue, x + 3, y + 12, escape(shown)))
    for inner in sorted(box.inner.values(), key=lambda one: one.name):
        draw(inner, left, row + 1, total, bottom, out)
        left += inner.ns


def svg(lines, kinds, command, note, kernel):
    """The picture. `kinds`: functions of libOSes; `kernel`: what is said of its boxes."""
    def kind_of(above, name):
        if above.kind is None and above.name == "all":
            return None if name.startswith("[") else APP
        if name == KERNEL or above.kind == OS:
            return OS
        if name in (UNSEEN, TRANSFER, "[unknown]") or above.name == TRANSFER:
            return None
        return LIBOS if name in kinds else APP

    root = Box("all", None)
    for stack, ns in lines.items():
        root.add(stack, ns, kind_of)
    height = (root.depth() + 1) * ROW + 78
    bottom = height - ROW - 24
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">' % (WIDTH, height, WIDTH, height),
           "<style>%s</style>" % STYLE, '<rect width="100%%" height="100%%" fill="#fafafa"/>'.replace("%%", "%"),
           '<text class="h" x="6" y="20">CPU time: %.3f ms</text>' % (root.ns / 1e6)]
    for place, (kind, name) in enumerate(((APP, "application"), (LIBOS, "libOS"), (OS, kernel))):
        out.append('<rect x="%d" y="8" width="14" height="14" fill="rgb(%d,%d,%d)"/><text x="%d" y="19">%s</text>' % (
            ((WIDTH - 420 + place * 120),) + COLOURS[kind][0] + (WIDTH - 400 + place * 120, name)))
    if root.ns:
        draw(root, 0, 0, root.ns, bottom, out)
    out.append('<text x="6" y="%d">%s</text><text x="6" y="%d">%s</text>' % (height - 22, escape(note), height - 8,
                                                                             escape(command)))
    out.append("<script>//<![CDATA[%s//]]></script></svg>" % (SCRIPT % {"width": WIDTH, "letter": LETTER} + "\n"))
    return "\n".join(out) + "\n"


def by_file(costs):
    """(a patient, names of functions that were seen) for each program's file."""
    found = {}
    for one in costs:
        if one.patient.symbols:
            names = found.setdefault(one.patient.symbols.path, (one.patient, set()))[1]
            names.update(name for stack in one.stacks for name in stack)
    return found.values()


def write_lines(path, lines, libos, command, note, kernel):
    """The file, of {stack: nanoseconds}."""
    with open(path, "w", encoding="utf-8") as file:
        if path.endswith(".svg"):
            file.write(svg(lines, libos, command, note, kernel))
            return
        for stack, ns in sorted(lines.items()):
            if ns >= 500:
                file.write("%s %d\n" % (";".join(name.replace(";", ":") for name in stack), round(ns / 1000)))


def write(path, log, command):
    """The file; returns what to say of it."""
    costs = collect(log)
    lines, libos = {}, set()
    for one in costs.values():
        for stack, ns in one.folded(log).items():
            lines[stack] = lines.get(stack, 0) + ns
    if path.endswith(".svg"):
        for patient, names in by_file(costs.values()):
            libos |= libos_functions(patient.symbols, names)
    samples = sum(one.samples for one in costs.values())
    programs = dict.fromkeys(one.patient.name.partition("[")[0] for one in costs.values())
    note = "%d samples of %s" % (samples, ", ".join(programs) or "no program")
    write_lines(path, lines, libos, command, note, "kernel, by call")
    return "%s: %s" % (path, note) + ("" if samples or not lines else "; it ran too little to be sampled")
