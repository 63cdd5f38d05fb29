# SPDX-License-Identifier: BSD-2-Clause
"""A machine that serves a directory, with a second program beside httpd that reports frames.

    with Served(DIR, memory="64M", name="load") as served:
        web.get(served.http, "/")
        before = served.frames()
        ...
        same(served.frames()["httpd"], before["httpd"])

test/guest/watch prints the figures ten times a second; frames() waits until they rest.
"""

import os
import re
import tempfile
import time

import guest

WATCH = os.path.join("test", "guest", "watch.uni")
EVENTS = ("dropped", "longest")         # what is reported and is no count of frames or flows
LINE = re.compile(r"^watch: ([0-9]+) (.*)$", re.MULTILINE)

CONFIG = """\
[machine]
memory = %(memory)s
[program httpd]
args = %(args)s /
net = own
volume = %(directory)s:/
main = %(main)s
%(more)s
[program watch]
image = %(watch)s
main = %(other)s
"""


class Served(guest.Guest):
    """args: words for httpd before its directory; more: configuration lines for it.

    EXO_HTTPD_IMAGE: another image for it, from the build folder; its console lines still begin with httpd.

    net: a wire instead of published ports.  main: whether httpd's end is the machine's.
    """

    def __init__(self, directory, memory="64M", args="", more="", net=None, main=True, **how):
        with tempfile.NamedTemporaryFile("w", prefix="exo-served-", suffix=".conf", delete=False) as file:
            image = os.environ.get("EXO_HTTPD_IMAGE")
            if image:
                more += "\nimage = " + os.path.join(guest.build_dir(), image)
            file.write(CONFIG % {"memory": memory, "args": args, "directory": directory, "more": more,
                                 "main": "yes" if main else "no", "other": "no" if main else "yes",
                                 "watch": os.path.join(guest.build_dir(), WATCH)})
        self.config = file.name
        network = ("--net", net) if net else ("-p", "0:80")
        super().__init__(*network, "--config", file.name, **how)
        try:
            self.wait_line("^httpd: serving ")
        except AssertionError:
            self.stop()
            raise
        self.http = None if net else self.port(80)

    def reports(self):
        """What was reported so far: [(number, {name: value}), ...]."""
        with self.changed:
            text = self.text[:self.text.rfind("\n") + 1]
        found = []
        for match in LINE.finditer(text):
            words = match.group(2).split()
            figures = dict(zip(words[::2], map(int, words[1::2])))
            found.append((int(match.group(1)),
                          {name: figures[name] for name in figures if name not in EVENTS}))
        return found

    def frames(self, seconds=30):
        """The next figures that are the same three times in a row, or the last ones within the time."""
        first, end = len(self.reports()) + 1, time.monotonic() + seconds
        while True:
            figures = [figures for unused, figures in self.reports()[first:]][-3:]
            if len(figures) == 3 and figures[0] == figures[1] == figures[2]:
                return figures[2]
            if time.monotonic() > end:
                if not figures:
                    raise AssertionError("%s reports no frames any more; its last output:\n%s" % (
                        self.name, self.text[-1000:]))
                return figures[-1]
            time.sleep(0.05)

    def stop(self, *how):
        status = super().stop(*how)
        if os.path.exists(self.config):
            os.unlink(self.config)
        return status
