/* SPDX-License-Identifier: BSD-2-Clause */
/* Options, trees, strings, numbers and characters where the libOS has its own: what POSIX says of the corners of these functions. */
#define _GNU_SOURCE
#include <errno.h>
#include <fenv.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>
#include "test/guest/tap.h"

#define FILE_NAME	"/tmp/libc.file"

static bool options(int start, const char *how, char **argv, const char *want)
{
	static const struct option longs[] = { { "alpha", no_argument, NULL, 'A' }, { "beta", required_argument, NULL, 'B' },
		{ "beat", optional_argument, NULL, 'C' }, { NULL, 0, NULL, 0 } };
	char all[200] = "";
	int argc = 0, c;

	while (argv[argc])
		argc++;
	opterr = 0;
	optind = start;
	while ((c = getopt_long(argc, argv, how, longs, NULL)) != -1)
		sprintf(all + strlen(all), "%c%s%s ", c > ' ' ? c : '0' + c, optarg ? "=" : "", optarg ? optarg : "");
	for (sprintf(all + strlen(all), "|"); optind < argc; optind++)
		sprintf(all + strlen(all), " %s", argv[optind]);
	if (strcmp(all, want) != 0)
		printf("# %s: %s\n", how, all);
	return !strcmp(all, want);
}

#define ARGS(...)	((char *[]){ "program", __VA_ARGS__, NULL })

static void all_options(void)
{
	ok(optind == 1 && opterr, "optind is 1 at first");
	ok(options(1, "ab:", ARGS("-ab", "x", "-b", "-y", "-", "z"), "a b=x b=-y | - z"), "options with and without arguments");
	ok(options(1, "ab:", ARGS("-a", "--", "-a", "y"), "a | -a y"), "--");
	ok(options(1, "ab:", ARGS("x", "-a", "y", "-bc", "z"), "a b=c | x y z"), "operands go behind");
	ok(options(0, "+ab:", ARGS("-a", "x", "-a"), "a | x -a"), "or not");
	ok(options(0, "-ab:", ARGS("-a", "x", "-b", "1"), "a 1=x b=1 |"), "or are options");
	ok(options(0, ":ab:", ARGS("-b"), ": |") && options(0, "ab:", ARGS("-b"), "? |") && optopt == 'b',
	   "an argument is missing");
	ok(options(0, "ab::", ARGS("-b", "-bx", "-z"), "b b=x ? |") && optopt == 'z',
	   "optional arguments; unknown ones");
	ok(options(0, "a", ARGS("--alpha", "--beta=x", "x", "--beta", "y", "--beat=z", "--beat", "--al"),
	   "A B=x B=y C=z C A | x"), "long options");
	ok(options(0, "a", ARGS("--bea", "--be", "--alpha=1", "--none"), "C ? ? ? |"), "long ones that are wrong");
}

