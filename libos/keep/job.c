/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Job control: groups without a guard, and what the end of a process means for groups and sessions.
 *
 * A group is orphaned if none of its members has a parent in the same session but another group: nobody is
 * there who would continue it once it is stopped. So such a group is not stopped by a terminal, and one that
 * becomes orphaned with a stopped member is told so by SIGHUP and SIGCONT (POSIX.1-2017, _exit).
 */
#include <signal.h>
#include "libos/keep/keep.h"

static bool lives(const struct keep_process *process)
{
	return (process->state == KEEP_RUNNING || process->state == KEEP_STOPPED) && !process->ending;
}

/* `dying` counts as alive; `without` does not. */
static bool orphaned(pid_t pgid, const struct keep_process *dying, const struct keep_process *without)
{
	for (unsigned i = 0; i < keep_used; i++) {
		const struct keep_process *member = &keep_process[i], *parent = member->parent;
		if ((!lives(member) && member != dying) || member->pgid != pgid || member == without)
			continue;
		if (parent && parent != without && (lives(parent) || parent == dying) && parent->sid == member->sid &&
		    parent->pgid != pgid)
			return false;
	}
	return true;
}

bool keep_orphaned(pid_t pgid, const struct keep_process *without)
{
	return orphaned(pgid, NULL, without);
}

bool keep_group_exists(pid_t pgid, pid_t sid)
{
	for (unsigned i = 0; i < keep_used; i++)
		if (lives(&keep_process[i]) && keep_process[i].pgid == pgid && keep_process[i].sid == sid)
			return true;
	return false;
}

static bool has_stopped(pid_t pgid, const struct keep_process *without)
{
	for (unsigned i = 0; i < keep_used; i++)
		if (&keep_process[i] != without && keep_process[i].pgid == pgid &&
		    keep_process[i].state == KEEP_STOPPED)
			return true;
	return false;
}

/* The group loses a member, or a member's parent. */
static void lose(pid_t pgid, struct keep_process *process)
{
	if (orphaned(pgid, process, NULL) || !orphaned(pgid, NULL, process) || !has_stopped(pgid, process))
		return;
	for (unsigned i = 0; i < keep_used; i++) {
		struct keep_process *member = &keep_process[i];
		if (member == process || !lives(member) || member->pgid != pgid)
			continue;
		keep_signal(member, SIGHUP, NULL);
		keep_signal(member, SIGCONT, NULL);
	}
}

void keep_signal_exit(struct keep_process *process)
{
	if (process->pid == process->sid && process->tty)
		keep_tty_leave(process);
	lose(process->pgid, process);
	for (unsigned i = 0; i < keep_used; i++) {
		struct keep_process *child = &keep_process[i];
		if (child->parent == process && lives(child) && child->pgid != process->pgid)
			lose(child->pgid, process);
	}
}
