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

#include "apps/init/conf.h"
#include "libos/core/nearest.h"

struct reader {
	struct conf *c;
	struct conf_error *error;
	char *line_start;
	unsigned line;
	enum { IN_NONE, IN_MACHINE, IN_PROGRAM } section;
	uint32_t seen;			/* keys of this section that have stood, by number in their table */
	unsigned marked_line, own_line;	/* where "main = yes" and "net = own" stand; 0: nowhere */
};

/*
 * A key: its name, whether it may be repeated, and how to take its value. All return 0 or -1 with the error
 * told.
 */
struct key {
	const char *name;
	int many;
	int (*take)(struct reader *r, char *value);
};

static void append(struct conf_error *e, const char *text, size_t len)
{
	size_t have = strlen(e->text), room = sizeof(e->text) - 1 - have;

	if (len > room)
		len = room;
	memcpy(e->text + have, text, len);
	e->text[have + len] = 0;
}

static void append_number(struct conf_error *e, unsigned n)
{
	char digits[10];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	append(e, digits + i, sizeof(digits) - i);
}

/* Tell an error at a place in the current line, in up to four pieces (NULL ends them). Returns -1. */
static int fail(struct reader *r, const char *at, const char *a, const char *b, const char *c, const char *d)
{
	const char *pieces[] = { a, b, c, d };

	r->error->line = r->line;
	r->error->column = (unsigned)(at - r->line_start) + 1;
	r->error->text[0] = 0;
	for (size_t i = 0; i < 4 && pieces[i]; i++)
		append(r->error, pieces[i], strlen(pieces[i]));
	return -1;
}

/* The value, in quotes, and what is wrong with it. */
static int fail_value(struct reader *r, const char *value, const char *text)
{
	return fail(r, value, "'", value, "' ", text);
}

static int fail_unknown(struct reader *r, const char *at, const char *what, const char *word,
			const char *const *known)
{
	fail(r, at, what, word, "; the nearest known one is ", nearest(word, strlen(word), known));
	return -1;
}

static int fail_twice(struct reader *r, const char *at, const char *what, const char *name, unsigned first)
{
	fail(r, at, what, name, first ? " stands twice (first in line " : " stands twice", NULL);
	if (first) {
		append_number(r->error, first);
		append(r->error, ")", 1);
	}
	return -1;
}

