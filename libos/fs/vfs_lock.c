/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locks on files, within the program: flock() of open files, and record locks of owners.
 *
 * Both hang on the node's face. Record locks of one owner on one file do not overlap; those of one kind that touch are
 * not joined. Who must wait tries again whenever any lock was given up.
 */
#include <stdlib.h>
#include "libos/fs/vfs.h"

#define RECORDS_MAX	1024	/* of an owner on a file */

struct vfs_flock {
	struct vfs_flock *next;
	struct vfs_file *file;
	enum vfs_lock lock;
};

struct vfs_record {
	struct vfs_record *next;
	struct vfs_range range;
};

static void wake(void)
{
	if (vfs_machine)
		vfs_machine->wake();
}

/* --- flock ---------------------------------------------------------------------------------------------- */

static struct vfs_flock **flock_of(struct vfs_face *face, const struct vfs_file *file)
{
	struct vfs_flock **link = &face->flocks;

	while (*link && (*link)->file != file)
		link = &(*link)->next;
	return link;
}

void vfs_flock_close(struct vfs_file *file)
{
	struct vfs_face *face = file->place.node->face;
	struct vfs_flock **link = face ? flock_of(face, file) : NULL, *old = link ? *link : NULL;

	file->locked = false;
	if (!old)
		return;
	*link = old->next;
	free(old);
	vfs_face_put(file->place.mount, file->place.node);
	wake();
}

static bool flock_goes(const struct vfs_face *face, const struct vfs_file *file, enum vfs_lock lock)
{
	for (const struct vfs_flock *other = face->flocks; other; other = other->next)
		if (other->file != file && (lock == VFS_ALONE || other->lock == VFS_ALONE))
			return false;
	return true;
}

int vfs_flock(struct vfs_file *file, enum vfs_lock lock, bool wait)
{
	struct vfs_face *face;
	struct vfs_flock *mine;

	if (lock == VFS_UNLOCK) {
		vfs_flock_close(file);
		return 0;
	}
	/* Another kind: the old one goes first, as everywhere. */
	face = file->place.node->face;
	if (face && (mine = *flock_of(face, file)) && mine->lock == lock)
		return 0;
	vfs_flock_close(file);
	for (;;) {
		face = vfs_face(file->place.node);
		if (!face)
			return -ENOLCK;
		if (flock_goes(face, file, lock))
			break;
		if (!wait || !vfs_machine)
			return -EWOULDBLOCK;
		vfs_machine->wait();
	}
	mine = malloc(sizeof(*mine));
	if (!mine) {
		vfs_face_put(file->place.mount, file->place.node);
		return -ENOLCK;
	}
	*mine = (struct vfs_flock){ face->flocks, file, lock };
	face->flocks = mine;
	file->locked = true;
	return 0;
}

/* --- record locks --------------------------------------------------------------------------------------- */

static bool overlap(const struct vfs_range *one, const struct vfs_range *other)
{
	return one->start < other->end && other->start < one->end;
}

struct vfs_range vfs_record_test(struct vfs_file *file, const struct vfs_range *range)
{
	const struct vfs_face *face = file->place.node->face;
	struct vfs_range first = { .lock = VFS_UNLOCK };

	for (const struct vfs_record *other = face ? face->records : NULL; other; other = other->next)
		if (other->range.owner != range->owner && overlap(&other->range, range) &&
		    (range->lock == VFS_ALONE || other->range.lock == VFS_ALONE) &&
		    (first.lock == VFS_UNLOCK || other->range.start < first.start))
			first = other->range;
	return first;
}

bool vfs_record_stops(struct vfs_file *file, const struct vfs_range *range, uint64_t owner)
{
	const struct vfs_face *face = file->place.node->face;

	for (const struct vfs_record *other = face ? face->records : NULL; other; other = other->next)
		if (other->range.owner == owner && owner != range->owner && overlap(&other->range, range) &&
		    (range->lock == VFS_ALONE || other->range.lock == VFS_ALONE))
			return true;
	return false;
}

/* Take a range out of what its owner has. `spare` becomes the second half of one that it splits. */
static struct vfs_record *cut(struct vfs_face *face, const struct vfs_range *range, struct vfs_record *spare)
{
	struct vfs_record **link = &face->records, *record;

	while ((record = *link)) {
		struct vfs_range *old = &record->range;

		if (old->owner != range->owner || !overlap(old, range)) {
			link = &record->next;
		} else if (old->start < range->start && old->end > range->end) {
			*spare = (struct vfs_record){ record->next, *old };
			spare->range.start = range->end;
			old->end = range->start;
			record->next = spare;
			return NULL;
		} else if (old->start < range->start) {
			old->end = range->start;
			link = &record->next;
		} else if (old->end > range->end) {
			old->start = range->end;
			link = &record->next;
		} else {
			*link = record->next;
			free(record);
		}
	}
	return spare;
}

static unsigned records_of(const struct vfs_face *face, uint64_t owner)
{
	unsigned count = 0;

	for (const struct vfs_record *record = face ? face->records : NULL; record; record = record->next)
		count += record->range.owner == owner;
	return count;
}

int vfs_record(struct vfs_file *file, const struct vfs_range *range, bool wait)
{
	struct vfs_record *mine, *spare;
	struct vfs_face *face;

	while (range->lock != VFS_UNLOCK && vfs_record_test(file, range).lock != VFS_UNLOCK) {
		if (!wait || !vfs_machine)
			return -EAGAIN;
		vfs_machine->wait();
	}
	if (range->lock == VFS_UNLOCK && !file->place.node->face)
		return 0;
	/* To give up a part of one may make two of it, too; to give up all of a file's never does. */
	if ((range->lock != VFS_UNLOCK || range->start) && records_of(file->place.node->face, range->owner) >= RECORDS_MAX)
		return -ENOLCK;
	mine = malloc(sizeof(*mine));
	spare = malloc(sizeof(*spare));
	face = mine && spare ? vfs_face(file->place.node) : NULL;
	if (!face) {
		free(mine);
		free(spare);
		return -ENOLCK;
	}
	free(cut(face, range, spare));
	if (range->lock == VFS_UNLOCK) {
		free(mine);
		vfs_face_put(file->place.mount, file->place.node);
	} else {
		*mine = (struct vfs_record){ face->records, *range };
		face->records = mine;
	}
	wake();
	return 0;
}

void vfs_record_close(struct vfs_file *file, uint64_t owner)
{
	const struct vfs_range all = { VFS_UNLOCK, owner, 0, UINT64_MAX };
	const struct vfs_face *face = file->place.node->face;

	if (face && face->records)
		(void)vfs_record(file, &all, false);
}
