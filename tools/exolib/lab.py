# SPDX-License-Identifier: BSD-2-Clause
"""exo lab: experiments on policies of resource management, each a small program in application code.

The program is compiled with the policies that were asked for, each a file (the stock ones are in
the libraries), and runs alone in a machine whose instructions are counted as time: the same command
gives the same figures.  Its rows become a table, CSV, JSON and a plot.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

from . import cc, disktool, labplot, labs, run, tree, util
from .options import Option, parse
from .util import STATUS_TIME_LIMIT, ExoError, say

DEFAULT_LIMIT = 300                     # seconds
COMPILE = ("--libos=uni", "-O2", "-g", "-Wall", "-Wextra")


def _text(text):
    if not text:
        raise ValueError("the value is empty")
    return text


def _list(text):
    names = [name for name in text.split(",") if name]
    if not names:
        raise ValueError("the list is empty")
    return names


OPTIONS = [
    Option("--policy", "NAME|FILE.c,...", _list,
           "stock policies by name, and files of your own; files alone stand\n"
           "beside all stock ones (default all stock ones)", many=True),
    Option("--plot", "FILE.svg|FILE.png", _text, "draw the figures, with the exact command in the caption"),
    Option("--csv", "FILE", _text, "write all figures, a line each"),
    Option("--json", None, None, "print all figures as JSON instead of the table"),
    Option("--seed", "N", lambda text: util.parse_number(text, 0, (1 << 63) - 1, "a seed"),
           "seed of the machine's random numbers (default 1)"),
    Option("-t --timeout", "TIME", util.parse_seconds, "end the machine after so long (default %d s)" % DEFAULT_LIMIT),
    Option("-q --quiet", None, None, "no messages but errors"),
    Option("-h --help", None, None, "this page"),
]


def lab_dir(place):
    """Where the experiments' sources are."""
    if place.installed:
        return os.path.join(place.root, "lab")
    return os.path.join(cc.makefile_values(place)["abs_srcdir"], "apps", "lab")


def listing():
    """What there is, a line each."""
    lines = ["experiments:"]
    for experiment in labs.EXPERIMENTS.values():
        lines.append("  %-7s %s: %s" % (experiment.name, experiment.title, experiment.question))
        lines.append("          policies: %s" % ", ".join(experiment.stock))
    return "\n".join(lines + ["", "exo lab NAME runs one; exo lab copy NAME DIR gives you its program and a policy to modify."])


def find_experiment(word):
    """(experiment, its program or None for the one that comes with Exo)."""
    stem = os.path.basename(word)[:-2] if word.endswith(".c") else word
    if word.endswith(".c") and stem not in labs.EXPERIMENTS:
        raise ExoError(word, "its name says of no experiment which one it is" if os.path.isfile(word) else "there is no such file",
                       "the program of an experiment is called NAME.c: " + ", ".join(sorted(labs.EXPERIMENTS)))
    if stem not in labs.EXPERIMENTS:
        raise ExoError("experiment %s" % stem, "there is none of this name", util.nearest_mend(stem, labs.EXPERIMENTS))
    if word.endswith(".c") and not os.path.isfile(word):
        raise ExoError(word, "there is no such file", "exo lab copy %s DIR makes one" % stem)
    return labs.EXPERIMENTS[stem], word if word.endswith(".c") else None


class Choice:
    """One policy: what it is called, its symbol, and its file if it is the reader's."""

    def __init__(self, name, symbol, path=None):
        self.name, self.symbol, self.path = name, symbol, path


def choose(place, experiment, words):
    """The policies that --policy names."""
    chosen, files = [], 0
    if not any(not word.endswith(".c") for word in words):
        words = list(experiment.stock) + words
    for word in dict.fromkeys(words):
        if word in experiment.stock:
            symbol, own = experiment.stock[word], experiment.stock[word].endswith(".c")
            chosen.append(Choice(word, "lab_stock_" + word, os.path.join(lab_dir(place), symbol)) if own
                          else Choice(word, symbol))
            continue
        if not word.endswith(".c"):
            raise ExoError("policy %s" % word, "%s has none of this name" % experiment.name,
                           util.nearest_mend(word, experiment.stock) + "; a file of yours ends in .c")
        if not os.path.isfile(word):
            raise ExoError(word, "there is no such file", "exo lab copy %s DIR makes one to modify" % experiment.name)
        files += 1
        stem = os.path.basename(word)[:-2]
        taken = {choice.name for choice in chosen} | set(experiment.ideal)
        chosen.append(Choice(stem if stem not in taken and "," not in stem else word.replace(",", ";"),
                             "lab_%d" % files, word))
    return chosen


def compiler(words):
    """Run exo-cc in here: (exit status, what it said)."""
    command, unused = cc.command(words)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False)
    except OSError as error:
        raise ExoError(command[0], "the compiler cannot be started: %s" % error.strerror,
                       "exo doctor says what is missing") from None
    return done.returncode, done.stdout.decode("utf-8", "replace")


