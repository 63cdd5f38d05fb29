/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals within a process: to oneself, masks, queues, waiting, exceptions, stacks, timers, jumps. What goes
 * between processes is in posix_job.c.
 */
#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "test/guest/tap.h"

static volatile int calls, last_number, last_code, order[64];
static volatile long last_value;
static void *volatile last_address;
static sigjmp_buf back;

static void count(int number)
{
	order[calls % 64] = number;
	calls++;
	last_number = number;
}

static void note(int number, siginfo_t *info, void *context)
{
	(void)context;
	count(number);
	last_code = info->si_code;
	last_value = info->si_value.sival_int;
	last_address = info->si_addr;
}

static void catch(int number, void (*handler)(int), int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

	sigaction(number, &action, NULL);
}

static void catch_info(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO };

	sigaction(number, &action, NULL);
}

static sigset_t set_of(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	return set;
}

static uint64_t ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* --- to oneself --------------------------------------------------------------------------------------- */

static void test_self(void)
{
	sigset_t set = set_of(SIGUSR1), old;

	calls = 0;
	catch(SIGUSR1, count, 0);
	ok(raise(SIGUSR1) == 0 && calls == 1 && last_number == SIGUSR1, "raise");
	ok(kill(getpid(), SIGUSR1) == 0 && calls == 2, "kill oneself: it has come when kill returns");
	catch_info(SIGUSR2, note, 0);
	sigqueue(getpid(), SIGUSR2, (union sigval){ .sival_int = 77 });
	ok(calls == 3 && last_code == SI_QUEUE && last_value == 77, "sigqueue with a value");
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	raise(SIGUSR1);
	ok(calls == 3, "a signal that is blocked does not come");
	sigpending(&set);
	ok(set == set_of(SIGUSR1), "... but is pending");
	sigprocmask(SIG_SETMASK, &old, NULL);
	ok(calls == 4, "... and comes once when it is let");
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);
	ok(calls == 4, "SIG_IGN");
	catch(SIGUSR1, count, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction now;
	sigaction(SIGUSR1, NULL, &now);
	ok(calls == 5 && now.sa_handler == SIG_DFL, "SA_RESETHAND");
	raise(SIGCHLD);
	raise(SIGWINCH);
	raise(SIGURG);
	ok(true, "SIGCHLD, SIGWINCH and SIGURG do nothing by default");
	errno = 0;
	ok(kill(getpid(), 1000) == -1 && errno == EINVAL, "no such signal");
	ok(sigaction(SIGKILL, &now, NULL) == -1 && errno == EINVAL, "SIGKILL is not caught");
	ok(kill(30000, SIGTERM) == -1 && errno == ESRCH, "no such process");
}

static uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

/* Under --icount these are instructions. */
static void measure(void)
{
	uint64_t best = UINT64_MAX, before;

	catch(SIGUSR1, count, 0);
	for (int i = 0; i < 100; i++) {
		before = ticks();
		raise(SIGUSR1);
		before = ticks() - before;
		best = before < best ? before : best;
	}
	printf("# signal_self %lu ticks\n", best);
}

static void test_realtime(void)
{
	sigset_t set, old;
	bool good = true;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, &old);
	catch_info(SIGRTMIN, note, 0);
	catch_info(SIGRTMIN + 1, note, 0);
	calls = 0;
	for (int i = 0; i < 5; i++) {
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i });
		sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i });
	}
	siginfo_t info;
	set = set_of(SIGRTMIN + 1);
	for (int i = 0; i < 2; i++)
		good &= sigwaitinfo(&set, &info) == SIGRTMIN + 1 && info.si_value.sival_int == i;
	ok(good, "sigwaitinfo takes them in order, with their values");
	sigprocmask(SIG_SETMASK, &old, NULL);
	ok(calls == 8, "real-time signals come as often as they were sent");
	good = true;
	for (int i = 0; i < 8; i++)
		good &= order[i] == (i < 5 ? SIGRTMIN : SIGRTMIN + 1);
	ok(good && last_value == 4, "... the lowest number first");
	int sent = 0;
	set = set_of(SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &old);
	while (sent < 100000 && !sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = sent }))
		sent++;
	ok(sent >= 32 && sent < 100000 && errno == EAGAIN, "EAGAIN when %d are queued", sent);
	calls = 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	ok(calls == sent, "... all of which come");
}

