# SPDX-License-Identifier: BSD-2-Clause
"""The verbs of `exo`, their options, and what each does with them.

`run` and `image` describe the same machine: options given on the command line win over
the [machine] section of a configuration file.  plan() turns either into programs, volumes
and a qemu.Machine; everything behind it is the same for one program and for several.
"""

import os
import subprocess
import sys

from . import (compare, completion, config, copies, disks, disktool, doctor, elf, filters, helptext, image, lab, new, ports, qemu,
               record, run, sampler, tree, util)
from .options import Option, parse
from .util import STATUS_RUNNER, ExoError, say

GUEST_ROOT = "/srv"                     # where volumes of a single program lie in the archive
FIRMWARE_BYTES = 160 << 10              # that firmware keeps at the end of memory


def _volume(text):
    """DIR or DIR:/GUESTPATH."""
    host, colon, guest = text.rpartition(":")
    if colon and guest.startswith("/"):
        if not host:
            raise ValueError("'%s' names no directory" % text)
        return host, config.guest_path(guest)
    return text, "/"


def _text(text):
    if not text:
        raise ValueError("the value is empty")
    return text


def _word(known, what):
    def parse_one(text):
        return util.parse_word(text, known, what)
    parse_one.known = known             # for completion
    return parse_one


def _seed(text):
    return util.parse_number(text, 0, (1 << 63) - 1, "a seed")


def _cpus(text):
    return util.parse_number(text, 1, config.MAX_CPUS, "a number of CPUs")


def _libos(text):
    return _text(text)


_libos.known = tree.KNOWN_LIBOS

COMMON = [
    Option("-c --config", "FILE", _text, "programs and machine from a configuration file (exo.conf(5))"),
    Option("-v --volume", "DIR[:PATH]", _volume, "give the program DIR as its directory PATH (default /)",
           many=True),
    Option("--libos", "NAME", _libos,
           "the library operating system that the program is linked with\n"
           "(default what its file says)"),
    Option("--guest-net", "HOW", _word(config.NETS, "guest net"),
           "own: the program has the machine's address; share: only its\n"
           "ports; device: the whole device, nothing is copied; none\n"
           "(default own if there is a network)"),
    Option("--extent", "'LABEL [read-only]'", config.parse_extent, "give the program an extent of a disk; see exo.conf(5)", many=True),
    Option("--mount", "'PATH KIND extent:LABEL'", config.parse_mount, "a file system for the program; see exo.conf(5)", many=True),
    Option("--guest-disk", "HOW", _word(config.DISKS, "guest disk"),
           "whole: the program has all disks; read-only: reads them; none\n"
           "(default whole if there is a disk, and no --extent or --mount)"),
    Option("--kernel-arg", "ARG", qemu.check_kernel_arg, "an argument for the kernel: quiet, seed=N, slice_us=N,\n"
           "or virtio_mmio.device=SIZE@BASE:LINE",
           many=True),
    Option("--kernel", "FILE", _text, "another kernel"),
    Option("-q --quiet", None, None, "no messages but errors; the kernel starts silently too"),
    Option("-V --verbose", None, None, "say what is used"),
    Option("-h --help", None, None, "this page"),
]

