/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device in the memory of this computer that remembers, fails and forgets on purpose.
 *
 * Pages are shared between disks and copied on the first write, so a disk as it was at some moment costs a table of
 * pointers. While `log` is on, each write and flush is an entry, and hostdisk_state() makes the disk that a power cut
 * would have left: the first entries up to the last flush, and a choice of those behind it. Requests end at once, or,
 * with `lazy` set, when somebody waits or polls: a flush then covers only the writes that had *ended* before it was
 * submitted, as on a real disk. Writes take their data when they are submitted (changing a page under way is found: its
 * checksum is compared when the request ends). Faults: by the number of the operation, once or from there on.
 */
#ifndef TEST_LIB_HOSTDISK_H
#define TEST_LIB_HOSTDISK_H

#include "libos/fs/device.h"

#define HOSTDISK_SECTOR	512

/* Not 0: what is allocated now is for the tests themselves, and must not fail (test/unit/fs_kth.c). */
extern unsigned hostdisk_own;
/* Asked at each block_memory(): true, and there is none. */
extern bool (*hostdisk_no_memory)(void);

struct hostpage {
	uint32_t users;
	uint8_t bytes[BLOCK_BYTES];
};

enum hostdisk_what { HOSTDISK_WRITE, HOSTDISK_FLUSH };

/* One block written, or a flush. A request of several blocks is several entries with one `request` number. */
struct hostdisk_entry {
	uint8_t what;
	bool fua;
	uint32_t block;
	uint32_t request;
	uint32_t covers;	/* of a flush: entries there were when it was submitted */
	struct hostpage *page;	/* NULL: zeroes, or a flush */
};

struct hostdisk {
	struct block_device device;	/* the first member */
	struct hostpage **pages;	/* NULL: zeroes */
	/* What the user sets. */
	bool log, lazy;
	uint64_t fail_at;	/* the first operation that fails, counted from 1; 0: none */
	bool fail_for_good;	/* and all behind it */
	unsigned fail_what;	/* bits 1 << enum block_operation; 0: any */
	uint64_t memory_fail_at;	/* the same for block_memory() */
	/* What there was. */
	uint64_t operations;	/* requests of the kinds that fail_what names */
	uint64_t failed;
	uint64_t allocations;
	uint64_t unstable;	/* writes whose data changed on the way */
	uint32_t requests, waiting;
	struct hostdisk_entry *entries;
	uint32_t entry_count, entry_max;
	struct block_request *first, **last;	/* pending, in order */
	uint64_t memory_pages;	/* given out by block_memory() and not given back */
};

/* A disk of zeroes / with the same contents as another, without its log and faults. They exit when memory is out. */
struct hostdisk *hostdisk_make(uint32_t blocks);
struct hostdisk *hostdisk_copy(const struct hostdisk *disk);
void hostdisk_end(struct hostdisk *disk);	/* block_device_ops.close does the same */

/* A file as a disk (its length is rounded down to blocks), and back. NULL, false: errno says why. */
struct hostdisk *hostdisk_load(const char *path);
bool hostdisk_save(const struct hostdisk *disk, const char *path);

void hostdisk_peek(const struct hostdisk *disk, uint32_t block, void *bytes);
void hostdisk_poke(struct hostdisk *disk, uint32_t block, const void *bytes);

/* Forget the log. */
void hostdisk_log_clear(struct hostdisk *disk);

/*
 * Which entries a power cut leaves. `base` is the disk when the log began, `cut` how many entries there had been. A flush
 * in front of the cut keeps what had ended before it was submitted, FUA keeps itself; of the others `keep` decides: it is
 * called with each, and says how many of its 512-byte sectors (0..8, of the first `front` ones) reach the disk.
 */
typedef unsigned hostdisk_keep(void *arg, const struct hostdisk_entry *entry, uint32_t number);
struct hostdisk *hostdisk_state(const struct hostdisk *base, const struct hostdisk *logged, uint32_t cut,
    hostdisk_keep *keep, void *arg);

/* Is entry `number` stable at the cut whatever happens? */
bool hostdisk_stable(const struct hostdisk *logged, uint32_t number, uint32_t cut);

#endif
