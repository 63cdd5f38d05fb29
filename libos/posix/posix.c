/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The libOS posix: from the first thread to main() and back.
 */
#include <errno.h>
#include <stdio-bufio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/lock.h>
#include "libos/core/thread.h"
#include "libos/posix/call.h"
#include "libos/posix/posix.h"
#include "libos/posix/signals.h"
#include "libos/posix/thread.h"

extern char **environ;
int main(int argc, char **argv, char **envp);
void __libc_init_array(void);

/* picolibc has these too, or nobody asks for them: naming them here makes the linker take ours. */
extern const char posix_note[];
char *_user_strerror(int error, int internal, int *result);
void posix_lock_hand_over(struct thread_mutex *mutex);
static const void *const ours[] __attribute__((used)) = { sbrk, time, clock, __retarget_lock_acquire, posix_note,
	core_resumes, fopen, _user_strerror, posix_lock_hand_over };

/*
 * Arguments and variables lie where the keeper has put them, in pages of the process's own; the two vectors,
 * each with its NULL, are made here.
 */
static void point_at(const struct wire_args *from, char **vector, uint32_t count)
{
	char *text = (char *)from->text, *end = text + from->bytes;

	for (uint32_t i = 0; i < count + 2; i++) {
		bool last = i == from->argc || i == count + 1;

		vector[i] = last || text >= end ? NULL : text;
		if (vector[i])
			text += strlen(text) + 1;
	}
}

/*
 * Standard output goes out line by line where a terminal shows it, and else (a file, a pipe) by whole buffers, as ISO C
 * wants. Weak: nothing is asked in a program that has no use for it.
 */
extern FILE *const stdout __attribute__((__weak__));

static void output_begin(void)
{
	if (&stdout && !isatty(STDOUT_FILENO))
		((struct __file_bufio *)stdout)->bflags &= (uint8_t)~__BLBF;
	errno = 0;
}

void posix_begin(void)
{
	core_wall_offset = &posix_page->day_offset;
	posix_threads_start();
	signal_start();
}

void core_main(void)
{
	const struct wire_args *from = (const struct wire_args *)WIRE_VA_ARGS;
	uint32_t count = from->argc + from->envc;

	posix_call_start();
	if (from->bytes > WIRE_ARGS - sizeof(*from) || count > from->bytes)
		core_fail("its arguments are not what they should be");
	char *vector[count + 2], **envp = vector + from->argc + 1;
	point_at(from, vector, count);
	environ = envp;
	posix_begin();
	output_begin();
	__libc_init_array();
	exit(main((int)from->argc, vector, envp));
}

void _exit(int status)
{
	posix_end((status & 0xff) << 8);
}

int getentropy(void *buffer, size_t bytes)
{
	if (bytes > 256)
		return (int)posix_result(-EIO);
	bool was = posix_enter();
	core_random(buffer, bytes);
	posix_leave(was);
	return 0;
}

int getpagesize(void)
{
	return EXO_PAGE_SIZE;
}
