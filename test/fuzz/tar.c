/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer: any bytes as an archive; what it indexes is read and looked up again. */
#include <stdlib.h>
#include <string.h>

#include "libos/fs/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned touched;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tar_error error;
	enum tar_status status;
	struct tar t;
	size_t need = tar_need(data, size, &error);
	void *memory = malloc(need);

	if (need && tar_open(&t, data, size, memory, need, &error) == TAR_MEMORY)
		abort();	/* tar_need must be enough */
	for (uint32_t i = 0; need && !error.status && i < t.count; i++) {
		const struct tar_node *n = &t.nodes[i];

		for (uint64_t j = 0; j < n->size; j++)
			touched += ((const uint8_t *)n->data)[j];
		tar_find(&t, &t.nodes[n->parent], n->name, n->name_len, &status);
		if (i && n->kind != TAR_SYMLINK && (status || tar_next(&t, n) == n))
			abort();
	}
	free(memory);
	return 0;
}
