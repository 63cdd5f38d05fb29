/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec and posix_spawn: from a path and strings to a new body.
 *
 * All that the caller says is copied first (K1): its strings may come in several requests (ARGS). A file that
 * begins with "#!" names another, with one argument, SCRIPTS deep at most. The new body is made beside the
 * old one, which is destroyed only when nothing can fail any more: who called is gone then, and nobody
 * answers him.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "libos/fs/vfs.h"
#include "libos/keep/private.h"

#define SCRIPTS		4
#define SCRIPT_LINE	256
#define HEAP_END	0x7f0000000000ULL
#define ARGS_MAX	(WIRE_ARGS - EXO_PAGE_SIZE)

#pragma weak keep_open_exec
#pragma weak keep_fd_file
#pragma weak keep_fd_vfs
#pragma weak keep_fds_exec
#pragma weak keep_signal_exec
#pragma weak keep_object_exit
#pragma weak keep_tty_give

/* --- strings ---------------------------------------------------------------------------------------------- */

static int64_t more_strings(struct keep_request *request)
{
	struct keep_process *process = request->process;
	uint64_t bytes = request->word[0];
	char *grown;

	if (!bytes) {
		free(process->strings);
		process->strings = NULL;
		process->strings_bytes = 0;
		return 0;
	}
	if (bytes > WIRE_BUFFER)
		return -EINVAL;
	if (process->strings_bytes + bytes > ARGS_MAX + VFS_PATH_MAX)
		return -E2BIG;
	grown = realloc(process->strings, process->strings_bytes + bytes);
	if (!grown)
		return -ENOMEM;
	memcpy(grown + process->strings_bytes, request->data, bytes);
	process->strings = grown;
	process->strings_bytes += (uint32_t)bytes;
	return 0;
}

static uint32_t strings_end(const char *at, uint32_t bytes, uint64_t count)
{
	uint32_t used = 0;

	while (count--) {
		const char *nul = used < bytes ? memchr(at + used, '\0', bytes - used) : NULL;

		if (!nul)
			return UINT32_MAX;
		used = (uint32_t)(nul - at) + 1;
	}
	return used;
}

int program_take(struct keep_request *request, struct program *program, uint64_t tail)
{
	struct keep_process *process = request->process;
	uint64_t now = request->word[1], before = process->strings_bytes, used;
	uint32_t argc = (uint32_t)(request->word[0] >> 32), envc = (uint32_t)request->word[0], path;
	char *memory;

	if (now > WIRE_BUFFER || tail > now)
		return -EINVAL;
	if (before + now > ARGS_MAX + VFS_PATH_MAX)
		return -E2BIG;
	memory = malloc(before + now + 1);
	if (!memory)
		return -ENOMEM;
	memcpy(memory, process->strings, before);
	memcpy(memory + before, request->data, now);
	free(process->strings);
	process->strings = NULL;
	process->strings_bytes = 0;
	program->memory = memory;
	path = strings_end(memory, (uint32_t)(before + now - tail), 1);
	if (path == UINT32_MAX)
		return -EINVAL;
	if (path > VFS_PATH_MAX)
		return -ENAMETOOLONG;
	used = strings_end(memory + path, (uint32_t)(before + now - tail - path), (uint64_t)argc + envc);
	if (used == UINT32_MAX)
		return -EINVAL;
	program->path = memory;
	program->args = memory + path;
	program->args_bytes = (uint32_t)used;
	program->argc = argc;
	program->envc = envc;
	program->tail = memory + before + now - tail;
	return 0;
}

/* --- the file --------------------------------------------------------------------------------------------- */

static int open_path(struct keep_process *process, struct program *program)
{
	int error;

	if (keep_open_exec)
		return keep_open_exec(process, program->path, &program->file, &program->attributes);
	error = vfs_open(NULL, program->path, VFS_READ, 0, &program->file);
	if (!error)
		error = vfs_attributes(&program->file->place, &program->attributes);
	if (!error && program->attributes.kind != FS_FILE)
		error = -EACCES;
	return error;
}

static int open_fd(struct keep_process *process, struct program *program, int64_t fd)
{
	const struct vfs_who who = { process->euid, process->egid, 0, process->group, process->groups };
	struct vfs_file *file = keep_fd_vfs ? keep_fd_vfs(process, fd) : NULL;
	int error;

	if (!file)
		return keep_fd_file && keep_fd_file(process, fd) ? -EACCES : -EBADF;
	error = vfs_attributes(&file->place, &program->attributes);
	if (error)
		return error;
	if (!(program->attributes.mode & 0111))
		return -EACCES;
	error = vfs_may(&who, &file->place, VFS_MAY_SEARCH);	/* that it may be read says nothing */
	if (error)
		return error;
	vfs_file_hold(file);
	program->file = file;
	return 0;
}

