# SPDX-License-Identifier: BSD-2-Clause
"""The configuration, etc/exo.conf: what may stand in it, reading it and writing it.

Lines are `key = value`, `# comment`, `[machine]` and `[program NAME]`.  A comment
starts with `#` at the beginning of a line or after a blank, outside of quotes.  The
first program reads the same file inside the machine; it skips what only this tool
needs, but both know the same words.  Each fault is told as FILE:LINE: with the nearest
known word, and reading goes on, so that one look shows all faults of a file.
"""

import re
import shlex

from . import copies, disks, filters, ports
from .util import (ExoError, nearest_mend, parse_number, parse_seconds, parse_size, parse_word, parse_yes_no,
                   plain_name, show_size)

MACHINES = ("microvm", "q35", "pc")
NETS = ("none", "own", "share", "device")
DISKS = ("none", "read-only", "whole")
MAX_CPUS = 16           # what the kernel uses
MAX_SLICES = 4096
MAX_LIMIT = 1000000
MAX_DEMAND_NAME, MAX_OBSERVE_NAME = 7, 11       # they are part of a capability's name
MAX_PROGRAMS = 16
MAX_ARGS = 64
MAX_LABEL = 31
MAX_REPEATED = {"port": 16, "volume": 8, "publish": 32, "disk": disks.MAX_DISKS, "demand": 8, "claim": 16, "observe": 8,
                "serve": 4, "use": 8, "device": 8, "extent": 8, "mount": 8}


def parse_volume(text):
    """HOSTDIR:/GUESTPATH as a pair."""
    host, colon, guest = text.rpartition(":")
    if not colon or not host or not guest.startswith("/"):
        raise ValueError("'%s' is not HOSTDIR:/GUESTPATH" % text)
    return host, guest_path(guest)


def guest_path(text):
    """A directory of the archive, absolute, without `.`, `..` and doubled slashes."""
    if not text.startswith("/"):
        raise ValueError("'%s' does not begin with a slash" % text)
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("'%s' has .. in it" % text)
    return "/" + "/".join(parts)


