#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""exo lab: each experiment with stock policies and one to modify, the same figures again, plots, and bad input.

Time limit: 170 s
"""

import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

work = tempfile.mkdtemp(prefix="exo-lab-")


def lab(*words, status=0, **how):
    done = guest.exo("lab", *words, timeout=120, cwd=work, **how)
    same(done.returncode, status, "status of exo lab %s (%s%s)" % (" ".join(words), done.stdout, done.stderr))
    return done


def figures(*words, **how):
    """{(panel, series, x): y} and the record."""
    record = json.loads(lab("--json", *words, **how).stdout)
    first = record["columns"][:4]
    return {tuple(str(row[c]) for c in first[:3]): row[first[3]] for row in record["rows"]}, record


def write(name, text):
    with open(os.path.join(work, name), "w", encoding="ascii") as file:
        file.write(text)


def test_pages():
    """real faults: none below the optimum; a modified policy beside stock ones; the same figures again"""
    lab("copy", "pages", "pages")
    words = ("pages", "--policy", "lru,mru,pages/mine.c", "--", "join", "nested", "16", "32")
    faults, unused = figures(*words)
    same(figures(*words)[0], faults, "figures of the second run")
    for (program, policy, frames), count in faults.items():
        check(count >= faults[program, "optimal", frames], "%s %s %s" % (program, policy, frames))
    check(faults["join", "lru", "32"] * 5 < faults["join", "mru", "32"], "a hash join wants LRU")
    check(faults["nested", "mru", "32"] < faults["nested", "lru", "32"], "nested loops want MRU")
    check(faults["join", "mine", "32"] > faults["join", "lru", "32"], "first in, first out has more")


def test_plot():
    """SVG and PNG, with the command in the caption; make in the copied directory"""
    if not shutil.which("gnuplot"):
        tap.say("# gnuplot is not installed: nothing is drawn")
        return
    lab("copy", "cpu", "cpu")
    text = lab("cpu/cpu.c", "--policy", "stride,lottery,cpu/mine.c", "--plot", "cpu.svg", "--csv", "cpu.csv",
               "--", "40").stdout
    has(text, "stride: received share")
    with open(os.path.join(work, "cpu.svg"), encoding="utf-8") as file:
        svg = file.read()
    has(svg, "exo lab cpu/cpu.c")
    with open(os.path.join(work, "cpu.csv"), encoding="utf-8") as file:
        same(file.readline(), "policy,client,ms,percent\n", "first line")
        rows = [line.strip().split(",") for line in file]
    got = {row[1]: float(row[3]) for row in rows if row[0] == "mine" and row[2] == "40"}
    for name, due in (("a", 10), ("b", 20), ("c", 30), ("d", 40)):
        check(abs(got[name] - due) < 2, "client %s has %s %%" % (name, got[name]))
    lab("cpu", "--policy", "rr", "--plot", "cpu.png", "--", "20")
    with open(os.path.join(work, "cpu.png"), "rb") as file:
        same(file.read(8), b"\x89PNG\r\n\x1a\n", "a PNG")


def test_disk_and_cache():
    """requests of layouts and file systems; an application's own cache policy beats one for all"""
    lab("copy", "disk", "disk")
    got, unused = figures("disk", "--policy", "colocated,scattered,cofs,ext2,disk/mine.c")
    seconds = {key[1:]: value for key, value in got.items() if key[0].startswith("seconds")}
    for layout in ("colocated", "cofs", "ext2", "mine"):
        check(seconds["copy", layout] * 3 < seconds["copy", "scattered"], "%s: %r" % (layout, seconds))
    lab("copy", "cache", "cache")
    got, unused = figures("cache", "--policy", "lru,2q,app,cache/mine.c", "--", "64")
    both = {key[1]: value for key, value in got.items() if key[0] == "database + scan"}
    check(both["app"] > both["2q"] > both["lru"] > both["mine"], repr(both))


