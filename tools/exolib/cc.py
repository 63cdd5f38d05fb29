# SPDX-License-Identifier: BSD-2-Clause
"""exo-cc: calls the target compiler with what a library operating system needs.

The flags stand in one place, the pkg-config file exo-LIBOS.pc.  In an installation they are
used as they are.  In a build tree the same file gives the flags, and the directories of
headers and libraries are replaced by those of the sources and the build.  Programs are
position-independent; -no-pie links one at a fixed address.  Whether a command
links is told from its options, as every compiler driver does it.
"""

import os
import re
import shlex
import sys

from . import tree
from .util import ExoError, nearest_mend, paint

USAGE = """\
usage: exo-cc [--libos=NAME] [options of the C compiler] FILES

Compiles and links C programs that run on Exo. Everything but these is the compiler's:

  --libos=NAME   the library operating system to link with: uni (default), one program on its
                 own; posix, processes with fork, exec, signals, pipes, terminals: exo-posix(7);
                 dataplane, connections by events, fast: exo-dataplane(7); event, the
                 same, small: exo-event(7);
                 core, blocks alone: the program begins at core_main (doc/tutorial-blocks.md);
                 bare, entry code, printing, frames: the program is its own libOS
                 (doc/tutorial-libos.md); none, no library at all
  --fs=LIST      the file systems that the program can mount: names with commas, of memory,
                 ext2, cofs and common, or none (default all; a program without files has none)
  --dry-run      print the compiler's command and stop
  --help         this page

Programs are position-independent, so that each start can put them elsewhere; with -no-pie
one has a fixed address.

EXO_TARGET_CC names another compiler. EXO_BUILD names a build tree to use.

examples:
  exo-cc hello.c -o hello.uni
  exo-cc -O2 -c part.c
  ./configure CC="exo-cc --libos=posix" --host=x86_64-none"""

NOTHING = "none"                # --libos=none: headers and link layout only
BARE = "bare"                   # --libos=bare: what a libOS of one's own begins with (libos/core/bare.h)
BLOCKS = "core"                 # --libos=core: the blocks of all folders; the program begins at core_main
FROM_UNI = ("sbrk", "__retarget_lock_acquire")      # ... and what malloc stands on is uni's, not the C library's
NO_LINK = ("-c", "-S", "-E", "-M", "-MM", "-fsyntax-only", "-r")
NO_FILES = ("-v", "--version", "-###", "-dumpversion", "-dumpmachine", "-dumpspecs", "-dumpfullversion")
REFUSED = {"-shared": "there are no shared objects on Exo", "-rdynamic": "there is no dynamic linking on Exo"}
IMAGE_BASE = "0x400000"         # EXO_VA_IMAGE: where programs with a fixed address begin
OWN_WORDS = ("--libos", "--fs", "--dry-run", "--help")
KINDS = {"memory": [], "ext2": ["disk_extent_open"], "cofs": ["disk_extent_open"],
         "common": ["disk_extent_open", "disk_volume_make", "disk_volume_take", "disk_volume_offer"]}    # what else each needs
EMPTY = ("-lpthread", "-lrt", "-lxnet")         # POSIX names these libraries; what they have is in libposix
TAKES_VALUE = ("-o", "-I", "-L", "-D", "-U", "-include", "-isystem", "-idirafter", "-iquote", "-imacros",
               "-x", "-l",
               "-MF", "-MT", "-MQ", "-T", "-u", "-Xlinker", "-Xassembler", "-Xpreprocessor", "--param", "-e",
               "-z",
               "-aux-info", "-wrapper")


class PkgConfig:
    """The fields of one .pc file, with its variables put in, or with those given here."""

    def __init__(self, path, **given):
        self.variables, self.fields = dict(given), {}
        try:
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
        except OSError as error:
            raise ExoError(path, "cannot be read: %s" % error.strerror,
                           "install or build Exo again") from None
        for line in lines:
            name, mark, value = re.match(r"([A-Za-z0-9_.]*)\s*([=:]?)\s*(.*)", line).groups()
            if mark == "=":
                self.variables.setdefault(name, self.expand(value))
            elif mark == ":":
                self.fields[name] = self.expand(value)

    def expand(self, text):
        return re.sub(r"\$\{([A-Za-z0-9_.]+)\}", lambda m: self.variables.get(m.group(1), ""), text)

    def words(self, field):
        return shlex.split(self.fields.get(field, ""))


