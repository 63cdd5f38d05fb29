# SPDX-License-Identifier: BSD-2-Clause
"""Files on a disk: cp and xcp, and web pages sent from the cache; on ext2, which this computer's tools judge, and cofs.

Time limit: 240 s
"""

import filecmp
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
import web
from tap import Skip, check, has, same

SCRATCH = tempfile.TemporaryDirectory()
SITE = os.path.join(SCRATCH.name, "site")
LENT = os.path.join(guest.build_dir(), "test", "guest", "lent.uni")
BIG = 5 << 20
KINDS = ("ext2", "cofs") if os.path.exists(os.path.join(guest.build_dir(), "tools", "exo-fs")) else ("ext2",)
chance = random.Random(4)


def path(name):
    return os.path.join(SCRATCH.name, name)


def write(name, size):
    name = os.path.join(SITE, name)
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as file:
        file.write(chance.randbytes(size))


def read(name):
    with open(os.path.join(SITE, name), "rb") as file:
        return file.read()


def exo(*words, status=0, timeout=100):
    done = guest.exo(*words, timeout=timeout)
    same(done.returncode, status, "exo %s\n%s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout + done.stderr


def mounted(kind):
    return ("--disk", path(kind), "--mount", "/data %s extent:data" % kind)


def tool(*words):
    program = shutil.which(words[0], path="/sbin:/usr/sbin:" + os.environ["PATH"])
    check(program, "%s: e2fsprogs are needed" % words[0])
    done = subprocess.run([program, *words[1:]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)
    same(done.returncode, 0, "%s\n%s" % (" ".join(words), done.stdout.decode("utf-8", "replace")))


def same_trees(one, other):
    comparison = filecmp.dircmp(one, other)
    same((comparison.left_only, comparison.right_only, comparison.funny_files), ([], [], []), "names in " + other)
    good, bad, odd = filecmp.cmpfiles(one, other, comparison.common_files, shallow=False)
    same((bad, odd), ([], []), "contents in " + other)
    for name in comparison.common_dirs:
        same_trees(os.path.join(one, name), os.path.join(other, name))


def test_images():
    """file systems are made of a directory"""
    write("big", BIG)
    write("small", 100)
    write("empty", 0)
    for i in range(60):
        write("d/%d/f%d" % (i % 3, i), chance.randrange(30000))
    with open(os.path.join(SITE, "sparse"), "wb") as file:
        file.truncate(3 << 20)
        file.seek(1 << 20)
        file.write(b"in the middle")
    for program in ("cp", "xcp"):
        os.makedirs(os.path.join(SITE, "several", program))
    for kind in KINDS:
        exo("disk", "create", path(kind), "48M", "--label", "data:rest")
        exo("disk", "import", path(kind), "data", "--" + kind, SITE)


def test_copies():
    """cp and xcp copy a tree and a sparse file; xcp touches nothing; e2fsck finds nothing"""
    for kind in KINDS:
        for program, target in (("cp", "by-cp"), ("xcp", "by-xcp")):
            out = exo("run", *mounted(kind), program, "--", "-rt", "/data/d", "/data/" + target)
            out += exo("run", *mounted(kind), program, "--", "-t", "/data/sparse", "/data/%s-sparse" % target)
            several = exo("run", *mounted(kind), program, "--", "-rt", "/data/d", "/data/sparse", "/data/several/" + program)
            same(several.count(program + ": "), 2, "lines of several copies")
            has(exo("run", *mounted(kind), program, "--", "/data/small", "/data/empty", "/data/big", status=2),
                "several files can only be copied into a directory")
            has(out, program + ": ")
            check(program == "cp" or not re.search(" [1-9][0-9]* of them touched", out),
                  "untouched: " + out)
    exo("disk", "export", path("ext2"), "data", path("out"))
    tool("e2fsck", "-f", "-n", path("out"))
    os.mkdir(path("dump"))
    tool("debugfs", "-R", "rdump / " + path("dump"), path("out"))
    for target in ("by-cp", "by-xcp"):
        same_trees(os.path.join(SITE, "d"), path("dump/" + target))
        several = path("dump/several/" + target[3:])
        same_trees(os.path.join(SITE, "d"), os.path.join(several, "d"))
        check(filecmp.cmp(os.path.join(SITE, "sparse"), os.path.join(several, "sparse"), shallow=False), "the second of several")
        check(filecmp.cmp(os.path.join(SITE, "sparse"), path("dump/%s-sparse" % target), shallow=False),
              target + ": a sparse file")


LEFT_OPEN = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
int main(void)
{
	int fd = open("/data/nameless", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || dup(fd) < 0 || write(fd, "x", 1) != 1 || unlink("/data/nameless") || mkdir("/data/gone", 0700) ||
	    chdir("/data/gone") || rmdir("/data/gone"))
		return 1;
	fd = open("../mapped", O_RDWR | O_CREAT, 0600);
	char *map = fd < 0 || write(fd, "x", 1) != 1 ? MAP_FAILED : mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return map == MAP_FAILED || (*map = 'y') != 'y' || close(fd) || unlink("../mapped");
}
"""


def test_left_open():
    """files without names that are open or mapped at the end leave nothing behind; words that are no options are told"""
    with open(path("left.c"), "w", encoding="utf-8") as file:
        file.write(LEFT_OPEN)
    tool(sys.executable, os.path.join(guest.SOURCE, "tools", "exo-cc"), path("left.c"), "-o", path("left.uni"))
    for kind in KINDS:
        exo("run", *mounted(kind), path("left.uni"))
        exo("disk", "check", path(kind), "data")
        exo("run", "--disk", path(kind), "--mount", "/data %s extent:data cache=1x" % kind, path("left.uni"), status=125)
        has(exo("run", "--disk", path(kind) + ",readonly", "--mount", "/data %s extent:data" % kind, path("left.uni"),
                status=125), "disk0 can only be read; write")


AGED = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	int fd = open(argv[1], argc == 2 ? O_RDONLY : O_WRONLY | O_CREAT, 0600);
	char text[12];

	if (argc == 2)
		return fd < 0 || read(fd, text, 12) != 12 || memcmp(text, "of some age\n", 12) ? 3 : 0;
	if (fd < 0 || write(fd, "of some age\n", 12) != 12)
		return 1;
	for (int left = atoi(argv[2]); left > 0; left--)
		sleep(1);
	__builtin_trap();
}
"""


def test_background():
    """what nobody asked to be written is on the disk after some seconds, and the program may end as it likes"""
    if not os.environ.get("EXO_TEST_LONG"):
        raise Skip("make check-long does this: it takes a minute")
    with open(path("aged.c"), "w", encoding="utf-8") as file:
        file.write(AGED)
    tool(sys.executable, os.path.join(guest.SOURCE, "tools", "exo-cc"), path("aged.c"), "-o", path("aged.uni"))
    for kind in KINDS:
        disk = mounted(kind)
        guest.exo("run", *disk, path("aged.uni"), "--", "/data/young", "0", timeout=60)
        guest.exo("run", *disk, path("aged.uni"), "--", "/data/old", "12", timeout=60)
        guest.exo("run", *disk[:-1], disk[-1] + " write=asked", path("aged.uni"), "--", "/data/asked", "12", timeout=60)
        for name, status in (("old", 0), ("young", 3), ("asked", 3)):
            exo("run", *disk, path("aged.uni"), "--", "/data/" + name, status=status)


def test_httpd():
    """httpd serves what is there and what was copied"""
    for kind in KINDS:
        with guest.Guest("-p", "0:80", *mounted(kind), "httpd", "--", "/data", name="files-" + kind) as server:
            server.wait_line("^httpd: serving ")
            port = server.port(80)
            for name in ("big", "small", "empty", "sparse", "d/0/f0", "d/1/f7"):
                same(web.get(port, "/" + name).body == read(name), True, "%s: %s" % (kind, name))
            for i in range(60):
                name = "d/%d/f%d" % (i % 3, i)
                for target in ("by-cp", "by-xcp"):
                    same(web.get(port, "/%s%s" % (target, name[1:])).body == read(name), True, target + " " + name)
            reply = web.fetch(port, "/big", headers=[("Range", "bytes=4000-70000")])
            check(reply.body == read("big")[4000:70001], "a range")


def receive(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        pieces = []
        while True:
            piece = sock.recv(65536)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)


def test_no_copy():
    """a mapped file goes from the cache to the network without a copy"""
    for kind in KINDS:
        with guest.Guest("-p", "0:80", *mounted(kind), LENT, "--", "/data/big", name="lent-" + kind) as server:
            server.wait_line("^lent: listening")
            port = server.port(80)
            for _ in range(2):
                check(receive(port) == read("big"), "the file")
            counts = [int(word) for word in re.findall("[0-9]+", receive(port).decode())]
            same(counts, [2 * BIG, 0, 0], "%s: bytes by reference, by copy, packets copied" % kind)
            same(server.wait(), 0, "status")


if __name__ == "__main__":
    tap.main()
