/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the configuration, line by line. See conf.h for the language.
 *
 * Each line is cut off with a NUL in the caller's buffer, each key is looked up in a table that names the
 * function for its value, and each value function leaves the strings where they lie. What one line alone
 * cannot show is checked at the end (check_whole). Text for errors is put together without stdio, always cut
 * to the record.
 */
#include <string.h>

#include "apps/init/conf_parts.h"
#include "libos/core/nearest.h"

void conf_append(struct conf_error *e, const char *text, size_t len)
{
	size_t have = strlen(e->text), room = sizeof(e->text) - 1 - have;

	if (len > room)
		len = room;
	memcpy(e->text + have, text, len);
	e->text[have + len] = 0;
}

void conf_append_number(struct conf_error *e, unsigned n)
{
	char digits[10];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	conf_append(e, digits + i, sizeof(digits) - i);
}

int conf_fail(struct reader *r, const char *at, const char *a, const char *b, const char *c, const char *d)
{
	const char *pieces[] = { a, b, c, d };

	r->error->line = r->line;
	r->error->column = (unsigned)(at - r->line_start) + 1;
	r->error->text[0] = 0;
	for (size_t i = 0; i < 4 && pieces[i]; i++)
		conf_append(r->error, pieces[i], strlen(pieces[i]));
	return -1;
}

int conf_fail_value(struct reader *r, const char *value, const char *text)
{
	return conf_fail(r, value, "'", value, "' ", text);
}

int conf_fail_unknown(struct reader *r, const char *at, const char *what, const char *word,
			const char *const *known)
{
	conf_fail(r, at, what, word, "; the nearest known one is ", nearest(word, strlen(word), known));
	return -1;
}

int conf_fail_twice(struct reader *r, const char *at, const char *what, const char *name, unsigned first)
{
	conf_fail(r, at, what, name, first ? " stands twice (first in line " : " stands twice", NULL);
	if (first) {
		conf_append_number(r->error, first);
		conf_append(r->error, ")", 1);
	}
	return -1;
}

struct conf_program *conf_current(struct reader *r)
{
	return &r->c->program[r->c->count - 1];
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

int conf_is_name(const char *s)
{
	static const char more[] = "_.+-";
	size_t i;

	for (i = 0; s[i]; i++) {
		int plain = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'z') ||
			(s[i] >= 'A' && s[i] <= 'Z');

		if (!plain && !(strchr(more, s[i]) && (i || s[i] == '_')))
			return 0;
	}
	return i > 0 && i <= CONF_NAME_MAX;
}

static int start_program(struct reader *r, char *name)
{
	struct conf_program *p;

	if (!conf_is_name(name))
		return conf_fail(r, name, "[program NAME] needs one name of letters, digits, . _ + -", NULL, NULL,
			    NULL);
	for (unsigned i = 0; i < r->c->count; i++)
		if (!strcmp(r->c->program[i].name, name))
			return conf_fail_twice(r, name, "program ", name, r->c->program[i].line);
	if (r->c->count == CONF_PROGRAMS_MAX)
		return conf_fail(r, name, "too many programs", NULL, NULL, NULL);
	p = &r->c->program[r->c->count++];
	p->name = p->image = name;
	p->libos = "uni";
	p->args = "";
	p->files = "/";
	p->randomize = p->input = CONF_UNSAID;
	p->line = r->line;
	r->section = IN_PROGRAM;
	r->seen = 0;
	return 0;
}

