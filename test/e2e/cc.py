# SPDX-License-Identifier: BSD-2-Clause
"""exo-cc: programs of one's own compile, link and run, from the build tree (from an installation: install.py).

Time limit: 240 s
"""

import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

work = tempfile.mkdtemp(prefix="exo-cc-")

PROGRAM = r"""
#include <exo/call.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "part.h"

int main(int argc, char **argv)
{
	char *copy = strdup(argc > 1 ? argv[1] : "nobody");

	printf("hello %s, %d words, %.3f\n", copy, argc, part(argc) / 8.0);
	free(copy);
	return argc > 2 ? atoi(argv[2]) : 0;
}
"""
PART = "#include \"part.h\"\nint part(int n) { return n * PART; }\n"
HEADER = "int part(int n);\n"


def write(name, text):
    with open(os.path.join(work, name), "w", encoding="utf-8") as file:
        file.write(text)


def cc(*words, env=None, tool=None):
    start = [tool] if tool else [sys.executable, os.path.join(guest.SOURCE, "tools", "exo-cc")]
    done = subprocess.run(start + list(words), cwd=work, env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    done.text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return done


def good(*words, **how):
    done = cc(*words, **how)
    same((done.returncode, done.text), (0, ""), "outcome of exo-cc %s" % " ".join(words))


def bad(words, *parts):
    done = cc(*words)
    same(done.returncode, 1, "exit status")
    same(done.text.count("\n"), 1, "lines of %r" % done.text)
    for part in parts:
        has(done.text, part)


def sources():
    write("main.c", PROGRAM)
    write("part.c", PART)
    write("part.h", HEADER)


FILES = r"""#include <stdio.h>
int main(void)
{
	FILE *file = fopen("/tmp/x", "w");

	printf("%s\n", file ? "made" : "not made");
	return !file;
}
"""


def test_build_and_run():
    """a program of two files is compiled apart, linked and run with arguments and a status"""
    sources()
    good("-Wall", "-Wextra", "-Werror", "-O2", "-DPART=5", "-c", "part.c")
    good("-Wall", "-Wextra", "-Werror", "--libos=uni", "main.c", "part.o", "-o", "mine.uni")
    done = guest.exo("run", "-q", "-t", 30, "mine.uni", "--", "you and me", 7, cwd=work)
    same(done.returncode, 7, "exit status (%s)" % done.stderr)
    has(done.stdout, "hello you and me, 3 words, 1.875\n", "console")


def test_file_systems():
    """--fs says which file systems a program can mount; without files it has none"""
    write("files.c", FILES)
    sizes = []
    for option in ([], ["--fs=memory"], ["--fs", "none"]):
        good("files.c", *option, "-o", "files.uni")
        sizes.append(os.path.getsize(os.path.join(work, "files.uni")))
        done = guest.exo("run", "-q", "-t", 30, "--mount", "/tmp memory", "files.uni", cwd=work)
        if option[-1:] == ["none"]:
            same(done.returncode, 125, "a kind that was left out")
            has(done.stdout, "mount /tmp: memory: this program is linked without it", "console")
        else:
            same((done.returncode, done.stdout), (0, "made\n"), "a program with %s" % (option or "all"))
    check(sizes[0] > sizes[1] > sizes[2], "what is not there takes no room: %s" % sizes)
    bad(["--fs=ext3", "files.c"], "file system ext3", "the nearest known one is ext2")


FORKING = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int helper(void);

int main(void)
{
	int status;

	printf("before\n");
	fflush(NULL);
	if (fork() == 0)
		exit(helper());
	wait(&status);
	printf("%d\n", WEXITSTATUS(status));
	return 0;
}
"""


def test_posix():
    """--libos=posix: archives, also one with main in it; -l of POSIX' libraries, response files, -x, -r, -M, guards"""
    write("forking.c", FORKING)
    write("stdint.h", "#define OURS 1\n#include_next <stdint.h>\n")
    write("helper.c", "#include <stdint.h>\n#if !OURS\n#error not the header of the command line\n#endif\n"
                      "int helper(void) { char text[40] = {0}; return 9 + text[3]; }\n")
    write("words", "-O2 -g -fstack-protector-all -pthread\n")
    good("--libos=posix", "@words", "-I.", "-c", "helper.c", "forking.c")
    good("--libos=posix", "-r", "-nostdlib", "helper.o", "-o", "part-r.o")
    subprocess.run(["ar", "rcs", "liball.a", "forking.o", "part-r.o"], cwd=work, check=True)
    good("--libos=posix", "-L.", "-lall", "-lpthread", "-lrt", "-lm", "-o", "forking.posix")
    done = guest.exo("run", "-t", 30, os.path.join(work, "forking.posix"))
    same((done.returncode, done.stdout), (0, "before\n9\n"), "the run")
    has(cc("--libos=posix", "-M", "forking.c").text, "libos/posix/include/sys/wait.h")
    write("text", FORKING)
    good("--libos=posix", "-x", "c", "text", "-x", "none", "helper.o", "-o", "text.posix")


NAMES = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

%s
static void (*const own[])(void) = { %s };
static void *second(void *unused)
{
	return unused;
}

int main(void)
{
	pthread_t thread;
	int status;

	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (!own[i])
			return 1;
	if (pthread_create(&thread, NULL, second, NULL) || pthread_join(thread, NULL) || !getcwd(malloc(4096), 4096))
		return 2;
	if (fork() == 0)
		exit(7);
	wait(&status);
	printf("%%d of %%s\n", WEXITSTATUS(status), sizeof(own) / sizeof(own[0]) > 500 ? "many" : "few");
	return 0;
}
"""


def test_posix_names():
    """--libos=posix: a program may have functions and variables with each name that no header mentions, also the libOS's"""
    with open(os.path.join(guest.build_dir(), "libos", "posix", "program", "names"), encoding="ascii") as file:
        names = [line.split()[0] for line in file]
    check({"thread_lock", "io_read", "signal_wait", "print_text"} <= set(names), "ordinary names of the libOS's are not there")
    check(not {"read", "pthread_create", "environ", "optarg", "main", "memcpy", "exo_error_text", "fileno_unlocked"} & set(names), "names of POSIX' are")
    write("names.c", NAMES % ("\n".join("void %s(void) { abort(); }" % name for name in names), ", ".join(names)))
    good("--libos=posix", "-O1", "-w", "-fno-builtin", "names.c", "-o", "names.posix")
    done = guest.exo("run", "-t", 30, os.path.join(work, "names.posix"))
    same((done.returncode, done.stdout), (0, "7 of many\n"), "the run")
    write("second.c", "#define _GNU_SOURCE\n#include <stdio.h>\nint main(void) { return fputs_unlocked(\"one\\n\", stdout) < 0 || "
                      "fileno_unlocked(stdin) || fgets_unlocked((char[9]){ 0 }, 9, stdin); }\n")
    good("--libos=posix", "-Werror", "second.c", "-o", "second.posix")
    same(guest.exo("run", "-t", 30, os.path.join(work, "second.posix")).stdout, "one\n", "the run with second names")
    write("data.c", "#include <stdio.h>\nint thread_lock = 1, io_read, print_text, posix_buffer;\n"
                    "int main(void) { printf(\"%d\\n\", thread_lock + io_read + print_text + posix_buffer); return 0; }\n")
    good("--libos=posix", "data.c", "-o", "data.posix")
    same(guest.exo("run", "-t", 30, os.path.join(work, "data.posix")).stdout, "1\n", "the run with variables")


def test_errors():
    """unknown libOSes and options that cannot work are told, and compiler errors are the compiler's"""
    sources()
    bad(["--libos=uno", "main.c"], "libOS uno", "uni")
    bad(["--libo=uni", "main.c"], "--libo", "--libos")
    bad(["-shared", "part.c"], "-shared")
    bad(["-o", "x"], "nothing to compile")
    write("wrong.c", "int main(void) { return undeclared; }\n")
    done = cc("wrong.c", "-o", "wrong.uni")
    check(done.returncode != 0 and "undeclared" in done.text, done.text)
    has(cc("--help").text, "examples:")
    same(cc("--version").returncode, 0, "status of --version")


def test_dry_run():
    """--dry-run prints the command; linking is told from the options"""
    sources()
    link = cc("--dry-run", "main.c").text
    has(link, "-luni")
    check("-luni" not in cc("--dry-run", "-c", "main.c").text, "linked in spite of -c")
    check("-luni" not in cc("--dry-run", "-E", "main.c").text, "linked in spite of -E")


def elf_type(name):
    with open(os.path.join(work, name), "rb") as file:
        return file.read(18)[16]


def test_kinds():
    """programs are position-independent unless -no-pie is given; both run, at random and at fixed addresses"""
    sources()
    good("-O2", "-DPART=5", "main.c", "part.c", "-o", "moves.uni")
    good("-static-pie", "-O2", "-DPART=5", "main.c", "part.c", "-o", "same.uni")
    good("-no-pie", "-O2", "-DPART=5", "main.c", "part.c", "-o", "stays.uni")
    same([elf_type(name) for name in ("moves.uni", "same.uni", "stays.uni")], [3, 3, 2], "types of ELF files")
    for name in ("moves.uni", "stays.uni"):
        for option in ("--randomize", "--no-randomize"):
            done = guest.exo("run", "-q", option, "-t", 30, name, "--", "you", 7, cwd=work)
            same((done.returncode, done.stdout), (7, "hello you, 3 words, 1.875\n"), "%s %s" % (name, option))


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
