/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tar archives in memory: headers and extended records, in the order of the archive.
 *
 * Every length that the archive states is compared with what is left of it before it is used; sums are made
 * only of values already known to be inside, so none can wrap. Numbers are refused rather than clipped.
 *
 * Formats: POSIX.1-1988 ustar and POSIX.1-2001 pax (IEEE 1003.1, "pax"), and the GNU tar manual, "Basic Tar
 * Format". Differences: global pax records are skipped; members whose body GNU sparse records describe are
 * refused.
 */
#include <string.h>

#include "libos/fs/tar_read.h"

#define BLOCK	512

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, linkname[100];
	char magic[6], version[2], uname[32], gname[32], major[8], minor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "a tar header is one block");

/* What records before a header say about it. */
struct pending {
	struct tar_name path, link;
	uint64_t size;
	int64_t mtime;
	int has_path, has_link, has_size, has_mtime;
};

static const char *const texts[] = {
	[TAR_OK] = "no error",
	[TAR_TRUNCATED] = "the archive ends too early: a header, a member or the end mark is missing",
	[TAR_CHECKSUM] = "wrong header checksum: not a tar archive, or damaged",
	[TAR_NUMBER] = "a number in the header is malformed or out of range",
	[TAR_NAME] = "a name is empty, too long, or has a \"..\" component",
	[TAR_CONFLICT] = "a name is used both for a directory and for something else",
	[TAR_UNSUPPORTED] = "sparse and multi-volume members are not supported",
	[TAR_RECORD] = "malformed extended header record",
	[TAR_HARDLINK] = "a hard link's target is not an earlier file of the archive",
	[TAR_MEMORY] = "too little memory for the index",
	[TAR_NOENT] = "no such file or directory",
	[TAR_NOTDIR] = "not a directory",
	[TAR_LOOP] = "too many symbolic links",
};

enum tar_status tar_fail(struct tar_reader *r, enum tar_status status, size_t offset)
{
	r->error->status = status;
	r->error->offset = offset;
	r->error->text = texts[status];
	return status;
}

struct tar_reader tar_reader(const void *base, size_t size, struct tar_error *error)
{
	struct tar_reader r = { .base = base, .size = size, .error = error };

	tar_fail(&r, TAR_OK, 0);
	return r;
}

struct tar_walk tar_walk(const struct tar_name *name)
{
	return (struct tar_walk){ .rest = *name };
}

int tar_walk_next(struct tar_walk *w)
{
	struct tar_name *rest = &w->rest;

	for (;;) {
		const char *slash;

		while (rest->len[0] && rest->piece[0][0] == '/') {
			rest->piece[0]++;
			rest->len[0]--;
		}
		if (!rest->len[0]) {
			if (!rest->len[1])
				return 0;
			rest->piece[0] = rest->piece[1];
			rest->len[0] = rest->len[1];
			rest->len[1] = 0;
			continue;
		}
		slash = memchr(rest->piece[0], '/', rest->len[0]);
		w->component = rest->piece[0];
		w->len = slash ? (size_t)(slash - rest->piece[0]) : rest->len[0];
		rest->piece[0] += w->len;
		rest->len[0] -= w->len;
		if (w->len != 1 || w->component[0] != '.')
			return 1;
	}
}

/* Length of a field that a NUL ends unless it is full. */
static size_t field_len(const char *field, size_t max)
{
	const char *end = memchr(field, 0, max);

	return end ? (size_t)(end - field) : max;
}

/* A header's sum counts its checksum field as blanks. Bytes are added eight at a time, in 16-bit lanes. */
static unsigned header_sum(const struct header *h)
{
	const uint64_t even = 0x00ff00ff00ff00ff;
	uint64_t lanes = 0;
	unsigned sum = 0;

	for (size_t i = 0; i < BLOCK; i += 8) {
		uint64_t word;

		memcpy(&word, (const char *)h + i, 8);
		lanes += (word & even) + (word >> 8 & even);
	}
	for (; lanes; lanes >>= 16)
		sum += lanes & 0xffff;
	for (size_t i = 0; i < sizeof(h->checksum); i++)
		sum += ' ' - (uint8_t)h->checksum[i];
	return sum;
}

/* GNU's big-endian two's complement numbers: the first byte is 0x80 or 0xff. */
static int number_binary(const unsigned char *p, size_t len, int64_t *value)
{
	uint64_t v = p[0] == 0xff ? UINT64_MAX : 0;

	if (p[0] != 0x80 && p[0] != 0xff)
		return 0;
	for (size_t i = 1; i < len; i++) {
		uint64_t top = v >> 55;

		if (top != 0 && top != 0x1ff)
			return 0;
		v = v << 8 | p[i];
	}
	if ((p[0] == 0xff) != (v >> 63))
		return 0;
	*value = (int64_t)v;
	return 1;
}

/*
 * Octal with leading blanks, ended by a blank, a NUL or the field's end; an empty field is 0. At most 36
 * bits.
 */
