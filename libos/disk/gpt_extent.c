/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the entries of a partition table mean: extents, their names, free places. See gpt.h.
 */
#include <string.h>
#include "libos/disk/gpt_parts.h"

/* 0fc63daf-8483-4772-8e79-3d69d8477de4 and 7c0f5a1e-64e3-4f0b-9d52-c0f5e70cb10c; the first three fields are little-endian. */
const uint8_t gpt_type_linux[16] = {
	0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4
};
const uint8_t gpt_type_cofs[16] = {
	0x1e, 0x5a, 0x0f, 0x7c, 0xe3, 0x64, 0x0b, 0x4f, 0x9d, 0x52, 0xc0, 0xf5, 0xe7, 0x0c, 0xb1, 0x0c
};

static bool used(const struct gpt_entry *entry)
{
	static const uint8_t unused[16];

	return memcmp(entry->type, unused, sizeof(unused)) != 0;
}

const char *gpt_contradiction(const struct gpt *gpt)
{
	for (unsigned i = 0; i < gpt->entries; i++) {
		const struct gpt_entry *a = &gpt->entry[i];
		if (!used(a))
			continue;
		if (a->first > a->last)
			return "the partition table (GPT) has an extent that ends before it begins";
		if (a->first < gpt->usable_first || a->last > gpt->usable_last)
			return "the partition table (GPT) has an extent outside the disk's usable part";
		for (unsigned j = 0; j < i; j++)
			if (used(&gpt->entry[j]) && a->first <= gpt->entry[j].last && gpt->entry[j].first <= a->last)
				return "the partition table (GPT) has extents that overlap";
	}
	return NULL;
}

/* A label in UTF-8. What cannot be is a question mark. */
static void label_text(const uint16_t *name, char *text)
{
	for (unsigned i = 0; i < GPT_LABEL_UNITS && name[i]; i++) {
		uint32_t c = name[i];
		if (c >= 0xd800 && c < 0xdc00 && i + 1 < GPT_LABEL_UNITS && name[i + 1] >> 10 == 0xdc00 >> 10)
			c = 0x10000 + ((c - 0xd800) << 10) + (name[++i] - 0xdc00u);
		else if (c < ' ' || c == 0x7f || c >> 11 == 0xd800 >> 11)
			c = '?';
		if (c >= 0x10000)
			*text++ = (char)(0xf0 | c >> 18);
		if (c >= 0x800)
			*text++ = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 63) : 0xe0 | c >> 12);
		if (c >= 0x80)
			*text++ = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 63) : 0xc0 | c >> 6);
		*text++ = (char)(c >= 0x80 ? 0x80 | (c & 63) : c);
	}
	*text = 0;
}

/* The next character; 0 at the end; -1: it is not UTF-8. */
static int32_t character(const char **at)
{
	const uint8_t *p = (const uint8_t *)*at;
	unsigned more = *p < 0x80 ? 0 : *p >> 5 == 6 ? 1 : *p >> 4 == 14 ? 2 : *p >> 3 == 30 ? 3 : 4;
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };

	if (more > 3)
		return -1;
	uint32_t c = more ? *p & (0x3fu >> more) : *p;
	for (unsigned i = 1; i <= more; i++) {
		if (p[i] >> 6 != 2)
			return -1;
		c = c << 6 | (p[i] & 63);
	}
	*at += c ? more + 1 : 0;
	return c < least[more] || c > 0x10ffff || c >> 11 == 0xd800 >> 11 ? -1 : (int32_t)c;
}

static int label_units(const char *text, uint16_t name[GPT_LABEL_UNITS])
{
	unsigned count = 0;
	int32_t c;

	memset(name, 0, GPT_LABEL_UNITS * sizeof(name[0]));
	while ((c = character(&text)) > 0) {
		unsigned units = c >= 0x10000 ? 2 : 1;
		if (count + units > GPT_LABEL_UNITS)
			return -ENAMETOOLONG;
		if (units == 2) {
			name[count] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
			name[count + 1] = (uint16_t)(0xdc00 + (c & 0x3ff));
		} else {
			name[count] = (uint16_t)c;
		}
		count += units;
	}
	return c < 0 ? -EILSEQ : count ? 0 : -EINVAL;
}

