# SPDX-License-Identifier: BSD-2-Clause
"""What the runner packs: the boot module, volumes, the configuration it reads and the one it writes.

Time limit: 120 s
"""

import math
import os
import random
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same
from tiny import TinyTree

sys.path.insert(0, os.path.join(guest.SOURCE, "tools"))
from exolib import config, elf  # noqa: E402

tree = TinyTree()


def module(*words, name="out.mod"):
    """Write a module by `exo image`; returns (path, what the tool said)."""
    path = os.path.join(tree.dir, name)
    done = tree.exo("image", "-o", path, *words)
    same(done.returncode, 0, "exit status (%s)" % done.stderr.strip())
    return path, done.stderr


def archive(path):
    """The archive behind the first program: {name: content, None for a directory}, in its order."""
    start = os.path.getsize(os.path.join(tree.env["EXO_BUILD"], "apps/init/init.elf"))
    start = (start + 4095) // 4096 * 4096
    found = {}
    with open(path, "rb") as file:
        file.seek(start)
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                found[member.name] = tar.extractfile(member).read() if member.isfile() or member.islnk() else None
    return found


def site():
    """A directory with all kinds of entries."""
    top = os.path.join(tree.dir, "site")
    if os.path.isdir(top):
        return top
    tree.file("site/index.html", b"<p>front</p>\n")
    tree.file("site/empty")
    tree.file("site/big", bytes(range(256)) * 4096)
    tree.file("site/a-b/x", b"1")
    tree.file("site/a/y", b"2")
    tree.file("site/na\u00efve \u540d.txt", b"utf-8")
    tree.file("site/" + "/".join(["deep" * 20] * 5) + "/file", b"long")
    tree.file("site/" + "n" * 200, b"long name")
    with open(os.path.join(os.fsencode(top), b"latin\xff"), "wb") as file:
        file.write(b"odd bytes")
    tree.file("outside/secret", b"secret")
    for name, target in (("inside-file", "index.html"), ("inside-dir", "a"),
                         ("outside-file", "../outside/secret"),
                         ("outside-dir", "../outside"), ("absolute", "/etc"), ("nowhere",
                                                                               "no/such"), ("a/up", ".."),
                         ("self", "self")):
        os.symlink(target, os.path.join(top, name))
    os.mkfifo(os.path.join(top, "pipe"))
    return top


def test_layout():
    """the module is the first program, filled to a page, and a tar archive"""
    path, unused = module("hello", "one", "two words")
    with open(path, "rb") as file, open(os.path.join(tree.env["EXO_BUILD"], "apps/init/init.elf"),
                                        "rb") as init:
        image = init.read()
        same(file.read(len(image)), image, "first program")
        check(not file.read(-len(image) % 4096).strip(b"\0"), "the filling is not zero")
        same(file.read(512)[257:265], b"ustar\x0000", "tar magic")
    files = archive(path)
    same(list(files), ["bin", "bin/hello.uni", "etc", "etc/exo.conf"], "members")
    text = files["etc/exo.conf"].decode()
    same(text, "[program hello]\nimage = hello\nlibos = uni\nargs = one 'two words'\n", "configuration")
    same(os.path.getsize(path) % 512, 0, "odd bytes at the end")


def test_volume():
    """a volume's files arrive whole, links only from inside it, the rest is reported"""
    path, said = module("-v", site(), "hello")
    files = archive(path)
    inside = {name[4:]: content for name, content in files.items() if name.startswith("srv/")}
    same(inside["index.html"], b"<p>front</p>\n", "index.html")
    same(inside["empty"], b"", "empty")
    same(inside["big"], bytes(range(256)) * 4096, "big")
    same(inside["na\u00efve \u540d.txt"], b"utf-8", "UTF-8 name")
    same(inside["latin\udcff"], b"odd bytes", "name that is no UTF-8")
    same(inside["/".join(["deep" * 20] * 5) + "/file"], b"long", "long path")
    same(inside["n" * 200], b"long name", "long name")
    same(inside["inside-file"], b"<p>front</p>\n", "link to a file")
    same(inside["inside-dir/y"], b"2", "link to a directory")
    for name in ("outside-file", "outside-dir", "absolute", "nowhere", "a/up", "self", "pipe"):
        check(name not in inside, name + " was packed")
        has(said, "/%s: left out" % name, "report")
    check(b"secret" not in b"".join(c for c in files.values() if c), "a file from outside was packed")
    has(files["etc/exo.conf"].decode(), "files = /srv", "configuration")


