/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing partition tables. See gpt.h. What the entries mean is in gpt_extent.c.
 *
 * No number from the disk is used before it was compared with what it may be; a checksum says that nothing was damaged,
 * not that nobody lies. Bytes are read and written by whole blocks of 4096, several sectors at a time: sectors beside
 * those that are meant keep their contents, and belong to no extent that can be used.
 */
#include <string.h>
#include "libos/disk/gpt_parts.h"

#define HEADER_BYTES	92
#define REVISION	0x00010000
#define SPAN_BLOCKS	5	/* that GPT_ENTRIES entries can touch */

static const char signature[8] = { 'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T' };

/* The header as it lies on the disk; little-endian. */
struct header {
	char signature[8];
	uint32_t revision, bytes, sum, zero;
	uint64_t at, other, usable_first, usable_last;
	uint8_t uuid[16];
	uint64_t entries_at;
	uint32_t entries, entry_bytes, entries_sum;
};
_Static_assert(offsetof(struct header, entries_sum) == HEADER_BYTES - 4, "no padding");
_Static_assert(sizeof(struct gpt_entry) == GPT_ENTRY_BYTES, "no padding");

/* CRC-32 of IEEE 802.3, four bits at a time. */
static uint32_t sum_of(const void *memory, size_t bytes)
{
	static const uint32_t table[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = memory;
	uint32_t sum = UINT32_MAX;

	while (bytes--) {
		sum ^= *p++;
		sum = sum >> 4 ^ table[sum & 15];
		sum = sum >> 4 ^ table[sum & 15];
	}
	return ~sum;
}

static int transfer(struct block_device *device, unsigned operation, uint32_t block, uint32_t count, void *memory)
{
	struct block_request request = { .operation = (uint8_t)operation, .block = block, .count = count };

	if (count) {
		request.parts = 1;
		request.part[0].memory = memory;
		request.part[0].blocks = count;
	}
	block_submit(device, &request);
	return block_wait(device, &request);
}

/* A run of bytes of the disk, in the blocks that hold it. */
struct span {
	uint32_t block, count;
	uint8_t *bytes;		/* the first that is meant */
};

static int span_read(struct block_device *device, uint8_t *memory, uint64_t at, size_t bytes, struct span *span)
{
	span->block = (uint32_t)(at / BLOCK_BYTES);
	span->count = (uint32_t)((at + bytes + BLOCK_BYTES - 1) / BLOCK_BYTES - span->block);
	span->bytes = memory + at % BLOCK_BYTES;
	return transfer(device, BLOCK_READ, span->block, span->count, memory);
}

static int span_write(struct block_device *device, uint8_t *memory, const struct span *span)
{
	return transfer(device, BLOCK_WRITE, span->block, span->count, memory);
}

/* Whether a header is one, whole, at its place; 0, or an errno. */
static int header_check(const struct header *h, uint64_t at, uint32_t sector, uint64_t sectors)
{
	uint8_t copy[BLOCK_BYTES];
	struct header *zeroed = (struct header *)copy;

	if (memcmp(h->signature, signature, sizeof(signature)))
		return -ENODATA;
	if (h->bytes < HEADER_BYTES || h->bytes > sector)
		return -EBADMSG;
	memcpy(copy, h, h->bytes);
	zeroed->sum = 0;
	if (sum_of(copy, h->bytes) != h->sum || h->at != at)
		return -EBADMSG;
	if (h->revision >> 16 != REVISION >> 16 || h->entry_bytes != GPT_ENTRY_BYTES || !h->entries || h->entries > GPT_ENTRIES)
		return -EOPNOTSUPP;
	uint64_t span = (h->entries * GPT_ENTRY_BYTES + sector - 1) / sector;
	bool first = at < h->usable_first;
	if (h->usable_first > h->usable_last || h->usable_last >= sectors || h->entries_at >= sectors ||
	    span > sectors - h->entries_at ||
	    (first ? h->entries_at <= at || h->entries_at + span > h->usable_first || h->other <= h->usable_last :
	     h->entries_at <= h->usable_last || h->entries_at + span > at || h->other >= h->usable_first))
		return -EBADMSG;
	return 0;
}

/* Take one copy into *gpt, if it is whole. */
static int copy_read(struct block_device *device, uint8_t *memory, uint64_t at, uint32_t sector, unsigned which,
    struct gpt *gpt, uint64_t *other)
{
	uint64_t sectors = (uint64_t)device->blocks * BLOCK_BYTES / sector;
	struct header h;
	struct span span;
	int error = at < sectors ? span_read(device, memory, at * sector, sector, &span) : -ENODATA;

	if (error)
		return error;
	error = header_check((const struct header *)span.bytes, at, sector, sectors);
	if (error)
		return error;
	memcpy(&h, span.bytes, HEADER_BYTES);
	if ((at < h.usable_first) != !which)
		return -EBADMSG;
	size_t bytes = h.entries * GPT_ENTRY_BYTES;
	error = span_read(device, memory, h.entries_at * sector, bytes, &span);
	if (error)
		return error;
	if (sum_of(span.bytes, bytes) != h.entries_sum)
		return -EBADMSG;
	memset(gpt, 0, sizeof(*gpt));
	gpt->sector_bytes = sector;
	gpt->sectors = sectors;
	gpt->entries = h.entries;
	gpt->usable_first = h.usable_first;
	gpt->usable_last = h.usable_last;
	gpt->at[which] = at;
	gpt->entries_at[which] = h.entries_at;
	gpt->at[!which] = *other = h.other;
	memcpy(gpt->uuid, h.uuid, sizeof(gpt->uuid));
	memcpy(gpt->entry, span.bytes, bytes);
	return 0;
}

/* Where the copy goes that is not whole: at the disk's edge. */
static void place_other(struct gpt *gpt, unsigned which)
{
	uint64_t span = (gpt->entries * GPT_ENTRY_BYTES + gpt->sector_bytes - 1) / gpt->sector_bytes;

	gpt->at[which] = which ? gpt->sectors - 1 : 1;
	gpt->entries_at[which] = which ? gpt->sectors - 1 - span : 2;
}

static bool same_table(const struct gpt *a, const struct gpt *b)
{
	return a->entries == b->entries && a->usable_first == b->usable_first && a->usable_last == b->usable_last &&
	    !memcmp(a->uuid, b->uuid, sizeof(a->uuid)) && !memcmp(a->entry, b->entry, a->entries * GPT_ENTRY_BYTES);
}

/* The error that says more. */
static int worse(int a, int b)
{
	return a == -ENODATA ? b : b == -ENODATA || a == -EIO ? a : b == -EIO ? b : a;
}

/* Both copies, by one size of sectors. */
static int read_by(struct block_device *device, struct gpt *gpt, struct gpt *spare, uint8_t *memory, uint32_t sector)
{
	uint64_t last = (uint64_t)device->blocks * BLOCK_BYTES / sector - 1, other;
	int first = copy_read(device, memory, 1, sector, 0, gpt, &other), second;

	if (first) {
		second = copy_read(device, memory, last, sector, 1, gpt, &other);
		if (second)
			return worse(first, second);
		gpt->good[1] = true;
		place_other(gpt, 0);
		return gpt->entries_at[0] + (gpt->entries * GPT_ENTRY_BYTES + sector - 1) / sector > gpt->usable_first ?
		    -EBADMSG : 0;
	}
	second = copy_read(device, memory, other, sector, 1, spare, &other);
	gpt->good[0] = true;
	gpt->good[1] = !second && spare->usable_last == gpt->usable_last;
	gpt->same = gpt->good[1] && same_table(gpt, spare);
	if (gpt->good[1]) {
		gpt->at[1] = spare->at[1];
		gpt->entries_at[1] = spare->entries_at[1];
	} else {
		place_other(gpt, 1);
		if (gpt->entries_at[1] <= gpt->usable_last)
			return -EBADMSG;
	}
	return 0;
}

static const char *sentence(int error)
{
	return error == -ENODATA ? "there is no partition table (GPT)" :
	    error == -EOPNOTSUPP ? "the partition table (GPT) has a shape that is not known here" :
	    error == -EBADMSG ? "both copies of the partition table (GPT) are damaged" :
	    error == -ENOMEM ? "no memory to read the partition table" : "the disk cannot be read";
}

int gpt_read(struct block_device *device, struct gpt *gpt)
{
	uint32_t spare_pages = (sizeof(struct gpt) + BLOCK_BYTES - 1) / BLOCK_BYTES;
	uint8_t *memory = device->blocks > SPAN_BLOCKS ? block_memory(device, SPAN_BLOCKS + spare_pages) : NULL;
	int error = -ENODATA;

	if (!memory) {
		gpt->why = sentence(device->blocks > SPAN_BLOCKS ? -ENOMEM : -ENODATA);
		return device->blocks > SPAN_BLOCKS ? -ENOMEM : -ENODATA;
	}
	for (uint32_t sector = 512; error && sector <= BLOCK_BYTES; sector *= 8) {
		int found = read_by(device, gpt, (struct gpt *)(memory + SPAN_BLOCKS * BLOCK_BYTES), memory, sector);
		error = found ? worse(error, found) : 0;
	}
	block_memory_free(device, memory, SPAN_BLOCKS + spare_pages);
	gpt->why = error ? sentence(error) : gpt_contradiction(gpt);
	return !error && gpt->why ? -EBADMSG : error;
}

static int copy_write(struct block_device *device, uint8_t *memory, const struct gpt *gpt, unsigned which)
{
	size_t bytes = gpt->entries * GPT_ENTRY_BYTES;
	struct header h = {
		.revision = REVISION, .bytes = HEADER_BYTES, .at = gpt->at[which], .other = gpt->at[!which],
		.usable_first = gpt->usable_first, .usable_last = gpt->usable_last, .entries_at = gpt->entries_at[which],
		.entries = gpt->entries, .entry_bytes = GPT_ENTRY_BYTES, .entries_sum = sum_of(gpt->entry, bytes),
	};
	struct span span;
	int error = span_read(device, memory, h.entries_at * gpt->sector_bytes, bytes, &span);

	memcpy(h.signature, signature, sizeof(signature));
	memcpy(h.uuid, gpt->uuid, sizeof(h.uuid));
	h.sum = sum_of(&h, HEADER_BYTES);
	if (error)
		return error;
	memcpy(span.bytes, gpt->entry, bytes);
	error = span_write(device, memory, &span);
	if (!error)
		error = span_read(device, memory, h.at * gpt->sector_bytes, gpt->sector_bytes, &span);
	if (error)
		return error;
	memset(span.bytes, 0, gpt->sector_bytes);
	memcpy(span.bytes, &h, HEADER_BYTES);
	error = span_write(device, memory, &span);
	return error ? error : transfer(device, BLOCK_FLUSH, 0, 0, NULL);
}

/* Sector 0 tells systems that know no GPT that the whole disk is taken. */
static int mark(struct block_device *device, uint8_t *memory, const struct gpt *gpt)
{
	static const uint8_t start[] = { 0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00, 0x00 };
	uint32_t sectors = gpt->sectors - 1 < UINT32_MAX ? (uint32_t)(gpt->sectors - 1) : UINT32_MAX;
	struct span span;
	int error = span_read(device, memory, 0, 512, &span);

	if (error || (memory[510] == 0x55 && memory[511] == 0xaa))
		return error;
	memset(memory + 446, 0, 64);
	memcpy(memory + 446, start, sizeof(start));
	memcpy(memory + 458, &sectors, sizeof(sectors));
	memory[510] = 0x55;
	memory[511] = 0xaa;
	return span_write(device, memory, &span);
}

int gpt_write(struct block_device *device, struct gpt *gpt)
{
	unsigned first = gpt->good[0] || !gpt->good[1] ? 1 : 0;
	uint8_t *memory = block_memory(device, SPAN_BLOCKS);
	int error;

	gpt->why = memory ? gpt_contradiction(gpt) : sentence(-ENOMEM);
	if (!memory || gpt->why) {
		if (memory)
			block_memory_free(device, memory, SPAN_BLOCKS);
		return memory ? -EBADMSG : -ENOMEM;
	}
	gpt->same = gpt->good[first] = false;
	error = copy_write(device, memory, gpt, first);
	if (!error) {
		gpt->good[first] = true;
		gpt->good[!first] = false;
		error = mark(device, memory, gpt);
	}
	if (!error)
		error = copy_write(device, memory, gpt, !first);
	gpt->same = gpt->good[!first] = !error;
	block_memory_free(device, memory, SPAN_BLOCKS);
	if (error)
		gpt->why = "the partition table cannot be written";
	return error;
}

int gpt_make(const struct block_device *device, struct gpt *gpt, const uint8_t uuid[16])
{
	memset(gpt, 0, sizeof(*gpt));
	gpt->sector_bytes = 512;
	gpt->entries = GPT_ENTRIES;
	gpt->sectors = (uint64_t)device->blocks * (BLOCK_BYTES / 512);
	if (device->blocks < 2 * GPT_ALIGN_BLOCKS + SPAN_BLOCKS) {
		gpt->why = "the disk is too small for a partition table and one extent";
		return -ENOSPC;
	}
	place_other(gpt, 0);
	place_other(gpt, 1);
	gpt->usable_first = GPT_ALIGN_BLOCKS * (BLOCK_BYTES / 512);
	gpt->usable_last = gpt->entries_at[1] - 1;
	memcpy(gpt->uuid, uuid, sizeof(gpt->uuid));
	return 0;
}
