# SPDX-License-Identifier: BSD-2-Clause
"""Rows of an experiment as a table for a terminal, as CSV, and as a plot by gnuplot."""

import csv
import os
import shutil
import subprocess
import textwrap

from .util import ExoError, warn

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#777777")
FORMATS = {".svg": "svg size %d,%d font 'Helvetica,13' background '#ffffff'",
           ".png": "pngcairo size %d,%d font 'Helvetica,11'"}
PANEL = (430, 300)                      # points, of one panel


def number(text):
    """The value as a number, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def numbers(row):
    """A row for JSON: what is a number is one, and what is not known is null."""
    return {key: None if text == "" else int(text) if text.isdigit() else text if number(text) is None else number(text)
            for key, text in row.items()}


def values(rows, key):
    """What a column holds, each once, in the order of the rows."""
    return list(dict.fromkeys(row[key] for row in rows))


def _in_order(found):
    """Numbers by size, words as they came."""
    return sorted(found, key=float) if all(number(value) is not None for value in found) else found


def table(plot, rows):
    """A block of text for each panel: a line for each x, a column for each series."""
    lines = []
    names = values(rows, plot.series)
    for panel in values(rows, plot.panel):
        there = {(row[plot.x], row[plot.series]): row[plot.y] for row in rows if row[plot.panel] == panel}
        shown = [name for name in names if any(name == key[1] for key in there)]
        xs = _in_order(list(dict.fromkeys(key[0] for key in there)))
        widths = [max(8, len(name) + 2) for name in shown]
        left = max([len(plot.x_label)] + [len(x) for x in xs])
        lines += ["", "%s: %s" % (panel, plot.y_label),
                  "%-*s" % (left, plot.x_label) + "".join("%*s" % pair for pair in zip(widths, shown))]
        lines += ["%-*s" % (left, x) + "".join("%*s" % (width, there.get((x, name), "-"))
                                               for width, name in zip(widths, shown)) for x in xs]
    return "\n".join(lines[1:])


def write_csv(path, columns, rows):
    """All rows; the first line names the columns."""
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise ExoError(path, "cannot be written: %s" % error.strerror, "give --csv another file") from None


def check_plot(path):
    """Refuse before anything runs what could not be written after it; whether it can be drawn."""
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in FORMATS:
        raise ExoError("option --plot", "%s ends neither in .svg nor in .png" % path, "name a file.svg or file.png")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ExoError(path, "cannot be written: there is no directory %s" % folder, "make it, or name another file")
    if not shutil.which("gnuplot"):
        warn("gnuplot is not installed (Debian: apt-get install gnuplot-nox); the table is made without the plot")
        return False
    return True


def quote(text):
    """A string of gnuplot's, taken literally."""
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def _panel_lines(experiment, rows, panel, names):
    """The gnuplot commands of one panel, data included."""
    plot = experiment.plot
    rows = [row for row in rows if row[plot.panel] == panel]
    xs = _in_order(values(rows, plot.x))
    places = {x: str(i) for i, x in enumerate(xs)} if plot.style == "bars" else {}
    lines, parts = [], []
    shown = [name for name in names if any(row[plot.series] == name for row in rows)]
    for name in shown:
        at = names.index(name)
        block = "$d%d" % at
        points = [(places.get(row[plot.x], row[plot.x]), row[plot.y]) for row in rows
                  if row[plot.series] == name and number(row[plot.y]) is not None]
        lines += [block + " << EOD"] + ["%s %s" % point for point in points] + ["EOD"]
        ideal = name in experiment.ideal or name.startswith("due: ")
        colour = "#000000" if name in experiment.ideal else COLOURS[
            names.index(name[5:] if name.startswith("due: ") and name[5:] in names else name) % len(COLOURS)]
        if plot.style == "bars":
            width = 0.8 / len(shown)
            parts.append("%s using ($1 + %.3f):2:(%.3f) with boxes fs solid 0.85 lc rgb '%s' title %s" % (
                block, (shown.index(name) - (len(shown) - 1) / 2) * width, width * 0.9, colour, quote(name)))
        else:
            mark = "lines dt 2 lw 1.5" if ideal else "linespoints pt %d ps 0.6 lw 1.8" % (5 + at % 8)
            parts.append("%s using 1:2 with %s lc rgb '%s' title %s" % (block, mark, colour, quote(name)))
    lines.append("set title %s noenhanced" % quote(panel))
    if places:
        lines += ["set xtics (%s)" % ", ".join("%s %s" % (quote(x), at) for x, at in places.items()),
                  "set xrange [-0.6:%.1f]" % (len(xs) - 0.4)]
    return lines + ["plot " + ", \\\n     ".join(parts)]


def draw(path, experiment, rows, command):
    """The plot, with the command that makes it again under it."""
    plot = experiment.plot
    panels, names = values(rows, plot.panel), values(rows, plot.series)
    across = min(len(panels), 3 if len(panels) != 4 else 2)
    down = (len(panels) + across - 1) // across
    caption = textwrap.wrap(command, 62 * across)
    key = 16 * ((len(names) + 2) // 3)
    foot, head, gap = 12 + 15 * len(caption) + 60 + key, 70, 100 + key
    size = (max(PANEL[0] * across, 560), PANEL[1] * down + gap * (down - 1) + foot + head)
    lines = ["set terminal " + FORMATS[os.path.splitext(path)[1].lower()] % size, "set output " + quote(path),
             "set multiplot layout %d,%d title %s noenhanced margins %.3f,%.3f,%.3f,%.3f spacing %.3f,%.3f" % (
                 down, across, quote(experiment.title), 86 / size[0], 1 - 16 / size[0], foot / size[1],
                 1 - head / size[1], 66 / size[0], gap / size[1]),
             "set grid lt 1 lw 0.5 lc rgb '#dddddd'",
             "set key at graph 0.5,%.3f center top horizontal maxcols 3 noenhanced font ',9'" % (-56 / PANEL[1]),
             "set xlabel %s" % quote(plot.x_label), "set xtics nomirror",
             "set ytics nomirror", "set border 3", "set format y '%g'",
             "set logscale y; set format y '%.0s%c'" if plot.log else "set yrange [0:*]; set offsets graph 0,0,0.03,0"]
    if plot.style == "bars":
        lines.append("set xtics font ',9' noenhanced")
    for at, text in enumerate(caption):
        lines.append("set label %d %s at screen 0.01,screen %.4f left font ',9' noenhanced" % (
            at + 1, quote(text), (12 + 15 * (len(caption) - 1 - at)) / size[1]))
    for at, panel in enumerate(panels):
        lines.append("set ylabel %s" % quote(plot.y_label if at % across == 0 else ""))
        lines += _panel_lines(experiment, rows, panel, names)
        lines.append("unset label")
    try:
        done = subprocess.run(["gnuplot", "-"], input="\n".join(lines + ["unset multiplot", ""]), text=True, timeout=60,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExoError("gnuplot", "cannot be run: %s" % error, "see exo doctor") from None
    if done.returncode or not os.path.isfile(path):
        said = [line for line in done.stderr.splitlines() if line.strip(" ^")] or ["no reason given"]
        raise ExoError("gnuplot", said[-1].strip(), "the figures are in --csv; see exo doctor")
