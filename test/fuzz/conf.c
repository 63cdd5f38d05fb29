/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer: any bytes as a configuration; arguments of accepted programs are split. */
#include <stdlib.h>

#include "apps/init/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf c;
	struct conf_error error;
	char *buffer = malloc(size + 1), *argv[CONF_ARGS_MAX];

	if (!conf_read(&c, (const char *)data, size, buffer, size + 1, &error)) {
		if (!c.count || c.main >= c.count)
			abort();
		for (unsigned i = 0; i < c.count; i++)
			if (*c.program[i].args &&
			    conf_split((char *)c.program[i].args, argv, CONF_ARGS_MAX, NULL) < 0)
				abort();
	} else if (!error.line || !error.column || !error.text[0]) {
		abort();
	}
	free(buffer);
	return 0;
}
