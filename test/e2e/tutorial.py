# SPDX-License-Identifier: BSD-2-Clause
"""The papers that tell one what to type are right: all that they say is done, as it is printed (test/lib/paper.py).

Time limit: 300 s
"""

import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

import guest
import paper
import tap
from tap import check, same

work = tempfile.mkdtemp(prefix="exo-tutorial-")
DOC = os.path.join(guest.SOURCE, "doc")
TEMPLATES = os.path.join(guest.SOURCE, "tools", "templates")


def do(name):
    place = os.path.join(work, name)
    os.mkdir(place)
    paper.run(os.path.join(DOC, name), place, paper.environment(guest.SOURCE, os.path.abspath(guest.build_dir())))


def text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_runner():
    """the runner of papers sees a wrong answer, a failed command and a patch that does not fit"""
    env = paper.environment(guest.SOURCE, os.path.abspath(guest.build_dir()))
    for block, sees in (("```console\n$ echo a b c\na ... c\n```\n", None), ("```console\n$ echo a\nb\n```\n", "expected"),
                        ("```sh\nfalse\n```\n", "status 1"), ("```diff\n--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n```\n", "patch"),
                        ("```sh\ncd / && X=1\n```\n```console\n$ echo $X $PWD\n1 /\n```\n", None),
                        ("```console\n$ seq 9\n1\n...\n8\n9\n```\n", None), ("```sh\nsleep 9\n```\n", "no answer")):
        path = os.path.join(work, "paper.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(block)
        try:
            paper.run(path, work, env, 2)
            said = None
        except paper.Failed as error:
            said = str(error)
        check(sees is None and said is None or sees and said and sees in said, "%r: %s" % (block, said))


def test_libos():
    """doc/tutorial-libos.md: a libOS of one's own"""
    do("tutorial-libos.md")
    wrote = paper.files(text(os.path.join(DOC, "tutorial-libos.md")))["mine.c"]
    same(wrote, text(os.path.join(TEMPLATES, "libos", "main.c")), "what exo new libos gives")
    code = [line for line in wrote.splitlines() if line.strip() and not re.fullmatch(r"\s*/\*.*\*/\s*", line)]
    jobs = "\n".join(code).partition("#define ROUNDS")[2].partition("void bare_begin")[0].count("\n")
    check(len(code) - jobs <= 110, "about a hundred lines, without the two jobs: %d" % (len(code) - jobs))


def test_blocks():
    """doc/tutorial-blocks.md: a libOS made of blocks"""
    do("tutorial-blocks.md")
    wrote = paper.files(text(os.path.join(DOC, "tutorial-blocks.md")))["store.c"]
    same(wrote, text(os.path.join(TEMPLATES, "blocks", "main.c")).replace("@NAME@", "store"), "what exo new libos --blocks gives")


def test_lab():
    """doc/lab.md: experiments with policies"""
    if not os.path.isfile(os.path.join(DOC, "lab.md")):
        raise tap.Skip("it is not there")
    do("lab.md")


if __name__ == "__main__":
    tap.main(lambda: shutil.rmtree(work, ignore_errors=True))
