/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extents: what is on a disk, and extents made and removed while the machine runs.
 *
 * For programs with `disk = whole` (or read-only, to look). The table is changed by libos/disk/gpt.c, so a power cut leaves
 * it as it was before or as it is after. What init has handed out is not touched by a change, but is not taken back
 * either: whoever removes an extent that somebody uses must know what he does.
 *
 * Usage: extents [--disk N] [list | make LABEL SIZE [cofs] | remove LABEL | new --yes]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/core.h"
#include "libos/core/nearest.h"
#include "libos/disk/disk.h"
#include "libos/disk/gpt.h"

static struct gpt gpt;
static struct block_device *device;
static char name[EXO_START_NAME] = EXO_NAME_BLOCKS;

static int fail(const char *thing, const char *reason)
{
	fprintf(stderr, "extents: %s: %s\n", thing, reason);
	return 1;
}

/* Blocks of a size such as 64M, 1G, 5000K; 0: it is none. `rest`: all that there is in one piece. */
static uint32_t size_of(const char *text)
{
	static const char units[] = "KMG";
	char *end;

	if (!strcmp(text, "rest"))
		return gpt_room(&gpt);
	unsigned long long count = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, *end) : units + 1;
	if (end == text || *text == '-' || !unit || (*end && end[1]) || count >= 1ULL << 32)
		return 0;
	count <<= 10 * (unit - units + 1);
	return count % BLOCK_BYTES || count / BLOCK_BYTES > UINT32_MAX ? 0 : (uint32_t)(count / BLOCK_BYTES);
}

static const char *type_name(const uint8_t type[16])
{
	return !memcmp(type, gpt_type_linux, 16) ? "linux" : !memcmp(type, gpt_type_cofs, 16) ? "cofs" : "other";
}

static int list(void)
{
	struct gpt_extent extent;
	unsigned number = 0;
	char uuid[GPT_UUID_TEXT];

	printf("%-20s %10s %10s %10s  %-5s  %s\n", "label", "KiB", "block", "blocks", "type", "uuid");
	while (gpt_next(&gpt, &number, &extent)) {
		gpt_uuid_text(extent.uuid, uuid);
		printf("%-20s %10lu %10u %10u  %-5s  %s\n", extent.label, (unsigned long)extent.count * 4, extent.block,
		       extent.count, type_name(extent.type), uuid);
	}
	printf("%-20s %10lu in one piece of %lu\n", "free", (unsigned long)gpt_room(&gpt) * 4, (unsigned long)device->blocks * 4);
	return 0;
}

static int write_back(void)
{
	return gpt_write(device, &gpt) ? fail(name, gpt.why) : 0;
}

static void random_uuid(uint8_t uuid[16])
{
	core_random(uuid, 16);
	uuid[7] = (uint8_t)((uuid[7] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

static int make(const char *label, const char *size, const char *type)
{
	static char reason[80];
	uint8_t uuid[16];
	uint32_t blocks = size_of(size);

	if (type && strcmp(type, "cofs") && strcmp(type, "linux"))
		return fail(type, "is no type; write linux or cofs");
	if (!blocks)
		return fail(size, "is not a size of whole blocks; write for example 64M, 4K or rest");
	random_uuid(uuid);
	int error = gpt_add(&gpt, label, blocks, type && *type == 'c' ? gpt_type_cofs : gpt_type_linux, uuid, NULL);
	snprintf(reason, sizeof(reason), "does not fit: the longest free run has %lu KiB", (unsigned long)gpt_room(&gpt) * 4);
	return !error ? write_back() :
		error == -EEXIST ? fail(label, "there is an extent of this label already") :
		error == -ENOSPC ? fail(size, reason) :
		error == -ENFILE ? fail(name, "the table is full") :
		error == -ENAMETOOLONG ? fail(label, "is too long a label; it may have 36 letters") : fail(label, "is no label");
}

static int drop(const char *label)
{
	struct gpt_extent extent;
	int error = gpt_find(&gpt, label, &extent);

	if (error)
		return fail(label, error == -EEXIST ? "several extents have this label; write the UUID" : "there is no such extent");
	gpt_remove(&gpt, extent.number);
	return write_back();
}

static int new_table(void)
{
	uint8_t uuid[16];

	random_uuid(uuid);
	return gpt_make(device, &gpt, uuid) ? fail(name, gpt.why) : write_back();
}

static int run(int argc, char **argv)
{
	static const char *const known[] = { "list", "make", "remove", "new", NULL };
	const char *what = argc > 1 ? argv[1] : "list";

	if (!strcmp(what, "new"))
		return argc == 3 && !strcmp(argv[2], "--yes") ? new_table() :
			fail("new", "writes an empty table over what is there; write new --yes");
	if (gpt_read(device, &gpt))
		return fail(name, gpt.why);
	if (!gpt.same)
		fail(name, "one copy of the table is damaged or old; the next change puts it right");
	if (!strcmp(what, "list") && argc < 3)
		return list();
	if (!strcmp(what, "make") && (argc == 4 || argc == 5))
		return make(argv[2], argv[3], argc == 5 ? argv[4] : NULL);
	if (!strcmp(what, "remove") && argc == 3)
		return drop(argv[2]);
	fprintf(stderr, "extents: %s: not understood; the nearest known is %s\n"
		"usage: extents [--disk N] [list | make LABEL SIZE [cofs] | remove LABEL | new --yes]\n", what,
		nearest(what, strlen(what), known));
	return 2;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--disk")) {
		snprintf(name, sizeof(name), "blocks%.2s", argv[2]);
		argc -= 2;
		argv += 2;
	}
	int error = disk_extent_open(name, &device);
	if (error)
		return fail(name, error == -ENOENT ? "the program has not this disk; its section needs disk = whole" :
			    error == -EBUSY ? "its shares are in use" : "cannot be opened");
	int status = run(argc, argv);
	device->ops->close(device);
	return status;
}
