# SPDX-License-Identifier: BSD-2-Clause
"""What the command line of `exo compare` may say: variants, loads, shares of a CPU.

A load is KIND[:KEY=VALUE,...].  Kinds: `http` (wrk), `kv` (the memcached protocol) and `none`, a
program that runs to its end.  A value is read by a function that raises ValueError with the reason.
"""

import os
import re

from . import util
from .util import ExoError, nearest_mend, parse_number

MAX_RUNS = 99
SLICES = 64                     # of a CPU's vector


def _number(low, high, what):
    return lambda text: parse_number(text, low, high, what)


def _path(text):
    if not re.fullmatch(r"/[A-Za-z0-9_.~%/?=&+-]*", text) or "/../" in text + "/":
        raise ValueError("'%s' is not a path; write for example /index.html" % text)
    return text


def _share(text):
    if not re.fullmatch(r"0|1|0?\.[0-9]{1,6}|1\.0*", text):
        raise ValueError("'%s' is not a share; it is a number from 0 to 1" % text)
    return float(text)


def _size(text):
    return util.parse_size(text, "B")


def _bytes(most):
    def read(text):
        size = _size(text)
        if size > most:
            raise ValueError("%d bytes are too many; %d are the most" % (size, most))
        return size
    return read


# kind: {key: (how its value is read, default, what it is)}
KEYS = {
    "http": {
        "connections": (_number(1, 4096, "a number of connections"), 16, "clients at the same time"),
        "keepalive": (util.parse_yes_no, True, "yes: many requests on a connection; no: one each"),
        "seconds": (_number(1, 3600, "a number of seconds"), 3, "how long a run is loaded"),
        "path": (_path, "/x", "what is asked for"),
        "size": (_bytes(16 << 20), 100, "length of the file at PATH that is made if no -v gives one"),
    },
    "kv": {
        "connections": (_number(1, 4096, "a number of connections"), 16, "clients at the same time"),
        "seconds": (_number(1, 3600, "a number of seconds"), 3, "how long a run is loaded"),
        "get": (_share, 0.9, "share of the operations that read"),
        "value": (_bytes(1 << 20), 100, "length of a value"),
    },
    "none": {},
}


class Load:
    """One load: `kind`, and its keys as attributes."""

    def __init__(self, kind, values):
        self.kind = kind
        self.given = values
        for key, (unused, default, unused_text) in KEYS[kind].items():
            setattr(self, key, values.get(key, default))

    def __str__(self):
        words = ["%s=%s" % (key, _show(getattr(self, key))) for key in KEYS[self.kind]]
        return self.kind + (":" + ",".join(words) if words else "")


def _show(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "%g" % value if isinstance(value, float) else str(value)


def parse_load(text):
    """A Load from `http:connections=16,keepalive=no`, or ValueError."""
    kind, colon, rest = text.partition(":")
    if kind not in KEYS:
        raise ValueError("unknown load '%s'; %s" % (kind, nearest_mend(kind, KEYS)))
    values = {}
    for word in rest.split(",") if colon else []:
        key, equals, value = word.partition("=")
        if key not in KEYS[kind]:
            raise ValueError("a load of kind %s has no key '%s'; %s" % (
                kind, key, nearest_mend(key, KEYS[kind]) or "it has none"))
        if not equals or not value:
            raise ValueError("key %s needs a value: %s=..." % (key, key))
        if key in values:
            raise ValueError("key %s stands twice" % key)
        values[key] = KEYS[kind][key][0](value)
    return Load(kind, values)


def default_load(name):
    """The load for a program of this name if none is given."""
    return Load("http" if name.startswith("httpd") else "kv" if name.startswith("kv") else "none", {})


def parse_libos(text):
    """Names parted by commas, each once."""
    names = text.split(",")
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            raise ValueError("'%s' is no name of a library operating system; write for example uni,posix" % name)
        if names.count(name) > 1:
            raise ValueError("%s stands twice" % name)
    return names


def parse_slices(text):
    """{libOS: slices} from `uni=32,posix=16`."""
    found = {}
    for word in text.split(","):
        name, equals, number = word.partition("=")
        if not equals:
            raise ValueError("'%s' is not NAME=SLICES; write for example uni=32,posix=16" % word)
        if name in found:
            raise ValueError("%s stands twice" % name)
        found[name] = parse_number(number, 1, SLICES, "a number of slices")
    if sum(found.values()) > SLICES - 2:
        raise ValueError("%d slices are too many; a CPU has %d, and the first program needs two" % (
            sum(found.values()), SLICES))
    return found


def share_slices(names, given):
    """What each variant gets in one machine: what was said, and equal parts of what is left."""
    for name in given:
        if name not in names:
            raise ExoError("option --slices", "%s is not compared" % name, nearest_mend(name, names))
    others = [name for name in names if name not in given]
    left = SLICES - 4 - sum(given.values())
    if others and left < len(others):
        raise ExoError("option --slices", "leaves nothing for %s" % ", ".join(others), "give fewer slices")
    return {name: given.get(name) or left // len(others) for name in names}


def parse_runs(text):
    return parse_number(text, 1, MAX_RUNS, "a number of runs")


def parse_plot(text):
    """A file whose name says what kind of picture it is."""
    ending = os.path.splitext(text)[1]
    if ending not in (".svg", ".png", ".gp"):
        raise ValueError("'%s' does not say what kind of picture it is; call it NAME.svg or NAME.png "
                         "(or NAME.gp, gnuplot's commands)" % text)
    return text


def choose(name, wanted, there, known):
    """Which libOSes are compared: those wanted, or all that the program is there for.

    there: libOSes that it is there for; known: all libOSes.
    """
    for libos in wanted or []:
        if libos not in known:
            raise ExoError("--libos=%s" % libos, "there is no such library operating system", nearest_mend(libos, known))
    if not there:
        raise ExoError("program %s" % name, "is there for no library operating system")
    for libos in wanted or []:
        if libos not in there:
            others = ", ".join(sorted(there))
            raise ExoError("program %s" % name, "there is none for libOS %s: it uses what that one does not offer, or "
                           "was not built for it; it is there for %s" % (libos, others), "leave %s out" % libos)
    return list(wanted or sorted(there, key=lambda libos: (libos != "uni", libos)))
