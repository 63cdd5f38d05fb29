# SPDX-License-Identifier: BSD-2-Clause
"""exo new: a directory for a program, or a libOS, of one's own, that builds, runs and tests with make.

A template is a directory tools/templates/KIND of files in which @WORDS@ stand for what is told here: main.c becomes
NAME.c, main.conf NAME.conf, gitignore .gitignore. The Makefile calls the exo that made it, by name if the shell finds
it there, else by its place.
"""

import os
import re
import shutil
import sys

from . import tree
from .options import Option
from .util import ExoError, nearest_mend, say, warn

EVENTS = ("dataplane", "event")         # libOSes whose programs are told of connections by events (libos/conn/conn.h)


def _libos(text):
    return text


_libos.known = tree.KNOWN_LIBOS
OPTIONS = [
    Option("--libos", "NAME", _libos, "app: the library operating system, uni (default) or another\nthat is installed"),
    Option("--blocks", None, None, "libos: one that is made of Exo's blocks: TCP/IP, files"),
    Option("-h --help", None, None, "this page"),
]
KINDS = ("app", "libos")


def check_name(path):
    """The program's name: the last part of the path."""
    name = os.path.basename(path.rstrip("/"))
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,14}", name):
        raise ExoError("name %s" % (name or path), "is not one for a program",
                       "write a letter, then letters, digits, _ or -; at most 15")
    if name in ("check", "run", "clean", "Makefile", "README", "address"):
        raise ExoError("name %s" % name, "has a meaning already", "choose another")
    if os.path.lexists(path):
        raise ExoError(path, "is there already", "choose another name, or remove it first")
    parent = os.path.dirname(path.rstrip("/")) or "."
    if not os.path.isdir(parent):
        raise ExoError(parent, "there is no such directory", "make it first: mkdir -p %s" % parent)
    return name


def choose(kind, values, place):
    """(template, libOS)"""
    if kind == "libos":
        if values.libos:
            raise ExoError("option --libos", "a libOS of one's own is linked with no other", "leave it out, or write exo new app")
        return ("blocks", "none") if values.blocks else ("libos", "none")
    if values.blocks:
        raise ExoError("option --blocks", "is for exo new libos", "leave it out")
    libos = values.libos or "uni"
    known = place.libos_names()
    if libos not in known:
        raise ExoError("libOS %s" % libos, "there is none of this name", nearest_mend(libos, known))
    return "events" if libos in EVENTS else "app", libos


def tool():
    """How the new Makefile calls this tool: (words, what the README says of it)."""
    here = os.path.realpath(sys.argv[0])
    found = shutil.which("exo")
    if found and os.path.realpath(found) == here:
        return "exo", "exo and exo-cc are found in the path."
    return here, "The Makefile calls %s.\nWith another: make EXO=/usr/local/bin/exo" % here


def build_line(place):
    """What the Makefile says of a build tree that this tool does not find by its own place."""
    if place.installed:
        return ""
    environment = os.environ.pop("EXO_BUILD", None)
    here = os.getcwd()
    try:
        os.chdir("/")
        found = tree.find().root == place.root
    except ExoError:
        found = False
    finally:
        os.chdir(here)
        if environment is not None:
            os.environ["EXO_BUILD"] = environment
    return "" if found else "export EXO_BUILD ?= %s\n" % os.path.realpath(place.root)


def fill(template, words, path):
    """Write the files of a template to a new directory."""
    source = os.path.join(tree.TOOLS, "templates", template)
    try:
        names = sorted(os.listdir(source))
    except OSError:
        raise ExoError(source, "the template is not there", "install Exo again") from None
    os.mkdir(path)
    for entry in names:
        with open(os.path.join(source, entry), encoding="utf-8") as file:
            text = file.read()
        for word, value in words.items():
            text = text.replace("@%s@" % word, value)
        text = text.replace("@LINE@", "=" * text.find("\n"))
        target = os.path.join(path, ".gitignore" if entry == "gitignore" else re.sub(r"^main\.", words["NAME"] + ".", entry))
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
        if entry == "check":
            os.chmod(target, 0o777 & ~_umask())


def _umask():
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def make(values):
    """The whole verb; returns the exit status."""
    words = values.words
    if not words or words[0] not in KINDS:
        raise ExoError(" ".join(["exo new", *words[:1]]), "says not what to make",
                       nearest_mend(words[0], KINDS) if words else "write exo new app NAME, or exo new libos NAME")
    if len(words) != 2:
        raise ExoError("exo new %s" % words[0], "takes one name", "write exo new %s NAME" % words[0])
    kind, path = words
    place = tree.find()
    name = check_name(path)
    template, libos = choose(kind, values, place)
    exo, note = tool()
    try:
        fill(template, {"NAME": name, "EXO": exo, "LIBOS": libos, "EXONOTE": note, "BUILD": build_line(place)}, path)
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        raise ExoError(path, "cannot be written: %s" % error.strerror, "choose another place") from None
    for need, use in (("make", "building it"), (os.environ.get("EXO_TARGET_CC", "gcc").split()[0], "compiling it")):
        if not shutil.which(need):
            warn("%s is not installed, which %s needs: exo doctor says how to get it" % (need, use))
    say("%s is made; now: cd %s && make run" % (path, path))
    return 0
