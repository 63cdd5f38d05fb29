# SPDX-License-Identifier: BSD-2-Clause
"""A build tree that has the tiny kernel (tinykernel.S) for a kernel, so that the runner can be tested alone.

The first word of the program's arguments says what the machine does; see tinykernel.S.
"""

import os
import shlex
import shutil
import subprocess
import tempfile

import guest
from tap import Skip

HERE = os.path.dirname(os.path.abspath(__file__))


def assemble(directory):
    """Build the tiny kernel; returns its path. Skips the case if there is no compiler for it."""
    image = os.path.join(directory, "tiny.elf")
    compiler = shlex.split(os.environ.get("TARGET_CC") or "gcc")
    words = compiler + ["-nostdlib", "-static", "-no-pie", "-Wl,-n", "-Wl,--build-id=none",
                        "-Wl,-z,noexecstack",
                        "-Wl,-T," + os.path.join(HERE, "tinykernel.ld"), os.path.join(HERE, "tinykernel.S"),
                        "-o", image]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError as error:
        raise Skip("no compiler: %s" % error) from None
    if done.returncode:
        raise AssertionError("the tiny kernel does not build:\n" + done.stdout.decode("utf-8", "replace"))
    return image


class TinyTree:
    """The tree; .env is the tool's environment for it, .temp a directory for its temporary files."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="exo-tiny-")
        self.temp = os.path.join(self.dir, "temp")
        os.mkdir(self.temp)
        image = assemble(self.dir)
        for place in ("exo/exo.elf", "apps/init/init.elf", "apps/hello/hello.uni", "apps/httpd/httpd.uni"):
            path = os.path.join(self.dir, "build", place)
            os.makedirs(os.path.dirname(path))
            shutil.copy(image, path)
        self.env = dict(os.environ, EXO_BUILD=os.path.join(self.dir, "build"), TMPDIR=self.temp)

    def exo(self, *words, **how):
        """Run the tool to its end."""
        return guest.exo(*words, env=dict(self.env, **how.pop("more_env", {})), **how)

    def left_behind(self):
        """Temporary files that are still there."""
        return os.listdir(self.temp)

    def file(self, name, content=b"", mode=None):
        """A file in the tree's directory."""
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(content)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
