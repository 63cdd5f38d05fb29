/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What processes ask about each other: exit, wait, groups, sessions, ids, limits, the list of all.
 *
 * The rules are POSIX.1-2017's: setpgid only for oneself or a child that has not exec'd yet, within the
 * session, never for a session's leader; setsid only for who leads no group; ids as the superuser likes, else
 * among real, effective and saved ones.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include "libos/keep/private.h"

#pragma weak keep_tty_number

/* waitid's options, with waitpid's two. */
#define OPTION_NOHANG		1
#define OPTION_STOPPED		2
#define OPTION_EXITED		4
#define OPTION_CONTINUED	8
#define OPTION_NOWAIT		0x1000000
#define OPTIONS_ALL		(OPTION_NOHANG | OPTION_STOPPED | OPTION_EXITED | OPTION_CONTINUED | OPTION_NOWAIT)
#define STATUS_CONTINUED	0xffff

/* --- exit and wait --------------------------------------------------------------------------------------- */

static int64_t exit_now(struct keep_request *request)
{
	keep_kill(request->process, (int)(request->word[0] & 0xffff));
	return 0;
}

static bool meant(const struct keep_process *child, const struct keep_process *parent, pid_t pid)
{
	if (child->parent != parent || child->state == KEEP_MAKING)
		return false;
	if (pid > 0)
		return child->pid == pid;
	return pid == -1 || child->pgid == (pid ? -pid : parent->pgid);
}

/* Does it have something to say that is asked for? */
static bool says(const struct keep_process *child, uint64_t options)
{
	if (child->state == KEEP_ZOMBIE)
		return options & OPTION_EXITED;
	if (!child->report)
		return false;
	return child->state == KEEP_STOPPED ? options & OPTION_STOPPED :
		child->status == STATUS_CONTINUED && options & OPTION_CONTINUED;
}

static int64_t wait_for(struct keep_request *request)
{
	struct keep_process *parent = request->process, *child = keep_next(NULL);
	uint64_t options = request->word[1];
	int64_t pid = (int32_t)request->word[0];
	bool any = false;

	if (options & ~(uint64_t)OPTIONS_ALL || !(options & (OPTION_EXITED | OPTION_STOPPED | OPTION_CONTINUED)))
		return -EINVAL;
	for (; child; child = keep_next(child)) {
		if (!meant(child, parent, (pid_t)pid))
			continue;
		any = true;
		if (says(child, options))
			break;
	}
	if (!child) {
		if (!any)
			return -ECHILD;
		if (options & OPTION_NOHANG)
			return 0;
		keep_wait(&parent->children, parent);
		return WIRE_WAIT;
	}
	request->more[0] = (uint64_t)child->status;
	request->more[1] = child->uid;
	pid = child->pid;
	if (!(options & OPTION_NOWAIT)) {
		child->report = false;
		if (child->state == KEEP_ZOMBIE) {
			parent->children_ns += child->ns + child->children_ns;
			keep_process_free(child);
		}
	}
	return pid;
}

static int64_t times(struct keep_request *request)
{
	request->more[0] = request->process->children_ns;
	request->more[1] = request->process->ns;
	return 0;
}

/* --- groups and sessions --------------------------------------------------------------------------------- */

static bool group_in_session(pid_t pgid, pid_t sid)
{
	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process))
		if (process->pgid == pgid && process->sid == sid)
			return true;
	return false;
}

static int64_t set_group(struct keep_request *request)
{
	struct keep_process *self = request->process;
	pid_t pid = (int32_t)request->word[0], pgid = (int32_t)request->word[1];
	struct keep_process *process = pid ? keep_find(pid) : self;

	if (pgid < 0)
		return -EINVAL;
	if (!process || (process != self && process->parent != self) || process->state == KEEP_ZOMBIE)
		return -ESRCH;
	if (!pgid)
		pgid = process->pid;
	if (process != self && process->execed)
		return -EACCES;
	if (process->sid != self->sid || process->pid == process->sid)
		return -EPERM;
	if (pgid != process->pid && !group_in_session(pgid, self->sid))
		return -EPERM;
	process->pgid = pgid;
	process->page->pgid = pgid;
	return 0;
}

