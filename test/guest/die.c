/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ends in the way that its argument names; what is printed and with which status the machine stops is judged
 * from outside (test/e2e). Not a test by itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "libos/core/thread.h"
#include "libos/vm/vm.h"

static __attribute__((noinline)) int overflow(volatile char *from)
{
	volatile char room[400];

	room[0] = from ? from[0] : 1;
	return room[0] ? overflow(room) + room[0] : 0;
}

static __attribute__((noinline)) void wild_store(uint64_t address)
{
	*(volatile uint64_t *)address = 1;
}

static CORE_UPCALL const char *bad_pager(struct vm_region *region, exo_vaddr_t va, unsigned access,
					 bool present)
{
	(void)region, (void)va, (void)access, (void)present;
	wild_store(8);
	return NULL;
}

static void in_handler(void)
{
	static struct vm_region region = { .pager = bad_pager };

	region.start = vm_addresses(4096);
	region.end = region.start + 4096;
	vm_add(&region);
	wild_store(region.start);
}

/* Upcalls off for ever: no exception, event or turn of its libOS any more. */
static _Noreturn void wedge(void)
{
	core_disp->off = EXO_OFF_YES;
	for (;;)
		__asm__ volatile("pause");
}

/* The same without a stack, or anything that leads to one. */
static _Noreturn void gone(void)
{
	core_disp->off = EXO_OFF_YES;
	__asm__ volatile("xor %esp, %esp\n\tmov $-9, %rbp\n1:\tpause\n\tjmp 1b");
	__builtin_unreachable();
}

/* In the kernel most of the time. */
static _Noreturn __attribute__((noinline)) void calls(void)
{
	for (;;)
		exo_console_write(core_named(EXO_NAME_CONSOLE), 0, 0);
}

/* Two threads that wait for each other. */
static void deadlock(void)
{
	struct thread *main_thread = thread_current;

	thread_join(thread_create("other", (void (*)(void *))thread_join, main_thread));
}

static void in_thread(void *arg)
{
	(void)arg;
	overflow(NULL);
}

static void die(const char *how)
{
	if (!strcmp(how, "wedge"))
		wedge();
	if (!strcmp(how, "gone"))
		gone();
	if (!strcmp(how, "calls"))
		calls();
	if (!strcmp(how, "null"))
		wild_store(0x10);
	else if (!strcmp(how, "text"))
		wild_store((uint64_t)&die);
	else if (!strcmp(how, "kernel"))
		wild_store(0xffffffff80000000);
	else if (!strcmp(how, "stack"))
		overflow(NULL);
	else if (!strcmp(how, "thread"))
		thread_join(thread_create("deep", in_thread, NULL));
	else if (!strcmp(how, "illegal"))
		__asm__ volatile("ud2");
	else if (!strcmp(how, "division"))
		__asm__ volatile("div %%ecx" :: "a"(1), "d"(0), "c"(0));
	else if (!strcmp(how, "port"))
		__asm__ volatile("outb %%al, %%dx" :: "a"(0), "d"(0xf4));
	else if (!strcmp(how, "handler"))
		in_handler();
	else if (!strcmp(how, "lost"))
		core_disp->upcall_sp = 0, wild_store(0x10);
	else if (!strcmp(how, "memory"))
		for (int i = 0; malloc(100000); i++)
			;
	else if (!strcmp(how, "abort"))
		abort();
	else if (!strcmp(how, "jump"))
		((void (*)(void))0x123456)();
	else if (!strcmp(how, "pause"))
		thread_sleep(core_now() + CORE_SECOND), printf("die: paused\n"), exit(5);
	else if (!strcmp(how, "deadlock"))
		deadlock();
	else if (!strcmp(how, "loop"))
		for (;;)
			__asm__ volatile("");
	printf("die: still here after %s\n", how);
	exit(3);
}

int main(int argc, char **argv)
{
	printf("die: %s\n", argc > 1 ? argv[1] : "how?");
	fflush(stdout);
	die(argc > 1 ? argv[1] : "");
}