static int number(const char *field, size_t len, int64_t *value)
{
	size_t i = 0;
	uint64_t v = 0;

	if (field[0] & 0x80)
		return number_binary((const unsigned char *)field, len, value);
	while (i < len && field[i] == ' ')
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		v = v << 3 | (uint64_t)(field[i] - '0');
	if (i < len && field[i] != ' ' && field[i] != 0)
		return 0;
	*value = (int64_t)v;
	return 1;
}

/* Decimal; *p stops behind the digits. No digit, or a value above 2^63 - 1, is an error. */
static int decimal(const char **p, const char *end, uint64_t *value)
{
	const char *start = *p;
	uint64_t v = 0;

	for (; *p < end && **p >= '0' && **p <= '9'; ++*p) {
		uint64_t digit = (uint64_t)(**p - '0');

		if (v > (INT64_MAX - digit) / 10)
			return 0;
		v = v * 10 + digit;
	}
	*value = v;
	return *p > start;
}

/* Of a pax time only the whole seconds count, rounded down. */
static int pax_time(const char *p, const char *end, int64_t *value)
{
	int negative = p < end && *p == '-';
	uint64_t seconds;
	int fraction = 0;

	p += negative;
	if (!decimal(&p, end, &seconds))
		return 0;
	if (p < end && *p++ != '.')
		return 0;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return 0;
		fraction |= *p != '0';
	}
	*value = negative ? -(int64_t)seconds - (fraction && seconds < INT64_MAX) : (int64_t)seconds;
	return 1;
}

static int key_is(const char *key, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(key, word, len);
}

static enum tar_status pax_value(struct pending *p, const char *key, size_t key_len, const char *value,
				 size_t len)
{
	const char *at = value;

	if (key_len >= 11 && !memcmp(key, "GNU.sparse.", 11))
		return TAR_UNSUPPORTED;
	if (!len)	/* an empty value takes a global record back; those are not kept */
		return TAR_OK;
	if (key_is(key, key_len, "path")) {
		p->path = (struct tar_name){ { value, "" }, { len, 0 } };
		p->has_path = 1;
		return memchr(value, 0, len) ? TAR_NAME : TAR_OK;
	}
	if (key_is(key, key_len, "linkpath")) {
		p->link = (struct tar_name){ { value, "" }, { len, 0 } };
		p->has_link = 1;
		return memchr(value, 0, len) ? TAR_NAME : TAR_OK;
	}
	if (key_is(key, key_len, "size")) {
		p->has_size = 1;
		return decimal(&at, value + len, &p->size) && at == value + len ? TAR_OK : TAR_NUMBER;
	}
	if (key_is(key, key_len, "mtime")) {
		p->has_mtime = 1;
		return pax_time(value, value + len, &p->mtime) ? TAR_OK : TAR_NUMBER;
	}
	return TAR_OK;
}

/* Records are "LENGTH KEY=VALUE\n", LENGTH counting the whole record. */
static enum tar_status pax_records(struct pending *p, const char *at, size_t left)
{
	while (left) {
		const char *key = at, *equals;
		uint64_t len;
		enum tar_status status;

		if (!decimal(&key, at + left, &len) || len > left || key == at + left || *key != ' ')
			return TAR_RECORD;
		key++;
		if (at + len <= key || at[len - 1] != '\n')
			return TAR_RECORD;
		equals = memchr(key, '=', (size_t)(at + len - 1 - key));
		if (!equals)
			return TAR_RECORD;
		status = pax_value(p, key, (size_t)(equals - key), equals + 1,
				   (size_t)(at + len - 1 - (equals + 1)));
		if (status)
			return status;
		at += len;
		left -= len;
	}
	return TAR_OK;
}

/* Take in an 'x', 'L' or 'K' record; other types change nothing. */
static enum tar_status record(struct pending *p, char type, const char *data, size_t size)
{
	struct tar_name name = { { data, "" }, { field_len(data, size), 0 } };

	switch (type) {
	case 'x':
	case 'X':
		return pax_records(p, data, size);
	case 'L':
		p->path = name;
		p->has_path = 1;
		return name.len[0] ? TAR_OK : TAR_NAME;
	case 'K':
		p->link = name;
		p->has_link = 1;
		return name.len[0] ? TAR_OK : TAR_NAME;
	}
	return TAR_OK;
}

static enum tar_status check_name(const struct tar_name *name)
{
	struct tar_walk w = tar_walk(name);

	if (name->len[0] > TAR_PATH_MAX || name->len[1] > TAR_PATH_MAX)
		return TAR_NAME;
	while (tar_walk_next(&w))
		if (w.len > TAR_COMPONENT_MAX ||
		    (w.len == 2 && w.component[0] == '.' && w.component[1] == '.'))
			return TAR_NAME;
	return TAR_OK;
}

static int is_root(const struct tar_name *name)
{
	struct tar_walk w = tar_walk(name);

	return !tar_walk_next(&w);
}

