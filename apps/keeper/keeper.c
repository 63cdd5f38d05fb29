/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keeper: the environment that holds what the processes of libos/posix share.
 *
 * Its arguments are those of process 1; the variable KEEPER_FIRST is the path of its program (else argument 1 is).
 * `--input=plain` before them says that nobody types at the console. What is mounted where, EXO_MOUNTS says, as for
 * every program of uni; in the boot archive, which cannot be written, the usual directories for what changes are
 * mounted as memory. It ends with process 1: with its exit status, or 128 and the number of the signal that ended it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "libos/core/core.h"
#include "libos/disk/disk.h"
#include "libos/fs/vfs.h"
#include "libos/keep/files.h"
#include "libos/keep/keep.h"
#include "libos/uni/file.h"

#define ENVIRONMENT_MAX	64

extern char **environ;

static struct fs_time now(void)
{
	uint64_t ns = core_wall();

	if (!ns)
		ns = core_now();
	return (struct fs_time){ (int64_t)(ns / CORE_SECOND), (uint32_t)(ns % CORE_SECOND) };
}

/* Memory at the places where programs write, unless something else is mounted there or above. */
static void mount_memory(void)
{
	static const char *const paths[] = { "/tmp", "/var", "/root", "/home", "/run" };
	const struct fs_mount how = { .now = now, .options = "", .pages = keep_pages, .pages_free = keep_pages_free,
		.room = keep_room };

	if (vfs_root.mount && vfs_root.mount->fs->ops != &fs_tar)
		return;
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		vfs_mount(paths[i], &fs_memory, &how);
}

/* Nobody else waits for process 1, so nobody else says what ended it. */
static int status_of(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "%s: process 1 was ended by signal %d (%s)\n", core_name(), WTERMSIG(status),
		strsignal(WTERMSIG(status)));
	return 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	const char *path = getenv("KEEPER_FIRST"), *variables[ENVIRONMENT_MAX];
	unsigned count = 0;
	int error;

	if (argc > 1 && !strcmp(argv[1], "--input=plain")) {
		keep_input_plain = true;
		argc--;
		argv++;
	}
	if (argc < 2 && !path) {
		fprintf(stderr, "%s: no program is named\n", core_name());
		return 2;
	}
	if (!path)
		path = argv[1];
	for (char **at = environ; *at && count < ENVIRONMENT_MAX; at++)
		if (strncmp(*at, "EXO_", 4) && strncmp(*at, "KEEPER_", 7))
			variables[count++] = *at;
	if (!uni_mounted)
		uni_mount();
	mount_memory();
	keep_start();
	error = keep_first_process(path, (unsigned)argc - 1, (const char *const *)argv + 1, count, variables);
	if (error) {
		fprintf(stderr, "%s: %s: %s\n", core_name(), path, strerror(-error));
		return error == -ENOENT ? 127 : 126;
	}
	return status_of(keep_run());
}
