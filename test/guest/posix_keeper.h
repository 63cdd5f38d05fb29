/* SPDX-License-Identifier: BSD-2-Clause */
/* What tests of libos/posix ask of children and of the keeper. */
#ifndef TEST_GUEST_POSIX_KEEPER_H
#define TEST_GUEST_POSIX_KEEPER_H

#include <string.h>
#include <sys/wait.h>
#include "libos/posix/call.h"
#include "test/guest/tap.h"

/* The status of a child that has ended; -1: there is no such child. */
static inline int finish(pid_t child)
{
	int status = -1;

	return waitpid(child, &status, 0) == child ? status : -1;
}

/* Whether the keeper's checker finds its tables in order; what it finds else is printed. */
static inline bool in_order(void)
{
	char text[128] = "";
	bool good;

	posix_lock();
	good = posix_ask(REQUEST_CHECK, 0, 0, 0, NULL) == 0;
	memcpy(text, posix_buffer, sizeof(text) - 1);
	posix_unlock();
	if (!good)
		printf("# the keeper: %s\n", text);
	return good;
}

#endif