def test_steer():
    """balance in turn, locality by key; a policy that steers to nowhere, one that is no program"""
    write("far.c", '#include <exo/bpf.h>\nEXO_PROGRAM(packet) int steer(struct exo_packet *packet)\n'
          '{\n\treturn EXO_PACKET_STEER + 9 + (packet->bytes > 9000);\n}\n')
    got, record = figures("steer", "--policy", "rr,key,far.c", "--", "400", status=1)
    shares = [value for key, value in got.items() if key[0].startswith("requests") and key[1] == "rr"]
    same(shares, [25.0] * 4, "shares")
    hits = {name: sum(value for key, value in got.items() if key[0].startswith("found") and key[1] == name)
            for name in ("rr", "key")}
    check(hits["key"] > hits["rr"] * 1.4, repr(hits))
    has(record["wrong"][0], "far: 400 requests went to no ring")
    write("wild.c", '#include <exo/bpf.h>\nEXO_PROGRAM(packet) int steer(struct exo_packet *packet)\n'
          '{\n\treturn *(int *)(packet->data + packet->end);\n}\n')
    text = lab("steer", "--policy", "wild.c", "--", "10", status=1).stderr
    has(text, "rejected at instruction")
    has(text, "policy wild: ")


def test_bad_policies():
    """what does not compile, defines nothing, names pages that are not there, crashes, never ends"""
    head = '#include "libos/vm/policy.h"\nstatic uint32_t victim(struct policy_set *set, uint32_t wanted)\n'
    tail = 'const struct policy lab_policy = { .name = "x", .victim = victim };\n'
    write("error.c", head + "{\n\treturn sett->head;\n}\n" + tail)
    text = lab("pages", "--policy", "error.c", status=125).stderr
    has(text, "error.c:4:16: error")
    has(text, "error.c: the policy does not compile")
    write("nothing.c", "int nothing;\n")
    has(lab("pages", "--policy", "nothing.c", status=125).stderr, "nothing.c: defines no lab_policy")
    write("wrong.c", head + "{\n\t(void)set;\n\treturn wanted;\n}\n" + tail)
    done = lab("pages", "--policy", "wrong.c,fifo", "--", "join", "16", status=1)
    has(done.stderr, "policy wrong: join: victim() named pages that are not resident")
    has(done.stdout, "fifo")
    write("crash.c", head + "{\n\treturn *(volatile uint32_t *)(uint64_t)(wanted * 8 + !set);\n}\n" + tail)
    text = lab("pages", "--policy", "fifo,crash.c", "--", "join", "16", status=142).stderr
    has(text, "victim+")
    write("loop.c", head + "{\n\twhile (set->list[0].count)\n\t\t;\n\treturn wanted;\n}\n" + tail)
    has(lab("pages", "-t", "4", "--policy", "fifo,loop.c", "--", "join", "16", status=124).stderr, "loops for ever")


def test_bad_words():
    """unknown experiment and policy, files that are not there, a directory in the way"""
    for words, text in ((("page",), "experiment page: there is none of this name; the nearest known one is pages"),
                        (("pages", "--policy", "lur"), "policy lur: pages has none of this name; the nearest known one is lru"),
                        (("pages", "--policy", "no.c"), "no.c: there is no such file"),
                        (("copy", "pages", "."), "is there already, and not empty"),
                        (("copy", "pages"), "takes an experiment and a directory"),
                        (("pages", "--plot", "x.pdf"), "ends neither in .svg nor in .png"),
                        (("--policy", "lru"), "names no experiment"),
                        (("none.c",), "none.c: there is no such file"),
                        (("pages.c",), "pages.c: there is no such file")):
        has(lab(*words, status=125).stderr, text)
    has(lab("pages", "--", "7up", status=2).stderr, "pages: '7up' is neither")
    same(lab().stdout.count("policies:"), 5, "experiments listed")


def test_no_gnuplot():
    """without gnuplot the table is made, and the status says that the plot was not"""
    tools = os.path.join(work, "tools")
    os.mkdir(tools)
    for folder in filter(os.path.isdir, os.environ["PATH"].split(":")):
        for name in os.listdir(folder):
            if not name.startswith("gnuplot") and not os.path.lexists(os.path.join(tools, name)):
                os.symlink(os.path.join(folder, name), os.path.join(tools, name))
    done = lab("pages", "--policy", "lru", "--plot", "x.svg", "--", "join", "16", status=1, env=dict(os.environ, PATH=tools))
    has(done.stderr, "gnuplot is not installed")
    has(done.stdout, "join: page faults")


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
