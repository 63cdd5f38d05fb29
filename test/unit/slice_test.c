/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of a slice: who asked for it is told and lent the CPU a little longer, what it uses beyond the end is paid
 * back by slices that pass it by, and who never goes by itself loses its slices.
 */
#include "test/unit/running.h"

#define CHILD_END	0x900000

/* Time passes until the timer fires while the current one runs with upcalls on. */
static enum null_way until_timer(void)
{
	here.current->disp->off = EXO_OFF_NO;
	null.now = null.timer;
	return interrupt_at(0x400000);
}

/* A child that owns slices [first, first + count) and wants to hear of their ends, beside one that is always ready. */
static struct child owner(unsigned first, unsigned count, exo_cap_t *slices)
{
	struct child child = child_start();

	child.env->disp->end_entry = CHILD_END;
	child.env->disp->upcall_sp = 0x6000;
	*slices = (exo_cap_t)CALL(slice_take, free_slot(), 0, first, count);
	(void)CALL(slice_bind, *slices, child.cap);
	return child;
}

/* Until a slice begins. */
static void run_until(unsigned slice)
{
	unsigned i;

	for (i = 0; i < 3 * EXO_SLICES && here.slice != slice; i++)
		(void)until_timer();
}

static void test_told(void)
{
	exo_cap_t slices;
	struct child child = owner(2, 1, &slices);
	struct exo_env_info *info_of = child.env->info;
	exo_time_t end;

	child.env->disp->end_entry = 0;
	run_until(2);
	child.env->disp->end_entry = CHILD_END;
	ok(here.current == child.env && here.slice_owner == child.env, "its slice");
	end = here.slice_end;
	ok(until_timer() == NULL_UPCALL && null.entry == CHILD_END && here.current == child.env,
	    "at its end it is told");
	ok(null.message.rdi == end + info->grace_ns && null.sp == 0x6000, "and until when it may stay");
	ok(child.env->disp->on.rip == 0x400000 && !(child.env->disp->saved & EXO_SAVED_ON) &&
	    child.env->disp->off == EXO_OFF_YES, "its state lies in area ON");
	ok(null.timer == end + info->grace_ns, "then comes the timer");
	sound("lent");
	null.now = end + info->grace_ns / 4;
	(void)null_call(EXO_CALL_yield, 0, 0, 0, 0, 0, 0);
	ok(here.current != child.env, "it goes by itself");
	is_int((long long)info_of->overrun_ns, (long long)info->grace_ns / 4, "what it used beyond is counted");
	is_int((long long)info_of->debt_ns, (long long)info->grace_ns / 4, "and owed");
	is_int(child.env->overstays, 0, "it did not overstay");
	child.env->disp->end_entry = 0;
	run_until(2);
	ok(until_timer() != NULL_UPCALL || null.entry != CHILD_END, "who does not want to hear it is interrupted");
}

static void test_payback(void)
{
	exo_cap_t slices;
	struct child child = owner(5, 1, &slices);
	struct exo_env_info *info_of = child.env->info;
	uint64_t used;

	child.env->disp->end_entry = 0;
	info_of->debt_ns = SLICE + 17;
	used = info_slice[5].used_ns;
	run_until(5);
	ok(here.slice == 5 && here.slice_owner == NULL, "a slice passes it by");
	is_int((long long)info_of->debt_ns, 17, "which pays a slice's length back");
	run_until(4);
	run_until(5);
	ok(here.current == child.env && here.slice_owner == child.env && info_slice[5].used_ns >= used, "the next is its own");
}

static void test_abort(void)
{
	exo_cap_t slices;
	struct child child = owner(10, 2, &slices);
	unsigned stays = 0, i;

	for (i = 0; i < 40 * EXO_SLICES && child.env->disp->abort.lost == 0; i++) {
		if (until_timer() == NULL_UPCALL && null.entry == CHILD_END)
			stays++;
		child.env->disp->off = EXO_OFF_NO;
	}
	ok(stays >= EXO_OVERSTAYS_MAX && child.env->disp->abort.lost == 2, "%u times told, never gone: lost", stays);
	ok(child.env->disp->abort.loss[0].what == EXO_TYPE_SLICE &&
	    child.env->disp->abort.loss[0].why == EXO_LOSS_OVERRUN &&
	    (uint32_t)child.env->disp->abort.loss[0].first == 10, "the record says what and why");
	ok(info_slice[10].env == 0 && info_slice[11].env == 0 && info_slice[10].taken, "its slices are bound to nobody");
	ok(child.env->disp->pending & EXO_EVENT_LOST, "and it is told");
	ok(child.env->info->overrun_ns >= EXO_OVERSTAYS_MAX * info->grace_ns, "every stay is counted");
	sound("after the loss");
}

static void fresh(void (*test)(void))
{
	machine_prepare();
	(void)machine_start();
	here.current->disp->off_entry = 0x123000;
	here.current->disp->off_sp = 0x8000;
	test();
}

int main(void)
{
	fresh(test_told);
	fresh(test_payback);
	fresh(test_abort);
	return done();
}
