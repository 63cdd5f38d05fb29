#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The Open POSIX Test Suite: cases of functions, compiled with exo-cc and run in the guest, many in one start.

`posix_suite.py INTERFACE...` runs all cases of these functions (`all`: of every one that the libOS has) and prints a line
for each function and for each case that did not pass. As a test it runs a sample; with EXO_TEST_LONG=1 everything.
EXO_TEST_RUN has more options of `exo run` ("--smp 2").
A case is PASS (0), FAIL (1), UNRESOLVED (2), UNSUPPORTED (4), UNTESTED (5), `hangs` (its time was over), `dies` (a signal),
or `missing`: it does not compile or link, because the libOS has not the function.

Without the sources (no network, and no folder that holds them) all is skipped.

Time limit: 7200 s
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import ported
import tap
from tap import check, same

SUITE = os.path.join(ported.PORTS, "posixtestsuite", "lib")
CC = os.path.join(guest.SOURCE, "tools", "exo-cc")
WORDS = {0: "PASS", 1: "FAIL", 2: "UNRESOLVED", 4: "UNSUPPORTED", 5: "UNTESTED", 124: "hangs", 143: "hangs", 137: "hangs"}
SAMPLE = ("sigaction sigprocmask sigsuspend fork kill pthread_create pthread_join pthread_mutex_lock pthread_cond_wait "
          "sem_post nanosleep time strftime mmap getpid raise").split()
SECONDS = 15            # for one case
BATCH = 60              # cases of one start
work = tempfile.mkdtemp(prefix="exo-suite-")


def cases(interface):
    """(name, source) of all cases of a function."""
    found = sorted(glob.glob(os.path.join(SUITE, "conformance", "interfaces", interface, "*.c")))
    return [(interface + "." + os.path.basename(path)[:-2], path) for path in found
            if re.fullmatch(r"[0-9]+-[0-9a-z-]+", os.path.basename(path)[:-2]) and "buildonly" not in path]


def compile_case(name, source, folder):
    """Whether it links."""
    out = os.path.join(folder, name)
    done = subprocess.run([CC, "--libos=posix", "-w", "-O1", "-s", "-I", os.path.join(SUITE, "include"), "-o", out, source,
                           "-lpthread", "-lrt", "-lm"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                          timeout=120, cwd=os.path.dirname(source))
    return done.returncode == 0


SCRIPT = """cd /tmp
for t in %s; do
	echo "= $t"
	setsid /t/$t >/tmp/said 2>&1 &
	p=$!
	( sleep %d; kill -9 $p ) 2>/dev/null &
	w=$!
	wait $p
	s=$?
	kill $w 2>/dev/null
	echo "# $t $s"
done
"""


def run_batch(batch):
    """Statuses of some compiled cases, by name; a start that ends early is followed by another without its last case."""
    results, left = {}, list(batch)
    while left:
        root = os.path.join(work, "root")
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(os.path.join(root, "t"))
        os.makedirs(os.path.join(root, "bin"))
        for name in left:
            os.link(os.path.join(work, name), os.path.join(root, "t", name))
        for program, port in (("sh", "dash/bin/dash"), ("sleep", "busybox/bin/busybox"), ("setsid", "busybox/bin/busybox")):
            shutil.copy(os.path.join(ported.PORTS, port + ".posix"), os.path.join(root, "bin", program))
        os.makedirs(os.path.join(root, "etc"))
        with open(os.path.join(root, "etc", "passwd"), "w", encoding="ascii") as file:
            file.write("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
        with open(os.path.join(root, "run"), "w", encoding="ascii") as file:
            file.write(SCRIPT % (" ".join(left), SECONDS))
        done = guest.exo("run", "-q", "-t", SECONDS * len(left) + 30, "-m", "256M", *os.environ.get("EXO_TEST_RUN", "").split(),
                         "-v", root + ":/", os.path.join(ported.PORTS, "dash/bin/dash.posix"), "--", "/run", timeout=SECONDS * len(left) + 60)
        begun = re.findall(r"^= (\S+)", done.stdout, re.MULTILINE)
        for name, status in re.findall(r"^# (\S+) (\d+)", done.stdout, re.MULTILINE):
            results[name] = int(status)
        if begun and begun[-1] not in results:
            results[begun[-1]] = 124            # it took the system with it
        rest = [name for name in left if name not in results]
        if len(rest) == len(left):
            break
        left = rest
    return results


def word(status):
    return WORDS.get(status, "dies" if status is not None and status > 128 else "status %s" % status)


def suite(interfaces):
    """{function: {case: word}}"""
    table, ready = {}, []
    for interface in interfaces:
        table[interface] = {}
        for name, source in cases(interface):
            if compile_case(name, source, work):
                ready.append(name)
            else:
                table[interface][name] = "missing"
    for start in range(0, len(ready), BATCH):
        batch = ready[start:start + BATCH]
        results = run_batch(batch)
        for name in batch:
            table[name.partition(".")[0]][name] = word(results.get(name))
            os.unlink(os.path.join(work, name))
    return table


def report(table):
    """Prints the table; (passed, counted), which leaves out what the suite itself does not test."""
    passed = counted = 0
    for interface, results in sorted(table.items()):
        words = list(results.values())
        good, all_ = words.count("PASS"), len([w for w in words if w not in ("UNTESTED", "UNSUPPORTED", "missing")])
        passed, counted = passed + good, counted + all_
        print("# %-34s %3d of %3d%s" % (interface, good, all_, "".join(
            "  %s: %s" % (name.partition(".")[2], w) for name, w in results.items() if w not in ("PASS", "UNTESTED"))))
        sys.stdout.flush()
    print("# %d of %d cases pass" % (passed, counted))
    return passed, counted


def everything():
    return sorted(os.listdir(os.path.join(SUITE, "conformance", "interfaces")))


def test_table():
    """ports/FUNCTIONS is what the headers and libraries say"""
    done = subprocess.run([os.path.join(guest.SOURCE, "ports", "functions"), "--table", "posix"], stdout=subprocess.PIPE,
                          check=True, universal_newlines=True, timeout=600)
    with open(os.path.join(guest.SOURCE, "ports", "FUNCTIONS"), encoding="utf-8") as file:
        table = file.read()
    same(table[table.index("\n<") + 1:].strip(), done.stdout.strip(), "the table; make it anew with ports/functions")


def test_suite():
    """at least 95 of 100 cases of functions that the libOS has pass"""
    ported.build("dash", "busybox", "posixtestsuite")
    passed, counted = report(suite(everything() if os.environ.get("EXO_TEST_LONG") else SAMPLE))
    check(passed >= counted * 0.95, "only %d of %d pass" % (passed, counted))


if __name__ == "__main__":
    if sys.argv[1:] and not sys.argv[1].startswith("test_"):
        ported.build("dash", "busybox", "posixtestsuite")
        report(suite(everything() if sys.argv[1:] == ["all"] else sys.argv[1:]))
        shutil.rmtree(work, ignore_errors=True)
    else:
        tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
