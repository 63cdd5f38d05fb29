/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes NAME's COUNT lines, by turns into its two streams: test/e2e/console.py looks whether each is whole. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *name = argc > 2 ? argv[1] : "lines";
	int count = argc > 2 ? atoi(argv[2]) : 1;

	setlinebuf(stdout);
	for (int i = 0; i < count; i++)
		fprintf(i % 2 ? stdout : stderr, "%s: line %d is whole\n", name, i);
	sleep(1);		/* the first program's end is the machine's */
	return 0;
}
