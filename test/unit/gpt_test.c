/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partition tables: what is taken and what is refused; and the power cut at each sector of each write of an update, with
 * each order in which a disk with a cache may have kept what was not flushed, and again inside the update after that.
 *
 * The disk is an array; a write goes to a log of sectors until a flush puts it on the array. A cut is a choice of
 * sectors from the log. Only the first and the last EDGE blocks are there: nobody touches the others.
 */
#include <stdlib.h>
#include "libos/disk/gpt.h"
#include "test/unit/tap.h"

#define SECTOR		512
#define PER_BLOCK	(BLOCK_BYTES / SECTOR)
#define LOG_MAX		1024
#define EDGE		8
#define KEPT		((size_t)2 * EDGE * BLOCK_BYTES)

struct logged {
	uint64_t sector;
	uint8_t bytes[SECTOR];
};

struct disk {
	struct block_device device;
	uint8_t *stable;	/* what a cut leaves for certain */
	uint8_t *now;		/* what reads see */
	struct logged log[LOG_MAX];
	unsigned logged;
	unsigned sectors_left;	/* until the cut; the write that meets it ends there */
	bool cut;
	int fail_block;		/* -1: none */
};

static void disk_submit(struct block_device *device, struct block_request *r)
{
	struct disk *disk = (struct disk *)device;

	r->result = 0;
	if (r->operation == BLOCK_FLUSH) {
		if (!disk->cut) {
			memcpy(disk->stable, disk->now, KEPT);
			disk->logged = 0;
		}
		return;
	}
	if (r->block + r->count > device->blocks || r->count > 64 || !r->count) {
		r->result = -EINVAL;
		return;
	}
	if (disk->fail_block >= (int)r->block && disk->fail_block < (int)(r->block + r->count)) {
		r->result = -EIO;
		return;
	}
	if (r->block + r->count > EDGE && r->block < device->blocks - EDGE) {
		r->result = -EDOM;
		return;
	}
	uint32_t kept = r->block < EDGE ? r->block : r->block - device->blocks + 2 * EDGE;
	uint8_t *at = disk->now + (size_t)kept * BLOCK_BYTES;
	if (r->operation == BLOCK_READ) {
		memcpy(r->part[0].memory, at, (size_t)r->count * BLOCK_BYTES);
		return;
	}
	for (uint32_t i = 0; i < r->count * PER_BLOCK && !disk->cut; i++) {
		const uint8_t *bytes = (uint8_t *)r->part[0].memory + i * SECTOR;
		if (!disk->sectors_left--) {
			disk->cut = true;
			break;
		}
		struct logged *l = &disk->log[disk->logged++];
		l->sector = (uint64_t)kept * PER_BLOCK + i;
		memcpy(l->bytes, bytes, SECTOR);
		memcpy(at + i * SECTOR, bytes, SECTOR);
	}
}

static void disk_wait(struct block_device *device, struct block_request *request)
{
	(void)device;
	request->pending = false;
}

static void *disk_memory(struct block_device *device, uint32_t pages)
{
	void *memory = aligned_alloc(BLOCK_BYTES, (size_t)pages * BLOCK_BYTES);

	(void)device;
	memset(memory, 0, (size_t)pages * BLOCK_BYTES);
	return memory;
}

static void disk_memory_free(struct block_device *device, void *memory, uint32_t pages)
{
	(void)device;
	(void)pages;
	free(memory);
}

static const struct block_device_ops ops = {
	.submit = disk_submit, .wait = disk_wait, .memory = disk_memory, .memory_free = disk_memory_free,
};

static struct disk *disk_make(uint32_t blocks)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	disk->device.ops = &ops;
	disk->device.blocks = blocks;
	disk->stable = calloc(1, KEPT);
	disk->now = calloc(1, KEPT);
	disk->sectors_left = UINT32_MAX;
	disk->fail_block = -1;
	return disk;
}

static void disk_end(struct disk *disk)
{
	free(disk->stable);
	free(disk->now);
	free(disk);
}

