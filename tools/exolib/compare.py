# SPDX-License-Identifier: BSD-2-Clause
"""exo compare: the same program with several library operating systems, on the same kernel, under the same load.

Here stand the options, which programs are meant, and the order of the runs: variants take turns, and every
other turn goes the other way round, so that what drifts on this computer meets all alike.  A variant that fails
is left out of the rest and told about at the end.  compare_spec reads what the command line says,
compare_measure runs machines, compare_stats summarises, compare_report and compare_plot show.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time

from . import (compare_linux, compare_measure, compare_plot, compare_report, compare_spec, config, elf, load, qemu,
               run, tree, util, wire)
from .options import Option, parse
from .util import ExoError, say, warn

RUNS = 5
START_WEIGHT, COUNT_WEIGHT = 2, 4       # a run's start in seconds of load, and counting in runs, for what is left
NETS = ("auto", "tap", "user")


def _text(text):
    if not text:
        raise ValueError("the value is empty")
    return text


def _directory(text):
    if not os.path.isdir(text):
        raise ValueError("there is no directory %s" % text)
    return os.path.abspath(text)


OPTIONS = [
    Option("--libos", "NAME,...", compare_spec.parse_libos, "the variants (default: all that the program is there for)"),
    Option("--load", "SPEC", compare_spec.parse_load,
           "http:KEY=VALUE,... kv:... or none: see below (default by the name)"),
    Option("--runs", "N", compare_spec.parse_runs, "timed runs of each variant (default %d)" % RUNS),
    Option("--side-by-side", None, None, "then all together in one machine, loaded at the same time"),
    Option("--slices", "NAME=N,...", compare_spec.parse_slices,
           "slices of each side by side, of the CPU's %d (default: equal parts)" % compare_spec.SLICES),
    Option("--linux", "WHAT", lambda text: util.parse_word(text, compare_linux.SERVERS, "Linux server"),
           "beside the same program on a Linux guest in the same emulator,\n"
           "or beside nginx or memcached there", many=True, optional=True),
    Option("-v --volume", "DIR", _directory, "the files that are served (default: one that fits the load)"),
    Option("-m --memory", "SIZE", util.parse_size, "memory of the machines (default 64M)"),
    Option("--smp --cpus", "N", lambda text: util.parse_number(text, 1, config.MAX_CPUS, "a number of CPUs"),
           "CPUs of the machines (default 1)"),
    Option("--net", "HOW", lambda text: util.parse_word(text, NETS, "wire"),
           "tap: in a network namespace of its own; user: the emulator's\n"
           "own network; auto (default): tap if that is allowed"),
    Option("--no-counts", None, None, "times only: no instructions, no kernel entries, no frames"),
    Option("--blocks", None, None, "only say which blocks each variant links; run nothing"),
    Option("--csv", "FILE", _text, "write all figures, a line each"),
    Option("--json", "FILE", _text, "the whole result as JSON on standard output, in place of the\n"
           "table, or into FILE", optional=True),
    Option("--plot", "FILE", compare_spec.parse_plot, "draw the figures: NAME.svg or NAME.png by gnuplot, NAME.gp for\n"
           "gnuplot's commands", many=True),
    Option("-q --quiet", None, None, "no messages but errors"),
    Option("-V --verbose", None, None, "a line for each run"),
    Option("-h --help", None, None, "this page"),
]


class Progress:
    """Says what is done now: one line that changes at a terminal, a line each with -V.

    weights: how long the steps may take, in units that only their ratios matter of; the rest of the time is told from
    how long those took that are done.
    """

    def __init__(self, weights, values):
        self.weights, self.done, self.begun, self.what = weights, 0, time.monotonic(), ""
        self.verbose = values.verbose
        self.on = sys.stderr.isatty() and not values.quiet and not values.verbose

    def step(self, text):
        self.done += 1
        self.what = "%d of %d, %s" % (self.done, len(self.weights), text)
        self.left = sum(self.weights[self.done - 1:])
        self.since = time.monotonic()
        self.rate = (self.since - self.begun) / (sum(self.weights[:self.done - 1]) or 1)
        if self.verbose:
            say(self.what)
        self.show("")

    def show(self, more):
        if not self.on:
            return
        left = ""
        if self.done > 1:
            seconds = max(0, self.left * self.rate - (time.monotonic() - self.since))
            left = ", some %d:%02d left" % divmod(round(seconds), 60)
        text = "%s%s%s" % (self.what, more and ": " + more, left)
        sys.stderr.write("\r%s%s\033[K" % (util.paint("exo: ", "1"), text[:shutil.get_terminal_size().columns - 8]))
        sys.stderr.flush()

    def end(self):
        if self.on and self.done:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        self.on = False


def find_files(place, word):
    """(name, {libOS: file}, C source or None) of what the command line names."""
    if word.endswith(".c"):
        if not os.path.isfile(word):
            raise ExoError(word, "there is no such file")
        name = os.path.basename(word)[:-2]
        if not util.plain_name(name):
            raise ExoError(word, "its name cannot stand in the configuration", "rename it: letters, digits, . _ + -")
        return name, {}, os.path.abspath(word)
    known = place.libos_names()
    stem, dot, ending = word.rpartition(".")
    stem = stem if dot and ending in known else word
    files = {libos: os.path.abspath(stem + "." + libos) for libos in known if os.path.isfile(stem + "." + libos)}
    name = os.path.basename(stem)
    if not files and "/" not in word:
        files = {libos: path for (other, libos), path in place.programs().items() if other == name}
    if not files:
        raise ExoError("program %s" % word, "there is no program of this name, and no files %s.%s" % (
            stem, ", ." .join(known)), util.nearest_mend(name, {other for other, unused in place.programs()}))
    return name, files, None


def find_variants(place, values, spec, name, files, source, work):
    """The variants in order; a C source is compiled for each."""
    there = files or {libos: None for libos in place.libos_names()}
    chosen = compare_spec.choose(name, values.libos, there, place.libos_names())
    args = values.words[1:] or compare_measure.default_args(spec)
    port, found, reasons = compare_measure.PORTS[spec.kind], [], {}
    for libos in chosen:
        path = there[libos]
        if source:
            try:
                path = compare_measure.compile_c(work, source, name, libos)
            except ExoError as error:
                if values.libos:
                    raise ExoError(source, "does not compile for %s: %s" % (libos, error.reason)) from None
                reasons.setdefault(error.reason, []).append(libos)
                continue
        elf.check(path, "the program")
        found.append(compare_measure.Variant(name, libos, path, args, port))
    for reason, without in reasons.items() if found else ():
        warn("the program does not compile for %s, left out: %s" % (", ".join(without), reason))
    if not found:
        raise ExoError(source or name, "it compiles for no library operating system", next(iter(reasons), None))
    return found


def choose_wire(values, spec):
    """(the wire, which is there until it is closed; what it is in words)."""
    if spec.kind == "none":
        return compare_measure.UserNet(), "none"
    if values.net != "user":
        try:
            return wire.Wire().__enter__(), "a tap device in a network namespace of its own"
        except ExoError as error:
            if values.net == "tap":
                raise
            reason = "%s: %s" % (error.thing, error.reason)
    else:
        reason = "asked for"
    return compare_measure.UserNet(), "the emulator's own network, which is itself a limit (%s)" % reason


def make_volume(work, spec, values):
    """The directory that is served: what was given, or one with the file that the load asks for."""
    if spec.kind != "http":
        return None
    if values.volume:
        path = os.path.join(values.volume, spec.path.split("?")[0].lstrip("/"))
        if not os.path.exists(path):
            raise ExoError("--load path=%s" % spec.path, "there is no %s" % path, "name a file below %s" % values.volume)
        return values.volume
    name = spec.path.split("?")[0].strip("/") or "index.html"
    path = os.path.join(work.file("files"), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        line = b"The quick brown fox jumps over the lazy dog.\n"
        file.write((line * (spec.size // len(line) + 1))[:spec.size])
    return work.file("files")


def check_needs(values, spec):
    """What must be there before anything starts; returns the plots that can be made."""
    qemu.emulator_path()
    if spec.kind == "http":
        load.find_wrk()
    for path in [values.csv, values.json] + values.plot:
        if path:
            try:
                with open(path, "ab"):
                    pass
            except OSError as error:
                raise ExoError(path, "cannot be written: %s" % error.strerror) from None
    if values.slices and not values.side_by_side:
        raise ExoError("option --slices", "is for --side-by-side", "add that, or leave it out")
    if values.side_by_side and spec.kind == "none":
        raise ExoError("option --side-by-side", "needs a load", "give --load http or --load kv")
    try:
        if any(not path.endswith(".gp") for path in values.plot):
            compare_plot.find_gnuplot()
    except ExoError as error:
        warn("%s; the table is made without plots" % error)
        return [path for path in values.plot if path.endswith(".gp")]
    return values.plot


def attempt(failed, variant, action, default=None):
    """What a measurement gives; one that fails takes its variant out."""
    if variant.title in failed:
        return default
    try:
        return action()
    except ExoError as error:
        failed[variant.title] = str(error)
        return default


def measure(job, variants, runs, values):
    """All runs; the variants' records, and what failed in words."""
    records = {v.title: {"title": v.title, "file": v.path, "args": v.args, "timed": [], "side": [], "slices": v.share,
                         **v.about(job)} for v in variants}
    exo = [v for v in variants if v.libos != "linux"]
    side = values.side_by_side
    failed, notes = {}, []
    one = START_WEIGHT + getattr(job.spec, "seconds", 0)
    progress = Progress([one] * (runs * (len(variants) + side)) +
                        [COUNT_WEIGHT * one] * (0 if values.no_counts else len(variants)), values)
    try:
        for number in range(runs):
            for variant in variants if number % 2 == 0 else variants[::-1]:
                progress.step("run %d of %d: %s" % (number + 1, runs, variant.title))
                one = attempt(failed, variant, lambda v=variant: compare_measure.timed(job, v))
                if one:
                    records[variant.title]["timed"].append(one)
            if side:
                progress.step("run %d of %d: side by side" % (number + 1, runs))
                still = [v for v in exo if v.title not in failed]
                try:
                    for libos, one in compare_measure.side_by_side(job, still).items() if still else ():
                        records[libos]["side"].append(one)
                except ExoError as error:
                    notes.append("side by side: failed: %s" % error)
                    side = False
        for variant in [] if values.no_counts else variants:
            progress.step("counts: " + variant.title)
            counts = attempt(failed, variant, lambda v=variant: compare_measure.counted(job, v, progress.show))
            records[variant.title]["counts"] = counts
    finally:
        progress.end()
    notes += ["%s: failed: %s" % item for item in failed.items()]
    return [r for r in records.values() if r["timed"]], notes


