/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Locales: "C", whose characters are bytes, and UTF-8, by which every name with that codeset is understood: there are no languages.
 * "" is what LC_ALL, the category's own variable or LANG says, the first of them that says anything. A locale_t is one
 * of the two, by what its category LC_CTYPE is: in the others there is nothing to tell them apart.
 */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

char *posix_libc_setlocale(int category, const char *name);

static const char *told(int category)
{
	static const char *const variable[] = {
		[LC_COLLATE] = "LC_COLLATE", [LC_CTYPE] = "LC_CTYPE", [LC_MONETARY] = "LC_MONETARY",
		[LC_NUMERIC] = "LC_NUMERIC", [LC_TIME] = "LC_TIME", [LC_MESSAGES] = "LC_MESSAGES",
	};
	const char *names[] = { "LC_ALL", category == LC_ALL ? "LC_CTYPE" : variable[category], "LANG" };

	for (unsigned i = 0; i < 3; i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return value;
	}
	return "C";
}

/* As the C library knows it; NULL: there is none of that name. */
static const char *known(const char *name)
{
	const char *codeset = strchr(name, '.');

	if (!strcmp(name, "C") || !strcmp(name, "POSIX"))
		return "C";
	return codeset && (!strcasecmp(codeset, ".UTF-8") || !strcasecmp(codeset, ".utf8")) ? "C.UTF-8" : NULL;
}

char *setlocale(int category, const char *name)
{
	if (category < LC_ALL || category > LC_MESSAGES)
		return NULL;
	if (!name)
		return posix_libc_setlocale(category, NULL);
	name = known(*name ? name : told(category));
	return name ? posix_libc_setlocale(category, name) : NULL;
}

/* --- a thread's own ------------------------------------------------------------------------------------------- */

extern __thread locale_t _locale;	/* picolibc's; 0: the program's */
locale_t posix_libc_newlocale(int mask, const char *name, locale_t base);

static bool is_locale(locale_t locale)
{
	return locale == posix_libc_newlocale(LC_ALL_MASK, "C", 0) || locale == posix_libc_newlocale(LC_ALL_MASK, "C.UTF-8", 0);
}

locale_t newlocale(int mask, const char *name, locale_t base)
{
	const char *character = "C";

	if (mask & ~LC_ALL_MASK || !name || (base && !is_locale(base))) {
		errno = EINVAL;
		return 0;
	}
	for (int category = LC_ALL + 1; category <= LC_MESSAGES; category++)
		if (mask & 1 << category) {
			const char *found = known(*name ? name : told(category));

			if (!found) {
				errno = ENOENT;
				return 0;
			}
			if (category == LC_CTYPE)
				character = found;
		}
	return base && !(mask & LC_CTYPE_MASK) ? base : posix_libc_newlocale(LC_ALL_MASK, character, 0);
}

locale_t uselocale(locale_t locale)
{
	locale_t was = _locale ? _locale : LC_GLOBAL_LOCALE;

	if (locale == LC_GLOBAL_LOCALE) {
		_locale = 0;
	} else if (locale && !is_locale(locale)) {
		errno = EINVAL;
		return 0;
	} else if (locale) {
		_locale = locale;
	}
	return was;
}

/* --- langinfo ------------------------------------------------------------------------------------------------- */

char *posix_libc_nl_langinfo(nl_item item);
char *posix_libc_nl_langinfo_l(nl_item item, locale_t locale);

/* picolibc names the locale where its encoding is asked for. */
static char *encoding(nl_item item, char *name)
{
	char *codeset = item == CODESET ? strchr(name, '.') : NULL;

	return codeset ? codeset + 1 : name;
}

char *nl_langinfo(nl_item item)
{
	return encoding(item, posix_libc_nl_langinfo(item));
}

char *nl_langinfo_l(nl_item item, locale_t locale)
{
	return encoding(item, posix_libc_nl_langinfo_l(item, locale));
}
