/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words and messages: wordexp with all its expansions and errors, strfmon, getdate, message catalogues, fmtmsg, streams
 * into wide memory, lists of hosts and networks, quick_exit, and the functions of tgmath.h.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <fmtmsg.h>
#include <limits.h>
#include <locale.h>
#include <monetary.h>
#include <netdb.h>
#include <nl_types.h>
#include <search.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <sys/stat.h>
#include <sys/syslog.h>
#include <tgmath.h>
#include <time.h>
#include <unistd.h>
#include <wait.h>
#include <wchar.h>
#include <wordexp.h>
#include "test/guest/tap.h"

static void put_file(const char *name, const void *bytes, size_t count)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, bytes, count) != (ssize_t)count)
		printf("# %s: not written\n", name);
	close(fd);
}

/* The words of a text, each in brackets; or the error's number. */
static const char *words(const char *text, int flags)
{
	static char said[4096];
	wordexp_t list = { 0 };
	int error = wordexp(text, &list, flags);
	size_t count = 0;

	said[0] = '\0';
	if (error) {
		snprintf(said, sizeof(said), "%d", error);
		return said;
	}
	for (size_t i = 0; i < list.we_wordc; i++)
		count += (size_t)snprintf(said + count, sizeof(said) - count, "[%s]", list.we_wordv[i]);
	if (list.we_wordv[list.we_wordc])
		return "not ended";
	wordfree(&list);
	return said;
}

struct expected {
	const char *text, *words;
	int flags;
};

static const struct expected expansions[] = {
	{ "", "", 0 }, { "  \t ", "", 0 }, { "one two\tthree", "[one][two][three]", 0 },
	{ "'a b' \"c d\" e\\ f", "[a b][c d][e f]", 0 }, { "'' \"\"", "[][]", 0 }, { "a\\\nb", "[ab]", 0 },
	{ "\"\\$A \\x \\\"\"", "[$A \\x \"]", 0 }, { "'\\$A`'", "[\\$A`]", 0 },
	{ "$A", "[value]", 0 }, { "${A}s", "[values]", 0 }, { "$As", "", 0 }, { "\"$As\"", "[]", 0 },
	{ "$S", "[a][b]", 0 }, { "\"$S\"", "[ a  b ]", 0 }, { "x${S}y", "[x][a][b][y]", 0 }, { "'$A'", "[$A]", 0 },
	{ "${#A} ${#NONE}", "[5][0]", 0 }, { "$ a$ $. \"$\"", "[$][a$][$.][$]", 0 },
	{ "${NONE-d} ${NONE:-e} ${EMPTY-d}f ${EMPTY:-g}", "[d][e][f][g]", 0 },
	{ "${A+is} ${NONE+is}x ${EMPTY:+is}y ${EMPTY+is}", "[is][x][y][is]", 0 },
	{ "${NONE-a b}", "[a][b]", 0 }, { "${NONE-'a b'}", "[a b]", 0 }, { "\"${NONE-a b}\"", "[a b]", 0 },
	{ "${NONE-${A}}", "[value]", 0 }, { "${NONE-\"}\"}", "[}]", 0 }, { "${NONE-\\}}", "[}]", 0 },
	{ "${NEW=set to} $NEW", "[set][to][set][to]", 0 }, { "${NONE?}", "3", 0 }, { "${A?no}", "[value]", 0 },
	{ "${P#*/} ${P##*/} ${P%/*} ${P%%/*}", "[b/c][c][a/b][a]", 0 }, { "${P#x} ${P%'*'}", "[a/b/c][a/b/c]", 0 },
	{ "${W#'*'}", "[x]", 0 }, { "\"$W\"", "[*x]", 0 },
	{ "$((1 + 2 * 3)) $(( (1+2)*3 )) $((N+1)) $(($N<<2))", "[7][9][8][28]", 0 },
	{ "$((7/2)) $((-7%4)) $((1?2:3)) $((0||4)) $((!5)) $((~0)) $((0x10+010))", "[3][-3][2][1][0][-1][24]", 0 },
	{ "$((0 && 1/0)) $((3>2 && 2>=2 && 1!=2 && 1==1 && 1<2 && 1<=1))", "[0][1]", 0 },
	{ "$((1/0))", "5", 0 }, { "$((1+))", "5", 0 }, { "$((N=3))", "5", 0 }, { "$((08))", "5", 0 }, { "$((2 3))", "5", 0 },
	{ "$((1|2^3&1)) $((1 - 2 - 3)) $((-9223372036854775807-1))", "[3][-4][-9223372036854775808]", 0 },
	{ "~ ~/x '~' a~ ~nobody-such", "[/h][/h/x][~][a~][~nobody-such]", 0 }, { "~root", "[/]", 0 },
	{ "/tmp/words/*.c", "[/tmp/words/a.c][/tmp/words/b.c]", 0 }, { "/tmp/words/'*'.c", "[/tmp/words/*.c]", 0 },
	{ "/tmp/words/?.h /tmp/words/[a-z].x", "[/tmp/words/?.h][/tmp/words/z.x]", 0 }, { "$G", "[/tmp/words/a.c][/tmp/words/b.c]", 0 },
	{ "\"$G\"", "[/tmp/words/*.c]", 0 }, { "$$", NULL, 0 },
	{ "a|b", "2", 0 }, { "a&", "2", 0 }, { "a;b", "2", 0 }, { "<a", "2", 0 }, { ">a", "2", 0 }, { "(a)", "2", 0 },
	{ "{a", "2", 0 }, { "a\nb", "2", 0 }, { "'a|b' \"a;b\" a\\&b ${NONE-(}", "[a|b][a;b][a&b][(]", 0 },
	{ "'a", "5", 0 }, { "\"a", "5", 0 }, { "${A", "5", 0 }, { "$(a", "5", 0 }, { "$((1)", "5", 0 }, { "`a", "5", 0 },
	{ "a\\", "5", 0 }, { "${}", "5", 0 }, { "${A!}", "5", 0 },
	{ "$(x)", "4", WRDE_NOCMD }, { "`x`", "4", WRDE_NOCMD }, { "\"$(x)\"", "4", WRDE_NOCMD }, { "'$(x)'", "[$(x)]", WRDE_NOCMD },
	{ "$((1))", "[1]", WRDE_NOCMD }, { "$NONE", "3", WRDE_UNDEF }, { "${NONE}", "3", WRDE_UNDEF },
	{ "${NONE-x} $EMPTY", "[x]", WRDE_UNDEF },
};