static int64_t set_session(struct keep_request *request)
{
	struct keep_process *self = request->process;

	for (struct keep_process *process = keep_next(NULL); process; process = keep_next(process))
		if (process->pgid == self->pid)
			return -EPERM;
	self->sid = self->pgid = self->pid;
	self->tty = NULL;
	keep_page_fill(self);
	return self->pid;
}

static int64_t get_group(struct keep_request *request)
{
	pid_t pid = (int32_t)request->word[0];
	struct keep_process *process = pid ? keep_find(pid) : request->process;

	if (!process)
		return -ESRCH;
	request->more[0] = (uint64_t)process->sid;
	return process->pgid;
}

/* --- ids ------------------------------------------------------------------------------------------------- */

struct ids {
	uint32_t real, effective, saved;
};

#define KEEP_ID		0xffffffff	/* "leave it" */

static bool one_of(const struct ids *ids, uint32_t id)
{
	return id == ids->real || id == ids->effective || id == ids->saved;
}

/* setuid and setgid; seteuid; setreuid; setresuid. 0 or -EPERM. */
static int64_t change(struct ids *ids, uint64_t which, uint32_t a, uint32_t b, uint32_t c, bool root)
{
	struct ids new = *ids;

	switch (which) {
	case WIRE_SETUID:
		if (!root && a != ids->real && a != ids->saved)
			return -EPERM;
		new.effective = a;
		if (root)
			new.real = new.saved = a;
		break;
	case WIRE_SETEUID:
		if (!root && !one_of(ids, a))
			return -EPERM;
		new.effective = a;
		break;
	case WIRE_SETREUID:
		if (!root && ((a != KEEP_ID && a != ids->real && a != ids->effective) ||
			      (b != KEEP_ID && !one_of(ids, b))))
			return -EPERM;
		new.real = a != KEEP_ID ? a : ids->real;
		new.effective = b != KEEP_ID ? b : ids->effective;
		if (a != KEEP_ID || (b != KEEP_ID && b != ids->real))
			new.saved = new.effective;
		break;
	default:
		if (!root && ((a != KEEP_ID && !one_of(ids, a)) || (b != KEEP_ID && !one_of(ids, b)) ||
			      (c != KEEP_ID && !one_of(ids, c))))
			return -EPERM;
		new.real = a != KEEP_ID ? a : ids->real;
		new.effective = b != KEEP_ID ? b : ids->effective;
		new.saved = c != KEEP_ID ? c : ids->saved;
	}
	*ids = new;
	return 0;
}

static int64_t set_groups(struct keep_process *process, const struct keep_request *request)
{
	uint64_t count = request->word[1];

	if (process->euid)
		return -EPERM;
	if (count > KEEP_GROUPS)
		return -EINVAL;
	memcpy(process->group, request->data, count * sizeof(gid_t));
	process->groups = (uint32_t)count;
	return 0;
}

static int64_t get_groups(struct keep_request *request)
{
	const struct keep_process *process = request->process;

	memcpy(request->data, process->group, process->groups * sizeof(gid_t));
	return process->groups;
}

static int64_t get_ids(struct keep_request *request)
{
	const struct keep_process *process = request->process;
	const uint32_t all[6] = { process->uid, process->euid, process->suid, process->gid, process->egid,
		process->sgid };

	memcpy(request->data, all, sizeof(all));
	return 0;
}

