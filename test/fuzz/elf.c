/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer: any bytes as an executable; what is accepted must keep elf.h's promises. */
#include <stdlib.h>

#include "libos/core/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_symbol symbol;
	struct elf_image image;
	struct elf_abi abi;
	size_t bytes;

	if (elf_load(&image, data, size, 0x400000, 0x800000) == ELF_OK)
		for (unsigned i = 0; i < image.count; i++) {
			const struct elf_segment *s = &image.segment[i];

			if (s->offset + s->filesz > size || s->filesz > s->memsz || s->vaddr < 0x400000 ||
			    s->vaddr + s->memsz > 0x800000 || (s->flags & 3) == 3 ||
			    (i && (s[-1].vaddr + s[-1].memsz + 4095) / 4096 > s->vaddr / 4096))
				abort();
		}
	if (elf_extent(data, size, &bytes) == ELF_OK && bytes > size)
		abort();
	elf_abi(data, size, &abi);
	elf_symbol(data, size, 0x401000, &symbol);
	return 0;
}