def compile_part(words, path, what):
    """One file to an object; the compiler's messages are the user's, and where they point is his file."""
    status, said = compiler(list(COMPILE) + words)
    if said:
        sys.stderr.write(said)
    if status:
        raise ExoError(path, "the %s does not compile" % what, "the compiler says above where and why")


def compile_bpf(place, choice, work, target):
    """A policy that runs in the kernel: its object file becomes a constant of the program's."""
    include = os.path.join(place.root, "include") if place.installed else os.path.join(
        cc.makefile_values(place)["abs_srcdir"], "include")
    path, source = work.file(choice.symbol + ".bpf.o"), work.file(choice.symbol + ".c")
    try:
        status = subprocess.run(["clang", "-target", "bpf", "-mcpu=v3", "-std=gnu11", "-O2", "-ffreestanding",
                                 "-nostdlibinc", "-Wall", "-Wextra", "-I", include, "-I", lab_dir(place), "-c",
                                 choice.path, "-o", path], stdin=subprocess.DEVNULL, stdout=sys.stderr,
                                check=False).returncode
    except OSError as error:
        raise ExoError("clang", "cannot be started: %s" % error.strerror,
                       "policies of this experiment are eBPF, which it compiles (Debian: apt-get install clang)") from None
    if status:
        raise ExoError(choice.path, "the policy does not compile", "the compiler says above where and why")
    with open(path, "rb") as file, open(source, "w", encoding="ascii") as out:
        out.write("static const unsigned char bytes[] __attribute__((aligned(8))) = { %s };\n"
                  "const struct { const unsigned char *bytes; unsigned size; } %s = { bytes, sizeof(bytes) };\n"
                  % (",".join(str(byte) for byte in file.read()), choice.symbol))
    compile_part(["-c", source, "-o", target], choice.path, "policy")


def build(place, experiment, program, choices, work):
    """The experiment's program with these policies; the path of its image."""
    places = ["-I" + lab_dir(place)]
    if not place.installed:
        places.append("-I" + cc.makefile_values(place)["abs_srcdir"])
    objects = []
    for choice in choices:
        if choice.path:
            objects.append(work.file(choice.symbol + ".o"))
            if experiment.bpf:
                compile_bpf(place, choice, work, objects[-1])
                continue
            compile_part(["-Dlab_policy=" + choice.symbol, "-c", choice.path, "-o", objects[-1]] + places,
                         choice.path, "policy")
    listed = " ".join('LAB(%s, "%s")' % (c.symbol, c.name.replace("\\", "/").replace('"', "'")) for c in choices)
    source = program or os.path.join(lab_dir(place), experiment.name + ".c")
    objects.append(work.file("main.o"))
    compile_part(["-DLAB_POLICIES=" + listed, "-c", source, "-o", objects[-1]] + places, source, "experiment")
    image = work.file(experiment.name + ".uni")
    status, said = compiler(list(COMPILE) + objects + ["-o", image])
    for choice in choices:
        if re.search(r"undefined reference to [`']%s'" % choice.symbol, said):
            raise ExoError(choice.path or choice.name, "defines no lab_policy of the type %s" % experiment.type,
                           "write: const struct ... lab_policy = { ... }; as in exo lab copy %s" % experiment.name)
    if status:
        sys.stderr.write(said)
        raise ExoError(experiment.name, "the program cannot be linked", "the linker says above why")
    return image


class Rows:
    """What the machine prints: rows are kept, all else is passed on."""

    def __init__(self, experiment, quiet):
        self.name, self.columns, self.rows, self.wrong = experiment.name, [], [], []
        self.live = not quiet and sys.stderr.isatty()
        self.shown = False

    def line(self, text):
        match = re.fullmatch(r"lab (columns|row|wrong) (.*)", text)
        if not match:
            self.clear()
            if text.strip():
                sys.stderr.write(text + "\n")
            return
        kind, rest = match.groups()
        if kind == "columns":
            self.columns = rest.split(",")
        elif kind == "row":
            self.rows.append(dict(zip(self.columns, rest.split(","))))
            self.progress()
        else:
            self.clear()
            self.wrong.append(rest)
            say(util.paint("policy " + rest, "31"))

    def progress(self):
        if self.live:
            sys.stderr.write("\r\033[Kexo: %s: %s" % (self.name, ", ".join(list(self.rows[-1].values())[:3])))
            sys.stderr.flush()
            self.shown = True

    def clear(self):
        if self.shown:
            sys.stderr.write("\r\033[K")
        self.shown = False


def machine_words(experiment, image, values, work):
    """The command that runs an experiment's program."""
    tool = os.path.join(tree.TOOLS, "exo")
    words = [sys.executable, tool if os.path.isfile(tool) else os.path.realpath(sys.argv[0]), "run", "-q", "--icount",
             "--seed", str(values.seed if values.seed is not None else 1), "-t", str(values.timeout or DEFAULT_LIMIT)]
    if experiment.disk:
        words += disk_words(experiment.disk, work)
    if not experiment.config:
        return words + [image, "--"] + values.words[1:]
    path, wire = work.file("lab.conf"), work.file("wire")
    with open(path, "w", encoding="utf-8") as file:
        file.write("[program %s]\nimage = %s\nargs = %s\n%s" % (
            experiment.name, image, " ".join(values.words[1:]), experiment.config))
    return words + ["--net", "dgram:%s,%s" % (wire, wire), "--config", path]    # what is sent comes back


