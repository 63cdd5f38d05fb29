/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of calls, made from include/exo/call.h. The port's entry code checks the number and jumps through
 * it; each handler stands in the file of its object. A handler decodes and checks in a column, then writes
 * what cannot fail.
 *
 * Most calls run under the kernel lock, taken here and nowhere else. The others touch only what is the CPU's own, or
 * take a lock of their object.
 */
#include "exo/kernel.h"

/* Called in builds with EXO_DEBUG after each call under the lock, if it is there. */
__attribute__((weak)) void debug_check(void);

#ifdef EXO_DEBUG
#define CHECK()	(debug_check ? debug_check() : (void)0)
#else
#define CHECK()	((void)0)
#endif

#define BIT(name)	(1ULL << EXO_CALL_##name)
#define WITHOUT_LOCK	(BIT(null) | BIT(env_fsbase) | BIT(yield) | BIT(sleep) | BIT(call) | BIT(reply) | BIT(send) | \
	BIT(wake) | BIT(flow_kick) | \
	BIT(console_write))
_Static_assert(EXO_CALL_COUNT <= 64, "a bit for each call");

/* Of those under the lock, what programs do all the time: its wrapper takes the lock by itself. */
#define OFTEN	(BIT(cap_derive) | BIT(cap_delete) | BIT(frame_take) | BIT(space_write) | BIT(kick) | BIT(entry_make) | \
	BIT(slice_bind) | BIT(split_give))

static inline int64_t finish(int64_t result)
{
	CHECK();
	kernel_unlock();
	return result;
}

/* The lock is another's: wait for it. */
static out_of_line int64_t later(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
    uint32_t ticket, call_fn *call)
{
	kernel_lock_slowly(ticket);
	return finish(call(a0, a1, a2, a3, a4, a5));
}

static out_of_line int64_t locked(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5,
    call_fn *call)
{
	kernel_lock();
	return finish(call(a0, a1, a2, a3, a4, a5));
}

#define CALL_LOCKED(nr, name, args, names, rights, meaning) \
	static __attribute__((unused)) int64_t locked_##name(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, \
	    uint64_t a4, uint64_t a5) \
	{ \
		uint32_t ticket; \
\
		if (!(OFTEN >> nr & 1)) \
			return locked(a0, a1, a2, a3, a4, a5, sys_##name); \
		ticket = kernel_lock_ticket(); \
		if (unlikely(!kernel_lock_turn(ticket))) \
			return later(a0, a1, a2, a3, a4, a5, ticket, sys_##name); \
		return finish(sys_##name(a0, a1, a2, a3, a4, a5)); \
	}
EXO_CALLS(CALL_LOCKED)
#undef CALL_LOCKED

/* A number that no call has (yet). */
static int64_t sys_none(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	(void)a0, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
	return ERR(NOCALL);
}

#pragma GCC diagnostic ignored "-Woverride-init"
call_fn *const call_table[EXO_CALL_COUNT] = {
	[0 ... EXO_CALL_COUNT - 1] = sys_none,
#define CALL_LINE(nr, name, args, names, rights, meaning) \
	[nr] = __builtin_choose_expr(WITHOUT_LOCK >> nr & 1, sys_##name, locked_##name),
	EXO_CALLS(CALL_LINE)
#undef CALL_LINE
};

int64_t sys_null(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
	(void)a0, (void)a1, (void)a2, (void)a3, (void)a4, (void)a5;
	return 0;
}
