/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What XSI's message queues, semaphores and shared memory have in common: keys, numbers, owners. An object is not
 * anybody's: it stays until somebody who may removes it. So there are few of each kind, and of one user's.
 *
 * X1 at[i]'s id is i modulo XSI_MOST; no two of a kind have the same key, but for 0
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "libos/keep/ipc.h"

bool ipc_may(const struct keep_process *process, uid_t uid, gid_t gid, mode_t mode, unsigned want)
{
	unsigned has = mode & 7;

	if (process->euid == 0)
		return true;
	if (process->euid == uid)
		has = mode >> 6 & 7;
	else if (keep_in_group(process, gid))
		has = mode >> 3 & 7;
	return (has & want) == want;
}

/* The maker's rights are the owner's. */
static bool may(const struct keep_process *process, const struct xsi *xsi, unsigned want)
{
	bool maker = process->euid == xsi->cuid, group = keep_in_group(process, xsi->cgid);

	return ipc_may(process, maker ? xsi->cuid : xsi->uid, group ? xsi->cgid : xsi->gid, xsi->mode, want);
}

int64_t xsi_now(void)
{
	return (int64_t)((core_wall() ? core_wall() : core_now()) / CORE_SECOND);
}

/* A free place; XSI_MOST: none, or the user has too many. */
static uint32_t place(const struct xsi_kind *kind, uid_t uid)
{
	uint32_t free = XSI_MOST, own = 0;

	for (uint32_t i = XSI_MOST; i-- > 0;) {
		if (!kind->at[i])
			free = i;
		else
			own += kind->at[i]->cuid == uid;
	}
	return own < XSI_USER ? free : XSI_MOST;
}

static int64_t make(struct xsi_kind *kind, const struct keep_process *process, int32_t key, uint64_t size, mode_t mode)
{
	uint32_t at = place(kind, process->euid);
	struct xsi *xsi;
	int error = -ENOSPC;

	if (at == XSI_MOST)
		return -ENOSPC;
	xsi = kind->make(process, size, &error);
	if (!xsi)
		return error;
	kind->turn = (kind->turn + 1) % (INT32_MAX / XSI_MOST);
	*xsi = (struct xsi){ (int32_t)(at + kind->turn * XSI_MOST), key, process->euid, process->euid, process->egid,
		process->egid, mode, xsi_now() };
	kind->at[at] = xsi;
	return xsi->id;
}

int64_t xsi_get(struct xsi_kind *kind, const struct keep_request *request)
{
	int32_t key = (int32_t)request->word[0];
	uint32_t flags = (uint32_t)request->word[2];
	const struct xsi *xsi = NULL;

	for (uint32_t i = 0; key && i < XSI_MOST && !xsi; i++)
		if (kind->at[i] && kind->at[i]->key == key)
			xsi = kind->at[i];
	if (!xsi)
		return !key || flags & WIRE_IPC_CREAT ?
			make(kind, request->process, key, request->word[1], flags & 0777) : -ENOENT;
	if (flags & WIRE_IPC_CREAT && flags & WIRE_IPC_EXCL)
		return -EEXIST;
	if (!may(request->process, xsi, (flags | flags >> 3 | flags >> 6) & (IPC_READ | IPC_WRITE)))
		return -EACCES;
	int error = kind->fits(xsi, request->word[1]);
	return error ? error : xsi->id;
}

struct xsi *xsi_find(const struct xsi_kind *kind, const struct keep_process *process, uint64_t id, unsigned want,
		     int *error)
{
	struct xsi *xsi = id <= INT32_MAX ? kind->at[id % XSI_MOST] : NULL;

	*error = -EINVAL;
	if (!xsi || (uint64_t)xsi->id != id)
		return NULL;
	*error = -EACCES;
	return !want || may(process, xsi, want) ? xsi : NULL;
}

bool xsi_owner(const struct keep_process *process, const struct xsi *xsi)
{
	return process->euid == 0 || process->euid == xsi->uid || process->euid == xsi->cuid;
}

void xsi_remove(struct xsi_kind *kind, struct xsi *xsi)
{
	kind->at[xsi->id % XSI_MOST] = NULL;
}

void xsi_show(const struct xsi *xsi, struct wire_xsi *to)
{
	*to = (struct wire_xsi){ xsi->key, xsi->uid, xsi->gid, xsi->cuid, xsi->cgid, xsi->mode,
		(uint32_t)xsi->id / XSI_MOST, 0, xsi->changed };
}

void xsi_set(struct xsi *xsi, const struct wire_xsi *from)
{
	xsi->uid = from->uid;
	xsi->gid = from->gid;
	xsi->mode = (xsi->mode & ~0777u) | (from->mode & 0777);
	xsi->changed = xsi_now();
}

const char *xsi_check(const struct xsi_kind *kind)
{
	for (uint32_t i = 0; i < XSI_MOST; i++) {
		const struct xsi *xsi = kind->at[i];

		if (xsi && (xsi->id < 0 || (uint32_t)xsi->id % XSI_MOST != i))
			return "X1: an object of XSI at another's place";
		for (uint32_t j = 0; xsi && xsi->key && j < i; j++)
			if (kind->at[j] && kind->at[j]->key == xsi->key)
				return "X1: two objects of XSI of one key";
	}
	return NULL;
}

void keep_xsi_exit(const struct keep_process *process)
{
	xsi_sem_exit(process);
}

const char *keep_xsi_check(void)
{
	const char *wrong = xsi_msg_check();

	if (!wrong)
		wrong = xsi_sem_check();
	return wrong ? wrong : xsi_shm_check();
}

void keep_xsi_start(void)
{
	xsi_msg_start();
	xsi_sem_start();
	xsi_shm_start();
}
