#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every function, macro, constant, type and member that POSIX.1-2017 demands is declared as it demands, and links.

test/headers/*.txt say what is demanded. A header's part begins with its name in brackets; each line is one of

    s TYPE: TYPE MEMBER; ...    members of a structure, with their types ([]: an array of any length)
    t TYPE ...                  types (struct_x is struct x)
    c NAME ...                  integer constants
    m NAME ...                  macros
    v TYPE: EXPRESSION          an expression and its type
    k, d, dd NAME ...           functions of complex numbers; of one, of two real ones: each for three types
    f3 PROTOTYPE                a function for double, and the same for float and for long double
    PROTOTYPE                   a function

and `x` before it says that only _XOPEN_SOURCE demands it. Each header is compiled alone: as C99 with
_POSIX_C_SOURCE=200809L, and as C11 with _XOPEN_SOURCE=700. `posix_headers.py HEADER...` prints what the compiler says of single ones.

Time limit: 300 s
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
import tap
from tap import same

HERE = os.path.dirname(os.path.abspath(__file__))
COMPILER = [sys.executable, os.path.join(HERE, "..", "..", "tools", "exo-cc"), "--libos=posix"]
MODES = (("-std=c99", "-D_POSIX_C_SOURCE=200809L"), ("-std=c11", "-D_XOPEN_SOURCE=700"))
# What is demanded and not there: a link error, never a function that only fails.
ABSENT = set("""crypt encrypt setkey""".split())
# Demanded of C99 and gone in C11.
GONE = {"gets"}
work = None


def parts():
    """{header: its lines}"""
    found = {}
    for name in sorted(glob.glob(os.path.join(HERE, "..", "headers", "*.txt"))):
        with open(name, encoding="ascii") as text:
            lines = found.setdefault("", [])
            for line in text:
                if line[0] == "<":
                    lines = found.setdefault(line.strip()[1:-1], [])
                elif line.strip() and line[0] != "#":
                    lines.append(line.rstrip("\n"))
    return found


def kinds(prototype):
    """The three prototypes of a function of real numbers."""
    name = re.search(r"(\w+)\(", prototype).group(1)
    for kind, letter in (("double", ""), ("float", "f"), ("long double", "l")):
        if name == "nexttoward":
            yield re.sub(r"(?<!long )double", kind, prototype).replace("nexttoward", name + letter)
        else:
            yield prototype.replace("double", kind).replace(name + "(", name + letter + "(")


def function(prototype):
    """It is declared (its name can be used), with this type (it can be declared again), and links."""
    name = re.search(r"(\w+)\(", prototype).group(1)
    if name in ABSENT:
        return ""
    return "void *const use_%s = (void *)%s;\n%s;\n" % (name, name, prototype.replace(name + "(", "(%s)(" % name, 1))


def member(kind, number, text):
    """Its type is this one."""
    pointer = re.match(r"(.*)\(\*(\w+)\)(\(.*)", text)
    if pointer:
        name, wanted = pointer.group(2), "%s(**p)%s" % (pointer.group(1), pointer.group(3))
    else:
        before, stars, name, array = re.match(r"(.*?)(\**)(\w+)(\[\])?$", text).groups()
        wanted = before + stars + " *p"
        if array:
            return "void member_%d_%s(%s *v) { %s = v->%s; (void)p; }\n" % (number, name, kind, wanted, name)
    return "void member_%d_%s(%s *v) { %s = &v->%s; (void)p; }\n" % (number, name, kind, wanted, name)


def numbers(word, names):
    """The functions of one letter's line."""
    for name in names:
        if word == "k":
            kind = "double" if name in ("cabs", "carg", "cimag", "creal") else "double complex"
            yield from kinds("%s %s(double complex)" % (kind, name))
        else:
            yield from kinds("double %s(%s)" % (name, ", ".join(["double"] * len(word))))


def program(header, lines, xsi):
    """C that compiles and links only if the header is as demanded."""
    said = ["#include <%s>\ntypedef void void_handler(int);\n" % header]
    for count, line in enumerate(lines):
        if line.startswith("x "):
            if not xsi:
                continue
            line = line[2:]
        word, rest = line.split(" ", 1)
        if word in ("c", "m"):
            rest = " ".join(name for name in rest.split() if name not in ABSENT)
        if word == "s":
            kind, members = rest.split(": ", 1)
            said += [member(kind, count, text.strip()) for text in members.split(";") if text.strip()]
        elif word == "t":
            said += ["void type_%s(%s *p) { (void)p; }\n" % (name, re.sub("^(struct|union)_", r"\1 ", name))
                     for name in rest.split()]
        elif word == "c":
            said += ["enum { constant_%d_%s = (%s) != 0 };\n" % (count, name, name) for name in rest.split()]
        elif word == "m":
            said += ["#ifndef %s\n#error %s\n#endif\n" % (name, name) for name in rest.split()]
        elif word == "v":
            kind, value = rest.split(": ", 1)
            said.append("void value_%d(void) { __typeof__(%s) p = %s; (void)p; }\n" % (count, kind, value))
        elif word in ("k", "d", "dd"):
            said += [function(one) for one in numbers(word, rest.split())]
        elif word == "f3":
            said += [function(one) for one in kinds(rest)]
        elif re.search(r"(\w+)\(", line).group(1) not in (GONE if xsi else ()):
            said.append(function(line))
    return "".join(said)


def demand(headers, mode):
    """Compile each, link all; what the compiler says of those that are not as demanded."""
    bad, objects = [], []
    for header in headers:
        name = os.path.join(work, re.sub(r"\W", "_", header) + ".c")
        with open(name, "w", encoding="ascii") as text:
            text.write(program(header, parts()[header], mode is MODES[1]))
        objects.append(name[:-1] + "o")
        done = run([*mode, "-Wall", "-Werror", "-Wno-array-parameter", "-Wno-deprecated-declarations", "-fno-builtin", "-c", name,
                    "-o", objects[-1]])
        if done.returncode:
            bad.append(header)
            tap.say(done.stdout)
            objects.pop()
    same(bad, [], "headers that are not as %s demands" % mode[1][2:])
    main = os.path.join(work, "main.c")
    with open(main, "w", encoding="ascii") as text:
        text.write("int main(void) { return 0; }\n")
    done = run(["-Wl,--allow-multiple-definition", main, *objects, "-lm", "-o", os.path.join(work, "all")])
    same(done.stdout, "", "what does not link")


def run(words):
    return subprocess.run(COMPILER + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, check=False, env=dict(os.environ, EXO_BUILD=guest.build_dir()))


def named():
    return [name for name in sys.argv[1:] if name.endswith(".h")] or [name for name in parts() if name]


def test_posix():
    """as C99 with _POSIX_C_SOURCE=200809L"""
    demand(named(), MODES[0])


def test_xsi():
    """as C11 with _XOPEN_SOURCE=700"""
    demand(named(), MODES[1])


if __name__ == "__main__":
    if any(name.endswith(".h") for name in sys.argv[1:]):
        sys.argv[1:], wanted = [], sys.argv[1:]
        named = lambda: wanted                                 # noqa: E731
    work = tempfile.mkdtemp(prefix="exo-headers-")
    tap.main(lambda: shutil.rmtree(work))
