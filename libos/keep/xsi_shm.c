/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSI shared memory. A segment is a file without a name in the memory file system of object.c, which maps it as it does
 * any other: so fork, exec, faults and the end of a process need nothing here, and how often it is attached is how many
 * maps are of it. The file is made when somebody first attaches it. A segment that is removed while attached can be
 * found by its number until the last map goes.
 *
 * X5 a segment that is to go is attached
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/space.h"
#include "libos/fs/vfs.h"
#include "libos/keep/ipc.h"
#include "libos/keep/object.h"

#define BYTES_MOST	(1ULL << 30)
#define TO_GO		01000u		/* in its mode: SHM_DEST */

struct shm {
	struct xsi xsi;
	struct vfs_file *file;		/* NULL: nobody has attached it yet */
	uint64_t bytes;
	int64_t attached, detached;	/* when */
	int32_t maker, last;		/* pids */
};

static uint32_t files;			/* segments that have one */

static struct xsi *make(const struct keep_process *process, uint64_t size, int *error)
{
	struct shm *shm = NULL;

	*error = -EINVAL;
	if (!size || size > BYTES_MOST)
		return NULL;
	*error = -ENOMEM;
	shm = calloc(1, sizeof(*shm));
	if (!shm)
		return NULL;
	shm->bytes = size;
	shm->maker = process->pid;
	return &shm->xsi;
}

static int fits(const struct xsi *xsi, uint64_t size)
{
	return size > ((const struct shm *)xsi)->bytes ? -EINVAL : 0;
}

static struct xsi_kind kind = { .make = make, .fits = fits };

static int64_t do_get(struct keep_request *request)
{
	return xsi_get(&kind, request);
}

static struct shm *find(const struct keep_request *request, unsigned want, int *error)
{
	return (struct shm *)xsi_find(&kind, request->process, request->word[0], want, error);
}

static void end(struct shm *shm)
{
	xsi_remove(&kind, &shm->xsi);
	if (shm->file) {
		files--;
		vfs_file_put(shm->file);
	}
	free(shm);
}

static struct shm *of_node(const struct fs_node *node)
{
	for (uint32_t i = 0; files && i < XSI_MOST; i++) {
		struct shm *shm = (struct shm *)kind.at[i];

		if (shm && shm->file && shm->file->place.node == node)
			return shm;
	}
	return NULL;
}

/* Called by object.c. */
static void unmapped(const struct fs_node *node, const struct keep_process *process)
{
	struct shm *shm = of_node(node);

	if (!shm)
		return;
	shm->detached = xsi_now();
	shm->last = process->pid;
	if (shm->xsi.mode & TO_GO && !keep_object_maps(node))
		end(shm);
}

/* --- requests ------------------------------------------------------------------------------------------------- */

/* Its file, held. May block, and then the segment may be another's. */
static int64_t file_of(const struct keep_request *request, unsigned want, struct vfs_file **file)
{
	struct vfs_file *new = NULL;
	int64_t pages;
	int error;
	struct shm *shm = find(request, want, &error);

	if (shm && !shm->file) {
		error = keep_object_nameless(PAGE_UP(shm->bytes) / EXO_PAGE_SIZE, &new);
		if (error)
			return error == -ENOSPC ? -ENOMEM : error;
		shm = find(request, want, &error);
	}
	if (shm && !shm->file) {
		shm->file = new;
		new = NULL;
		files++;
	}
	pages = error;
	if (shm) {
		*file = shm->file;
		vfs_file_hold(*file);
		pages = (int64_t)(PAGE_UP(shm->bytes) / EXO_PAGE_SIZE);
	}
	if (new)
		vfs_file_put(new);	/* may block: the segment is not looked at any more */
	return pages;
}

static int64_t do_attach(struct keep_request *request)
{
	bool write = request->word[1] & WIRE_MAP_WRITE;
	unsigned want = write ? IPC_READ | IPC_WRITE : IPC_READ;
	exo_vaddr_t va = PAGE_DOWN(request->word[1]);
	struct vfs_file *file = NULL;
	int64_t pages, result;
	struct shm *shm;
	int error;

	if (!va) {
		shm = find(request, want, &error);
		return shm ? (int64_t)(PAGE_UP(shm->bytes) / EXO_PAGE_SIZE) : error;
	}
	pages = file_of(request, want, &file);
	if (pages < 0)
		return pages;
	result = keep_object_attach(request->process, file, va, (uint64_t)pages, write);
	shm = result ? NULL : of_node(file->place.node);
	if (shm) {
		shm->attached = xsi_now();
		shm->last = request->process->pid;
	}
	vfs_file_put(file);
	return result ? result : pages;
}

static int64_t do_detach(struct keep_request *request)
{
	const struct fs_node *node = NULL;
	uint64_t pages = keep_object_at(request->process, request->word[0], &node);

	return pages && of_node(node) ? (int64_t)pages : -EINVAL;
}

static int64_t show(const struct shm *shm, char *to)
{
	struct wire_shm wire = { .bytes = shm->bytes, .attached_at = shm->attached, .detached_at = shm->detached,
		.maker = shm->maker, .last = shm->last,
		.attached = shm->file ? keep_object_maps(shm->file->place.node) : 0 };

	xsi_show(&shm->xsi, &wire.xsi);
	memcpy(to, &wire, sizeof(wire));
	return 0;
}

static int64_t do_control(struct keep_request *request)
{
	uint64_t command = request->word[1];
	struct wire_shm wire;
	int error;
	struct shm *shm = find(request, command == WIRE_IPC_STAT ? IPC_READ : 0, &error);

	if (!shm)
		return error;
	if (command == WIRE_IPC_STAT)
		return show(shm, request->data);
	if (command != WIRE_IPC_SET && command != WIRE_IPC_RMID)
		return -EINVAL;
	if (!xsi_owner(request->process, &shm->xsi))
		return -EPERM;
	if (command == WIRE_IPC_SET) {
		memcpy(&wire, request->data, sizeof(wire));
		xsi_set(&shm->xsi, &wire.xsi);
	} else if (shm->file && keep_object_maps(shm->file->place.node)) {
		shm->xsi.mode |= TO_GO;
		shm->xsi.key = 0;
	} else {
		end(shm);
	}
	return 0;
}

const char *xsi_shm_check(void)
{
	for (uint32_t i = 0; i < XSI_MOST; i++) {
		const struct shm *shm = (const struct shm *)kind.at[i];

		if (shm && shm->xsi.mode & TO_GO && !keep_object_maps(shm->file->place.node))
			return "X5: a segment that should have gone";
	}
	return xsi_check(&kind);
}

void xsi_shm_start(void)
{
	keep_object_unmapped = unmapped;
	keep_serve(REQUEST_SHMGET, do_get);
	keep_serve(REQUEST_SHMAT, do_attach);
	keep_serve(REQUEST_SHMDT, do_detach);
	keep_serve(REQUEST_SHMCTL, do_control);
}
