#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tenants of one machine: CPUs, slices, guarantees, limits and demands as their configuration says.

Time limit: 120 s
"""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import check, has, same

work = tempfile.mkdtemp(prefix="exo-tenants-")
TENANT = os.path.join(guest.build_dir(), "test", "guest", "tenant.uni")


def run(machine, look, hold, status=0):
    path = os.path.join(work, "lab.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write("[machine]\n%s[program db]\nimage = %s\nargs = look batch\n%s[program batch]\nimage = %s\n"
                   "args = hold\n%s" % (machine, TENANT, look, TENANT, hold))
    done = guest.exo("run", "-t", 30, "--config", path)
    same(done.returncode, status, "status (%s%s)" % (done.stdout, done.stderr))
    check("behind" not in done.stdout, done.stdout)
    return done.stdout + done.stderr


def test_plain():
    """nothing said: CPU 0, no slices, no limit, nobody's account"""
    text = run("", "", "")
    for line in ("cpu 0 slices 0", "rights 0", "archive none", "envs good", "slice good", "exec good", "demand CAP"):
        has(text, line + "\n")


def test_tenants():
    """CPU, slices, limits; READ on the account that may be demanded from, and a demand that is accepted"""
    text = run("cpus = 2\n", "cpu = 1\nslices = 3\nmemory = 16M\nguarantee = 8M\nlimit_envs = 1\n"
               "limit_slices = 7\nseal = yes\ndemand = batch\n", "memory = 16M\nanswer = 0.1\n")
    for line in ("cpu 1 slices 3", "rights 1", "archive given", "envs QUOTA", "slice QUOTA", "exec SEALED", "demand good"):
        has(text, line + "\n")
    text = run("", "demand = batch\nguarantee = 8M\n", "guarantee = 8M\n")
    has(text, "demand STATE\n")


def test_end():
    """who ends first takes its account along, also if another may demand from it"""
    path = os.path.join(work, "end.conf")
    with open(path, "w", encoding="ascii") as file:
        for name, ms, more in (("front", 1500, "demand = top\nguarantee = 4M\nmain = yes\n"), ("top", 1, "")):
            file.write("[program %s]\nimage = %s\nargs = pause %d\n%s" % (name, TENANT, ms, more))
    done = guest.exo("run", "-t", 30, "--config", path)
    same((done.returncode, done.stdout), (0, ""), "outcome (%s)" % done.stderr)


def test_too_much():
    """guarantees beyond what there is, CPUs that there are not"""
    has(run("memory = 32M\n", "guarantee = 20M\n", "guarantee = 20M\n", status=125),
        "init: program batch: more is guaranteed than there is")
    has(run("", "slices = 60\n", "slices = 60\n", status=125), "not that many slices in a row are free")
    has(run("", "cpu = 1\n", "", status=125), "one CPU")


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
