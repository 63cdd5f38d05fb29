# SPDX-License-Identifier: BSD-2-Clause
"""Every checker sees the bug that is planted for it.

test/planted/NAME.patch is a bug in the kernel or a file system; lines in front of the patch say which test must fail then (README there).
The bug is put into a copy of the sources (links to the files, but for the patched ones), what depends on it is built in
a copy of the build, and the test is run: it must fail, in the way that the patch says. One that passes is a checker that
is blind. Two are tried at a time, each in copies of its own. `planted.py NAME...` tries single ones.

Time limit: 600 s
"""

import concurrent.futures
import glob
import os
import queue
import re
import shutil
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import tap
from tap import check

BUILD = os.path.abspath(os.environ["EXO_BUILD"])
SOURCE = os.path.abspath(os.environ["EXO_SOURCE"])
LONG = os.environ.get("EXO_TEST_LONG")
SCRATCH = os.path.join(BUILD, "test", "planted.tmp")
AT_ONCE = 2
# What a kernel and a unit test are made of, and a guest needs.
PARTS = ["exo", "arch", "tools/bpf", "test/unit", "test/fs", "test/lib", "test/sanitize", "apps/init", "apps/httpd", "libos",
         "Makefile", "config.status"]


class Patch:
    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)[:-len(".patch")]
        with open(path, encoding="utf-8") as file:
            text = file.read()
        head = text[:text.index("\n--- ")]
        self.said = dict(re.findall(r"^(Test|Kernel|Options|Run|Shows|Long): *(.+)$", head, re.M))
        self.files = re.findall(r"^\+\+\+ b/(\S+)", text, re.M)
        self.guest = self.said["Test"].startswith("test/guest/")

    def image(self):
        return "exo/exo-checked.elf" if self.said.get("Kernel") == "checked" else "exo/exo.elf"

    def target(self):
        return self.image() if self.guest else self.said["Test"]


