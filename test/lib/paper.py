# SPDX-License-Identifier: BSD-2-Clause
"""Does what a paper says, as it is printed: files are made, commands run, answers compared.

Fenced blocks of a Markdown paper, in order, in one directory that is new:

    ```sh             commands; each block must succeed
    ```console        `$ command` lines, each followed by what it answers (standard output and error):
                      `...` in a line stands for anything, a line `...` for any lines or none
    ```c file=NAME    (or any other language) is written to NAME; further blocks are added to it
    ```diff           changes files, by patch -p0

A block with the word `skip` behind the language, and every other block, is only shown. Directory and
variables are kept from one block to the next. `exo` and `exo-cc` are those under test.
"""

import os
import re
import shlex
import signal
import subprocess
import sys

FENCE = re.compile(r"^```(\S*)[ \t]*(.*?)[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


class Failed(Exception):
    """A command did not do what the paper says."""


class Block:
    """One fenced block: language, words behind it, text, and the line it begins in."""

    def __init__(self, language, words, text, line):
        self.language, self.text, self.line = language, text, line
        self.words = dict(word.partition("=")[::2] for word in words.split())


def blocks(text):
    """The blocks of a paper."""
    return [Block(match.group(1), match.group(2), match.group(3), text.count("\n", 0, match.start()) + 1)
            for match in FENCE.finditer(text)]


def files(text):
    """What the paper says to write, as {name: contents}."""
    found = {}
    for block in blocks(text):
        if "file" in block.words and "skip" not in block.words:
            found[block.words["file"]] = found.get(block.words["file"], "") + block.text
    return found


def dialogue(text):
    """The commands of a console block, as [(command, expected answer)]."""
    found = []
    for line in text.splitlines(True):
        if line.startswith("$ "):
            found.append([line[2:], ""])
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1][0] += line[2:]
        elif found:
            found[-1][1] += line
    return found


def matches(expected, answer):
    """Whether an answer is the expected one; `...` stands for anything."""
    pattern = ""
    for line in expected.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"[ \t]*\n"
    return re.fullmatch(pattern, answer if answer.endswith("\n") or not answer else answer + "\n") is not None


class Shell:
    """A shell that lives as long as the paper, so that it keeps its directory, variables and jobs."""

    def __init__(self, directory, env, seconds):
        self.seconds, self.answer = seconds, os.path.join(directory, ".answer")
        self.process = subprocess.Popen(["bash"], cwd=directory, env=env, text=True, start_new_session=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        signal.signal(signal.SIGALRM, self.late)

    def late(self, *unused):
        raise Failed("no answer within %d s" % self.seconds)

    def run(self, command):
        """(exit status, what it said)."""
        script = "{ eval %s ; } >%s 2>&1 </dev/null; echo \"status $? $PWD\"\n" % (shlex.quote(command), shlex.quote(self.answer))
        signal.alarm(self.seconds)
        try:
            self.process.stdin.write(script)
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        finally:
            signal.alarm(0)
        with open(self.answer, encoding="utf-8", errors="replace") as file:
            said = file.read()
        if not line.startswith("status "):
            raise Failed("the shell has ended: %s" % (line or said))
        number, self.place = line[7:].rstrip("\n").split(" ", 1)
        return int(number), said

    def close(self):
        """End it, with what it has started and left behind."""
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def environment(source, build):
    """The variables for a paper's shell: the tools under test come first in the path."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("EXO_", "MAKE", "MFLAGS"))}
    env.update(PATH=os.path.join(source, "tools") + os.pathsep + env.get("PATH", ""), EXO_BUILD=build, LC_ALL="C")
    env["NO_COLOR"] = "1"
    return env


def do(block, shell):
    """One block. Raises Failed."""
    if "skip" in block.words:
        return
    if "file" in block.words:
        with open(os.path.join(shell.place, block.words["file"]), "a", encoding="utf-8") as file:
            file.write(block.text)
    elif block.language == "diff":
        done = subprocess.run(["patch", "-p0", "-s"], cwd=shell.place, input=block.text, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            raise Failed("patch: " + done.stdout)
    elif block.language == "sh":
        status, said = shell.run(block.text)
        if status:
            raise Failed("%s\nstatus %d; it says:\n%s" % (block.text, status, said))
    elif block.language == "console":
        for command, expected in dialogue(block.text):
            status, said = shell.run(command)
            if not matches(expected, said):
                raise Failed("$ %sstatus %d; expected:\n%s\nit says:\n%s" % (command, status, expected, said))


def run(path, directory, env, seconds=120):
    """Do all that a paper says, in a directory; raises Failed with the line."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    shell = Shell(directory, env, seconds)
    try:
        shell.run("true")
        for block in blocks(text):
            try:
                do(block, shell)
            except Failed as error:
                raise Failed("%s:%d: %s" % (os.path.basename(path), block.line, error)) from None
    finally:
        shell.close()


if __name__ == "__main__":
    run(sys.argv[1], os.getcwd(), environment(sys.argv[2], os.environ["EXO_BUILD"]))
