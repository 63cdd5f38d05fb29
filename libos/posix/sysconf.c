/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the system is like: sysconf, confstr; pathconf is in names.c. The same as <limits.h>, <unistd.h> and
 * <sys/features.h> say; an option that is not there is -1 without an error.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>
#include "libos/core/core.h"

#define ABSENT		(-1L)

static long limit_of(int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return -1;
	return (long)limit.rlim_cur;
}

static long system_limit(int name)
{
	switch (name) {
	case _SC_ARG_MAX:
		return ARG_MAX;
	case _SC_CHILD_MAX:
		return limit_of(RLIMIT_NPROC);
	case _SC_OPEN_MAX:
		return limit_of(RLIMIT_NOFILE);
	case _SC_CLK_TCK:
		return 100;
	case _SC_NGROUPS_MAX:
		return NGROUPS_MAX;
	case _SC_PAGESIZE:
		return EXO_PAGE_SIZE;
	case _SC_NPROCESSORS_CONF:
	case _SC_NPROCESSORS_ONLN:
		return core_info->cpus;
	case _SC_PHYS_PAGES:
		return (long)core_info->frames_total;
	case _SC_AVPHYS_PAGES:
		return (long)core_info->frames_free;
	case _SC_ATEXIT_MAX:
		return 32;
	case _SC_IOV_MAX:
		return IOV_MAX;
	case _SC_HOST_NAME_MAX:
		return HOST_NAME_MAX;
	case _SC_LOGIN_NAME_MAX:
		return LOGIN_NAME_MAX;
	case _SC_TTY_NAME_MAX:
		return TTY_NAME_MAX;
	case _SC_SYMLOOP_MAX:
		return SYMLOOP_MAX;
	case _SC_STREAM_MAX:
		return limit_of(RLIMIT_NOFILE);
	case _SC_TZNAME_MAX:
		return _POSIX_TZNAME_MAX;
	case _SC_GETGR_R_SIZE_MAX:
	case _SC_GETPW_R_SIZE_MAX:
		return 1024;
	default:
		return -2;
	}
}

static long thread_limit(int name)
{
	switch (name) {
	case _SC_THREAD_KEYS_MAX:
		return PTHREAD_KEYS_MAX;
	case _SC_THREAD_STACK_MIN:
		return PTHREAD_STACK_MIN;
	case _SC_THREAD_THREADS_MAX:
		return PTHREAD_THREADS_MAX;
	case _SC_THREAD_DESTRUCTOR_ITERATIONS:
		return PTHREAD_DESTRUCTOR_ITERATIONS;
	case _SC_SEM_VALUE_MAX:
		return SEM_VALUE_MAX;
	case _SC_MQ_OPEN_MAX:
		return limit_of(RLIMIT_NOFILE);
	case _SC_MQ_PRIO_MAX:
		return MQ_PRIO_MAX;
	case _SC_SIGQUEUE_MAX:
		return SIGQUEUE_MAX;
	case _SC_RTSIG_MAX:
		return RTSIG_MAX;
	case _SC_TIMER_MAX:
		return TIMER_MAX;
	case _SC_DELAYTIMER_MAX:
		return DELAYTIMER_MAX;
	case _SC_AIO_MAX:
		return AIO_MAX;
	case _SC_AIO_LISTIO_MAX:
		return AIO_LISTIO_MAX;
	case _SC_AIO_PRIO_DELTA_MAX:
		return AIO_PRIO_DELTA_MAX;
	case _SC_BC_BASE_MAX:
		return BC_BASE_MAX;
	case _SC_BC_DIM_MAX:
		return BC_DIM_MAX;
	case _SC_BC_SCALE_MAX:
		return BC_SCALE_MAX;
	case _SC_BC_STRING_MAX:
		return BC_STRING_MAX;
	case _SC_COLL_WEIGHTS_MAX:
		return COLL_WEIGHTS_MAX;
	case _SC_EXPR_NEST_MAX:
		return EXPR_NEST_MAX;
	case _SC_LINE_MAX:
		return LINE_MAX;
	case _SC_RE_DUP_MAX:
		return RE_DUP_MAX;
	default:
		return -2;
	}
}

static long option(int name)
{
	switch (name) {
	case _SC_VERSION:
		return _POSIX_VERSION;
	case _SC_2_VERSION:
	case _SC_2_C_BIND:
		return _POSIX2_VERSION;
	case _SC_XOPEN_VERSION:
		return _XOPEN_VERSION;
	case _SC_JOB_CONTROL:
	case _SC_SAVED_IDS:
	case _SC_REGEXP:
	case _SC_SHELL:
	case _SC_V7_LP64_OFF64:
	case _SC_XOPEN_ENH_I18N:
	case _SC_XOPEN_SHM:
		return 1;
	case _SC_ADVISORY_INFO:
	case _SC_ASYNCHRONOUS_IO:
	case _SC_BARRIERS:
	case _SC_CLOCK_SELECTION:
	case _SC_CPUTIME:
	case _SC_FSYNC:
	case _SC_MAPPED_FILES:
	case _SC_MEMLOCK:
	case _SC_MEMLOCK_RANGE:
	case _SC_MEMORY_PROTECTION:
	case _SC_MESSAGE_PASSING:
	case _SC_MONOTONIC_CLOCK:
	case _SC_PRIORITY_SCHEDULING:
	case _SC_READER_WRITER_LOCKS:
	case _SC_REALTIME_SIGNALS:
	case _SC_SEMAPHORES:
	case _SC_SHARED_MEMORY_OBJECTS:
	case _SC_SPAWN:
	case _SC_SPIN_LOCKS:
	case _SC_SYNCHRONIZED_IO:
	case _SC_THREADS:
	case _SC_THREAD_CPUTIME:
	case _SC_THREAD_ATTR_STACKADDR:
	case _SC_THREAD_ATTR_STACKSIZE:
	case _SC_THREAD_PRIORITY_SCHEDULING:
	case _SC_THREAD_PRIO_INHERIT:
	case _SC_THREAD_PRIO_PROTECT:
	case _SC_THREAD_PROCESS_SHARED:
	case _SC_THREAD_SAFE_FUNCTIONS:
	case _SC_TIMEOUTS:
	case _SC_TIMERS:
		return _POSIX_VERSION;
	default:
		return ABSENT;
	}
}

int getdtablesize(void)
{
	return (int)limit_of(RLIMIT_NOFILE);
}

long sysconf(int name)
{
	long value;

	if (name < _SC_ARG_MAX || name > _SC_POSIX_26_VERSION) {
		errno = EINVAL;
		return -1;
	}
	value = system_limit(name);
	if (value == -2)
		value = thread_limit(name);
	return value == -2 ? option(name) : value;
}

size_t confstr(int name, char *buffer, size_t bytes)
{
	const char *value;
	size_t length;

	switch (name) {
	case _CS_PATH:
		value = "/bin:/usr/bin";
		break;
	case _CS_POSIX_V7_WIDTH_RESTRICTED_ENVS:
		value = "POSIX_V7_LP64_OFF64";
		break;
	case _CS_V7_ENV:
		value = "POSIXLY_CORRECT=1";
		break;
	default:
		if (name < _CS_PATH || name > _CS_V7_ENV) {
			errno = EINVAL;
			return 0;
		}
		value = "";		/* no flags are needed for what there is, and the others are not there */
	}
	length = strlen(value) + 1;
	if (bytes) {
		size_t some = length < bytes ? length : bytes;
		memcpy(buffer, value, some);
		buffer[some - 1] = '\0';
	}
	return length;
}
