#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Programs that others wrote, built unmodified from their sources, do what they do elsewhere.

Without the sources (no network, and no folder that holds them) there is nothing to build: then all is skipped.

Time limit: 600 s
"""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import ported
import tap
from tap import same

work = tempfile.mkdtemp(prefix="exo-ports-")


def run(*words, status=0, timeout=120):
    done = guest.exo("run", "-t", timeout, *words, timeout=timeout + 20)
    same(done.returncode, status, "status (%s%s)" % (done.stdout[-2000:], done.stderr))
    return done.stdout


LUA = """
local t = {}
for i = 1, 1000 do t[i] = (i * 7919) % 1009 end
table.sort(t)
for i = 2, #t do assert(t[i - 1] <= t[i]) end
print(string.format("%.14g %d %s", 0.1, math.maxinteger, ("exo"):rep(3, "-")))
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print(co(), co(), co())
print(select(2, pcall(error, { code = 7 })).code, #arg, arg[1])
assert(load("return 2^53 == 2^53 + 1")())
print(os.getenv("HOME"), io.open("/nowhere"))
local all = 0
for line in io.lines("/data/numbers") do all = all + tonumber(line) end
print(all)
print(require("part").answer)
os.exit(3)
"""


def test_lua():
    """Lua: tables, strings, coroutines, errors, files, modules, the exit status"""
    lua = ported.program("lua", "lua", "uni")
    os.mkdir(os.path.join(work, "lua"))
    for name, text in (("all.lua", LUA), ("part.lua", "return { answer = 42 }\n"),
                       ("numbers", "".join("%d\n" % n for n in range(1, 101)))):
        with open(os.path.join(work, "lua", name), "w", encoding="ascii") as file:
            file.write(text)
    said = run("-v", os.path.join(work, "lua") + ":/data", lua, "--",
               "-e", "package.path = '/data/?.lua'", "/data/all.lua", "x", status=3)
    same(said.split("\n")[:-1],
         ["0.1 9223372036854775807 exo-exo-exo", "1\t4\t9", "7\t1\tx",
          "nil\tnil\t/nowhere: No such file or directory\t2", "5050", "42"], "what it prints")


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
