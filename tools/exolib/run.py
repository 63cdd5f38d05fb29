# SPDX-License-Identifier: BSD-2-Clause
"""One run: the emulator's process, the console, the time limit, the exit status.

The emulator runs in a session of its own, so that a Ctrl-C at the terminal reaches only
this program, which then ends the emulator: SIGTERM, and SIGKILL after two seconds.  If
this program is itself killed, Linux kills the emulator (PR_SET_PDEATHSIG).  Signals and
the time limit (SIGALRM) arrive as exceptions, also in the middle of a write that hangs.
All files of a run lie in one private directory, which goes when the run ends; what a
killed run left behind is swept by the next one (its lock is free).

Exit status: the program's; 124 time limit; 125 this tool's own errors; 126 the kernel
stopped; 128 + n a program killed by fault n; 128 + signal if the run was interrupted.
"""

import ctypes
import fcntl
import json
import os
import re
import select
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty

from . import qemu
from .util import STATUS_KERNEL_STOP, STATUS_RUNNER, STATUS_TIME_LIMIT, ExoError, say, warn

GRACE_SECONDS = 2
TAIL_BYTES = 4096
PREFIX = "exo-run-"
PR_SET_PDEATHSIG = 1
F_SETPIPE_SZ = 1031
PIPE_BYTES = 1 << 20            # so that a burst of console output never waits for this program
END_OF_INPUT = b"\x04"          # and \x16 before one that is not: as libos/core/input.c reads them
LEAVE = b"\x1d"                 # Ctrl-], which ends a session
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupted(BaseException):
    """A signal came, or the time limit passed."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


class Outcome:
    """How a run ended: exit status, one word for the cause, and a sentence if there is something to say."""

    def __init__(self, status, cause, text=None):
        self.status, self.cause, self.text = status, cause, text


def judge(status, said):
    """The outcome from the emulator's own exit status and what the kernel wrote to the end port."""
    words = re.findall(r"^(?:halt ([0-9]{1,10})|(panic))", said, re.MULTILINE)
    halt, panic = words[-1] if words else ("", "")
    if status == qemu.STOP_STATUS or panic:
        return Outcome(STATUS_KERNEL_STOP, "kernel-stop", "the kernel stopped; its report is on the console")
    if halt and status in (qemu.HALT_STATUS, 0):
        number = int(halt)
        if number > 255:
            return Outcome(255, "exit", "the program's status %d is told as 255" % number)
        return Outcome(number, "fault" if 128 <= number < 160 else "exit")
    if status == qemu.HALT_STATUS:
        return Outcome(STATUS_KERNEL_STOP, "kernel-stop",
                       "the kernel ended the machine without naming a status")
    if status == 0:
        return Outcome(STATUS_KERNEL_STOP, "kernel-stop",
                       "the machine was reset or switched off (a triple fault?)")
    if status < 0:
        return Outcome(STATUS_RUNNER, "error", "the emulator was killed by signal %d" % -status)
    return Outcome(STATUS_RUNNER, "error", "the emulator ended with status %d" % status)


def _raise_interrupted(number, unused):
    raise Interrupted(number)


def listen():
    """From now on the signals that end a program are exceptions, so that nothing is left behind."""
    for number in SIGNALS:
        signal.signal(number, _raise_interrupted)


class WorkDir:
    """A private directory for the files of one run."""

    def __init__(self):
        sweep()
        try:
            self.path = tempfile.mkdtemp(prefix=PREFIX)
        except OSError as error:
            raise ExoError("temporary directory", "cannot be made: %s" % error.strerror,
                           "set TMPDIR") from None
        self.lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def file(self, name):
        return os.path.join(self.path, name)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.remove()


def sweep():
    """Remove the directories of runs that were killed: nobody holds their lock."""
    top = tempfile.gettempdir()
    try:
        names = [name for name in os.listdir(top) if name.startswith(PREFIX)]
    except OSError:
        return
    for name in names:
        path = os.path.join(top, name)
        try:
            state = os.lstat(path)
            if state.st_uid != os.getuid() or time.time() - state.st_mtime < 60:
                continue
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass                            # that run lives
        finally:
            os.close(lock)


def die_with_parent(parent):
    """What a child does before it becomes a program (the emulator): it is killed when its parent ends."""
    def prepare():
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        except (OSError, AttributeError):
            return                          # not Linux
        if os.getppid() != parent:
            os._exit(STATUS_RUNNER)
    return prepare