def find_pc(place, libos):
    """The .pc file of a libOS."""
    name = "exo-%s.pc" % libos
    if not place.installed:
        return os.path.join(place.root, "libos", libos, name)
    return os.path.join(os.path.dirname(place.root), "pkgconfig", name)


def makefile_values(place):
    """The variables of a build tree's Makefile that say where things are."""
    path = os.path.join(place.root, "Makefile")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise ExoError(path, "cannot be read: %s" % error.strerror, "configure the build tree") from None
    values = dict(re.findall(r"^(abs_srcdir|THIRD|TARGET_INCLUDE|TARGET_CC) = (.*)$", text, re.MULTILINE))
    values["THIRD"] = os.path.join(place.root, values.get("THIRD", "third_party"))
    return values


def without_places(words):
    """Flags without the directories that they name."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-I", "-isystem", "-L", "-T"):
            skip = True
        elif not word.startswith(("-I", "-isystem", "-L", "-Wl,-T")):
            kept.append(word)
    return kept


def built_flags(place, libos, pc):
    """Compiler and linker flags for a build tree."""
    values = makefile_values(place)
    source, third = values.get("abs_srcdir", "."), values["THIRD"]
    compile_flags = without_places(pc.words("Cflags"))
    places = ["libos/%s/include" % libos, "libos/include", "include", ""]     # "": libos/core/core.h and the like
    if "-llwip" in pc.words("Libs"):
        places += ["libos/%s/port" % libos, "libos/net/port", os.path.join(third, "lwip/src/include")]
    for directory in places:
        directory = os.path.join(source, directory)
        if os.path.isdir(directory):
            compile_flags.append("-I" + directory)
    for directory in (os.path.join(third, "prefix/include"), values.get("TARGET_INCLUDE")):
        if directory:
            compile_flags += ["-isystem", directory]
    link_flags = ["-L" + os.path.join(place.root, "libos", part) for part in (libos + "/program", libos, "core", "net", "uni")]
    link_flags.append("-L" + os.path.join(third, "prefix/lib"))
    script = os.path.join(source, "libos/core/user.ld")
    if os.path.isfile(script):
        link_flags.append("-Wl,-T," + script)
    return compile_flags, link_flags + without_places(pc.words("Libs"))


def flags(place, libos):
    """(compiler, compiler flags, linker flags) for a libOS."""
    pc = PkgConfig(find_pc(place, libos), home=place.root)      # also right if the installation was moved
    compiler = os.environ.get("EXO_TARGET_CC") or pc.variables.get("cc") or "gcc"
    if place.installed:
        return compiler, pc.words("Cflags"), pc.words("Libs")
    return (compiler, *built_flags(place, libos, pc))


def split_places(words):
    """(flags, folders of headers): the folders are searched behind those that the command names."""
    flags_, places, words = [], [], list(words)
    while words:
        word = words.pop(0)
        if word in ("-I", "-isystem"):
            places += ["-isystem", words.pop(0)]
        elif word.startswith("-I"):
            places += ["-isystem", word[2:]]
        else:
            flags_.append(word)
    return flags_, places


def own_options(words):
    """The command line without what is exo-cc's: (rest, libos, file systems or None for all, dry run)."""
    rest, own, dry = [], {"--libos": "uni", "--fs": None}, False
    words = list(words)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name in own:
            if not equals:
                if not words:
                    raise ExoError("option %s" % name, "needs a value", "write --libos=uni or --fs=ext2,memory")
                value = words.pop(0)
            own[name] = value
        elif word == "--dry-run":
            dry = True
        elif word.startswith(("--lib", "--fs", "--dry")) or word in REFUSED:
            raise ExoError("option %s" % word, REFUSED.get(word, "exo-cc has no such option"),
                           "leave it out" if word in REFUSED else nearest_mend(name, OWN_WORDS))
        else:
            rest.append(word)
    return rest, own["--libos"], own["--fs"], dry


