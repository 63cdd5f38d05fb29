/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Catalogues of messages (POSIX.1-2017), as gencat of a GNU system writes them: a header, a hash table of sets and
 * numbers for each order of bytes, and the texts. The file is read whole; a descriptor that catopen did not return, or
 * that was closed, is found out by the list of those that are open.
 */
#include <errno.h>
#include <fcntl.h>
#include <nl_types.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC	0x960408deU
#define LARGEST	(1 << 26)

struct __exo_catalogue {
	struct __exo_catalogue *next;
	size_t texts;		/* bytes of texts, the last of which is a zero */
	uint32_t magic, width, depth;
	uint32_t entries[];	/* width * depth times set + 1, number, offset; again, swapped; the texts */
};

static struct __exo_catalogue *open_ones;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define FILE_OFFSET	offsetof(struct __exo_catalogue, magic)

static const char *texts(const struct __exo_catalogue *c)
{
	return (const char *)&c->entries[(size_t)c->width * c->depth * 6];
}

/* Whether what was read is a catalogue. */
static bool check(struct __exo_catalogue *c, size_t bytes)
{
	size_t cells, head;

	if (bytes < 12 || c->magic != MAGIC || !c->width || !c->depth || c->width > LARGEST / c->depth)
		return false;
	cells = (size_t)c->width * c->depth;
	head = 12 + cells * 24;
	if (head >= bytes)
		return false;
	c->texts = bytes - head;
	return !texts(c)[c->texts - 1];
}

static struct __exo_catalogue *load(const char *path)
{
	struct __exo_catalogue *c = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	struct stat st;
	ssize_t count;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= LARGEST)
		c = malloc(FILE_OFFSET + (size_t)st.st_size);
	while (c && have < (size_t)st.st_size &&
	    (count = read(fd, (char *)&c->magic + have, (size_t)st.st_size - have)) > 0)
		have += (size_t)count;
	close(fd);
	if (c && !check(c, have)) {
		free(c);
		c = NULL;
	}
	if (!c)
		errno = ENOENT;
	return c;
}

/* --- where it lies --------------------------------------------------------------------------------------------- */

/* One template of NLSPATH, up to a colon; false: the path is too long. */
static bool substitute(char *out, const char *at, const char *end, const char *name, const char *language)
{
	size_t count = 0;

	for (; at < end; at++) {
		const char *part = at;
		size_t bytes = 1, to_dot = strcspn(language, ".@");

		if (*at == '%' && at + 1 < end) {
			at++;
			part = *at == 'N' ? name : *at == 'L' || *at == 'l' ? language : *at == '%' ? "%" : "";
			bytes = *at == 'l' ? strcspn(language, "_.@") : strlen(part);
			if (*at == 't' && language[strcspn(language, "_")]) {
				part = strchr(language, '_') + 1;
				bytes = strcspn(part, ".@");
			} else if (*at == 'c' && language[to_dot] == '.') {
				part = language + to_dot + 1;
				bytes = strcspn(part, "@");
			}
		}
		if (count + bytes >= PATH_MAX)
			return false;
		memcpy(out + count, part, bytes);
		count += bytes;
	}
	if (!count || out[count - 1] == '/')
		count += (size_t)snprintf(out + count, PATH_MAX - count, "%s", name);
	out[count < PATH_MAX ? count : 0] = '\0';
	return count < PATH_MAX;
}

static const char *language_of(int flag)
{
	const char *language = flag == NL_CAT_LOCALE ? setlocale(LC_MESSAGES, NULL) : getenv("LANG");

	return language && *language ? language : "C";
}

static struct __exo_catalogue *search(const char *name, int flag)
{
	const char *at = getenv("NLSPATH"), *end;
	struct __exo_catalogue *c = NULL;
	char *path;

	if (!at || !*at)
		at = "/usr/share/locale/%L/%N.cat:/usr/share/locale/%L/LC_MESSAGES/%N.cat:";
	path = malloc(PATH_MAX);
	for (; path && !c; at = end + 1) {
		end = at + strcspn(at, ":");
		if (substitute(path, at, end, name, language_of(flag)))
			c = load(path);
		if (!*end)
			break;
	}
	free(path);
	return c;
}

nl_catd catopen(const char *name, int flag)
{
	struct __exo_catalogue *c = strchr(name, '/') ? load(name) : search(name, flag);

	if (!c)
		return (nl_catd)-1;
	pthread_mutex_lock(&lock);
	c->next = open_ones;
	open_ones = c;
	pthread_mutex_unlock(&lock);
	return c;
}

/* The link that leads to it; NULL: it is not open. The lock is held. */
static struct __exo_catalogue **find(nl_catd wanted)
{
	struct __exo_catalogue **link = &open_ones;

	while (*link && *link != wanted)
		link = &(*link)->next;
	return *link ? link : NULL;
}

static const char *look_up(const struct __exo_catalogue *c, uint32_t set, uint32_t number)
{
	size_t at = (size_t)(uint32_t)(set * number) % c->width;

	for (uint32_t i = 0; i < c->depth; i++, at += c->width) {
		const uint32_t *entry = &c->entries[at * 3];

		if (entry[0] == set && entry[1] == number)
			return entry[2] < c->texts ? texts(c) + entry[2] : NULL;
	}
	return NULL;
}

char *catgets(nl_catd c, int set, int number, const char *otherwise)
{
	const char *found = NULL;
	bool is_open;

	pthread_mutex_lock(&lock);
	is_open = find(c) != NULL;
	pthread_mutex_unlock(&lock);
	if (is_open && set >= 0 && set < INT_MAX && number >= 0)
		found = look_up(c, (uint32_t)set + 1, (uint32_t)number);
	if (!found)
		errno = is_open ? ENOMSG : EBADF;
	return (char *)(found ? found : otherwise);
}

int catclose(nl_catd c)
{
	struct __exo_catalogue **link;

	pthread_mutex_lock(&lock);
	link = find(c);
	if (link)
		*link = c->next;
	pthread_mutex_unlock(&lock);
	if (!link) {
		errno = EBADF;
		return -1;
	}
	free(c);
	return 0;
}
