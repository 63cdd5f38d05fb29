/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wordexp (POSIX.1-2017): words expanded as the shell does it, in this process; only $(...) asks a shell.
 *
 * A word is read once from left to right. What it becomes is gathered in `field` as a pattern: a character that was
 * quoted and means something in patterns has a backslash before it, so that glob() can do the rest, and a field that
 * is no pattern loses the backslashes again. Expansions that are not quoted go through split(), which ends fields
 * at characters of IFS. In ${name-word} and its kin the word is read by the same function, with its plain characters
 * split as well. Arithmetic is in arithmetic.c; assignments in it are WRDE_SYNTAX. There are no positional
 * parameters: $1 is unset, $# is 0.
 */
#include <ctype.h>
#include <fnmatch.h>
#include <glob.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wordexp.h>
#include "libos/posix/libc/wordexp.h"

#define DEPTH	64		/* of expansions in expansions */

struct text {
	char *bytes;
	size_t count, room;
};

struct words {
	char **list;
	size_t count;
};

struct expansion {
	struct words *words;	/* NULL: all becomes one field, which the caller takes */
	struct text field;
	const char *ifs;
	int flags, depth;
	bool began;		/* the field is there, though it may be empty */
	bool after_space;	/* the last thing that ended a field was white space of IFS */
	int error;
};

enum where { PLAIN, WORD, QUOTED };	/* of a character: in the open, in ${...}, in "..." */

static void expand(struct expansion *e, const char *at, const char *end, enum where where);

static bool fail(struct expansion *e, int error)
{
	if (!e->error)
		e->error = error;
	return false;
}

static void text_put(struct expansion *e, struct text *text, char c)
{
	if (text->count + 2 > text->room) {
		size_t room = text->room ? 2 * text->room : 64;
		char *larger = realloc(text->bytes, room);

		if (!larger) {
			fail(e, WRDE_NOSPACE);
			return;
		}
		text->bytes = larger;
		text->room = room;
	}
	text->bytes[text->count++] = c;
	text->bytes[text->count] = '\0';
}

/* --- fields --------------------------------------------------------------------------------------------------- */

static void put(struct expansion *e, char c, bool quoted)
{
	e->began = true;
	e->after_space = false;
	if (quoted && strchr("*?[]\\!-^", c) && c)
		text_put(e, &e->field, '\\');
	text_put(e, &e->field, c);
}

static void put_all(struct expansion *e, const char *text)
{
	e->began = true;
	for (; *text; text++)
		put(e, *text, true);
}

static bool is_pattern(const char *field)
{
	for (; *field; field++) {
		if (*field == '\\' && field[1])
			field++;
		else if (strchr("*?[", *field))
			return true;
	}
	return false;
}

static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1])
			text++;
		*to++ = *text;
	}
	*to = '\0';
}

static void add(struct expansion *e, const char *word)
{
	struct words *words = e->words;
	char **larger = realloc(words->list, (words->count + 1) * sizeof(*larger));

	if (larger)
		words->list = larger;
	if (!larger || !(words->list[words->count] = strdup(word)))
		fail(e, WRDE_NOSPACE);
	else
		words->count++;
}

static void end_field(struct expansion *e)
{
	glob_t found;
	int result;

	if (!e->began || !e->words || e->error)
		return;
	if (e->field.count && is_pattern(e->field.bytes)) {
		result = glob(e->field.bytes, 0, NULL, &found);
		for (size_t i = 0; !result && i < found.gl_pathc; i++)
			add(e, found.gl_pathv[i]);
		if (!result)
			globfree(&found);
		else if (result == GLOB_NOSPACE)
			fail(e, WRDE_NOSPACE);
	} else
		result = GLOB_NOMATCH;
	if (result && !e->error) {
		if (e->field.count)
			unescape(e->field.bytes);
		add(e, e->field.count ? e->field.bytes : "");
	}
	e->field.count = 0;
	e->began = false;
}