RUN = [
    Option("-p --publish", "[ADDR:]HOST:GUEST[/udp]", ports.parse_publish,
           "forward a port of this computer to one of the machine;\n"
           "ADDR is 127.0.0.1 unless given, HOST 0 is any free port",
           many=True),
    Option("--disk", "FILE[,OPTION...]", disks.parse_disk,
           "a disk: a raw image, or scratch:SIZE for an empty one that goes with\n"
           "the run; up to %d. Options: driver=virtio|nvme, readonly,\n"
           "sector=512|4096, cache=writeback|writethrough, iops=N, bps=SIZE and\n"
           "others: see exo-run(1)" % disks.MAX_DISKS,
           many=True),
    Option("-m --memory", "SIZE", util.parse_size,
           "memory of the machine (default 64M, or what the files need)"),
    Option("--smp --cpus", "N", _cpus, "number of CPUs, at most %d (default 1)" % config.MAX_CPUS),
    Option("--copies", "N", copies.parse, "run the program N times (2, 4, 8, 16), a CPU each; the copies share\n"
           "its ports, each by a part of the clients. Sets --smp, if not given"),
    Option("--machine", "TYPE", _word(config.MACHINES, "machine"), "microvm (default), q35 or pc"),
    Option("--cpu", "MODEL", _text, "the emulator's CPU model (default max)"),
    Option("--accel", "HOW", _word(qemu.ACCELS, "accelerator"), "auto (default), tcg or kvm"),
    Option("--boot", "HOW", _word(qemu.BOOTS, "boot"), "direct (default), bios or uefi (both by GRUB)"),
    Option("--net", "NET", qemu.parse_net, "user, none, dgram:LOCAL,REMOTE (UNIX sockets, a raw frame\n"
           "each) or tap:IF (default user with -p, else none)"),
    Option("--mac", "ADDR", util.parse_mac, "hardware address of the network card"),
    Option("--pcap", "FILE", _text, "record all packets"),
    Option("-t --timeout", "TIME", util.parse_seconds,
           "end the machine after so many seconds (or 2m, 1h): status 124"),
    Option("--icount", None, None, "count instructions as time: the same run gives the same figures"),
    Option("--seed", "N", _seed, "seed of the machine's random numbers"),
    Option("--randomize", None, None, "programs lie where nobody can guess (the default without --icount)"),
    Option("--no-randomize", None, None, "programs lie at fixed addresses"),
    Option("--gdb", "PORT|SOCKET", _text, "wait for a debugger before the first instruction (default 1234);\n"
           "the call is told, with commands for gdb that show environments,\n"
           "capabilities, slices, flows, frames, and find programs' symbols",
           optional=True),
    Option("--trace", "calls|all|FILE.json", record.trace_value,
           "show the kernel calls of each program, as strace does; all: also\n"
           "exceptions, upcalls and who runs. FILE.json: all of it, with slices\n"
           "and packets, to a file for ui.perfetto.dev", optional=record.is_file),
    Option("--profile", "FILE", record.profile_file,
           "where the programs' CPU time goes: FILE.svg, a flame graph, or\n"
           "FILE.folded, its stacks"),
    Option("--profile-all", "FILE", record.profile_file,
           "the same of all that runs, the kernel's functions too, as the\n"
           "emulator sees it: stops the machine for each sample"),
    Option("--observe", "NAME", _text, "trace or profile this program only", many=True),
    Option("--emulator-log", "FILE", _text, "log interrupts, resets and guest errors as the emulator sees them"),
    Option("--debugcon", "FILE", _text, "keep what the kernel writes to the end port (0xe9)"),
    Option("-i --interactive", None, None, "keys go to the program as they are typed, one by one and unseen"),
    Option("--json", None, None, "the last line of standard output is a status record in JSON"),
    Option("-n --dry-run", None, None, "print the emulator's command and stop"),
    Option("--module", "FILE", _text, "boot this module, as exo image wrote it, instead of a program"),
    Option("--qemu-arg", "ARG", _text, "a further word for the emulator's command line", many=True),
] + COMMON

RANDOMIZE = [o for o in RUN if o.key in ("randomize", "no_randomize")]

IMAGE = [
    Option("-o --output", "FILE", _text, "the file to write"),
    Option("-f --format", "FORMAT", _word(("module", "bios", "uefi"), "format"),
           "module (default): for run --module or the emulator's -initrd;\n"
           "bios, uefi: a disk that GRUB boots"),
    Option("-p --publish", "HOST:GUEST[/udp]", ports.parse_publish, "a port that the program shall hold",
           many=True),
] + RANDOMIZE + COMMON

SIMPLE = [Option("-h --help", None, None, "this page")]


class Plan:
    """What is to be booted: the module's parts and the machine, not yet checked against this computer."""

    def __init__(self):
        self.machine = qemu.Machine()
        self.programs, self.volumes = [], []
        self.timeout = None
        self.memory = None
        self.randomize = None           # as the machine's section says
        self.record_bytes = 0           # of memory that is needed to record the run