static void nest(int number)
{
	count(number);
	if (number == SIGUSR1)
		raise(SIGUSR2);
}

static void test_nesting(void)
{
	struct sigaction action = { .sa_handler = nest };

	calls = 0;
	sigaddset(&action.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &action, NULL);
	catch(SIGUSR2, nest, 0);
	raise(SIGUSR1);
	ok(calls == 2 && order[1] == SIGUSR2, "sa_mask puts one off until the handler returns");
	sigset_t mask;
	sigprocmask(SIG_BLOCK, NULL, &mask);
	ok(mask == 0, "... which restores the mask");
}

static void jump(int number)
{
	count(number);
	siglongjmp(back, number);
}

static void test_jump(void)
{
	int came;
	sigset_t mask;

	catch(SIGUSR1, jump, 0);
	if (!(came = sigsetjmp(back, 1)))
		raise(SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	ok(came == SIGUSR1 && mask == 0, "siglongjmp out of a handler restores the mask");
	if (!(came = sigsetjmp(back, 0)))
		raise(SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	ok(came == SIGUSR1 && mask == set_of(SIGUSR1), "... or not, if it was not kept");
	mask = 0;
	sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* --- exceptions --------------------------------------------------------------------------------------- */

static void jump_info(int number, siginfo_t *info, void *context)
{
	note(number, info, context);
	siglongjmp(back, number);
}

static void skip(int number, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	note(number, info, context);
	uc->uc_mcontext.gregs[REG_RIP] += 2;	/* ud2 */
	uc->uc_mcontext.gregs[REG_RAX] = 4711;
}

static volatile int zero;
static volatile int *volatile bad = (volatile int *)0x123;

static void test_exceptions(void)
{
	static const int numbers[] = { SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGBUS };
	long result = 0;

	for (unsigned i = 0; i < 5; i++)
		catch_info(numbers[i], jump_info, 0);
	if (!sigsetjmp(back, 1))
		*bad = 1;
	ok(last_number == SIGSEGV && last_code == SEGV_MAPERR && last_address == (void *)0x123,
	   "SIGSEGV, SEGV_MAPERR, si_addr");
	if (!sigsetjmp(back, 1))
		*(volatile int *)(void *)test_self = 1;
	ok(last_number == SIGSEGV && last_code == SEGV_ACCERR && last_address == (void *)test_self,
	   "SEGV_ACCERR: the program's text is not written");
	if (!sigsetjmp(back, 1))
		zero = 100 / zero;
	ok(last_number == SIGFPE && last_code == FPE_INTDIV, "SIGFPE, FPE_INTDIV");
	if (!sigsetjmp(back, 1))
		__asm__ volatile("int3");
	ok(last_number == SIGTRAP && last_code == TRAP_BRKPT, "SIGTRAP");
	if (!sigsetjmp(back, 1))
		__asm__ volatile("hlt");
	ok(last_number == SIGSEGV, "a privileged instruction: SIGSEGV");
	catch_info(SIGILL, skip, 0);
	__asm__ volatile("ud2" : "=a"(result) :: "memory");
	ok(last_number == SIGILL && result == 4711, "SIGILL; a handler may change the registers");
	/* The emulator has no exceptions of SSE. */
	uint16_t word = 0x037f & ~4;		/* division by zero is not masked */
	last_code = 0;
	if (!sigsetjmp(back, 1))
		__asm__ volatile("fldcw %0\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait" :: "m"(word));
	__asm__ volatile("fninit");
	ok(last_number == SIGFPE && last_code == FPE_FLTDIV, "SIGFPE, FPE_FLTDIV");
}

static int __attribute__((noinline)) deep(int n)
{
	volatile char room[1024];

	room[n & 1023] = (char)n;
	return n > 100000000 ? room[0] : deep(n + 1) + room[n & 1023];
}

static volatile bool on_stack;
static char alternate[32768];

static void overflow(int number)
{
	char here;

	count(number);
	on_stack = &here >= alternate && &here < alternate + sizeof(alternate);
	siglongjmp(back, 1);
}

static void test_stack(void)
{
	stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) }, old;

	ok(sigaltstack(&stack, &old) == 0 && old.ss_flags == SS_DISABLE, "sigaltstack");
	catch(SIGSEGV, overflow, SA_ONSTACK);
	on_stack = false;
	if (!sigsetjmp(back, 1))
		deep(0);
	ok(on_stack, "a stack that overflows: the handler runs on the alternate one");
	on_stack = false;
	if (!sigsetjmp(back, 1))
		deep(0);
	ok(on_stack, "... again");
	catch(SIGUSR1, overflow, SA_ONSTACK);
	on_stack = false;
	if (!sigsetjmp(back, 1))
		raise(SIGUSR1);
	ok(on_stack, "raise with SA_ONSTACK");
	stack.ss_flags = SS_DISABLE;
	sigaltstack(&stack, NULL);
	catch(SIGSEGV, SIG_DFL, 0);
}

/* --- timers ------------------------------------------------------------------------------------------- */

static volatile double kept;

static void spoil(int number)
{
	count(number);
	kept = (double)number * 1.5;
	for (int i = 0; i < 3; i++)
		kept = kept / 3 + 1;
}

/* A loop that never enters the kernel, in registers only. */
static uint64_t spin(uint64_t most)
{
	uint64_t turns = 0, end = ns() + most;
	double a = 1, b = 2;

	while (!calls && (turns++ % 1024 || ns() < end)) {
		a = a * 1.0000001 + b;
		b = b * 0.9999999;
	}
	return a > 0 ? turns : 0;
}

static void test_timers(void)
{
	struct itimerval timer = { .it_value.tv_sec = 100 }, left;
	uint64_t before;

	calls = 0;
	catch(SIGALRM, spoil, 0);
	setitimer(ITIMER_REAL, &timer, NULL);
	getitimer(ITIMER_REAL, &left);
	ok(left.it_value.tv_sec > 50 && left.it_value.tv_sec <= 100, "getitimer");
	timer = (struct itimerval){ .it_value.tv_usec = 20000 };
	before = ns();
	setitimer(ITIMER_REAL, &timer, NULL);
	spin(2000000000);
	uint64_t took = ns() - before;
	ok(calls == 1 && took >= 20000000 && took < 1000000000, "a loop is interrupted by SIGALRM: %lu us",
	   took / 1000);
	calls = 0;
	timer.it_interval.tv_usec = 5000;
	setitimer(ITIMER_REAL, &timer, NULL);
	for (before = ns(); calls < 5 && ns() - before < 2000000000;)
		;
	ok(calls >= 5, "with an interval it comes again and again");
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
	calls = 0;
	catch(SIGVTALRM, spoil, 0);
	timer.it_value.tv_usec = 10000;
	setitimer(ITIMER_VIRTUAL, &timer, NULL);
	before = ns();
	spin(3000000000);
	ok(calls == 1 && last_number == SIGVTALRM, "ITIMER_VIRTUAL after %lu us", (ns() - before) / 1000);
	calls = 0;
	alarm(1);
	ok(alarm(0) == 1, "alarm(0) gives what was left");
	timer.it_value.tv_usec = 30000;
	setitimer(ITIMER_REAL, &timer, NULL);
	struct timespec wanted = { .tv_sec = 5 }, rest;
	ok(nanosleep(&wanted, &rest) == -1 && errno == EINTR && rest.tv_sec == 4, "nanosleep is ended by a handler");
	setitimer(ITIMER_REAL, &timer, NULL);
	ok(pause() == -1 && errno == EINTR, "pause");
	wanted = (struct timespec){ .tv_nsec = 20000000 };
	before = ns();
	ok(nanosleep(&wanted, NULL) == 0 && ns() - before >= 20000000, "nanosleep");
}

static void called(union sigval value)
{
	calls = value.sival_int;
}

static void test_timer_create(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value.sival_int = 9 };
	struct itimerspec when = { .it_value.tv_nsec = 10000000 };
	timer_t timer;

	calls = 0;
	catch_info(SIGUSR2, note, 0);
	ok(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &when, NULL) == 0,
	   "timer_create, timer_settime");
	while (!calls)
		pause();
	ok(last_code == SI_TIMER && last_value == 9, "its signal has its value");
	sigset_t set = set_of(SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	when.it_interval.tv_nsec = 1000000;
	when.it_value.tv_nsec = 1000000;
	timer_settime(timer, 0, &when, NULL);
	usleep(30000);
	timer_settime(timer, 0, &(struct itimerspec){ 0 }, NULL);
	calls = 0;
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	ok(calls == 1 && timer_getoverrun(timer) >= 20, "one signal is queued, and 20 overruns counted");
	ok(timer_delete(timer) == 0 && timer_delete(timer) == -1 && errno == EINVAL, "timer_delete");
	event = (struct sigevent){ .sigev_notify = SIGEV_THREAD, .sigev_notify_function = called,
		.sigev_value.sival_int = 42 };
	when = (struct itimerspec){ .it_value.tv_nsec = 5000000 };
	calls = 0;
	ok(timer_create(CLOCK_REALTIME, &event, &timer) == 0 && timer_settime(timer, 0, &when, NULL) == 0,
	   "SIGEV_THREAD");
	for (int i = 0; i < 100 && calls != 42; i++)
		usleep(5000);
	ok(calls == 42, "... calls its function");
	timer_delete(timer);
}

