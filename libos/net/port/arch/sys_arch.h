/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's semaphores, mutexes and mailboxes as libos/core's threads have them (sys_arch.c).
 */
#ifndef LIBOS_NET_ARCH_SYS_ARCH_H
#define LIBOS_NET_ARCH_SYS_ARCH_H

#include "libos/core/thread.h"

struct net_sem {
	struct thread_sem sem;
	bool valid;
};

struct net_mutex {
	struct thread_mutex mutex;
	bool valid;
};

/* A ring of messages; `slots` NULL: not valid. */
struct net_mailbox {
	void **slots;
	uint32_t size, head, count;
	struct thread_queue readers, writers;
};

typedef struct net_sem sys_sem_t;
typedef struct net_mutex sys_mutex_t;
typedef struct net_mailbox sys_mbox_t;
typedef struct thread *sys_thread_t;
typedef uint32_t sys_prot_t;

#define sys_sem_valid(s)		((s)->valid)
#define sys_sem_valid_val(s)		((s).valid)
#define sys_sem_set_invalid(s)		((s)->valid = false)
#define sys_mutex_valid(m)		((m)->valid)
#define sys_mutex_set_invalid(m)	((m)->valid = false)
#define sys_mbox_valid(m)		((m)->slots != NULL)
#define sys_mbox_valid_val(m)		((m).slots != NULL)
#define sys_mbox_set_invalid(m)		((m)->slots = NULL)

#endif
