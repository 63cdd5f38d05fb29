# SPDX-License-Identifier: BSD-2-Clause
"""Where things are: kernel, first program, programs, libraries.

There are two layouts.  A build tree is a directory with exo/exo.elf in it; programs
lie in apps/NAME/NAME.LIBOS, test programs in test/guest/NAME.LIBOS.  An installation
has everything in one directory, lib/exo beside the bin directory of this tool:
exo.elf, init.elf, bin/NAME.LIBOS, libos/LIBOS/; the file `home` beside exolib/ names it.
EXO_BUILD names a build tree; without it an installed tool uses its installation, and one
that is run from its sources looks in the current directory and those above it.
"""

import os
import re

from .util import ExoError, nearest_mend

TOOLS = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
KNOWN_LIBOS = ("dataplane", "event", "posix", "uni")


class Tree:
    """One build tree or installation."""

    def __init__(self, root, installed):
        self.root, self.installed = root, installed

    def __str__(self):
        return "%s %s" % ("installation" if self.installed else "build tree", self.root)

    def _file(self, what, built, installed):
        path = os.path.join(self.root, installed if self.installed else built)
        if not os.path.isfile(path):
            raise ExoError(path, "%s is not there" % what,
                           "install Exo again" if self.installed else "run make in the build tree")
        return path

    def kernel(self):
        """The kernel's image; the environment variable EXO_KERNEL names another one (a checked kernel, for tests)."""
        named = os.environ.get("EXO_KERNEL")
        if named:
            if not os.path.isfile(named):
                raise ExoError("EXO_KERNEL=%s" % named, "there is no such file", "name a kernel image, or unset it")
            return named
        return self._file("the kernel", "exo/exo.elf", "exo.elf")

    def init(self):
        return self._file("the first program", "apps/init/init.elf", "init.elf")

    def bpf_tool(self):
        return self._file("the tool for programs of the kernel's", "tools/exo-bpf", "exo-bpf")

    def plugin(self):
        """The emulator's plugin that counts instructions."""
        return self._file("the plugin that counts instructions", "apps/bench/insncount.so", "insncount.so")

    def blocks(self):
        """Which functions each block of the libraries gives."""
        return self._file("the table of blocks", "tools/blocks.tsv", "blocks.tsv")

    def linux_program(self, name):
        """A program that comes with Exo, built for Linux to compare with."""
        path = os.path.join(self.root, "bin" if self.installed else os.path.join("apps", name), name + ".linux")
        if not os.path.isfile(path):
            raise ExoError("program %s" % name, "there is none for Linux: %s is not there" % path,
                           "httpd-events and kv have one")
        return path

    def host_tool(self, name):
        """A program of this computer's that comes with Exo."""
        return self._file("the tool %s" % name, "tools/" + name, name)

    def program_dirs(self):
        """Directories that hold programs; in a build tree each has one of its own."""
        if self.installed:
            return [os.path.join(self.root, "bin")]
        apps = os.path.join(self.root, "apps")
        found = [os.path.join(apps, name) for name in sorted(os.listdir(apps))] if os.path.isdir(apps) else []
        return found + [os.path.join(self.root, "test", "guest")]

    def programs(self):
        """All programs as {(name, libos): path}."""
        found = {}
        for directory in self.program_dirs():
            if not os.path.isdir(directory):
                continue
            for entry in sorted(os.listdir(directory)):
                name, dot, suffix = entry.rpartition(".")
                if dot and suffix in self.libos_names():
                    found.setdefault((name, suffix), os.path.join(directory, entry))
        return found

    def libos_dir(self):
        return os.path.join(self.root, "libos")

    def libos_names(self):
        """The library operating systems that this tree can link programs against."""
        try:
            names = sorted(os.listdir(self.libos_dir()))
        except OSError:
            names = []
        built = [n for n in names if n != "core" and os.path.isfile(os.path.join(self.libos_dir(), n,
                                                                                 "lib%s.a" % n))]
        return sorted(set(built) | set(KNOWN_LIBOS))

    def find_program(self, name, libos):
        """The image of a program given by name."""
        programs = self.programs()
        if (name, libos) in programs:
            return programs[name, libos]
        others = sorted(l for n, l in programs if n == name)
        if others:
            raise ExoError("program %s" % name, "there is none for libOS %s" % libos,
                           "it is there for %s: use --libos" % ", ".join(others))
        known = {n for n, l in programs if l == libos}
        raise ExoError("program %s" % name, "there is no file and no program of this name",
                       nearest_mend(name, known) or "build the programs first (make)")


def _above(start):
    """A directory and those above it, and a `build` directory in each."""
    while True:
        yield start
        yield os.path.join(start, "build")
        parent = os.path.dirname(start)
        if parent == start:
            return
        start = parent


def _installed_places():
    """Where an installation may be: where it was configured to be, else beside this tool if it was moved."""
    if os.path.isfile(os.path.join(TOOLS, "..", "configure.ac")):
        return []                       # these are the sources
    places = [os.path.normpath(os.path.join(TOOLS, place)) for place in ("../../lib/exo", "../../lib64/exo")]
    try:
        with open(os.path.join(TOOLS, "home"), encoding="utf-8") as file:
            places.insert(0, file.read().strip())
    except OSError:
        pass
    return places


def version():
    """The version: of the installation, or what configure.ac says."""
    for path, pattern in (("version", r"(\S+)"), ("../configure.ac", r"AC_INIT\(\[[^]]*\], \[([^]]+)\]")):
        try:
            with open(os.path.join(TOOLS, path), encoding="utf-8") as file:
                match = re.search(pattern, file.read())
        except OSError:
            continue
        if match:
            return match.group(1)
    return "unknown"


def find():
    """The tree to use, or an error that says how to name one."""
    named = os.environ.get("EXO_BUILD")
    if named:
        if not os.path.isfile(os.path.join(named, "exo", "exo.elf")):
            raise ExoError("EXO_BUILD=%s" % named, "there is no exo/exo.elf in it",
                           "name a directory where Exo was built")
        return Tree(os.path.abspath(named), False)
    for root in _installed_places():
        if os.path.isfile(os.path.join(root, "exo.elf")):
            return Tree(root, True)
    for start in (os.getcwd(), TOOLS):
        for root in _above(start):
            if os.path.isfile(os.path.join(root, "exo", "exo.elf")):
                return Tree(root, False)
    raise ExoError("kernel", "no built Exo is found from here",
                   "run make and go to the build directory, or set EXO_BUILD to it")
