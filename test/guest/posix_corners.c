/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Corners of functions that picolibc has otherwise, or that others' suites ask for: strftime with its flags and widths,
 * strtok_r behind the end, alignments, the end of a wide stream, patterns of characters; of threads: what has ended and is not joined, values in
 * a child of fork, conditions and signals, conditions that are destroyed when all were woken, cancellation at sem_open, who is put off by a higher priority.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <locale.h>
#include <malloc.h>
#include <pthread.h>
#include <regex.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include "test/guest/tap.h"

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static const struct tm january = { .tm_year = 116, .tm_mday = 3, .tm_hour = 13, .tm_min = 23, .tm_sec = 45, .tm_yday = 2 };

/* Narrow and wide. */
static bool makes(const char *format, const struct tm *tm, const char *wanted)
{
	char text[200], narrow[200];
	wchar_t wide_format[100], wide[200];
	size_t length = strftime(text, sizeof(text), format, tm), wide_length;

	mbstowcs(wide_format, format, 100);
	wide_length = wcsftime(wide, 200, wide_format, tm);
	wcstombs(narrow, wide, sizeof(narrow));
	if (length == strlen(wanted) && wide_length == length && !strcmp(text, wanted) && !strcmp(narrow, wanted))
		return true;
	printf("# %s: \"%s\" and \"%s\", not \"%s\"\n", format, text, narrow, wanted);
	return false;
}

static void each_conversion(void)
{
	const struct tm *tm = &january;

	ok(makes("%a %A %b %B %h", tm, "Sun Sunday Jan January Jan") && makes("%p %P %n%t%%", tm, "PM pm \n\t%"), "names");
	ok(makes("%d %e %H %I %j %k %l %m %M %S %u %w %y", tm, "03  3 13 01 003 13  1 01 23 45 7 0 16"), "numbers");
	ok(makes("%c|%D|%F|%r|%R|%T|%x|%X", tm, "Sun Jan  3 13:23:45 2016|01/03/16|2016-01-03|01:23:45 PM|13:23|13:23:45|"
		 "01/03/16|13:23:45"), "what is made of others");
	ok(makes("%G %g %V %U %W %C %Y", tm, "2015 15 53 01 00 20 2016"), "weeks, centuries");
	ok(makes("%EY%Ox%OH", tm, "201601/03/1613") && makes("%", tm, "%") && makes("a%Qb%E", tm, "a%Qb%E"),
	   "modifiers; what is no conversion stays");
	ok(makes("%-d %_H %-j %^a %#Z", &(struct tm){ .tm_mday = 5, .tm_wday = 1 }, "5  0 1 MON utc"), "GNU's flags");
	ok(makes("%a%b", &(struct tm){ .tm_wday = 9, .tm_mon = -1 }, "??"), "no day and no month");
}

static void weeks(void)
{
	static const struct {
		int year, day_of_year, weekday;
		const char *is;
	} cases[] = {
		{ 104, 0, 4, "2004-01" }, { 104, 365, 5, "2004-53" }, { 105, 0, 6, "2004-53" }, { 105, 364, 6, "2005-52" },
		{ 106, 0, 0, "2005-52" }, { 108, 364, 2, "2009-01" }, { 108, 365, 3, "2009-01" }, { 110, 3, 1, "2010-01" },
	};
	bool right = true;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		right &= makes("%G-%V", &(struct tm){ .tm_year = cases[i].year, .tm_yday = cases[i].day_of_year,
						      .tm_wday = cases[i].weekday }, cases[i].is);
	ok(right, "weeks of ISO 8601 where years meet");
}

