/* SPDX-License-Identifier: BSD-2-Clause */
/* picolibc's, with a record lock that has room for a pid. */
#ifndef EXO_POSIX_SYS_DEFAULT_FCNTL_H
#define EXO_POSIX_SYS_DEFAULT_FCNTL_H

#define flock __exo_hidden_flock
#include_next <sys/_default_fcntl.h>
#undef flock

struct flock {
	short l_type;		/* F_RDLCK, F_WRLCK, F_UNLCK */
	short l_whence;
	long l_start, l_len;	/* off_t, bytes; 0: to the end of the file, wherever that will be */
	int l_pid;		/* pid_t, by F_GETLK */
};

#if __MISC_VISIBLE
#ifdef __cplusplus
extern "C" {
#endif
int flock(int fd, int operation);
#ifdef __cplusplus
}
#endif
#endif

#endif