static char *skip_blanks(char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

static void cut_blanks(char *start, char *end)
{
	while (end > start && is_blank(end[-1]))
		end--;
	*end = 0;
}

/* A line that begins with '['. */
static int read_section(struct reader *r, char *line)
{
	static const char *const known[] = { "machine", "program", NULL };
	char *end = line + strlen(line) - 1, *word = skip_blanks(line + 1), *rest;

	if (*end != ']')
		return conf_fail(r, line, "section without a closing ]; write [machine] or [program NAME]", NULL,
			    NULL, NULL);
	cut_blanks(word < end ? word : end, end);
	for (rest = word; *rest && !is_blank(*rest); rest++)
		;
	if (*rest) {
		*rest = 0;
		rest = skip_blanks(rest + 1);
	}
	if (!strcmp(word, "program"))
		return start_program(r, rest);
	if (strcmp(word, "machine"))
		return conf_fail_unknown(r, word, "unknown section ", word, known);
	if (*rest)
		return conf_fail(r, rest, "[machine] has no name", NULL, NULL, NULL);
	if (r->c->machine.line)
		return conf_fail_twice(r, word, "section [machine]", "", r->c->machine.line);
	r->c->machine.line = r->line;
	r->section = IN_MACHINE;
	r->seen = 0;
	return 0;
}

static int fail_unknown_key(struct reader *r, const char *at, const struct key *keys)
{
	const char *names[CONF_KEYS_MAX];
	size_t i;

	for (i = 0; keys[i].name; i++)
		names[i] = keys[i].name;
	names[i] = NULL;
	return conf_fail_unknown(r, at, "unknown key ", at, names);
}

static int read_key(struct reader *r, char *line)
{
	const struct key *keys = r->section == IN_MACHINE ? conf_machine_keys : conf_program_keys;
	char *equals = strchr(line, '='), *value;
	unsigned i;

	if (!equals)
		return conf_fail(r, line, "'", line, "' is not KEY = VALUE", NULL);
	cut_blanks(line, equals);
	value = skip_blanks(equals + 1);
	if (r->section == IN_NONE)
		return conf_fail(r, line, "a key before any section; write [machine] or [program NAME] first",
			    NULL, NULL, NULL);
	for (i = 0; keys[i].name && strcmp(keys[i].name, line); i++)
		;
	if (!keys[i].name)
		return fail_unknown_key(r, line, keys);
	if (!(keys[i].flags & KEY_MANY) && r->seen & 1ULL << i)
		return conf_fail_twice(r, line, "key ", line, 0);
	r->seen |= 1ULL << i;
	if (!*value && !(keys[i].flags & KEY_EMPTY))
		return conf_fail(r, value, "key ", line, " has no value", NULL);
	return keys[i].take(r, value);
}

/* End the line before its comment: a '#' at the start or after a blank, outside quotes. */
static void cut_comment(char *line)
{
	char quote = 0;

	for (char *p = line; *p; p++) {
		if (quote) {
			quote = *p == quote ? 0 : quote;
		} else if (*p == '"' || *p == '\'') {
			quote = *p;
		} else if (*p == '#' && (p == line || is_blank(p[-1]))) {
			*p = 0;
			return;
		}
	}
}

static int read_line(struct reader *r, char *line, size_t len)
{
	char *start;

	r->line++;
	r->line_start = line;
	if (len && line[len - 1] == '\r')
		line[--len] = 0;
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
			return conf_fail(r, line + i, "a control character: is this a text file?", NULL, NULL,
				    NULL);
	cut_comment(line);
	start = skip_blanks(line);
	cut_blanks(start, start + strlen(start));
	if (!*start)
		return 0;
	return *start == '[' ? read_section(r, start) : read_key(r, start);
}

/* Guarantees. Told at the program's section. */
static int check_shares(struct reader *r, unsigned number)
{
	const struct conf_program *p = &r->c->program[number];
	const char *here = r->line_start;

	if (p->memory && p->guarantee > p->memory)
		return conf_fail(r, here, "program ", p->name, " is guaranteed more than its memory", NULL);
	if (p->limit_slices && (p->guarantee_slices > p->limit_slices || p->slices > p->limit_slices))
		return conf_fail(r, here, "program ", p->name, " has more slices than its limit_slices", NULL);
	return 0;
}

/* The programs that one names are others, each once. Told at the last line that names any. */
static int check_others(struct reader *r, unsigned number, const char *key, const char *const *list, unsigned listed)
{
	const char *names[CONF_PROGRAMS_MAX], *here = r->line_start;
	unsigned count = 0;

	for (unsigned i = 0; i < r->c->count; i++)
		if (i != number)
			names[count++] = r->c->program[i].name;
	names[count] = NULL;
	for (unsigned i = 0; i < listed; i++) {
		unsigned j = 0;

		while (j < count && strcmp(names[j], list[i]))
			j++;
		if (j == count && !count)
			return conf_fail(r, here, key, ": there is no other program", NULL, NULL);
		if (j == count) {
			const char *close = nearest(list[i], strlen(list[i]), names);
			conf_fail(r, here, key, ": no other program is called ", list[i], "; the nearest known one is ");
			conf_append(r->error, close, strlen(close));
			return -1;
		}
		for (unsigned k = 0; k < i; k++)
			if (!strcmp(list[k], list[i]))
				return conf_fail(r, here, key, " = ", list[i], " stands twice");
	}
	return 0;
}

/* Whatever one calls, somebody serves. */
static int check_uses(struct reader *r, const struct conf_program *p)
{
	const char *names[CONF_PROGRAMS_MAX * CONF_SERVES_MAX + 1], *here = r->line_start;
	unsigned count = 0;

	for (unsigned i = 0; i < r->c->count; i++)
		for (unsigned j = 0; j < r->c->program[i].serve_count; j++)
			names[count++] = r->c->program[i].serve[j];
	names[count] = NULL;
	for (unsigned i = 0; i < p->use_count; i++) {
		unsigned j = 0;

		while (j < count && strcmp(names[j], p->use[i]))
			j++;
		if (j == count && !count)
			return conf_fail(r, here, "use: no program has a key serve", NULL, NULL, NULL);
		if (j == count) {
			const char *close = nearest(p->use[i], strlen(p->use[i]), names);
			conf_fail(r, here, "use: nobody serves ", p->use[i], "; the nearest known one is ", NULL);
			conf_append(r->error, close, strlen(close));
			return -1;
		}
	}
	return 0;
}

static int check_programs(struct reader *r, unsigned number)
{
	const struct conf_program *p = &r->c->program[number];

	if (check_shares(r, number))
		return -1;
	r->line = r->demand_line[number];
	if (check_others(r, number, "demand", p->demand, p->demand_count))
		return -1;
	r->line = r->observe_line[number];
	if (check_others(r, number, "observe", p->observe, p->observe_count))
		return -1;
	r->line = r->use_line[number];
	return check_uses(r, p) || conf_check_disks(r, number) ? -1 : 0;
}

/* One that has a network device to itself leaves nothing to others but the device when it ends, nor to flows below its own. */
static int check_device(struct reader *r, const struct conf_program *p)
{
	struct conf *c = r->c;

	if (p->net == CONF_NET_DEVICE && p->budget)
		return conf_fail(r, r->line_start, "program ", p->name, ": what has net = device has no budget", NULL);
	for (unsigned i = 0; p->net == CONF_NET_DEVICE && i < c->count; i++) {
		const struct conf_program *other = &c->program[i];

		if (other->claim_count || (other->net != CONF_NET_NONE && other->net != CONF_NET_DEVICE)) {
			r->line = other->line;
			return conf_fail(r, r->line_start, "program ", other->name,
				    " can have no packets: another has net = device", NULL);
		}
	}
	return 0;
}

/* What one line alone cannot show. Told at the program's section. */
static int check_whole(struct reader *r)
{
	struct conf *c = r->c;
	const char *here = r->line_start;

	if (!c->count) {
		r->line = r->line ? r->line : 1;
		return conf_fail(r, here, "there is no program; write [program NAME]", NULL, NULL, NULL);
	}
	for (unsigned i = 0; i < c->count; i++) {
		r->line = c->program[i].line;
		if (c->program[i].port_count && c->program[i].net == CONF_NET_NONE)
			return conf_fail(r, here, "program ", c->program[i].name,
				    " has a port, so it needs net = own or net = share", NULL);
		if (check_programs(r, i) || check_device(r, &c->program[i]))
			return -1;
		if (c->program[i].randomize == CONF_UNSAID)
			c->program[i].randomize = !c->machine.fixed;
		if (c->program[i].input == CONF_UNSAID)
			c->program[i].input = i == c->main;
	}
	return 0;
}

int conf_read(struct conf *c, const char *text, size_t len, char *buffer, size_t buffer_bytes,
	      struct conf_error *error)
{
	struct reader r = { .c = c, .error = error, .line_start = buffer, .section = IN_NONE };
	size_t at = 0;

	memset(c, 0, sizeof(*c));
	memset(error, 0, sizeof(*error));
	if (len >= buffer_bytes) {
		r.line = 1;
		return conf_fail(&r, buffer, "the configuration is too long", NULL, NULL, NULL);
	}
	memcpy(buffer, text, len);
	buffer[len] = 0;
	while (at < len) {
		char *end = memchr(buffer + at, '\n', len - at);
		size_t line_len = end ? (size_t)(end - buffer) - at : len - at;

		buffer[at + line_len] = 0;
		if (read_line(&r, buffer + at, line_len))
			return -1;
		at += line_len + 1;
	}
	r.line_start = buffer;
	return check_whole(&r);
}

/* One word from *p; written to *out if that is not NULL. Returns the place of an unclosed quote, or NULL. */
static const char *split_word(const char **p, char **out)
{
	const char *s = *p, *opened = NULL;
	char quote = 0;

	for (; *s && (quote || !is_blank(*s)); s++) {
		char c = *s;

		if (quote ? c == quote : c == '"' || c == '\'') {
			quote = quote ? 0 : c;
			opened = s;
			continue;
		}
		if (c == '\\' && quote != '\'' && s[1] && (!quote || s[1] == '"' || s[1] == '\\'))
			c = *++s;
		if (*out)
			*(*out)++ = c;
	}
	*p = s;
	return quote ? opened : NULL;
}

int conf_split(char *args, char **argv, unsigned max, unsigned *column)
{
	const char *p = args, *wrong;
	char *out = argv ? args : NULL;
	unsigned count = 0;

	for (;;) {
		while (is_blank(*p))
			p++;
		if (!*p)
			return (int)count;
		if (column)
			*column = (unsigned)(p - args);
		if (count == max)
			return -2;
		if (argv)
			argv[count] = out;
		wrong = split_word(&p, &out);
		if (wrong) {
			if (column)
				*column = (unsigned)(wrong - args);
			return -1;
		}
		count++;
		/* The NUL may fall on the blank that the word stopped at, so step over that first. */
		if (out) {
			int last = !*p;

			p += !last;
			*out++ = 0;
			if (last)
				return (int)count;
		}
	}
}