static int64_t set_ids(struct keep_request *request)
{
	struct keep_process *process = request->process;
	uint64_t which = request->word[0] & 0xff;
	bool group = request->word[0] & WIRE_IDS_GROUP, root = process->euid == 0;
	uint32_t a = (uint32_t)request->word[1], b = (uint32_t)(request->word[1] >> 32),
		c = (uint32_t)request->word[2];
	struct ids ids = { process->uid, process->euid, process->suid };
	int64_t result;

	if (which == WIRE_GETIDS)
		return get_ids(request);
	if (which == WIRE_GETGROUPS)
		return get_groups(request);
	if (which == WIRE_SETGROUPS)
		return set_groups(process, request);
	if (which > WIRE_SETRESUID)
		return -EINVAL;
	if (group)
		ids = (struct ids){ process->gid, process->egid, process->sgid };
	result = change(&ids, which, a, b, c, root);
	if (result)
		return result;
	if (process->body)
		body_mixed(process->body);
	if (group) {
		process->gid = ids.real;
		process->egid = ids.effective;
		process->sgid = ids.saved;
	} else {
		process->uid = ids.real;
		process->euid = ids.effective;
		process->suid = ids.saved;
	}
	keep_page_fill(process);
	return 0;
}

/* --- limits, list ---------------------------------------------------------------------------------------- */

static int64_t limit(struct keep_request *request)
{
	struct keep_process *process = request->process;
	uint64_t which = request->word[0] & ~(uint64_t)WIRE_LIMIT_SET, soft = request->word[1],
		hard = request->word[2];
	uint64_t *now;

	if (which >= KEEP_LIMITS)
		return -EINVAL;
	now = process->limit[which];
	if (request->word[0] & WIRE_LIMIT_SET) {
		if (soft > hard)
			return -EINVAL;
		if (hard > now[1] && process->euid)
			return -EPERM;
		if (which == KEEP_LIMIT_FILES && hard > WIRE_FDS)
			return -EPERM;
		now[0] = soft;
		now[1] = hard;
		keep_page_fill(process);
	}
	request->more[0] = now[0];
	request->more[1] = now[1];
	return 0;
}

static uint32_t state_of(const struct keep_process *process)
{
	const struct exo_env_info *info = process->body ? info_env((uint32_t)process->id) : NULL;

	if (process->state == KEEP_ZOMBIE)
		return 'Z';
	if (process->state == KEEP_STOPPED)
		return 'T';
	for (uint32_t i = 0; process->body && i < process->body->cpus; i++) {
		const struct exo_env_info *other = body_cpu(process->body, i);
		if (other && other->state == EXO_ENV_READY)
			return 'R';
	}
	return info && info->state == EXO_ENV_ASLEEP ? 'S' : 'R';
}

static int64_t list(struct keep_request *request)
{
	size_t bytes = request->word[0] ? request->word[0] : WIRE_PROCESS_1_0;
	int64_t count = 0;

	if (bytes > sizeof(struct wire_process))	/* a keeper knows no more than it does */
		return -EINVAL;

	for (const struct keep_process *process = keep_next(NULL); process; process = keep_next(process)) {
		const struct exo_env_info *info = process->body ? info_env((uint32_t)process->id) : NULL;
		struct wire_process one = { process->pid, process->parent ? process->parent->pid : 0, process->pgid,
			process->sid, process->uid, state_of(process), process->id, process->started,
			keep_tty_number && process->tty ? keep_tty_number(process->tty) : -1, "",
			process->ns + (info ? info->ns : 0) };

		if (process->state == KEEP_MAKING)
			continue;
		memcpy(one.name, process->name, sizeof(one.name));
		memcpy(request->data + (size_t)count++ * bytes, &one, bytes);
	}
	return count;
}

void keep_wait_start(void)
{
	_Static_assert(WIRE_PROCESSES * sizeof(struct wire_process) <= WIRE_BUFFER, "LIST fits the buffer");
	keep_serve(REQUEST_EXIT, exit_now);
	keep_serve(REQUEST_WAIT, wait_for);
	keep_serve(REQUEST_SETPGID, set_group);
	keep_serve(REQUEST_SETSID, set_session);
	keep_serve(REQUEST_GETPGID, get_group);
	keep_serve(REQUEST_SETIDS, set_ids);
	keep_serve(REQUEST_LIMIT, limit);
	keep_serve(REQUEST_LIST, list);
	keep_serve(REQUEST_TIMES, times);
}
