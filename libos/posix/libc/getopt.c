/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * getopt as POSIX has it, and its long forms as GNU has them: optind is 1 before the first call, `-` alone is an operand.
 * The long forms move operands behind the options unless POSIXLY_CORRECT is set or the options begin with `+`; getopt
 * ends at the first. `-` at the beginning of the options makes operands arguments of option 1. Who sets optind to 0 or to
 * 1 begins anew.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *optarg;
int optind = 1, opterr = 1, optopt = '?';

static const char *rest;		/* of a word of short options: what was not read yet */
static int rest_at;			/* ... of this argument */
static int operands, operands_end;	/* arguments that were passed over */

struct parse {
	int argc;
	char **argv;
	const char *shorts;
	const struct option *longs;
	int *index;
	bool only, quiet, permute, in_order, colon;
};

/* Puts the operands that were passed over behind the options that came since. */
static void behind(char **argv)
{
	int count = operands_end - operands;

	for (int at = operands_end; count && at < optind; at++) {
		char *word = argv[at];
		memmove(argv + at - count + 1, argv + at - count, (size_t)count * sizeof(*argv));
		argv[at - count] = word;
	}
	operands += optind - operands_end;
	operands_end = optind;
}

static int short_error(const struct parse *parse, const char *why)
{
	if (!parse->quiet)
		fprintf(stderr, "%s: %s -- '%c'\n", parse->argv[0], why, optopt);
	return '?';
}

static int short_option(struct parse *parse)
{
	char c = *rest++;
	const char *at = c == ':' || c == ';' ? NULL : strchr(parse->shorts, c);
	bool last = !*rest;

	if (last)
		optind++;
	optopt = (unsigned char)c;
	if (!at)
		return short_error(parse, "invalid option");
	if (at[1] != ':')
		return c;
	if (!last) {
		optarg = (char *)rest;
		rest = NULL;
		optind++;
		return c;
	}
	if (at[2] == ':')
		return c;
	if (optind >= parse->argc) {
		(void)short_error(parse, "option requires an argument");
		return parse->colon ? ':' : '?';
	}
	optarg = parse->argv[optind++];
	rest = NULL;
	return c;
}

static int long_error(const struct parse *parse, const char *before, const char *name, size_t length, const char *after)
{
	if (!parse->quiet)
		fprintf(stderr, "%s: %s'%.*s'%s\n", parse->argv[0], before, (int)length, name, after);
	return '?';
}

/* The option that a name means, or begins alone; -1: none, -2: several. */
static int long_find(const struct option *longs, const char *name, size_t length)
{
	int found = -1;

	for (int i = 0; longs[i].name; i++) {
		if (strncmp(longs[i].name, name, length) != 0)
			continue;
		if (!longs[i].name[length])
			return i;
		if (found >= 0 && (longs[found].has_arg != longs[i].has_arg || longs[found].flag != longs[i].flag ||
		    longs[found].val != longs[i].val))
			found = -2;
		else if (found == -1)
			found = i;
	}
	return found;
}

static int long_option(struct parse *parse, const char *word, const char *name)
{
	size_t length = strcspn(name, "="), whole = length + (size_t)(name - word);
	int found = long_find(parse->longs, name, length);
	const struct option *option = parse->longs + found;

	optind++;
	rest = NULL;
	optopt = 0;
	if (found == -2)
		return long_error(parse, "option ", word, strlen(word), " is ambiguous");
	if (found == -1)
		return long_error(parse, "unrecognized option ", word, whole, "");
	if (name[length] && !option->has_arg) {
		optopt = option->val;
		return long_error(parse, "option ", word, whole, " doesn't allow an argument");
	}
	if (name[length]) {
		optarg = (char *)name + length + 1;
	} else if (option->has_arg == required_argument) {
		if (optind >= parse->argc) {
			optopt = option->val;
			(void)long_error(parse, "option ", word, whole, " requires an argument");
			return parse->colon ? ':' : '?';
		}
		optarg = parse->argv[optind++];
	}
	if (parse->index)
		*parse->index = found;
	if (!option->flag)
		return option->val;
	*option->flag = option->val;
	return 0;
}

static bool operand(const char *word)
{
	return word[0] != '-' || !word[1];
}

/* Goes to the next argument that is an option; false, with the result: there is none. */
static bool next_option(struct parse *parse, int *result)
{
	if (operands_end > optind)
		operands_end = optind;
	if (operands > optind)
		operands = optind;
	if (parse->permute) {
		if (operands != operands_end && operands_end != optind)
			behind(parse->argv);
		else if (operands_end != optind)
			operands = optind;
		while (optind < parse->argc && operand(parse->argv[optind]))
			optind++;
		operands_end = optind;
	}
	*result = -1;
	if (optind < parse->argc && strcmp(parse->argv[optind], "--") == 0) {
		optind++;
		if (operands != operands_end)
			behind(parse->argv);
		else
			operands = optind;
		operands_end = optind = parse->permute ? parse->argc : optind;
	}
	if (optind >= parse->argc) {
		if (operands != operands_end && parse->permute)
			optind = operands;
		return false;
	}
	if (!operand(parse->argv[optind]))
		return true;
	if (parse->in_order) {
		optarg = parse->argv[optind++];
		*result = 1;
	}
	return false;
}

static int parse_next(struct parse *parse)
{
	const char *word;
	int result;

	if (optind == 0 || (rest && optind != rest_at)) {
		optind = optind ? optind : 1;
		operands = operands_end = optind;
		rest = NULL;
	}
	optarg = NULL;
	if (rest && *rest)
		return short_option(parse);
	if (!next_option(parse, &result))
		return result;
	word = parse->argv[optind];
	if (parse->longs && word[1] == '-')
		return long_option(parse, word, word + 2);
	if (parse->longs && parse->only && (word[2] || !strchr(parse->shorts, word[1])) &&
	    (long_find(parse->longs, word + 1, strcspn(word + 1, "=")) != -1 || !strchr(parse->shorts, word[1])))
		return long_option(parse, word, word + 1);
	rest = word + 1;
	return short_option(parse);
}

static int parse_options(int argc, char *const *argv, const char *shorts, const struct option *longs, int *index,
    bool only)
{
	struct parse parse = { argc, (char **)argv, shorts, longs, index, only, false, false, false, false };
	int result;

	if (argc < 1 || !argv || !argv[0])
		return -1;
	parse.in_order = *shorts == '-';
	parse.permute = longs && !parse.in_order && *shorts != '+' && !getenv("POSIXLY_CORRECT");
	parse.shorts += *shorts == '-' || *shorts == '+';
	parse.colon = *parse.shorts == ':';
	parse.quiet = parse.colon || !opterr;
	result = parse_next(&parse);
	if (rest && !*rest)
		rest = NULL;
	rest_at = optind;
	return result;
}

int getopt(int argc, char *const argv[], const char *shorts)
{
	return parse_options(argc, argv, shorts, NULL, NULL, false);
}

int getopt_long(int argc, char *const argv[], const char *shorts, const struct option *longs, int *index)
{
	return parse_options(argc, argv, shorts, longs, index, false);
}

int getopt_long_only(int argc, char *const argv[], const char *shorts, const struct option *longs, int *index)
{
	return parse_options(argc, argv, shorts, longs, index, true);
}