static void close_file(struct program *program)
{
	if (program->file)
		vfs_file_put(program->file);
	program->file = NULL;
}

/*
 * "#!path [argument]": the script's path takes argument 0's place, path and argument come before it. 1: it is
 * one; 0: it is none; or -errno.
 */
static int script(struct program *program)
{
	char line[SCRIPT_LINE + 1], *path, *argument, *end, *memory;
	int64_t got = program->file->place.mount->limits & WIRE_MOUNT_NOEXEC ? -EACCES :
		vfs_pread(program->file, line, SCRIPT_LINE, 0);
	size_t first, bytes, skip, at = 0;

	if (got < 2 || line[0] != '#' || line[1] != '!')
		return got < 0 ? (int)got : 0;
	line[got] = '\0';
	end = memchr(line, '\n', (size_t)got);
	if (!end)
		return -ENOEXEC;
	*end = '\0';
	path = line + 2 + strspn(line + 2, " \t");
	argument = path + strcspn(path, " \t");
	if (*argument)
		*argument++ = '\0';
	argument += strspn(argument, " \t");
	for (end = argument + strlen(argument); end > argument && strchr(" \t\r", end[-1]);)
		*--end = '\0';
	if (!*path)
		return -ENOEXEC;
	skip = program->argc ? strlen(program->args) + 1 : 0;
	first = strlen(path) + 1 + (*argument ? strlen(argument) + 1 : 0) + strlen(program->path) + 1;
	bytes = program->args_bytes - skip + first;
	if (bytes > ARGS_MAX)
		return -E2BIG;
	memory = malloc(strlen(path) + 1 + bytes);
	if (!memory)
		return -ENOMEM;
	at = (size_t)(stpcpy(memory, path) - memory) + 1;
	program->argc = (program->argc ? program->argc : 1) + 1 + (*argument != '\0');
	strcpy(memory + at, path);
	at += strlen(path) + 1;
	if (*argument)
		at += (size_t)(stpcpy(memory + at, argument) - (memory + at)) + 1;
	at += (size_t)(stpcpy(memory + at, program->path) - (memory + at)) + 1;
	memcpy(memory + at, program->args + skip, program->args_bytes - skip);
	if (program->script)
		free(program->memory);
	else
		program->first = program->memory;	/* what lies behind the strings is still wanted */
	program->script = true;
	program->memory = program->path = memory;
	program->args = memory + strlen(path) + 1;
	program->args_bytes = (uint32_t)bytes;
	close_file(program);
	return 1;
}

int program_find(struct keep_process *process, struct program *program, int64_t fd)
{
	int error, depth = 0;

	if (program->args_bytes > ARGS_MAX)
		return -E2BIG;
	if (fd >= 0)
		error = open_fd(process, program, fd);
	else
		error = open_path(process, program);
	while (!error && (error = script(program)) == 1) {
		error = ++depth > SCRIPTS ? -ELOOP : open_path(process, program);
	}
	return error;
}

void program_end(struct program *program)
{
	close_file(program);
	free(program->memory);
	free(program->first);
	program->memory = program->first = NULL;
}

/* --- the body --------------------------------------------------------------------------------------------- */

/* Frames that were taken together, so that they are one run and one capability. */
struct stock {
	struct frame next;
	uint32_t left;
};

/* Frames for a part of so many pages: those of the stock first, which are enough for the first that ask. */
static int part_take(struct frame_bag *bag, struct stock *stock, uint32_t *pages, struct frame *frame)
{
	if (*pages <= stock->left) {
		*frame = stock->next;
		stock->next.first += *pages;
		stock->next.pfn += *pages;
		stock->left -= *pages;
		return 0;
	}
	if (*pages > EXO_TAKE_MAX)
		*pages = EXO_TAKE_MAX;
	while (frame_bag_take(bag, *pages, frame)) {
		*pages /= 2;
		if (!*pages)
			return -ENOMEM;
	}
	return 0;
}

/* So many pages at an address, in frames of a bag, from contents (`bytes` of them; the rest is zero). */
static int data_pages(struct keep_body *body, struct frame_bag *bag, struct stock *stock, exo_vaddr_t va, uint32_t pages,
		      const char *from, uint64_t bytes)
{
	while (pages) {
		uint32_t part = pages;
		struct frame frame;
		uint64_t now;
		char *window;
		int error;

		if (!body_room() || part_take(bag, stock, &part, &frame))
			return -ENOMEM;
		now = (uint64_t)part * EXO_PAGE_SIZE;
		if (bytes) {
			uint64_t fill = bytes < now ? bytes : now;
			uint32_t filled = (uint32_t)(PAGE_UP(fill) / EXO_PAGE_SIZE);

			window = body_window(frame.cap, frame.first, filled);
			if (!window)
				return -ENOMEM;
			memcpy(window, from, fill);
			body_window_close(filled);
			from += fill;
			bytes -= fill;
		}
		error = body_map(body, va, EXO_MAP_READ | EXO_MAP_WRITE, frame.cap, frame.first, part);
		if (error)
			return error;
		va += now;
		pages -= part;
	}
	return 0;
}

