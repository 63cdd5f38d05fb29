/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory objects with names: files below /dev/shm. And words in shared memory, through the keeper.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libos/posix/call.h"
#include "libos/posix/map.h"
#include "libos/posix/thread.h"

#define FOLDER		"/dev/shm/"
#define NUMBER_BITS	11		/* POSIX_THREADS_MAX is 1024 */

_Static_assert(POSIX_THREADS_MAX < 1 << NUMBER_BITS, "a thread's number and a pid fit 30 bits");

static bool path_of(const char *name, char path[sizeof(FOLDER) + NAME_MAX])
{
	size_t length;

	while (*name == '/')
		name++;
	length = strlen(name);
	if (length >= PATH_MAX || strcspn(name, "/") > NAME_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (!length || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..")) {
		errno = EINVAL;
		return false;
	}
	memcpy(path, FOLDER, sizeof(FOLDER) - 1);
	memcpy(path + sizeof(FOLDER) - 1, name, length + 1);
	return true;
}

int shm_open(const char *name, int flags, mode_t mode)
{
	char path[sizeof(FOLDER) + NAME_MAX];
	int state, fd;

	if (!path_of(name, path))
		return -1;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);	/* it is no cancellation point */
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
	pthread_setcancelstate(state, NULL);
	return fd;
}

int shm_unlink(const char *name)
{
	char path[sizeof(FOLDER) + NAME_MAX];

	if (path_of(name, path) && unlink(path) == 0)
		return 0;
	errno = errno == EINVAL ? ENOENT : errno == EPERM ? EACCES : errno;
	return -1;
}

/* --- words ---------------------------------------------------------------------------------------------- */

int posix_shared_wait(uint32_t *word, uint32_t value, exo_time_t deadline)
{
	struct vm_region *region = vm_find((exo_vaddr_t)word);
	int64_t result;

	if (!region || posix_map_kind(region) != POSIX_MAP_SHARED)
		return -ENODEV;
	for (;;) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)	/* and so the page is there */
			return 0;
		result = posix_ask(REQUEST_WORD_WAIT, (uint64_t)word, value, 0, NULL);
		if (result == WIRE_WAIT)
			return posix_sleep(deadline, POSIX_RESTARTS);
		if (result != -EAGAIN)
			return (int)result;
	}
}

void posix_shared_wake(uint32_t *word)
{
	struct vm_region *region = vm_find((exo_vaddr_t)word);

	if (region && posix_map_kind(region) == POSIX_MAP_SHARED)
		posix_ask(REQUEST_WORD_WAKE, (uint64_t)word, 0, 0, NULL);
}

uint32_t posix_shared_self(void)
{
	return (uint32_t)posix_page->pid << NUMBER_BITS | posix_self()->number;
}

bool posix_shared_gone(uint32_t owner)
{
	int32_t pid = (int32_t)(owner >> NUMBER_BITS);

	return pid != posix_page->pid && !posix_ask(REQUEST_ALIVE, (uint64_t)pid, 0, 0, NULL);
}
