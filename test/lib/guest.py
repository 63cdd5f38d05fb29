# SPDX-License-Identifier: BSD-2-Clause
"""Starts machines through the runner, for end-to-end tests.

    with Guest("-p", "0:80", "-v", "site:/", "httpd", name="files") as guest:
        guest.wait_line("listening")
        web.get(guest.port(80), "/")

What a guest wrote stays beside the test's log, as test/e2e/TEST-NAME.console, and so do the
packets (TEST-NAME.pcap) if it has a network.  A guest that is still there when the test
ends is ended by its runner.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("EXO_SOURCE") or os.path.dirname(os.path.dirname(HERE))
TEST = os.path.splitext(os.path.basename(sys.argv[0]))[0]


os.environ.setdefault("EXO_BUILD", os.getcwd())        # a test run by hand is run in the build directory


def build_dir():
    return os.environ["EXO_BUILD"]


def log_dir():
    """Where a test's logs lie."""
    path = os.path.join(build_dir(), "test", "e2e")
    os.makedirs(path, exist_ok=True)
    return path


def exo_command(*words):
    """The words of a command of the tool under test; EXO_TOOL names another one (an installed one)."""
    tool = os.environ.get("EXO_TOOL")
    start = [tool] if tool else [sys.executable, os.path.join(SOURCE, "tools", "exo")]
    return start + [str(word) for word in words]


def exo(*words, timeout=60, **how):
    """Run the tool to its end; the result has .returncode, .stdout and .stderr as text."""
    done = subprocess.run(exo_command(*words), stdin=how.pop("stdin", subprocess.DEVNULL),
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, check=False, **how)
    done.stdout = done.stdout.decode("utf-8", "replace")
    done.stderr = done.stderr.decode("utf-8", "replace")
    return done


class Guest:
    """One running machine.

    args: words for `exo run`.  name: part of the log files' names.  timeout: the runner's time
    limit for the machine, a hang detector.  pcap: record packets (default: if there is a network).
    """

    def __init__(self, *args, name="guest", timeout=120, pcap=None, **how):
        self.name = "%s-%s" % (TEST, name)
        self.console_path = os.path.join(log_dir(), self.name + ".console")
        self.pcap_path = os.path.join(log_dir(), self.name + ".pcap")
        options = ["--timeout", timeout, "--json"]
        networked = any(str(a).startswith(("-p", "--publish",
                                           "--net")) and str(a) != "--net=none" for a in args)
        if networked if pcap is None else pcap:
            options += ["--pcap", self.pcap_path]
        self.words = exo_command("run", *options, *args)
        self.text = ""                  # the console so far
        self.messages = ""              # what the runner said
        self.status = self.record = None
        self.changed = threading.Condition()
        self.process = subprocess.Popen(self.words, stdin=how.get("stdin", subprocess.DEVNULL),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=how.get("env"))
        self.threads = [threading.Thread(target=self._read_console, daemon=True),
                        threading.Thread(target=self._read_messages, daemon=True)]
        for thread in self.threads:
            thread.start()

    def _read_console(self):
        with open(self.console_path, "wb") as log:
            while True:
                data = os.read(self.process.stdout.fileno(), 65536)
                log.write(data)
                log.flush()
                with self.changed:
                    self.text += data.decode("utf-8", "replace").replace("\r\n", "\n")
                    self.changed.notify_all()
                if not data:
                    return

    def _read_messages(self):
        while True:
            data = os.read(self.process.stderr.fileno(), 65536)
            with self.changed:
                self.messages += data.decode("utf-8", "replace")
                self.changed.notify_all()
            if not data:
                return

    def _await(self, condition, seconds, what):
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                value = condition()
                if value is not None:
                    return value
                gone = self.process.poll() is not None and not self.threads[0].is_alive()
                left = end - time.monotonic()
                if left <= 0 or gone:
                    raise AssertionError("%s: no %s %s; its last output:\n%s\n%s" % (
                        self.name, what, "before the machine ended" if gone else "within %g s" % seconds,
                        self.text[-2000:], self.messages[-1000:]))
                self.changed.wait(min(left, 0.2))

    def wait_line(self, pattern, seconds=30, start=0):
        """Wait for a console line that the pattern matches, from `start` of the text; returns the match."""
        return self._await(lambda: re.compile(pattern, re.MULTILINE).search(self.text, start), seconds,
                           "line like '%s'" % pattern)

    def port(self, guest_port, protocol="tcp", seconds=10):
        """This computer's port for a published one of the machine."""
        pattern = re.compile(r"^.*?:([0-9]+) is port %d/%s of" % (guest_port, protocol), re.MULTILINE)
        return int(self._await(lambda: pattern.search(self.messages), seconds, "published port").group(1))

    def running(self):
        return self.process.poll() is None

    def wait(self, seconds=60):
        """Wait for the end; returns the runner's exit status. `.record` is the status record."""
        try:
            self.status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise AssertionError("%s did not end within %g s; its last output:\n%s" % (
                self.name, seconds, self.text[-2000:])) from None
        for thread in self.threads:
            thread.join(5)
        last = self.text.rstrip("\n").rpartition("\n")[2]
        try:
            self.record = json.loads(last)
        except ValueError:
            self.record = None
        return self.status

    def stop(self, number=signal.SIGTERM):
        """End the machine if it runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for thread in self.threads:
            thread.join(5)
        self.status = self.process.returncode
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


def emulator_pids(runner_pid):
    """The processes whose parent is the runner."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry, encoding="ascii", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == runner_pid and fields[0] != "Z":
                found.append(int(entry))
    return found


def alive(pid):
    """Whether a process is there and not only waiting to be collected."""
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