def disk_words(extents, work):
    """A disk with these extents, and the words that give it to the program."""
    path, empty = work.file("lab.img"), work.file("empty")
    disktool.verb(["create", path, str(2 + sum(util.parse_size(size) >> 20 for size in extents.values())) + "M", "-q"] +
                  [word for label, size in extents.items() for word in ("--label", "%s:%s" % (label, size))])
    if "ext2" in extents:
        os.mkdir(empty)
        disktool.verb(["import", path, "ext2", "--ext2", empty, "-q"])
    return ["--disk", path] + [word for label in extents for word in ("--extent", label)]


def execute(place, words, rows):
    """Run the machine and read what it prints; its exit status."""
    environment = dict(os.environ) if place.installed else dict(os.environ, EXO_BUILD=place.root)
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment) as process:
        try:
            for line in process.stdout:
                rows.line(line.decode("utf-8", "replace").rstrip("\r\n"))
        except BaseException:
            process.terminate()
            raise
        finally:
            rows.clear()
    return process.returncode


def tool_name():
    """How this tool is called in a Makefile of the reader's."""
    found = shutil.which("exo")
    own = os.path.realpath(sys.argv[0])
    return "exo" if found and os.path.realpath(found) == own else own


def copy(values):
    """The program and a policy to modify, in a directory of the reader's."""
    if len(values.words) != 3:
        raise ExoError("exo lab copy", "takes an experiment and a directory", "write for example: exo lab copy pages my-pages")
    experiment, unused = find_experiment(values.words[1])
    target, source = values.words[2], lab_dir(tree.find())
    name = experiment.name
    if os.path.exists(target) and (not os.path.isdir(target) or os.listdir(target)):
        raise ExoError(target, "is there already, and not empty", "name a new directory")
    try:
        os.makedirs(target, exist_ok=True)
        shutil.copy(os.path.join(source, name + ".c"), target)
        shutil.copy(os.path.join(source, name + ("_mine.bpf.c" if experiment.bpf else "_mine.c")), os.path.join(target, "mine.c"))
        with open(os.path.join(target, "Makefile"), "w", encoding="ascii") as file:
            file.write("# The experiment with the policy of mine.c beside the stock ones; make also after each change.\n"
                       "EXO = %s\n\n"
                       "plot.svg: mine.c %s.c\n\t$(EXO) lab %s.c --policy mine.c --plot $@ --csv figures.csv\n\n"
                       "clean:\n\trm -f plot.svg figures.csv\n" % (tool_name(), name, name))
    except OSError as error:
        raise ExoError(target, "cannot be written: %s" % error.strerror, "name another directory") from None
    say("%s: %s.c (the experiment), mine.c (a policy to modify), Makefile; go there and type make" % (target, name))
    return 0


def conclude(values, experiment, rows, status, words, can_draw):
    """Figures for the user, after the run."""
    follow = "; the figures until then follow" if rows.rows else ""
    if status == STATUS_TIME_LIMIT:
        say("a policy that loops for ever is one cause, --timeout gives more time" + follow)
    elif status:
        say("the experiment's program ended with status %d%s" % (status, follow))
    if not rows.rows:
        return status or 1
    command = shlex.join(["exo", "lab"] + words)
    caption = "%s   (Exo %s)" % (command, tree.version())
    if values.csv:
        labplot.write_csv(values.csv, rows.columns, rows.rows)
    if values.json:
        print(json.dumps({"experiment": experiment.name, "command": command, "version": tree.version(),
                          "columns": rows.columns, "rows": [labplot.numbers(row) for row in rows.rows],
                          "wrong": rows.wrong, "status": status}))
    else:
        print(labplot.table(experiment.plot, rows.rows))
    if values.plot and can_draw:
        labplot.draw(values.plot, experiment, rows.rows, caption)
        if not values.quiet:
            say("plot: %s" % values.plot)
    return status or (1 if rows.wrong or values.plot and not can_draw else 0)


def verb(words):
    """The command line; None: show the page."""
    values = parse("lab", OPTIONS, words)
    if values.help:
        return None
    if not values.words:
        if words:
            raise ExoError("exo lab", "names no experiment", "write for example: exo lab pages " + shlex.join(words))
        print(listing())
        return 0
    if values.words[0] == "copy":
        return copy(values)
    experiment, program = find_experiment(values.words[0])
    place = tree.find()
    choices = choose(place, experiment, [name for names in values.policy for name in names])
    can_draw = values.plot and labplot.check_plot(values.plot)
    with run.WorkDir() as work:
        image = build(place, experiment, program, choices, work)
        rows = Rows(experiment, values.quiet)
        status = execute(place, machine_words(experiment, image, values, work), rows)
    return conclude(values, experiment, rows, status, words, can_draw)