static int order(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int seen, deepest, last;

static void visit(const void *node, VISIT when, int level)
{
	deepest = level > deepest ? level : deepest;
	if (when != postorder && when != leaf)
		return;
	seen++;
	if (last >= **(int *const *)node)
		deepest = 1000;
	last = **(int *const *)node;
}

static void ignore(void *key)
{
	(void)key;
}

static void descriptors(void)
{
	char byte;

	errno = 0;
	ok(read(-1, &byte, 1) == -1 && errno == EBADF && write(-1, &byte, 1) == -1 && errno == EBADF &&
	   (optind = 1) == 1 && getopt(3, ARGS("x", "-a"), "a") == -1, "no descriptor; getopt ends at an operand");
}

static void trees(void)
{
	static int key[2000];
	void *root = NULL;
	int good = 0;

	for (int i = 0; i < 2000; i++) {
		key[i] = i + 1;
		good += tsearch(&key[i], &root, order) != NULL;
	}
	twalk(root, visit);
	ok(good == 2000 && seen == 2000 && deepest <= 15, "2000 keys in order, %d deep", deepest);
	for (int i = 0; i < 2000; i += 2)
		good -= tdelete(&key[(i * 7) % 2000], &root, order) != NULL && !tfind(&key[(i * 7) % 2000], &root, order);
	seen = last = deepest = 0;
	twalk(root, visit);
	ok(good == 1000 && seen == 1000 && deepest <= 14, "without half of them, %d deep", deepest);
	ok(!tdelete(&key[0], &root, order) && **(int **)tfind(&key[1], &root, order) == 2, "what is there and what is not");
	tdestroy(root, ignore);
}

static void fields(void)
{
	char text[] = "a,,b,", none[] = "", *rest = text;

	ok(!strcmp(strsep(&rest, ","), "a") && !*strsep(&rest, ",") && !strcmp(strsep(&rest, ",;"), "b") && rest, "strsep");
	ok(strsep(&rest, ",") == text + 5 && !rest && !strsep(&rest, ","), "the last field may be empty");
	rest = none;
	ok(strsep(&rest, ",") == none && !rest, "and the only one");
}

static void strings(void)
{
	static const char *const sorted[] = { "000", "00", "01", "010", "09", "0", "1", "9", "10", "a", "a0", "a1", "a9",
		"a10", "b" };
	int wrong = 0;
	char text[64];

	for (int i = 0; i < 15; i++)
		for (int j = 0; j < 15; j++)
			wrong += (strverscmp(sorted[i], sorted[j]) > 0) != (i > j);
	ok(wrong == 0, "versions in order");
	ok(strstr(strerror(12345), "12345") && strerror_r(12345, text, sizeof(text)) == EINVAL && *text && *strerror(0),
	   "numbers that are no errors");
}

static bool number(const char *text, double value, int bytes)
{
	char *end;
	double got = strtod(text, &end);

	return (isnan(value) ? isnan(got) && isnan(strtold(text, NULL)) : got == value && strtold(text, NULL) == value) &&
	    end - text == bytes;
}

static void numbers(void)
{
	int wrong = 0;

	ok(number("0x", 0, 1) && number("-0x.p1", 0, 2) && number("0x.8p1", 1, 6) && number(" +infin", HUGE_VAL, 5) &&
	   number("-INFINITYx", -HUGE_VAL, 9) && number("nan(", (double)NAN, 3) && number("nan(a_1)x", (double)NAN, 8) &&
	   number("1e+", 1, 1) && number("", 0, 0) && number("- 1", 0, 0), "numbers and what is not one");
	ok(strtod("9007199254740992.9999999999999999999999", NULL) == 0x1p53 && strtod("4.9e-324", NULL) == 0x1p-1074 &&
	   strtod("1e23", NULL) == 0x1.52d02c7e14af6p+76 && strtod("2.2250738585072011e-308", NULL) == 0x0.fffffffffffffp-1022 &&
	   strtold("0.1", NULL) == 0.1L && strtold("1.18973149535723176502e4932", NULL) == 0x1.fffffffffffffffep+16383L &&
	   wcstod(L"0x1.8p1", NULL) == 3, "numbers are the nearest ones");
	fesetround(FE_UPWARD);
	ok(strtof("1e-50", NULL) == 0x1p-149f && strtod("1e-400", NULL) == 0x1p-1074 && strtold("1e-4960", NULL) == 0x1p-16445L &&
	   strtold("0x1p-30000", NULL) == 0x1p-16445L && strtod("-1e-400", NULL) == 0, "the least ones, rounded upward");
	fesetround(FE_TONEAREST);
	for (int e = -1074; e < 1024; e++)
		wrong += log2(ldexp(1, e)) != e;
	ok(wrong == 0, "binary logarithms of powers of two");
}

static void *begin48(void *seed)
{
	srand48(*(const long *)seed);
	return NULL;
}

static void sequence48(void)
{
	unsigned short words[3] = { 0x330e, 0, 0 }, linear[7] = { 1, 0, 0, 3, 0, 0, 5 }, *old;
	long seed = 0;
	pthread_t thread;

	ok(lrand48() == 0 && lrand48() == 2116118 && lrand48() == 89401895, "a sequence that nobody began starts at 0");
	pthread_create(&thread, NULL, begin48, &seed);
	pthread_join(thread, NULL);
	ok(fabs(drand48() - 0.17082803610628972) < 1e-16 && fabs(erand48(words) - 0.17082803610628972) < 1e-16 &&
	   mrand48() == jrand48(words), "a thread begins it for all");
	words[1] = 7;
	(void)seed48(words);
	old = seed48((unsigned short[3]){ 1, 2, 3 });
	ok(old[0] == words[0] && old[1] == 7 && old[2] == words[2] && nrand48(words) >= 0, "what it was before");
	lcong48(linear);
	ok(lrand48() == 0 && !memcmp(seed48(words), (unsigned short[3]){ 8, 0, 0 }, 6), "a factor and an addend of one's own");
}

/* Digits beyond what a type tells apart, and what has no end in memory. */
static void digits(void)
{
	static char text[1200];
	volatile int most = INT_MAX;

	ok(sprintf(text, "%.30f|%.25Lg|%.0f", 0.1, 0.1L, 0x1p128) == 2 + 32 + 27 + 39 && !strcmp(text,
	   "0.100000000000000005551115123126|0.1000000000000000000013553|340282366920938463463374607431768211456"),
	   "all digits");
	ok(sprintf(text, "%.1074f", 0x1p-1074) == 1076 && strspn(text, "0.") == 325 && !strncmp(text + 325, "4940656458412465", 16) &&
	   text[1075] == '5', "of the least number");
	ok(sprintf(text, "%.2f %.0f %.0e %g %#g %.3a", 2.675, 2.5, 25.0, 1e-5, 1.0, 1.0) == 37 &&
	   !strcmp(text, "2.67 2 2e+01 1e-05 1.00000 0x1.000p+0"), "rounded to even");
	errno = 0;
	ok(snprintf(NULL, 0, "%.*u", most, 0) == most && snprintf(NULL, 0, "%.*u ", most, 0) == -1 && errno == EOVERFLOW &&
	   snprintf(NULL, 0, "%#.*g", most, 0.001) == -1, "too long to be told");
}

/* A stream of wide characters is text, and what is read ahead of one is given back. */
static void wide_streams(void)
{
	FILE *file = tmpfile();
	wchar_t text[32];
	char *word = NULL, kept[8];
	int before = -1, behind = -1;
	double real = -1;

	setlocale(LC_ALL, "C.UTF-8");
	ok(file && fwide(file, 0) == 0 && fwprintf(file, L"\u00e9%ls\n 0x1p 12", L"\u03bb") == 11 && fwide(file, 0) > 0 &&
	   (rewind(file), fgetws(text, 32, file)) && !wcscmp(text, L"\u00e9\u03bb\n") && ftell(file) == 5 &&
	   fwscanf(file, L" %n%lf%n", &before, &real, &behind) == 0 && before == 1 && behind == -1 && real == -1 &&
	   ftell(file) == 10 && fgetwc(file) == L' ' && ungetwc(L'\u03bb', file) == L'\u03bb' && fgetwc(file) == L'\u03bb' &&
	   fwscanf(file, L"%2c%n", text, &behind) == 1 && behind == 2 && fgetwc(file) == WEOF && feof(file), "wide streams");
	fclose(file);
	ok(sscanf("word 7", "%ms%d", &word, &before) == 2 && !strcmp(word, "word") && before == 7 &&
	   sscanf("0xg", "%x%n", &before, &behind) == 0 && sscanf(" ", "%d", &before) == EOF && swprintf(text, 3, L"%d", 123) == -1,
	   "what is scanned is allocated, and a half number is none");
	strcpy(kept, "kept");
	ok(sscanf("9", "%[a-z]", kept) == 0 && !strcmp(kept, "kept"), "what does not match is not written");
	free(word);
	setlocale(LC_ALL, "C");
}

static void characters(void)
{
	wchar_t wide[8], text[32];
	char bytes[32];
	int n = 0;

	ok(!setlocale(LC_ALL, "xx_YY") && !strcmp(setlocale(LC_ALL, ""), "C") && !setlocale(99, "C") && MB_CUR_MAX == 1,
	   "the locale C, and none of a name that is not known");
	ok(!strcmp(setlocale(LC_ALL, "en_US.UTF-8"), "C.UTF-8") && MB_CUR_MAX > 3 &&
	   mbstowcs(wide, "\xc3\xa4\xe2\x82\xac!", 8) == 3 && wide[0] == 0xe4 && wide[1] == 0x20ac && wide[2] == '!' &&
	   mblen("\xc3", 1) == -1, "UTF-8");
	ok(sprintf(bytes, "%ls%n|", L"\u20ac", &n) == 4 && n == 3, "wide characters among bytes, and how many bytes");
	ok(sprintf(bytes, "%2$s %1$d", 5, "five") == 6 && !strcmp(bytes, "five 5"), "arguments by position");
	ok(swprintf(text, 32, L"%ls %s %d", L"\u00e4", "b", 7) == 5 && text[0] == 0xe4 &&
	   swscanf(text, L"%ls %*s %d", wide, &n) == 2 && wide[0] == 0xe4 && n == 7, "wide printing and scanning");
	setenv("LANG", "C.UTF-8", 1);
	ok(!strcmp(setlocale(LC_ALL, "C"), "C") && !strcmp(setlocale(LC_ALL, ""), "C.UTF-8") &&
	   !strcmp(setlocale(LC_ALL, NULL), "C.UTF-8") && !strcmp(setlocale(LC_ALL, "POSIX"), "C"), "what LANG says");
	unsetenv("LANG");
}

/* In the locale C each byte is a character, and none is of Unicode. */
static void bytes_of_c(void)
{
	static const wchar_t wide_a_umlaut[] = L"\u00e4";
	unsigned char all[256];
	wchar_t wide[257];
	mbstate_t state = { 0 };
	const char *from = (char *)all;
	const wchar_t *back = wide;
	char bytes[257] = "";
	bool there = true, none = true;

	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)(i + 1);
	for (int i = 0; i < 256; i++) {
		wint_t c = btowc(i);

		there = there && c != WEOF && wctob(c) == i && mbrtowc(wide, (char[]){ (char)i }, 1, &state) == (i != 0) &&
		    wide[0] == (wchar_t)c;
		none = none && (i < 0x80 || !(iswprint(c) || iswcntrl(c) || iswspace(c) || iswalpha(c) || iswpunct(c)));
	}
	ok(there && none, "each byte is a character, those above ASCII of no class");
	ok(mbsrtowcs(wide, &from, 257, &state) == 255 && !from && wcsrtombs(bytes, &back, 257, &state) == 255 && !back &&
	   !memcmp(bytes, all, 256), "there and back");
	errno = 0;
	ok(wcstombs(bytes, wide_a_umlaut, 8) == (size_t)-1 && errno == EILSEQ && wctob(0x80) == EOF && wctob(0xdf7f) == EOF &&
	   wctob(0xe000) == EOF && btowc(EOF) == WEOF && mbrtowc(wide, "", 0, &state) == (size_t)-2, "what is none is an error");
}

