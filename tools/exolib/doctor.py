# SPDX-License-Identifier: BSD-2-Clause
"""exo doctor: what this computer has and lacks for running Exo, and how to get it.

Each check is a line: ok, missing (something will not work; exit status 1) or without
(an option that is not there; the line says what it is for).
"""

import os
import shutil
import subprocess
import sys

from . import qemu, tree
from .util import ExoError, paint

# what: (Debian and its kin, Fedora and its kin, Arch)
PACKAGES = {
    "emulator": ("qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86"),
    "grub-bios": ("grub-pc-bin grub-common xorriso", "grub2-pc-modules grub2-tools xorriso",
                  "grub libisoburn"),
    "grub-uefi": ("grub-efi-amd64-bin grub-common xorriso mtools",
                  "grub2-efi-x64-modules grub2-tools xorriso mtools",
                  "grub libisoburn mtools"),
    "ovmf": ("ovmf", "edk2-ovmf", "edk2-ovmf"),
    "gdb": ("gdb", "gdb", "gdb"),
    "cc": ("gcc", "gcc", "gcc"),
    "sfdisk": ("fdisk", "util-linux", "util-linux"),
    "mke2fs": ("e2fsprogs", "e2fsprogs", "e2fsprogs"),
    "ld": ("binutils", "binutils", "binutils"),
    "wrk": ("wrk", "wrk", "wrk"),
    "gnuplot": ("gnuplot-nox", "gnuplot", "gnuplot"),
    "make": ("make", "make", "make"),
    "clang": ("clang", "clang", "clang"),
    "tcpdump": ("tcpdump", "tcpdump", "tcpdump"),
    "ip": ("iproute2", "iproute", "iproute2"),
    "unshare": ("util-linux", "util-linux", "util-linux"),
    "dpkg-deb": ("dpkg", "dpkg", "dpkg"),
}
GRUB_DIRS = ("/usr/lib/grub", "/usr/share/grub", "/usr/lib/grub2")
LEAST_EMULATOR = (7, 2)


def how_to_get(what):
    """The command that installs a package here, as far as this system is known."""
    debian, fedora, arch = PACKAGES[what]
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            text = file.read()
    except OSError:
        text = ""
    words = " ".join(line.partition("=")[2].strip('"') for line in text.splitlines()
                     if line.startswith(("ID=", "ID_LIKE=")))
    if "debian" in words or "ubuntu" in words:
        return "apt-get install " + debian
    if "fedora" in words or "rhel" in words:
        return "dnf install " + fedora
    if "arch" in words:
        return "pacman -S " + arch
    return "install the package that Debian calls " + debian


class Report:
    """Prints the lines and remembers whether something needed is missing."""

    def __init__(self):
        self.missing = 0

    def line(self, state, color, what, text):
        mark = paint("%-8s" % state, color) if sys.stdout.isatty() else "%-8s" % state
        print("%s %-16s %s" % (mark, what, text))

    def good(self, what, text):
        self.line("ok", "32", what, text)

    def lack(self, what, text):
        self.missing += 1
        self.line("missing", "31", what, text)

    def without(self, what, text):
        self.line("without", "33", what, text)


def _output(words):
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL,
                              timeout=20, check=False).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.TimeoutExpired):
        return ""


def check_emulator(report):
    try:
        path = qemu.emulator_path()
    except ExoError:
        report.lack("emulator", "%s is not installed; %s" % (qemu.EMULATOR, how_to_get("emulator")))
        return
    first = _output([path, "--version"]).partition("\n")[0]
    digits = first.partition("version ")[2].split(" ")[0].split(".")
    version = tuple(int(d) for d in digits[:2] if d.isdigit())
    if version < LEAST_EMULATOR:
        report.lack("emulator", "%s is too old; %d.%d or later is needed"
                    % ((first or path,) + LEAST_EMULATOR))
        return
    report.good("emulator", "%s, version %s" % (shutil.which(path), ".".join(digits)))
    machines = {line.split(" ")[0] for line in _output([path, "-machine", "help"]).splitlines()}
    for machine in ("microvm", "q35", "pc"):
        if machine not in machines:
            report.without("machine " + machine, "this emulator was built without it")
    works, reason = qemu.kvm_state()
    (report.good if works else report.without)("virtualisation", "%s: %s" % (
        reason, "runs at full speed" if works else "runs emulated, which always works"))


