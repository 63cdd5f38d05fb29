/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message queues. A descriptor of one is a file descriptor, too: poll says when it is ready.
 */
#ifndef EXO_POSIX_MQUEUE_H
#define EXO_POSIX_MQUEUE_H

#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>

typedef int mqd_t;

struct mq_attr {
	long mq_flags;		/* O_NONBLOCK or 0 */
	long mq_maxmsg;		/* messages: 1 to 1024 */
	long mq_msgsize;	/* bytes of each: 1 to 32768 */
	long mq_curmsgs;
};

#ifdef __cplusplus
extern "C" {
#endif
int mq_close(mqd_t);
int mq_getattr(mqd_t, struct mq_attr *);
int mq_notify(mqd_t, const struct sigevent *);
mqd_t mq_open(const char *, int, ...);
ssize_t mq_receive(mqd_t, char *, size_t, unsigned *);
int mq_send(mqd_t, const char *, size_t, unsigned);
int mq_setattr(mqd_t, const struct mq_attr *__restrict, struct mq_attr *__restrict);
ssize_t mq_timedreceive(mqd_t, char *__restrict, size_t, unsigned *__restrict, const struct timespec *__restrict);
int mq_timedsend(mqd_t, const char *, size_t, unsigned, const struct timespec *);
int mq_unlink(const char *);
#ifdef __cplusplus
}
#endif

#endif