/* One character of an expansion that is not quoted. */
static void split(struct expansion *e, char c)
{
	bool space = c == ' ' || c == '\t' || c == '\n';

	if (!e->words || !strchr(e->ifs, c)) {
		put(e, c, false);
	} else if (space) {
		e->after_space |= e->began;
		end_field(e);
	} else {
		if (!e->after_space)
			e->began = true;	/* two in a row enclose an empty field */
		e->after_space = false;
		end_field(e);
	}
}

static void insert(struct expansion *e, const char *value, enum where where)
{
	if (where == QUOTED) {
		put_all(e, value);
		return;
	}
	for (; *value; value++)
		split(e, *value);
}

/* --- where things end ------------------------------------------------------------------------------------------ */

/* Behind what begins at `at` with quotes, a backslash or a dollar, or behind one character; NULL: it has no end. */
static const char *skip(const char *at, const char *end, int depth);

/* The closing `close` of what is open at `at`; NULL: there is none. */
static const char *closing(const char *at, const char *end, char close, int depth)
{
	int open = 0;

	while (at && at < end) {
		if (*at == close && !open)
			return at;
		if (close == ')' && (*at == '(' || *at == ')'))
			open += *at == '(' ? 1 : -1;
		at = skip(at, end, depth);
	}
	return NULL;
}

static const char *skip(const char *at, const char *end, int depth)
{
	const char *to;

	if (depth > DEPTH)
		return NULL;
	switch (*at) {
	case '\\':
		return at + 1 < end ? at + 2 : NULL;
	case '\'':
		to = memchr(at + 1, '\'', (size_t)(end - at - 1));
		return to ? to + 1 : NULL;
	case '`':
		for (to = at + 1; to < end && *to != '`'; to++)
			to += *to == '\\';
		return to < end ? to + 1 : NULL;
	case '"':
		for (to = at + 1; to && to < end && *to != '"'; )
			to = *to == '\'' ? to + 1 : skip(to, end, depth + 1);
		return to && to < end ? to + 1 : NULL;
	case '$':
		if (at + 1 >= end || (at[1] != '{' && at[1] != '('))
			return at + 1;
		to = closing(at + 2, end, at[1] == '{' ? '}' : ')', depth + 1);
		return to ? to + 1 : NULL;
	default:
		return at + 1;
	}
}

/* --- one text ------------------------------------------------------------------------------------------------- */

/* What a part becomes by itself, as a string of the caller's (escaped: as a pattern); NULL: e->error. */
static char *alone(struct expansion *e, const char *at, const char *end, enum where where, bool escaped)
{
	struct expansion inner = { .ifs = "", .flags = e->flags, .depth = e->depth + 1 };

	text_put(&inner, &inner.field, '\0');
	inner.field.count = 0;
	if (e->depth >= DEPTH)
		fail(&inner, WRDE_SYNTAX);
	else
		expand(&inner, at, end, where);
	if (inner.error) {
		fail(e, inner.error);
		free(inner.field.bytes);
		return NULL;
	}
	if (!escaped)
		unescape(inner.field.bytes);
	return inner.field.bytes;
}

static void command(struct expansion *e, const char *text, size_t bytes, enum where where)
{
	const char *quiet = e->flags & WRDE_SHOWERR ? "" : "exec 2>/dev/null\n";
	struct text output = { 0 };
	char *line;
	FILE *pipe;
	int c;

	if (e->flags & WRDE_NOCMD) {
		fail(e, WRDE_CMDSUB);
		return;
	}
	if (asprintf(&line, "%s%.*s\n", quiet, (int)bytes, text) < 0) {
		fail(e, WRDE_NOSPACE);
		return;
	}
	fflush(NULL);
	pipe = popen(line, "r");
	free(line);
	if (!pipe) {
		fail(e, WRDE_NOSPACE);
		return;
	}
	while ((c = getc(pipe)) != EOF)
		if (c)
			text_put(e, &output, (char)c);
	pclose(pipe);
	while (output.count && output.bytes[output.count - 1] == '\n')
		output.bytes[--output.count] = '\0';
	if (output.count && !e->error)
		insert(e, output.bytes, where);
	free(output.bytes);
}

