# SPDX-License-Identifier: BSD-2-Clause
"""SQLite's database on a disk: writers are killed at random moments, the power is cut; it stays whole, and nothing committed goes.

Three processes write to one database in short transactions, each of which changes two tables, with a rollback journal and with
a write-ahead log. SIGKILL ends them anywhere; then the database has to pass its own integrity check, both tables to agree,
each writer's rows to be the first of what it writes, and those of earlier rounds to be there. The same from images of what
power cuts leave of the disk's writes (how many: EXO_TEST_LONG). Without SQLite's source all is skipped.

Time limit: 900 s
"""

import os
import random
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import ported
import tap
import writelog
from tap import check, has, same

LONG = bool(os.environ.get("EXO_TEST_LONG"))
SEED = int(os.environ.get("EXO_TEST_SEED", "1"))
ROUNDS, CUTS = (60, 40) if LONG else (6, 3)
WRITERS, TRANSACTIONS = 3, 400
chance = random.Random(SEED)
scratch = tempfile.TemporaryDirectory()
programs = {}

LOOK = """\
look() {
	sqlite3 -cmd '.timeout 60000' d "pragma integrity_check; select 'apart', (select v from s) - (select count(*) from t);
		select 'rows', w, r, count(*), max(k) from t group by w, r"
}
cd /data
"""
WORK = LOOK + """\
mode=$1 rounds=$2
read -r delays </delays
set -- $delays
sqlite3 d "pragma journal_mode=$mode; create table t(w, r, k, b); create index i on t(k); create table s(v);
	insert into s values(0); create table round(r); insert into round values(0)"
r=0
while [ $r -lt $rounds ]; do
	sqlite3 -cmd '.timeout 60000' d "update round set r = $r" || echo failed $?
	all=
	for w in 1 2 3; do
		sqlite3 -cmd '.timeout 60000' d <"/sql/$w" >/dev/null &
		all="$all $!"
	done
	for p in $all; do
		sleep $1
		kill -9 $p
		shift
	done
	wait
	echo round $r
	look
	r=$((r + 1))
done
sync
echo end
"""


def path(name):
    return os.path.join(scratch.name, name)


def prepare():
    if programs:
        return
    for port, program, name in (("sqlite", "sqlite3", "sqlite3"), ("busybox", "busybox", "sleep"), ("busybox", "busybox", "sync"),
                                ("dash", "dash", "sh")):
        programs[name] = ported.program(port, program)
        os.makedirs(path("root/bin"), exist_ok=True)
        shutil.copy(programs[name], path("root/bin/" + name))
    os.makedirs(path("root/sql"))
    for writer in range(1, WRITERS + 1):
        with open(path("root/sql/%d" % writer), "w") as file:
            for k in range(1, TRANSACTIONS + 1):
                file.write("begin immediate; insert into t values(%d, (select r from round), %d, randomblob(%d)); "
                           "update s set v = v + 1; commit;\n" % (writer, k, 100 + k * 37 % 900))
    for name, text in (("work", WORK), ("look", LOOK + "look\necho end\n")):
        with open(path("root/" + name), "w") as file:
            file.write(text)


def run(disk, *words, timeout=300):
    done = guest.exo("run", "-t", timeout, "-m", "128M", "-v", path("root") + ":/", "--disk", disk, "--mount", "/data cofs extent:db",
                     programs["sh"], "--", *words, timeout=timeout + 20)
    same(done.returncode, 0, "status (%s%s)" % (done.stdout[-2000:], done.stderr))
    has(done.stdout, "\nend\n")
    return done.stdout


def rows(said):
    """What one look says: {(writer, round): rows}; it is checked to be in order."""
    has(said, "ok\n", "the database's own check (%s)" % said[-600:])
    has(said, "apart|0\n", "both tables (%s)" % said[-600:])
    found = {}
    for line in re.findall(r"^rows\|(.*)$", said, re.M):
        writer, number, count, last = (int(word) for word in line.split("|"))
        same(count, last, "writer %d's rows of round %d are the first" % (writer, number))
        found[writer, number] = count
    return found


