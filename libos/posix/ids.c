/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Users and groups of a process. The keeper knows them and judges by them; its page shows them.
 */
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <unistd.h>
#include "libos/posix/call.h"

#define page	((volatile struct wire_page *)WIRE_VA_PAGE)

uid_t getuid(void)
{
	return (uid_t)page->uid;
}

uid_t geteuid(void)
{
	return (uid_t)page->euid;
}

gid_t getgid(void)
{
	return (gid_t)page->gid;
}

gid_t getegid(void)
{
	return (gid_t)page->egid;
}

static int set(uint64_t which, uint32_t a, uint32_t b, uint32_t c)
{
	return (int)posix_result(posix_ask(REQUEST_SETIDS, which, a | (uint64_t)b << 32, c, NULL));
}

/* One id; all ones are none's. */
static int set_one(uint64_t which, uint32_t id, bool none)
{
	return none ? (int)posix_result(-EINVAL) : set(which, id, 0, 0);
}

int setuid(uid_t uid)
{
	return set_one(WIRE_SETUID, uid, uid == (uid_t)-1);
}

int seteuid(uid_t uid)
{
	return set_one(WIRE_SETEUID, uid, uid == (uid_t)-1);
}

int setgid(gid_t gid)
{
	return set_one(WIRE_SETUID | WIRE_IDS_GROUP, gid, gid == (gid_t)-1);
}

int setegid(gid_t gid)
{
	return set_one(WIRE_SETEUID | WIRE_IDS_GROUP, gid, gid == (gid_t)-1);
}

/* uid_t and gid_t may be narrower than the 32 bits of which all ones mean "leave it". */
static uint32_t wide(int64_t id, bool none)
{
	return none ? UINT32_MAX : (uint32_t)id;
}
#define UID(id)	wide(id, (id) == (uid_t)-1)
#define GID(id)	wide(id, (id) == (gid_t)-1)

int setreuid(uid_t real, uid_t effective)
{
	return set(WIRE_SETREUID, UID(real), UID(effective), 0);
}

int setregid(gid_t real, gid_t effective)
{
	return set(WIRE_SETREUID | WIRE_IDS_GROUP, GID(real), GID(effective), 0);
}

int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	return set(WIRE_SETRESUID, UID(real), UID(effective), UID(saved));
}

int setresgid(gid_t real, gid_t effective, gid_t saved)
{
	return set(WIRE_SETRESUID | WIRE_IDS_GROUP, GID(real), GID(effective), GID(saved));
}

static int get_all(uint32_t all[6])
{
	int64_t result;

	posix_lock();
	result = posix_ask(REQUEST_SETIDS, WIRE_GETIDS, 0, 0, NULL);
	memcpy(all, posix_buffer, 6 * sizeof(*all));
	posix_unlock();
	return (int)posix_result(result);
}

int getresuid(uid_t *real, uid_t *effective, uid_t *saved)
{
	uint32_t all[6];

	if (get_all(all))
		return -1;
	*real = (uid_t)all[0];
	*effective = (uid_t)all[1];
	*saved = (uid_t)all[2];
	return 0;
}

int getresgid(gid_t *real, gid_t *effective, gid_t *saved)
{
	uint32_t all[6];

	if (get_all(all))
		return -1;
	*real = (gid_t)all[3];
	*effective = (gid_t)all[4];
	*saved = (gid_t)all[5];
	return 0;
}

int getgroups(int most, gid_t *groups)
{
	int64_t result;

	if (most < 0)
		return (int)posix_result(-EINVAL);
	posix_lock();
	result = posix_ask(REQUEST_SETIDS, WIRE_GETGROUPS, 0, 0, NULL);
	if (result > most && most)
		result = -EINVAL;
	if (result > 0 && most)
		memcpy(groups, posix_buffer, (size_t)result * sizeof(gid_t));
	posix_unlock();
	return (int)posix_result(result);
}

int setgroups(int count, const gid_t *groups)
{
	int64_t result;

	if (count < 0 || (size_t)count > WIRE_BUFFER / sizeof(gid_t))
		return (int)posix_result(-EINVAL);
	posix_lock();
	memcpy(posix_buffer, groups, (size_t)count * sizeof(gid_t));
	result = posix_ask(REQUEST_SETIDS, WIRE_SETGROUPS, (uint64_t)count, 0, NULL);
	posix_unlock();
	return (int)posix_result(result);
}

/* For a program that runs with another's rights, what its user says is not there. */
char *secure_getenv(const char *name)
{
	return getuid() == geteuid() && getgid() == getegid() ? getenv(name) : NULL;
}
