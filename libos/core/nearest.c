/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Edit distance after Damerau and Levenshtein (optimal string alignment), three rows at a time. See
 * nearest.h.
 */
#include <string.h>

#include "libos/core/nearest.h"

#define MAX	31

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned char row[3][MAX + 1];	/* row[i % 3][j]: from the first i of a to the first j of b */

	for (size_t j = 0; j <= b_len; j++)
		row[0][j] = (unsigned char)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned char *now = row[i % 3], *above = row[(i + 2) % 3], *above2 = row[(i + 1) % 3];

		now[0] = (unsigned char)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned best =
				min(min(above[j], now[j - 1]) + 1u, above[j - 1] + (a[i - 1] != b[j - 1]));

			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = min(best, above2[j - 2] + 1u);
			now[j] = (unsigned char)best;
		}
	}
	return row[a_len % 3][b_len];
}

const char *nearest(const char *word, size_t len, const char *const *known)
{
	const char *best = NULL;
	unsigned best_distance = ~0u;

	if (len > MAX)
		len = MAX;
	for (; *known; known++) {
		size_t known_len = strlen(*known);
		unsigned d = distance(word, len, *known, known_len > MAX ? MAX : known_len);

		if (d < best_distance) {
			best = *known;
			best_distance = d;
		}
	}
	return best;
}
