# SPDX-License-Identifier: BSD-2-Clause
"""doc/blocks.md beside what the libraries are: blocks.py SRCDIR BUILDDIR [--write]

A row of the table is a block: source files of a folder, those named in its first cell and those whose names begin like
one of them (ext2_alloc.c belongs to ext2.c). It needs another block if one of its objects uses a function or variable
that only the other's objects define, or if one of its files includes the other's header, and that is in the cell `needs`: the
other's first name, for each. The blocks of BASE are in every program and are needed by all; they are not told.

Without --write: each difference is a line, and the exit status 1. With it: the cells are written anew (words in parentheses
behind a name, and words that name no block, stay).
"""
import os
import pathlib
import re
import subprocess
import sys

FOLDERS = ("core", "disk", "vm", "sched", "dev", "fs", "net", "conn")
BASE = ("stub.h", "core.h", "console.c")
HEAD = re.compile(r"^## (.*)$")
NAME = re.compile(r"`([a-z_0-9/]+\.[chS])`")


class Block:
    """One row: its names, its files, and what it needs as the paper has it."""

    def __init__(self, line, number, folders):
        cells = line.strip().strip("|").split(" | ")
        self.line, self.number, self.folders = line, number, folders
        self.cell, self.gives, self.needs = cells[0].strip(), cells[1].strip(), cells[2].strip()
        self.names = NAME.findall(self.cell)
        self.files, self.uses = set(), set()

    def paths(self):
        """The places where its names can be meant."""
        for name in self.names:
            for folder in self.folders:
                yield "libos/" + name if "/" in name else "libos/%s/%s" % (folder, name)


def read(paper):
    """The rows of the paper."""
    blocks, folders = [], ()
    for number, line in enumerate(paper.read_text().splitlines()):
        head = HEAD.match(line)
        if head:
            folders = re.findall(r"libos/(\w+)", head.group(1))
        elif line.startswith("| `"):
            blocks.append(Block(line, number, folders))
    return blocks


def sources(top):
    """Source files of the folders with blocks, as paths below the sources."""
    found = []
    for folder in FOLDERS:
        found += [str(path.relative_to(top)) for path in sorted((top / "libos" / folder).iterdir()) if path.suffix in (".c", ".h", ".S")]
    return found


def share(blocks, files):
    """Give each file to its block; returns those that no row has."""
    stems = {}
    for block in blocks:
        for path in block.paths():
            if path in files:
                stems[os.path.splitext(path)[0]] = block
    left = []
    for path in files:
        stem = os.path.splitext(path)[0]
        while stem not in stems and "_" in os.path.basename(stem):
            stem = stem.rpartition("_")[0]
        if stem in stems:
            stems[stem].files.add(path)
        else:
            left.append(path)
    return left


def symbols(build, files):
    """{source file: (defined, wanted) global names of its object}."""
    found, places = {path: (set(), set()) for path in files}, {}
    for path in files:
        for kind in ("u", "p", "dataplane", "event"):
            place = os.path.join(build, "%s.%s.o" % (os.path.splitext(path)[0], kind))
            if os.path.isfile(place) and path not in places.values():
                places[place] = path
    said = subprocess.run(["nm", "-A", "-g", *places], stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in said.splitlines():
        place, unused, rest = line.partition(":")
        kind, name = rest.split()[-2:]
        if kind != "w":
            found[places[place]][kind == "U"].add(name)
    return found


def find_uses(blocks, top, build):
    """Fill in what each block uses."""
    homes, wanted = {}, {}
    owner = {path: block for block in blocks for path in block.files}
    names = symbols(build, [path for path in owner if not path.endswith(".h")])
    for path, (defined, wants) in names.items():
        block = owner[path]
        wanted.setdefault(block, set()).update(wants)
        for name in defined:
            homes.setdefault(name, set()).add(block)
    for block, names in wanted.items():
        for name in names:
            if len(homes.get(name, ())) == 1:
                block.uses |= homes[name]
    for path, block in owner.items():
        for header in re.findall(r'#\s*include\s+"(libos/[^"]+)"', (top / path).read_text()):
            if header in owner:
                block.uses.add(owner[header])
    base = {other for other in blocks if other.names[0] in BASE}
    for block in blocks:
        block.uses -= base | {block}


def declared(block, blocks):
    """{block: its words in the cell}; what names no block is under None."""
    by_name = {}
    for other in blocks:
        for name in other.names:
            by_name.setdefault(name, []).append(other)
            by_name.setdefault("%s/%s" % (other.folders[0], name), []).append(other)
    found = {}
    for part in re.split(r", (?![^(]*\))", block.needs):
        name = re.match(r"`([a-z_0-9/]+\.[chS])`", part)
        near = [other for other in by_name.get(name.group(1), ()) if set(other.folders) & set(block.folders)] if name else []
        others = near or (by_name.get(name.group(1), []) if name else [])
        found.setdefault(others[0] if others else None, []).append(part)
    return found


def title(block, other):
    """How a block is called in another's cell."""
    name = other.names[0]
    return "`%s`" % (name if "/" in name or set(block.folders) & set(other.folders) else
                     name if other.folders[0] == "core" else "%s/%s" % (other.folders[0], name))


def cell(block, told):
    """The cell as it should be."""
    order = sorted(block.uses, key=lambda other: other.number)
    parts = [told[other][0] if other in told else title(block, other) for other in order]
    parts += [part for part in told.get(None, ()) if part != "nothing"]
    return ", ".join(parts) or "nothing"


def main():
    top, build, write = pathlib.Path(sys.argv[1]), sys.argv[2], "--write" in sys.argv
    paper = top / "doc/blocks.md"
    blocks = read(paper)
    wrong = ["%s is in no row" % path for path in share(blocks, sources(top))]
    find_uses(blocks, top, build)
    lines = paper.read_text().splitlines()
    for block in blocks:
        if not block.files:
            wrong.append("%s: no such file" % block.cell)
        told = declared(block, blocks)
        for other in sorted(block.uses - set(told), key=lambda other: other.number):
            wrong.append("%s needs %s, which its row does not say" % (block.names[0], other.names[0]))
        for other in set(told) - block.uses - {None}:
            wrong.append("%s does not need %s, which its row says" % (block.names[0], other.names[0]))
        cells = lines[block.number].strip("| ").split(" | ")
        lines[block.number] = "| %s |" % " | ".join(cells[:2] + [cell(block, told)] + cells[3:])
    if write:
        paper.write_text("\n".join(lines) + "\n")
    print("\n".join(wrong) if wrong else "%d blocks are as the paper says" % len(blocks))
    sys.exit(1 if wrong and not write else 0)


main()