static void widths(void)
{
	const struct tm *tm = &january;
	struct tm far = { .tm_year = 12345 - 1900, .tm_mon = 11, .tm_mday = 31 }, zero = { .tm_year = -1900, .tm_mday = 1 };
	struct tm before = { .tm_year = -123 - 1900, .tm_mday = 1 };
	char text[8];

	ok(makes("%03C %+3C %+4Y %+5Y %05Y %012F %+10F %+11F %10F %3F", tm,
		 "020 +20 2016 +2016 02016 002016-01-03 2016-01-03 +2016-01-03 2016-01-03 2016-01-03"),
	   "0 and +");
	ok(makes("%+4Y %F %Y %+3C", &far, "+12345 +12345-12-31 12345 +123"), "years of five digits");
	ok(makes("%Y %04Y %C %y %F", &zero, "0 0000 00 00 0000-01-01"), "the year 0");
	ok(makes("%Y %05Y %F", &before, "-123 -0123 -123-01-01"), "a year before it");
	ok(makes("%10a|%5%", tm, "       Sun|    %"), "names of a width");
	ok(strftime(text, 5, "%Y", tm) == 4 && !strftime(text, 4, "%Y", tm) && !strftime(text, 8, "%2000000000d", tm) &&
	   !strftime(text, 0, "%a", tm), "what has no room");
}

static void zones(void)
{
	struct tm tm = { .tm_gmtoff = 0 }, own = { .tm_isdst = 0, .tm_year = 100, .tm_mday = 1, .tm_zone = (const char *)1 };
	time_t when = 1625155200;

	setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1);
	ok(localtime_r(&when, &tm) && makes("%z %Z %s", &tm, "-0400 EDT 1625155200"), "a zone in summer");
	ok(gmtime_r(&when, &tm) && makes("%z %Z", &tm, "+0000 GMT"), "of Greenwich");
	ok(makes("%z %Z", &own, "-0500 EST"), "of who says only tm_isdst, with a name that is none");
	own.tm_isdst = -1;
	ok(makes("%z%Z", &own, ""), "of who knows none");
	memset(&tm, 0, sizeof(tm));
	ok(strptime("+0530", "%z", &tm) && makes("%z", &tm, "+0530"), "what strptime has read");
	for (int i = 0; i < 3; i++) {
		setenv("TZ", i == 0 ? "UTC" : i == 1 ? "" : "Europe/Berlin", 1);
		tzset();
		ok(!strcmp(tzname[0], "UTC") && !timezone && localtime_r(&when, &tm) && makes("%z %Z %H", &tm, "+0000 UTC 16"),
		   "UTC where TZ says nothing that is known: \"%s\"", getenv("TZ"));
	}
	setenv("TZ", "UTC0", 1);
	tzset();
}

static void words(void)
{
	char text[] = ",a,,b", plain[] = "x y", *place = NULL;

	ok(!strcmp(strtok_r(text, ",", &place), "a") && !strcmp(strtok_r(NULL, ",", &place), "b") && !strtok_r(NULL, ",", &place) &&
	   place == text + 5 && !strtok_r(NULL, ",", &place), "strtok_r stays at the end");
	ok(!strcmp(strtok(plain, " "), "x") && !strcmp(strtok(NULL, ""), "y") && !strtok(NULL, " ") && !strtok(NULL, " "), "strtok");
}

static void alignments(void)
{
	void *memory = &memory, *aligned = aligned_alloc(4096, 10), *again = memalign(256, 0);

	ok(aligned && !((uintptr_t)aligned % 4096) && again && !((uintptr_t)again % 256), "aligned memory");
	free(aligned);
	free(again);
	errno = 7;
	ok(posix_memalign(&memory, 1UL << 62, 1) == ENOMEM && posix_memalign(&memory, 64, SIZE_MAX - 10) == ENOMEM &&
	   posix_memalign(&memory, 4, 1) == EINVAL && posix_memalign(&memory, 24, 1) == EINVAL &&
	   posix_memalign(&memory, 0, 1) == EINVAL && memory == &memory && errno == 7, "posix_memalign refuses");
	errno = 0;
	ok(!aligned_alloc(SIZE_MAX, 4096) && errno == EINVAL && !memalign(1UL << 63, 1) && errno == ENOMEM, "and the others");
	ok(!posix_memalign(&memory, 64, 100) && !((uintptr_t)memory % 64), "posix_memalign");
	free(memory);
}

