# SPDX-License-Identifier: BSD-2-Clause
"""The result of a comparison: a table for people, CSV and JSON for programs.

A result is a dictionary that JSON can hold (compare.py makes it); `metrics` reads each quantity out
of it as a Summary, so table, CSV and plot say the same.
"""

import csv
import io
import json
import textwrap

from . import blocks
from .compare_stats import Summary, ratios, show

WIDTH = 110
LABEL = 30
RARE = 0.005                    # a kernel call that an operation makes less often than this is not shown

# key: (label, unit, whether more is better, what one value is taken from)
METRICS = {
    "rate": ("operations a second", "/s", True, "timed"),
    "p50": ("latency, half below", "us", False, "timed"),
    "p90": ("latency, 90 % below", "us", False, "timed"),
    "p99": ("latency, 99 % below", "us", False, "timed"),
    "errors": ("failed operations", "", False, "timed"),
    "first": ("start to first answer", "ms", False, "timed"),
    "end": ("start to the program's end", "ms", False, "timed"),
    "insns": ("instructions an operation", "", False, "counts"),
    "kernel": ("  of them in the kernel", "", False, "counts"),
    "calls": ("kernel calls an operation", "", False, "counts"),
    "faults": ("page faults an operation", "", False, "counts"),
    "frames": ("frames (4 KiB), all told", "", False, "held"),
    "used": ("memory in use, whole machine", "bytes", False, "held"),
    "image": ("image: text and data", "bytes", False, "held"),
}
SIDE = ("rate", "p50", "p90", "p99", "errors")
RATIOS = ("rate", "p50", "p99", "first", "end", "insns")
PAGE_FAULT = "#PF"
NOT_CALLS = ("insns", "kernel", PAGE_FAULT)
OURS = ("init", "address")      # environments of the machine that are no part of a variant


def label_of(result, key):
    """A quantity's name; of a program that runs to its end, the whole run is the operation."""
    label = METRICS[key][0]
    return label.replace(" an operation", "") if result["load"] == "none" else label


def calls_of(batch):
    return {name: number for name, number in batch.items() if name not in NOT_CALLS}


def value_of(batch, key):
    """One quantity of a batch of counts."""
    if key == "calls":
        return sum(calls_of(batch).values()) if PAGE_FAULT in batch else None
    if key == "faults":
        return batch.get(PAGE_FAULT)
    return batch.get(key)


def values(variant, key):
    """All values of one quantity of one variant, or []."""
    kind = METRICS[key][3]
    if kind == "timed":
        found = [one.get(key) for one in variant["timed"]]
    elif kind == "counts":
        found = [value_of(batch, key) for batch in (variant.get("counts") or {}).get("batches", [])]
    else:
        found = [held(variant, key)]
    return [value for value in found if value is not None]


def held(variant, key):
    if key == "image":
        return sum(variant["image_bytes"]) if variant.get("image_bytes") else None
    info = (variant.get("counts") or {}).get("info")
    if not info:
        return None
    if key == "used":
        return info["used_bytes"]
    for_it = variant["counts"].get("for_it")
    if for_it is None:
        return None
    return for_it + sum(env["frames"] for env in info["envs"] if env["label"] not in OURS)


def metrics(variant, side=False):
    """{key: Summary} of all that was measured."""
    if side:
        variant = dict(variant, timed=variant["side"])
    found = {}
    for key in SIDE if side else METRICS:
        got = values(variant, key)
        if got and not (key == "errors" and not any(got)):
            found[key] = Summary(got)
    return found


def cell(summary, unit):
    text = show(summary.median, unit)
    low, high = show(summary.low, unit), show(summary.high, unit)
    return text if low == high == text else "%s (%s to %s)" % (text, low, high)


def row(label, cells, widths):
    line = "%-*s" % (LABEL, label)
    for text, width in zip(cells, widths):
        line += "  %-*s" % (width, text)
    return line.rstrip()


