/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times, encodings and numbers at their corners: mktime where the clock is put forward and back and where years are out
 * of range, gmtime against a reckoning of its own, iconv, nl_langinfo, getsubopt, powl, log2 and the gamma function;
 * what of the FPU's state a request must leave.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fenv.h>
#include <float.h>
#include <iconv.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "test/guest/tap.h"

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

/* mktime's result for local time of 2021; *tm is what became of it. */
static long long local(struct tm *tm, int month, int day, int hour, int minute, int isdst)
{
	*tm = (struct tm){ .tm_year = 121, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_isdst = isdst };
	return mktime(tm);
}

static bool is(const struct tm *tm, int hour, int minute, int isdst)
{
	return tm->tm_hour == hour && tm->tm_min == minute && tm->tm_isdst == isdst;
}

static void summer(void)
{
	struct tm tm;

	zone("EST5EDT,M3.2.0,M11.1.0");
	ok(local(&tm, 7, 1, 12, 0, -1) == 1625155200 && is(&tm, 12, 0, 1) && tm.tm_gmtoff == -4 * 3600 && !strcmp(tm.tm_zone, "EDT"),
	   "summer");
	ok(local(&tm, 1, 1, 12, 0, -1) == 1609520400 && is(&tm, 12, 0, 0), "winter");
	ok(local(&tm, 7, 1, 12, 0, 0) == 1625158800 && is(&tm, 13, 0, 1), "winter's time in summer");
	ok(local(&tm, 1, 1, 12, 0, 1) == 1609516800 && is(&tm, 11, 0, 0), "summer's in winter");
	ok(local(&tm, 3, 14, 2, 30, 0) == 1615707000 && is(&tm, 3, 30, 1), "an hour that there is not, as winter's");
	ok(local(&tm, 3, 14, 2, 30, 1) == 1615703400 && is(&tm, 1, 30, 0), "as summer's");
	ok(local(&tm, 3, 14, 2, 30, -1) == 1615707000 && is(&tm, 3, 30, 1), "as whichever");
	ok(local(&tm, 11, 7, 1, 30, 1) == 1636263000 && is(&tm, 1, 30, 1) && local(&tm, 11, 7, 1, 30, 0) == 1636266600 &&
	   is(&tm, 1, 30, 0), "an hour that comes twice");
	zone("NZST-12NZDT,M9.5.0,M4.1.0/3");
	ok(local(&tm, 1, 1, 0, 0, -1) == 1609412400 && is(&tm, 0, 0, 1) && local(&tm, 7, 1, 0, 0, -1) == 1625054400 &&
	   is(&tm, 0, 0, 0), "in the south");
	zone("UTC0");
}

static void range(void)
{
	struct tm tm = { .tm_year = INT_MAX, .tm_mon = 11, .tm_mday = 31, .tm_hour = 23, .tm_min = 59, .tm_sec = 59 };
	time_t late = 67768036191676799, early = -67768040609740800;

	ok(mktime(&tm) == late && tm.tm_year == INT_MAX && tm.tm_yday == 364, "the last second");
	tm.tm_sec++;
	errno = 0;
	ok(mktime(&tm) == -1 && errno == EOVERFLOW && tm.tm_sec == 60, "is the last");
	tm = (struct tm){ .tm_year = INT_MIN, .tm_mday = 1 };
	ok(mktime(&tm) == early && timegm(&tm) == early && gmtime(&late) && gmtime(&early), "and the first");
	late++;
	early--;
	errno = 0;
	ok(!gmtime_r(&late, &tm) && errno == EOVERFLOW && !localtime_r(&early, &tm) && !gmtime(&early), "EOVERFLOW");
	tm = (struct tm){ .tm_year = 70, .tm_mon = 13, .tm_mday = -5, .tm_hour = 25, .tm_min = -61, .tm_sec = 3601 };
	ok(mktime(&tm) == 33782341 + 3600 && tm.tm_year == 71 && tm.tm_mon == 0 && tm.tm_mday == 27 && tm.tm_hour == 0 &&
	   tm.tm_wday == 3 && tm.tm_yday == 26, "members out of range");
	tm = (struct tm){ .tm_year = 69, .tm_mon = 11, .tm_mday = 31, .tm_hour = 23, .tm_min = 59, .tm_sec = 59, .tm_wday = -1 };
	ok(mktime(&tm) == -1 && tm.tm_wday == 3, "a second before 1970");
}

