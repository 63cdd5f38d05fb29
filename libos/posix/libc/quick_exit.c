/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * at_quick_exit, quick_exit (C11 7.22.4): the last that was told is called first; streams are not flushed, and what atexit
 * was told is not called.
 */
#include <pthread.h>
#include <stdlib.h>

#define MOST	64

static void (*functions[MOST])(void);
static unsigned count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int at_quick_exit(void (*function)(void))
{
	int result = -1;

	pthread_mutex_lock(&lock);
	if (count < MOST) {
		functions[count++] = function;
		result = 0;
	}
	pthread_mutex_unlock(&lock);
	return result;
}

_Noreturn void quick_exit(int status)
{
	void (*function)(void);

	do {
		pthread_mutex_lock(&lock);
		function = count ? functions[--count] : NULL;
		pthread_mutex_unlock(&lock);
		if (function)
			function();
	} while (function);
	_Exit(status);
}
