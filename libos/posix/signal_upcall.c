/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals that come from below: interruptions of code that computes, and exceptions.
 *
 * Both arrive as upcalls, where nothing may fault: the stack may be a page that is not there, or one that is
 * shared since a fork. So the upcall only puts the interrupted state aside, in the libOS's part of the
 * dispatcher page, and has the thread itself go on in signal_entered: that copies the state to the thread's
 * stack, or its alternate one, delivers, and resumes the state, all of it with upcalls on. `entering` keeps
 * a second one out until the copy is made.
 *
 * A path that cannot be read is an error of the call that has it (copy_path.S).
 *
 * Another exception inside the libOS's brackets, in a thread that blocks or ignores the signal, or without a
 * handler ends the process. With EXO_FAULTS in its environment it says on its standard error what and
 * where it was.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "libos/posix/call.h"
#include "libos/posix/posix.h"
#include "libos/posix/signal_private.h"
#include "libos/vm/vm.h"

#pragma GCC target("general-regs-only")

#define RED_ZONE	128
#define FLAG_DIRECTION	0x400
#define FLAG_TRAP	0x100
#define VECTORS		32
#define PAGE_FAULT	14
#define X87		16
#define SIMD		19

_Static_assert(sizeof(struct signal_frame) <= sizeof(core_disp->libos), "room in the dispatcher page");

#define aside	((struct signal_frame *)core_disp->libos)

/* What has happened in the thread; si_signo 0: nothing. */
static siginfo_t happened;
static volatile bool entering;		/* the state is aside; an upcall may not write posix_inside, which is the thread's */

/* Which signal a page fault is, by who maps: SIGBUS behind the end of a file, say. Of libos/posix's memory. */
__attribute__((weak)) int posix_fault_signal(uint64_t address, uint64_t error, int *code);

/* The alternate stack, if the next signal is to be handled there and the thread is not on it. */
static uint64_t stack_for(const struct signal_thread *self, int number, uint64_t sp)
{
	const stack_t *alternate = &self->alternate;

	if (alternate->ss_size && signal_actions[number].sa_flags & SA_ONSTACK &&
	    sp - (uint64_t)alternate->ss_sp > alternate->ss_size)
		return (uint64_t)alternate->ss_sp + alternate->ss_size;
	return sp - RED_ZONE;
}

/* Have the thread go on in signal_entered. `fpu` NULL: the FPU is live. */
static void enter(struct exo_regs *regs, const uint8_t *fpu, int number)
{
	if (fpu)
		signal_copy(aside->fpu, fpu, sizeof(aside->fpu));
	else
		__asm__ volatile("fxsave64 %0" : "=m"(aside->fpu));
	signal_copy(&aside->regs, regs, sizeof(*regs));
	entering = true;
	regs->rsp = stack_for(signal_self(), number, regs->rsp);
	regs->rip = (uint64_t)signal_entered_here;
	regs->rflags &= ~(uint64_t)(FLAG_DIRECTION | FLAG_TRAP);
}

/* --- interruptions ------------------------------------------------------------------------------------ */

/* At each RUN upcall. */
static void run(uint64_t reasons, struct exo_regs *regs)
{
	const struct signal_thread *self;
	uint64_t set;

	(void)reasons;
	if (!regs) {		/* it had given the CPU away itself, inside brackets */
		if (__builtin_expect(signal_day_changed(), 0))
			signal_look = true;
		return;
	}
	if (__builtin_expect(signal_page->turns, 0) && posix_turn_leave(&posix_turns))
		exo_yield(EXO_CAP_NONE, 0);
	if (posix_inside || entering) {
		signal_slice_over |= signal_slice_late;
		if (signal_slice_late || signal_timers_due())
			signal_look = true;	/* posix_leave sees it */
		return;
	}
	if (!signal_page->pending && !signal_look && !signal_slice_late && !signal_timers_due() &&
	    !(posix_preempt && thread_others_ready()))
		return;
	self = signal_self();
	set = (signal_page->pending | signal_pending_all | self->pending) & ~self->mask;
	enter(regs, core_disp->on_fpu, set ? __builtin_ctzll(set) + 1 : SIGALRM);
}

/* --- exceptions --------------------------------------------------------------------------------------- */

static int x87_code(void)
{
	uint16_t status, control;

	__asm__ volatile("fnstsw %0" : "=m"(status));
	__asm__ volatile("fnstcw %0" : "=m"(control));
	status &= (uint16_t)~control;
	if (status & 1)
		return FPE_FLTINV;
	return status & 4 ? FPE_FLTDIV : status & 8 ? FPE_FLTOVF : status & 0x12 ? FPE_FLTUND : FPE_FLTRES;
}

static int simd_code(void)
{
	uint32_t state, raised;

	__asm__ volatile("stmxcsr %0" : "=m"(state));
	raised = state & ~(state >> 7) & 0x3f;
	if (raised & 1)
		return FPE_FLTINV;
	return raised & 4 ? FPE_FLTDIV : raised & 8 ? FPE_FLTOVF : raised & 0x12 ? FPE_FLTUND : FPE_FLTRES;
}

static int fault_signal(const struct exo_regs *regs, int *code)
{
	*code = regs->error & VM_ERROR_PRESENT || vm_find(regs->address) ? SEGV_ACCERR : SEGV_MAPERR;
	return posix_fault_signal ? posix_fault_signal(regs->address, regs->error, code) : SIGSEGV;
}