static const char *backquote(struct expansion *e, const char *at, const char *end, enum where where)
{
	const char *to = skip(at, end, 0);
	struct text text = { 0 };

	if (!to) {
		fail(e, WRDE_SYNTAX);
		return end;
	}
	for (at++; at < to - 1; at++) {
		if (*at == '\\' && (strchr("$`\\", at[1]) || (where == QUOTED && at[1] == '"')))
			at++;
		text_put(e, &text, *at);
	}
	if (text.count && !e->error)
		command(e, text.bytes, text.count, where);
	free(text.bytes);
	return to;
}

static void arithmetic(struct expansion *e, const char *at, const char *end, enum where where)
{
	char *text = alone(e, at, end, QUOTED, false), number[24];
	long value;

	if (!text)
		return;
	if (wordexp_arithmetic(text, &value)) {
		snprintf(number, sizeof(number), "%ld", value);
		insert(e, number, where);
	} else
		fail(e, WRDE_SYNTAX);
	free(text);
}

/* --- parameters ----------------------------------------------------------------------------------------------- */

/* A parameter's value; NULL: it is not set. */
static const char *value_of(const char *name, size_t bytes, char *room, size_t room_bytes)
{
	if (bytes == 1 && strchr("$#?", *name)) {
		snprintf(room, room_bytes, "%d", *name == '$' ? (int)getpid() : 0);
		return room;
	}
	if (!isalpha((unsigned char)*name) && *name != '_')
		return NULL;
	snprintf(room, room_bytes, "%.*s", (int)bytes, name);
	return getenv(room);
}

static size_t name_length(const char *at, const char *end)
{
	const char *to = at;

	if (at < end && (isalpha((unsigned char)*at) || *at == '_')) {
		while (to < end && (isalnum((unsigned char)*to) || *to == '_'))
			to++;
	} else if (at < end && isdigit((unsigned char)*at)) {
		to++;
	} else if (at < end && strchr("@*#?-$!", *at))
		to++;
	return (size_t)(to - at);
}

/* ${name#pattern} and its kin: the value without its shortest or longest beginning or end that matches. */
static void without(struct expansion *e, const char *value, const char *pattern, char kind, bool longest,
    enum where where)
{
	size_t count = strlen(value);
	char *copy = strdup(value), saved;

	if (!copy) {
		fail(e, WRDE_NOSPACE);
		return;
	}
	for (size_t i = 0; i <= count; i++) {
		size_t cut = (kind == '#') == longest ? count - i : i;
		bool matches;

		saved = copy[cut];
		if (kind == '#')
			copy[cut] = '\0';
		matches = !fnmatch(pattern, kind == '#' ? copy : copy + cut, 0);
		copy[cut] = saved;
		if (matches) {
			if (kind == '%')
				copy[cut] = '\0';
			insert(e, kind == '#' ? copy + cut : copy, where);
			free(copy);
			return;
		}
	}
	insert(e, value, where);
	free(copy);
}

struct braces {
	const char *name, *word, *end;
	size_t bytes;
	const char *value;
	bool colon;
	char kind;		/* of - = ? + # %, or 0 */
};

static void assign(struct expansion *e, const struct braces *b, enum where where)
{
	char *value = alone(e, b->word, b->end, where == QUOTED ? QUOTED : WORD, false), *name;

	if (!value)
		return;
	name = strndup(b->name, b->bytes);
	if (!name || (!isalpha((unsigned char)*name) && *name != '_'))
		fail(e, name ? WRDE_SYNTAX : WRDE_NOSPACE);
	else if (setenv(name, value, 1) < 0)
		fail(e, WRDE_NOSPACE);
	else
		insert(e, value, where);
	free(name);
	free(value);
}

static void complain(struct expansion *e, const struct braces *b)
{
	char *text = b->word < b->end ? alone(e, b->word, b->end, WORD, false) : NULL;

	if (e->flags & WRDE_SHOWERR)
		fprintf(stderr, "%.*s: %s\n", (int)b->bytes, b->name, text ? text : "parameter not set");
	free(text);
	fail(e, WRDE_BADVAL);
}

