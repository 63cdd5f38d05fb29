/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libOS uni: from the first thread to main() and back, and the few system functions that have no better
 * place.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/lock.h>
#include "libos/core/thread.h"
#include "libos/uni/fd.h"

extern char **environ;
int main(int argc, char **argv, char **envp);
void __libc_init_array(void);

/* picolibc has these too: naming them here makes the linker take ours, which it sees first. */
static void *const ours[] __attribute__((used)) = { sbrk, time, clock, __retarget_lock_acquire };

void core_main(void)
{
	unsigned argc = core_begin->argc, envc = core_begin->envc, i;
	char *argv[argc + 1], *envp[envc + 1];

	for (i = 0; i < argc; i++)
		argv[i] = (char *)core_argument(i);
	argv[i] = NULL;
	for (i = 0; i < envc; i++)
		envp[i] = (char *)core_environment(i);
	envp[i] = NULL;
	environ = envp;
	__libc_init_array();
	exit(main((int)argc, argv, envp));
}

void (*uni_last)(void);
bool (*uni_lend)(const void *at, size_t bytes, struct fd_loan *loan);
void (*uni_give_back)(const struct fd_loan *loan);

static void last(void)
{
	void (*call)(void) = uni_last;

	uni_last = NULL;
	if (call)
		call();
}

void _exit(int status)
{
	last();
	core_exit((uint64_t)(uint8_t)status);
}

pid_t getpid(void)
{
	return (pid_t)(uint32_t)core_disp->self;
}

/*
 * Only the program itself can be reached, and a signal that it does not catch ends it as a shell would say.
 */
int kill(pid_t pid, int signal)
{
	if (pid != getpid() && pid != 0) {
		errno = ESRCH;
		return -1;
	}
	if (!signal)
		return 0;
	last();
	core_exit(128 + (uint64_t)signal);
}

int getentropy(void *buffer, size_t bytes)
{
	if (bytes > 256) {
		errno = EIO;
		return -1;
	}
	core_random(buffer, bytes);
	return 0;
}

int getpagesize(void)
{
	return EXO_PAGE_SIZE;
}