static void fill(const struct gpt *gpt, unsigned number, struct gpt_extent *extent)
{
	const struct gpt_entry *entry = &gpt->entry[number];
	uint32_t each = BLOCK_BYTES / gpt->sector_bytes;

	extent->number = number;
	extent->block = (uint32_t)(entry->first / each);
	extent->count = entry->first % each || (entry->last + 1) % each ? 0 :
		(uint32_t)((entry->last + 1 - entry->first) / each);
	memcpy(extent->type, entry->type, sizeof(extent->type));
	memcpy(extent->uuid, entry->uuid, sizeof(extent->uuid));
	label_text(entry->name, extent->label);
}

bool gpt_next(const struct gpt *gpt, unsigned *number, struct gpt_extent *extent)
{
	for (unsigned i = *number; i < gpt->entries; i++)
		if (used(&gpt->entry[i])) {
			fill(gpt, i, extent);
			*number = i + 1;
			return true;
		}
	return false;
}

/* The same but for the letters' case. */
static bool same_uuid(const char *a, const char *b)
{
	for (; *b; a++, b++)
		if ((*a >= 'A' && *a <= 'F' ? *a | 0x20 : *a) != *b)
			return false;
	return !*a;
}

int gpt_find(const struct gpt *gpt, const char *name, struct gpt_extent *extent)
{
	struct gpt_extent one;
	char uuid[GPT_UUID_TEXT];
	unsigned number = 0, found = 0;

	while (gpt_next(gpt, &number, &one)) {
		gpt_uuid_text(one.uuid, uuid);
		if (same_uuid(name, uuid)) {
			*extent = one;
			return 0;
		}
		if (!strcmp(one.label, name) && !found++)
			*extent = one;
	}
	return found > 1 ? -EEXIST : found ? 0 : -ENOENT;
}

/* The first sector >= `at` at which an extent may begin, behind all used ones that it would touch; and the room there. */
static bool place(const struct gpt *gpt, uint64_t *at, uint64_t *room)
{
	uint64_t align = (uint64_t)GPT_ALIGN_BLOCKS * BLOCK_BYTES / gpt->sector_bytes, end = gpt->usable_last + 1;
	bool moved = true;

	while (moved) {
		*at = (*at + align - 1) / align * align;
		moved = false;
		for (unsigned i = 0; i < gpt->entries; i++)
			if (used(&gpt->entry[i]) && *at >= gpt->entry[i].first && *at <= gpt->entry[i].last) {
				*at = gpt->entry[i].last + 1;
				moved = true;
			}
	}
	if (*at >= end)
		return false;
	for (unsigned i = 0; i < gpt->entries; i++)
		if (used(&gpt->entry[i]) && gpt->entry[i].first > *at && gpt->entry[i].first < end)
			end = gpt->entry[i].first;
	*room = end - *at;
	return true;
}

uint32_t gpt_room(const struct gpt *gpt)
{
	uint64_t at = gpt->usable_first, room, most = 0;

	for (; place(gpt, &at, &room); at += room)
		most = room > most ? room : most;
	return (uint32_t)(most / (BLOCK_BYTES / gpt->sector_bytes));
}

int gpt_add(struct gpt *gpt, const char *label, uint32_t blocks, const uint8_t type[16], const uint8_t uuid[16],
    struct gpt_extent *extent)
{
	uint64_t at = gpt->usable_first, room, sectors = (uint64_t)blocks * (BLOCK_BYTES / gpt->sector_bytes);
	struct gpt_entry entry;
	struct gpt_extent other;
	unsigned free = 0;
	int error = label_units(label, entry.name);

	if (error || !blocks)
		return error ? error : -EINVAL;
	if (gpt_find(gpt, label, &other) != -ENOENT)
		return -EEXIST;
	while (free < gpt->entries && used(&gpt->entry[free]))
		free++;
	if (free == gpt->entries)
		return -ENFILE;
	while (place(gpt, &at, &room) && room < sectors)
		at += room;
	if (at > gpt->usable_last)
		return -ENOSPC;
	memcpy(entry.type, type, sizeof(entry.type));
	memcpy(entry.uuid, uuid, sizeof(entry.uuid));
	entry.first = at;
	entry.last = at + sectors - 1;
	entry.attributes = 0;
	gpt->entry[free] = entry;
	if (extent)
		fill(gpt, free, extent);
	return 0;
}

void gpt_remove(struct gpt *gpt, unsigned number)
{
	memset(&gpt->entry[number], 0, sizeof(gpt->entry[number]));
}

void gpt_uuid_text(const uint8_t uuid[16], char text[GPT_UUID_TEXT])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[uuid[order[i]] >> 4];
		*text++ = digits[uuid[order[i]] & 15];
	}
	*text = 0;
}