class Run:
    """One emulator process and the streams around it."""

    def __init__(self, words, end_file, timeout=None, interactive=False, session=False):
        self.words, self.end_file, self.timeout, self.interactive = words, end_file, timeout, interactive
        self.session = session              # the console is a terminal of its own: all keys are its
        self.explain = lambda said: None    # the emulator's last words as an ExoError, if they are known ones
        self.whole_lines = False            # whether something follows the console on standard output
        self.process = None
        self.listening = False
        self.early_signal = None            # one that came while the emulator was being started
        self.tail = b""
        self.console_bytes = 0
        self.own_words = b""
        self.started = self.seconds = 0.0
        self.emulator_status = None

    def _on_signal(self, number, unused):
        if self.listening:
            self.listening = False          # the first one ends the run; more change nothing
            raise Interrupted(number)
        self.early_signal = number

    def start(self):
        for number in SIGNALS + (signal.SIGALRM,):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        self.started = time.monotonic()
        try:
            self.process = subprocess.Popen(
                self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0, start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()))
        except (OSError, subprocess.SubprocessError) as error:
            raise ExoError(self.words[0], "cannot be started: %s" % error) from None
        try:
            fcntl.fcntl(self.process.stdout.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass                            # the usual size will do

    def end_process(self):
        """End the emulator if it still runs; it is gone when this returns."""
        for ask in (self.process.terminate, self.process.kill):
            if self.process.poll() is not None:
                return
            ask()
            try:
                self.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                pass
        self.process.wait()

    def run(self):
        """Start, stream until the end, clean up; returns the Outcome."""
        outcome = terminal = None
        try:
            terminal = self.keys()
            self.start()
            self.listening = True
            if self.early_signal:
                raise Interrupted(self.early_signal)
            if self.timeout:
                signal.setitimer(signal.ITIMER_REAL, self.timeout)
            self.stream()
            self.process.wait()
            self.listening = False
        except Interrupted as stop:
            outcome = self.stopped(stop.number)
        except BrokenPipeError:
            outcome = Outcome(128 + signal.SIGPIPE, "signal")
        finally:
            self.listening = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            if self.process is not None:
                self.end_process()
                self.seconds = time.monotonic() - self.started
            if terminal:
                termios.tcsetattr(0, termios.TCSADRAIN, terminal)
        self.emulator_status = self.process.returncode
        if outcome is None:
            outcome = judge(self.emulator_status, self.end_words())
        self.tell(outcome)
        return outcome

    def keys(self):
        """With -i at a terminal: keys as they are typed, unseen; Ctrl-C stays. Returns how it was, or None.

        In a session Ctrl-C goes to the guest like all others but one, which ends the run.
        """
        if not (self.interactive or self.session) or not os.isatty(0) or os.tcgetpgrp(0) != os.getpgrp():
            self.session = False
            return None
        before = termios.tcgetattr(0)
        if self.session:
            mode = termios.tcgetattr(0)
            mode[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON | termios.ISTRIP)
            mode[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(0, termios.TCSADRAIN, mode)
            say("Ctrl-] ends the run")
        else:
            tty.setcbreak(0, termios.TCSADRAIN)
        return before

    def stopped(self, number):
        if number != signal.SIGALRM:
            return Outcome(128 + number, "signal")
        line = self.tail.decode("utf-8", "replace").strip().rpartition("\n")[2].strip()
        return Outcome(STATUS_TIME_LIMIT, "time-limit",
                       "the time limit of %g s is over; the machine was ended; %s" % (
            self.timeout, "its last line was '%s'" % line[-200:] if line else "it had written nothing"))

    def tell(self, outcome):
        """Finish the console's line, and say what the status alone does not."""
        if self.tail and not self.tail.endswith(b"\n") and (outcome.text or self.whole_lines
                                                            or sys.stdout.isatty()):
            try:
                self.write(b"\n")
            except BrokenPipeError:
                pass
        said = self.own_words.decode("utf-8", "replace")
        known = self.explain(said) if outcome.cause == "error" else None
        if known:
            outcome.text = str(known)
            said = ""
        for line in said.splitlines():
            say("emulator: " + line)
        if outcome.text:
            (warn if outcome.cause == "exit" else say)(outcome.text)

    def end_words(self):
        try:
            with open(self.end_file, "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
                return file.read().decode("ascii", "replace")
        except OSError:
            return ""

    def write(self, data):
        while data:
            try:
                data = data[os.write(1, data):]
            except BlockingIOError:
                select.select([], [1], [])      # somebody made our output non-blocking
            except BrokenPipeError:
                raise
            except OSError as error:
                raise ExoError("standard output", "cannot be written: %s" % error.strerror) from None

    def stream(self):
        """Copy console and input until the emulator has closed its outputs."""
        threading.Thread(target=self.to_console, daemon=True).start()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ, self.from_console)
            selector.register(self.process.stderr, selectors.EVENT_READ, self.from_emulator)
            while selector.get_map():
                for key, unused in selector.select():
                    if not key.data():
                        selector.unregister(key.fileobj)

    def from_console(self):
        data = os.read(self.process.stdout.fileno(), 65536)
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        self.console_bytes += len(data)
        self.write(data)
        return bool(data)

    def from_emulator(self):
        data = os.read(self.process.stderr.fileno(), 65536)
        self.own_words = (self.own_words + data)[-TAIL_BYTES:]
        return bool(data)

    def to_console(self):
        """Copy input; a thread of its own, because a guest may not read for a long time.

        It begins when the kernel says so: what comes before that is lost in firmware and in resets.
        """
        while self.process.poll() is None and "input" not in self.end_words():
            time.sleep(0.005)
        typed = os.isatty(0)
        try:
            while True:
                data = read_input(typed)
                if data is None:
                    return
                if self.session and LEAVE in data:
                    os.kill(os.getpid(), signal.SIGINT)
                    return
                left = data or END_OF_INPUT
                while left:
                    left = left[os.write(self.process.stdin.fileno(), left):]
                if not data:
                    return
        except (OSError, ValueError):
            pass                            # the emulator is at its end


def read_input(typed):
    """More of standard input as the console takes it; empty: the end; None: none now, nor ever."""
    try:
        data = os.read(0, 4096)
    except OSError:
        return None if typed else b""       # a terminal when in the background; or closed
    return data if typed else re.sub(b"[\x04\x16]", b"\x16\\g<0>", data)


def record(machine, run, outcome, module_bytes):
    """The status record of a run as one line of JSON."""
    return json.dumps({
        "status": outcome.status, "cause": outcome.cause, "message": outcome.text,
        "seconds": round(run.seconds, 3), "console_bytes": run.console_bytes,
        "emulator_status": run.emulator_status, "accel": machine.accel, "machine": machine.machine,
        "boot": machine.boot, "memory_bytes": machine.memory, "cpus": machine.cpus,
        "module_bytes": module_bytes, "publish": [str(p) for p in machine.publish],
        "disks": [disk.file or str(disk) for disk in machine.disks],
        "pcap": machine.pcap, "command": run.words}, sort_keys=True)
