/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What asks a file system, done beside the loop (conn_beside), so that no other client waits for a disk: an answer that is not in
 * memory, whether a file that is in memory is still as it was, and bringing in the next piece of a file that is mapped. The client is
 * paused meanwhile; who goes leaves the answer to nobody, and it is dropped.
 *
 * At most JOBS_MAX answers are made at a time; further clients stand in line, their requests unread.
 */
#include <stdlib.h>
#include <string.h>

#include "apps/httpd/entry.h"
#include "apps/httpd/events.h"

#define JOBS_MAX	32
#define WORKS_KEPT	4
#define PIECE		131072		/* of a mapped file: as much as TCP has on its way */
#define PAGE		4096

struct job {
	struct conn_work work;
	struct client *client;		/* NULL: it has gone */
	struct work *w;			/* an answer; NULL: a piece of a file */
	const volatile char *at;
	size_t bytes;
	struct entry *entry;		/* in which that lies, held */
	size_t len;
	char head[];
};

static struct work *works[WORKS_KEPT];
static unsigned works_kept, jobs;
static struct client *line, **line_end = &line;

static struct work *get_work(void)
{
	return works_kept ? works[--works_kept] : work_new(HTTPD_REPLY_ROOM);
}

/* The first in line asks anew. It may find its answer in memory now, and then its place calls nobody. */
static void call_next(void)
{
	struct client *c = line;

	line = c->behind;
	if (!line)
		line_end = &line;
	c->in_line = false;
	if (!c->rest && !c->body.data && c->state == CLIENT_SENDING)
		client_go_on(c);
}

/* Done with, and the next may come; if nobody is left who would call others later, all of them. */
static void job_end(struct job *job)
{
	if (job->w) {
		body_done(&job->w->body);
		job->w->out_len = 0;
		if (works_kept < WORKS_KEPT)
			works[works_kept++] = job->w;
		else
			free(job->w);
		jobs--;
	}
	if (job->entry)
		entry_put(job->entry);
	free(job);
	if (line && jobs < JOBS_MAX)
		call_next();
	while (line && !jobs)
		call_next();
}

/* --- beside the loop --- */

static void make(struct conn_work *work)
{
	struct job *job = (struct job *)work;
	struct http_request r;

	http_parse(&r, job->head, job->len);
	answer(job->w, &r);
}

static void touch(struct conn_work *work)
{
	const struct job *job = (struct job *)work;

	for (size_t at = 0; at < job->bytes; at += PAGE)
		(void)job->at[at];
	(void)job->at[job->bytes - 1];
}

/* --- and back --- */

bool beside_send(struct client *c)
{
	struct job *job = c->made;
	bool sent;

	c->made = NULL;
	if (!job->w->body.data)
		memo_keep(job->head, job->len, job->w->time, job->w->out, job->w->out_len, job->w->keep);
	sent = client_send_made(c, job->w);
	job_end(job);
	return sent;
}

static void made(struct conn_work *work)
{
	struct job *job = (struct job *)work;
	struct client *c = job->client;

	if (c)
		c->job = NULL;
	if (!c || c->state != CLIENT_SENDING) {
		job_end(job);
		return;
	}
	c->made = job;
	if (!c->rest && !c->body.data && beside_send(c))
		client_go_on(c);
}

static void touched(struct conn_work *work)
{
	struct job *job = (struct job *)work;
	struct client *c = job->client;

	if (c) {
		c->job = NULL;
		c->touched += job->bytes;
	}
	job_end(job);
	if (c && c->state == CLIENT_SENDING && client_send_rest(c))
		client_go_on(c);
}

/* --- what the loop asks for --- */

bool beside_answer(struct client *c, const char *head, size_t len, int64_t time, bool keep, bool must)
{
	struct job *job = must || jobs < JOBS_MAX ? malloc(sizeof(*job) + len) : NULL;
	struct work *w = job ? get_work() : NULL;

	if (!w) {
		free(job);
		return false;
	}
	w->time = time;
	w->keep = keep;
	*job = (struct job){ .work = { .work = make, .done = made }, .client = c, .w = w, .len = len };
	memcpy(job->head, head, len);
	c->job = job;
	jobs++;
	conn_beside(&job->work);
	return true;
}

bool beside_wait(struct client *c)
{
	if (!jobs)
		return false;
	c->in_line = true;
	c->behind = NULL;
	*line_end = c;
	line_end = &c->behind;
	return true;
}

bool beside_touch(struct client *c)
{
	uint64_t left = c->body.bytes - c->touched;
	struct job *job = malloc(sizeof(*job));

	if (!job)
		return false;
	*job = (struct job){ .work = { .work = touch, .done = touched }, .client = c, .entry = c->body.entry,
		.at = c->body.data + c->touched, .bytes = left < PIECE ? (size_t)left : PIECE };
	job->entry->holds++;
	c->job = job;
	conn_beside(&job->work);
	return true;
}

void beside_drop(struct client *c)
{
	struct client **at = &line;

	if (c->job)
		c->job->client = NULL;
	c->job = NULL;
	if (c->in_line) {
		while (*at != c)
			at = &(*at)->behind;
		*at = c->behind;
		if (line_end == &c->behind)
			line_end = at;
		c->in_line = false;
	}
	if (c->made)
		job_end(c->made);
	c->made = NULL;
}