def test_order():
    """members come parents first, depth first, and the same input gives the same bytes"""
    first, unused = module("-v", site() + ":/", "hello", name="first.mod")
    second, unused = module("-v", site() + ":/", "hello", name="second.mod")
    with open(first, "rb") as a, open(second, "rb") as b:
        check(a.read() == b.read(), "the modules differ")
    names = list(archive(first))
    same(names, sorted(names, key=lambda n: os.fsencode(n).split(b"/")), "order")
    for name in names:
        check("/" not in name or name.rpartition("/")[0] in names, "no parent of " + name)


def test_two_volumes():
    """volumes may lie side by side, and may not fight for a name"""
    path, unused = module("-v", site() + ":/web/site", "-v", tree.dir + "/outside:/web/out", "hello")
    files = archive(path)
    same(files["srv/web/out/secret"], b"secret", "second volume")
    same(files["srv/web/site/empty"], b"", "first volume")
    done = tree.exo("image", "-o", path, "-v", site(), "-v", tree.file("other/index.html", b"x")[:-11],
                    "hello")
    same(done.returncode, 125, "exit status")
    has(done.stderr, "two places")


def test_unreadable():
    """a file that cannot be read is an error that names it"""
    if os.getuid() == 0:
        raise tap.Skip("the administrator can read everything")
    tree.file("closed/file", b"x", mode=0)
    done = tree.exo("image", "-o", os.path.join(tree.dir, "x.mod"), "-v", os.path.join(tree.dir, "closed"),
                    "hello")
    same(done.returncode, 125, "exit status")
    has(done.stderr, "closed/file")


def test_module_runs():
    """run --module boots a module as it is"""
    path, unused = module("hello", "halt", "9")
    same(tree.exo("run", "--module", path).returncode, 9, "exit status")
    same(tree.exo("run", "--module", path, "hello").returncode, 125, "status with a program too")


def test_memory():
    """memory grows with the files unless it is given; too little is an error that says how much"""
    big = tree.file("large/file")
    os.truncate(big, 40 << 20)
    done = tree.exo("run", "-v", os.path.dirname(big), "hello", "halt", 4)
    same(done.returncode, 4, "exit status")
    has(done.stderr, "as the files need it")
    done = tree.exo("run", "-m", "16M", "-v", os.path.dirname(big), "hello")
    same(done.returncode, 125, "exit status")
    has(done.stderr, "at least 4")
    same(tree.exo("run", "-m", "4M", "hello", "halt", 6).returncode, 6, "exit status with 4M")


def test_program_file():
    """a file of one's own is a program too, with or without suffix"""
    image = os.path.join(tree.env["EXO_BUILD"], "apps/hello/hello.uni")
    with open(image, "rb") as file:
        content = file.read()
    for name in ("mine", "mine.uni", "my-program_1.2"):
        path = tree.file(name, content)
        files = archive(module(path, "halt")[0])
        stem = name[:-4] if name.endswith(".uni") else name
        same(files["bin/%s.uni" % stem], content, "image")
        has(files["etc/exo.conf"].decode(), "[program %s]\nimage = %s\n" % (stem, stem), "configuration")


def compiled():
    """A program with debug data, from the compiler for the machine."""
    source = tree.file("program.c",
                       b"int value = 3;\nint twice(int a);\nint twice(int a) { return a * value; }\n"
                       b"void _start(void);\nvoid _start(void) { for (;;) twice(1); }\n")
    image = source[:-2] + ".elf"
    compiler = (os.environ.get("TARGET_CC") or "gcc").split()
    subprocess.run(compiler + ["-g", "-O0", "-static", "-nostdlib", "-no-pie", source, "-o", image],
                   check=True)
    with open(image, "rb") as file:
        return file.read()