def plan_config(plan, values):
    """Fill the plan from a configuration file."""
    if values.words:
        raise ExoError("program %s" % values.words[0], "a configuration names its programs itself",
                       "leave it out, or leave out --config")
    for key, option in (("volume", "-v"), ("libos", "--libos"), ("guest_net", "--guest-net"), ("extent", "--extent"),
                        ("mount", "--mount"), ("guest_disk", "--guest-disk"), ("copies", "--copies")):
        if getattr(values, key, None):
            raise ExoError("option %s" % option, "cannot be given with --config", "write it into the file")
    conf = config.load(values.config)
    base = os.path.dirname(values.config)
    for program in conf.programs:
        path = os.path.join(base, program.get("image", ""))
        if "/" in program.get("image", "") or program.get("image") and os.path.isfile(path):
            program.values["image"] = path
        for host, guest in program.get("volume", []):
            plan.volumes.append((os.path.join(base, host), guest))
    plan.programs = conf.programs
    section = conf.machine
    plan.memory, plan.timeout = section.get("memory"), section.get("timeout")
    plan.randomize = section.get("randomize")
    machine = plan.machine
    machine.cpus, machine.cpu = section.get("cpus", 1), section.get("cpu")
    machine.machine = section.get("machine")
    machine.publish = list(section.get("publish", []))
    machine.disks = list(section.get("disk", []))
    for disk in machine.disks:
        disks.rebase(disk, base)


def plan_program(plan, values):
    """Fill the plan from one program on the command line."""
    if not values.words:
        raise ExoError("program", "none is named",
                       "write exo run PROGRAM, or exo run --config FILE; see exo help run")
    name = os.path.basename(values.words[0])
    libos = values.libos or image.libos_of(values.words[0], tree.find())
    stem = name[:-len(libos) - 1] if name.endswith("." + libos) else name
    section = config.Section(stem, 0)
    section.values["image"] = values.words[0]
    section.values["libos"] = libos
    args = values.words[1:]
    if stem == "httpd" and not args:
        claims = [p.guest for p in values.publish if p.protocol == "tcp"]
        args = ["--port", str(claims[0]), "/"] if claims and claims[0] != 80 else ["/"]
    if args:
        section.values["args"] = args
    root = "" if libos == image.PROCESS else GUEST_ROOT
    if values.volume:
        section.values["files"] = root or "/"
    for key in ("extent", "mount"):
        if getattr(values, key):
            section.values[key] = getattr(values, key)
    disk = values.guest_disk or ("whole" if getattr(values, "disk", None) and not (values.extent or values.mount) else None)
    if disk:
        section.values["disk"] = disk
    plan.programs = [section]
    plan.volumes = [(host, root + guest) for host, guest in values.volume]
    plan.single = section


def plan_net(plan, values):
    """The network's two sides: the emulator's, and what the program claims."""
    machine = plan.machine
    machine.publish += values.publish
    wants = any(p.get("net", "none") != "none" or p.get("claim") for p in plan.programs)
    machine.net = getattr(values, "net", None) or (("user",) if machine.publish or wants else ("none",))
    if machine.publish and machine.net[0] != "user":
        raise ExoError("option -p", "ports are published by --net user only", "leave out --net or -p")
    if not values.config and plan.programs:
        section = plan.programs[0]
        net = values.guest_net or ("own" if machine.net[0] != "none" else "none")
        if net != "none":
            if machine.net[0] == "none" and hasattr(values, "net"):
                raise ExoError("--guest-net %s" % net, "the machine has no network", "add -p or --net user")
            section.values["net"] = net
            claims = dict.fromkeys(p.claim() for p in machine.publish)
            if claims:
                section.values["port"] = list(claims)
        section.values["copies"] = getattr(values, "copies", None) or 1
        try:
            plan.programs = copies.expand(section)
        except ValueError as error:
            raise ExoError("option --copies", str(error)) from None