def parse_args(text):
    """Words, quoted as in a shell."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError("the quotes do not match (%s)" % str(error).lower()) from None
    if len(words) > MAX_ARGS:
        raise ValueError("%d arguments are too many; there may be %d" % (len(words), MAX_ARGS))
    return words


def _text(text):
    if not text:
        raise ValueError("the value is empty")
    return text


def _libos(text):
    if not plain_name(text):
        raise ValueError("'%s' is not a libOS; write for example uni" % text)
    return text


def _image(text):
    if text.endswith("/"):
        raise ValueError("an image is a file, not a directory")
    return text


def _cpus(text):
    return parse_number(text, 1, MAX_CPUS, "a number of CPUs")


def _slices(text):
    return parse_number(text, 1, MAX_SLICES, "a number of slices")


def _cpu(text):
    return parse_number(text, 0, MAX_CPUS - 1, "a CPU's number")


def _limit(text):
    return parse_number(text, 1, MAX_LIMIT, "a limit")


def _other(letters, what):
    def parse(text):
        if len(text.encode()) > letters:
            raise ValueError("'%s' is too long a name to %s; it may have %d letters" % (text, what, letters))
        return text
    return parse


DEVICES = ("rtc", "com2", "lpt1", "video")


def _device(text):
    """A known device, or NAME:PORT-PORT[:LINE], ports in hexadecimal."""
    found = re.fullmatch("([^:]+):(?:0x)?([0-9a-f]{1,4})-(?:0x)?([0-9a-f]{1,4})(?::([0-9]{1,2}))?", text)
    if text not in DEVICES and not (found and len(found[1].encode()) <= 9 and plain_name(found[1]) and
                                    0 <= int(found[3], 16) - int(found[2], 16) <= 255 and int(found[4] or 0) < 16):
        raise ValueError("'%s' is neither %s nor NAME:PORT-PORT[:LINE]; write for example com3:0x3e8-0x3ef:5" % (
            text, ", ".join(DEVICES)))
    return text


MOUNT_KINDS = ("cofs", "common", "ext2", "memory")
MAX_EXTENT_NAME = 15
MAX_DISK_SHARES = 64
RESERVED = ("account", "archive", "blocks0", "blocks1", "blocks2", "blocks3", "console", "directory", "disk0", "disk1", "disk2",
            "disk3", "env", "info", "interrupts", "machine", "module", "net0", "netinfo", "ports", "self", "space", "video")


class Extent:
    """LABEL [read-only] [shared] [as NAME]."""

    def __init__(self, label, name, read_only=False, shared=False, by_share=False):
        self.label, self.name, self.read_only, self.shared, self.by_share = label, name, read_only, shared, by_share
        if not plain_name(name):
            raise ValueError("'%s' is not a name: letters, digits, . _ + -" % name)
        for wrong, why in ((len(name) > MAX_EXTENT_NAME, "is too long a name for a capability, which may have 15 letters"),
                           (name in RESERVED, "is the name of another capability")):
            if wrong:
                raise ValueError("'%s' %s; write extent = %s as NAME" % (name, why, label))

    def __str__(self):
        return self.label + " read-only" * self.read_only + " shared" * self.shared + (
            " as " + self.name if self.name != self.label else "")


def _words(text):
    return [word for word in re.split("[ \t]+", text) if word]


def parse_extent(text):
    words = _words(text)
    if len(words) > 8:
        raise ValueError("'%s' has too many words" % text)
    if not words or not plain_name(words[0]):
        raise ValueError("'%s' is not a label: letters, digits, . _ + -; or name the extent by its UUID" % (words or [""])[0])
    flags, name, rest = set(), words[0], words[1:]
    while rest:
        word = parse_word(rest.pop(0), ("read-only", "shared", "as"), "word")
        if word != "as":
            flags.add(word)
        elif rest:
            name = rest.pop(0)
        else:
            raise ValueError("a name is missing behind as")
    return Extent(words[0], name, "read-only" in flags, "shared" in flags)


class Mount:
    """/PATH KIND [extent:NAME | share:NAME/DOMAIN] [OPTIONS]."""

    def __init__(self, path, kind, extent, options, share=None):
        self.path, self.kind, self.extent, self.options, self.share = path, kind, extent, options, share

    def __str__(self):
        source = ["share:%s/%s" % (self.extent, self.share)] if self.share else ["extent:" + self.extent] if self.extent else []
        return " ".join([self.path, self.kind] + source + [self.options] * bool(self.options))


def parse_mount(text):
    says = "'%s' is not /PATH KIND [extent:NAME | share:NAME/DOMAIN] [OPTIONS]; write for example /data ext2 extent:data" % text
    words = _words(text)
    if not 2 <= len(words) <= 4:
        raise ValueError(says)
    guest_path(words[0])
    kind, rest = parse_word(words[1], MOUNT_KINDS, "file system"), words[2:]
    extent = rest.pop(0)[7:] if rest and rest[0].startswith("extent:") else None
    share = None
    if kind == "common" and extent is None and rest and rest[0].startswith("share:") and "/" in rest[0]:
        extent, share = rest.pop(0)[6:].split("/", 1)
    options = rest.pop(0) if rest else ""
    if rest:
        raise ValueError(says)
    if kind != "memory" and not extent:
        raise ValueError("%s needs an extent; write for example %s ext2 extent:data" % (kind, words[0]))
    if kind == "memory" and extent is not None:
        raise ValueError("%s has no extent" % kind)
    return Mount(words[0], kind, extent, options, share)


def _disk(text):
    return parse_word(text, DISKS, "word")


def _disk_shares(text):
    return parse_number(text, 1, MAX_DISK_SHARES, "a number of shares")


def _label(text):
    if not plain_name(text) or len(text) > MAX_LABEL:
        raise ValueError("'%s' is not a label: letters, digits, . _ + -, at most %d" % (text, MAX_LABEL))
    return text


def _machine(text):
    return parse_word(text, MACHINES, "machine")


def _net(text):
    return parse_word(text, NETS, "net")


# key: (how to read the value, whether it may be repeated)
MACHINE_KEYS = {
    "memory": (parse_size, False),
    "cpus": (_cpus, False),
    "machine": (_machine, False),
    "cpu": (_text, False),
    "publish": (ports.parse_publish, True),
    "disk": (disks.parse_disk, True),
    "timeout": (parse_seconds, False),
    "randomize": (parse_yes_no, False),
}
PROGRAM_KEYS = {
    "image": (_image, False),
    "libos": (_libos, False),
    "args": (parse_args, False),
    "memory": (parse_size, False),
    "guarantee": (parse_size, False),
    "cpu": (_cpu, False),
    "copies": (copies.parse, False),
    "slices": (_slices, False),
    "guarantee_slices": (_slices, False),
    "limit_slices": (_slices, False),
    "limit_envs": (_limit, False),
    "limit_flows": (_limit, False),
    "limit_rings": (_limit, False),
    "limit_shapes": (_limit, False),
    "limit_traces": (_limit, False),
    "budget": (_limit, False),
    "answer": (parse_seconds, False),
    "demand": (_other(MAX_DEMAND_NAME, "demand from"), True),
    "observe": (_other(MAX_OBSERVE_NAME, "observe"), True),
    "serve": (_label, True),
    "use": (_label, True),
    "net": (_net, False),
    "port": (ports.parse_claim, True),
    "claim": (filters.parse_claims, True),
    "files": (guest_path, False),
    "volume": (parse_volume, True),
    "main": (parse_yes_no, False),
    "randomize": (parse_yes_no, False),
    "seal": (parse_yes_no, False),
    "end_children": (parse_yes_no, False),
    "show_addresses": (parse_yes_no, False),
    "input": (parse_yes_no, False),
    "device": (_device, True),
    "extent": (parse_extent, True),
    "mount": (parse_mount, True),
    "disk": (_disk, False),
    "disk_shares": (_disk_shares, False),
}


class Section:
    """One section: its values by key (a list for a key that may be repeated), and the lines they stand on."""

    def __init__(self, name, line):
        self.name, self.line = name, line
        self.values, self.lines = {}, {}
        self.extents = []               # with those that mounts bring with them

    def get(self, key, default=None):
        return self.values.get(key, default)

    def twin(self, name):
        """The same section under another name."""
        twin = Section(name, self.line)
        twin.values = {key: list(value) if isinstance(value, list) else value for key, value in self.values.items()}
        twin.lines = dict(self.lines)
        return twin

    def add(self, key, value, line, many):
        if many:
            self.values.setdefault(key, []).append(value)
        else:
            self.values[key] = value
        self.lines[key] = line


class Config:
    """A whole configuration: the machine and its programs, in the file's order."""

    def __init__(self, path):
        self.path = path
        self.machine = Section("machine", 0)
        self.programs = []

    def main(self):
        """The program whose end ends the machine: the one marked main, else the first."""
        marked = [p for p in self.programs if p.get("main")]
        return (marked or self.programs)[0]