static int ends_with_slash(const struct tar_name *name)
{
	int last = name->len[1] ? 1 : 0;

	return name->len[last] && name->piece[last][name->len[last] - 1] == '/';
}

/* Names, time and mode of a member from its header, where no record has said otherwise. */
static enum tar_status describe(struct tar_member *m, const struct header *h, const struct pending *p)
{
	size_t prefix = memcmp(h->magic, "ustar", 6) ? 0 : field_len(h->prefix, sizeof(h->prefix));
	size_t name = field_len(h->name, sizeof(h->name));
	int64_t mode;

	m->path = (struct tar_name){ { h->name, "" }, { name, 0 } };
	if (prefix)
		m->path = (struct tar_name){ { h->prefix, h->name }, { prefix, name } };
	m->link =
		(struct tar_name){ { h->linkname, "" }, { field_len(h->linkname, sizeof(h->linkname)), 0 } };
	if (p->has_path)
		m->path = p->path;
	if (p->has_link)
		m->link = p->link;
	if (!number(h->mode, sizeof(h->mode), &mode) || !number(h->mtime, sizeof(h->mtime), &m->mtime))
		return TAR_NUMBER;
	m->mode = (uint16_t)(mode & 07777);
	if (p->has_mtime)
		m->mtime = p->mtime;
	return check_name(&m->path);
}

/* Fill *m. Returns -1 for a member that is left out, otherwise a status. */
static int classify(struct tar_member *m, const struct header *h, const struct pending *p)
{
	enum tar_status status = describe(m, h, p);

	if (status)
		return status;
	switch (h->type) {
	case '1':
		m->what = TAR_MEMBER_HARDLINK;
		status = check_name(&m->link);
		break;
	case '2':
		m->what = TAR_MEMBER_SYMLINK;
		break;
	case '3': case '4': case '6': case 'V':
		return -1;
	case '5': case 'D':
		m->what = TAR_MEMBER_DIRECTORY;
		break;
	case 'S': case 'M':
		return TAR_UNSUPPORTED;
	default:	/* '0', NUL, '7', and by POSIX everything unknown */
		m->what = ends_with_slash(&m->path) ? TAR_MEMBER_DIRECTORY : TAR_MEMBER_FILE;
	}
	if (m->what != TAR_MEMBER_DIRECTORY && is_root(&m->path))
		status = TAR_NAME;
	return status;
}

static int has_body(char type)
{
	return type < '1' || type > '6';
}

/* Check the header at r->at. Returns 1, or 0 at the end mark or on error. */
static int next_header(struct tar_reader *r, const struct header **header)
{
	static const char zero[BLOCK];
	const struct header *h = (const void *)(r->base + r->at);
	int64_t sum;

	if (r->size - r->at < BLOCK)
		return tar_fail(r, TAR_TRUNCATED, r->at), 0;
	if (!h->name[0] && !memcmp(h, zero, BLOCK)) {
		r->at += BLOCK;
		if (r->size - r->at >= BLOCK && !memcmp(r->base + r->at, zero, BLOCK))
			r->at += BLOCK;
		return 0;
	}
	if (!number(h->checksum, sizeof(h->checksum), &sum) || sum != header_sum(h))
		return tar_fail(r, TAR_CHECKSUM, r->at), 0;
	*header = h;
	return 1;
}

/* Step over header and body. The body's place and size go to *m. */
static int take_body(struct tar_reader *r, struct tar_member *m, const struct header *h,
		     const struct pending *p)
{
	size_t left, blocks;
	int64_t size;

	if (!number(h->size, sizeof(h->size), &size) || size < 0)
		return tar_fail(r, TAR_NUMBER, r->at), 0;
	m->size = p->has_size ? p->size : (uint64_t)size;
	if (!has_body(h->type))
		m->size = 0;
	m->offset = r->at;
	r->at += BLOCK;
	left = r->size - r->at;
	if (m->size > left)
		return tar_fail(r, TAR_TRUNCATED, m->offset), 0;
	blocks = (size_t)m->size / BLOCK + (m->size % BLOCK != 0);
	if (blocks > left / BLOCK)
		return tar_fail(r, TAR_TRUNCATED, m->offset), 0;
	m->data = r->base + r->at;
	r->at += blocks * BLOCK;
	return 1;
}

static int is_record(char type)
{
	return type == 'x' || type == 'X' || type == 'g' || type == 'L' || type == 'K';
}

int tar_read(struct tar_reader *r, struct tar_member *m)
{
	struct pending none = { .has_path = 0 }, p = none;
	const struct header *h;

	while (next_header(r, &h)) {
		int status;

		if (!take_body(r, m, h, is_record(h->type) ? &none : &p))
			return 0;
		if (is_record(h->type)) {
			status = record(&p, h->type, m->data, (size_t)m->size);
		} else {
			status = classify(m, h, &p);
			if (!status)
				return 1;
			p = none;
		}
		if (status > 0)
			return tar_fail(r, (enum tar_status)status, m->offset), 0;
	}
	return 0;
}