/* Power comes back: what is on the disk is `bytes`. */
static void disk_restart(struct disk *disk, const uint8_t *bytes)
{
	size_t all = KEPT;

	memcpy(disk->stable, bytes, all);
	memcpy(disk->now, bytes, all);
	disk->logged = 0;
	disk->cut = false;
	disk->sectors_left = UINT32_MAX;
}

static const uint8_t disk_uuid[16] = { 1, 2, 3, 4, 5 };

static int add(struct gpt *gpt, const char *label, uint32_t blocks)
{
	uint8_t uuid[16] = { 0 };

	for (unsigned i = 0; i < 16; i++)
		uuid[i] = (uint8_t)(rand() >> 7);
	return gpt_add(gpt, label, blocks, gpt_type_linux, uuid, NULL);
}

static struct disk *disk_with(struct gpt *gpt, uint32_t blocks)
{
	struct disk *disk = disk_make(blocks);

	gpt_make(&disk->device, gpt, disk_uuid);
	add(gpt, "alpha", 512);
	add(gpt, "beta", 256);
	gpt_write(&disk->device, gpt);
	return disk;
}

static bool same(const struct gpt *a, const struct gpt *b)
{
	return a->entries == b->entries && !memcmp(a->entry, b->entry, sizeof(a->entry)) && !memcmp(a->uuid, b->uuid, 16);
}

/* --- what is on it --------------------------------------------------------------------------------------- */

static void test_use(void)
{
	static struct gpt gpt, back;
	struct disk *disk = disk_with(&gpt, 4096);
	struct gpt_extent extent;
	char text[GPT_UUID_TEXT];
	unsigned number = 0;

	is_int(gpt_read(&disk->device, &back), 0, "a table is read back");
	ok(same(&gpt, &back) && back.good[0] && back.good[1] && back.same, "as it was written, twice");
	ok(gpt_next(&back, &number, &extent) && !strcmp(extent.label, "alpha") && extent.block == 256 && extent.count == 512,
	   "the first extent");
	gpt_uuid_text(extent.uuid, text);
	ok(!gpt_find(&back, text, &extent) && !strcmp(extent.label, "alpha"), "found by UUID");
	for (char *p = text; *p; p++)
		*p = *p >= 'a' && *p <= 'f' ? (char)(*p - 32) : *p;
	ok(!gpt_find(&back, text, &extent) && !strcmp(extent.label, "alpha"), "in capitals, too");
	ok(!gpt_find(&back, "beta", &extent) && extent.block == 768 && extent.count == 256, "found by label");
	is_int(gpt_find(&back, "gamma", &extent), -ENOENT, "one that is not there");
	is_int(add(&back, "beta", 1), -EEXIST, "a label that is taken");
	is_int(add(&back, "", 1), -EINVAL, "no label");
	is_int(add(&back, "x", 0), -EINVAL, "no blocks");
	is_int(add(&back, "abcdefghijklmnopqrstuvwxyz0123456789x", 1), -ENAMETOOLONG, "a label of 37 letters");
	is_int(add(&back, "\xc3\x28", 1), -EILSEQ, "a label that is not UTF-8");
	is_int(add(&back, "\xed\xa0\x80", 1), -EILSEQ, "half a character of two units");
	is_int(add(&back, "big", 4096), -ENOSPC, "more blocks than there are");
	is_int(gpt_room(&back), 4096 - 1024 - 5, "the longest run");
	is_int(add(&back, "rest", gpt_room(&back)), 0, "all of it");
	is_int(gpt_room(&back), 0, "nothing is left");
	is_int(add(&back, "more", 1), -ENOSPC, "not for one block");
	gpt_find(&back, "alpha", &extent);
	gpt_remove(&back, extent.number);
	is_int(add(&back, "Gr\xc3\xbc\xc3\x9f" "e \xf0\x9f\x90\xa7", 100), 0, "what was removed is free; a label in UTF-8");
	ok(!gpt_find(&back, "Gr\xc3\xbc\xc3\x9f" "e \xf0\x9f\x90\xa7", &extent) && extent.block == 256 && extent.count == 100,
	   "which is found");
	disk_end(disk);
	disk = disk_make(1 << 20);
	gpt_make(&disk->device, &gpt, disk_uuid);
	for (unsigned i = 0; i < GPT_ENTRIES; i++) {
		char label[8];
		snprintf(label, sizeof(label), "n%u", i);
		if (add(&gpt, label, 1))
			ok(false, "extent %u", i);
	}
	is_int(add(&gpt, "full", 1), -ENFILE, "a full table");
	disk_end(disk);
}