/* Whole characters and pieces of UTF-8; what is none of it. */
static void utf8(void)
{
	static const char *const wrong[] = { "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82(", "\xf0\x90\x80(" };
	static const wint_t edge[] = { 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff };
	bool refused = true, same = true, pieces = true;
	mbstate_t state = { 0 };
	char bytes[MB_LEN_MAX + 1];
	wchar_t c;

	setlocale(LC_ALL, "C.UTF-8");
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		refused = refused && mbrtowc(&c, wrong[i], strlen(wrong[i]), &state) == (size_t)-1 && errno == EILSEQ;
		memset(&state, 0, sizeof(state));
	}
	ok(refused && wcrtomb(bytes, 0xd800, &state) == (size_t)-1 && wcrtomb(bytes, 0xdfff, &state) == (size_t)-1 &&
	   wcrtomb(bytes, 0x110000, &state) == (size_t)-1, "what is no UTF-8");
	for (unsigned i = 0; i < sizeof(edge) / sizeof(edge[0]); i++) {
		size_t length = wcrtomb(bytes, (wchar_t)edge[i], &state);

		same = same && mbrtowc(&c, bytes, length, &state) == length && (wint_t)c == edge[i] && mbsinit(&state);
		for (size_t at = 0; at < length; at++)
			pieces = pieces && mbrtowc(&c, bytes + at, 1, &state) == (at + 1 == length ? 1 : (size_t)-2) &&
			    !mbsinit(&state) == (at + 1 < length);
		pieces = pieces && (wint_t)c == edge[i];
	}
	errno = 0;
	ok(mblen("\xc3\xa4", 2) == 2 && mblen("\xc3(", 2) == -1 && errno == EILSEQ && mblen("", 1) == 0 && mblen(NULL, 0) == 0 &&
	   mblen("\xc3", 1) == -1 && mblen("a", 1) == 1, "mblen");
	memset(bytes, 'x', sizeof(bytes));
	ok(wcstombs(bytes, L"a\u20ac", 3) == 1 && bytes[0] == 'a' && bytes[1] == 'x' && wcstombs(bytes, L"a\u20ac", 4) == 4 &&
	   wcstombs(NULL, L"a\u20ac", 0) == 4 && wcstombs(bytes, L"ab", 3) == 2 && !bytes[2], "wcstombs stores whole characters only");
	ok(same && pieces, "characters of one to four bytes, at once and in pieces");
	setlocale(LC_ALL, "C");
}