static int signal_of(const struct exo_regs *regs, int *code)
{
	*code = SI_KERNEL;
	switch (regs->vector) {
	case 0:
		*code = FPE_INTDIV;
		return SIGFPE;
	case 1:
		*code = TRAP_TRACE;
		return SIGTRAP;
	case 3:
		*code = TRAP_BRKPT;
		return SIGTRAP;
	case 6:
		*code = ILL_ILLOPN;
		return SIGILL;
	case 11:
	case 12:
		*code = BUS_ADRERR;
		return SIGBUS;
	case PAGE_FAULT:
		return fault_signal(regs, code);
	case X87:
		*code = x87_code();
		return SIGFPE;
	case 17:
		*code = BUS_ADRALN;
		return SIGBUS;
	case SIMD:
		*code = simd_code();
		return SIGFPE;
	default:
		return SIGSEGV;
	}
}

/* What ended the process, and of whom its functions were called. */
static struct exo_regs last;
#define LINE	512
#define CALLERS	12

static bool wants_report(void)
{
	for (char **at = environ; at && *at; at++)
		if (!strncmp(*at, "EXO_FAULTS=", 11))
			return true;
	return false;
}

static void say(size_t bytes)
{
	uint64_t more[2];

	(void)posix_request(REQUEST_WRITE, STDERR_FILENO, bytes < LINE ? bytes : LINE - 1, (uint64_t)-1, more);
}

/* What it reads may be damaged: the next fault comes to `end`, too, and is not told. */
static void report(void)
{
	static bool told;
	const uint64_t *frame = (const uint64_t *)last.rbp, *next;
	bool page = last.vector == PAGE_FAULT;

	if (told)
		return;
	told = true;
	if (!wants_report())
		return;
	say(core_format(posix_buffer, LINE, "%s[%d]: %s%s%s 0x%lx at 0x%lx\n", core_name(), (int)getpid(),
	    core_vector_name(last.vector), page ? ": " : "", page ? core_access_name(last.error) : ", error",
	    page ? last.address : last.error, last.rip));
	for (int i = 0; i < CALLERS && frame && !((uint64_t)frame & 7); i++, frame = next) {
		say(core_format(posix_buffer, LINE, "  called from 0x%lx\n", frame[1]));
		next = (const uint64_t *)frame[0];
		if (next <= frame)
			break;
	}
}

/* The process ends, by a thread of upcalls on. */
static void end(int number)
{
	report();
	posix_end(number);
}

static inline bool in_path(const struct exo_regs *regs)
{
	return regs->rip - (uint64_t)posix_copy_path < (uint64_t)posix_copy_path_end - (uint64_t)posix_copy_path;
}

static bool exception(struct exo_regs *regs)
{
	int code, number = signal_of(regs, &code);
	void (*handler)(int) = signal_actions[number].sa_handler;

	if (in_path(regs) && (number == SIGSEGV || number == SIGBUS)) {
		regs->rip = (uint64_t)posix_copy_path_failed;
		return true;
	}
	if (posix_inside || entering || handler == SIG_DFL || handler == SIG_IGN ||
	    signal_self()->mask & SIGNAL_BIT(number)) {
		entering = true;
		signal_copy(&last, regs, sizeof(last));
		regs->rip = (uint64_t)end;
		regs->rdi = (uint64_t)number;
		regs->rsp = (uint64_t)posix_wired_stack + sizeof(posix_wired_stack) - 8;
		regs->rflags &= ~(uint64_t)(FLAG_DIRECTION | FLAG_TRAP);
		return true;
	}
	happened.si_signo = number;
	happened.si_code = code;
	happened.si_addr = (void *)(regs->vector == PAGE_FAULT ? regs->address : regs->rip);
	enter(regs, NULL, number);
	return true;
}

/* --- as the thread ------------------------------------------------------------------------------------ */

void signal_entered(struct signal_frame *frame);
void signal_entered(struct signal_frame *frame)
{
	struct signal_thread *self = signal_self();
	siginfo_t now = happened;
	uint64_t asked_at = posix_asked_at;
	unsigned rounds = SIGNAL_ROUNDS;

	signal_copy(frame, aside, sizeof(*frame));
	happened.si_signo = 0;
	posix_inside = true;
	entering = false;
	if (now.si_signo)
		signal_handle(self, &now, &frame->regs, frame->fpu);
	do {
		*(volatile uint32_t *)&core_disp->off = EXO_OFF_NO;
		if (signal_timers_due())
			signal_timers();
		signal_deliver(self, &frame->regs, frame->fpu);
		signal_timers_tell();
		signal_look_round();
		if (posix_preempt) {
			self->of->interrupted = frame;
			self->of->asked_at = asked_at;
			posix_inside = false;
			posix_preempt();
			(void)posix_enter();
		}
		posix_asked_at = asked_at;	/* while its page may fault; that of posix_inside has been written */
		*(volatile uint32_t *)&core_disp->off = EXO_OFF_YES;
		__asm__ volatile("" ::: "memory");
	} while (*(volatile uint64_t *)&signal_page->pending && --rounds);
	posix_inside = false;
	signal_copy(&core_disp->on, &frame->regs, sizeof(frame->regs));
	__asm__ volatile("fxrstor64 %0\n\tjmp core_critical" :: "m"(frame->fpu) : "memory");
	__builtin_unreachable();
}

void signal_upcall_start(void)
{
	static const uint8_t vectors[] = { 0, 1, 3, 4, 5, 6, 10, 11, 12, 13, PAGE_FAULT, X87, 17, SIMD };

	for (unsigned i = 0; i < sizeof(vectors); i++)
		core_exception(vectors[i], exception);
	core_on_run(run);
}
