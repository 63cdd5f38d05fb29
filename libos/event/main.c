/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libOS event: from a stack to main() and back.
 */
#include <stdlib.h>
#include <time.h>
#include "libos/event/private.h"

extern void (*__bothinit_array_start[])(void);
extern void (*__bothinit_array_end[])(void);
int main(int argc, char **argv, char **envp);

/* With the C library's end if the program has one: what is in buffers is written. */
void exit(int status) __attribute__((weak, noreturn));

static _Noreturn void event_exit(int status)
{
	if (exit)
		exit(status);
	core_exit((uint8_t)status);
}

/* picolibc has these too: naming them here, where nothing uses it, makes the linker take ours, which it sees first. */
static void *const ours[] __attribute__((used)) = { malloc, time, clock };

void core_main(void)
{
	unsigned argc = core_begin->argc, envc = core_begin->envc, i;
	char *argv[argc + envc + 2];

	for (i = 0; i < argc; i++)
		argv[i] = (char *)core_argument(i);
	argv[argc] = NULL;
	for (i = 0; i < envc; i++)
		argv[argc + 1 + i] = (char *)core_environment(i);
	argv[argc + 1 + envc] = NULL;
	if (!event_heap_start())
		core_fail("not enough memory");
	for (void (**init)(void) = __bothinit_array_start; init < __bothinit_array_end; init++)
		(*init)();
	event_exit(main((int)argc, argv, argv + argc + 1));
}
