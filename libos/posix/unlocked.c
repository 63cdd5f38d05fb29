// SPDX-License-Identifier: BSD-2-Clause
/*
 * Functions under second names, which GNU's and BSD's programs use: of streams whose lock the caller holds (it is
 * recursive, so the usual ones serve).
 */
#define _GNU_SOURCE
#include <stdio.h>

char *fgets_unlocked(char *restrict line, int bytes, FILE *restrict file)
{
	return fgets(line, bytes, file);
}

int fputs_unlocked(const char *restrict text, FILE *restrict file)
{
	return fputs(text, file);
}

int fileno_unlocked(FILE *file)
{
	return fileno(file);
}