def test_slim():
    """images are packed without debug data, with code, data and function names as they were"""
    data = compiled()
    slim = elf.slim(data)
    check(b".debug_info" in data and len(slim) < len(data), "nothing was left out")
    head, small = elf.EHDR.unpack_from(data), elf.EHDR.unpack_from(slim)
    same(small[:6], head[:6], "header")
    for i in range(head[10]):
        segment = elf.PHDR.unpack_from(data, head[5] + i * head[9])
        same(elf.PHDR.unpack_from(slim, small[5] + i * small[9]), segment, "segment")
        if segment[2]:
            same(slim[segment[2]:segment[2] + segment[5]], data[segment[2]:segment[2] + segment[5]], "bytes")
    same(small[12:], head[12:], "number of sections")
    sections = [elf.SHDR.unpack_from(slim, small[6] + i * small[11]) for i in range(small[12])]
    names = [slim[s[4]:s[4] + s[5]] for s in sections if s[1] == 3]
    check(any(b"\0twice\0" in n for n in names), "the function's name is gone")
    same(elf.slim(slim), slim, "a second time")


def test_slim_malformed():
    """malformed images are passed on, whatever is wrong with them"""
    data, chance = compiled(), random.Random(7)
    for length in list(range(0, 200, 7)) + [len(data) - 1]:
        elf.slim(data[:length])
    head = elf.EHDR.unpack_from(data)
    for unused in range(3000):
        bad = bytearray(data)
        for unused_too in range(chance.randint(1, 4)):
            at = chance.choice((chance.randrange(64), 64 + chance.randrange(56 * head[10]),
                                head[6] + chance.randrange(64 * head[12])))
            bad[at] = chance.choice((0, 1, 0x7f, 0xff, chance.randrange(256)))
        check(len(elf.slim(bytes(bad))) <= len(bad), "it grew")


CONF = """
# two programs
[machine]
memory = 48M            # enough
timeout = 20

[program first]
image = hello
args = wait 'a # b'
memory = 8M
slices = 2
net = own
port = tcp/80
port = udp/53
files = /one
volume = site:/one
[program second]
image = ./mine
args = "halt" 5
net = share
port = tcp/81
main = yes
"""


def test_config():
    """several programs from a configuration: images, volumes and keys arrive"""
    with open(os.path.join(tree.env["EXO_BUILD"], "apps/hello/hello.uni"), "rb") as file:
        tree.file("mine", file.read())
    site()
    path = tree.file("lab.conf", CONF.encode())
    files = archive(module("--config", path)[0])
    same([n for n in files if n.startswith("bin/")], ["bin/hello.uni", "bin/mine.uni"], "images")
    same(files["one/empty"], b"", "volume")
    same(files["etc/exo.conf"].decode(), """\
[program first]
image = hello
libos = uni
args = wait 'a # b'
memory = 8M
slices = 2
net = own
port = tcp/80
port = udp/53
files = /one

[program second]
image = mine
libos = uni
args = halt 5
net = share
port = tcp/81
main = yes
""", "configuration inside")
    done = tree.exo("run", "-n", "--config", path, "--smp", "2")
    for part in ("-m 48M", "-smp 2", "user,id=n0"):
        has(done.stdout, part, "command")
    same(tree.exo("run", "-t", "1", "--config", path).returncode, 124, "exit status")
    has(tree.exo("run", "--config", path, "hello").stderr, "names its programs itself", "message")