static void word_expansion(void)
{
	char number[16];

	setenv("A", "value", 1);
	setenv("S", " a  b ", 1);
	setenv("EMPTY", "", 1);
	setenv("P", "a/b/c", 1);
	setenv("W", "*x", 1);
	setenv("N", "7", 1);
	setenv("G", "/tmp/words/*.c", 1);
	setenv("HOME", "/h", 1);
	unsetenv("NONE");
	unsetenv("IFS");
	mkdir("/tmp/words", 0755);
	put_file("/tmp/words/a.c", "", 0);
	put_file("/tmp/words/b.c", "", 0);
	put_file("/tmp/words/z.x", "", 0);
	snprintf(number, sizeof(number), "[%d]", (int)getpid());
	for (unsigned i = 0; i < sizeof(expansions) / sizeof(expansions[0]); i++) {
		const struct expected *e = &expansions[i];
		const char *are = words(e->text, e->flags);

		if (!ok(!strcmp(are, e->words ? e->words : number), "words %u", i))
			printf("# \"%s\": %s, not %s\n", e->text, are, e->words ? e->words : number);
	}
}

static void word_lists(void)
{
	char deep[1000] = "";
	wordexp_t list = { .we_offs = 2 };

	setenv("IFS", ":,", 1);
	setenv("S", "a::b,c d:", 1);
	ok(!strcmp(words("$S", 0), "[a][][b][c d]"), "IFS of other characters");
	setenv("IFS", "", 1);
	ok(!strcmp(words("$S x", 0), "[a::b,c d:][x]"), "an empty IFS");
	unsetenv("IFS");
	ok(wordexp("a b", &list, WRDE_DOOFFS) == 0 && list.we_wordc == 2 && !list.we_wordv[0] && !list.we_wordv[1] &&
	   !strcmp(list.we_wordv[3], "b") && !list.we_wordv[4], "WRDE_DOOFFS");
	ok(wordexp("c", &list, WRDE_DOOFFS | WRDE_APPEND) == 0 && list.we_wordc == 3 && !strcmp(list.we_wordv[2], "a") &&
	   !strcmp(list.we_wordv[4], "c") && !list.we_wordv[5], "WRDE_APPEND");
	ok(wordexp("d |", &list, WRDE_DOOFFS | WRDE_APPEND) == WRDE_BADCHAR && list.we_wordc == 3 &&
	   !strcmp(list.we_wordv[4], "c"), "an error leaves what was there");
	ok(wordexp("e", &list, WRDE_DOOFFS | WRDE_REUSE) == 0 && list.we_wordc == 1 && !strcmp(list.we_wordv[2], "e"),
	   "WRDE_REUSE");
	wordfree(&list);
	for (int i = 0; i < 200; i++)
		strcat(deep, "${N-");
	strcat(deep, "x");
	for (int i = 0; i < 200; i++)
		strcat(deep, "}");
	ok(!strcmp(words(deep, 0), "5"), "nested too deep");
}

