# SPDX-License-Identifier: BSD-2-Clause
"""doc/blocks.md says of each block what it needs: as the built objects do.

Time limit: 60 s
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import tap
from tap import same


def test_needs():
    """every source file belongs to a block, and every block's needs are told"""
    done = subprocess.run([sys.executable, os.path.join(guest.SOURCE, "doc", "blocks.py"), guest.SOURCE,
                           os.path.abspath(guest.build_dir())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    same(done.returncode, 0, "what doc/blocks.py finds (--write mends the cells):\n%s\nexit status" % done.stdout)


if __name__ == "__main__":
    tap.main()
