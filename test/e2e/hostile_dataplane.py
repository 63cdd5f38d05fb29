# SPDX-License-Identifier: BSD-2-Clause
"""test/e2e/hostile.py against httpd of the libOS dataplane.

Time limit: 300 s
"""

import os
import runpy

os.environ["EXO_HTTPD_LIBOS"] = "dataplane"
runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "hostile.py"), run_name="__main__")
