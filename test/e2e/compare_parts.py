#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The parts of exo compare that need no machine: statistics, reading of loads, table, CSV, plot, blocks.

Time limit: 60 s
"""

import csv
import io
import itertools
import math
import os
import random
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "tools")]

import tap
from exolib import blocks, compare_plot, compare_report, compare_spec, compare_stats
from exolib.util import ExoError
from tap import check, has, same


def refuses(function, text, *words):
    """The function refuses a text, with these words."""
    try:
        function(text)
    except (ValueError, ExoError) as error:
        for word in words:
            has(str(error), word, "the message")
        return
    raise AssertionError("%r is taken" % text)


def test_interval_exact():
    """the interval covers the median as often as counting all outcomes says"""
    for count in range(1, 13):
        for rank in range((count + 1) // 2):
            # each value is below the true median or above it, with equal probability
            inside = sum(rank + 1 <= sum(below) <= count - rank - 1
                         for below in itertools.product((0, 1), repeat=count))
            check(abs(inside / 2 ** count - compare_stats.coverage(count, rank)) < 1e-12, "%d values, rank %d" % (count, rank))


def test_interval_drawn():
    """drawn from a skewed distribution, the interval misses its median in at most one of twenty"""
    source, missed = random.Random(1), 0
    for _ in range(4000):
        found = compare_stats.Summary([source.expovariate(1.0) for _ in range(9)])
        missed += not found.low <= math.log(2) <= found.high
    check(0.02 < missed / 4000 < 0.06, "missed %d of 4000" % missed)


def test_interval_width():
    """few values: the whole range, and what it covers; more: the outermost are left out"""
    few = compare_stats.Summary([3, 1, 2])
    same((few.median, few.low, few.high, few.coverage), (2, 1, 3, 0.75), "of three")
    nine = compare_stats.Summary(range(9))
    same((nine.median, nine.low, nine.high, round(nine.coverage, 3)), (4, 1, 7, 0.961), "of nine")
    one = compare_stats.Summary([5, None])
    same((one.count, one.low, one.high, one.coverage, one.spread()), (1, 5, 5, 0, 0), "of one")
    same(compare_stats.Summary([0, 0]).spread(), 0.0, "spread of nothing")
    refuses(compare_stats.Summary, [None], "no values")
    for count in range(1, 60):
        rank, covered = compare_stats.interval_rank(count)
        check(2 * rank < count and (covered >= 0.95 or rank == 0), "%d values" % count)


def test_pairs():
    """a ratio run by run is not moved by what both runs of a pair have in common"""
    load = [1.0, 3.0, 0.5, 2.0, 7.0]
    found = compare_stats.ratios([2 * x for x in load], load)
    same((found.low, found.median, found.high), (2, 2, 2), "ratio")
    same(compare_stats.per_operation(1000, 100, 9), 100.0, "count")
    same(compare_stats.per_operation(100, 101, 9), 0.0, "count of nothing")


def test_numbers():
    """numbers and sizes as a table shows them"""
    for value, unit, text in ((12345.6, "", "12,346"), (99.94, "", "99.9"), (1.234, "", "1.23"), (0, "", "0.00"),
                              (0.0006, "", "0.0006"), (None, "", "-"), (512, "bytes", "512 B"), (3 << 20, "bytes", "3 MiB"),
                              (1536, "bytes", "1.5 KiB")):
        same(compare_stats.show(value, unit), text)


def test_loads():
    """loads: defaults, all keys, and back to text"""
    plain = compare_spec.parse_load("http")
    same((plain.connections, plain.keepalive, plain.seconds, plain.path, plain.size), (16, True, 3, "/x", 100))
    given = compare_spec.parse_load("http:connections=4,keepalive=no,seconds=1,path=/a/b.html,size=2K")
    same((given.connections, given.keepalive, given.path, given.size), (4, False, "/a/b.html", 2048))
    for text in ("http", "http:size=5", "kv:get=0.5,value=1K", "none"):
        first = compare_spec.parse_load(text)
        same(str(compare_spec.parse_load(str(first))), str(first), "read again")
    same([compare_spec.default_load(n).kind for n in ("httpd-events", "kv", "hello")], ["http", "kv", "none"])


def test_loads_refused():
    """loads that are none: the key, the reason, the nearest word"""
    for text, *words in (("htpp", "nearest", "http"), ("http:conections=3", "connections"), ("http:connections", "needs a value"),
                         ("http:connections=0", "4096"), ("http:keepalive=maybe", "yes nor no"), ("http:path=x", "not a path"),
                         ("http:path=/../etc/passwd", "not a path"), ("http:path=/;reboot", "not a path"),
                         ("http:seconds=1,seconds=2", "twice"), ("http:size=1G", "too many"), ("kv:get=2", "share"),
                         ("none:x=1", "no key"), ("", "unknown load"), ("http:", "no key")):
        refuses(compare_spec.parse_load, text, *words)


def test_slices():
    """slices: what was said, equal parts of the rest, and no more than there are"""
    same(compare_spec.share_slices(["uni", "posix"], {}), {"uni": 30, "posix": 30})
    same(compare_spec.share_slices(["a", "b", "c"], {"a": 40}), {"a": 40, "b": 10, "c": 10})
    for text, *words in (("uni", "NAME=SLICES"), ("uni=0", "slices"), ("uni=1,uni=2", "twice"), ("uni=40,posix=30", "too many")):
        refuses(compare_spec.parse_slices, text, *words)
    refuses(lambda given: compare_spec.share_slices(["uni"], given), {"posix": 3}, "not compared")
    refuses(lambda given: compare_spec.share_slices(["a", "b"], given), {"a": 60}, "leaves nothing")


def test_variants():
    """which variants: all there are, those wanted, or who has it and why not"""
    there, known = {"uni": 1, "posix": 1}, ["dataplane", "event", "posix", "uni"]
    same(compare_spec.choose("x", None, there, known), ["uni", "posix"])
    same(compare_spec.choose("x", ["posix"], there, known), ["posix"])
    refuses(lambda w: compare_spec.choose("x", w, there, known), ["unni"], "nearest", "uni")
    refuses(lambda w: compare_spec.choose("x", w, there, known), ["event"], "there for posix, uni", "leave event out")
    refuses(compare_spec.parse_libos, "uni,uni", "twice")
    refuses(compare_spec.parse_libos, "uni,", "no name")


RESULT = {
    "program": "httpd", "load": "http:connections=1", "wire": "a tap", "runs": 3, "notes": [], "command": "exo compare 'x y'",
    "variants": [
        {"title": title, "slices": 20, "image_bytes": [1000 * i, 24], "blocks": {"libos/core/frame": 10, "libos/vm/" + title: i},
         "timed": [{"rate": 100.0 * i + n, "p50": 10.0, "p90": 20.0, "p99": 40.0 + n, "errors": 0, "first": 5.0 * i, "requests": 9}
                   for n in range(3)],
         "side": [{"rate": 50.0 * i, "p50": 30.0, "p90": 40.0, "p99": 90.0, "errors": i - 1, "requests": 9}],
         "counts": {"operations": 10000, "for_it": 3, "info": {"used_bytes": 4096, "envs": [{"label": "init", "frames": 5},
                                                                               {"label": "httpd", "frames": 7 * i}]},
                    "batches": [{"insns": 1000.0 * i + n, "kernel": 10.0, "sleep": 0.5, "frame_take": 0.001, "#PF": 0.0}
                                for n in range(5)]}}
        for i, title in ((1, "uni"), (2, "posix"))]}


def test_table():
    """the table: medians with intervals, ratios, kernel entries by call, blocks that differ, what covers what"""
    text = compare_report.table(RESULT)
    for part in ("operations a second             101 (100 to 102)", "1,002 (1,000 to 1,004)", "posix / uni",
                 "side by side in one machine, slices: uni 20, posix 20", "  sleep                         0.50",
                 "all: frame", "posix: posix", "75 %", "10,000 operations in 5 batches", "frames (4 KiB), all told        10.0"):
        has(text, part, "table")
    check("frame_take" not in text, "a call that is hardly ever made is shown")
    check(all(len(line) <= compare_report.WIDTH for line in text.splitlines()), "a line is too long")


def test_csv():
    """CSV: a line for each quantity, read again the same"""
    rows = list(csv.DictReader(io.StringIO(compare_report.to_csv(RESULT))))
    found = {(r["mode"], r["variant"], r["metric"]): r for r in rows}
    same(float(found["turn", "posix", "insns"]["median"]), 2002.0)
    same(float(found["side", "uni", "rate"]["median"]), 50.0)
    same(found["turn", "uni", "call:sleep"]["count"], "5")
    same(len(found["turn", "uni", "rate"]["values"].split()), 3)
    same(statistics.median(map(float, found["turn", "uni", "p99"]["values"].split())), 41.0)


def test_plot():
    """plot: panels with the data, the command in the caption; gnuplot reads it"""
    text = compare_plot.script(RESULT, "x.svg")
    for part in ("set title 'operations a second'", "\"posix\" 201 200 202", "exo compare 'x y'", "beside"):
        has(text, part, "plot")
    try:
        gnuplot = compare_plot.find_gnuplot()
    except ExoError:
        raise tap.Skip("no gnuplot here") from None
    done = subprocess.run([gnuplot], input=text.replace("x.svg", "/dev/stdout").encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30, check=False)
    same((done.returncode, done.stderr), (0, b""), "gnuplot")
    has(done.stdout.decode(), "</svg>", "picture")


def test_blocks():
    """blocks: a function that two give is the own variant's; another variant's are none"""
    table = {"libos/core/a": ["f", "g"], "libos/uni/b": ["h"], "libos/posix/b": ["h"], "libos/event/c": ["f"]}
    old = blocks.elf.functions
    blocks.elf.functions = lambda path: [(n, 0, 4, True) for n in "fgh"] + [("i", 0, 9, False)]
    try:
        names = ["event", "posix", "uni"]
        same(blocks.linked("x", table, "uni", names), {"libos/core/a": 8, "libos/uni/b": 4})
        same(blocks.linked("x", table, "posix", names), {"libos/core/a": 8, "libos/posix/b": 4})
        same(blocks.linked("x", table, "event", names), {"libos/event/c": 4, "libos/core/a": 4, "libos/uni/b": 4})
    finally:
        blocks.elf.functions = old
    same(blocks.by_folder({"libos/core/a": 1, "libos/net/lwip/core/tcp": 2, "libos/event/lwip/core/tcp": 3}),
         {"core": (["a"], 1), "lwip": (["tcp"], 5)})


if __name__ == "__main__":
    tap.main()
