/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posix_spawn: one request, in which the keeper makes the process, does the file actions and gives it its image
 * (libos/keep/spawn.c). Actions are kept as they are sent.
 */
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/posix/exec.h"

_Static_assert(POSIX_SPAWN_RESETIDS == WIRE_SPAWN_RESETIDS && POSIX_SPAWN_SETPGROUP == WIRE_SPAWN_SETPGROUP &&
	       POSIX_SPAWN_SETSIGDEF == WIRE_SPAWN_SETSIGDEF && POSIX_SPAWN_SETSIGMASK == WIRE_SPAWN_SETSIGMASK &&
	       POSIX_SPAWN_SETSID == WIRE_SPAWN_SETSID && POSIX_SPAWN_SETSCHEDPARAM == WIRE_SPAWN_SETSCHEDPARAM &&
	       POSIX_SPAWN_SETSCHEDULER == WIRE_SPAWN_SETSCHEDULER, "flags go as they are");

extern char **environ;

/* --- spawning --------------------------------------------------------------------------------------------- */

struct order {
	const posix_spawn_file_actions_t *actions;
	const posix_spawnattr_t *attributes;
	char *const *argv, *const *envp;
};

/* What fits into no half of it is no priority, either. */
static uint32_t schedule_of(const posix_spawnattr_t *attributes)
{
	int priority = attributes->__priority;

	return (uint32_t)attributes->__policy << 16 | (uint32_t)(priority < 0 || priority > UINT16_MAX ? UINT16_MAX : priority);
}

static int64_t spawn(const char *path, void *arg)
{
	const struct order *order = arg;
	size_t bytes = order->actions ? order->actions->__bytes : 0;
	struct wire_spawn *tail = malloc(sizeof(*tail) + bytes);
	int64_t result;

	if (!tail)
		return -ENOMEM;
	*tail = (struct wire_spawn){ .actions = order->actions ? order->actions->__count : 0 };
	if (order->attributes) {
		tail->flags = (uint32_t)order->attributes->__flags;
		tail->pgid = order->attributes->__pgroup;
		tail->schedule = schedule_of(order->attributes);
		memcpy(&tail->mask, &order->attributes->__mask, sizeof(tail->mask));
		memcpy(&tail->defaults, &order->attributes->__default, sizeof(tail->defaults));
	}
	if (bytes)
		memcpy(tail + 1, order->actions->__actions, bytes);
	result = posix_image(REQUEST_SPAWN, path, order->argv, order->envp, -1, tail, sizeof(*tail) + bytes);
	free(tail);
	return result;
}

static int told(int64_t result, pid_t *pid)
{
	if (result < 0)
		return (int)-result;
	if (pid)
		*pid = (pid_t)result;
	return 0;
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attributes,
		char *const *argv, char *const *envp)
{
	struct order order = { actions, attributes, argv, envp ? envp : environ };

	return told(spawn(path, &order), pid);
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes,
		 char *const *argv, char *const *envp)
{
	struct order order = { actions, attributes, argv, envp ? envp : environ };

	return told(strchr(file, '/') ? spawn(file, &order) : posix_search(file, spawn, &order), pid);
}

/* --- file actions ----------------------------------------------------------------------------------------- */

int posix_spawn_file_actions_init(posix_spawn_file_actions_t *actions)
{
	memset(actions, 0, sizeof(*actions));
	return 0;
}

int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *actions)
{
	free(actions->__actions);
	memset(actions, 0, sizeof(*actions));
	return 0;
}

static int add(posix_spawn_file_actions_t *actions, const struct wire_action *action, const char *path)
{
	size_t text = path ? strlen(path) + 1 : 0, bytes = (sizeof(*action) + text + 7) & ~(size_t)7;
	struct wire_action *to;
	char *grown;

	if (action->fd < 0 || action->fd >= WIRE_FDS || action->other < 0 || action->other >= WIRE_FDS)
		return EBADF;
	if (text > PATH_MAX)
		return ENAMETOOLONG;
	grown = realloc(actions->__actions, actions->__bytes + bytes);
	if (!grown)
		return ENOMEM;
	to = (struct wire_action *)(grown + actions->__bytes);
	memset(to, 0, bytes);
	*to = *action;
	to->bytes = (uint32_t)bytes;
	if (path)
		memcpy(to + 1, path, text);
	actions->__actions = grown;
	actions->__bytes += bytes;
	actions->__count++;
	return 0;
}

