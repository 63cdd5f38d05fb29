# SPDX-License-Identifier: BSD-2-Clause
"""Turning the description of a machine into an emulator command.

Three machine types: microvm (no PCI: the network card is on virtio-mmio; starts
fastest), q35 and pc (PCI).  Three ways to boot: direct (the emulator loads the kernel
and one module itself), bios and uefi (GRUB from a disk image).  The guest's console is
COM1; two ports of the emulator carry the end of a run: 0xe9 (text lines `halt N` or
`panic`) and 0xf4 (ends the emulator with a status).  Hardware virtualisation is used
only where it is known to work: /dev/kvm can be written and the processor's flags show
vmx or svm.
"""

import os
import shlex
import shutil

from . import disks
from .util import ExoError, nearest_mend, show_size

EMULATOR = "qemu-system-x86_64"
DEFAULT_MEMORY = 64 << 20
LEAST_MEMORY = {"direct": 1 << 20, "bios": 32 << 20, "uefi": 32 << 20}
BOOTS = ("direct", "bios", "uefi")
ACCELS = ("auto", "tcg", "kvm")
KERNEL_ARGS = ("quiet", "seed=", "slice_us=", "virtio_mmio.device=")
HALT_STATUS = 33                # the emulator's own exit status after an orderly halt
STOP_STATUS = 35                # and after a kernel stop
FIRMWARE = ("/usr/share/ovmf/OVMF.fd", "/usr/share/qemu/OVMF.fd", "/usr/share/OVMF/OVMF.fd",
            "/usr/share/edk2/x64/OVMF.4m.fd", "/usr/share/edk2-ovmf/x64/OVMF.fd",
            "/usr/share/edk2/ovmf/OVMF.fd")


class Machine:
    """What is to be emulated; qemu_command() reads nothing else."""

    def __init__(self):
        self.boot, self.machine, self.memory = "direct", None, DEFAULT_MEMORY
        self.cpus, self.cpu, self.accel = 1, None, "tcg"
        self.kernel = self.module = self.disk = None
        self.disks = []
        self.kernel_args = []
        self.net, self.mac, self.pcap, self.publish = None, None, None, []
        self.icount, self.seed = False, None
        self.gdb = self.log = None
        self.debugcon = None
        self.memory_file = None         # where the emulator keeps the machine's memory, if others are to see it
        self.extra = []


def check_kernel_arg(text):
    """One kernel argument, or ValueError with the nearest known one."""
    name, equals, value = text.partition("=")
    if name + equals not in KERNEL_ARGS:
        raise ValueError("unknown kernel argument '%s'; %s" % (text,
                                                               nearest_mend(name + equals, KERNEL_ARGS)))
    if name in ("seed", "slice_us") and not value.isdigit():
        raise ValueError("kernel argument %s needs a number, not '%s'" % (name + equals, value))
    if equals and not value or " " in value:
        raise ValueError("kernel argument %s needs a value without blanks" % (name + equals))
    return text


def parse_net(text):
    """user, none, dgram:LOCAL,REMOTE or tap:IF as a tuple."""
    kind, colon, rest = text.partition(":")
    if kind in ("user", "none") and not colon:
        return (kind,)
    if kind == "dgram" and rest.count(",") == 1 and all(rest.split(",")):
        return (kind, *rest.split(","))
    if kind == "tap" and rest:
        return (kind, rest)
    known = ("user", "none", "dgram:LOCAL,REMOTE", "tap:IF")
    if kind in ("dgram", "tap"):
        raise ValueError("'%s' lacks its ends; write dgram:LOCAL,REMOTE or tap:IF" % text)
    raise ValueError("unknown network '%s'; %s" % (text, nearest_mend(text, known)))


def emulator_path():
    path = os.environ.get("EXO_QEMU") or EMULATOR
    found = shutil.which(path)
    if not found:
        raise ExoError(path, "the emulator is not installed", "exo doctor says how to get it")
    return found if os.sep in path else path


def kvm_state():
    """(whether hardware virtualisation is known to work, the reason in words)."""
    if not os.path.exists("/dev/kvm"):
        return False, "there is no /dev/kvm"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False, "/dev/kvm cannot be written by this user"
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line.split() for line in file if line.startswith("flags")), [])
    except OSError:
        flags = []
    if "vmx" in flags or "svm" in flags:
        return True, "/dev/kvm can be written and the processor has %s" % ("vmx" if "vmx" in flags else "svm")
    return False, "the processor's flags show neither vmx nor svm"


def choose_accel(wanted, icount):
    """The accelerator to use, and why."""
    if wanted == "tcg":
        return "tcg", "asked for"
    works, reason = kvm_state()
    if wanted == "kvm":
        if icount:
            raise ExoError("--icount", "instructions cannot be counted under kvm", "leave out --accel kvm")
        if not works:
            raise ExoError("--accel kvm", reason, "use --accel tcg, or leave it out")
        return "kvm", "asked for"
    if icount:
        return "tcg", "instructions are counted"
    return ("kvm" if works else "tcg"), reason


def firmware():
    for path in FIRMWARE:
        if os.path.isfile(path):
            return path
    raise ExoError("UEFI firmware", "OVMF is not installed", "exo doctor says how to get it")