/* Days one after the other over years of all kinds, also before the year 0. */
static void days(void)
{
	static const signed char months[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	time_t when = -63113904000;	/* the first of January of the year -30 */
	unsigned bad = 0;
	struct tm tm;

	for (int year = -30; year < 2101; year += year == 110 ? 1780 : 1) {
		bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

		if (year == 1890)
			when = -2524521600;
		for (int month = 0, yday = 0; month < 12; month++)
			for (int day = 1; day <= months[month] + (month == 1 && leap); day++, yday++, when += 86400) {
				bad += !gmtime_r(&when, &tm) || tm.tm_year != year - 1900 || tm.tm_mon != month ||
				    tm.tm_mday != day || tm.tm_yday != yday || timegm(&tm) != when || mktime(&tm) != when;
			}
	}
	ok(!bad, "each day of 350 years, there and back: %u are wrong", bad);
}

/* --- encodings ------------------------------------------------------------------------------------------------ */

/* What becomes of a text, in hexadecimal, and iconv's result; "?" and errno where it fails. */
static const char *converted(const char *to, const char *from, const char *text, size_t bytes, size_t room)
{
	static char said[256];
	iconv_t converter = iconv_open(to, from);
	char out[64], *in = (char *)text, *at = out;
	size_t lost, count = 0;

	if (converter == (iconv_t)-1)
		return "none";
	errno = 0;
	lost = iconv(converter, &in, &bytes, &at, &room);
	for (char *byte = out; byte < at; byte++)
		count += (size_t)sprintf(said + count, "%02x", (unsigned char)*byte);
	sprintf(said + count, lost == (size_t)-1 ? " ?%d" : " %d", lost == (size_t)-1 ? errno : (int)lost);
	iconv_close(converter);
	return said;
}

static void encodings(void)
{
	static const struct {
		const char *to, *from, *text, *is;
		unsigned bytes, room;
	} table[] = {
		{ "UTF-16LE", "utf8", "a\xe2\x82\xac", "6100ac20 0", 4, 60 }, { "UTF-16BE", "UTF-8", "\xf0\x9f\x98\x80", "d83dde00 0", 4, 60 },
		{ "UTF-16", "UTF-8", "ab", "fffe61006200 0", 2, 60 }, { "UTF-8", "UTF-16", "\xfe\xff\0a", "61 0", 4, 60 },
		{ "UTF-8", "UTF-16", "\xff\xfe" "a\0", "61 0", 4, 60 }, { "UTF-8", "UTF-16BE", "\xd8\x3d\xde\x00", "f09f9880 0", 4, 60 },
		{ "WCHAR_T", "UTF-8", "\xe2\x82\xac", "ac200000 0", 3, 60 }, { "UTF-32BE", "latin1", "\xe9", "000000e9 0", 1, 60 },
		{ "ISO-8859-15", "UTF-8", "\xe2\x82\xac", "a4 0", 3, 60 }, { "UTF-8", "CP1252", "\x80\x99", "e282ace284a2 0", 2, 60 },
		{ "iso_8859-1", "UTF-8", "\xc3\xa9", "e9 0", 2, 60 }, { "ASCII", "UTF-8", "a\xc3\xa9", "61 ?138", 3, 60 },
		{ "ASCII//TRANSLIT", "UTF-8", "a\xc3\xa9" "b", "613f62 1", 4, 60 }, { "ASCII//IGNORE", "UTF-8", "a\xc3\xa9" "b", "6162 1", 4, 60 },
		{ "UTF-16LE", "UTF-8", "a\xe2\x82", "6100 ?22", 3, 60 }, { "UTF-16LE", "UTF-8", "\xc0\x80", " ?138", 2, 60 },
		{ "UTF-8", "UTF-16LE", "\x00\xdc", " ?138", 2, 60 }, { "UTF-8", "UTF-16LE", "\x3d\xd8", " ?22", 2, 60 },
		{ "UTF-16LE", "UTF-8", "ab", "6100 ?7", 2, 3 }, { "UCS-2LE", "UTF-8", "\xf0\x9f\x98\x80", " ?138", 4, 60 },
		{ "UTF-8", "CP1252", "\x81", " ?138", 1, 60 }, { "nothing", "UTF-8", "", "none", 0, 60 }, { "UTF-8", "none", "", "none", 0, 60 },
	};
	iconv_t converter;

	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *said = converted(table[i].to, table[i].from, table[i].text, table[i].bytes, table[i].room);

		if (!ok(!strcmp(said, table[i].is), "%s to %s", table[i].from, table[i].to))
			printf("# %s, not %s\n", said, table[i].is);
	}
	converter = iconv_open("UTF-16", "UTF-8");
	ok(iconv(converter, NULL, NULL, NULL, NULL) == 0 && iconv_close(converter) == 0, "begun anew");
	setlocale(LC_ALL, "C.UTF-8");
	ok(!strcmp(nl_langinfo(CODESET), "UTF-8") && !strcmp(converted("", "latin1", "\xe9", 1, 9), "c3a9 0"), "the locale's is UTF-8");
	setlocale(LC_ALL, "C");
	ok(!strcmp(converted("", "UTF-8", "\xc3\xa9", 2, 9), " ?138"), "and ASCII in C");
}