static void wide_end(void)
{
	FILE *reader = fopen("/tmp/corners", "w+"), *writer = fopen("/tmp/corners", "a");

	fputs("a", writer);
	fflush(writer);
	ok(fgetwc(reader) == L'a' && fgetwc(reader) == WEOF && feof(reader), "a wide stream's end");
	fputs("b", writer);
	fflush(writer);
	ok(fgetwc(reader) == WEOF, "it stays there, though there is more");
	clearerr(reader);
	ok(fgetwc(reader) == L'b' && fgetwc(reader) == WEOF && ungetwc(L'c', reader) == L'c' && fgetwc(reader) == L'c',
	   "until it is cleared, or something is put back");
	fclose(reader);
	fclose(writer);
	unlink("/tmp/corners");
}

/* Who may write to a set of semaphores, and not read it, may set its values. */
static void write_only(void)
{
	unsigned short values[] = { 1, 2, 3 }, seen[3] = { 0 };
	int id = semget(IPC_PRIVATE, 3, 0222), status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		bool right = setuid(65534) == 0 && !semctl(id, 0, SETALL, (union semun){ .array = values });

		right = right && semctl(id, 0, GETALL, (union semun){ .array = seen }) == -1 && errno == EACCES;
		_exit(!right);
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0 && !semctl(id, 0, GETALL, (union semun){ .array = seen }) &&
	   !memcmp(values, seen, sizeof(seen)), "SETALL of who may only write");
	semctl(id, 0, IPC_RMID);
}

/* --- patterns ------------------------------------------------------------------------------------------------- */

/* Where it matches, and its first part; -1: nowhere. */
static bool finds(const char *pattern, const char *text, int flags, int begin, int end)
{
	regmatch_t match[2] = { { -1, -1 }, { -1, -1 } };
	regex_t regex;
	int result = regcomp(&regex, pattern, flags);

	if (result) {
		printf("# %s: %d\n", pattern, result);
		return false;
	}
	result = regexec(&regex, text, 2, match, 0);
	regfree(&regex);
	if (result == (begin < 0 ? REG_NOMATCH : 0) && (begin < 0 || (match[0].rm_so == begin && match[0].rm_eo == end)))
		return true;
	printf("# %s in %s: %d, %d to %d\n", pattern, text, result, (int)match[0].rm_so, (int)match[0].rm_eo);
	return false;
}

static void characters(void)
{
	ok(finds("^.$", "\303\251", 0, 0, 2) && finds("a.b", "xa\342\202\254b", 0, 1, 6) && finds("..", "\303\251", 0, -1, 0) &&
	   finds("^.{3}$", "a\303\251\360\237\230\200", REG_EXTENDED, 0, 7), "a period is a character");
	ok(finds("[\303\251]", "x\303\251", 0, 1, 3) && finds("[^a]b", "\303\251b", 0, 0, 3) && finds("[\303\240-\303\277]+", "a\303\251\303\250b",
	   REG_EXTENDED, 1, 5) && finds("[^\303\251]", "\303\251", 0, -1, 0) && finds("[\303\251]", "\303\250", 0, -1, 0) &&
	   finds("[\303\251]", "e", 0, -1, 0) && finds("[^\303\251]", "e", 0, 0, 1), "lists and ranges of characters");
	ok(finds("[[:alpha:]]+", "1\303\251a\342\202\254", REG_EXTENDED, 1, 4) && finds("[[:upper:]]", "\303\251\303\211", 0, 2, 4) &&
	   finds("[[=\303\251=]]", "\303\251", 0, 0, 2) && finds("[[.\303\251.]]", "\303\251", 0, 0, 2), "classes");
	ok(finds("\303\211t\303\251", "\303\251T\303\211", REG_ICASE, 0, 5) && finds("[\303\200-\303\237]", "\303\251", REG_ICASE, 0, 2) &&
	   finds("\303\211", "\303\251", 0, -1, 0), "of either case");
	ok(finds("\303\251*x", "a\303\251\303\251x", 0, 1, 6) && finds("\303\251{2}", "\303\251\303\251", REG_EXTENDED, 0, 4) &&
	   finds("\\\303\251", "\303\251", 0, 0, 2) && finds("\\(.\\)\\1", "a\303\251\303\251", 0, 1, 5), "repeated, quoted, and again");
	ok(finds("a.c", "a\377c", 0, 0, 3) && finds("\377", "a\377", 0, 1, 2) && finds("[\377]", "\303\277", 0, -1, 0), "bytes that are no character");
}

