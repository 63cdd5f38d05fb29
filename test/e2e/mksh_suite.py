#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""mksh's own tests (check.t of its sources), run in the guest by mksh as ports/mksh builds it, many in one start.

`mksh_suite.py NAME...` runs those tests (`all`: every one) and prints each that does not pass. check.t's format is told in
check.pl beside it, which is in Perl and so runs on no guest; this reads it. Not run: what wants a terminal to control, or
Perl. A test that its authors say need not pass does not count when it does not.

Without the sources (no network, and no folder that holds them) all is skipped.

Time limit: 1200 s
"""

import base64
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import ported
import tap
from tap import check

CATEGORIES = {"shell:legacy-no", "int:32", "shell:textmode-no", "shell:binmode-yes", "shell:ebcdic-no", "stdout-ed",
              "no-stderr-ed", "os:exo"}
TOOLS = ("sleep cat ls rm mkdir rmdir chmod ln mv cp env grep sed sort tr head tail wc base64 touch kill expr ed od hexdump "
         "true false printf test seq which awk tee uname pwd date cmp fgrep diff").split()
SECONDS = 20            # for one test
BATCH = 120
work = tempfile.mkdtemp(prefix="exo-mksh-")


def value_of(first, rest):
    """A tag's value: that of its own line, or the lines behind it; a lone ! strips the last newline."""
    text = "".join(line[1:] + "\n" for line in rest)
    if first == "!":
        return text[:-1]
    return first + ("\n" + text if rest else "") if first else text


def cases():
    """Each test as {tag: value}; file-setup is a list of (first line, contents)."""
    with open(os.path.join(ported.PORTS, "mksh", "lib", "check.t"), encoding="latin-1", newline="\n") as file:
        lines = file.read().split("\n")
    case, at = {"file-setup": []}, 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line == "---":
            yield case
            case = {"file-setup": []}
        elif line and not line.startswith("#"):
            tag, unused, first = line.partition(":")
            first, rest = first.strip(), []
            while at < len(lines) and lines[at].startswith("\t"):
                rest.append(lines[at])
                at += 1
            if tag == "file-setup":
                case[tag].append((first.lstrip("! "), value_of("!" if first.startswith("!") else "", rest)))
            else:
                case[tag] = value_of(first, rest)
    if "name" in case:
        yield case


def runs(case):
    """Whether it can be run here."""
    for category in re.split(r"[,\s]+", case.get("category", "")):
        if category and (category[1:] in CATEGORIES if category[0] == "!" else category not in CATEGORIES):
            return False
    text = case.get("stdin", "") + case.get("script", "") + case.get("arguments", "")
    return case.get("need-ctty") != "yes" and "perl-setup" not in case and "__perlname" not in text


def words(text):
    """The fields of a value that begins and ends with their separator."""
    text = text.rstrip("\n")
    return text[1:-1].split(text[0]) if len(text) > 1 else []


def quoted(word):
    return "'" + word.replace("'", "'\\''") + "'"


def write(path, text):
    with open(path, "wb") as file:
        file.write(text.encode("latin-1"))


def script_of(case, folder, number):
    """The lines that run it in /tmp/w, and its files in a folder."""
    lines, there = ["rm -rf /tmp/w; mkdir /tmp/w; cd /tmp/w"], "/t/%d" % number
    for i, (what, contents) in enumerate(case["file-setup"]):
        kind, mode, name = re.match(r'(\w+)\s+(\d+)\s+"([^"]*)"', what).groups()
        name = "./" + name
        if kind == "dir":
            lines.append("mkdir -p %s; chmod %s %s" % (quoted(name), mode, quoted(name)))
        elif kind == "symlink":
            lines.append("ln -s %s %s" % (quoted(contents.strip()), quoted(name)))
        else:
            write(os.path.join(folder, "file%d" % i), contents)
            lines.append("cp %s/file%d %s; chmod %s %s" % (there, i, quoted(name), mode, quoted(name)))
    variables = {"HOME": "/root", "PATH": "/bin", "LOGNAME": "root", "USER": "root", "SHELL": "/bin/sh", "ENV": "/nonexistant",
                 "__progname": "/bin/mksh", "CYGWIN": "nodosfilewarning"}
    for word in words(case.get("env-setup", "")):
        name, equals, value = word.replace("@utflocale@", "C").partition("=")
        variables.pop(name, None)
        if equals:
            variables[name] = value
    arguments = [quoted(word) for word in words(case.get("arguments", ""))]
    if "script" in case:
        write(os.path.join(folder, "script"), case["script"])
        lines.append("cp %s/script temps" % there)
        arguments.append("temps")
    write(os.path.join(folder, "stdin"), case.get("stdin", ""))
    lines.append("env -i %s /bin/mksh %s <%s >/tmp/out 2>/tmp/err &" % (
        " ".join(name + "=" + quoted(value) for name, value in variables.items()), " ".join(arguments),
        there + "/stdin" if "stdin" in case else "/dev/null"))
    lines += ["p=$!", "( sleep %d; kill -9 $p ) >/dev/null 2>&1 &" % SECONDS, "w=$!", "wait $p", "s=$?", "kill $w",
              "cd /tmp", "echo \"= %d $s\"" % number, "base64 /tmp/out", "echo -", "base64 /tmp/err", "echo ="]
    return "\n".join(lines) + "\n"


