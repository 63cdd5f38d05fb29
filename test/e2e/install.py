# SPDX-License-Identifier: BSD-2-Clause
"""An installation: all of it is there, it works without the build tree, and goes without a trace.

Time limit: 300 s
"""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

work = tempfile.mkdtemp(prefix="exo-install-")
PREFIX = os.path.join(work, "prefix")
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "EXO_"))}
ENV["PATH"] = os.path.join(PREFIX, "bin") + os.pathsep + ENV.get("PATH", "")


def run(*words, cwd=work, status=0, seconds=120):
    done = subprocess.run(list(words), cwd=cwd, env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)
    same(done.returncode, status, "status of %s; it says: %s" % (" ".join(words), done.stdout[-3000:]))
    return done.stdout


def make(target):
    if not os.path.isfile(os.path.join(guest.build_dir(), "Makefile")):
        raise tap.Skip("there is no Makefile in the build tree")
    return run("make", "-s", target, "prefix=" + PREFIX, cwd=guest.build_dir(), seconds=250)


def files():
    """The installed files, below the prefix."""
    return sorted(os.path.relpath(os.path.join(top, name), PREFIX) for top, unused, names in os.walk(PREFIX) for name in names)


def test_install():
    """make install: tools, kernel, libraries, headers, pkg-config files, completion, manual"""
    make("install")
    there = files()
    for name in ("bin/exo", "bin/exo-cc", "lib/exo/exo.elf", "lib/exo/init.elf", "lib/exo/bin/hello.uni",
                 "lib/exo/libos/uni/libuni.a", "lib/exo/include/exo/call.h", "lib/exo/include/libos/core/thread.h",
                 "lib/exo/include/libos/conn/conn.h", "lib/pkgconfig/exo-uni.pc", "lib/pkgconfig/exo-posix.pc",
                 "share/bash-completion/completions/exo", "share/bash-completion/completions/exo-cc",
                 "share/zsh/site-functions/_exo", "share/man/man1/exo-run.1", "share/man/man2/exo_frame_take.2",
                 "share/man/man2/exo_calls.2", "share/man/man3/exo-thread.3", "share/man/man3/thread_create.3",
                 "share/man/man5/exo.conf.5", "share/man/man7/exo.7", "share/exo/templates/libos/main.c",
                 "share/exo/exo-gdb.py", "share/man/man1/exo-profile.1"):
        check(name in there, "%s is missing" % name)


def test_verbs():
    """exo and exo-cc of the installation: the kernel boots, a program of one's own is compiled and runs, doctor is content"""
    has(run("exo", "run", "-q", "-t", "60", "hello"), "Hello from Exo!")
    run("exo", "run", "-q", "-t", "60", "--trace", "hello.json", "hello")
    with open(os.path.join(work, "hello.json"), encoding="utf-8") as file:
        has(file.read(), '"malloc+0x', "a fault by its function, in a trace of the installation")
    has(run("exo", "doctor"), "installation %s" % os.path.join(PREFIX, "lib/exo"))
    run("exo", "new", "app", "greet")
    has(run("make", "check", cwd=os.path.join(work, "greet")), "ok - with a name")
    run("exo", "new", "libos", "mine")
    same(run("make", "-s", "check", cwd=os.path.join(work, "mine")).count("ok - "), 3, "cases of exo new libos")
    with open(os.path.join(work, "mine", "Makefile"), encoding="utf-8") as file:
        has(file.read(), "EXO ?= exo\n", "the Makefile")


def test_pkg_config():
    """the pkg-config files alone are enough to compile and link a program"""
    if not shutil.which("pkg-config"):
        raise tap.Skip("pkg-config is not installed")
    ENV["PKG_CONFIG_PATH"] = os.path.join(PREFIX, "lib/pkgconfig")
    flags = run("pkg-config", "--define-prefix", "--cflags", "--libs", "exo-uni").split()
    compiler = run("pkg-config", "--variable=cc", "exo-uni").split()
    run(*compiler, os.path.join(guest.SOURCE, "tools/templates/app/main.c"), "-o", "plain.uni", *flags)
    same(run("exo", "run", "-q", "-t", "60", "./plain.uni"), "hello, world\n", "console")


def test_headers():
    """each installed header compiles alone"""
    top = os.path.join(PREFIX, "lib/exo/include")
    lines = []
    for folder in ("exo", "libos/core", "libos/vm", "libos/sched", "libos/fs", "libos/disk", "libos/net", "libos/conn", "libos/dev"):
        for name in sorted(os.listdir(os.path.join(top, folder))):
            if name.endswith(".h"):
                lines.append("%s/%s" % (folder, name))
    check(len(lines) > 50, "headers: %s" % lines)
    for number, name in enumerate(lines):
        with open(os.path.join(work, "h%d.c" % number), "w", encoding="utf-8") as file:
            file.write("#include <%s>\n" % name)
    run("exo-cc", "-fsyntax-only", "-Wall", "-Werror", *["h%d.c" % number for number in range(len(lines))])


def test_verbs_told():
    """each verb is in exo(1); each paper is in the index"""
    with open(os.path.join(guest.SOURCE, "doc/man/exo.1"), encoding="utf-8") as file:
        page = file.read()
    for line in run("exo", "--help").split("examples:")[0].splitlines():
        if line.startswith("  ") and line[2:3].isalpha():
            has(page, ".It Cm %s" % line.split()[0], "exo.1")
    with open(os.path.join(guest.SOURCE, "doc/index.html"), encoding="utf-8") as file:
        index = file.read()
    for name in sorted(os.listdir(os.path.join(guest.SOURCE, "doc"))):
        if name.endswith(".md"):
            has(index, '"%s"' % name, "doc/index.html")


def test_manual():
    """every page of the manual is well-formed"""
    if not shutil.which("mandoc"):
        raise tap.Skip("mandoc is not installed")
    pages = [os.path.join(PREFIX, name) for name in files() if name.startswith("share/man/")]
    real = []
    for page in pages:
        with open(page, encoding="utf-8") as file:
            first = file.readline()
        if first.startswith(".so "):
            target = os.path.join(PREFIX, "share/man", first.split()[1])
            check(os.path.isfile(target), "%s leads nowhere" % page)
        else:
            real.append(page)
    same(run("mandoc", "-T", "lint", "-W", "warning", *real), "", "what mandoc says")


BASH = """
. %s
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _exo; echo "$*: ${COMPREPLY[*]}"; }
try exo ru
try exo run --mach
try exo run --machine ""
try exo disk im
try exo new lib
try exo run hel
try exo help doc
COMP_WORDS=(exo-cc --libos = po) COMP_CWORD=3; _exo_cc; echo "${COMPREPLY[*]}"
"""


def test_completion():
    """bash and zsh complete verbs, options, values and programs"""
    path = os.path.join(PREFIX, "share/bash-completion/completions/exo")
    same(run("bash", "-c", BASH % path).splitlines(),
         ["exo ru: run", "exo run --mach: --machine", "exo run --machine : microvm q35 pc", "exo disk im: import",
          "exo new lib: libos", "exo run hel: hello", "exo help doc: doctor", "posix"], "completions")
    if shutil.which("zsh"):
        run("zsh", "-n", os.path.join(PREFIX, "share/zsh/site-functions/_exo"))


def test_uninstall():
    """make uninstall leaves nothing behind"""
    make("uninstall")
    same(files(), [], "files that are left")


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
