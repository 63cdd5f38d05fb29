/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A directory: entries of programs by label, in a frame that its maker writes and others map to read.
 *
 * There is no name service in the kernel. Who makes other programs (apps/init, for one) makes a directory, too,
 * opens its entries to them to an account (exo_entry_open), and writes down under which label and with which
 * name: its own environment id and the handle. Who is charged to that account or below, and can read the frame,
 * looks a label up and takes the entry (exo_entry_take), whose badge and account the maker has chosen. To read
 * is no right to call: the kernel asks the account. What stands under a label is the maker's word.
 *
 * Readers trust the maker no further than this: they map the frame as one that may be taken away (share.h), what
 * is read is copied first and checked then; a page that makes no sense is -ESTATE, a name that is stale the
 * kernel's -ECAP. The maker changes one entry at a time, between two steps of `sequence`; readers read again if
 * it has moved.
 */
#ifndef LIBOS_CORE_DIRECTORY_H
#define LIBOS_CORE_DIRECTORY_H

#include "libos/core/frame.h"
#include "libos/core/share.h"

#define DIRECTORY_NAME		"directory"	/* of the frame's capability in the start record */
#define DIRECTORY_MAGIC		0x595249444f584545	/* "EEXODIRY" */
#define DIRECTORY_VERSION	1
#define DIRECTORY_LABEL		32	/* bytes, the last one 0 */
#define DIRECTORY_ENTRIES	80

struct directory_entry {
	char label[DIRECTORY_LABEL];	/* empty: no entry */
	exo_env_id_t opener;
	exo_cap_t name;
};

struct directory_page {
	uint64_t magic;
	uint32_t version, size, stride, entries;
	uint32_t sequence;		/* odd while an entry is being changed */
	uint32_t spare[9];
	struct directory_entry entry[DIRECTORY_ENTRIES];
};
_Static_assert(sizeof(struct directory_page) <= EXO_PAGE_SIZE, "one frame");

/* --- its maker ------------------------------------------------------------------------------------------ */

struct directory {
	struct frame_bag bag;
	struct frame frame;		/* others are granted this, with READ */
	struct directory_page *page;
};

/* Made and empty. False: no memory. */
bool directory_make(struct directory *directory);
/*
 * Open an entry to all that is charged to an account, or below it, and publish it under a label, instead of
 * what was there. 0, or an error: -EINVAL the label is empty or too long, -EFULL, those of exo_entry_open.
 */
int64_t directory_publish(struct directory *directory, const char *label, exo_cap_t entry, exo_cap_t account);
/* Publish it no more, and shut the entry. What was taken is kept until it is revoked. -ECAP: no such label. */
int64_t directory_withdraw(struct directory *directory, const char *label);

/* --- its readers ---------------------------------------------------------------------------------------- */

/* Map the frame that the start record names. NULL: there is none, or no memory. */
const struct directory_page *directory_open(struct share *share);
/*
 * The entry of a label, copied. 0; -ECAP there is no such label; -ESTATE it is no directory; -EBUSY its maker
 * is at work on it, or has died in the middle.
 */
int64_t directory_find(const struct directory_page *page, const char *label, struct directory_entry *entry);
/* Take it: the handle of an ENTRY capability of one's own; those errors, or those of exo_entry_take. */
int64_t directory_take(const struct directory_page *page, const char *label);

#endif