def choose_kinds(link_flags, names):
    """Linker flags for these file systems only, instead of all."""
    chosen = [] if names == "none" else names.split(",")
    symbols = []
    for name in chosen:
        if name not in KINDS:
            raise ExoError("file system %s" % (name or names), "there is none of this name", nearest_mend(name, KINDS))
        symbols += ["fs_" + name] + KINDS[name]
    words = ["-lkinds-weak" if word == "-lkinds-all" else word for word in link_flags]
    return ["-Wl,-u," + symbol for symbol in dict.fromkeys(symbols)] + words


def has_files(words):
    """Whether the command names a file, so that there is something to link."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-l"):
            return True
        elif word in TAKES_VALUE:
            skip = True
        elif word == "-" or not word.startswith("-"):
            return True
    return False


def option_values(words, option):
    """Values of an option that stands before its value or together with it."""
    values = [word[len(option):] for word in words if word.startswith(option) and word != option]
    return values + [after for word, after in zip(words, words[1:]) if word == option]


def check_libraries(words, link_flags):
    """A library that only the host has is none: the linker would find it, and a configure script believe it."""
    places = option_values(words, "-L") + option_values(link_flags, "-L")
    for name in option_values(words, "-l"):
        file = name[1:] if name.startswith(":") else "lib%s.a" % name
        if not any(os.path.isfile(os.path.join(place, file)) for place in places):
            raise ExoError("library %s" % name, "there is no %s for Exo in %s" % (file, ", ".join(places)),
                           "build it with exo-cc, and name its folder with -L")


def command(words):
    """The compiler's whole command, and whether only to print it."""
    rest, libos, kinds, dry = own_options(words)
    place = tree.find()
    known = place.libos_names() + [NOTHING, BARE, BLOCKS]
    if libos not in known:
        raise ExoError("libOS %s" % libos, "there is none of this name", nearest_mend(libos, known))
    compiler, compile_flags, link_flags = flags(place, "uni" if libos in (NOTHING, BARE, BLOCKS) else libos)
    if kinds is not None:
        link_flags = choose_kinds(link_flags, kinds)
    whole = shlex.split(compiler)
    if not has_files(rest):
        if not any(word in NO_FILES or word.startswith("-print") for word in rest):
            raise ExoError("files", "there is nothing to compile or link", "see exo-cc --help")
        return whole + rest, dry
    kind = [word for word in rest if word in ("-pie", "-static-pie", "-no-pie", "-nopie", "-static")]
    fixed = kind[-1:] in (["-no-pie"], ["-nopie"])
    rest = [word for word in rest if word not in kind]
    if fixed:
        compile_flags = [("-fno-pie" if word == "-fPIE" else word) for word in compile_flags]
        link_flags = ["-static", "-Wl,-Ttext-segment=" + IMAGE_BASE] + [
            word for word in link_flags if word != "-static-pie"]
    options, places = split_places(compile_flags)
    whole += options + rest + places
    if not any(word in NO_LINK for word in rest):
        if libos in (NOTHING, BARE) or "-nostdlib" in rest or "-nodefaultlibs" in rest:
            link_flags = [word for word in link_flags if not word.startswith("-l") and not word.endswith(("-group", ".a"))]
        whole = [word for word in whole if libos != "posix" or word not in EMPTY]
        check_libraries(whole, link_flags)
        if libos == BLOCKS:
            whole += ["-Wl,-u," + name for name in FROM_UNI]
        elif libos == BARE:
            link_flags = link_flags + ["-Wl,-e,bare_start", "-lcore", "-lc"]
        elif libos != NOTHING:
            whole.append("-Wl,-u,main")         # it may be in an archive, and what calls it comes last
        whole += ["-x", "none"] + link_flags    # what the command says about its files is not said about these
    return whole, dry


def main(words):
    try:
        if "--help" in words or not words:
            print(USAGE, file=sys.stdout if words else sys.stderr)
            return 0 if words else 1
        whole, dry = command(words)
        if dry:
            print(" ".join(shlex.quote(word) for word in whole))
            return 0
        try:
            os.execvp(whole[0], whole)
        except OSError as error:
            raise ExoError(whole[0], "the compiler cannot be started: %s" % error.strerror,
                           "exo doctor says what is missing") from None
    except ExoError as error:
        sys.stderr.write(paint("exo-cc: ", "1") + paint(str(error), "31") + "\n")
        return 1
