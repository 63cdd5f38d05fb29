/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of threads under keys, and what is done once. A thread's table of values is made when it first sets
 * one.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

#define ONCE_RUNS	1
#define ONCE_DONE	2

static CORE_UNWIRED struct {
	bool used;
	uint32_t times;		/* that it was made: values of an earlier key of this number are none */
	void (*destructor)(void *);
} keys[POSIX_KEYS_MAX];

struct value {
	void *value;
	uint32_t times;
};

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	for (unsigned i = 0; i < POSIX_KEYS_MAX; i++) {
		bool was = posix_enter(), mine = !keys[i].used;

		if (mine) {
			keys[i].used = true;
			keys[i].times++;
			keys[i].destructor = destructor;
			*key = i;
		}
		posix_leave(was);
		if (mine)
			return 0;
	}
	return EAGAIN;
}

int pthread_key_delete(pthread_key_t key)
{
	bool was = posix_enter(), used = key < POSIX_KEYS_MAX && keys[key].used;

	if (used) {
		keys[key].destructor = NULL;
		keys[key].used = false;
	}
	posix_leave(was);
	return used ? 0 : EINVAL;
}

void *pthread_getspecific(pthread_key_t key)
{
	const struct value *values = (const struct value *)posix_self()->value;

	return values && key < POSIX_KEYS_MAX && values[key].times == keys[key].times ? values[key].value : NULL;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
	struct __exo_thread *self = posix_self();
	struct value *values = (struct value *)self->value;

	if (key >= POSIX_KEYS_MAX || !keys[key].used)
		return EINVAL;
	if (!values) {
		if (!value)
			return 0;
		values = calloc(POSIX_KEYS_MAX, sizeof(*values));
		if (!values)
			return ENOMEM;
		self->value = (void **)values;
	}
	values[key] = (struct value){ (void *)value, keys[key].times };
	return 0;
}

void posix_keys_end(struct __exo_thread *thread)
{
	struct value *values = (struct value *)thread->value;
	bool again = values != NULL;

	for (int round = 0; again && round < PTHREAD_DESTRUCTOR_ITERATIONS; round++) {
		again = false;
		for (unsigned key = 0; key < POSIX_KEYS_MAX; key++) {
			void *value = values[key].value;

			if (!value)
				continue;
			values[key].value = NULL;
			if (!keys[key].used || !keys[key].destructor || values[key].times != keys[key].times)
				continue;
			keys[key].destructor(value);
			again = true;
		}
	}
	thread->value = NULL;
	free(values);
}

/* --- once ----------------------------------------------------------------------------------------------- */

/* The one who ran it was cancelled: the next one runs it. */
static void once_failed(void *once)
{
	unsigned *word = (unsigned *)once;
	bool was = posix_enter();

	*word = 0;
	posix_word_wake(word, UINT32_MAX, false);
	posix_leave(was);
}

static void once_run(pthread_once_t *once, void (*routine)(void))
{
	pthread_cleanup_push(once_failed, once);
	routine();
	pthread_cleanup_pop(0);
	bool was = posix_enter();
	*once = ONCE_DONE;
	posix_word_wake(once, UINT32_MAX, false);
	posix_leave(was);
}

int pthread_once(pthread_once_t *once, void (*routine)(void))
{
	while (*once != ONCE_DONE) {
		bool was = posix_enter(), mine = *once == 0;

		if (mine) {
			*once = ONCE_RUNS;
		} else {
			posix_cancel_hold();
			posix_word_wait(once, ONCE_RUNS, false, EXO_NEVER);
			posix_cancel_release();
		}
		posix_leave(was);
		if (mine)
			once_run(once, routine);
	}
	return 0;
}