/* --- amounts and dates ---------------------------------------------------------------------------------------- */

#define amount(...)	(strfmon(text, sizeof(text), __VA_ARGS__) < 0 ? "-1" : text)

static void amounts(void)
{
	const char *volatile wrong[] = { "%q", "%", "" };
	char text[64], small[5] = "";

	ok(!strcmp(amount("%n", 1234.567), "1234.57") && !strcmp(amount("[%i] %%", -0.5), "[-0.50] %"), "amounts");
	ok(!strcmp(amount("%#6n|%#6n", 12.0, -12.0), "     12.00|-    12.00"), "left precision: signs line up");
	ok(!strcmp(amount("%=*#6n", 12.0), " ****12.00") && !strcmp(amount("%.0n|%.4n", 2.5, 2.5), "2|2.5000"), "fill, right precision");
	ok(!strcmp(amount("%(n|%(#3n|", -1.0, 1.0), "(1.00)|   1.00 |"), "parentheses");
	ok(!strcmp(amount("%10n|%-10n|", 1.0, 1.0), "      1.00|1.00      |") && !strcmp(amount("%!^+n", 1.0), "1.00"), "width, flags");
	errno = 0;
	ok(strfmon(small, sizeof(small), "%n", 12.5) == -1 && errno == E2BIG, "E2BIG");
	ok(strfmon(small, sizeof(small), "%n", 1.5) == 4 && strfmon(small, 0, wrong[2]) == -1, "it fits to the last byte");
	ok(strfmon(text, sizeof(text), wrong[0], 1.0) == -1 && errno == EINVAL && strfmon(text, sizeof(text), wrong[1]) == -1, "EINVAL");
	ok(strfmon_l(text, sizeof(text), LC_GLOBAL_LOCALE, "%n", 3.0) == 4, "strfmon_l");
}

static void dates(void)
{
	static const char masks[] = "%m/%d/%Y %H:%M:%S\n\n%A\n%B\n%H:%M\n%d.%m.%Y\n%Y\n%B %Y\n%A in %B\n";
	time_t clock = time(NULL);
	struct tm now, *date;

	unsetenv("DATEMSK");
	ok(!getdate("x") && getdate_err == 1, "no DATEMSK");
	setenv("DATEMSK", "/tmp/no-masks", 1);
	ok(!getdate("x") && getdate_err == 2, "no file");
	setenv("DATEMSK", "/tmp", 1);
	ok(!getdate("x") && getdate_err == 4, "no regular file");
	put_file("/tmp/masks", masks, strlen(masks));
	setenv("DATEMSK", "/tmp/masks", 1);
	ok(!getdate("what?") && getdate_err == 7, "no template fits");
	ok(!getdate("30.2.2021") && getdate_err == 8, "no such day");
	date = getdate("02/29/2020 13:14:15");
	ok(date && date->tm_year == 120 && date->tm_mon == 1 && date->tm_mday == 29 && date->tm_hour == 13 && date->tm_min == 14 &&
	   date->tm_sec == 15 && date->tm_wday == 6 && date->tm_yday == 59, "all of a date");
	localtime_r(&clock, &now);
	date = getdate("friday");
	ok(date && date->tm_wday == 5 && (mktime(date) - clock + 60) / 86400 < 7 && mktime(date) >= clock - 1, "the next Friday");
	date = getdate("1999");
	ok(date && date->tm_year == 99 && date->tm_mon == 0 && date->tm_mday == 1, "a year: its first day");
	date = getdate("april");
	ok(date && date->tm_mon == 3 && date->tm_mday == 1 && date->tm_year == now.tm_year + (now.tm_mon > 3),
	   "a month to come");
	date = getdate("00:00");
	ok(date && date->tm_hour == 0 && date->tm_min == 0 && date->tm_sec == 0 && mktime(date) >= clock - 1, "an hour to come");
	date = getdate("monday in april");
	ok(date && date->tm_mon == 3 && date->tm_wday == 1 && date->tm_mday <= 7, "the first Monday of a month");
}

/* --- messages ------------------------------------------------------------------------------------------------- */