static void others_of_patterns(void)
{
	char many[200 * 3 + 2] = "";
	regmatch_t match = { 2, 6 };
	regex_t regex;
	wchar_t c;

	ok(regcomp(&regex, "[\303\251-a]", 0) == REG_ERANGE && regcomp(&regex, "[[.\303\251a.]]", 0) == REG_ECOLLATE, "wrong lists");
	regcomp(&regex, ".", 0);
	ok(!regexec(&regex, "aa\303\251bb", 1, &match, REG_STARTEND) && match.rm_so == 2 && match.rm_eo == 4, "a part of a text");
	regfree(&regex);
	regcomp(&regex, "(.)(x)", REG_EXTENDED | REG_NOSUB);
	ok(regex.re_nsub == 2 && !regexec(&regex, "\303\251x", 0, NULL, 0) && regexec(&regex, "x", 0, NULL, 0) == REG_NOMATCH, "no parts wanted");
	regfree(&regex);
	regcomp(&regex, "b+", REG_EXTENDED);
	ok(!regexec(&regex, "\303\251b", 0, NULL, REG_STARTEND) && regexec(&regex, "\303\251", 0, NULL, REG_STARTEND) == REG_NOMATCH,
	   "without a range, all of the text");
	regfree(&regex);
	for (c = 0x4e00; c < 0x4e00 + 200; c++)
		wctomb(many + strlen(many), c);
	ok(finds("x", many, 0, -1, 0) && finds(".x", strcat(many, "x"), 0, 599, 601), "of too many characters, bytes");
	ok(!fnmatch("?", "\303\251", 0) && !fnmatch("a[\303\240-\303\277]*", "a\303\251b", 0) && fnmatch("??", "\303\251", 0) &&
	   !fnmatch("*\303\251", "\303\251\303\251", 0) && !fnmatch("\303\211", "\303\251", FNM_CASEFOLD) && !fnmatch("[!a]", "\303\251", 0) &&
	   !fnmatch("\\\303\251", "\303\251", 0) && !fnmatch("\377?", "\377a", 0) && fnmatch("[\303]", "\303\251", 0), "fnmatch");
	setlocale(LC_ALL, "C");
	ok(finds(".", "\303\251", 0, 0, 1) && finds("[\251]", "\303\251", 0, 1, 2) && !fnmatch("??", "\303\251", 0), "bytes in the locale C");
	setlocale(LC_ALL, "C.UTF-8");
}

/* --- threads -------------------------------------------------------------------------------------------------- */

static pthread_key_t key;
static sem_t told;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static volatile int handled, woken;

static void handler(int number)
{
	(void)number;
	handled++;
}

static void *ends(void *arg)
{
	return arg;
}

static void *sets_value(void *arg)
{
	pthread_setspecific(key, arg);
	sem_post(&told);
	while (pause() < 0)
		;
	return NULL;
}

static void *gets_value(void *arg)
{
	(void)arg;
	return pthread_getspecific(key);
}

static void ended(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, ends, NULL);
	usleep(20000);
	ok(!pthread_kill(thread, 0) && !pthread_kill(thread, SIGUSR1) && pthread_kill(thread, 99) == EINVAL,
	   "a thread that has ended has its name until it is joined");
	pthread_join(thread, NULL);
}