static void substitute(struct expansion *e, struct braces *b, enum where where)
{
	bool unset = !b->value || (b->colon && !*b->value), longest;
	char *pattern;

	switch (b->kind) {
	case '-':
	case '=':
	case '?':
		if (!unset)
			insert(e, b->value, where);
		else if (b->kind == '-')
			expand(e, b->word, b->end, where == QUOTED ? QUOTED : WORD);
		else if (b->kind == '=')
			assign(e, b, where);
		else
			complain(e, b);
		break;
	case '+':
		if (!unset)
			expand(e, b->word, b->end, where == QUOTED ? QUOTED : WORD);
		break;
	default:
		longest = b->word < b->end && *b->word == b->kind;
		pattern = alone(e, b->word + longest, b->end, WORD, true);
		if (pattern)
			without(e, b->value ? b->value : "", pattern, b->kind, longest, where);
		free(pattern);
	}
}

/* Unset where that is an error: said. */
static const char *needed(struct expansion *e, const char *value)
{
	if (!value && (e->flags & WRDE_UNDEF))
		fail(e, WRDE_BADVAL);
	return value ? value : "";
}

static void braces(struct expansion *e, const char *at, const char *end, enum where where)
{
	bool length = *at == '#' && at + 1 < end && name_length(at + 1, end) == (size_t)(end - at - 1);
	struct braces b = { .name = at + length, .end = end };
	char room[256];

	b.bytes = name_length(b.name, end);
	b.word = b.name + b.bytes;
	if (!b.bytes || b.bytes >= sizeof(room)) {
		fail(e, WRDE_SYNTAX);
		return;
	}
	if (isdigit((unsigned char)*b.name)) {
		while (b.word < end && isdigit((unsigned char)*b.word))
			b.word++, b.bytes++;
	}
	b.value = value_of(b.name, b.bytes, room, sizeof(room));
	if (length || b.word == end) {
		b.value = needed(e, b.value);
		if (length) {
			snprintf(room, sizeof(room), "%zu", strlen(b.value));
			b.value = room;
		}
		if (!e->error)
			insert(e, b.value, where);
		return;
	}
	b.colon = *b.word == ':';
	b.word += b.colon;
	if (b.word == end || !strchr(b.colon ? "-=?+" : "-=?+#%", *b.word)) {
		fail(e, WRDE_SYNTAX);
		return;
	}
	b.kind = *b.word++;
	if (e->depth++ < DEPTH)
		substitute(e, &b, where);
	else
		fail(e, WRDE_SYNTAX);
	e->depth--;
}

static const char *dollar(struct expansion *e, const char *at, const char *end, enum where where)
{
	const char *to = skip(at, end, 0);
	size_t bytes;
	char room[256];

	if (!to) {
		fail(e, WRDE_SYNTAX);
		return end;
	}
	if (at + 1 < end && at[1] == '{') {
		braces(e, at + 2, to - 1, where);
		return to;
	}
	if (at + 1 < end && at[1] == '(') {
		if (at + 2 < to && at[2] == '(' && to - at > 5 && to[-2] == ')')
			arithmetic(e, at + 3, to - 2, where);
		else
			command(e, at + 2, (size_t)(to - 1 - (at + 2)), where);
		return to;
	}
	bytes = name_length(at + 1, end);
	if (!bytes || bytes >= sizeof(room)) {
		put(e, '$', true);
		return at + 1;
	}
	insert(e, needed(e, value_of(at + 1, bytes, room, sizeof(room))), where);
	return at + 1 + bytes;
}

/* --- words ---------------------------------------------------------------------------------------------------- */

static const char *quotes(struct expansion *e, const char *at, const char *end)
{
	const char *to = skip(at, end, 0);

	if (!to) {
		fail(e, WRDE_SYNTAX);
		return end;
	}
	e->began = true;
	if (*at == '"') {
		expand(e, at + 1, to - 1, QUOTED);
		return to;
	}
	for (at++; at < to - 1; at++)
		put(e, *at, true);
	return to;
}