BAD = [
    ("[machin]", 1, "machine"),
    ("[machine]\nmemry = 4M", 2, "memory"),
    ("[machine]\nmemory = four", 2, "not a size"),
    ("[machine]\nmemory = 0", 2, "not a size"),
    ("[machine]\ncpus = 0", 2, "cpus"),
    ("[machine]\ncpus = 17", 2, "cpus"),
    ("[machine]\nrandomise = no", 2, "randomize"),
    ("[program a]\ncpus = 1", 2, "cpu"),
    ("[program a]\nguarante = 1M", 2, "guarantee"),
    ("[program a]\nlimit_env = 1", 2, "limit_envs"),
    ("[program a]\nmemory = 1M\nguarantee = 2M", 3, "more than its memory"),
    ("[program a]\ndemand = b\n[program bc]", 2, "nearest known one is bc"),
    ("[program a]\nuse = clok\n[program b]\nserve = clock", 2, "nearest known one is clock"),
    ("[program a]\nuse = clock", 2, "no program has a key serve"),
    ("[program a]\nserve = clock\n[program b]\nserve = clock", 4, "a's already"),
    ("[program a]\nserve = a/b", 2, "not a label"),
    ("[program a]\nextent = x read-onyl", 2, "read-only"),
    ("[program a]\nextent = x\nextent = y as x", 3, "stands twice"),
    ("[program a]\nextent = sixteen-letters.", 2, "write extent = sixteen-letters. as NAME"),
    ("[program a]\nextent = net0", 2, "name of another capability; write extent = net0 as NAME"),
    ("[program a]\nextent = x\n[program b]\nextent = x read-only", 4, "a's already; both must say read-only, or both shared"),
    ("[program a]\nextent = x\n[program b]\nmount = /x ext2 extent:x ro", 4, "a's already"),
    ("[program a]\nmount = /x ext4 extent:x", 2, "ext2"),
    ("[program a]\nmount = /x ext2", 2, "needs an extent"),
    ("[program a]\nmount = /x ext2 extent:x\nmount = /x memory", 3, "stands twice"),
    ("[program a]\ndisk_shares = 4", 2, "no extent"),
    ("[program a]\ndisk = hole", 2, "whole"),
    ("[machine]\nmachine = q53", 2, "q35"),
    ("[machine]\npublish = 80", 2, "HOST:GUEST"),
    ("[machine]\ncpu =", 2, "no value"),
    ("[machine]\n[machine]", 2, "twice"),
    ("[machine", 1, "]"),
    ("memory = 4M", 1, "before any section"),
    ("[program]", 1, "needs one name"),
    ("[program a/b]", 1, "needs one name"),
    ("[program a]\n\n[program a]", 3, "twice"),
    ("[program a]\nnett = own", 2, "net"),
    ("[program a]\nnet = onw", 2, "own"),
    ("[program a]\nargs = \"x", 2, "quotes"),
    ("[program a]\nport = 80", 2, "PROTOCOL/PORT"),
    ("[program a]\nport = tcp/80", 2, "net = own"),
    ("[program a]\nnet = own\nport = tcp/80\nport = tcp/80", 4, "already"),
    ("[program a]\nnet = own\n[program b]\nnet = own", 4, "second program"),
    ("[program a]\nnet = device\n[program b]\nnet = share", 4, "a has net = device"),
    ("[program a]\nnet = device\nclaim = all", 3, "a has net = device"),
    ("[program a]\nnet = device\nbudget = 9000", 3, "has no budget"),
    ("[program a]\nnet = device\nport = tcp/80\ncopies = 2", 4, "one program alone"),
    ("[program a]\nmain = yes\n[program b]\nmain = yes", 4, "second program"),
    ("[program a]\nmain = maybe", 2, "neither"),
    ("[program a]\nmemory = 1M\nmemory = 2M", 3, "twice"),
    ("[program a]\nfiles = here", 2, "slash"),
    ("[program a]\nfiles = /a/../b", 2, ".."),
    ("[program a]\nvolume = /a", 2, "HOSTDIR"),
    ("[program a]\nwords", 2, "KEY = VALUE"),
    ("[program a]\n\x01", 2, "control character"),
    ("# nothing", 1, "no program"),
]


def test_bad_config():
    """each mistake in a configuration is told with file, line and the nearest known word"""
    for text, line, part in BAD:
        try:
            config.parse(text + ("" if "[program" in text or text.startswith("#") else "\n[program z]\n"),
                         "lab.conf")
        except config.ConfigError as error:
            check(any(l.startswith("lab.conf:%d: " % line) and part in l for l in str(error).splitlines()),
                  "for %r: %s" % (text, error))
        else:
            raise AssertionError("taken: %r" % text)
    path = tree.file("bad.conf", b"[machine]\nmemry = 1\ncpuss = 1\n[program a]\n")
    done = tree.exo("run", "--config", path)
    same(done.returncode, 125, "exit status")
    same(done.stderr.splitlines()[0].partition(": ")[0], path + ":2", "place")
    same(done.stderr.splitlines()[1].partition(": ")[0], path + ":3", "place of the second fault")
    same(tree.exo("run", "--config", tree.file("binary.conf", b"\xff\xfe\0")).returncode, 125,
         "status for a binary")