static uint32_t args_pages(const struct program *program)
{
	return (uint32_t)(PAGE_UP(sizeof(struct wire_args) + program->args_bytes) / EXO_PAGE_SIZE);
}

static int put_args(struct keep_body *body, const struct program *program, struct stock *stock)
{
	struct wire_args head = { program->argc, program->envc, program->args_bytes, 0 };
	size_t bytes = sizeof(head) + program->args_bytes;
	char *all = malloc(bytes);
	int error;

	if (!all)
		return -ENOMEM;
	memcpy(all, &head, sizeof(head));
	memcpy(all + sizeof(head), program->args, program->args_bytes);
	error = data_pages(body, &body->data, stock, WIRE_VA_ARGS, args_pages(program), all, bytes);
	free(all);
	return error;
}

/* Of a piece that is written: the wired pages lie in [low, high), those with contents before `low` go to the process. */
static void wired_of(const struct keep_image *image, const struct image_piece *piece, uint64_t *low, uint64_t *high)
{
	*low = image->wired - piece->va;
	*high = image->wired_end - piece->va;
	if (image->wired < piece->va || *high > (uint64_t)piece->pages * EXO_PAGE_SIZE)
		*low = *high = (uint64_t)piece->filled * EXO_PAGE_SIZE;
}

/* Arguments and data in a row, if they are not too many: each run that a process has costs it in each fork. */
static void stock_take(struct keep_body *body, const struct program *program, struct stock *stock)
{
	uint64_t pages = args_pages(program), low, high;

	for (unsigned i = 0; i < body->image->count; i++) {
		if (!(body->image->piece[i].flags & EXO_MAP_WRITE))
			continue;
		wired_of(body->image, &body->image->piece[i], &low, &high);
		pages += low / EXO_PAGE_SIZE;
	}
	stock->left = 0;
	if (pages <= EXO_TAKE_MAX && body_room() && !frame_bag_take(&body->data, (uint32_t)pages, &stock->next))
		stock->left = (uint32_t)pages;
}

/*
 * What is written: pages with contents go to the process, with a capability for each run; wired ones stay the
 * keeper's, since a capability for them would go to the children of fork, too; pages of zeros the process
 * makes itself.
 */
static int put_data(struct keep_body *body, const struct keep_image *image, struct stock *stock)
{
	struct stock none = { .left = 0 };
	int error = 0;

	for (unsigned i = 0; i < image->count && !error; i++) {
		const struct image_piece *piece = &image->piece[i];
		const char *from = image->va + (uint64_t)piece->at * EXO_PAGE_SIZE;
		uint64_t filled = (uint64_t)piece->filled * EXO_PAGE_SIZE, low, high;

		if (!(piece->flags & EXO_MAP_WRITE))
			continue;
		wired_of(image, piece, &low, &high);
		error = data_pages(body, &body->data, stock, piece->va, (uint32_t)(low / EXO_PAGE_SIZE), from,
				   low < filled ? low : filled);
		if (!error)
			error = data_pages(body, &body->wired, &none, piece->va + low,
					   (uint32_t)((high - low) / EXO_PAGE_SIZE),
					   from + low, low < filled ? (filled < high ? filled : high) - low : 0);
	}
	return error;
}

static int grant_data(struct keep_body *body)
{
	char name[EXO_START_NAME];
	int error = 0;

	for (uint32_t i = 0; i < body->data.runs && !error; i++) {
		core_format(name, sizeof(name), WIRE_DATA "%u", i);
		error = body_grant(body, name, body->data.run[i].cap, EXO_RIGHT_READ | EXO_RIGHT_WRITE, 0,
				   body->data.run[i].count);
	}
	return error;
}

struct keep_body *program_body(const struct keep_process *process, const struct program *program, int *error)
{
	struct keep_image *image = image_get(program->file, &program->attributes, error);
	struct keep_body *body = image ? malloc(sizeof(*body)) : NULL;
	struct exo_start *start;
	struct stock stock;

