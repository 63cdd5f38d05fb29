/* SPDX-License-Identifier: BSD-2-Clause */
/* XSI semaphores: sets of at most 250, values to 32767, 500 operations at once. */
#ifndef EXO_POSIX_SYS_SEM_H
#define EXO_POSIX_SYS_SEM_H

#include <sys/ipc.h>
#include <time.h>

#define SEM_UNDO	0x1000
#define GETPID		11
#define GETVAL		12
#define GETALL		13
#define GETNCNT		14
#define GETZCNT		15
#define SETVAL		16
#define SETALL		17

struct semid_ds {
	struct ipc_perm sem_perm;
	unsigned short sem_nsems;
	time_t sem_otime, sem_ctime;
};

struct sembuf {
	unsigned short sem_num;
	short sem_op, sem_flg;
};

#ifdef __cplusplus
extern "C" {
#endif
int semctl(int, int, int, ...);
int semget(key_t, int, int);
int semop(int, struct sembuf *, size_t);
#if __GNU_VISIBLE
int semtimedop(int, struct sembuf *, size_t, const struct timespec *);
#endif
#ifdef __cplusplus
}
#endif

#endif
