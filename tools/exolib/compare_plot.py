# SPDX-License-Identifier: BSD-2-Clause
"""Plots of a comparison, drawn by gnuplot: one panel for each quantity that was measured.

Bars are medians, the marks on them the interval that the table shows; below stands the exact
command.  A file NAME.gp gets gnuplot's commands with the data in them, to be changed by hand.
"""

import os
import shutil
import subprocess

from . import doctor, run
from .compare_report import METRICS, metrics
from .util import ExoError

PANELS = (("rate",), ("p50", "p90", "p99"), ("insns", "kernel"), ("first",), ("end",), ("frames",), ("image",))
TITLES = {("rate",): "operations a second", ("p50", "p90", "p99"): "latency, microseconds",
          ("insns", "kernel"): "instructions an operation", ("first",): "start to first answer, ms",
          ("end",): "start to the end, ms", ("frames",): "frames held", ("image",): "image, bytes"}
NAMES = {"p50": "50 %", "p90": "90 %", "p99": "99 %", "insns": "all", "kernel": "in the kernel"}
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2")
LOGARITHMIC = ("p50", "p90", "p99")
PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 420, 300, 3
HEAD, FOOT = 80, 70             # height of the title with the first panels' own, and of the caption
CROWDED = 4                     # columns whose names fit side by side
SECONDS = 60


def find_gnuplot():
    path = shutil.which("gnuplot")
    if not path:
        raise ExoError("gnuplot", "is not installed, and draws the plots", doctor.how_to_get("gnuplot"))
    return path


def quote(text):
    return "'%s'" % text.replace("'", "''")


def plain(text):
    """A text in which gnuplot's marks (enhanced text is off) and line ends mean nothing."""
    return text.replace("\n", " ")


def wrap(text, width):
    """A long command on several lines, broken at blanks."""
    lines = [""]
    for word in text.split(" "):
        if len(lines[-1]) + len(word) > width and lines[-1]:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "\\n".join(lines)


def panel_block(number, keys, columns):
    """The data of a panel: a row for each variant, three numbers for each quantity."""
    lines = ["$p%d << EOD" % number]
    for title, found in columns:
        numbers = []
        for key in keys:
            summary = found.get(key)
            numbers += ["%.8g %.8g %.8g" % (summary.median, summary.low, summary.high) if summary else "NaN NaN NaN"]
        lines.append("\"%s\" %s" % (title, " ".join(numbers)))
    return lines + ["EOD"]


def panel_plot(number, keys, columns):
    """The commands of a panel: one cluster of bars for each variant."""
    lines = ["set title %s offset 0,%s noenhanced" % (quote(TITLES[keys]), "1" if len(keys) > 1 else "0")]
    lines.append("set logscale y" if keys[0] in LOGARITHMIC else "unset logscale y; set yrange [0:*]")
    above = "at graph 0.5,graph 1.02 center bottom horizontal samplen 1"
    lines.append("set key " + (above if len(keys) > 1 else "off"))
    lines.append("set xtics %s" % ("rotate by -20 font ',8'" if columns > CROWDED else "norotate font ',10'"))
    parts = []
    for i, key in enumerate(keys):
        column = 2 + 3 * i
        parts.append("$p%d using %d:%d:%d:xtic(1) title %s linecolor rgb '%s'" % (
            number, column, column + 1, column + 2, quote(NAMES.get(key, METRICS[key][0])), COLOURS[i]))
    lines += ["plot " + ", ".join(parts), "set yrange [*:*]"]
    return lines


def script(result, output):
    """gnuplot's commands for one picture."""
    columns = [(v["title"], metrics(v)) for v in result["variants"]]
    columns += [(v["title"] + " beside", metrics(v, True)) for v in result["variants"] if v.get("side")]
    panels = [keys for keys in PANELS if any(key in found for unused, found in columns for key in keys)]
    across = min(COLUMNS, len(panels))
    down = -(-len(panels) // across)
    width, height = across * PANEL_WIDTH, down * PANEL_HEIGHT + FOOT + HEAD // 2
    kind = {".png": "pngcairo", ".svg": "svg"}.get(os.path.splitext(output)[1], "svg")
    lines = ["# %s" % plain(result["command"]),
             "set terminal %s size %d,%d noenhanced font 'sans,10'%s" % (
                 kind, width, height, " background rgb 'white'" if kind == "svg" else ""),
             "set output %s" % quote(os.path.splitext(output)[0] + ".svg" if output.endswith(".gp") else output)]
    shown = [[c for c in columns if any(key in c[1] for key in keys)] for keys in panels]
    for number, keys in enumerate(panels):
        lines += panel_block(number, keys, shown[number])
    top = "%s under %s" % (result["program"], result["load"])
    foot = "%s\\nmedians of %d runs, marks: interval of the median; wire: %s" % (
        wrap(plain(result["command"]), across * 55), result["runs"], result["wire"])
    lines += ["set label 1 \"%s\" at screen 0.01,screen %.4f left noenhanced font 'sans,9'" % (
        foot.replace('"', "'"), (FOOT - 22) / height),
        "set style data histograms", "set style histogram errorbars gap 1 linewidth 1",
        "set style fill solid 0.9 border linecolor rgb '#333333'", "set grid y linecolor rgb '#cccccc'",
        "set border 3", "set tics nomirror", "set xtics noenhanced", "set bars 0.5",
        "set multiplot layout %d,%d title %s noenhanced margins char 9,screen 0.98,screen %.4f,screen %.4f "
        "spacing char 10,char 6" % (down, across, quote(top), (FOOT + 25) / height, 1 - HEAD / height)]
    for number, keys in enumerate(panels):
        lines += panel_plot(number, keys, len(shown[number]))
        if not number:
            lines.append("unset label 1")
    return "\n".join(lines + ["unset multiplot", ""])


def draw(result, output):
    """Write one picture, or gnuplot's commands for it."""
    text = script(result, output)
    try:
        if output.endswith(".gp"):
            with open(output, "w", encoding="utf-8") as file:
                file.write(text)
            return
        with open(output, "wb"):
            pass
    except OSError as error:
        raise ExoError(output, "cannot be written: %s" % error.strerror) from None
    try:
        done = subprocess.run([find_gnuplot()], input=text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              timeout=SECONDS, check=False, preexec_fn=run.die_with_parent(os.getpid()))
    except subprocess.TimeoutExpired:
        raise ExoError("gnuplot", "did not end within %d s" % SECONDS) from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode:
        raise ExoError("gnuplot", said.splitlines()[-1] if said else "status %d" % done.returncode)