	if (!body) {
		*error = image ? -ENOMEM : *error;
		if (image)
			image_put(image);
		return NULL;
	}
	*error = body_make(body, process, image->entry, NULL, image);
	if (*error) {
		image_put(image);
		free(body);
		return NULL;
	}
	body->image = image;
	start = record_of(body);
	start->image = image->start;
	start->image_bytes = image->end - image->start;
	start->heap = image->end;
	start->heap_end = HEAP_END;
	stock_take(body, program, &stock);
	*error = put_data(body, image, &stock);
	if (!*error)
		*error = put_args(body, program, &stock);
	if (!*error)
		*error = grant_data(body);
	if (!*error)
		return body;
	body_drop(body);
	free(body);
	return NULL;
}

/* Not for scripts, whose file this is not. */
void program_ids(struct keep_process *process, const struct program *program, struct keep_body *body)
{
	bool may = !program->script && !(program->file->place.mount->limits & WIRE_MOUNT_NOSUID);

	if (may && program->attributes.mode & S_ISUID)
		process->euid = program->attributes.uid;
	if (may && program->attributes.mode & S_ISGID)
		process->egid = program->attributes.gid;
	process->suid = process->euid;
	process->sgid = process->egid;
	if (process->euid != process->uid || process->egid != process->gid)
		body_mixed(body);
}

/* --- requests --------------------------------------------------------------------------------------------- */

static void drop_old(struct keep_process *process)
{
	struct keep_body *old = process->body;

	if (keep_object_exit)
		keep_object_exit(process);
	process->body = NULL;
	body_drop(old);
	process->ns += old->ns;
	body_fixed_revoke(process);
	if (!old->pure)
		body_wipe(process);
	free(old);
}

/* What the old image wrote to the page is not believed: the new one may have other rights. */
static void clean_page(const struct keep_process *process)
{
	struct wire_page *page = process->page;

	memset(&page->gift, 0, sizeof(page->gift));
	page->waits = 0;
	if (process->signals - page->taken > WIRE_SIGNALS)
		page->taken = process->signals;
	page->queued = process->signals;
}

static int64_t exec(struct keep_request *request)
{
	struct keep_process *process = request->process;
	struct program program = { 0 };
	char name[sizeof(process->name)];
	struct keep_body *body = NULL;
	int error = program_take(request, &program, 0);

	memcpy(name, process->name, sizeof(name));
	if (!error) {
		keep_process_name(process, program.path);
		error = program_find(process, &program, (int32_t)request->word[2]);
	}
	if (!error)
		body = program_body(process, &program, &error);
	if (error || process->ending) {		/* it may have been killed while the disk was waited for */
		if (body) {
			body_drop(body);
			free(body);
		}
		memcpy(process->name, name, sizeof(name));
		program_end(&program);
		return error;
	}
	if (process->making)
		keep_process_undo(process->making);
	process->making = NULL;
	/* What the old image's capabilities reach must not outlive it: the new one may have other rights. */
	drop_old(process);
	body_record(body, process);
	program_ids(process, &program, body);
	program_end(&program);
	process->execed = true;
	process->later = process->done = false;
	if (keep_fds_exec)
		keep_fds_exec(process);
	clean_page(process);
	if (keep_signal_exec)
		keep_signal_exec(process, process->page);
	keep_page_fill(process);
	keep_process_run(process, body);
	exo_env_start(body->env);
	return 0;
}

int keep_first_process(const char *path, unsigned argc, const char *const *argv, unsigned envc,
		       const char *const *envv)
{
	struct keep_process *process = keep_process_make(NULL);
	struct program program = { .argc = argc, .envc = envc };
	size_t bytes = strlen(path) + 1, at;
	struct keep_body *body = NULL;
	int error = 0;

	if (!process)
		return -EAGAIN;
	for (unsigned i = 0; i < argc + envc; i++)
		bytes += strlen(i < argc ? argv[i] : envv[i - argc]) + 1;
	program.memory = program.path = malloc(bytes);
	if (!program.memory)
		return -ENOMEM;
	at = (size_t)(stpcpy(program.path, path) - program.path) + 1;
	program.args = program.path + at;
	for (unsigned i = 0; i < argc + envc; i++)
		at += (size_t)(stpcpy(program.path + at, i < argc ? argv[i] :
				      envv[i - argc]) - (program.path + at)) + 1;
	program.args_bytes = (uint32_t)(program.path + at - program.args);
	keep_process_name(process, path);
	keep_first = process;
	if (keep_tty_give)
		keep_tty_give(process);
	error = program_find(process, &program, -1);
	if (!error)
		body = program_body(process, &program, &error);
	program_end(&program);
	if (error) {
		keep_process_undo(process);
		keep_first = NULL;
		return error;
	}
	body_record(body, process);
	keep_process_run(process, body);
	keep_open_doors();
	exo_env_start(body->env);
	return 0;
}

void keep_exec_start(void)
{
	image_start();
	keep_serve(REQUEST_ARGS, more_strings);
	keep_serve(REQUEST_EXEC, exec);
}