def plan_trace(plan, values):
    """With --trace or --profile: one program more, which observes the others and ends as the main one does."""
    trace = getattr(values, "trace", None)
    if record.wanted(values):
        if values.profile and trace is not None and not record.is_file(trace):
            raise ExoError("options --profile and --trace", "only one program observes another",
                           "trace to a file: --trace FILE.json")
        record.plan_record(plan, values)
    elif trace is not None:
        record.observe(plan, values, "trace", ["--all"] if trace == "all" else [], "trace")
    elif getattr(values, "observe", None) and not values.profile_all:
        raise ExoError("option --observe", "there is neither --trace nor --profile", "add one of them")


def plan_addresses(plan, values):
    """Which programs lie at random addresses: the command line, else the program, the machine, --icount say."""
    yes, no = getattr(values, "randomize", False), getattr(values, "no_randomize", False)
    if yes and no:
        raise ExoError("options --randomize and --no-randomize", "contradict each other", "give one of them")
    if (yes or no) and not plan.programs:
        raise ExoError("option --%srandomize" % ("" if yes else "no-"), "the module holds its configuration already",
                       "give it to exo image, or write it into the configuration")
    for program in plan.programs:
        if yes or no:
            program.values["randomize"] = yes
        elif plan.randomize is not None:
            program.values.setdefault("randomize", plan.randomize)
        elif getattr(values, "icount", False):
            program.values.setdefault("randomize", False)
        if getattr(values, "gdb", None) is not None:
            program.values["show_addresses"] = True


def make_plan(values):
    plan = Plan()
    if getattr(values, "module", None):
        if values.words or values.config or values.volume:
            raise ExoError("option --module", "the module holds programs and files already",
                           "leave out the program, --config and -v")
        if not os.path.isfile(values.module):
            raise ExoError(values.module, "there is no such file", "write one with exo image")
    elif values.config:
        plan_config(plan, values)
    else:
        plan_program(plan, values)
    plan_net(plan, values)
    plan_trace(plan, values)
    plan_addresses(plan, values)
    plan.machine.kernel_args = list(values.kernel_arg)
    if values.quiet and "quiet" not in values.kernel_arg:
        plan.machine.kernel_args.append("quiet")
    return plan


def plan_machine(plan, values):
    """The machine's own options, checked against each other."""
    machine = plan.machine
    machine.boot = values.boot or "direct"
    machine.disks = values.disk or machine.disks
    nvme = any(disk.driver == "nvme" for disk in machine.disks)
    machine.machine = values.machine or machine.machine or ("microvm" if machine.boot == "direct" and not nvme
                                                            else "q35")
    if machine.machine == "microvm" and nvme:
        raise ExoError("--machine microvm", "has no PCI, which a disk with driver=nvme needs", "use --machine q35")
    if machine.machine == "microvm" and machine.boot != "direct":
        raise ExoError("--machine microvm", "has no firmware that boots a disk",
                       "use --machine q35 or --boot direct")
    machine.cpus = values.cpus or max(machine.cpus, getattr(values, "copies", None) or 1)
    for program in plan.programs:
        if program.get("cpu", 0) >= machine.cpus:
            raise ExoError("program %s: cpu = %d" % (program.name, program.get("cpu")),
                           "the machine's CPUs are 0 to %d" % (machine.cpus - 1) if machine.cpus > 1
                           else "the machine has one CPU, number 0",
                           "give it more with --cpus or cpus = N")
    machine.cpu = values.cpu or machine.cpu
    machine.icount, machine.seed = values.icount, values.seed
    machine.accel, plan.accel_reason = qemu.choose_accel(values.accel or "auto", values.icount)
    for key in ("mac", "pcap"):
        if getattr(values, key) and machine.net[0] == "none":
            raise ExoError("option --%s" % key, "the machine has no network", "add -p or --net")
        setattr(machine, key, getattr(values, key))
    machine.log, machine.gdb = values.emulator_log, values.gdb
    if values.gdb == "":
        machine.gdb = "1234"
    plan.timeout = values.timeout or plan.timeout
    plan.memory = values.memory or plan.memory
    machine.extra = list(values.qemu_arg)