def new_disk():
    disk = path("disk.img")
    os.makedirs(path("nothing"), exist_ok=True)
    for words in (("create", "--force", disk, "24M", "--label", "db:20M:cofs"), ("import", disk, "db", "--cofs", path("nothing"))):
        done = guest.exo("disk", *words)
        same(done.returncode, 0, "exo disk %s (%s)" % (words[0], done.stderr))
    return disk


def killed(mode, rounds, disk):
    """The rounds, each checked; how many rows there are at the end."""
    with open(path("root/delays"), "w") as file:
        file.write(" ".join("%.3f" % (chance.random() ** 2 * 0.5) for _ in range(rounds * WRITERS)) + "\n")
    said = run(disk, "/work", mode, str(rounds))
    has(said, mode + "\n", "the journal's mode")
    check("failed" not in said, "a round without killed writers: %s" % said[-1000:])
    before = {}
    for number, part in enumerate(said.split("round ")[1:]):
        now = rows(part)
        for key, count in before.items():
            same(now.get(key), count, "rows of writer %d, round %d, in round %d" % (*key, number))
        before = now
    total = sum(before.values())
    check(total > rounds, "hardly anything was written: %d rows" % total)
    tap.say("%s: %d rounds, %d rows, seed %d" % (mode, rounds, total, SEED))
    return before


def cut(image, entries, number):
    """What the power going in the middle of entry `number` may leave: what was flushed, and any of the rest."""
    state, waiting = bytearray(image), []
    for entry in entries[:number]:
        if entry.flags & writelog.FLUSH:
            writelog.apply(state, waiting)
            waiting = []
        if entry.data and entry.flags & writelog.FUA:
            writelog.apply(state, [entry])
        elif entry.data:
            waiting.append(entry)
    how = chance.randrange(3)
    writelog.apply(state, [entry for entry in waiting if how == 0 or (how == 1 and chance.random() < 0.5)])
    return state


def power(mode):
    prepare()
    disk = new_disk()
    with open(disk, "rb") as file:
        image = file.read()
    last = killed(mode, 2, "%s,log=%s" % (disk, path("log")))
    entries = writelog.read(path("log"))
    most = 0
    for _ in range(CUTS):
        number = chance.randrange(len(entries) // 4, len(entries) + 1)
        with open(path("cut.img"), "wb") as file:
            file.write(cut(image, entries, number))
        left = rows(run(path("cut.img"), "/look"))
        for key, count in left.items():
            check(count <= last.get(key, 0), "rows that were never there: %s" % (key,))
        most = max(most, sum(left.values()))
    tap.say("%s: %d cuts among %d writes, at most %d rows of %d" % (mode, CUTS, len(entries), most, sum(last.values())))


def measured(program, *words, folder=None):
    """A program of SQLite's own, alone on a machine."""
    done = guest.exo("run", "-t", 300, "-m", "512M", *(("-v", folder + ":/lib") if folder else ()), ported.program("sqlite", program), "--",
                     *words, timeout=320)
    same(done.returncode, 0, "status of %s (%s%s)" % (program, done.stdout[-1000:], done.stderr))
    return done.stdout


def test_speed():
    """SQLite's speed test runs to its end"""
    has(measured("speedtest1", "--size", "5", "--journal", "wal", "/tmp/speed"), "TOTAL")


def test_fuzzcheck():
    """SQLite's fuzz check: the cases that once were wrong are not"""
    said = measured("fuzzcheck", *(["/lib/fuzzdata%d.db" % number for number in (range(1, 9) if LONG else (8,))]),
                    folder=os.path.join(guest.build_dir(), "ports", "sqlite", "lib"))
    has(said, "fuzzcheck: 0 errors out of ")


def test_killed_journal():
    """writers killed at random moments, with a rollback journal"""
    prepare()
    killed("delete", ROUNDS, new_disk())


def test_killed_wal():
    """the same with a write-ahead log, whose index is shared memory"""
    prepare()
    killed("wal", ROUNDS, new_disk())


def test_power_journal():
    """power cuts, with a rollback journal"""
    power("delete")


def test_power_wal():
    """power cuts, with a write-ahead log"""
    power("wal")


if __name__ == "__main__":
    tap.main()
