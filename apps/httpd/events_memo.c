/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last few requests with their answers: clients ask for the same thing in the same words again and again.
 *
 * An answer without a large body depends on the request's head, the second in which it is made, and the files, which are looked at
 * once in a second (entry.h): so the same bytes within the same second have the same answer. A place is chosen by the words in front,
 * where methods and targets are; another request with the same ones takes it over.
 */
#include <string.h>

#include "apps/httpd/events.h"

#define MEMOS	8
#define FRONT	16		/* bytes of a head that choose its place; shorter ones are not remembered */

static struct memo memos[MEMOS];

static uint64_t word_at(const char *p)
{
	uint64_t word;

	memcpy(&word, p, 8);
	return word;
}

static struct memo *place_of(const char *head)
{
	return &memos[((word_at(head) ^ word_at(head + 8) * 31) * 0x9e3779b97f4a7c15) >> 61];
}

/* Are these bytes the same? There are at least eight. The last word may cover a part of the one before. */
static bool same_bytes(const char *a, const char *b, size_t bytes)
{
	size_t last = bytes - 8;

	for (size_t at = 0; at < last; at += 8)
		if (word_at(a + at) != word_at(b + at))
			return false;
	return word_at(a + last) == word_at(b + last);
}

const struct memo *memo_find(const char *data, size_t bytes, int64_t time)
{
	struct memo *m;

	if (bytes < FRONT)
		return NULL;
	m = place_of(data);
	if (m->time != time || !time || bytes < m->head_len || !same_bytes(data, m->head, m->head_len))
		return NULL;
	return m;
}

void memo_keep(const char *head, size_t head_len, int64_t time, const char *out, size_t out_len, bool keep)
{
	struct memo *m;

	if (head_len < FRONT || head_len > sizeof(m->head) || out_len > sizeof(m->out))
		return;
	m = place_of(head);
	m->time = time;
	m->keep = keep;
	m->head_len = head_len;
	memcpy(m->head, head, head_len);
	m->out_len = out_len;
	memcpy(m->out, out, out_len);
}
