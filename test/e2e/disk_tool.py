# SPDX-License-Identifier: BSD-2-Clause
"""exo disk: images that other tools understand, files in and out, and images that are damaged or lie.

Time limit: 120 s
"""

import fcntl
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

SCRATCH = tempfile.TemporaryDirectory()
EXO = (sys.executable, os.path.join(guest.SOURCE, "tools", "exo"), "disk")
ENV = dict(os.environ, EXO_BUILD=guest.build_dir(), PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin", LC_ALL="C")
rng = random.Random(5)


def path(name):
    return os.path.join(SCRATCH.name, name)


def run(*words):
    done = subprocess.run(EXO + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENV,
                          timeout=60, check=False, encoding="utf-8")
    return done.returncode, done.stdout


def good(*words):
    status, out = run(*words)
    same(status, 0, "exo disk %s\n%s" % (" ".join(words), out))
    return out


def bad(part, *words, status=125):
    got, out = run(*words)
    same(got, status, "exo disk %s\n%s" % (" ".join(words), out))
    has(out, part)
    check("Traceback" not in out, out)


def tool(*words, status=0):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENV,
                          timeout=60, check=False, encoding="utf-8")
    same(done.returncode, status, "%s\n%s" % (" ".join(words), done.stdout))
    return done.stdout


def image(name, *labels, size="32M"):
    good("create", "--force", path(name), size, *[word for label in labels for word in ("--label", label)])
    return path(name)


def write(name, data):
    with open(path(name), "wb") as file:
        file.write(data)
    return path(name)


def extents(img):
    return [line.split() for line in good("list", img).splitlines()[1:]]


