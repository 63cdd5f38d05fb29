/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regular expressions and patterns of names as POSIX has them, and expressions as programs of GNU systems write them: one of
 * several and repetitions in basic ones, what is empty, letters behind a backslash, all of which POSIX leaves undefined.
 */
#define _GNU_SOURCE
#include <fnmatch.h>
#include <locale.h>
#include <regex.h>
#include <string.h>
#include "test/guest/tap.h"

static bool found(const char *pattern, const char *text, int flags, int from, int to)
{
	regex_t regex;
	regmatch_t at = { -1, -1 };
	bool good = regcomp(&regex, pattern, flags) == 0;

	if (!good)
		return false;
	good = regexec(&regex, text, 1, &at, 0) == 0 && at.rm_so == from && at.rm_eo == to;
	regfree(&regex);
	return good;
}

/* Found, and the pattern's first group; it has `groups`. */
static bool grouped(const char *pattern, int flags, const char *text, int from, int to, int from1, int to1, size_t groups)
{
	regex_t regex;
	regmatch_t at[4];
	bool good;

	memset(at, 77, sizeof(at));
	if (regcomp(&regex, pattern, flags))
		return false;
	good = regex.re_nsub == groups && regexec(&regex, text, 4, at, 0) == 0 && at[0].rm_so == from && at[0].rm_eo == to &&
	    at[1].rm_so == from1 && at[1].rm_eo == to1 && at[3].rm_so == -1 && at[3].rm_eo == -1;
	regfree(&regex);
	return good;
}

/* What programs of GNU systems write, and POSIX leaves undefined. */
static void patterns(void)
{
	char many[400] = "";
	regex_t regex;
	regmatch_t at[2] = { { 1, 3 }, { 0, 0 } };

	ok(grouped("", 0, "ab", 0, 0, -1, -1, 0) && grouped("", REG_EXTENDED, "ab", 0, 0, -1, -1, 0) &&
	   grouped("a|", REG_EXTENDED, "ba", 0, 0, -1, -1, 0) && grouped("(|a)b", REG_EXTENDED, "ab", 0, 2, 0, 1, 1) &&
	   grouped("(a|b|)(c)", REG_EXTENDED, "xc", 1, 2, 1, 1, 2) && grouped("\\(\\|a\\)b", 0, "ab", 0, 2, 0, 1, 1) &&
	   grouped("()(a)", REG_EXTENDED, "xa", 1, 2, 1, 1, 2), "what is empty is found, and is no group");
	ok(grouped("\\(a\\|b\\)c\\|d", 0, "xbc", 1, 3, 1, 2, 1) && found("a\\|b", "xb", 0, 1, 2) && found("[|]\\|b", "|", 0, 0, 1) &&
	   grouped("\\(^/\\|\\)[^/][^/]*", 0, "/usr/lib", 0, 4, 0, 1, 1) && found("a\\{2\\}\\|b", "caab", 0, 1, 3) &&
	   found("a{2}\\|b", "a{2}", 0, 0, 4) && found("(a+)?\\|x", "(a+)?", 0, 0, 5) && found("*a\\|b", "*a", 0, 0, 2) &&
	   found("^*a\\|b", "*a", 0, 0, 2) && found("a^b\\|x", "a^b", 0, 0, 3) && found("a$b\\|x", "a$b", 0, 0, 3) &&
	   found("a\\|b$", "xb", 0, 1, 2) && found("a\\|B", "b", REG_ICASE, 0, 1), "one of several in a basic expression");
	ok(found("a\\+", "baa", 0, 1, 3) && found("ba\\?", "xba", 0, 1, 3) && found("ba\\?c", "xbc", 0, 1, 3) &&
	   grouped("\\(ab\\)\\+c", 0, "ababc", 0, 5, 2, 4, 1) && grouped("\\(a\\)\\1\\+", 0, "baaa", 1, 4, 1, 2, 1) &&
	   found("\\+a", "+a", 0, 0, 2) && found("a\\|\\+b", "+b", 0, 0, 2) && found("\\(a\\)\\1|\\|", "aa||", 0, 0, 4), "repeated");
	ok(found("\\w\\+", "- a_1 ", 0, 2, 5) && found("\\W", "a_1-", 0, 3, 4) && found("\\s\\S", "a b", 0, 1, 3) &&
	   found("\\w+", "- a_1 ", REG_EXTENDED, 2, 5) && found("\\bfoo\\b", "afoo foo", 0, 5, 8) &&
	   grouped("(\\bx)(y)", REG_EXTENDED, "axy xy", 4, 6, 4, 5, 2), "words and space");
	ok(setlocale(LC_CTYPE, "C.UTF-8") && found("a.c\\|d", "xa\303\251c", 0, 1, 5) && setlocale(LC_CTYPE, "C"), "by characters");
	ok(grouped("(c*|a)b", REG_EXTENDED, "ab", 0, 2, 0, 1, 1) && grouped("(x|c?|a)b", REG_EXTENDED, "ab", 0, 2, 0, 1, 1),
	   "the first place is found, also behind what may be empty");
	for (int i = 0; i < 70; i++)
		strcat(many, "(a)|");
	strcat(many, "b");
	ok(!regcomp(&regex, many, REG_EXTENDED) && regex.re_nsub == 70 && !regexec(&regex, "cb", 2, at, 0) && at[0].rm_so == 1,
	   "as many groups as one likes");
	regfree(&regex);
	at[0] = (regmatch_t){ 1, 3 };
	ok(regcomp(&regex, "\\(a\\|b", 0) == REG_EPAREN &&
	   regcomp(&regex, "[a\\|b", 0) == REG_EBRACK && regcomp(&regex, "a\\|b\\", 0) == REG_EESCAPE, "what is wrong stays so");
	ok(!regcomp(&regex, "\\(x\\|b\\)$", 0) && !regexec(&regex, "abbb", 2, at, REG_STARTEND) && at[0].rm_so == 2 && at[0].rm_eo == 3 &&
	   at[1].rm_so == 2 && !regexec(&regex, "ab", 0, NULL, 0), "a part of a text");
	regfree(&regex);
}

