# SPDX-License-Identifier: BSD-2-Clause
"""Somebody who types at the console of a running system, and waits for what comes."""

import os
import re
import subprocess
import threading
import time

import guest


class Session:
    """`exo run -i WORDS` with a keyboard: what is typed goes through the serial line as it is."""

    def __init__(self, *words):
        self.process = subprocess.Popen(guest.exo_command("run", "-q", "-i", *words), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.text = ""              # all that came
        self.seen = 0               # ... of which this much has been waited for
        self.more = threading.Condition()
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            with self.more:
                self.text += data.decode("utf-8", "replace").replace("\r", "")
                self.ended = not data
                self.more.notify_all()
            if not data:
                return

    def type(self, keys):
        self.process.stdin.write(keys.encode("utf-8"))

    def expect(self, pattern, timeout=30):
        """Wait until the regular expression comes; what stands before it, since the last one."""
        end = time.monotonic() + timeout
        with self.more:
            while True:
                found = re.compile(pattern, re.MULTILINE).search(self.text, self.seen)
                if found:
                    before = self.text[self.seen:found.start()]
                    self.seen = found.end()
                    return before
                left = end - time.monotonic()
                if left <= 0 or self.ended:
                    raise AssertionError("%s: no %r in %r" % ("it ended" if self.ended else "%d s" % timeout, pattern,
                                                              self.text[max(0, self.seen - 200):][-1500:]))
                self.more.wait(left)

    def wait(self, timeout=20):
        return self.process.wait(timeout)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