def grid(rows, titles, style, head=""):
    """Rows of a table with a line of titles, columns as wide as they need to be; those that do not fit beside the others stand below."""
    widths = [max([len(title)] + [len(cells[i]) for unused, cells in rows]) for i, title in enumerate(titles)]
    lines, first = [], 0
    while first < len(titles):
        end, used = first + 1, LABEL + 2 + widths[first]
        while end < len(titles) and used + 2 + widths[end] <= style.width:
            used += 2 + widths[end]
            end += 1
        lines += [""] if first else []
        lines.append(style.paint(row(head, titles[first:end], widths[first:end])))
        lines += [row(label, cells[first:end], widths[first:end]) for label, cells in rows]
        first = end
    return lines


def figures_table(result, side, style):
    variants = [v for v in result["variants"] if not side or v.get("side")]
    found = [metrics(v, side) for v in variants]
    rows = []
    for key, (unused, unit, unused_better, unused_kind) in METRICS.items():
        if any(key in f for f in found):
            suffix = ", %s" % unit if unit in ("us", "ms") else ""
            rows.append((label_of(result, key) + suffix, [cell(f[key], unit) if key in f else "-" for f in found]))
    return grid(rows, [v["title"] for v in variants], style)


def ratio_table(result, style):
    variants = result["variants"]
    rows = []
    for key in RATIOS:
        base = values(variants[0], key)
        cells = []
        for variant in variants[1:]:
            got = values(variant, key)
            same = METRICS[key][3] == "timed"
            summary = ratios(got, base) if got and base and same else Summary(
                [Summary(got).median / Summary(base).median]) if got and base and Summary(base).median else None
            cells.append(cell(summary, "") if summary else "-")
        if any(text != "-" for text in cells):
            rows.append((label_of(result, key), cells))
    if not rows:
        return []
    return [""] + grid(rows, ["%s / %s" % (v["title"], variants[0]["title"]) for v in variants[1:]], style)


def call_table(result, style):
    """Kernel entries by call, those made most often first."""
    columns, names = [], {}
    for variant in result["variants"]:
        batches = (variant.get("counts") or {}).get("batches", [])
        column = {}
        for name in {n for batch in batches for n in calls_of(batch)} | ({PAGE_FAULT} if batches else set()):
            column[name] = Summary([batch.get(name, 0) for batch in batches]).median
        columns.append(column)
        for name, number in column.items():
            names[name] = max(names.get(name, 0), number)
    shown = sorted((n for n in names if names[n] >= RARE), key=lambda n: (-names[n], n))
    if not shown:
        return []
    rows = [("  " + ("(page fault)" if n == PAGE_FAULT else n), [show(c[n]) if n in c else "-" for c in columns])
            for n in shown]
    head = "kernel entries" if result["load"] == "none" else "kernel entries an operation"
    return [""] + grid(rows, [v["title"] for v in result["variants"]], style, head)


def block_lines(result, width=WIDTH):
    """Which blocks each variant links: folder by folder, those that all have first."""
    linked = []
    for variant in result["variants"]:
        linked += [(variant["title"], variant["blocks"])] if variant.get("blocks") else []
        linked += [("its keeper", variant["keeper_blocks"])] if variant.get("keeper_blocks") else []
    if not linked:
        return []
    titles, groups = [title for title, unused in linked], [blocks.by_folder(found) for unused, found in linked]
    lines = ["", "blocks that are linked (doc/blocks.md), with the bytes of their public functions"]
    for folder in sorted({name for group in groups for name in group}):
        lines.append("  %s: %s" % (folder, ", ".join("%s %s" % (title, show(group[folder][1], "bytes"))
                                                     for title, group in zip(titles, groups) if folder in group)))
        having = {}                     # the variants that have a block: blocks
        for name in sorted({name for group in groups for name in group.get(folder, ([], 0))[0]}):
            who = tuple(t for t, group in zip(titles, groups) if name in group.get(folder, ([], 0))[0])
            having.setdefault(who, []).append(name)
        for who, names in sorted(having.items(), key=lambda item: -len(item[0])):
            title = "all" if len(who) == len(titles) > 1 else ", ".join(who)
            lines += textwrap.wrap("%s: %s" % (title, " ".join(names)), width - 4, initial_indent="    ",
                                   subsequent_indent="      ", break_on_hyphens=False)
    return lines