/* As POSIX has them. */
static void standard(void)
{
	static const struct {
		const char *pattern;
		int error;
	} wrong[] = { { "[", REG_EBRACK }, { "[]", REG_EBRACK }, { "[^", REG_EBRACK }, { "[[.x", REG_EBRACK },
		{ "[b-a]", REG_ERANGE }, { "[[:foo:]]", REG_ECTYPE }, { "[[.ab.]]", REG_ECOLLATE }, { "a\\", REG_EESCAPE },
		{ "\\(", REG_EPAREN }, { "a\\0", REG_ESUBREG }, { "\\\374", REG_BADPAT } };
	regex_t regex;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ok(regcomp(&regex, wrong[i].pattern, 0) == wrong[i].error, "%s is wrong", wrong[i].pattern);
	ok(found("[]-a]x", "`x", 0, 0, 2) && found("[^]a]", "a]b", 0, 2, 3) && found("[a^-]*", "-^a", 0, 0, 3) &&
	   found("x[^]y", "x^y", 0, -1, -1) == false && found("[[:digit:]x[=y=][.-.]]*", "5x-y", 0, 0, 4), "lists");
	ok(found("[[:alpha:]]+", "12ab3", REG_EXTENDED, 2, 4) && found("[A-C]*", "abc", REG_ICASE, 0, 3) &&
	   found("\\<ab\\>", "xab ab", 0, 4, 6) && found("a[^b]c", "a\nc", 0, 0, 3) &&
	   !found("a[^b]c", "a\nc", REG_NEWLINE, 0, 3), "classes, words, lines");
	ok(!fnmatch("[[:alpha:]][!0-9]?*", "xyz", 0) && fnmatch("[[:alpha:]]", "1", 0) && !fnmatch("a[", "a[", 0) &&
	   fnmatch("*", "a/b", FNM_PATHNAME) && !fnmatch("*/b", "a/b", FNM_PATHNAME) && fnmatch("*", ".a", FNM_PERIOD) &&
	   fnmatch("a/*", "a/.b", FNM_PATHNAME | FNM_PERIOD) && !fnmatch("\\*", "*", 0) && !fnmatch("a*c*e", "abcdcde", 0) &&
	   !fnmatch("\\*", "\\a", FNM_NOESCAPE) && !fnmatch("a", "a/b", FNM_LEADING_DIR) && !fnmatch("A", "a", FNM_CASEFOLD) &&
	   fnmatch("[/]", "/", FNM_PATHNAME) && !fnmatch("", "", 0) && fnmatch("a**b", "aXc", 0), "names and patterns");
}

int main(void)
{
	standard();
	patterns();
	return tap_done();
}
