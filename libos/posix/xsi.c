/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * XSI's message queues, semaphores and shared memory: all of it is the keeper's (libos/keep/xsi*.c).
 *
 * A wait for one that is removed ends with EIDRM: the keeper only says that there is no such number any more. These
 * waits end with EINTR whatever SA_RESTART says.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include "libos/posix/call.h"
#include "libos/posix/map.h"
#include "libos/posix/poll.h"
#include "libos/posix/thread.h"

_Static_assert(IPC_CREAT == WIRE_IPC_CREAT && IPC_EXCL == WIRE_IPC_EXCL && IPC_NOWAIT == WIRE_SEM_NOWAIT &&
	       SEM_UNDO == WIRE_SEM_UNDO, "the same numbers");
_Static_assert(IPC_RMID == WIRE_IPC_RMID && IPC_SET == WIRE_IPC_SET && IPC_STAT == WIRE_IPC_STAT, "the same numbers");
_Static_assert(sizeof(struct sembuf) == sizeof(struct wire_semop), "as the keeper reads it");

key_t ftok(const char *path, int project)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return (key_t)-1;
	return (key_t)((uint32_t)(project & 0xff) << 24 | (uint32_t)(st.st_dev & 0xff) << 16 | (st.st_ino & 0xffff));
}

static int get(enum wire_request number, key_t key, uint64_t size, int flags)
{
	return (int)posix_result(posix_ask(number, (uint32_t)key, size, (uint32_t)flags, NULL));
}

static struct ipc_perm from_wire(const struct wire_xsi *wire)
{
	return (struct ipc_perm){ .__key = wire->key, .uid = (uid_t)wire->uid, .gid = (gid_t)wire->gid,
		.cuid = (uid_t)wire->cuid, .cgid = (gid_t)wire->cgid, .mode = (mode_t)wire->mode,
		.__seq = (unsigned short)wire->sequence };
}

static struct wire_xsi to_wire(const struct ipc_perm *permissions)
{
	return (struct wire_xsi){ .uid = permissions->uid, .gid = permissions->gid, .mode = permissions->mode };
}

/* The request of a CTL with a structure of `bytes`: sent with SET, given with STAT. */
static int64_t control(enum wire_request number, int id, int command, void *wire, size_t bytes)
{
	int64_t result;

	if (command != IPC_RMID && command != IPC_SET && command != IPC_STAT)
		return -EINVAL;
	posix_lock();
	memcpy(posix_buffer, wire, bytes);
	result = posix_ask(number, (uint64_t)(int64_t)id, (uint64_t)command, 0, NULL);
	memcpy(wire, posix_buffer, bytes);
	posix_unlock();
	return result;
}

/* --- messages ------------------------------------------------------------------------------------------------- */

int msgget(key_t key, int flags)
{
	return get(REQUEST_MSGGET, key, 0, flags);
}

int msgctl(int id, int command, struct msqid_ds *is)
{
	struct wire_msg wire = { .most = 0 };
	int64_t result;

	if (command == IPC_SET) {
		wire.xsi = to_wire(&is->msg_perm);
		wire.most = is->msg_qbytes;
	}
	result = control(REQUEST_MSGCTL, id, command, &wire, sizeof(wire));
	if (!result && command == IPC_STAT)
		*is = (struct msqid_ds){ from_wire(&wire.xsi), wire.count, wire.most, wire.sender, wire.receiver, wire.sent,
			wire.received, wire.xsi.changed, wire.bytes };
	return (int)posix_result(result);
}

/* What a thread has after it has waited. */
static int64_t after(int64_t result, bool waited)
{
	return waited && result == -EINVAL ? -EIDRM : result;
}