def exit_fits(want, status):
    code, signal = (status, 0) if status < 128 else (0, status - 128)
    if not re.fullmatch(r"[esw0-9 <>=!&|()]+", want):
        return False
    if re.fullmatch(r"\d+", want):
        return status == int(want)
    python = want.replace("&&", " and ").replace("||", " or ")
    return bool(eval(python, {"__builtins__": {}}, {"e": code or status, "s": signal, "w": status}))


def stream_fits(case, name, got):
    pattern = case.get("expected-%s-pattern" % name)
    if pattern is None:
        return got == case.get("expected-" + name, "")
    pattern = pattern.strip()
    return re.search(pattern[1:pattern.rindex(pattern[0])], got, re.MULTILINE) is not None


def verdict(case, status, out, err):
    """None: it passes; else what is wrong."""
    if not exit_fits(case.get("expected-exit", "0").strip(), status):
        return "status %d" % status
    for name, got in (("stdout", out), ("stderr", err)):
        if not stream_fits(case, name, got):
            return "%s: %r" % (name, got[-200:])
    return None


def run_batch(batch):
    """{place in the batch: (status, out, err)}"""
    root = os.path.join(work, "root")
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "t", "etc"):
        os.makedirs(os.path.join(root, name))
    for program, port in (("sh", "dash/bin/dash"), ("mksh", "mksh/bin/mksh"), ("busybox", "busybox/bin/busybox")):
        shutil.copy(os.path.join(ported.PORTS, port + ".posix"), os.path.join(root, "bin", program))
    for name in TOOLS:
        os.link(os.path.join(root, "bin", "busybox"), os.path.join(root, "bin", name))
    write(os.path.join(root, "etc", "passwd"), "root:x:0:0:root:/root:/bin/sh\n")
    script = "exec 2>/dev/null\n"
    for number, case in enumerate(batch):
        folder = os.path.join(root, "t", str(number))
        os.mkdir(folder)
        script += script_of(case, folder, number)
    write(os.path.join(root, "run"), script)
    done = guest.exo("run", "-q", "-t", 300, "-m", "256M", "-v", root + ":/", os.path.join(ported.PORTS, "dash/bin/dash.posix"), "--",
                     "/run", timeout=330)
    results = {}
    for number, status, out, err in re.findall(r"^= (\d+) (\d+)\r?\n(.*?)^-\r?\n(.*?)^=\r?\n", done.stdout, re.MULTILINE | re.DOTALL):
        results[int(number)] = (int(status), *(base64.b64decode(text).decode("latin-1") for text in (out, err)))
    return results


def suite(wanted=()):
    """(passed, counted); prints what does not pass."""
    chosen = [case for case in cases() if (case["name"] in wanted if wanted else runs(case))]
    passed = excused = 0
    for start in range(0, len(chosen), BATCH):
        batch = chosen[start:start + BATCH]
        results = run_batch(batch)
        for number, case in enumerate(batch):
            wrong = verdict(case, *results[number]) if number in results else "did not end"
            if wrong is None:
                passed += 1
            else:
                need = case.get("need-pass", "yes").strip() != "no"
                excused += not need
                print("# %s: %s%s" % (case["name"], wrong, "" if need else " (need not pass)"))
                sys.stdout.flush()
    print("# %d of %d pass, %d more need not" % (passed, len(chosen) - excused, excused))
    return passed, len(chosen) - excused


def test_suite():
    """at least 98 of 100 of mksh's tests pass"""
    ported.build("dash", "busybox", "mksh")
    passed, counted = suite()
    check(passed >= counted * 0.98 and counted > 400, "only %d of %d pass" % (passed, counted))


if __name__ == "__main__":
    if sys.argv[1:] and not sys.argv[1].startswith("test_"):
        ported.build("dash", "busybox", "mksh")
        suite(() if sys.argv[1:] == ["all"] else sys.argv[1:])
        shutil.rmtree(work, ignore_errors=True)
    else:
        tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
