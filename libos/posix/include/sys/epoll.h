/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Readiness of many descriptors, as Linux has it. One epoll descriptor cannot be watched by another (EINVAL), but
 * by poll and select. EPOLLEXCLUSIVE and EPOLLWAKEUP are absent.
 */
#ifndef EXO_POSIX_SYS_EPOLL_H
#define EXO_POSIX_SYS_EPOLL_H

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#define EPOLL_CLOEXEC	O_CLOEXEC

#define EPOLL_CTL_ADD	1
#define EPOLL_CTL_DEL	2
#define EPOLL_CTL_MOD	3

/* Values of poll's; enumerators, as programs ask for them both as names and by the preprocessor. */
enum EPOLL_EVENTS {
	EPOLLIN = 0x0001,
#define EPOLLIN		EPOLLIN
	EPOLLPRI = 0x0002,
#define EPOLLPRI	EPOLLPRI
	EPOLLOUT = 0x0004,
#define EPOLLOUT	EPOLLOUT
	EPOLLERR = 0x0008,
#define EPOLLERR	EPOLLERR
	EPOLLHUP = 0x0010,
#define EPOLLHUP	EPOLLHUP
	EPOLLRDNORM = 0x0040,
#define EPOLLRDNORM	EPOLLRDNORM
	EPOLLRDBAND = 0x0080,
#define EPOLLRDBAND	EPOLLRDBAND
	EPOLLWRNORM = 0x0100,
#define EPOLLWRNORM	EPOLLWRNORM
	EPOLLWRBAND = 0x0200,
#define EPOLLWRBAND	EPOLLWRBAND
	EPOLLRDHUP = 0x2000,
#define EPOLLRDHUP	EPOLLRDHUP
	EPOLLONESHOT = 1 << 30,
#define EPOLLONESHOT	EPOLLONESHOT
	EPOLLET = 1u << 31
#define EPOLLET		EPOLLET
};

typedef union epoll_data {
	void *ptr;
	int fd;
	uint32_t u32;
	uint64_t u64;
} epoll_data_t;

struct epoll_event {
	uint32_t events;
	epoll_data_t data;
} __attribute__((packed));

#ifdef __cplusplus
extern "C" {
#endif
int epoll_create(int size);
int epoll_create1(int flags);
int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms);
int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout_ms, const sigset_t *mask);
int epoll_pwait2(int epoll, struct epoll_event *events, int most, const struct timespec *timeout,
		 const sigset_t *mask);
#ifdef __cplusplus
}
#endif

#endif
