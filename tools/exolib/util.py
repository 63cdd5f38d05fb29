# SPDX-License-Identifier: BSD-2-Clause
"""What every part of the tool uses: errors, messages, and reading of values.

An error names the thing, the reason and the mend, in this order, and is printed
as one line, `exo: thing: reason; mend`.  Values are read by functions that take
the text and return the value or raise ValueError with the reason alone, so that
the command line and the configuration file share them and each puts its own
place (option, or FILE:LINE) in front.
"""

import os
import re
import sys

STATUS_TIME_LIMIT = 124
STATUS_RUNNER = 125
STATUS_KERNEL_STOP = 126


class ExoError(Exception):
    """An error of the tool itself, or of what the user asked for."""

    plain = False               # whether it is shown without the tool's name

    def __init__(self, thing, reason, mend=None):
        super().__init__(thing, reason, mend)
        self.thing, self.reason, self.mend = thing, reason, mend

    def __str__(self):
        text = "%s: %s" % (self.thing, self.reason)
        return text + "; " + self.mend if self.mend else text


def paint(text, code):
    """The text in a terminal's colour, if messages go to a terminal that has colours and NO_COLOR is not set."""
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR"):
        return "\033[%sm%s\033[0m" % (code, text)
    return text


def say(text):
    """One line for the user, on standard error: standard output belongs to the guest."""
    try:
        sys.stderr.write(paint("exo: ", "1") + text + "\n")
        sys.stderr.flush()
    except OSError:
        pass                    # nobody listens any more


def warn(text):
    say(paint("warning: ", "33") + text)


def complain(error):
    if error.plain:
        sys.stderr.write(str(error) + "\n")
    else:
        say(paint(str(error), "31"))


def distance(a, b):
    """How many letters must be typed differently (swapped neighbours count once)."""
    older, old = [], list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            cost = min(old[j] + 1, new[j - 1] + 1, old[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, older[j - 2] + 1)
            new.append(cost)
        older, old = old, new
    return old[-1]


def nearest(word, known):
    """The known word that is nearest to this one, or None if nothing is known."""
    word = word.lower()
    return min(known, key=lambda k: (distance(word, k.lower()), k), default=None)


def nearest_mend(word, known):
    """The mend for an unknown word: the nearest known one, and the others if they are few."""
    known = sorted(set(known))
    if not known:
        return None
    text = "the nearest known one is %s" % nearest(word, known)
    if 1 < len(known) <= 8:
        text += " (known: %s)" % ", ".join(known)
    return text


def parse_size(text, default_unit="M"):
    """Bytes from `64M`, `1G`, `5000K`, `4096B`; a bare number counts in default_unit."""
    match = re.fullmatch(r"([0-9]+)(?:([kmgKMG])i?b?|([bB]))?", text.strip(), re.ASCII)
    if not match or len(match.group(1)) > 15 or not int(match.group(1)):
        raise ValueError("'%s' is not a size; write for example 64M, 1G or 5000K" % text)
    unit = (match.group(2) or match.group(3) or default_unit).upper()
    size = int(match.group(1)) << {"B": 0, "K": 10, "M": 20, "G": 30}[unit]
    if size >> 63:
        raise ValueError("'%s' is too large a size" % text)
    return size


def show_size(count):
    """A size as people write it: the largest unit that leaves a whole number."""
    for shift, unit in ((30, "G"), (20, "M"), (10, "K")):
        if count and count % (1 << shift) == 0:
            return "%d%s" % (count >> shift, unit)
    return "%dB" % count


def parse_number(text, low, high, what):
    """A whole number between two limits, both included."""
    if not re.fullmatch(r"[0-9]{1,18}", text.strip(), re.ASCII) or not low <= int(text) <= high:
        raise ValueError("'%s' is not %s; it is a whole number from %d to %d" % (text, what, low, high))
    return int(text)


def parse_seconds(text):
    """A time span in seconds, from `30`, `0.5`, `2m` or `1h`."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smh]?)", text.strip(), re.ASCII)
    value = float(match.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[match.group(2)] if match else 0
    if value <= 0:
        raise ValueError("'%s' is not a time span; write seconds (30, 0.5), or 2m, 1h" % text)
    return value


def parse_yes_no(text):
    if text not in ("yes", "no"):
        raise ValueError("'%s' is neither yes nor no" % text)
    return text == "yes"


def parse_word(text, known, what):
    """One of a few known words."""
    if text not in known:
        raise ValueError("unknown %s '%s'; %s" % (what, text, nearest_mend(text, known)))
    return text


def parse_mac(text):
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text, re.ASCII):
        raise ValueError("'%s' is not a hardware address; write for example 52:54:00:12:34:56" % text)
    if int(text[:2], 16) & 1:
        raise ValueError("'%s' is a group address; the first byte of a machine's own must be even" % text)
    return text.lower()


def plain_name(text):
    """Whether the text may be a program's name: it names a section and an archive member."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,62}", text, re.ASCII) is not None