/* --- numbers, options ----------------------------------------------------------------------------------------- */

static int raised(void)
{
	return fetestexcept(FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW);
}

static void numbers(void)
{
	volatile long double big = 1e308L, half = 0.5L, minus = -3, infinite = HUGE_VALL;
	volatile double nothing = NAN;

	feclearexcept(FE_ALL_EXCEPT);
	ok(powl(minus, big) == HUGE_VALL && raised() == FE_OVERFLOW, "an enormous even power");
	feclearexcept(FE_ALL_EXCEPT);
	ok(powl(half, big) == 0 && raised() == FE_UNDERFLOW, "of less than one");
	feclearexcept(FE_ALL_EXCEPT);
	ok(powl(minus, -big) == 0 && !signbit(powl(minus, -big)) && powl(-half, -big) == HUGE_VALL, "and its inverse");
	feclearexcept(FE_ALL_EXCEPT);
	ok(powl(infinite, big) == HUGE_VALL && powl(-infinite, big) == HUGE_VALL && powl(infinite, -big) == 0 && powl(-1.0L, big) == 1 &&
	   powl(1.0L, big) == 1 && powl(0.0L, big) == 0 && powl(minus, 3.0L) == -27 && !raised(), "and what needs none");
	ok(isnan(log2(nothing)) && isnan(log2f((float)nothing)) && !raised(), "log2 of no number raises nothing");
}

