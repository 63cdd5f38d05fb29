/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extents of a disk: the GUID partition table (UEFI specification, chapter 5), read and written in application space.
 *
 * The table stands twice, at the disk's beginning and at its end, each copy with checksums over its header and over its
 * entries. A change is written to one copy, made stable, and then to the other; the first one is that which is not
 * trusted now, so at each moment at least one copy is whole, and what a reader finds is the table before or after the
 * change, never a mixture, whatever a power cut leaves of the write that it hits.
 *
 * T1 a table that gpt_read has taken has no two extents that overlap, and none outside the usable part
 * T2 what is not understood of an entry (attributes, types) stays as it was
 *
 * The disk's own sectors, which the table counts in, may have 512 or 4096 bytes; an extent can be used when it begins
 * and ends at a block of 4096. Pure: needs a block device and nothing else. Functions return 0 or a negative errno.
 */
#ifndef LIBOS_DISK_GPT_H
#define LIBOS_DISK_GPT_H

#include <errno.h>
#include "libos/fs/device.h"

#define GPT_ENTRIES		128
#define GPT_LABEL_UNITS		36	/* 16-bit units of a label */
#define GPT_LABEL_BYTES		112	/* at most, in UTF-8, and the NUL */
#define GPT_UUID_TEXT		37
#define GPT_ALIGN_BLOCKS	256	/* new extents begin at a multiple of 1 MiB */

/* An entry as it lies on the disk; little-endian. */
struct gpt_entry {
	uint8_t type[16], uuid[16];	/* type of zeroes: unused */
	uint64_t first, last;		/* sectors */
	uint64_t attributes;
	uint16_t name[GPT_LABEL_UNITS];
};

struct gpt {
	uint32_t sector_bytes;
	uint32_t entries;		/* at most GPT_ENTRIES; each table has its own number */
	uint64_t sectors;		/* of the disk */
	uint64_t usable_first, usable_last;
	uint64_t at[2], entries_at[2];	/* sectors of the headers and of the entries: 0 at the beginning, 1 at the end */
	bool good[2];			/* that copy is whole */
	bool same;			/* both are, and say the same */
	uint8_t uuid[16];		/* the disk's */
	const char *why;		/* of the last error: a sentence, or NULL */
	struct gpt_entry entry[GPT_ENTRIES];
};

struct gpt_extent {
	unsigned number;		/* of the entry, from 0 */
	uint32_t block, count;		/* of 4096 bytes; count 0: it does not begin or end at a block */
	uint8_t type[16], uuid[16];
	char label[GPT_LABEL_BYTES];
};

/* A file system of Linux; what has no type of its own; our own file system. */
extern const uint8_t gpt_type_linux[16], gpt_type_cofs[16];

/*
 * Read the table: the first copy if it is whole, else the second. -ENODATA: there is none; -EBADMSG: both are damaged, or
 * its entries contradict each other; -EOPNOTSUPP: of a shape that this does not know; -EIO; -ENOMEM.
 */
int gpt_read(struct block_device *device, struct gpt *gpt);
/* Lay out an empty table for a disk, with that UUID; nothing is written. -ENOSPC: the disk is too small. */
int gpt_make(const struct block_device *device, struct gpt *gpt, const uint8_t uuid[16]);
/*
 * Write it, both copies, in the order above; with the mark for old systems (the protective MBR) if there is none. An
 * error from the first copy leaves the table as it was; after one from the second, read it again.
 */
int gpt_write(struct block_device *device, struct gpt *gpt);

/* The extents, by entry: true, and *number is where to go on (0 at first). */
bool gpt_next(const struct gpt *gpt, unsigned *number, struct gpt_extent *extent);
/* By label, or by UUID as gpt_uuid_text writes it. -ENOENT; -EEXIST: several have that label. */
int gpt_find(const struct gpt *gpt, const char *name, struct gpt_extent *extent);
/*
 * Take the first free place with room. -EINVAL: an empty label or no blocks; -EEXIST: the label is taken; -ENAMETOOLONG:
 * more than GPT_LABEL_UNITS, -EILSEQ: it is not UTF-8; -ENFILE: no entry is free; -ENOSPC: there is no such run of blocks.
 * On success *extent (may be NULL) is it.
 */
int gpt_add(struct gpt *gpt, const char *label, uint32_t blocks, const uint8_t type[16], const uint8_t uuid[16],
    struct gpt_extent *extent);
void gpt_remove(struct gpt *gpt, unsigned number);
/* Blocks of the longest run that gpt_add could take now. */
uint32_t gpt_room(const struct gpt *gpt);

/* 8-4-4-4-12 hexadecimal digits. */
void gpt_uuid_text(const uint8_t uuid[16], char text[GPT_UUID_TEXT]);

#endif
