/* SPDX-License-Identifier: BSD-2-Clause */
/* Asynchronous input and output of POSIX.1-2017. */
#ifndef EXO_POSIX_AIO_H
#define EXO_POSIX_AIO_H

#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>

struct aiocb {
	int aio_fildes;
	int aio_lio_opcode;
	int aio_reqprio;
	off_t aio_offset;
	volatile void *aio_buf;
	size_t aio_nbytes;
	struct sigevent aio_sigevent;
	ssize_t __result;
	unsigned __state;
	int __error;
};

#define AIO_CANCELED	0
#define AIO_NOTCANCELED	1
#define AIO_ALLDONE	2

#define LIO_READ	0
#define LIO_WRITE	1
#define LIO_NOP		2

#define LIO_WAIT	0
#define LIO_NOWAIT	1

#ifdef __cplusplus
extern "C" {
#endif
int aio_read(struct aiocb *);
int aio_write(struct aiocb *);
int aio_fsync(int, struct aiocb *);
int aio_error(const struct aiocb *);
ssize_t aio_return(struct aiocb *);
int aio_cancel(int, struct aiocb *);
int aio_suspend(const struct aiocb *const [], int, const struct timespec *);
int lio_listio(int, struct aiocb *__restrict const *__restrict, int, struct sigevent *__restrict);
#ifdef __cplusplus
}
#endif

#endif