class Place:
    """A copy of the sources and one of the build, for one patch at a time."""

    def __init__(self, folder):
        self.sources = os.path.join(folder, "src")
        # A build within the sources may name them by ".."; so it stands where it stood.
        within = os.path.relpath(BUILD, SOURCE)
        self.build = os.path.join(folder, "build") if within.startswith("..") else os.path.join(self.sources, within)
        os.makedirs(self.sources)
        for entry in os.listdir(SOURCE):
            if entry not in (".git", "autom4te.cache") and os.path.join(SOURCE, entry) != BUILD:
                subprocess.run(["cp", "-rs", os.path.join(SOURCE, entry), self.sources], check=True)
        for part in PARTS:
            where = os.path.join(self.build, os.path.dirname(part))
            os.makedirs(where, exist_ok=True)
            subprocess.run(["cp", "-rp", os.path.join(BUILD, part), where], check=True)

    def depends(self, file):
        """Objects that are made from the file."""
        found, stem = set(), os.path.splitext(file)[0]
        if not file.endswith(".h"):
            for suffix in (".k.o", ".s.o"):
                found.add(stem + suffix)
            for copy in ("%s.o", "test_unit_*-%s.o"):
                pattern = os.path.join(os.path.dirname(stem), copy % os.path.basename(stem))
                found.update(os.path.relpath(path, self.build) for path in glob.glob(os.path.join(self.build, pattern)))
            return found
        for path in [os.path.join(where, name) for where, _, names in os.walk(self.build) for name in names
                     if name.endswith((".d", ".Po"))]:
            with open(path, encoding="utf-8", errors="replace") as rules:
                if file in rules.read():
                    path = os.path.relpath(path, self.build)
                    found.add(re.sub(r"\.d$", ".o", re.sub(r"(\.deps/)?([^/]*)\.Po$", r"\2.o", path)))
        return found

    def plant(self, patch):
        """The bug is in the sources, and nothing made of the good ones is left. The files that were removed."""
        for file in patch.files:
            os.unlink(os.path.join(self.sources, file))
            shutil.copy(os.path.join(SOURCE, file), os.path.join(self.sources, file))
        with open(patch.path, "rb") as text:
            done = subprocess.run(["patch", "-s", "-p1", "-d", self.sources], stdin=text, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        check(done.returncode == 0, "the patch does not fit:\n" + done.stdout.decode())
        gone = {"test/unit/libkernel.a", "test/fs/librig.a", patch.target()}.union(
            *(self.depends(file) for file in patch.files))
        for path in gone:
            if os.path.exists(os.path.join(self.build, path)):
                os.unlink(os.path.join(self.build, path))
        return gone

    def restore(self, patch, gone):
        for file in patch.files:
            for suffix in ("", ".orig", ".rej"):
                if os.path.exists(os.path.join(self.sources, file + suffix)):
                    os.unlink(os.path.join(self.sources, file + suffix))
            os.symlink(os.path.join(SOURCE, file), os.path.join(self.sources, file))
        for path in gone:
            if os.path.exists(os.path.join(BUILD, path)):
                shutil.copy2(os.path.join(BUILD, path), os.path.join(self.build, path))

    def make(self, patch):
        done = subprocess.run(["make", "-s", "-C", self.build, "VPATH=" + self.sources, "srcdir=" + self.sources,
                               "top_srcdir=" + self.sources, "abs_srcdir=" + self.sources, patch.target()],
                              env=dict(os.environ, MAKEFLAGS=""), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        check(done.returncode == 0, "it does not build:\n" + done.stdout.decode(errors="replace")[-3000:])

    def run(self, patch):
        environment = dict(os.environ, EXO_TEST_OPTIONS=patch.said.get("Options", ""),
                           EXO_TEST_RUN=patch.said.get("Run", ""), EXO_TEST_LONG="")
        if patch.guest:
            environment["EXO_KERNEL"] = os.path.join(self.build, patch.image())
            words = ["guest", os.path.join(BUILD, patch.said["Test"] + ".uni")]
        else:
            words = ["unit", os.path.join(self.build, patch.said["Test"])]
        done = subprocess.run(["sh", os.path.join(SOURCE, "test", "harness")] + words, env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode(errors="replace")


def one(places, patch):
    """Try it; what the test said first, and how long it took."""
    place = places.get()
    start, gone = time.monotonic(), set()
    try:
        try:
            gone = place.plant(patch)
            place.make(patch)
            status, said = place.run(patch)
        finally:
            place.restore(patch, gone)
    finally:
        places.put(place)
    bad = [line for line in said.splitlines() if re.match(r"not ok|Bail out|exo: |.*(runtime error|ERROR: )", line)]
    check(status != 0 and bad, "%s does not see it; status %d" % (patch.said["Test"], status))
    if "Shows" in patch.said:
        check(re.search(patch.said["Shows"], said), "it does not show %r:\n%s" % (patch.said["Shows"],
                                                                               "\n".join(said.splitlines()[-25:])))
    return bad[0][:150], time.monotonic() - start


def main():
    patches = [Patch(path) for path in sorted(glob.glob(os.path.join(SOURCE, "test", "planted", "*.patch")))]
    patches = [patch for patch in patches if patch.name in sys.argv[1:]] if sys.argv[1:] else \
        [patch for patch in patches if LONG or "Long" not in patch.said]
    print("1..%d" % len(patches), flush=True)
    failed = 0
    places = queue.Queue()
    try:
        shutil.rmtree(SCRATCH, ignore_errors=True)
        for number in range(AT_ONCE):
            places.put(Place(os.path.join(SCRATCH, str(number))))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            jobs = [pool.submit(one, places, patch) for patch in patches]
            for number, (patch, job) in enumerate(zip(patches, jobs), 1):
                try:
                    said, seconds = job.result()
                    tap.say(said)
                    tap.say("%.1f s" % seconds)
                    good = True
                except Exception:  # pylint: disable=broad-except
                    tap.say(traceback.format_exc())
                    good = False
                failed += not good
                print("%sok %d - %s: %s sees it" % ("" if good else "not ", number, patch.name, patch.said["Test"]), flush=True)
    finally:
        shutil.rmtree(SCRATCH, ignore_errors=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
