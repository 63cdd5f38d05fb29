# SPDX-License-Identifier: BSD-2-Clause
"""Logs of a disk's writes, as `exo run --disk FILE,log=LOG` keeps them (dm-log-writes' format), and what a power cut leaves."""

import struct

MAGIC = 0x6a736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


class Entry:
    """One write, flush or discard: at and count are bytes; data is empty but for a write."""

    def __init__(self, at, count, flags, data):
        self.at, self.count, self.flags, self.data = at, count, flags, data


def read(path):
    """The entries of a log, in their order."""
    entries = []
    with open(path, "rb") as file:
        magic, unused, total, sector = struct.unpack("<QQQI", file.read(28))
        if magic != MAGIC:
            raise ValueError("%s is no log of writes" % path)
        place = sector
        for unused in range(total):
            file.seek(place)
            at, count, flags, length = struct.unpack("<QQQQ", file.read(32))
            place += sector
            file.seek(place)
            data = b"" if flags & DISCARD else file.read(count * 512)
            place += -(-len(data) // sector) * sector
            entries.append(Entry(at * 512, count * 512, flags, data))
    return entries


def apply(image, entries):
    """Write entries over an image, a bytearray."""
    for entry in entries:
        if entry.data:
            image[entry.at:entry.at + len(entry.data)] = entry.data


def states(image, entries, chance):
    """What power cuts may leave: (number of entries, image) for each cut. `image` is what was there before the first entry.

    At each entry: all before the last flush, and of those after it none, all, some, and the last one torn at 512 bytes.
    """
    stable = bytearray(image)
    waiting = []
    for number, entry in enumerate(entries):
        if entry.flags & FLUSH:
            apply(stable, waiting)
            waiting = []
        if entry.data:
            waiting.append(entry)
        for how in range(4):
            state = bytearray(stable)
            if how == 1:
                apply(state, waiting)
            elif how == 2:
                apply(state, [e for e in waiting if chance.random() < 0.5])
            elif how == 3 and waiting:
                apply(state, waiting[:-1])
                torn = waiting[-1]
                for at in range(0, len(torn.data), 512):
                    if chance.random() < 0.5:
                        state[torn.at + at:torn.at + at + 512] = torn.data[at:at + 512]
            yield number, state
        if entry.flags & FUA and entry.data:
            apply(stable, [entry])