static void catalogues(void)
{
	/* Width 2, depth 1: set 1 (2 there) number 1 at 0, and number 2, which has the other place, at 6. */
	static const struct {
		uint32_t magic, width, depth, native[6], swapped[6];
		char texts[12];
	} file = {
		.magic = 0x960408de, .width = 2, .depth = 2, .native = { 2, 2, 6, 0, 0, 0 }, .texts = "hello\0world",
	}, good = {
		.magic = 0x960408de, .width = 1, .depth = 2, .native = { 2, 1, 0, 2, 2, 6 }, .texts = "hello\0world",
	};
	nl_catd c;

	put_file("/tmp/bad.cat", &file, sizeof(file));
	put_file("/tmp/exo.cat", &good, sizeof(good));
	errno = 0;
	ok(catopen("/tmp/none.cat", 0) == (nl_catd)-1 && errno == ENOENT, "no catalogue");
	ok(catopen("/tmp/bad.cat", 0) == (nl_catd)-1 && catopen("/tmp/masks", 0) == (nl_catd)-1 && catopen("/tmp", 0) == (nl_catd)-1,
	   "files that are none");
	setenv("NLSPATH", "/nowhere/%L/%N:/tmp/%N.cat", 1);
	c = catopen("exo", NL_CAT_LOCALE);
	ok(c != (nl_catd)-1 && !strcmp(catgets(c, 1, 1, "else"), "hello") && !strcmp(catgets(c, 1, 2, "else"), "world"), "messages");
	errno = 0;
	ok(!strcmp(catgets(c, 1, 3, "else"), "else") && errno == ENOMSG && !strcmp(catgets(c, -1, 1, "else"), "else") &&
	   !strcmp(catgets(c, INT_MAX, 1, "else"), "else"), "a message that is not there");
	ok(catclose(c) == 0 && catclose(c) == -1 && errno == EBADF && !strcmp(catgets(c, 1, 1, "else"), "else"), "closed");
	ok(catclose((nl_catd)-1) == -1 && !strcmp(catgets((nl_catd)-1, 1, 1, "else"), "else"), "never open");
}

static const char *shown(int expected, long class, const char *label, int severity, const char *text, const char *action,
    const char *tag)
{
	static char said[512];
	int fd = open("/tmp/shown", O_RDWR | O_CREAT | O_TRUNC, 0600), old = dup(2), result;
	ssize_t count;

	dup2(fd, 2);
	result = fmtmsg(class, label, severity, text, action, tag);
	dup2(old, 2);
	close(old);
	count = pread(fd, said, sizeof(said) - 1, 0);
	said[count > 0 ? count : 0] = '\0';
	close(fd);
	return result == expected ? said : "another result";
}

static void messages(void)
{
	unsetenv("MSGVERB");
	ok(!strcmp(shown(MM_OK, MM_PRINT | MM_SOFT, "UX:cat", MM_ERROR, "bad syntax", "see manual", "UX:cat:001"),
	    "UX:cat: ERROR: bad syntax\nTO FIX: see manual  UX:cat:001\n"), "a message");
	ok(!strcmp(shown(MM_OK, MM_PRINT, MM_NULLLBL, MM_INFO, "text", MM_NULLACT, MM_NULLTAG), "INFO: text\n"), "parts of it");
	ok(!strcmp(shown(MM_OK, 0, "UX:cat", MM_INFO, "text", NULL, NULL), ""), "nowhere");
	setenv("MSGVERB", "text:severity", 1);
	ok(!strcmp(shown(MM_OK, MM_PRINT, "UX:cat", MM_HALT, "text", "act", "tag"), "HALT: text\n"), "MSGVERB");
	setenv("MSGVERB", "text:nonsense", 1);
	ok(!strcmp(shown(MM_OK, MM_PRINT, "UX:cat", MM_NOSEV, "text", NULL, NULL), "UX:cat: text\n"), "a MSGVERB that is wrong");
	ok(!strcmp(shown(MM_NOTOK, MM_PRINT, "label", MM_HALT, "text", NULL, NULL), "") &&
	   !strcmp(shown(MM_NOTOK, MM_PRINT, "elevenchars:x", MM_HALT, "text", NULL, NULL), "") &&
	   !strcmp(shown(MM_NOTOK, MM_PRINT, "a:b", 9, "text", NULL, NULL), ""), "labels and severities that there are not");
}

/* --- streams, lists, the end ---------------------------------------------------------------------------------- */

