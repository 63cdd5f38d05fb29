/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * setlocale: "C", whose characters are bytes, and UTF-8, by which every name with that codeset is understood: there are no languages.
 * "" is what LC_ALL, the category's own variable or LANG says, the first of them that says anything.
 */
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