/* --- damage ---------------------------------------------------------------------------------------------- */

/* Make the checksums of copy `which` right again after a change. */
static uint32_t crc(const uint8_t *p, size_t bytes)
{
	uint32_t sum = UINT32_MAX;

	while (bytes--) {
		sum ^= *p++;
		for (int i = 0; i < 8; i++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320 : 0);
	}
	return ~sum;
}

static void reseal(struct disk *disk, unsigned which)
{
	uint8_t *h = disk->now + (which ? KEPT - SECTOR : SECTOR);
	uint64_t at;
	uint32_t sum;

	memcpy(&at, h + 72, 8);
	if (at == (which ? disk->device.blocks * PER_BLOCK - 33 : 2)) {
		sum = crc(disk->now + (which ? KEPT - 33 * SECTOR : 2 * SECTOR), GPT_ENTRIES * 128);
		memcpy(h + 88, &sum, 4);
	}
	memset(h + 16, 0, 4);
	sum = crc(h, 92);
	memcpy(h + 16, &sum, 4);
}

static void test_damage(void)
{
	static struct gpt gpt, back;
	struct disk *disk = disk_with(&gpt, 2048);
	size_t all = KEPT;
	uint8_t *clean = malloc(all);
	unsigned wrong = 0, both = 0;

	memcpy(clean, disk->now, all);
	/* Each byte of each copy: the other is found. Each pair at equal places: damaged, never believed. */
	for (size_t i = SECTOR; i < SECTOR + 92 + 128 * 8; i++) {
		size_t at = i < SECTOR + 92 ? i : 2 * SECTOR + (i - SECTOR - 92);
		size_t mirror = i < SECTOR + 92 ? all - SECTOR + (i - SECTOR) : all - 33 * SECTOR + (i - SECTOR - 92);
		disk->now[at] ^= 0x5a;
		wrong += gpt_read(&disk->device, &back) || !same(&gpt, &back) || back.good[0];
		disk->now[mirror] ^= 0x5a;
		both += gpt_read(&disk->device, &back) == 0;
		disk->now[at] ^= 0x5a;
		wrong += gpt_read(&disk->device, &back) || !same(&gpt, &back) || back.good[1] || !back.good[0];
		disk->now[mirror] ^= 0x5a;
	}
	is_int(wrong, 0, "each byte of one copy damaged: the other one tells");
	is_int(both, 0, "damaged in both: refused");
	memset(disk->now + SECTOR, 0, SECTOR);
	ok(!gpt_read(&disk->device, &back) && !gpt_write(&disk->device, &back) && !memcmp(disk->now, clean, all),
	   "writing the table that was found puts the first copy back");
	memset(disk->now + all - 40 * SECTOR, 0xff, 40 * SECTOR);
	ok(!gpt_read(&disk->device, &back) && !gpt_write(&disk->device, &back) && !gpt_read(&disk->device, &back) && back.same,
	   "and the second");
	disk->fail_block = 0;
	ok(!gpt_read(&disk->device, &back) && back.good[1] && same(&gpt, &back), "a beginning that cannot be read");
	ok(gpt_write(&disk->device, &back) == -EIO, "nor written");
	disk->fail_block = -1;
	ok(!gpt_read(&disk->device, &back) && back.same && same(&gpt, &back), "nothing has changed");
	memset(disk->now, 0, all);
	is_int(gpt_read(&disk->device, &back), -ENODATA, "an empty disk");
	ok(back.why && strstr(back.why, "no partition table"), "is told so");
	memcpy(disk->now, clean, all);
	disk->now[SECTOR + 20] ^= 1;
	disk->now[all - SECTOR + 20] ^= 1;
	is_int(gpt_read(&disk->device, &back), -EBADMSG, "both headers damaged");
	free(clean);
	disk_end(disk);
}