static void wide_memory(void)
{
	wchar_t *text = NULL;
	size_t count = 77;
	FILE *stream = open_wmemstream(&text, &count);

	ok(stream && text && count == 0 && fwide(stream, 0) > 0, "open_wmemstream");
	ok(fwprintf(stream, L"%ls %d", L"\x20ac\x1f600", 42) == 5 && fflush(stream) == 0 && count == 5 &&
	   !wcscmp(text, L"\x20ac\x1f600 42"), "characters of no encoding");
	ok(fputwc_unlocked(L'y', stream) == L'y' && fputws_unlocked(L"z", stream) >= 0 && !wcscmp(text + 5, L"yz") &&
	   fseek(stream, 0, SEEK_SET) == 0 && fputws(L"\x20ac\x1f600 42", stream) >= 0, "with the lock held");
	ok(fseek(stream, 1, SEEK_SET) == 0 && putwc(L'x', stream) == L'x' && ftell(stream) == 2 && fflush(stream) == 0 && count == 2 &&
	   text[2] == L' ', "written over");
	ok(fseek(stream, 8, SEEK_SET) == 0 && fputws(L"end", stream) >= 0 && fflush(stream) == 0 && count == 11 && text[7] == 0 &&
	   !wcscmp(text + 8, L"end") && !text[11], "a gap of zeros");
	errno = 0;
	ok(fseek(stream, -1, SEEK_SET) == -1 && errno == EINVAL && getwc(stream) == WEOF && errno == EBADF, "errors");
	clearerr(stream);
	for (int i = 0; i < 10000; i++)
		putwc(L'a' + i % 26, stream);
	ok(fclose(stream) == 0 && count == 10011 && text[10010] == L'a' + 9999 % 26 && !text[10011], "much");
	free(text);
}

static void lists(void)
{
	struct netent *network;
	struct hostent *host;
	int count = 0;

	sethostent(1);
	while ((host = gethostent()) != NULL && count < 1000)
		count += host->h_addrtype == AF_INET && host->h_length == 4 && host->h_name && host->h_addr_list[0];
	endhostent();
	ok(count < 1000, "hosts, one after the other: %d", count);
	network = getnetbyname("LOOPBACK");
	ok(network && network->n_net == 127 && network->n_addrtype == AF_INET && !network->n_aliases[0], "a network by name");
	ok((network = getnetbyaddr(127, AF_INET)) != NULL && !strcmp(network->n_name, "loopback") &&
	   getnetbyaddr(127U << 24, AF_INET) && !getnetbyaddr(5, AF_INET) && !getnetbyname("none"), "and by number");
	setnetent(0);
	ok(getnetent() && !getnetent(), "one after the other");
	endnetent();
}

static void first(void)
{
	_exit(write(1, "# first\n", 8) == 8 ? 42 : 1);
}

static int calls;

static void last(void)
{
	calls++;
}

static void quick(void)
{
	int status = -1;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		at_quick_exit(first);
		at_quick_exit(last);
		at_quick_exit(last);
		printf("never seen\n");
		quick_exit(calls);
	}
	ok(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42, "quick_exit");
	pid = fork();
	if (!pid)
		quick_exit(7);
	ok(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7, "its status");
}

static void generic(void)
{
	float f = 2;
	double complex z = -1;
	int i = 2, e;

	ok(sizeof(sqrt(f)) == 4 && sizeof(sqrt(2.0L)) == 16 && sizeof(sqrt(i)) == 8 && sizeof(pow(f, 2.0)) == 8, "types");
	ok(sqrt(f) == sqrtf(2) && sqrt(2.0L) == sqrtl(2) && cimag(sqrt(z)) == 1 && fabs(z) == 1 && frexp(8.0f, &e) == 0.5f && e == 4 &&
	   creal(conj(z)) == -1 && (nexttoward)(1.0, 2.0L) == nexttoward(1.0, 2.0L), "values");
}

static void sets(void)
{
	sigset_t one, other, both;

	sigemptyset(&one);
	sigemptyset(&other);
	sigaddset(&one, SIGINT);
	sigaddset(&one, SIGHUP);
	sigaddset(&other, SIGHUP);
	ok(sigandset(&both, &one, &other) == 0 && sigismember(&both, SIGHUP) && !sigismember(&both, SIGINT) && !sigisemptyset(&both) &&
	   sigorset(&both, &both, &one) == 0 && sigismember(&both, SIGINT) && sigemptyset(&both) == 0 && sigisemptyset(&both),
	   "sets of signals");
}

static void locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_pid = -1 };
	int fd = open("/tmp/masks", O_RDWR), status = -1;
	pid_t parent = getpid(), pid;

	fcntl(fd, F_SETLK, &lock);
	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == parent ? 0 : 1);
	ok(sizeof(lock.l_pid) == sizeof(pid_t) && waitpid(pid, &status, 0) == pid && status == 0, "who holds a lock");
	close(fd);
}

int main(void)
{
	word_expansion();
	word_lists();
	amounts();
	dates();
	catalogues();
	messages();
	wide_memory();
	lists();
	quick();
	generic();
	sets();
	locks();
	return tap_done();
}
