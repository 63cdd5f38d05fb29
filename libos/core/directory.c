/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entries by label. See directory.h.
 */
#include "libos/core/directory.h"
#include <string.h>

#define TRIES	100		/* to read an entry that stays as it is; each gives the maker a turn */

/* --- the maker ------------------------------------------------------------------------------------------ */

bool directory_make(struct directory *directory)
{
	exo_vaddr_t at = vm_addresses(EXO_PAGE_SIZE);

	directory->bag = (struct frame_bag){ 0 };
	if (!at || frame_bag_take(&directory->bag, 1, &directory->frame))
		return false;
	if (space_map_frame(at, EXO_MAP_READ | EXO_MAP_WRITE, &directory->frame) < 0) {
		frame_bag_drop(&directory->bag);
		return false;
	}
	directory->page = (struct directory_page *)at;
	memset(directory->page, 0, EXO_PAGE_SIZE);
	directory->page->magic = DIRECTORY_MAGIC;
	directory->page->version = DIRECTORY_VERSION;
	directory->page->size = offsetof(struct directory_page, entry);
	directory->page->stride = sizeof(struct directory_entry);
	directory->page->entries = DIRECTORY_ENTRIES;
	return true;
}

static struct directory_entry *place(struct directory *directory, const char *label)
{
	struct directory_entry *entry = directory->page->entry;

	for (unsigned i = 0; i < DIRECTORY_ENTRIES; i++)
		if (!strncmp(entry[i].label, label, DIRECTORY_LABEL))
			return &entry[i];
	return NULL;
}

static void change(struct directory *directory, struct directory_entry *at, const struct directory_entry *to)
{
	uint32_t *sequence = &directory->page->sequence;

	__atomic_store_n(sequence, *sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*at = *to;
	__atomic_store_n(sequence, *sequence + 1, __ATOMIC_RELEASE);
}

int64_t directory_publish(struct directory *directory, const char *label, exo_cap_t entry, exo_cap_t account)
{
	struct directory_entry made = { .opener = core_disp->self, .name = entry }, *at;
	size_t length = strnlen(label, DIRECTORY_LABEL);

	if (length == 0 || length == DIRECTORY_LABEL)
		return -EXO_EINVAL;
	at = place(directory, label);
	if (!at)
		at = place(directory, "");
	if (!at)
		return -EXO_EFULL;
	int64_t error = exo_entry_open(entry, account);
	if (error)
		return error;
	if (at->label[0] && at->name != entry)
		exo_entry_open(at->name, EXO_CAP_NONE);
	memcpy(made.label, label, length);
	change(directory, at, &made);
	return 0;
}

int64_t directory_withdraw(struct directory *directory, const char *label)
{
	static const struct directory_entry none;
	struct directory_entry *at = label[0] ? place(directory, label) : NULL;

	if (!at)
		return -EXO_ECAP;
	exo_entry_open(at->name, EXO_CAP_NONE);
	change(directory, at, &none);
	return 0;
}

/* --- readers -------------------------------------------------------------------------------------------- */

const struct directory_page *directory_open(struct share *share)
{
	exo_cap_t frame = core_named(DIRECTORY_NAME);

	return frame ? share_map(share, frame, 0, 1, EXO_MAP_READ) : NULL;
}

/* One look: 0, an error, or -EBUSY it was changed meanwhile. */
static int64_t look(const volatile struct directory_page *page, const char *label,
		    struct directory_entry *entry)
{
	uint32_t sequence = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
	bool found = false;

	if (page->magic != DIRECTORY_MAGIC || page->version != DIRECTORY_VERSION ||
	    page->size != offsetof(struct directory_page, entry) ||
	    page->stride != sizeof(struct directory_entry) || page->entries != DIRECTORY_ENTRIES)
		return -EXO_ESTATE;
	for (unsigned i = 0; i < DIRECTORY_ENTRIES && !found; i++) {
		memcpy(entry, (const void *)&page->entry[i], sizeof(*entry));
		entry->label[DIRECTORY_LABEL - 1] = 0;
		found = !strcmp(entry->label, label);
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (sequence % 2 || page->sequence != sequence)
		return -EXO_EBUSY;
	return found ? 0 : -EXO_ECAP;
}

int64_t directory_find(const struct directory_page *page, const char *label, struct directory_entry *entry)
{
	int64_t error = -EXO_ECAP;

	core_stack();
	if (label[0] == 0)
		return error;
	for (unsigned i = 0; i < TRIES && (error = look(page, label, entry)) == -EXO_EBUSY; i++)
		core_yield(EXO_CAP_NONE);
	return error;
}

int64_t directory_take(const struct directory_page *page, const char *label)
{
	struct directory_entry entry;
	int64_t error = directory_find(page, label, &entry);
	uint32_t slot;

	if (error)
		return error;
	slot = caps_slot();
	return slot ? exo_entry_take(slot, entry.opener, entry.name) : -EXO_EFULL;
}