/* A thread's locale. */
static void locales(void)
{
	locale_t plain = newlocale(LC_ALL_MASK, "C", 0), other = newlocale(LC_CTYPE_MASK, "C.UTF-8", 0), kept;

	ok(plain && other && plain != other && uselocale(0) == LC_GLOBAL_LOCALE && uselocale(other) == LC_GLOBAL_LOCALE &&
	   uselocale(0) == other && uselocale(0) == other && MB_CUR_MAX > 1 && mblen("\xc3\xa4", 2) == 2 && uselocale(plain) == other &&
	   MB_CUR_MAX == 1 && uselocale(LC_GLOBAL_LOCALE) == plain, "a thread's locale, asked for and changed");
	kept = newlocale(LC_NUMERIC_MASK, "C", other);
	ok(kept == other && newlocale(LC_CTYPE_MASK, "C", other) == plain, "one made of another");
	errno = 0;
	ok(!newlocale(LC_ALL_MASK, "xx_YY", 0) && errno == ENOENT && !newlocale(1 << 30, "C", 0) && errno == EINVAL, "names and masks of none");
	errno = 0;
	ok(!newlocale(LC_ALL_MASK, NULL, 0) && errno == EINVAL && !uselocale((locale_t)77) && uselocale(0) == LC_GLOBAL_LOCALE,
	   "no name, no locale");
}

