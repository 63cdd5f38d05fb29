# SPDX-License-Identifier: BSD-2-Clause
"""A session in the shell, through the serial line, as a person has it: jobs, pipelines, keys, scripts.

The system is what ports/userland makes. Without the sources (no network, and no folder that holds them) all is skipped.

Time limit: 900 s
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import session
import tap
from tap import check, has, same

ROOT = os.path.join(guest.build_dir(), "userland")
PROMPT = r"^\[(\d+)\]> "
shell = None


def userland():
    done = subprocess.run([os.path.join(guest.SOURCE, "ports", "userland"), ROOT], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, timeout=800)
    said = done.stdout.decode("utf-8", "replace")
    if "could not get" in said:
        raise tap.Skip("the sources cannot be fetched")
    same(done.returncode, 0, "status of ports/userland (%s)" % said[-1000:])


def start():
    """The one session of all cases, at its prompt."""
    global shell
    if shell:
        return shell
    userland()
    shell = session.Session("-t", 600, "-m", "256M", "-v", ROOT + ":/", os.path.join(ROOT, "bin", "rc.posix"))
    shell.expect(r"\$ |# ", 60)
    shell.type("PS1='[$?]> '\n")
    shell.expect(PROMPT)
    return shell


def run(line, timeout=60):
    """What a command line prints, and its status."""
    here = start()
    here.type(line + "\n")
    said = here.expect(PROMPT, timeout)
    status = int(here.text[:here.seen].rpartition("[")[2].partition("]")[0])
    return said.partition("\n")[2], status


def test_commands():
    """words, variables, expansions, the status"""
    same(run("echo hello $((6 * 7)) ${HOME}"), ("hello 42 /root\n", 0), "echo")
    same(run("false")[1], 1, "status of false")
    same(run("no-such-command")[1], 127, "status of what is not there")
    same(run("x=$(echo inner; exit 3); echo $x $?")[0], "inner 3\n", "substitution")


def test_pipeline():
    """a pipeline of five processes; one whose reader ends early"""
    same(run("seq 1000 | grep 7 | sort -rn | head -n 3 | wc -l")[0].strip(), "3", "five")
    same(run("yes | head -n 2")[0], "y\ny\n", "SIGPIPE")
    same(run("seq 1000 | tail -n 1"), ("1000\n", 0), "the end of what is written arrives")
    same(run("set -o pipefail; seq 1000 | grep 1 | sort -r | tail -n 5 | wc -l; s=$?; set +o pipefail; (exit $s)")[1], 0,
         "each of them ends well")


def test_mounts():
    """df has all file systems"""
    said, status = run("df")
    same(status, 0, "status of df")
    has(said, " /tmp")


def test_processes():
    """ps has every process, each in an environment of its own"""
    said, status = run("/bin/sleep 30 & /bin/sleep 1; ps -ef; kill $!; wait")
    rows = [line.split() for line in said.splitlines() if len(line.split()) == 10 and "PPID" not in line]
    same({"rc", "mksh", "sleep", "ps"} - {row[9] for row in rows}, set(), "who is there (%s)" % said)
    same(len({row[5] for row in rows}), len(rows), "environments")
    check(all(row[0] == "root" and row[2] in {other[1] for other in rows} | {"0"} for row in rows), "parents: %s" % said)
    has(run("ps")[0], " console ")


def test_redirection():
    """redirection, appending, here documents, globbing"""
    same(run("cd /tmp; echo one >a1; echo two >>a1; cat <a1")[0], "one\ntwo\n", "files")
    same(run("cat <<E\nhere $((1 + 1))\nE")[0].split("\n")[-2], "here 2", "here document")
    same(run("touch a2 b1; echo a*")[0], "a1 a2\n", "pattern")
    same(run("ls -l a1 | cut -c1-10")[0], "-rw-r--r--\n", "mode")


def test_scripts():
    """#! scripts, of another shell and of Lua; arguments and exit status"""
    run("printf '#!/bin/sh\\necho sh $1 $#\\nexit 9\\n' >s; printf '#!/bin/lua\\nprint(arg[1], 6 * 7)\\n' >l; chmod +x s l")
    same(run("./s a b"), ("sh a 2\n", 9), "sh")
    same(run("./l x")[0], "x\t42\n", "Lua")
    run("printf 'trap \"echo caught\" USR1\\nkill -USR1 $$\\nkill -l 30\\n' >k")
    same(run("sh ./k"), ("caught\nUSR1\n", 0), "signals by name")


def test_interrupt():
    """Ctrl-C ends what runs, not the shell; Ctrl-Z stops it (not mksh's own sleep); jobs, bg, fg, kill"""
    here = start()
    here.type("/bin/sleep 100\n")
    here.expect("/bin/sleep 100\n")
    guest_pause()
    here.type("\x03")
    here.expect(r"^\[130\]> ")
    here.type("/bin/sleep 200\n")
    here.expect("/bin/sleep 200\n")
    guest_pause()
    here.type("\x1a")
    here.expect(PROMPT)
    has(run("jobs")[0], "sleep 200")
    run("bg")
    has(run("jobs")[0], "Running")
    here.type("fg\n")
    here.expect("sleep 200")
    guest_pause()
    here.type("\x03")
    here.expect(r"^\[130\]> ")
    run("sleep 300 &")
    run("kill %1; wait")
    same(run("jobs")[0].count("Running"), 0, "jobs at the end")


def guest_pause():
    """Until the program that was just named runs: nothing says so."""
    import time
    time.sleep(1)


def test_jobs():
    """100 background jobs at once, all waited for"""
    run("set +m; i=0; while [ $i -lt 100 ]; do sleep 1 & i=$((i + 1)); done 2>/dev/null; echo started $i", 120)
    has(run("wait; echo all", 120)[0], "all")
    run("set -m")


def test_editing():
    """keys: erasing, moving, history"""
    here = start()
    here.type("ecoX\x7f\x7fho edited\x01\x05\n")
    has(here.expect(PROMPT), "edited\n")
    here.type("\x1b[A\n")
    has(here.expect(PROMPT), "edited\n")


def test_sqlite():
    """SQLite in four processes at once on one database, and its integrity check"""
    start()
    if not os.path.exists(os.path.join(ROOT, "bin", "sqlite3")):
        raise tap.Skip("SQLite's shell is not built")
    run("cd /tmp; sqlite3 d 'create table t(a, b)'")
    run("for p in 1 2 3 4; do (for n in 1 2 3 4 5; do sqlite3 -cmd '.timeout 20000' d \"insert into t values($p, $n)\"; "
        "done) & done; wait", 200)
    same(run("sqlite3 d 'select count(*), sum(a * b) from t; pragma integrity_check'")[0], "20|150\nok\n", "the table")


def test_end():
    """exit ends the system with its status"""
    here = start()
    here.type("exit 5\n")
    same(here.wait(), 5, "status")


if __name__ == "__main__":
    tap.main(lambda: shell and shell.close())
