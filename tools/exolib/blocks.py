# SPDX-License-Identifier: BSD-2-Clause
"""Which blocks of Exo's libraries a program has in it, read from the program's own symbols.

The build writes which functions each source file of the libraries gives (tools/blocks.tsv,
installed beside the kernel).  A program is linked without the functions that nothing calls,
so a block is in it if one of the functions that only this file gives is in it; how much of it,
its functions' sizes say.  Blocks are told as doc/blocks.md has them: folder and file.
"""

import os

from . import elf


def read_table(path):
    """{source file without its ending: its functions}; empty if there is no such table."""
    found = {}
    try:
        with open(path, encoding="ascii") as file:
            for line in file:
                block, unused, functions = line.rstrip("\n").partition("\t")
                found[block] = functions.split()
    except OSError:
        pass
    return found


def linked(path, table, libos, variants):
    """{block: bytes of its global functions} of a program.

    A function that two files give is the own variant's if one of them is; else it tells nothing.
    """
    own_folder = "libos/%s/" % libos
    others = tuple("libos/%s/" % name for name in variants if name not in (libos, "uni"))
    homes = {}
    for block, functions in table.items():
        if not block.startswith(others):
            for function in functions:
                homes.setdefault(function, set()).add(block)
    inside = {name: size for name, unused, size, wide in elf.functions(path) if wide and size}
    found = {}
    for function in inside.keys() & homes.keys():
        places = {b for b in homes[function] if b.startswith(own_folder)} or homes[function]
        if len(places) == 1:
            block = next(iter(places))
            found[block] = found.get(block, 0) + inside[function]
    return found


def folder(block):
    """`libos/core/frame` is of `core`; all of lwIP is one."""
    parts = block.split("/")
    return "lwip" if "lwip" in parts[:-1] else parts[1] if len(parts) > 2 else parts[0]


def by_folder(found):
    """{folder: (sorted names of its blocks, bytes)}."""
    groups = {}
    for block, size in found.items():
        names, total = groups.get(folder(block), ([], 0))
        groups[folder(block)] = (names + [os.path.basename(block)], total + size)
    return {name: (sorted(set(names)), total) for name, (names, total) in sorted(groups.items())}
