/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the loader handed over, in one form, which the port has filled in; the kernel's arguments in it; and the last
 * word of a start that fails.
 *
 * Arguments are words, NAME or NAME=VALUE. Each is known, or the kernel does not start and names the nearest that is.
 */
#include "exo/kernel.h"

struct boot boot;

static const char *const kernel_options[] = { "slice_us", NULL };

_Noreturn void boot_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	kprintf("exo: cannot start: ");
	kvprintf(format, args);
	kprintf("\n");
	va_end(args);
	arch_stop();
}

/* The next word at *at: its start, and the length of its name. NULL: no more. */
static char *next_option(char **at, size_t *name)
{
	char *word;

	while (**at == ' ')
		++*at;
	word = *at;
	while (**at && **at != ' ')
		++*at;
	for (*name = 0; word + *name < *at && word[*name] != '='; ++*name)
		;
	return word < *at ? word : NULL;
}

/* How unlike two words are: letters that one has more, or others, position by position from both ends. 0: alike. */
static size_t unlike(const char *word, size_t length, const char *name)
{
	size_t bytes = 0, head = 0, tail = 0, shorter;

	while (name[bytes])
		bytes++;
	shorter = length < bytes ? length : bytes;
	while (head < shorter && word[head] == name[head])
		head++;
	while (tail < shorter - head && word[length - 1 - tail] == name[bytes - 1 - tail])
		tail++;
	return (length > bytes ? length : bytes) - head - tail;
}

const char *boot_value(const char *name, const char *behind)
{
	char *at = behind ? boot.cmdline + (behind - boot.cmdline) : boot.cmdline, *word;
	size_t bytes;

	while ((word = next_option(&at, &bytes)) != NULL)
		if (!unlike(word, bytes, name))
			return word + bytes + (word[bytes] == '=');
	return NULL;
}

const char *boot_number(const char *at, uint64_t *value)
{
	unsigned base = at[0] == '0' && at[1] == 'x' ? 16 : 10, digit;

	if (base == 16)
		at += 2;
	for (*value = 0; *value < 1ULL << 56; at++) {
		if (*at >= '0' && *at <= '9')
			digit = (unsigned)(*at - '0');
		else if (base == 16 && (*at | 0x20) >= 'a' && (*at | 0x20) <= 'f')
			digit = (unsigned)((*at | 0x20) - 'a') + 10;
		else
			break;
		*value = *value * base + digit;
	}
	return at;
}

uint64_t boot_option(const char *name, uint64_t otherwise)
{
	const char *at = NULL, *end;

	while ((at = boot_value(name, at)) != NULL) {
		end = boot_number(at, &otherwise);
		if (end == at || (*end && *end != ' ') || otherwise > UINT32_MAX)
			boot_fail("kernel argument %s wants a number", name);
	}
	return otherwise;
}

void boot_options_check(void)
{
	const char *const *const lists[] = { kernel_options, arch_options };
	const char *const *name, *nearest;
	char *at = boot.cmdline, *word;
	size_t bytes, least;
	unsigned i;

	while ((word = next_option(&at, &bytes)) != NULL) {
		nearest = NULL;
		least = SIZE_MAX;
		for (i = 0; i < COUNT_OF(lists); i++)
			for (name = lists[i]; *name; name++)
				if (unlike(word, bytes, *name) < least) {
					nearest = *name;
					least = unlike(word, bytes, *name);
				}
		if (!least)
			continue;
		word[bytes] = '\0';
		boot_fail("unknown kernel argument %s; the nearest known one is %s", word, nearest);
	}
}
