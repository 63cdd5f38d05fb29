#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""ext2 against its own tools: trees that mke2fs makes are read back, and what we write is read by debugfs and e2fsck.

Our side is test/lib/ext2_host.c, libos/fs on this computer. Each case is done for all sizes of blocks and inodes.

Time limit: 240 s
"""

import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

HOST = os.path.join(guest.build_dir(), "test", "e2e", "ext2-host")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
work = tempfile.mkdtemp(prefix="exo-ext2-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)

SHAPES = ["-b 1024 -I 128", "-b 1024 -I 256", "-b 2048", "-b 4096", "-b 4096 -I 128 -O ^dir_index,^resize_inode,^filetype",
          "-b 1024 -r 0"]


def tool(*words, status=(0,)):
    """Run a program; what it says."""
    done = subprocess.run(words, env=dict(os.environ, PATH=PATH), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=100, check=False)
    text = done.stdout.decode("utf-8", "replace")
    check(done.returncode in status, "%s says %d: %s" % (" ".join(words), done.returncode, text[-2000:]))
    return text


def made(shape, megabytes=64, more=()):
    """A new image."""
    image = os.path.join(work, "image")
    with open(image, "wb") as file:
        file.truncate(megabytes << 20)
    tool("mke2fs", "-q", "-F", "-t", "ext2", *shape.split(), *more, image)
    return image


def clean(image):
    """e2fsck finds nothing."""
    tool("e2fsck", "-fn", image)


def fresh(name):
    path = os.path.join(work, name)
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path)
    return path


def data_of(path):
    """[(offset, bytes)] of what is not zero in a file, page by page."""
    pieces = []
    with open(path, "rb") as file:
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            except OSError:
                return pieces
            while at < end:
                page = os.pread(file.fileno(), min(4096 - at % 4096, end - at), at)
                if page.strip(b"\0"):
                    pieces.append((at, page))
                at += len(page)


def listed(folder, times=True):
    """What is in a tree, by path."""
    found, numbers = {}, {}
    for where, folders, files in os.walk(folder):
        if where == folder and "lost+found" in folders:
            folders.remove("lost+found")
        for name in folders + files:
            path = os.path.join(where, name)
            is_ = os.lstat(path)
            kind = stat.S_IFMT(is_.st_mode)
            row = [kind, stat.S_IMODE(is_.st_mode) if kind != stat.S_IFLNK else 0]
            if times and kind != stat.S_IFLNK:
                row.append(int(is_.st_mtime))
            if kind == stat.S_IFLNK:
                row.append(os.readlink(path))
            if kind == stat.S_IFREG:
                row += [is_.st_size, data_of(path), is_.st_nlink]
                numbers.setdefault(is_.st_ino, []).append(os.path.relpath(path, folder))
            found[os.path.relpath(path, folder)] = row
    return found, sorted(sorted(names) for names in numbers.values() if len(names) > 1)


def alike(one, other, times=True):
    """Both trees are the same."""
    (ours, our_links), (theirs, their_links) = listed(one, times), listed(other, times)
    same(sorted(ours), sorted(theirs), "names")
    for path, row in theirs.items():
        check(ours[path] == row, "%s is %.300r, ought to be %.300r" % (path, ours[path], row))
    same(our_links, their_links, "hard links")


def write(path, content, at=0):
    with open(path, "r+b" if os.path.exists(path) else "wb") as file:
        file.seek(at)
        file.write(content)


def tree(seed, large=True, link_max=1000):
    """A directory with something of everything; deep, long names, holes, many small files."""
    draw = random.Random(seed)
    top = fresh("tree")
    for i in range(60):
        write(os.path.join(top, "file-%d" % i), draw.randbytes(draw.choice((0, 1, 59, 60, 1023, 1024, 4095, 4096, 4097, 70000))))
    write(os.path.join(top, "double"), draw.randbytes(700000))
    write(os.path.join(top, "holes"), b"begin")
    for at in (12 * 1024 - 1, 12 * 4096 + 5, 268 * 1024 + 3, 1036 * 4096, (268 + 65536) * 1024 + 77, 1 << 30):
        write(os.path.join(top, "holes"), draw.randbytes(3000), at)
    if large:
        write(os.path.join(top, "large"), b"end", (5 << 30) + 12345)
    os.truncate(os.path.join(top, "file-3"), 100000)
    below = top
    for i in range(40):
        below = os.path.join(below, "deep-%d" % i)
        os.mkdir(below)
        write(os.path.join(below, "x"), b"%d" % i)
    os.mkdir(os.path.join(top, "long"))
    for i in range(100):
        write(os.path.join(top, "long", ("%03d" % i) + "n" * draw.randrange(200, 253)), b"long")
    for i, length in enumerate((1, 59, 60, 61, link_max)):
        os.symlink("t" * length, os.path.join(top, "link-%d" % i))
    for i in range(5):
        os.link(os.path.join(top, "file-%d" % i), os.path.join(top, "long", "hard-%d" % i))
        os.link(os.path.join(top, "file-%d" % i), os.path.join(top, "again-%d" % i))
    os.mkfifo(os.path.join(top, "fifo"), 0o640)
    os.chmod(os.path.join(top, "file-7"), 0o4751)
    os.chmod(os.path.join(top, "long"), 0o1777)
    for where, folders, files in os.walk(top, topdown=False):
        for name in folders + files:
            when = draw.randrange(1, 1 << 31)
            os.utime(os.path.join(where, name), (when, when), follow_symlinks=False)
    return top


def field(image, name):
    for line in tool("dumpe2fs", "-h", image).splitlines():
        if line.startswith(name + ":"):
            return line.split(":", 1)[1].strip()
    raise AssertionError("dumpe2fs does not tell " + name)


def test_read():
    """A tree made by mke2fs -d is read back byte for byte"""
    for shape in SHAPES[:5]:
        top = tree(1, large=shape.endswith("128"))
        image = made(shape, more=("-d", top))
        for readonly in ((), ("-r",)):
            out = fresh("out")
            tool(HOST, *readonly, "out", image, out)
            alike(out, top)
        clean(image)


def test_write():
    """What we write is read back by debugfs byte for byte, and e2fsck finds nothing"""
    for shape in SHAPES:
        large = shape in ("-b 1024 -I 256", "-b 4096")
        top = tree(2, large)
        image = made(shape)
        tool(HOST, "in", image, top)
        clean(image)
        out, dump = fresh("out"), fresh("dump")
        tool(HOST, "-r", "out", image, out)
        alike(out, top)
        os.unlink(os.path.join(top, "holes"))   # debugfs would take its time
        tool(HOST, "clear", image)
        clean(image)
        if large:
            os.unlink(os.path.join(top, "large"))
        os.unlink(os.path.join(top, "fifo"))
        tool(HOST, "in", image, top)
        clean(image)
        tool("debugfs", "-R", "rdump / " + dump, image)
        for path in sorted(listed(top)[0]):
            ours, theirs = os.path.join(top, path), os.path.join(dump, path)
            same(os.path.lexists(theirs), True, path)
            if os.path.isfile(ours) and not os.path.islink(ours):
                check(data_of(ours) == data_of(theirs) and os.path.getsize(ours) == os.path.getsize(theirs), path)
            elif os.path.islink(ours):
                same(os.readlink(theirs), os.readlink(ours), path)


def test_change():
    """A tree by mke2fs is emptied and filled again; nothing is lost or left"""
    for shape in SHAPES[:5]:
        image = made(shape)
        free = field(image, "Free blocks"), field(image, "Free inodes")
        image = made(shape, more=("-d", tree(3, large=False)))
        tool(HOST, "clear", image)
        clean(image)
        check(field(image, "Free inodes") == free[1] and int(free[0]) - int(field(image, "Free blocks")) in range(8),
              "something is lost (%s)" % shape)        # directories do not get smaller again: the root
        top = tree(4, large=False)
        tool(HOST, "in", image, top)
        clean(image)
        out = fresh("out")
        tool(HOST, "out", image, out)
        alike(out, top)


def test_many():
    """10,000 files in one directory, and again with a tree of hashes"""
    for shape in ("-b 1024 -N 12000", "-b 4096 -N 12000"):
        image = made(shape)
        tool(HOST, "many", image, "10000")
        clean(image)
        out = fresh("out")
        tool(HOST, "out", image, out)
        names = os.listdir(os.path.join(out, "many"))
        same(len(set(names)), 10000, "names")
        for name in names:
            with open(os.path.join(out, "many", name), encoding="ascii") as file:
                same(file.read(), name, name)
        tool("e2fsck", "-fyD", image, status=(0, 1))
        has(tool("debugfs", "-R", "stat /many", image), "Flags: 0x1000", "the directory's inode")
        out = fresh("out")
        tool(HOST, "-r", "out", image, out)
        same(sorted(os.listdir(os.path.join(out, "many"))), sorted(names), "names of the indexed directory")
        more = fresh("tree")
        os.mkdir(os.path.join(more, "more"))
        tool(HOST, "in", image, more)
        has(tool("debugfs", "-R", "stat /many", image), "Flags: 0x1000", "the directory's inode")
        clean(image)
        tool(HOST, "clear", image)
        clean(image)


def test_state():
    """The superblock says how often and in which state it was mounted"""
    image = made("-b 4096")
    same(field(image, "Filesystem state"), "clean")
    same(field(image, "Mount count"), "0")
    tool(HOST, "try", image)
    same(field(image, "Filesystem state"), "clean")
    same(field(image, "Mount count"), "1")
    tool(HOST, "-r", "try", image)
    same(field(image, "Mount count"), "1")
    tool("debugfs", "-w", "-R", "set_super_value state 0", image)
    tool(HOST, "try", image)
    has(field(image, "Filesystem state"), "not clean")
    tool("debugfs", "-w", "-R", "set_super_value state 3", image)
    tool(HOST, "try", image)
    has(field(image, "Filesystem state"), "with errors")


def test_features():
    """What is not known is refused, in words; what only writers must know can be read"""
    for words, why in (("-t ext3", "journal"), ("-t ext4 -O ^has_journal", "extents"), ("-t ext2", "64-bit"),
                       ("-t ext2 -O meta_bg,^resize_inode", "incompatible feature")):
        image = os.path.join(work, "image")
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        tool("mke2fs", "-q", "-F", *words.split(), image)
        if why == "64-bit":
            tool("debugfs", "-w", "-R", "set_super_value feature_incompat 0x82", image)
        for readonly in ((), ("-r",)):
            said = tool(HOST, *readonly, "try", image, status=(1,))
            has(said, why, "what it says to " + words)
    top = tree(5, large=False)
    image = made("-b 4096 -O huge_file", more=("-d", top))
    has(tool(HOST, "in", image, top, status=(1,)), "can only be read")
    out = fresh("out")
    tool(HOST, "-r", "out", image, out)
    alike(out, top)
    for content in (b"", b"\0" * (1 << 20), os.urandom(1 << 20)):
        with open(image, "wb") as file:
            file.write(content)
        check(tool(HOST, "try", image, status=(1,)), "something is said")


def test_attributes():
    """Extended attributes are kept, and go with their files"""
    top = fresh("tree")
    for name in ("a", "b"):
        write(os.path.join(top, name), b"content of " + name.encode())
    for shape in SHAPES[:4]:
        image = made(shape, more=("-d", top))
        for name in ("a", "b"):
            tool("debugfs", "-w", "-R", "ea_set /%s user.small one" % name, image)
            tool("debugfs", "-w", "-R", "ea_set /%s user.large %s" % (name, "v" * 300), image)
        clean(image)
        more = fresh("more")
        write(os.path.join(more, "c"), b"c")
        tool(HOST, "in", image, more)
        clean(image)
        has(tool("debugfs", "-R", "ea_get /a user.large", image), "v" * 300, "the attribute")
        has(tool("debugfs", "-R", "ea_get /a user.small", image), "one", "the attribute")
        tool(HOST, "clear", image)
        clean(image)


def test_guest():
    """In the machine: a tree made by mke2fs is copied by cp, and is there after that"""
    top, image, out = tree(6, large=False), os.path.join(work, "disk.img"), os.path.join(work, "out.ext2")
    os.unlink(os.path.join(top, "holes"))       # cp would fill them
    os.unlink(os.path.join(top, "fifo"))
    shutil.rmtree(os.path.join(top, *["deep-%d" % i for i in range(7)]))        # its stack is small
    both = fresh("both")
    shutil.move(top, os.path.join(both, "one"))
    for words in (("disk", "create", "-f", image, "64M", "--label", "data:rest"),
                  ("disk", "import", image, "data", "--ext2", both),
                  ("run", "--timeout", "60", "--disk", image, "--mount", "/data ext2 extent:data", "cp", "--", "-r",
                   "/data/one", "/data/two"),
                  ("disk", "export", "-f", image, "data", out)):
        done = guest.exo(*words, timeout=90)
        same(done.returncode, 0, "exo %s: %s%s" % (" ".join(words), done.stdout, done.stderr))
    clean(out)
    same(field(out, "Filesystem state"), "clean")
    copied = fresh("copied")
    tool(HOST, "-r", "out", out, copied)
    os.unlink(out)
    os.unlink(image)
    alike(os.path.join(copied, "one"), os.path.join(both, "one"))
    (ours, _links), (theirs, _links) = listed(os.path.join(copied, "two"), False), listed(os.path.join(both, "one"), False)
    same(sorted(ours), sorted(theirs), "names of the copy")
    for path, row in theirs.items():
        if row[0] == stat.S_IFREG:
            same((ours[path][2], ours[path][3] == row[3]), (row[2], True), path)


if __name__ == "__main__":
    tap.main(finish=lambda: shutil.rmtree(work, ignore_errors=True))