def _comma(text):
    """A value inside an emulator option: commas are doubled."""
    return str(text).replace(",", ",,")


def _network(machine):
    """-netdev and -device words."""
    kind = machine.net[0] if machine.net else "none"
    if kind == "none":
        return []
    if kind == "user":
        netdev = "user,id=n0"
        for publish in machine.publish:
            netdev += ",hostfwd=%s:%s:%d-:%d" % (publish.protocol, publish.address, publish.host,
                                                 publish.guest)
    elif kind == "dgram":
        netdev = "dgram,id=n0,local.type=unix,local.path=%s,remote.type=unix,remote.path=%s" % (
            _comma(machine.net[1]), _comma(machine.net[2]))
    else:
        netdev = "tap,id=n0,ifname=%s,script=no,downscript=no" % _comma(machine.net[1])
    device = "virtio-net-pci,disable-legacy=on,romfile="
    if machine.machine == "microvm":
        device = "virtio-net-device"
    device += ",netdev=n0"
    if machine.mac:
        device += ",mac=" + machine.mac
    words = ["-netdev", netdev, "-device", device]
    if machine.pcap:
        words += ["-object", "filter-dump,id=f0,netdev=n0,file=" + _comma(machine.pcap)]
    return words


def _machine_type(machine):
    if machine.machine == "microvm":
        return ["-M", "microvm,isa-serial=on,auto-kernel-cmdline=off",
                "-global", "virtio-mmio.force-legacy=false"]
    if machine.boot == "direct":
        return ["-M", machine.machine + ("" if machine.machine == "pc" else ",smm=off,sata=off,usb=off")]
    return ["-M", machine.machine]


def _boot(machine):
    if machine.boot == "direct":
        words = ["-kernel", machine.kernel, "-initrd", machine.module]
        if machine.kernel_args:
            words += ["-append", " ".join(machine.kernel_args)]
        return words
    words = ["-bios", firmware()] if machine.boot == "uefi" else []
    image = "file=%s,format=raw,if=none,id=boot" % _comma(machine.disk)
    if is_iso(machine.disk):
        return words + ["-drive", image + ",media=cdrom,readonly=on", "-device", "ide-cd,drive=boot,bootindex=0"]
    # IDE takes no read-only disk; a snapshot keeps the image as it is
    return words + ["-drive", image + ",snapshot=on", "-device", "ide-hd,drive=boot,bootindex=0"]


def is_iso(path):
    """Whether a disk image is a CD image: such a one is read fastest as a CD."""
    try:
        with open(path, "rb") as file:
            file.seek(0x8001)
            return file.read(5) == b"CD001"
    except OSError:
        return False


def _clock(machine):
    words = []
    if machine.icount:
        words += ["-icount", "shift=0,sleep=off", "-rtc", "base=2020-01-01T00:00:00,clock=vm"]
    if machine.icount or machine.seed is not None:
        words += ["-seed", str(42 if machine.seed is None else machine.seed)]
    return words


def gdb_where(text):
    """The emulator's -gdb value and gdb's own target for a port or a socket path."""
    if text.isdigit():
        return "tcp:127.0.0.1:" + text, "127.0.0.1:" + text
    return "unix:%s,server=on,wait=off" % _comma(text), text


# The kernel saves what FXSAVE does. Programs are told so by OSXSAVE, which some do not ask for.
NO_WIDE_VECTORS = ",-avx,-avx2,-fma,-f16c"


def command(machine):
    """The emulator's command as a list of words."""
    cpu = machine.cpu or ("host" if machine.accel == "kvm" else "max") + NO_WIDE_VECTORS
    words = [emulator_path(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
    words += _machine_type(machine)
    if machine.memory_file:
        words[words.index("-M") + 1] += ",memory-backend=ram"
        words += ["-object", "memory-backend-file,id=ram,share=on,size=%d,mem-path=%s" % (machine.memory,
                                                                                       _comma(machine.memory_file))]
    words += ["-accel", machine.accel, "-cpu", cpu, "-m", _memory(machine.memory)]
    if machine.cpus > 1:
        words += ["-smp", str(machine.cpus)]
    words += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    words += ["-chardev", "file,id=end,path=" + _comma(machine.debugcon),
              "-device", "isa-debugcon,iobase=0xe9,chardev=end",
              "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    if machine.disks:
        words += ["-boot", "strict=on"]             # firmware leaves disks alone that it does not boot from
    words += _boot(machine) + _network(machine) + disks.words(machine.disks, machine.machine) + _clock(machine)
    if machine.gdb is not None:
        words += ["-gdb", gdb_where(machine.gdb)[0], "-S"]
    if machine.log:
        words += ["-d", "int,cpu_reset,guest_errors,unimp", "-D", machine.log]
    return words + machine.extra


def _memory(size):
    """The emulator's -m; it counts in MiB unless a unit is given."""
    text = show_size(size)
    return text[:-1] + "B" if text.endswith("B") else text


def show(words):
    """A command as one line for a shell."""
    return " ".join(shlex.quote(word) for word in words)