def notes(result):
    """What a reader must know to trust the figures."""
    counts = [v["counts"] for v in result["variants"] if v.get("counts")]
    text = ["one run on a fresh machine: no interval"]
    if result["runs"] > 1:
        text = ["median (interval) of %d runs on fresh machines%s; the interval covers the true "
                "median with %.0f %%" % (result["runs"], ", in alternating order" if len(result["variants"]) > 1 else "",
                                         100 * Summary([1.0] * result["runs"]).coverage)]
    if any(c["operations"] > 1 for c in counts):
        text.append("counts: by the emulator's plugin, over at least %s operations in %d batches, less what an idle "
                    "machine does in that time" % (show(min(c["operations"] for c in counts)),
                                                   min(len(c["batches"]) for c in counts)))
    elif counts:
        text.append("counts: of the whole run%s" % (
            ", the machine's start with it" if any(c.get("with_start") for c in counts) else
            ", less those of a program that does nothing"))
    if any(len(v.get("image_bytes") or []) > 1 for v in result["variants"]):
        text.append("posix: the image and the frames are the program's and its keeper's")
    given = [v["linux_memory"] for v in result["variants"] if v.get("linux_memory") and v.get("counts")]
    if given:
        text.append("Linux: its kernel calls are system calls; " + (
            "the program ran several times in one guest, in turn with one that does nothing" if result["load"] == "none" else
            "its memory in use is of %s and without the files of its RAM disk" % show(given[0], "bytes")))
    text += result.get("notes", [])
    return text


class Style:
    """How the table is shown: the width that there is, and how a title is painted."""

    def __init__(self, width=WIDTH, paint=lambda text: text):
        self.width, self.paint = width, paint


def table(result, style=Style()):
    """The whole table as text."""
    lines = ["%s under %s" % (result["program"], result["load"]), "wire: " + result["wire"], ""]
    lines += figures_table(result, False, style)
    if len(result["variants"]) > 1:
        lines += ratio_table(result, style)
    if any(v.get("side") for v in result["variants"]):
        slices = ", ".join("%s %d" % (v["title"], v["slices"]) for v in result["variants"] if v.get("side"))
        lines += ["", "side by side in one machine, slices: " + slices] + figures_table(result, True, style)
    width = min(WIDTH, max(style.width, LABEL))
    lines += call_table(result, style) + block_lines(result, width)
    lines.append("")
    for note in notes(result):
        lines += textwrap.wrap(note, width, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines)


HEAD = ("program", "load", "mode", "variant", "metric", "unit", "median", "low", "high", "coverage", "least", "most",
        "count", "values")


def to_csv(result):
    """One line for each quantity of each variant; kernel calls as `call:NAME`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)

    def line(mode, variant, key, unit, summary):
        numbers = (summary.median, summary.low, summary.high, summary.coverage, summary.least, summary.most)
        writer.writerow([result["program"], result["load"], mode, variant["title"], key, unit,
                         *("%.8g" % number for number in numbers), summary.count,
                         " ".join("%.8g" % value for value in summary.values)])

    for variant in result["variants"]:
        for key, summary in metrics(variant).items():
            line("turn", variant, key, METRICS[key][1], summary)
        batches = (variant.get("counts") or {}).get("batches", [])
        for name in sorted({n for batch in batches for n in calls_of(batch)}):
            summary = Summary([batch.get(name, 0) for batch in batches])
            if summary.most >= RARE:
                line("turn", variant, "call:" + name, "", summary)
        if variant.get("side"):
            for key, summary in metrics(variant, True).items():
                line("side", variant, key, METRICS[key][1], summary)
    return out.getvalue()


def to_json(result):
    return json.dumps(result, indent=1, sort_keys=True)