def emulator_version():
    text = subprocess.run([qemu.emulator_path(), "--version"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          timeout=20, check=False).stdout.decode("utf-8", "replace")
    return text.partition("\n")[0]


def show_blocks(place, variants):
    job = compare_measure.Job(place, None, None, None, None)
    result = {"variants": [{"title": v.title, **v.about(job)} for v in variants]}
    print("\n".join(compare_report.block_lines(result)[1:]))
    return 0


def output(result, values, plots):
    """The files, then table or JSON on standard output, which may be closed early."""
    for path, text in ((values.csv, compare_report.to_csv), (values.json, compare_report.to_json)):
        if path:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text(result) + ("\n" if path == values.json else ""))
    for path in plots:
        compare_plot.draw(result, path)
        if not values.quiet:
            say("%s: drawn" % path)
    if values.json == "":
        print(compare_report.to_json(result), flush=True)
        return
    bold = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else compare_report.WIDTH
    style = compare_report.Style(width, lambda text: "\033[1m%s\033[0m" % text if bold else text)
    print(compare_report.table(result, style), flush=True)


def set_shares(variants, values):
    """What each has of the CPU side by side."""
    exo = [v for v in variants if v.libos != "linux"]
    shares = compare_spec.share_slices([v.libos for v in exo], values.slices or {})
    for variant in exo:
        variant.share = shares[variant.libos]


