# SPDX-License-Identifier: BSD-2-Clause
"""`copies = N`: one program section as N programs, a CPU each, that share its ports.

The machine inside knows programs only, so a section with copies is written as so many:
NAME, NAME1, NAME2 ... on the CPUs from the section's own on. Copy i of N serves part i + 1
of N of the clients of each TCP and UDP port (see `port` in exo.conf(5)); the kernel's filter
tells their packets apart. All but the first share the network's address with it.
"""

PARTS = (1, 2, 4, 8, 16)


def parse(text):
    if text not in [str(parts) for parts in PARTS]:
        raise ValueError("'%s' is not a number of copies; it is 1, 2, 4, 8 or 16" % text)
    return int(text)


def _part(claim, i, count):
    if claim.count("/") > 1:
        raise ValueError("port %s is a part of a port, which copies cannot share" % claim)
    return "%s/%dof%d" % (claim, i + 1, count)


def expand(section):
    """The sections that one with copies stands for: itself, and the others after it. ValueError: they cannot be."""
    count = section.values.pop("copies", 1)
    found = [section] + [section.twin("%s%d" % (section.name, i)) for i in range(1, count)]
    if count == 1:
        return found
    claims = section.get("port", [])
    if section.get("net") == "device":
        raise ValueError("one program alone can have a device; write net = own")
    if section.get("net", "none") != "none" and not claims:
        raise ValueError("they share the work by the clients of a port, so publish one (-p, or a key port)")
    for i, copy in enumerate(found):
        copy.values["cpu"] = section.get("cpu", 0) + i
        if claims:
            copy.values["port"] = [_part(claim, i, count) for claim in claims]
        if i:
            for key in ("main", "input", "serve"):
                copy.values.pop(key, None)
            if copy.get("net") == "own":
                copy.values["net"] = "share"
    return found
