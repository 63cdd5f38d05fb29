/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tiny environments that make calls of all kinds for ever, for tests that take something away from them, change what
 * they pass, or end them.
 */
#ifndef TEST_GUEST_CALLERS_H
#define TEST_GUEST_CALLERS_H

#include "test/guest/agent.h"

#define RWX		(EXO_RIGHT_READ | EXO_RIGHT_WRITE | EXO_RIGHT_EXEC)
#define CONTROL		(EXO_RIGHT_READ | EXO_RIGHT_GRANT | EXO_RIGHT_CONTROL | EXO_RIGHT_WAKE)

/* Words of the data page. */
enum { COUNT, PEER, LIMIT, ME, STATE, SPACE, FRAMES, SELF, ERRORS_SEEN };

/* Makes calls of all kinds; what their argument frame says is somebody else's doing. */
TINY static void caller(uint64_t reasons)
{
	uint64_t frames = tiny_word(FRAMES), handle;
	volatile struct exo_cap *caps = (volatile struct exo_cap *)TINY_CAPS;

	(void)reasons;
	for (;;) {
		tiny_call(EXO_CALL_space_write, tiny_word(SPACE), tiny_word(COUNT) % 4 * 8, 1 + tiny_word(COUNT) % 8, 0, 0, 0);
		if (tiny_word(LIMIT)) /* whoever ends in between leaves an orphan behind */
			tiny_call(EXO_CALL_env_create, 20, tiny_word(SPACE), 0, frames, 0, 0);
		handle = (uint64_t)caps[20].generation << 32 | 20;
		tiny_call(EXO_CALL_env_start, handle, 0, 0, 0, 0, 0);
		tiny_call(EXO_CALL_slice_take, 21, 1, tiny_word(COUNT) % 32, 4, 0, 0);
		tiny_call(EXO_CALL_slice_bind, (uint64_t)caps[21].generation << 32 | 21, tiny_word(SELF), 0, 0, 0, 0);
		tiny_call(EXO_CALL_cap_derive, frames, 0, 22, EXO_RIGHT_READ, 4, 2);
		tiny_call(EXO_CALL_account_share, tiny_word(PEER), tiny_word(PEER), 0, 0, 0, 0);
		tiny_call(EXO_CALL_wake, tiny_word(SELF), 0, 0, 0, 0, 0);
		while (tiny_call(EXO_CALL_env_destroy, handle, 0, 0, 0, 0, 0) == -EXO_EAGAIN)
			;
		for (uint64_t slot = 20; slot < 23; slot++) {
			handle = (uint64_t)caps[slot].generation << 32 | slot;
			while (tiny_call(EXO_CALL_cap_delete, handle, 0, 0, 0, 0, 0) == -EXO_EAGAIN)
				;
		}
		tiny_word(COUNT)++;
	}
}

static bool start_caller(struct tiny *one, unsigned cpu)
{
	tiny_cpu = cpu;
	bool good = tiny_make(one, caller, 8);
	tiny_cpu = 0;
	if (!good)
		return false;
	one->word[SPACE] = (uint64_t)tiny_grant(one, one->space, 1, EXO_RIGHT_READ | EXO_RIGHT_WRITE);
	one->word[FRAMES] = (uint64_t)exo_cap_derive(one->frames, one->env, 2, RWX, one->spare, 8);
	one->word[SELF] = (uint64_t)tiny_grant(one, one->env, 3, CONTROL);
	return tiny_start(one);
}

#endif
