/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Claims on packets as a configuration has them: terms as numbers. tools/exolib/filters.py writes the same, by hand or
 * from a tcpdump expression.
 */
#include <exo/flow.h>

#include "apps/init/conf_parts.h"

/* A number, decimal or 0x..., at most max, and what must follow it (0: nothing must). */
static int take(const char **at, uint64_t max, char follows, uint64_t *value)
{
	unsigned base = 10, digits = 0, digit;

	if (**at == '0' && (*at)[1] == 'x')
		base = 16, *at += 2;
	for (*value = 0;; ++*at, digits++) {
		char c = **at;

		digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 :
			c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
		if (digit >= base)
			break;
		*value = *value * base + digit;
		if (*value > max)
			return 0;
	}
	if (!digits || (follows && *(*at)++ != follows))
		return 0;
	return 1;
}

static int take_base(const char **at, struct exo_term *term)
{
	uint64_t byte, mask, shift;

	++*at;
	if (!take(at, EXO_FRAME_BYTES_MAX - 1, '&', &byte) || !take(at, 255, '<', &mask) || !mask || *(*at)++ != '<' ||
	    !take(at, 7, '+', &shift))
		return 0;
	term->rel_offset = (uint16_t)byte;
	term->rel_mask = (uint8_t)mask;
	term->rel_shift = (uint8_t)shift;
	return 1;
}

static int take_term(const char **at, struct exo_term *term)
{
	uint64_t offset, width, value, all, mask;

	*term = (struct exo_term){ 0 };
	if (**at == '@' && !take_base(at, term))
		return 0;
	if (!take(at, EXO_FRAME_BYTES_MAX, ':', &offset) || !take(at, 4, 0, &width) ||
	    (width != 1 && width != 2 && width != 4) || offset + width > EXO_FRAME_BYTES_MAX)
		return 0;
	mask = all = width == 4 ? UINT32_MAX : (1u << 8 * width) - 1;
	if (**at == '&' && (++*at, !take(at, all, 0, &mask) || !mask))
		return 0;
	if (**at == '!')
		term->flags = EXO_TERM_NOT, ++*at;
	if (*(*at)++ != '=' || !take(at, all, 0, &value) || (value & ~mask))
		return 0;
	term->offset = (uint16_t)offset;
	term->width = (uint8_t)width;
	term->mask = (uint32_t)mask;
	term->value = (uint32_t)value;
	return **at == 0 || **at == ' ' || **at == '\t';
}

/* The same field of the same term? The kernel would refuse the claim. */
static int same_field(const struct exo_term *a, const struct exo_term *b)
{
	return a->offset == b->offset && a->width == b->width && a->rel_offset == b->rel_offset &&
	    a->rel_mask == b->rel_mask && a->rel_shift == b->rel_shift;
}

int conf_claim(const char *text, struct exo_claim *claim, unsigned *column)
{
	struct exo_term term[EXO_TERMS_MAX];
	unsigned count = 0, i;
	const char *at = text, *start;

	for (;;) {
		while (*at == ' ' || *at == '\t')
			at++;
		start = at;
		if (!*at && count)
			break;
		if (!count && at[0] == 'a' && at[1] == 'l' && at[2] == 'l' && !at[3])
			break;
		if (column)
			*column = (unsigned)(start - text);
		if (count == EXO_TERMS_MAX || !take_term(&at, &term[count]))
			return -1;
		for (i = 0; i < count; i++)
			if (same_field(&term[i], &term[count]))
				return -1;
		count++;
	}
	for (i = 0; claim && i < count; i++)
		claim->term[i] = term[i];
	if (claim)
		claim->terms = count;
	return (int)count;
}
