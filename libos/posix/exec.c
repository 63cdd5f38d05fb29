/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec and its family. The keeper reads the file and makes the new environment; if that succeeds, the old
 * one, which still waits for the answer, is gone. So nothing but signals and the strings is prepared here.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "libos/posix/exec.h"

#define SHELL	"/bin/sh"
#define SEARCH	"/bin:/usr/bin"		/* without $PATH */
#define ARGUMENTS_MAX	32767

extern char **environ;

/* --- strings -------------------------------------------------------------------------------------------- */

struct strings {
	size_t used;		/* of the buffer */
	int64_t error;
};

static void put(struct strings *to, const char *bytes, size_t count)
{
	while (count && !to->error) {
		size_t part = WIRE_BUFFER - to->used < count ? WIRE_BUFFER - to->used : count;

		memcpy(posix_buffer + to->used, bytes, part);
		to->used += part;
		bytes += part;
		count -= part;
		if (to->used < WIRE_BUFFER)
			continue;
		to->error = posix_ask(REQUEST_ARGS, WIRE_BUFFER, 0, 0, NULL);
		to->used = 0;
	}
}

static uint64_t put_list(struct strings *to, char *const list[])
{
	uint64_t count = 0;

	for (; list && list[count]; count++)
		put(to, list[count], strlen(list[count]) + 1);
	return count;
}

int64_t posix_image(enum wire_request request, const char *path, char *const argv[], char *const envp[], int fd,
		    const void *tail, size_t tail_bytes)
{
	struct strings to = { 0 };
	uint64_t argc, envc, third = request == REQUEST_EXEC ? (uint64_t)(int64_t)fd : tail_bytes;
	static const char zeros[8];
	int64_t result;

	if (!*path && fd < 0)
		return -ENOENT;
	if (strnlen(path, PATH_MAX) == PATH_MAX)
		return -ENAMETOOLONG;
	posix_lock();
	put(&to, path, strlen(path) + 1);
	argc = put_list(&to, argv);
	envc = put_list(&to, envp);
	if (tail_bytes) {
		/* In one piece, and aligned: nothing of it may be sent ahead. */
		if (!to.error && to.used + tail_bytes + 8 > WIRE_BUFFER && to.used) {
			to.error = posix_ask(REQUEST_ARGS, to.used, 0, 0, NULL);
			to.used = 0;
		}
		put(&to, zeros, -to.used % 8);
		put(&to, tail, tail_bytes);
	}
	result = argc > ARGUMENTS_MAX || envc > ARGUMENTS_MAX ? -E2BIG : to.error < 0 ? to.error :
		posix_ask(request, argc << 32 | envc, to.used, third, NULL);
	if (result < 0)
		(void)posix_ask(REQUEST_ARGS, 0, 0, 0, NULL);
	posix_unlock();
	return result;
}

/* --- exec ----------------------------------------------------------------------------------------------- */

static int64_t replace(const char *path, char *const argv[], char *const envp[], int fd)
{
	int64_t result;

	signal_before_exec();
	result = posix_image(REQUEST_EXEC, path, argv, envp, fd, NULL, 0);
	signal_exec_failed();
	return result;
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	return (int)posix_result(replace(path, argv, envp, -1));
}

int fexecve(int fd, char *const argv[], char *const envp[])
{
	if (fd < 0)
		return (int)posix_result(-EBADF);
	return (int)posix_result(replace(argv[0] ? argv[0] : "", argv, envp, fd));
}

int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

/* --- along $PATH ---------------------------------------------------------------------------------------- */

int64_t posix_search(const char *name, int64_t (*try)(const char *path, void *arg), void *arg)
{
	const char *at = getenv("PATH"), *end;
	int64_t result = -ENOENT, error = -ENOENT;
	char path[PATH_MAX];
	size_t length = strnlen(name, PATH_MAX);

	if (!length || strchr(name, '/'))
		return try(name, arg);
	if (!at)
		at = SEARCH;
	for (;; at = end + 1) {
		end = at + strcspn(at, ":");
		size_t folder = (size_t)(end - at);
		if (folder + length + 2 > sizeof(path)) {
			result = -ENAMETOOLONG;
		} else {
			memcpy(path, at, folder);
			if (folder)
				path[folder++] = '/';
			memcpy(path + folder, name, length + 1);
			result = try(path, arg);
		}
		if (result != -ENOENT && result != -ENOTDIR && result != -EACCES && result != -ENAMETOOLONG)
			return result;
		if (result == -EACCES || error == -ENOENT)
			error = result == -ENOTDIR ? error : result;
		if (!*end)
			return error;
	}
}

struct image {
	char *const *argv, *const *envp;
};

/* A file that is no program is a script for the shell. */
static int64_t as_script(const char *path, const struct image *image)
{
	size_t count = 0;

	while (image->argv[count])
		count++;
	char *argv[count + 3];
	argv[0] = (char *)"sh";
	argv[1] = (char *)path;
	for (size_t i = 1; i < count; i++)
		argv[i + 1] = image->argv[i];
	argv[count ? count + 1 : 2] = NULL;
	return replace(SHELL, argv, image->envp, -1);
}

static int64_t try_one(const char *path, void *arg)
{
	const struct image *image = arg;
	int64_t result = replace(path, image->argv, image->envp, -1);

	return result == -ENOEXEC ? as_script(path, image) : result;
}

int execvpe(const char *name, char *const argv[], char *const envp[])
{
	struct image image = { argv, envp };

	return (int)posix_result(posix_search(name, try_one, &image));
}

int execvp(const char *name, char *const argv[])
{
	return execvpe(name, argv, environ);
}

/* --- with a list of arguments --------------------------------------------------------------------------- */

static size_t count_list(va_list list)
{
	size_t count = 1;

	while (va_arg(list, const char *))
		count++;
	return count;
}

/* The first argument, those of the list, NULL; behind which the list goes on. */
#define COLLECT(first, list, argv) \
	va_list counted; \
	va_start(list, first); \
	va_copy(counted, list); \
	char *argv[count_list(counted) + 1]; \
	va_end(counted); \
	argv[0] = (char *)first; \
	for (size_t i = 0; argv[i]; i++) \
		argv[i + 1] = va_arg(list, char *)

int execl(const char *path, const char *first, ...)
{
	va_list list;

	if (!first) {
		char *none[] = { NULL };
		return execv(path, none);
	}
	COLLECT(first, list, argv);
	va_end(list);
	return execv(path, argv);
}

int execlp(const char *name, const char *first, ...)
{
	va_list list;

	if (!first) {
		char *none[] = { NULL };
		return execvp(name, none);
	}
	COLLECT(first, list, argv);
	va_end(list);
	return execvp(name, argv);
}

int execle(const char *path, const char *first, ...)
{
	va_list list;
	char **envp;

	if (!first)
		return (int)posix_result(-EINVAL);
	COLLECT(first, list, argv);
	envp = va_arg(list, char **);
	va_end(list);
	return execve(path, argv, envp);
}
