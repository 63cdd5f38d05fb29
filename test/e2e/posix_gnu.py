#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bash, GNU make and GNU coreutils, built unmodified from their sources, at work together; and bash's own tests.

`posix_gnu.py NAME...` runs those of bash's tests (run-NAME in its sources) and prints what each that does not pass says.

Without the sources (no network, and no folder that holds them) all is skipped.

Time limit: 1800 s
"""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import ported
import tap
from tap import check, same

MAKEFILE = """\
parts := $(foreach n,1 2 3 4 5 6,part$(n))
all: $(parts)
\tcat $(sort $(parts)) | sort -rn | head -n 1
\techo $(words $(parts)) of $(shell uname -s), $(MAKELEVEL)
part%:
\tseq $* 1000 >$@
.PHONY: all
"""
SHELL = r"""
export PATH=/bin
a=(one two "three four"); declare -A m=([x]=1 [y]=2)
echo "${#a[@]} ${a[-1]} ${m[y]} $((2 ** 40)) ${a[0]^^}"
cat <(seq 3 | tac) <<<here | paste -sd,
[[ exo-12 =~ ^([a-z]+)-([0-9]+)$ ]] && echo "${BASH_REMATCH[@]:1}"
coproc C { tr a-z A-Z; }; echo hello >&${C[1]}; eval "exec ${C[1]}>&-"; read -r x <&${C[0]}; echo "$x"
for i in {1..40}; do sleep 2 & done; jobs -r | wc -l; wait; echo "status $?"
printf '%s\n' {a..e}{1..200} | sort -R | sort -u | wc -l
timeout 0.2 sleep 5; echo "timeout $?"
dd if=/dev/zero bs=4096 count=64 2>/dev/null | sha256sum | cut -c 1-16
mkdir -p /tmp/d/e; cp -r /bin/true /tmp/d/e/t; ln -s e/t /tmp/d/l; stat -c '%F %s' -L /tmp/d/l | cut -d' ' -f1,2; rm -r /tmp/d
"""
SAYS = """\
3 three four 2 1099511627776 ONE
3,2,1
exo 12
HELLO
40
status 0
1000
timeout 124
8a39d2abd3999ab7
regular file
"""
# bash's own tests that pass. The others want another user than root, glibc's words for an error, GNU diff, a child that is
# not first, or more than a minute.
TESTS = ("alias appendop arith array array2 assoc braces case casemod comsub comsub-eof comsub-posix cond cprint dbg-support2 "
         "dirstack dynvar errors extglob extglob2 func getopts globstar herestr ifs input-test invert iquote lastpipe "
         "mapfile more-exp nquote nquote1 nquote2 nquote3 nquote4 nquote5 parser posixexp posixexp2 posixpat posixpipe "
         "precedence printf procsub quote quotearray redir rhs-exp rsh set-e set-x strip tilde tilde2 type varenv").split()
RUN = r"""
export PATH=/bin THIS_SH=/bin/bash BASH_TSTOUT=/tmp/out TMPDIR=/tmp HOME=/root
cp -r /tests /tmp/tests; cd /tmp/tests
for t in %s; do timeout 60 bash ./run-$t </dev/null >/tmp/said 2>&1; s=$?
	echo "= $t $s $(grep -vc '^warning:' /tmp/said)"; grep -v '^warning:' /tmp/said; done
exit 0
"""
root = None


def folder():
    """What the guest has as /: the programs, some files of etc."""
    global root
    if root:
        return root
    ported.build("bash", "make", "coreutils", "busybox")
    root = tempfile.mkdtemp(prefix="exo-gnu-")
    for name in ("bin", "etc", "tmp", "root", "usr", "dev", "home"):
        os.mkdir(os.path.join(root, name))
    for port in ("busybox", "bash", "make", "coreutils"):
        place = os.path.join(ported.PORTS, port, "bin")
        for name in os.listdir(place):
            subprocess.run(["strip", "-o", os.path.join(root, "bin", name.removesuffix(".posix")),
                            os.path.join(place, name)], check=True)
    os.link(os.path.join(root, "bin", "bash"), os.path.join(root, "bin", "sh"))
    with open(os.path.join(ported.PORTS, "busybox", "lib", "busybox.links"), encoding="ascii") as names:
        for name in names.read().split():
            to = os.path.join(root, "bin", os.path.basename(name))
            if not os.path.exists(to):
                os.link(os.path.join(root, "bin", "busybox"), to)
    for name, text in (("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n")):
        with open(os.path.join(root, "etc", name), "w", encoding="ascii") as file:
            file.write(text)
    shutil.copytree(os.path.join(ported.PORTS, "bash", "lib", "tests"), os.path.join(root, "tests"))
    return root


def run(script, timeout=60):
    with open(os.path.join(folder(), "script"), "w", encoding="ascii") as file:
        file.write(script)
    done = guest.exo("run", "-m", "256M", "-t", timeout, "-v", root + ":/", os.path.join(root, "bin", "bash"), "--",
                     "/script", timeout=timeout + 20)
    same(done.returncode, 0, "status (%s%s)" % (done.stdout[-2000:], done.stderr))
    return done.stdout


def test_bash():
    """bash: arrays, process substitution, coprocesses, jobs; the tools of coreutils"""
    same(run(SHELL), SAYS, "what it prints")


def test_make():
    """make -j4: functions, pattern rules, a shell for each line"""
    with open(os.path.join(folder(), "Makefile"), "w", encoding="ascii") as file:
        file.write(MAKEFILE)
    said = run("export PATH=/bin; mkdir /tmp/m; cd /tmp/m; make -s -j4 -f /Makefile && make -f /Makefile -q; echo $?; ls | wc -l\n")
    same(said, "1000\n6 of Exo, 0\n1\n6\n", "what it prints")


def bash_tests(names):
    """{name: what it says} of those that do not pass."""
    failed, lines = {}, run(RUN % " ".join(names), 600).split("\n")
    for i, line in enumerate(lines):
        if line.startswith("= "):
            name, status, count = line[2:].split()
            if status != "0" or count != "0":
                failed[name] = "\n".join(lines[i + 1:i + 1 + int(count)])
            names = [other for other in names if other != name]
    same(names, [], "tests that were not run")
    return failed


def test_bash_suite():
    """bash's own tests"""
    failed = bash_tests(TESTS)
    check(not failed, "%s of %d do not pass" % (sorted(failed), len(TESTS)))


def test_end():
    """clean up"""
    if root:
        shutil.rmtree(root)


if __name__ == "__main__":
    if sys.argv[1:] and not sys.argv[1].startswith("test_") and sys.argv[1] not in ("bash", "make", "bash_suite", "end"):
        for each, text in bash_tests(sys.argv[1:]).items():
            print("= %s\n%s" % (each, text))
        test_end()
    else:
        tap.main()