static bool parsed(const char *text, const char *format, int rest, int year, int month, int day, int weekday)
{
	struct tm tm = { .tm_wday = 0 };
	const char *end = strptime(text, format, &tm);

	return end && (int)strlen(end) == rest && tm.tm_year == year && tm.tm_mon == month && tm.tm_mday == day &&
	    tm.tm_wday == weekday;
}

static void times(void)
{
	struct tm tm = { .tm_hour = 0 };
	time_t before = -1;
	char *name;

	ok(parsed("20160103x", "%Y%m%d", 1, 116, 0, 3, 0) && parsed("mon feb 29 2016", "%A %b %e %Y", 0, 116, 1, 29, 1) &&
	   parsed("69", "%y", 0, 69, 0, 0, 0) && parsed("20 1", "%C %y", 0, 101, 0, 0, 0) &&
	   parsed("2016 40", "%Y %j", 0, 116, 1, 9, 2) && parsed("2016 1 1", "%Y %W %w", 0, 116, 0, 4, 1) &&
	   strptime("12 am", "%I %p", &tm) && tm.tm_hour == 0 && !strptime("13", "%m", &tm) && !strptime("24", "%H", &tm) &&
	   !strptime("0", "%d", &tm) && !strptime("Ma", "%b", &tm), "dates are read");
	ok(localtime_r(&before, &tm) && tm.tm_year == 69 && tm.tm_isdst == 0, "no summer time before 1970");
	name = tempnam("/none", "before");
	ok(name && !strncmp(name, "/tmp/befor", 10) && access(name, F_OK) == -1, "a name that nobody has");
	free(name);
}

int main(void)
{
	all_options();
	descriptors();
	bytes_of_c();
	utf8();
	locales();
	trees();
	strings();
	fields();
	times();
	numbers();
	sequence48();
	digits();
	wide_streams();
	characters();
	unlink(FILE_NAME);
	return tap_done();
}
