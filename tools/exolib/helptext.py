# SPDX-License-Identifier: BSD-2-Clause
"""The help pages of `exo` and its verbs; the option lists come from the verbs' own tables."""

from .options import help_lines

TOP = """\
usage: exo VERB [options]

  run      boot a machine that runs a program, or several; the console is shown here
  image    write what run would boot: a boot module, or a disk that GRUB boots
  compare  the same program with several library operating systems: table and plots
  lab      experiments on policies: page replacement, scheduling, caching ..., with plots
  new      make a directory for a program, or a libOS, of your own
  disk     make disk images, and what is on them
  filter   make claims on packets of a tcpdump expression
  bpf      check and run programs for the kernel (eBPF)
  doctor   say what is missing on this computer, and how to get it
  completion
           print what bash or zsh needs to complete command lines of exo
  version  print the version
  help     show a verb's page: exo help run

examples:
  exo run hello                               run a program; the exit status is its own
  exo run -p 8080:80 -v DIR httpd             serve a directory at http://127.0.0.1:8080/
  exo run --config lab.conf                   several programs in one machine"""

PAGES = {
    "run": ("""\
usage: exo run [options] PROGRAM [--] [arguments]
       exo run [options] --config FILE

Boots a machine in the emulator with the program in it and shows its console.
PROGRAM is a file made by exo-cc, or the name of a program that comes with Exo.""",
            """\
examples:
  exo run hello -- one two                    a program and its arguments
  exo run -p 8080:80 -v DIR httpd             a port and a directory
  exo run -p 0:80 -v site:/a -v docs:/b httpd any free port; two directories
  exo run -t 10 --json ./test.uni             a time limit, and a record of how it ended
  exo run --trace hello.json hello            what it asked of the kernel, when: for ui.perfetto.dev
  exo run --profile hello.svg hello           where its time went: a flame graph
  exo run --profile-all hello.svg hello       the same, the kernel's functions too
  exo run --gdb hello                         stop at the start for a debugger
  exo run --boot uefi -m 256M hello           by UEFI firmware and GRUB
  exo run -n httpd                            only print the emulator's command

exit status: the program's; 124 the time limit passed; 125 exo itself failed; 126 the kernel
stopped; 128 + n: the program was ended by CPU exception n, or exo by signal n."""),
    "image": ("""\
usage: exo image -o FILE [options] PROGRAM [--] [arguments]
       exo image -o FILE [options] --config FILE

Writes what exo run would boot.""",
              """\
examples:
  exo image -o hello.mod hello                a module; boot it with exo run --module hello.mod
  exo image -f bios -o exo.img -p 80:80 -v DIR httpd
  exo image -f uefi -o exo.img --config lab.conf"""),
    "compare": ("""\
usage: exo compare [options] PROGRAM [--] [arguments]

Runs a program with several library operating systems on the same kernel, in turn and
on fresh machines, and tells what each makes of the same load: throughput, latency, time
to the first answer, instructions and kernel entries an operation, memory, image.

PROGRAM is the name of a program that comes with Exo, files PROGRAM.uni, PROGRAM.posix and
so on, or a C source, compiled by exo-cc for each. In its arguments %p stands for the port
and %d for the directory of the files that are served (default: --port %p %d for http,
--port %p for kv).

loads:
  http    requests by wrk: connections=16, keepalive=yes, seconds=3, path=/x, size=100
  kv      memcached's protocol: connections=16, seconds=3, get=0.9, value=100
  none    the program runs to its end: time, and instructions of the whole run""", """\
examples:
  exo compare httpd                           all variants that there are
  exo compare --libos=uni,dataplane --load http:connections=64 --plot http.svg httpd-events
  exo compare --side-by-side --slices uni=40,posix=20 httpd
  exo compare --linux --linux=memcached --csv kv.csv kv
  exo compare --runs 9 mine.c                 a program of one's own, run to its end; --linux: there, too

exit status: 0; 1 if a variant failed or a plot was not made; 125 on an error before."""),
    "disk": ("""\
usage: exo disk create FILE SIZE [--label LABEL:SIZE[:TYPE]]...
       exo disk list FILE
       exo disk check FILE [LABEL]
       exo disk add FILE LABEL SIZE
       exo disk remove FILE LABEL
       exo disk import FILE LABEL SOURCE | --ext2 DIR | --cofs DIR | --common DIR
       exo disk export FILE LABEL TARGET [--files]

Disk images for exo run --disk FILE. An image is a sparse file with a partition table (GPT);
its partitions are the extents that programs get by label. Needs no root.

create   make an image, with these extents
list     show the extents; where each lies, in blocks of 4096 bytes
add      make one more, in the first place with room; SIZE may be rest
remove   take one away; its contents stay on the disk until the place is used again
import   fill an extent from a file, or with a file system that has the files of a directory
export   write an extent to a file, which other tools can read or loop-mount; with
         --files, the files of its file system to a directory
check    say what is wrong with the table, or with the file system on an extent; exit
         status 1 if something is""", """\
examples:
  exo disk create disk.img 256M --label data:64M --label logs:rest
  exo disk import disk.img data --ext2 site
  exo disk export disk.img data data.ext2
  exo run --disk disk.img --config lab.conf"""),
    "filter": ("""\
usage: exo filter EXPRESSION

Prints the claims on packets that a tcpdump expression (pcap-filter(7)) comes to, as lines of
a program's section of a configuration. There the expression itself can stand, too.
Refuses what is no set of conjunctions that exclude each other, and says why.""", """\
examples:
  exo filter 'udp dst port 53'
  claim = tcpdump:udp dst port 53             in a configuration"""),
    "bpf": ("""\
usage: exo bpf check FILE [--use packet|wake|owner] [--guards]
       exo bpf dump FILE [--use packet|wake|owner] [--native]
       exo bpf run FILE [--use packet|wake|owner] [--packet HEX | --pcap FILE |
                   --block FILE[:N] | --wake NAME=N,...] [--memory [W:]HEX]
       exo bpf plugin [--interp | --jit | --vm] [--verify] [--elf] [MEMORY] <PROGRAM

FILE is an object of clang -target bpf -O2 -c, or, with --use, bare instructions.

check    what the kernel will answer, by its own verifier: why a program is rejected
         (instruction, register, what is known, what is needed), or what it is like;
         --guards: which accesses are tested at run time. Exit status 0 accepted,
         1 rejected, 2 no program.
dump     the instructions, with what the verifier notes of each: window, test, fuel;
         --native: and the machine code.
run      interpret and run compiled, on this computer, side by side; a difference is
         an error. On a packet, each packet of a capture, block N of a file, or what
         a sleeper knows (now, until, pending, events). Prints the result, what was
         sent or emitted, and what changed in memory.
plugin   run one program: its bytes in hexadecimal on standard input, memory in
         hexadecimal as argument; prints r0 in hexadecimal. This is the protocol of
         the public conformance runner for eBPF (RFC 9669), which takes the file
         bpf-plugin beside the tool as its plugin. r1 is the memory's address, r2 its
         length; any address may be reached. A call by number gives back its first
         argument. The program may be an ELF file (--elf says so, and need not).
         --interp: the interpreter; --jit (default): compiled, on this computer;
         --vm: compiled, in the machine; with --interp, the interpreter there.
         --verify: say on standard error what the verifier answers.""", """\
examples:
  exo bpf check apps/echo/udp.bpf.o
  exo bpf run filter.bpf.o --pcap trace.pcap
  echo b7 00 00 00 2a 00 00 00 95 00 00 00 00 00 00 00 | exo bpf plugin"""),
    "new": ("""\
usage: exo new app NAME [--libos=LIBOS]
       exo new libos NAME [--blocks]

Makes the directory NAME with a source file, a Makefile, a test, a README and .gitignore.
In it, make builds the program, make run runs it, and make check tests it.

app      a program that is linked with a libOS: says hello; with dataplane or event, a
         server by events
libos    a library operating system of your own, with nothing below it but the kernel:
         exceptions, page faults, slices, packets (doc/tutorial-libos.md); with --blocks,
         one that is made of Exo's blocks (doc/tutorial-blocks.md)""", """\
examples:
  exo new app greet && cd greet && make check
  exo new app server --libos=dataplane
  exo new libos mine && cd mine && make run"""),
    "completion": ("""\
usage: exo completion bash
       exo completion zsh

Prints what the shell needs to complete command lines of exo and exo-cc. An installed Exo has
it where shells look for it. Without one: eval "$(exo completion bash)".""", """\
examples:
  eval "$(exo completion bash)"
  exo completion zsh >~/.zfunc/_exo"""),
    "lab": ("""\
usage: exo lab
       exo lab NAME|FILE.c [options] [-- arguments of the experiment]
       exo lab copy NAME DIR

Without a name: lists the experiments and their policies. With one: compiles the experiment's
program with the policies, runs it in a machine whose instructions are counted as time (so the
same command gives the same figures), and prints a table.
copy: the program, and a policy to modify, into a new directory, with a Makefile.

A policy is a few functions in C, in application code: a file of yours defines lab_policy and
stands beside the stock ones. Changing it takes neither a kernel nor a library to be built.""", """\
examples:
  exo lab pages                               page faults by frames, for each policy
  exo lab copy pages my && cd my && make      a policy of your own, and its plot
  exo lab pages --policy mine.c --plot p.svg  the same by hand
  exo lab pages --policy lru,mine.c -- sort 8 16

exit status: 0; 1 a policy did what it must not, or no plot was made; 124 the time limit passed; 125 exo itself
failed."""),
    "doctor": ("""\
usage: exo doctor

Says what this computer has and lacks for running Exo, how to get what is missing, and which
verbs work with it. The exit status is 1 if something needed is missing.""", """\
examples:
  exo doctor"""),
    "version": ("usage: exo version\n\nPrints the version.", "examples:\n  exo version"),
    "help": ("usage: exo help [VERB]\n\nShows the verbs, or one verb's page.", "examples:\n  exo help run"),
}


def page(verb, table):
    """A verb's page, or the first one."""
    if verb is None:
        return TOP
    head, tail = PAGES[verb]
    return "\n".join([head, "", "options:"] + help_lines(table) + ["", tail])
