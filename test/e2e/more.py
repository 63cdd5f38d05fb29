#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Small writes to TCP and MSG_MORE, by test/guest/more.c, which needs a network.

Time limit: 60 s
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))

import tap
from guest import exo
from tap import check, same


def test_more():
    """what is held back goes with more, with the end, or by itself"""
    done = exo("run", "-q", "--net", "user", "--timeout", "40",
               os.path.join(os.environ.get("EXO_BUILD", "."), "test", "guest", "more.uni"), timeout=50)
    tap.say(done.stdout)
    same(done.returncode, 0, "status")
    check("not ok" not in done.stdout and "\n1.." in done.stdout, "its report")


if __name__ == "__main__":
    tap.main()