int msgsnd(int id, const void *message, size_t bytes, int flags)
{
	bool waited = false;
	int64_t result;

	posix_cancel_check();
	do {
		posix_lock();
		memcpy(posix_buffer, (const char *)message + sizeof(long), bytes < WIRE_BUFFER ? bytes : 0);
		result = posix_ask(REQUEST_MSGSND, (uint64_t)(int64_t)id,
				   (bytes < WIRE_BUFFER ? bytes : WIRE_BUFFER) | (flags & IPC_NOWAIT ? WIRE_IPC_NOWAIT : 0),
				   (uint64_t)*(const long *)message, NULL);
		posix_unlock();
		result = after(result, waited);
		waited = true;
	} while (result == WIRE_WAIT && !(result = posix_sleep(EXO_NEVER, POSIX_BREAKS)));
	return (int)posix_result(result);
}

ssize_t msgrcv(int id, void *message, size_t room, long type, int flags)
{
	uint64_t how = (room < WIRE_BUFFER ? room : WIRE_BUFFER) | (flags & IPC_NOWAIT ? WIRE_IPC_NOWAIT : 0) |
		(flags & MSG_NOERROR ? WIRE_IPC_NOERROR : 0) | (flags & MSG_EXCEPT ? WIRE_IPC_EXCEPT : 0), more[2];
	bool waited = false;
	int64_t result;

	posix_cancel_check();
	if ((ssize_t)room < 0)
		return posix_result(-EINVAL);
	do {
		posix_lock();
		result = posix_ask(REQUEST_MSGRCV, (uint64_t)(int64_t)id, how, (uint64_t)type, more);
		if (result >= 0) {
			*(long *)message = (long)more[0];
			memcpy((char *)message + sizeof(long), posix_buffer, (size_t)result);
		}
		posix_unlock();
		result = after(result, waited);
		waited = true;
	} while (result == WIRE_WAIT && !(result = posix_sleep(EXO_NEVER, POSIX_BREAKS)));
	return posix_result(result);
}

/* --- semaphores ----------------------------------------------------------------------------------------------- */

int semget(key_t key, int count, int flags)
{
	return count < 0 ? (int)posix_result(-EINVAL) : get(REQUEST_SEMGET, key, (uint64_t)count, flags);
}

static void forget(void *id)
{
	(void)posix_ask(REQUEST_SEMFORGET, (uint64_t)(int64_t)*(int *)id, 0, posix_self()->number, NULL);
}

static int64_t operate(int id, const struct sembuf *ops, size_t count)
{
	int64_t result;

	posix_lock();
	memcpy(posix_buffer, ops, count <= WIRE_SEMOPS ? count * sizeof(*ops) : 0);
	result = posix_ask(REQUEST_SEMOP, (uint64_t)(int64_t)id, count, posix_self()->number, NULL);
	posix_unlock();
	return result;
}

/* -EAGAIN: the time is over. */
static int64_t operate_until(int id, const struct sembuf *ops, size_t count, exo_time_t deadline)
{
	int64_t result = operate(id, ops, count), woken = 0;

	if (result != WIRE_WAIT)
		return result;
	pthread_cleanup_push(forget, &id);
	while (result == WIRE_WAIT && !(woken = posix_sleep(deadline, POSIX_BREAKS)))
		result = after(operate(id, ops, count), true);
	pthread_cleanup_pop(woken != 0);
	return woken == -ETIMEDOUT ? -EAGAIN : woken ? woken : result;
}

int semop(int id, struct sembuf *ops, size_t count)
{
	return (int)posix_result(operate_until(id, ops, count, EXO_NEVER));
}

int semtimedop(int id, struct sembuf *ops, size_t count, const struct timespec *timeout)
{
	exo_time_t deadline;
	int64_t result = posix_timeout(timeout, &deadline);

	return (int)posix_result(result ? result : operate_until(id, ops, count, deadline));
}

/* All values, as many as the set has. */
static int64_t values(int id, int command, unsigned short *value)
{
	uint64_t which = (uint64_t)(int64_t)id;
	int64_t result, count;

	posix_lock();
	if (command == GETALL) {
		result = posix_ask(REQUEST_SEMCTL, which, WIRE_SEM_GETALL, 0, NULL);
		if (result > 0)
			memcpy(value, posix_buffer, (size_t)result * sizeof(*value));
	} else {
		count = result = posix_ask(REQUEST_SEMCTL, which, WIRE_SEM_COUNT, 0, NULL);
		if (count > 0)
			memcpy(posix_buffer, value, (size_t)count * sizeof(*value));
		if (count > 0)
			result = posix_ask(REQUEST_SEMCTL, which, WIRE_SEM_SETALL, 0, NULL);
	}
	posix_unlock();
	return result > 0 ? 0 : result;
}