def plan_memory(plan, module_bytes):
    """The machine's memory: as asked for if the module fits, else what the module needs."""
    machine = plan.machine
    least = qemu.LEAST_MEMORY[machine.boot]
    need = elf.memory_end(machine.kernel) + module_bytes + plan.record_bytes
    if machine.machine != "microvm":
        need += FIRMWARE_BYTES
    if plan.memory is None:
        machine.memory = qemu.DEFAULT_MEMORY
        if need + (32 << 20) > machine.memory:
            machine.memory = (need + (48 << 20) + (16 << 20) - 1) >> 24 << 24
        return
    machine.memory = plan.memory
    if machine.memory < least:
        raise ExoError("memory %s" % util.show_size(machine.memory),
                       "is too little to boot (%s)" % machine.boot,
                       "give at least %s with -m" % util.show_size(least))
    if need > machine.memory:
        raise ExoError("memory %s" % util.show_size(machine.memory),
                       "programs and files alone take %d KiB%s" % (
            module_bytes >> 10, ", and the record %d" % (plan.record_bytes >> 10) if plan.record_bytes else ""),
            "give at least %dM with -m" % ((need + (4 << 20)) >> 20))


def make_disk(place, kernel, module, args, boot, output):
    """A GRUB disk image, by the tool that makes them."""
    maker = find_mkgrub(place)
    words = [maker, "--" + boot, "-k", kernel, "-m", module, "-c", " ".join(args), "-o", output]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    if done.returncode:
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise ExoError("GRUB image", lines[-1], "exo doctor says what is missing")


def find_mkgrub(place):
    candidates = [os.path.join(tree.TOOLS, "mkgrub"), os.path.join(place.root, "mkgrub")]
    for path in candidates:
        if os.access(path, os.X_OK):
            return path
    raise ExoError("mkgrub", "the tool that makes GRUB images is not there", "install Exo again")


def compose(plan, values, place):
    """The module's description, or None if a finished one is to be booted; and its size in bytes."""
    if getattr(values, "module", None):
        return None, os.path.getsize(values.module)
    typed = getattr(values, "interactive", True) or os.isatty(0)
    module = image.compose(place, plan.programs, plan.volumes, typed)
    return module, module.size()


def boot_files(plan, values, place, work, module):
    """Write what the emulator will load."""
    machine = plan.machine
    if module is None:
        machine.module = os.path.abspath(values.module)
    else:
        machine.module = work.file("boot.mod")
        module.write(machine.module)
    if machine.boot != "direct":
        machine.disk = work.file("disk.img")
        make_disk(place, machine.kernel, machine.module, machine.kernel_args, machine.boot, machine.disk)


def check_outputs(values):
    """Files that are to be written: fail before the machine starts, not after."""
    for name in ("pcap", "emulator_log", "debugcon"):
        path = getattr(values, name)
        if path:
            try:
                with open(path, "wb"):
                    pass
            except OSError as error:
                raise ExoError(path, "cannot be written: %s" % error.strerror,
                               "give --%s another file" % name.replace("_", "-")) from None
    record.check_outputs(values)


def choose_kernel(values, place):
    kernel = values.kernel or place.kernel()
    elf.check(kernel, "the kernel")
    return os.path.abspath(kernel)


def verb_run(words):
    values = parse("run", RUN, words, program_ends=True)
    if values.help:
        return show_help("run")
    plan = make_plan(values)
    plan_machine(plan, values)
    machine = plan.machine
    place = tree.find()
    machine.kernel = choose_kernel(values, place)
    module, module_bytes = compose(plan, values, place)
    plan_memory(plan, module_bytes)
    if values.dry_run:
        machine.module, machine.disk = values.module or "exo-boot.mod", "exo-disk.img"
        machine.debugcon = values.debugcon or "exo-end.log"
        print(qemu.show(qemu.command(machine)))
        return 0
    qemu.emulator_path()
    ports.check_free(machine.publish)
    disks.check(machine.disks)
    check_outputs(values)
    with run.WorkDir() as work:
        boot_files(plan, values, place, work, module)
        disks.prepare(machine.disks, work)
        machine.debugcon = values.debugcon or work.file("end.log")
        recorder = record.Recorder(plan, values, work) if record.wanted(values) else None
        watcher = sampler.Sampler(plan, values, work, place, recorder and recorder.memory) if values.profile_all else None
        announce(plan, values, place, module_bytes)
        process = run.Run(qemu.command(machine), machine.debugcon, plan.timeout, values.interactive,
                          any(program.get("image") == "keeper" for program in plan.programs))
        process.whole_lines = values.json
        process.explain = lambda said: disks.explain(said, machine.disks)
        outcome = process.run()
        if watcher:
            watcher.finish()
        if recorder:
            recorder.finish()
        if values.json:
            print(run.record(machine, process, outcome, module_bytes), flush=True)
        return outcome.status


