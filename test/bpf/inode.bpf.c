/* SPDX-License-Identifier: BSD-2-Clause */
/* What a block owns: a table of extents, and a list that ends where it says. */
#include <exo/bpf.h>

struct extent {
	uint64_t first;
	uint32_t count, type;
};

struct node {
	uint32_t magic, extents;
	uint64_t next;
	struct extent extent[64];
};

EXO_PROGRAM(owner) int inode(struct exo_block *block)
{
	const struct node *node = (const struct node *)block->data;
	uint32_t extents = node->extents;

	if (node->magic != 0x6578746e || extents > 64)
		return 1;
	if (node->next && exo_code_emit(node->next, 1, block->type))
		return 2;
	for (uint32_t i = 0; i < extents; i++) {
		const struct extent *extent = &node->extent[i];

		if (extent->count == 0 || extent->first + extent->count < extent->first)
			return 3;
		if (exo_code_emit(extent->first, extent->count, extent->type))
			return 4;
	}
	return 0;
}