static void gamma_function(void)
{
	volatile double minus = -1, zero = 0, far = 171.7, below = -200.5, infinite = HUGE_VAL;
	volatile long double longest = LDBL_MAX, nothing = NAN;
	double whole = 1;
	bool exact = true;

	for (int i = 1; i < 23; i++, whole *= i - 1)
		exact &= tgamma(i) == whole;
	ok(exact && tgamma(0.5) == 0x1.c5bf891b4ef6bp0 && tgamma(-0.5) == -0x1.c5bf891b4ef6bp1 &&
	   tgamma(20.25) == 0x1.c6d19285a4ccap57 && tgamma(100.5) == 0x1.5b98374db8c0bp521 && tgamma(170.5) == 0x1.9589f849167a8p1015,
	   "tgamma");
	feclearexcept(FE_ALL_EXCEPT);
	ok(isnan(tgamma(minus)) && raised() == FE_INVALID, "of a whole number below 0");
	feclearexcept(FE_ALL_EXCEPT);
	ok(tgamma(zero) == HUGE_VAL && tgamma(-zero) == -HUGE_VAL && raised() == FE_DIVBYZERO, "of 0");
	feclearexcept(FE_ALL_EXCEPT);
	ok(tgamma(far) == HUGE_VAL && raised() == FE_OVERFLOW && tgamma(infinite) == infinite, "of too much");
	feclearexcept(FE_ALL_EXCEPT);
	ok(tgamma(below) == 0 && signbit(tgamma(below)) && !signbit(tgamma(below - 1)) && raised() == FE_UNDERFLOW, "far below 0");
	feclearexcept(FE_ALL_EXCEPT);
	ok(isinf(tgammal(1756)) && !isinf(tgammal(1755.4L)) && tgammal(-1800.5L) == 0 && !fetestexcept(FE_INVALID), "tgammal at its ends");
	feclearexcept(FE_ALL_EXCEPT);
	ok(isnan(tgammal(nothing)) && isnan(powl(infinite, nothing)) && powl(nothing, 0) == 1 && !raised(), "no number raises nothing");
	ok(powl(longest, -0x1p-20L) > 0.9L && isinf(powl(-longest, 3)) && powl(-longest, 3) < 0 && !raised() - 1 && isnan(powl(-longest, 0.5L)) &&
	   fetestexcept(FE_INVALID), "powers of the largest number");
	ok(tgammaf(4.5f) == 0x1.74371ep3f && lgammaf(-0x1.79cap-67f) > 46 && cbrtf(27) == 3 && j0f(1.25f) == (float)j0(1.25) && y1f(2.5f) == (float)y1(2.5) &&
	   jnf(2, 3) == (float)jn(2, 3) && ynf(2, 3) == (float)yn(2, 3) && erff(0.5f) == (float)erf(0.5) && erfcf(2.5f) == (float)erfc(2.5),
	   "functions of float");
}

/* The rounding and the exceptions are the program's: what asks the keeper leaves them. */
static void kept(void)
{
	volatile double one = 1, three = 3, zero = 0;
	volatile long double long_one = 1, long_zero = 0;
	int ends[2], mode, flags;
	double third;

	fesetround(FE_UPWARD);
	mode = pipe(ends) == 0 && write(ends[1], "x", 1) == 1 ? fegetround() : -1;
	third = one / three;
	fesetround(FE_TONEAREST);
	ok(mode == FE_UPWARD && third > 1.0 / 3, "the rounding stays");
	feclearexcept(FE_ALL_EXCEPT);
	one = one / zero;
	close(ends[0]);
	flags = fetestexcept(FE_ALL_EXCEPT);
	feclearexcept(FE_ALL_EXCEPT);
	long_one = long_one / long_zero;
	close(ends[1]);
	ok(flags == FE_DIVBYZERO && fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO, "and the exceptions, of long double, too");
	feclearexcept(FE_ALL_EXCEPT);
	close(-1);
	ok(!fetestexcept(FE_ALL_EXCEPT), "or that there were none");
}

/* Digits and an exponent that make up for each other. */
static void far_exponents(void)
{
	static char text[2000];

	text[0] = '1';
	memset(text + 1, '0', 1500);
	strcpy(text + 1501, "e-1500");
	ok(strtod(text, NULL) == 1, "1500 digits and their exponent");
	strcpy(text + 1501, "e-20000000000000000001");
	ok(strtod(text, NULL) == 0 && strtod("0.1e20000000000000000001", NULL) == HUGE_VAL && strtod("0x1p-20000000000000000001", NULL) == 0,
	   "exponents beyond all bounds");
}

static void options(void)
{
	char text[] = "ro,rsize=5,bad=1,worse,=,", *at = text, *value;
	char *const tokens[] = { (char *)"ro", (char *)"rsize", NULL };

	ok(getsubopt(&at, tokens, &value) == 0 && !value && getsubopt(&at, tokens, &value) == 1 && !strcmp(value, "5"), "getsubopt");
	ok(getsubopt(&at, tokens, &value) == -1 && !strcmp(value, "bad=1") && getsubopt(&at, tokens, &value) == -1 &&
	   !strcmp(value, "worse") && getsubopt(&at, tokens, &value) == -1 && !*at, "what is no token is told");
}

int main(void)
{
	zone("UTC0");
	summer();
	range();
	days();
	encodings();
	numbers();
	gamma_function();
	kept();
	far_exponents();
	options();
	return tap_done();
}