def announce(plan, values, place, module_bytes):
    """What the user must know before the console begins."""
    machine = plan.machine
    if not values.quiet:
        for publish in machine.publish:
            address = "localhost" if publish.address == "0.0.0.0" else publish.address
            say("%s:%d is port %d/%s of the machine" % (address, publish.host, publish.guest,
                                                        publish.protocol))
        if plan.memory is None and machine.memory != qemu.DEFAULT_MEMORY:
            say("memory: %s, as the files need it" % util.show_size(machine.memory))
        if machine.net[0] == "none" and [program.name for program in plan.programs] == ["httpd"]:
            util.warn("httpd has no network: publish a port, for example -p 8080:80")
    if values.verbose:
        say("using %s" % place)
        for program in plan.programs:
            say("program %s: %s" % (program.name, program.path))
        say("boot module: %d bytes; memory: %s" % (module_bytes, util.show_size(machine.memory)))
        say("accelerator: %s (%s)" % (machine.accel, plan.accel_reason))
        say("command: %s" % qemu.show(qemu.command(machine)))
    if machine.gdb is not None:
        announce_gdb(plan, place)


def announce_gdb(plan, place):
    """How to call the debugger."""
    machine = plan.machine
    files = ["init=" + place.init()] + ["%s=%s" % (program.name, program.path) for program in plan.programs]
    files += ["%s=%s" % pair for program in plan.programs for pair in getattr(program, "processes", [])]
    words = ["gdb", machine.kernel, "-x", os.path.join(tree.TOOLS, "exo-gdb.py"), "-ex",
             "target remote " + qemu.gdb_where(machine.gdb)[1], "-ex", "exo programs " + " ".join(files)]
    say("waiting for a debugger: " + qemu.show(words))
    say("then for example: exo start %s; exo envs; exo symbols; help exo" % plan.programs[0].name if plan.programs else
        "then for example: exo envs; help exo")


def verb_image(words):
    values = parse("image", IMAGE, words, program_ends=True)
    if values.help:
        return show_help("image")
    if not values.output:
        raise ExoError("option -o", "is missing", "say what file to write: -o FILE")
    plan = make_plan(values)
    place = tree.find()
    module, module_bytes = compose(plan, values, place)
    kind = values.format or "module"
    if kind == "module":
        if values.kernel_arg:
            raise ExoError("option --kernel-arg", "a module holds no kernel arguments",
                           "give them to exo run")
        written = module.write(values.output)
    else:
        kernel = choose_kernel(values, place)
        with run.WorkDir() as work:
            path = work.file("boot.mod")
            module.write(path)
            make_disk(place, kernel, path, plan.machine.kernel_args, kind, values.output)
        written = os.path.getsize(values.output)
    if not values.quiet:
        say("%s: %d bytes" % (values.output, written))
    if values.verbose:
        say("module: %d bytes before packing" % module_bytes)
    return 0


def verb_doctor(words):
    values = parse("doctor", SIMPLE, words)
    if values.help:
        return show_help("doctor")
    no_words("doctor", values)
    return doctor.run(list(VERBS))


def verb_version(words):
    values = parse("version", SIMPLE, words)
    if values.help:
        return show_help("version")
    no_words("version", values)
    print("exo %s" % tree.version())
    return 0


BPF_VERBS = "check", "dump", "run", "plugin"


