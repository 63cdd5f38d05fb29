/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest program: prints a greeting and its arguments, and ends with status 0, or N after --exit N.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	int status = 0;

	printf("Hello from Exo!\n");
	for (int i = 1; i < argc; i++) {
		printf("argv[%d] = %s\n", i, argv[i]);
		if (!strcmp(argv[i], "--exit") && i + 1 < argc)
			status = atoi(argv[i + 1]);
	}
	return status;
}
