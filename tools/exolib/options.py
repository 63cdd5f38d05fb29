# SPDX-License-Identifier: BSD-2-Clause
"""The option parser: a table of options in, values out, the nearest known word in every error.

`--name VALUE`, `--name=VALUE`, `-xVALUE`, `-x VALUE` and joined flags (`-nV`) are read; long
names are never abbreviated.  Reading stops at `--` and, where a verb takes a program with
arguments of its own, behind the program's name: what follows is the program's.
"""

from .util import ExoError, nearest_mend


class Option:
    """One option: `names` with their dashes, and how its value is read (None: a flag).

    An optional value stands behind `=`; if `optional` is a function, also as a next word that it accepts.
    """

    def __init__(self, names, meta, parse, text, many=False, optional=False):
        self.names, self.meta, self.parse, self.text = names.split(), meta, parse, text
        self.many, self.optional = many, optional
        self.key = self.names[-1].lstrip("-").replace("-", "_")

    def left(self):
        """The option as its help line shows it."""
        if self.meta is None:
            return ", ".join(self.names)
        value = "[=%s]" % self.meta if self.optional else " " + self.meta
        return ", ".join(self.names) + value


class Values:
    """What the options of one command line say; an option that was not given is None, [] or False."""

    def __init__(self, table):
        for option in table:
            setattr(self, option.key, [] if option.many else (False if option.meta is None else None))
        self.words = []


class _Parser:
    def __init__(self, verb, table, program_ends):
        self.verb, self.table, self.program_ends = verb, table, program_ends
        self.by_name = {name: option for option in table for name in option.names}
        self.values = Values(table)
        self.seen = set()

    def unknown(self, name):
        known = [n for n in self.by_name if n.startswith("--") or not name.startswith("--")]
        raise ExoError("option %s" % name, "exo %s has no such option" % self.verb,
                       "the nearest known one is %s; see exo help %s" % (
                           nearest_mend(name, known).split(" is ")[1].split(" (")[0], self.verb))

    def store(self, option, name, text):
        if option.meta is None:
            if text is not None:
                raise ExoError("option %s" % name, "takes no value", "leave out =%s" % text)
            setattr(self.values, option.key, True)
            return
        try:
            value = option.parse(text) if text is not None else ""
        except ValueError as error:
            raise ExoError("option %s" % name, str(error)) from None
        if option.many:
            getattr(self.values, option.key).append(value)
            return
        if option.key in self.seen:
            raise ExoError("option %s" % name, "is given twice", "give it once")
        self.seen.add(option.key)
        setattr(self.values, option.key, value)

    def take(self, option, name, text, rest):
        """Store an option, with its value from the next word if it needs one."""
        if text is None and option.meta is not None and not option.optional:
            if not rest:
                raise ExoError("option %s" % name, "needs a value, %s" % option.meta,
                               "see exo help %s" % self.verb)
            text = rest.pop(0)
        if text is None and callable(option.optional) and rest and option.optional(rest[0]):
            text = rest.pop(0)
        self.store(option, name, text)

    def short(self, word, rest):
        """`-x`, `-xVALUE`, `-xyz`."""
        for i in range(1, len(word)):
            name = "-" + word[i]
            option = self.by_name.get(name)
            if option is None:
                self.unknown(word if i == 1 and len(word) > 2 else name)
            if option.meta is not None:
                self.take(option, name, word[i + 1:].lstrip("=") or None, rest)
                return
            self.store(option, name, None)

    def parse(self, words):
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                self.values.words += rest
                break
            if word.startswith("--"):
                name, equals, text = word.partition("=")
                option = self.by_name.get(name)
                if option is None:
                    self.unknown(name)
                self.take(option, name, text if equals else None, rest)
            elif word.startswith("-") and len(word) > 1:
                self.short(word, rest)
            else:
                self.values.words.append(word)
                if self.program_ends:
                    self.values.words += rest[1:] if rest[:1] == ["--"] else rest
                    break
        return self.values


def parse(verb, table, words, program_ends=False):
    """Values from the words of a command line; words that are no options are in `.words`."""
    return _Parser(verb, table, program_ends).parse(words)


def help_lines(table):
    """The table as lines for a help page."""
    width = max(len(option.left()) for option in table if len(option.left()) < 30)
    lines = []
    for option in table:
        left = option.left()
        if len(left) > width:
            lines.append("  " + left)
            left = ""
        for i, part in enumerate(option.text.split("\n")):
            lines.append("  %-*s  %s" % (width, left if i == 0 else "", part))
    return lines
