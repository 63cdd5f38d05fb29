/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread that computes does not keep others from running: when its slice is over, and it is in the
 * program's own code or libc's (not inside brackets, signals.h), the next ready one gets the CPU, and it another if
 * one is idle (cpus.h). One that may be cancelled anywhere is ended here.
 *
 * The kernel has no tick for an environment that is alone on its CPU, so the end of the slice is asked for,
 * of the keeper's clock (timer.c). It is asked for only while the process has several threads: when one is
 * made, when one goes on after all have slept, and at the end of a slice. So a program with one thread pays
 * nothing, and others one request a slice.
 */
#include "libos/posix/cpus.h"
#include "libos/posix/thread.h"

#define GIVE_NS		1000000		/* while another CPU is idle, and somebody is ready */

static uint64_t slice(const struct __exo_thread *self)
{
	return thread_others_ready() && posix_cpus_room(self) ? GIVE_NS : POSIX_SLICE_NS;
}

/* As the thread, outside of brackets. */
static void preempt(void)
{
	struct __exo_thread *self = posix_self();
	const struct signal_frame *interrupted = self->interrupted;
	bool was = posix_enter();

	self->interrupted = NULL;
	signal_slice_over = false;
	if (posix_thread_count() > 1)
		signal_slice(slice(self));
	thread_look();
	if (interrupted && thread_others_ready() && posix_cpus_room(self) && !posix_cancel_due())
		posix_cpus_give(self, interrupted);
	if ((self->policy != SCHED_FIFO && thread_others_ready()) || posix_sched_wanted)
		posix_sched_yield();
	posix_leave(was);
	if (self->cancel_async)
		posix_cancel_check();
}

static void idle(exo_time_t until, uint64_t events)
{
	core_sleep(until, events);
	if (posix_thread_count() > 1)
		signal_slice_soon(slice(posix_self()));
}

void posix_preempt_start(void)
{
	posix_preempt = preempt;
	thread_idle = idle;
	signal_slice(slice(posix_self()));
}

void posix_preempt_stop(void)
{
	signal_slice_drop();
	thread_idle = core_sleep;
}