def verb_bpf(words):
    """Programs for the kernel: the tool is a program of this computer's."""
    if words[:1] in (["-h"], ["--help"]):
        return show_help("bpf")
    if not words:
        raise ExoError("exo bpf", "does one of: %s" % ", ".join(BPF_VERBS), "see exo help bpf")
    if words[0] not in BPF_VERBS:
        raise ExoError("exo bpf %s" % words[0], "there is no such thing to do", util.nearest_mend(words[0], BPF_VERBS))
    path = tree.find().bpf_tool()
    os.environ["EXO_TOOL"] = os.path.join(tree.TOOLS, "exo") if os.path.isfile(os.path.join(tree.TOOLS, "exo")) \
        else os.path.realpath(sys.argv[0])
    os.execv(path, [path] + words)


def verb_help(words):
    values = parse("help", SIMPLE, words)
    if len(values.words) > 1:
        raise ExoError("exo help", "takes one verb", "the verbs are %s" % ", ".join(VERBS))
    return show_help(values.words[0] if values.words else None)


def no_words(verb, values):
    if values.words:
        raise ExoError("exo %s %s" % (verb, values.words[0]), "%s takes no arguments" % verb, "leave it out")


def verb_filter(words):
    """Claims of a tcpdump expression, as lines of a configuration."""
    values = parse("filter", SIMPLE, words)
    if values.help:
        return show_help("filter")
    if not values.words:
        raise ExoError("exo filter", "there is no expression", "write for example: exo filter 'udp dst port 53'")
    for claim in filters.compile_claims(" ".join(values.words)):
        print("claim = " + filters.show(claim))
    return 0


def verb_compare(words):
    """One program with several library operating systems."""
    status = compare.verb(words)
    return show_help("compare") if status is None else status


def verb_disk(words):
    """Images of disks, and the extents on them."""
    status = disktool.verb(words)
    return show_help("disk") if status is None else status


def verb_lab(words):
    """Experiments on policies."""
    status = lab.verb(words)
    return show_help("lab") if status is None else status


def verb_new(words):
    """A directory for a program or a libOS of one's own."""
    values = parse("new", new.OPTIONS, words)
    return show_help("new") if values.help else new.make(values)


def verb_completion(words):
    """What a shell reads to complete command lines of exo."""
    values = parse("completion", SIMPLE, words)
    if values.help:
        return show_help("completion")
    print(completion.make(values.words, TABLES, VERBS))
    return 0


VERBS = {
    "run": verb_run,
    "image": verb_image,
    "compare": verb_compare,
    "lab": verb_lab,
    "new": verb_new,
    "disk": verb_disk,
    "filter": verb_filter,
    "bpf": verb_bpf,
    "doctor": verb_doctor,
    "completion": verb_completion,
    "version": verb_version,
    "help": verb_help,
}
TABLES = dict.fromkeys(VERBS, SIMPLE)
TABLES.update({"run": RUN, "image": IMAGE, "compare": compare.OPTIONS, "disk": disktool.OPTIONS, "lab": lab.OPTIONS,
               "new": new.OPTIONS})


def unknown_verb(verb):
    return ExoError("exo %s" % verb, "there is no such verb", util.nearest_mend(verb, VERBS) + "; see exo help")


def show_help(verb=None):
    if verb is not None and verb not in VERBS:
        raise unknown_verb(verb)
    print(helptext.page(verb, TABLES.get(verb)))
    return 0


def main(words):
    """Run one command line; returns the exit status."""
    run.listen()
    try:
        if not words:
            print(helptext.page(None, None), file=sys.stderr)
            return STATUS_RUNNER
        if words[0] in ("-h", "--help"):
            return show_help()
        if words[0] == "--version":
            return verb_version([])
        if words[0] not in VERBS:
            raise unknown_verb(words[0])
        return VERBS[words[0]](words[1:])
    except ExoError as error:
        util.complain(error)
        return STATUS_RUNNER
    except KeyboardInterrupt:
        return 130
    except run.Interrupted as stop:
        return 128 + stop.number
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
