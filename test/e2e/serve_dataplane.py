# SPDX-License-Identifier: BSD-2-Clause
"""httpd over dataplane: all that serve.py asks of httpd over uni.

Time limit: 240 s
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

os.environ["EXO_HTTPD_IMAGE"] = "apps/httpd/httpd.dataplane"

import tap
from serve import *                 # pylint: disable=wildcard-import,unused-wildcard-import

if __name__ == "__main__":
    tap.main()