static const char *backslash(struct expansion *e, const char *at, const char *end, enum where where)
{
	if (at + 1 == end) {
		fail(e, WRDE_SYNTAX);
		return end;
	}
	if (at[1] == '\n')
		return at + 2;
	if (where == QUOTED && !strchr("$`\"\\", at[1]))
		put(e, '\\', true);
	put(e, at[1], true);
	return at + 2;
}

static const char *tilde(struct expansion *e, const char *at, const char *end)
{
	size_t bytes = strcspn(at + 1, "/ \t\"'\\$`\n");
	char name[64];
	const struct passwd *user;
	const char *home = NULL;

	if (at + 1 + bytes > end)
		bytes = (size_t)(end - at - 1);
	if (!bytes)
		home = getenv("HOME");
	if (!home && bytes < sizeof(name)) {
		snprintf(name, sizeof(name), "%.*s", (int)bytes, at + 1);
		user = bytes ? getpwnam(name) : getpwuid(getuid());
		home = user ? user->pw_dir : NULL;
	}
	if (!home) {
		put(e, '~', true);
		return at + 1;
	}
	put_all(e, home);
	return at + 1 + bytes;
}

static void expand(struct expansion *e, const char *at, const char *end, enum where where)
{
	const char *begin = at;

	while (at < end && !e->error) {
		if (*at == '$') {
			at = dollar(e, at, end, where);
		} else if (*at == '`') {
			at = backquote(e, at, end, where);
		} else if (*at == '\\') {
			at = backslash(e, at, end, where);
		} else if (where == QUOTED) {
			put(e, *at++, true);
		} else if (*at == '"' || *at == '\'') {
			at = quotes(e, at, end);
		} else if (*at == '~' && (where == PLAIN ? !e->began : at == begin)) {
			at = tilde(e, at, end);
		} else if (where == WORD) {
			split(e, *at++);
		} else if (*at == ' ' || *at == '\t') {
			end_field(e);
			at++;
		} else if (strchr("|&;<>(){}\n", *at)) {
			fail(e, WRDE_BADCHAR);
		} else
			put(e, *at++, false);
	}
}

/* --- the two functions ---------------------------------------------------------------------------------------- */

/* Add words to what there is; they are the caller's then. */
static int deliver(struct words *words, wordexp_t *out, int flags)
{
	size_t offset = flags & WRDE_DOOFFS ? out->we_offs : 0;
	size_t before = flags & WRDE_APPEND ? out->we_wordc : 0;
	char **list = realloc(flags & WRDE_APPEND ? out->we_wordv : NULL,
	    (offset + before + words->count + 1) * sizeof(*list));

	if (!list)
		return WRDE_NOSPACE;
	if (!(flags & WRDE_APPEND))
		memset(list, 0, offset * sizeof(*list));
	for (size_t i = 0; i < words->count; i++)
		list[offset + before + i] = words->list[i];
	list[offset + before + words->count] = NULL;
	out->we_wordv = list;
	out->we_wordc = before + words->count;
	if (!(flags & (WRDE_DOOFFS | WRDE_APPEND)))
		out->we_offs = 0;
	words->count = 0;
	return 0;
}

int wordexp(const char *restrict text, wordexp_t *restrict out, int flags)
{
	struct words words = { 0 };
	struct expansion e = { .words = &words, .flags = flags };
	wordexp_t old = *out;
	int error;

	e.ifs = getenv("IFS");
	if (!e.ifs)
		e.ifs = " \t\n";
	expand(&e, text, text + strlen(text), PLAIN);
	end_field(&e);
	free(e.field.bytes);
	error = e.error;
	if (!error && (flags & WRDE_REUSE) && !(flags & WRDE_APPEND)) {
		wordfree(&old);
		out->we_wordv = NULL;
	}
	if (!error || error == WRDE_NOSPACE)
		error = deliver(&words, out, flags) ? WRDE_NOSPACE : error;
	while (words.count)
		free(words.list[--words.count]);
	free(words.list);
	return error;
}

void wordfree(wordexp_t *words)
{
	for (size_t i = 0; words->we_wordv && i < words->we_wordc; i++)
		free(words->we_wordv[words->we_offs + i]);
	free(words->we_wordv);
	words->we_wordv = NULL;
	words->we_wordc = 0;
}