struct lie {
	const char *what;
	size_t at;	/* of the first copy: header (below 92), or 1024 + of the entries */
	uint64_t value;
	unsigned bytes;
	int error;
};

/* Wrong values under right checksums, in both copies. */
static void test_lies(void)
{
	static const struct lie lies[] = {
		{ "an entry that ends before it begins", 1024 + 40, 2047, 8, -EBADMSG },
		{ "an entry before the usable part", 1024 + 32, 1, 8, -EBADMSG },
		{ "an entry behind the end", 1024 + 40, 1ull << 40, 8, -EBADMSG },
		{ "an entry of all sectors", 1024 + 40, UINT64_MAX, 8, -EBADMSG },
		{ "entries that overlap", 1024 + 40, 6200, 8, -EBADMSG },
		{ "a header of 4 GiB", 12, UINT32_MAX, 4, -EBADMSG },
		{ "a header of 91 bytes", 12, 91, 4, -EBADMSG },
		{ "no entries", 80, 0, 4, -EOPNOTSUPP },
		{ "4 billion entries", 80, UINT32_MAX, 4, -EOPNOTSUPP },
		{ "entries of 256 bytes", 84, 256, 4, -EOPNOTSUPP },
		{ "entries of 0 bytes", 84, 0, 4, -EOPNOTSUPP },
		{ "version 2", 8, 0x20000, 4, -EOPNOTSUPP },
		{ "entries far away", 72, 1ull << 50, 8, -EBADMSG },
		{ "entries among the extents", 72, 3000, 8, -EBADMSG },
		{ "a usable part behind the end", 48, 1ull << 50, 8, -EBADMSG },
		{ "a usable part that ends before it begins", 40, 1ull << 40, 8, -EBADMSG },
		{ "another place", 24, 7, 8, -EBADMSG },
	};
	static struct gpt gpt, back;
	struct disk *disk = disk_with(&gpt, 2048);
	size_t all = KEPT;
	uint8_t *clean = malloc(all);
	unsigned taken = 0;

	memcpy(clean, disk->now, all);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const struct lie *lie = &lies[i];
		for (unsigned which = 0; which < 2; which++) {
			size_t base = which ? all - SECTOR : SECTOR, entries = which ? all - 33 * SECTOR : 2 * SECTOR;
			memcpy(disk->now + (lie->at >= 1024 ? entries + lie->at - 1024 : base + lie->at), &lie->value, lie->bytes);
			reseal(disk, which);
		}
		is_int(gpt_read(&disk->device, &back), lie->error, lie->what);
		ok(back.why != NULL, "with a sentence: %s", back.why ? back.why : "");
		memcpy(disk->now, clean, all);
	}
	srand(1);
	for (unsigned round = 0; round < 5000; round++) {
		for (unsigned n = 1 + (unsigned)rand() % 4; n--;) {
			size_t at = (size_t)rand() % (92 + 512), value = (size_t)rand() >> 3;
			for (unsigned which = 0; which < 2; which++) {
				size_t base = which ? all - SECTOR : SECTOR, entries = which ? all - 33 * SECTOR : 2 * SECTOR;
				disk->now[at < 92 ? base + at : entries + at - 92] = (uint8_t)value;
			}
		}
		reseal(disk, 0);
		reseal(disk, 1);
		if (!gpt_read(&disk->device, &back)) {
			struct gpt_extent e[GPT_ENTRIES];
			unsigned number = 0, count = 0;
			while (gpt_next(&back, &number, &e[count]))
				count++;
			for (unsigned i = 0; i < count; i++)
				for (unsigned j = 0; j < i; j++)
					taken += e[i].block < e[j].block + e[j].count && e[j].block < e[i].block + e[i].count;
			for (unsigned i = 0; i < count; i++)
				taken += e[i].block + (uint64_t)e[i].count > 2048;
			(void)gpt_room(&back);
			(void)add(&back, "new", 3);
		}
		memcpy(disk->now, clean, all);
	}
	is_int(taken, 0, "5,000 tables with wrong bytes: no two extents overlap, none lies outside");
	free(clean);
	disk_end(disk);
}