def strip_comment(line):
    """The line without its comment; `#` inside quotes or inside a word starts none."""
    quote = None
    for i, char in enumerate(line):
        if quote:
            quote = None if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "#" and (i == 0 or line[i - 1] in " \t"):
            return line[:i]
    return line


class _Reader:
    """Reads one configuration; collects faults instead of stopping at the first."""

    def __init__(self, path):
        self.config = Config(path)
        self.faults = []
        self.section = self.keys = None
        self.extents = []               # of all programs so far, with the program's name

    def fault(self, line, reason):
        self.faults.append("%s:%d: %s" % (self.config.path, line, reason))

    def read(self, text):
        for number, raw in enumerate(text.split("\n"), 1):
            line = strip_comment(raw).strip()
            if re.search("[\0-\x08\x0b-\x1f\x7f]", line):
                self.fault(number, "a control character: is this a text file?")
            elif line.startswith("["):
                self.start_section(number, line)
            elif line:
                self.read_key(number, line)
        self.check_whole()
        return self.config

    def start_section(self, number, line):
        words = line[1:-1].split() if line.endswith("]") else []
        self.section = Section("", number)          # takes the keys of a section that is not known
        self.keys = None
        if words == ["machine"]:
            if self.config.machine.line:
                self.fault(number, "section [machine] stands twice (first in line %d)"
                           % self.config.machine.line)
            self.section = self.config.machine
            self.section.line, self.keys = number, MACHINE_KEYS
        elif len(words) == 2 and words[0] == "program" and plain_name(words[1]):
            twin = [p for p in self.config.programs if p.name == words[1]]
            if twin:
                self.fault(number, "program %s stands twice (first in line %d)" % (words[1], twin[0].line))
            self.section = Section(words[1], number)
            self.keys = PROGRAM_KEYS
            self.config.programs.append(self.section)
        elif not line.endswith("]"):
            self.fault(number, "section without a closing ]; write [machine] or [program NAME]")
        elif words and words[0] == "program":
            self.fault(number, "[program NAME] needs one name of letters, digits, . _ + -")
        else:
            self.fault(number, "unknown section [%s]; %s" % (" ".join(words), nearest_mend(
                words[0] if words else "", ("machine", "program NAME"))))

    def read_key(self, number, line):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            self.fault(number, "'%s' is not KEY = VALUE" % line)
        elif self.section is None:
            self.fault(number, "key %s stands before any section; write [machine] or [program NAME] first"
                       % key)
        elif self.keys is None:
            pass                                    # the section's fault has been told
        elif key not in self.keys:
            kind = "machine" if self.keys is MACHINE_KEYS else "program"
            self.fault(number, "unknown key %s in a %s section; %s" % (key, kind,
                                                                       nearest_mend(key, self.keys)))
        else:
            self.read_value(number, key, value)

    def read_value(self, number, key, value):
        parse, many = self.keys[key]
        if many and len(self.section.get(key, [])) == MAX_REPEATED[key]:
            self.fault(number, "key %s stands too often; it may stand %d times" % (key, MAX_REPEATED[key]))
            return
        if not value and key != "args":
            self.fault(number, "key %s has no value" % key)
            return
        if not many and key in self.section.lines:
            self.fault(number, "key %s stands twice (first in line %d)" % (key, self.section.lines[key]))
            return
        try:
            self.section.add(key, parse(value), number, many)
        except ValueError as error:
            self.fault(number, "%s: %s" % (key, error))

    def check_whole(self):
        """What one line alone cannot show."""
        self.expand_copies()
        programs = self.config.programs
        if not programs:
            self.fault(1, "there is no program; write [program NAME]")
        for program in programs[MAX_PROGRAMS:MAX_PROGRAMS + 1]:
            self.fault(program.line, "too many programs; there may be %d" % MAX_PROGRAMS)
        self.only_one([p for p in programs if p.get("main")], "main", "main = yes")
        self.only_one([p for p in programs if p.get("net") == "own"], "net", "net = own")
        device = next((p for p in programs if p.get("net") == "device"), None)
        for program in programs if device else []:
            if program.get("claim") or program.get("net", "none") not in ("none", "device"):
                self.fault(program.lines["claim" if program.get("claim") else "net"],
                           "%s can have no packets: %s has net = device" % (program.name, device.name))
            if program.get("net") == "device" and program.get("budget"):
                self.fault(program.lines["budget"], "%s: what has net = device has no budget" % program.name)
        owner, served = {}, {}
        for program in programs:
            for label in program.get("serve", []):
                if label in served:
                    self.fault(program.lines["serve"], "label %s is %s's already" % (label, served[label]))
                served.setdefault(label, program.name)
        for program in programs:
            for label in program.get("use", []):
                if label not in served:
                    self.fault(program.lines["use"], "use: " + (
                        "nobody serves %s; %s" % (label, nearest_mend(label, served)) if served
                        else "no program has a key serve"))
            for claim in program.get("port", []):
                taken = [other for other in owner if ports.claims_meet(claim, other)]
                if taken:
                    self.fault(program.lines["port"], "port %s is %s's already" % (claim, owner[taken[0]]))
                owner.setdefault(claim, program.name)
            if "port" in program.lines and program.get("net", "none") == "none":
                self.fault(program.lines["port"], "a program with a port needs net = own or net = share")
            if sum(len(claims) for claims in program.get("claim", [])) > filters.CLAIMS_MAX:
                self.fault(program.lines["claim"], "too many claims; a program may have %d" % filters.CLAIMS_MAX)
            self.check_shares(program)
            self.check_disks(program)

    def expand_copies(self):
        """Sections with copies become several."""
        found = []
        for program in self.config.programs:
            line = program.lines.get("copies")
            try:
                expanded = copies.expand(program)
            except ValueError as error:
                self.fault(line, "copies: %s" % error)
                expanded = [program]
            for twin in expanded[1:]:
                if any(other.name == twin.name for other in self.config.programs):
                    self.fault(line, "copies: another program is called %s already" % twin.name)
                if twin.get("cpu") >= MAX_CPUS:
                    self.fault(line, "copies: there is no CPU %d; the last is %d" % (twin.get("cpu"), MAX_CPUS - 1))
                    break
            found += expanded
        self.config.programs = found

    def check_disks(self, program):
        """Extents: names, those that mounts bring with them, and who else has them."""
        extents, lines = program.get("extent", []), program.lines
        for i, extent in enumerate(extents):
            for other in extents[:i]:
                for word in {extent.name, extent.label} & {other.name, other.label}:
                    if extent.name == other.name or extent.label == other.label:
                        self.fault(lines["extent"], "extent %s stands twice" % word)
                        break
        paths = [mount.path for mount in program.get("mount", [])]
        for path in {path for path in paths if paths.count(path) > 1}:
            self.fault(lines["mount"], "mount %s stands twice" % path)
        have = [(extent, lines.get("extent")) for extent in extents]
        for mount in program.get("mount", []):
            if mount.extent is None or any(extent.name == mount.extent for extent, unused in have):
                continue
            if len(have) == MAX_REPEATED["extent"]:
                self.fault(lines["mount"], "too many extents for one program")
                break
            try:
                have.append((Extent(mount.extent, mount.extent, "ro" in mount.options.split(","),
                                    by_share=bool(mount.share)), lines["mount"]))
            except ValueError as error:
                self.fault(lines["mount"], "mount: %s" % error)
        program.extents = [extent for extent, unused in have]
        if "disk_shares" in lines and not have and program.get("disk", "none") == "none":
            self.fault(lines["disk_shares"], "%s has disk_shares, but no extent" % program.name)
        for extent, line in have:
            for other, name in self.extents:
                if other.label == extent.label and not (other.read_only and extent.read_only) and not (
                        other.shared and extent.shared) and not (other.by_share or extent.by_share):
                    self.fault(line, "extent %s is program %s's already; both must say read-only, or both shared" % (
                        extent.label, name))
        self.extents += [(extent, program.name) for extent, unused in have]

    def check_shares(self, program):
        """Guarantees, and the programs that one names."""
        get = program.get
        if get("memory") and get("guarantee", 0) > get("memory"):
            self.fault(program.lines["guarantee"], "%s is guaranteed more than its memory" % program.name)
        if get("limit_slices") and max(get("guarantee_slices", 0), get("slices", 0)) > get("limit_slices"):
            self.fault(program.lines["limit_slices"], "%s has more slices than its limit_slices" % program.name)
        others = [p.name for p in self.config.programs if p is not program]
        for key in ("demand", "observe"):
            names = get(key, [])
            for name in names:
                if name not in others:
                    self.fault(program.lines[key], "%s: " % key + (
                        "no other program is called %s; %s" % (name, nearest_mend(name, others)) if others
                        else "there is no other program"))
            if len(set(names)) < len(names):
                self.fault(program.lines[key], "%s names a program twice" % key)

    def only_one(self, programs, key, text):
        for other in programs[1:]:
            self.fault(other.lines[key], "a second program has %s (the first is %s)" % (text,
                                                                                        programs[0].name))