static void values_after_fork(void)
{
	pthread_t thread;
	void *value = &key;
	int status = -1;
	pid_t pid;

	pthread_key_create(&key, NULL);
	pthread_create(&thread, NULL, sets_value, &key);
	sem_wait(&told);
	pid = fork();
	if (pid == 0) {
		pthread_create(&thread, NULL, gets_value, NULL);
		pthread_join(thread, &value);
		_exit(value != NULL);
	}
	ok(waitpid(pid, &status, 0) == pid && status == 0, "a new thread in a child of fork has no values of another's");
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	pthread_key_delete(key);
}

static void *waits_for(void *sem)
{
	sem_post(&told);
	return sem_wait(sem) ? sem : NULL;
}

/* Who was let go of a semaphore is not blocked on it any more, even if it has not run since. */
static void destroyed_semaphore(void)
{
	pthread_t thread;
	void *result = &key;
	bool busy = true, gone = true;
	sem_t sem;

	for (int i = 0; i < 50; i++) {
		sem_init(&sem, 0, 0);
		pthread_create(&thread, NULL, waits_for, &sem);
		sem_wait(&told);
		if (i & 1) {
			usleep(1000);
			busy = busy && sem_destroy(&sem) < 0 && errno == EBUSY;
		}
		gone = gone && !sem_post(&sem) && !sem_destroy(&sem);
		memset(&sem, 0xff, sizeof(sem));
		gone = gone && !pthread_join(thread, &result) && !result;
	}
	ok(busy, "a semaphore that somebody waits for is not destroyed");
	ok(gone, "one whose waiter was let go is");
}

static void *waits(void *arg)
{
	pthread_mutex_lock(&mutex);
	sem_post(&told);
	*(int *)arg = pthread_cond_wait(&cond, &mutex);
	woken++;
	pthread_mutex_unlock(&mutex);
	return NULL;
}

static void condition_and_signal(int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	pthread_t thread;
	int result = -1;

	handled = woken = 0;
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, waits, &result);
	sem_wait(&told);
	for (int i = 0; i < 3; i++) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
		pthread_kill(thread, SIGUSR1);
		usleep(10000);
	}
	ok(handled == 3 && !woken, "handlers do not end the wait for a condition");
	pthread_mutex_lock(&mutex);
	pthread_kill(thread, SIGUSR1);
	pthread_cond_signal(&cond);
	pthread_mutex_unlock(&mutex);
	pthread_join(thread, NULL);
	ok(woken == 1 && result == 0, "the condition's signal does");
}

struct reused {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	volatile int waiting, go;
};

static void *waits_there(void *arg)
{
	struct reused *in = arg;

	pthread_mutex_lock(&in->mutex);
	in->waiting++;
	while (!in->go)
		pthread_cond_wait(&in->cond, &in->mutex);
	in->waiting--;
	pthread_mutex_unlock(&in->mutex);
	return NULL;
}

/* All are woken; the condition is destroyed before one of them has run, and its memory becomes `byte`, and stays so. */
static bool destroyed_early(struct reused *in, int byte, bool processes)
{
	pthread_t thread[5];
	pthread_cond_t after;
	pid_t pid[5];
	bool good = true;

	in->waiting = in->go = 0;
	for (int i = 0; i < 5; i++) {
		if (!processes)
			pthread_create(&thread[i], NULL, waits_there, in);
		else if ((pid[i] = fork()) == 0)
			_exit(waits_there(in) != NULL);
	}
	pthread_mutex_lock(&in->mutex);
	while (in->waiting < 5) {
		pthread_mutex_unlock(&in->mutex);
		usleep(1000);
		pthread_mutex_lock(&in->mutex);
	}
	in->go = 1;
	pthread_cond_broadcast(&in->cond);
	pthread_mutex_unlock(&in->mutex);
	good = !pthread_cond_destroy(&in->cond);
	memset(&in->cond, byte, sizeof(in->cond));
	memset(&after, byte, sizeof(after));
	for (int i = 0; i < 5; i++)
		if (processes)
			waitpid(pid[i], NULL, 0);
		else
			pthread_join(thread[i], NULL);
	return good && !in->waiting && !memcmp(&in->cond, &after, sizeof(after));
}