int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions, int fd, const char *path, int flags,
				     mode_t mode)
{
	return add(actions, &(struct wire_action){ .action = WIRE_SPAWN_OPEN, .fd = fd, .flags = (uint32_t)flags,
		.mode = mode }, path);
}

int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *actions, int fd)
{
	return add(actions, &(struct wire_action){ .action = WIRE_SPAWN_CLOSE, .fd = fd }, NULL);
}

int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int fd, int other)
{
	return add(actions, &(struct wire_action){ .action = WIRE_SPAWN_DUP2, .fd = fd, .other = other }, NULL);
}

int posix_spawn_file_actions_addchdir(posix_spawn_file_actions_t *actions, const char *path)
{
	return add(actions, &(struct wire_action){ .action = WIRE_SPAWN_CHDIR }, path);
}

int posix_spawn_file_actions_addfchdir(posix_spawn_file_actions_t *actions, int fd)
{
	return add(actions, &(struct wire_action){ .action = WIRE_SPAWN_FCHDIR, .fd = fd }, NULL);
}

int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path)
{
	return posix_spawn_file_actions_addchdir(actions, path);
}

int posix_spawn_file_actions_addfchdir_np(posix_spawn_file_actions_t *actions, int fd)
{
	return posix_spawn_file_actions_addfchdir(actions, fd);
}

/* --- attributes ------------------------------------------------------------------------------------------- */

int posix_spawnattr_init(posix_spawnattr_t *attributes)
{
	memset(attributes, 0, sizeof(*attributes));
	return 0;
}

int posix_spawnattr_destroy(posix_spawnattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int posix_spawnattr_getflags(const posix_spawnattr_t *attributes, short *flags)
{
	*flags = attributes->__flags;
	return 0;
}

int posix_spawnattr_setflags(posix_spawnattr_t *attributes, short flags)
{
	if (flags & ~(POSIX_SPAWN_RESETIDS | POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
		      POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSCHEDPARAM | POSIX_SPAWN_SETSCHEDULER))
		return EINVAL;
	attributes->__flags = flags;
	return 0;
}

int posix_spawnattr_getpgroup(const posix_spawnattr_t *attributes, pid_t *pgroup)
{
	*pgroup = attributes->__pgroup;
	return 0;
}

int posix_spawnattr_setpgroup(posix_spawnattr_t *attributes, pid_t pgroup)
{
	attributes->__pgroup = pgroup;
	return 0;
}

int posix_spawnattr_getsigdefault(const posix_spawnattr_t *attributes, sigset_t *set)
{
	*set = attributes->__default;
	return 0;
}

int posix_spawnattr_setsigdefault(posix_spawnattr_t *attributes, const sigset_t *set)
{
	attributes->__default = *set;
	return 0;
}

int posix_spawnattr_getsigmask(const posix_spawnattr_t *attributes, sigset_t *set)
{
	*set = attributes->__mask;
	return 0;
}

int posix_spawnattr_setsigmask(posix_spawnattr_t *attributes, const sigset_t *set)
{
	attributes->__mask = *set;
	return 0;
}

int posix_spawnattr_getschedparam(const posix_spawnattr_t *attributes, struct sched_param *parameter)
{
	parameter->sched_priority = attributes->__priority;
	return 0;
}

int posix_spawnattr_setschedparam(posix_spawnattr_t *attributes, const struct sched_param *parameter)
{
	attributes->__priority = parameter->sched_priority;
	return 0;
}

int posix_spawnattr_getschedpolicy(const posix_spawnattr_t *attributes, int *policy)
{
	*policy = attributes->__policy;
	return 0;
}

int posix_spawnattr_setschedpolicy(posix_spawnattr_t *attributes, int policy)
{
	if (policy != SCHED_OTHER && policy != SCHED_FIFO && policy != SCHED_RR)
		return EINVAL;
	attributes->__policy = policy;
	return 0;
}
