# SPDX-License-Identifier: BSD-2-Clause
"""The checked kernel (test/sanitize) under the tests of calls, attacks and the fuzzer of calls: no report of a sanitizer,
no broken invariant.

Each case is a guest test, run as test/harness runs it, with another kernel and with little memory, because the
invariants are looked at after each call and the look's cost grows with it. Two run at a time.

Time limit: 900 s
"""

import concurrent.futures
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap

BUILD = os.environ["EXO_BUILD"]
SOURCE = os.environ["EXO_SOURCE"]
KERNEL = os.path.join(BUILD, "exo", "exo-checked.elf")
LONG = os.environ.get("EXO_TEST_LONG")

# Guest test, options of `exo run`, its own: the longest first. Those on two CPUs come last, one at a time.
RUNS = [
    ("fuzz", "-m 8M", "cpus=1 calls=5000000" if LONG else "cpus=1 calls=120000"),
    ("fuzz", "-m 8M", "cpus=1 calls=5000000" if LONG else "cpus=1 calls=120000"),
    ("attack", "-m 12M --smp 1", "scale=4"),
    ("ballista", "-m 12M", "pairs=0"),
    ("call_space", "-m 16M", ""),
    ("call_env", "-m 16M", ""),
    ("call_cap", "-m 16M", ""),
    ("call_account", "-m 16M", ""),
    ("call_frame", "-m 16M", ""),
    ("call_flow", "-m 16M", ""),
    ("call_transfer", "-m 16M", ""),
    ("call_entry", "-m 16M", ""),
    ("call_cpu", "-m 16M", ""),
    ("call_machine", "-m 16M", ""),
    ("fuzz", "-m 8M --smp 2", "calls=20000000" if LONG else "calls=300000"),
    ("call_nest", "-m 16M --smp 2", ""),
    ("space_cpus", "-m 16M --smp 2", ""),
    ("call_split", "-m 24M --smp 2", ""),
    ("call_registry", "-m 24M --smp 2", ""),
    ("disk_reset", "-m 24M --smp 2", ""),
    ("reset_races", "-m 24M --smp 2", "rounds=300" if LONG else "rounds=20"),
    ("own_races", "-m 24M --smp 2", ""),
    ("smp_races", "-m 12M --smp 2", "rounds=5000 slow=20" if LONG else "rounds=50 slow=20"),
]


def run(name, machine, options):
    """TAP of the test, and how it ended."""
    started = time.monotonic()
    environment = dict(os.environ, EXO_KERNEL=KERNEL, EXO_TEST_RUN=machine, EXO_TEST_OPTIONS=options)
    # A sanitizer's report is wanted here, too: it ends the run with status 126.
    done = subprocess.run(["sh", os.path.join(SOURCE, "test", "harness"), "guest",
                           os.path.join(BUILD, "test", "guest", name + ".uni")],
                          env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode(errors="replace"), time.monotonic() - started


def judge(name, status, said):
    """What is wrong with the run, or None."""
    if status != 0:
        return "status %d" % status
    if re.search(r"^not ok", said, re.M):
        return "a case failed"
    if not re.search(r"^1\.\.\d", said, re.M):
        return "no plan"
    return None


def main():
    runs = [entry for entry in RUNS if not sys.argv[1:] or entry[0] in sys.argv[1:]]
    print("1..%d" % len(runs), flush=True)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(run, *entry) if "--smp 2" not in entry[1] else None for entry in runs]
        for number, (entry, job) in enumerate(zip(runs, jobs), 1):
            status, said, seconds = job.result() if job else run(*entry)
            wrong = judge(entry[0], status, said)
            if wrong:
                failed += 1
                tap.say(wrong)
                tap.say("\n".join(said.splitlines()[-30:]))
            for line in re.findall(r"^# (?:seed|succeeded|errors|\d+ calls).*", said, re.M):
                tap.say(line[2:])
            print("%sok %d - %s (%s): %d cases" % ("not " if wrong else "", number, entry[0], entry[1],
                                                   len(re.findall(r"^ok", said, re.M))), flush=True)
            tap.say("%.1f s" % seconds)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