static void destroyed_when_woken(void)
{
	struct reused *in = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t mutex_how;
	pthread_condattr_t how;
	bool good = true;

	alarm(20);
	for (int byte = 0; byte < 256; byte += 0xff) {
		pthread_mutex_init(&in->mutex, NULL);
		pthread_cond_init(&in->cond, NULL);
		good = destroyed_early(in, byte, false) && good;
	}
	ok(good, "a condition is destroyed when all were woken, and its memory used for something else");
	pthread_mutexattr_init(&mutex_how);
	pthread_condattr_init(&how);
	pthread_mutexattr_setpshared(&mutex_how, PTHREAD_PROCESS_SHARED);
	pthread_condattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
	good = true;
	for (int byte = 0; byte < 256; byte += 0xff) {
		pthread_mutex_init(&in->mutex, &mutex_how);
		pthread_cond_init(&in->cond, &how);
		good = destroyed_early(in, byte, true) && good;
	}
	ok(good, "and one of processes");
	alarm(0);
	munmap(in, 4096);
}

static int initialized;

static void initializes(void)
{
	initialized++;
}

static void once_again(void)
{
	pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, initializes);
	pthread_once(&once, initializes);
	once = PTHREAD_ONCE_INIT;
	pthread_once(&once, initializes);
	ok(initialized == 2, "what is done once is done again when it is assigned its initializer");
}

static void *opens(void *arg)
{
	sem_t *sem;

	(void)arg;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	sem_wait(&told);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	sem_unlink("/corners");
	sem = sem_open("/corners", O_CREAT, 0600, 1);
	sem_unlink("/corners");
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	sem_close(sem);
	return NULL;
}

static void cancelled_at_open(void)
{
	pthread_t thread;
	void *result = &told;

	pthread_create(&thread, NULL, opens, NULL);
	pthread_cancel(thread);
	sem_post(&told);
	pthread_join(thread, &result);
	ok(result == NULL, "sem_open and sem_unlink are no cancellation points");
}

static char order[8];
static sem_t high_may;

static void note(char what)
{
	order[strlen(order)] = what;
}

static void *high(void *arg)
{
	(void)arg;
	sem_wait(&high_may);
	note('h');
	return NULL;
}

static void *first(void *arg)
{
	(void)arg;
	note('1');
	sem_post(&high_may);		/* the high one runs at once, and this one after it, before its equal */
	note('2');
	sched_yield();
	note('4');
	return NULL;
}

static void *equal(void *arg)
{
	(void)arg;
	note('3');
	return NULL;
}

static void put_off(void)
{
	void *(*const work[])(void *) = { high, first, equal };
	struct sched_param parameter;
	pthread_attr_t attributes;
	pthread_t thread[3];

	sem_init(&high_may, 0, 0);
	pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){ 20 });
	pthread_attr_init(&attributes);
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
	for (int i = 0; i < 3; i++) {
		parameter.sched_priority = i ? 5 : 10;
		pthread_attr_setschedparam(&attributes, &parameter);
		pthread_create(&thread[i], &attributes, work[i], NULL);
	}
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	ok(!strcmp(order, "1h234"), "who is put off by a higher priority stays the first of its own");
	pthread_setschedparam(pthread_self(), SCHED_OTHER, &(struct sched_param){ 0 });
}

int main(void)
{
	setenv("TZ", "UTC0", 1);
	tzset();
	sem_init(&told, 0, 0);
	each_conversion();
	weeks();
	widths();
	zones();
	words();
	alignments();
	wide_end();
	write_only();
	setlocale(LC_ALL, "C.UTF-8");
	characters();
	others_of_patterns();
	ended();
	values_after_fork();
	destroyed_semaphore();
	condition_and_signal(0);
	condition_and_signal(SA_RESTART);
	destroyed_when_woken();
	once_again();
	cancelled_at_open();
	put_off();
	return tap_done();
}
