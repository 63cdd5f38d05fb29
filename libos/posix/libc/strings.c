/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Strings, where picolibc's functions are not what the standards or GNU's programs want.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *_user_strerror(int error, int internal, int *result);

static char unknown[40];

/* picolibc's strerror asks it for numbers that it does not know. */
char *_user_strerror(int error, int internal, int *result)
{
	(void)internal;
	*result = EINVAL;
	snprintf(unknown, sizeof(unknown), "Unknown error %d", error);
	return unknown;
}

/* As POSIX has it, it leaves what strerror() returned as it is. */
void perror(const char *text)
{
	char kept[sizeof(unknown)];

	memcpy(kept, unknown, sizeof(kept));
	fprintf(stderr, "%s%s%s\n", text ? text : "", text && *text ? ": " : "", strerror(errno));
	memcpy(unknown, kept, sizeof(kept));
}

/* The length of the digits that are at a place. */
static size_t digits(const char *at)
{
	size_t count = 0;

	while (isdigit((unsigned char)at[count]))
		count++;
	return count;
}

/*
 * Strings with numbers in them, as people sort versions. Where the first difference is in or right behind digits, the
 * whole number decides: one with leading zeros is a fraction and comes before (more zeros first), of others the longer
 * is the greater.
 */
int strverscmp(const char *a, const char *b)
{
	size_t at = 0, begin;

	while (a[at] && a[at] == b[at])
		at++;
	for (begin = at; begin > 0 && isdigit((unsigned char)a[begin - 1]); begin--)
		;
	if (!digits(a + begin) || !digits(b + begin))
		return (unsigned char)a[at] - (unsigned char)b[at];
	if (a[begin] == '0' || b[begin] == '0') {
		size_t zeros = begin;
		while (zeros < at && a[zeros] == '0')
			zeros++;
		/* All that is alike is zeros: who has digits on is the smaller, a number of zeros only. */
		if (zeros == at && at > begin && digits(a + at) != digits(b + at) && (!digits(a + at) || !digits(b + at)))
			return digits(a + at) ? -1 : 1;
		return (unsigned char)a[at] - (unsigned char)b[at];
	}
	if (digits(a + begin) != digits(b + begin))
		return digits(a + begin) < digits(b + begin) ? -1 : 1;
	return (unsigned char)a[at] - (unsigned char)b[at];
}

/* At the end the place stays there: whoever asks once more is told again that there is none. */
char *strtok_r(char *restrict text, const char *restrict ends, char **restrict place)
{
	char *word = text ? text : *place;

	if (!word)
		return NULL;
	word += strspn(word, ends);
	*place = word + strcspn(word, ends);
	if (**place)
		*(*place)++ = '\0';
	return *word ? word : NULL;
}

char *strtok(char *restrict text, const char *restrict ends)
{
	static char *place;

	return strtok_r(text, ends, &place);
}

/* The empty string that is left at the end is a field, too. */
char *strsep(char **rest, const char *ends)
{
	char *field = *rest, *end;

	if (!field)
		return NULL;
	end = field + strcspn(field, ends);
	*rest = *end ? end + 1 : NULL;
	if (*end)
		*end = '\0';
	return field;
}

/* What no token is named stays in *value, as it stands. */
int getsubopt(char **option, char *const *tokens, char **value)
{
	char *word = *option, *end = word + strcspn(word, ","), *sign;
	size_t bytes;

	*option = *end ? end + 1 : end;
	*end = '\0';
	sign = strchr(word, '=');
	bytes = sign ? (size_t)(sign - word) : (size_t)(end - word);
	for (int i = 0; tokens[i]; i++)
		if (!strncmp(tokens[i], word, bytes) && !tokens[i][bytes]) {
			*value = sign ? sign + 1 : NULL;
			return i;
		}
	*value = word;
	return -1;
}
