/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is told by a signal that something has come to an open file description (F_SETOWN, O_ASYNC).
 *
 * The owner is a process or a group, as a number; with it stands who has named it, since a signal goes only to whom
 * that one might have sent it at the time. A number that nobody has any more is nobody. Kinds that say `async` call
 * keep_async wherever they wake those who wait: sockets do.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include "libos/keep/keep.h"

static bool lives(const struct keep_process *process)
{
	return process->state == KEEP_RUNNING || process->state == KEEP_STOPPED;
}

/* Is it the owner, or in the group that is? */
static bool named(const struct keep_process *process, pid_t owner)
{
	return lives(process) && (owner > 0 ? process->pid == owner : process->pgid == -owner);
}

static bool may(const struct keep_file *file, const struct keep_process *target)
{
	const uid_t uid = file->owner_uid, euid = file->owner_euid;

	return euid == 0 || euid == target->uid || euid == target->suid || uid == target->uid || uid == target->suid;
}

int64_t keep_owner_set(struct keep_file *file, const struct keep_process *process, int owner)
{
	bool found = owner == 0;

	if (owner == INT_MIN)
		return -EINVAL;
	for (unsigned i = 0; i < keep_used && !found; i++)
		found = named(&keep_process[i], owner);
	if (!found)
		return -ESRCH;
	file->owner = owner;
	file->owner_uid = process->uid;
	file->owner_euid = process->euid;
	return 0;
}

void keep_async(struct keep_file *file, int number)
{
	if (!file->owner)
		return;
	for (unsigned i = 0; i < keep_used; i++)
		if (named(&keep_process[i], file->owner) && may(file, &keep_process[i]))
			keep_signal(&keep_process[i], number, NULL);
}