static void test_children(void)
{
	struct sigaction action = { .sa_handler = count, .sa_flags = SA_NOCLDWAIT };
	stack_t stack = { .ss_sp = &action, .ss_size = SIGSTKSZ, .ss_flags = SS_DISABLE | SS_ONSTACK };

	sigaction(SIGCHLD, &action, NULL);
	if (fork() == 0)
		_exit(0);
	ok(wait(NULL) == -1 && errno == ECHILD, "SA_NOCLDWAIT: wait says ECHILD, whether a handler has run or not");
	ok(sigaltstack(&stack, NULL) == -1 && errno == EINVAL, "sigaltstack knows its flags");
}

/* --- threads ------------------------------------------------------------------------------------------ */

static pthread_t waiter;
static volatile pthread_t taker;

static void who(int number)
{
	count(number);
	taker = pthread_self();
}

static void *wait_for_one(void *arg)
{
	sigset_t set = set_of(SIGUSR1);
	int number = 0;

	(void)arg;
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	sigwait(&set, &number);
	return (void *)(long)number;
}

static void *sleep_long(void *arg)
{
	(void)arg;
	sleep(10);
	return NULL;
}

static void test_threads(void)
{
	sigset_t set = set_of(SIGUSR1), old;
	void *result;

	pthread_sigmask(SIG_BLOCK, &set, &old);
	pthread_create(&waiter, NULL, wait_for_one, NULL);
	usleep(1000);
	kill(getpid(), SIGUSR1);
	pthread_join(waiter, &result);
	ok(result == (void *)SIGUSR1, "sigwait in a thread takes what is sent to the process");
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	calls = 0;
	catch(SIGUSR2, who, 0);
	pthread_create(&waiter, NULL, sleep_long, NULL);
	usleep(1000);
	uint64_t before = ns();
	pthread_kill(waiter, SIGUSR2);
	pthread_join(waiter, NULL);
	ok(calls == 1 && taker == waiter, "pthread_kill: that thread runs the handler");
	ok(ns() - before < 5000000000, "... which ends its sleep");
}

int main(void)
{
	test_self();
	measure();
	test_realtime();
	test_nesting();
	test_jump();
	test_exceptions();
	test_stack();
	test_timers();
	test_timer_create();
	test_children();
	test_threads();
	return tap_done();
}