static int64_t of_set(int id, int command, struct semid_ds *is)
{
	struct wire_sem wire = { .count = 0 };
	int64_t result;

	if (command == IPC_SET)
		wire.xsi = to_wire(&is->sem_perm);
	result = control(REQUEST_SEMCTL, id, command, &wire, sizeof(wire));
	if (!result && command == IPC_STAT)
		*is = (struct semid_ds){ from_wire(&wire.xsi), (unsigned short)wire.count, wire.done, wire.xsi.changed };
	return result;
}

int semctl(int id, int number, int command, ...)
{
	static const uint8_t one[] = { [GETPID] = WIRE_SEM_GETPID, [GETVAL] = WIRE_SEM_GETVAL,
		[GETNCNT] = WIRE_SEM_GETNCNT, [GETZCNT] = WIRE_SEM_GETZCNT, [SETVAL] = WIRE_SEM_SETVAL };
	union {
		int val;
		struct semid_ds *buf;
		unsigned short *array;
		uint64_t word;
	} arg = { .word = 0 };
	va_list list;

	if (command == SETVAL || command == GETALL || command == SETALL || command == IPC_SET || command == IPC_STAT) {
		va_start(list, command);
		arg.word = va_arg(list, uint64_t);
		va_end(list);
	}
	if (command == GETALL || command == SETALL)
		return (int)posix_result(values(id, command, arg.array));
	if (command >= GETPID && command <= SETVAL)
		return (int)posix_result(posix_ask(REQUEST_SEMCTL, (uint64_t)(int64_t)id,
						   one[command] | (uint64_t)(uint32_t)number << 32,
						   (uint64_t)(int64_t)arg.val, NULL));
	return (int)posix_result(of_set(id, command, arg.buf));
}

/* --- shared memory -------------------------------------------------------------------------------------------- */

int shmget(key_t key, size_t bytes, int flags)
{
	return get(REQUEST_SHMGET, key, bytes, flags);
}

void *shmat(int id, const void *address, int flags)
{
	exo_vaddr_t at = (exo_vaddr_t)address;
	int64_t result;
	bool was;

	if (flags & SHM_RND)
		at = at / SHMLBA * SHMLBA;
	if (at % SHMLBA || (flags & SHM_REMAP && !at))
		return (void *)posix_result(-EINVAL);
	was = posix_enter();
	result = posix_map_segment(id, flags & SHM_RDONLY, flags & SHM_REMAP, &at);
	posix_leave(was);
	return result ? (void *)posix_result(result) : (void *)at;
}

int shmdt(const void *address)
{
	exo_vaddr_t va = (exo_vaddr_t)address;
	bool was = posix_enter();
	int64_t result = va % SHMLBA ? -EINVAL : posix_ask(REQUEST_SHMDT, va, 0, 0, NULL);

	if (result > 0)
		result = posix_unmap(va, va + (uint64_t)result * EXO_PAGE_SIZE);
	posix_leave(was);
	return (int)posix_result(result);
}

int shmctl(int id, int command, struct shmid_ds *is)
{
	struct wire_shm wire = { .bytes = 0 };
	int64_t result;

	if (command == IPC_SET)
		wire.xsi = to_wire(&is->shm_perm);
	result = control(REQUEST_SHMCTL, id, command, &wire, sizeof(wire));
	if (!result && command == IPC_STAT)
		*is = (struct shmid_ds){ from_wire(&wire.xsi), wire.bytes, wire.last, wire.maker, wire.attached,
			wire.attached_at, wire.detached_at, wire.xsi.changed };
	return (int)posix_result(result);
}