PIECES = """
[machine]|[program a]|[program b]|[program]|[prog x]|[program a b]|[machine x]|[ program  c ]|[|]
x = y|noequals|=|= 5|memory = 8M|memory=0|memory = 1.5G|memory = 5kib|memory = 7 M
memory = 99999999999999G|cpus = 4|cpus = 17|cpu = max|machine = pc|machine = isa|publish = 1:2
publish = 0:1/udp|publish = 1.2.3.4:5:6|publish = 5|timeout = 0.5|timeout = 2m|timeout = .5
timeout = 0|image = x|image = a/|image =|libos = uni|libos = u/i|args = a b 'c d' "e\\"f" \\x
args = 'x|args =|args = "a\\nb" # c|args = a#b|args = '#' # d|slices = 3|slices = 0|net = own
net = share|net = device|budget = 5000|net = x|port = tcp/80|port = udp/53|port = tcp/0|port = 80|port = tcp/80/2of4|port = tcp/80/0of4|port = tcp/80/1of5|port = tcp/80/|files = /x|files = /x/../y
files = x|files = /..a|files = /a//./b|volume = a:/b|volume = :/b|volume = a|main = yes|main = no
guarantee = 2M|guarantee = 9M|guarantee_slices = 3|limit_slices = 2|limit_envs = 7|limit_flows = 0
limit_rings = 1000|limit_shapes = 4|limit_traces = 0|limit_traces = 1|budget = 200000|budget = 1k|end_children = yes|end_children = 1|answer = 0.02|answer = 1.0000001|demand = b|demand = z|observe = z|observe = b|observe = longnamelong|demand = longname
device = rtc|device = rtx|device = a:70-71|device = a:0x70-0x71:8|device = a:71-70
device = a:70-71:16|device = a:70-71:|device = 1234567890:1-2|device = a:1-ffff|device = .a:1-2|device = a:12345-12346
serve = clock|serve = time|use = clock|use = clok|use = /|serve = a b|serve = twelve-letters-and-twenty-more-x|cpu = 3|cpu = 16
claim = all|claim = 12:2=0x800|claim = 12:3=1|claim = 12:2&0xf0!=0x30 @14&15<<2+16:2=80|claim = 12:2=1 12:2=2|claim = 1:1=256
claim = @14&0<<2+1:1=1|claim = 1513:2=1|claim = 12:2=1x|claim = 12:2=0X1|claim = 012:2=010|claim = 0:4&0=0|claim = 12:2
claim = 1:1=1 2:1=1 3:1=1 4:1=1 5:1=1 6:1=1 7:1=1 8:1=1|claim = 1:1=1 2:1=1 3:1=1 4:1=1 5:1=1 6:1=1 7:1=1 8:1=1 9:1=1|claim = all 1:1=1
randomize = no|randomize = yes|randomize = on|input = yes|input = no|input = 1|show_addresses = yes|seal = yes|seal = x|limit_env = 3
disk = a|disk = a,readonly|disk = ,readonly|disk = a,,b,iops=7,log=x,,y|disk = a,readonli|disk = scratch:1M,driver=nvme|disk = a,
extent = a|extent = a read-only|extent = b shared|extent = a as x|extent = a as a shared|extent = a as|extent = console|extent = /
extent = sixteen-letters.|extent = sixteen-letters. as six read-only|extent = a a|extent = a readonly|disk_shares = 3|disk_shares = 65
mount = /a ext2 extent:a|mount = /a ext2 extent:a ro|mount = /b cofs extent:x a,b|mount = /t memory|mount = /t memory x y|mount = /t tar|mount = /t memory extent:a
mount = /a ext2|mount = a ext2 extent:a|mount = /.. ext2 extent:a|mount = /a ext3 extent:a|mount = /a cofs extent: x|mount = /a
disk = whole|disk = read-only|disk = all|extent = a as b as c as d as e|mount = /n ext2 extent:sixteen-letters.
main = maybe|# c||  [machine]  |key # = v|\x01|args = \x7f|image = \t x
""".strip().replace("\n", "|").split("|")