def check_tree(report):
    try:
        found = tree.find()
        found.kernel()
        found.init()
    except ExoError as error:
        report.lack("exo", str(error))
        return
    names = sorted({name for name, unused in found.programs()})
    report.good("exo", "%s; programs: %s" % (found, ", ".join(names) or "none"))
    if not names:
        report.lack("programs", "none is built; run make")


def check_grub(report):
    for boot, target, what in (("bios", "i386-pc", "grub-bios"), ("uefi", "x86_64-efi", "grub-uefi")):
        lacks = [] if any(os.path.isdir(os.path.join(top,
                                                     target)) for top in GRUB_DIRS) else ["modules " + target]
        if not (shutil.which("grub-mkimage") or shutil.which("grub2-mkimage")):
            lacks.append("grub-mkimage")
        lacks += [tool for tool in ("xorriso",
                                    "mformat")[:2 if boot == "uefi" else 1] if not shutil.which(tool)]
        if lacks:
            report.without("grub " + boot, "needed for --boot %s only; lacks %s; %s" % (
                boot, ", ".join(lacks), how_to_get(what)))
        else:
            report.good("grub " + boot, "for --boot %s and exo image --format %s" % (boot, boot))
    try:
        report.good("uefi firmware", qemu.firmware())
    except ExoError:
        report.without("uefi firmware", "needed for --boot uefi only; %s" % how_to_get("ovmf"))


# Tools, and what for: the verbs of exo (with an option, where only that needs it), exo-cc, make in a directory of exo new.
TOOLS = (
    ("cc", "cc", ("exo-cc", "new")),
    ("ld", "ld", ("exo-cc", "new")),
    ("make", "make", ("new",)),
    ("gdb", "gdb", ("run --gdb",)),
    ("sfdisk", "sfdisk", ("disk",)),
    ("mke2fs", "mke2fs", ("disk import --ext2",)),
    ("tcpdump", "tcpdump", ("filter",)),
    ("clang", "clang", ("lab with policies of packets",)),
    ("wrk", "wrk", ("compare",)),
    ("gnuplot", "gnuplot", ("compare --plot", "lab --plot")),
    ("ip", "ip", ("compare --net=tap",)),
    ("unshare", "unshare", ("compare --net=tap",)),
    ("dpkg-deb", "dpkg-deb", ("compare --linux",)),
)


def find_tool(tool):
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def check_tools(report, verbs):
    """The other programs that verbs call; returns {verb or verb with an option: keys of packages it lacks}."""
    lacks = {}
    for tool, what, uses in TOOLS:
        uses = [use for use in uses if use == "exo-cc" or use.split(" ")[0] in verbs]
        name = os.environ.get("EXO_TARGET_CC", "gcc").split()[0] if tool == "cc" else tool
        path = find_tool(name)
        text = ", ".join("exo " + use if use != "exo-cc" else use for use in uses)
        if path:
            report.good(name, "%s, for %s" % (path, text))
        elif uses:
            report.without(name, "needed for %s only; %s" % (text, how_to_get(what)))
            for use in uses:
                lacks.setdefault(use, []).append(what)
    return lacks


def check_verbs(report, verbs, lacks):
    """Each verb in a line: whether it works here, and with all its options."""
    machine = report.missing                # nothing boots without emulator, kernel and programs
    for verb in ["exo-cc"] + [verb for verb in verbs if verb not in ("help", "version", "completion", "doctor")]:
        name = verb if verb == "exo-cc" else "exo " + verb
        parts = {use: keys for use, keys in lacks.items() if use.split(" ")[0] == verb}
        if machine and verb in ("run", "image", "compare", "lab", "top", "record", "profile"):
            report.line("missing", "31", name, "see above")
        elif not parts:
            report.good(name, "works here, with all its options")
        elif verb in parts:
            report.without(name, "does not work: %s" % "; ".join(how_to_get(key) for key in parts[verb]))
        else:
            report.good(name, "works, but not: %s" % "; ".join("%s (%s)" % (use[len(verb) + 1:], how_to_get(keys[0]))
                                                               for use, keys in parts.items()))


def run(verbs):
    """All checks, for these verbs; returns the exit status."""
    report = Report()
    report.good("python", "%d.%d" % sys.version_info[:2])
    check_emulator(report)
    check_tree(report)
    check_grub(report)
    lacks = check_tools(report, verbs)
    print()
    check_verbs(report, verbs, lacks)
    if report.missing:
        print("\n%d missing: Exo does not run here yet." % report.missing)
    else:
        print("\nNothing needed is missing.")
    return 1 if report.missing else 0