def run_all(place, work, variants, spec, values):
    """All runs on one wire; the result as compare_report and JSON have it."""
    runs, volume = values.runs or RUNS, make_volume(work, spec, values)
    cable, said = choose_wire(values, spec)
    with contextlib.closing(cable):
        if not values.quiet and spec.kind != "none":
            say("wire: " + said)
        job = compare_measure.Job(place, work, cable, spec, values)
        job.volume = volume
        records, notes = measure(job, variants, runs, values)
    if not records:
        raise ExoError(variants[0].name, notes[0])
    return {"program": variants[0].name, "load": str(spec), "wire": said, "runs": runs, "variants": records,
            "notes": notes, "version": tree.version(), "emulator": emulator_version(), "kernel": place.kernel(),
            "time": int(time.time())}


def verb(words):
    """One command line; its exit status, or None for the help page."""
    values = parse("compare", OPTIONS, words, program_ends=True)
    if values.help:
        return None
    if not values.words:
        raise ExoError("program", "none is named", "write exo compare PROGRAM; see exo help compare")
    place = tree.find()
    name, files, source = find_files(place, values.words[0])
    spec = values.load or compare_spec.default_load(name)
    with run.WorkDir() as work:
        variants = find_variants(place, values, spec, name, files, source, work)
        if values.blocks:
            return show_blocks(place, variants)
        plots = check_needs(values, spec)
        variants += compare_linux.variants(place, values, spec, name, source, work)
        if values.side_by_side:
            set_shares(variants, values)
        result = run_all(place, work, variants, spec, values)
    result["command"] = shlex.join(["exo", "compare", *words])
    output(result, values, plots)
    for note in result["notes"]:
        warn(note)
    return 1 if result["notes"] or len(plots) < len(values.plot) else 0
