/* SPDX-License-Identifier: BSD-2-Clause */
/* XSI shared memory: segments of at most 1 GiB. */
#ifndef EXO_POSIX_SYS_SHM_H
#define EXO_POSIX_SYS_SHM_H

#include <sys/ipc.h>
#include <time.h>

#define SHM_RDONLY	010000
#define SHM_RND		020000
#define SHM_REMAP	040000
#define SHM_DEST	01000		/* in the mode: goes with its last attachment */
#define SHM_R		0400
#define SHM_W		0200
#define SHMLBA		4096

typedef unsigned long shmatt_t;

struct shmid_ds {
	struct ipc_perm shm_perm;
	size_t shm_segsz;
	pid_t shm_lpid, shm_cpid;
	shmatt_t shm_nattch;
	time_t shm_atime, shm_dtime, shm_ctime;
};

#ifdef __cplusplus
extern "C" {
#endif
void *shmat(int, const void *, int);
int shmctl(int, int, struct shmid_ds *);
int shmdt(const void *);
int shmget(key_t, size_t, int);
#ifdef __cplusplus
}
#endif

#endif