def described(text):
    """What confdump.c prints for this text if the machine's reader agrees with the runner's."""
    try:
        conf = config.parse(text, "c")
    except config.ConfigError:
        return "error"
    out = "main %d" % conf.programs.index(conf.main())
    for p in conf.programs:
        args = p.get("args", [])
        out += "|%s,%s,%s,%d,%d,%d,%d,%d,%s" % (
            p.name, p.get("image", p.name), p.get("libos", "uni"), p.get("memory", 0), p.get("slices", 0),
            config.NETS.index(p.get("net", "none")), len(p.get("port", [])), len(p.get("volume", [])),
            ",".join([str(len(args))] + args))
        out += ";%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d,%d" % (
            p.get("cpu", 0), p.get("guarantee", 0), p.get("guarantee_slices", 0), p.get("limit_slices", 0),
            p.get("limit_envs", 0), p.get("limit_flows", 0), p.get("limit_rings", 0),
            p.get("limit_shapes", 0), p.get("limit_traces", 0), p.get("budget", 0),
            math.ceil(round(p.get("answer", 0) * 1000, 3)), p.get("randomize", conf.machine.get("randomize", True)),
            p.get("seal", False), p.get("end_children", False), p.get("show_addresses", False), p.get("input", p is conf.main()))
        out += "".join("," + name for name in p.get("demand", []) + p.get("observe", []) + [
            device.split(":")[0] for device in p.get("device", [])] + p.get("serve", []) + p.get("use", []))
        out += "".join(",%d" % (claim != "all" and len(claim.split())) for claims in p.get("claim", []) for claim in claims)
        out += ";%d,%d" % (config.DISKS.index(p.get("disk", "none")), p.get("disk_shares", 0))
        out += "".join(",%s/%s/%d/%d" % (e.label, e.name, e.read_only, e.shared) for e in p.extents)
        out += "".join(",%s:%s:%s:%s" % (m.path, m.kind, m.extent or "-", m.options) for m in p.get("mount", []))
    return out


def test_same_language():
    """the runner and the first program agree on 5,000 configurations, right and wrong ones"""
    dump = os.path.join(tree.dir, "confdump")
    compiler = (os.environ.get("CC") or "gcc").split()
    done = subprocess.run(compiler + ["-I" + guest.SOURCE, "-I" + os.path.join(guest.SOURCE, "include"), "-o", dump] + [
        os.path.join(guest.SOURCE, part) for part in (
            "test/lib/confdump.c", "apps/init/conf.c", "apps/init/conf_keys.c",
            "apps/init/conf_claim.c", "apps/init/conf_disk.c", "libos/core/nearest.c")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    same(done.returncode, 0, "compiler: %s" % done.stdout.decode("utf-8", "replace"))
    chance = random.Random(5)
    texts = [CONF] + ["\n".join(chance.choice(PIECES) for unused in range(chance.randint(1, 8)))
                      for unused in range(5000)]
    for i in range(0, len(texts), 2):           # half of them begin well, so that more are right
        texts[i] = "[program z]\n" + texts[i]
    data = b"".join(len(t.encode()).to_bytes(4, sys.byteorder) + t.encode() for t in texts)
    said = subprocess.run([dump], input=data, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    right = 0
    for text, line in zip(texts, said):
        same(described(text), line.partition(" ")[0] if line.startswith("error") else line, "for %r: " % text)
        right += not line.startswith("error")
    check(right > 100, "only %d right ones" % right)


def test_args_round_trip():
    """arguments of every kind come back from the configuration as they were"""
    for args in (["a b", "", "'", '"', "\\", "#", "a#b", "# c", "x=y", "[z]", "\u540d", "\t", "$HOME",
                  "it's \"so\""],):
        same(config.parse_args(config.quote_args(args)), args, "arguments")
        section = config.Section("p", 1)
        section.values["args"] = args
        same(config.parse(config.dump([section]), "c").programs[0].get("args"), args, "arguments")


def test_output():
    """an output that cannot be written is an error, and nothing is left in the temporary directory"""
    done = tree.exo("image", "-o", "/nonexistent/x", "hello")
    same(done.returncode, 125, "exit status")
    has(done.stderr, "/nonexistent/x")
    same(tree.left_behind(), [], "files left behind")


def test_interrupted_packing():
    """a signal while files are packed leaves nothing behind"""
    big = tree.file("huge/file")
    os.truncate(big, 3 << 30)
    words = guest.exo_command("run", "-v", os.path.dirname(big), "-m", "8G", "hello")
    with subprocess.Popen(words, env=tree.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        tap.wait_until(tree.left_behind, what="packing")
        process.terminate()
        same(process.wait(10), 143, "exit status")
    same(tree.left_behind(), [], "files left behind")
    os.unlink(big)


if __name__ == "__main__":
    tap.main(tree.remove)
