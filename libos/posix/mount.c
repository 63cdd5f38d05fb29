/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * <sys/mount.h>: asking the keeper to mount (libos/keep/mount.c). Flags have Linux' numbers, as the keeper's do.
 */
#include <sys/mount.h>
#include "libos/posix/io.h"

#define KIND_MOST	31	/* bytes of what the keeper would know */

_Static_assert(MS_RDONLY == WIRE_MOUNT_READ_ONLY && MS_NOSUID == WIRE_MOUNT_NOSUID && MS_NODEV == WIRE_MOUNT_NODEV &&
	       MS_NOEXEC == WIRE_MOUNT_NOEXEC && UMOUNT_NOFOLLOW == WIRE_UMOUNT_NOFOLLOW, "the keeper's flags");

int mount(const char *source, const char *target, const char *kind, unsigned long flags, const void *data)
{
	const char *const text[] = { target, source ? source : "", kind ? kind : "", data ? data : "" };
	int64_t put = 0, result = 0;
	uint64_t more[2];

	if (strlen(text[2]) > KIND_MOST)
		return (int)posix_result(-ENODEV);
	posix_lock();
	for (unsigned i = 0; i < sizeof(text) / sizeof(text[0]) && result >= 0; i++) {
		result = posix_put_path(text[i], (uint32_t)put);
		put += result;
	}
	if (result >= 0)
		result = posix_request(REQUEST_MOUNT, flags, 0, 0, more);
	posix_unlock();
	return (int)posix_result(result);
}

int umount2(const char *target, int flags)
{
	return (int)posix_result(posix_ask_path(REQUEST_UMOUNT, target, (uint64_t)(unsigned)flags, 0, 0, NULL));
}

int umount(const char *target)
{
	return umount2(target, 0);
}
