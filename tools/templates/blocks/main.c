/* SPDX-License-Identifier: BSD-2-Clause */
/* A libOS made of blocks: files in memory, TCP/IP, and a scheduler of its own. See tutorial-blocks.md. */
#include <string.h>
#include "libos/core/thread.h"
#include "libos/fs/vfs.h"
#include "libos/net/net.h"
#include "lwip/api.h"

static struct thread_queue urgent, others;

static void append(struct thread_queue *queue, struct thread *thread)
{
	thread->next = NULL;
	if (queue->head)
		queue->tail->next = thread;
	else
		queue->head = thread;
	queue->tail = thread;
}

/* A thread can run. The policy: one whose name begins with ! goes before all others. */
static void first_ready(struct thread *thread)
{
	append(thread->name && thread->name[0] == '!' ? &urgent : &others, thread);
}

/* Who runs next? */
static struct thread *first_pick(void)
{
	struct thread_queue *queue = urgent.head ? &urgent : &others;
	struct thread *thread = queue->head;

	if (thread)
		queue->head = thread->next;
	return thread;
}

/* This one lets others run. */
static struct thread *first_turn(struct thread *thread)
{
	first_ready(thread);
	return first_pick();
}

static const struct sched urgent_first = { "urgent first", first_ready, first_pick, first_turn };

/* Read a file, or write it all anew. Returns how many bytes, or a negative error. */
static int64_t file(const char *path, unsigned flags, char *bytes, size_t count)
{
	struct vfs_file *file;
	int64_t done = vfs_open(NULL, path, flags, 0644, &file);

	if (done)
		return done;
	done = flags & VFS_WRITE ? vfs_write(file, bytes, count) : vfs_read(file, bytes, count);
	vfs_file_put(file);
	return done;
}

static uint64_t turns;			/* of the thread that is not urgent */

/* A request is a line: NAME=TEXT writes a file, NAME reads it, and ? asks for the turns. The answer takes its place. */
static size_t answer(char *line, size_t most)
{
	char path[32], *text = strchr(line, '=');
	int64_t done;

	line[strcspn(line, "\r\n")] = '\0';
	if (line[0] == '?')
		return core_format(line, most, "%lu turns\n", turns);
	if (text)
		*text++ = '\0';
	core_format(path, sizeof(path), "/%s", line);
	if (text)
		done = file(path, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, text, strlen(text));
	else
		done = file(path, VFS_READ, line, most - 1);
	if (done < 0 || text)
		return core_format(line, most, done < 0 ? "error %ld\n" : "%ld bytes\n", done < 0 ? -done : done);
	line[done] = '\n';
	return (size_t)done + 1;
}

static void serve(void *unused)
{
	struct netconn *listener = netconn_new(NETCONN_TCP), *client;
	struct netbuf *packet;
	char line[1024];

	(void)unused;
	if (!listener || netconn_bind(listener, IP_ADDR_ANY, 7) || netconn_listen(listener))
		core_fail("no port");
	core_line("@NAME@: ready\n");
	while (!netconn_accept(listener, &client)) {
		while (!netconn_recv(client, &packet)) {
			line[netbuf_copy(packet, line, sizeof(line) - 1)] = '\0';
			netbuf_delete(packet);
			netconn_write(client, line, answer(line, sizeof(line)), NETCONN_COPY);
		}
		netconn_delete(client);
	}
}

static void work(void *unused)
{
	(void)unused;
	for (;; turns++)
		thread_yield();
}

void core_main(void)
{
	static const struct fs_mount how;
	const char *wrong;
	int error;

	thread_schedule_by(&urgent_first);
	error = vfs_mount("/", &fs_memory, &how);
	if (error)
		core_fail("no files: error %d", -error);
	wrong = net_start();
	if (wrong)
		core_fail("no network: %s", wrong);
	thread_create("work", work, NULL);
	thread_join(thread_create("!serve", serve, NULL));
}
