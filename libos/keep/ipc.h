/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message queues, and XSI's message queues, semaphores and shared memory: what their parts share.
 */
#ifndef LIBOS_KEEP_IPC_H
#define LIBOS_KEEP_IPC_H

#include "libos/keep/keep.h"

#define IPC_READ	4u
#define IPC_WRITE	2u

/* May the process do all of `want` (IPC_*) with what has this owner, group and mode? */
bool ipc_may(const struct keep_process *process, uid_t uid, gid_t gid, mode_t mode, unsigned want);

/* --- xsi.c: objects with keys and numbers --------------------------------------------------------------------- */

#define XSI_MOST	256		/* of one kind, of a keeper ... */
#define XSI_USER	128		/* ... and made by one user */

/* The first member of each object. */
struct xsi {
	int32_t id;			/* index + n * XSI_MOST: another one each time the place is used again */
	int32_t key;			/* 0: private */
	uid_t uid, cuid;
	gid_t gid, cgid;
	mode_t mode;
	int64_t changed;		/* seconds of the wall clock */
};

struct xsi_kind {
	struct xsi *at[XSI_MOST];
	uint32_t turn;
	/* What GET adds: a new one, of `size`, or NULL with *error; does an old one fit? 0 or -errno. */
	struct xsi *(*make)(const struct keep_process *process, uint64_t size, int *error);
	int (*fits)(const struct xsi *xsi, uint64_t size);
};

/* w1 = key, w2 = size, w3 = flags, as the three requests have them: the id, or -errno. */
int64_t xsi_get(struct xsi_kind *kind, const struct keep_request *request);
/* The object of an id; with `want` (IPC_*; 0: nothing is asked). NULL: *error is -EINVAL or -EACCES. */
struct xsi *xsi_find(const struct xsi_kind *kind, const struct keep_process *process, uint64_t id, unsigned want,
		     int *error);
/* May the process change or remove it? */
bool xsi_owner(const struct keep_process *process, const struct xsi *xsi);
/* It leaves its place; its memory is the caller's. */
void xsi_remove(struct xsi_kind *kind, struct xsi *xsi);
void xsi_show(const struct xsi *xsi, struct wire_xsi *to);
/* IPC_SET. */
void xsi_set(struct xsi *xsi, const struct wire_xsi *from);
int64_t xsi_now(void);
const char *xsi_check(const struct xsi_kind *kind);	/* NULL, or what is wrong */

/* --- xsi_msg.c, xsi_sem.c, xsi_shm.c -------------------------------------------------------------------------- */

void xsi_msg_start(void);
void xsi_sem_start(void);
void xsi_shm_start(void);
const char *xsi_msg_check(void);
const char *xsi_sem_check(void);
const char *xsi_shm_check(void);
/* A process ends: what SEM_UNDO says, and nobody waits for a semaphore in its name. */
void xsi_sem_exit(const struct keep_process *process);

#endif