static struct conf_program *current(struct reader *r)
{
	return &r->c->program[r->c->count - 1];
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits at *p, at most max. Returns 0 without a digit or above max. */
static int number(const char **p, uint64_t max, uint64_t *value)
{
	const char *start = *p;
	uint64_t v = 0;

	for (; is_digit(**p); ++*p) {
		uint64_t digit = (uint64_t)(**p - '0');

		if (digit > max || v > (max - digit) / 10)
			return 0;
		v = v * 10 + digit;
	}
	*value = v;
	return *p > start;
}

/* Bytes: a number with B, K, M or G, also written KB or KiB; without a unit it counts in MiB. */
static int take_size(struct reader *r, char *value, uint64_t *bytes)
{
	static const char units[] = "bBkKmMgG";
	static const unsigned char shifts[] = { 0, 0, 10, 10, 20, 20, 30, 30 };
	const char *p = value, *unit;
	unsigned shift = 20;

	if (!number(&p, UINT64_MAX >> 30, bytes))
		return fail_value(r, value, "is not a size; write for example 64M, 1G or 5000K");
	unit = *p ? strchr(units, *p) : NULL;
	if (unit) {
		shift = shifts[unit - units];
		p++;
		if (shift && *p == 'i')
			p++;
		if (shift && (*p == 'b' || *p == 'B'))
			p++;
	}
	if (*p || !*bytes)
		return fail_value(r, value, "is not a size; write for example 64M, 1G or 5000K");
	*bytes <<= shift;
	return 0;
}

static int take_count(struct reader *r, char *value, unsigned max, unsigned *count)
{
	const char *p = value;
	uint64_t v;

	if (!number(&p, max, &v) || *p || !v) {
		fail_value(r, value, "is not a whole number from 1 to ");
		append_number(r->error, max);
		return -1;
	}
	*count = (unsigned)v;
	return 0;
}

/* One of a NULL-terminated list of words, as its number; -1 with the error told. */
static int take_word(struct reader *r, char *value, const char *what, const char *const *known)
{
	for (int i = 0; known[i]; i++)
		if (!strcmp(value, known[i]))
			return i;
	return fail_unknown(r, value, what, value, known);
}

static int take_port_number(struct reader *r, const char *value, const char *at, unsigned low, uint16_t *port)
{
	uint64_t v;

	if (!number(&at, 65535, &v) || *at || v < low)
		return fail_value(r, value, "does not end with a port from 1 to 65535");
	*port = (uint16_t)v;
	return 0;
}

static int machine_memory(struct reader *r, char *value)
{
	return take_size(r, value, &r->c->machine.memory);
}

static int machine_cpus(struct reader *r, char *value)
{
	return take_count(r, value, CONF_CPUS_MAX, &r->c->machine.cpus);
}

static int machine_machine(struct reader *r, char *value)
{
	static const char *const known[] = { "microvm", "q35", "pc", NULL };

	r->c->machine.machine = value;
	return take_word(r, value, "unknown machine ", known) < 0 ? -1 : 0;
}

static int machine_cpu(struct reader *r, char *value)
{
	r->c->machine.cpu = value;
	return 0;
}

/* [ADDRESS:]HOST:GUEST[/tcp|/udp]. The address is left to the runner. */
static int machine_publish(struct reader *r, char *value)
{
	static const char *const protocols[] = { "tcp", "udp", NULL };
	struct conf_machine *m = &r->c->machine;
	struct conf_publish *p = &m->publish[m->publish_count];
	char *slash = strchr(value, '/'), *guest, *host;
	int udp = 0;

	if (m->publish_count == CONF_PUBLISH_MAX)
		return fail(r, value, "too many published ports", NULL, NULL, NULL);
	if (slash) {
		*slash = 0;
		udp = take_word(r, slash + 1, "unknown protocol ", protocols);
		if (udp < 0)
			return -1;
	}
	guest = strrchr(value, ':');
	if (!guest || guest == value)
		return fail_value(r, value, "is not [ADDRESS:]HOST:GUEST; write for example 8080:80");
	if (take_port_number(r, value, guest + 1, 1, &p->guest))
		return -1;
	*guest = 0;
	host = strrchr(value, ':');
	if (take_port_number(r, value, host ? host + 1 : value, 0, &p->host))
		return -1;
	if (host)
		*host = 0;
	p->address = host ? value : NULL;
	p->udp = (uint8_t)udp;
	m->publish_count++;
	return 0;
}

/* A time span: 30, 0.5, 2m, 1h; kept in milliseconds, rounded up. */
static int machine_timeout(struct reader *r, char *value)
{
	const char *p = value;
	uint64_t whole, micro = 0, unit = 1;

	if (!number(&p, 999999999, &whole))
		return fail_value(r, value, "is not a time span; write seconds (30, 0.5), or 2m, 1h");
	if (*p == '.' && is_digit(p[1]))
		for (uint64_t place = 100000; is_digit(*++p); place /= 10)
			micro += place * (uint64_t)(*p - '0');
	if (*p == 's' || *p == 'm' || *p == 'h')
		unit = *p == 's' ? 1 : *p == 'm' ? 60 : 3600, p++;
	if (*p || !(whole | micro))
		return fail_value(r, value, "is not a time span; write seconds (30, 0.5), or 2m, 1h");
	r->c->machine.timeout_ms = ((whole * 1000000 + micro) * unit + 999) / 1000;
	return 0;
}

static int program_image(struct reader *r, char *value)
{
	current(r)->image = value;
	return value[strlen(value) - 1] == '/' ? fail_value(r, value, "is a directory, not an image") : 0;
}

static int is_name(const char *s)
{
	static const char more[] = "_.+-";
	size_t i;

	for (i = 0; s[i]; i++) {
		int plain = is_digit(s[i]) || (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z');

		if (!plain && !(strchr(more, s[i]) && (i || s[i] == '_')))
			return 0;
	}
	return i > 0 && i <= CONF_NAME_MAX;
}

static int program_libos(struct reader *r, char *value)
{
	current(r)->libos = value;
	return is_name(value) ? 0 : fail_value(r, value, "is not a libOS; write for example uni");
}

static int program_args(struct reader *r, char *value)
{
	unsigned column;
	int count = conf_split(value, NULL, CONF_ARGS_MAX, &column);

	current(r)->args = value;
	if (count == -1)
		return fail(r, value + column, "this quote is not closed", NULL, NULL, NULL);
	if (count == -2)
		return fail(r, value + column, "too many arguments", NULL, NULL, NULL);
	return 0;
}

static int program_memory(struct reader *r, char *value)
{
	return take_size(r, value, &current(r)->memory);
}

static int program_slices(struct reader *r, char *value)
{
	return take_count(r, value, CONF_SLICES_MAX, &current(r)->slices);
}

static int program_net(struct reader *r, char *value)
{
	static const char *const known[] = { "none", "own", "share", NULL };
	int net = take_word(r, value, "unknown net ", known);

	if (net < 0)
		return -1;
	current(r)->net = (enum conf_net)net;
	if (net == CONF_NET_OWN) {
		if (r->own_line)
			return fail_twice(r, value, "net = own", "", r->own_line);
		r->own_line = r->line;
	}
	return 0;
}

static int program_port(struct reader *r, char *value)
{
	static const char *const protocols[] = { "tcp", "udp", NULL };
	struct conf_program *p = current(r);
	struct conf_port port;
	char *slash = strchr(value, '/');
	int udp;

	if (!slash)
		return fail_value(r, value, "is not PROTOCOL/PORT; write for example tcp/80 or udp/53");
	if (p->port_count == CONF_PORTS_MAX)
		return fail(r, value, "too many ports for one program", NULL, NULL, NULL);
	if (take_port_number(r, value, slash + 1, 1, &port.number))
		return -1;
	*slash = 0;
	udp = take_word(r, value, "unknown protocol ", protocols);
	if (udp < 0)
		return -1;
	port.udp = (uint8_t)udp;
	for (unsigned i = 0; i < r->c->count; i++)
		for (unsigned j = 0; j < r->c->program[i].port_count; j++)
			if (r->c->program[i].port[j].number == port.number &&
			    r->c->program[i].port[j].udp == udp)
				return fail(r, value, "this port belongs already to program ",
					    r->c->program[i].name, NULL, NULL);
	p->port[p->port_count++] = port;
	return 0;
}

/* An absolute directory without ".." components. */
static int check_guest_path(struct reader *r, char *value)
{
	const char *p = value;

	if (value[0] != '/')
		return fail_value(r, value, "does not begin with a slash");
	while ((p = strstr(p, "/.."))) {
		p += 3;
		if (!*p || *p == '/')
			return fail_value(r, value, "has .. in it");
	}
	return 0;
}

static int program_files(struct reader *r, char *value)
{
	current(r)->files = value;
	return check_guest_path(r, value);
}

static int program_volume(struct reader *r, char *value)
{
	struct conf_program *p = current(r);
	char *colon = strrchr(value, ':');

	if (p->volume_count == CONF_VOLUMES_MAX)
		return fail(r, value, "too many volumes for one program", NULL, NULL, NULL);
	if (!colon || colon == value)
		return fail_value(r, value, "is not HOSTDIR:/GUESTPATH");
	if (check_guest_path(r, colon + 1))
		return -1;
	*colon = 0;
	p->volume[p->volume_count].host = value;
	p->volume[p->volume_count++].guest = colon + 1;
	return 0;
}

static int program_main(struct reader *r, char *value)
{
	if (!strcmp(value, "no"))
		return 0;
	if (strcmp(value, "yes"))
		return fail_value(r, value, "is neither yes nor no");
	if (r->marked_line)
		return fail_twice(r, value, "main = yes", "", r->marked_line);
	r->marked_line = r->line;
	r->c->main = r->c->count - 1;
	current(r)->main = 1;
	return 0;
}

static const struct key machine_keys[] = {
	{ "memory", 0, machine_memory },
	{ "cpus", 0, machine_cpus },
	{ "machine", 0, machine_machine },
	{ "cpu", 0, machine_cpu },
	{ "publish", 1, machine_publish },
	{ "timeout", 0, machine_timeout },
	{ NULL, 0, NULL },
};

static const struct key program_keys[] = {
	{ "image", 0, program_image },
	{ "libos", 0, program_libos },
	{ "args", 0, program_args },
	{ "memory", 0, program_memory },
	{ "slices", 0, program_slices },
	{ "net", 0, program_net },
	{ "port", 1, program_port },
	{ "files", 0, program_files },
	{ "volume", 1, program_volume },
	{ "main", 0, program_main },
	{ NULL, 0, NULL },
};

#define KEYS_MAX	(sizeof(program_keys) / sizeof(program_keys[0]))

static int start_program(struct reader *r, char *name)
{
	struct conf_program *p;

	if (!is_name(name))
		return fail(r, name, "[program NAME] needs one name of letters, digits, . _ + -", NULL, NULL,
			    NULL);
	for (unsigned i = 0; i < r->c->count; i++)
		if (!strcmp(r->c->program[i].name, name))
			return fail_twice(r, name, "program ", name, r->c->program[i].line);
	if (r->c->count == CONF_PROGRAMS_MAX)
		return fail(r, name, "too many programs", NULL, NULL, NULL);
	p = &r->c->program[r->c->count++];
	p->name = p->image = name;
	p->libos = "uni";
	p->args = "";
	p->files = "/";
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
		return fail(r, line, "section without a closing ]; write [machine] or [program NAME]", NULL,
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
		return fail_unknown(r, word, "unknown section ", word, known);
	if (*rest)
		return fail(r, rest, "[machine] has no name", NULL, NULL, NULL);
	if (r->c->machine.line)
		return fail_twice(r, word, "section [machine]", "", r->c->machine.line);
	r->c->machine.line = r->line;
	r->section = IN_MACHINE;
	r->seen = 0;
	return 0;
}

static int fail_unknown_key(struct reader *r, const char *at, const struct key *keys)
{
	const char *names[KEYS_MAX];
	size_t i;

	for (i = 0; keys[i].name; i++)
		names[i] = keys[i].name;
	names[i] = NULL;
	return fail_unknown(r, at, "unknown key ", at, names);
}

static int read_key(struct reader *r, char *line)
{
	const struct key *keys = r->section == IN_MACHINE ? machine_keys : program_keys;
	char *equals = strchr(line, '='), *value;
	unsigned i;

	if (!equals)
		return fail(r, line, "'", line, "' is not KEY = VALUE", NULL);
	cut_blanks(line, equals);
	value = skip_blanks(equals + 1);
	if (r->section == IN_NONE)
		return fail(r, line, "a key before any section; write [machine] or [program NAME] first",
			    NULL, NULL, NULL);
	for (i = 0; keys[i].name && strcmp(keys[i].name, line); i++)
		;
	if (!keys[i].name)
		return fail_unknown_key(r, line, keys);
	if (!keys[i].many && r->seen & 1u << i)
		return fail_twice(r, line, "key ", line, 0);
	r->seen |= 1u << i;
	if (!*value && keys[i].take != program_args)
		return fail(r, value, "key ", line, " has no value", NULL);
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
			return fail(r, line + i, "a control character: is this a text file?", NULL, NULL,
				    NULL);
	cut_comment(line);
	start = skip_blanks(line);
	cut_blanks(start, start + strlen(start));
	if (!*start)
		return 0;
	return *start == '[' ? read_section(r, start) : read_key(r, start);
}

/* What one line alone cannot show. Told at the program's section. */
static int check_whole(struct reader *r)
{
	const struct conf *c = r->c;
	const char *here = r->line_start;

	if (!c->count) {
		r->line = r->line ? r->line : 1;
		return fail(r, here, "there is no program; write [program NAME]", NULL, NULL, NULL);
	}
	for (unsigned i = 0; i < c->count; i++) {
		r->line = c->program[i].line;
		if (c->program[i].port_count && c->program[i].net == CONF_NET_NONE)
			return fail(r, here, "program ", c->program[i].name,
				    " has a port, so it needs net = own or net = share", NULL);
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
		return fail(&r, buffer, "the configuration is too long", NULL, NULL, NULL);
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
