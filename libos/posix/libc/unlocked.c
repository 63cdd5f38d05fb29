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

int fgetc_unlocked(FILE *file)
{
	return fgetc(file);
}

int fputc_unlocked(int c, FILE *file)
{
	return fputc(c, file);
}

size_t fread_unlocked(void *restrict items, size_t bytes, size_t count, FILE *restrict file)
{
	return fread(items, bytes, count, file);
}

size_t fwrite_unlocked(const void *restrict items, size_t bytes, size_t count, FILE *restrict file)
{
	return fwrite(items, bytes, count, file);
}

int fflush_unlocked(FILE *file)
{
	return fflush(file);
}
