#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""exo compare: variants measured under a load and to their end, files written, errors, nothing left behind.

Short loads only; with EXO_TEST_LONG set also counts under load, all variants, side by side.

Time limit: 120 s (900 s with EXO_TEST_LONG)
"""

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "tools")]

import guest
import tap
from exolib import compare_measure, linux, tree
from exolib.util import ExoError
from tap import check, has, same

LONG = bool(os.environ.get("EXO_TEST_LONG"))
work = tempfile.mkdtemp(prefix="exo-compare-")
SOURCE = "#include <stdio.h>\nint main(int argc, char **argv)\n{\n\treturn printf(\"%s\\n\", argv[argc - 1]) < 0;\n}\n"


def compare(*words, status=0, timeout=300):
    done = guest.exo("compare", *words, timeout=timeout, cwd=work)
    same(done.returncode, status, "status (%s%s)" % (done.stdout, done.stderr))
    return done.stdout + done.stderr


def path(name):
    return os.path.join(work, name)


def needs(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise tap.Skip("%s is not installed" % tool)


def test_end():
    """a C source with two libOSes, run to its end: exact counts, CSV and JSON"""
    with open(path("mine.c"), "w", encoding="ascii") as file:
        file.write(SOURCE)
    text = compare("--runs", 1, "--libos=uni,posix", "--csv", "a.csv", "--json=a.json", "mine.c", "--", "one")
    for part in ("uni", "posix", "posix / uni", "console_write", "blocks that are linked", "a program that does nothing"):
        has(text, part)
    with open(path("a.json"), encoding="utf-8") as file:
        result = json.load(file)
    same([v["title"] for v in result["variants"]], ["uni", "posix"])
    uni = result["variants"][0]
    same((len(uni["timed"]), uni["counts"]["batches"][0]["console_write"]), (1, 1), "runs and calls")
    check(100 < uni["counts"]["batches"][0]["insns"] < 100000, "instructions: %r" % uni["counts"]["batches"][0])
    check("libos/core/frame" in uni["blocks"], "blocks: %r" % uni["blocks"])
    with open(path("a.csv"), encoding="utf-8") as file:
        has({(r["variant"], r["metric"]) for r in csv.DictReader(file)}, ("posix", "end"), "CSV")


def test_same():
    """the same program has the same instructions again, to the digit"""
    with open(path("a.json"), encoding="utf-8") as file:
        first = json.load(file)["variants"][0]
    again = json.loads(compare("-q", "--runs", 1, "--libos=uni", "--json", "mine.c", "--", "one"))["variants"][0]
    same(again["counts"]["batches"], first["counts"]["batches"], "counts")


def test_two_cpus():
    """counts of two CPUs: of 200,000 kernel calls on each none is lost"""
    with open(path("calls.c"), "w", encoding="ascii") as file:
        file.write('#include "libos/core/core.h"\nint main(int argc, char **argv)\n{\n\tfor (int i = 0; i < 200000; i++)\n'
                   '\t\texo_null();\n\tcore_line("%s is done", argv[argc - 1]);\n\tcore_sleep(EXO_NEVER, core_disp->events);\n}\n')
    done = subprocess.run([sys.executable, os.path.join(guest.SOURCE, "tools", "exo-cc"), "-O2", "calls.c", "-o", "calls.uni"],
                          cwd=work, check=False)
    same(done.returncode, 0, "exo-cc")
    with open(path("calls.conf"), "w", encoding="ascii") as file:
        file.write("[machine]\ncpus = 2\n[program one]\nimage = %s\nargs = one\n[program two]\nimage = %s\nargs = two\ncpu = 1\n" %
                   (path("calls.uni"), path("calls.uni")))
    place = tree.find()
    calls = compare_measure.call_places(place.kernel())
    plugin = "%s,counts=%s%s" % (place.plugin(), path("counts"), "".join(",at=%x" % at for at in calls.values()))
    with guest.Guest("--qemu-arg=-plugin", "--qemu-arg=" + plugin, "--config", path("calls.conf"), name="calls") as machine:
        machine.wait_line("one is done")
        machine.wait_line("two is done")
    counts = compare_measure.read_counts(path("counts"), calls)
    same(counts["null"], 400000, "calls")
    check(counts["insns"] > counts["kernel"] > 400000 * 10, "instructions: %r" % counts)


def test_load():
    """a server under a load of a second: table, and a plot with the command in it"""
    needs("wrk", "gnuplot")
    text = compare("--runs", 1, "--libos=uni", "--no-counts", "--load", "http:connections=4,seconds=1", "--plot", "a.svg",
                   "httpd")
    for part in ("operations a second", "latency, 99 % below", "start to first answer", "wire: "):
        has(text, part)
    with open(path("a.svg"), encoding="utf-8") as file:
        has(file.read(), "exo compare --runs 1", "plot")


def test_bad():
    """words that are wrong: the nearest known one, who has the variant, which package, before anything is started"""
    shutil.copy(os.path.join(guest.build_dir(), "apps", "hello", "hello.uni"), path("own.uni"))
    for words, *parts in ((["--libos=unni", "hello"], "nearest", "uni"), (["--libos=posix", "own"], "there for uni", "leave posix out"),
                          (["--load", "htpp", "httpd"], "http"), (["hallo"], "nearest", "hello"), ([], "none is named"),
                          (["--plot", "a.jpg", "hello"], "NAME.svg"), (["--csv", "no/where", "hello"], "cannot be written"),
                          (["--side-by-side", "hello"], "needs a load"), (["--slices", "uni=3", "httpd"], "--side-by-side"),
                          (["--run", "3", "hello"], "--runs"), (["-v", work, "--load", "http:path=/nothing", "httpd"], "no ")):
        text = compare(*words, status=125)
        for part in parts:
            has(text, part, "message for %s" % words)
    has(compare("--linux", "httpd", status=125), "none for Linux")


def test_no_gnuplot():
    """without gnuplot the table is made, and the status says that the plot was not"""
    folder = tempfile.mkdtemp(dir=work)
    os.symlink(shutil.which("qemu-system-x86_64"), os.path.join(folder, "qemu-system-x86_64"))
    done = guest.exo("compare", "--runs", 1, "--no-counts", "--libos=uni", "--plot", path("b.svg"), "hello",
                     env=dict(os.environ, PATH=folder))
    same(done.returncode, 1, "status")
    has(done.stderr, "gnuplot")
    has(done.stdout, "start to the program's end")


def test_broken():
    """a program that ends with an error is told with its last words"""
    with open(path("broken.c"), "w", encoding="ascii") as file:
        file.write("#include <stdio.h>\nint main(void)\n{\n\tputs(\"going down\");\n\treturn 3;\n}\n")
    text = compare("--runs", 1, "--libos=uni", "broken.c", status=125)
    has(text, "ended with status 3")
    has(text, "going down")


def test_input():
    """a program that reads finds the end of its input, on each libOS; an error of the compiler is told once"""
    with open(path("reads.c"), "w", encoding="ascii") as file:
        file.write("#include <stdio.h>\nint main(void)\n{\n\treturn getchar() != EOF;\n}\n")
    text = compare("--runs", 1, "--no-counts", "--libos=uni,posix", "reads.c")
    has(text, "posix / uni")
    with open(path("wrong.c"), "w", encoding="ascii") as file:
        file.write("int main(void)\n{\n\treturn nothing;\n}\n")
    text = compare("wrong.c", status=125)
    same(text.count("error: "), 1, "messages of the compiler in %s" % text)


def test_interrupt():
    """Ctrl-C in the middle of a load leaves no process and no file"""
    needs("wrk")
    folder = tempfile.mkdtemp(dir=work)
    process = subprocess.Popen(guest.exo_command("compare", "--runs", 3, "--libos=uni", "httpd"), cwd=work,
                               env=dict(os.environ, TMPDIR=folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def children():
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open("/proc/%s/cmdline" % pid, "rb") as file:
                words = file.read()
                found += [pid] if folder.encode() in words and b"qemu" in words else []
        return found

    tap.wait_until(children, 20, "a machine")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    same(process.wait(20), 130, "status")
    process.stderr.close()
    tap.wait_until(lambda: not children(), 5, "the machine's end")
    same(os.listdir(folder), [], "files")


def test_long():
    """all variants under load, with counts, alone and side by side (EXO_TEST_LONG only)"""
    if not LONG:
        raise tap.Skip("EXO_TEST_LONG is not set")
    needs("wrk")
    text = compare("--runs", 3, "--side-by-side", "--load", "http:seconds=2", "--json=l.json", "httpd", timeout=800)
    has(text, "side by side in one machine")
    with open(path("l.json"), encoding="utf-8") as file:
        result = json.load(file)
    for variant in result["variants"]:
        insns = sorted(batch["insns"] for batch in variant["counts"]["batches"])
        check(variant["counts"]["operations"] >= 10000 or len(insns) > 5, "%s: few operations" % variant["title"])
        check(insns[-2] < 1.15 * insns[1], "%s: instructions from %r" % (variant["title"], insns))


def test_linux():
    """beside a Linux guest: its system calls one by one, of a program and of a server, and its memory (EXO_TEST_LONG only)"""
    if not LONG:
        raise tap.Skip("EXO_TEST_LONG is not set")
    needs("wrk")
    try:
        linux.image(tap.say)
    except ExoError as error:
        raise tap.Skip(str(error)) from None
    with open(path("writes.c"), "w", encoding="ascii") as file:
        file.write("#include <stdio.h>\nint main(void)\n{\n\tfor (int i = 0; i < 7; i++) {\n\t\tprintf(\"%d\\n\", i);\n"
                   "\t\tfflush(stdout);\n\t}\n\treturn 0;\n}\n")
    for name, words in (("l.json", ("writes.c",)), ("s.json", ("--load", "http:seconds=1", "httpd-events"))):
        compare("--runs", 1, "--libos=uni", "--linux", "--json=" + name, *words, timeout=300)
        with open(path(name), encoding="utf-8") as file:
            found = json.load(file)["variants"][1]
        batches = found["counts"]["batches"]
        if words[0] == "writes.c":
            same(sorted(batch["write"] for batch in batches)[2], 7, "writes: %r" % [batch["write"] for batch in batches])
        else:
            check(all(0.9 < batch["sendto"] < 1.5 for batch in batches), "sends: %r" % [batch["sendto"] for batch in batches])
            check(16 << 20 < found["counts"]["info"]["used_bytes"] < 200 << 20, "memory: %r" % found["counts"]["info"])


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