/* --- power cuts ------------------------------------------------------------------------------------------ */

/* What the disk holds when of the log only some sectors, in order, got onto it. how: 0 none, 1 all, else a seed. */
static void after_cut(const struct disk *disk, uint8_t *bytes, unsigned how)
{
	memcpy(bytes, disk->stable, KEPT);
	srand(how);
	for (unsigned i = 0; i < disk->logged; i++)
		if (how == 1 || (how > 1 && rand() >> 4 & 1))
			memcpy(bytes + disk->log[i].sector * SECTOR, disk->log[i].bytes, SECTOR);
}

/* The change that is cut: an extent more and one less. */
static void change(struct gpt *gpt, const char *label)
{
	struct gpt_extent extent;

	if (!gpt_find(gpt, "beta", &extent))
		gpt_remove(gpt, extent.number);
	add(gpt, label, 300);
}

struct counts {
	unsigned states, old, new, wrong;
};

/*
 * All cuts of one update of the disk that `bytes` holds. Each state must be the table before or after; with `again`, each
 * is updated once more and cut there.
 */
static void cut_all(struct disk *disk, const uint8_t *bytes, bool again, struct counts *counts, unsigned step)
{
	static struct gpt work[2], found[2];
	struct gpt *gpt = &work[again], *back = &found[again], before;
	size_t all = KEPT;
	uint8_t *left = malloc(all);

	for (unsigned cut = 0;; cut += step) {
		disk_restart(disk, bytes);
		if (gpt_read(&disk->device, gpt)) {
			counts->wrong++;
			break;
		}
		before = *gpt;
		change(gpt, again ? "gamma" : "delta");
		disk->sectors_left = cut;
		(void)gpt_write(&disk->device, gpt);
		bool over = !disk->cut;
		for (unsigned how = 0; how < 6; how++) {
			struct disk *other = disk_make(disk->device.blocks);
			after_cut(disk, left, how);
			disk_restart(other, left);
			counts->states++;
			if (gpt_read(&other->device, back))
				counts->wrong++;
			else if (same(back, gpt))
				counts->new++;
			else if (same(back, &before) && !over)
				counts->old++;
			else
				counts->wrong++;
			if (again && cut % 41 == how)
				cut_all(other, left, false, counts, 5);
			disk_end(other);
		}
		if (over)
			break;
	}
	free(left);
}

static void test_cuts(void)
{
	static struct gpt gpt;
	struct disk *disk = disk_with(&gpt, 2048);
	size_t all = KEPT;
	uint8_t *clean = malloc(all);
	struct counts counts = { 0 };

	memcpy(clean, disk->now, all);
	cut_all(disk, clean, true, &counts, 1);
	ok(!counts.wrong && counts.old && counts.new, "%u cuts, and cuts after them: %u times the old table, %u the new, %u neither",
	   counts.states, counts.old, counts.new, counts.wrong);
	for (unsigned which = 0; which < 2; which++) {
		memset(&counts, 0, sizeof(counts));
		memcpy(disk->now, clean, all);
		disk->now[which ? all - SECTOR + 30 : SECTOR + 30] ^= 1;
		memcpy(clean, disk->now, all);
		disk_restart(disk, clean);
		cut_all(disk, clean, false, &counts, 1);
		ok(!counts.wrong && counts.old && counts.new, "%s copy damaged before: %u cuts, %u wrong", which ? "second" : "first",
		   counts.states, counts.wrong);
		clean[which ? all - SECTOR + 30 : SECTOR + 30] ^= 1;
	}
	free(clean);
	disk_end(disk);
}

int main(void)
{
	test_use();
	test_damage();
	test_lies();
	test_cuts();
	return done();
}
