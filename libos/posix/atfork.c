/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What threads have to do with fork: pthread_atfork's functions and libc's own lock.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/lock.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"
#include "libos/uni/locks.h"

extern struct __lock __lock___libc_recursive_mutex;

static struct handlers {
	struct handlers *newer, *older;
	void (*prepare)(void), (*parent)(void), (*child)(void);
} *newest, *oldest;

int pthread_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
	struct handlers *handlers = malloc(sizeof(*handlers));

	if (!handlers)
		return ENOMEM;
	*handlers = (struct handlers){ NULL, newest, prepare, parent, child };
	if (newest)
		newest->newer = handlers;
	else
		oldest = handlers;
	newest = handlers;
	return 0;
}

void posix_fork_prepare(void)
{
	for (struct handlers *handlers = newest; handlers; handlers = handlers->older)
		if (handlers->prepare)
			handlers->prepare();
	__retarget_lock_acquire_recursive(&__lock___libc_recursive_mutex);
}

void posix_fork_parent(void)
{
	__retarget_lock_release_recursive(&__lock___libc_recursive_mutex);
	for (struct handlers *handlers = oldest; handlers; handlers = handlers->newer)
		if (handlers->parent)
			handlers->parent();
}

void posix_fork_child(void)
{
	streams_forked();
	__retarget_lock_release_recursive(&__lock___libc_recursive_mutex);
	for (struct handlers *handlers = oldest; handlers; handlers = handlers->newer)
		if (handlers->child)
			handlers->child();
}
