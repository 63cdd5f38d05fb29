/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picolibc's, and which options of POSIX.1-2017 the libOS has. sysconf() says the same
 * (libos/posix/sysconf.c, which test/guest/posix_misc.c compares). Not there: prioritized input and output,
 * message queues, typed memory, tracing, STREAMS, sporadic servers, mlockall, inherited priorities, IPv6.
 */
#ifndef EXO_POSIX_SYS_FEATURES_H
#define EXO_POSIX_SYS_FEATURES_H

#include_next <sys/features.h>

#define _POSIX_ADVISORY_INFO		200809L
#define _POSIX_BARRIERS			200809L
#undef _POSIX_ASYNCHRONOUS_IO
#define _POSIX_ASYNCHRONOUS_IO		200809L
#define _POSIX_CHOWN_RESTRICTED		1
#define _POSIX_CLOCK_SELECTION		200809L
#undef _POSIX_CPUTIME
#define _POSIX_CPUTIME			200809L
#define _POSIX_FSYNC			200809L
#define _POSIX_JOB_CONTROL		1
#define _POSIX_MAPPED_FILES		200809L
#define _POSIX_MEMLOCK_RANGE		200809L
#define _POSIX_MEMORY_PROTECTION	200809L
#undef _POSIX_MONOTONIC_CLOCK
#define _POSIX_MONOTONIC_CLOCK		200809L
#define _POSIX_NO_TRUNC			1
#define _POSIX_READER_WRITER_LOCKS	200809L
#define _POSIX_REALTIME_SIGNALS		200809L
#define _POSIX_REGEXP			1
#define _POSIX_SAVED_IDS		1
#define _POSIX_SEMAPHORES		200809L
#define _POSIX_SHARED_MEMORY_OBJECTS	200809L
#define _POSIX_SHELL			1
#define _POSIX_SPAWN			200809L
#define _POSIX_SPIN_LOCKS		200809L
#define _POSIX_SYNCHRONIZED_IO		200809L
#define _POSIX_THREADS			200809L
#define _POSIX_THREAD_ATTR_STACKADDR	200809L
#define _POSIX_THREAD_ATTR_STACKSIZE	200809L
#define _POSIX_THREAD_PRIORITY_SCHEDULING 200809L
#define _POSIX_THREAD_PROCESS_SHARED	200809L
#define _POSIX_THREAD_SAFE_FUNCTIONS	200809L
#define _POSIX_TIMEOUTS			200809L
#define _POSIX_TIMERS			200809L
#define _POSIX_VDISABLE			'\0'

#endif