def change(img, at, data):
    with open(img, "r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        file.write(data)


def lie(img, entry, at, value):
    """Another value in an entry of both copies, with right checksums."""
    size = os.path.getsize(img)
    with open(img, "r+b") as file:
        for header, entries in ((512, 1024), (size - 512, size - 512 - 16384)):
            file.seek(entries + entry * 128 + at)
            file.write(struct.pack("<Q", value))
            file.seek(entries)
            total = zlib.crc32(file.read(16384))
            file.seek(header)
            raw = bytearray(file.read(92))
            raw[88:92] = struct.pack("<I", total)
            raw[16:20] = bytes(4)
            raw[16:20] = struct.pack("<I", zlib.crc32(raw))
            file.seek(header)
            file.write(raw)


def test_seen_by_others():
    """images are sparse, and sfdisk sees what is on them"""
    img = image("a.img", "data:8M", "own:4M:cofs", "rest:rest", size="1G")
    check(os.stat(img).st_blocks < 200, "%d sectors are used" % os.stat(img).st_blocks)
    same(os.path.getsize(img), 1 << 30)
    out = tool("sfdisk", "--dump", img)
    has(out, "label: gpt")
    has(out, "start=        2048, size=       16384, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4")
    has(out, 'name="own"')
    rows = extents(img)
    same([row[0] for row in rows], ["data", "own", "rest"])
    same([row[2:4] for row in rows[:2]], [["256", "2048"], ["2304", "1024"]])
    check(all(int(row[2]) % 256 == 0 for row in rows), "aligned to 1 MiB")
    same(rows[1][4], "cofs")
    good("check", img)


def test_add_remove():
    """extents come and go; names and room are looked at"""
    img = image("b.img", "one:8M", "two:8M")
    bad("has one of this label already", "add", img, "one", "1M")
    good("remove", img, "one")
    bad("has none of this label; the nearest known one is two", "remove", img, "one")
    bad("do not fit: the longest free run has", "add", img, "big", "31M")
    good("add", img, "three", "4M")
    good("add", img, "four", "4M")
    same([row[0] for row in extents(img)], ["three", "four", "two"])
    good("add", img, "five", "rest")
    bad("the disk is full", "add", img, "six", "4096B")
    same(len(tool("sfdisk", "--dump", img).split("name=")), 5)
    img = image("many.img", *["n%d:4096B" % n for n in range(128)], size="140M")
    bad("its table of 128 extents is full", "add", img, "more", "4K")


def test_files():
    """what is imported comes out again, byte for byte; holes stay holes"""
    img = image("c.img", "x:16M", "y:8M")
    data = rng.randbytes(3000001) + bytes(1 << 20) + rng.randbytes(77)
    source = write("source", data)
    good("import", img, "x", source)
    good("export", img, "x", path("x.out"))
    with open(path("x.out"), "rb") as file:
        got = file.read()
    check(got[:len(data)] == data and not any(got[len(data):]) and len(got) == 16 << 20, "the file differs")
    check(os.stat(path("x.out")).st_blocks * 512 < 3 << 20 | 1 << 19, "holes are filled")
    good("import", img, "x", write("short", b"short"))
    good("export", "-f", img, "x", path("x.out"))
    with open(path("x.out"), "rb") as file:
        check(file.read().rstrip(b"\0") == b"short", "old data is left")
    good("export", img, "y", path("y.out"))
    with open(path("y.out"), "rb") as file:
        check(not any(file.read()), "written beside the extent")
    bad("extent x has 16M; make the extent larger", "import", img, "x", write("long", bytes((16 << 20) + 1)))
    bad("is there already", "export", img, "x", path("x.out"))
    bad("is the image itself", "export", "-f", img, "x", img)
    bad("cannot be read", "import", img, "x", path("nothing"))
    bad("takes one source", "import", img, "x")
    bad("takes one source", "import", img, "x", source, "--ext2", SCRATCH.name)
    bad("is no file", "import", img, "x", SCRATCH.name)


def test_ext2():
    """a directory becomes a file system that e2fsck and debugfs agree with"""
    folder = path("tree")
    os.makedirs(os.path.join(folder, "deep/er"))
    contents = {"a": b"hello\n", "deep/b": rng.randbytes(2000000), "deep/er/" + "n" * 200: b"", "deep/sparse": b""}
    for name, data in contents.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    os.truncate(os.path.join(folder, "deep/sparse"), 5 << 20)
    os.symlink("a", os.path.join(folder, "link"))
    for n in range(1500):
        with open(os.path.join(folder, "deep/er", str(n)), "wb"):
            pass
    img = image("e.img", "first:1M", "fs:16M")
    good("import", img, "fs", "--ext2", folder)
    good("export", img, "fs", path("fs.out"))
    tool("e2fsck", "-f", "-n", path("fs.out"))
    tool("debugfs", "-R", "dump deep/b %s" % path("b"), path("fs.out"))
    with open(path("b"), "rb") as file:
        check(file.read() == contents["deep/b"], "a file differs")
    has(tool("debugfs", "-R", "stat deep/er/1499", path("fs.out")), "Type: regular")
    bad("is the extent of 1M large enough?", "import", img, "first", "--ext2", folder)
    bad("is no directory", "import", img, "fs", "--ext2", path("fs.out"))


def test_files_of_both():
    """a tree goes into cofs and ext2 and comes out the same, links, holes, modes and times too"""
    folder = path("both")
    os.makedirs(os.path.join(folder, "a/b"))
    for name, data in (("one", b"x"), ("a/two", rng.randbytes(70001)), ("a/b/" + "n" * 255, b""), ("empty", b"")):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    with open(os.path.join(folder, "sparse"), "wb") as file:
        file.seek(3 << 20)
        file.write(b"end")
        file.truncate(5 << 20)
    os.link(os.path.join(folder, "one"), os.path.join(folder, "a/other"))
    os.symlink("../one", os.path.join(folder, "a/link"))
    os.chmod(os.path.join(folder, "a/two"), 0o540)
    os.utime(os.path.join(folder, "a/two"), (1000000000, 1234567890))
    img = image("both.img", "own:16M:cofs", "old:16M", "raw:1M", "plain:4M", size="48M")
    good("import", img, "plain", "--cofs", folder)     # known by what it begins with
    has(good("check", img, "plain"), "0 faults")
    good("import", img, "own", "--cofs", folder)
    good("import", img, "old", "--ext2", folder)
    for label in ("own", "old"):
        out = path("out-" + label)
        good("check", img, label)
        good("export", img, label, out, "--files")
        if label == "old":
            os.rmdir(os.path.join(out, "lost+found"))
        tool("diff", "-r", "--no-dereference", folder, out)
        same(os.stat(os.path.join(out, "one")).st_ino, os.stat(os.path.join(out, "a/other")).st_ino, "hard link")
        same(os.stat(os.path.join(out, "a/two")).st_mode & 0o777, 0o540)
        same(int(os.stat(os.path.join(out, "a/two")).st_mtime), 1234567890)
        check(os.stat(os.path.join(out, "sparse")).st_blocks < 100, "the hole is filled")
        bad("is there already", "export", img, label, out, "--files")
    bad("no file system there that is known", "export", img, "raw", path("none"), "--files")
    bad("no file system there that is known", "check", img, "raw")
    with open(img, "rb") as file:
        table = file.read()
    for at in range(1 << 20, 17 << 20, 4096):
        if any(table[at:at + 4096]):
            change(img, at + 100, bytes(200))
    bad("exo", "check", img, "own", status=1)


def test_damage():
    """a damaged copy is told and put back; two are refused"""
    img = image("d.img", "keep:8M")
    before = tool("sfdisk", "--dump", img)
    for at, what in ((512 + 30, "first copy of the table is damaged (header)"), (1024 + 5, "first copy of the table is damaged"),
                     (-512 + 30, "second copy of the table is damaged (header)"), (-512 - 16384 + 60, "second copy"),
                     (512, "first copy of the table is not there")):
        change(img, at, b"\x77" * 8)
        has(good("list", img), "keep")
        bad(what, "check", img, status=1)
        good("check", "--repair", img)
        good("check", img)
        same(tool("sfdisk", "--dump", img), before)
    change(img, 600, b"\1")
    change(img, -500, b"\1" * 20)
    good("check", "-q", image("ok.img"))
    for what in ("list", "check"):
        change(img, 520, b"\1" * 8)
        bad("its partition table cannot be used: the first copy is damaged", what, img)
    bad("its partition table cannot be used", "add", img, "new", "1M")


def test_lies():
    """tables with right checksums that cannot be are refused"""
    img = image("l.img", "one:4M", "two:4M")
    lie(img, 1, 32, 4096)
    bad("extents one and two overlap", "list", img)
    bad("extents one and two overlap", "export", img, "one", path("l.out"))
    img = image("l.img", "one:4M", "two:4M")
    lie(img, 0, 32, 1 << 40)
    bad("extent one ends before it begins", "list", img)
    img = image("l.img", "one:4M", "two:4M")
    lie(img, 1, 40, 1 << 40)
    bad("extent two lies outside", "import", img, "two", write("some", b"x"))
    img = image("l.img", "one:4M", "two:4M")
    lie(img, 1, 40, (9 << 11) - 2)
    bad("does not begin and end at a block", "check", img, status=1)
    for n in range(300):
        img = write("random.img", b"")
        with open(img, "r+b") as file:
            file.truncate(1 << 20)
        for at in (512, -512):
            change(img, at, b"EFI PART" + rng.randbytes(84))
        if n < 5:
            bad("its partition table cannot be used", "list", img)


def test_no_image():
    """what is no image, or in use, is told so"""
    bad("has no partition table (GPT); make an image with exo disk create", "list", write("zero", bytes(1 << 20)))
    bad("has no partition table (GPT)", "list", write("empty", b""))
    bad("has no partition table (GPT)", "add", write("tiny", b"EFI PART"), "x", "1M")
    bad("there is no such file", "list", path("none"))
    bad("is no file", "list", SCRATCH.name)
    img = image("busy.img", "x:1M")
    with open(img, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_SH, 1, 101)
        bad("is in use by a machine; end that first", "add", img, "y", "1M")
        good("list", img)


def test_words():
    """wrong words: each error names the mend"""
    img = image("w.img", "x:1M")
    bad("is there already", "create", img, "32M")
    bad("'64X' is not a size", "create", path("n.img"), "64X")
    bad("is not a multiple of 4096 bytes", "create", path("n.img"), "5000001B")
    bad("an image has 3M to less than 16T", "create", path("n.img"), "1M")
    bad("is not LABEL:SIZE[:TYPE]", "create", path("n.img"), "32M", "--label", "x")
    bad("is not a label", "create", path("n.img"), "32M", "--label", "x y:1M")
    bad("unknown type 'linx'", "create", path("n.img"), "32M", "--label", "x:1M:linx")
    bad("is named twice", "create", path("n.img"), "32M", "--label", "x:1M", "--label", "x:2M")
    bad("do not fit", "create", path("n.img"), "32M", "--label", "x:40M")
    bad("is not a label: letters, digits, . _ + -, at most 36", "add", img, "n" * 37, "1M")
    bad("the nearest known one is check", "chek", img)
    bad("does one of: create, list", )
    bad("takes FILE LABEL SIZE", "add", img)
    bad("is not for exo disk list", "list", img, "--force")
    check(not os.path.exists(path("n.img")), "a file is left after an error")
    check(not [name for name in os.listdir(SCRATCH.name) if name.startswith(".exo")], "a temporary file is left")
    has(good("--help"), "usage: exo disk create")


if __name__ == "__main__":
    tap.main()
