# SPDX-License-Identifier: BSD-2-Clause
"""httpd-events compiled for this computer, over libos/conn/conn_poll.c: all that httpd_host.py asks of httpd.

Time limit: 240 s
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

os.environ["EXO_HTTPD"] = os.path.join(os.environ.get("EXO_BUILD", "."), "test/e2e/httpd-events-host")

import tap
from httpd_host import *            # pylint: disable=wildcard-import,unused-wildcard-import

if __name__ == "__main__":
    tap.main()