def parse(text, path):
    """Configuration from text; ExoError with every fault if there are any."""
    reader = _Reader(path)
    config = reader.read(text)
    if reader.faults:
        raise ConfigError("\n".join(reader.faults))
    return config


class ConfigError(ExoError):
    """Faults of a configuration file: FILE:LINE: reason, a line each, as editors read it."""

    plain = True

    def __init__(self, text):
        super().__init__(text, "")

    def __str__(self):
        return self.thing


def load(path):
    """Configuration from a file."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(1 << 20)
    except OSError as error:
        raise ExoError(path, "cannot be read: %s" % error.strerror, "name a configuration file") from None
    except UnicodeDecodeError:
        raise ExoError(path, "is not text (UTF-8)", "name a configuration file") from None
    return parse(text, path)


def quote_args(args):
    """Words as one value that parse_args() reads back."""
    for arg in args:
        if re.search("[\0-\x08\x0a-\x1f\x7f]", arg):
            raise ExoError("argument %r" % arg,
                           "a program's argument cannot hold line breaks and control characters",
                           "pass it in a file (-v)")
    if len(args) > MAX_ARGS:
        raise ExoError("arguments", "%d are too many; there may be %d" % (len(args), MAX_ARGS),
                       "pass them in a file")
    return " ".join(shlex.quote(arg) for arg in args)


def dump(programs):
    """The text of etc/exo.conf for these sections: what the machine inside needs, in one fixed order."""
    lines = []
    for program in programs:
        lines.append("[program %s]" % program.name)
        for key in PROGRAM_KEYS:
            value = program.get(key)
            if value is None or key == "volume":
                continue
            if key == "args":
                value = quote_args(value)
            elif PROGRAM_KEYS[key][0] is parse_size:
                value = show_size(value)
            elif PROGRAM_KEYS[key][0] is parse_seconds:
                value = "%.6f" % value
            elif PROGRAM_KEYS[key][0] is parse_yes_no:
                value = "yes" if value else "no"
            if key == "claim":
                value = [claim for claims in value for claim in claims]
            for item in value if isinstance(value, list) else [value]:
                lines.append("%s = %s" % (key, item))
        lines.append("")
    return "\n".join(lines)
