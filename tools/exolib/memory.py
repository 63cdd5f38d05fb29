# SPDX-License-Identifier: BSD-2-Clause
"""The machine's memory as a file, and a recorder's log in it (apps/record/log.h).

The emulator keeps the guest's memory in a file that this program maps, too.  The log leaves
the machine so without a device: a thread copies what is new and says how far it came; what
is left when the machine has ended, however it ended, is copied then, and with it what the
kernel's own rings hold that the recorder has not come to read.
"""

import errno
import mmap
import os
import struct
import threading

from .util import ExoError

MAGIC = b"EXO-RECORDER-1\r\n"
PAGE = 4096
MAX_MEMORY = 2 << 30            # above, the machine's addresses are not the file's offsets
HEAD = struct.Struct("<16sQII4QII")
TAKEN = 48                      # offset of `taken`
RUN = struct.Struct("<II")
PATIENT = struct.Struct("<IIQII")
PATIENTS_MAX = 56
RUNS_MAX = 256
ENTRY = struct.Struct("<QII6Q")
RING = struct.Struct("<IIQQII")
RING_HEAD_BYTES = 64
LOOK_SECONDS = 0.02


class Memory:
    """The file, made before the emulator starts."""

    def __init__(self, path, size):
        if size > MAX_MEMORY:
            raise ExoError("memory", "a machine that is recorded has at most 2 GiB", "give it less with -m")
        self.path, self.size = path, size
        try:
            with open(path, "wb") as file:
                file.truncate(size)
            self.file = os.open(path, os.O_RDWR)
            self.map = mmap.mmap(self.file, size)
        except OSError as error:
            raise ExoError(path, "cannot hold the machine's memory: %s" % error.strerror, "set TMPDIR") from None

    def close(self):
        self.map.close()
        os.close(self.file)

    def written(self):
        """(start, end) of the parts that somebody has written to."""
        at = 0
        while at < self.size:
            try:
                start = os.lseek(self.file, at, os.SEEK_DATA)
                at = os.lseek(self.file, start, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    yield at, self.size         # this file system does not tell
                return
            yield start, at

    def find(self):
        """Where the log's head is; None: nowhere yet."""
        for start, end in self.written():
            at = self.map.find(MAGIC, start, end)
            while at >= 0:
                if at % PAGE == 0 and HEAD.unpack_from(self.map, at)[1] == at // PAGE:
                    return at
                at = self.map.find(MAGIC, at + 1, end)
        return None


class Log:
    """Copies the log to a file of this computer's while the machine runs."""

    def __init__(self, memory, spool):
        self.memory, self.at, self.taken, self.lost = memory, None, 0, 0
        self.spool = open(spool, "w+b")
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.follow, daemon=True)

    def start(self):
        self.thread.start()

    def follow(self):
        while not self.stop.wait(LOOK_SECONDS):
            self.take()

    def finish(self):
        """After the machine's end: all that is left."""
        self.stop.set()
        if self.thread.ident:
            self.thread.join()
        self.take()
        if self.at is not None:
            self.take_rings()
        self.spool.flush()

    def take(self):
        memory = self.memory.map
        if self.at is None:
            self.at = self.memory.find()
            if self.at is None:
                return
        head = HEAD.unpack_from(memory, self.at)
        room, written, self.lost, runs = head[4], head[5], head[7], min(head[8], RUNS_MAX)
        places = [RUN.unpack_from(memory, self.at + HEAD.size + i * RUN.size) for i in range(runs)]
        if not room or head[3] != ENTRY.size or written - self.taken > room:
            return
        while self.taken < written:
            at, count = self.stretch(places, self.taken % room)
            count = min(count, written - self.taken)
            self.spool.write(memory[at:at + count * ENTRY.size])
            self.taken += count
        struct.pack_into("<Q", memory, self.at + TAKEN, self.taken)

    def stretch(self, places, entry):
        """Where an entry lies, and how many lie there in a row."""
        for first, frames in places:
            entries = frames * PAGE // ENTRY.size
            if entry < entries:
                return first * PAGE + entry * ENTRY.size, entries - entry
            entry -= entries
        raise ExoError("the recorder's log", "does not fit together")

    def take_rings(self):
        """Records that the kernel has written and the recorder has not read."""
        memory = self.memory.map
        place = self.at + HEAD.size + RUNS_MAX * RUN.size
        for index in range(PATIENTS_MAX):
            first, frames, shown, number, unused = PATIENT.unpack_from(memory, place + index * PATIENT.size)
            at = first * PAGE
            if not frames or at + frames * PAGE > self.memory.size:
                continue
            version, size, unused, head, records, unused = RING.unpack_from(memory, at)
            if version != 1 or size != ENTRY.size or records != frames * PAGE // ENTRY.size - 1 or head <= shown:
                continue
            if head - shown >= records:
                self.put(number, 101, head - shown - records + 1)
                shown = head - records + 1
            for i in range(shown, head):
                words = list(ENTRY.unpack_from(memory, at + RING_HEAD_BYTES + i % records * ENTRY.size))
                words[1] |= number << 16
                self.spool.write(ENTRY.pack(*words))

    def put(self, patient, kind, word):
        self.spool.write(ENTRY.pack(0, patient << 16 | kind, 0, word, 0, 0, 0, 0, 0))

    def entries(self):
        """All of them, each (time, patient, kind, number, six words)."""
        self.spool.seek(0)
        while True:
            block = self.spool.read(ENTRY.size * 4096)
            if not block:
                return
            for words in ENTRY.iter_unpack(block[:len(block) // ENTRY.size * ENTRY.size]):
                yield words[0], words[1] >> 16, words[1] & 0xffff, words[2], words[3:]
